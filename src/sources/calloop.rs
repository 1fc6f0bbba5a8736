//! A whole calloop loop as a source: what is written for calloop runs here, with the same state.
//!
//! calloop computes the deadline of its nearest timer when it starts to wait, and sets an alarm to it, a timerfd in
//! its epoll instance. A dispatch that does not wait turns that alarm off. So the hosted loop is told to wait
//! without a timeout while a wake-up is pending: it sets the alarm, returns at once, and its fd becomes readable
//! when the timer is due. Which holds only if nothing moved a timer after the alarm was set, so that such a
//! dispatch must not have called back. calloop does not say whether it did; a source of ours in the hosted
//! loop, the [`Witness`], sees it.
//!
//! When all this happens is the business of `hosts.rs`. Invariant: the alarm that is set when the loop blocks is
//! that of the nearest timer.

use std::fmt::{self, Write};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use calloop::{EventLoop, LoopSignal, Poll, RegistrationToken, TokenFactory};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::fd_watch::FdWatch;
use crate::error::BoxError;
use crate::hosting::{Handle, LookAgain, OnDemand, explain};
use crate::hosts::Step;
use crate::interest::ReadySet;
use crate::slot::{Answer, TypedSlot};
use crate::token::InterestKey;
use crate::{
    EventSource, InsertError, Interest, InterestToken, LoopHandle, Mode, PostAction, Readiness,
    Registrar, SourceOptions, Token,
};

/// A calloop loop that is hosted by this one; see [`LoopHandle::insert_calloop`].
pub struct CalloopLoop<Data: 'static> {
    inner: EventLoop<'static, Data>,
    signal: LoopSignal,
    /// Whether a dispatch found events.
    found: Arc<AtomicBool>,
    /// `None` if it is hosted on demand.
    witness: Option<RegistrationToken>,
    on_demand: Option<OnDemand<Data>>,
    watch: FdWatch,
}

impl<Data: 'static> LoopHandle<Data> {
    /// Hosts a calloop loop: its callbacks run in this loop's rounds, with the same state, so that sources written
    /// for calloop go on as they are. Insert them through its handle, before or after, which may be cloned and
    /// used in every callback.
    ///
    /// It is right without further ado and costs system calls in every round: for programs that move one part at a
    /// time. One source by itself costs less by [`insert_calloop_source`](Self::insert_calloop_source), and a loop for what
    /// insists on a handle of calloop's by [`insert_calloop_on_demand`](Self::insert_calloop_on_demand).
    ///
    /// The source is called `calloop` in errors and reports; [`insert_calloop_with`](Self::insert_calloop_with)
    /// gives it another name, or a priority.
    ///
    /// `examples/hosts_calloop.rs` has a library that is written for calloop run under a program on soloop.
    ///
    /// # What runs when
    ///
    /// The hosted loop is one source, which has its turn when any of its fds or timers is ready, and then
    /// delivers all that is ready in it, in calloop's order; what its callbacks ask of this handle is applied after
    /// that. Idles of the hosted loop run after this loop's idles of the same round, and timers fire on time
    /// while this loop sleeps, whichever callback inserted them. While the source is disabled, all of it waits.
    ///
    /// An error of a hosted source, or of its callback, comes out of the dispatch as
    /// [`Error::Source`](crate::Error::Source) with calloop's error in it. calloop drops the rest of a batch that
    /// fails or panics: timers that were due in it do not fire.
    ///
    /// A round that waits takes three dispatches of the hosted loop more, 17 system calls, measured at 8 µs of
    /// processor time. A loop that hosts none spends nothing.
    ///
    /// # Limits
    ///
    /// * CalloopTurn timers wake a sleeping loop on Linux and Android; elsewhere they fire with the next event.
    /// * They keep real time, also if this loop has a [manual clock](crate::Clock::manual).
    /// * [`LoopSignal::stop`] of the hosted loop is for a `run` of it, and does nothing; use
    ///   [`LoopHandle::stop`](crate::LoopHandle::stop) or [`signal`](Self::signal). A `wakeup` of it may be taken for
    ///   this loop's own and so be lost; use that of this loop.
    /// * Idles that idles insert run one level a dispatch, as in calloop. Here, an idle that
    ///   an idle inserted that was inserted by an idle may have to wait for the next event.
    /// * If this loop is itself watched from outside, what is asked of the hosted loop between two dispatches is
    ///   seen by the next dispatch, as with calloop. When such a watch begins the loop is ready once, to set the
    ///   alarms of what it hosts.
    ///
    /// # Errors
    ///
    /// What the kernel answers to the registration of the loop's fd, together with the loop.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use calloop::timer::{TimeoutAction, Timer};
    /// use soloop::{EventLoop, LoopData, LoopHandle};
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
    ///
    /// let hosted = calloop::EventLoop::<State>::try_new()?;
    /// let calloop_handle = hosted.handle(); // for what asks for one
    /// state.handle.insert_calloop(hosted)?;
    ///
    /// let every = Duration::from_millis(1);
    /// calloop_handle.insert_source(Timer::from_duration(every), move |_, (), state: &mut State| {
    ///     state.ticks += 1;
    ///     if state.ticks == 3 {
    ///         state.handle.stop();
    ///     }
    ///     TimeoutAction::ToDuration(every)
    /// })?;
    /// event_loop.run(None, &mut state, |_| ())?;
    /// assert_eq!(state.ticks, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert_calloop(
        &mut self,
        inner: EventLoop<'static, Data>,
    ) -> Result<Token<CalloopLoop<Data>>, InsertError<EventLoop<'static, Data>>> {
        self.insert_calloop_with(SourceOptions::new().name("calloop"), inner)
    }

    /// [`insert_calloop`](Self::insert_calloop) with a name, a priority or an error policy of its own. A budget does
    /// not apply: calloop delivers all that is ready.
    ///
    /// # Errors
    ///
    /// As [`insert_calloop`](Self::insert_calloop).
    pub fn insert_calloop_with(
        &mut self,
        options: SourceOptions,
        inner: EventLoop<'static, Data>,
    ) -> Result<Token<CalloopLoop<Data>>, InsertError<EventLoop<'static, Data>>> {
        let handle = Handle::to(&inner);
        let source = CalloopLoop::new(inner)?;
        match self.insert_slot(Some(options), HostSlot { source }) {
            Ok(token) => {
                self.hosting.push(token.key());
                self.keep_calloop(token, handle);
                Ok(token)
            }
            Err(InsertError { error, source }) => {
                Err(InsertError { error, source: source.into_inner() })
            }
        }
    }
}

impl<Data: 'static> CalloopLoop<Data> {
    fn new(inner: EventLoop<'static, Data>) -> Result<Self, InsertError<EventLoop<'static, Data>>> {
        let found = Arc::new(AtomicBool::new(false));
        let witness = Witness { found: Arc::clone(&found) };
        match inner.handle().insert_source(witness, |(), _, _| ()) {
            Ok(witness) => {
                let signal = inner.get_signal();
                let (witness, watch) = (Some(witness), FdWatch::default());
                Ok(Self { inner, signal, found, witness, on_demand: None, watch })
            }
            Err(error) => Err(InsertError { error: error.error.into(), source: inner }),
        }
    }

    pub(crate) fn on_demand(
        inner: EventLoop<'static, Data>,
    ) -> Result<Self, InsertError<EventLoop<'static, Data>>> {
        match OnDemand::new(&inner) {
            Ok(on_demand) => {
                let (found, signal) = (Arc::default(), inner.get_signal());
                let (on_demand, watch) = (Some(on_demand), FdWatch::default());
                Ok(Self { inner, signal, found, witness: None, on_demand, watch })
            }
            Err(error) => Err(InsertError { error: error.into(), source: inner }),
        }
    }

    /// Something may have been asked of a loop that is hosted on demand.
    pub(crate) fn ask(&mut self) {
        if let Some(on_demand) = &mut self.on_demand {
            on_demand.ask();
        }
    }

    /// The handle of the hosted loop, through which calloop's sources are inserted.
    pub fn handle(&self) -> calloop::LoopHandle<'static, Data> {
        self.inner.handle()
    }

    /// The calloop loop, with all that is inserted in it.
    pub fn into_inner(self) -> EventLoop<'static, Data> {
        if let Some(witness) = self.witness {
            self.inner.handle().remove(witness);
        }
        if let Some(on_demand) = self.on_demand {
            on_demand.leave(&self.inner);
        }
        self.inner
    }

    /// Whether there is something that the fd tells of.
    fn is_ready(&self) -> bool {
        let mut fds = [PollFd::new(&self.inner, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    fn run(&mut self, data: &mut Data) -> calloop::Result<()> {
        match &mut self.on_demand {
            Some(on_demand) => on_demand.dispatch(&mut self.inner, data),
            None => self.inner.dispatch(Duration::ZERO, data),
        }
    }

    /// Dispatches, and has the fd become readable when the nearest timer is due, if no callback moved it.
    fn arm(&mut self, data: &mut Data) -> calloop::Result<()> {
        self.signal.wakeup();
        self.inner.dispatch(None, data)
    }

    /// Whether `dispatch` had any events.
    fn finds(
        &mut self,
        dispatch: impl FnOnce(&mut Self) -> calloop::Result<()>,
    ) -> calloop::Result<bool> {
        self.found.store(false, Ordering::Relaxed);
        dispatch(self)?;
        Ok(self.found.load(Ordering::Relaxed))
    }
}

impl<Data: 'static> EventSource for CalloopLoop<Data> {
    type Event<'a> = CalloopTurn<'a, Data>;
    type Ret = calloop::Result<()>;
    type Error = calloop::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if let Some(on_demand) = &mut self.on_demand {
            on_demand.register(registrar);
        }
        EventSource::reregister(self, registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let fd = self.inner.as_fd();
        self.watch.register(registrar, fd, Interest::READ, Mode::Level).map_err(explain)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if let Some(on_demand) = &mut self.on_demand {
            on_demand.unregister(registrar);
        }
        self.watch.unregister(registrar, self.inner.as_fd())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, calloop::Error>
    where
        F: FnMut(CalloopTurn<'_, Data>) -> calloop::Result<()>,
    {
        let asked = self.on_demand.as_ref().is_some_and(|on_demand| on_demand.is(token));
        let wanted = self.on_demand.as_ref().is_some_and(OnDemand::is_wanted);
        if !(asked && wanted || self.watch.is(token)) {
            return Ok(PostAction::Continue);
        }
        // The loop itself has it look again where a notifier made it ready.
        let notifier = self.on_demand.as_ref().filter(|_| !asked).and_then(OnDemand::notifier);
        let mut guard = LookAgain(notifier);
        callback(CalloopTurn { source: self })?;
        guard.0 = None;
        let armed = self.on_demand.as_mut().is_none_or(OnDemand::is_armed);
        Ok(if armed { PostAction::Continue } else { PostAction::Again })
    }
}

impl<Data: 'static> fmt::Debug for CalloopLoop<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CalloopLoop").finish_non_exhaustive()
    }
}

/// What a [`CalloopLoop`] hands to its callback: its turn.
///
/// Of interest only to who takes a [`CalloopLoop`] out and makes it a part of a source of their own: its timers then
/// fire with its next event.
pub struct CalloopTurn<'a, Data: 'static> {
    source: &'a mut CalloopLoop<Data>,
}

impl<Data: 'static> CalloopTurn<'_, Data> {
    /// Delivers what is ready in the hosted loop.
    ///
    /// # Errors
    ///
    /// What a source in it fails with.
    pub fn dispatch(self, data: &mut Data) -> calloop::Result<()> {
        self.source.run(data)
    }
}

impl<Data: 'static> fmt::Debug for CalloopTurn<'_, Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CalloopTurn").finish_non_exhaustive()
    }
}

/// The slot of a hosted loop, whose callbacks are all inside of it.
struct HostSlot<Data: 'static> {
    source: CalloopLoop<Data>,
}

impl<Data: 'static> TypedSlot<Data> for HostSlot<Data> {
    type Source = CalloopLoop<Data>;

    fn call(&mut self, interest: InterestKey, readiness: ReadySet, data: &mut Data) -> Answer {
        let token = InterestToken::new(interest);
        let dispatch = |turn: CalloopTurn<'_, Data>| turn.dispatch(data);
        match self.source.process_events(readiness.into(), token, dispatch) {
            Ok(action) => action.into(),
            Err(error) => Answer::failed(error, false),
        }
    }

    fn source(&self) -> &CalloopLoop<Data> {
        &self.source
    }

    fn source_mut(&mut self) -> &mut CalloopLoop<Data> {
        &mut self.source
    }

    fn into_source(self) -> CalloopLoop<Data> {
        self.source
    }

    fn host(&mut self, step: Step, data: &mut Data) -> Result<bool, BoxError> {
        Ok(match step {
            Step::Look => self.source.is_ready(),
            Step::Run => self.source.finds(|source| source.run(data))?,
            Step::Arm => self.source.finds(|source| source.arm(data))?,
        })
    }
}

/// A source in the hosted loop that never has an event, and sees whether others have.
///
/// calloop shows it the events that a wait found, before it delivers them, but lets it iterate over its own only.
/// The others can be seen where calloop prints them: the derived `Debug` of its [`EventIterator`] names each
/// `PollEvent`. (Should a version of calloop come that prints something else, events would go unseen. What is
/// lost then: a timer that an event moves which arrives in the microseconds between the two dispatches before a
/// wait would be late. The tests would tell.)
///
/// [`EventIterator`]: calloop::EventIterator
struct Witness {
    found: Arc<AtomicBool>,
}

impl calloop::EventSource for Witness {
    type Event = ();
    type Metadata = ();
    type Ret = ();
    type Error = calloop::Error;
    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

    fn process_events<F>(
        &mut self,
        _: calloop::Readiness,
        _: calloop::Token,
        _: F,
    ) -> Result<calloop::PostAction, calloop::Error>
    where
        F: FnMut((), &mut ()),
    {
        Ok(calloop::PostAction::Continue)
    }

    fn register(&mut self, _: &mut Poll, _: &mut TokenFactory) -> calloop::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &mut Poll, _: &mut TokenFactory) -> calloop::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, _: &mut Poll) -> calloop::Result<()> {
        Ok(())
    }

    fn before_handle_events(&mut self, events: calloop::EventIterator<'_>) {
        // An error of the search is its success.
        if write!(Search("PollEvent"), "{events:?}").is_err() {
            self.found.store(true, Ordering::Relaxed);
        }
    }
}

/// Fails as soon as what is written contains the text, in one piece.
struct Search(&'static str);

impl Write for Search {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.contains(self.0) { Err(fmt::Error) } else { Ok(()) }
    }
}

assert_traits!(CalloopLoop<u8>: Unpin, fmt::Debug; not Send, Sync, Copy, Clone, UnwindSafe, RefUnwindSafe);
assert_traits!(CalloopTurn<'static, u8>: Unpin, fmt::Debug; not Send, Sync, Copy, Clone, UnwindSafe, RefUnwindSafe);
