//! The locked session: `ext-session-lock`. As long as it is locked, its lock surface is all there is: nothing else is
//! drawn, pointed at, or typed on. The end of the client that locked it does not unlock it; another may take its place.

use smithay::backend::renderer::utils::with_renderer_surface_state;
use smithay::desktop::WindowSurfaceType;
use smithay::desktop::utils::under_from_surface_tree;
use smithay::output::Output;
use smithay::reexports::wayland_protocols::ext::session_lock::v1::server::{
    ext_session_lock_manager_v1::ExtSessionLockManagerV1,
    ext_session_lock_surface_v1::ExtSessionLockSurfaceV1, ext_session_lock_v1,
    ext_session_lock_v1::ExtSessionLockV1,
};
use smithay::reexports::wayland_server::protocol::{wl_output::WlOutput, wl_surface::WlSurface};
use smithay::reexports::wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, Resource, delegate_dispatch,
    delegate_global_dispatch,
};
use smithay::utils::{Logical, Point, SERIAL_COUNTER, Size};
use smithay::wayland::session_lock::{
    ExtLockSurfaceUserData, LockSurface, SessionLockHandler, SessionLockManagerGlobalData,
    SessionLockManagerState, SessionLockState, SessionLocker,
};

use super::popups;
use crate::focus::KeyboardFocus;
use crate::state::State;
use crate::{frames, input, render, windows};

/// Whether the session is locked, and by whom.
pub struct Lock {
    manager: SessionLockManagerState,
    /// Who has locked it.
    by: Option<ExtSessionLockV1>,
    /// Is told that it is locked when the first frame that shows nothing else has been drawn.
    asked: Option<SessionLocker>,
    surface: Option<LockSurface>,
    /// The request that is being served is of the one who has locked it.
    own: bool,
}

impl Lock {
    pub fn new(display: &DisplayHandle) -> Self {
        let manager = SessionLockManagerState::new::<State, _>(display, |_| true);
        Self { manager, by: None, asked: None, surface: None, own: false }
    }

    pub fn is_locked(&self) -> bool {
        self.by.is_some()
    }

    /// What is shown while it is locked.
    pub fn surface(&self) -> Option<&WlSurface> {
        self.surface.as_ref().filter(|surface| surface.alive()).map(LockSurface::wl_surface)
    }

    /// Who has the keyboard while it is locked.
    pub fn focus(&self) -> Option<KeyboardFocus> {
        self.surface().cloned().map(KeyboardFocus::from)
    }

    /// What is at a point while it is locked.
    pub fn surface_under(
        &self,
        at: Point<f64, Logical>,
    ) -> Option<(WlSurface, Point<f64, Logical>)> {
        let (surface, origin) =
            under_from_surface_tree(self.surface()?, at, (0, 0), WindowSurfaceType::ALL)?;
        Some((surface, origin.to_f64()))
    }
}

impl SessionLockHandler for State {
    fn lock_state(&mut self) -> &mut SessionLockManagerState {
        &mut self.lock.manager
    }

    fn lock(&mut self, confirmation: SessionLocker) {
        let lock = confirmation.ext_session_lock().clone();
        if self.lock.by.as_ref().is_some_and(Resource::is_alive) {
            // Its client is told so by the end of the confirmation.
            return;
        }
        self.lock.by = Some(lock);
        self.lock.asked = Some(confirmation);
        self.lock.surface = None;
        release(self);
        settle(self);
    }

    fn unlock(&mut self) {
        self.lock.by = None;
        self.lock.asked = None;
        self.lock.surface = None;
        settle(self);
    }

    fn new_surface(&mut self, surface: LockSurface, output: WlOutput) {
        let place = Output::from_resource(&output).and_then(|it| self.space.output_geometry(&it));
        let Size { w, h, .. } = place.unwrap_or_else(|| render::bounds(self)).size;
        surface.with_pending_state(|pending| pending.size = Some((w as u32, h as u32).into()));
        // The others show nothing.
        if !self.output.owns(&output) {
            return;
        }
        if self.lock.own {
            self.lock.surface = Some(surface);
        }
    }
}

/// The output has another size.
#[cfg(feature = "tty")]
pub fn resize(state: &mut State) {
    let Size { w, h, .. } = render::bounds(state).size;
    if let Some(surface) = &state.lock.surface {
        surface.with_pending_state(|pending| pending.size = Some((w as u32, h as u32).into()));
        surface.send_configure();
    }
}

/// What is under way ends: menus, what is dragged, fingers, whoever has the keys or the pointer to himself.
fn release(state: &mut State) {
    popups::dismiss(state);
    state.drag_icon = None;
    input::end_all_touches(state);
    let (serial, time) = (SERIAL_COUNTER.next_serial(), state.now_milliseconds());
    if let Some(keyboard) = state.seat.get_keyboard() {
        keyboard.unset_grab(state);
    }
    if let Some(pointer) = state.seat.get_pointer() {
        pointer.unset_grab(state, serial, time);
    }
}

fn settle(state: &mut State) {
    windows::focus_topmost(state);
    input::refocus_pointer(state);
    frames::schedule(state);
}

/// A surface has been committed: that of the lock gets keyboard and pointer when it shows something.
pub fn committed(state: &mut State, surface: &WlSurface) {
    if state.lock.surface() != Some(surface) {
        return;
    }
    let shown = with_renderer_surface_state(surface, |surface| surface.buffer().is_some());
    let focus = state.seat.get_keyboard().and_then(|keyboard| keyboard.current_focus());
    if shown == Some(true) && focus != state.lock.focus() {
        settle(state);
    }
}

/// After each round: an input method that grabs the keyboard is not to read what is typed on the lock.
pub fn keep(state: &mut State) {
    let keyboard = state.seat.get_keyboard().filter(|_| state.lock.is_locked());
    if let Some(keyboard) = keyboard.filter(|keyboard| keyboard.is_grabbed()) {
        keyboard.unset_grab(state);
    }
}

/// A frame has been drawn. Who has thought better of it by then, or has gone, has locked nothing.
pub fn drawn(state: &mut State) {
    let Some(confirmation) = state.lock.asked.take() else { return };
    if confirmation.ext_session_lock().is_alive() {
        confirmation.lock();
    } else {
        SessionLockHandler::unlock(state);
    }
}

/// Smithay 0.7 tells an unlocker off that has locked nothing, and then unlocks the session all the same; nor does it say
/// whose a lock surface is. So it is asked here who asks.
impl Dispatch<ExtSessionLockV1, SessionLockState> for State {
    fn request(
        state: &mut Self,
        client: &Client,
        lock: &ExtSessionLockV1,
        request: ext_session_lock_v1::Request,
        data: &SessionLockState,
        display: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        state.lock.own = state.lock.by.as_ref() == Some(lock);
        if !state.lock.own && matches!(request, ext_session_lock_v1::Request::UnlockAndDestroy) {
            let error = ext_session_lock_v1::Error::InvalidUnlock;
            return lock.post_error(error, "somebody else has locked the session");
        }
        <SessionLockManagerState as Dispatch<_, _, Self>>::request(
            state, client, lock, request, data, display, init,
        );
    }
}

// `delegate_session_lock!`, but for `ExtSessionLockV1`.
delegate_global_dispatch!(State: [ExtSessionLockManagerV1: SessionLockManagerGlobalData] => SessionLockManagerState);
delegate_dispatch!(State: [ExtSessionLockManagerV1: ()] => SessionLockManagerState);
delegate_dispatch!(State: [ExtSessionLockSurfaceV1: ExtLockSurfaceUserData] => SessionLockManagerState);
