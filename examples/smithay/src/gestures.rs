//! Gestures on a touchpad, from their beginning to their end: `pointer-gestures`. The control socket makes them;
//! winit, which has a session's window, knows of none on Linux.

use smithay::input::pointer::{
    GestureHoldBeginEvent, GestureHoldEndEvent, GesturePinchBeginEvent, GesturePinchEndEvent,
    GesturePinchUpdateEvent, GestureSwipeBeginEvent, GestureSwipeEndEvent, GestureSwipeUpdateEvent,
};
use smithay::utils::{Logical, Point, SERIAL_COUNTER};

use crate::input;
use crate::state::State;

/// Fingers move together.
pub fn swipe(state: &mut State, fingers: u32, delta: Point<f64, Logical>) {
    input::notice(state);
    let Some(pointer) = state.seat.get_pointer() else { return };
    let (time, next) = (state.now_milliseconds(), || SERIAL_COUNTER.next_serial());
    let begin = GestureSwipeBeginEvent { serial: next(), time, fingers };
    pointer.gesture_swipe_begin(state, &begin);
    pointer.gesture_swipe_update(state, &GestureSwipeUpdateEvent { time, delta });
    let end = GestureSwipeEndEvent { serial: next(), time, cancelled: false };
    pointer.gesture_swipe_end(state, &end);
}

/// Fingers move apart, or together.
pub fn pinch(state: &mut State, fingers: u32, scale: f64, rotation: f64) {
    input::notice(state);
    let Some(pointer) = state.seat.get_pointer() else { return };
    let (time, next) = (state.now_milliseconds(), || SERIAL_COUNTER.next_serial());
    let begin = GesturePinchBeginEvent { serial: next(), time, fingers };
    pointer.gesture_pinch_begin(state, &begin);
    let update = GesturePinchUpdateEvent { time, delta: Point::default(), scale, rotation };
    pointer.gesture_pinch_update(state, &update);
    let end = GesturePinchEndEvent { serial: next(), time, cancelled: false };
    pointer.gesture_pinch_end(state, &end);
}

/// Fingers rest.
pub fn hold(state: &mut State, fingers: u32) {
    input::notice(state);
    let Some(pointer) = state.seat.get_pointer() else { return };
    let (time, next) = (state.now_milliseconds(), || SERIAL_COUNTER.next_serial());
    let begin = GestureHoldBeginEvent { serial: next(), time, fingers };
    pointer.gesture_hold_begin(state, &begin);
    let end = GestureHoldEndEvent { serial: next(), time, cancelled: false };
    pointer.gesture_hold_end(state, &end);
}
