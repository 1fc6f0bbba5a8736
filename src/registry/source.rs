//! The trait behind everything that can be inserted into a loop.

use std::any::Any;
use std::error::Error;
use std::io;

use crate::registry::{Interests, Registrations, Watch};
use crate::token::SourceKey;
use crate::{InterestToken, PostAction, Readiness, Registrar};

/// Produces events for a callback: the trait of everything that can be inserted into a loop.
///
/// The loop calls [`register`](Self::register) when the source is inserted or enabled,
/// [`process_events`](Self::process_events) when one of its interests is ready, and [`unregister`](Self::unregister)
/// when it is disabled or removed. A source owns what it watches, and keeps the [`InterestToken`]s that its
/// registrations returned.
///
/// # What the built-in sources wrap
///
/// | to wait for | insert |
/// |---|---|
/// | an fd: a socket, a pipe, a device | [`Generic`](crate::Generic) |
/// | a `std::process::Child` | `soloop::Child` |
/// | a type of mio's | [`MioSource`](crate::MioSource) |
/// | another thread (in place of an `mpsc::Receiver`) | [`channel`](crate::channel()), [`make_ping`](crate::make_ping) |
/// | a future, a stream | `LoopHandle::spawn`, `StreamSource` |
/// | a source that is written for calloop | `LoopHandle::insert_calloop_source` |
///
/// # One event per call
///
/// `process_events` calls its callback at most once, and returns [`PostAction::Again`] while the source has more
/// events. Between two such calls the loop applies the ops of the callback, so that a callback can stop its own
/// source in the middle of a backlog. The loop also gives each source a budget of such calls, so that no source
/// starves another. `Again` does not outlive a [`disable`](crate::LoopHandle::disable): a source that holds events
/// back (in a buffer of its own, say) makes itself ready in `register` if it has any.
///
/// # Sources made of sources
///
/// A composite passes `register`, `reregister`, `unregister` and `process_events` on to each of its parts, with the
/// same arguments, and combines their answers with `|`. Each part ignores tokens that are not its own.
///
/// A part's `Again` is lost if the combination is `Reregister`, or if the composite answers something else. So a part
/// that is woken by a notifier also calls [`RawNotifier::again`](crate::RawNotifier::again) in `process_events`, as
/// the built-in sources do; the loop then calls the composite once more, whatever it answered.
///
/// # Examples
///
/// A source that calls back each time one of two timers fires:
///
/// ```
/// use std::{convert::Infallible, io, time::{Duration, Instant}};
/// use soloop::{EventSource, InterestToken, PostAction, Readiness, Registrar, TimeoutAction, Timer};
///
/// struct Either(Timer, Timer);
///
/// impl EventSource for Either {
///     type Event<'a> = Instant;
///     type Ret = TimeoutAction;
///     type Error = Infallible;
///
///     fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         self.0.register(registrar)?;
///         self.1.register(registrar)
///     }
///
///     fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         self.0.reregister(registrar)?;
///         self.1.reregister(registrar)
///     }
///
///     fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         self.0.unregister(registrar)?;
///         self.1.unregister(registrar)
///     }
///
///     fn process_events<F>(&mut self, readiness: Readiness, token: InterestToken, mut callback: F)
///         -> Result<PostAction, Infallible>
///     where
///         F: FnMut(Instant) -> TimeoutAction,
///     {
///         Ok(self.0.process_events(readiness, token, &mut callback)?
///             | self.1.process_events(readiness, token, &mut callback)?)
///     }
/// }
///
/// let either = Either(Timer::immediate(), Timer::from_duration(Duration::from_secs(1)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event source of soloop",
    label = "this cannot be inserted into a loop",
    note = "wrap an fd in `Generic`, a `std::process::Child` in `soloop::Child`, a mio type in `MioSource`, or implement `EventSource` (which asks for `'static`: what a source would borrow belongs in the state)",
    note = "a source that is written for calloop is inserted by `insert_calloop_source` (feature `calloop`)"
)]
pub trait EventSource: 'static {
    /// What the callback receives. It may borrow parts of the source.
    type Event<'a>;
    /// What the callback answers.
    type Ret;
    /// The error of [`process_events`](Self::process_events).
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Registers everything this source waits for.
    ///
    /// # Errors
    ///
    /// The error of the first registration that fails. The loop then calls [`unregister`](Self::unregister), which
    /// must accept a partial registration, and removes what is left.
    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()>;

    /// Updates the registration after the source was changed.
    ///
    /// # Errors
    ///
    /// The error of the registration that fails; the loop reports it as [`Error::Source`](crate::Error::Source).
    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()>;

    /// Undoes [`register`](Self::register), also if that succeeded only in part.
    ///
    /// # Errors
    ///
    /// An error of the kernel. The source is disabled or removed in any case.
    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()>;

    /// Processes the readiness of the interest `token`: calls `callback` at most once.
    ///
    /// # Errors
    ///
    /// An error of the source's own. The dispatch returns it as [`Error::Source`](crate::Error::Source), unless an
    /// error policy says otherwise.
    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        callback: F,
    ) -> Result<PostAction, Self::Error>
    where
        F: FnMut(Self::Event<'_>) -> Self::Ret;

    /// Whether the loop calls [`before_sleep`](Self::before_sleep) and
    /// [`before_handle_events`](Self::before_handle_events) of this source, once in every dispatch.
    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = false;

    /// Whether dropping this source may run code whose effects the caller of [`dispatch`](crate::EventLoop::dispatch)
    /// has to see, such as a user's destructor that sets a flag. If so, the next wait does not block after the source
    /// was removed.
    ///
    /// The default is that of [`needs_drop`](std::mem::needs_drop). Set it to `false` for a source whose drop runs no
    /// such code (it only frees memory, say); the loop then sleeps on when it is removed.
    const DROP_RUNS_CODE: bool = std::mem::needs_drop::<Self>();

    /// Called before the loop waits. If it returns `Some`, the wait does not block, and the loop delivers that
    /// readiness as an event, which [`before_handle_events`](Self::before_handle_events) does not show.
    ///
    /// # Errors
    ///
    /// The dispatch ends before it waits and returns the error as [`Error::Source`](crate::Error::Source), unless an
    /// error policy says otherwise.
    ///
    /// # Examples
    ///
    /// A connection whose replies may lie in a buffer, where no fd reports them:
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, replies: Vec<u32> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::{convert::Infallible, io};
    /// use soloop::{EventLoop, EventSource, InterestToken, PostAction, Readiness, Registrar};
    ///
    /// #[derive(Default)]
    /// struct Connection {
    ///     token: Option<InterestToken>,
    ///     buffered: Vec<u32>,
    /// }
    ///
    /// impl EventSource for Connection {
    ///     type Event<'a> = u32;
    ///     type Ret = ();
    ///     type Error = Infallible;
    ///
    ///     const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;
    ///
    ///     fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
    ///         // It would also flush its requests here.
    ///         let token = self.token.filter(|_| !self.buffered.is_empty());
    ///         Ok(token.map(|token| (Readiness::EMPTY, token)))
    ///     }
    ///
    ///     fn process_events<F>(&mut self, _: Readiness, _: InterestToken, mut callback: F)
    ///         -> Result<PostAction, Infallible>
    ///     where
    ///         F: FnMut(u32),
    ///     {
    ///         if let Some(reply) = self.buffered.pop() {
    ///             callback(reply);
    ///         }
    ///         Ok(if self.buffered.is_empty() { PostAction::Continue } else { PostAction::Again })
    ///     }
    ///
    ///     fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
    ///         let (token, _notifier) = registrar.notifier(); // in place of its fd
    ///         self.token = Some(token);
    ///         Ok(())
    ///     }
    ///
    ///     fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> { Ok(()) }
    ///
    ///     fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
    ///         if let Some(token) = self.token.take() {
    ///             registrar.release(token);
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, replies: Vec::new() };
    /// let connection = Connection { buffered: vec![2, 1], ..Connection::default() };
    /// state.handle.insert_source(connection, |reply, state| state.replies.push(reply))?;
    /// event_loop.dispatch(None, &mut state)?; // does not block
    /// assert_eq!(state.replies, [1, 2]);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
        Ok(None)
    }

    /// Called after the wait, however it ended, and before any event of the round is delivered. `events` are those of
    /// this source: what the wait found, what was notified before, what an earlier round left over, and deadlines
    /// that are due. What [`before_sleep`](Self::before_sleep) returned is not among them.
    ///
    /// An event shown here may still not be delivered: another callback may remove or disable the source first.
    #[expect(unused_variables, reason = "the name is a part of the documentation")]
    fn before_handle_events(&mut self, events: EventIterator<'_>) {}
}

impl<T: EventSource> EventSource for Box<T> {
    type Event<'a> = T::Event<'a>;
    type Ret = T::Ret;
    type Error = T::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        T::register(self, registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        T::reregister(self, registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        T::unregister(self, registrar)
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
        T::process_events(self, readiness, token, callback)
    }

    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = T::NEEDS_EXTRA_LIFECYCLE_EVENTS;
    const DROP_RUNS_CODE: bool = T::DROP_RUNS_CODE;

    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
        T::before_sleep(self)
    }

    fn before_handle_events(&mut self, events: EventIterator<'_>) {
        T::before_handle_events(self, events);
    }
}

/// The part of [`EventSource`] that does not depend on its types.
pub(crate) trait AnySource: Any {
    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()>;
    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()>;
    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()>;
    fn has_hooks(&self) -> bool;
    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>>;
    fn before_handle_events(&mut self, events: EventIterator<'_>);
    fn type_name(&self) -> &'static str;
}

impl<S: EventSource> AnySource for S {
    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        S::register(self, registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        S::reregister(self, registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        S::unregister(self, registrar)
    }

    fn has_hooks(&self) -> bool {
        S::NEEDS_EXTRA_LIFECYCLE_EVENTS
    }

    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
        S::before_sleep(self)
    }

    fn before_handle_events(&mut self, events: EventIterator<'_>) {
        S::before_handle_events(self, events);
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<S>()
    }
}

/// The events of one source that a round is going to deliver, shown to [`EventSource::before_handle_events`]. A
/// deadline has an empty [`Readiness`].
#[derive(Clone, Debug)]
pub struct EventIterator<'a> {
    interests: Interests<'a>,
    registrations: &'a Registrations,
    source: SourceKey,
}

impl<'a> EventIterator<'a> {
    pub(crate) fn new(registrations: &'a Registrations, source: SourceKey) -> Self {
        Self { interests: registrations.rows.interests_of(source), registrations, source }
    }
}

impl Iterator for EventIterator<'_> {
    type Item = (Readiness, InterestToken);

    fn next(&mut self) -> Option<Self::Item> {
        self.interests.find_map(|(interest, held)| {
            let readiness = match held.watch {
                Watch::Io(io) => held.ready.wanted(io.wants).into(),
                Watch::Notifier => held.ready.into(),
                Watch::Deadline(_) => Readiness::EMPTY,
            };
            let is_ready = self.registrations.is_ready(self.source, interest, held);
            is_ready.then_some((readiness, interest))
        })
    }
}
