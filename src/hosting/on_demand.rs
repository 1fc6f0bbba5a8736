//! A calloop loop that is dispatched only if its fd is ready, or its handle was given out.
//!
//! It is dispatched when its fd is ready, and once, by a notifier, after its handle was given out. It is asked to wait
//! while a wake-up is pending, so that one dispatch delivers and sets calloop's alarm (`timers.rs`). calloop sets the
//! alarm to the timer that is nearest then, before callbacks run. So the alarm is right if the nearest timer was the
//! same
//!
//! 1. before the wait,
//! 2. after it: the timer was not due (a wait with a due timer turns the alarm off),
//! 3. after the callbacks, idles included: none of them moved the timer.
//!
//! Otherwise the loop is dispatched again, within its budget; once that is used up, in the next round. The
//! [`Watchman`], a source in the hosted loop, compares the three.
//!
//! Invariant: when this loop blocks, the alarm is set to the nearest timer, except for timers inserted through a clone
//! of the handle since the last dispatch.

use std::io;

use calloop::{Dispatcher, EventLoop, Poll, TokenFactory};

use super::timers::{Nearest, far};
use super::whole::{CalloopLoop, CalloopTurn};
use crate::handle::hosted::HostedHandle;
use crate::registry::slot::{Callback, repeated};
use crate::sources::fd_watch::FdWatch;
use crate::{InsertError, InterestToken, LoopHandle, Notifier, SourceOptions, Token};

/// How many times a loop is dispatched in one round, at most, until its alarm is set.
const BUDGET: u32 = 8;

impl<Data: 'static> LoopHandle<Data> {
    /// Hosts a calloop loop that is dispatched only when there is something to do in it: for libraries that take a
    /// `calloop::LoopHandle` and use it at known places. There may be any number of such loops.
    ///
    /// Everything inserted in it is delivered with this loop's state, in calloop's order, when one of its fds or
    /// timers is ready. Its own callbacks may use calloop's handle freely.
    ///
    /// # The contract
    ///
    /// Other code that uses a clone of calloop's handle (to insert or change a source, a timer or an idle) must call
    /// [`calloop(token)`](Self::calloop) before or after, in the same callback. The hosted loop is then dispatched
    /// once, in the next round, which does not wait. Without that call an fd is still watched, but a timer fires, and
    /// an idle runs, only with the next event of the hosted loop. (What is inserted before the loop is hosted needs
    /// no call.)
    ///
    /// The source is named `calloop` in errors and reports;
    /// [`insert_calloop_on_demand_with`](Self::insert_calloop_on_demand_with) gives it another name, or a priority.
    ///
    /// # What is as in calloop, and what is not
    ///
    /// * An idle runs at the end of the dispatch in which it was inserted. An idle that an idle inserts runs with the
    ///   next event of the hosted loop, as in calloop.
    /// * An error of a hosted source becomes an [`Error::Source`](crate::Error::Source) that contains calloop's
    ///   error. On an error or a panic, calloop drops the other events of its dispatch.
    /// * The hooks of a source (`before_sleep`, such as that of Smithay's winit backend) are called when the hosted
    ///   loop is dispatched, and in no other round; an event that `before_sleep` returns leaves the alarm off. Insert
    ///   such a source by [`insert_calloop_source`](Self::insert_calloop_source).
    /// * Timers follow real time, even if this loop has a [manual clock](crate::Clock::manual). They wake a sleeping
    ///   loop on Linux and Android; elsewhere they fire with the next event of the hosted loop.
    /// * `LoopSignal::stop` of the hosted loop does nothing: it only ends a `run` of that loop.
    ///
    /// # Cost
    ///
    /// Three fds. When something in the hosted loop is ready: six system calls more than for a plain source of this
    /// loop, and another six if the nearest timer changed. After `calloop(token)` the same, in a round of its own. In
    /// any other round none.
    ///
    /// # Errors
    ///
    /// The error of the kernel when the loop's fd is registered, together with the loop.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use calloop::timer::{TimeoutAction, Timer};
    /// use soloop::{EventLoop, LoopData, LoopHandle, Token, hosting::CalloopLoop};
    ///
    /// struct State {
    ///     handle: LoopHandle<State>,
    ///     notifier: Option<Token<CalloopLoop<State>>>,
    ///     idle: bool,
    /// }
    ///
    /// impl LoopData for State {
    ///     fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
    ///         &mut self.handle
    ///     }
    /// }
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, notifier: None, idle: false };
    /// let inner = calloop::EventLoop::try_new()?;
    /// let kept = inner.handle(); // by a library that sets timers when it is told of input, say
    /// let token = state.handle.insert_calloop_on_demand(inner)?;
    ///
    /// state.handle.insert_idle(move |state| {
    ///     // The place where the library is used.
    ///     state.handle.calloop(token);
    ///     let soon = Timer::from_duration(Duration::from_millis(1));
    ///     kept.insert_source(soon, |_, _, state| {
    ///         state.idle = true;
    ///         TimeoutAction::Drop
    ///     }).unwrap();
    /// });
    /// while !state.idle {
    ///     event_loop.dispatch(None, &mut state)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert_calloop_on_demand(
        &mut self,
        inner: EventLoop<'static, Data>,
    ) -> Result<Token<CalloopLoop<Data>>, InsertError<EventLoop<'static, Data>>> {
        self.insert_calloop_on_demand_with(SourceOptions::new().name("calloop"), inner)
    }

    /// Hosts a calloop loop like [`insert_calloop_on_demand`](Self::insert_calloop_on_demand), with
    /// [`SourceOptions`]: a name, a priority, a scope or an error policy. A budget counts dispatches of the hosted
    /// loop.
    ///
    /// # Errors
    ///
    /// As [`insert_calloop_on_demand`](Self::insert_calloop_on_demand).
    pub fn insert_calloop_on_demand_with(
        &mut self,
        mut options: SourceOptions,
        inner: EventLoop<'static, Data>,
    ) -> Result<Token<CalloopLoop<Data>>, InsertError<EventLoop<'static, Data>>> {
        options.budget.get_or_insert(BUDGET);
        let dispatch = |turn: CalloopTurn<'_, Data>, data: &mut Data| turn.dispatch(data);
        let dispatch = repeated::<CalloopLoop<Data>, _, Data>(dispatch);
        self.host(options, inner, Some(OnDemand::new()), dispatch)
    }

    /// The handle of a hosted loop; `None` if the loop is not hosted any more.
    ///
    /// Use it whenever you use calloop's handle from outside of the hosted loop: a loop that is hosted [on
    /// demand](Self::insert_calloop_on_demand) is then dispatched in the next round, which does not wait. Further
    /// calls before that round cost nothing.
    ///
    /// [`insert_calloop_on_demand`](Self::insert_calloop_on_demand) has an example.
    pub fn calloop(
        &mut self,
        token: Token<CalloopLoop<Data>>,
    ) -> Option<calloop::LoopHandle<'static, Data>> {
        let kept = self.calloops.iter().find(|kept| kept.key == token.key())?;
        let handle = (kept.upgrade)()?;
        self.visit(token, |hosted, _| hosted.ask()).then_some(handle)
    }

    /// Inserts a calloop loop, and keeps its handle for [`calloop`](Self::calloop) to return.
    pub(super) fn host(
        &mut self,
        options: SourceOptions,
        inner: EventLoop<'static, Data>,
        on_demand: Option<OnDemand<Data>>,
        callback: Callback<Data>,
    ) -> Result<Token<CalloopLoop<Data>>, InsertError<EventLoop<'static, Data>>> {
        let weak = inner.handle().downgrade();
        let source = CalloopLoop { inner, guests: Vec::new(), on_demand };
        let token = self
            .insert_slot(options, source, (), false, |()| callback)
            .map_err(|refused| InsertError::new(refused.error, refused.source.inner))?;
        // Drop the handles of loops that are gone.
        self.calloops.retain(|hosted| (hosted.upgrade)().is_some());
        let upgrade = Box::new(move || weak.upgrade());
        self.calloops.push(HostedHandle { key: token.key(), upgrade });
        Ok(token)
    }
}

/// The additional state of a [`CalloopLoop`] that is hosted on demand.
pub(super) struct OnDemand<Data: 'static> {
    /// In the hosted loop while registered.
    pub(super) watchman: Dispatcher<'static, Watchman, Data>,
    pub(super) watch: FdWatch,
    /// While registered: makes this loop dispatch the hosted one without its fd being ready.
    pub(super) asked: Option<(InterestToken, Notifier)>,
    /// A dispatch is due: the handle was given out since the last one, or the last one did not end well.
    pub(super) wanted: bool,
    /// calloop does not show its timers, and the last dispatch may not have set the alarm.
    blind: bool,
}

impl<Data: 'static> OnDemand<Data> {
    fn new() -> Self {
        let watchman = Watchman { timer: far(), nearest: Default::default() };
        let watchman = Dispatcher::new(watchman, |(), _: &mut (), _: &mut Data| ());
        Self { watchman, watch: FdWatch::default(), asked: None, wanted: true, blind: false }
    }

    /// Whether the last dispatch set the alarm to the nearest timer.
    pub(super) fn is_armed(&mut self) -> bool {
        let stood_still = self.watchman.as_source_mut().stood_still();
        let armed = stood_still.unwrap_or(self.blind);
        self.blind = !armed;
        self.wanted = !armed;
        armed
    }
}

/// A source in the hosted loop. It has no events, and reads the nearest timer around each wait.
pub(super) struct Watchman {
    /// Registered, so that printing it shows the wheel.
    timer: calloop::timer::Timer,
    /// The nearest timer before the last wait, after it, and now.
    nearest: [Nearest; 3],
}

impl Watchman {
    /// Whether the nearest timer is the same as when the last wait began; `None` if that can't be known.
    fn stood_still(&mut self) -> Option<bool> {
        let [before_wait, after_wait, now] = &mut self.nearest;
        now.read(&self.timer);
        let known = before_wait.is_known() && after_wait.is_known() && now.is_known();
        known.then(|| before_wait == after_wait && after_wait == now)
    }
}

impl calloop::EventSource for Watchman {
    type Event = ();
    type Metadata = ();
    type Ret = ();
    type Error = io::Error;

    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

    fn process_events<F>(
        &mut self,
        _: calloop::Readiness,
        _: calloop::Token,
        _: F,
    ) -> io::Result<calloop::PostAction>
    where
        F: FnMut((), &mut ()),
    {
        Ok(calloop::PostAction::Continue)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.timer.register(poll, tokens)
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.timer.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.timer.unregister(poll)
    }

    fn before_sleep(&mut self) -> calloop::Result<Option<(calloop::Readiness, calloop::Token)>> {
        self.nearest[0].read(&self.timer);
        Ok(None)
    }

    fn before_handle_events(&mut self, _: calloop::EventIterator<'_>) {
        self.nearest[1].read(&self.timer);
    }
}
