//! `TransientSource`: each way in which a part of a composite comes, goes and is replaced.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use soloop::{
    Channel, EventIterator, EventLoop, EventSource, Generic, Interest, InterestToken, Mode, Ping,
    PingSource, PostAction, Readiness, Ready, Registrar, Sender, SourceOptions, TimeoutAction,
    Timer, Token, TransientSource, channel, make_ping,
};

mod common;
use common::*;

const MS: Duration = Duration::from_millis(1);

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// How often the probes of one kind were registered and so on, and dropped.
#[derive(Default)]
struct Counts {
    registered: AtomicUsize,
    reregistered: AtomicUsize,
    unregistered: AtomicUsize,
    dropped: AtomicUsize,
}

impl Counts {
    fn all(&self) -> [usize; 4] {
        [&self.registered, &self.reregistered, &self.unregistered, &self.dropped]
            .map(|count| count.load(Ordering::Relaxed))
    }
}

/// A ping that answers what it is told to, and counts what is done to it.
struct Probe {
    name: &'static str,
    ping: PingSource,
    answer: PostAction,
    refuse: bool,
    counts: Arc<Counts>,
}

fn probe(name: &'static str, answer: PostAction) -> (Ping, Probe, Arc<Counts>) {
    let (ping, source) = make_ping();
    let counts = Arc::new(Counts::default());
    let probe = Probe { name, ping: source, answer, refuse: false, counts: Arc::clone(&counts) };
    (ping, probe, counts)
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl EventSource for Probe {
    type Event<'a> = &'static str;
    type Ret = ();
    type Error = AnyError;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.ping.register(registrar)?;
        self.counts.registered.fetch_add(1, Ordering::Relaxed);
        if self.refuse { Err(std::io::Error::other("refused")) } else { Ok(()) }
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.counts.reregistered.fetch_add(1, Ordering::Relaxed);
        self.ping.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.counts.unregistered.fetch_add(1, Ordering::Relaxed);
        self.ping.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, AnyError>
    where
        F: FnMut(&'static str),
    {
        let mut pinged = false;
        self.ping.process_events(readiness, token, |()| pinged = true)?;
        if !pinged {
            return Ok(PostAction::Continue);
        }
        callback(self.name);
        if self.answer == PostAction::Again {
            // It has no more; the next call says so.
            return Ok(std::mem::replace(&mut self.answer, PostAction::Continue));
        }
        Ok(self.answer)
    }
}

/// What the parts of a [`Composite`] do.
enum Event<'a> {
    Probe(&'static str),
    Timer,
    Message(u32),
    Closed,
    /// Lends a part to the callback.
    Byte(u8, &'a mut TransientSource<Probe>),
}

/// Several parts, each with interests of its own.
struct Composite {
    probe: TransientSource<Probe>,
    timer: TransientSource<Timer>,
    channel: TransientSource<Channel<u32>>,
    socket: TransientSource<Generic<UnixStream>>,
    /// Forwards to the parts in the opposite order.
    reversed: bool,
}

impl Composite {
    fn new(probe: impl Into<TransientSource<Probe>>) -> Self {
        Self {
            probe: probe.into(),
            timer: TransientSource::default(),
            channel: TransientSource::default(),
            socket: TransientSource::default(),
            reversed: false,
        }
    }
}

impl EventSource for Composite {
    type Event<'a> = Event<'a>;
    type Ret = ();
    type Error = AnyError;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.probe.register(registrar)?;
        self.timer.register(registrar)?;
        self.channel.register(registrar)?;
        self.socket.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.probe.reregister(registrar)?;
        self.timer.reregister(registrar)?;
        self.channel.reregister(registrar)?;
        self.socket.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.probe.unregister(registrar)?;
        self.timer.unregister(registrar)?;
        self.channel.unregister(registrar)?;
        self.socket.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, AnyError>
    where
        F: FnMut(Event<'_>),
    {
        let mut action = PostAction::Continue;
        if !self.reversed {
            action |=
                self.probe.process_events(readiness, token, |name| callback(Event::Probe(name)))?;
        }
        action |= self.timer.process_events(readiness, token, |_| {
            callback(Event::Timer);
            TimeoutAction::ToDuration(10 * MS)
        })?;
        action |= self.channel.process_events(readiness, token, |event| match event {
            channel::Event::Msg(message) => callback(Event::Message(message)),
            channel::Event::Closed => callback(Event::Closed),
        })?;
        action |=
            self.socket.process_events(readiness, token, |ready: Ready<'_, UnixStream>| {
                let mut byte = [0];
                if ready.io.read(&mut byte)? == 0 {
                    return Ok(PostAction::Remove);
                }
                callback(Event::Byte(byte[0], &mut self.probe));
                Ok(PostAction::Continue)
            })?;
        if self.reversed {
            action |=
                self.probe.process_events(readiness, token, |name| callback(Event::Probe(name)))?;
        }
        Ok(action)
    }
}

fn insert(state: &mut State, composite: Composite) -> Token<Composite> {
    let callback = |event: Event<'_>, state: &mut State| match event {
        Event::Probe(name) => state.note(name),
        Event::Timer => state.note("timer"),
        Event::Message(message) => state.note(message),
        Event::Closed => state.note("closed"),
        Event::Byte(byte, probe) => {
            state.note(byte as char);
            match byte {
                b'-' => probe.remove(),
                b'0' => probe.disable(),
                b'1' => probe.enable(),
                _ => {}
            }
        }
    };
    state.handle.insert_source(composite, callback).unwrap()
}

fn dispatch(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    event_loop.dispatch(ZERO, state).unwrap();
    state.take_log()
}

/// Everything a composite can hold, with the other ends.
struct Full {
    ping: Ping,
    counts: Arc<Counts>,
    sender: Sender<u32>,
    socket: UnixStream,
    token: Token<Composite>,
}

fn full(state: &mut State, answer: PostAction) -> Full {
    let (ping, probe, counts) = probe("probe", answer);
    let (sender, channel) = soloop::channel();
    let (socket, theirs) = UnixStream::pair().unwrap();
    let mut composite = Composite::new(probe);
    composite.channel = channel.into();
    composite.timer = Timer::from_duration(10 * MS).into();
    composite.socket = Generic::new(theirs, Interest::READ, Mode::Level).into();
    let token = insert(state, composite);
    Full { ping, counts, sender, socket, token }
}

/// All parts but the probe still work.
fn assert_others_work(event_loop: &mut EventLoop<State>, state: &mut State, full: &mut Full) {
    full.sender.send(5).unwrap();
    full.socket.write_all(b"s").unwrap();
    let mut log = dispatch(event_loop, state);
    log.sort();
    assert_eq!(log, ["5", "s"]);
    event_loop.dispatch(10 * MS, state).unwrap();
    assert_eq!(state.take_log(), ["timer"]);
}

#[test]
fn an_empty_one_does_nothing() {
    let (mut event_loop, mut state) = new_loop();
    let mut empty = TransientSource::<Probe>::default();
    assert!(empty.is_none());
    assert_eq!(empty.map(|_| ()), None);
    empty.remove();
    empty.disable();
    empty.enable();
    let token = state.handle.insert_source(empty, |_, _: &mut State| ()).unwrap();
    state.handle.update(token, |_| ());
    state.handle.disable(token);
    state.handle.enable(token);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
}

#[test]
fn forwards_events_and_answers_while_it_is_there() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let mut full = full(&mut state, PostAction::Continue);
    for _ in 0..2 {
        full.ping.ping();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["probe"]);
        assert_others_work(&mut event_loop, &mut state, &mut full);
    }
    let [registered, _, unregistered, dropped] = full.counts.all();
    assert_eq!([registered, unregistered, dropped], [1, 0, 0]);
    let composite = event_loop.get_mut(full.token).unwrap();
    assert_eq!(composite.probe.map(|probe| probe.name), Some("probe"));
    state.handle.remove(full.token);
    event_loop.apply_pending(&mut state).unwrap();
    let [registered, _, unregistered, dropped] = full.counts.all();
    assert_eq!([registered, unregistered, dropped], [1, 1, 1]);
}

#[test]
fn a_part_that_answers_reregister_is_reregistered() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let full = full(&mut state, PostAction::Reregister);
    full.ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["probe"]);
    assert_eq!(full.counts.all(), [1, 1, 0, 0]);
}

#[test]
fn a_part_that_answers_again_is_called_again() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let full = full(&mut state, PostAction::Continue);
    (0..4).for_each(|n| full.sender.send(n).unwrap());
    assert_eq!(dispatch(&mut event_loop, &mut state), ["0", "1", "2", "3"]);
}

#[test]
fn a_part_that_answers_remove_goes_alone() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let mut full = full(&mut state, PostAction::Remove);
    full.ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["probe"]);
    assert_eq!(full.counts.all(), [1, 0, 1, 1]);
    assert!(state.handle.contains(full.token));
    let composite = event_loop.get_mut(full.token).unwrap();
    assert!(composite.probe.is_none());
    assert_eq!(composite.probe.map(|_| ()), None);
    full.ping.ping();
    assert_others_work(&mut event_loop, &mut state, &mut full);
    // Each of the others goes in its own way.
    drop(full.sender);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["closed"]);
    drop(full.socket);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    let composite = event_loop.get_mut(full.token).unwrap();
    assert!(composite.channel.is_none() && composite.socket.is_none());
    assert!(!composite.timer.is_none());
    event_loop.dispatch(10 * MS, &mut state).unwrap();
    assert_eq!(state.take_log(), ["timer"]);
}

#[test]
fn a_part_that_answers_disable_waits_alone() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let mut full = full(&mut state, PostAction::Disable);
    full.ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["probe"]);
    assert_eq!(full.counts.all(), [1, 0, 1, 0]);
    full.ping.ping();
    assert_others_work(&mut event_loop, &mut state, &mut full);
    let before = full.counts.all();
    state.handle.update(full.token, |_| ());
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    assert_eq!(full.counts.all(), before, "a re-registration leaves it disabled");
    let composite = event_loop.get_mut(full.token).unwrap();
    composite.probe.map(|probe| probe.answer = PostAction::Continue).unwrap();
    state.handle.update(full.token, |composite| composite.probe.enable());
    assert_eq!(dispatch(&mut event_loop, &mut state), ["probe"], "what came meanwhile");
    full.ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["probe"]);
    assert_eq!(full.counts.all(), [2, 0, 1, 0]);
}

#[test]
fn a_disabled_part_comes_back_with_the_composite() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let full = full(&mut state, PostAction::Disable);
    full.ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["probe"]);
    state.handle.disable(full.token);
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!(full.counts.all(), [1, 0, 1, 0], "it was unregistered already");
    full.ping.ping();
    state.handle.enable(full.token);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["probe"]);
}

#[test]
fn is_removed_and_replaced_from_outside() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let mut full = full(&mut state, PostAction::Continue);
    state.handle.update(full.token, |composite| composite.probe.remove());
    full.ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    assert_eq!(full.counts.all(), [1, 0, 1, 1]);
    // Into the empty place.
    let (ping, next, counts) = probe("next", PostAction::Continue);
    ping.ping();
    state.handle.update(full.token, |composite| composite.probe.replace(next));
    assert_eq!(dispatch(&mut event_loop, &mut state), ["next"]);
    assert_eq!(counts.all(), [1, 0, 0, 0]);
    // In the place of another.
    let (last_ping, last, last_counts) = probe("last", PostAction::Continue);
    state.handle.update(full.token, |composite| composite.probe.replace(last));
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!((counts.all(), last_counts.all()), ([1, 0, 1, 1], [1, 0, 0, 0]));
    ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    last_ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["last"]);
    assert_others_work(&mut event_loop, &mut state, &mut full);
}

#[test]
fn several_changes_before_a_registration_leave_nothing_behind() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let mut full = full(&mut state, PostAction::Continue);
    event_loop.apply_pending(&mut state).unwrap();
    let (_, skipped, skipped_counts) = probe("skipped", PostAction::Continue);
    let (ping, last, counts) = probe("last", PostAction::Continue);
    state.handle.update(full.token, |composite| {
        composite.probe.replace(skipped);
        assert_eq!(composite.probe.map(|probe| probe.name), Some("skipped"));
        composite.probe.remove();
        assert!(composite.probe.is_none());
        composite.probe.replace(last);
    });
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!(full.counts.all(), [1, 0, 1, 1]);
    assert_eq!(skipped_counts.all(), [0, 0, 0, 1], "it was never registered");
    assert_eq!(counts.all(), [1, 0, 0, 0]);
    ping.ping();
    full.ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["last"]);
    assert_others_work(&mut event_loop, &mut state, &mut full);
    // A composite that is disabled before it hears of the change.
    let (_, next, _) = probe("next", PostAction::Continue);
    event_loop.get_mut(full.token).unwrap().probe.replace(next);
    state.handle.disable(full.token);
    event_loop.apply_pending(&mut state).unwrap();
    let [registered, _, unregistered, dropped] = counts.all();
    assert_eq!([registered, unregistered, dropped], [1, 1, 1]);
    state.handle.enable(full.token);
    event_loop.apply_pending(&mut state).unwrap();
    let composite = event_loop.get_mut(full.token).unwrap();
    assert_eq!(composite.probe.map(|probe| probe.counts.all()), Some([1, 0, 0, 0]));
}

#[test]
fn changes_while_the_composite_is_disabled_take_effect_when_it_is_enabled() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let full = full(&mut state, PostAction::Continue);
    state.handle.disable(full.token);
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!(full.counts.all(), [1, 0, 1, 0]);
    let (ping, next, counts) = probe("next", PostAction::Continue);
    event_loop.get_mut(full.token).unwrap().probe.replace(next);
    assert_eq!(full.counts.all(), [1, 0, 1, 1], "nothing to unregister");
    ping.ping();
    state.handle.enable(full.token);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["next"]);
    assert_eq!(counts.all(), [1, 0, 0, 0]);
}

/// A part whose change the composite does not mention in its answer: here it is lent to the callback.
#[test]
fn a_change_that_nobody_mentions_takes_effect_with_the_next_event() {
    for reversed in [false, true] {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let mut full = full(&mut state, PostAction::Continue);
        event_loop.apply_pending(&mut state).unwrap();
        event_loop.get_mut(full.token).unwrap().reversed = reversed;
        full.socket.write_all(b"0").unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["0"]);
        full.ping.ping();
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0], "disabled at once");
        assert_eq!(full.counts.all()[2], 1);
        full.socket.write_all(b"1").unwrap();
        let mut log = dispatch(&mut event_loop, &mut state);
        full.sender.send(7).unwrap();
        log.extend(dispatch(&mut event_loop, &mut state));
        log.extend(dispatch(&mut event_loop, &mut state));
        log.sort();
        assert_eq!(log, ["1", "7", "probe"]);
        full.socket.write_all(b"-").unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["-"]);
        full.ping.ping();
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        full.sender.send(8).unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["8"]);
        assert_eq!(full.counts.all()[3], 1);
    }
}

#[test]
fn a_backlog_survives_the_change_of_a_sibling() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let (sender, channel) = soloop::channel();
    let (ping, probe, counts) = probe("probe", PostAction::Remove);
    let mut composite = Composite::new(probe);
    composite.channel = channel.into();
    let token = insert(&mut state, composite);
    event_loop.apply_pending(&mut state).unwrap();
    // The sibling goes while the channel has more: the answers of both become `Reregister`.
    (0..5).for_each(|n| sender.send(n).unwrap());
    event_loop.get_mut(token).unwrap().probe.remove();
    let mut log = Vec::new();
    for _ in 0..3 {
        log.extend(dispatch(&mut event_loop, &mut state));
    }
    assert_eq!(log, ["0", "1", "2", "3", "4"]);
    assert_eq!(counts.all()[3], 1);
    ping.ping();
    sender.send(5).unwrap();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["5"]);
}

#[test]
fn a_new_source_on_an_fd_with_the_number_of_the_old_one() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let mut full = full(&mut state, PostAction::Continue);
    event_loop.apply_pending(&mut state).unwrap();
    full.socket.write_all(b"lost").unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(b"x").unwrap();
    state.handle.update(full.token, |composite| {
        composite.socket.replace(Generic::new(theirs, Interest::READ, Mode::Level));
    });
    assert_eq!(dispatch(&mut event_loop, &mut state), ["x"]);
    wait_for_hang_up(&full.socket);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
}

#[test]
fn a_part_that_cannot_be_registered_is_an_error_and_leaves_nothing() {
    let (mut event_loop, mut state, _clock) = manual_loop();
    let mut full = full(&mut state, PostAction::Continue);
    let (ping, mut bad, counts) = probe("bad", PostAction::Continue);
    bad.refuse = true;
    state.handle.update(full.token, |composite| composite.probe.replace(bad));
    let error = event_loop.dispatch(ZERO, &mut state).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(full.counts.all(), [1, 0, 1, 1], "the old one is gone all the same");
    assert_eq!(counts.all(), [1, 0, 1, 0]);
    ping.ping();
    assert_others_work(&mut event_loop, &mut state, &mut full);
    state.handle.update(full.token, |composite| {
        composite.probe.map(|probe| probe.refuse = false);
        composite.probe.enable();
    });
    assert_eq!(dispatch(&mut event_loop, &mut state), ["bad"], "the next attempt succeeds");
    // In an insertion, the composite comes back whole.
    let (ping, mut bad, counts) = probe("bad", PostAction::Continue);
    bad.refuse = true;
    let refused =
        state.handle.insert_source(Composite::new(bad), |_, _: &mut State| ()).unwrap_err();
    assert_eq!(counts.all(), [1, 0, 1, 0]);
    let mut composite = refused.source;
    composite.probe.map(|probe| probe.refuse = false);
    insert(&mut state, composite);
    ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["bad"]);
}

#[test]
fn alone_in_a_slot_it_outlives_what_it_wraps() {
    let (mut event_loop, mut state) = new_loop();
    let (ping, one, counts) = probe("one", PostAction::Remove);
    let source = TransientSource::from(one);
    let callback = |name, state: &mut State| state.note(name);
    let options = SourceOptions::new().name("transient");
    let token = state.handle.insert_source_with(options, source, callback).unwrap();
    ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["one"]);
    assert_eq!(counts.all(), [1, 0, 1, 1]);
    assert!(state.handle.contains(token));
    let (ping, two, _) = probe("two", PostAction::Continue);
    state.handle.update(token, |transient| transient.replace(two));
    ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["two"]);
}

/// Has something to say before each sleep.
struct Hooked {
    ping: PingSource,
    token: Option<InterestToken>,
    sleeps: Arc<AtomicUsize>,
    wakes: Arc<AtomicUsize>,
}

impl EventSource for Hooked {
    type Event<'a> = ();
    type Ret = ();
    type Error = std::convert::Infallible;
    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.token = Some(registrar.notifier().0);
        self.ping.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        self.ping.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
        if let Some(token) = self.token.take() {
            registrar.release(token);
        }
        self.ping.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Self::Error>
    where
        F: FnMut(()),
    {
        if self.token == Some(token) {
            callback(());
            return Ok(PostAction::Continue);
        }
        self.ping.process_events(readiness, token, callback)?;
        Ok(PostAction::Disable)
    }

    fn before_sleep(&mut self) -> std::io::Result<Option<(Readiness, InterestToken)>> {
        self.sleeps.fetch_add(1, Ordering::Relaxed);
        Ok(self.token.map(|token| (Readiness::EMPTY, token)))
    }

    fn before_handle_events(&mut self, events: EventIterator<'_>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        // Of the ping, but not of what `before_sleep` answers.
        assert!(events.count() <= 1);
    }
}

#[test]
fn forwards_the_hooks_while_the_source_is_enabled() {
    let (mut event_loop, mut state) = new_loop();
    let (ping, source) = make_ping();
    let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let [sleeps, wakes] = counts.clone();
    let count = || counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    let hooked = Hooked { ping: source, token: None, sleeps, wakes };
    let callback = |(), state: &mut State| state.note("x");
    let token = state.handle.insert_source(TransientSource::from(hooked), callback).unwrap();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["x"]);
    assert_eq!(count(), [1, 1]);
    ping.ping();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["x"; 2], "of the hook, then of the ping");
    assert_eq!(count(), [2, 2]);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0], "disabled");
    assert_eq!(count(), [2, 2]);
    state.handle.update(token, TransientSource::enable);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["x"]);
    assert_eq!(count(), [3, 3]);
    state.handle.update(token, TransientSource::remove);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    assert_eq!(count(), [3, 3]);
}
