//! What the handle and its remotes insert, post and answer, and where that ends: a loop that is gone, a scope that is
//! dropped, a panic, a deadline.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use common::{LONG, State, ZERO, manual_loop, new_loop};
use soloop::channel::Event;
use soloop::{
    AnyToken, Error, ErrorAction, Generic, InsertError, Interest, Mode, PingSource, PostAction,
    Scope, SourceOptions, TimeoutAction, Timer, channel, make_ping,
};

const SECOND: Duration = Duration::from_secs(1);

/// How many there are besides the one in the test's hands.
fn others(held: &Arc<()>) -> usize {
    Arc::strong_count(held) - 1
}

/// An fd that epoll refuses.
fn regular_file() -> Generic<File> {
    Generic::new(File::open("/proc/self/exe").unwrap(), Interest::READ, Mode::Level)
}

mod timers {
    use super::*;

    #[test]
    fn one_that_is_inserted_without_a_result_fires() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let token = state.handle.insert_timer(Timer::from_duration(SECOND), |_, state| {
            state.note("fired");
            TimeoutAction::Drop
        });
        assert!(state.handle.contains(token));
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["fired"]);
        assert!(!state.handle.contains(token));
    }

    #[test]
    fn a_loop_that_is_gone_drops_it_and_its_token_names_nothing() {
        let (event_loop, mut state) = new_loop();
        drop(event_loop);
        let held = Arc::new(());
        let callback = Arc::clone(&held);
        let token = state.handle.insert_timer(Timer::immediate(), move |_, _| {
            let _ = &callback;
            TimeoutAction::Drop
        });
        assert_eq!(others(&held), 0);
        assert!(!state.handle.contains(token) && !state.handle.remove(token));
        let (_event_loop, mut state) = new_loop();
        let other = state.handle.insert_timer(Timer::never(), |_, _| TimeoutAction::Drop);
        assert!(other != token && !state.handle.contains(token), "nor in another loop");
    }

    #[test]
    fn never_is_no_deadline_until_there_is_one() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = state.handle.now();
        let token = state.handle.insert_timer(Timer::never(), move |deadline, state| {
            state.note(format!("{:?}", deadline - start));
            TimeoutAction::Keep
        });
        event_loop.dispatch(SECOND, &mut state).unwrap();
        assert_eq!(clock.now() - start, SECOND, "it waited for nothing else");
        assert_eq!(event_loop.get(token).unwrap().current_deadline(), None);
        for seconds in [5, 9] {
            assert!(state.handle.set_deadline(token, start + seconds * SECOND));
            event_loop.dispatch(None, &mut state).unwrap();
        }
        event_loop.dispatch(100 * SECOND, &mut state).unwrap();
        assert_eq!(state.take_log(), ["5s", "9s"], "kept, and silent in between");
        assert!(state.handle.contains(token));
    }

    #[test]
    fn a_deadline_given_by_the_callback_stands_when_it_answers_keep() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let timer = Timer::from_duration(SECOND);
        let token = state.handle.insert_timer(timer, |deadline, state| {
            state.note("fired");
            if state.log.len() < 3 {
                let timer = state.tokens[0];
                let timer = state.handle.downcast::<Timer>(timer).unwrap();
                state.handle.set_deadline(timer, deadline + SECOND);
            }
            TimeoutAction::Keep
        });
        state.tokens.push(token.into());
        let start = state.handle.now();
        event_loop.run_until(start + 10 * SECOND, &mut state).unwrap();
        assert_eq!(state.take_log().len(), 3);
        assert!(state.handle.contains(token));
    }

    #[test]
    fn kept_and_disabled_it_stays_silent_after_enable() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let token = state.handle.insert_timer(Timer::immediate(), |_, state| {
            state.note("fired");
            TimeoutAction::Keep
        });
        event_loop.dispatch(None, &mut state).unwrap();
        state.handle.disable(token);
        event_loop.apply_pending(&mut state).unwrap();
        state.handle.enable(token);
        event_loop.dispatch(SECOND, &mut state).unwrap();
        assert_eq!(state.take_log(), ["fired"]);
    }
}

mod current {
    use super::*;

    #[test]
    fn names_the_source_whose_callback_runs_and_nothing_else_does() {
        let (mut event_loop, mut state) = new_loop();
        let note = |state: &mut State, place: &str| {
            let current = state.handle.current();
            let which = state.tokens.iter().position(|token| Some(*token) == current);
            state.note(format!("{place} {}", which.map_or(-1, |which| which as i32)));
        };
        let timer = state.handle.insert_timer(Timer::immediate(), move |_, state| {
            note(state, "timer");
            let me = state.handle.current().unwrap();
            let me = state.handle.downcast::<Timer>(me).unwrap();
            state.handle.visit(me, move |_, state| note(state, "visit"));
            state.handle.insert_idle(move |state| note(state, "idle"));
            TimeoutAction::Keep
        });
        let (sender, messages) = channel();
        let messages = state.handle.insert_source(messages, move |_: Event<()>, state| {
            note(state, "message");
            let me = state.handle.current().unwrap();
            let me = state.handle.downcast::<soloop::Channel<()>>(me).unwrap();
            // Applied while the source has more.
            state.handle.visit(me, move |_, state| note(state, "visit"));
        });
        state.tokens = vec![timer.into(), messages.unwrap().into()];
        sender.send(()).unwrap();
        sender.send(()).unwrap();
        state.handle.remote().post(move |state| note(state, "post"));
        assert_eq!(state.handle.current(), None);
        event_loop.dispatch(None, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.handle.current(), None);
        let mut log = state.take_log();
        log.sort();
        let visits = ["visit -1"; 3];
        let others = ["idle -1", "message 1", "message 1", "post -1", "timer 0"];
        assert_eq!(log, [&others[..], &visits].concat());
    }

    #[test]
    fn after_a_panic_it_is_the_source_of_the_panic_until_the_next_dispatch() {
        let (mut event_loop, mut state) = new_loop();
        let panics = |_, _: &mut State| panic!("as planned");
        let token = state.handle.insert_once(Timer::immediate(), panics).unwrap();
        let dispatch = AssertUnwindSafe(|| event_loop.dispatch(None, &mut state));
        assert!(catch_unwind(dispatch).is_err());
        assert_eq!(state.handle.current(), Some(token.into()));
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(state.handle.current(), None);
    }
}

mod tokens {
    use super::*;

    #[test]
    fn whether_it_is_enabled_follows_what_was_asked_and_what_became_of_it() {
        let (mut event_loop, mut state) = new_loop();
        let timer = state.handle.insert_timer(Timer::never(), |_, _| TimeoutAction::Drop);
        assert!(state.handle.is_enabled(timer), "before it is stored");
        state.handle.disable(timer);
        assert!(!state.handle.is_enabled(timer), "at once");
        event_loop.apply_pending(&mut state).unwrap();
        assert!(!state.handle.is_enabled(timer));
        state.handle.enable(timer);
        assert!(!state.handle.is_enabled(timer), "it may be refused yet");
        event_loop.apply_pending(&mut state).unwrap();
        assert!(state.handle.is_enabled(timer));
        state.handle.remove(timer);
        assert!(!state.handle.is_enabled(timer));
        event_loop.apply_pending(&mut state).unwrap();
        assert!(!state.handle.is_enabled(timer));
    }

    #[test]
    fn a_type_comes_back_only_to_what_is_of_it_and_there() {
        let (mut event_loop, mut state) = new_loop();
        let timer = state.handle.insert_timer(Timer::never(), |_, _| TimeoutAction::Drop);
        let any = AnyToken::from(timer);
        assert_eq!(state.handle.downcast::<Timer>(any), Some(timer));
        assert_eq!(state.handle.downcast::<PingSource>(any), None);
        state.handle.remove(timer);
        assert_eq!(state.handle.downcast::<Timer>(any), None);
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(state.handle.downcast::<Timer>(any), None);
    }

    #[test]
    fn all_kinds_are_ordered() {
        let (_event_loop, mut state) = new_loop();
        let mut timer = || state.handle.insert_timer(Timer::never(), |_, _| TimeoutAction::Drop);
        let timers = [timer(), timer(), timer()];
        let sorted: BTreeSet<_> = timers.into_iter().collect();
        let anonymous: BTreeSet<_> = timers.into_iter().map(AnyToken::from).collect();
        assert!(sorted.iter().eq(anonymous.iter()));
        assert_eq!(sorted.len(), 3);
        let first = state.handle.insert_idle(|_| ());
        assert!(first < state.handle.insert_idle(|_| ()));
    }
}

mod idles {
    use super::*;

    fn in_scope(scope: &Scope) -> SourceOptions {
        SourceOptions::new().scope(scope)
    }

    #[test]
    fn one_is_cancelled_and_dropped_with_its_scope_and_the_others_run() {
        let (mut event_loop, mut state) = new_loop();
        let (scope, held) = (Scope::new(), Arc::new(()));
        let captured = Arc::clone(&held);
        let token = state.handle.insert_idle_with(in_scope(&scope), move |state: &mut State| {
            drop(captured);
            state.note("in the scope");
        });
        state.handle.insert_idle(|state| state.note("outside"));
        assert_eq!(scope.len(), 1);
        drop(scope);
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(others(&held), 0);
        assert!(!state.handle.cancel_idle(token));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["outside"]);
    }

    #[test]
    fn a_scope_dropped_by_an_idle_cancels_the_next_one() {
        let (mut event_loop, mut state) = new_loop();
        let scope = Scope::new();
        let (first, second) = (in_scope(&scope), in_scope(&scope));
        state.handle.insert_idle_with(first, move |state| {
            state.note(scope.len());
            drop(scope);
        });
        state.handle.insert_idle_with(second, |_| unreachable!("its scope is gone"));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["1"], "the one that ran had left it");
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }

    #[test]
    fn one_that_ran_or_was_cancelled_leaves_its_scope() {
        let (mut event_loop, mut state) = new_loop();
        let scope = Scope::new();
        let cancelled = state.handle.insert_idle_with(in_scope(&scope), |_| unreachable!());
        state.handle.insert_idle_with(in_scope(&scope), |state| state.note("ran"));
        assert!(state.handle.cancel_idle(cancelled));
        assert_eq!(scope.len(), 1);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(scope.is_empty());
        // What comes later has their places neither in the scope nor in the queue.
        state.handle.insert_idle(|state| state.note("later"));
        drop(scope);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["ran", "later"]);
    }

    #[test]
    fn a_scope_that_is_gone_takes_none_in() {
        let (mut event_loop, mut state) = new_loop();
        let options = in_scope(&Scope::new());
        state.handle.insert_idle_with(options, |_| unreachable!());
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }

    #[test]
    fn a_destructor_that_a_scope_brings_about_keeps_the_wait_from_blocking() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = clock.now();
        let scope = Scope::new();
        state.handle.insert_idle_with(in_scope(&scope), |_| ());
        drop(scope);
        event_loop.dispatch(SECOND, &mut state).unwrap();
        assert_eq!(clock.now(), start);
    }
}

mod local_remotes {
    use super::*;

    #[test]
    fn posts_run_in_the_order_of_all_posts() {
        let (mut event_loop, mut state) = new_loop();
        let (remote, local) = (state.handle.remote(), state.handle.local_remote());
        let clone = local.clone();
        // Not `Send`.
        let not_send = std::ptr::null::<u8>();
        assert!(remote.post(|state| state.note("1")));
        assert!(
            local.post(move |state: &mut State| state.note(format!("2 {}", not_send.is_null())))
        );
        assert!(remote.post(|state| state.note("3")));
        assert!(clone.post(|state| state.note("4")));
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["1", "2 true", "3", "4"]);
    }

    #[test]
    fn one_that_is_posted_in_a_callback_runs_in_the_next_dispatch_which_does_not_block() {
        let (mut event_loop, mut state) = new_loop();
        let local = state.handle.local_remote();
        state.handle.insert_idle(move |state| {
            local.post(|state| state.note("posted"));
            state.note("idle");
        });
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["idle"]);
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["posted"]);
    }

    #[test]
    fn a_panic_loses_none_of_those_behind_it() {
        let (mut event_loop, mut state) = new_loop();
        let local = state.handle.local_remote();
        local.post(|_| panic!("as planned"));
        local.post(|state| state.note("behind"));
        let dispatch = AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state));
        assert!(catch_unwind(dispatch).is_err());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["behind"]);
    }

    #[test]
    fn with_the_loop_goes_what_it_has_not_run_even_what_holds_a_remote() {
        let (event_loop, state) = new_loop();
        let (local, held) = (state.handle.local_remote(), Arc::new(()));
        for _ in 0..2 {
            let captured = (Arc::clone(&held), local.clone());
            assert!(local.post(move |_| drop(captured)));
        }
        assert_eq!(others(&held), 2);
        drop(event_loop);
        assert_eq!(others(&held), 0);
        let captured = Arc::clone(&held);
        assert!(!local.post(move |_| drop(captured)), "the loop is gone");
        assert_eq!(others(&held), 0);
        drop(state);
        assert!(!local.post(|_| ()), "and so is the state");
    }
}

mod remote_insertions {
    use super::*;

    #[test]
    fn a_source_comes_from_a_thread() {
        let (mut event_loop, mut state) = new_loop();
        let remote = state.handle.remote();
        let thread = std::thread::spawn(move || {
            let (ping, source) = make_ping();
            ping.ping();
            remote.insert(source, |(), state: &mut State| {
                let me = state.handle.current().unwrap();
                state.note("pinged");
                state.handle.remove(me);
                state.handle.stop();
            })
        });
        event_loop.run(LONG, &mut state, |_| ()).unwrap();
        assert!(thread.join().unwrap());
        assert_eq!(state.take_log(), ["pinged"]);
        assert_eq!(event_loop.sources(&state.handle).rows.len(), 0);
    }

    #[test]
    fn a_refusal_comes_out_of_the_dispatch_once_under_the_name_of_the_source() {
        for (options, name) in
            [(SourceOptions::new(), "Generic<File>"), (SourceOptions::new().name("log"), "log")]
        {
            let (mut event_loop, mut state) = new_loop();
            let remote = state.handle.remote();
            assert!(remote.insert_with(options, regular_file(), |_, _| Ok(PostAction::Continue)));
            let failed = event_loop.dispatch(ZERO, &mut state).unwrap_err();
            let Error::Source { name: failed_name, error, .. } = &failed else {
                panic!("{failed:?}")
            };
            assert_eq!(failed_name, name);
            let error = error.downcast_ref::<io::Error>().unwrap();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("always ready"), "{error}");
            assert_eq!(event_loop.sources(&state.handle).rows.len(), 0);
            event_loop.dispatch(ZERO, &mut state).unwrap();
        }
    }

    #[test]
    fn the_policies_decide_on_a_refusal() {
        let ignore = SourceOptions::new().on_error(ErrorAction::Ignore);
        for (of_loop, options) in [(true, SourceOptions::new()), (false, ignore)] {
            let (mut event_loop, mut state) = new_loop();
            if of_loop {
                event_loop.on_error(|error, state: &mut State| {
                    state.note(error);
                    // There is nothing to enable again.
                    ErrorAction::Retry(ZERO)
                });
            }
            let remote = state.handle.remote();
            remote.insert_with(options, regular_file(), |_, _| Ok(PostAction::Continue));
            (0..3).for_each(|_| event_loop.dispatch(ZERO, &mut state).unwrap());
            assert_eq!(state.take_log().len(), usize::from(of_loop));
            assert_eq!(event_loop.sources(&state.handle).rows.len(), 0);
        }
    }

    #[test]
    fn a_loop_that_is_gone_takes_nothing_and_one_that_goes_drops_it() {
        let (event_loop, state) = new_loop();
        let (remote, held) = (state.handle.remote(), Arc::new(()));
        let insert = |captured| {
            remote.insert(Timer::immediate(), move |_, _| {
                let _: &Arc<()> = &captured;
                TimeoutAction::Drop
            })
        };
        assert!(insert(Arc::clone(&held)));
        drop(event_loop);
        assert_eq!(others(&held), 0);
        assert!(!insert(Arc::clone(&held)));
        assert_eq!(others(&held), 0);
    }

    #[test]
    fn a_scope_that_is_gone_by_then_takes_the_source_with_it() {
        let (mut event_loop, mut state) = new_loop();
        let (remote, scope) = (state.handle.remote(), Scope::new());
        let options = SourceOptions::new().scope(&scope);
        remote.insert_with(options, Timer::immediate(), |_, _| unreachable!());
        drop(scope);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(event_loop.sources(&state.handle).rows.len(), 0);
    }
}

mod until_a_deadline {
    use super::*;

    #[test]
    fn what_is_due_at_the_deadline_runs_and_nothing_after_it() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = clock.now();
        for seconds in 1..=4 {
            let timer = Timer::from_duration(seconds * SECOND);
            state.handle.insert_timer(timer, move |_, state| {
                state.note(seconds);
                TimeoutAction::Drop
            });
        }
        event_loop.run_until(start + 2 * SECOND, &mut state).unwrap();
        assert_eq!(state.take_log(), ["1", "2"]);
        assert_eq!(clock.now(), start + 2 * SECOND);
        event_loop.run_until(start + 7 * SECOND / 2, &mut state).unwrap();
        assert_eq!(state.take_log(), ["3"]);
        assert_eq!(clock.now(), start + 7 * SECOND / 2, "with no timer there");
    }

    #[test]
    fn one_that_has_passed_makes_for_one_dispatch_that_does_not_block() {
        let (mut event_loop, mut state, clock) = manual_loop();
        clock.advance(SECOND);
        let now = clock.now();
        state.handle.insert_timer(Timer::immediate(), |_, state| {
            state.note("due");
            TimeoutAction::ToDuration(ZERO)
        });
        event_loop.run_until(now - SECOND, &mut state).unwrap();
        assert_eq!(state.take_log(), ["due"]);
        assert_eq!((clock.now(), event_loop.stats().rounds), (now, 1));
    }

    #[test]
    fn a_stop_ends_it_before_and_is_then_forgotten() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = clock.now();
        state.handle.stop();
        event_loop.run_until(start + SECOND, &mut state).unwrap();
        assert_eq!((clock.now(), event_loop.stats().rounds), (start, 0));
        state.handle.insert_timer(Timer::from_duration(SECOND), |_, state| {
            state.handle.stop();
            TimeoutAction::Drop
        });
        event_loop.run_until(start + 2 * SECOND, &mut state).unwrap();
        assert_eq!(clock.now(), start + SECOND);
        event_loop.run_until(start + 2 * SECOND, &mut state).unwrap();
        assert_eq!(clock.now(), start + 2 * SECOND);
    }

    #[test]
    fn after_an_error_it_goes_on_with_the_same_deadline() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let end = clock.now() + SECOND;
        let remote = state.handle.remote();
        remote.insert(regular_file(), |_, _| Ok(PostAction::Continue));
        assert!(event_loop.run_until(end, &mut state).is_err());
        event_loop.run_until(end, &mut state).unwrap();
        assert_eq!(clock.now(), end);
    }

    #[test]
    fn in_real_time_it_returns_at_the_deadline_and_not_before() {
        let (mut event_loop, mut state) = new_loop();
        let end = state.handle.now() + Duration::from_millis(3);
        event_loop.run_until(end, &mut state).unwrap();
        assert!(state.handle.now() >= end);
    }
}

mod errors {
    use super::*;

    #[test]
    fn a_refusal_says_why_and_names_the_type_without_its_path() {
        let (_event_loop, mut state) = new_loop();
        let read = |_: soloop::Ready<'_, File>, _: &mut State| Ok(PostAction::Continue);
        let refused = state.handle.insert_source(regular_file(), read).unwrap_err();
        assert_eq!(refused.error.raw_os_error(), Some(1), "EPERM");
        let text = refused.to_string();
        assert!(text.starts_with("cannot insert a source `Generic<File>`: "), "{text}");
        assert!(text.contains("always ready, and epoll does not watch them"), "{text}");
        let error = io::Error::from(refused);
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::PermissionDenied, text));
        let other = InsertError::new(ErrorKind::NotFound.into(), Timer::never());
        assert_eq!(other.to_string(), "cannot insert a source `Timer`: entity not found");
    }

    #[test]
    fn one_of_the_loop_turns_into_one_of_io_with_its_kind() {
        let (_event_loop, mut state) = new_loop();
        let token = state.handle.insert_timer(Timer::never(), |_, _| TimeoutAction::Drop);
        let broken = || io::Error::from(ErrorKind::BrokenPipe);
        let kind = |error| io::Error::from(error).kind();
        assert_eq!(kind(Error::Io(broken())), ErrorKind::BrokenPipe);
        assert_eq!(kind(Error::of_source(token, "client", broken())), ErrorKind::BrokenPipe);
        assert_eq!(kind(Error::of_source(token, "client", "gone")), ErrorKind::Other);
        assert_eq!(kind(Error::ForeignHandle), ErrorKind::Other);
        let error = io::Error::from(Error::of_source(token, "client", broken()));
        assert_eq!(error.to_string(), "source `client` failed: broken pipe");
        let inner = error.into_inner().unwrap().downcast::<Error>().unwrap();
        assert_eq!(inner.token(), Some(token.into()));
    }
}

#[test]
fn interests_combine() {
    let all = Interest::READ | Interest::WRITE | Interest::PRIORITY;
    assert_eq!(all, Interest { readable: true, writable: true, priority: true });
    let mut none = Interest::EMPTY;
    none |= Interest::EMPTY;
    assert_eq!(none, Interest::default());
}

/// What is printed of a handle shows how much waits in it.
#[test]
fn what_is_queued_is_seen_in_a_debug_output() {
    let (mut event_loop, mut state) = new_loop();
    assert_eq!(format!("{:?}", state.handle), "LoopHandle { ops: 0 pending, idles: 0 idle, .. }");
    let token = state.handle.insert_source(make_ping().1, |(), _: &mut State| ()).unwrap();
    state.handle.disable(token);
    state.handle.insert_idle(|_: &mut State| ());
    assert_eq!(format!("{:?}", state.handle), "LoopHandle { ops: 2 pending, idles: 1 idle, .. }");
    // Of moves in a row the last counts.
    let timer = Timer::from_deadline(state.handle.now());
    let timer = state.handle.insert_source(timer, |_, _: &mut State| TimeoutAction::Drop).unwrap();
    for _ in 0..2 {
        state.handle.set_deadline(timer, state.handle.now());
    }
    assert_eq!(format!("{:?}", state.handle), "LoopHandle { ops: 4 pending, idles: 1 idle, .. }");
    assert_eq!(format!("{:?}", state.handle.local_remote()), "LocalRemote { .. }");
    assert_eq!(format!("{:?}", state.handle.remote()), "Remote { .. }");
    event_loop.apply_pending(&mut state).unwrap();
    let text = format!("{event_loop:?}");
    assert!(text.contains("PingSource") && text.contains("Timer"), "{text}");
}
