//! A source and its callback, in one box, with their types erased.
//!
//! One box and not two, a boxed source beside a boxed `FnMut`: calling back follows one pointer, and a timer or a
//! channel costs one allocation, whatever its callback captures.

use std::any::Any;
use std::fmt;

use crate::backlog::ReadyEvent;
use crate::error::BoxError;
#[cfg(all(unix, feature = "calloop"))]
use crate::hosts::Step;
use crate::source::AnySource;
use crate::{EventSource, InterestToken, PostAction};

/// What the loop stores of a source: a `FnMut(ReadyEvent, &mut Data)` that lends its source out.
pub(crate) trait AnySlot<Data> {
    /// Has the source process `event`, and calls back for what it makes of it.
    fn call(&mut self, event: ReadyEvent, data: &mut Data) -> Result<PostAction, BoxError>;
    fn source(&self) -> &dyn AnySource;
    fn source_mut(&mut self) -> &mut dyn AnySource;
    /// The source; its callback is dropped.
    fn into_source(self: Box<Self>) -> Box<dyn AnySource>;
    /// Has the loop that the source hosts, if it is one that does, take a step.
    #[cfg(all(unix, feature = "calloop"))]
    fn host(&mut self, _: Step, _: &mut Data) -> Result<bool, BoxError> {
        Ok(false)
    }
}

pub(crate) type Slot<Data> = Box<dyn AnySlot<Data>>;

/// A source whose callback runs for each of its events.
pub(crate) struct Repeated<S, F> {
    pub(crate) source: S,
    pub(crate) callback: F,
}

impl<Data, S, F> AnySlot<Data> for Repeated<S, F>
where
    S: EventSource,
    F: FnMut(S::Event<'_>, &mut Data) -> S::Ret + 'static,
{
    #[inline]
    fn call(&mut self, event: ReadyEvent, data: &mut Data) -> Result<PostAction, BoxError> {
        process(&mut self.source, event, |event| (self.callback)(event, data))
    }

    fn source(&self) -> &dyn AnySource {
        &self.source
    }

    fn source_mut(&mut self) -> &mut dyn AnySource {
        &mut self.source
    }

    fn into_source(self: Box<Self>) -> Box<dyn AnySource> {
        Box::new(self.source)
    }
}

/// A source whose callback runs once; the source is removed after it.
pub(crate) struct Once<S, F> {
    pub(crate) source: S,
    /// `None` once it was called.
    pub(crate) callback: Option<F>,
}

impl<Data, S, F> AnySlot<Data> for Once<S, F>
where
    S: EventSource,
    F: FnOnce(S::Event<'_>, &mut Data) -> S::Ret + 'static,
{
    fn call(&mut self, event: ReadyEvent, data: &mut Data) -> Result<PostAction, BoxError> {
        if self.callback.is_none() {
            // It panicked, and so the source is still there.
            return Ok(PostAction::Remove);
        }
        let action = process(&mut self.source, event, |event| match self.callback.take() {
            Some(callback) => callback(event, data),
            None => panic!(
                "`{}` emitted two events in one call of `process_events`",
                std::any::type_name::<S>()
            ),
        });
        if self.callback.is_some() {
            return action;
        }
        let spent = |error| -> BoxError { Box::new(Spent(error)) };
        action.map(|_| PostAction::Remove).map_err(spent)
    }

    fn source(&self) -> &dyn AnySource {
        &self.source
    }

    fn source_mut(&mut self) -> &mut dyn AnySource {
        &mut self.source
    }

    fn into_source(self: Box<Self>) -> Box<dyn AnySource> {
        Box::new(self.source)
    }
}

/// The error of a callback that runs once.
#[derive(Debug)]
pub(crate) struct Spent(pub(crate) BoxError);

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Spent {}

#[inline]
fn process<S: EventSource>(
    source: &mut S,
    event: ReadyEvent,
    callback: impl FnMut(S::Event<'_>) -> S::Ret,
) -> Result<PostAction, BoxError> {
    let token = InterestToken::new(event.interest);
    source.process_events(event.readiness, token, callback).map_err(Into::into)
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
