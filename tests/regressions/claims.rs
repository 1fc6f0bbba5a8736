//! What a reading against the heart tried of destructors, hooks, timers and clocks.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::scripted::Scripted;
use crate::common::{self, State, ZERO, new_loop};
use soloop::{
    EventLoop, EventSource, InterestToken, PostAction, Priority, Readiness, Registrar, Scope,
    SourceOptions, TimeoutAction, Timer, make_ping,
};

const MS: Duration = Duration::from_millis(1);

/// Sets a mark when it is dropped.
struct Marks(Arc<AtomicBool>);

impl Drop for Marks {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A dispatch in which a destructor runs before the wait does not block.
fn does_not_block(prepare: impl FnOnce(Marks, &mut State)) {
    let (mut event_loop, mut state) = new_loop();
    let mark = Arc::new(AtomicBool::new(false));
    prepare(Marks(Arc::clone(&mark)), &mut state);
    let started = Instant::now();
    event_loop.dispatch(Duration::from_secs(3), &mut state).unwrap();
    assert!(mark.load(Relaxed));
    assert!(started.elapsed() < Duration::from_secs(2), "it blocked");
}

#[test]
fn the_destructor_of_a_visitor_that_does_not_run() {
    does_not_block(|marks, state| {
        let timer = Timer::never();
        let timer =
            state.handle.insert_source(timer, |_, _: &mut State| TimeoutAction::Drop).unwrap();
        let guard = state.handle.guard(timer);
        state.handle.visit(timer, move |_, _: &mut State| drop(marks));
        drop(guard);
    });
}

#[test]
fn the_destructor_of_what_a_change_captured() {
    does_not_block(|marks, state| {
        let timer = Timer::never();
        let timer =
            state.handle.insert_source(timer, |_, _: &mut State| TimeoutAction::Drop).unwrap();
        state.handle.update(timer, move |_| drop(marks));
    });
}

#[test]
fn the_destructor_of_an_idle_of_a_scope() {
    does_not_block(|marks, state| {
        let scope = Scope::new();
        let options = SourceOptions::new().scope(&scope);
        state.handle.insert_idle_with(options, move |_: &mut State| drop(marks));
        drop(scope);
    });
}

#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn the_fd_tells_of_a_deadline_that_a_registrar_armed_between_dispatches() {
    struct Armed;
    impl EventSource for Armed {
        type Event<'a> = ();
        type Ret = ();
        type Error = Infallible;
        fn register(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
            Ok(())
        }
        fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
            Ok(())
        }
        fn unregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
            Ok(())
        }
        fn process_events<F>(
            &mut self,
            _: Readiness,
            _: InterestToken,
            mut callback: F,
        ) -> Result<PostAction, Infallible>
        where
            F: FnMut(()),
        {
            callback(());
            Ok(PostAction::Continue)
        }
    }
    let (mut event_loop, mut state) = new_loop();
    let token =
        state.handle.insert_source(Armed, |(), state: &mut State| state.note("armed")).unwrap();
    let _ = event_loop.as_fd();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.handle.registrar(token).unwrap().arm(Instant::now());
    assert!(common::readable_within(&event_loop, Duration::from_secs(2)));
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["armed"]);
}

/// No dispatch ends without a callback, and none is early, whatever timers move each other.
#[test]
fn timers_that_move_each_other_wake_the_loop_for_nothing_else() {
    for seed in 1..6_u64 {
        let (mut event_loop, mut state) = new_loop();
        let random = Arc::new(AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let next = move |random: &AtomicU64| {
            let mut n = random.load(Relaxed);
            n ^= n << 13;
            n ^= n >> 7;
            n ^= n << 17;
            random.store(n, Relaxed);
            n >> 20
        };
        let tokens = Arc::new(Mutex::new(Vec::new()));
        for n in 0..40 {
            let (random, all) = (Arc::clone(&random), Arc::clone(&tokens));
            let priority = [Priority::High, Priority::Normal, Priority::Low][n % 3];
            let options = SourceOptions::new().priority(priority);
            let timer = Timer::from_duration(MS * (n as u32 % 7));
            let token = state
                .handle
                .insert_source_with(options, timer, move |deadline, state: &mut State| {
                    if Instant::now() < deadline {
                        state.note("early");
                    }
                    state.note("fired");
                    let all: &Mutex<Vec<soloop::Token<Timer>>> = &all;
                    for _ in 0..6 {
                        let token = all.lock().unwrap()[next(&random) as usize % 40];
                        let at = state.handle.now() + Duration::from_micros(next(&random) % 4000);
                        match next(&random) % 12 {
                            0 => drop(state.handle.disable(token)),
                            1 | 2 => drop(state.handle.enable(token)),
                            3 => drop(state.handle.update(token, move |timer| {
                                timer.set_deadline(at);
                            })),
                            _ => drop(state.handle.set_deadline(token, at)),
                        }
                    }
                    let token = all.lock().unwrap()[next(&random) as usize % 40];
                    state.handle.enable(token);
                    TimeoutAction::ToDuration(Duration::from_micros(500 + next(&random) % 6000))
                })
                .unwrap();
            tokens.lock().unwrap().push(token);
        }
        let (mut idle, mut late) = (0, ZERO);
        for _ in 0..1500 {
            event_loop.dispatch(Duration::from_millis(50), &mut state).unwrap();
            let log = state.take_log();
            assert!(!log.iter().any(|log| log == "early"));
            idle += usize::from(log.is_empty());
            late = late.max(ZERO);
        }
        assert!(idle < 20, "{idle} of 1500 with seed {seed}");
    }
}

/// The kernel knows nothing of it: nobody else tells again.
#[test]
fn what_a_hook_said_of_a_level_survives_a_panic() {
    let (mut event_loop, mut state) = new_loop();
    let (_ours, theirs) = UnixStream::pair().unwrap();
    let mut source = Scripted::new();
    source.fd = Some(theirs);
    let mut said = false;
    source.before_sleep = Box::new(move |token| {
        let first = !std::mem::replace(&mut said, true);
        Ok(first.then_some((Readiness::EMPTY, token)))
    });
    let mut panicked = false;
    let inserted = state.handle.insert_source(source, move |_, state: &mut State| {
        assert!(std::mem::replace(&mut panicked, true), "on purpose");
        state.note("called");
        Ok(PostAction::Continue)
    });
    inserted.unwrap();
    catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state))).unwrap_err();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["called"]);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["called"]);
}

/// A source that is inserted once is taken by its own callback.
#[test]
fn one_that_is_inserted_once_and_takes_itself_is_taken() {
    let (mut event_loop, mut state) = new_loop();
    let (ping, source) = make_ping();
    let token = Arc::new(Mutex::new(None));
    let own = Arc::clone(&token);
    let inserted = state
        .handle
        .insert_once(source, move |(), state: &mut State| {
            if state.handle.take(own.lock().unwrap().unwrap(), |_, state| state.note("taken")) {
                state.note("true");
            }
        })
        .unwrap();
    *token.lock().unwrap() = Some(inserted);
    ping.ping();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["true", "taken"]);
}

/// Two loops on one clock that another thread moves: the fd of each is readable when its timer is due, and not before.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn two_loops_hear_of_each_move_of_a_clock_by_another_thread() {
    let clock = soloop::Clock::manual();
    let start = clock.now();
    let mut loops: Vec<_> = (1..3_u32)
        .map(|every| {
            let (event_loop, handle) = EventLoop::with_clock(clock.clone()).unwrap();
            let mut state = State { handle, log: Vec::new(), tokens: Vec::new() };
            let first = Timer::from_deadline(start + every * MS);
            state
                .handle
                .insert_source(first, move |deadline, state: &mut State| {
                    state.note("fired");
                    TimeoutAction::ToInstant(deadline + every * MS)
                })
                .unwrap();
            (every, event_loop, state)
        })
        .collect();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn({
        let clock = clock.clone();
        move || gone.iter().for_each(|()| clock.advance(MS))
    });
    for (_, event_loop, state) in &mut loops {
        let _ = event_loop.as_fd();
        for _ in 0..2 {
            event_loop.dispatch(ZERO, state).unwrap();
        }
        assert!(!common::is_readable(&*event_loop));
    }
    for step in 1..2000_u32 {
        go.send(()).unwrap();
        for (every, event_loop, state) in &mut loops {
            if step % *every != 0 {
                continue;
            }
            assert!(common::readable_within(&*event_loop, common::LONG), "{step}");
            event_loop.dispatch(ZERO, state).unwrap();
            assert_eq!(state.take_log(), ["fired"], "{step}");
            assert!(!common::is_readable(&*event_loop), "{step}");
        }
        while clock.now() - start < step * MS {
            std::thread::yield_now();
        }
    }
    drop(go);
    thread.join().unwrap();
}
