//! Hosts a whole calloop loop: this loop waits in it, or dispatches it on demand (`on_demand.rs`).
//!
//! To wait in it, this loop's epoll instance, duplicated, is a source of the hosted loop, and this loop blocks in the
//! `dispatch` of the hosted one, behind the one function that waits (`event_loop/wait.rs`). This needs no knowledge of
//! calloop's internals.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use calloop::generic::Generic;
use calloop::{EventLoop, Poll, RegistrationToken, TokenFactory};

use super::on_demand::OnDemand;
use super::{LookAgain, explain};
use crate::registry::slot::{Answer, Callback, Failure, What, downcast_mut};
use crate::threads::shared::Shared;
use crate::{
    EventSource, InsertError, Interest, InterestToken, LoopHandle, Mode, PostAction, Readiness,
    Registrar, SourceOptions, Token,
};

/// A whole calloop loop as a source, made by [`LoopHandle::insert_calloop`] and
/// [`LoopHandle::insert_calloop_on_demand`].
///
/// Both have an example.
pub struct CalloopLoop<Data: 'static> {
    pub(super) inner: EventLoop<'static, Data>,
    /// While it is registered: the sources that this crate inserted in the hosted loop.
    pub(super) guests: Vec<RegistrationToken>,
    /// `None` if this loop waits in the hosted one.
    pub(super) on_demand: Option<OnDemand<Data>>,
}

impl<Data: 'static> LoopHandle<Data> {
    /// Hosts a calloop loop in the waits of this one: its callbacks run there, with the same state, so that sources
    /// written for calloop work unchanged. Insert them through calloop's handle, before or after, which may be cloned
    /// and used in every callback.
    ///
    /// It has no contract to keep, but costs system calls in every round: use it for a program that moves to soloop
    /// part by part. A single source costs less with [`insert_calloop_source`](Self::insert_calloop_source), and a
    /// library that requires calloop's handle with [`insert_calloop_on_demand`](Self::insert_calloop_on_demand).
    ///
    /// The source is named `calloop` in errors and reports; [`insert_calloop_with`](Self::insert_calloop_with) gives
    /// it another name.
    ///
    /// `examples/hosts_calloop.rs` runs a library that is written for calloop in a program on soloop.
    ///
    /// # What runs when
    ///
    /// The wait of this loop *is* that of the hosted one: it blocks in calloop's `dispatch`, which watches this
    /// loop's epoll instance as one of its sources. So calloop's timers, hooks, idles and order are unchanged. Its
    /// callbacks run inside of the wait, with the same state: the ops that they queue in this loop's handle are
    /// applied when the wait is over, before this loop delivers anything. While the source is disabled, the whole
    /// hosted loop waits.
    ///
    /// After a round in which callbacks of this loop ran, which may have used the hosted loop's handle, the next wait
    /// does not block: an idle that they inserted runs at once.
    ///
    /// An error of a hosted source, or of its callback, becomes an [`Error::Source`](crate::Error::Source) that
    /// contains calloop's error. On an error or a panic, calloop drops the other events of its dispatch: timers that
    /// were due in it do not fire. This loop loses nothing.
    ///
    /// # Limits
    ///
    /// * One loop at a time is hosted this way; a second one is refused.
    ///   [`insert_calloop_on_demand`](Self::insert_calloop_on_demand) hosts any number.
    /// * Two epoll instances can't watch each other: while a loop is hosted this way, this loop's own fd does not
    ///   report its events, and must not be watched from outside. If the fd was obtained before, the insertion is
    ///   refused; if it is obtained later, each dispatch fails until the hosted loop is removed.
    /// * Priorities and budgets do not apply inside the wait, and an observer does not see the callbacks that run
    ///   there.
    /// * Its timers follow real time, even if this loop has a [manual clock](crate::Clock::manual).
    /// * [`LoopSignal::stop`](calloop::LoopSignal::stop) of the hosted loop only ends a `run` of that loop, and so
    ///   does nothing; use [`LoopHandle::stop`](crate::LoopHandle::stop) or [`signal`](Self::signal).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](std::io::ErrorKind::AlreadyExists) if a loop is hosted this way already,
    /// [`Unsupported`](std::io::ErrorKind::Unsupported) if this loop's fd is watched from outside, or the error of
    /// the kernel when this loop's epoll instance is registered with the other one; together with the loop.
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
    /// calloop_handle.insert_source(Timer::from_duration(every), move |_, (), state| {
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

    /// Hosts a calloop loop like [`insert_calloop`](Self::insert_calloop), with [`SourceOptions`]: a name, a scope or
    /// an error policy. A priority and a budget have no effect.
    ///
    /// # Errors
    ///
    /// As [`insert_calloop`](Self::insert_calloop).
    pub fn insert_calloop_with(
        &mut self,
        options: SourceOptions,
        inner: EventLoop<'static, Data>,
    ) -> Result<Token<CalloopLoop<Data>>, InsertError<EventLoop<'static, Data>>> {
        self.host(options, inner, None, wait_in())
    }
}

/// The callback of a hosted loop that this loop waits in.
fn wait_in<Data: 'static>() -> Callback<Data> {
    Box::new(|source, what, data| -> Answer {
        if let What::Wait(timeout) = what
            && let Some(hosted) = downcast_mut::<CalloopLoop<Data>>(source)
        {
            hosted.inner.dispatch(*timeout, data).map_err(|error| Failure::new(error, false))?;
        }
        Ok(PostAction::Continue)
    })
}

impl<Data: 'static> CalloopLoop<Data> {
    /// Requests a dispatch of a loop that is hosted on demand, which may have changed.
    pub(super) fn ask(&mut self) {
        if let Some(OnDemand { asked: Some((_, notifier)), wanted, .. }) = &mut self.on_demand {
            *wanted = true;
            notifier.notify();
        }
    }

    /// The handle of the hosted loop, to insert calloop's sources through.
    pub fn handle(&self) -> calloop::LoopHandle<'static, Data> {
        self.inner.handle()
    }

    /// Returns the calloop loop, with everything that is inserted in it.
    pub fn into_inner(self) -> EventLoop<'static, Data> {
        self.inner
    }
}

impl<Data: 'static> EventSource for CalloopLoop<Data> {
    type Event<'a> = CalloopTurn<'a, Data>;
    type Ret = calloop::Result<()>;
    type Error = calloop::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let handle = self.inner.handle();
        if let Some(on_demand) = &mut self.on_demand {
            if on_demand.asked.is_none() {
                self.guests.push(handle.register_dispatcher(on_demand.watchman.clone())?);
                on_demand.asked = Some(registrar.notifier());
            }
            self.ask();
            return self.reregister(registrar);
        }
        let (epoll, shared) = registrar.wait_in_source()?;
        let epoll = Generic::new(epoll, calloop::Interest::READ, calloop::Mode::Level);
        let epoll = handle
            .insert_source(epoll, |_, _, _| Ok(calloop::PostAction::Continue))
            .map_err(|refused| explain(refused.error.into()))?;
        self.guests.push(epoll);
        // It has nothing to register, and is not refused.
        let marker = handle.insert_source(Marker(shared), |(), _, _| ());
        self.guests.push(marker.map_err(|refused| refused.error)?);
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let Some(OnDemand { watch, .. }) = &mut self.on_demand else { return Ok(()) };
        let fd = self.inner.as_fd();
        watch.register(registrar, fd, Interest::READ, Mode::Level).map_err(explain)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        for guest in self.guests.drain(..) {
            self.inner.handle().remove(guest);
        }
        let Some(on_demand) = &mut self.on_demand else {
            registrar.wait_in_kernel();
            return Ok(());
        };
        if let Some((token, _)) = on_demand.asked.take() {
            registrar.release(token);
        }
        on_demand.watch.unregister(registrar, self.inner.as_fd())
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
        let Some(on_demand) = &mut self.on_demand else { return Ok(PostAction::Continue) };
        let Some((asked, notifier)) = &on_demand.asked else { return Ok(PostAction::Continue) };
        if !(*asked == token && on_demand.wanted || on_demand.watch.is(token)) {
            return Ok(PostAction::Continue);
        }
        let mut guard = LookAgain(Some(notifier.clone()));
        on_demand.wanted = true;
        callback(CalloopTurn { inner: &mut self.inner })?;
        guard.0 = None;
        Ok(if on_demand.is_armed() { PostAction::Continue } else { PostAction::Again })
    }
}

impl<Data: 'static> fmt::Debug for CalloopLoop<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CalloopLoop").finish_non_exhaustive()
    }
}

/// The event of a [`CalloopLoop`] that is hosted on demand: the hosted loop has to be dispatched. The callback that
/// `insert_calloop_on_demand` inserts does that.
pub struct CalloopTurn<'a, Data: 'static> {
    inner: &'a mut EventLoop<'static, Data>,
}

impl<Data: 'static> CalloopTurn<'_, Data> {
    /// Dispatches the hosted loop: delivers what is ready in it, and sets its alarm.
    ///
    /// # Errors
    ///
    /// Those of calloop's `dispatch`.
    pub fn dispatch(self, data: &mut Data) -> calloop::Result<()> {
        self.inner.get_signal().wakeup();
        self.inner.dispatch(None, data)
    }
}

impl<Data: 'static> fmt::Debug for CalloopTurn<'_, Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CalloopTurn").finish_non_exhaustive()
    }
}

/// Ends this loop's sleep before callbacks of the hosted loop run: their notifications then take no system call.
struct Marker(Arc<Shared>);

impl calloop::EventSource for Marker {
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

    fn register(&mut self, _: &mut Poll, _: &mut TokenFactory) -> calloop::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &mut Poll, _: &mut TokenFactory) -> calloop::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, _: &mut Poll) -> calloop::Result<()> {
        Ok(())
    }

    fn before_handle_events(&mut self, _: calloop::EventIterator<'_>) {
        self.0.ready().end_rest();
    }
}
