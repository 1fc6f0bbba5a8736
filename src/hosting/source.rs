//! Hosts one source written for calloop as a source of this loop.
//!
//! Sources register with a `Poll`, which only calloop can make. So each hosted source has a calloop loop of its own,
//! whose epoll instance is one fd of this loop. That loop holds an [`InnerSource`] in place of the source: a dispatch
//! of it runs no user code, and only records which readiness it found for which token. This loop then has the source
//! process the records one by one, as it calls any other source: with the state, with ops applied between two records,
//! and with the source's own errors and panics.
//!
//! The source's timers are in the inner loop. A dispatch that is asked to wait while a wake-up is pending sets its
//! alarm (`timers.rs` says why). Since that dispatch only records, no timer can move after the alarm was set.
//!
//! Hooks: `before_sleep` of the source is called with this loop's, before the wait. The inner loop is dispatched right
//! after the wait, since only a dispatch can make the iterator that `before_handle_events` takes.
//!
//! Invariants: when the loop blocks, no record is left, and the alarm is set to the source's nearest timer. The source
//! is called only with records made since it was last registered.

use std::any::type_name;
use std::cell::{Ref, RefMut};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::time::Duration;

use calloop::{Dispatcher, Poll, RegistrationToken, TokenFactory};

use super::{LookAgain, explain, timers};
use crate::error::BoxError;
use crate::error::type_name::without_paths;
use crate::sources::fd_watch::FdWatch;
use crate::{
    EventIterator, EventSource, InsertError, Interest, InterestToken, LoopHandle, Mode, Notifier,
    PostAction, Readiness, Registrar, SourceOptions, Token,
};

/// Wraps a source that is written for calloop, as [`LoopHandle::insert_calloop_source`] does.
///
/// It can also be a part of a source of your own. Its event is what calloop passes to a callback: the source's event,
/// and its metadata.
///
/// [`LoopHandle::insert_calloop_source`] has an example.
pub struct CalloopSource<S: calloop::EventSource + 'static> {
    /// Holds the source. The inner loop holds the other half while registered.
    recorder: Dispatcher<'static, InnerSource<S>, Recorded>,
    /// While it is registered.
    host: Option<Host>,
}

/// A readiness that a dispatch of the inner loop found, and for which token.
type Found = (calloop::Readiness, calloop::Token);

/// What dispatches of the inner loop found and the source has not processed yet, in order.
#[derive(Default)]
struct Recorded {
    found: VecDeque<Found>,
    /// How many records, from the first on, were left over when the last of these dispatches began.
    left_over: usize,
}

impl Recorded {
    /// The inner loop will be dispatched again: what it finds again of a left-over record is one event.
    fn begin(&mut self) {
        self.left_over = self.found.len();
    }

    fn record(&mut self, (readiness, token): Found) {
        let mut left_over = self.found.iter_mut().take(self.left_over);
        match left_over.find(|(_, recorded)| *recorded == token) {
            Some((recorded, _)) => {
                recorded.readable |= readiness.readable;
                recorded.writable |= readiness.writable;
                recorded.error |= readiness.error;
            }
            None => self.found.push_back((readiness, token)),
        }
    }

    fn take_first(&mut self) -> Option<Found> {
        self.left_over = self.left_over.saturating_sub(1);
        self.found.pop_front()
    }
}

/// The calloop loop of one source.
struct Host {
    inner: calloop::EventLoop<'static, Recorded>,
    registration: RegistrationToken,
    recorded: Recorded,
    watch: FdWatch,
    /// Makes this loop look when the fd does not: a record is left, or the alarm is not set.
    more: Notifier,
    more_token: InterestToken,
    /// A dispatch failed where no error could be returned.
    failed: Option<calloop::Error>,
}

impl<Data> LoopHandle<Data> {
    /// Inserts a source that is written for calloop. `callback` receives the source's event and its metadata, as a
    /// pair, and the state. It returns what the callback for calloop would.
    ///
    /// The token works as for any source of this loop: [`take`](Self::take) and [`CalloopSource::into_inner`] return
    /// the source, [`visit`](Self::visit) lends it.
    ///
    /// In errors, reports and the table of sources it is named after the type `S`.
    /// [`insert_calloop_source_with`](Self::insert_calloop_source_with) gives it another name, a priority or a scope.
    ///
    /// # What is as in calloop, and what is not
    ///
    /// The source is called as calloop calls it: once for each readiness, with its `PostAction`, its timers and its
    /// hooks (`before_sleep` and `before_handle_events`, once around each wait). All events of one call of
    /// `process_events` are delivered together, as in calloop: ops that the callback queues are applied after that
    /// call, and a budget counts calls.
    ///
    /// * An error of `process_events` becomes an [`Error::Source`](crate::Error::Source) that contains it, and the
    ///   rest is delivered. (calloop wraps the error, and drops the other events of its dispatch.)
    /// * `PostAction::Remove` and `Disable` work. An op that the callback queued for its own token takes precedence.
    /// * calloop's timers follow real time, even if this loop has a [manual clock](crate::Clock::manual). They wake a
    ///   sleeping loop on Linux and Android; elsewhere they fire with the loop's next event.
    ///
    /// # Cost
    ///
    /// Three fds and 13 KB while it is enabled. When it fires: five system calls more than a plain source of this
    /// loop, or eleven if it contains timers of calloop's (which is detected). In any other round none, except for a
    /// source with hooks: five. The inner loop's epoll instance nests in this one; the kernel allows five of them in a
    /// chain.
    ///
    /// # Errors
    ///
    /// The error of the source's `register`, or of the kernel, together with the source. [`Error::source`] of the
    /// error is calloop's, unless that only wrapped an [`io::Error`].
    ///
    /// [`Error::source`]: std::error::Error::source
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, pings: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::EventLoop;
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, pings: 0 };
    ///
    /// let (ping, source) = calloop::ping::make_ping()?;
    /// let token = state.handle.insert_calloop_source(source, |(), _metadata, state| {
    ///     state.pings += 1;
    /// })?;
    /// ping.ping();
    /// event_loop.dispatch(None, &mut state)?;
    /// assert_eq!(state.pings, 1);
    ///
    /// // Back as it was, for another loop.
    /// state.handle.take(token, |source, _state| {
    ///     let _source: calloop::ping::PingSource = source.into_inner();
    /// });
    /// event_loop.apply_pending(&mut state)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert_calloop_source<S, F>(
        &mut self,
        source: S,
        callback: F,
    ) -> Result<Token<CalloopSource<S>>, InsertError<S>>
    where
        S: calloop::EventSource + 'static,
        F: FnMut(S::Event, &mut S::Metadata, &mut Data) -> S::Ret + 'static,
    {
        self.insert_calloop_source_with(SourceOptions::new(), source, callback)
    }

    /// Inserts a source like [`insert_calloop_source`](Self::insert_calloop_source), with [`SourceOptions`]: a name,
    /// a priority, a budget, an error policy or a scope.
    ///
    /// # Errors
    ///
    /// As [`insert_calloop_source`](Self::insert_calloop_source).
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, frames: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use calloop::timer::{TimeoutAction, Timer};
    /// use soloop::{EventLoop, Priority, SourceOptions};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, frames: 0 };
    /// let options = SourceOptions::new().name("frame").priority(Priority::High);
    /// let timer = Timer::from_duration(Duration::from_millis(1));
    /// state.handle.insert_calloop_source_with(options, timer, |_, _, state| {
    ///     state.frames += 1;
    ///     TimeoutAction::Drop
    /// })?;
    /// while state.frames == 0 {
    ///     event_loop.dispatch(None, &mut state)?;
    /// }
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn insert_calloop_source_with<S, F>(
        &mut self,
        mut options: SourceOptions,
        source: S,
        mut callback: F,
    ) -> Result<Token<CalloopSource<S>>, InsertError<S>>
    where
        S: calloop::EventSource + 'static,
        F: FnMut(S::Event, &mut S::Metadata, &mut Data) -> S::Ret + 'static,
    {
        options.name.get_or_insert_with(|| without_paths(type_name::<S>()).into());
        let callback = move |(event, metadata): (S::Event, &mut S::Metadata), data: &mut Data| {
            callback(event, metadata, data)
        };
        let inserted = self.insert_source_with(options, CalloopSource::new(source), callback);
        inserted.map_err(|refused| InsertError::new(refused.error, refused.source.into_inner()))
    }
}

impl<S: calloop::EventSource + 'static> CalloopSource<S> {
    /// Wraps `source`, which is registered when the wrapper is.
    pub fn new(source: S) -> Self {
        let recorder = InnerSource { source, has_timers: false, failed: None, in_wait: false };
        let record = |found, _: &mut (), recorded: &mut Recorded| recorded.record(found);
        Self { recorder: Dispatcher::new(recorder, record), host: None }
    }

    /// Borrows the wrapped source.
    pub fn get_ref(&self) -> impl Deref<Target = S> + '_ {
        Ref::map(self.recorder.as_source_ref(), |recorder| &recorder.source)
    }

    /// Borrows the wrapped source mutably. A change that concerns its registration takes effect with
    /// [`LoopHandle::update`].
    pub fn get_mut(&mut self) -> impl DerefMut<Target = S> + '_ {
        RefMut::map(self.recorder.as_source_mut(), |recorder| &mut recorder.source)
    }

    /// Returns the wrapped source, for calloop or another loop.
    pub fn into_inner(self) -> S {
        let Self { recorder, host } = self;
        // It holds the other half of the source.
        drop(host);
        recorder.into_source_inner().source
    }

    /// Sets the alarm to the nearest timer, if the source has timers.
    fn arm(&mut self) -> calloop::Result<()> {
        if self.recorder.as_source_ref().has_timers
            && let Some(host) = &mut self.host
        {
            host.recorded.begin();
            host.record_and_arm()?;
            if !host.recorded.found.is_empty() {
                host.more.notify();
            }
        }
        Ok(())
    }
}

impl Host {
    /// Registers the inner loop in this one, or updates its registration.
    fn watch(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let fd = self.inner.as_fd();
        self.watch.register(registrar, fd, Interest::READ, Mode::Level).map_err(explain)
    }

    /// Dispatches the inner loop and records what is ready.
    fn record(&mut self) -> calloop::Result<()> {
        self.inner.dispatch(Duration::ZERO, &mut self.recorded)
    }

    /// [`record`](Self::record), then sets the alarm to the nearest timer that is not due yet.
    fn record_and_arm(&mut self) -> calloop::Result<()> {
        self.inner.get_signal().wakeup();
        self.inner.dispatch(None, &mut self.recorded)
    }
}

impl<S: calloop::EventSource + 'static> EventSource for CalloopSource<S> {
    type Event<'a> = (S::Event, &'a mut S::Metadata);
    type Ret = S::Ret;
    type Error = BoxError;

    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = S::NEEDS_EXTRA_LIFECYCLE_EVENTS;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if self.host.is_some() {
            return EventSource::reregister(self, registrar);
        }
        let inner = calloop::EventLoop::try_new()?;
        let registration = inner.handle().register_dispatcher(self.recorder.clone())?;
        let (more_token, more) = registrar.notifier();
        let host = self.host.insert(Host {
            inner,
            registration,
            recorded: Recorded::default(),
            watch: FdWatch::default(),
            more,
            more_token,
            failed: None,
        });
        host.watch(registrar)?;
        Ok(self.arm()?)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let Some(host) = &mut self.host else { return Ok(()) };
        host.watch(registrar)?;
        if !host.recorded.found.is_empty() {
            // A composite may have replaced the source's `Again`.
            host.more.notify();
        }
        // `process_next` acts on the source's own answer. Doing it for another part's answer would deliver edges again.
        if !registrar.is_answer() {
            host.inner.handle().update(&host.registration)?;
            self.arm()?;
        }
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let Some(mut host) = self.host.take() else { return Ok(()) };
        registrar.release(host.more_token);
        let unwatched = host.watch.unregister(registrar, host.inner.as_fd());
        host.inner.handle().remove(host.registration);
        drop(host);
        match self.recorder.as_source_mut().failed.take() {
            Some(error) => Err(error.into()),
            None => unwatched,
        }
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, BoxError>
    where
        F: FnMut((S::Event, &mut S::Metadata)) -> S::Ret,
    {
        let Some(host) = &mut self.host else { return Ok(PostAction::Continue) };
        if !host.watch.is(token) && token != host.more_token {
            return Ok(PostAction::Continue);
        }
        let mut guard = LookAgain(Some(host.more.clone()));
        if let Some(error) = host.failed.take() {
            return Err(error.into());
        }
        // With hooks, records are made after the wait only.
        if host.recorded.found.is_empty() && !S::NEEDS_EXTRA_LIFECYCLE_EVENTS {
            host.record()?;
        }
        let first = host.recorded.take_first();
        let answer = first.map_or(Ok(calloop::PostAction::Continue), |(readiness, token)| {
            let source = &mut self.recorder.as_source_mut().source;
            source.process_events(readiness, token, |event, data| callback((event, data)))
        });
        let action = match answer.map_err(Into::into)? {
            calloop::PostAction::Disable => PostAction::Disable,
            calloop::PostAction::Remove => PostAction::Remove,
            calloop::PostAction::Reregister => {
                host.inner.handle().update(&host.registration)?;
                PostAction::Continue
            }
            calloop::PostAction::Continue => PostAction::Continue,
        };
        if action != PostAction::Continue {
            // The source stays if an op of its callback or a source around it says so: then it is called once more.
            host.more.again();
        } else if host.recorded.found.is_empty() && self.recorder.as_source_ref().has_timers {
            if !S::NEEDS_EXTRA_LIFECYCLE_EVENTS {
                host.record_and_arm()?;
            } else if first.is_some() {
                // The dispatch after the next wait sets the alarm; that wait does not block.
                host.more.notify();
            }
        }
        let has_more = action == PostAction::Continue && !host.recorded.found.is_empty();
        guard.0 = None;
        Ok(if has_more { PostAction::Again } else { action })
    }

    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
        let Some(host) = &mut self.host else { return Ok(None) };
        let mut recorder = self.recorder.as_source_mut();
        let event = recorder.source.before_sleep()?;
        recorder.in_wait = true;
        host.recorded.begin();
        host.recorded.found.extend(event);
        let more = !host.recorded.found.is_empty();
        Ok(more.then_some((Readiness::EMPTY, host.more_token)))
    }

    fn before_handle_events(&mut self, _: EventIterator<'_>) {
        // If `before_sleep` failed, the dispatch ends: the next one finds what is ready.
        let InnerSource { in_wait: true, has_timers, .. } = *self.recorder.as_source_ref() else {
            return;
        };
        let Some(host) = &mut self.host else { return };
        let had = host.recorded.found.len();
        let recorded = if has_timers { host.record_and_arm() } else { host.record() };
        host.failed = recorded.err();
        if host.recorded.found.len() > had || host.failed.is_some() {
            // It may have become ready since this loop's wait.
            host.more.notify();
        }
    }
}

impl<S: calloop::EventSource + 'static> fmt::Debug for CalloopSource<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = type_name::<S>();
        f.debug_struct("CalloopSource").field("source", &source).finish_non_exhaustive()
    }
}

/// Stands in the inner loop for the source: registers it, and records what is found for it.
struct InnerSource<S> {
    source: S,
    /// The source once had a timer in the wheel.
    has_timers: bool,
    /// The error of its `unregister`, which calloop only logs.
    failed: Option<calloop::Error>,
    /// `before_sleep` was called, and `before_handle_events` is due.
    in_wait: bool,
}

impl<S: calloop::EventSource> calloop::EventSource for InnerSource<S> {
    type Event = Found;
    type Metadata = ();
    type Ret = ();
    type Error = Infallible;

    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = S::NEEDS_EXTRA_LIFECYCLE_EVENTS;

    fn process_events<F>(
        &mut self,
        readiness: calloop::Readiness,
        token: calloop::Token,
        mut callback: F,
    ) -> Result<calloop::PostAction, Infallible>
    where
        F: FnMut(Found, &mut ()),
    {
        callback((readiness, token), &mut ());
        Ok(calloop::PostAction::Continue)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.in_wait = false;
        self.source.register(poll, tokens)?;
        self.has_timers = timers::any(poll, tokens)?;
        Ok(())
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.source.reregister(poll, tokens)?;
        // Only a registration puts a timer into the wheel; a source that fires moves existing ones.
        self.has_timers = self.has_timers || timers::any(poll, tokens)?;
        Ok(())
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.failed = self.source.unregister(poll).err();
        Ok(())
    }

    fn before_handle_events(&mut self, events: calloop::EventIterator<'_>) {
        // After a `reregister`, calloop calls it more than once.
        if std::mem::take(&mut self.in_wait) {
            self.source.before_handle_events(events);
        }
    }
}
