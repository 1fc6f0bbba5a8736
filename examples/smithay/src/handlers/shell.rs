//! Windows of Wayland clients: `xdg_toplevel`.

use smithay::delegate_xdg_shell;
use smithay::input::Seat;
use smithay::input::pointer::{Focus, GrabStartData};
use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel::{self, ResizeEdge};
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::{
    wl_output::WlOutput, wl_seat::WlSeat, wl_surface::WlSurface,
};
use smithay::utils::{IsAlive, Serial};
use smithay::wayland::shell::xdg::{
    PopupSurface, PositionerState, ToplevelSurface, XdgShellHandler, XdgShellState,
};

use super::{popups, toplevels};
use crate::element::Window;
use crate::grabs::{Edges, MoveGrab, ResizeGrab};
use crate::input;
use crate::state::State;
use crate::windows::{self, Placement};

impl XdgShellHandler for State {
    fn xdg_shell_state(&mut self) -> &mut XdgShellState {
        &mut self.globals.xdg_shell
    }

    fn new_toplevel(&mut self, surface: ToplevelSurface) {
        windows::add(self, Window::new_wayland_window(surface));
    }

    fn toplevel_destroyed(&mut self, surface: ToplevelSurface) {
        input::end_touches_on(self, surface.wl_surface());
        if let Some(window) = self.window_of(surface.wl_surface()) {
            windows::remove(self, &window);
        }
    }

    fn new_popup(&mut self, surface: PopupSurface, positioner: PositionerState) {
        popups::add(self, surface, positioner);
    }

    fn reposition_request(
        &mut self,
        surface: PopupSurface,
        positioner: PositionerState,
        token: u32,
    ) {
        popups::reposition(self, &surface, positioner, token);
    }

    fn grab(&mut self, surface: PopupSurface, seat: WlSeat, serial: Serial) {
        popups::grab(self, surface, &seat, serial);
    }

    fn popup_destroyed(&mut self, surface: PopupSurface) {
        popups::gone(self, &surface);
    }

    fn move_request(&mut self, surface: ToplevelSurface, seat: WlSeat, serial: Serial) {
        let Some((window, start)) = self.grab_start(&surface, &seat, serial) else { return };
        let Some(pointer) = self.seat.get_pointer() else { return };
        windows::restore_for_move(self, &window);
        let Some(grab) = MoveGrab::new(self, window, start) else { return };
        pointer.set_grab(self, grab, serial, Focus::Clear);
    }

    fn resize_request(
        &mut self,
        surface: ToplevelSurface,
        seat: WlSeat,
        serial: Serial,
        edges: ResizeEdge,
    ) {
        let Some((window, start)) = self.grab_start(&surface, &seat, serial) else { return };
        let Some(pointer) = self.seat.get_pointer() else { return };
        let Some(grab) = ResizeGrab::new(self, window, start, Edges::from(edges)) else { return };
        pointer.set_grab(self, grab, serial, Focus::Clear);
    }

    fn maximize_request(&mut self, surface: ToplevelSurface) {
        windows::place(self, &surface, Placement::Maximized);
    }

    fn unmaximize_request(&mut self, surface: ToplevelSurface) {
        windows::place(self, &surface, Placement::Floating);
    }

    fn fullscreen_request(&mut self, surface: ToplevelSurface, _: Option<WlOutput>) {
        windows::place(self, &surface, Placement::Fullscreen);
    }

    fn unfullscreen_request(&mut self, surface: ToplevelSurface) {
        windows::place(self, &surface, Placement::Floating);
    }

    fn title_changed(&mut self, surface: ToplevelSurface) {
        if let Some(window) = self.window_of(surface.wl_surface()) {
            toplevels::renamed(self, &window);
        }
    }

    fn app_id_changed(&mut self, surface: ToplevelSurface) {
        if let Some(window) = self.window_of(surface.wl_surface()) {
            toplevels::renamed(self, &window);
        }
    }
}

impl State {
    /// The window and the press of a button with which its client starts to move or resize it, if that
    /// is the press that the pointer is still held down with over it.
    fn grab_start(
        &self,
        surface: &ToplevelSurface,
        seat: &WlSeat,
        serial: Serial,
    ) -> Option<(Window, GrabStartData<State>)> {
        let pointer = Seat::<State>::from_resource(seat)?.get_pointer()?;
        let start = pointer.grab_start_data().filter(|_| pointer.has_grab(serial))?;
        let (focus, _) = start.focus.as_ref()?;
        let own = focus.alive() && focus.id().same_client_as(&surface.wl_surface().id());
        let window = self.window_of(surface.wl_surface())?;
        own.then_some((window, start))
    }
}

/// The surface of a window has been committed: the first time asks for a size, content shows it, none
/// hides it.
pub fn committed(state: &mut State, surface: &WlSurface) {
    let Some(window) = state.window_of(surface) else { return };
    let Some(toplevel) = window.toplevel() else { return };
    if !toplevel.is_initial_configure_sent() {
        let bounds = windows::work_area(state).size;
        toplevel.with_pending_state(|pending| pending.bounds = Some(bounds));
        toplevel.send_configure();
    }
    windows::committed(state, &window);
}

/// What a window is to be, as its client is told.
pub fn set_state(toplevel: &ToplevelSurface, state: xdg_toplevel::State, on: bool) {
    toplevel.with_pending_state(|pending| {
        if on {
            pending.states.set(state);
        } else {
            pending.states.unset(state);
        }
    });
}

delegate_xdg_shell!(State);
