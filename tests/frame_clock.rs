//! The frame clock of the compositor example on a clock that jumps: its rendering module, which knows nothing of
//! the compositor it is a part of, in a state of this test's own.

#![cfg(target_os = "linux")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the modules are the compositor's, which uses all of them"
)]

#[path = "../examples/compositor/geometry.rs"]
mod geometry;
#[path = "../examples/compositor/rendering/mod.rs"]
mod rendering;

use std::time::{Duration, Instant};

use geometry::Rect;
use rendering::canvas::Canvas;
use rendering::{PERIOD, RenderHost, Rendering, Screenshot};
use soloop::{Clock, EventLoop, LoopData, LoopHandle};

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

struct State {
    handle: LoopHandle<State>,
    rendering: Rendering,
    clock: Clock,
    /// When each frame was on the output, in milliseconds.
    frames: Vec<u32>,
    /// How many more frames somebody waits for.
    wanted: usize,
    /// How long painting takes.
    painting: Duration,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl AsMut<Rendering> for State {
    fn as_mut(&mut self) -> &mut Rendering {
        &mut self.rendering
    }
}

impl RenderHost for State {
    fn prepare_frame(&mut self) {}

    fn paint(&mut self, _: &mut Canvas, _: &[Rect]) {
        self.clock.advance(self.painting);
    }

    fn frame_done(&mut self, milliseconds: u32, _: Instant) {
        self.frames.push(milliseconds);
        self.wanted = self.wanted.saturating_sub(1);
    }

    fn awaits_frame(&mut self) -> bool {
        self.wanted > 0
    }

    fn screenshot_done(&mut self, _: Screenshot) {}
}

fn compositor() -> (EventLoop<State>, State) {
    let clock = Clock::manual();
    let (event_loop, mut handle) = EventLoop::with_clock(clock.clone()).unwrap();
    let rendering = Rendering::insert(&mut handle, (64, 64)).unwrap();
    let state =
        State { handle, rendering, clock, frames: Vec::new(), wanted: 0, painting: Duration::ZERO };
    (event_loop, state)
}

/// Until nobody waits for a frame any more.
fn animate(event_loop: &mut EventLoop<State>, state: &mut State, frames: usize) {
    state.wanted = frames;
    rendering::schedule_frame(state);
    while state.wanted > 0 {
        event_loop.dispatch(None, state).unwrap();
    }
}

#[test]
fn an_hour_of_frames_passes_without_one_that_is_late_or_missing() {
    let frames = (HOUR.as_nanos() / PERIOD.as_nanos()) as usize;
    let (mut event_loop, mut state) = compositor();
    let (started, real) = (state.clock.now(), Instant::now());
    animate(&mut event_loop, &mut state, frames);
    assert_eq!(state.clock.now() - started, PERIOD * frames as u32);
    assert!(real.elapsed() < HOUR / 60, "{:?}", real.elapsed());
    let line = |n: u128| (n * PERIOD.as_nanos() / 1_000_000) as u32;
    assert!(state.frames.iter().copied().eq((1..=frames as u128).map(line)));
    let stats = state.rendering.stats();
    assert!(stats.contains(", 0 skipped,") && stats.contains(", 1 starts,"), "{stats}");
}

#[test]
fn with_nobody_waiting_time_passes_without_frames_and_goes_on_along_the_same_lines() {
    let (mut event_loop, mut state) = compositor();
    let started = state.clock.now();
    animate(&mut event_loop, &mut state, 3);
    for _ in 0..3 {
        // The timer finds nothing to do once, and is gone.
        event_loop.dispatch(HOUR, &mut state).unwrap();
    }
    assert_eq!(state.frames, [16, 33, 50]);
    assert!(state.rendering.stats().ends_with("frame timer off"));
    let before = state.clock.now();
    event_loop.dispatch(HOUR, &mut state).unwrap();
    assert_eq!(state.clock.now() - before, HOUR);
    rendering::damage(&mut state, Rect::new(1, 1, 2, 2));
    let asked = state.clock.now();
    event_loop.dispatch(None, &mut state).unwrap();
    assert!(state.clock.now() - asked <= PERIOD, "with the next line");
    let shown = Duration::from_millis(u64::from(state.frames[3]));
    assert!(shown + MS > asked - started && shown <= asked + PERIOD - started, "{shown:?}");
    let nanos = u128::from(state.frames[3]) * 1_000_000;
    let off = PERIOD.as_nanos() - nanos % PERIOD.as_nanos();
    assert!(off <= 1_000_000, "on the grid, but for the rest of a millisecond: {off}");
}

#[test]
fn painting_that_takes_two_frames_skips_lines() {
    let (mut event_loop, mut state) = compositor();
    state.painting = 40 * MS;
    for _ in 0..5 {
        rendering::damage(&mut state, Rect::new(0, 0, 64, 64));
        animate(&mut event_loop, &mut state, 1);
    }
    assert_eq!(state.frames, [16, 66, 116, 166, 216], "each third line");
    assert!(state.rendering.stats().contains(", 10 skipped,"), "{}", state.rendering.stats());
}
