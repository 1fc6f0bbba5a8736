//! The trait behind everything that can be inserted into a loop.

use std::any::Any;
use std::error::Error;
use std::io;

use crate::registry::{Interests, Registrations, Watch};
use crate::token::SourceKey;
use crate::{InterestToken, PostAction, Readiness, Registrar};

/// Something that produces events for a callback.
///
/// The loop calls [`register`](Self::register) when the source is inserted or enabled,
/// [`process_events`](Self::process_events) when one of its interests is ready, and
/// [`unregister`](Self::unregister) when it is disabled or removed. A source owns what it watches and
/// keeps the [`InterestToken`]s that its registrations answered with.
///
/// # One event a call
///
/// `process_events` calls its callback at most once and answers [`PostAction::Again`] while it has
/// more. Between two such calls the loop applies what the callback asked for, so that a callback can
/// stop its own source in the middle of a backlog, and it gives each source a budget, so that none
/// starves another. A source that holds events back (in a buffer of its own, say) makes itself ready
/// in `register` if it has any, because an `Again` does not outlive a
/// [`disable`](crate::LoopHandle::disable).
///
/// # Sources made of sources
///
/// A composite hands `register`, `reregister`, `unregister` and `process_events` to each of its parts,
/// with the same arguments, and combines their answers with `|`. Each part ignores tokens that are not
/// its own.
///
/// A part may have more while its `Again` is lost: it was combined into a `Reregister`, or the composite answered something else.
/// A part that is woken by a notifier then says so with [`RawNotifier::again`](crate::RawNotifier::again) in
/// `process_events`, as the built-in sources do; the loop calls the composite once more, whatever that answered.
///
/// # Examples
///
/// A source that calls back each time any of two timers fires:
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
    note = "wrap an fd in `Generic`, a mio type in `MioSource`, or implement `EventSource` (which asks for `'static`: what a source would borrow belongs in the state)",
    note = "a source that is written for calloop is inserted by `insert_calloop_source` (feature `calloop`)"
)]
pub trait EventSource: 'static {
    /// What the callback receives; it may lend parts of the source.
    type Event<'a>;
    /// What the callback answers.
    type Ret;
    /// What processing can fail with.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Registers everything this source waits for.
    ///
    /// # Errors
    ///
    /// Whatever the registration of a part answers. The loop then calls [`unregister`](Self::unregister),
    /// which copes with half a registration, and sweeps up what is left.
    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()>;

    /// Brings the registration up to date after the source was changed.
    ///
    /// # Errors
    ///
    /// Whatever the registration of a part answers; the loop reports it as
    /// [`Error::Source`](crate::Error::Source).
    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()>;

    /// Undoes [`register`](Self::register), as far as it came.
    ///
    /// # Errors
    ///
    /// Whatever the kernel answers. The source is disabled or removed all the same.
    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()>;

    /// Processes the readiness of the interest `token`: calls `callback` at most once.
    ///
    /// # Errors
    ///
    /// What the source makes of it; it comes out of the dispatch as
    /// [`Error::Source`](crate::Error::Source), unless the loop's error policy says otherwise.
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

    /// Whether dropping this source may run code that whoever calls [`dispatch`](crate::EventLoop::dispatch) has to see
    /// the effect of, such as a destructor of the user's that sets a flag: the next wait does not block then.
    /// By default, as [`needs_drop`](std::mem::needs_drop) says. A source that is always dropped without such code (it owns
    /// memory, say) may say `false`, and the loop sleeps on when it is removed.
    const DROP_RUNS_CODE: bool = std::mem::needs_drop::<Self>();

    /// Called before the loop waits. An answer makes the wait not block and is delivered as an event, which
    /// [`before_handle_events`](Self::before_handle_events) does not show.
    ///
    /// # Errors
    ///
    /// The dispatch ends before it waits, and reports the error as
    /// [`Error::Source`](crate::Error::Source), unless an error policy says otherwise.
    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
        Ok(None)
    }

    /// Called after the wait, however it ended, and before any event of the round is delivered, with those of this
    /// source: what the wait found, what was notified before it, what an earlier round left over, and deadlines that
    /// are due. What [`before_sleep`](Self::before_sleep) answered is not among them.
    ///
    /// An event that is shown may still not come: a callback may remove or disable the source before.
    fn before_handle_events(&mut self, events: EventIterator<'_>) {
        let _ = events;
    }
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

/// The events of one source that a round is going to deliver; see
/// [`EventSource::before_handle_events`]. A deadline has an empty [`Readiness`].
#[derive(Clone, Debug)]
pub struct EventIterator<'a> {
    interests: Interests<'a>,
    registrations: &'a Registrations,
    source: SourceKey,
}

impl<'a> EventIterator<'a> {
    pub(crate) fn new(registrations: &'a Registrations, source: SourceKey) -> Self {
        Self { interests: registrations.interests_of(source), registrations, source }
    }
}

impl Iterator for EventIterator<'_> {
    type Item = (Readiness, InterestToken);

    fn next(&mut self) -> Option<Self::Item> {
        self.interests.find_map(|(interest, held)| {
            let token = InterestToken::new(interest);
            if self.registrations.is_due(self.source, interest, held) {
                return Some((Readiness::EMPTY, token));
            }
            let readiness = match held.watch {
                Watch::Io(io) => held.ready.wanted(io.wants),
                _ => held.ready,
            };
            held.ready.is_found().then(|| (readiness.into(), token))
        })
    }
}

assert_traits!(EventIterator<'static>: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
