//! Parts of composite sources that come and go: [`TransientSource`].

use std::io;

use crate::{EventIterator, EventSource, InterestToken, PostAction, Readiness, Registrar};

/// Holds a part of a composite source that is removed, replaced or disabled while the composite lives on.
///
/// A composite source passes `register`, `reregister`, `unregister` and `process_events` on to it, as to its other
/// parts. An answer of the wrapped source concerns that source alone: with [`PostAction::Remove`] it is unregistered
/// and dropped, but not the composite; with [`PostAction::Disable`] it is unregistered and kept. In both cases the
/// composite receives [`PostAction::Reregister`]; it receives `Continue`, `Again` and `Reregister` unchanged. It
/// combines the answers of its parts with `|` and returns the result.
///
/// The composite may also call [`replace`](Self::replace), [`remove`](Self::remove), [`enable`](Self::enable) and
/// [`disable`](Self::disable), which take effect with the next `reregister`. If it does so in its `process_events`,
/// it answers `Reregister`; if it is changed from outside, use [`LoopHandle::update`](crate::LoopHandle::update). The
/// same holds if [`map`](Self::map) changes what the source registers. After `remove` or `replace` the old source gets
/// no events from the call on.
///
/// The default is empty.
///
/// # Limits
///
/// Do not assign to a registered `TransientSource`, nor drop it: the wrapped source would be dropped without being
/// unregistered, and its registration would stay until the composite is removed.
///
/// When a disabled composite is enabled, so is the wrapped source. If the wrapped source can't be registered when the
/// composite is re-registered, it is kept, disabled, and the composite returns the error.
///
/// # Examples
///
/// A device with an optional timeout:
///
/// ```
/// use std::{convert::Infallible, io, time::{Duration, Instant}};
/// use soloop::{EventSource, InterestToken, Ping, PingSource, PostAction, Readiness, Registrar};
/// use soloop::{Clock, EventLoop, TimeoutAction, Timer, TransientSource, make_ping};
///
/// /// After a ping there is a second of time for the next one.
/// struct Watchdog {
///     pings: PingSource,
///     timeout: TransientSource<Timer>,
/// }
///
/// impl EventSource for Watchdog {
///     type Event<'a> = Instant;
///     type Ret = ();
///     type Error = Infallible;
///
///     fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         self.pings.register(registrar)?;
///         self.timeout.register(registrar)
///     }
///
///     fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         self.pings.reregister(registrar)?;
///         self.timeout.reregister(registrar)
///     }
///
///     fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         self.pings.unregister(registrar)?;
///         self.timeout.unregister(registrar)
///     }
///
///     fn process_events<F>(&mut self, readiness: Readiness, token: InterestToken, mut callback: F)
///         -> Result<PostAction, Infallible>
///     where
///         F: FnMut(Instant),
///     {
///         let mut pinged = false;
///         let mut action = self.pings.process_events(readiness, token, |()| pinged = true)?;
///         if pinged {
///             self.timeout.replace(Timer::from_duration(Duration::from_secs(1)));
///             action |= PostAction::Reregister;
///         }
///         Ok(action | self.timeout.process_events(readiness, token, |deadline| {
///             callback(deadline);
///             TimeoutAction::Drop // the timer goes, the watchdog stays
///         })?)
///     }
/// }
///
/// # struct State { handle: soloop::LoopHandle<Self>, timeouts: u32 }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
/// let mut state = State { handle, timeouts: 0 };
/// let (ping, pings) = make_ping();
/// let watchdog = Watchdog { pings, timeout: TransientSource::default() };
/// let token = state.handle.insert_source(watchdog, |_, state| state.timeouts += 1)?;
/// for _ in 0..2 {
///     ping.ping();
///     event_loop.dispatch(None, &mut state)?;
///     event_loop.dispatch(None, &mut state)?; // a manual clock jumps to the timeout
/// }
/// assert_eq!(state.timeouts, 2);
/// assert!(event_loop.get(token).unwrap().timeout.is_none());
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
pub struct TransientSource<T> {
    current: Option<Part<T>>,
    /// Registered parts that will be unregistered and dropped.
    leaving: Vec<T>,
}

#[derive(Debug)]
struct Part<T> {
    source: T,
    registered: bool,
    /// Register the part.
    enabled: bool,
    /// The part has more. Cleared when the composite is re-registered.
    again: bool,
}

impl<T> TransientSource<T> {
    /// Calls `f` with the wrapped source, and returns its result. `None` if there is no wrapped source.
    pub fn map<F, U>(&mut self, f: F) -> Option<U>
    where
        F: FnOnce(&mut T) -> U,
    {
        self.current.as_mut().map(|part| f(&mut part.source))
    }

    /// Whether there is no wrapped source: none was put in, or it was removed, or it answered [`PostAction::Remove`].
    pub fn is_none(&self) -> bool {
        self.current.is_none()
    }

    /// Removes the wrapped source, if there is one. It gets no more events; it is unregistered and dropped when the
    /// composite is re-registered.
    pub fn remove(&mut self) {
        let old = self.current.take();
        self.leaving.extend(old.filter(|part| part.registered).map(|part| part.source));
    }

    /// Replaces the wrapped source by `new`, or fills an empty place. `new` is registered when the composite is
    /// re-registered; the old source goes as with [`remove`](Self::remove).
    pub fn replace(&mut self, new: T) {
        self.remove();
        self.current = Some(Part { source: new, registered: false, enabled: true, again: false });
    }

    /// Enables a disabled wrapped source: it gets events again, including those that came meanwhile.
    pub fn enable(&mut self) {
        self.set_enabled(true);
    }

    /// Disables the wrapped source: it is kept, but gets no events. It is unregistered when the composite is
    /// re-registered.
    pub fn disable(&mut self) {
        self.set_enabled(false);
    }

    fn set_enabled(&mut self, enabled: bool) {
        if let Some(part) = &mut self.current {
            part.enabled = enabled;
        }
    }
}

impl<T> Default for TransientSource<T> {
    fn default() -> Self {
        Self { current: None, leaving: Vec::new() }
    }
}

impl<T> From<T> for TransientSource<T> {
    fn from(source: T) -> Self {
        let mut transient = Self::default();
        transient.replace(source);
        transient
    }
}

impl<T: EventSource> Part<T> {
    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.again = false;
        let result = self.source.register(registrar);
        self.registered = result.is_ok();
        if result.is_err() {
            // The source was at most partly registered.
            let _ = self.source.unregister(registrar);
        }
        // Disable a part that fails to register: it would otherwise fail again with each change of a sibling, and
        // block that sibling's registration.
        self.enabled = self.registered;
        result
    }

    /// Ends the registration, if it exists.
    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if !std::mem::take(&mut self.registered) {
            return Ok(());
        }
        self.source.unregister(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        // A source that has more announces it when it is registered.
        if self.registered && self.enabled && !self.again {
            return self.source.reregister(registrar);
        }
        let unregistered = self.unregister(registrar);
        if self.enabled {
            self.register(registrar)?;
        }
        unregistered
    }
}

impl<T: EventSource> TransientSource<T> {
    /// The wrapped source, if it is to get events.
    fn live(&mut self) -> Option<&mut Part<T>> {
        self.current.as_mut().filter(|part| part.registered && part.enabled)
    }

    /// Unregisters and drops all leaving parts. Returns the first error.
    fn dismiss(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let mut result = Ok(());
        while let Some(mut source) = self.leaving.pop() {
            result = result.and(source.unregister(registrar));
        }
        result
    }
}

impl<T: EventSource> EventSource for TransientSource<T> {
    type Event<'a> = T::Event<'a>;
    type Ret = T::Ret;
    type Error = T::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let dismissed = self.dismiss(registrar);
        if let Some(part) = &mut self.current {
            part.register(registrar)?;
        }
        dismissed
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let dismissed = self.dismiss(registrar);
        let current = self.current.as_mut().map_or(Ok(()), |part| part.reregister(registrar));
        dismissed.and(current)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let dismissed = self.dismiss(registrar);
        let current = self.current.as_mut().map_or(Ok(()), |part| part.unregister(registrar));
        dismissed.and(current)
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        callback: F,
    ) -> Result<PostAction, Self::Error>
    where
        F: FnMut(Self::Event<'_>) -> Self::Ret,
    {
        let mut answer = PostAction::Continue;
        if let Some(part) = self.live() {
            answer = part.source.process_events(readiness, token, callback)?;
            part.again = answer == PostAction::Again;
            match answer {
                PostAction::Remove => self.remove(),
                PostAction::Disable => self.disable(),
                _ => {}
            }
        }
        // Also after a change that the composite made without mentioning it.
        let changed = self.current.as_ref().is_some_and(|part| part.registered != part.enabled);
        let changed = changed || !self.leaving.is_empty();
        Ok(if changed { PostAction::Reregister } else { answer })
    }

    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = T::NEEDS_EXTRA_LIFECYCLE_EVENTS;

    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
        self.live().map_or(Ok(None), |part| part.source.before_sleep())
    }

    fn before_handle_events(&mut self, events: EventIterator<'_>) {
        if let Some(part) = self.live() {
            part.source.before_handle_events(events);
        }
    }
}
