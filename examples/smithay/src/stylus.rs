//! A stylus on a graphics tablet: `tablet`. There is one as soon as the control socket moves it.

use smithay::backend::input::{TabletToolCapabilities, TabletToolDescriptor, TabletToolType};
use smithay::utils::{Logical, Point, SERIAL_COUNTER};
use smithay::wayland::tablet_manager::{
    TabletDescriptor, TabletHandle, TabletSeatTrait, TabletToolHandle,
};

use crate::state::State;
use crate::{frames, input};

/// A tablet that is as large as the output, and its pen.
pub struct Stylus {
    tablet: TabletHandle,
    pen: TabletToolHandle,
    down: bool,
}

impl Stylus {
    fn new(state: &mut State) -> Self {
        let seat = state.seat.tablet_seat();
        let name = "the tablet of the control socket".to_owned();
        let tablet = TabletDescriptor { name, usb_id: None, syspath: None };
        let pen = TabletToolDescriptor {
            tool_type: TabletToolType::Pen,
            hardware_serial: 1,
            hardware_id_wacom: 0,
            capabilities: TabletToolCapabilities::PRESSURE,
        };
        let display = state.display.clone();
        Self {
            tablet: seat.add_tablet::<State>(&display, &tablet),
            pen: seat.add_tool::<State>(state, &display, &pen),
            down: false,
        }
    }
}

/// The pen is over a point of the output, and presses on it with a part of all its pressure, or with none.
pub fn move_to(state: &mut State, location: Point<f64, Logical>, pressure: f64) {
    input::notice(state);
    let mut stylus = match state.stylus.take() {
        Some(stylus) => stylus,
        None => Stylus::new(state),
    };
    let down = pressure > 0.0;
    if down && !stylus.down {
        input::raise_at(state, location);
    }
    let time = state.now_milliseconds();
    let next = || SERIAL_COUNTER.next_serial();
    let under = state.surface_under(location);
    stylus.pen.motion(location, under.clone(), &stylus.tablet, next(), time);
    match (stylus.down, down) {
        (false, true) => stylus.pen.tip_down(next(), time),
        (true, false) => stylus.pen.tip_up(time),
        _ => {}
    }
    if down {
        stylus.pen.pressure(pressure);
        stylus.pen.motion(location, under, &stylus.tablet, next(), time);
    }
    stylus.down = down;
    state.stylus = Some(stylus);
    frames::schedule(state);
}

/// The pen is taken away.
pub fn away(state: &mut State) {
    input::notice(state);
    let time = state.now_milliseconds();
    if let Some(stylus) = &mut state.stylus {
        if stylus.down {
            stylus.pen.tip_up(time);
        }
        stylus.pen.proximity_out(time);
        stylus.down = false;
    }
}
