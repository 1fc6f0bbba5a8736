//! `insert_calloop_on_demand` and `calloop(token)`.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use calloop::generic::Generic;
use calloop::ping::{Ping, make_ping};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, Mode, PostAction};
use soloop::hosting::CalloopLoop;
use soloop::{AnyToken, EventLoop, Scope, SourceOptions};

use super::composites::{Hooked, Hooks};
use crate::common::{State, in_child, is_readable, new_loop, open_fds, readable_within};
use crate::rig::{AT_LAST, MS, ZERO};

type Inner = calloop::LoopHandle<'static, State>;
type Hosted = soloop::Token<CalloopLoop<State>>;

fn hosting() -> (EventLoop<State>, State, Inner, Hosted) {
    let (mut event_loop, mut state) = new_loop();
    let inner = calloop::EventLoop::try_new().unwrap();
    let kept = inner.handle();
    let token = state.handle.insert_calloop_on_demand(inner).unwrap();
    quiet(&mut event_loop, &mut state);
    (event_loop, state, kept, token)
}

/// Dispatches until nothing is left to do.
fn quiet(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    for _ in 0..4 {
        event_loop.dispatch(ZERO, state).unwrap();
    }
    state.take_log()
}

/// Dispatches, sleeping, until so much is noted, and within what time.
fn within(event_loop: &mut EventLoop<State>, state: &mut State, lines: usize) -> Duration {
    let started = Instant::now();
    while state.log.len() < lines && started.elapsed() < AT_LAST {
        event_loop.dispatch(AT_LAST, state).unwrap();
    }
    assert!(state.log.len() >= lines, "nothing woke the loop: {:?}", state.log);
    started.elapsed()
}

fn insert_timer(inner: &Inner, after: Duration, what: &'static str) {
    let due = Instant::now() + after;
    let fire = move |_, _: &mut (), state: &mut State| {
        assert!(Instant::now() >= due, "early");
        state.note(what);
        TimeoutAction::Drop
    };
    inner.insert_source(Timer::from_deadline(due), fire).unwrap();
}

fn insert_ping(inner: &Inner, mut then: impl FnMut(&mut State) + 'static) -> Ping {
    let (ping, source) = make_ping().unwrap();
    inner.insert_source(source, move |(), _, state: &mut State| then(state)).unwrap();
    ping
}

#[test]
fn what_was_inserted_before_it_is_hosted_needs_no_call() {
    let (mut event_loop, mut state) = new_loop();
    let inner = calloop::EventLoop::<State>::try_new().unwrap();
    insert_timer(&inner.handle(), 100 * MS, "timer");
    inner.handle().insert_idle(|state| state.note("idle"));
    state.handle.insert_calloop_on_demand(inner).unwrap();
    assert!(within(&mut event_loop, &mut state, 2) < AT_LAST);
    assert_eq!(state.take_log(), ["idle", "timer"]);
}

/// The contract, and what is without it.
#[test]
fn what_a_kept_handle_is_given_is_seen_after_calloop_token() {
    let (mut event_loop, mut state, inner, token) = hosting();
    for before in [true, false] {
        if before {
            assert!(state.handle.calloop(token).is_some());
        }
        insert_timer(&inner, 100 * MS, "timer");
        inner.insert_idle(|state| state.note("idle"));
        if !before {
            assert!(state.handle.calloop(token).is_some());
        }
        within(&mut event_loop, &mut state, 2);
        assert_eq!(state.take_log(), ["idle", "timer"]);
    }
    // An fd needs no call; it takes along what came without one.
    insert_timer(&inner, ZERO, "without a call");
    let ping = insert_ping(&inner, |state| state.note("ping"));
    assert_eq!(quiet(&mut event_loop, &mut state), [""; 0]);
    ping.ping();
    let mut log = quiet(&mut event_loop, &mut state);
    log.sort();
    assert_eq!(log, ["ping", "without a call"]);
}

#[test]
fn calloop_token_in_callbacks_of_soloop() {
    let (mut event_loop, mut state, _, token) = hosting();
    let insert = move |what| {
        move |state: &mut State| {
            let inner = state.handle.calloop(token).unwrap();
            insert_timer(&inner, 3 * MS, what);
        }
    };
    let by_timer = insert("by a timer");
    let timer = soloop::Timer::immediate();
    state
        .handle
        .insert_source(timer, move |_, state: &mut State| {
            by_timer(state);
            soloop::TimeoutAction::Drop
        })
        .unwrap();
    within(&mut event_loop, &mut state, 1);
    state.handle.insert_idle(insert("by an idle"));
    within(&mut event_loop, &mut state, 2);
    let remote = state.handle.remote();
    let by_post = insert("by a post");
    std::thread::spawn(move || remote.post(by_post)).join().unwrap();
    within(&mut event_loop, &mut state, 3);
    // Between two dispatches.
    insert("between")(&mut state);
    within(&mut event_loop, &mut state, 4);
    assert_eq!(state.log, ["by a timer", "by an idle", "by a post", "between"]);
}

/// A timer fires, so that the alarm is set by a second dispatch. Between the two comes an event, whose callback inserts
/// the nearest timer: it must not be the one that the alarm misses.
#[test]
fn an_event_between_the_two_dispatches_inserts_a_timer() {
    let (mut event_loop, mut state, inner, token) = hosting();
    let kept = inner.clone();
    let ping = insert_ping(&inner, move |state| {
        state.note("ping");
        insert_timer(&kept, 10 * MS, "nearest");
    });
    for _ in 0..10 {
        let ping = ping.clone();
        let fire = move |_, _: &mut (), state: &mut State| {
            state.note("first");
            ping.ping();
            TimeoutAction::Drop
        };
        state.handle.calloop(token).unwrap().insert_source(Timer::immediate(), fire).unwrap();
        assert!(within(&mut event_loop, &mut state, 3) < AT_LAST);
        assert_eq!(state.take_log(), ["first", "ping", "nearest"]);
    }
}

/// The same in the last of several dispatches: by an idle, that nothing tells of.
#[test]
fn an_idle_of_the_last_dispatch_inserts_a_timer() {
    let (mut event_loop, mut state, inner, token) = hosting();
    let kept = inner.clone();
    state.handle.calloop(token).unwrap().insert_idle(move |state: &mut State| {
        state.note("idle");
        let again = kept.clone();
        insert_timer(&kept, 200 * MS, "timer");
        kept.insert_idle(move |state: &mut State| {
            state.note("idle of the idle");
            insert_timer(&again, 2 * MS, "nearest");
        });
    });
    assert!(within(&mut event_loop, &mut state, 4) < AT_LAST);
    assert_eq!(state.take_log(), ["idle", "idle of the idle", "nearest", "timer"]);
}

/// As Smithay's idle notifier does: what it calls back asks for its loop.
#[test]
fn calloop_token_in_a_hosted_callback_is_seen_to_by_the_dispatch_that_sets_the_alarm() {
    let (mut event_loop, mut state, inner, token) = hosting();
    // It counts the dispatches.
    let hooks = Hooks::default();
    let (_ping, source) = make_ping().unwrap();
    inner.insert_source(Hooked::new(source, &hooks), |_, _, _| None).unwrap();
    let fire = move |_, _: &mut (), state: &mut State| {
        state.note("timer");
        state.handle.calloop(token).unwrap();
        TimeoutAction::Drop
    };
    state.handle.calloop(token).unwrap().insert_source(Timer::immediate(), fire).unwrap();
    assert_eq!(quiet(&mut event_loop, &mut state), ["timer"]);
    assert_eq!(*hooks.calls.lock().unwrap(), (2, 2));
    // It counts once, however often it is called.
    for _ in 0..3 {
        state.handle.calloop(token).unwrap();
    }
    quiet(&mut event_loop, &mut state);
    assert_eq!(*hooks.calls.lock().unwrap(), (3, 3));
}

/// A timer that is always due, each dispatch of the hosted loop, leaves room for others.
#[test]
fn a_round_has_an_end() {
    let (mut event_loop, mut state, _, token) = hosting();
    let always = |deadline, _: &mut (), state: &mut State| {
        state.note("due");
        TimeoutAction::ToInstant(deadline)
    };
    state.handle.calloop(token).unwrap().insert_source(Timer::immediate(), always).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    for _ in 0..5 {
        state.log.clear();
        event_loop.dispatch(None, &mut state).unwrap();
        assert!((1..=8).contains(&state.log.len()), "{}", state.log.len());
    }
}

#[test]
fn it_costs_no_round_when_there_is_nothing_in_it() {
    let (mut event_loop, mut state, inner, token) = hosting();
    insert_timer(&inner, 3600 * Duration::from_secs(1), "never");
    state.handle.calloop(token);
    quiet(&mut event_loop, &mut state);
    let stats = event_loop.stats();
    for _ in 0..5 {
        event_loop.dispatch(5 * MS, &mut state).unwrap();
    }
    let after = event_loop.stats();
    assert_eq!((after.rounds, after.events), (stats.rounds + 5, stats.events));
}

#[test]
fn a_hosted_callback_may_remove_or_disable_the_host() {
    in_child("a_hosted_callback_may_remove_or_disable_the_host", || {
        let before = open_fds();
        let (mut event_loop, mut state, inner, token) = hosting();
        let ping = insert_ping(&inner, move |state| {
            state.note("disables");
            state.handle.disable(token);
            state.handle.calloop(token);
        });
        ping.ping();
        assert_eq!(quiet(&mut event_loop, &mut state), ["disables"]);
        ping.ping();
        insert_timer(&inner, ZERO, "timer");
        inner.insert_idle(|state| state.note("idle"));
        assert_eq!(quiet(&mut event_loop, &mut state), [""; 0]);
        state.handle.enable(token);
        assert_eq!(quiet(&mut event_loop, &mut state), ["disables", "timer", "idle"]);

        state.handle.enable(token);
        let remove = insert_ping(&inner, move |state| {
            state.note("removes");
            state.handle.remove(token);
            assert!(state.handle.calloop(token).is_none());
        });
        remove.ping();
        assert_eq!(quiet(&mut event_loop, &mut state), ["removes"]);
        // The handle outlives the loop, and can be used.
        ping.ping();
        insert_timer(&inner, ZERO, "of a loop that is gone");
        inner.insert_idle(|state| state.note("of a loop that is gone"));
        assert_eq!(quiet(&mut event_loop, &mut state), [""; 0]);
        assert!(state.handle.calloop(token).is_none());
        drop((event_loop, state, inner, ping, remove));
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn take_gives_the_loop_back() {
    let (mut event_loop, mut state, inner, token) = hosting();
    let ping = insert_ping(&inner, |state| state.note("ping"));
    let (sender, taken) = std::sync::mpsc::channel();
    state.handle.take(token, move |hosted, _| sender.send(hosted.into_inner()).unwrap());
    quiet(&mut event_loop, &mut state);
    ping.ping();
    let mut alone = taken.recv().unwrap();
    alone.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["ping"]);
    // By any of the ways again.
    insert_timer(&inner, 2 * MS, "timer");
    state.handle.insert_calloop_on_demand(alone).unwrap();
    within(&mut event_loop, &mut state, 1);
    assert_eq!(state.take_log(), ["timer"]);
}

#[test]
fn any_number_of_them() {
    let (mut event_loop, mut state, first, token) = hosting();
    let second = calloop::EventLoop::<State>::try_new().unwrap();
    let kept = second.handle();
    let other = state.handle.insert_calloop_on_demand(second).unwrap();
    let relay = kept.clone();
    state.handle.calloop(token).unwrap().insert_idle(move |state: &mut State| {
        state.note("first");
        state.handle.calloop(other);
        let back = first.clone();
        let fire = move |_, _: &mut (), state: &mut State| {
            state.note("second");
            state.handle.calloop(token);
            insert_timer(&back, 2 * MS, "first again");
            TimeoutAction::Drop
        };
        relay.insert_source(Timer::from_duration(2 * MS), fire).unwrap();
    });
    within(&mut event_loop, &mut state, 3);
    assert_eq!(state.take_log(), ["first", "second", "first again"]);
    state.handle.remove(token);
    quiet(&mut event_loop, &mut state);
    assert!(state.handle.calloop(token).is_none() && state.handle.calloop(other).is_some());
}

#[test]
fn errors_and_panics_leave_timers_on_time() {
    let (mut event_loop, mut state, inner, token) = hosting();
    let (sender, messages) = calloop::channel::channel::<&str>();
    let callback = |event, _: &mut (), state: &mut State| {
        let calloop::channel::Event::Msg(what) = event else { return };
        state.note(what);
        assert_ne!(what, "panics", "on purpose");
    };
    inner.insert_source(messages, callback).unwrap();
    let (_open, stream) = std::os::unix::net::UnixStream::pair().unwrap();
    let failing = Generic::new(stream, Interest::WRITE, Mode::OneShot);
    let fail = |_, _: &mut _, _: &mut State| Err::<PostAction, _>(io::Error::other("on purpose"));
    for how in ["panics", "fails"] {
        // Not due in the dispatch that is cut short, which would lose them.
        insert_timer(&inner, 250 * MS, "second");
        let kept = inner.clone();
        insert_timer(&inner, 200 * MS, "first");
        state.handle.calloop(token);
        quiet(&mut event_loop, &mut state);
        if how == "panics" {
            sender.send("panics").unwrap();
            let panicked = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state)));
            assert!(panicked.is_err());
            assert_eq!(state.log.remove(0), "panics");
        } else {
            let (_peer, stream) = std::os::unix::net::UnixStream::pair().unwrap();
            let generic = Generic::new(stream, Interest::WRITE, Mode::OneShot);
            kept.insert_source(generic, fail).unwrap();
            let error = event_loop.dispatch(ZERO, &mut state).unwrap_err();
            assert_eq!(error.token(), Some(AnyToken::from(token)));
            assert!(error.to_string().starts_with("source `calloop` failed: "), "{error}");
        }
        within(&mut event_loop, &mut state, 2);
        assert_eq!(state.take_log(), ["first", "second"], "{how}");
    }
    drop(failing);
}

#[test]
fn options_name_it_and_end_it() {
    let (mut event_loop, mut state) = new_loop();
    let scope = Scope::new();
    let inner = calloop::EventLoop::<State>::try_new().unwrap();
    let kept = inner.handle();
    let options = SourceOptions::new().name("idle notifier").scope(&scope);
    let token = state.handle.insert_calloop_on_demand_with(options, inner).unwrap();
    quiet(&mut event_loop, &mut state);
    let table = event_loop.sources(&state.handle).to_string();
    assert!(table.contains("idle notifier  CalloopLoop<"), "{table}");
    drop(scope);
    kept.insert_idle(|state| state.note("idle"));
    state.handle.calloop(token);
    assert_eq!(quiet(&mut event_loop, &mut state), [""; 0]);
    assert!(!state.handle.contains(token));
}

/// It is for a `run` of the hosted loop.
#[test]
fn stop_and_wakeup_of_the_hosted_loop_do_nothing() {
    let (mut event_loop, mut state) = new_loop();
    let inner = calloop::EventLoop::<State>::try_new().unwrap();
    let (signal, kept) = (inner.get_signal(), inner.handle());
    let token = state.handle.insert_calloop_on_demand(inner).unwrap();
    for _ in 0..3 {
        signal.stop();
        signal.wakeup();
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    quiet(&mut event_loop, &mut state);
    insert_timer(&kept, 3 * MS, "timer");
    state.handle.calloop(token);
    within(&mut event_loop, &mut state, 1);
    // Nor does it keep the loop awake.
    let rounds = event_loop.stats().rounds;
    event_loop.dispatch(20 * MS, &mut state).unwrap();
    assert!(event_loop.stats().rounds <= rounds + 1);
}

/// A loop that nests by its fd tells of hosted timers.
#[test]
fn the_loops_fd_tells_of_it() {
    use std::os::fd::AsFd;

    let (mut event_loop, mut state, inner, token) = hosting();
    quiet(&mut event_loop, &mut state);
    let _fd = event_loop.as_fd();
    quiet(&mut event_loop, &mut state);
    assert!(!is_readable(event_loop.as_fd()));
    insert_timer(&inner, 200 * MS, "timer");
    state.handle.calloop(token);
    assert!(is_readable(event_loop.as_fd()), "calloop(token) is something to do");
    quiet(&mut event_loop, &mut state);
    while state.log.is_empty() {
        assert!(readable_within(event_loop.as_fd(), AT_LAST));
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(quiet(&mut event_loop, &mut state), ["timer"]);
    assert!(!is_readable(event_loop.as_fd()));
}

#[test]
fn too_many_nested_epoll_instances_are_refused_with_the_reason() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let inner = calloop::EventLoop::<State>::try_new().unwrap();
    let mut chain = super::source::nested(4);
    let deep = chain.pop().unwrap();
    let ignore = |_, _: &mut _, _: &mut State| Ok(PostAction::Continue);
    let deep = Generic::new(deep, Interest::READ, Mode::Level);
    inner.handle().insert_source(deep, ignore).unwrap();
    let refused = state.handle.insert_calloop_on_demand(inner).unwrap_err();
    assert!(refused.to_string().contains("epoll instances are nested too deep"), "{refused}");
    let mut alone = refused.source;
    alone.handle().insert_idle(|state| state.note("alone"));
    alone.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["alone"]);
}

/// Of a loop that is waited in, too.
#[test]
fn calloop_token_of_a_loop_that_is_waited_in() {
    let (mut event_loop, mut state) = new_loop();
    let inner = calloop::EventLoop::<State>::try_new().unwrap();
    let token = state.handle.insert_calloop(inner).unwrap();
    state.handle.calloop(token).unwrap().insert_idle(|state: &mut State| state.note("idle"));
    assert_eq!(quiet(&mut event_loop, &mut state), ["idle"]);
    state.handle.remove(token);
    assert!(state.handle.calloop(token).is_none());
}
