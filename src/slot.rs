//! A source and its callback, with their types erased.

use std::any::Any;
use std::fmt;

use crate::error::BoxError;
use crate::ready::ReadyEvent;
use crate::source::AnySource;
use crate::{EventSource, InterestToken, PostAction, Readiness};

/// What the loop hands to a stored callback: the source, and what is ready.
pub(crate) struct Event<'a> {
    pub(crate) source: &'a mut dyn AnySource,
    pub(crate) readiness: Readiness,
    pub(crate) token: InterestToken,
}

pub(crate) type Callback<Data> =
    Box<dyn FnMut(Event<'_>, &mut Data) -> Result<PostAction, BoxError>>;

pub(crate) struct Slot<Data> {
    pub(crate) source: Box<dyn AnySource>,
    pub(crate) callback: Callback<Data>,
}

impl<Data> Slot<Data> {
    /// Has the source process `event`, and calls back for what it makes of it.
    #[inline]
    pub(crate) fn call(
        &mut self,
        event: ReadyEvent,
        data: &mut Data,
    ) -> Result<PostAction, BoxError> {
        let token = InterestToken::new(event.interest);
        let erased = Event { source: &mut *self.source, readiness: event.readiness, token };
        (self.callback)(erased, data)
    }

    /// A closure without captures is a type without size: its box allocates nothing.
    pub(crate) fn new<S, F>(source: S, mut callback: F) -> Self
    where
        S: EventSource,
        F: FnMut(S::Event<'_>, &mut Data) -> S::Ret + 'static,
    {
        Self {
            source: Box::new(source),
            callback: Box::new(move |event, data| {
                process::<S>(event, |event| callback(event, data))
            }),
        }
    }

    /// The callback runs once; the source is removed after it.
    pub(crate) fn once<S, F>(source: S, callback: F) -> Self
    where
        S: EventSource,
        F: FnOnce(S::Event<'_>, &mut Data) -> S::Ret + 'static,
    {
        let mut callback = Some(callback);
        Self {
            source: Box::new(source),
            callback: Box::new(move |event, data| {
                if callback.is_none() {
                    // It panicked, and so the source is still there.
                    return Ok(PostAction::Remove);
                }
                let action = process::<S>(event, |event| match callback.take() {
                    Some(callback) => callback(event, data),
                    None => panic!(
                        "`{}` emitted two events in one call of `process_events`",
                        std::any::type_name::<S>()
                    ),
                });
                if callback.is_some() {
                    return action;
                }
                let spent = |error| -> BoxError { Box::new(Spent(error)) };
                action.map(|_| PostAction::Remove).map_err(spent)
            }),
        }
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

fn process<S: EventSource>(
    event: Event<'_>,
    callback: impl FnMut(S::Event<'_>) -> S::Ret,
) -> Result<PostAction, BoxError> {
    downcast_mut::<S>(event.source)
        .expect("a slot holds the type that its callback was made for")
        .process_events(event.readiness, event.token, callback)
        .map_err(Into::into)
}

/// The source as an `S`. A token says its type, so that this fails only for one of another loop.
pub(crate) fn downcast_mut<S: EventSource>(source: &mut dyn AnySource) -> Option<&mut S> {
    (source as &mut dyn Any).downcast_mut()
}

impl<Data> fmt::Debug for Slot<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source.type_name())
    }
}
