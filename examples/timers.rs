//! Timers, an interval, and an idle; on the system's clock or on one that jumps.
//!
//! ```text
//! cargo run --example timers                 a third of a second of it
//! cargo run --example timers -- --manual     a day of it, in no time
//! ```
//!
//! The program is the same in both cases; only the clock and the length of its hour differ. That is how a program's
//! time is tested: hand its loop a manual clock.

use std::time::{Duration, Instant};

use soloop::{
    Clock, EventLoop, Interval, LoopData, LoopHandle, PostAction, Tick, TimeoutAction, Timer, Token,
};

struct State {
    handle: LoopHandle<Self>,
    started: Instant,
    hour: Duration,
    alarm: Option<Token<Timer>>,
    hours: u32,
    snoozed: u32,
    notes: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    /// The time as this program counts it: in hours since it started.
    fn say(&self, what: &str) {
        let hours = (self.handle.now() - self.started).div_duration_f64(self.hour);
        println!("{hours:6.2} h  {what}");
    }

    /// Each full hour. A loop that was busy hears of the hours it missed in one tick.
    fn struck(&mut self, tick: Tick) -> PostAction {
        self.hours += 1 + tick.missed as u32;
        self.say(&format!("the clock strikes {}", self.hours));
        // Later, with the state: when the loop has delivered everything else.
        self.handle.insert_idle(|state| state.notes += 1);
        if self.hours >= 12
            && let Some(alarm) = self.alarm.take()
        {
            self.say("the alarm is moved to a quarter past");
            let deadline = tick.deadline + self.hour / 4;
            self.handle.set_deadline(alarm, deadline);
        }
        if self.hours < 24 { PostAction::Continue } else { PostAction::Remove }
    }

    /// Rings, then every tenth of an hour from its deadline on, not from when it was heard: no drift.
    fn rang(&mut self, deadline: Instant) -> TimeoutAction {
        self.snoozed += 1;
        if self.snoozed < 4 {
            self.say("the alarm rings");
            TimeoutAction::ToInstant(deadline + self.hour / 10)
        } else {
            self.say("the alarm rings for the last time");
            TimeoutAction::Drop
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manual = std::env::args().any(|argument| argument == "--manual");
    let (clock, hour) = if manual {
        (Clock::manual(), Duration::from_secs(3600))
    } else {
        (Clock::system(), Duration::from_millis(14))
    };
    let (mut event_loop, handle) = EventLoop::with_clock(clock)?;
    let started = handle.now();
    let mut state = State { handle, started, hour, alarm: None, hours: 0, snoozed: 0, notes: 0 };

    state.handle.insert_source(Interval::new(hour), |tick, state| state.struck(tick))?;
    // Two days away, unless someone moves it.
    let alarm = Timer::from_duration(48 * hour);
    let alarm = state.handle.insert_source(alarm, |deadline, state| state.rang(deadline))?;
    state.alarm = Some(alarm);
    let end = Timer::from_deadline(started + 24 * hour + hour / 2);
    state.handle.insert_once(end, |_, state| {
        state.say("the day is over");
        state.handle.stop();
        TimeoutAction::Drop
    })?;
    event_loop.run(None, &mut state, |_| ())?;

    assert!(state.hours >= 24 && state.notes <= state.hours);
    if manual {
        assert_eq!((state.hours, state.notes, state.snoozed), (24, 24, 4), "every time");
        assert!(!state.handle.contains(alarm));
    }
    Ok(())
}
