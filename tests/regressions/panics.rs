//! What a panic left half done.

use super::*;

use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use soloop::{EventLoop, Notifier};

fn panics<R>(run: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err(), "nothing panicked");
}

/// Ops that are asked for between a panic and the next dispatch are applied in their order, as any.
#[test]
fn a_visit_before_a_removal_runs_though_an_op_panicked_before() {
    let ways: [fn(&mut EventLoop<State>, &mut State); 2] = [
        |event_loop, state| panics(|| event_loop.dispatch(ZERO, state)),
        |event_loop, state| panics(|| event_loop.apply_pending(state)),
    ];
    for dispatch in ways {
        let (mut event_loop, mut state) = new_loop();
        let token = state.handle.insert_source(make_ping().1, |(), _: &mut State| ()).unwrap();
        state.handle.visit(token, |_, _| panic!("on purpose"));
        dispatch(&mut event_loop, &mut state);
        state.handle.visit(token, |_, state: &mut State| state.note("visited"));
        assert!(state.handle.remove(token));
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(state.log, ["visited"]);
    }
}

/// Registers two notifiers, with a panic in between, or an error once, if it is told to.
#[derive(Default)]
struct Halves {
    panics: bool,
    fails: bool,
    first: Option<(InterestToken, Notifier)>,
    second: Option<(InterestToken, Notifier)>,
    /// How often it was registered and unregistered.
    calls: Arc<[AtomicU32; 2]>,
    panics_twice: bool,
}

impl EventSource for Halves {
    type Event<'a> = ();
    type Ret = ();
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.calls[0].fetch_add(1, Ordering::Relaxed);
        assert!(self.first.is_none() && self.second.is_none(), "it is registered twice");
        let (token, notifier) = registrar.notifier();
        notifier.notify();
        self.first = Some((token, notifier));
        assert!(!self.panics, "on purpose");
        if std::mem::take(&mut self.fails) {
            return Err(io::Error::other("on purpose"));
        }
        self.second = Some(registrar.notifier());
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.calls[1].fetch_add(1, Ordering::Relaxed);
        for (token, _) in self.first.take().into_iter().chain(self.second.take()) {
            registrar.release(token);
        }
        assert!(!std::mem::take(&mut self.panics_twice), "on purpose, again");
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

#[test]
fn a_source_whose_register_panics_when_it_is_enabled_is_disabled_and_can_be_enabled_again() {
    for panics_twice in [false, true] {
        let (mut event_loop, mut state) = new_loop();
        let calls: Arc<[AtomicU32; 2]> = Arc::default();
        let source = Halves { calls: Arc::clone(&calls), ..Halves::default() };
        let callback = |(), state: &mut State| state.note("called");
        let token = state.handle.insert_source(source, callback).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["called"]);
        state.handle.disable(token);
        state.handle.update(token, move |source| {
            source.panics = true;
        });
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.get_mut(token).unwrap().panics_twice = panics_twice;
        state.handle.enable(token);
        panics(|| event_loop.dispatch(ZERO, &mut state));
        if panics_twice {
            panics(|| event_loop.dispatch(ZERO, &mut state));
        }
        // Its half of a registration is undone, by itself and by the loop.
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(calls.each_ref().map(|calls| calls.load(Ordering::Relaxed)), [2, 2]);
        assert_eq!(state.take_log(), [""; 0]);
        assert!(state.handle.contains(token));
        assert!(event_loop.sources(&state.handle).to_string().contains("disabled"));
        // Nothing stands in the way of another one.
        event_loop.get_mut(token).unwrap().panics = false;
        state.handle.enable(token);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["called"]);
        let source = event_loop.get(token).unwrap();
        source.second.as_ref().unwrap().1.notify();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["called"]);
    }
}

/// A source that can't be registered any more, for a time.
#[test]
fn a_source_that_is_enabled_twice_and_fails_the_first_time_gets_its_events() {
    let (mut event_loop, mut state) = new_loop();
    let callback = |(), state: &mut State| state.note("called");
    let token = state.handle.insert_source(Halves::default(), callback).unwrap();
    state.handle.disable(token);
    event_loop.apply_pending(&mut state).unwrap();
    event_loop.get_mut(token).unwrap().fails = true;
    state.handle.enable(token);
    state.handle.enable(token);
    event_loop.dispatch(ZERO, &mut state).unwrap_err();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["called"]);
    assert!(event_loop.sources(&state.handle).to_string().contains("enabled"));
}

#[cfg(not(mio_unsupported_force_poll_poll))]
mod a_waker_that_panics {
    use super::*;

    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Wake, Waker};

    struct Counter(AtomicU32, bool);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
            assert!(!self.1, "on purpose");
        }
    }

    /// How often each of three was woken that wait for one fd, the second of which panics.
    fn woken_by(wake: fn(EventLoop<State>, &mut State, &UnixStream)) -> [u32; 3] {
        let (event_loop, mut state) = new_loop();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours = state.handle.adapt_io(ours).unwrap();
        let counters =
            [false, true, false].map(|panics| Arc::new(Counter(AtomicU32::new(0), panics)));
        let wakers = counters.each_ref().map(|counter| Waker::from(Arc::clone(counter)));
        let (mut one, mut two, mut three) =
            (pin!(ours.readable()), pin!(ours.readable()), pin!(ours.readable()));
        for (future, waker) in [one.as_mut(), two.as_mut(), three.as_mut()].into_iter().zip(&wakers)
        {
            assert_eq!(future.poll(&mut Context::from_waker(waker)), Poll::Pending);
        }
        wake(event_loop, &mut state, &theirs);
        counters.map(|counter| counter.0.load(Ordering::Relaxed))
    }

    #[test]
    fn keeps_none_of_those_who_wait_for_the_same_fd_from_being_woken() {
        let woken = woken_by(|mut event_loop, state, mut end| {
            event_loop.dispatch(ZERO, state).unwrap();
            end.write_all(b"x").unwrap();
            panics(|| event_loop.dispatch(LONG, state));
        });
        assert_eq!(woken, [1; 3]);
    }

    #[test]
    fn keeps_none_from_being_woken_when_the_loop_goes() {
        let woken = woken_by(|mut event_loop, state, _| {
            event_loop.dispatch(ZERO, state).unwrap();
            panics(|| drop(event_loop));
        });
        assert_eq!(woken, [1; 3]);
    }
}

/// The event of an edge-triggered fd comes once more after a panic, for it may be all that tells of a backlog. If the fd
/// was made level-triggered meanwhile, the kernel tells of what is left, and of nothing that was read: a callback may then
/// read without the flag that keeps it from blocking.
#[cfg(not(mio_unsupported_force_poll_poll))] // Its modes are emulated.
#[test]
fn an_fd_that_panicked_and_became_level_triggered_is_not_reported_with_nothing_to_read() {
    for reads in [true, false] {
        let (mut event_loop, mut state) = new_loop();
        let (mut writer, source) = pair(Mode::Edge);
        source.get_ref().set_nonblocking(true).unwrap();
        let mut panicked = false;
        let token = state
            .handle
            .insert_source(source, move |ready, state: &mut State| {
                if reads {
                    assert_eq!(ready.io.read(&mut [0; 8]).unwrap(), 1);
                }
                assert!(std::mem::replace(&mut panicked, true), "on purpose");
                state.note("called");
                Ok(PostAction::Disable)
            })
            .unwrap();
        writer.write_all(b"x").unwrap();
        panics(|| event_loop.dispatch(ZERO, &mut state));
        state.handle.update(token, |source| source.mode = Mode::Level);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let expected: &[&str] = if reads { &[] } else { &["called"] };
        assert_eq!(state.log, expected);
    }
}
