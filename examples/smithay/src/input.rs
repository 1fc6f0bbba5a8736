//! Input: keys, buttons, the pointer, fingers, and what they mean to the window manager.
//!
//! It comes from the window of the winit backend, from the devices of a seat, from the control socket, or from the conformance suite.

use std::ops::RangeInclusive;

use smithay::backend::input::{
    Axis, AxisSource, ButtonState, Event, InputBackend, KeyState, PointerAxisEvent, TouchSlot,
};
use smithay::input::keyboard::{FilterResult, Keycode, Keysym, ModifiersState};
use smithay::input::pointer::{
    AxisFrame, ButtonEvent, CursorImageStatus, Focus, GrabStartData, MotionEvent,
    RelativeMotionEvent,
};
use smithay::input::touch::{self, TouchDownGrab};
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{IsAlive, Logical, Point, Rectangle, SERIAL_COUNTER};
use smithay::wayland::compositor::get_parent;
use smithay::wayland::idle_notify::IdleNotifierHandler;
use smithay::wayland::shell::wlr_layer::Layer;

use crate::grabs::{Edges, MoveGrab, ResizeGrab};
use crate::handlers::constraints::{self, Hold};
use crate::handlers::{layer, typing};
use crate::state::State;
use crate::{event_loop, frames, placing, windows};

/// A key, by its number in `linux/input-event-codes.h`.
pub const KEYS: RangeInclusive<u32> = 1..=247;
pub const BUTTON_LEFT: u32 = 0x110;
pub const BUTTON_RIGHT: u32 = 0x111;
pub const BUTTON_MIDDLE: u32 = 0x112;

/// What lies between the number of a key in Linux and in X11's keymaps.
pub const KEYCODE_OFFSET: u32 = 8;

/// What a key means to the window manager.
enum Action {
    Next,
    Close,
    Tile,
    Quit,
    /// To another terminal.
    Terminal(i32),
}

fn action(modifiers: &ModifiersState, key: Keysym) -> Option<Action> {
    match key {
        Keysym::Tab if modifiers.alt => Some(Action::Next),
        Keysym::F4 if modifiers.alt => Some(Action::Close),
        Keysym::Return if modifiers.alt => Some(Action::Tile),
        Keysym::BackSpace if modifiers.alt && modifiers.ctrl => Some(Action::Quit),
        // What Ctrl+Alt+F1 to F12 come to in every keymap.
        _ => {
            let number = key.raw().checked_sub(Keysym::XF86_Switch_VT_1.raw())?;
            (number < 12).then_some(Action::Terminal(number as i32 + 1))
        }
    }
}

/// Whether a key is the window manager's: all of them can be had by clients but that which ends it, none work while the
/// session is locked.
fn is_ours(state: &State, action: &Action) -> bool {
    if matches!(action, Action::Terminal(_)) {
        return state.backend.has_screens();
    }
    let inhibited = typing::has_all_keys(state) && !matches!(action, Action::Quit);
    !inhibited && !state.lock.is_locked()
}

/// What the pointer does.
pub fn statistics(state: &State) -> String {
    let Point { x, y, .. } = state.pointer_location();
    let cursor = match &state.cursor {
        CursorImageStatus::Hidden => "hidden",
        CursorImageStatus::Named(icon) => icon.name(),
        CursorImageStatus::Surface(_) => "drawn by its client",
    };
    let held = match constraints::hold(state) {
        None => "free",
        Some(Hold::Locked) => "locked",
        Some(Hold::Confined(..)) => "confined",
    };
    format!("pointer: at {x} {y}, {held}, cursor {cursor}")
}

/// Somebody is there.
pub fn notice(state: &mut State) {
    if state.globals.idleness_asked {
        let seat = state.seat.clone();
        state.idle_notifier_state().notify_activity(&seat);
    }
    if state.backend.touched() {
        frames::wake(state);
    }
}

/// Presses or releases a key.
pub fn key(state: &mut State, code: u32, pressed: bool) {
    notice(state);
    let Some(keyboard) = state.seat.get_keyboard() else { return };
    let key_state = if pressed { KeyState::Pressed } else { KeyState::Released };
    let (serial, time) = (SERIAL_COUNTER.next_serial(), state.now_milliseconds());
    let keycode = Keycode::new(code + KEYCODE_OFFSET);
    let action = keyboard.input(
        state,
        keycode,
        key_state,
        serial,
        time,
        |state, modifiers, key| match action(modifiers, key.modified_sym()) {
            Some(action) if pressed && is_ours(state, &action) => FilterResult::Intercept(action),
            _ => FilterResult::Forward,
        },
    );
    match action {
        Some(Action::Next) => windows::next(state),
        Some(Action::Close) => windows::close_active(state),
        Some(Action::Tile) => placing::tile(state),
        Some(Action::Quit) => event_loop::stop(&mut state.handle),
        Some(Action::Terminal(number)) => state.backend.change_vt(number),
        None => {}
    }
}

/// Moves the pointer to a point of the output. One that a client holds moves by what lies between.
pub fn move_pointer_to(state: &mut State, location: Point<f64, Logical>) {
    match constraints::hold(state) {
        Some(_) => move_pointer_by(state, location - state.pointer_location()),
        None => move_pointer(state, location, None),
    }
}

/// Moves the pointer by a distance.
pub fn move_pointer_by(state: &mut State, delta: Point<f64, Logical>) {
    let from = state.pointer_location();
    let to = within_output(state, from + delta);
    let to = constraints::hold(state).map_or(to, |hold| hold.apply(state, from, to));
    move_pointer(state, to, Some(delta));
}

/// The pointer comes to a point, perhaps after a movement by a distance, of which some clients want to know.
fn move_pointer(
    state: &mut State,
    location: Point<f64, Logical>,
    delta: Option<Point<f64, Logical>>,
) {
    notice(state);
    let Some(pointer) = state.seat.get_pointer() else { return };
    let location = within_output(state, location);
    let now = state.now();
    let time = now.as_millis() as u32;
    // One that is locked to its place is told of none.
    if delta.is_none() || location != pointer.current_location() {
        let under = state.surface_under(location);
        state.pointer_target = under.clone();
        let event = MotionEvent { location, serial: SERIAL_COUNTER.next_serial(), time };
        pointer.motion(state, under, &event);
    }
    if let Some(delta) = delta {
        let under = state.pointer_target.clone();
        let utime = now.as_micros() as u64;
        let event = RelativeMotionEvent { delta, delta_unaccel: delta, utime };
        pointer.relative_motion(state, under, &event);
    }
    pointer.frame(state);
    constraints::update(state);
    frames::schedule(state);
}

/// Finds out anew what is under the pointer: something has come, gone or moved.
pub fn refocus_pointer(state: &mut State) {
    let Some(pointer) = state.seat.get_pointer() else { return };
    if pointer.is_grabbed() {
        return;
    }
    let location = pointer.current_location();
    let under = state.surface_under(location);
    if under == state.pointer_target {
        return;
    }
    state.pointer_target = under.clone();
    let time = state.now_milliseconds();
    pointer.motion(
        state,
        under,
        &MotionEvent { location, serial: SERIAL_COUNTER.next_serial(), time },
    );
    pointer.frame(state);
    constraints::update(state);
}

/// The nearest point that an output shows.
fn within_output(state: &State, location: Point<f64, Logical>) -> Point<f64, Logical> {
    let inside = |output| {
        let Rectangle { loc, size } = state.space.output_geometry(output)?.to_f64();
        let within =
            |at: f64, start: f64, side: f64| at.clamp(start, start + (side - 1.0).max(0.0));
        let at = (within(location.x, loc.x, size.w), within(location.y, loc.y, size.h));
        Some(Point::<f64, Logical>::from(at))
    };
    let away = |at: &Point<f64, Logical>| {
        let Point { x, y, .. } = *at - location;
        x * x + y * y
    };
    let points = state.space.outputs().filter_map(inside);
    points.min_by(|one, other| away(one).total_cmp(&away(other))).unwrap_or(location)
}

/// A wheel is turned, or fingers scroll.
pub fn scroll<B: InputBackend>(state: &mut State, event: &B::PointerAxisEvent) {
    notice(state);
    let Some(pointer) = state.seat.get_pointer() else { return };
    let mut frame = AxisFrame::new(event.time_msec()).source(event.source());
    for axis in [Axis::Horizontal, Axis::Vertical] {
        // A wheel tells of notches, a touchpad of distances.
        let notches = event.amount_v120(axis);
        let distance = event.amount(axis).or(notches.map(|notches| notches * 15.0 / 120.0));
        match distance {
            Some(0.0) | None if event.source() == AxisSource::Finger => frame = frame.stop(axis),
            Some(0.0) | None => {}
            Some(distance) => {
                frame = frame.value(axis, distance);
                if let Some(notches) = notches {
                    frame = frame.v120(axis, notches as i32);
                }
            }
        }
    }
    pointer.axis(state, frame);
    pointer.frame(state);
}

/// Presses or releases a button where the pointer is. What is pressed comes to the front; with Alt, it is
/// dragged.
pub fn button(state: &mut State, button: u32, button_state: ButtonState) {
    notice(state);
    let Some(pointer) = state.seat.get_pointer() else { return };
    let serial = SERIAL_COUNTER.next_serial();
    let location = pointer.current_location();
    if button_state == ButtonState::Pressed && !pointer.is_grabbed() {
        raise_at(state, location);
        if drag(state, button, location) {
            return;
        }
    }
    let time = state.now_milliseconds();
    pointer.button(state, &ButtonEvent { serial, time, button, state: button_state });
    pointer.frame(state);
}

/// What layers are above all windows, and below.
const ABOVE: [Layer; 2] = [Layer::Overlay, Layer::Top];
const BELOW: [Layer; 2] = [Layer::Bottom, Layer::Background];

/// What is pressed comes to the front, and gets the keyboard.
pub fn raise_at(state: &mut State, location: Point<f64, Logical>) {
    if state.lock.is_locked() {
        return;
    }
    if let Some(layer) = layer::at(state, location, ABOVE) {
        return layer::clicked(state, &layer);
    }
    let on_window = state.space.element_under(location).map(|(window, _)| window.clone());
    match on_window {
        Some(window) if state.active_window().as_ref() != Some(&window) => {
            windows::activate(state, &window);
        }
        Some(_) => {}
        None => {
            if let Some(layer) = layer::at(state, location, BELOW) {
                layer::clicked(state, &layer);
            }
        }
    }
}

/// Starts to move or resize the window at a point, if that is what the button means.
fn drag(state: &mut State, button: u32, location: Point<f64, Logical>) -> bool {
    let alt = state.seat.get_keyboard().is_some_and(|keyboard| keyboard.modifier_state().alt);
    let (true, Some(pointer)) = (alt, state.seat.get_pointer()) else { return false };
    if state.lock.is_locked() || layer::at(state, location, ABOVE).is_some() {
        return false;
    }
    let Some((window, _)) = state.space.element_under(location) else { return false };
    let window = window.clone();
    let Some(geometry) = state.space.element_geometry(&window) else { return false };
    let start = GrabStartData { focus: None, button, location };
    let serial = SERIAL_COUNTER.next_serial();
    // The grab sees this button pressed, and ends with its release.
    let press =
        ButtonEvent { serial, time: state.now_milliseconds(), button, state: ButtonState::Pressed };
    match button {
        BUTTON_LEFT => {
            windows::restore_for_move(state, &window);
            let Some(grab) = MoveGrab::new(state, window, start) else { return false };
            pointer.set_grab(state, grab, serial, Focus::Clear);
        }
        BUTTON_RIGHT => {
            let edges = Edges::nearest(geometry, location);
            let Some(grab) = ResizeGrab::new(state, window, start, edges) else { return false };
            pointer.set_grab(state, grab, serial, Focus::Clear);
        }
        _ => return false,
    }
    pointer.button(state, &press);
    true
}

/// A finger touches the output.
pub fn touch_down(state: &mut State, slot: TouchSlot, location: Point<f64, Logical>) {
    notice(state);
    let Some(touch) = state.seat.get_touch() else { return };
    raise_at(state, location);
    let under = state.surface_under(location);
    if let Some((surface, _)) = &under {
        state.touched.push((slot, surface.clone()));
    }
    let (serial, time) = (SERIAL_COUNTER.next_serial(), state.now_milliseconds());
    touch.down(state, under, &touch::DownEvent { slot, location, serial, time });
    touch.frame(state);
}

pub fn touch_motion(state: &mut State, slot: TouchSlot, location: Point<f64, Logical>) {
    notice(state);
    let Some(touch) = state.seat.get_touch() else { return };
    let under = state.surface_under(location);
    let time = state.now_milliseconds();
    touch.motion(state, under, &touch::MotionEvent { slot, location, time });
    touch.frame(state);
}

pub fn touch_up(state: &mut State, slot: TouchSlot) {
    notice(state);
    end_touch(state, slot);
}

fn end_touch(state: &mut State, slot: TouchSlot) {
    state.touched.retain(|(touched, _)| *touched != slot);
    let Some(touch) = state.seat.get_touch() else { return };
    let (serial, time) = (SERIAL_COUNTER.next_serial(), state.now_milliseconds());
    touch.up(state, &touch::UpEvent { slot, serial, time });
    touch.frame(state);
}

/// Ends all touches, and what is dragged by one.
pub fn end_all_touches(state: &mut State) {
    let slots: Vec<TouchSlot> = state.touched.iter().map(|(slot, _)| *slot).collect();
    for slot in slots {
        end_touch(state, slot);
    }
    if let Some(touch) = state.seat.get_touch() {
        touch.unset_grab(state);
    }
}

/// Ends the touches of a surface that is about to go, or of one below it, while its client can still be told. What
/// is dragged goes on.
pub fn end_touches_on(state: &mut State, surface: &WlSurface) {
    state.touched.retain(|(_, touched)| touched.alive());
    let Some(touch) = state.seat.get_touch() else { return };
    let plain = touch.with_grab(|_, grab| grab.is::<TouchDownGrab<State>>());
    // A client that is being torn down can't be sent anything.
    if surface.client().is_none() || !plain.unwrap_or(true) {
        return;
    }
    let touched = state.touched.iter().filter(|(_, touched)| is_within(touched, surface));
    let slots: Vec<TouchSlot> = touched.map(|(slot, _)| *slot).collect();
    for slot in slots {
        end_touch(state, slot);
    }
}

/// Whether one surface is the other, or a subsurface of it or of one of its.
fn is_within(surface: &WlSurface, other: &WlSurface) -> bool {
    surface == other || get_parent(surface).is_some_and(|parent| is_within(&parent, other))
}
