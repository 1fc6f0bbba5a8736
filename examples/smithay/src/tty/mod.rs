//! A seat of its own (`--tty`): the session, its graphics card and screens, its keyboards and pointers.
//!
//! | module | what it is | what it asks of the state |
//! |---|---|---|
//! | `session` | who may use the devices: libseat | `SessionHandler` |
//! | `gpus` | which cards there are, and what is plugged into them: udev | `GpuHandler` |
//! | `card`, `draw` | a card, its screens, and what they are drawn with: DRM | `CardHandler` |
//! | `devices` | keyboards, pointers, tablets: libinput | `InputHandler` |
//! | `clock` | when a screen's next frame starts | |
//! | `scene` | what a screen shows | |
//! | `frames`, `seat` | what the state does of it: screens here, the rest there | |
//!
//! Each of the first four is a source of the loop, knows nothing of the others, and works with any state that has
//! its handler. Sessions and cards come and go seldom: those are Smithay's sources, hosted. Input and frames come all
//! the time: those are fds that the loop watches itself.

pub mod card;
pub mod clock;
pub mod devices;
mod draw;
pub mod frames;
pub mod gpus;
mod scene;
mod seat;
pub mod session;

use std::time::{Duration, Instant};

use smithay::backend::renderer::element::memory::MemoryRenderBuffer;
use smithay::backend::session::Session;
use smithay::backend::session::libseat::LibSeatSession;

use crate::backend::Backend;
use crate::event_loop::{self, Loop, Rank};
use crate::options::Options;
use crate::state::State;
use crate::{Result, session as compositor};
use card::Card;
use devices::Devices;

/// What of the seat the state keeps.
pub struct Tty {
    session: LibSeatSession,
    devices: Devices,
    /// None once it has vanished.
    card: Option<Card>,
    arrow: MemoryRenderBuffer,
    /// What is to be shown while nothing is plugged in.
    size: (i32, i32),
    /// The screens are off, until somebody touches something.
    dark: bool,
    touched: Instant,
    pub input: seat::Counts,
    /// Why the compositor has to end.
    end: Option<String>,
}

/// A compositor on the seat.
///
/// # Errors
///
/// There is no seat, no graphics card on it, or it is busy or not this user's.
pub fn start(options: &Options) -> Result<(Loop, State)> {
    let (mut session, sessions) = session::open()?;
    let (path, cards) = gpus::open(&session.seat())?;
    let (card, flips) = card::open(&mut session, &path)?;
    let (devices, input) = devices::open(session.clone())?;
    let tty = Tty {
        session,
        devices,
        card: Some(card),
        arrow: scene::arrow(),
        size: options.size,
        dark: false,
        touched: Instant::now(),
        input: seat::Counts::default(),
        end: None,
    };
    let (event_loop, mut state) = compositor::compositor(Backend::Tty(Box::new(tty)))?;
    let handle = &mut state.handle;
    event_loop::insert_ranked(handle, "session", Rank::First, sessions, session::hear)?;
    event_loop::watch(handle, "input", Rank::First, input, devices::hear)?;
    event_loop::watch(handle, "screens", Rank::Second, flips, card::hear)?;
    event_loop::insert_ranked(handle, "cards", Rank::Second, cards, gpus::hear)?;
    frames::rescan(&mut state);
    if let Some(blank) = options.blank {
        let first = Instant::now() + blank;
        event_loop::at(&mut state.handle, "blank", first, move |state, _| darken(state, blank))?;
    }
    Ok((event_loop, state))
}

/// Nobody has touched anything for so long, perhaps.
fn darken(state: &mut State, blank: Duration) -> Option<Instant> {
    let inhibited = !state.globals.idle_inhibitors.is_empty();
    let tty = state.backend.tty()?;
    let idle = tty.touched.elapsed();
    if idle < blank {
        return Some(tty.touched + blank);
    }
    if !inhibited && !tty.dark {
        frames::set_dark(state, true);
    }
    Some(Instant::now() + blank)
}

impl Tty {
    pub fn size(&self) -> (i32, i32) {
        self.size
    }

    pub fn card(&mut self) -> Option<&mut Card> {
        self.card.as_mut()
    }

    /// Goes to another terminal.
    pub fn change_vt(&mut self, number: i32) {
        if let Err(error) = self.session.change_vt(number) {
            eprintln!("compositor: terminal {number} can't be had: {error}");
        }
    }

    pub fn set_leds(&mut self, leds: smithay::input::keyboard::LedState) {
        self.devices.set_leds(leds);
    }

    pub fn take_end(&mut self) -> Option<String> {
        self.end.take()
    }
}

/// What the seat has been used for.
pub fn statistics(state: &mut State) -> Vec<String> {
    let input = state.backend.tty().map(|tty| tty.input_statistics());
    input.into_iter().chain(frames::statistics(state)).collect()
}

/// `screens`, `screens on`, `screens off`, `scale OUTPUT SCALE` and `mode OUTPUT WIDTHxHEIGHT`, of the control socket.
pub fn obey(
    state: &mut State,
    command: &str,
    words: &[&str],
    lines: &mut Vec<String>,
) -> Result<String, String> {
    match (command, words) {
        ("screens", []) => {
            *lines = frames::list(state);
            return Ok(format!("{} screens", lines.len()));
        }
        ("screens", ["on"]) => frames::set_dark(state, false),
        ("screens", ["off"]) => frames::set_dark(state, true),
        ("scale", [output, scale]) => {
            let scale = scale.parse().map_err(|_| format!("{scale:?} is not a number"))?;
            return frames::set_scale(state, output, scale);
        }
        ("mode", [output, size]) => {
            let size =
                size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
            return frames::set_mode(state, output, size.ok_or("a size is WIDTHxHEIGHT")?);
        }
        _ => {
            let usage = "usage: screens [on|off], scale OUTPUT SCALE, mode OUTPUT WIDTHxHEIGHT";
            return Err(usage.to_owned());
        }
    }
    Ok(String::new())
}
