//! `insert_calloop_source` as a source of soloop's: tokens, options, ops, errors.

use std::error::Error as _;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use calloop::generic::Generic;
use calloop::ping::{Ping, PingSource, make_ping};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventSource, Interest, Mode, Poll, PostAction, Readiness, Token, TokenFactory};
use soloop::hosting::CalloopSource;
use soloop::{AnyToken, CallbackKind, ErrorAction, EventLoop, Priority, Scope, SourceOptions};

use super::composites::{Hooked, Hooks, Pings, pings};
use crate::common::{State, in_child, is_readable, new_loop, open_fds, readable_within};
use crate::rig::{AT_LAST, MS, ZERO};

type Hosted<S> = soloop::Token<CalloopSource<S>>;

fn insert_ping(state: &mut State) -> (Ping, Hosted<PingSource>) {
    let (ping, source) = make_ping().unwrap();
    let note = |(), _: &mut (), state: &mut State| state.note("ping");
    (ping, state.handle.insert_calloop_source(source, note).unwrap())
}

fn dispatch(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    event_loop.dispatch(ZERO, state).unwrap();
    state.take_log()
}

#[test]
fn ops_by_its_token() {
    let (mut event_loop, mut state) = new_loop();
    let (ping, token) = insert_ping(&mut state);
    assert!(state.handle.contains(token));
    ping.ping();
    assert!(state.handle.disable(token));
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    assert!(state.handle.enable(token));
    assert_eq!(dispatch(&mut event_loop, &mut state), ["ping"]);
    state.handle.visit(token, |source, state: &mut State| {
        let _: &PingSource = &source.get_ref();
        state.note("visited");
    });
    assert_eq!(dispatch(&mut event_loop, &mut state), ["visited"]);
    assert!(event_loop.get(token).is_some());
    assert!(state.handle.remove(token));
    ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    assert!(!state.handle.contains(token) && !state.handle.enable(token));
}

#[test]
fn take_gives_it_back_for_any_loop() {
    let (mut event_loop, mut state) = new_loop();
    let (ping, token) = insert_ping(&mut state);
    let (sender, taken) = std::sync::mpsc::channel();
    dispatch(&mut event_loop, &mut state);
    state.handle.take(token, move |source, _| sender.send(source.into_inner()).unwrap());
    ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    // In calloop,
    let mut alone = calloop::EventLoop::<State>::try_new().unwrap();
    let note = |(), _: &mut (), state: &mut State| state.note("alone");
    let source = calloop::Dispatcher::new(taken.recv().unwrap(), note);
    let registered = alone.handle().register_dispatcher(source.clone()).unwrap();
    alone.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["alone"]);
    alone.handle().remove(registered);
    // and here again.
    let note = |(), _: &mut (), state: &mut State| state.note("again");
    state.handle.insert_calloop_source(source.into_source_inner(), note).unwrap();
    ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["again"]);
}

#[test]
fn its_fds_go_with_it() {
    in_child("its_fds_go_with_it", || {
        let (mut event_loop, mut state) = new_loop();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let before = open_fds();
        let (ping, token) = insert_ping(&mut state);
        dispatch(&mut event_loop, &mut state);
        assert_eq!(open_fds(), before + 4, "its own, and three of its loop");
        state.handle.disable(token);
        dispatch(&mut event_loop, &mut state);
        assert_eq!(open_fds(), before + 1);
        state.handle.enable(token);
        dispatch(&mut event_loop, &mut state);
        state.handle.remove(token);
        dispatch(&mut event_loop, &mut state);
        drop(ping);
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn priorities_order_it_among_others() {
    for (priority, expected) in
        [(Priority::High, ["hosted", "own"]), (Priority::Low, ["own", "hosted"])]
    {
        let (mut event_loop, mut state) = new_loop();
        let (hosted, source) = make_ping().unwrap();
        let note = |(), _: &mut (), state: &mut State| state.note("hosted");
        let options = SourceOptions::new().priority(priority);
        state.handle.insert_calloop_source_with(options, source, note).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let own = soloop::Generic::new(theirs, soloop::Interest::READ, soloop::Mode::Edge);
        let note = |_: soloop::Ready<'_, UnixStream>, state: &mut State| {
            state.note("own");
            Ok(soloop::PostAction::Continue)
        };
        state.handle.insert_source(own, note).unwrap();
        for _ in 0..3 {
            (&ours).write_all(b"x").unwrap();
            hosted.ping();
            assert_eq!(dispatch(&mut event_loop, &mut state), expected);
        }
    }
}

#[test]
fn a_scope_ends_it() {
    let (mut event_loop, mut state) = new_loop();
    let scope = Scope::new();
    let (ping, source) = make_ping().unwrap();
    let note = |(), _: &mut (), state: &mut State| state.note("ping");
    let options = SourceOptions::new().scope(&scope);
    let token = state.handle.insert_calloop_source_with(options, source, note).unwrap();
    ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["ping"]);
    drop(scope);
    ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    assert!(!state.handle.contains(token));
}

#[test]
fn it_is_called_by_the_type_of_the_source_or_its_name() {
    let (mut event_loop, mut state) = new_loop();
    let (sender, reports) = std::sync::mpsc::channel();
    event_loop.observe(move |report| {
        sender.send((report.name.to_owned(), report.kind, report.token)).unwrap();
    });
    let (ping, token) = insert_ping(&mut state);
    ping.ping();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let (name, kind, reported) = reports.try_recv().unwrap();
    assert_eq!(name, "PingSource");
    assert_eq!((kind, reported), (CallbackKind::Source, Some(token.into())));
    let table = event_loop.sources(&state.handle);
    assert_eq!(table.rows[0].name.as_deref(), Some("PingSource"));
    assert!(table.to_string().contains("CalloopSource<PingSource>"), "{table}");

    let options = SourceOptions::new().name("tablet");
    let (_ping, source) = make_ping().unwrap();
    state.handle.insert_calloop_source_with(options, source, |(), _, _| ()).unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    let table = event_loop.sources(&state.handle);
    assert!(table.rows.iter().any(|row| row.name.as_deref() == Some("tablet")));
}

/// Fails while it is told to, in whatever it is asked.
struct Fails {
    pings: Pings,
    by: &'static str,
}

fn failing(by: &'static str) -> (Vec<Ping>, Fails) {
    let (pings, sources) = pings(2);
    (pings, Fails { pings: sources, by })
}

impl Fails {
    fn check(&self, by: &str) -> io::Result<()> {
        if self.by == by {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, format!("{by} fails")));
        }
        assert!(self.by != format!("{by} panics"), "on purpose");
        Ok(())
    }
}

impl EventSource for Fails {
    type Event = usize;
    type Metadata = Vec<usize>;
    type Ret = PostAction;
    type Error = io::Error;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(usize, &mut Vec<usize>) -> PostAction,
    {
        self.check("process_events")?;
        self.pings.process_events(readiness, token, callback)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.pings.0[0].register(poll, tokens)?;
        self.check("register")?;
        self.pings.0[1].register(poll, tokens)
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.check("reregister")?;
        self.pings.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.check("unregister")?;
        self.pings.unregister(poll)
    }
}

fn note(action: PostAction) -> impl FnMut(usize, &mut Vec<usize>, &mut State) -> PostAction {
    move |index, _, state| {
        state.note(index);
        action
    }
}

#[test]
fn a_refused_registration_gives_the_source_back_and_leaves_nothing_behind() {
    in_child("a_refused_registration_gives_the_source_back", || {
        let (mut event_loop, mut state) = new_loop();
        let (pings, source) = failing("register");
        let before = open_fds();
        let refused =
            state.handle.insert_calloop_source(source, note(PostAction::Continue)).unwrap_err();
        assert_eq!(refused.error.kind(), io::ErrorKind::ConnectionReset);
        assert!(refused.to_string().contains("Fails"), "{refused}");
        // A part of it that was registered keeps calloop's poller, as in calloop, until it is registered anew.
        assert_eq!(open_fds(), before + 3);
        // Half registered as it was, it can be inserted.
        let mut source = refused.source;
        source.by = "";
        state.handle.insert_calloop_source(source, note(PostAction::Continue)).unwrap();
        pings.iter().for_each(Ping::ping);
        let mut log = dispatch(&mut event_loop, &mut state);
        log.sort();
        assert_eq!(log, ["0", "1"]);
        assert_eq!(event_loop.sources(&state.handle).rows.len(), 1);
        assert_eq!(open_fds(), before + 3);
    });
}

#[test]
fn an_error_comes_out_under_its_name_and_the_rest_after_it() {
    for action in [ErrorAction::Report, ErrorAction::Ignore, ErrorAction::Remove] {
        let (mut event_loop, mut state) = new_loop();
        let (pings, source) = failing("process_events");
        let options = SourceOptions::new().name("tablet").on_error(action);
        let callback = note(PostAction::Continue);
        let token = state.handle.insert_calloop_source_with(options, source, callback).unwrap();
        pings.iter().for_each(Ping::ping);
        let result = event_loop.dispatch(ZERO, &mut state);
        if action == ErrorAction::Report {
            let error = result.unwrap_err();
            assert_eq!(error.to_string(), "source `tablet` failed: process_events fails");
            assert_eq!(error.token(), Some(AnyToken::from(token)));
            let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
            assert_eq!(cause.unwrap().kind(), io::ErrorKind::ConnectionReset);
        } else {
            result.unwrap();
        }
        let live = action != ErrorAction::Remove;
        assert_eq!(state.handle.contains(token), live);
        if !live {
            continue;
        }
        state.handle.visit(token, |source, _| source.get_mut().by = "");
        let mut log = Vec::new();
        for _ in 0..3 {
            log.append(&mut dispatch(&mut event_loop, &mut state));
        }
        // The first of the two, whose readiness calloop had found, is level-triggered.
        log.sort();
        assert_eq!(log, ["0", "1"], "{action:?}");
    }
}

/// Three fds, each of which is found once. Fails the first time, if told to.
struct Edges([Generic<UnixStream>; 3], &'static str);

impl EventSource for Edges {
    type Event = usize;
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
        F: FnMut(usize, &mut ()),
    {
        let mut failure = Ok(());
        for (index, part) in self.0.iter_mut().enumerate() {
            part.process_events(readiness, token, |_, _| {
                callback(index, &mut ());
                if std::mem::take(&mut self.1) == "fails" {
                    failure = Err(io::Error::other("on purpose"));
                }
                Ok(PostAction::Continue)
            })?;
        }
        failure.map(|()| PostAction::Continue)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|part| part.register(poll, tokens))
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|part| part.reregister(poll, tokens))
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|part| part.unregister(poll))
    }
}

/// They are ready.
fn edges(how: &'static str) -> (Vec<UnixStream>, Edges) {
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..3).map(|_| UnixStream::pair().unwrap()).unzip();
    ours.iter().for_each(|mut fd| fd.write_all(b"x").unwrap());
    let parts: Vec<_> =
        theirs.into_iter().map(|fd| Generic::new(fd, Interest::READ, Mode::Edge)).collect();
    (ours, Edges(parts.try_into().unwrap(), how))
}

/// What is edge-triggered, or is a timer, is found once: it must not be lost with what failed before it.
#[test]
fn the_rest_of_a_batch_outlives_an_error_and_a_panic() {
    for how in ["fails", "panics"] {
        let (mut event_loop, mut state) = new_loop();
        let (_open, source) = edges(how);
        let mut panics = how == "panics";
        let callback = move |index, _: &mut (), state: &mut State| {
            state.note(index);
            assert!(!std::mem::take(&mut panics), "on purpose");
        };
        state.handle.insert_calloop_source(source, callback).unwrap();
        let first = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state)));
        assert_eq!(first.is_err(), how == "panics");
        assert!(first.is_err() || first.unwrap().is_err());
        assert_eq!(state.log.len(), 1);
        // It does not wait for the rest.
        let started = Instant::now();
        while state.log.len() < 3 && started.elapsed() < AT_LAST {
            event_loop.dispatch(AT_LAST, &mut state).unwrap();
        }
        state.log.sort();
        assert_eq!(state.log, ["0", "1", "2"], "{how}");
        assert!(started.elapsed() < AT_LAST, "{how}");
    }
}

#[test]
fn the_answers_of_a_source() {
    for action in [PostAction::Reregister, PostAction::Disable, PostAction::Remove] {
        let (mut event_loop, mut state) = new_loop();
        let (pings, source) = failing("");
        let token = state.handle.insert_calloop_source(source, note(action)).unwrap();
        pings.iter().for_each(Ping::ping);
        let mut log = dispatch(&mut event_loop, &mut state);
        log.extend(dispatch(&mut event_loop, &mut state));
        let reregisters = action == PostAction::Reregister;
        assert_eq!(log.len(), if reregisters { 2 } else { 1 }, "{action:?}");
        assert_eq!(state.handle.contains(token), action != PostAction::Remove);
        if action == PostAction::Disable {
            state.handle.enable(token);
            assert_eq!(dispatch(&mut event_loop, &mut state).len(), 1);
        }
    }
}

#[test]
fn a_reregistration_and_an_unregistration_that_fail() {
    let (mut event_loop, mut state) = new_loop();
    let (pings, source) = failing("reregister");
    let token = state.handle.insert_calloop_source(source, note(PostAction::Reregister)).unwrap();
    pings[0].ping();
    let error = event_loop.dispatch(ZERO, &mut state).unwrap_err();
    assert!(error.to_string().ends_with("reregister fails"), "{error}");
    assert_eq!(state.take_log(), ["0"]);
    state.handle.update(token, |_| ());
    let error = event_loop.dispatch(ZERO, &mut state).unwrap_err();
    assert!(error.to_string().ends_with("reregister fails"), "{error}");
    pings[1].ping();
    state.handle.visit(token, |source, _| source.get_mut().by = "unregister");
    assert_eq!(dispatch(&mut event_loop, &mut state), ["1"]);
    state.handle.remove(token);
    let error = event_loop.dispatch(ZERO, &mut state).unwrap_err();
    assert!(error.to_string().ends_with("unregister fails"), "{error}");
    assert!(!state.handle.contains(token));
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
}

#[test]
fn a_registration_that_fails_when_it_is_enabled() {
    let (mut event_loop, mut state) = new_loop();
    let (pings, source) = failing("");
    let token = state.handle.insert_calloop_source(source, note(PostAction::Continue)).unwrap();
    state.handle.disable(token);
    state.handle.visit(token, |source, _| source.get_mut().by = "register");
    state.handle.enable(token);
    let error = event_loop.dispatch(ZERO, &mut state).unwrap_err();
    assert!(error.to_string().ends_with("register fails"), "{error}");
    state.handle.visit(token, |source, _| source.get_mut().by = "");
    state.handle.enable(token);
    pings[1].ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["1"]);
}

#[test]
fn what_panics_leaves_a_loop_that_goes_on() {
    for by in ["process_events panics", "reregister panics", "unregister panics"] {
        let (mut event_loop, mut state) = new_loop();
        let (ping, _) = insert_ping(&mut state);
        let (pings, source) = failing(by);
        let token =
            state.handle.insert_calloop_source(source, note(PostAction::Reregister)).unwrap();
        pings[0].ping();
        if by == "unregister panics" {
            state.handle.remove(token);
        }
        let panicked = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state)));
        assert!(panicked.is_err(), "{by}");
        state.take_log();
        state.handle.visit(token, |source, _| source.get_mut().by = "");
        pings[0].ping();
        ping.ping();
        let mut log = dispatch(&mut event_loop, &mut state);
        log.append(&mut dispatch(&mut event_loop, &mut state));
        log.sort();
        let live = by != "unregister panics";
        assert_eq!(log, if live { vec!["0", "ping"] } else { vec!["ping"] }, "{by}");
    }
}

#[test]
fn update_brings_a_change_into_effect() {
    let (mut event_loop, mut state) = new_loop();
    let timer = Timer::from_duration(AT_LAST * 100);
    let fire = |_, _: &mut (), state: &mut State| {
        state.note("timer");
        TimeoutAction::Drop
    };
    let token = state.handle.insert_calloop_source(timer, fire).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.handle.update(token, |timer| timer.get_mut().set_duration(2 * MS));
    let started = Instant::now();
    while state.log.is_empty() && started.elapsed() < AT_LAST {
        event_loop.dispatch(AT_LAST, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["timer"]);
    assert!(!state.handle.contains(token));
}

/// The explicit op wins over what the source answers.
#[test]
fn an_op_of_its_callback_precedes_its_answer() {
    let (mut event_loop, mut state) = new_loop();
    let (pings, source) = failing("");
    let token = state
        .handle
        .insert_calloop_source(source, |index, _, state: &mut State| {
            state.note(index);
            let own = state.tokens[0];
            state.handle.enable(own);
            PostAction::Remove
        })
        .unwrap();
    state.tokens.push(token.into());
    pings[0].ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["0"]);
    pings[0].ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["0"]);
}

/// Between two of its readinesses a source is called for, ops are applied.
#[test]
fn a_callback_that_removes_its_source_stops_the_rest() {
    let (mut event_loop, mut state) = new_loop();
    let (pings, source) = failing("");
    let token = state
        .handle
        .insert_calloop_source(source, |_, _, state: &mut State| {
            state.note("one");
            let own = state.tokens[0];
            state.handle.remove(own);
            PostAction::Continue
        })
        .unwrap();
    state.tokens.push(token.into());
    pings.iter().for_each(Ping::ping);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["one"]);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
}

/// A loop that nests by its fd tells of hosted sources and their timers.
#[test]
fn the_loops_fd_tells_of_it() {
    let (mut event_loop, mut state) = new_loop();
    let (ping, _) = insert_ping(&mut state);
    let due = Instant::now() + 10 * MS;
    state
        .handle
        .insert_calloop_source(Timer::from_deadline(due), |_, _, state: &mut State| {
            state.note("timer");
            TimeoutAction::Drop
        })
        .unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    while is_readable(event_loop.as_fd()) && state.log.is_empty() {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    if state.log.is_empty() {
        assert!(readable_within(event_loop.as_fd(), AT_LAST));
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert!(Instant::now() >= due);
    assert_eq!(state.take_log(), ["timer"]);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(!is_readable(event_loop.as_fd()));
    ping.ping();
    assert!(is_readable(event_loop.as_fd()));
    assert_eq!(dispatch(&mut event_loop, &mut state), ["ping"]);
    assert!(!is_readable(event_loop.as_fd()));
}

/// A chain of epoll instances, each watching the one before.
pub fn nested(depth: usize) -> Vec<OwnedFd> {
    use rustix::event::epoll;
    let create = || epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let mut chain = vec![create()];
    while chain.len() < depth {
        let next = create();
        let data = epoll::EventData::new_u64(0);
        epoll::add(&next, &chain[chain.len() - 1], data, epoll::EventFlags::IN).unwrap();
        chain.push(next);
    }
    chain
}

/// Of six epoll instances in each other, the kernel refuses one.
#[test]
fn too_many_nested_epoll_instances_are_refused_with_the_reason() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let mut chain = nested(4);
    let source = Generic::new(chain.pop().unwrap(), Interest::READ, Mode::Level);
    let refused =
        state.handle.insert_calloop_source(source, |_, _, _| Ok(PostAction::Continue)).unwrap_err();
    assert!(refused.to_string().contains("epoll instances are nested too deep"), "{refused}");
    let shallow = Generic::new(chain.pop().unwrap(), Interest::READ, Mode::Level);
    drop(refused);
    state.handle.insert_calloop_source(shallow, |_, _, _| Ok(PostAction::Continue)).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
}

/// Hooks of several sources, and of soloop's own, in the same wait.
#[test]
fn hooks_come_once_around_each_wait() {
    let (mut event_loop, mut state) = new_loop();
    let hooks = Hooks::default();
    let (ping, source) = make_ping().unwrap();
    let mut source = Hooked::new(source, &hooks);
    source.timer = Some(Timer::from_duration(3 * MS));
    let callback = |what: String, _: &mut (), state: &mut State| {
        state.note(what);
        None
    };
    let token = state.handle.insert_calloop_source(source, callback).unwrap();
    for round in 1..4 {
        let before = *hooks.calls.lock().unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let calls = *hooks.calls.lock().unwrap();
        assert_eq!(calls, (before.0 + 1, before.1 + 1), "{round}");
    }
    // Also after it was registered anew, where calloop calls them twice.
    state.handle.update(token, |_| ());
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let started = Instant::now();
    while state.log.is_empty() {
        event_loop.dispatch(AT_LAST, &mut state).unwrap();
    }
    assert!(started.elapsed() < AT_LAST);
    assert_eq!(state.take_log(), ["timer"]);
    // It sleeps when there is nothing to do, with hooks and timers, too.
    let rounds = event_loop.stats().rounds;
    let wakeups = event_loop.stats().wakeups;
    event_loop.dispatch(30 * MS, &mut state).unwrap();
    event_loop.dispatch(30 * MS, &mut state).unwrap();
    assert!(event_loop.stats().rounds == rounds + 2 && event_loop.stats().wakeups <= wakeups + 2);
    ping.ping();
    while state.log.is_empty() {
        event_loop.dispatch(AT_LAST, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["ping"]);
}

/// Its timer comes with an event of `before_sleep`, after which nothing else is ready.
#[test]
fn a_timer_that_an_event_of_before_sleep_sets() {
    let (mut event_loop, mut state) = new_loop();
    let hooks = Hooks::default();
    let (_ping, source) = make_ping().unwrap();
    let mut source = Hooked::new(source, &hooks);
    source.timer = Some(Timer::from_duration(AT_LAST * 100));
    let callback = |what: String, _: &mut (), state: &mut State| {
        state.note(what);
        None
    };
    state.handle.insert_calloop_source(source, callback).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    hooks.due.lock().unwrap().push_back("sets a timer");
    let started = Instant::now();
    while state.log.len() < 2 && started.elapsed() < AT_LAST {
        event_loop.dispatch(AT_LAST, &mut state).unwrap();
    }
    assert_eq!(state.log, ["sets a timer", "timer"]);
    assert!(started.elapsed() < AT_LAST);
}

/// It becomes due after this loop's wait and before the hosted loop is looked at.
#[test]
fn a_timer_that_is_due_between_the_two_waits() {
    /// A source whose hook takes time.
    struct Slow(Option<Instant>);

    impl soloop::EventSource for Slow {
        type Event<'a> = ();
        type Ret = ();
        type Error = io::Error;
        const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

        fn register(&mut self, _: &mut soloop::Registrar<'_>) -> io::Result<()> {
            Ok(())
        }

        fn reregister(&mut self, _: &mut soloop::Registrar<'_>) -> io::Result<()> {
            Ok(())
        }

        fn unregister(&mut self, _: &mut soloop::Registrar<'_>) -> io::Result<()> {
            Ok(())
        }

        fn process_events<F>(
            &mut self,
            _: soloop::Readiness,
            _: soloop::InterestToken,
            _: F,
        ) -> io::Result<soloop::PostAction>
        where
            F: FnMut(()),
        {
            Ok(soloop::PostAction::Continue)
        }

        fn before_handle_events(&mut self, _: soloop::EventIterator<'_>) {
            if let Some(until) = self.0.take() {
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            }
        }
    }

    let (mut event_loop, mut state) = new_loop();
    let slow = state.handle.insert_source(Slow(None), |(), _| ()).unwrap();
    let hooks = Hooks::default();
    let (_ping, source) = make_ping().unwrap();
    let mut source = Hooked::new(source, &hooks);
    let due = Instant::now() + 20 * MS;
    source.timer = Some(Timer::from_deadline(due));
    let callback = |what: String, _: &mut (), state: &mut State| {
        state.note(what);
        None
    };
    state.handle.insert_calloop_source(source, callback).unwrap();
    while is_readable(event_loop.as_fd()) {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    state.handle.visit(slow, move |slow, _| slow.0 = Some(due));
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(!state.log.is_empty() || is_readable(event_loop.as_fd()));
    let started = Instant::now();
    while state.log.is_empty() && started.elapsed() < AT_LAST {
        event_loop.dispatch(AT_LAST, &mut state).unwrap();
    }
    assert_eq!(state.log, ["timer"]);
    assert!(started.elapsed() < AT_LAST);
}

/// A source of which it is a part makes a `Reregister` of its `Again`.
#[test]
fn what_it_has_left_outlives_a_reregistration() {
    struct Reregisters(CalloopSource<Edges>);

    impl soloop::EventSource for Reregisters {
        type Event<'a> = usize;
        type Ret = ();
        type Error = Box<dyn std::error::Error + Send + Sync>;

        fn register(&mut self, registrar: &mut soloop::Registrar<'_>) -> io::Result<()> {
            self.0.register(registrar)
        }

        fn reregister(&mut self, registrar: &mut soloop::Registrar<'_>) -> io::Result<()> {
            self.0.reregister(registrar)
        }

        fn unregister(&mut self, registrar: &mut soloop::Registrar<'_>) -> io::Result<()> {
            self.0.unregister(registrar)
        }

        fn process_events<F>(
            &mut self,
            readiness: soloop::Readiness,
            token: soloop::InterestToken,
            mut callback: F,
        ) -> Result<soloop::PostAction, Self::Error>
        where
            F: FnMut(usize),
        {
            let action = self.0.process_events(readiness, token, |(index, _)| callback(index))?;
            Ok(action | soloop::PostAction::Reregister)
        }
    }

    let (mut event_loop, mut state) = new_loop();
    let (_open, source) = edges("");
    let source = Reregisters(CalloopSource::new(source));
    state.handle.insert_source(source, |index, state: &mut State| state.note(index)).unwrap();
    for _ in 0..6 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    state.log.sort();
    assert_eq!(state.log, ["0", "1", "2"]);
}

/// Two sockets, with hooks if `HOOKS` and with a timer that does not fire. Each event reads one byte.
struct Sockets<const HOOKS: bool>([Generic<UnixStream>; 2], Timer);

impl<const HOOKS: bool> EventSource for Sockets<HOOKS> {
    type Event = (usize, usize);
    type Metadata = ();
    type Ret = ();
    type Error = io::Error;
    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = HOOKS;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut((usize, usize), &mut ()),
    {
        for (place, socket) in self.0.iter_mut().enumerate() {
            socket.process_events(readiness, token, |_, io| {
                let read = rustix::net::recv(&*io, &mut [0; 1], rustix::net::RecvFlags::DONTWAIT);
                callback((place, read.map_or(0, |(read, _)| read)), &mut ());
                Ok(PostAction::Continue)
            })?;
        }
        Ok(PostAction::Continue)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|socket| socket.register(poll, tokens))?;
        self.1.register(poll, tokens)
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|socket| socket.reregister(poll, tokens))?;
        self.1.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|socket| socket.unregister(poll))?;
        self.1.unregister(poll)
    }
}

/// What is left over when the budget is used up is not recorded once more by the next wait, or by an update: the read
/// of a source that blocks would block.
fn sockets_with_a_budget<const HOOKS: bool>(updates: bool) -> Vec<String> {
    let (mut event_loop, mut state) = new_loop();
    let (ends, sockets): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (end, socket) = UnixStream::pair().unwrap();
            (end, Generic::new(socket, Interest::READ, Mode::Level))
        })
        .unzip();
    let Ok(sockets) = <[_; 2]>::try_from(sockets) else { unreachable!() };
    let source = Sockets::<HOOKS>(sockets, Timer::from_duration(AT_LAST * 100));
    let options = SourceOptions::new().budget(1);
    let note = |(place, read): (usize, usize), _: &mut (), state: &mut State| {
        state.note(format_args!("{place} read {read}"));
    };
    let token = state.handle.insert_calloop_source_with(options, source, note).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    for mut end in &ends {
        end.write_all(b"x").unwrap();
    }
    for _ in 0..4 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
        if updates {
            state.handle.update(token, |_| ());
        }
    }
    // Each of them is heard of as long as there is something to read.
    for mut end in &ends {
        end.write_all(b"yz").unwrap();
    }
    for _ in 0..8 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    state.log.sort();
    state.log
}

#[test]
fn what_its_budget_leaves_over_is_recorded_once() {
    let each = ["0 read 1", "0 read 1", "0 read 1", "1 read 1", "1 read 1", "1 read 1"];
    for updates in [false, true] {
        assert_eq!(sockets_with_a_budget::<false>(updates), each, "updates: {updates}");
        assert_eq!(sockets_with_a_budget::<true>(updates), each, "with hooks, updates: {updates}");
    }
}

/// Two timers, of which one answers that it ends.
struct Two(CalloopSource<Timers>, CalloopSource<Timers>);

impl soloop::EventSource for Two {
    type Event<'a> = &'static str;
    type Ret = PostAction;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn register(&mut self, registrar: &mut soloop::Registrar<'_>) -> io::Result<()> {
        self.0.register(registrar)?;
        self.1.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut soloop::Registrar<'_>) -> io::Result<()> {
        self.0.reregister(registrar)?;
        self.1.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut soloop::Registrar<'_>) -> io::Result<()> {
        self.0.unregister(registrar)?;
        self.1.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        readiness: soloop::Readiness,
        token: soloop::InterestToken,
        mut callback: F,
    ) -> Result<soloop::PostAction, Self::Error>
    where
        F: FnMut(&'static str) -> PostAction,
    {
        let one = self.0.process_events(readiness, token, |_| callback("one"))?;
        Ok(one | self.1.process_events(readiness, token, |_| callback("two"))?)
    }
}

/// Two timers of calloop's, with the same callback: what it answers is the answer of the source.
struct Timers([Timer; 2]);

impl EventSource for Timers {
    type Event = ();
    type Metadata = ();
    type Ret = PostAction;
    type Error = io::Error;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut((), &mut ()) -> PostAction,
    {
        let mut action = PostAction::Continue;
        for timer in &mut self.0 {
            timer.process_events(readiness, token, |_, ()| {
                action = callback((), &mut ());
                TimeoutAction::ToDuration(5 * MS)
            })?;
        }
        Ok(action)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|timer| timer.register(poll, tokens))
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|timer| timer.reregister(poll, tokens))
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.0.iter_mut().try_for_each(|timer| timer.unregister(poll))
    }
}

fn timers(after: [u32; 2]) -> Timers {
    Timers(after.map(|after| Timer::from_duration(after * MS)))
}

fn dispatch_until(event_loop: &mut EventLoop<State>, state: &mut State, count: usize) {
    let started = Instant::now();
    while state.log.len() < count {
        event_loop.dispatch(AT_LAST, state).unwrap();
        assert!(started.elapsed() < AT_LAST, "{:?}", state.log);
    }
}

/// Its callback answers that it ends, and asks for the contrary: its timers go on.
#[test]
fn timers_of_a_source_that_an_op_keeps_go_on() {
    for end in [PostAction::Disable, PostAction::Remove] {
        let (mut event_loop, mut state) = new_loop();
        let callback = move |(), _: &mut (), state: &mut State| {
            state.note("fired");
            let token = state.tokens[0];
            state.handle.enable(token);
            end
        };
        let source = timers([1, 3]);
        let token = state.handle.insert_calloop_source(source, callback).unwrap();
        state.tokens.push(token.into());
        dispatch_until(&mut event_loop, &mut state, 6);
    }
}

/// A part answers that it ends, which the other part, or the source around them, outvotes.
#[test]
fn timers_of_a_part_that_is_outvoted_go_on() {
    for end in [PostAction::Disable, PostAction::Remove] {
        let (mut event_loop, mut state) = new_loop();
        let source = Two(CalloopSource::new(timers([1, 3])), CalloopSource::new(timers([2, 4])));
        let callback = move |name: &'static str, state: &mut State| {
            state.note(name);
            if name == "one" { end } else { PostAction::Continue }
        };
        state.handle.insert_source(source, callback).unwrap();
        dispatch_until(&mut event_loop, &mut state, 8);
        let ones = state.log.iter().filter(|name| *name == "one").count();
        assert!(ones >= 2, "{:?}", state.log);
    }
}

/// A part of a source of one's own.
#[test]
fn it_can_be_a_part_of_another_source() {
    use soloop::{InterestToken, PostAction as Answer, Registrar};

    struct Both(CalloopSource<PingSource>, CalloopSource<Timer>);

    impl soloop::EventSource for Both {
        type Event<'a> = &'static str;
        type Ret = ();
        type Error = Box<dyn std::error::Error + Send + Sync>;

        fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
            self.0.register(registrar)?;
            self.1.register(registrar)
        }

        fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
            self.0.reregister(registrar)?;
            self.1.reregister(registrar)
        }

        fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
            self.0.unregister(registrar)?;
            self.1.unregister(registrar)
        }

        fn process_events<F>(
            &mut self,
            readiness: soloop::Readiness,
            token: InterestToken,
            mut callback: F,
        ) -> Result<Answer, Self::Error>
        where
            F: FnMut(&'static str),
        {
            let ping = self.0.process_events(readiness, token, |((), _)| callback("ping"))?;
            let tick = self.1.process_events(readiness, token, |_| {
                callback("timer");
                TimeoutAction::ToDuration(MS)
            });
            Ok(ping | tick?)
        }
    }

    let (mut event_loop, mut state) = new_loop();
    let (ping, source) = make_ping().unwrap();
    let timer = CalloopSource::new(Timer::from_duration(MS));
    let both = Both(CalloopSource::new(source), timer);
    state.handle.insert_source(both, |what, state: &mut State| state.note(what)).unwrap();
    while state.log.len() < 3 {
        event_loop.dispatch(AT_LAST, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["timer", "timer", "timer"]);
    ping.ping();
    while !state.log.contains(&String::from("ping")) {
        event_loop.dispatch(AT_LAST, &mut state).unwrap();
    }
}
