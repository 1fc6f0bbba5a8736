//! Another loop's handle in the state, put there by everything that may: the error says so before anything is done to
//! either loop, and nothing is lost.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::scripted::Scripted;
use crate::common::{State, ZERO, new_loop};
use soloop::{
    Error, ErrorAction, EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction,
    Priority, Scope, SourceOptions, TimeoutAction, Timer, make_ping,
};

fn edge(name: &'static str, state: &mut State) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let source = Generic::new(theirs, Interest::READ, Mode::Edge);
    state
        .handle
        .insert_source(source, move |ready, state: &mut State| {
            let _ = ready.io.read(&mut [0; 64]);
            state.note(name);
            Ok(PostAction::Continue)
        })
        .unwrap();
    ours
}

fn is_foreign(result: Result<(), Error>) -> bool {
    matches!(result, Err(Error::ForeignHandle))
}

/// A state for two to reach: the test and a policy, in one thread.
#[allow(clippy::arc_with_non_send_sync, reason = "`Rc` is not used in this project")]
fn shared(state: State) -> Arc<Mutex<State>> {
    Arc::new(Mutex::new(state))
}

/// A policy puts another loop's handle into the state, once.
fn swapping(other: &Arc<Mutex<State>>) -> impl FnMut(&Error, &mut State) -> ErrorAction + 'static {
    let (other, mut once) = (Arc::clone(other), true);
    move |_, state| {
        if std::mem::take(&mut once) {
            std::mem::swap(&mut state.handle, &mut other.lock().unwrap().handle);
        }
        ErrorAction::Ignore
    }
}

#[test]
fn a_policy_after_before_sleep_puts_a_foreign_handle_into_the_state() {
    let (mut event_loop, mut state) = new_loop();
    let (mut other_loop, other) = new_loop();
    let other = shared(other);
    event_loop.on_error(swapping(&other));
    let mut fails = true;
    let mut hooked = Scripted::new();
    hooked.before_sleep =
        Box::new(
            move |_| {
                if std::mem::take(&mut fails) { Err(io::Error::other("once")) } else { Ok(None) }
            },
        );
    state.handle.insert_source(hooked, |_, _: &mut State| Ok(PostAction::Continue)).unwrap();
    let mut ours = edge("edge", &mut state);
    // The same keys in the other loop.
    let (_ping, source) = make_ping();
    other.lock().unwrap().handle.insert_source(source, |(), _: &mut State| ()).unwrap();
    let mut others = edge("other", &mut other.lock().unwrap());
    other_loop.dispatch(ZERO, &mut other.lock().unwrap()).unwrap();
    ours.write_all(b"x").unwrap();
    let result = event_loop.dispatch(ZERO, &mut state);
    let foreign = is_foreign(result);
    std::mem::swap(&mut state.handle, &mut other.lock().unwrap().handle);
    for _ in 0..3 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    let own = state.take_log();
    others.write_all(b"x").unwrap();
    for _ in 0..3 {
        other_loop.dispatch(ZERO, &mut other.lock().unwrap()).unwrap();
    }
    let theirs = other.lock().unwrap().take_log();
    assert_eq!((foreign, own.join(","), theirs.join(",")), (true, "edge".into(), "other".into()));
}

#[test]
fn a_policy_puts_a_foreign_handle_into_the_state_while_a_panic_is_taken_up() {
    let (mut event_loop, mut state) = new_loop();
    let (mut other_loop, other) = new_loop();
    let other = shared(other);
    event_loop.on_error(swapping(&other));
    let (mut registers, mut unregisters) = (0, 0);
    let mut source = Scripted::new();
    source.register = Box::new(move || {
        registers += 1;
        assert!(registers != 2, "on purpose");
        Ok(())
    });
    source.unregister = Box::new(move || {
        unregisters += 1;
        if unregisters == 2 { Err(io::Error::other("once")) } else { Ok(()) }
    });
    let token =
        state.handle.insert_source(source, |_, _: &mut State| Ok(PostAction::Continue)).unwrap();
    let mut ours = edge("edge", &mut state);
    // The same keys in the other loop.
    let mut others = edge("other", &mut other.lock().unwrap());
    other_loop.dispatch(ZERO, &mut other.lock().unwrap()).unwrap();
    state.handle.disable(token);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.handle.enable(token);
    catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state))).unwrap_err();
    ours.write_all(b"x").unwrap();
    let foreign = is_foreign(event_loop.dispatch(ZERO, &mut state));
    std::mem::swap(&mut state.handle, &mut other.lock().unwrap().handle);
    for _ in 0..3 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    let own = state.take_log();
    others.write_all(b"x").unwrap();
    for _ in 0..3 {
        other_loop.dispatch(ZERO, &mut other.lock().unwrap()).unwrap();
    }
    let theirs = other.lock().unwrap().take_log();
    assert_eq!((foreign, own.join(","), theirs.join(",")), (true, "edge".into(), "other".into()));
}

/// A state whose handle is chosen by what anybody can reach, destructors and hooks among them.
struct Two {
    handles: [LoopHandle<Two>; 2],
    which: Arc<AtomicUsize>,
    log: Vec<&'static str>,
}

impl LoopData for Two {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handles[self.which.load(Relaxed)]
    }
}

struct Flips(Arc<AtomicUsize>);

impl Drop for Flips {
    fn drop(&mut self) {
        self.0.store(1, Relaxed);
    }
}

fn edge_of_two(name: &'static str, handle: &mut LoopHandle<Two>) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let source = Generic::new(theirs, Interest::READ, Mode::Edge);
    handle
        .insert_source(source, move |ready, state: &mut Two| {
            let _ = ready.io.read(&mut [0; 64]);
            state.log.push(name);
            Ok(PostAction::Continue)
        })
        .unwrap();
    ours
}

/// Something of the user's that `prepare` leaves has the state answer another loop's handle.
fn flipping(prepare: impl FnOnce(Flips, &mut EventLoop<Two>, &mut Two)) {
    let (mut event_loop, ours) = EventLoop::new().unwrap();
    let (mut other_loop, other) = EventLoop::new().unwrap();
    let which = Arc::new(AtomicUsize::new(0));
    let mut state = Two { handles: [ours, other], which: Arc::clone(&which), log: Vec::new() };
    // The same keys in both.
    let mut own = edge_of_two("edge", &mut state.handles[0]);
    let mut others = edge_of_two("other", &mut state.handles[1]);
    for _ in 0..3 {
        let never = Timer::never();
        state.handles[1].insert_source(never, |_, _| TimeoutAction::Drop).unwrap();
    }
    event_loop.dispatch(ZERO, &mut state).unwrap();
    which.store(1, Relaxed);
    other_loop.dispatch(ZERO, &mut state).unwrap();
    which.store(0, Relaxed);
    own.write_all(b"x").unwrap();
    prepare(Flips(Arc::clone(&which)), &mut event_loop, &mut state);
    state.log.clear();
    let foreign = is_foreign(event_loop.dispatch(ZERO, &mut state));
    assert_eq!(which.load(Relaxed), 1, "it ran");
    which.store(0, Relaxed);
    for _ in 0..3 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    let log = std::mem::take(&mut state.log).join(",");
    which.store(1, Relaxed);
    others.write_all(b"x").unwrap();
    for _ in 0..3 {
        other_loop.dispatch(ZERO, &mut state).unwrap();
    }
    let theirs = state.log.join(",");
    assert!(log.starts_with("edge"), "lost: {log}");
    assert_eq!(theirs, "other");
    assert!(foreign, "no error");
}

#[test]
fn flip_by_the_destructor_of_a_removed_source() {
    flipping(|flips, _, state| {
        let timer = state.handles[0]
            .insert_source(Timer::never(), move |_, _: &mut Two| {
                let _ = &flips;
                TimeoutAction::Drop
            })
            .unwrap();
        state.handles[0].remove(timer);
    });
}

#[test]
fn flip_by_before_sleep() {
    flipping(|flips, _, state| {
        let mut source = Scripted::new();
        let mut flips = Some(flips);
        source.before_sleep = Box::new(move |_| {
            drop(flips.take());
            Ok(None)
        });
        state.handles[0].insert_source(source, |_, _: &mut Two| Ok(PostAction::Continue)).unwrap();
    });
}

#[test]
fn flip_by_before_handle_events() {
    flipping(|flips, _, state| {
        let mut source = Scripted::new();
        let mut flips = Some(flips);
        source.before_events = Box::new(move || drop(flips.take()));
        state.handles[0].insert_source(source, |_, _: &mut Two| Ok(PostAction::Continue)).unwrap();
    });
}

#[test]
fn flip_by_the_destructor_of_an_idle_of_a_scope() {
    flipping(|flips, _, state| {
        let scope = Scope::new();
        let options = SourceOptions::new().scope(&scope);
        state.handles[0].insert_idle_with(options, move |_: &mut Two| drop(flips));
        drop(scope);
    });
}

#[test]
fn flip_by_the_destructor_of_an_idle_of_a_scope_before_an_op() {
    flipping(|flips, _, state| {
        let timer =
            state.handles[0].insert_source(Timer::never(), |_, _| TimeoutAction::Drop).unwrap();
        let scope = Scope::new();
        let options = SourceOptions::new().scope(&scope);
        state.handles[0].insert_idle_with(options, move |_: &mut Two| drop(flips));
        drop(scope);
        state.handles[0].remove(timer);
    });
}

#[test]
fn flip_by_a_change() {
    flipping(|flips, _, state| {
        let timer =
            state.handles[0].insert_source(Timer::never(), |_, _| TimeoutAction::Drop).unwrap();
        state.handles[0].update(timer, move |_| drop(flips));
    });
}

#[test]
fn flip_by_a_visitor_a_post_and_an_inspection() {
    flipping(|flips, _, state| {
        let timer =
            state.handles[0].insert_source(Timer::never(), |_, _| TimeoutAction::Drop).unwrap();
        state.handles[0].visit(timer, move |_, _: &mut Two| drop(flips));
    });
    flipping(|flips, _, state| {
        state.handles[0].inspect(move |_, _: &mut Two| drop(flips));
    });
}

#[test]
fn flip_by_enable() {
    flipping(|flips, event_loop, state| {
        let mut source = Scripted::new();
        let (mut flips, mut n) = (Some(flips), 0);
        source.register = Box::new(move || {
            n += 1;
            if n == 2 {
                drop(flips.take());
            }
            Ok(())
        });
        let token = state.handles[0]
            .insert_source(source, |_, _: &mut Two| Ok(PostAction::Continue))
            .unwrap();
        let _ = event_loop;
        state.handles[0].disable(token);
        state.handles[0].enable(token);
    });
}

#[test]
fn flip_by_the_destructor_of_a_source_whose_removal_a_panic_interrupted() {
    flipping(|flips, event_loop, state| {
        let mut source = Scripted::new();
        let mut panics = true;
        source.unregister = Box::new(move || {
            let _ = &flips;
            assert!(!std::mem::take(&mut panics), "on purpose");
            Ok(())
        });
        let token = state.handles[0]
            .insert_source(source, |_, _: &mut Two| Ok(PostAction::Continue))
            .unwrap();
        event_loop.apply_pending(state).unwrap();
        state.handles[0].remove(token);
        catch_unwind(AssertUnwindSafe(|| event_loop.apply_pending(state))).unwrap_err();
    });
}

#[test]
fn flip_by_a_callback_and_an_idle() {
    flipping(|flips, _, state| {
        let (ping, source) = make_ping();
        let mut flips = Some(flips);
        let options = SourceOptions::new().priority(Priority::High);
        state.handles[0]
            .insert_source_with(options, source, move |(), _: &mut Two| drop(flips.take()))
            .unwrap();
        ping.ping();
    });
    flipping(|flips, _, state| {
        let _ = state.handles[0].insert_idle(move |_: &mut Two| drop(flips));
    });
}

/// An observer that has the state answer another loop's handle, at its first call of one kind.
struct FlipsAt(&'static str, Option<Flips>);

impl FlipsAt {
    fn at(&mut self, what: &'static str) {
        if what == self.0 {
            drop(self.1.take());
        }
    }
}

impl soloop::Observer for FlipsAt {
    fn round_begin(&mut self, _: u64) {
        self.at("round_begin");
    }
    fn wait_begin(&mut self, _: Option<Duration>) {
        self.at("wait_begin");
    }
    fn wait_end(&mut self, _: &soloop::WaitReport) {
        self.at("wait_end");
    }
    fn callback_begin(&mut self, _: &soloop::CallbackStart<'_>) {
        self.at("callback_begin");
    }
    fn callback_end(&mut self, _: &soloop::CallbackReport<'_>) {
        self.at("callback_end");
    }
}

fn flip_by_observer(at: &'static str) {
    flipping(move |flips, event_loop, state| {
        event_loop.set_observer(FlipsAt(at, Some(flips)));
        let timer =
            state.handles[0].insert_source(Timer::never(), |_, _| TimeoutAction::Drop).unwrap();
        state.handles[0].visit(timer, |_, _: &mut Two| ());
    });
}

#[test]
fn flip_by_observer_round_begin() {
    flip_by_observer("round_begin");
}

#[test]
fn flip_by_observer_wait_begin() {
    flip_by_observer("wait_begin");
}

#[test]
fn flip_by_observer_wait_end() {
    flip_by_observer("wait_end");
}

#[test]
fn flip_by_observer_callback_begin() {
    flip_by_observer("callback_begin");
}

#[test]
fn flip_by_observer_callback_end() {
    flip_by_observer("callback_end");
}

#[test]
fn a_timer_that_fired_beside_a_foreign_handle_fires_once() {
    let (mut event_loop, mut state) = new_loop();
    let (_other_loop, other) = new_loop();
    let other = shared(other);
    let (swap, mut once) = (Arc::clone(&other), true);
    state
        .handle
        .insert_source(Timer::immediate(), move |_, state: &mut State| {
            if std::mem::take(&mut once) {
                std::mem::swap(&mut state.handle, &mut swap.lock().unwrap().handle);
            }
            state.note("timer");
            TimeoutAction::Drop
        })
        .unwrap();
    assert!(is_foreign(event_loop.dispatch(ZERO, &mut state)));
    std::mem::swap(&mut state.handle, &mut other.lock().unwrap().handle);
    for _ in 0..3 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["timer"]);
}

/// The policy runs for the error of the unregistration that a `take` brings about.
#[test]
fn a_taker_does_not_run_with_a_foreign_handle() {
    let (mut event_loop, mut state) = new_loop();
    let (_other_loop, other) = new_loop();
    let other = shared(other);
    event_loop.on_error(swapping(&other));
    let mut source = Scripted::new();
    source.unregister = Box::new(|| Err(io::Error::other("always")));
    let token =
        state.handle.insert_source(source, |_, _: &mut State| Ok(PostAction::Continue)).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.handle.take(token, move |_, state: &mut State| {
        state.note("taken");
        state.handle.insert_timer(Timer::immediate(), |_, _| TimeoutAction::Drop);
    });
    let foreign = is_foreign(event_loop.dispatch(ZERO, &mut state));
    std::mem::swap(&mut state.handle, &mut other.lock().unwrap().handle);
    assert!(foreign);
    assert!(state.take_log().is_empty(), "it ran, and what it inserted is in the other loop");
}

/// Hosts a loop of calloop's that fails when something is written.
#[cfg(all(feature = "calloop", not(mio_unsupported_force_poll_poll)))]
fn hosted_with_an_error(state: &mut State) -> UnixStream {
    let inner = calloop::EventLoop::<State>::try_new().unwrap();
    let (bad, theirs) = UnixStream::pair().unwrap();
    let source =
        calloop::generic::Generic::new(theirs, calloop::Interest::READ, calloop::Mode::Edge);
    inner
        .handle()
        .insert_source(source, |_, _, _: &mut State| Err(io::Error::other("once")))
        .unwrap();
    state.handle.insert_calloop(inner).unwrap();
    bad
}

/// The policy runs for an error of a hosted loop.
#[cfg(all(feature = "calloop", not(mio_unsupported_force_poll_poll)))]
#[test]
fn a_policy_puts_a_foreign_handle_into_the_state_for_an_error_of_a_hosted_loop() {
    let (mut event_loop, mut state) = new_loop();
    let (_other_loop, other) = new_loop();
    let other = shared(other);
    event_loop.on_error(swapping(&other));
    let mut bad = hosted_with_an_error(&mut state);
    let mut ours = edge("edge", &mut state);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    ours.write_all(b"x").unwrap();
    bad.write_all(b"x").unwrap();
    assert!(is_foreign(event_loop.dispatch(ZERO, &mut state)));
    std::mem::swap(&mut state.handle, &mut other.lock().unwrap().handle);
    for _ in 0..3 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["edge"]);
}

/// The policy runs for an error of a hosted loop while a timer is due.
#[cfg(all(feature = "calloop", not(mio_unsupported_force_poll_poll)))]
#[test]
fn a_timer_is_not_lost_that_was_due_when_a_policy_put_a_foreign_handle_into_the_state() {
    use super::MS;
    use std::time::Instant;

    use crate::common::spin;

    let (mut event_loop, mut state) = new_loop();
    let (_other_loop, other) = new_loop();
    let other = shared(other);
    event_loop.on_error(swapping(&other));
    let mut bad = hosted_with_an_error(&mut state);
    let at = Instant::now() + 40 * MS;
    state
        .handle
        .insert_source(Timer::from_deadline(at), |_, state: &mut State| {
            state.note("timer");
            TimeoutAction::Drop
        })
        .unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    event_loop.dispatch(MS, &mut state).unwrap();
    spin(at.saturating_duration_since(Instant::now()) + 5 * MS);
    bad.write_all(b"x").unwrap();
    assert!(is_foreign(event_loop.dispatch(ZERO, &mut state)));
    std::mem::swap(&mut state.handle, &mut other.lock().unwrap().handle);
    let started = Instant::now();
    event_loop.dispatch(Duration::from_secs(3), &mut state).unwrap();
    assert_eq!(state.take_log(), ["timer"]);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?} late", started.elapsed());
}
