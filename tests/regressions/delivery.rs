//! What was delivered twice, late, or to the wrong source.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use soloop::{
    Channel, ErrorAction, EventLoop, Interval, MioSource, Notifier, PingSource, Scope,
    SourceOptions, Tick, Token, TransientSource,
};

use super::*;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The registrations of a composite: those of all its parts.
macro_rules! register_parts {
    ($($part:tt),+) => {
        fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
            $(self.$part.register(registrar)?;)+
            Ok(())
        }

        fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
            $(self.$part.reregister(registrar)?;)+
            Ok(())
        }

        fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
            $(self.$part.unregister(registrar)?;)+
            Ok(())
        }
    };
}

/// A part whose answers its composite swallows.
struct Swallow<S>(S);

impl<S: EventSource> EventSource for Swallow<S> {
    type Event<'a> = S::Event<'a>;
    type Ret = S::Ret;
    type Error = S::Error;

    register_parts!(0);

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        callback: F,
    ) -> Result<PostAction, S::Error>
    where
        F: FnMut(S::Event<'_>) -> S::Ret,
    {
        self.0.process_events(readiness, token, callback)?;
        Ok(PostAction::Continue)
    }
}

/// A dispatch in which a callback panics.
fn dispatch_panics(
    event_loop: &mut EventLoop<State>,
    state: &mut State,
    timeout: Duration,
) -> Vec<String> {
    let dispatch = AssertUnwindSafe(|| event_loop.dispatch(timeout, state));
    assert!(catch_unwind(dispatch).is_err(), "no callback panicked");
    state.take_log()
}

/// What some dispatches log that do not wait.
fn dispatches(event_loop: &mut EventLoop<State>, state: &mut State, count: usize) -> Vec<String> {
    for _ in 0..count {
        event_loop.dispatch(ZERO, state).unwrap();
    }
    state.take_log()
}

/// How many callbacks each of twelve dispatches runs.
fn callbacks_a_round(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<usize> {
    (0..12).map(|_| dispatches(event_loop, state, 1).len()).collect()
}

const ONE_EACH: [usize; 12] = [1; 12];

/// Has an event at hand at all times, and lends out its notifier. It fails as it is told to.
#[derive(Default)]
struct Endless {
    notifier: Option<(InterestToken, Notifier)>,
    fails: bool,
    fails_to_unregister: bool,
}

impl EventSource for Endless {
    type Event<'a> = &'a Notifier;
    type Ret = ();
    type Error = Failure;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let (token, notifier) = registrar.notifier();
        notifier.notify();
        self.notifier = Some((token, notifier));
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if let Some((token, _)) = self.notifier.take() {
            registrar.release(token);
        }
        if self.fails_to_unregister { Err(io::Error::other("unregistering")) } else { Ok(()) }
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Failure>
    where
        F: FnMut(&Notifier),
    {
        match &self.notifier {
            Some((ours, notifier)) if *ours == token => callback(notifier),
            _ => return Ok(PostAction::Continue),
        }
        if self.fails { Err("processing".into()) } else { Ok(PostAction::Again) }
    }
}

fn one_a_round() -> SourceOptions {
    SourceOptions::new().budget(1)
}

// F10: one interest is in the queue once, whatever its kind.

#[test]
fn f10_a_callback_that_notifies_its_own_source_that_has_more_runs_once_a_round() {
    let (mut event_loop, mut state) = new_loop();
    let callback = |notifier: &Notifier, state: &mut State| {
        notifier.notify();
        state.note("called");
    };
    state.handle.insert_source_with(one_a_round(), Endless::default(), callback).unwrap();
    assert_eq!(callbacks_a_round(&mut event_loop, &mut state), ONE_EACH);
}

#[test]
fn f10_a_callback_that_notifies_its_own_source_that_fails_runs_once_a_round() {
    let (mut event_loop, mut state) = new_loop();
    let callback = |notifier: &Notifier, state: &mut State| {
        notifier.notify();
        state.note("called");
    };
    let source = Endless { fails: true, ..Endless::default() };
    let options = SourceOptions::new().on_error(ErrorAction::Ignore);
    state.handle.insert_source_with(options, source, callback).unwrap();
    assert_eq!(callbacks_a_round(&mut event_loop, &mut state), ONE_EACH);
}

#[test]
fn f10_a_callback_that_notifies_its_own_source_and_panics_runs_once_a_round() {
    let (mut event_loop, mut state) = new_loop();
    let mut calls = 0;
    let callback = move |notifier: &Notifier, state: &mut State| {
        notifier.notify();
        state.note("called");
        calls += 1;
        assert!(calls > 1, "on purpose");
    };
    state.handle.insert_source_with(one_a_round(), Endless::default(), callback).unwrap();
    assert_eq!(dispatch_panics(&mut event_loop, &mut state, ZERO), ["called"]);
    assert_eq!(callbacks_a_round(&mut event_loop, &mut state), ONE_EACH);
}

#[test]
fn f10_a_callback_that_pings_its_own_source_that_has_more_runs_once_a_round() {
    struct Pings(PingSource);

    impl EventSource for Pings {
        type Event<'a> = ();
        type Ret = ();
        type Error = Infallible;

        register_parts!(0);

        fn process_events<F>(
            &mut self,
            readiness: Readiness,
            token: InterestToken,
            callback: F,
        ) -> Result<PostAction, Infallible>
        where
            F: FnMut(()),
        {
            self.0.process_events(readiness, token, callback)?;
            Ok(PostAction::Again)
        }
    }

    let (mut event_loop, mut state) = new_loop();
    let (ping, source) = make_ping();
    ping.ping();
    let callback = move |(), state: &mut State| {
        ping.ping();
        state.note("called");
    };
    state.handle.insert_source_with(one_a_round(), Pings(source), callback).unwrap();
    assert_eq!(callbacks_a_round(&mut event_loop, &mut state), ONE_EACH);
}

/// Due in each round, and has more besides.
#[derive(Default)]
struct Due(Option<InterestToken>);

impl EventSource for Due {
    type Event<'a> = ();
    type Ret = ();
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.0 = Some(registrar.arm(registrar.now()));
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if let Some(token) = self.0 {
            registrar.rearm(token, registrar.now());
        }
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
        Ok(PostAction::Again)
    }
}

#[test]
fn f10_a_callback_that_rearms_its_own_deadline_that_has_more_runs_once_a_round() {
    let (mut event_loop, mut state, _) = manual_loop();
    let (send_token, token) = std::sync::mpsc::channel::<Token<Due>>();
    let mut own = None;
    let callback = move |(), state: &mut State| {
        state.note("called");
        let own = *own.get_or_insert_with(|| token.recv().unwrap());
        state.handle.update(own, |_| ());
    };
    let token = state.handle.insert_source_with(one_a_round(), Due::default(), callback).unwrap();
    send_token.send(token).unwrap();
    assert_eq!(callbacks_a_round(&mut event_loop, &mut state), ONE_EACH);
}

#[test]
fn f10_an_interest_that_before_sleep_answers_is_in_the_queue_once() {
    /// Notified and answered by its hook.
    struct Hooked(Option<(InterestToken, Notifier)>);

    impl EventSource for Hooked {
        type Event<'a> = ();
        type Ret = ();
        type Error = Infallible;

        fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
            self.0 = Some(registrar.notifier());
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

        const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

        fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
            Ok(self.0.as_ref().map(|(token, notifier)| {
                notifier.notify();
                (Readiness::EMPTY, *token)
            }))
        }
    }

    let (mut event_loop, mut state) = new_loop();
    let callback = |(), state: &mut State| state.note("called");
    state.handle.insert_source(Hooked(None), callback).unwrap();
    assert_eq!(callbacks_a_round(&mut event_loop, &mut state), ONE_EACH);
}

// F11: what is left over and what the wait finds are merged.

/// Reads all there is, and notes a byte in each call that says `readable`, in which alone there may be one.
fn reading_ahead<T: Read>() -> impl FnMut(Ready<'_, T>, &mut State) -> io::Result<PostAction> {
    let mut ahead = VecDeque::<u8>::new();
    move |ready, state| {
        if ready.readiness.readable {
            if ahead.is_empty() {
                let mut buffer = [0; 64];
                let count = ready.io.read(&mut buffer)?;
                ahead.extend(&buffer[..count]);
            }
            if let Some(byte) = ahead.pop_front() {
                state.note(char::from(byte));
            }
        }
        Ok(if ahead.is_empty() { PostAction::Continue } else { PostAction::Again })
    }
}

#[test]
fn f11_a_socket_that_is_writable_stays_readable_while_it_has_more() {
    let (mut event_loop, mut state) = new_loop();
    let (mut end, mut source) = pair(Mode::Level);
    source.interest = Interest::BOTH;
    let options = SourceOptions::new().budget(2);
    state.handle.insert_source_with(options, source, reading_ahead()).unwrap();
    end.write_all(b"abcdefgh").unwrap();
    let rounds = [(); 4].map(|()| dispatches(&mut event_loop, &mut state, 1).concat());
    assert_eq!(rounds, ["ab", "cd", "ef", "gh"]);
}

/// A new edge, of room to write, comes between two rounds.
fn an_edge_in_between<S, T>(ours: UnixStream, source: S) -> String
where
    S: for<'a> EventSource<Event<'a> = Ready<'a, T>, Ret = io::Result<PostAction>>,
    T: Read + 'static,
{
    let (mut event_loop, mut state) = new_loop();
    let options = SourceOptions::new().budget(2);
    state.handle.insert_source_with(options, source, reading_ahead()).unwrap();
    (&ours).write_all(b"abcdefgh").unwrap();
    let mut log = dispatches(&mut event_loop, &mut state, 1);
    // What was written by the source leaves its buffer.
    (&ours).read_exact(&mut [0]).unwrap();
    log.extend(dispatches(&mut event_loop, &mut state, 5));
    log.concat()
}

#[test]
fn f11_a_new_edge_does_not_end_what_an_edge_left_over() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (&theirs).write_all(b"x").unwrap();
    let source = Generic::new(theirs, Interest::BOTH, Mode::Edge);
    assert_eq!(an_edge_in_between(ours, source), "abcdefgh");
}

#[test]
fn f11_a_new_edge_does_not_end_what_a_mio_source_left_over() {
    if !common::MIO_SOURCES {
        return;
    }
    let logs = [Mode::Edge, Mode::Level].map(|mode| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&theirs).write_all(b"x").unwrap();
        theirs.set_nonblocking(true).unwrap();
        let theirs = mio::net::UnixStream::from_std(theirs);
        an_edge_in_between(ours, MioSource::new(theirs, Interest::BOTH, mode))
    });
    assert_eq!(logs, ["abcdefgh"; 2]);
}

// F12: not even a source with the number of an fd that was closed is harmed.

/// Has a part that may go without a word to the loop.
struct Loses {
    part: Option<Generic<UnixStream>>,
    panics: bool,
}

impl EventSource for Loses {
    type Event<'a> = ();
    type Ret = ();
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.part.as_mut().map_or(Ok(()), |part| part.register(registrar))
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.part.as_mut().map_or(Ok(()), |part| part.reregister(registrar))
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        assert!(!self.panics, "on purpose");
        self.part.as_mut().map_or(Ok(()), |part| part.unregister(registrar))
    }

    fn process_events<F>(&mut self, _: Readiness, _: InterestToken, _: F) -> io::Result<PostAction>
    where
        F: FnMut(()),
    {
        Ok(PostAction::Continue)
    }
}

/// Another source gets the number of a part that a composite dropped, after `before` and before `after`.
fn the_other_hears(
    name: &str,
    panics: bool,
    before: fn(&mut EventLoop<State>, &mut State, Token<Loses>),
    after: fn(&mut State, Token<Loses>),
) {
    if common::POLL_BACKEND {
        return; // it does not know when an fd is closed
    }
    // In a process of its own: no other test opens the fd.
    common::in_child(name, || {
        let (mut event_loop, mut state) = new_loop();
        let (_end, part) = pair(Mode::Level);
        let number = part.get_ref().as_raw_fd();
        let source = Loses { part: Some(part), panics };
        let token = state.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
        event_loop.apply_pending(&mut state).unwrap();
        event_loop.get_mut(token).unwrap().part = None;
        before(&mut event_loop, &mut state, token);
        let (other, mut end) = UnixStream::pair().unwrap();
        assert_eq!(other.as_raw_fd(), number);
        let other = Generic::new(other, Interest::READ, Mode::Level);
        state.handle.insert_source(other, noting("other")).unwrap();
        after(&mut state, token);
        event_loop.apply_pending(&mut state).unwrap();
        end.write_all(b"x").unwrap();
        assert_eq!(dispatches(&mut event_loop, &mut state, 1), ["other"]);
    });
}

#[test]
fn f12_a_source_hears_after_its_number_was_removed_with_a_composite() {
    the_other_hears(
        "f12_a_source_hears_after_its_number_was_removed",
        false,
        |_, _, _| (),
        |state, token| assert!(state.handle.remove(token)),
    );
}

#[test]
fn f12_a_source_hears_after_its_number_was_disabled_with_a_composite() {
    the_other_hears(
        "f12_a_source_hears_after_its_number_was_disabled",
        false,
        |_, _, _| (),
        |state, token| assert!(state.handle.disable(token)),
    );
}

#[test]
fn f12_a_source_hears_after_its_number_was_taken_with_a_composite() {
    the_other_hears(
        "f12_a_source_hears_after_its_number_was_taken",
        false,
        |_, _, _| (),
        |state, token| assert!(state.handle.take(token, |_, _| ())),
    );
}

#[test]
fn f12_a_source_hears_after_its_number_was_swept_up_behind_a_panic() {
    the_other_hears(
        "f12_a_source_hears_after_its_number_was_swept_up",
        true,
        |event_loop, state, token| {
            state.handle.remove(token);
            let apply = AssertUnwindSafe(|| event_loop.apply_pending(state));
            assert!(catch_unwind(apply).is_err());
        },
        |_, _| (),
    );
}

// F13: the policy decides about every error, and every error comes out.

#[test]
fn f13_the_policy_of_a_source_inserted_once_decides() {
    let actions =
        [ErrorAction::Ignore, ErrorAction::Disable, ErrorAction::Remove, ErrorAction::Retry(MS)];
    let logs = actions.map(|action| {
        let (mut event_loop, mut state) = new_loop();
        event_loop.on_error(|_, state: &mut State| {
            state.note("policy of the loop");
            ErrorAction::Ignore
        });
        let (mut end, source) = pair(Mode::Level);
        let options = SourceOptions::new().on_error(action);
        let callback = |_: Ready<'_, UnixStream>, state: &mut State| {
            state.note("called");
            Err(io::Error::other("processing"))
        };
        let token = state.handle.insert_once_with(options, source, callback).unwrap();
        end.write_all(b"x").unwrap();
        let log = dispatches(&mut event_loop, &mut state, 1);
        assert!(!state.handle.contains(token), "{action:?}");
        log
    });
    assert_eq!(logs, [["called"]; 4]);
}

#[test]
fn f13_the_policy_report_of_a_source_inserted_once_precedes_that_of_the_loop() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.on_error(|_, _: &mut State| ErrorAction::Ignore);
    let (mut end, source) = pair(Mode::Level);
    let options = SourceOptions::new().on_error(ErrorAction::Report).name("once");
    let callback = |_: Ready<'_, UnixStream>, _: &mut State| Err(io::Error::other("processing"));
    state.handle.insert_once_with(options, source, callback).unwrap();
    end.write_all(b"x").unwrap();
    let error = event_loop.dispatch(ZERO, &mut state).unwrap_err();
    assert_eq!(error.to_string(), "source `once` failed: processing");
}

#[test]
fn f13_the_error_of_a_source_inserted_once_is_counted() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.enable_stats(true);
    let source = Endless { fails: true, ..Endless::default() };
    let options = SourceOptions::new().name("once");
    state.handle.insert_once_with(options, source, |_, _: &mut State| ()).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap_err();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let sources = event_loop.stats().sources;
    let once = sources.iter().find(|source| source.name == "once").unwrap();
    assert_eq!((once.events, once.errors), (1, 1));
    assert_eq!(once.last_error.as_deref(), Some("processing"));
}

/// What some dispatches fail with, causes included.
fn errors(event_loop: &mut EventLoop<State>, state: &mut State) -> String {
    let mut texts = String::new();
    for _ in 0..4 {
        let result = event_loop.dispatch(ZERO, state);
        let mut error = result.as_ref().err().map(|error| error as &dyn std::error::Error);
        while let Some(cause) = error {
            texts += &format!("{cause}\n");
            error = cause.source();
        }
    }
    texts
}

#[test]
fn f13_a_failure_to_unregister_hides_no_error() {
    let (mut event_loop, mut state) = new_loop();
    let source = Endless { fails: true, fails_to_unregister: true, ..Endless::default() };
    state.handle.insert_once(source, |_, _: &mut State| ()).unwrap();
    let errors = errors(&mut event_loop, &mut state);
    assert!(errors.contains("processing") && errors.contains("unregistering"), "{errors}");
}

#[test]
fn f13_a_failure_to_reregister_hides_no_error() {
    /// Re-registered by the loop after each event, which fails as the event does.
    struct Refused(mio::net::UnixStream, Option<InterestToken>);

    impl EventSource for Refused {
        type Event<'a> = ();
        type Ret = ();
        type Error = Failure;

        fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
            self.1 = Some(registrar.register(&mut self.0, Interest::READ, Mode::Level)?);
            Ok(())
        }

        fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
            Err(io::Error::other("reregistering"))
        }

        fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
            self.1.take().map_or(Ok(()), |token| registrar.unregister(token, &mut self.0))
        }

        fn process_events<F>(
            &mut self,
            _: Readiness,
            _: InterestToken,
            mut callback: F,
        ) -> Result<PostAction, Failure>
        where
            F: FnMut(()),
        {
            callback(());
            Err("processing".into())
        }
    }

    if !common::MIO_SOURCES {
        return;
    }
    let (mut event_loop, mut state) = new_loop();
    let (mut end, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let source = Refused(mio::net::UnixStream::from_std(theirs), None);
    state.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
    end.write_all(b"x").unwrap();
    let errors = errors(&mut event_loop, &mut state);
    assert!(errors.contains("processing") && errors.contains("reregistering"), "{errors}");
}

// F14: what ends does not come again, wherever it lies.

/// Two timers, as in the documents of `EventSource`.
struct Either(Timer, Timer);

impl EventSource for Either {
    type Event<'a> = Instant;
    type Ret = TimeoutAction;
    type Error = Infallible;

    register_parts!(0, 1);

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(Instant) -> TimeoutAction,
    {
        Ok(self.0.process_events(readiness, token, &mut callback)?
            | self.1.process_events(readiness, token, &mut callback)?)
    }
}

/// Notes how many milliseconds after `start` a deadline is.
fn note_time(state: &mut State, start: Instant, deadline: Instant) {
    state.note(deadline.duration_since(start).as_millis());
}

#[test]
fn f14_a_timer_of_two_that_answers_drop_fires_once() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let source = Either(Timer::from_duration(MS), Timer::from_duration(3 * MS));
    let callback = move |deadline, state: &mut State| {
        note_time(state, start, deadline);
        TimeoutAction::Drop
    };
    let token = state.handle.insert_source(source, callback).unwrap();
    clock.advance(2 * MS);
    assert_eq!(dispatches(&mut event_loop, &mut state, 4), ["1"]);
    assert_eq!(event_loop.get(token).unwrap().0.current_deadline(), None);
    clock.advance(2 * MS);
    assert_eq!(dispatches(&mut event_loop, &mut state, 4), ["3"]);
}

#[test]
fn f14_a_timer_that_answers_drop_to_one_who_swallows_it_fires_once() {
    type Op = fn(&mut State, Token<Swallow<Timer>>);
    let ops: [Op; 3] = [
        |_, _| (),
        |state, token| assert!(state.handle.update(token, |_| ())),
        |state, token| assert!(state.handle.disable(token) && state.handle.enable(token)),
    ];
    let results = ops.map(|op| {
        let (mut event_loop, mut state, _) = manual_loop();
        let callback = |_: Instant, state: &mut State| {
            state.note("fired");
            TimeoutAction::Drop
        };
        let source = Swallow(Timer::immediate());
        let token = state.handle.insert_source(source, callback).unwrap();
        let mut log = dispatches(&mut event_loop, &mut state, 1);
        op(&mut state, token);
        log.extend(dispatches(&mut event_loop, &mut state, 4));
        (log.join(" "), event_loop.get(token).unwrap().0.current_deadline())
    });
    assert_eq!(results, [(); 3].map(|()| ("fired".to_owned(), None)));
}

// F15: after a panic, an error or a change of mind, time goes on.

#[test]
fn f15_an_interval_whose_callback_panicked_ticks_on() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let callback = move |tick: Tick, state: &mut State| {
        note_time(state, start, tick.deadline);
        assert_ne!(tick.deadline, start + MS, "on purpose");
        assert_eq!(tick.missed, 0);
        PostAction::Continue
    };
    state.handle.insert_source(Interval::new(MS), callback).unwrap();
    clock.advance(MS);
    assert_eq!(dispatch_panics(&mut event_loop, &mut state, ZERO), ["1"]);
    assert_eq!(dispatches(&mut event_loop, &mut state, 2), [""; 0], "the beat stays");
    for _ in 0..2 {
        clock.advance(MS);
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.log, ["2", "3"]);
}

#[test]
fn f15_an_interval_that_enables_itself_and_answers_disable_or_remove_ticks_on() {
    let logs = [PostAction::Disable, PostAction::Remove].map(|action| {
        let (mut event_loop, mut state, clock) = manual_loop();
        let callback = move |_, state: &mut State| {
            state.note("tick");
            let token = state.tokens[0];
            state.handle.enable(token);
            action
        };
        let token = state.handle.insert_source(Interval::new(MS), callback).unwrap();
        state.tokens.push(token.into());
        for _ in 0..3 {
            clock.advance(MS);
            event_loop.dispatch(ZERO, &mut state).unwrap();
        }
        state.log
    });
    assert_eq!(logs, [["tick"; 3]; 2]);
}

#[test]
fn f15_a_timer_whose_callback_panicked_fires_in_the_next_dispatch() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let mut calls = 0;
    let callback = move |deadline, state: &mut State| {
        note_time(state, start, deadline);
        calls += 1;
        assert_ne!(calls, 1, "on purpose");
        TimeoutAction::Drop
    };
    let token = state.handle.insert_source(Timer::from_duration(MS), callback).unwrap();
    clock.advance(2 * MS);
    assert_eq!(dispatch_panics(&mut event_loop, &mut state, ZERO), ["1"]);
    assert!(state.handle.contains(token));
    assert_eq!(dispatches(&mut event_loop, &mut state, 3), ["1"]);
    assert!(!state.handle.contains(token));
}

#[test]
fn f15_a_timer_of_a_composite_whose_callback_panicked_fires_in_the_next_dispatch() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let mut calls = 0;
    let callback = move |deadline, state: &mut State| {
        note_time(state, start, deadline);
        calls += 1;
        assert_ne!(calls, 1, "on purpose");
        TimeoutAction::ToDuration(HOUR)
    };
    let source = Either(Timer::from_duration(MS), Timer::from_duration(HOUR));
    state.handle.insert_source(source, callback).unwrap();
    clock.advance(MS);
    assert_eq!(dispatch_panics(&mut event_loop, &mut state, ZERO), ["1"]);
    assert_eq!(dispatches(&mut event_loop, &mut state, 3), ["1"]);
}

#[cfg(target_os = "linux")]
#[test]
fn f15_a_wall_timer_whose_callback_panicked_fires_again() {
    use soloop::{WallAction, WallEvent, WallTimer};

    let (mut event_loop, mut state) = new_loop();
    let mut calls = 0;
    let callback = move |event, state: &mut State| {
        state.note(format!("{event:?}"));
        calls += 1;
        assert_ne!(calls, 1, "on purpose");
        if event == WallEvent::Fired { WallAction::Drop } else { WallAction::Keep }
    };
    let timer = WallTimer::new(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let token = state.handle.insert_source(timer, callback).unwrap();
    assert_eq!(dispatch_panics(&mut event_loop, &mut state, LONG), ["Fired"]);
    // The deadline has come: only what has lost it waits.
    for _ in 0..3 {
        if state.log.is_empty() {
            event_loop.dispatch(100 * MS, &mut state).unwrap();
        }
    }
    assert_eq!(state.log, ["Fired"]);
    assert!(!state.handle.contains(token));
}

/// The callback of a source panics before it reads, and reads when it is called again.
fn reads_after_a_panic<S, T>(mut end: UnixStream, source: S) -> Vec<String>
where
    S: for<'a> EventSource<Event<'a> = Ready<'a, T>, Ret = io::Result<PostAction>>,
    T: Read + 'static,
{
    let (mut event_loop, mut state) = new_loop();
    let mut calls = 0;
    let callback = move |ready: Ready<'_, T>, state: &mut State| {
        calls += 1;
        assert_ne!(calls, 1, "on purpose");
        ready.io.read_exact(&mut [0])?;
        state.note("read");
        Ok(PostAction::Continue)
    };
    state.handle.insert_source(source, callback).unwrap();
    end.write_all(b"x").unwrap();
    dispatch_panics(&mut event_loop, &mut state, ZERO);
    dispatches(&mut event_loop, &mut state, 2)
}

#[test]
fn f15_an_edge_whose_callback_panicked_is_told_of_again() {
    let (end, source) = pair(Mode::Edge);
    assert_eq!(reads_after_a_panic(end, source), ["read"]);
    if !common::MIO_SOURCES {
        return;
    }
    let (end, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let theirs = mio::net::UnixStream::from_std(theirs);
    let mio = MioSource::new(theirs, Interest::READ, Mode::Edge);
    assert_eq!(reads_after_a_panic(end, mio), ["read"]);
}

/// Fails as its callback does, whatever its parts answered.
struct Fallible(Interval, Timer);

impl EventSource for Fallible {
    type Event<'a> = &'static str;
    type Ret = io::Result<()>;
    type Error = io::Error;

    register_parts!(0, 1);

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(&'static str) -> io::Result<()>,
    {
        let mut result = Ok(());
        let Ok(interval) = self.0.process_events(readiness, token, |_| {
            result = callback("tick");
            PostAction::Continue
        });
        let Ok(timer) = self.1.process_events(readiness, token, |_| {
            result = callback("timer");
            TimeoutAction::ToDuration(MS)
        });
        result.map(|()| interval | timer)
    }
}

#[test]
fn f15_timers_of_a_composite_that_failed_go_on() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let mut failures = VecDeque::from(["tick", "timer"]);
    let callback = move |what, state: &mut State| {
        state.note(what);
        match failures.pop_front_if(|failing| *failing == what) {
            Some(_) => Err(io::Error::other("on purpose")),
            None => Ok(()),
        }
    };
    let source = Fallible(Interval::new(MS), Timer::from_duration(MS));
    let options = SourceOptions::new().on_error(ErrorAction::Ignore);
    state.handle.insert_source_with(options, source, callback).unwrap();
    for _ in 0..3 {
        clock.advance(MS);
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.log, ["tick", "timer"].repeat(3));
}

// F16: a token whose type does not fit names nothing.

/// A loop with a timer, and the token that another loop gave a source of another type at the same place.
fn foreign_token(settled: bool) -> (EventLoop<State>, State, Token<Timer>, Token<PingSource>) {
    let (mut event_loop, mut state) = new_loop();
    let (_other_loop, mut other) = new_loop();
    let (_, source) = make_ping();
    let ping = other.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
    let timer = state.handle.insert_source(Timer::immediate(), |_, state: &mut State| {
        state.note("fired");
        TimeoutAction::Drop
    });
    if settled {
        event_loop.apply_pending(&mut state).unwrap();
    }
    (event_loop, state, timer.unwrap(), ping)
}

#[test]
fn f16_a_token_of_another_type_takes_nothing() {
    let results = [false, true].map(|settled| {
        let (mut event_loop, mut state, timer, ping) = foreign_token(settled);
        let taken = state.handle.take(ping, |_, state: &mut State| state.note("taken"));
        let live = state.handle.contains(timer);
        (taken, live, dispatches(&mut event_loop, &mut state, 1).concat())
    });
    assert_eq!(results, [(); 2].map(|()| (false, true, "fired".to_owned())));
}

#[test]
fn f16_a_token_of_another_type_visits_and_updates_nothing() {
    let results = [false, true].map(|settled| {
        let (_event_loop, mut state, _, ping) = foreign_token(settled);
        (state.handle.visit(ping, |_, _| ()), state.handle.update(ping, |_| ()))
    });
    assert_eq!(results, [(false, false); 2]);
}

#[test]
fn f16_a_token_of_another_type_moves_no_deadline() {
    let (_event_loop, mut state) = new_loop();
    let (_other_loop, mut other) = new_loop();
    let timer = other.handle.insert_source(Timer::immediate(), |_, _| TimeoutAction::Drop).unwrap();
    let (_, source) = make_ping();
    state.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
    let now = state.handle.now();
    assert!(!state.handle.set_deadline(timer, now));
}

#[test]
fn f16_a_token_of_another_type_does_not_outvote_the_answer_of_a_callback() {
    let (mut event_loop, mut state) = new_loop();
    let (_other_loop, mut other) = new_loop();
    let (_, source) = make_ping();
    let ping = other.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
    let timer = state.handle.insert_source(Timer::immediate(), move |_, state: &mut State| {
        state.handle.update(ping, |_| ());
        TimeoutAction::Drop
    });
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(!state.handle.contains(timer.unwrap()), "it answered `Drop`");
}

// F17: no user code of or about a source runs once its removal was asked for.

#[test]
fn f17_visits_and_updates_end_with_the_removal_that_a_visit_asks_for() {
    let removals: [fn(&mut State, Token<PingSource>, Scope); 3] = [
        |state, token, _| assert!(state.handle.remove(token)),
        |state, token, _| assert!(state.handle.take(token, |_, state| state.note("taken"))),
        |_, _, scope| drop(scope),
    ];
    let results = removals.map(|remove| {
        let (mut event_loop, mut state) = new_loop();
        let (_ping, source) = make_ping();
        let (scope, updates) = (Scope::new(), Arc::new(AtomicU32::new(0)));
        let options = SourceOptions::new().scope(&scope);
        let callback = |(), _: &mut State| ();
        let token = state.handle.insert_source_with(options, source, callback).unwrap();
        let counter = Arc::clone(&updates);
        state.handle.visit(token, move |_, state: &mut State| {
            state.note("first");
            remove(state, token, scope);
        });
        state.handle.visit(token, |_, state: &mut State| state.note("second"));
        state.handle.update(token, move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        event_loop.apply_pending(&mut state).unwrap();
        (state.log.join(" "), updates.load(Ordering::Relaxed))
    });
    assert_eq!(results, ["first", "first taken", "first"].map(|log| (log.to_owned(), 0)));
}

/// Counts how often it is registered and re-registered, and fails the latter.
struct Counting(Arc<[AtomicU32; 2]>);

impl EventSource for Counting {
    type Event<'a> = ();
    type Ret = ();
    type Error = Infallible;

    fn register(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        self.0[1].fetch_add(1, Ordering::Relaxed);
        Err(io::Error::other("on purpose"))
    }

    fn unregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        _: InterestToken,
        _: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(()),
    {
        Ok(PostAction::Continue)
    }
}

#[test]
fn f17_a_source_is_not_enabled_once_its_removal_was_asked_for() {
    let (mut event_loop, mut state) = new_loop();
    let counts: Arc<[AtomicU32; 2]> = Arc::default();
    let source = Counting(Arc::clone(&counts));
    let token = state.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
    state.handle.disable(token);
    state.handle.visit(token, move |_, state: &mut State| {
        state.handle.remove(token);
    });
    state.handle.enable(token);
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!(counts[0].load(Ordering::Relaxed), 1, "registered when it was inserted");
}

#[test]
fn f17_visits_end_with_the_removal_that_a_policy_asks_for() {
    let (mut event_loop, mut state) = new_loop();
    let options = SourceOptions::new().on_error(ErrorAction::Remove);
    let source = Counting(Arc::default());
    let token = state.handle.insert_source_with(options, source, |(), _: &mut State| ()).unwrap();
    state.handle.update(token, |_| ());
    state.handle.visit(token, |_, state: &mut State| state.note("visited"));
    event_loop.apply_pending(&mut state).unwrap();
    assert!(!state.handle.contains(token));
    assert_eq!(state.log, [""; 0]);
}

// F18: a timer is moved at once, however often it was registered.

#[test]
fn f18_equal_deadlines_fire_in_the_order_of_their_moves_after_any_number_of_registrations() {
    let logs = [1, 2, 30, 31, 32, 33, 100].map(|registrations| {
        let (mut event_loop, mut state, clock) = manual_loop();
        let noting = |name: &'static str| {
            move |_: Instant, state: &mut State| {
                state.note(name);
                TimeoutAction::Drop
            }
        };
        let moved = state.handle.insert_source(Timer::from_duration(HOUR), noting("moved"));
        let moved = moved.unwrap();
        for _ in 1..registrations {
            state.handle.disable(moved);
            state.handle.enable(moved);
        }
        event_loop.apply_pending(&mut state).unwrap();
        let deadline = clock.now() + MS;
        state.handle.set_deadline(moved, deadline);
        let timer = Timer::from_deadline(deadline);
        state.handle.insert_source(timer, noting("inserted")).unwrap();
        clock.advance(MS);
        dispatches(&mut event_loop, &mut state, 1)
    });
    assert_eq!(logs, [["moved", "inserted"]; 7]);
}

// F19: a part that has more is called again, whatever its composite answers.

/// A channel, as it is or as a part of a part.
fn all_messages_come<S>(sender: impl FnOnce(), source: S)
where
    S: for<'a> EventSource<Event<'a> = Event<u32>, Ret = ()>,
{
    let (mut event_loop, mut state) = new_loop();
    let callback = |event, state: &mut State| state.note(format!("{event:?}"));
    state.handle.insert_source(Swallow(source), callback).unwrap();
    sender();
    let log = dispatches(&mut event_loop, &mut state, 10);
    assert_eq!(log, ["Msg(0)", "Msg(1)", "Msg(2)", "Closed"]);
}

#[test]
fn f19_a_channel_whose_composite_swallows_that_it_has_more_is_emptied() {
    let (sender, channel) = soloop::channel();
    all_messages_come(|| (0..3).for_each(move |n| sender.send(n).unwrap()), channel);
}

#[test]
fn f19_a_bounded_channel_whose_composite_swallows_that_it_has_more_is_emptied() {
    let (sender, channel) = soloop::sync_channel(3);
    all_messages_come(|| (0..3).for_each(move |n| sender.send(n).unwrap()), channel);
}

#[test]
fn f19_a_transient_channel_whose_composite_swallows_that_it_has_more_is_emptied() {
    let (sender, channel) = soloop::channel();
    let channel = TransientSource::<Channel<u32>>::from(channel);
    all_messages_come(|| (0..3).for_each(move |n| sender.send(n).unwrap()), channel);
}

#[cfg(feature = "executor")]
#[test]
fn f19_an_executor_whose_composite_swallows_that_it_has_more_is_emptied() {
    let (mut event_loop, mut state) = new_loop();
    let (executor, scheduler) = soloop::executor();
    let callback = |n: u32, state: &mut State| state.note(n);
    state.handle.insert_source(Swallow(executor), callback).unwrap();
    (0..3).for_each(|n| scheduler.schedule(async move { n }).unwrap());
    assert_eq!(dispatches(&mut event_loop, &mut state, 10), ["0", "1", "2"]);
}

#[cfg(feature = "futures-core")]
#[test]
fn f19_a_stream_whose_composite_swallows_that_it_has_more_is_emptied() {
    let (mut event_loop, mut state) = new_loop();
    let stream = soloop::StreamSource::new(futures_util::stream::iter(0..3));
    let callback = |item: Option<u32>, state: &mut State| state.note(format!("{item:?}"));
    state.handle.insert_source(Swallow(stream), callback).unwrap();
    let log = dispatches(&mut event_loop, &mut state, 10);
    assert_eq!(log, ["Some(0)", "Some(1)", "Some(2)", "None"]);
}

// F20: a removal by a `Remote` is seen before the next callback runs.

/// Removes a source when it is dropped.
struct Removes(Remote<State>, AnyToken);

impl Drop for Removes {
    fn drop(&mut self) {
        assert!(self.0.remove(self.1));
    }
}

/// Has something dropped that removes the `index`-th of the sources.
fn drop_remover(state: &mut State, index: usize) {
    drop(Removes(state.handle.remote(), state.tokens[index]));
}

/// Inserts a source that is ready, and notes it if it is called.
fn insert_victim(state: &mut State) {
    let (ping, source) = make_ping();
    ping.ping();
    let token = state.handle.insert_source(source, |(), state: &mut State| state.note("victim"));
    state.tokens.push(token.unwrap().into());
}

#[test]
fn f20_a_timer_that_a_destructor_removes_does_not_fire() {
    let (mut event_loop, mut state) = new_loop();
    for name in ["0", "1"] {
        let callback = move |_: Instant, state: &mut State| {
            state.note(name);
            drop_remover(state, 1);
            TimeoutAction::Drop
        };
        let token = state.handle.insert_source(Timer::immediate(), callback).unwrap();
        state.tokens.push(token.into());
    }
    assert_eq!(dispatches(&mut event_loop, &mut state, 2), ["0"]);
}

#[test]
fn f20_a_ready_source_that_a_destructor_removes_is_not_called() {
    let (mut event_loop, mut state) = new_loop();
    let (ping, source) = make_ping();
    let callback = |(), state: &mut State| drop_remover(state, 0);
    state.handle.insert_source(source, callback).unwrap();
    ping.ping();
    insert_victim(&mut state);
    assert_eq!(dispatches(&mut event_loop, &mut state, 2), [""; 0]);
}

#[test]
fn f20_a_channel_that_a_destructor_removes_stops_in_its_backlog() {
    let (mut event_loop, mut state) = new_loop();
    let (sender, channel) = soloop::channel();
    let callback = |event, state: &mut State| {
        state.note(format!("{event:?}"));
        drop_remover(state, 0);
    };
    let token = state.handle.insert_source(channel, callback).unwrap();
    state.tokens.push(token.into());
    (0..3).for_each(|n| sender.send(n).unwrap());
    assert_eq!(dispatches(&mut event_loop, &mut state, 2), ["Msg(0)"]);
}

#[test]
fn f20_a_ready_source_that_a_post_has_removed_is_not_called() {
    let (mut event_loop, mut state) = new_loop();
    insert_victim(&mut state);
    // The second one arrives during the wait.
    state.handle.remote().post(|state: &mut State| {
        state.handle.remote().post(|state: &mut State| {
            state.note("removed");
            drop_remover(state, 0);
        });
    });
    let log = dispatches(&mut event_loop, &mut state, 2);
    assert_eq!(log.last().unwrap(), "removed");
}

#[test]
fn f20_a_ready_source_that_the_destructor_of_another_removes_is_not_called() {
    let (mut event_loop, mut state) = new_loop();
    let (ping, source) = make_ping();
    let callback = |(), state: &mut State| {
        let guarded = state.tokens[1];
        state.handle.remove(guarded);
    };
    state.handle.insert_source(source, callback).unwrap();
    ping.ping();
    insert_victim(&mut state);
    let guard = Removes(state.handle.remote(), state.tokens[0]);
    let (_ping, source) = make_ping();
    let callback = move |(), _: &mut State| {
        let _ = &guard;
    };
    let token = state.handle.insert_source(source, callback).unwrap();
    state.tokens.push(token.into());
    assert_eq!(dispatches(&mut event_loop, &mut state, 2), [""; 0]);
}

#[test]
fn f20_a_source_that_a_destructor_removed_is_not_visited() {
    let (mut event_loop, mut state) = new_loop();
    let (_ping, source) = make_ping();
    let victim = state.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
    state.tokens.push(victim.into());
    let (ping, source) = make_ping();
    let callback = move |(), state: &mut State| {
        drop_remover(state, 0);
        state.handle.visit(victim, |_, state: &mut State| state.note("visited"));
    };
    state.handle.insert_source(source, callback).unwrap();
    ping.ping();
    assert_eq!(dispatches(&mut event_loop, &mut state, 2), [""; 0]);
}

// What a reading against the new heart found.

#[test]
fn level_triggered_fds_that_are_left_over_take_no_more_places_each_round() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(ZERO);
    let mut ends = Vec::new();
    for _ in 0..2 {
        let (mut end, source) = pair(Mode::Level);
        end.write_all(b"x").unwrap();
        // It stays readable.
        state.handle.insert_source(source, |_, _| Ok(PostAction::Continue)).unwrap();
        ends.push(end);
    }
    let (mut late, source) = pair(Mode::Level);
    state.handle.insert_source(source, noting("late")).unwrap();
    for _ in 0..1000 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    late.write_all(b"x").unwrap();
    let rounds = (1..).find(|_| {
        event_loop.dispatch(ZERO, &mut state).unwrap();
        !state.log.is_empty()
    });
    assert!(rounds.unwrap() < 20, "{rounds:?}");
}

#[test]
fn a_source_that_fails_each_time_keeps_neither_timers_nor_idles_from_running() {
    let (mut event_loop, mut state) = new_loop();
    let (mut end, source) = pair(Mode::Level);
    end.write_all(b"x").unwrap();
    let fails = |_: Ready<'_, UnixStream>, _: &mut State| Err(std::io::Error::other("always"));
    state.handle.insert_source(source, fails).unwrap();
    let timer = |_: Instant, state: &mut State| {
        state.note("timer");
        TimeoutAction::Drop
    };
    state.handle.insert_source(Timer::immediate(), timer).unwrap();
    state.handle.insert_idle(|state: &mut State| state.note("idle"));
    let errors = (0..6).filter(|_| event_loop.dispatch(ZERO, &mut state).is_err()).count();
    assert_eq!(state.log, ["timer", "idle"]);
    assert!(errors >= 5, "each comes out: {errors}");
}

#[test]
fn apply_pending_applies_whatever_the_last_round_refused() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.set_round_time(ZERO);
    let (_ping, source) = make_ping();
    let token = state.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
    for _ in 0..3 {
        state.handle.insert_idle(|_: &mut State| ());
    }
    event_loop.dispatch(ZERO, &mut state).unwrap();
    event_loop.set_round_time(Duration::from_millis(10));
    state.handle.visit(token, |_, state: &mut State| state.note("visited"));
    state.handle.remove(token);
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!(state.log, ["visited"]);
    assert!(event_loop.get(token).is_none());
}

#[test]
fn one_that_is_inserted_once_goes_after_a_panic_though_its_fd_was_read() {
    let (mut event_loop, mut state) = new_loop();
    let (mut end, source) = pair(Mode::Level);
    end.write_all(b"x").unwrap();
    let callback = |ready: Ready<'_, UnixStream>, _: &mut State| -> std::io::Result<PostAction> {
        ready.io.read_exact(&mut [0])?;
        panic!("on purpose")
    };
    let token = state.handle.insert_once(source, callback).unwrap();
    dispatch_panics(&mut event_loop, &mut state, ZERO);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(!state.handle.contains(token));
}

#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn the_fd_is_readable_for_a_timer_that_an_error_left_over() {
    let (mut event_loop, mut state) = new_loop();
    let (mut end, source) = pair(Mode::Level);
    end.write_all(b"x").unwrap();
    let fails = |ready: Ready<'_, UnixStream>, _: &mut State| {
        ready.io.read_exact(&mut [0])?;
        Err(std::io::Error::other("once"))
    };
    state.handle.insert_source(source, fails).unwrap();
    let timer = |_: Instant, state: &mut State| {
        state.note("timer");
        TimeoutAction::Drop
    };
    state.handle.insert_source(Timer::immediate(), timer).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap_err();
    assert!(common::readable_within(&event_loop, ZERO));
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["timer"]);
}

// mio registers no interest in nothing.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn a_hang_up_outlives_the_error_of_another_source() {
    let (mut event_loop, mut state) = new_loop();
    let (mut end, source) = pair(Mode::Level);
    let fails = |ready: Ready<'_, UnixStream>, _: &mut State| {
        ready.io.read_exact(&mut [0])?;
        Err(std::io::Error::other("once"))
    };
    state.handle.insert_source(source, fails).unwrap();
    let (other, theirs) = UnixStream::pair().unwrap();
    let source = Generic::new(theirs, Interest::EMPTY, Mode::Level);
    let hangs_up = |_: Ready<'_, UnixStream>, state: &mut State| {
        state.note("gone");
        Ok(PostAction::Remove)
    };
    state.handle.insert_source(source, hangs_up).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    end.write_all(b"x").unwrap();
    drop(other);
    event_loop.dispatch(ZERO, &mut state).unwrap_err();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["gone"]);
}
