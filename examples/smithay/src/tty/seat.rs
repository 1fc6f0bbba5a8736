//! What the state does of the session, the cards and the input devices.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::Dev;
use smithay::backend::input::{
    AbsolutePositionEvent, Event, GestureBeginEvent, GestureEndEvent, GesturePinchUpdateEvent,
    GestureSwipeUpdateEvent, InputEvent, KeyState, KeyboardKeyEvent, PointerButtonEvent,
    PointerMotionEvent, ProximityState, TabletToolEvent, TabletToolProximityEvent, TouchEvent,
};
use smithay::backend::libinput::LibinputInputBackend;
use smithay::input::pointer::{
    GestureHoldBeginEvent, GestureHoldEndEvent, GesturePinchBeginEvent, GesturePinchEndEvent,
    GesturePinchUpdateEvent as PinchUpdate, GestureSwipeBeginEvent, GestureSwipeEndEvent,
    GestureSwipeUpdateEvent as SwipeUpdate,
};
use smithay::utils::SERIAL_COUNTER;

use super::devices::{Devices, InputHandler};
use super::gpus::GpuHandler;
use super::session::{Change, SessionHandler};
use super::{Tty, frames};
use crate::state::State;
use crate::{event_loop, input, render, stylus};

/// How many events of input there were, and whether any were left lying.
#[derive(Default)]
pub struct Counts {
    pub events: u64,
    pub motions: u64,
    /// Of a finger over a screen, of several over a touchpad.
    pub strokes: u64,
    /// Motions that were there before the last frame but one was started, and in none of them.
    pub behind: u64,
    /// When the last two frames were started, the last first, on the kernel's clock.
    started: [Option<Duration>; 2],
}

impl Counts {
    pub fn frame_starts(&mut self, at: Instant) {
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::new(clock.tv_sec as u64, clock.tv_nsec as u32);
        self.started = [now.checked_sub(at.elapsed()), self.started[0]];
    }

    fn motion(&mut self, microseconds: u64) {
        self.motions += 1;
        if self.started[1].is_some_and(|started| started > Duration::from_micros(microseconds)) {
            self.behind += 1;
        }
    }
}

impl SessionHandler for State {
    fn session_changed(&mut self, change: Change) {
        match change {
            Change::Paused => {
                release_keys(self);
                let Some(tty) = self.backend.tty() else { return };
                tty.devices.suspend();
                if let Some(card) = &mut tty.card {
                    card.pause();
                }
                println!("compositor: session paused");
            }
            Change::Resumed => {
                let Some(tty) = self.backend.tty() else { return };
                tty.devices.resume();
                tty.dark = false;
                tty.touched = Instant::now();
                if let Some(Err(error)) = tty.card.as_mut().map(|card| card.resume()) {
                    eprintln!("compositor: the screens can't be had back: {error}");
                }
                // Something may have been plugged in meanwhile, which nobody could look at.
                frames::rescan(self);
                println!("compositor: session resumed");
            }
            Change::Lost => {
                if let Some(tty) = self.backend.tty() {
                    tty.end = Some("the seat is lost: seatd or logind has gone".to_owned());
                }
                event_loop::stop(&mut self.handle);
            }
        }
    }
}

/// Nobody hears of the end of a key that is pressed while the session goes.
fn release_keys(state: &mut State) {
    let Some(keyboard) = state.seat.get_keyboard() else { return };
    for key in keyboard.pressed_keys() {
        input::key(state, key.raw() - input::KEYCODE_OFFSET, false);
    }
    input::end_all_touches(state);
}

impl GpuHandler for State {
    fn connectors_changed(&mut self, card: Dev) {
        let ours = |tty: &mut Tty| tty.card.as_ref().is_some_and(|it| it.id == card);
        if self.backend.tty().is_some_and(ours) {
            frames::rescan(self);
        }
    }

    fn card_added(&mut self, path: &Path) {
        let path = path.display();
        eprintln!("compositor: {path} is not used: one graphics card shows everything");
    }

    fn card_removed(&mut self, card: Dev) {
        let ours = |tty: &mut Tty| tty.card.as_ref().is_some_and(|it| it.id == card);
        if self.backend.tty().is_some_and(ours) {
            frames::forget_card(self, &"pulled out");
        }
    }
}

impl Tty {
    /// Somebody has touched something; whether the screens are off.
    pub fn touched(&mut self) -> bool {
        self.touched = Instant::now();
        self.dark
    }

    pub fn input_statistics(&self) -> String {
        let Counts { events, motions, strokes, behind, .. } = self.input;
        let devices = self.devices.count();
        format!(
            "input: {devices} devices, {events} events, {strokes} strokes, {motions} motions, {behind} left behind"
        )
    }
}

impl InputHandler for State {
    fn devices(&mut self) -> &mut Devices {
        match self.backend.tty() {
            Some(tty) => &mut tty.devices,
            None => unreachable!("input devices are a seat's"),
        }
    }

    fn input(&mut self, event: InputEvent<LibinputInputBackend>) {
        if let Some(tty) = self.backend.tty() {
            tty.input.events += 1;
            tty.input.strokes += u64::from(matches!(
                event,
                InputEvent::TouchUp { .. }
                    | InputEvent::GestureSwipeEnd { .. }
                    | InputEvent::GesturePinchEnd { .. }
            ));
        }
        let size = render::bounds(self).size;
        match event {
            InputEvent::Keyboard { event } => {
                let code = event.key_code().raw().saturating_sub(input::KEYCODE_OFFSET);
                input::key(self, code, event.state() == KeyState::Pressed);
            }
            InputEvent::PointerMotion { event } => {
                self.motion(&event);
                input::move_pointer_by(self, event.delta());
            }
            InputEvent::PointerMotionAbsolute { event } => {
                self.motion(&event);
                input::move_pointer_to(self, event.position_transformed(size));
            }
            InputEvent::PointerButton { event } => {
                input::button(self, event.button_code(), event.state());
            }
            InputEvent::PointerAxis { event } => {
                input::scroll::<LibinputInputBackend>(self, &event);
            }
            InputEvent::TouchDown { event } => {
                input::touch_down(self, event.slot(), event.position_transformed(size));
            }
            InputEvent::TouchMotion { event } => {
                input::touch_motion(self, event.slot(), event.position_transformed(size));
            }
            InputEvent::TouchUp { event } => input::touch_up(self, event.slot()),
            InputEvent::TouchCancel { .. } => input::end_all_touches(self),
            InputEvent::TabletToolAxis { event } => self.stylus(&event, size),
            InputEvent::TabletToolTip { event } => self.stylus(&event, size),
            InputEvent::TabletToolProximity { event } if event.state() == ProximityState::Out => {
                stylus::away(self);
            }
            event => gesture(self, event),
        }
    }
}

impl State {
    fn motion<E: Event<LibinputInputBackend>>(&mut self, event: &E) {
        if let Some(tty) = self.backend.tty() {
            tty.input.motion(event.time());
        }
    }

    fn stylus<
        E: TabletToolEvent<LibinputInputBackend> + AbsolutePositionEvent<LibinputInputBackend>,
    >(
        &mut self,
        event: &E,
        size: smithay::utils::Size<i32, smithay::utils::Logical>,
    ) {
        stylus::move_to(self, event.position_transformed(size), event.pressure());
    }
}

/// What fingers do on a touchpad, besides to move the pointer.
fn gesture(state: &mut State, event: InputEvent<LibinputInputBackend>) {
    let Some(pointer) = state.seat.get_pointer() else { return };
    let (serial, time) = (SERIAL_COUNTER.next_serial(), state.now_milliseconds());
    match event {
        InputEvent::GestureSwipeBegin { event } => {
            let fingers = event.fingers();
            pointer.gesture_swipe_begin(state, &GestureSwipeBeginEvent { serial, time, fingers });
        }
        InputEvent::GestureSwipeUpdate { event } => {
            pointer.gesture_swipe_update(state, &SwipeUpdate { time, delta: event.delta() });
        }
        InputEvent::GestureSwipeEnd { event } => {
            let cancelled = event.cancelled();
            pointer.gesture_swipe_end(state, &GestureSwipeEndEvent { serial, time, cancelled });
        }
        InputEvent::GesturePinchBegin { event } => {
            let fingers = event.fingers();
            pointer.gesture_pinch_begin(state, &GesturePinchBeginEvent { serial, time, fingers });
        }
        InputEvent::GesturePinchUpdate { event } => {
            let (delta, scale, rotation) = (event.delta(), event.scale(), event.rotation());
            pointer.gesture_pinch_update(state, &PinchUpdate { time, delta, scale, rotation });
        }
        InputEvent::GesturePinchEnd { event } => {
            let cancelled = event.cancelled();
            pointer.gesture_pinch_end(state, &GesturePinchEndEvent { serial, time, cancelled });
        }
        InputEvent::GestureHoldBegin { event } => {
            let fingers = event.fingers();
            pointer.gesture_hold_begin(state, &GestureHoldBeginEvent { serial, time, fingers });
        }
        InputEvent::GestureHoldEnd { event } => {
            let cancelled = event.cancelled();
            pointer.gesture_hold_end(state, &GestureHoldEndEvent { serial, time, cancelled });
        }
        _ => {}
    }
}
