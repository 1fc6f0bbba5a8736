//! Popups of windows and of layer surfaces: `xdg_popup`.

use smithay::desktop::{
    PopupKeyboardGrab, PopupKind, PopupPointerGrab, PopupUngrabStrategy, find_popup_root_surface,
    get_popup_toplevel_coords, layer_map_for_output,
};
use smithay::input::Seat;
use smithay::input::pointer::Focus;
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::{wl_seat::WlSeat, wl_surface::WlSurface};
use smithay::utils::{SERIAL_COUNTER, Serial};
use smithay::wayland::shell::xdg::{PopupSurface, PositionerState};

use crate::focus::KeyboardFocus;
use crate::state::State;
use crate::{frames, input, render, windows};

/// A client wants a popup.
pub fn add(state: &mut State, surface: PopupSurface, positioner: PositionerState) {
    place(state, &surface, positioner);
    if let Err(error) = state.popups.track_popup(PopupKind::Xdg(surface)) {
        eprintln!("compositor: a popup is lost: {error}");
    }
}

pub fn reposition(
    state: &mut State,
    surface: &PopupSurface,
    positioner: PositionerState,
    token: u32,
) {
    place(state, surface, positioner);
    surface.send_repositioned(token);
    frames::schedule(state);
}

/// Puts a popup where its client wants it, as far as it fits on the output.
fn place(state: &State, surface: &PopupSurface, positioner: PositionerState) {
    let popup = PopupKind::Xdg(surface.clone());
    let parent = find_popup_root_surface(&popup)
        .ok()
        .and_then(|root| state.origin_of(&root))
        .map(|origin| origin + get_popup_toplevel_coords(&popup));
    let geometry = match parent {
        Some(parent) => {
            // In the coordinates of its parent.
            let mut output = render::bounds(state);
            output.loc -= parent;
            positioner.get_unconstrained_geometry(output)
        }
        // A layer surface becomes its parent later.
        None => positioner.get_geometry(),
    };
    surface.with_pending_state(|pending| {
        pending.geometry = geometry;
        pending.positioner = positioner;
    });
}

/// A popup has been committed: the first time asks for its size.
pub fn committed(state: &mut State, surface: &WlSurface) {
    if let Some(PopupKind::Xdg(popup)) = state.popups.find_popup(surface)
        && !popup.is_initial_configure_sent()
    {
        // Its parent may have a place only now.
        let positioner = popup.with_pending_state(|pending| pending.positioner);
        place(state, &popup, positioner);
        if let Err(error) = popup.send_configure() {
            eprintln!("compositor: a popup is not configured: {error}");
        }
    }
}

/// A menu wants all keys and clicks until one of them is outside of it.
pub fn grab(state: &mut State, surface: PopupSurface, seat: &WlSeat, serial: Serial) {
    if state.lock.is_locked() {
        return surface.send_popup_done();
    }
    let Some(seat) = Seat::<State>::from_resource(seat) else { return };
    let popup = PopupKind::Xdg(surface);
    let Ok(root) = find_popup_root_surface(&popup) else { return };
    let Some(focus) = keyboard_focus(state, &root) else { return };
    // An error has been told to the client.
    let Ok(mut grab) = state.popups.grab_popup(focus, popup, &seat, serial) else { return };
    let (Some(keyboard), Some(pointer)) = (seat.get_keyboard(), seat.get_pointer()) else { return };
    let own = |has_grab: &dyn Fn(Serial) -> bool| {
        has_grab(serial) || grab.previous_serial().is_some_and(has_grab)
    };
    let taken = keyboard.is_grabbed() && !own(&|serial| keyboard.has_grab(serial))
        || pointer.is_grabbed() && !own(&|serial| pointer.has_grab(serial));
    if taken {
        grab.ungrab(PopupUngrabStrategy::All);
        return;
    }
    keyboard.set_focus(state, grab.current_grab(), serial);
    keyboard.set_grab(state, PopupKeyboardGrab::new(&grab), serial);
    pointer.set_grab(state, PopupPointerGrab::new(&grab), serial, Focus::Keep);
    state.popup_grab = Some(grab);
}

/// Ends the menus that have keys and clicks to themselves: something else wants attention.
pub fn dismiss(state: &mut State) {
    let Some(mut grab) = state.popup_grab.take().filter(|grab| !grab.has_ended()) else { return };
    grab.ungrab(PopupUngrabStrategy::All);
    let serial = SERIAL_COUNTER.next_serial();
    let time = state.now_milliseconds();
    if let Some(keyboard) = state.seat.get_keyboard() {
        keyboard.unset_grab(state);
    }
    if let Some(pointer) = state.seat.get_pointer() {
        pointer.unset_grab(state, serial, time);
    }
}

/// A popup is no more. The pointer leaves it while the surface is there to be told so, unless all of its
/// client has gone.
pub fn gone(state: &mut State, popup: &PopupSurface) {
    input::end_touches_on(state, popup.wl_surface());
    state.popups.cleanup();
    if popup.wl_surface().client().is_some() {
        input::refocus_pointer(state);
    }
    windows::lost(state);
}

fn keyboard_focus(state: &State, root: &WlSurface) -> Option<KeyboardFocus> {
    let window = state.window_of(root).is_some();
    let layer = || {
        let layers = layer_map_for_output(&state.output);
        layers.layers().any(|layer| layer.wl_surface() == root)
    };
    (window || layer()).then(|| KeyboardFocus::from(root.clone()))
}
