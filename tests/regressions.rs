//! Faults that were reproduced in calloop 0.14, in this crate's own terms: one test a row, or a module
//! where a row names several.

mod common;

#[path = "regressions/awake.rs"]
mod awake;
#[path = "regressions/claims.rs"]
mod claims;
#[path = "regressions/cost.rs"]
mod cost;
#[path = "regressions/delivery.rs"]
mod delivery;
#[path = "regressions/edges.rs"]
mod edges;
#[path = "regressions/foreign.rs"]
mod foreign;
#[path = "regressions/lanes.rs"]
mod lanes;
#[path = "regressions/moves.rs"]
mod moves;
#[path = "regressions/numbers.rs"]
mod numbers;
#[path = "regressions/panics.rs"]
mod panics;
#[cfg(not(mio_unsupported_force_poll_poll))] // Much of it is of epoll.
#[path = "regressions/reading.rs"]
mod reading;
#[path = "regressions/scripted.rs"]
mod scripted;
#[path = "regressions/turns.rs"]
mod turns;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::{LONG, State, ZERO, manual_loop, new_loop};
use soloop::channel::Event;
use soloop::{
    AnyToken, EventIterator, EventSource, Generic, Interest, InterestToken, LoopHandle, Mode,
    PostAction, Readiness, Ready, Registrar, Remote, TimeoutAction, Timer, make_ping,
};

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

fn pair(mode: Mode) -> (UnixStream, Generic<UnixStream>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (ours, Generic::new(theirs, Interest::READ, mode))
}

fn noting(
    name: &'static str,
) -> impl FnMut(Ready<'_, UnixStream>, &mut State) -> std::io::Result<PostAction> {
    move |ready, state| {
        state.note(name);
        let n = ready.io.read(&mut [0; 64])?;
        Ok(if n == 0 { PostAction::Remove } else { PostAction::Continue })
    }
}

#[test]
fn d1_an_error_does_not_drop_the_batch() {
    let (mut event_loop, mut state) = new_loop();
    let (bad, source) = pair(Mode::Level);
    state
        .handle
        .insert_source(source, |ready, _: &mut State| {
            ready.io.read_exact(&mut [0])?;
            Err(std::io::Error::other("once"))
        })
        .unwrap();
    let (edge, source) = pair(Mode::Edge);
    state.handle.insert_source(source, noting("edge")).unwrap();
    let (once, source) = pair(Mode::OneShot);
    state.handle.insert_source(source, noting("oneshot")).unwrap();
    state
        .handle
        .insert_source(Timer::immediate(), |_, state: &mut State| {
            state.note("timer");
            TimeoutAction::Drop
        })
        .unwrap();
    for mut end in [&bad, &edge, &once] {
        end.write_all(b"x").unwrap();
    }
    let error = event_loop.dispatch(LONG, &mut state).unwrap_err();
    assert!(error.to_string().ends_with("failed: once"), "{error}");
    event_loop.dispatch(LONG, &mut state).unwrap();
    state.log.sort(); // the order of the fds is the kernel's
    assert_eq!(state.log, ["edge", "oneshot", "timer"]);
}

#[test]
fn d2_an_op_names_its_source_and_nothing_lingers() {
    let (mut event_loop, mut state) = new_loop();
    let (first, source) = pair(Mode::Level);
    let token = state
        .handle
        .insert_source(source, |_, state: &mut State| {
            let token = state.tokens[0];
            state.handle.disable(token);
            Err(std::io::Error::other("after the op"))
        })
        .unwrap();
    state.tokens.push(token.into());
    let (second, source) = pair(Mode::Level);
    state.handle.insert_source(source, noting("second")).unwrap();
    for _ in 0..2 {
        for mut end in [&first, &second] {
            end.write_all(b"x").unwrap();
        }
        let _ = event_loop.dispatch(LONG, &mut state);
    }
    event_loop.dispatch(ZERO, &mut state).unwrap();
    // The second goes on, the first is silent.
    assert!(state.log.iter().all(|name| name == "second") && !state.log.is_empty());
    (&second).write_all(b"x").unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
}

#[test]
fn d3_an_explicit_disable_is_not_lost() {
    let (mut event_loop, mut state) = new_loop();
    let (mut end, source) = pair(Mode::Level);
    let token = state
        .handle
        .insert_source(source, |_, state: &mut State| {
            state.note("fired");
            let token = state.tokens[0];
            state.handle.disable(token);
            Ok(PostAction::Reregister)
        })
        .unwrap();
    state.tokens.push(token.into());
    end.write_all(b"x").unwrap();
    for _ in 0..3 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.log, ["fired"]);
}

#[test]
fn d4_a_timer_moved_in_the_batch_does_not_fire() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let deadline = clock.now() + MS;
    let b = state
        .handle
        .insert_source(Timer::from_deadline(deadline + MS), |_, state: &mut State| {
            state.note("b");
            TimeoutAction::Drop
        })
        .unwrap();
    state
        .handle
        .insert_source(Timer::from_deadline(deadline), move |_, state: &mut State| {
            state.note("a");
            state.handle.update(b, move |timer| timer.set_deadline(deadline + HOUR));
            TimeoutAction::Drop
        })
        .unwrap();
    clock.advance(10 * MS);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["a"]);
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["b"]);
    assert_eq!(clock.now(), deadline + HOUR);
}

#[test]
fn d5_enabling_twice_arms_once() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let timer = state
        .handle
        .insert_source(Timer::from_duration(10 * MS), |deadline, state: &mut State| {
            state.note("tick");
            TimeoutAction::ToInstant(deadline + 10 * MS)
        })
        .unwrap();
    let (mut end, source) = pair(Mode::Level);
    let io = state.handle.insert_source(source, noting("fd")).unwrap();
    for _ in 0..3 {
        state.handle.enable(timer);
        state.handle.enable(io);
    }
    end.write_all(b"x").unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["fd"]);
    for beat in 1..=10 {
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["tick"]);
        assert_eq!(clock.now(), start + 10 * MS * beat);
    }
}

mod d6_lifecycle_hooks {
    use super::*;

    use std::sync::mpsc::TryRecvError;

    /// Counts its hooks through a channel that the test reads.
    struct Hooked {
        calls: std::sync::mpsc::Sender<&'static str>,
        fail_register: bool,
        fail_unregister: bool,
        remote: Option<Remote<State>>,
    }

    impl EventSource for Hooked {
        type Event<'a> = ();
        type Ret = ();
        type Error = std::convert::Infallible;
        const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

        fn register(&mut self, _: &mut Registrar<'_>) -> std::io::Result<()> {
            if self.fail_register { Err(std::io::Error::other("no")) } else { Ok(()) }
        }

        fn reregister(&mut self, _: &mut Registrar<'_>) -> std::io::Result<()> {
            Ok(())
        }

        fn unregister(&mut self, _: &mut Registrar<'_>) -> std::io::Result<()> {
            if self.fail_unregister { Err(std::io::Error::other("no")) } else { Ok(()) }
        }

        fn process_events<F>(
            &mut self,
            _: Readiness,
            _: InterestToken,
            _: F,
        ) -> Result<PostAction, Self::Error>
        where
            F: FnMut(()),
        {
            Ok(PostAction::Continue)
        }

        fn before_sleep(&mut self) -> std::io::Result<Option<(Readiness, InterestToken)>> {
            self.calls.send("before_sleep").unwrap();
            if let Some(remote) = self.remote.take() {
                remote.post(|state: &mut State| {
                    let timer = Timer::immediate();
                    let callback = |_: Instant, state: &mut State| {
                        state.note("inserted from a hook");
                        TimeoutAction::Drop
                    };
                    state.handle.insert_source(timer, callback).unwrap();
                });
            }
            Ok(None)
        }

        fn before_handle_events(&mut self, _: EventIterator<'_>) {
            self.calls.send("before_handle_events").unwrap();
        }
    }

    fn hooked() -> (Hooked, std::sync::mpsc::Receiver<&'static str>) {
        let (calls, receiver) = std::sync::mpsc::channel();
        let hooked = Hooked { calls, fail_register: false, fail_unregister: false, remote: None };
        (hooked, receiver)
    }

    #[test]
    fn run_once_a_source_and_dispatch() {
        let (mut event_loop, mut state) = new_loop();
        let (source, calls) = hooked();
        let token = state.handle.insert_source(source, |(), _| ()).unwrap();
        for _ in 0..10 {
            state.handle.update(token, |_| ());
        }
        state.handle.disable(token);
        state.handle.enable(token);
        state.handle.enable(token);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let calls: Vec<_> = calls.try_iter().collect();
        assert_eq!(calls, ["before_sleep", "before_handle_events"]);
    }

    #[test]
    fn stay_behind_after_no_failure() {
        let (mut event_loop, mut state) = new_loop();
        let (mut source, calls) = hooked();
        source.fail_register = true;
        state.handle.insert_source(source, |(), _| ()).unwrap_err();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(calls.try_iter().count(), 0);

        let (mut source, calls) = hooked();
        source.fail_unregister = true;
        let token = state.handle.insert_source(source, |(), _| ()).unwrap();
        event_loop.apply_pending(&mut state).unwrap();
        state.handle.remove(token);
        event_loop.apply_pending(&mut state).unwrap_err();
        assert_eq!(calls.try_recv(), Err(TryRecvError::Disconnected), "the source is dropped");
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }

    #[test]
    fn may_insert() {
        let (mut event_loop, mut state) = new_loop();
        let (mut source, _calls) = hooked();
        source.remote = Some(state.handle.remote());
        state.handle.insert_source(source, |(), _| ()).unwrap();
        while state.log.is_empty() {
            event_loop.dispatch(LONG, &mut state).unwrap();
        }
    }
}

#[test]
fn d7_a_destructor_may_remove_another_source() {
    struct Guard(Remote<State>, AnyToken);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.remove(self.1);
        }
    }
    let (mut event_loop, mut state) = new_loop();
    let timer = Timer::from_duration(HOUR);
    let other = state.handle.insert_source(timer, |_, _| TimeoutAction::Drop).unwrap();
    let guard = Guard(state.handle.remote(), other.into());
    let (ping, source) = make_ping();
    let token = state.handle.insert_source(source, move |(), state: &mut State| {
        let _ = &guard;
        let token = state.tokens[0];
        state.handle.remove(token);
    });
    state.tokens.push(token.unwrap().into());
    ping.ping();
    event_loop.dispatch(LONG, &mut state).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(!state.handle.contains(other));
}

mod d8_idles {
    use super::*;

    #[test]
    fn one_that_cancels_itself_is_told_no() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, receiver) = std::sync::mpsc::channel();
        let token = state.handle.insert_idle(move |state: &mut State| {
            let own = receiver.recv().unwrap();
            let cancelled = state.handle.cancel_idle(own);
            state.note(cancelled);
        });
        sender.send(token).unwrap();
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.log, ["false"]);
        assert!(!state.handle.cancel_idle(token));
    }

    #[test]
    fn a_cancelled_one_does_not_run_and_the_others_do() {
        let (mut event_loop, mut state) = new_loop();
        let tokens: Vec<_> = (0..3)
            .map(|n| state.handle.insert_idle(move |state: &mut State| state.note(n)))
            .collect();
        assert!(state.handle.cancel_idle(tokens[1]));
        assert!(!state.handle.cancel_idle(tokens[1]));
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.log, ["0", "2"]);
    }

    #[test]
    fn a_pending_one_does_not_wait() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let before = clock.now();
        state.handle.insert_idle(|state: &mut State| {
            state.note("outer");
            state.handle.insert_idle(|state: &mut State| state.note("inner"));
        });
        for expected in ["outer", "inner"] {
            event_loop.dispatch(700 * MS, &mut state).unwrap();
            assert_eq!(state.take_log(), [expected]);
        }
        assert_eq!(clock.now(), before);
    }
}

#[test]
fn d9_a_stale_token_never_removes_a_live_source() {
    let (mut event_loop, mut state) = new_loop();
    let mut insert = |state: &mut State| {
        let timer = Timer::from_duration(HOUR);
        let token = state.handle.insert_source(timer, |_, _| TimeoutAction::Drop).unwrap();
        event_loop.apply_pending(state).unwrap();
        token
    };
    let stale = insert(&mut state);
    state.handle.remove(stale);
    for _ in 0..(1 << 16) + 2 {
        let live = insert(&mut state);
        assert!(!state.handle.remove(stale));
        assert!(state.handle.contains(live));
        state.handle.remove(live);
    }
}

#[cfg(feature = "executor")]
mod d10_to_d12_adapted_io {
    use super::*;

    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Wake, Waker};

    use soloop::executor;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn waker() -> (Arc<Woken>, Waker) {
        let woken = Arc::new(Woken::default());
        (woken.clone(), woken.into())
    }

    #[test]
    fn d10_a_pending_write_does_not_lose_the_reader() {
        let (mut event_loop, mut state) = new_loop();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ours = state.handle.adapt_io(ours).unwrap();
        while ours.get_ref().write(&[0; 4096]).is_ok() {} // it is non-blocking now
        let ((reads, reader), (writes, writer)) = (waker(), waker());
        let mut readable = pin!(ours.readable());
        let mut writable = pin!(ours.writable());
        assert!(readable.as_mut().poll(&mut Context::from_waker(&reader)).is_pending());
        assert!(writable.as_mut().poll(&mut Context::from_waker(&writer)).is_pending());
        theirs.write_all(b"x").unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert!(reads.0.load(Ordering::SeqCst) && !writes.0.load(Ordering::SeqCst));
        assert!(readable.poll(&mut Context::from_waker(&reader)).is_ready());
    }

    #[test]
    fn d11_what_was_given_back_can_be_adapted_again() {
        let (mut event_loop, mut state) = new_loop();
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        for dispatches in [0, 0, 1, 2] {
            let adapted = state.handle.adapt_io(ours).unwrap();
            for _ in 0..dispatches {
                event_loop.dispatch(ZERO, &mut state).unwrap();
            }
            ours = adapted.into_inner();
        }
        let mut adapted = state.handle.adapt_io(ours).unwrap();
        let thread = std::thread::spawn(move || {
            theirs.write_all(b"hello").unwrap();
            theirs
        });
        let mut buffer = [0; 5];
        let read = async {
            adapted.readable().await;
            adapted.get_mut().read_exact(&mut buffer)
        };
        event_loop.block_on(read, &mut state).unwrap().unwrap().unwrap();
        assert_eq!(&buffer, b"hello");
        thread.join().unwrap();
        // By another kind of source as well.
        let source = Generic::new(adapted.into_inner(), Interest::READ, Mode::Level);
        let callback = |_: Ready<'_, UnixStream>, _: &mut State| Ok(PostAction::Continue);
        state.handle.insert_source(source, callback).unwrap();
    }

    #[test]
    fn d12_a_pending_future_that_owns_one_is_dropped_with_the_loop() {
        common::in_child("d12_a_pending_future_that_owns_one_is_dropped_with_the_loop", || {
            let before = common::open_fds();
            let (mut event_loop, mut state) = new_loop();
            let (executor, scheduler) = executor::<()>();
            state.handle.insert_source(executor, |(), _: &mut State| ()).unwrap();
            let witness = Arc::new(());
            let mut peers = Vec::new();
            for spawned in [false, true] {
                let (ours, theirs) = UnixStream::pair().unwrap();
                let ours = state.handle.adapt_io(ours).unwrap();
                peers.push(theirs);
                let held = Arc::clone(&witness);
                let future = async move {
                    let _held = held;
                    ours.readable().await;
                    unreachable!("nothing is sent");
                };
                if spawned {
                    state.handle.spawn(|_| future);
                } else {
                    scheduler.schedule(future).unwrap();
                }
            }
            for _ in 0..3 {
                event_loop.dispatch(ZERO, &mut state).unwrap();
            }
            assert_eq!(Arc::strong_count(&witness), 3);
            drop((event_loop, state));
            assert_eq!(Arc::strong_count(&witness), 1);
            for mut peer in peers {
                assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the other end is closed");
            }
            assert_eq!(common::open_fds(), before);
        });
    }
}

#[test]
fn d13_a_rendezvous_channel_never_gets_stuck() {
    let (mut event_loop, mut state) = new_loop();
    let (sender, channel) = soloop::sync_channel(0);
    state
        .handle
        .insert_source(channel, |event, state: &mut State| match event {
            Event::Msg(n) => state.note(n),
            Event::Closed => state.handle.stop(),
        })
        .unwrap();
    let busy = std::thread::spawn(move || (0..20_000).for_each(|n| sender.send(n).unwrap()));
    event_loop.run(LONG, &mut state, |_| ()).unwrap();
    busy.join().unwrap();
    assert_eq!(state.log.len(), 20_000);
}

mod d14_backlog_and_starvation {
    use super::*;

    #[test]
    fn a_channel_that_removes_or_disables_itself_stops_there() {
        for disable in [false, true] {
            let (mut event_loop, mut state) = new_loop();
            let (sender, channel) = soloop::channel();
            let token = state.handle.insert_source(channel, move |event, state: &mut State| {
                let Event::Msg(n) = event else { return };
                state.note(n);
                let token = state.tokens[0];
                if disable {
                    state.handle.disable(token);
                } else {
                    state.handle.remove(token);
                }
            });
            state.tokens.push(token.unwrap().into());
            (0..100).for_each(|n| sender.send(n).unwrap());
            event_loop.dispatch(LONG, &mut state).unwrap();
            event_loop.dispatch(ZERO, &mut state).unwrap();
            assert_eq!(state.take_log(), ["0"]);
            let token = state.tokens[0];
            assert_eq!(state.handle.enable(token), disable);
            event_loop.dispatch(ZERO, &mut state).unwrap();
            assert_eq!(state.take_log(), if disable { vec!["1"] } else { vec![] });
        }
    }

    #[test]
    fn an_endless_channel_lets_the_others_run_and_the_dispatch_return() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::channel();
        sender.send(()).unwrap();
        state
            .handle
            .insert_source(channel, move |_, _: &mut State| sender.send(()).unwrap())
            .unwrap();
        let (ping, source) = make_ping();
        state.handle.insert_source(source, |(), state: &mut State| state.note("ping")).unwrap();
        state
            .handle
            .insert_source(Timer::immediate(), |_, state: &mut State| {
                state.note("timer");
                TimeoutAction::Drop
            })
            .unwrap();
        event_loop.dispatch(None, &mut state).unwrap();
        ping.ping();
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.log, ["timer", "ping"]);
    }
}

#[cfg(feature = "signals")]
#[test]
fn d15_no_pending_signal_kills_and_no_source_disarms_another() {
    // In a process of its own. The rest of the row: tests/signals.rs.
    common::in_child("d15_no_pending_signal", || {
        use soloop::Signals;
        const USR1: i32 = 10;
        const TERM: i32 = 15;
        let raise = |signal| signal_hook::low_level::raise(signal).unwrap();
        let (mut event_loop, mut state) = new_loop();
        let mut insert = |state: &mut State| {
            let callback = |signal: soloop::Signal, state: &mut State| state.note(signal.number);
            let signals = Signals::new([USR1, TERM]).unwrap();
            let token = state.handle.insert_source(signals, callback).unwrap();
            event_loop.apply_pending(state).unwrap();
            token
        };
        let (first, second) = (insert(&mut state), insert(&mut state));
        // Pending while the set changes, and while one of two sources is dropped.
        [USR1, TERM].into_iter().for_each(raise);
        event_loop.get_mut(second).unwrap().set_signals([USR1]).unwrap();
        state.handle.remove(first);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["10"]);
        // The other one still hears, and a signal pending while the last one goes does not kill.
        raise(USR1);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["10"]);
        raise(USR1);
        state.handle.remove(second);
        event_loop.apply_pending(&mut state).unwrap();
        // No mask is left behind.
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
    });
}

mod d16_smaller_ones {
    use super::*;

    #[test]
    fn a_loop_whose_callback_owns_what_reaches_the_loop_is_freed() {
        for settled in [false, true] {
            let counter = std::sync::Arc::new(());
            let (mut event_loop, mut state) = new_loop();
            let owned = (counter.clone(), state.handle.remote(), state.handle.signal());
            let (ping, source) = make_ping();
            let callback = move |(), _: &mut State| {
                let _ = (&owned, &ping);
            };
            state.handle.insert_source(source, callback).unwrap();
            if settled {
                event_loop.dispatch(ZERO, &mut state).unwrap();
            }
            drop((event_loop, state));
            assert_eq!(std::sync::Arc::strong_count(&counter), 1);
        }
    }

    #[test]
    fn a_stop_before_run_is_not_forgotten() {
        let (mut event_loop, mut state) = new_loop();
        state.handle.signal().stop();
        event_loop.run(None, &mut state, |_| panic!("not a single round")).unwrap();
    }

    #[test]
    fn equal_deadlines_fire_in_the_order_of_insertion() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let deadline = clock.now() + MS;
        for n in 0..100 {
            let callback = move |_: Instant, state: &mut State| {
                state.note(n);
                TimeoutAction::Drop
            };
            state.handle.insert_source(Timer::from_deadline(deadline), callback).unwrap();
        }
        event_loop.dispatch(None, &mut state).unwrap();
        let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(state.log, expected);
    }

    #[test]
    fn an_interest_in_nothing_does_not_spin_on_a_hang_up() {
        if common::POLL_BACKEND {
            return;
        }
        let (mut event_loop, mut state) = new_loop();
        let (end, mut source) = pair(Mode::Level);
        source.interest = Interest::EMPTY;
        let callback = |ready: Ready<'_, UnixStream>, state: &mut State| {
            state.note(ready.readiness.read_closed);
            Ok(PostAction::Continue)
        };
        state.handle.insert_source(source, callback).unwrap();
        drop(end);
        for _ in 0..3 {
            event_loop.dispatch(10 * MS, &mut state).unwrap();
        }
        assert_eq!(state.log, ["true"]);
    }

    #[test]
    fn an_error_of_the_fd_is_in_the_readiness() {
        if common::POLL_BACKEND {
            return;
        }
        let (mut event_loop, mut state) = new_loop();
        let (reader, writer) = std::io::pipe().unwrap();
        let source = Generic::new(writer, Interest::EMPTY, Mode::Level);
        state
            .handle
            .insert_source(source, |ready, state: &mut State| {
                state.note(ready.readiness.error);
                Ok(PostAction::Continue)
            })
            .unwrap();
        drop(reader);
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["true"]);
    }
}

mod d17_scale {
    use super::*;

    /// The least time of some runs of `work`, which gets less noisy the longer it takes.
    fn cost(mut work: impl FnMut()) -> Duration {
        let run = |work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            start.elapsed()
        };
        (0..7).map(|_| run(&mut work)).min().unwrap()
    }

    fn insert_timers(handle: &mut LoopHandle<State>, count: u32) -> Vec<soloop::Token<Timer>> {
        (0..count)
            .map(|n| {
                let timer = Timer::from_duration(HOUR + MS * (n * 7919 % 1000));
                handle.insert_source(timer, |_, _| TimeoutAction::Drop).unwrap()
            })
            .collect()
    }

    /// What `op` on 200 sources costs, beside `count` others.
    fn beside(count: u32, op: fn(&mut soloop::EventLoop<State>, &mut State)) -> Duration {
        let (mut event_loop, mut state) = new_loop();
        insert_timers(&mut state.handle, count);
        event_loop.apply_pending(&mut state).unwrap();
        cost(|| op(&mut event_loop, &mut state))
    }

    /// A linear cost would be a thousand times as high beside 100,000 as beside 100.
    fn does_not_scale_with_the_others(op: fn(&mut soloop::EventLoop<State>, &mut State)) {
        let (few, many) = (beside(100, op), beside(100_000, op));
        assert!(many < few * 30, "{few:?} beside 100 others, {many:?} beside 100,000");
    }

    #[test]
    fn cancelling_moving_and_inserting_timers() {
        does_not_scale_with_the_others(|event_loop, state| {
            let tokens = insert_timers(&mut state.handle, 200);
            event_loop.apply_pending(state).unwrap();
            for token in &tokens {
                state.handle.update(*token, |timer| timer.set_duration(HOUR / 2));
            }
            event_loop.apply_pending(state).unwrap();
            for token in tokens {
                state.handle.remove(token);
            }
            event_loop.apply_pending(state).unwrap();
        });
    }

    #[test]
    fn inserting_and_removing_sources() {
        does_not_scale_with_the_others(|event_loop, state| {
            let tokens: Vec<_> = (0..200)
                .map(|_| {
                    let (_, source) = make_ping();
                    state.handle.insert_source(source, |(), _| ()).unwrap()
                })
                .collect();
            event_loop.apply_pending(state).unwrap();
            for token in tokens {
                state.handle.remove(token);
            }
            event_loop.apply_pending(state).unwrap();
        });
    }
}

mod composites {
    use super::*;
    use soloop::Channel;

    /// A channel beside an fd that answers `Reregister` to everything, and a timer.
    struct Parts {
        channel: Channel<u32>,
        io: Generic<UnixStream>,
        timer: Timer,
    }

    impl EventSource for Parts {
        type Event<'a> = String;
        type Ret = ();
        type Error = Box<dyn std::error::Error + Send + Sync>;

        fn register(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
            self.channel.register(registrar)?;
            self.io.register(registrar)?;
            self.timer.register(registrar)
        }

        fn reregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
            self.channel.reregister(registrar)?;
            self.io.reregister(registrar)?;
            self.timer.reregister(registrar)
        }

        fn unregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
            self.channel.unregister(registrar)?;
            self.io.unregister(registrar)?;
            self.timer.unregister(registrar)
        }

        fn process_events<F>(
            &mut self,
            readiness: Readiness,
            token: InterestToken,
            mut callback: F,
        ) -> Result<PostAction, Self::Error>
        where
            F: FnMut(String),
        {
            let channel = self.channel.process_events(readiness, token, |event| {
                if let Event::Msg(n) = event {
                    callback(n.to_string());
                }
            })?;
            let io = self.io.process_events(readiness, token, |_| Ok(PostAction::Continue))?;
            let timer = self.timer.process_events(readiness, token, |_| {
                callback("timer".into());
                TimeoutAction::ToDuration(MS)
            })?;
            Ok(channel | io | timer | PostAction::Reregister)
        }
    }

    #[test]
    fn a_part_that_re_registers_costs_its_siblings_nothing() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let (sender, channel) = soloop::channel();
        let (mut end, io) = pair(Mode::Level);
        end.write_all(b"x").unwrap(); // never read: ready in each round
        let source = Parts { channel, io, timer: Timer::from_duration(MS) };
        state.handle.insert_source(source, |what, state: &mut State| state.note(what)).unwrap();
        (0..5).for_each(|n| sender.send(n).unwrap());
        for _ in 0..10 {
            clock.advance(MS);
            event_loop.dispatch(ZERO, &mut state).unwrap();
        }
        let (ticks, messages): (Vec<_>, Vec<_>) =
            state.take_log().into_iter().partition(|line| line == "timer");
        assert_eq!(messages, ["0", "1", "2", "3", "4"]);
        assert_eq!(ticks.len(), 10);
    }

    #[test]
    fn enabling_itself_does_not_stop_a_timer() {
        let (mut event_loop, mut state, _) = manual_loop();
        let timer = |_: Instant, state: &mut State| {
            state.note("tick");
            let token = state.tokens[0];
            state.handle.enable(token);
            TimeoutAction::ToDuration(MS)
        };
        let token = state.handle.insert_source(Timer::from_duration(MS), timer).unwrap();
        state.tokens.push(token.into());
        for _ in 0..3 {
            event_loop.dispatch(None, &mut state).unwrap();
        }
        assert_eq!(state.log, ["tick"; 3]);
    }
}

// The kernel reports an fd as long as any duplicate of it is open: taking the source back must end that.
#[test]
fn a_duplicate_of_a_removed_fd_is_silent() {
    let (mut event_loop, mut state) = new_loop();
    let (mut end, source) = pair(Mode::Level);
    let duplicate = source.get_ref().as_fd().try_clone_to_owned().unwrap();
    let token = state.handle.insert_source(source, noting("never")).unwrap();
    state.handle.remove(token);
    event_loop.apply_pending(&mut state).unwrap();
    end.write_all(b"x").unwrap();
    let before = Instant::now();
    event_loop.dispatch(20 * MS, &mut state).unwrap();
    assert!(before.elapsed() >= 20 * MS && state.log.is_empty());
    drop(duplicate);
}
