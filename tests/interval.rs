//! `Interval`, on a manual clock wherever time matters.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use soloop::{
    EventLoop, EventSource, Generic, Interest, InterestToken, Interval, Mode, PostAction,
    Readiness, Ready, Registrar, Tick, TimeoutAction, Timer, Token,
};

mod common;
use common::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Notes each tick as `deadline/missed`, in milliseconds since `start`.
fn insert(state: &mut State, start: Instant, interval: Interval) -> Token<Interval> {
    let callback = move |tick: Tick, state: &mut State| {
        state.note(format!("{}/{}", (tick.deadline - start).as_millis(), tick.missed));
        PostAction::Continue
    };
    state.handle.insert_source(interval, callback).unwrap()
}

fn dispatch(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    event_loop.dispatch(ZERO, state).unwrap();
    state.take_log()
}

#[test]
fn ticks_once_a_period_from_one_period_after_the_insertion() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let interval = Interval::new(10 * MS);
    assert_eq!(interval.next_deadline(), None);
    clock.advance(5 * MS);
    let token = insert(&mut state, start, interval);
    event_loop.apply_pending(&mut state).unwrap();
    let next = event_loop.get(token).unwrap().next_deadline();
    assert_eq!(next, Some(start + 15 * MS));
    clock.advance(9 * MS);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    clock.advance(MS);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["15/0"]);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    for _ in 0..3 {
        event_loop.dispatch(None, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["25/0", "35/0", "45/0"]);
    assert_eq!(clock.now(), start + 45 * MS, "the clock jumps from tick to tick");
}

#[test]
fn a_late_tick_does_not_shift_those_after_it() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    insert(&mut state, start, Interval::new(10 * MS));
    for _ in 0..3 {
        clock.advance(13 * MS);
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["10/0", "20/0", "30/0"]);
    clock.advance(MS);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["40/0"]);
}

#[test]
fn a_stall_is_one_tick_that_counts_what_was_missed() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    insert(&mut state, start, Interval::new(10 * MS));
    clock.advance(10 * MS);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["10/0"]);
    clock.advance(35 * MS);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["40/2"]);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0], "no burst");
    clock.advance(5 * MS);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["50/0"], "the beat is the old one");
    clock.advance(20 * MS);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["70/1"], "a whole number of periods");
}

#[test]
fn a_slow_callback_misses_ticks_and_gets_no_burst() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let within = clock.clone();
    let callback = move |tick: Tick, state: &mut State| {
        state.note(format!("{}/{}", (tick.deadline - start).as_millis(), tick.missed));
        within.advance(25 * MS);
        PostAction::Continue
    };
    state.handle.insert_source(Interval::new(10 * MS), callback).unwrap();
    for _ in 0..3 {
        event_loop.dispatch(None, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["10/0", "30/1", "60/2"]);
}

#[test]
fn a_slow_callback_of_another_source_counts_too() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let within = clock.clone();
    let timer = Timer::from_duration(10 * MS);
    let slow = move |_, _: &mut State| {
        within.advance(25 * MS);
        TimeoutAction::Drop
    };
    state.handle.insert_source(timer, slow).unwrap();
    insert(&mut state, start, Interval::new(10 * MS));
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["30/2"], "as of the callback, not of the wait");
}

#[test]
fn starts_where_it_is_told_to() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    clock.advance(100 * MS);
    insert(&mut state, start, Interval::starting_at(start + 103 * MS, 10 * MS));
    event_loop.dispatch(None, &mut state).unwrap();
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["103/0", "113/0"]);
    // In the past: 0, 40 and 80 were due.
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    clock.advance(100 * MS);
    insert(&mut state, start, Interval::starting_at(start, 40 * MS));
    assert_eq!(dispatch(&mut event_loop, &mut state), ["80/2"]);
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["120/0"]);
}

#[test]
fn a_new_period_starts_a_new_beat() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let token = insert(&mut state, start, Interval::new(3600 * SECOND));
    clock.advance(7 * MS);
    state.handle.update(token, |interval| interval.set_period(10 * MS));
    event_loop.dispatch(None, &mut state).unwrap();
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["17/0", "27/0"]);
    // The period it has, and an update that changes nothing, leave the beat alone.
    clock.advance(3 * MS);
    state.handle.update(token, |interval| interval.set_period(10 * MS));
    state.handle.update(token, |interval| assert_eq!(interval.period(), 10 * MS));
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["37/0"]);
    // What was due and not delivered is forgotten.
    clock.advance(35 * MS);
    state.handle.update(token, |interval| interval.set_period(20 * MS));
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["92/0"]);
}

#[test]
fn changes_its_period_in_its_own_callback_or_in_that_of_another() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let (tell, told) = mpsc::channel();
    let callback = move |tick: Tick, state: &mut State| {
        state.note(format!("{}/{}", (tick.deadline - start).as_millis(), tick.missed));
        if let Ok(own) = told.try_recv() {
            state.handle.update(own, |interval: &mut Interval| interval.set_period(4 * MS));
        }
        PostAction::Continue
    };
    let token = state.handle.insert_source(Interval::new(10 * MS), callback).unwrap();
    tell.send(token).unwrap();
    for _ in 0..3 {
        event_loop.dispatch(None, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["10/0", "14/0", "18/0"]);
    // The timer is due first, and puts another in the place of what is due in the same batch.
    let change = move |_, state: &mut State| {
        state.handle.update(token, |interval| *interval = Interval::new(15 * MS));
        TimeoutAction::Drop
    };
    state.handle.insert_source(Timer::from_duration(3 * MS), change).unwrap();
    clock.advance(5 * MS);
    for _ in 0..3 {
        event_loop.dispatch(None, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["38/0", "53/0"]);
}

#[test]
fn the_beat_goes_on_while_it_is_disabled() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let token = insert(&mut state, start, Interval::new(10 * MS));
    event_loop.dispatch(None, &mut state).unwrap();
    state.handle.disable(token);
    clock.advance(36 * MS);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["10/0"]);
    state.handle.enable(token);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["40/2"]);
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["50/0"]);
    // Taken out and put in again, it keeps its beat.
    state.handle.take(token, move |interval, state: &mut State| {
        insert(state, start, interval);
    });
    clock.advance(3 * MS);
    event_loop.dispatch(None, &mut state).unwrap();
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["60/0"]);
}

#[test]
fn does_what_its_callback_answers() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let answers = [
        PostAction::Continue,
        PostAction::Again,
        PostAction::Reregister,
        PostAction::Disable,
        PostAction::Remove,
    ];
    let mut left = answers.into_iter();
    let callback = move |tick: Tick, state: &mut State| {
        assert_eq!(tick.missed, 0);
        let answer = left.next().unwrap();
        state.note(format!("{answer:?}"));
        answer
    };
    let token = state.handle.insert_source(Interval::new(SECOND), callback).unwrap();
    for _ in 0..6 {
        event_loop.dispatch(Duration::from_millis(1500), &mut state).unwrap();
        if state.log.last().is_some_and(|last| last == "Disable") {
            event_loop.dispatch(Duration::from_millis(500), &mut state).unwrap();
            assert_eq!(state.log.len(), 4, "disabled");
            state.handle.enable(token);
        }
    }
    assert_eq!(state.take_log(), ["Continue", "Again", "Reregister", "Disable", "Remove"]);
    assert!(!state.handle.contains(token));
}

#[test]
fn a_period_of_zero_ticks_once_a_round() {
    for (mut event_loop, mut state) in [new_loop(), {
        let (l, s, _) = manual_loop();
        (l, s)
    }] {
        let now = state.handle.now();
        let callback = move |tick: Tick, state: &mut State| {
            assert!(tick.missed == 0 && tick.deadline >= now);
            state.note("x");
            PostAction::Continue
        };
        state.handle.insert_source(Interval::new(ZERO), callback).unwrap();
        for _ in 0..5 {
            event_loop.dispatch(LONG, &mut state).unwrap();
            assert_eq!(state.take_log(), ["x"]);
        }
    }
}

#[test]
fn the_shortest_period_neither_bursts_nor_miscounts() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let callback = move |tick: Tick, state: &mut State| {
        state.note(format!("{}/{}", (tick.deadline - start).as_nanos(), tick.missed));
        PostAction::Continue
    };
    state.handle.insert_source(Interval::new(Duration::from_nanos(1)), callback).unwrap();
    clock.advance(SECOND);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["1000000000/999999999"]);
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["1000000001/0"]);
}

#[test]
fn what_is_beyond_the_end_of_time_never_comes() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let longest = insert(&mut state, start, Interval::new(Duration::MAX));
    let second = insert(&mut state, start, Interval::starting_at(start, Duration::MAX));
    insert(&mut state, start, Interval::new(Duration::from_nanos(u64::MAX)));
    assert_eq!(dispatch(&mut event_loop, &mut state), ["0/0"]);
    clock.advance(Duration::from_secs(200 * 365 * 86400));
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    assert_eq!(event_loop.get(second).unwrap().next_deadline(), None);
    state.handle.disable(longest);
    state.handle.enable(longest);
    state.handle.update(longest, |interval| interval.set_period(SECOND));
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log().len(), 1, "it is brought back");
}

#[test]
fn ticks_in_order_of_deadlines_among_timers() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    insert(&mut state, start, Interval::new(10 * MS));
    for at in [12, 10, 8] {
        let callback = move |_, state: &mut State| {
            state.note(at);
            TimeoutAction::Drop
        };
        state.handle.insert_source(Timer::from_duration(at * MS), callback).unwrap();
    }
    clock.advance(15 * MS);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["8", "10/0", "10", "12"]);
}

/// An interval beside an fd that is always ready, and re-registers the whole in every round.
struct Busy {
    socket: Generic<UnixStream>,
    interval: Interval,
}

impl EventSource for Busy {
    type Event<'a> = Tick;
    type Ret = PostAction;
    type Error = std::io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.socket.register(registrar)?;
        self.interval.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.socket.reregister(registrar)?;
        self.interval.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.socket.unregister(registrar)?;
        self.interval.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        callback: F,
    ) -> std::io::Result<PostAction>
    where
        F: FnMut(Tick) -> PostAction,
    {
        let always = |_: Ready<'_, UnixStream>| Ok(PostAction::Reregister);
        let action = self.socket.process_events(readiness, token, always)?;
        match self.interval.process_events(readiness, token, callback) {
            Ok(answer) => Ok(action | answer),
            Err(never) => match never {},
        }
    }
}

#[test]
fn a_part_that_reregisters_in_every_round_does_not_keep_it_from_ticking() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(b"never read").unwrap();
    let socket = Generic::new(theirs, Interest::READ, Mode::Level);
    let busy = Busy { socket, interval: Interval::new(10 * MS) };
    let callback = |tick: Tick, state: &mut State| {
        state.note(tick.missed);
        PostAction::Continue
    };
    state.handle.insert_source(busy, callback).unwrap();
    for _ in 0..4 {
        clock.advance(5 * MS);
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["0", "0"]);
}

#[test]
fn is_never_early_on_the_system_clock() {
    let (mut event_loop, mut state) = new_loop();
    let callback = |tick: Tick, state: &mut State| {
        assert!(tick.deadline <= Instant::now());
        state.note("x");
        PostAction::Continue
    };
    let before = Instant::now();
    state.handle.insert_source(Interval::new(2 * MS), callback).unwrap();
    while state.log.len() < 5 {
        event_loop.dispatch(LONG, &mut state).unwrap();
    }
    assert!(before.elapsed() >= 10 * MS);
}
