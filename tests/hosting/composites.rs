//! Sources made of sources, with hooks and with timers.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use calloop::ping::{Ping, PingSource, make_ping};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventIterator, EventSource, Poll, PostAction, Readiness, Token, TokenFactory};

use crate::rig::*;

/// Several pings, each of which is an event.
pub struct Pings(pub Vec<PingSource>);

pub fn pings(count: usize) -> (Vec<Ping>, Pings) {
    let (pings, sources) = (0..count).map(|_| make_ping().unwrap()).unzip();
    (pings, Pings(sources))
}

impl EventSource for Pings {
    type Event = usize;
    type Metadata = Vec<usize>;
    type Ret = PostAction;
    type Error = io::Error;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(usize, &mut Vec<usize>) -> PostAction,
    {
        let mut seen = Vec::new();
        let mut action = PostAction::Continue;
        for (index, ping) in self.0.iter_mut().enumerate() {
            let answer = ping.process_events(readiness, token, |(), _| {
                seen.push(index);
                action = callback(index, &mut seen);
            });
            answer.map_err(io::Error::other)?;
        }
        Ok(action)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|ping| ping.register(poll, tokens))
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|ping| ping.reregister(poll, tokens))
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|ping| ping.unregister(poll))
    }
}

#[test]
fn of_several_fds() {
    compare(|rig| {
        let (pings, source) = pings(3);
        let mut times = 0;
        rig.state.insert(source, move |index, seen, state| {
            assert_eq!(seen.last(), Some(&index));
            state.note(index);
            times += 1;
            match times {
                2 => PostAction::Reregister,
                5 => PostAction::Remove,
                _ => PostAction::Continue,
            }
        });
        rig.quiesce();
        for index in [2, 0, 1] {
            pings[index].ping();
            rig.until_noted(1);
        }
        for _ in 0..3 {
            pings[1].ping();
            rig.quiesce();
        }
    });
}

/// As calloop asks for it: what a source that is disabled or removed in the middle of a batch has left is not called
/// for.
#[test]
fn of_several_fds_that_end_in_the_middle() {
    for end in [PostAction::Disable, PostAction::Remove] {
        compare(move |rig| {
            let (pings, source) = pings(3);
            rig.state.insert(source, move |_, _, state| {
                state.note("one of three");
                end
            });
            rig.quiesce();
            pings.iter().for_each(Ping::ping);
            rig.quiesce();
        });
    }
}

/// What `before_sleep` answered, what the hooks saw, in order; and whether they come in pairs.
#[derive(Clone, Default)]
pub struct Hooks {
    /// What `before_sleep` answers, one a call.
    pub due: Arc<Mutex<VecDeque<&'static str>>>,
    pub seen: Arc<Mutex<Vec<String>>>,
    pub calls: Arc<Mutex<(u64, u64)>>,
}

pub struct Hooked {
    pub ping: PingSource,
    pub timer: Option<Timer>,
    pub hooks: Hooks,
    pub token: Option<Token>,
    pub pending: VecDeque<&'static str>,
}

impl Hooked {
    pub fn new(ping: PingSource, hooks: &Hooks) -> Self {
        Self { ping, timer: None, hooks: hooks.clone(), token: None, pending: VecDeque::new() }
    }
}

impl EventSource for Hooked {
    type Event = String;
    type Metadata = ();
    type Ret = Option<Duration>;
    type Error = io::Error;
    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(String, &mut ()) -> Option<Duration>,
    {
        if self.token == Some(token)
            && let Some(what) = self.pending.pop_front()
        {
            callback(what.to_owned(), &mut ());
            if what == "sets a timer" {
                self.timer = Some(Timer::from_duration(5 * MS));
                return Ok(PostAction::Reregister);
            }
        }
        let mut call = |what: &str| callback(what.to_owned(), &mut ());
        let action = self
            .ping
            .process_events(readiness, token, |(), _| _ = call("ping"))
            .map_err(io::Error::other)?;
        let Some(timer) = &mut self.timer else { return Ok(action) };
        let fire = |_, _: &mut ()| match call("timer") {
            Some(again) => TimeoutAction::ToDuration(again),
            None => TimeoutAction::Drop,
        };
        if timer.process_events(readiness, token, fire)? == PostAction::Remove {
            self.timer = None;
        }
        Ok(action)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.token = Some(tokens.token());
        self.ping.register(poll, tokens)?;
        self.timer.as_mut().map_or(Ok(()), |timer| timer.register(poll, tokens))
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.token = Some(tokens.token());
        self.ping.reregister(poll, tokens)?;
        self.timer.as_mut().map_or(Ok(()), |timer| timer.reregister(poll, tokens))
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.token = None;
        self.ping.unregister(poll)?;
        self.timer.as_mut().map_or(Ok(()), |timer| timer.unregister(poll))
    }

    fn before_sleep(&mut self) -> calloop::Result<Option<(Readiness, Token)>> {
        let mut calls = self.hooks.calls.lock().unwrap();
        assert_eq!(calls.0, calls.1, "before_sleep twice, without before_handle_events");
        calls.0 += 1;
        let due = self.hooks.due.lock().unwrap().pop_front();
        if due == Some("fails") {
            calls.0 -= 1;
            return Err(io::Error::other("before_sleep fails").into());
        }
        self.pending.extend(due);
        Ok(due.map(|_| (Readiness::EMPTY, self.token.unwrap())))
    }

    fn before_handle_events(&mut self, events: EventIterator<'_>) {
        let mut calls = self.hooks.calls.lock().unwrap();
        calls.1 += 1;
        assert_eq!(calls.0, calls.1, "before_handle_events without before_sleep");
        let events = events.count();
        if events > 0 {
            self.hooks.seen.lock().unwrap().push(format!("found {events}"));
        }
    }
}

impl Hooks {
    fn due(&self, what: &'static str) {
        self.due.lock().unwrap().push_back(what);
    }

    /// Moves what the hooks saw to the log.
    fn take(&self, state: &mut State) {
        state.log.append(&mut self.seen.lock().unwrap());
        let calls = *self.calls.lock().unwrap();
        assert_eq!(calls.0, calls.1);
    }
}

fn note(hooks: &Hooks) -> impl FnMut(String, &mut (), &mut State) -> Option<Duration> + 'static {
    let hooks = hooks.clone();
    move |what, _, state| {
        // What was found before this.
        hooks.take(state);
        state.note(what);
        None
    }
}

#[test]
fn with_hooks_are_shown_their_events_before_they_are_called() {
    compare(|rig| {
        let hooks = Hooks::default();
        let (ping, source) = make_ping().unwrap();
        rig.state.insert(Hooked::new(source, &hooks), note(&hooks));
        rig.quiesce();
        for _ in 0..3 {
            ping.ping();
            rig.until_noted(2);
            rig.quiesce();
        }
        hooks.take(&mut rig.state);
    });
}

/// An answer of `before_sleep` keeps the loop from blocking, and comes before what the wait finds.
fn events_of_before_sleep(rig: &mut Rig) {
    let hooks = Hooks::default();
    let (ping, source) = make_ping().unwrap();
    rig.state.insert(Hooked::new(source, &hooks), note(&hooks));
    rig.quiesce();
    let started = Instant::now();
    for what in ["one", "two", "three"] {
        hooks.due(what);
        rig.turn(AT_LAST);
    }
    hooks.due("before");
    ping.ping();
    rig.turn(AT_LAST);
    if started.elapsed() >= AT_LAST {
        rig.state.note("too late");
    }
    rig.quiesce();
}

#[test]
fn with_hooks_have_events_of_their_own() {
    let alone = run(Way::Alone, events_of_before_sleep);
    assert_eq!(alone, ["-", "one", "two", "three", "found 1", "before", "ping", "-"]);
    for way in [Way::Source, Way::Waited] {
        assert_eq!(run(way, events_of_before_sleep), alone, "{way:?}");
    }
}

/// Smithay's winit backend: one dispatch that may sleep returns with the event.
#[test]
fn f6_an_event_of_before_sleep_ends_the_wait() {
    let program = |rig: &mut Rig| {
        let hooks = Hooks::default();
        let (_ping, source) = make_ping().unwrap();
        rig.state.insert(Hooked::new(source, &hooks), note(&hooks));
        rig.quiesce();
        for _ in 0..3 {
            hooks.due("event");
            // On demand the hooks are called when something is asked of the loop.
            rig.state.calloop();
            let started = Instant::now();
            rig.turn(AT_LAST);
            assert!(started.elapsed() < AT_LAST / 2, "{:?} {:?}", rig.way(), rig.state.log);
        }
    };
    compare(program);
}

/// The same with a timer beside it.
#[test]
fn f6_a_timer_beside_an_event_of_before_sleep_is_on_time() {
    let program = |rig: &mut Rig| {
        let hooks = Hooks::default();
        let (_ping, source) = make_ping().unwrap();
        rig.state.insert(Hooked::new(source, &hooks), note(&hooks));
        rig.quiesce();
        let due = Instant::now() + 100 * MS;
        rig.state.insert(Timer::from_deadline(due), move |_, _, state: &mut State| {
            assert!(Instant::now() >= due, "early");
            state.note("timer");
            TimeoutAction::Drop
        });
        hooks.due("event");
        rig.state.calloop();
        rig.until_noted(1);
        if rig.way() == Way::OnDemand {
            // There the event leaves the alarm off, which is said: until something is asked of the loop.
            rig.state.calloop();
        }
        rig.until_noted(1);
        assert!(due.elapsed() < AT_LAST / 2, "{:?} {:?}", rig.way(), rig.state.log);
    };
    compare(program);
}

/// On demand, hooks run when something else has the loop dispatched: it is left alone.
#[test]
fn with_hooks_are_not_called_in_every_round_on_demand() {
    let log = run(Way::OnDemand, |rig| {
        let hooks = Hooks::default();
        let (ping, source) = make_ping().unwrap();
        rig.state.insert(Hooked::new(source, &hooks), note(&hooks));
        rig.quiesce();
        hooks.due("one");
        rig.quiesce();
        ping.ping();
        rig.quiesce();
        hooks.due("two");
        rig.state.calloop();
        rig.quiesce();
    });
    assert_eq!(log, ["-", "-", "found 1", "one", "ping", "-", "two", "-"]);
}

#[test]
fn with_hooks_that_fail() {
    let program = |rig: &mut Rig| {
        let hooks = Hooks::default();
        let (ping, source) = make_ping().unwrap();
        rig.state.insert(Hooked::new(source, &hooks), note(&hooks));
        rig.quiesce();
        hooks.due("fails");
        ping.ping();
        rig.until_noted(1);
        rig.until_noted(2);
        rig.quiesce();
    };
    compare(program);
}

#[test]
fn with_timers_and_fds() {
    compare(|rig| {
        let hooks = Hooks::default();
        let (ping, source) = make_ping().unwrap();
        let mut source = Hooked::new(source, &hooks);
        source.timer = Some(Timer::from_duration(5 * MS));
        let mut left = 4;
        rig.state.insert(source, move |what, _, state| {
            let timer = what == "timer";
            state.note(what);
            left -= u32::from(timer);
            (left > 0).then_some(2 * MS)
        });
        rig.until_noted(4);
        ping.ping();
        rig.until_noted(1);
        rig.quiesce();
    });
}

/// The timer comes with a later registration.
#[test]
fn that_get_a_timer_by_a_reregistration() {
    struct Late(PingSource, Option<Timer>);

    impl EventSource for Late {
        type Event = &'static str;
        type Metadata = ();
        type Ret = ();
        type Error = io::Error;

        fn process_events<F>(
            &mut self,
            readiness: Readiness,
            token: Token,
            mut callback: F,
        ) -> io::Result<PostAction>
        where
            F: FnMut(&'static str, &mut ()),
        {
            let mut pinged = false;
            let ping = self.0.process_events(readiness, token, |(), _| pinged = true);
            ping.map_err(io::Error::other)?;
            if pinged {
                callback("ping", &mut ());
                self.1 = Some(Timer::from_duration(5 * MS));
                return Ok(PostAction::Reregister);
            }
            if let Some(timer) = &mut self.1 {
                timer.process_events(readiness, token, |_, _| {
                    callback("timer", &mut ());
                    TimeoutAction::Drop
                })?;
            }
            Ok(PostAction::Continue)
        }

        fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
            self.0.register(poll, tokens)
        }

        fn reregister(
            &mut self,
            poll: &mut Poll,
            tokens: &mut TokenFactory,
        ) -> calloop::Result<()> {
            self.0.reregister(poll, tokens)?;
            self.1.as_mut().map_or(Ok(()), |timer| timer.register(poll, tokens))
        }

        fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
            self.0.unregister(poll)?;
            self.1.as_mut().map_or(Ok(()), |timer| timer.unregister(poll))
        }
    }

    compare(|rig| {
        let (ping, source) = make_ping().unwrap();
        rig.state.insert(Late(source, None), |what, _, state| state.note(what));
        rig.quiesce();
        ping.ping();
        rig.until_noted(2);
        rig.quiesce();
    });
}
