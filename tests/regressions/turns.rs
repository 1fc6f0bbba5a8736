//! Who has a turn: lanes that were refused and have nothing more, panics, foreign handles, levels that went.

use super::*;

use std::convert::Infallible;
use std::io;

use soloop::channel::channel;
use soloop::{Priority, SourceOptions};

/// What of 20 rounds a source gets whose betters use up the time of each.
fn events_beside_a_flood(event_loop: &mut soloop::EventLoop<State>, state: &mut State) -> usize {
    let (high, source) = make_ping();
    let options = SourceOptions::new().priority(Priority::High);
    let again = high.clone();
    state
        .handle
        .insert_source_with(options, source, move |(), _: &mut State| {
            common::spin(2 * MS);
            again.ping();
        })
        .unwrap();
    let (normal, source) = make_ping();
    let again = normal.clone();
    state
        .handle
        .insert_source(source, move |(), state: &mut State| {
            state.note("normal");
            again.ping();
        })
        .unwrap();
    high.ping();
    normal.ping();
    for _ in 0..20 {
        event_loop.dispatch(ZERO, state).unwrap();
    }
    state.take_log().iter().filter(|log| *log == "normal").count()
}

#[test]
fn control_a_flood_leaves_others_their_turn() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(MS);
    let events = events_beside_a_flood(&mut event_loop, &mut state);
    assert!(events >= 5, "{events}");
}

#[test]
fn a_lane_that_was_refused_and_has_nothing_more_takes_no_turns_of_others() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(MS);
    let (sender, source) = channel::<()>();
    let options = SourceOptions::new().priority(Priority::Low);
    let token = state
        .handle
        .insert_source_with(options, source, |_, state: &mut State| {
            common::spin(2 * MS);
            state.note("low");
        })
        .unwrap();
    sender.send(()).unwrap();
    sender.send(()).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["low"]);
    state.handle.disable(token);
    let events = events_beside_a_flood(&mut event_loop, &mut state);
    assert!(events >= 5, "{events}");
}

/// Has a deadline, and more than one event for it.
struct Burst(Option<InterestToken>, u32);

impl EventSource for Burst {
    type Event<'a> = ();
    type Ret = ();
    type Error = Infallible;
    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.0 = Some(registrar.arm(Instant::now()));
        Ok(())
    }
    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }
    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if let Some(token) = self.0.take() {
            registrar.disarm(token);
        }
        Ok(())
    }
    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(()),
    {
        if self.0 != Some(token) {
            return Ok(PostAction::Continue);
        }
        callback(());
        self.1 -= 1;
        Ok(if self.1 > 0 { PostAction::Again } else { PostAction::Remove })
    }
}

#[test]
fn a_deadline_with_more_takes_no_turns_of_others_when_it_is_through() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(MS);
    state
        .handle
        .insert_source(Burst(None, 2), |(), state: &mut State| {
            common::spin(2 * MS);
            state.note("burst");
        })
        .unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["burst", "burst"]);
    let events = events_beside_a_flood(&mut event_loop, &mut state);
    assert!(events >= 5, "{events}");
}

/// The second source has to be late by two rounds at most, though the first fails or panics in each.
#[test]
fn a_refused_idle_runs_beside_a_flood_after_a_burst() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(MS);
    state.handle.insert_source(Burst(None, 2), |(), _: &mut State| common::spin(2 * MS)).unwrap();
    for _ in 0..3 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    let (high, source) = make_ping();
    let again = high.clone();
    state
        .handle
        .insert_source(source, move |(), _: &mut State| {
            common::spin(2 * MS);
            again.ping();
        })
        .unwrap();
    high.ping();
    for _ in 0..4 {
        state.handle.insert_idle(|state: &mut State| state.note("idle"));
    }
    for _ in 0..20 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert!(state.take_log().len() >= 4);
}

/// A posted closure that panics in `apply_pending`, then a dispatch: nothing of the round is lost.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn an_edge_event_survives_a_panic_of_apply_pending() {
    let (mut event_loop, mut state) = new_loop();
    let (ours, source) = pair(Mode::Edge);
    let mut panics = true;
    state
        .handle
        .insert_source(source, move |_, state: &mut State| {
            assert!(!std::mem::take(&mut panics), "on purpose");
            state.note("edge");
            Ok(PostAction::Continue)
        })
        .unwrap();
    (&ours).write_all(b"x").unwrap();
    let panicked = |run: &mut dyn FnMut()| {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    };
    panicked(&mut || event_loop.dispatch(ZERO, &mut state).unwrap());
    state.handle.remote().post(|_: &mut State| panic!("on purpose"));
    panicked(&mut || event_loop.apply_pending(&mut state).unwrap());
    event_loop.apply_pending(&mut state).unwrap();
    assert!(common::readable_within(&event_loop, ZERO));
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["edge"]);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(!common::readable_within(&event_loop, ZERO));
}

/// A foreign handle comes after a panic: the event is there when the handle is back.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn an_edge_event_survives_a_panic_and_a_foreign_handle() {
    let (mut event_loop, mut state) = new_loop();
    let (_other, mut foreign) = new_loop();
    let (ours, source) = pair(Mode::Edge);
    let mut panics = true;
    state
        .handle
        .insert_source(source, move |_, state: &mut State| {
            assert!(!std::mem::take(&mut panics), "on purpose");
            state.note("edge");
            Ok(PostAction::Continue)
        })
        .unwrap();
    (&ours).write_all(b"x").unwrap();
    let run = std::panic::AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state));
    assert!(std::panic::catch_unwind(run).is_err());
    std::mem::swap(&mut state.handle, &mut foreign.handle);
    event_loop.dispatch(ZERO, &mut state).unwrap_err();
    event_loop.apply_pending(&mut state).unwrap_err();
    assert!(common::readable_within(&event_loop, ZERO));
    std::mem::swap(&mut state.handle, &mut foreign.handle);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["edge"]);
}

/// On a manual clock a stop that came before a `dispatch` does not keep time from passing.
#[test]
fn manual_time_passes_beside_a_stop_outside_of_run() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let before = clock.now();
    state.handle.stop();
    event_loop.dispatch(HOUR, &mut state).unwrap();
    assert_eq!(clock.now() - before, HOUR);
    event_loop.run(None, &mut state, |_| panic!("the stop is honoured")).unwrap();
}

/// Time jumps over a timer that nobody waits for any more.
#[test]
fn manual_time_does_not_stop_at_a_deadline_that_went() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let before = clock.now();
    let token = state
        .handle
        .insert_source(Timer::from_deadline(before + MS), |_, _: &mut State| TimeoutAction::Drop)
        .unwrap();
    state
        .handle
        .insert_source(Timer::from_deadline(before + HOUR), |_, state: &mut State| {
            state.note("hour");
            TimeoutAction::Drop
        })
        .unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.handle.disable(token);
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["hour"]);
}

/// A source whose insertion waits behind a flood of ops gets no event of the kernel's that does not hold any more.
#[cfg(not(mio_unsupported_force_poll_poll))] // An emulated level is not the kernel's to tell of again.
#[test]
fn a_level_that_went_is_not_delivered_to_a_source_that_was_stored_late() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(MS);
    let (_keep, ping) = make_ping();
    let token = state.handle.insert_source(ping, |(), _: &mut State| ()).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let reader = theirs.try_clone().unwrap();
    (&ours).write_all(b"x").unwrap();
    for _ in 0..2 {
        state.handle.visit(token, |_, _: &mut State| common::spin(2 * MS));
    }
    state.handle.visit(token, move |_, state: &mut State| {
        assert_eq!((&reader).read(&mut [0; 8]).unwrap(), 1);
        state.note("drained");
    });
    let options = SourceOptions::new().priority(Priority::High);
    let source = Generic::new(theirs, Interest::READ, Mode::Level);
    state
        .handle
        .insert_source_with(options, source, |ready, state: &mut State| {
            match ready.io.read(&mut [0; 8]) {
                Ok(_) => state.note("read"),
                Err(error) => state.note(error.kind()),
            }
            Ok(PostAction::Continue)
        })
        .unwrap();
    for _ in 0..12 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["drained"]);
}

#[test]
fn a_burst_that_is_disabled_and_enabled_goes_on_from_its_registration() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(MS);
    let token = state
        .handle
        .insert_source(Burst(None, 3), |(), state: &mut State| {
            common::spin(2 * MS);
            state.note("burst");
        })
        .unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    state.handle.disable(token);
    state.handle.enable(token);
    for _ in 0..6 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["burst", "burst", "burst"]);
    assert!(!state.handle.contains(token));
}
