//! A calloop loop hosted by this one. (The other direction: tests/nesting.rs, examples/in_calloop.rs.)
#![cfg(all(target_os = "linux", feature = "calloop"))]

use std::error::Error as _;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use calloop::timer::{TimeoutAction, Timer};
use soloop::{
    AnyToken, CallbackKind, CalloopLoop, EventLoop, LoopData, LoopHandle, Priority, SourceOptions,
    Token, make_ping,
};

mod common;
use common::{LONG, POLL_BACKEND, ZERO, open_fds};

const MS: Duration = Duration::from_millis(1);
/// Within which the most of several timers come on a loaded machine.
const ON_TIME: Duration = Duration::from_millis(25);
/// Within which each comes, however long such a machine runs something else. One that nothing wakes the loop for does
/// not come at all.
const AT_LAST: Duration = Duration::from_secs(1);

type Inner = calloop::LoopHandle<'static, State>;

struct State {
    handle: LoopHandle<State>,
    inner: Inner,
    log: Vec<String>,
    fired: Vec<Duration>,
    inner_token: Option<calloop::RegistrationToken>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn note(&mut self, what: impl ToString) {
        self.log.push(what.to_string());
    }

    fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// A timer of the hosted loop that notes how late it is, and stops the loop.
    fn inner_timer(&self, after: Duration) -> calloop::RegistrationToken {
        self.inner_timer_then(after, |state| state.handle.stop())
    }

    /// A timer of the hosted loop that notes how late it is.
    fn inner_timer_then(
        &self,
        after: Duration,
        then: fn(&mut State),
    ) -> calloop::RegistrationToken {
        let due = Instant::now() + after;
        let fire = move |_, _: &mut (), state: &mut State| {
            state.fired.push(due.elapsed());
            assert!(Instant::now() >= due, "early");
            then(state);
            TimeoutAction::Drop
        };
        self.inner.insert_source(Timer::from_deadline(due), fire).unwrap()
    }

    fn inner_idle(&self, what: &'static str) {
        self.inner.insert_idle(move |state| state.note(what));
    }

    fn inner_ping(&self, what: &'static str) -> calloop::ping::Ping {
        let (ping, source) = calloop::ping::make_ping().unwrap();
        self.inner.insert_source(source, move |(), _, state| state.note(what)).unwrap();
        ping
    }
}

type Bridge = Token<CalloopLoop<State>>;

fn hosting() -> (EventLoop<State>, State, Bridge) {
    hosting_with(SourceOptions::new().name("calloop"))
}

fn hosting_with(options: SourceOptions) -> (EventLoop<State>, State, Bridge) {
    let (event_loop, handle) = EventLoop::new().unwrap();
    let inner = calloop::EventLoop::try_new().unwrap();
    let mut state = State {
        handle,
        inner: inner.handle(),
        log: Vec::new(),
        fired: Vec::new(),
        inner_token: None,
    };
    let token = state.handle.insert_calloop_with(options, inner).unwrap();
    (event_loop, state, token)
}

fn run(event_loop: &mut EventLoop<State>, state: &mut State) {
    event_loop.run(LONG, state, |_| ()).unwrap();
}

/// Has each loop that waits longer than a test should end with an error.
fn dispatch_in_time(event_loop: &mut EventLoop<State>, state: &mut State) {
    let started = Instant::now();
    event_loop.dispatch(LONG, state).unwrap();
    assert!(started.elapsed() < LONG, "nothing woke the loop");
}

fn assert_on_time(state: &mut State, times: usize) {
    let mut fired = std::mem::take(&mut state.fired);
    println!("late by {fired:?}");
    assert_eq!(fired.len(), times);
    fired.sort();
    if !POLL_BACKEND {
        assert!(times == 1 || fired[times / 2] < ON_TIME, "{fired:?}");
        assert!(fired[times - 1] < AT_LAST, "{fired:?}");
    }
}

mod timers {
    use super::*;

    /// Done-when of the bridge: ten times out of ten, while nothing else happens.
    #[test]
    fn of_50_ms_fire_on_time_ten_times_out_of_ten_while_the_loop_sleeps() {
        let (mut event_loop, mut state, _) = hosting();
        for _ in 0..10 {
            state.inner_timer(50 * MS);
            event_loop.run(None, &mut state, |_| ()).unwrap();
        }
        assert_on_time(&mut state, 10);
    }

    #[test]
    fn that_repeat_do_so_while_the_loop_sleeps() {
        let (mut event_loop, mut state, _) = hosting();
        let mut due = Instant::now() + MS;
        let tick = move |deadline, _: &mut (), state: &mut State| {
            assert_eq!(deadline, due);
            state.fired.push(due.elapsed());
            if state.fired.len() == 20 {
                state.handle.stop();
                // What is late already would fire within the same dispatch.
                return TimeoutAction::Drop;
            }
            due += 2 * MS;
            TimeoutAction::ToInstant(due)
        };
        state.inner.insert_source(Timer::from_deadline(due), tick).unwrap();
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_on_time(&mut state, 20);
    }

    #[test]
    fn of_less_than_a_millisecond_are_precise() {
        let (mut event_loop, mut state, _) = hosting();
        for _ in 0..20 {
            state.inner_timer(Duration::from_micros(300));
            event_loop.run(None, &mut state, |_| ()).unwrap();
        }
        state.fired.sort();
        println!("late by {:?}", state.fired);
        assert!(state.fired[5] < MS, "rounded up to milliseconds: {:?}", state.fired);
    }

    #[test]
    fn may_be_inserted_by_every_callback_of_the_outer_loop() {
        let (mut event_loop, mut state, _) = hosting();
        let insert = |state: &mut State| _ = state.inner_timer(10 * MS);
        // By a source.
        state
            .handle
            .insert_once(soloop::Timer::immediate(), move |_, state: &mut State| {
                insert(state);
                soloop::TimeoutAction::Drop
            })
            .unwrap();
        event_loop.run(None, &mut state, |_| ()).unwrap();
        // By an idle.
        state.handle.insert_idle(insert);
        event_loop.run(None, &mut state, |_| ()).unwrap();
        // By what is posted from another thread.
        let remote = state.handle.remote();
        let thread = thread::spawn(move || remote.post(insert));
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert!(thread.join().unwrap());
        // Between two dispatches.
        let mut first = true;
        let after_each = |state: &mut State| {
            if std::mem::take(&mut first) {
                insert(state);
            }
        };
        state.handle.signal().wakeup();
        event_loop.run(None, &mut state, after_each).unwrap();
        assert_on_time(&mut state, 4);
    }

    #[test]
    fn may_be_inserted_by_idles_and_visitors() {
        let (mut event_loop, mut state, token) = hosting();
        state.handle.insert_idle(|state: &mut State| {
            state.inner.insert_idle(|state| _ = state.inner_timer(10 * MS));
        });
        event_loop.run(None, &mut state, |_| ()).unwrap();
        state.handle.visit(token, |bridge, state: &mut State| {
            bridge.handle().insert_idle(|state| _ = state.inner_timer(10 * MS));
            state.note("visited");
        });
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_on_time(&mut state, 2);
    }

    /// The nearest deadline comes nearer, and goes away, by what a callback of the outer loop does.
    #[test]
    fn may_be_moved_and_removed_by_callbacks_of_the_outer_loop() {
        let (mut event_loop, mut state, _) = hosting();
        let far = calloop::Dispatcher::new(
            Timer::from_duration(3600 * Duration::from_secs(1)),
            |_, _: &mut (), state: &mut State| {
                state.fired.push(ZERO);
                state.handle.stop();
                TimeoutAction::Drop
            },
        );
        let token = state.inner.register_dispatcher(far.clone()).unwrap();
        let near = move |_, state: &mut State| {
            far.as_source_mut().set_duration(10 * MS);
            state.inner.update(&token).unwrap();
            soloop::TimeoutAction::Drop
        };
        let soon = soloop::Timer::from_duration(5 * MS);
        state.handle.insert_once(soon, near).unwrap();
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_on_time(&mut state, 1);

        state.inner_token = Some(state.inner_timer(20 * MS));
        let soon = soloop::Timer::from_duration(5 * MS);
        let remove = |_, state: &mut State| {
            let token = state.inner_token.take().unwrap();
            state.inner.remove(token);
            soloop::TimeoutAction::Drop
        };
        state.handle.insert_once(soon, remove).unwrap();
        let late = soloop::Timer::from_duration(60 * MS);
        let stop = |_, state: &mut State| {
            state.handle.stop();
            soloop::TimeoutAction::Drop
        };
        state.handle.insert_once(late, stop).unwrap();
        run(&mut event_loop, &mut state);
        assert_eq!(state.fired, []);
    }

    /// An idle brings about an event, whose callback inserts the nearest timer.
    #[test]
    fn inserted_by_an_event_that_an_idle_brings_about_are_not_forgotten() {
        let (mut event_loop, mut state, _) = hosting();
        let (ping, source) = calloop::ping::make_ping().unwrap();
        let insert = |(), _: &mut (), state: &mut State| _ = state.inner_timer(10 * MS);
        state.inner.insert_source(source, insert).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        for _ in 0..10 {
            let ping = ping.clone();
            state.handle.insert_idle(move |state: &mut State| {
                state.inner.insert_idle(move |_| ping.ping());
            });
            run(&mut event_loop, &mut state);
        }
        assert_on_time(&mut state, 10);
    }

    /// The same by chance: events from a thread at arbitrary times.
    #[test]
    fn that_repeat_survive_a_storm_of_events() {
        let (mut event_loop, mut state, _) = hosting();
        let every = Duration::from_micros(200);
        let tick = move |_, _: &mut (), state: &mut State| {
            state.fired.push(ZERO);
            TimeoutAction::ToDuration(every)
        };
        state.inner.insert_source(Timer::from_duration(every), tick).unwrap();
        let (ping, source) = make_ping();
        state.handle.insert_source(source, |(), _| ()).unwrap();
        let (done, finished) = soloop::channel::<()>();
        let stop = |_, state: &mut State| state.handle.stop();
        state.handle.insert_source(finished, stop).unwrap();
        let thread = thread::spawn(move || {
            let mut wait = 0_u32;
            let end = Instant::now() + 400 * MS;
            while Instant::now() < end {
                ping.ping();
                wait = wait.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                for _ in 0..wait >> 22 {
                    std::hint::spin_loop();
                }
            }
            done.send(()).unwrap();
        });
        event_loop.run(None, &mut state, |_| ()).unwrap();
        thread.join().unwrap();
        // Now nothing but the timer itself wakes the loop.
        for _ in 0..20 {
            let before = state.fired.len();
            while state.fired.len() == before {
                dispatch_in_time(&mut event_loop, &mut state);
            }
        }
    }

    /// One that is waited in, and one on demand.
    #[test]
    fn of_two_bridges_fire_on_time() {
        let (mut event_loop, mut state, _) = hosting();
        let second = calloop::EventLoop::<State>::try_new().unwrap();
        let other = second.handle();
        let due = Instant::now() + 10 * MS;
        let fire = move |_, _: &mut (), state: &mut State| {
            state.fired.push(due.elapsed());
            state.inner_timer(10 * MS);
            TimeoutAction::Drop
        };
        other.insert_source(Timer::from_deadline(due), fire).unwrap();
        state.handle.insert_calloop_on_demand(second).unwrap();
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_on_time(&mut state, 2);
    }
}

#[test]
fn idles_that_callbacks_of_this_loop_ask_for_keep_it_from_blocking() {
    let (mut event_loop, mut state, _) = hosting();
    let (ping, source) = make_ping();
    let callback = |(), state: &mut State| {
        state.inner_idle("inner");
        state.handle.insert_idle(|state: &mut State| {
            state.note("outer");
            state.inner_idle("inner of outer");
        });
    };
    state.handle.insert_source(source, callback).unwrap();
    ping.ping();
    while state.log.len() < 3 {
        dispatch_in_time(&mut event_loop, &mut state);
    }
    assert_eq!(state.take_log(), ["outer", "inner", "inner of outer"]);
}

/// An idle of `main`'s waits for the next event, as in calloop alone; unless callbacks of this loop ran.
#[test]
fn idles_that_are_inserted_between_two_dispatches_wait_as_in_calloop() {
    let (mut event_loop, mut state, _) = hosting();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.inner_idle("idle");
    let started = Instant::now();
    event_loop.dispatch(20 * MS, &mut state).unwrap();
    assert!(started.elapsed() >= 20 * MS, "calloop alone would have waited");
    assert_eq!(state.take_log(), ["idle"]);

    let mut alone = calloop::EventLoop::try_new().unwrap();
    alone.handle().insert_idle(|state: &mut State| state.note("alone"));
    let started = Instant::now();
    alone.dispatch(20 * MS, &mut state).unwrap();
    assert!(started.elapsed() >= 20 * MS, "calloop has changed");
    assert_eq!(state.take_log(), ["alone"]);

    state.handle.insert_idle(|_| ());
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let (ping, source) = make_ping();
    state.handle.insert_source(source, |(), _| ()).unwrap();
    ping.ping();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.inner_idle("idle");
    dispatch_in_time(&mut event_loop, &mut state);
    assert_eq!(state.take_log(), ["idle"]);
}

mod sources {
    use super::*;

    #[test]
    fn of_every_kind_are_dispatched() {
        let (mut event_loop, mut state, _) = hosting();
        let ping = state.inner_ping("ping");
        let (sender, channel) = calloop::channel::channel::<&str>();
        let callback = |event, _: &mut (), state: &mut State| match event {
            calloop::channel::Event::Msg(text) => state.note(text),
            calloop::channel::Event::Closed => state.note("closed"),
        };
        state.inner.insert_source(channel, callback).unwrap();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let generic =
            calloop::generic::Generic::new(theirs, calloop::Interest::READ, calloop::Mode::Level);
        let read = |_, stream: &mut calloop::generic::NoIoDrop<UnixStream>, state: &mut State| {
            let mut text = [0; 5];
            let mut stream: &UnixStream = stream;
            stream.read_exact(&mut text)?;
            state.note(String::from_utf8_lossy(&text));
            Ok(calloop::PostAction::Continue)
        };
        state.inner.insert_source(generic, read).unwrap();
        let (executor, scheduler) = calloop::futures::executor::<&str>().unwrap();
        let finished = |what, _: &mut (), state: &mut State| state.note(what);
        state.inner.insert_source(executor, finished).unwrap();

        ping.ping();
        dispatch_in_time(&mut event_loop, &mut state);
        assert_eq!(state.take_log(), ["ping"]);
        let thread = thread::spawn(move || sender.send("message"));
        while state.log.len() < 2 {
            dispatch_in_time(&mut event_loop, &mut state);
        }
        assert_eq!(state.take_log(), ["message", "closed"]);
        thread.join().unwrap().unwrap();
        ours.write_all(b"bytes").unwrap();
        dispatch_in_time(&mut event_loop, &mut state);
        assert_eq!(state.take_log(), ["bytes"]);
        scheduler.schedule(async { "future" }).unwrap();
        dispatch_in_time(&mut event_loop, &mut state);
        assert_eq!(state.take_log(), ["future"]);
    }

    #[test]
    fn of_signals_are_dispatched() {
        common::in_child("of_signals_are_dispatched", || {
            let (mut event_loop, mut state, _) = hosting();
            let signals = [calloop::signals::Signal::SIGUSR1];
            let signals = calloop::signals::Signals::new(&signals).unwrap();
            let callback = |event: calloop::signals::Event, _: &mut (), state: &mut State| {
                state.note(format!("{:?}", event.signal()));
            };
            state.inner.insert_source(signals, callback).unwrap();
            // To this thread, which is the one that has it masked.
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGUSR1).unwrap();
            dispatch_in_time(&mut event_loop, &mut state);
            assert_eq!(state.take_log(), ["SIGUSR1"]);
        });
    }

    #[test]
    fn are_inserted_before_the_loop_is_hosted_as_well_as_after() {
        let (mut event_loop, handle) = EventLoop::new().unwrap();
        let inner = calloop::EventLoop::<State>::try_new().unwrap();
        let mut state = State {
            handle,
            inner: inner.handle(),
            log: Vec::new(),
            fired: Vec::new(),
            inner_token: None,
        };
        state.inner_timer(10 * MS);
        let ping = state.inner_ping("ping");
        ping.ping();
        state.handle.insert_calloop(inner).unwrap();
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_eq!(state.take_log(), ["ping"]);
        assert_on_time(&mut state, 1);
    }

    /// They run in the wait: before all that it finds, whatever the priorities.
    #[test]
    fn precede_those_of_this_loop_whatever_the_priorities() {
        for priority in [Priority::High, Priority::Low] {
            let (mut event_loop, mut state, _) =
                hosting_with(SourceOptions::new().priority(priority));
            let hosted = state.inner_ping("hosted");
            let (mut own, stream) = UnixStream::pair().unwrap();
            let source = soloop::Generic::new(stream, soloop::Interest::READ, soloop::Mode::Level);
            let read = |ready: soloop::Ready<'_, UnixStream>, state: &mut State| {
                ready.io.read_exact(&mut [0])?;
                state.note("own");
                Ok(soloop::PostAction::Continue)
            };
            let options = SourceOptions::new().priority(Priority::Normal);
            state.handle.insert_source_with(options, source, read).unwrap();
            event_loop.dispatch(ZERO, &mut state).unwrap();
            for _ in 0..3 {
                own.write_all(b"x").unwrap();
                hosted.ping();
                event_loop.dispatch(None, &mut state).unwrap();
                assert_eq!(state.take_log(), ["hosted", "own"]);
            }
        }
    }
}

mod failures {
    use super::*;

    fn failing(state: &State) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let generic =
            calloop::generic::Generic::new(theirs, calloop::Interest::READ, calloop::Mode::Level);
        let fail = |_, stream: &mut calloop::generic::NoIoDrop<UnixStream>, _: &mut State| {
            let mut stream: &UnixStream = stream;
            stream.read_exact(&mut [0])?;
            Err::<calloop::PostAction, _>(io::Error::other("the tablet is on fire"))
        };
        state.inner.insert_source(generic, fail).unwrap();
        ours
    }

    #[test]
    fn of_hosted_sources_come_out_under_the_bridges_name_with_their_causes() {
        for (options, name) in [
            (SourceOptions::new().name("calloop"), "calloop"),
            (SourceOptions::new().name("seat"), "seat"),
        ] {
            let (mut event_loop, mut state, token) = hosting_with(options);
            let mut ours = failing(&state);
            ours.write_all(b"x").unwrap();
            let error = event_loop.dispatch(None, &mut state).unwrap_err();
            assert_eq!(error.token(), Some(AnyToken::from(token)));
            let text = error.to_string();
            assert!(text.starts_with(&format!("source `{name}` failed: ")), "{text}");
            assert!(text.ends_with("the tablet is on fire"), "{text}");
            let calloop = error.source().unwrap();
            assert!(calloop.is::<calloop::Error>());
            let io = calloop.source().unwrap();
            assert_eq!(io.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::Other);

            // The bridge is still there, and works.
            state.inner_timer(10 * MS);
            event_loop.run(None, &mut state, |_| ()).unwrap();
            assert_on_time(&mut state, 1);
        }
    }

    #[test]
    fn without_options_the_name_is_calloop() {
        let (mut event_loop, handle) = EventLoop::new().unwrap();
        let inner = calloop::EventLoop::<State>::try_new().unwrap();
        let mut state = State {
            handle,
            inner: inner.handle(),
            log: Vec::new(),
            fired: Vec::new(),
            inner_token: None,
        };
        let mut ours = failing(&state);
        state.handle.insert_calloop(inner).unwrap();
        ours.write_all(b"x").unwrap();
        let error = event_loop.dispatch(None, &mut state).unwrap_err();
        assert!(error.to_string().starts_with("source `calloop` failed: "), "{error}");
    }

    #[test]
    fn follow_the_policy() {
        let (mut event_loop, mut state, _) = hosting();
        let mut ours = failing(&state);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.on_error(|error, state: &mut State| {
            state.note(error);
            soloop::ErrorAction::Remove
        });
        state.handle.insert_idle(move |_| ours.write_all(b"x").unwrap());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log.len(), 1, "{:?}", state.log);
        assert!(state.log[0].ends_with("the tablet is on fire"));
        // Removed: nothing of the hosted loop runs any more.
        state.inner_idle("idle");
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log.len(), 1);
    }

    /// A panic inside the wait: what threads say afterwards is heard.
    #[test]
    fn a_panic_in_the_wait_leaves_a_loop_that_threads_wake() {
        let (mut event_loop, mut state, _) = hosting();
        for _ in 0..3 {
            let panicking = |_, _: &mut (), _: &mut State| panic!("on purpose");
            state.inner.insert_source(Timer::from_duration(MS), panicking).unwrap();
            let dispatched =
                catch_unwind(AssertUnwindSafe(|| event_loop.run(LONG, &mut state, |_| ())));
            assert!(dispatched.is_err());
            let remote = state.handle.remote();
            let thread = thread::spawn(move || {
                // Most likely while the loop sleeps.
                remote.post(|state: &mut State| state.note("posted"))
            });
            while state.log.is_empty() {
                dispatch_in_time(&mut event_loop, &mut state);
            }
            assert_eq!(state.take_log(), ["posted"]);
            assert!(thread.join().unwrap());
        }
    }

    /// Nothing is applied to a handle of another loop.
    #[test]
    fn a_foreign_handle_that_a_hosted_callback_puts_into_the_state_is_an_error() {
        let (mut event_loop, mut state, _) = hosting();
        let (mut other_loop, other) = EventLoop::<State>::new().unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let mut other = Some(other);
        let (sender, own) = std::sync::mpsc::channel();
        let swap = move |_, _: &mut (), state: &mut State| {
            state.handle.insert_idle(|state: &mut State| state.note("of this loop"));
            if let Some(other) = other.take() {
                sender.send(std::mem::replace(&mut state.handle, other)).unwrap();
                state.handle.insert_idle(|state: &mut State| state.note("of the other"));
            }
            TimeoutAction::Drop
        };
        state.inner.insert_source(Timer::immediate(), swap).unwrap();
        let error = event_loop.dispatch(None, &mut state).unwrap_err();
        assert!(matches!(error, soloop::Error::ForeignHandle), "{error}");
        assert_eq!(state.take_log(), [""; 0]);
        // Both loops have what was asked of them.
        other_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["of the other"]);
        state.handle = own.recv().unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["of this loop"]);
    }

    #[test]
    fn a_panic_leaves_two_loops_that_go_on() {
        let (mut event_loop, mut state, _) = hosting();
        let ping = state.inner_ping("ping");
        let panicking = |_, _: &mut (), _: &mut State| panic!("on purpose");
        state.inner.insert_source(Timer::from_duration(MS), panicking).unwrap();
        let dispatch = |event_loop: &mut EventLoop<State>, state: &mut State| {
            catch_unwind(AssertUnwindSafe(|| event_loop.run(LONG, state, |_| ())))
        };
        assert!(dispatch(&mut event_loop, &mut state).is_err());
        // In an idle.
        state.handle.insert_idle(|state: &mut State| {
            state.inner.insert_idle(|_| panic!("on purpose"));
        });
        assert!(dispatch(&mut event_loop, &mut state).is_err());

        ping.ping();
        dispatch_in_time(&mut event_loop, &mut state);
        assert_eq!(state.take_log(), ["ping"]);
        state.inner_timer(10 * MS);
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_on_time(&mut state, 1);
    }
}

mod handles {
    use super::*;

    #[test]
    fn of_both_loops_work_in_each_others_callbacks() {
        let (mut event_loop, mut state, _) = hosting();
        let ping = state.inner_ping("again");
        state.inner.insert_idle(|state| {
            let callback = |_, state: &mut State| {
                state.note("own timer");
                state.inner_timer(5 * MS);
                soloop::TimeoutAction::Drop
            };
            state.handle.insert_source(soloop::Timer::from_duration(MS), callback).unwrap();
        });
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_eq!(state.take_log(), ["own timer"]);
        assert_on_time(&mut state, 1);
        ping.ping();
        dispatch_in_time(&mut event_loop, &mut state);
        assert_eq!(state.take_log(), ["again"]);
    }

    #[test]
    fn are_reached_through_the_token() {
        let (mut event_loop, mut state, token) = hosting();
        event_loop.apply_pending(&mut state).unwrap();
        let handle = event_loop.get(token).unwrap().handle();
        handle.insert_idle(|state| state.note("got"));
        state.handle.visit(token, |bridge, _| {
            bridge.handle().insert_idle(|state| state.note("visited"));
        });
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["got", "visited"]);
    }

    #[test]
    fn a_hosted_callback_may_disable_the_bridge() {
        let (mut event_loop, mut state, token) = hosting();
        let ping = state.inner_ping("ping");
        let disable = move |_, _: &mut (), state: &mut State| {
            assert!(state.handle.disable(token));
            state.note("disabled");
            TimeoutAction::ToDuration(MS)
        };
        state.inner.insert_source(Timer::from_duration(MS), disable).unwrap();
        while state.log.is_empty() {
            dispatch_in_time(&mut event_loop, &mut state);
        }
        ping.ping();
        event_loop.dispatch(10 * MS, &mut state).unwrap();
        assert_eq!(state.take_log(), ["disabled"]);
        assert!(state.handle.enable(token));
        while state.log.len() < 2 {
            dispatch_in_time(&mut event_loop, &mut state);
        }
        state.log.sort();
        assert_eq!(state.take_log(), ["disabled", "ping"]);
    }

    /// It is for a `run` of the hosted loop.
    #[test]
    fn a_stop_of_the_hosted_loops_signal_does_nothing() {
        let (mut event_loop, handle) = EventLoop::new().unwrap();
        let inner = calloop::EventLoop::<State>::try_new().unwrap();
        let signal = inner.get_signal();
        let mut state = State {
            handle,
            inner: inner.handle(),
            log: Vec::new(),
            fired: Vec::new(),
            inner_token: None,
        };
        state.handle.insert_calloop(inner).unwrap();
        signal.stop();
        state.inner_timer_then(MS, |_| ());
        state.inner_timer(10 * MS);
        run(&mut event_loop, &mut state);
        assert_eq!(state.fired.len(), 2);
        // Its `wakeup` ends the wait.
        let thread = thread::spawn(move || signal.wakeup());
        dispatch_in_time(&mut event_loop, &mut state);
        thread.join().unwrap();
    }

    #[test]
    fn a_hosted_callback_may_remove_the_bridge() {
        common::in_child("a_hosted_callback_may_remove_the_bridge", || {
            let fds = open_fds();
            let (mut event_loop, mut state, token) = hosting();
            let ping = state.inner_ping("ping");
            let remove = move |_, _: &mut (), state: &mut State| {
                assert!(state.handle.remove(token));
                assert!(!state.handle.contains(token));
                state.note("removed");
                TimeoutAction::ToDuration(MS)
            };
            state.inner.insert_source(Timer::from_duration(MS), remove).unwrap();
            while state.log.is_empty() {
                dispatch_in_time(&mut event_loop, &mut state);
            }
            ping.ping();
            event_loop.dispatch(10 * MS, &mut state).unwrap();
            assert_eq!(state.take_log(), ["removed"]);
            drop((event_loop, state, ping));
            assert_eq!(open_fds(), fds);
        });
    }
}

mod tokens {
    use super::*;

    #[test]
    fn disable_and_enable_a_bridge() {
        let (mut event_loop, mut state, token) = hosting();
        let ping = state.inner_ping("ping");
        event_loop.dispatch(ZERO, &mut state).unwrap();
        state.handle.disable(token);
        ping.ping();
        state.inner_timer(ZERO);
        state.inner_idle("idle");
        for _ in 0..3 {
            event_loop.dispatch(MS, &mut state).unwrap();
        }
        assert_eq!((state.log.len(), state.fired.len()), (0, 0));
        state.handle.enable(token);
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_eq!(state.take_log(), ["ping", "idle"]);
        assert_eq!(state.fired.len(), 1);
    }

    #[test]
    fn take_gives_the_loop_back_with_all_that_is_in_it() {
        let (mut event_loop, mut state, token) = hosting();
        let ping = state.inner_ping("ping");
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        state.handle.take(token, move |bridge, _| sender.send(bridge.into_inner()).unwrap());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let mut inner = receiver.recv().unwrap();

        // On its own,
        ping.ping();
        event_loop.dispatch(MS, &mut state).unwrap();
        assert_eq!(state.take_log(), [""; 0]);
        inner.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["ping"]);
        // and hosted once more.
        state.handle.insert_calloop(inner).unwrap();
        state.inner_timer(10 * MS);
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_on_time(&mut state, 1);
    }

    /// Where the next source of a calloop loop goes, as the token says: into the first place that is free.
    fn next_place(inner: &calloop::EventLoop<'static, State>) -> String {
        let source = Timer::from_duration(LONG);
        let token = inner.handle().insert_source(source, |_, _, _| TimeoutAction::Drop).unwrap();
        inner.handle().remove(token);
        let shown = format!("{token:?}");
        let place = shown.split("id: ").nth(1).and_then(|rest| rest.split(',').next());
        place.unwrap_or_else(|| panic!("calloop's tokens look otherwise now: {shown}")).to_owned()
    }

    /// calloop does not say how many sources there are.
    #[test]
    fn of_the_bridge_itself_are_not_left_in_a_loop_that_is_given_back() {
        let (mut event_loop, mut state, token) = hosting();
        state.handle.remove(token);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let mut inner = calloop::EventLoop::try_new().unwrap();
        let place = next_place(&inner);
        for _ in 0..3 {
            let token = state.handle.insert_calloop(inner).unwrap();
            event_loop.dispatch(ZERO, &mut state).unwrap();
            let (sender, receiver) = std::sync::mpsc::channel();
            state.handle.take(token, move |bridge, _| sender.send(bridge.into_inner()).unwrap());
            event_loop.dispatch(ZERO, &mut state).unwrap();
            inner = receiver.recv().unwrap();
            inner.dispatch(ZERO, &mut state).unwrap();
            assert_eq!(next_place(&inner), place);
        }
    }

    #[test]
    fn of_a_bridge_that_is_gone_do_nothing() {
        let (mut event_loop, mut state, token) = hosting();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(state.handle.remove(token));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(event_loop.get(token).is_none());
        assert!(!state.handle.enable(token));
    }
}

/// What one loop that waits in another can't do.
mod limits {
    use super::*;

    fn alone(mut inner: calloop::EventLoop<'static, State>, state: &mut State) {
        inner.handle().insert_idle(|state| state.note("alone"));
        inner.dispatch(ZERO, state).unwrap();
        assert_eq!(state.take_log(), ["alone"]);
    }

    #[test]
    fn a_second_loop_is_refused_and_comes_back() {
        let (mut event_loop, mut state, token) = hosting();
        for _ in 0..2 {
            let second = calloop::EventLoop::try_new().unwrap();
            let refused = state.handle.insert_calloop(second).unwrap_err();
            assert_eq!(refused.error.kind(), io::ErrorKind::AlreadyExists);
            assert!(refused.to_string().contains("insert_calloop_on_demand"), "{refused}");
            alone(refused.source, &mut state);
            event_loop.dispatch(ZERO, &mut state).unwrap();
        }
        state.inner_timer(10 * MS);
        run(&mut event_loop, &mut state);
        assert_on_time(&mut state, 1);
        // Once the first is gone, there may be another one.
        state.handle.remove(token);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let second = calloop::EventLoop::try_new().unwrap();
        state.inner = second.handle();
        state.handle.insert_calloop(second).unwrap();
        state.inner_timer(10 * MS);
        run(&mut event_loop, &mut state);
        assert_on_time(&mut state, 1);
    }

    /// Not with mio's poll(2) backend, where a loop has no fd.
    #[cfg(not(mio_unsupported_force_poll_poll))]
    #[test]
    fn a_loop_whose_fd_is_watched_refuses_and_gives_it_back() {
        let (event_loop, handle) = EventLoop::new().unwrap();
        let inner = calloop::EventLoop::<State>::try_new().unwrap();
        let mut state = State {
            handle,
            inner: inner.handle(),
            log: Vec::new(),
            fired: Vec::new(),
            inner_token: None,
        };
        let _watched = event_loop.as_fd();
        let refused = state.handle.insert_calloop(inner).unwrap_err();
        assert_eq!(refused.error.kind(), io::ErrorKind::Unsupported);
        alone(refused.source, &mut state);
    }

    #[cfg(not(mio_unsupported_force_poll_poll))]
    #[test]
    fn a_loop_whose_fd_is_asked_for_later_fails_until_it_hosts_none() {
        let (mut event_loop, mut state, token) = hosting();
        let ping = state.inner_ping("ping");
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let _watched = event_loop.as_fd();
        ping.ping();
        for _ in 0..3 {
            let error = event_loop.dispatch(LONG, &mut state).unwrap_err();
            let soloop::Error::Io(error) = &error else { panic!("{error}") };
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        }
        assert_eq!(state.take_log(), [""; 0]);
        let (sender, taken) = std::sync::mpsc::channel();
        state.handle.take(token, move |bridge, _| sender.send(bridge.into_inner()).unwrap());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        state.handle.insert_idle(|state: &mut State| state.note("works"));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["works"]);
        // What was ready in the hosted loop is.
        taken.recv().unwrap().dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["ping"]);
    }

    #[test]
    fn an_observer_does_not_see_what_runs_in_the_wait() {
        let (mut event_loop, mut state, _) = hosting();
        let (sender, reports) = std::sync::mpsc::channel();
        event_loop.observe(move |report| sender.send(report.kind).unwrap());
        let ping = state.inner_ping("ping");
        ping.ping();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["ping"]);
        assert_eq!(reports.try_recv().ok(), None::<CallbackKind>);
    }
}

/// A loop that hosts one sleeps like any other: its rounds are those that something asked for.
#[test]
fn an_idle_bridge_does_not_keep_the_loop_awake() {
    let (mut event_loop, mut state, _) = hosting();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.inner_timer(100 * MS);
    let before = event_loop.stats().rounds;
    event_loop.run(None, &mut state, |_| ()).unwrap();
    let rounds = event_loop.stats().rounds - before;
    assert!(rounds <= 3, "{rounds} rounds for one timer");
}

/// The kernel nests epoll instances only so deep.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn a_loop_that_can_not_be_hosted_is_given_back_as_it_was() {
    use rustix::event::epoll;

    let (mut event_loop, mut state, token) = hosting();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let mut nested = vec![epoll::create(epoll::CreateFlags::CLOEXEC).unwrap()];
    for depth in 0..3 {
        let next = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let data = epoll::EventData::new_u64(0);
        epoll::add(&next, &nested[depth], data, epoll::EventFlags::IN).unwrap();
        nested.push(next);
    }
    let deep = nested.pop().unwrap();
    let deep = soloop::Generic::new(deep, soloop::Interest::READ, soloop::Mode::Level);
    state.handle.remove(token);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let ignore = |_: soloop::Ready<'_, _>, _: &mut State| Ok(soloop::PostAction::Continue);
    let deep = state.handle.insert_source(deep, ignore).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();

    let inner = calloop::EventLoop::<State>::try_new().unwrap();
    let refused = state.handle.insert_calloop(inner).unwrap_err();
    assert!(refused.to_string().contains("nested too deep"), "{refused}");
    let mut inner = refused.source;
    inner.handle().insert_idle(|state| state.note("alone"));
    inner.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["alone"]);
    // The loop sleeps as before,
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let started = Instant::now();
    event_loop.dispatch(20 * MS, &mut state).unwrap();
    assert!(started.elapsed() >= 20 * MS, "awake for nothing");
    // and hosts it when there is room.
    state.handle.remove(deep);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.inner = inner.handle();
    state.handle.insert_calloop(inner).unwrap();
    state.inner_timer(10 * MS);
    event_loop.run(None, &mut state, |_| ()).unwrap();
    assert_on_time(&mut state, 1);
}
