//! Input: keys, buttons and the pointer, and who gets them.
//!
//! A headless compositor has no devices; what people do is injected. Windows get the keyboard when they
//! come and when they are clicked on; the pointer belongs to what is under it or, while a button is held down,
//! to what was under it at the press. A finger belongs to what it came down on.

pub mod touch;
pub mod typing;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use soloop::{LoopData, LoopHandle, Priority, SourceOptions, TimeoutAction, Timer};

use crate::geometry::Point;

/// How long a key or a button is held down that is only said to be struck.
const STROKE: Duration = Duration::from_millis(20);

/// A key, by its number in `linux/input-event-codes.h`.
pub const KEYS: std::ops::RangeInclusive<u32> = 1..=247;
pub const BUTTON_LEFT: u32 = 0x110;
pub const BUTTON_RIGHT: u32 = 0x111;
pub const BUTTON_MIDDLE: u32 = 0x112;

/// The keys that change others, with their bits in the keymap.
const MODIFIERS: [(u32, u32); 5] = [(42, 1), (54, 1), (29, 4), (97, 4), (56, 8)];
const CAPS_LOCK: u32 = 58;
const CAPS_LOCK_BIT: u32 = 2;

/// What input needs of the state.
pub trait InputHost: LoopData + AsMut<Input> {
    /// What can have the pointer.
    type Target: Copy + PartialEq + 'static;
    /// What is at a point of the output.
    fn target_at(&mut self, point: Point) -> Option<Self::Target>;
    /// The pointer is over `target` now, or over nothing, at `point` of the output.
    fn pointer_moved(&mut self, time: u32, target: Option<Self::Target>, point: Point);
    /// The pointer is at `point`, with a button held down: it stays with what it was over at the press.
    fn pointer_dragged(&mut self, time: u32, point: Point);
    /// A button is pressed while the pointer is over `target`.
    fn pressed_on(&mut self, target: Option<Self::Target>, point: Point);
    fn button(&mut self, time: u32, button: u32, pressed: bool);
    /// The last button that was held down is released.
    fn let_go(&mut self);
    fn key(&mut self, time: u32, key: u32, pressed: bool);
    fn modifiers(&mut self, depressed: u32, locked: u32);
    /// A finger comes down on `target`.
    fn touch_down(&mut self, time: u32, finger: i32, target: Self::Target, point: Point);
    fn touch_moved(&mut self, time: u32, finger: i32, point: Point);
    fn touch_up(&mut self, time: u32, finger: i32);
    /// What all fingers have done since they came down is void.
    fn touch_cancelled(&mut self);
    /// Something has gone, perhaps what a finger is on.
    fn lift_lost_touches(&mut self, time: u32);
}

/// What is pressed, and where the pointer is.
pub struct Input {
    epoch: Instant,
    keys: BTreeSet<u32>,
    buttons: BTreeSet<u32>,
    fingers: BTreeSet<i32>,
    pointer: Point,
    caps_lock: bool,
    /// The pointer has been somewhere.
    moved: bool,
    strokes: u64,
    clicks: u64,
    motions: u64,
    touches: u64,
}

impl Input {
    pub fn new<D>(handle: &LoopHandle<D>) -> Self {
        Self {
            epoch: handle.now(),
            keys: BTreeSet::new(),
            buttons: BTreeSet::new(),
            fingers: BTreeSet::new(),
            pointer: Point::default(),
            caps_lock: false,
            moved: false,
            strokes: 0,
            clicks: 0,
            motions: 0,
            touches: 0,
        }
    }

    /// Where the pointer is, once it is anywhere.
    pub fn pointer(&self) -> Option<Point> {
        self.moved.then_some(self.pointer)
    }

    pub fn stats(&self) -> String {
        let Self { strokes, clicks, motions, touches, keys, .. } = self;
        format!(
            "input: {strokes} keys, {clicks} buttons, {motions} motions, {touches} touches, {} keys held down",
            keys.len()
        )
    }

    fn depressed(&self) -> u32 {
        let held = MODIFIERS.iter().filter(|(key, _)| self.keys.contains(key));
        held.fold(0, |bits, (_, bit)| bits | bit)
    }
}

fn time<D: InputHost>(data: &mut D) -> u32 {
    let now = data.loop_handle().now();
    now.duration_since(data.as_mut().epoch).as_millis() as u32
}

/// Moves the pointer to a point of the output.
pub fn move_pointer<D: InputHost>(data: &mut D, point: Point) {
    let input = data.as_mut();
    input.motions += 1;
    input.moved = true;
    input.pointer = point;
    refocus_pointer(data);
}

/// Finds out anew what is under the pointer and the fingers: something has come, gone or moved.
pub fn refocus<D: InputHost>(data: &mut D) {
    let at = time(data);
    data.lift_lost_touches(at);
    refocus_pointer(data);
}

fn refocus_pointer<D: InputHost>(data: &mut D) {
    let input = data.as_mut();
    if !input.moved {
        return;
    }
    let (point, held) = (input.pointer, !input.buttons.is_empty());
    let time = time(data);
    if held {
        return data.pointer_dragged(time, point);
    }
    let target = data.target_at(point);
    data.pointer_moved(time, target, point);
}

/// Presses or releases a button where the pointer is.
pub fn button<D: InputHost>(data: &mut D, button: u32, pressed: bool) {
    let input = data.as_mut();
    let point = input.pointer;
    let changed =
        if pressed { input.buttons.insert(button) } else { input.buttons.remove(&button) };
    if !changed {
        return;
    }
    if pressed {
        input.clicks += 1;
        let target = data.target_at(point);
        data.pressed_on(target, point);
    }
    let at = time(data);
    data.button(at, button, pressed);
    let input = data.as_mut();
    if input.buttons.is_empty() {
        data.let_go();
        // What was under the pointer meanwhile gets it now.
        refocus_pointer(data);
    }
}

/// Presses or releases a key.
pub fn key<D: InputHost>(data: &mut D, key: u32, pressed: bool) {
    let input = data.as_mut();
    let changed = if pressed { input.keys.insert(key) } else { input.keys.remove(&key) };
    if !changed {
        return;
    }
    input.strokes += u64::from(pressed);
    if key == CAPS_LOCK && pressed {
        input.caps_lock = !input.caps_lock;
    }
    let depressed = input.depressed();
    let locked = if input.caps_lock { CAPS_LOCK_BIT } else { 0 };
    let time = time(data);
    data.key(time, key, pressed);
    if key == CAPS_LOCK || MODIFIERS.iter().any(|(modifier, _)| *modifier == key) {
        data.modifiers(depressed, locked);
    }
}

/// Presses a key, anew if it is held down, and releases it in a moment.
pub fn strike_key<D: InputHost>(data: &mut D, code: u32) {
    key(data, code, false);
    key(data, code, true);
    in_a_moment(data, move |data| key(data, code, false));
}

/// Clicks a button: presses it, anew if it is held down, and releases it in a moment.
pub fn click<D: InputHost>(data: &mut D, code: u32) {
    button(data, code, false);
    button(data, code, true);
    in_a_moment(data, move |data| button(data, code, false));
}

fn in_a_moment<D: InputHost>(data: &mut D, then: impl FnOnce(&mut D) + 'static) {
    let timer = Timer::from_duration(STROKE);
    let options = SourceOptions::new().name("release").priority(Priority::High);
    let inserted = data.loop_handle().insert_once_with(options, timer, move |_, data: &mut D| {
        then(data);
        TimeoutAction::Drop
    });
    if let Err(error) = inserted {
        eprintln!("compositor: no timer to release it: {error}");
    }
}
