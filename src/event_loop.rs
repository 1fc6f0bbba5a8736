//! The loop: its parts, and one dispatch from top to bottom. The steps of a dispatch are in `event_loop/`.
//!
//! The loop owns everything that is borrowed while a callback runs. Everything that a callback may change is in the
//! [`LoopHandle`], a field of the state. So a callback can reach neither the slot that is running, nor the map that
//! holds it, nor the loop. Invariants:
//!
//! * ops are applied after every callback, before any other runs, as long as the round has time;
//! * user code (callbacks, visitors, destructors) runs only while every table is whole, so that the loop can go on
//!   after a panic or an error;
//! * the loop blocks only while [`has_work`](EventLoop::has_work) says no; the loop asks it once more after it fell
//!   asleep.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use slotmap::SecondaryMap;

use crate::clock::Clock;
use crate::dispatch::{Budget, Round};
use crate::error::{Error, ErrorAction, Outcome, Result};
use crate::event_loop::failure::Orphan;
use crate::handle::local_remote::LocalPost;
use crate::handle::{LoopData, LoopHandle, SendARemote, tables};
use crate::insight::instrumentation::Instrumentation;
use crate::insight::stats::Stats;
use crate::kernel::{Alarm, Poller};
use crate::registry::Registrations;
use crate::registry::slot::{Slot, downcast_mut};
use crate::threads::ready::{ReadyQueue, Woken};
use crate::threads::remote::{Mailbox, Post};
use crate::threads::shared::Shared;
use crate::token::{SourceKey, WAKER};
use crate::{EventSource, Token};

mod apply;
mod block_on;
mod deliver;
mod failure;
mod hooks;
mod insight;
mod remote_insert;
mod wait;

pub(crate) type ErrorPolicy<Data> = Box<dyn FnMut(&Error, &mut Data) -> ErrorAction>;

/// The loop: it waits for sources, and calls their callbacks with `&mut Data`.
///
/// It stays in `main`, while the [`LoopHandle`] made together with it moves into the state. It stays in its thread,
/// because it holds callbacks that need not be `Send`; other threads reach it through a [`Remote`](crate::Remote), a
/// [`LoopSignal`](crate::LoopSignal) or a channel.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer};
///
/// struct State {
///     handle: LoopHandle<State>,
///     ticks: u32,
/// }
///
/// impl LoopData for State {
///     fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
///         &mut self.handle
///     }
/// }
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, ticks: 0 };
/// state.handle.insert_source(Timer::immediate(), |_deadline, state| {
///     state.ticks += 1;
///     if state.ticks == 3 {
///         state.handle.stop();
///     }
///     TimeoutAction::ToDuration(Duration::from_millis(1))
/// })?;
/// event_loop.run(None, &mut state, |_state| ())?;
/// assert_eq!(state.ticks, 3);
/// # Ok::<(), soloop::Error>(())
/// ```
pub struct EventLoop<Data> {
    _thread: SendARemote,
    poller: Poller,
    slots: SecondaryMap<SourceKey, Slot<Data>>,
    /// The sources with lifecycle hooks. Some of them may be gone.
    hooks: Vec<SourceKey>,
    /// Events that were found and are not delivered yet.
    round: Round,
    /// How much a round may run.
    budget: Budget,
    orphans: VecDeque<Orphan>,
    /// Where remotes post; `posts` are those that the loop took and has not run yet.
    mailbox: Arc<Mailbox<Post<Data>>>,
    posts: VecDeque<Post<Data>>,
    local_posts: Arc<Mailbox<LocalPost<Data>>>,
    /// Buffer for the contents of the ready queue.
    woken: Vec<Woken>,
    policy: Option<ErrorPolicy<Data>>,
    /// Only the counts that cost nothing, and are always kept.
    counters: Stats,
    /// Present while somebody observes the loop.
    insight: Option<Box<Instrumentation>>,
    shared: Arc<Shared>,
}

// The bounds stand on the methods: the compiler then explains `LoopData` where it is missing.
impl<Data> EventLoop<Data> {
    /// Makes a loop and its handle. The handle goes into the state, where [`LoopData`] finds it.
    ///
    /// On Linux this opens four fds: the epoll instance, a duplicate of it for the handle, an eventfd and a timerfd.
    /// Channels, pings, timers, idles and tasks need no further fd. `Signals`, `Child` and `WallTimer` own fds of
    /// their own.
    ///
    /// # Forks
    ///
    /// **Make the loop after the process has gone to the background, never before.** A child of `fork(2)` gets no
    /// loop of its own: it shares the epoll instance, the eventfd and the timerfd with its parent. A source that one
    /// of them removes is gone for the other, too, without an error. A parent that drops its loop removes every fd
    /// from the child's. While both run, each takes wake-ups and timers from the other. So a daemon forks first, or
    /// executes itself again, and calls this in the process that stays (`examples/daemon.rs`). A child that calls
    /// `execve(2)` inherits nothing: all fds are close-on-exec.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the kernel refuses an fd, for example with `EMFILE`.
    #[doc(alias = "try_new")]
    pub fn new() -> Result<(Self, LoopHandle<Data>)>
    where
        Data: LoopData,
    {
        Self::with_clock(Clock::system())
    }

    /// Makes a loop that follows `clock`, for tests on a [manual](Clock::manual) one.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{Clock, EventLoop, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    /// let mut state = State { handle };
    /// state.handle.insert_timer(Timer::from_duration(Duration::from_secs(3600)), |_, state| {
    ///     state.handle.stop();
    ///     TimeoutAction::Drop
    /// });
    /// event_loop.run(None, &mut state, |_| ())?; // an hour, in no time
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn with_clock(clock: Clock) -> Result<(Self, LoopHandle<Data>)>
    where
        Data: LoopData,
    {
        let poller = Poller::new()?;
        let registry = poller.registry().try_clone()?;
        let ready = ReadyQueue::new(mio::Waker::new(&registry, mio::Token(WAKER as usize))?);
        let alarm = Alarm::new(&registry)?;
        let shared = Shared::new(ready, alarm, clock);
        let registrations = Registrations::new(registry, Arc::clone(&shared));
        let handle = LoopHandle::new(registrations);
        let event_loop = Self {
            _thread: SendARemote::INSTEAD,
            poller,
            slots: SecondaryMap::new(),
            hooks: Vec::new(),
            round: Round::default(),
            budget: Budget::new(),
            orphans: VecDeque::new(),
            mailbox: Arc::clone(&handle.mailbox),
            posts: VecDeque::new(),
            local_posts: Arc::clone(&handle.local_posts),
            woken: Vec::new(),
            policy: None,
            counters: Stats::default(),
            insight: None,
            shared,
        };
        Ok((event_loop, handle))
    }

    /// Dispatches until [`LoopHandle::stop`] (or [`LoopSignal::stop`](crate::LoopSignal::stop), or
    /// [`Remote::stop`](crate::Remote::stop)) is called, and calls `after_each` after each dispatch.
    ///
    /// Each dispatch waits for `timeout` at most; with `None`, until something happens. A stop ends one `run` and is
    /// then forgotten. A stop from before counts: `run` then returns at once.
    ///
    /// # Errors
    ///
    /// As [`dispatch`](Self::dispatch): the first error of a source ends `run`, unless a policy
    /// ([`on_error`](Self::on_error)) says otherwise.
    ///
    /// # Panics
    ///
    /// As [`dispatch`](Self::dispatch).
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, frames: u32, flushed: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, TimeoutAction, Timer};
    /// use std::time::Duration;
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, frames: 0, flushed: 0 };
    /// state.handle.insert_timer(Timer::immediate(), |deadline, state| {
    ///     state.frames += 1;
    ///     if state.frames == 3 {
    ///         state.handle.stop();
    ///     }
    ///     TimeoutAction::ToInstant(deadline + Duration::from_millis(1))
    /// });
    /// event_loop.run(None, &mut state, |state| state.flushed += 1)?; // once a dispatch
    /// assert_eq!(state.frames, 3);
    /// assert!(state.flushed > 0);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn run(
        &mut self,
        timeout: impl Into<Option<Duration>>,
        data: &mut Data,
        mut after_each: impl FnMut(&mut Data),
    ) -> Result<()>
    where
        Data: LoopData,
    {
        let timeout = timeout.into();
        while !self.shared.take_stop() {
            self.dispatch_once(timeout, true, data)?;
            after_each(data);
        }
        Ok(())
    }

    /// Runs one dispatch: applies the queued ops, waits, delivers what the wait found, then runs the idles that were
    /// queued by then.
    ///
    /// The wait ends after `timeout` at most; with `None`, when something happens. What does not fit into the [time
    /// of a round](Self::set_round_time) is left to the next dispatch, which does not block.
    ///
    /// The wait does not block if there is something to do, or if posts, visitors, destructors or an error policy ran
    /// since the dispatch began: the caller then sees what they changed. A [stop](LoopHandle::stop) during the wait
    /// ends it. A stop from before does not, and is left to the next `run`, `run_until` or `block_on`.
    ///
    /// A timeout has the precision of `epoll_wait(2)`: whole milliseconds, rounded up (with feature `linux_5_11`,
    /// nanoseconds). Timers are precise, and never early. A signal handler that interrupts the wait does not end it.
    ///
    /// # Errors
    ///
    /// * [`Error::Source`] if a source failed and the policy ([`on_error`](Self::on_error)) is to report it. The next
    ///   dispatch delivers the rest, and reports the next error if there were several.
    /// * [`Error::Orphan`], once, if the kernel goes on to wake the loop for an fd that was closed before its source
    ///   was removed.
    /// * [`Error::Io`] if the wait failed; no notification is lost.
    /// * [`Error::ForeignHandle`] if the handle in `data` belongs to another loop; nothing is applied then.
    ///
    /// # Panics
    ///
    /// Only if user code panics: a callback, a source, an idle, a post, a destructor. The loop can go on afterwards:
    /// the next dispatch delivers the event of that callback again (except for what the callback received by
    /// value), and the rest of the round.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, heard: bool }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    ///
    /// let (mut event_loop, handle) = soloop::EventLoop::new()?;
    /// let mut state = State { handle, heard: false };
    /// let (ping, source) = soloop::make_ping();
    /// state.handle.insert_source(source, |(), state| state.heard = true)?;
    /// event_loop.dispatch(Duration::ZERO, &mut state)?; // nothing yet
    /// assert!(!state.heard);
    /// ping.ping();
    /// event_loop.dispatch(None, &mut state)?; // waits until something happens
    /// assert!(state.heard);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn dispatch(&mut self, timeout: impl Into<Option<Duration>>, data: &mut Data) -> Result<()>
    where
        Data: LoopData,
    {
        self.dispatch_once(timeout.into(), false, data)
    }

    /// Applies the queued ops and runs what was posted, without waiting: the first step of
    /// [`dispatch`](Self::dispatch).
    ///
    /// [`LoopHandle::take`] has an example.
    ///
    /// # Errors
    ///
    /// As [`dispatch`](Self::dispatch), except that no wait can fail.
    ///
    /// # Panics
    ///
    /// As [`dispatch`](Self::dispatch).
    pub fn apply_pending(&mut self, data: &mut Data) -> Result<()>
    where
        Data: LoopData,
    {
        self.publishing(data, |event_loop, data| {
            event_loop.round.hold_no_failures();
            event_loop.budget.allow_ops();
            event_loop.apply(data)
        })
    }

    /// Sets the policy that decides what the loop does about an [`Error::Source`] or an [`Error::Orphan`].
    ///
    /// Without a policy each error is reported by `dispatch`. A source that was inserted with
    /// [`SourceOptions::on_error`](crate::SourceOptions::on_error) follows that instead. A second call replaces the
    /// first policy.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{ErrorAction, EventLoop};
    ///
    /// let (mut event_loop, handle) = EventLoop::<State>::new()?;
    /// event_loop.on_error(|error, _state| {
    ///     eprintln!("{error}");
    ///     ErrorAction::Remove // a client that fails is a client that is gone
    /// });
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn on_error(&mut self, policy: impl FnMut(&Error, &mut Data) -> ErrorAction + 'static) {
        self.policy = Some(Box::new(policy));
    }

    /// Sets how long a round may go on calling back before it leaves the rest to the next one. The default is 10 ms.
    ///
    /// It bounds every kind of work: events, timers, idles, tasks, posts and ops. However much of that there is, a
    /// due timer or a source of higher priority is late by at most twice this time, or by two callbacks if these take
    /// longer. What is left keeps its order, and each kind of work gets a part of the next round. A running callback
    /// is not interrupted. A round also ends after a million ops and posts, because these may cause each other
    /// endlessly.
    ///
    /// On a [manual clock](Clock::manual) only that count ends a round, so that runs repeat exactly.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    ///
    /// let (mut event_loop, handle) = soloop::EventLoop::<State>::new()?;
    /// event_loop.set_round_time(Duration::from_millis(4)); // a quarter of a frame
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn set_round_time(&mut self, time: Duration) {
        self.budget.set_time(time);
    }

    /// Borrows a stored source. `None` if it is gone, if it was inserted since ops were last applied, or if it is no
    /// `S`.
    ///
    /// [`get_mut`](Self::get_mut) has an example. Inside a callback, use [`LoopHandle::visit`].
    #[doc(alias("as_source_ref", "Dispatcher"))]
    pub fn get<S: EventSource>(&self, token: Token<S>) -> Option<&S> {
        let source: &dyn std::any::Any = &*self.slots.get(token.key())?.source;
        source.downcast_ref()
    }

    /// Borrows a stored source mutably, to change it between dispatches. `None` as for [`get`](Self::get).
    ///
    /// A change that concerns its registration takes effect only with [`LoopHandle::update`].
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// let timer = state.handle.insert_timer(Timer::never(), |_, _| TimeoutAction::Drop);
    /// assert!(event_loop.get(timer).is_none()); // ops are not applied yet
    /// event_loop.apply_pending(&mut state)?;
    /// assert_eq!(event_loop.get_mut(timer).and_then(|timer| timer.current_deadline()), None);
    /// assert!(event_loop.get(timer).is_some());
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias("as_source_mut", "Dispatcher"))]
    pub fn get_mut<S: EventSource>(&mut self, token: Token<S>) -> Option<&mut S> {
        downcast_mut(&mut *self.slots.get_mut(token.key())?.source)
    }
}

impl<Data: LoopData> EventLoop<Data> {
    /// Runs one dispatch. `in_run`: a stop ends its wait.
    pub(crate) fn dispatch_once(
        &mut self,
        timeout: Option<Duration>,
        in_run: bool,
        data: &mut Data,
    ) -> Result<()> {
        self.counters.rounds += 1;
        if let Some(insight) = &mut self.insight {
            insight.begin_round(self.counters.rounds);
        }
        self.publishing(data, |event_loop, data| {
            event_loop.round.begin_dispatch();
            let dispatched = event_loop.steps(timeout, in_run, data);
            let dispatched = event_loop.round.end_dispatch(dispatched);
            if let Some(insight) = &mut event_loop.insight {
                insight.end_round(event_loop.counters.rounds);
            }
            dispatched
        })
    }

    /// The handle in the state, if it is the one made with this loop. User code may have put another into its place.
    #[inline]
    fn own_handle<'a>(&self, data: &'a mut Data) -> Outcome<&'a mut LoopHandle<Data>> {
        let handle = data.loop_handle();
        if Arc::ptr_eq(handle.registrations.shared(), &self.shared) {
            Ok(handle)
        } else {
            Err(Box::new(Error::ForeignHandle))
        }
    }

    /// Runs `run`, then tells whoever watches the loop's fd whether there is more to do, also after a panic.
    #[inline]
    fn publishing(
        &mut self,
        data: &mut Data,
        run: impl FnOnce(&mut Self, &mut Data) -> Outcome,
    ) -> Result<()> {
        let guard = self.shared.is_exported().then(|| PublishWork(Arc::clone(&self.shared)));
        let outcome = run(self, data);
        drop(guard);
        self.publish(data);
        outcome.map_err(|error| *error)
    }

    /// The steps of a dispatch. An error ends the dispatch; the next one does the remaining steps.
    fn steps(&mut self, timeout: Option<Duration>, in_run: bool, data: &mut Data) -> Outcome {
        self.apply(data)?;
        // Before the hooks: the kernel does not repeat readiness that a hook reports.
        self.round.forget_level(tables(data));
        let prepared = self.before_sleep(data);
        let waited = prepared.and_then(|()| self.wait(timeout, in_run, data));
        let seen = self.before_handle_events(data);
        waited.and(seen)?;
        self.deliver(data)?;
        self.run_idles(data)?;
        self.budget.finish();
        Ok(())
    }

    /// Ends a dispatch: tells whoever watches the loop's fd whether there is more to do.
    #[inline]
    fn publish(&mut self, data: &mut Data) {
        if self.shared.is_exported() {
            self.publish_readiness(data);
        } else if let Ok(handle) = self.own_handle(data) {
            let is_due = handle.registrations.is_any_due();
            self.shared.set_work(handle.has_work() || is_due || self.budget.has_refused());
        }
    }

    #[cold]
    fn publish_readiness(&mut self, data: &mut Data) {
        let Ok(handle) = self.own_handle(data) else {
            return self.shared.publish_work();
        };
        let registrations = &mut handle.registrations;
        registrations.renew_nearest();
        let may_be_more = registrations.take_quiet_level() || self.poller.was_full();
        let work = self.has_work(handle) || may_be_more && self.poller.is_ready();
        self.shared.publish_readiness(work, || self.has_work(handle));
    }
}

/// Makes the loop's fd readable if what it guards ends in a panic.
struct PublishWork(Arc<Shared>);

impl Drop for PublishWork {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.publish_work();
        }
    }
}

#[cfg(all(unix, not(mio_unsupported_force_poll_poll)))]
mod fd {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

    use super::EventLoop;

    /// The fd by which this loop nests in another one: readable exactly when a `dispatch(Duration::ZERO)` would do
    /// something. Timers count on Linux only, where a timerfd makes the fd readable for them.
    ///
    /// From the first call on, the loop keeps it readable while there is work between two dispatches, which costs an
    /// additional system call whenever that changes. A dispatch that leaves work to do makes a new edge, for an outer
    /// loop that is edge-triggered. The guide's [`nesting`](crate::guide::nesting) page has the pattern.
    impl<Data> AsFd for EventLoop<Data> {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.shared.export(|| self.has_own_work());
            self.poller.registry().as_fd()
        }
    }

    impl<Data> AsRawFd for EventLoop<Data> {
        fn as_raw_fd(&self) -> RawFd {
            self.as_fd().as_raw_fd()
        }
    }
}

impl<Data> Drop for EventLoop<Data> {
    fn drop(&mut self) {
        self.shared.ready().close();
        self.shared.dropped_guards().close();
        self.mailbox.close();
        self.local_posts.close();
    }
}

impl<Data> fmt::Debug for EventLoop<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("sources", &self.slots).finish_non_exhaustive()
    }
}
