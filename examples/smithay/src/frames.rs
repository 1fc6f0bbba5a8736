//! When the output is drawn: at 60 Hz while something changes, never otherwise.
//!
//! Deadlines lie on one grid from the start on, as those of a display would. A commit, or input that shows,
//! schedules a frame for the next line of the grid. Nothing else does: a compositor in which nothing moves
//! sleeps.

use std::time::{Duration, Instant};

use smithay::backend::renderer::damage::OutputDamageTracker;
use smithay::output::Output;

use crate::handlers::lock;
use crate::state::State;
use crate::{connection, event_loop, render};

/// From frame to frame: 60 Hz.
pub const PERIOD: Duration = Duration::from_nanos(16_666_667);

pub struct Frames {
    pub damage: OutputDamageTracker,
    /// Where the grid starts.
    epoch: Instant,
    scheduled: bool,
    drawn: u64,
    unchanged: u64,
    drawing: Duration,
    late: Duration,
    latest: Duration,
}

impl Frames {
    pub fn new(output: &Output) -> Self {
        Self {
            damage: OutputDamageTracker::from_output(output),
            epoch: Instant::now(),
            scheduled: false,
            drawn: 0,
            unchanged: 0,
            drawing: Duration::ZERO,
            late: Duration::ZERO,
            latest: Duration::ZERO,
        }
    }

    /// The next line of the grid.
    fn next(&self, now: Instant) -> Instant {
        let lines = now.duration_since(self.epoch).as_nanos() / PERIOD.as_nanos();
        self.epoch + PERIOD * (lines as u32 + 1)
    }

    pub fn statistics(&self) -> String {
        let Self { drawn, unchanged, drawing, late, latest, scheduled, .. } = self;
        let frames = (drawn + unchanged).max(1) as u32;
        format!(
            "frames: {drawn} drawn, {unchanged} unchanged, {:.2} ms to draw, late by {:.2} ms on average \
             and {:.2} ms at most, the next is {}",
            milliseconds(*drawing / frames),
            milliseconds(*late / frames),
            milliseconds(*latest),
            if *scheduled { "scheduled" } else { "not scheduled" },
        )
    }
}

fn milliseconds(duration: Duration) -> f64 {
    1e3 * duration.as_secs_f64()
}

/// Has a frame drawn at the next line of the grid.
pub fn schedule(state: &mut State) {
    #[cfg(feature = "tty")]
    if state.backend.has_screens() {
        return crate::tty::frames::schedule(state);
    }
    if state.frames.scheduled {
        return;
    }
    let deadline = state.frames.next(Instant::now());
    match event_loop::at(&mut state.handle, "frame", deadline, draw) {
        Ok(()) => state.frames.scheduled = true,
        Err(error) => eprintln!("compositor: no frame: {error}"),
    }
}

/// Turns on what has been turned off for want of somebody who looks.
pub fn wake(_state: &mut State) {
    #[cfg(feature = "tty")]
    crate::tty::frames::set_dark(_state, false);
}

/// Draws a frame, and tells those who wait for it.
fn draw(state: &mut State, deadline: Instant) -> Option<Instant> {
    let start = Instant::now();
    let late = start.duration_since(deadline);
    state.frames.scheduled = false;
    state.frames.late += late;
    state.frames.latest = state.frames.latest.max(late);
    connection::bury(state);
    state.space.refresh();
    state.popups.cleanup();
    match render::draw(state) {
        Ok(true) => state.frames.drawn += 1,
        Ok(false) => state.frames.unchanged += 1,
        Err(error) => {
            eprintln!("compositor: a frame can't be drawn: {error}");
            // A client has torn its buffer, and is no more then.
            schedule(state);
        }
    }
    state.frames.drawing += start.elapsed();
    lock::drawn(state);
    let Frames { drawn, unchanged, .. } = &state.frames;
    render::send_frame_callbacks(state, drawn + unchanged);
    None
}
