//! The built-in sources, compiled once more as a part of another crate, this one: whatever a file of `src/sources/` or
//! `src/tasks/` uses is what anybody can use, or this does not compile.
//!
//! They have nothing of soloop but its public names, and of its files four that know nothing of a loop. Run beside the
//! originals they do the same.
#![cfg(all(unix, not(loom)))]

mod common;

/// The files. What is named `crate::…` in them is looked for below.
#[path = "../src"]
#[allow(dead_code, unreachable_pub, unused_imports, reason = "nobody is to use all of it here")]
mod foreign {
    pub(crate) mod shrink;
    pub(crate) mod sources;
    pub(crate) mod sync;
    pub(crate) mod tasks;
    pub(crate) mod all {
        pub(crate) use super::sources::*;
        pub(crate) use super::tasks::*;
    }
    #[cfg_attr(not(feature = "executor"), allow(unused))]
    pub(crate) mod error {
        pub(crate) mod type_name;
    }
}

use foreign::{error, shrink, sources, sync, tasks};
#[allow(unused_imports, reason = "they are")]
use soloop::*;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::{State, ZERO, manual_loop, new_loop};

const MS: Duration = Duration::from_millis(1);

/// A program, once with the original sources and once with their copies.
macro_rules! with_each {
    ($program:ident) => {
        mod $program {
            pub(super) mod original {
                use super::super::*;
                use soloop as of;
                $program!();
            }
            pub(super) mod copy {
                use super::super::*;
                use foreign::all as of;
                $program!();
            }
        }
    };
}

macro_rules! timers {
    () => {
        use of::{TimeoutAction, Timer};

        /// What fires between the timers of this program, and in which order.
        pub(in super::super) fn run() -> Vec<String> {
            let (mut event_loop, mut state, clock) = manual_loop();
            let start = clock.now();
            let since = move |at: Instant| (at - start).as_millis();
            let insert = |state: &mut State, name: &'static str, timer: Timer| {
                let mut left = 2;
                let callback = move |deadline: Instant, state: &mut State| {
                    state.note(format!("{name} {}", since(deadline)));
                    left -= 1;
                    match left {
                        1 if name.starts_with('i') => TimeoutAction::ToInstant(deadline + 4 * MS),
                        1 if name.starts_with('d') => TimeoutAction::ToDuration(4 * MS),
                        _ => TimeoutAction::Drop,
                    }
                };
                state.handle.insert_source(timer, callback).unwrap()
            };
            // Equal deadlines, however they are set, and those of other sources between them.
            let at = start + 2 * MS;
            insert(&mut state, "i1", Timer::from_deadline(at));
            let between = |state: &mut State, name: &'static str| {
                let callback = move |_, state: &mut State| {
                    state.note(name);
                    soloop::TimeoutAction::Drop
                };
                state.handle.insert_source(soloop::Timer::from_deadline(at), callback).unwrap();
            };
            between(&mut state, "between");
            insert(&mut state, "d1", Timer::from_duration(2 * MS));
            insert(&mut state, "now", Timer::immediate());
            insert(&mut state, "never", Timer::from_duration(Duration::MAX));
            let moved = insert(&mut state, "moved", Timer::from_deadline(at));
            let paused = insert(&mut state, "paused", Timer::from_deadline(at));
            let removed = insert(&mut state, "removed", Timer::from_deadline(at));
            between(&mut state, "last");
            // Moved to the same time it keeps its turn; moved away and back it loses it.
            state.handle.update(moved, move |timer| timer.set_deadline(at + MS));
            state.handle.update(moved, move |timer| timer.set_deadline(at));
            state.handle.update(paused, |timer| timer.set_duration(Duration::MAX));
            state.handle.disable(paused);
            let again = move |state: &mut State| {
                state.handle.update(paused, |timer| timer.set_duration(ZERO));
                state.handle.enable(paused);
                state.handle.remove(removed);
            };
            state.handle.insert_idle(again);
            for _ in 0..12 {
                event_loop.dispatch(MS, &mut state).unwrap();
                state.note(format!("– {}", since(clock.now())));
            }
            state.take_log()
        }
    };
}
with_each!(timers);

#[test]
fn a_timer_fires_as_the_built_in_one_does() {
    let log = timers::copy::run();
    assert_eq!(log, timers::original::run());
    let of_2_ms = ["i1 2", "between", "d1 2", "last", "moved 2"];
    let first = log.iter().position(|what| what == of_2_ms[0]).unwrap();
    assert_eq!(log[first..first + of_2_ms.len()], of_2_ms, "{log:?}");
    assert!(log.contains(&"i1 6".into()) && log.contains(&"d1 6".into()), "{log:?}");
}

macro_rules! intervals {
    () => {
        use of::{Interval, Tick};

        pub(in super::super) fn run() -> Vec<String> {
            let (mut event_loop, mut state, clock) = manual_loop();
            let start = clock.now();
            let callback = move |Tick { deadline, missed, .. }: Tick, state: &mut State| {
                state.note(format!("{} {missed}", (deadline - start).as_millis()));
                PostAction::Continue
            };
            let interval = Interval::starting_at(start + 5 * MS, 10 * MS);
            let token = state.handle.insert_source(interval, callback).unwrap();
            let mut dispatch = |state: &mut State| event_loop.dispatch(10 * MS, state).unwrap();
            dispatch(&mut state);
            dispatch(&mut state);
            clock.advance(35 * MS);
            dispatch(&mut state);
            dispatch(&mut state);
            state.handle.disable(token);
            dispatch(&mut state);
            clock.advance(20 * MS);
            state.handle.enable(token);
            dispatch(&mut state);
            state.handle.update(token, |interval| interval.set_period(3 * MS));
            for _ in 0..4 {
                dispatch(&mut state);
            }
            state.take_log()
        }
    };
}
with_each!(intervals);

#[test]
fn an_interval_ticks_as_the_built_in_one_does() {
    let log = intervals::copy::run();
    assert_eq!(log, intervals::original::run());
    assert_eq!(log[..3], ["5 0", "15 0", "45 2"]);
}

macro_rules! messages {
    () => {
        use of::{channel, make_ping, sync_channel};

        /// Of three sources the events of a few rounds, which have a budget, and of one that is removed on the way.
        pub(in super::super) fn run() -> Vec<String> {
            let (mut event_loop, mut state) = new_loop();
            let (sender, messages) = channel();
            let (bounded, few) = sync_channel(2);
            let (ping, pings) = make_ping();
            let options = SourceOptions::new().budget(3);
            let mut left = 5;
            let callback = move |event, state: &mut State| {
                state.note(format!("{event:?}"));
                left -= 1;
                if left == 0 {
                    let token = state.tokens[0];
                    state.handle.remove(token);
                }
            };
            sender.send(0).unwrap();
            let token = state.handle.insert_source_with(options, messages, callback).unwrap();
            state.tokens.push(token.into());
            let callback = |event, state: &mut State| state.note(format!("few {event:?}"));
            state.handle.insert_source(few, callback).unwrap();
            let pinged = state.handle.insert_source(pings, |(), state| state.note("ping")).unwrap();
            for n in 1..=6 {
                sender.send(n).unwrap();
                ping.ping();
            }
            std::thread::spawn(move || {
                bounded.try_send('a').unwrap();
                bounded.try_send('b').unwrap();
                bounded.try_send('c').unwrap_err();
            })
            .join()
            .unwrap();
            state.handle.disable(pinged);
            for round in 0..4 {
                event_loop.dispatch(ZERO, &mut state).unwrap();
                state.note(format!("– {round}"));
                state.handle.enable(pinged);
            }
            state.note(sender.send(7).is_err());
            state.take_log()
        }
    };
}
with_each!(messages);

#[test]
fn messages_come_as_those_of_the_built_in_ones_do() {
    let log = messages::copy::run();
    assert_eq!(log, messages::original::run());
    let of_channel: Vec<_> = log.iter().filter(|what| what.starts_with("Msg")).collect();
    assert_eq!(of_channel, ["Msg(0)", "Msg(1)", "Msg(2)", "Msg(3)", "Msg(4)"]);
    let closed = log.iter().position(|what| what == "few Closed").unwrap();
    assert!(log[..closed].contains(&"few Msg('b')".into()), "{log:?}");
    assert!(log.last().is_some_and(|is_gone| is_gone == "true"));
}

#[cfg(feature = "executor")]
macro_rules! futures {
    () => {
        use of::TimeoutFuture;

        pub(in super::super) fn run() -> Vec<String> {
            let (mut event_loop, mut state, clock) = manual_loop();
            let start = clock.now();
            let (executor, scheduler) = of::executor();
            let callback = |name: &'static str, state: &mut State| state.note(name);
            state.handle.insert_source(executor, callback).unwrap();
            let mut sleep = |n: u32| TimeoutFuture::from_duration(&mut state.handle, n * MS);
            // Two of the same time, one that is dropped before it comes, one that never does.
            let (first, second, long, never) = (sleep(2), sleep(2), sleep(60), sleep(u32::MAX));
            let wait = |name: &'static str, timeout: TimeoutFuture| async move {
                timeout.await;
                name
            };
            scheduler.schedule(wait("first", first)).unwrap();
            scheduler.schedule(wait("second", second)).unwrap();
            scheduler.schedule(wait("never", never)).unwrap();
            scheduler.schedule(async { "at once" }).unwrap();
            let yielding = async move {
                let mut left = 3;
                std::future::poll_fn(|cx| {
                    left -= 1;
                    cx.waker().wake_by_ref();
                    if left == 0 {
                        std::task::Poll::Ready("thrice")
                    } else {
                        std::task::Poll::Pending
                    }
                })
                .await
            };
            scheduler.schedule(yielding).unwrap();
            drop(long);
            for _ in 0..4 {
                event_loop.dispatch(MS, &mut state).unwrap();
                state.note(format!("– {}", (clock.now() - start).as_millis()));
            }
            // Nothing is left that the loop would wake up for, but the one that is far.
            let before = clock.now();
            event_loop.dispatch(1000 * MS, &mut state).unwrap();
            state.note(format!("{:?}", clock.now() - before));
            drop(event_loop);
            state.note(scheduler.schedule(async { "too late" }).is_err());
            state.take_log()
        }
    };
}
#[cfg(feature = "executor")]
with_each!(futures);

#[cfg(feature = "executor")]
#[test]
fn futures_run_as_on_the_built_in_executor() {
    let log = futures::copy::run();
    assert_eq!(log, futures::original::run());
    let first = log.iter().position(|what| what == "first").unwrap();
    assert_eq!(log[..2], ["at once", "thrice"]);
    assert_eq!(log[first + 1], "second");
    assert!(log.ends_with(&["1s".into(), "true".into()]), "{log:?}");
}

#[test]
fn an_fd_is_waited_for_as_by_adapt_io() {
    let (mut event_loop, mut state) = new_loop();
    let (fd, mut peer) = UnixStream::pair().unwrap();
    let fd = tasks::Async::new(&mut state.handle, fd).unwrap();
    let thread = std::thread::spawn(move || peer.write_all(b"x").map(|()| peer));
    event_loop.block_on(fd.readable(), &mut state).unwrap();
    let _peer = thread.join().unwrap().unwrap();
    event_loop.block_on(fd.writable(), &mut state).unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!(event_loop.sources(&state.handle).rows.len(), 1);
    // The fd is free at once, on whatever thread; the source goes with it.
    let fd = std::thread::spawn(move || fd.into_inner()).join().unwrap();
    let again = state.handle.adapt_io(fd).unwrap();
    event_loop.block_on(again.readable(), &mut state).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(event_loop.sources(&state.handle).rows.len(), 1);
    // Refused, it comes back and leaves nothing.
    let file = std::fs::File::open("/proc/self/exe").or_else(|_| std::fs::File::open("/bin/sh"));
    if !common::POLL_BACKEND {
        let refused = tasks::Async::new(&mut state.handle, file.unwrap()).unwrap_err();
        assert_eq!(refused.error.kind(), std::io::ErrorKind::PermissionDenied);
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(event_loop.sources(&state.handle).rows.len(), 1);
    }
}

#[cfg(feature = "executor")]
#[test]
fn a_task_reaches_the_state_as_a_spawned_one_does() {
    let (mut event_loop, mut state, _) = manual_loop();
    let task = async |cx: foreign::tasks::spawn::TaskContext<State>| {
        cx.sleep(MS).await;
        cx.with(|state| state.note("slept")).await;
        42
    };
    let joined = foreign::tasks::spawn::spawn_with(&mut state.handle, SourceOptions::new(), task);
    let result = event_loop.block_on(joined, &mut state).unwrap();
    assert_eq!((result, state.take_log()), (Some(Ok(42)), vec!["slept".into()]));
    let idle = async |cx: foreign::tasks::spawn::TaskContext<State>| cx.sleep(Duration::MAX).await;
    let token = foreign::tasks::spawn::spawn(&mut state.handle, SourceOptions::new(), idle);
    assert!(state.handle.remove(token));
    drop(event_loop);
    let token = foreign::tasks::spawn::spawn(&mut state.handle, SourceOptions::new(), idle);
    assert!(token == Token::null() && !state.handle.contains(token));
}
