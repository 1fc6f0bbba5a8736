//! Kinds of work beside each other whose items outlast a round: none starves.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::common::{self, State, ZERO, new_loop};
use soloop::channel::{Event, channel};
use soloop::{
    Generic, Interest, Mode, PostAction, Priority, Ready, SourceOptions, TimeoutAction, Timer,
    make_ping,
};

const MS: Duration = Duration::from_millis(1);

/// Two High sources that always have more than a round's time; what Normal gets.
fn normal_beside(insert_flood: impl FnOnce(&mut State)) -> usize {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(MS);
    insert_flood(&mut state);
    let (normal, source) = make_ping();
    let again = normal.clone();
    state
        .handle
        .insert_source(source, move |(), state: &mut State| {
            state.note("normal");
            again.ping();
        })
        .unwrap();
    normal.ping();
    for _ in 0..40 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    state.take_log().iter().filter(|log| *log == "normal").count()
}

/// A channel has more when the time of its round is over, and has inserted a source whose fd is found before the op that
/// stores it is applied. Somebody else reads the fd.
#[test]
fn what_is_found_for_a_source_that_is_not_stored_yet_is_not_kept() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(MS);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(b"x").unwrap();
    let mut reader = theirs.try_clone().unwrap();
    // Beside one of high priority the clock is read before each callback.
    let high = SourceOptions::new().priority(Priority::High);
    let silent = |(), _: &mut State| ();
    let visited = state.handle.insert_source_with(high.clone(), make_ping().1, silent).unwrap();
    let (sender, source) = channel();
    let mut theirs = Some(Generic::new(theirs, Interest::READ, Mode::Level));
    let callback = move |_: Event<()>, state: &mut State| {
        state.note("message");
        let Some(theirs) = theirs.take() else { return };
        for _ in 0..3 {
            state.handle.visit(visited, |_, _: &mut State| ());
        }
        let called = |_: Ready<'_, UnixStream>, state: &mut State| {
            state.note("readable");
            Ok(PostAction::Continue)
        };
        state.handle.insert_source_with(high.clone(), theirs, called).unwrap();
        let start = Instant::now();
        while start.elapsed() < 5 * MS {}
    };
    state.handle.insert_source(source, callback).unwrap();
    (0..2).for_each(|_| sender.send(()).unwrap());
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["message"]);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["message"], "the source is not stored yet");
    reader.read_exact(&mut [0]).unwrap();
    for _ in 0..3 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    // Where the kernel tells once, the loop keeps what it was told.
    let called = state.log.iter().any(|line| line == "readable");
    assert_eq!(called, common::POLL_BACKEND, "there is nothing to read");
}

#[test]
fn slow_messages_of_high_priority_starve_nobody() {
    let events = normal_beside(|state| {
        let (sender, source) = channel::<()>();
        for _ in 0..200 {
            sender.send(()).unwrap();
        }
        let options = SourceOptions::new().priority(Priority::High);
        state
            .handle
            .insert_source_with(options, source, move |event, _: &mut State| {
                let _ = &sender;
                if let Event::Msg(()) = event {
                    common::spin(2 * MS);
                }
            })
            .unwrap();
    });
    assert!(events >= 5, "{events}");
}

/// Two of high priority that ping themselves again, when they have taken so long.
fn two_slow_pings(long: Duration, state: &mut State) {
    for _ in 0..2 {
        let (ping, source) = make_ping();
        let again = ping.clone();
        let options = SourceOptions::new().priority(Priority::High);
        state
            .handle
            .insert_source_with(options, source, move |(), _: &mut State| {
                common::spin(long);
                again.ping();
            })
            .unwrap();
        ping.ping();
    }
}

#[test]
fn two_slow_pings_of_high_priority_starve_nobody() {
    let events = normal_beside(|state| two_slow_pings(2 * MS, state));
    assert!(events >= 5, "{events}");
}

#[test]
fn two_slow_timers_of_normal_priority_starve_no_idle() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(MS);
    for _ in 0..2 {
        state
            .handle
            .insert_source(Timer::immediate(), |_, _: &mut State| {
                common::spin(2 * MS);
                TimeoutAction::ToDuration(ZERO)
            })
            .unwrap();
    }
    for _ in 0..4 {
        state.handle.insert_idle(|state: &mut State| state.note("idle"));
    }
    for _ in 0..40 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.take_log().len(), 4);
}

/// With the round time that a loop has if nobody says.
#[test]
fn a_due_timer_is_late_by_two_callbacks_of_high_priority_at_most() {
    let (mut event_loop, mut state) = new_loop();
    two_slow_pings(12 * MS, &mut state);
    let mut fired = Vec::new();
    state
        .handle
        .insert_source(Timer::immediate(), |_, state: &mut State| {
            state.note("timer");
            TimeoutAction::ToDuration(ZERO)
        })
        .unwrap();
    for _ in 0..30 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
        fired.push(state.take_log().len());
    }
    assert!(fired.iter().sum::<usize>() >= 5, "{fired:?}");
}

/// Has two streams of slow items in one of the eight lanes, without an end.
fn flood_lane(lane: usize, state: &mut State) {
    const BUSY: Duration = Duration::from_micros(600);
    const NAMES: [&str; 8] = ["ops", "idles", "E0", "E1", "E2", "T0", "T1", "T2"];
    fn idle(state: &mut State) {
        common::spin(BUSY);
        state.note(NAMES[1]);
        state.handle.insert_idle(idle);
    }
    fn visit(token: soloop::Token<Timer>, state: &mut State) {
        state.handle.visit(token, move |_, state: &mut State| {
            common::spin(BUSY);
            state.note(NAMES[0]);
            visit(token, state);
        });
    }
    let priorities = [Priority::Low, Priority::Normal, Priority::High];
    for _ in 0..2 {
        match lane {
            0 => {
                let timer =
                    state.handle.insert_source(Timer::never(), |_, _| TimeoutAction::Drop).unwrap();
                visit(timer, state);
            }
            1 => drop(state.handle.insert_idle(idle)),
            2..5 => {
                let options = SourceOptions::new().priority(priorities[lane - 2]);
                let (ping, source) = make_ping();
                ping.ping();
                state
                    .handle
                    .insert_source_with(options, source, move |(), state: &mut State| {
                        common::spin(BUSY);
                        state.note(NAMES[lane]);
                        ping.ping();
                    })
                    .unwrap();
            }
            _ => {
                let options = SourceOptions::new().priority(priorities[lane - 5]);
                state
                    .handle
                    .insert_source_with(options, Timer::immediate(), move |_, state: &mut State| {
                        common::spin(BUSY);
                        state.note(NAMES[lane]);
                        TimeoutAction::ToDuration(ZERO)
                    })
                    .unwrap();
            }
        }
    }
}

/// How often each of `lanes` ran in so many rounds, which each of their items outlasts.
fn beside_each_other(lanes: &[usize], rounds: usize) -> Vec<usize> {
    const NAMES: [&str; 8] = ["ops", "idles", "E0", "E1", "E2", "T0", "T1", "T2"];
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(Duration::from_micros(500));
    for &lane in lanes {
        flood_lane(lane, &mut state);
    }
    for _ in 0..rounds {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    let log = state.take_log();
    lanes.iter().map(|&lane| log.iter().filter(|log| *log == NAMES[lane]).count()).collect()
}

#[test]
fn no_lane_starves_beside_another_whose_items_outlast_a_round() {
    let mut starved = Vec::new();
    for one in 0..8 {
        for two in one + 1..8 {
            let ran = beside_each_other(&[one, two], 24);
            if ran.iter().any(|ran| *ran < 5) {
                starved.push(([one, two], ran));
            }
        }
    }
    assert!(starved.is_empty(), "{starved:?}");
}

#[test]
fn no_lane_starves_beside_all_others_whose_items_outlast_a_round() {
    let ran = beside_each_other(&[0, 1, 2, 3, 4, 5, 6, 7], 80);
    assert!(ran.iter().all(|ran| *ran >= 5), "{ran:?}");
}
