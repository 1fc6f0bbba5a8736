//! One turn of the loop: settle (`settle.rs`), wait (`wait.rs`), deliver (each event: `call.rs`), idle.
//!
//! What is borrowed while a callback runs lives here, and what a callback may change lives in the
//! [`LoopHandle`], a field of the state. A callback can therefore reach neither the slot that is
//! running, nor the map that holds it, nor the loop. Invariants:
//!
//! * pending ops are settled after every callback, before any other runs;
//! * user code (callbacks, visitors, destructors) runs only while every table is whole, so that a panic
//!   or an error leaves a loop that can go on;
//! * an event is taken from its queue before it is delivered, and what is in a queue outlives an error.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use slotmap::SecondaryMap;

use crate::backlog::{Backlog, ReadyEvent};
use crate::clock::Clock;
use crate::error::{Error, ErrorAction, Outcome, Result};
use crate::handle::{LoopData, LoopHandle};
use crate::insight::{Counters, Insight, Subject, watched};
use crate::options::Priority;
use crate::poller::{Alarm, Found, Poller, WAKER};
use crate::ready::{Ready, Woken};
use crate::registrations::Registrations;
use crate::remote::{Mailbox, Posted};
use crate::settle::own_handle;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::source::EventIterator;
use crate::token::{InterestKey, SourceKey};
use crate::wait::Sleep;
use crate::{EventSource, Token};

pub(crate) type ErrorPolicy<Data> = Box<dyn FnMut(&Error, &mut Data) -> ErrorAction>;

/// The loop: it waits, and calls back with `&mut Data`.
///
/// It stays in `main`, while the [`LoopHandle`] made together with it moves into the state. It belongs to
/// its thread (it holds callbacks that need not be `Send`); other threads reach it through a
/// [`Remote`](crate::Remote), a [`LoopSignal`](crate::LoopSignal) or a channel.
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
/// state.handle.insert_source(Timer::immediate(), |_deadline, state: &mut State| {
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
    pub(crate) poller: Poller,
    pub(crate) slots: SecondaryMap<SourceKey, Slot<Data>>,
    /// The sources with lifecycle hooks.
    pub(crate) hooks: Vec<SourceKey>,
    /// What was found and is not delivered yet.
    pub(crate) backlog: Backlog,
    /// What has more to say but no budget left in this round, or said it with an error.
    pub(crate) carried: Vec<ReadyEvent>,
    /// A round ended with an error or a panic: the next dispatch delivers the rest of it, without a wait.
    pub(crate) unfinished: bool,
    /// Whether there were sources that host a loop when this was last looked at.
    pub(crate) hosts: bool,
    /// The interest whose event is being delivered; stays if the callback panics.
    pub(crate) current: Option<InterestKey>,
    /// What is being unregistered; stays if its `unregister` panics.
    pub(crate) unregistering: Option<SourceKey>,
    /// Room for what the ready queue held.
    pub(crate) woken: Vec<Woken>,
    /// What was posted and has not run yet.
    pub(crate) mail: VecDeque<Posted<Data>>,
    /// Whether a wake-up was asked for, or user code ran, since the last wait: the next does not block.
    pub(crate) stirred: bool,
    pub(crate) policy: Option<ErrorPolicy<Data>>,
    pub(crate) counters: Counters,
    /// Of those who look at the loop, if any do.
    pub(crate) insight: Option<Box<Insight>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailbox: Arc<Mailbox<Data>>,
}

// The bounds stand on the methods: the compiler then says what `LoopData` is for where it is missing.
impl<Data> EventLoop<Data> {
    /// Makes a loop and its handle. The handle goes into the state, where [`LoopData`] finds it.
    ///
    /// On Linux this takes four fds: the epoll instance and a duplicate of it for the handle, an eventfd
    /// and a timerfd. No source but fds takes any more.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the kernel refuses one of these, such as `EMFILE`.
    pub fn new() -> Result<(Self, LoopHandle<Data>)>
    where
        Data: LoopData,
    {
        Self::with_clock(Clock::system())
    }

    /// Makes a loop that follows `clock`; see [`Clock::manual`].
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_clock(clock: Clock) -> Result<(Self, LoopHandle<Data>)>
    where
        Data: LoopData,
    {
        let poller = Poller::new()?;
        let registry = poller.registry().try_clone()?;
        let ready = Ready::new(mio::Waker::new(&registry, WAKER)?);
        let alarm = Alarm::new(&registry)?;
        let shared = Shared::new(ready, alarm, &clock);
        let mailbox = Mailbox::new();
        let registrations = Registrations::new(registry, Arc::clone(&shared), clock);
        let handle = LoopHandle::new(registrations, Arc::clone(&mailbox));
        let event_loop = Self {
            poller,
            slots: SecondaryMap::new(),
            hooks: Vec::new(),
            backlog: Backlog::default(),
            carried: Vec::new(),
            unfinished: false,
            hosts: false,
            current: None,
            unregistering: None,
            woken: Vec::new(),
            mail: VecDeque::new(),
            stirred: false,
            policy: None,
            counters: Counters::default(),
            insight: None,
            shared,
            mailbox,
        };
        Ok((event_loop, handle))
    }

    /// Dispatches until [`LoopHandle::stop`] (or the like) is called, and calls `after_each` after each
    /// dispatch. A stop asked for before counts: `run` then returns at once. Each dispatch waits for
    /// `timeout` at most, without one until something happens.
    ///
    /// # Errors
    ///
    /// As [`dispatch`](Self::dispatch).
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
            self.dispatch(timeout, data)?;
            after_each(data);
        }
        Ok(())
    }

    /// One turn: applies pending ops, waits (for `timeout` at most, without one until something happens),
    /// calls back for everything the wait found, then runs the idles queued so far.
    ///
    /// A timeout has the precision of `epoll_wait(2)`, whole milliseconds rounded up; timers are
    /// precise, and never early. A signal handler that interrupts the wait does not end it.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] if a source failed and the policy ([`on_error`](Self::on_error)) is to report it;
    /// the next dispatch then delivers the rest. [`Error::Io`] if the wait failed.
    /// [`Error::ForeignHandle`] if the handle in `data` is another loop's; nothing is applied then.
    ///
    /// # Panics
    ///
    /// Only with a callback; the loop can go on afterwards.
    // The kernel is called from the frame of whoever dispatches, and whatever follows is called from there: a function
    // that calls the kernel returns to where the processor does not expect it, which takes it 35 ns where that was measured.
    #[inline(always)]
    pub fn dispatch(&mut self, timeout: impl Into<Option<Duration>>, data: &mut Data) -> Result<()>
    where
        Data: LoopData,
    {
        let mut room = Poller::room();
        let turned = match self.begin_dispatch(timeout.into(), data) {
            Ok(Some(sleep)) => {
                let waited = self.poller.wait(sleep.timeout, &mut room);
                self.end_dispatch(sleep, waited, data)
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        turned.map_err(|error| *error)
    }

    /// Applies what was asked of the handle, and runs what was posted, without waiting: what
    /// [`dispatch`](Self::dispatch) does first.
    ///
    /// # Errors
    ///
    /// As [`dispatch`](Self::dispatch).
    pub fn apply_pending(&mut self, data: &mut Data) -> Result<()>
    where
        Data: LoopData,
    {
        let settled = self.settle_all(data);
        self.rest(data);
        settled.map_err(|error| *error)
    }

    /// Decides what becomes of the errors of sources, and of callbacks that return errors. Without a
    /// policy each is reported. A source may have a fixed one of its own, which precedes this:
    /// [`SourceOptions::on_error`](crate::SourceOptions::on_error).
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

    /// A stored source; `None` if it is gone, or inserted since ops were last applied.
    pub fn get<S: EventSource>(&self, token: Token<S>) -> Option<&S> {
        let source: &dyn std::any::Any = self.slots.get(token.key())?.source();
        source.downcast_ref()
    }

    /// A stored source, to change it between dispatches; `None` as for [`get`](Self::get). A change that
    /// concerns its registration takes effect with [`LoopHandle::update`].
    pub fn get_mut<S: EventSource>(&mut self, token: Token<S>) -> Option<&mut S> {
        let source: &mut dyn std::any::Any = self.slots.get_mut(token.key())?.source_mut();
        source.downcast_mut()
    }
}

impl<Data: LoopData> EventLoop<Data> {
    /// What comes before the wait, and the wait; `None` if the turn is over, since it is not as simple as that.
    #[inline(always)]
    fn begin_dispatch(
        &mut self,
        timeout: Option<Duration>,
        data: &mut Data,
    ) -> Outcome<Option<Sleep>> {
        self.counters.rounds += 1;
        let begun = match self.insight {
            None => self.begin_turn(timeout, data),
            Some(_) => self.watched_turn(timeout, data).map(|()| None),
        };
        if !matches!(begun, Ok(Some(_))) {
            self.rest(data);
        }
        begun
    }

    /// What comes after the wait.
    #[inline(never)]
    fn end_dispatch(
        &mut self,
        sleep: Sleep,
        waited: io::Result<Found<'_>>,
        data: &mut Data,
    ) -> Outcome {
        let woken = self.wake(sleep, waited, data.loop_handle());
        let turned = woken.and_then(|()| self.round(data));
        self.rest(data);
        turned
    }

    #[inline(always)]
    fn begin_turn(&mut self, timeout: Option<Duration>, data: &mut Data) -> Outcome<Option<Sleep>> {
        self.before_wait(timeout, data)?;
        let handle = data.loop_handle();
        if !self.unfinished && self.hooks.is_empty() && !handle.registrations.clock.is_manual() {
            return self.fall_asleep(timeout, handle).map(Some);
        }
        self.wait_and_deliver(timeout, data).map(|()| None)
    }

    /// A turn before the eyes of whoever looks.
    #[inline(never)]
    fn watched_turn(&mut self, timeout: Option<Duration>, data: &mut Data) -> Outcome {
        let round = self.counters.rounds;
        if let Some(insight) = &mut self.insight {
            insight.begin_round(round);
        }
        let begun = self.before_wait(timeout, data);
        let turned = begun.and_then(|()| self.wait_and_deliver(timeout, data));
        if let Some(insight) = &mut self.insight {
            insight.end_round(round);
        }
        turned
    }

    /// Waits, with the hooks of sources around it, and delivers what was found. In an unfinished round there is no wait:
    /// the kernel would tell again of what is not delivered yet.
    #[inline(never)]
    fn wait_and_deliver(&mut self, timeout: Option<Duration>, data: &mut Data) -> Outcome {
        if !self.unfinished {
            let found = self.backlog.len();
            let prepared = self.before_sleep(data)?;
            let waited = self.wait(timeout, data);
            self.before_handle_events(prepared, found, data);
            waited?;
            self.settle(data)?;
        }
        self.round(data)
    }

    // Before the wait.

    #[inline(always)]
    fn before_wait(&mut self, timeout: Option<Duration>, data: &mut Data) -> Outcome {
        if self.current.is_some() || self.unregistering.is_some() {
            self.recover(data)?;
        }
        self.settle_all(data)?;
        if self.unfinished { Ok(()) } else { self.prepare_hosted(timeout, data) }
    }

    /// Takes up what a panic left: an event (a notifier tells of its backlog only once, an fd of a mio source of
    /// what it has only after a re-registration), an unregistration, a removal.
    #[cold]
    fn recover(&mut self, data: &mut Data) -> Outcome {
        let registrations = &own_handle(&self.shared, data)?.registrations;
        if let Some(interest) = self.current.take() {
            if registrations.is_notifier(interest) {
                self.backlog.push(ReadyEvent::plain(interest));
            } else if registrations.needs_rearm(interest)
                && let Some(key) = registrations.source_of(interest)
            {
                self.reregister(key, true, data)?;
            }
        }
        let Some(key) = self.unregistering.take() else {
            return Ok(());
        };
        let registrations = &mut data.loop_handle().registrations;
        registrations.sweep(key);
        if registrations.is_live(key) { Ok(()) } else { self.remove(key, data).1 }
    }

    /// Settles pending ops, and runs what was posted.
    #[inline(always)]
    fn settle_all(&mut self, data: &mut Data) -> Outcome {
        let has_ops = own_handle(&self.shared, data)?.has_ops();
        if !self.shared.ready.is_awake() && self.shared.ready.rouse() {
            self.stirred = true;
            self.counters.wakeups += 1;
            self.collect_woken();
        }
        if has_ops {
            self.stirred |= self.settle_pending(data)?;
        }
        self.stirred |= self.run_mail(data)?;
        Ok(())
    }

    /// Calls the hooks of sources that have some; how many of them.
    fn before_sleep(&mut self, data: &mut Data) -> Outcome<usize> {
        for index in 0..self.hooks.len() {
            let key = self.hooks[index];
            let registrations = &mut data.loop_handle().registrations;
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            if !registrations.is_enabled(key) {
                continue;
            }
            match slot.source_mut().before_sleep() {
                Ok(None) => {}
                Ok(Some((readiness, token))) => {
                    let readiness = readiness.into();
                    self.backlog.push(ReadyEvent { interest: token.key(), readiness });
                }
                Err(error) => {
                    let error = self.failure(key, error.into(), data);
                    if let Err(error) = self.report(key, error, data) {
                        self.before_handle_events(index, self.backlog.len(), data);
                        return Err(error);
                    }
                }
            }
        }
        Ok(self.hooks.len())
    }

    /// Calls the hooks of the first `prepared` sources that have some, with the events from `found` on.
    fn before_handle_events(&mut self, prepared: usize, found: usize, data: &mut Data) {
        let registrations = &data.loop_handle().registrations;
        let events = &self.backlog.as_slice()[found..];
        for &key in &self.hooks[..prepared] {
            if let Some(slot) = self.slots.get_mut(key)
                && registrations.is_enabled(key)
            {
                slot.source_mut().before_handle_events(EventIterator::new(
                    events,
                    registrations,
                    key,
                ));
            }
        }
    }

    // The round.

    #[inline(always)]
    fn round(&mut self, data: &mut Data) -> Outcome {
        self.unfinished = true;
        self.run_mail(data)?;
        self.deliver(data)?;
        self.unfinished = false;
        self.run_idles(data)?;
        self.finish_hosted(data)
    }

    /// Delivers what the wait found: by priority, then in the order of arrival, then what expired in the
    /// order of deadlines.
    #[inline(always)]
    fn deliver(&mut self, data: &mut Data) -> Outcome {
        if data.loop_handle().registrations.is_prioritized() {
            return self.deliver_by_priority(data);
        }
        while let Some(found) = self.backlog.pop() {
            if let Some(turn) = data.loop_handle().registrations.begin_turn(found) {
                self.call(turn, data)?;
            }
        }
        if data.loop_handle().registrations.is_any_due(Priority::Normal) {
            while let Some(turn) = self.next_due(Priority::Normal, data) {
                self.call(turn, data)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn deliver_by_priority(&mut self, data: &mut Data) -> Outcome {
        // Sorted here and not after the wait: an unfinished round goes on with what woke the loop since.
        let registrations = &data.loop_handle().registrations;
        let backlog = self.backlog.as_mut_slice();
        backlog.sort_by_key(|event| std::cmp::Reverse(registrations.priority_of(event)));
        for priority in Priority::DESCENDING {
            while let registrations = &mut data.loop_handle().registrations
                && let Some(found) =
                    self.backlog.pop_if(|found| registrations.priority_of(found) >= priority)
            {
                if let Some(turn) = registrations.begin_turn(found) {
                    self.call(turn, data)?;
                }
            }
            while let Some(turn) = self.next_due(priority, data) {
                self.call(turn, data)?;
            }
        }
        Ok(())
    }

    /// Runs the idles that are queued by now.
    #[inline]
    fn run_idles(&mut self, data: &mut Data) -> Outcome {
        match data.loop_handle().idles.len() {
            0 => Ok(()),
            idles => self.run_some_idles(idles, data),
        }
    }

    fn run_some_idles(&mut self, idles: usize, data: &mut Data) -> Outcome {
        for _ in 0..idles {
            if let Some(Some(idle)) = data.loop_handle().idles.pop() {
                watched(&mut self.insight, Subject::IDLE, data, idle);
                self.settle(data)?;
            }
        }
        Ok(())
    }

    /// Runs what was posted; whether there was anything.
    #[inline]
    fn run_mail(&mut self, data: &mut Data) -> Outcome<bool> {
        if self.mail.is_empty() {
            return Ok(false);
        }
        self.run_all_mail(data)
    }

    fn run_all_mail(&mut self, data: &mut Data) -> Outcome<bool> {
        while let Some(posted) = self.mail.pop_front() {
            match posted {
                Posted::Call(call) => watched(&mut self.insight, Subject::REMOTE, data, call),
                Posted::Remove(token) => drop(data.loop_handle().remove(token)),
            }
            self.settle(data)?;
        }
        Ok(true)
    }

    /// Ends a dispatch: notes what there is left to do, and tells whoever watches the loop's fd.
    #[inline(always)]
    fn rest(&mut self, data: &mut Data) {
        let Ok(handle) = own_handle(&self.shared, data) else {
            return;
        };
        handle.registrations.renew_nearest();
        self.shared.set_work(handle.has_work());
        if self.shared.is_exported() {
            let backlog = self.has_backlog() || self.unfinished;
            self.shared.rest(backlog);
        }
    }
}

impl<Data> EventLoop<Data> {
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty() || !self.carried.is_empty() || !self.mail.is_empty()
    }
}

#[cfg(all(unix, not(mio_unsupported_force_poll_poll)))]
mod fd {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

    use super::EventLoop;

    /// The loop nests by its fd: it is readable exactly when a `dispatch(Duration::ZERO)` would do
    /// something. Timers count on Linux only, where a timerfd tells of them.
    ///
    /// From the first call on, the loop tells of everything there is to do between two dispatches, which
    /// costs a system call where it otherwise would not.
    impl<Data> AsFd for EventLoop<Data> {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.shared.export(self.has_backlog() || self.hosts);
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
        self.shared.ready.close();
        self.mailbox.close();
    }
}

impl<Data> fmt::Debug for EventLoop<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("sources", &self.slots).finish_non_exhaustive()
    }
}

assert_traits!(EventLoop<()>: Unpin; not Send, Sync, Copy, Clone, UnwindSafe, RefUnwindSafe);
