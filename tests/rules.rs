//! The rules of a dispatch, one module a rule.

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use common::{
    LONG, State, ZERO, is_readable, manual_loop, new_loop, readable_within, wait_for_hang_up,
};
use soloop::{
    Clock, Error, ErrorAction, EventLoop, Generic, Interest, LoopData, LoopHandle, Mode,
    PostAction, Ready, Remote, SourceOptions, TimeoutAction, Timer, Token, make_ping,
};

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

type Socket = Generic<UnixStream>;

/// A source over one end of a socket pair, and the other end.
fn pair() -> (UnixStream, Socket) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (ours, Generic::new(theirs, Interest::READ, Mode::Level))
}

fn read_some(ready: Ready<'_, UnixStream>) -> std::io::Result<PostAction> {
    let n = ready.io.read(&mut [0; 64])?;
    Ok(if n == 0 { PostAction::Remove } else { PostAction::Continue })
}

/// Inserts a source that notes `name` each time it is readable. What is written to the other end makes it so.
fn insert_noting(state: &mut State, name: &'static str) -> (UnixStream, Token<Socket>) {
    let (ours, source) = pair();
    let noting = move |ready: Ready<'_, UnixStream>, state: &mut State| {
        state.note(name);
        read_some(ready)
    };
    (ours, state.handle.insert_source(source, noting).unwrap())
}

fn poke(mut end: &UnixStream) {
    end.write_all(b"x").unwrap();
}

mod rule_1_ops_are_settled_after_every_callback {
    use super::*;

    /// Three readable sources, of which the first that runs does `op` to the others.
    fn first_does_to_the_others(op: fn(&mut State, soloop::AnyToken) -> bool) -> (usize, State) {
        let (mut event_loop, mut state) = new_loop();
        let mut ends = Vec::new();
        for index in 0..3 {
            let (ours, source) = pair();
            let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
                state.note(index);
                if state.log.len() == 1 {
                    for other in (0..3).filter(|other| *other != index) {
                        let token = state.tokens[other];
                        assert!(op(state, token));
                    }
                }
                read_some(ready)
            };
            let token = state.handle.insert_source(source, callback).unwrap();
            state.tokens.push(token.into());
            poke(&ours);
            ends.push(ours);
        }
        event_loop.dispatch(LONG, &mut state).unwrap();
        let ran = state.take_log().len();
        // Nor later.
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(state.log.is_empty());
        (ran, state)
    }

    #[test]
    fn a_source_removed_in_a_batch_gets_no_event_of_it() {
        let (ran, state) = first_does_to_the_others(|state, other| state.handle.remove(other));
        assert_eq!(ran, 1);
        let left = state.tokens.iter().filter(|token| state.handle.contains(**token)).count();
        assert_eq!(left, 1);
    }

    #[test]
    fn a_source_disabled_in_a_batch_gets_no_event_of_it() {
        let (ran, state) = first_does_to_the_others(|state, other| state.handle.disable(other));
        assert_eq!(ran, 1);
        assert!(state.tokens.iter().all(|token| state.handle.contains(*token)));
    }

    #[test]
    fn ops_apply_in_the_order_they_were_issued() {
        let (mut event_loop, mut state) = new_loop();
        let (ping, source) = make_ping();
        state
            .handle
            .insert_source(source, |(), state: &mut State| {
                let handle = &mut state.handle;
                let timer =
                    handle.insert_source(Timer::from_duration(HOUR), |_, _| TimeoutAction::Drop);
                let timer = timer.unwrap();
                assert!(handle.contains(timer), "valid at once");
                assert!(handle.visit(timer, |_, state: &mut State| state.note("first")));
                assert!(handle.visit(timer, |_, state: &mut State| state.note("second")));
                assert!(handle.take(timer, |_timer, state: &mut State| state.note("taken")));
                assert!(!handle.contains(timer));
                assert!(!handle.visit(timer, |_, state: &mut State| state.note("never")));
                assert!(!handle.remove(timer));
                handle.insert_idle(|state: &mut State| state.note("idle"));
                state.note("callback");
            })
            .unwrap();
        ping.ping();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["callback", "first", "second", "taken", "idle"]);
    }

    #[test]
    fn ops_apply_before_the_next_callback_of_the_same_source() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::channel();
        let token = state.handle.insert_source(channel, |event, state: &mut State| {
            state.note(format!("{event:?}"));
            let token = state.tokens[0];
            state.handle.remove(token);
        });
        state.tokens.push(token.unwrap().into());
        (0..100).for_each(|n| sender.send(n).unwrap());
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["Msg(0)"]);
        assert!(sender.send(100).is_err(), "the channel is gone");
    }

    #[test]
    fn the_explicit_op_wins_over_the_answer() {
        type Op = fn(&mut State, Token<Socket>) -> bool;
        let stays: [(Op, PostAction, bool); 6] = [
            (|s, t| s.handle.disable(t), PostAction::Reregister, false),
            (|s, t| s.handle.enable(t), PostAction::Remove, true),
            (|s, t| s.handle.update(t, |_| ()), PostAction::Disable, true),
            (|s, t| s.handle.update(t, |_| ()), PostAction::Remove, true),
            (|s, t| s.handle.disable(t), PostAction::Remove, false),
            // An op about another source does not make the first one forgotten.
            (|s, t| s.handle.enable(t) && s.handle.remove(s.tokens[0]), PostAction::Remove, true),
        ];
        for (case, (op, answer, goes_on)) in stays.into_iter().enumerate() {
            let (mut event_loop, mut state) = new_loop();
            let other = Timer::from_duration(HOUR);
            let other = state.handle.insert_timer(other, |_, _| TimeoutAction::Drop);
            state.tokens.push(other.into());
            let (ours, source) = pair();
            // The callback learns its own token from the outside.
            let (sender, tokens) = std::sync::mpsc::channel();
            let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
                state.note("ran");
                read_some(ready)?;
                if let Ok(token) = tokens.try_recv() {
                    assert!(op(state, token));
                    return Ok(answer);
                }
                Ok(PostAction::Continue)
            };
            let token = state.handle.insert_source(source, callback).unwrap();
            sender.send(token).unwrap();
            for _ in 0..2 {
                poke(&ours);
                event_loop.dispatch(ZERO, &mut state).unwrap();
            }
            assert!(state.handle.contains(token), "case {case}");
            assert_eq!(state.take_log().len(), if goes_on { 2 } else { 1 }, "case {case}");
            state.handle.enable(token);
            event_loop.dispatch(ZERO, &mut state).unwrap();
            assert_eq!(state.log.len(), usize::from(!goes_on), "case {case}: it waited");
        }
    }

    #[test]
    fn an_explicit_op_does_not_lose_the_backlog_of_a_source_that_goes_on() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::channel();
        let token = state.handle.insert_source(channel, |event, state: &mut State| {
            if let soloop::channel::Event::Msg(n) = event {
                state.note(n);
                let token = state.tokens[0];
                state.handle.enable(token);
            }
        });
        state.tokens.push(token.unwrap().into());
        (0..3).for_each(|n| sender.send(n).unwrap());
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["0", "1", "2"]);
    }
}

mod rule_2_insertion_registers_at_once {
    use super::*;

    #[test]
    fn its_error_and_the_source_are_in_the_callers_hand() {
        let (mut event_loop, mut state) = new_loop();
        let (ping, source) = make_ping();
        state
            .handle
            .insert_source(source, |(), state: &mut State| {
                let file = std::fs::File::open("/proc/self/exe").unwrap();
                let source = Generic::new(file, Interest::READ, Mode::Level);
                let refused = state
                    .handle
                    .insert_source(source, |_, _: &mut State| Ok(PostAction::Continue))
                    .unwrap_err();
                assert_eq!(refused.error.raw_os_error(), Some(1), "EPERM: a regular file");
                assert!(refused.to_string().contains("`Generic<File>`"), "{refused}");
                refused.source.into_inner().read_exact(&mut [0; 4]).unwrap();
                state.note("refused");
            })
            .unwrap();
        ping.ping();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["refused"]);
    }

    #[test]
    fn an_event_from_before_the_slot_is_stored_is_not_lost() {
        for mode in [Mode::Level, Mode::Edge, Mode::OneShot] {
            let (mut event_loop, mut state) = new_loop();
            let (ours, theirs) = UnixStream::pair().unwrap();
            poke(&ours);
            let source = Generic::new(theirs, Interest::READ, mode);
            let callback = |ready: Ready<'_, UnixStream>, state: &mut State| {
                state.note("ran");
                read_some(ready)
            };
            state.handle.insert_source(source, callback).unwrap();
            event_loop.dispatch(LONG, &mut state).unwrap();
            assert_eq!(state.log, ["ran"], "{mode:?}");
        }
    }

    #[test]
    fn a_token_works_before_its_slot_is_stored() {
        let (mut event_loop, mut state) = new_loop();
        let (ours, token) = insert_noting(&mut state, "a");
        assert!(event_loop.get(token).is_none(), "not settled yet");
        state.handle.disable(token);
        poke(&ours);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(event_loop.get(token).is_some());
        assert!(state.log.is_empty());
    }
}

mod rule_3_timers {
    use super::*;

    fn insert_timer(state: &mut State, deadline: Instant, name: &'static str) -> Token<Timer> {
        let callback = move |at, state: &mut State| {
            assert_eq!(at, deadline);
            state.note(name);
            TimeoutAction::Drop
        };
        state.handle.insert_source(Timer::from_deadline(deadline), callback).unwrap()
    }

    #[test]
    fn fire_in_the_order_of_deadlines_then_of_insertion_after_the_fds() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = clock.now();
        insert_timer(&mut state, start + 3 * MS, "third");
        insert_timer(&mut state, start + MS, "first");
        insert_timer(&mut state, start + 2 * MS, "second a");
        insert_timer(&mut state, start + 2 * MS, "second b");
        insert_timer(&mut state, start - HOUR, "long ago");
        insert_timer(&mut state, start - 2 * HOUR, "longer ago");
        insert_timer(&mut state, start + HOUR, "later");
        let (ours, _) = insert_noting(&mut state, "fd");
        let (ping, source) = make_ping();
        state.handle.insert_source(source, |(), state: &mut State| state.note("ping")).unwrap();
        poke(&ours);
        clock.advance(10 * MS);
        ping.ping();
        event_loop.dispatch(None, &mut state).unwrap();
        let mut log = state.take_log();
        log[..2].sort();
        assert_eq!(
            log,
            ["fd", "ping", "longer ago", "long ago", "first", "second a", "second b", "third"]
        );
    }

    /// As many as the loop reads ahead of several times.
    #[test]
    fn many_fire_in_order_while_callbacks_cancel_others_of_them() {
        const MANY: usize = 200;
        let clock = Clock::manual();
        let (mut event_loop, handle) = EventLoop::with_clock(clock.clone()).unwrap();
        let mut state = Many { handle, tokens: Vec::new(), fired: Vec::new() };
        let start = clock.now();
        for n in 0..MANY {
            // Inserted in another order than that of their deadlines; each third cancels the next one.
            let turn = n * 77 % MANY;
            let callback = move |_, state: &mut Many| {
                state.fired.push(turn);
                if turn.is_multiple_of(3) {
                    let (_, next) = state.tokens[(turn + 1) % MANY];
                    state.handle.remove(next);
                }
                TimeoutAction::Drop
            };
            let deadline = start + MS * u32::try_from(turn).unwrap();
            let token = state.handle.insert_source(Timer::from_deadline(deadline), callback);
            state.tokens.push((turn, token.unwrap()));
        }
        state.tokens.sort_by_key(|&(turn, _)| turn);
        event_loop.apply_pending(&mut state).unwrap();
        clock.advance(HOUR);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.fired, (0..MANY).filter(|turn| turn % 3 != 1).collect::<Vec<_>>());
    }

    struct Many {
        handle: LoopHandle<Self>,
        /// By the turn at which they fire.
        tokens: Vec<(usize, Token<Timer>)>,
        fired: Vec<usize>,
    }

    impl LoopData for Many {
        fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
            &mut self.handle
        }
    }

    #[test]
    fn one_that_is_moved_by_its_token_comes_before_what_is_armed_for_the_same_later() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let deadline = clock.now() + MS;
        let later = Timer::from_deadline(deadline + HOUR);
        let moved = state.handle.insert_source(later, |_, state: &mut State| {
            state.note("moved");
            TimeoutAction::Drop
        });
        event_loop.apply_pending(&mut state).unwrap();
        state.handle.set_deadline(moved.unwrap(), deadline);
        insert_timer(&mut state, deadline, "inserted");
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.log, ["moved", "inserted"]);
    }

    #[test]
    fn one_that_a_callback_of_the_batch_moves_or_cancels_does_not_fire() {
        type Move = fn(&mut LoopHandle<State>, Token<Timer>, Instant) -> bool;
        let ways: [Move; 2] = [LoopHandle::set_deadline, |handle, timer, deadline| {
            handle.update(timer, move |timer| timer.set_deadline(deadline))
        }];
        for to in ways {
            let (mut event_loop, mut state, clock) = manual_loop();
            let deadline = clock.now() + MS;
            let moved = insert_timer(&mut state, deadline + HOUR, "moved");
            let cancelled = insert_timer(&mut state, deadline + MS, "cancelled");
            to(&mut state.handle, moved, deadline + MS);
            let callback = move |_, state: &mut State| {
                state.note("first");
                to(&mut state.handle, moved, deadline + HOUR);
                state.handle.remove(cancelled);
                TimeoutAction::Drop
            };
            state.handle.insert_source(Timer::from_deadline(deadline), callback).unwrap();
            event_loop.apply_pending(&mut state).unwrap();
            clock.advance(10 * MS);
            event_loop.dispatch(ZERO, &mut state).unwrap();
            assert_eq!(state.log, ["first"]);
            event_loop.dispatch(None, &mut state).unwrap();
            assert_eq!(state.log, ["first", "moved"]);
            assert_eq!(clock.now(), deadline + HOUR);
        }
    }

    #[test]
    fn one_re_armed_for_now_or_the_past_fires_in_the_next_round() {
        let again: [fn(Instant) -> TimeoutAction; 3] = [
            TimeoutAction::ToInstant,
            |at| TimeoutAction::ToInstant(at - HOUR),
            |_| TimeoutAction::ToDuration(ZERO),
        ];
        for again in again {
            let (mut event_loop, mut state, _) = manual_loop();
            let callback = move |at, state: &mut State| {
                state.note("again");
                again(at)
            };
            state.handle.insert_source(Timer::immediate(), callback).unwrap();
            for rounds in 1..=3 {
                event_loop.dispatch(ZERO, &mut state).unwrap();
                assert_eq!(state.log.len(), rounds);
            }
        }
    }

    #[test]
    fn one_inserted_by_a_callback_and_due_already_fires_in_the_next_round() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let past = clock.now() - HOUR;
        let callback = move |_, state: &mut State| {
            insert_timer(state, past, "inner");
            state.note("outer");
            TimeoutAction::Drop
        };
        state.handle.insert_source(Timer::immediate(), callback).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["outer"]);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["inner"]);
    }
}

mod rule_4_nothing_is_lost_on_error_or_panic {
    use super::*;

    /// A failing source among others, all ready at once: `fail` is what its callback does.
    fn batch(
        fail: fn() -> std::io::Result<PostAction>,
    ) -> (soloop::EventLoop<State>, State, Vec<UnixStream>) {
        let (event_loop, mut state) = new_loop();
        let mut ends = Vec::new();
        for mode in [Mode::Level, Mode::Edge, Mode::OneShot] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let source = Generic::new(theirs, Interest::READ, mode);
            let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
                state.note(format!("{mode:?}"));
                read_some(ready)
            };
            let failing = ends.is_empty();
            if failing {
                let (first, source) = pair();
                let callback = move |ready: Ready<'_, UnixStream>, _: &mut State| {
                    read_some(ready)?;
                    fail()
                };
                let options = SourceOptions::new().name("the bad one");
                state.handle.insert_source_with(options, source, callback).unwrap();
                poke(&first);
                ends.push(first);
            }
            state.handle.insert_source(source, callback).unwrap();
            poke(&ours);
            ends.push(ours);
        }
        let timer = |_, state: &mut State| {
            state.note("timer");
            TimeoutAction::Drop
        };
        state.handle.insert_source(Timer::immediate(), timer).unwrap();
        let (ping, source) = make_ping();
        state.handle.insert_source(source, |(), state: &mut State| state.note("ping")).unwrap();
        ping.ping();
        state.handle.insert_source(Timer::from_duration(HOUR), timer).unwrap();
        (event_loop, state, ends)
    }

    fn sorted(mut log: Vec<String>) -> Vec<String> {
        log.sort();
        log
    }

    const ALL: [&str; 5] = ["Edge", "Level", "OneShot", "ping", "timer"];

    #[test]
    fn an_error_comes_out_and_the_rest_of_the_batch_is_delivered_next() {
        let (mut event_loop, mut state, _ends) = batch(|| Err(std::io::Error::other("no luck")));
        let error = event_loop.dispatch(LONG, &mut state).unwrap_err();
        assert_eq!(error.to_string(), "source `the bad one` failed: no luck");
        let Error::Source { token, name, error, .. } = &error else { panic!("{error:?}") };
        assert!(state.handle.contains(*token));
        assert_eq!(name, "the bad one");
        assert_eq!(error.to_string(), "no luck");
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(sorted(state.take_log()), ALL);
    }

    #[test]
    fn a_policy_decides_on_errors() {
        for (action, remains) in [
            (ErrorAction::Ignore, true),
            (ErrorAction::Disable, true),
            (ErrorAction::Remove, false),
        ] {
            let (mut event_loop, mut state, ends) = batch(|| Err(std::io::Error::other("no luck")));
            event_loop.on_error(move |error, state: &mut State| {
                state.tokens.push(error.token().unwrap());
                action
            });
            event_loop.dispatch(LONG, &mut state).unwrap();
            assert_eq!(sorted(state.take_log()), ALL, "{action:?}");
            assert_eq!(state.handle.contains(state.tokens[0]), remains, "{action:?}");
            if remains {
                poke(&ends[0]);
                event_loop.dispatch(ZERO, &mut state).unwrap();
                let again = action == ErrorAction::Ignore;
                assert_eq!(state.tokens.len(), if again { 2 } else { 1 }, "{action:?}");
            }
        }
    }

    #[test]
    fn a_panic_leaves_a_loop_that_goes_on() {
        let (mut event_loop, mut state, _ends) = batch(|| panic!("on purpose"));
        let panicked = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(LONG, &mut state)));
        assert!(panicked.is_err());
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(sorted(state.take_log()), ALL);
    }

    #[test]
    fn a_panic_does_not_lose_the_backlog_of_its_source() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::channel();
        let callback = |event, state: &mut State| {
            let soloop::channel::Event::Msg(n) = event else {
                return;
            };
            state.note(n);
            assert_ne!(n, 1, "on purpose");
        };
        state.handle.insert_source(channel, callback).unwrap();
        (0..4).for_each(|n| sender.send(n).unwrap());
        let panicked = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(LONG, &mut state)));
        assert!(panicked.is_err());
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.log, ["0", "1", "2", "3"]);
    }

    #[test]
    fn a_panic_after_reading_makes_no_event_of_its_own() {
        let (mut event_loop, mut state) = new_loop();
        let (ours, source) = pair();
        let callback = |ready: Ready<'_, UnixStream>, state: &mut State| {
            state.note("called");
            assert_ne!(state.log.len(), 1, "{:?}, on purpose", read_some(ready));
            Ok(PostAction::Continue)
        };
        state.handle.insert_source(source, callback).unwrap();
        poke(&ours);
        let panicked = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(LONG, &mut state)));
        assert!(panicked.is_err());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["called"]);
    }

    #[test]
    fn a_panic_in_an_op_or_an_idle_loses_no_other() {
        let (mut event_loop, mut state) = new_loop();
        let timer = Timer::from_duration(HOUR);
        let token = state.handle.insert_source(timer, |_, _| TimeoutAction::Drop).unwrap();
        state.handle.visit(token, |_, _| panic!("on purpose"));
        state.handle.visit(token, |_, state: &mut State| state.note("visit"));
        state.handle.insert_idle(|_| panic!("on purpose"));
        state.handle.insert_idle(|state: &mut State| state.note("idle"));
        for _ in 0..2 {
            let result = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(None, &mut state)));
            assert!(result.is_err());
        }
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.log, ["visit", "idle"]);
    }
}

mod rule_5_what_keeps_the_wait_from_blocking {
    use super::*;

    /// The clock stands still unless the loop blocks.
    fn does_not_block(prepare: impl FnOnce(&mut State)) -> State {
        let (mut event_loop, mut state, clock) = manual_loop();
        let timer = Timer::from_duration(HOUR);
        let token = state.handle.insert_source(timer, |_, _| TimeoutAction::Drop).unwrap();
        state.tokens.push(token.into());
        event_loop.apply_pending(&mut state).unwrap();
        let before = clock.now();
        prepare(&mut state);
        event_loop.dispatch(10 * MS, &mut state).unwrap();
        assert_eq!(clock.now(), before);
        // The reason is used up.
        event_loop.dispatch(10 * MS, &mut state).unwrap();
        assert_eq!(clock.now(), before + 10 * MS);
        state
    }

    #[test]
    fn a_pending_idle() {
        let state = does_not_block(|state| {
            state.handle.insert_idle(|state: &mut State| state.note("idle"));
        });
        assert_eq!(state.log, ["idle"]);
    }

    #[test]
    fn a_wake_up_asked_for_before() {
        does_not_block(|state| state.handle.signal().wakeup());
        does_not_block(|state| state.handle.remote().wakeup());
    }

    #[test]
    fn settled_user_code() {
        let state = does_not_block(|state| {
            state.handle.remote().post(|state: &mut State| state.note("posted"));
        });
        assert_eq!(state.log, ["posted"]);
        let (mut event_loop, mut state, clock) = manual_loop();
        for round in 0..2 {
            let timer = Timer::from_duration(HOUR);
            let token = state.handle.insert_source(timer, |_, _| TimeoutAction::Drop).unwrap();
            if round == 0 {
                state.handle.visit(token, |_, state: &mut State| state.note("visit"));
            } else {
                state.handle.take(token, |_, state: &mut State| state.note("take"));
            }
            let before = clock.now();
            event_loop.dispatch(10 * MS, &mut state).unwrap();
            assert_eq!(clock.now(), before);
        }
        assert_eq!(state.log, ["visit", "take"]);
    }

    #[test]
    fn a_stop_is_none_of_it_but_for_a_run() {
        let (mut event_loop, mut state, clock) = manual_loop();
        state.handle.stop();
        let before = clock.now();
        event_loop.dispatch(10 * MS, &mut state).unwrap();
        assert_eq!(clock.now() - before, 10 * MS);
        event_loop.run(None, &mut state, |_| panic!("it was stopped")).unwrap();
    }

    #[test]
    fn a_stop_before_run_is_honoured_once() {
        let (mut event_loop, mut state) = new_loop();
        state.handle.stop();
        event_loop.run(None, &mut state, |_| panic!("it was stopped")).unwrap();
        let (ping, source) = make_ping();
        state.handle.insert_source(source, |(), state: &mut State| state.handle.stop()).unwrap();
        ping.ping();
        let mut rounds = 0;
        event_loop.run(None, &mut state, |_| rounds += 1).unwrap();
        assert_eq!(rounds, 1);
    }
}

mod rule_6_user_code_runs_only_while_the_tables_are_whole {
    use super::*;

    /// Does something to the loop when it is dropped, as the guard of a resource would.
    struct Guard(Remote<State>, Box<dyn Fn(&mut State) + Send + Sync>);

    impl Drop for Guard {
        fn drop(&mut self) {
            let act = std::mem::replace(&mut self.1, Box::new(|_| ()));
            self.0.post(move |state| act(state));
        }
    }

    #[test]
    fn a_destructor_may_change_the_loop() {
        let (mut event_loop, mut state) = new_loop();
        let (_end, sibling) = insert_noting(&mut state, "sibling");
        let guard = Guard(
            state.handle.remote(),
            Box::new(move |state| {
                assert!(state.handle.remove(sibling));
                state.note("guard");
            }),
        );
        let token = state.handle.insert_source(Timer::from_duration(HOUR), move |_, _| {
            let _ = &guard;
            TimeoutAction::Drop
        });
        state.handle.remove(token.unwrap());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["guard"]);
        assert!(!state.handle.contains(sibling));
    }

    #[test]
    fn destructors_of_idles_posts_and_refused_sources_may_post() {
        let (event_loop, mut state) = new_loop();
        let guard = |state: &State| Guard(state.handle.remote(), Box::new(|_| ()));
        let held = guard(&state);
        let idle = state.handle.insert_idle(move |_| drop(held));
        assert!(state.handle.cancel_idle(idle));
        let (held, remote) = (guard(&state), state.handle.remote());
        assert!(remote.post(move |_| drop(held)));
        drop(event_loop);
        let held = guard(&state);
        assert!(!remote.post(move |_| drop(held)), "the loop is gone");
    }
}

mod rule_7_the_loops_own_fd {
    use super::*;

    /// Readable exactly while there is something to do; dispatches until there is not.
    fn expect_work(event_loop: &mut soloop::EventLoop<State>, state: &mut State) {
        assert!(readable_within(&*event_loop, LONG));
        let mut rounds = 0;
        while is_readable(&*event_loop) {
            event_loop.dispatch(ZERO, state).unwrap();
            rounds += 1;
            assert!(rounds < 100, "it settles down");
        }
    }

    #[test]
    fn tells_of_everything_that_a_dispatch_would_do() {
        let (mut event_loop, mut state) = new_loop();
        let (end, _) = insert_noting(&mut state, "fd");
        let (ping, source) = make_ping();
        state.handle.insert_source(source, |(), state: &mut State| state.note("ping")).unwrap();
        let (sender, channel) = soloop::channel();
        state
            .handle
            .insert_source(channel, |event, state: &mut State| {
                if event == soloop::channel::Event::Msg(()) {
                    state.note("message");
                }
            })
            .unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        state.take_log();
        assert!(!is_readable(&event_loop));

        poke(&end);
        expect_work(&mut event_loop, &mut state);
        ping.ping();
        expect_work(&mut event_loop, &mut state);
        sender.send(()).unwrap();
        expect_work(&mut event_loop, &mut state);
        state.handle.remote().post(|state: &mut State| state.note("posted"));
        expect_work(&mut event_loop, &mut state);
        state.handle.insert_idle(|state: &mut State| state.note("idle"));
        expect_work(&mut event_loop, &mut state);
        let timer = |_, state: &mut State| {
            state.note("timer");
            TimeoutAction::Drop
        };
        state.handle.insert_source(Timer::from_duration(MS), timer).unwrap();
        expect_work(&mut event_loop, &mut state); // the insertion
        if state.log.last().unwrap() != "timer" {
            expect_work(&mut event_loop, &mut state); // the deadline
        }
        state.handle.signal().wakeup();
        expect_work(&mut event_loop, &mut state);
        assert_eq!(state.log, ["fd", "ping", "message", "posted", "idle", "timer"]);
    }

    #[test]
    fn is_readable_at_once_if_there_was_work_before_it_was_asked_for() {
        type Work = fn(&mut State);
        let works: [Work; 4] = [
            |state| {
                state.handle.insert_idle(|state: &mut State| state.note("done"));
            },
            |state| {
                state.handle.remote().post(|state: &mut State| state.note("done"));
            },
            |state| {
                let timer = |_, state: &mut State| {
                    state.note("done");
                    TimeoutAction::Drop
                };
                state.handle.insert_source(Timer::immediate(), timer).unwrap();
            },
            |state| {
                let (ping, source) = make_ping();
                let callback = |(), state: &mut State| state.note("done");
                state.handle.insert_source(source, callback).unwrap();
                ping.ping();
            },
        ];
        for (case, work) in works.into_iter().enumerate() {
            let (mut event_loop, mut state) = new_loop();
            event_loop.dispatch(ZERO, &mut state).unwrap();
            work(&mut state);
            assert!(is_readable(&event_loop), "case {case}");
            while state.log.is_empty() {
                event_loop.dispatch(ZERO, &mut state).unwrap();
            }
            event_loop.dispatch(ZERO, &mut state).unwrap();
            assert!(!is_readable(&event_loop), "case {case}");
        }
        // No alarm goes off on a clock that is moved by hand.
        let (mut event_loop, mut state, clock) = manual_loop();
        state.handle.insert_timer(Timer::from_duration(MS), |_, _| TimeoutAction::Drop);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        clock.advance(MS);
        assert!(is_readable(&event_loop));
    }

    #[test]
    fn the_alarm_follows_the_nearest_deadline() {
        let (mut event_loop, mut state) = new_loop();
        let timer = Timer::from_duration(HOUR);
        let timer = state.handle.insert_source(timer, |_, state: &mut State| {
            state.note("fired");
            TimeoutAction::Drop
        });
        let timer = timer.unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(!is_readable(&event_loop));
        // Nearer, and away again before anybody looked: disarmed in time.
        let soon = Instant::now() + 50 * MS;
        state.handle.update(timer, move |timer| timer.set_deadline(soon));
        event_loop.apply_pending(&mut state).unwrap();
        state.handle.update(timer, |timer| timer.set_duration(HOUR));
        event_loop.apply_pending(&mut state).unwrap();
        assert!(!readable_within(&event_loop, 100 * MS));
        // And one that is removed, with none left.
        let (mut alone, mut other) = new_loop();
        assert!(!is_readable(&alone));
        let soon = Timer::from_duration(50 * MS);
        let soon = other.handle.insert_source(soon, |_, _| TimeoutAction::Drop).unwrap();
        alone.apply_pending(&mut other).unwrap();
        other.handle.remove(soon);
        alone.apply_pending(&mut other).unwrap();
        assert!(!readable_within(&alone, 100 * MS));
        state.handle.update(timer, |timer| timer.set_duration(MS));
        event_loop.apply_pending(&mut state).unwrap();
        assert!(readable_within(&event_loop, LONG));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["fired"]);
        assert!(!is_readable(&event_loop));
    }

    #[test]
    fn what_an_error_left_over_keeps_it_readable() {
        let (mut event_loop, mut state) = new_loop();
        assert!(!is_readable(&event_loop));
        for name in ["a", "b"] {
            let (_, source) = pair(); // hung up: readable
            let callback = move |_: Ready<'_, UnixStream>, state: &mut State| {
                state.note(name);
                state.handle.insert_idle(|_| ());
                Err(std::io::Error::other(name))
            };
            let mut source = source;
            source.mode = Mode::Edge;
            state.handle.insert_source(source, callback).unwrap();
        }
        event_loop.dispatch(LONG, &mut state).unwrap_err();
        assert!(is_readable(&event_loop));
        event_loop.dispatch(ZERO, &mut state).unwrap_err();
        assert_eq!(state.log.len(), 2);
    }

    #[test]
    fn a_loop_nests_in_a_loop() {
        let (mut inner, mut inner_state) = new_loop();
        let (mut outer, mut state) = new_loop();
        let timer = |_, state: &mut State| {
            state.note("inner timer");
            TimeoutAction::Drop
        };
        inner_state.handle.insert_source(Timer::from_duration(MS), timer).unwrap();
        let inner_remote = inner_state.handle.remote();
        inner.dispatch(ZERO, &mut inner_state).unwrap();
        inner_state.take_log();

        struct Inner(soloop::EventLoop<State>, State);
        impl std::os::fd::AsFd for Inner {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.0.as_fd()
            }
        }
        let source = Generic::new(Inner(inner, inner_state), Interest::READ, Mode::Level);
        let callback = |ready: Ready<'_, Inner>, state: &mut State| {
            let Inner(inner, inner_state) = ready.io;
            inner.dispatch(ZERO, inner_state).map_err(std::io::Error::other)?;
            state.log.append(&mut inner_state.log);
            Ok(PostAction::Continue)
        };
        state.handle.insert_source(source, callback).unwrap();
        while state.log.is_empty() {
            outer.dispatch(LONG, &mut state).unwrap();
        }
        assert_eq!(state.take_log(), ["inner timer"]);
        let thread = std::thread::spawn(move || {
            inner_remote.post(|state: &mut State| state.note("from afar"))
        });
        while state.log.is_empty() {
            outer.dispatch(LONG, &mut state).unwrap();
        }
        assert_eq!(state.take_log(), ["from afar"]);
        assert!(thread.join().unwrap());
    }
}

mod rule_8_precision {
    use super::*;

    #[test]
    fn timers_are_never_early_and_keep_sub_millisecond_precision() {
        let (mut event_loop, mut state) = new_loop();
        let callback = |deadline: Instant, state: &mut State| {
            let late = Instant::now().checked_duration_since(deadline).expect("never early");
            state.note(late.as_micros());
            TimeoutAction::ToInstant(Instant::now() + Duration::from_micros(300))
        };
        state.handle.insert_source(Timer::immediate(), callback).unwrap();
        while state.log.len() < 200 {
            event_loop.dispatch(None, &mut state).unwrap();
        }
        let mut late: Vec<u64> = state.log.iter().map(|late| late.parse().unwrap()).collect();
        late.sort();
        // A timeout rounded up to whole milliseconds would be late by 700 µs each time.
        let median = late[late.len() / 2];
        assert!(median < 600, "half of them were late by more than {median} µs");
    }

    /// What else ends the wait says nothing of a deadline that is near.
    #[test]
    fn timers_are_not_early_beside_something_else() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let deadline = clock.now() + Duration::from_micros(500);
        let callback = |_, state: &mut State| {
            state.note("timer");
            TimeoutAction::Drop
        };
        state.handle.insert_source(Timer::from_deadline(deadline), callback).unwrap();
        let (ping, source) = make_ping();
        state.handle.insert_source(source, |(), state: &mut State| state.note("ping")).unwrap();
        clock.advance(Duration::from_nanos(499_999));
        ping.ping();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.take_log(), ["ping"]);
        clock.advance(Duration::from_nanos(1));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["timer"]);
    }
}

/// Found by the model in `model.rs`.
mod found_by_the_model {
    use super::*;

    #[test]
    fn a_source_inserted_once_goes_whatever_its_callback_asks_for_or_answers() {
        type Do = fn(&mut State) -> std::io::Result<PostAction>;
        let callbacks: [Do; 3] = [
            |state| {
                let token = state.tokens[0];
                state.handle.enable(token);
                Ok(PostAction::Continue)
            },
            |state| {
                let token = state.tokens[0];
                state.handle.disable(token);
                Ok(PostAction::Reregister)
            },
            |_| Err(std::io::Error::other("as told")),
        ];
        for callback in callbacks {
            let (mut event_loop, mut state) = new_loop();
            let (ours, source) = pair();
            let token = state.handle.insert_once(source, move |_, state| callback(state)).unwrap();
            state.tokens.push(token.into());
            poke(&ours);
            let _ = event_loop.dispatch(LONG, &mut state);
            assert!(!state.handle.contains(token));
            event_loop.dispatch(ZERO, &mut state).unwrap();
            // The source was dropped.
            wait_for_hang_up(&ours);
        }
    }

    #[test]
    fn a_source_inserted_once_stays_until_it_has_an_event() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::channel();
        let callback = |_, state: &mut State| state.note("called");
        let token = state.handle.insert_once(channel, callback).unwrap();
        sender.send(()).unwrap();
        state.handle.visit(token, |channel, _| channel.try_recv().unwrap());
        // Notified, and then there is nothing.
        (0..2).for_each(|_| event_loop.dispatch(ZERO, &mut state).unwrap());
        assert!(state.handle.contains(token) && state.log.is_empty());
        sender.send(()).unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["called"]);
        assert!(!state.handle.contains(token));
    }

    #[test]
    fn one_whose_callback_panicked_goes_with_its_next_event() {
        let (mut event_loop, mut state) = new_loop();
        let (ours, source) = pair();
        let token = state.handle.insert_once(source, |_, _| panic!("on purpose")).unwrap();
        poke(&ours);
        catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(LONG, &mut state))).unwrap_err();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(!state.handle.contains(token));
    }

    #[test]
    fn a_round_that_goes_on_after_an_error_keeps_to_the_priorities() {
        use soloop::Priority::{High, Low};
        let (mut event_loop, mut state) = new_loop();
        let (high, source) = make_ping();
        let options = SourceOptions::new().priority(High);
        let note_high = |(), state: &mut State| state.note("high");
        state.handle.insert_source_with(options, source, note_high).unwrap();
        let (low, source) = make_ping();
        let options = SourceOptions::new().priority(Low);
        let note_low = |(), state: &mut State| state.note("low");
        state.handle.insert_source_with(options, source, note_low).unwrap();
        let (ours, source) = pair();
        let fails = move |ready: Ready<'_, UnixStream>, _: &mut State| {
            read_some(ready)?;
            high.ping();
            Err(std::io::Error::other("as told"))
        };
        state.handle.insert_source(source, fails).unwrap();
        poke(&ours);
        low.ping();
        assert!(event_loop.dispatch(LONG, &mut state).unwrap_err().is_source());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["high", "low"]);
    }
}
