//! What there is to windows besides `xdg_toplevel`: who draws their title bars (`xdg-decoration`), who raises them
//! (`xdg-activation`), and who else knows of them (`ext-foreign-toplevel-list`).

use std::time::Duration;

use smithay::reexports::wayland_protocols::xdg::decoration::zv1::server::zxdg_toplevel_decoration_v1::Mode;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::input::Seat;
use smithay::wayland::foreign_toplevel_list::{
    ForeignToplevelHandle, ForeignToplevelListHandler, ForeignToplevelListState,
};
use smithay::wayland::shell::xdg::ToplevelSurface;
use smithay::wayland::shell::xdg::decoration::XdgDecorationHandler;
use smithay::wayland::xdg_activation::{
    XdgActivationHandler, XdgActivationState, XdgActivationToken, XdgActivationTokenData,
};
use smithay::{delegate_foreign_toplevel_list, delegate_xdg_activation, delegate_xdg_decoration};

use super::compositor::root;
use crate::element::Window;
use crate::state::State;
use crate::windows;

/// How long a client may take from the click to the window that it is to raise.
const VALID: Duration = Duration::from_secs(10);

impl XdgActivationHandler for State {
    fn activation_state(&mut self) -> &mut XdgActivationState {
        &mut self.globals.activation
    }

    /// It counts if its client has the keyboard, and knows so: nobody else raises windows.
    fn token_created(&mut self, _: XdgActivationToken, data: XdgActivationTokenData) -> bool {
        self.globals.activation.retain_tokens(|_, data| data.timestamp.elapsed() < VALID);
        let Some((serial, seat)) = data.serial else { return false };
        let own = Seat::<Self>::from_resource(&seat).as_ref() == Some(&self.seat);
        let keyboard = self.seat.get_keyboard().and_then(|keyboard| keyboard.last_enter());
        own && keyboard.is_some_and(|entered| serial.is_no_older_than(&entered))
    }

    fn request_activation(
        &mut self,
        token: XdgActivationToken,
        data: XdgActivationTokenData,
        surface: WlSurface,
    ) {
        self.globals.activation.remove_token(&token);
        let window = self.window_of(&root(&surface));
        let mapped = window.filter(|window| self.space.element_location(window).is_some());
        if let Some(window) = mapped
            && data.timestamp.elapsed() < VALID
        {
            windows::activate(self, &window);
        }
    }
}

/// The compositor draws no title bars, and so asks each client to draw its own. Who wants none has none: SDL before 2.28
/// never shows a window that is refused (libsdl-org/SDL#8173).
impl XdgDecorationHandler for State {
    fn new_decoration(&mut self, toplevel: ToplevelSurface) {
        decorate(self, toplevel, Mode::ClientSide);
    }

    fn request_mode(&mut self, toplevel: ToplevelSurface, mode: Mode) {
        decorate(self, toplevel, mode);
    }

    fn unset_mode(&mut self, toplevel: ToplevelSurface) {
        decorate(self, toplevel, Mode::ClientSide);
    }
}

fn decorate(state: &mut State, toplevel: ToplevelSurface, mode: Mode) {
    toplevel.with_pending_state(|pending| pending.decoration_mode = Some(mode));
    // Before the first configure, that tells it.
    if toplevel.is_initial_configure_sent() && !state.windows.undecorated.contains(&toplevel) {
        state.windows.undecorated.push(toplevel);
    }
}

/// After each round, each client that asked who draws its title bar is told, once: the first question of two is none.
pub fn answer_decorations(state: &mut State) {
    for toplevel in state.windows.undecorated.drain(..).filter(ToplevelSurface::alive) {
        toplevel.send_configure();
    }
}

impl ForeignToplevelListHandler for State {
    fn foreign_toplevel_list_state(&mut self) -> &mut ForeignToplevelListState {
        &mut self.globals.foreign_toplevels
    }
}

/// A window is shown: whoever lists windows is told.
pub fn shown(state: &mut State, window: &Window) -> ForeignToplevelHandle {
    let (app_id, title) = windows::names(window);
    state.globals.foreign_toplevels.new_toplevel::<State>(title, app_id)
}

/// A window is not shown any more.
pub fn hidden(state: &mut State, handle: &ForeignToplevelHandle) {
    state.globals.foreign_toplevels.remove_toplevel(handle);
}

/// The title or the app id of a window is another one.
pub fn renamed(state: &State, window: &Window) {
    let Some(handle) = state.windows.listed.get(window) else { return };
    let (app_id, title) = windows::names(window);
    handle.send_title(&title);
    handle.send_app_id(&app_id);
    handle.send_done();
}

delegate_xdg_activation!(State);
delegate_xdg_decoration!(State);
delegate_foreign_toplevel_list!(State);
