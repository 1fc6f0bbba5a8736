//! X11 programs: Xwayland, and the window manager that it needs.
//!
//! Smithay's server is a source of calloop's kind, and its window manager insists on a handle of calloop's. Which surface is which window's it
//! learns as Xwayland tells since version 23.1; an older one (Debian 12 has 22.1) tells a number, see [`associate`].

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use smithay::delegate_xwayland_shell;
use smithay::reexports::wayland_server::Client;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Logical, Rectangle, Size};
use smithay::wayland::compositor::{get_role, give_role};
use smithay::wayland::selection::SelectionTarget;
use smithay::wayland::selection::data_device::{
    clear_data_device_selection, request_data_device_client_selection, set_data_device_selection,
};
use smithay::wayland::selection::primary_selection::{
    clear_primary_selection, request_primary_client_selection, set_primary_selection,
};
use smithay::wayland::xwayland_shell::{
    XWAYLAND_SHELL_ROLE, XWaylandShellHandler, XWaylandShellState,
};
use smithay::xwayland::xwm::{Reorder, ResizeEdge, WmWindowProperty, X11Window, XwmId};
use smithay::xwayland::{X11Surface, X11Wm, XWayland, XWaylandEvent, XwmHandler};

use crate::element::Window;
use crate::grabs::{Edges, MoveGrab, ResizeGrab};
use crate::handlers::toplevels;
use crate::state::State;
use crate::windows::{self, Placement};
use crate::{Result, event_loop, frames, placing};

/// Xwayland, which runs as long as its client is connected.
pub struct XwaylandSession {
    /// What `DISPLAY` is for its clients.
    pub display: String,
    client: Client,
    /// Once it is ready.
    wm: Option<X11Wm>,
}

/// Starts Xwayland; programs that are started with the `DISPLAY` it answers wait until it is ready.
///
/// # Errors
///
/// It can't be started.
pub fn start(state: &mut State, runtime: &Path) -> Result<String> {
    let environment = [("XDG_RUNTIME_DIR", runtime)];
    let (server, client) = XWayland::spawn(
        &state.display,
        None,
        environment,
        true,
        Stdio::null(),
        Stdio::null(),
        |_| (),
    )
    .map_err(|error| format!("Xwayland can't be started: {error}"))?;
    let display = format!(":{}", server.display_number());
    let connected = client.clone();
    let callback = move |event, _: &mut (), state: &mut State| match event {
        XWaylandEvent::Ready { x11_socket, .. } => {
            let wm = event_loop::calloop(&mut state.handle, &state.foreign)
                .and_then(|handle| X11Wm::start_wm(handle, x11_socket, client.clone()));
            match (wm, &mut state.xwayland) {
                (Ok(wm), Some(session)) => session.wm = Some(wm),
                (Ok(_), None) => {}
                (Err(error), _) => eprintln!("compositor: no window manager for X11: {error}"),
            }
        }
        XWaylandEvent::Error => {
            eprintln!("compositor: Xwayland ended before it was ready");
            state.xwayland = None;
        }
    };
    event_loop::insert_foreign(&mut state.handle, server, callback)?;
    state.xwayland =
        Some(XwaylandSession { display: display.clone(), client: connected, wm: None });
    Ok(display)
}

/// Finds the surfaces of windows of which Xwayland has told the number, as it does before version 23.1.
#[allow(deprecated, reason = "there is no other way with an old Xwayland")]
pub fn associate(state: &mut State) {
    let Some(client) = state.xwayland.as_ref().map(|session| session.client.clone()) else {
        return;
    };
    let without = |window: &&Window| window.is_x11() && window.wl_surface().is_none();
    let windows: Vec<Window> = state.space.elements().filter(without).cloned().collect();
    for window in windows {
        let Some(x11) = window.x11_surface() else { continue };
        let surface = x11.wl_surface_id().and_then(|number| {
            client.object_from_protocol_id::<WlSurface>(&state.display, number).ok()
        });
        // A number may be that of the last time, and another's now, one that is something else already.
        let Some(surface) = surface.filter(|surface| get_role(surface).is_none()) else { continue };
        if give_role(&surface, XWAYLAND_SHELL_ROLE).is_err() {
            continue;
        }
        window.associate(surface);
        if !x11.is_override_redirect() {
            windows::activate(state, &window);
        }
        frames::schedule(state);
    }
}

/// Has an X11 window on top in X11's order as well.
pub fn raise(state: &mut State, window: &Window) {
    let wm = state.xwayland.as_mut().and_then(|session| session.wm.as_mut());
    if let (Some(wm), Some(window)) = (wm, window.x11_surface()) {
        report("raised", wm.raise_window(window));
    }
}

/// Tells an X11 window where it has been moved to.
pub fn follow(state: &State, window: &Window) {
    if let (Some(x11), Some(rect)) = (window.x11_surface(), state.space.element_geometry(window)) {
        report("moved", x11.configure(rect));
    }
}

pub fn resize(window: &Window, size: Size<i32, Logical>) {
    if let Some(x11) = window.x11_surface() {
        report("resized", x11.configure(Rectangle::new(x11.geometry().loc, size)));
    }
}

fn report<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) {
    if let Err(error) = result {
        eprintln!("compositor: an X11 window is not {what}: {error}");
    }
}

impl State {
    fn window_of_x11(&self, surface: &X11Surface) -> Option<Window> {
        let is_it = |window: &&Window| window.x11_surface() == Some(surface);
        self.space.elements().find(is_it).cloned()
    }
}

impl XWaylandShellHandler for State {
    fn xwayland_shell_state(&mut self) -> &mut XWaylandShellState {
        &mut self.globals.xwayland_shell
    }

    /// Only now can it have the keyboard.
    fn surface_associated(&mut self, _: XwmId, _: WlSurface, surface: X11Surface) {
        if let Some(window) =
            self.window_of_x11(&surface).filter(|_| !surface.is_override_redirect())
        {
            windows::activate(self, &window);
        }
    }
}

impl XwmHandler for State {
    fn xwm_state(&mut self, _: XwmId) -> &mut X11Wm {
        let wm = self.xwayland.as_mut().and_then(|session| session.wm.as_mut());
        wm.expect("the window manager that calls this is kept until it has ended")
    }

    fn new_window(&mut self, _: XwmId, _: X11Surface) {}

    fn new_override_redirect_window(&mut self, _: XwmId, _: X11Surface) {}

    fn map_window_request(&mut self, _: XwmId, surface: X11Surface) {
        report("mapped", surface.set_mapped(true));
        let window = Window::new_x11_window(surface.clone());
        let place = placing::place_new(self, &window);
        report("placed", surface.configure(Rectangle::new(place, surface.geometry().size)));
        windows::show(self, &window, place);
    }

    fn mapped_override_redirect_window(&mut self, _: XwmId, surface: X11Surface) {
        let place = surface.geometry().loc;
        // Menus: on top, but without the keyboard.
        self.space.map_element(Window::new_x11_window(surface), place, false);
        frames::schedule(self);
    }

    fn unmapped_window(&mut self, _: XwmId, surface: X11Surface) {
        if let Some(window) = self.window_of_x11(&surface) {
            windows::remove(self, &window);
        }
        if !surface.is_override_redirect() {
            report("unmapped", surface.set_mapped(false));
        }
    }

    fn destroyed_window(&mut self, _: XwmId, surface: X11Surface) {
        if let Some(window) = self.window_of_x11(&surface) {
            windows::remove(self, &window);
        }
    }

    fn configure_request(
        &mut self,
        _: XwmId,
        surface: X11Surface,
        _: Option<i32>,
        _: Option<i32>,
        width: Option<u32>,
        height: Option<u32>,
        _: Option<Reorder>,
    ) {
        // It has its size, but not its place.
        let mut rect = surface.geometry();
        rect.size.w = width.map_or(rect.size.w, |width| width as i32);
        rect.size.h = height.map_or(rect.size.h, |height| height as i32);
        report("configured", surface.configure(rect));
    }

    fn configure_notify(
        &mut self,
        _: XwmId,
        surface: X11Surface,
        geometry: Rectangle<i32, Logical>,
        _: Option<X11Window>,
    ) {
        if let Some(window) = self.window_of_x11(&surface) {
            windows::relocate(self, &window, geometry.loc);
            frames::schedule(self);
        }
    }

    fn property_notify(&mut self, _: XwmId, surface: X11Surface, property: WmWindowProperty) {
        let renamed = matches!(property, WmWindowProperty::Title | WmWindowProperty::Class);
        if let Some(window) = self.window_of_x11(&surface).filter(|_| renamed) {
            toplevels::renamed(self, &window);
        }
    }

    fn maximize_request(&mut self, _: XwmId, surface: X11Surface) {
        place(self, &surface, Placement::Maximized);
    }

    fn unmaximize_request(&mut self, _: XwmId, surface: X11Surface) {
        place(self, &surface, Placement::Floating);
    }

    fn fullscreen_request(&mut self, _: XwmId, surface: X11Surface) {
        place(self, &surface, Placement::Fullscreen);
    }

    fn unfullscreen_request(&mut self, _: XwmId, surface: X11Surface) {
        place(self, &surface, Placement::Floating);
    }

    fn move_request(&mut self, _: XwmId, surface: X11Surface, _: u32) {
        let Some(window) = self.window_of_x11(&surface) else { return };
        let Some(pointer) = self.seat.get_pointer() else { return };
        let Some(start) = pointer.grab_start_data() else { return };
        let Some(grab) = MoveGrab::new(self, window, start) else { return };
        let serial = smithay::utils::SERIAL_COUNTER.next_serial();
        pointer.set_grab(self, grab, serial, smithay::input::pointer::Focus::Clear);
    }

    fn resize_request(&mut self, _: XwmId, surface: X11Surface, _: u32, edge: ResizeEdge) {
        let Some(window) = self.window_of_x11(&surface) else { return };
        let Some(pointer) = self.seat.get_pointer() else { return };
        let Some(start) = pointer.grab_start_data() else { return };
        let Some(grab) = ResizeGrab::new(self, window, start, Edges::from(edge)) else { return };
        let serial = smithay::utils::SERIAL_COUNTER.next_serial();
        pointer.set_grab(self, grab, serial, smithay::input::pointer::Focus::Clear);
    }

    /// The window with the keyboard may paste.
    fn allow_selection_access(&mut self, _: XwmId, _: SelectionTarget) -> bool {
        self.active_window().is_some_and(|window| window.is_x11())
    }

    /// An X11 program pastes what a Wayland client has copied.
    fn send_selection(
        &mut self,
        _: XwmId,
        target: SelectionTarget,
        mime_type: String,
        fd: OwnedFd,
    ) {
        let asked = match target {
            SelectionTarget::Clipboard => {
                request_data_device_client_selection(&self.seat, mime_type, fd)
                    .err()
                    .map(Into::into)
            }
            SelectionTarget::Primary => {
                request_primary_client_selection(&self.seat, mime_type, fd).err().map(Into::into)
            }
        };
        if let Some(error) = asked {
            let error: Box<dyn std::error::Error> = error;
            eprintln!("compositor: a selection is not sent: {error}");
        }
    }

    /// An X11 program has copied something.
    fn new_selection(&mut self, _: XwmId, target: SelectionTarget, mime_types: Vec<String>) {
        let (display, seat) = (&self.display, &self.seat);
        match target {
            SelectionTarget::Clipboard => set_data_device_selection(display, seat, mime_types, ()),
            SelectionTarget::Primary => set_primary_selection(display, seat, mime_types, ()),
        }
    }

    fn cleared_selection(&mut self, _: XwmId, target: SelectionTarget) {
        match target {
            SelectionTarget::Clipboard => clear_data_device_selection(&self.display, &self.seat),
            SelectionTarget::Primary => clear_primary_selection(&self.display, &self.seat),
        }
    }

    fn disconnected(&mut self, _: XwmId) {
        eprintln!("compositor: Xwayland has ended");
        self.xwayland = None;
    }
}

fn place(state: &mut State, surface: &X11Surface, placement: Placement) {
    report("maximized", surface.set_maximized(placement == Placement::Maximized));
    report("fullscreen", surface.set_fullscreen(placement == Placement::Fullscreen));
    if let Some(window) = state.window_of_x11(surface) {
        windows::place_window(state, &window, placement);
    }
}

/// A Wayland client has copied something, or nothing any more: X11 programs hear of it.
pub fn offer_selection(
    state: &mut State,
    target: SelectionTarget,
    mime_types: Option<Vec<String>>,
) {
    if let Some(wm) = state.xwayland.as_mut().and_then(|session| session.wm.as_mut()) {
        report("told of a selection", wm.new_selection(target, mime_types));
    }
}

/// A Wayland client pastes what an X11 program has copied.
pub fn send_selection(state: &mut State, target: SelectionTarget, mime_type: String, fd: OwnedFd) {
    let Ok(foreign) = event_loop::calloop(&mut state.handle, &state.foreign) else { return };
    if let Some(wm) = state.xwayland.as_mut().and_then(|session| session.wm.as_mut()) {
        report("asked for a selection", wm.send_selection(target, mime_type, fd, foreign));
    }
}

delegate_xwayland_shell!(State);
