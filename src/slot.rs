//! A source and its callback, in one box, with their types erased.
//!
//! One box and not two, a boxed source beside a boxed `FnMut`: calling back follows one pointer, and a timer or a
//! channel costs one allocation, whatever its callback captures.

use std::any::Any;
use std::fmt;
use std::io;

use crate::error::BoxError;
#[cfg(all(unix, feature = "calloop"))]
use crate::hosts::Step;
use crate::interest::ReadySet;
use crate::source::AnySource;
use crate::token::InterestKey;
use crate::{EventSource, InterestToken, PostAction, Registrar, Timer};

/// A source and its callback, the type of the source known.
pub(crate) trait TypedSlot<Data> {
    type Source: EventSource;
    /// Has the source process an event, and calls back for what it makes of it.
    fn call(&mut self, interest: InterestKey, readiness: ReadySet, data: &mut Data) -> Answer;
    fn source(&self) -> &Self::Source;
    fn source_mut(&mut self) -> &mut Self::Source;
    /// The source; its callback is dropped.
    fn into_source(self) -> Self::Source;
    /// Has the loop that the source hosts, if it is one that does, take a step.
    #[cfg(all(unix, feature = "calloop"))]
    fn host(&mut self, _: Step, _: &mut Data) -> Result<bool, BoxError> {
        Ok(false)
    }
}

/// What the loop stores of a source: a `FnMut(event, &mut Data)` that lends its source out. Any [`TypedSlot`] is one.
pub(crate) trait AnySlot<Data> {
    fn call(&mut self, interest: InterestKey, readiness: ReadySet, data: &mut Data) -> Answer;
    fn source(&self) -> &dyn AnySource;
    fn source_mut(&mut self) -> &mut dyn AnySource;
    /// Unregisters the source: one call through a pointer less than by way of `source_mut`.
    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()>;
    fn into_source(self: Box<Self>) -> Box<dyn AnySource>;
    /// Whether the source is a timer of which the loop knows.
    fn is_armed(&self) -> bool;
    #[cfg(all(unix, feature = "calloop"))]
    fn host(&mut self, step: Step, data: &mut Data) -> Result<bool, BoxError>;
}

impl<Data, T: TypedSlot<Data>> AnySlot<Data> for T {
    #[inline]
    fn call(&mut self, interest: InterestKey, readiness: ReadySet, data: &mut Data) -> Answer {
        TypedSlot::call(self, interest, readiness, data)
    }

    fn source(&self) -> &dyn AnySource {
        TypedSlot::source(self)
    }

    fn source_mut(&mut self) -> &mut dyn AnySource {
        TypedSlot::source_mut(self)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        TypedSlot::source_mut(self).unregister(registrar)
    }

    fn into_source(self: Box<Self>) -> Box<dyn AnySource> {
        Box::new(TypedSlot::into_source(*self))
    }

    fn is_armed(&self) -> bool {
        let source: &dyn Any = TypedSlot::source(self);
        source.downcast_ref().is_some_and(Timer::is_armed)
    }

    #[cfg(all(unix, feature = "calloop"))]
    fn host(&mut self, step: Step, data: &mut Data) -> Result<bool, BoxError> {
        TypedSlot::host(self, step, data)
    }
}

pub(crate) type Slot<Data> = Box<dyn AnySlot<Data>>;

/// What came of an event. Flat, a failure behind one pointer, and the event in pieces: so all of it goes through
/// registers. (A structure that is written in parts and read as a whole has the processor wait for its stores.)
pub(crate) enum Answer {
    Continue,
    Again,
    Reregister,
    Disable,
    Remove,
    Failed(Box<Failure>),
}

/// What a source failed with.
pub(crate) struct Failure {
    pub(crate) error: BoxError,
    /// It was the one event of a source that goes after it.
    pub(crate) spent: bool,
}

impl From<PostAction> for Answer {
    #[inline]
    fn from(action: PostAction) -> Self {
        match action {
            PostAction::Continue => Self::Continue,
            PostAction::Again => Self::Again,
            PostAction::Reregister => Self::Reregister,
            PostAction::Disable => Self::Disable,
            PostAction::Remove => Self::Remove,
        }
    }
}

impl Answer {
    #[inline]
    pub(crate) fn failed(error: impl Into<BoxError>, spent: bool) -> Self {
        Self::Failed(Box::new(Failure { error: error.into(), spent }))
    }
}

/// A source whose callback runs for each of its events.
pub(crate) struct Repeated<S, F> {
    pub(crate) source: S,
    pub(crate) callback: F,
}

impl<Data, S, F> TypedSlot<Data> for Repeated<S, F>
where
    S: EventSource,
    F: FnMut(S::Event<'_>, &mut Data) -> S::Ret + 'static,
{
    type Source = S;

    #[inline]
    fn call(&mut self, interest: InterestKey, readiness: ReadySet, data: &mut Data) -> Answer {
        let token = InterestToken::new(interest);
        let callback = |event: S::Event<'_>| (self.callback)(event, data);
        match self.source.process_events(readiness.into(), token, callback) {
            Ok(action) => action.into(),
            Err(error) => Answer::failed(error, false),
        }
    }

    fn source(&self) -> &S {
        &self.source
    }

    #[inline]
    fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    fn into_source(self) -> S {
        self.source
    }
}

/// A source whose callback runs once; the source is removed after it.
pub(crate) struct Once<S, F> {
    pub(crate) source: S,
    /// `None` once it was called.
    pub(crate) callback: Option<F>,
}

impl<Data, S, F> TypedSlot<Data> for Once<S, F>
where
    S: EventSource,
    F: FnOnce(S::Event<'_>, &mut Data) -> S::Ret + 'static,
{
    type Source = S;

    fn call(&mut self, interest: InterestKey, readiness: ReadySet, data: &mut Data) -> Answer {
        if self.callback.is_none() {
            // It panicked, and so the source is still there.
            return Answer::Remove;
        }
        let token = InterestToken::new(interest);
        let callback = |event: S::Event<'_>| match self.callback.take() {
            Some(callback) => callback(event, data),
            None => panic!(
                "`{}` emitted two events in one call of `process_events`",
                std::any::type_name::<S>()
            ),
        };
        let answer = self.source.process_events(readiness.into(), token, callback);
        let spent = self.callback.is_none();
        match answer {
            Ok(_) if spent => Answer::Remove,
            Ok(action) => action.into(),
            Err(error) => Answer::failed(error, spent),
        }
    }

    fn source(&self) -> &S {
        &self.source
    }

    #[inline]
    fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    fn into_source(self) -> S {
        self.source
    }
}

/// The source as an `S`. A token says its type, so that this fails only for one of another loop.
pub(crate) fn downcast_mut<S: EventSource>(source: &mut dyn AnySource) -> Option<&mut S> {
    (source as &mut dyn Any).downcast_mut()
}

impl<Data> fmt::Debug for dyn AnySlot<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source().type_name())
    }
}

// Two registers.
static_assertions::const_assert!(size_of::<Answer>() <= 16);
