//! The keyboard: what is held down, and the timer that repeats it.
//!
//! Keys are taken by their numbers in `linux/input-event-codes.h`, and letters from a US layout: to read the
//! keymap that the compositor sends, a program links libxkbcommon. Repeating keys is the client's business in
//! Wayland; the compositor says only after which delay and how often.

use std::time::Duration;

use soloop::{TimeoutAction, Timer, Token};
use wayland_client::protocol::wl_keyboard::WlKeyboard;

use crate::state::State;

pub const ESCAPE: u32 = 1;
pub const BACKSPACE: u32 = 14;
pub const ENTER: u32 = 28;
pub const UP: u32 = 103;
pub const PAGE_UP: u32 = 104;
pub const LEFT: u32 = 105;
pub const RIGHT: u32 = 106;
pub const DOWN: u32 = 108;
pub const PAGE_DOWN: u32 = 109;

/// The rows of a US keyboard: the number of the first key, what the keys are, what they are with Shift.
const ROWS: [(u32, &str, &str); 5] = [
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", "ASDFGHJKL:\"~"),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
];

/// Modifiers, by their bits: these two are the same in all keymaps.
const SHIFT: u32 = 1;
const CAPS_LOCK: u32 = 2;

pub struct Keyboard {
    pub device: Option<WlKeyboard>,
    delay: Duration,
    /// Between two repetitions; without, keys are not repeated.
    period: Option<Duration>,
    shift: bool,
    caps_lock: bool,
    /// The key that is held down, and what repeats it.
    held: Option<(u32, Token<Timer>)>,
}

impl Keyboard {
    /// Before the compositor says anything, which it does from version 4 on.
    pub fn new() -> Self {
        Self {
            device: None,
            delay: Duration::from_millis(600),
            period: Some(Duration::from_millis(40)),
            shift: false,
            caps_lock: false,
            held: None,
        }
    }

    /// `rate` in repetitions a second, 0 for none; `delay` in milliseconds.
    pub fn set_repeat(&mut self, rate: i32, delay: i32) {
        self.period = u32::try_from(rate)
            .ok()
            .filter(|rate| *rate > 0)
            .map(|rate| Duration::from_secs(1) / rate);
        self.delay = Duration::from_millis(delay.try_into().unwrap_or(0));
    }

    pub fn modify(&mut self, depressed: u32, locked: u32) {
        self.shift = depressed & SHIFT != 0;
        self.caps_lock = locked & CAPS_LOCK != 0;
    }

    /// What a key types.
    pub fn character(&self, key: u32) -> Option<char> {
        ROWS.iter().find_map(|(first, plain, shifted)| {
            let index = key.checked_sub(*first)? as usize;
            let character = plain.chars().nth(index)?;
            let upper = self.shift != (self.caps_lock && character.is_ascii_lowercase());
            if upper { shifted.chars().nth(index) } else { Some(character) }
        })
    }
}

/// Whether a key does something when it is held down: not the modifiers, nor what ends the program.
fn repeats(key: u32) -> bool {
    !matches!(key, ESCAPE | ENTER | 29 | 42 | 54 | 56 | 58 | 97 | 100 | 125 | 126)
}

impl State {
    pub fn press(&mut self, key: u32) {
        self.tell(format_args!("key {key} pressed"));
        self.strike(key);
        let Some(period) = self.keyboard.period.filter(|_| repeats(key)) else { return };
        // The last one that was pressed repeats.
        self.let_go();
        let timer = Timer::from_duration(self.keyboard.delay);
        let repeat = self.handle.insert_source(timer, move |deadline, state: &mut Self| {
            state.tell(format_args!("key {key} repeated"));
            state.strike(key);
            // Without drift; and without a burst after a while in which nothing could be done.
            TimeoutAction::ToInstant((deadline + period).max(state.handle.now()))
        });
        match repeat {
            Ok(timer) => self.keyboard.held = Some((key, timer)),
            Err(error) => self.fail(error.into()),
        }
    }

    pub fn release(&mut self, key: u32) {
        self.tell(format_args!("key {key} released"));
        if self.keyboard.held.is_some_and(|(held, _)| held == key) {
            self.let_go();
        }
    }

    /// Nothing is repeated any more: the key was let go, or another window has the keyboard.
    pub fn let_go(&mut self) {
        if let Some((_, timer)) = self.keyboard.held.take() {
            self.handle.remove(timer);
        }
    }
}
