//! Order among the ready sources of a round: priorities, and budgets in callbacks and in time.

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use common::{LONG, State, ZERO, manual_loop, new_loop};
use soloop::channel::Event;
use soloop::{
    Clock, EventLoop, Generic, Interest, Mode, PostAction, Priority, Ready, Sender, SourceOptions,
    TimeoutAction, Timer, make_ping,
};

const MS: Duration = Duration::from_millis(1);

/// A channel that notes its messages, each of which takes `work` on the loop's clock.
fn insert_channel(
    state: &mut State,
    options: SourceOptions,
    clock: &Clock,
    work: Duration,
) -> Sender<u32> {
    let (sender, channel) = soloop::channel();
    let clock = clock.clone();
    let callback = move |event, state: &mut State| {
        if let Event::Msg(n) = event {
            state.note(n);
            clock.advance(work);
        }
    };
    state.handle.insert_source_with(options, channel, callback).unwrap();
    sender
}

fn dispatch(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    event_loop.dispatch(ZERO, state).unwrap();
    state.take_log()
}

#[test]
fn sources_of_one_round_run_by_priority_then_by_arrival() {
    let (mut event_loop, mut state) = new_loop();
    let mut pings = Vec::new();
    for (name, priority) in [
        ("low", Priority::Low),
        ("normal a", Priority::Normal),
        ("high a", Priority::High),
        ("normal b", Priority::Normal),
        ("high b", Priority::High),
    ] {
        let (ping, source) = make_ping();
        let options = SourceOptions::new().priority(priority);
        let note = move |(), state: &mut State| state.note(name);
        state.handle.insert_source_with(options, source, note).unwrap();
        pings.push(ping);
    }
    for _ in 0..2 {
        pings.iter().for_each(soloop::Ping::ping);
        let log = dispatch(&mut event_loop, &mut state);
        assert_eq!(log, ["high a", "high b", "normal a", "normal b", "low"]);
    }
}

#[test]
fn a_timer_of_high_priority_precedes_an_fd_of_normal() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let source = Generic::new(theirs, Interest::READ, Mode::Level);
    let callback = |ready: Ready<'_, UnixStream>, state: &mut State| {
        state.note("fd");
        let _ = ready.io.read(&mut [0; 8])?;
        Ok(PostAction::Continue)
    };
    state.handle.insert_source(source, callback).unwrap();
    for (name, priority) in [("low", Priority::Low), ("high", Priority::High)] {
        let note = move |_, state: &mut State| {
            state.note(name);
            TimeoutAction::Drop
        };
        let options = SourceOptions::new().priority(priority);
        state.handle.insert_source_with(options, Timer::from_duration(MS), note).unwrap();
    }
    ours.write_all(b"x").unwrap();
    clock.advance(MS);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["high", "fd", "low"]);
}

#[test]
fn input_overtakes_a_flooded_channel_by_a_whole_round_and_the_channel_progresses() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let flood = insert_channel(&mut state, SourceOptions::new().budget(10), &clock, ZERO);
    let (mut keyboard, theirs) = UnixStream::pair().unwrap();
    let source = Generic::new(theirs, Interest::READ, Mode::Level);
    let input = |ready: Ready<'_, UnixStream>, state: &mut State| {
        let mut key = [0];
        ready.io.read_exact(&mut key)?;
        state.note(char::from(key[0]));
        Ok(PostAction::Continue)
    };
    let options = SourceOptions::new().name("input").priority(Priority::High);
    state.handle.insert_source_with(options, source, input).unwrap();
    (0..100).for_each(|n| flood.send(n).unwrap());
    assert_eq!(dispatch(&mut event_loop, &mut state).len(), 10, "one budget");
    // The rest of the flood was there before the keys: each of them is first in its round all the same.
    for round in 1..10 {
        keyboard.write_all(b"k").unwrap();
        (0..10).for_each(|n| flood.send(100 + n).unwrap());
        let log = dispatch(&mut event_loop, &mut state);
        let numbers = (round * 10..round * 10 + 10).map(|n: u32| n.to_string());
        let expected: Vec<_> = std::iter::once(String::from("k")).chain(numbers).collect();
        assert_eq!(log, expected, "round {round}");
    }
}

#[test]
fn what_exceeds_its_budget_in_time_goes_on_in_the_next_round() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let options = SourceOptions::new().time_budget(10 * MS);
    let slow = insert_channel(&mut state, options, &clock, 4 * MS);
    let other = insert_channel(&mut state, SourceOptions::new(), &clock, 100 * MS);
    (0..7).for_each(|n| slow.send(n).unwrap());
    (100..104).for_each(|n| other.send(n).unwrap());
    let log = dispatch(&mut event_loop, &mut state);
    assert_eq!(log, ["0", "1", "2", "100", "101", "102", "103"], "only the one has a limit");
    assert_eq!(dispatch(&mut event_loop, &mut state), ["3", "4", "5"]);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["6"]);
}

#[test]
fn a_budget_in_time_of_nothing_is_one_callback() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let options = SourceOptions::new().time_budget(ZERO);
    let sender = insert_channel(&mut state, options, &clock, ZERO);
    (0..2).for_each(|n| sender.send(n).unwrap());
    assert_eq!(dispatch(&mut event_loop, &mut state), ["0"]);
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.log, ["1"], "what is left keeps the loop from sleeping");
}

#[test]
fn the_narrower_budget_counts() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let options = SourceOptions::new().budget(2).time_budget(Duration::MAX);
    let sender = insert_channel(&mut state, options, &clock, MS);
    (0..5).for_each(|n| sender.send(n).unwrap());
    let rounds: Vec<_> = (0..3).map(|_| dispatch(&mut event_loop, &mut state).len()).collect();
    assert_eq!(rounds, [2, 2, 1]);
}
