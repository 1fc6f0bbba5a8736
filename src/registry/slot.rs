//! What the loop stores for a source: the boxed source, its type erased, and the callback.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::error::BoxError;
use crate::interest::ReadinessBits;
use crate::registry::source::AnySource;
use crate::{EventSource, InterestToken, PostAction};

/// What a source has to do.
#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    /// Process its readiness.
    Process(InterestToken, ReadinessBits),
    /// Wait in place of this loop: the source hosts another loop.
    #[cfg_attr(not(all(unix, feature = "calloop")), expect(dead_code))]
    Wait(&'a Option<Duration>),
}

/// Lets the source, which is an `S`, process its readiness.
#[inline]
fn process<S: EventSource>(
    source: &mut dyn AnySource,
    what: What<'_>,
    callback: impl FnMut(S::Event<'_>) -> S::Ret,
) -> Result<PostAction, S::Error> {
    match (what, downcast_mut::<S>(source)) {
        (What::Process(interest, readiness), Some(source)) => {
            source.process_events(readiness.into(), interest, callback)
        }
        _ => Ok(PostAction::Continue),
    }
}

/// The error of a source.
pub(crate) struct Failure {
    pub(crate) error: BoxError,
    /// It came with the only event of a source that goes after its first event.
    pub(crate) last: bool,
}

impl Failure {
    pub(crate) fn new(error: impl Into<BoxError>, last: bool) -> Box<Self> {
        Box::new(Self { error: error.into(), last })
    }
}

/// The outcome of an event. A failure is boxed, so that the whole fits into registers.
pub(crate) type Answer = Result<PostAction, Box<Failure>>;

/// The loop calls this for each event of a source, which it lends.
pub(crate) type Callback<Data> = Box<dyn FnMut(&mut dyn AnySource, What<'_>, &mut Data) -> Answer>;

/// A source and its callback.
pub(crate) struct Slot<Data> {
    pub(crate) source: Box<dyn AnySource>,
    pub(crate) callback: Callback<Data>,
}

impl<Data> Slot<Data> {
    pub(crate) fn call(&mut self, what: What<'_>, data: &mut Data) -> Answer {
        (self.callback)(&mut *self.source, what, data)
    }
}

impl<Data> fmt::Debug for Slot<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source.type_name())
    }
}

/// The callback of a source that stays: it runs for each event.
#[inline]
pub(crate) fn repeated<S, F, Data>(mut callback: F) -> Callback<Data>
where
    S: EventSource,
    F: FnMut(S::Event<'_>, &mut Data) -> S::Ret + 'static,
{
    Box::new(move |source, what, data| {
        process::<S>(source, what, |event| callback(event, data))
            .map_err(|error| Failure::new(error, false))
    })
}

/// The callback of a source that goes with its first event: it runs once, and the source then answers `Remove` or
/// fails.
pub(crate) fn once<S, F, Data>(callback: F) -> Callback<Data>
where
    S: EventSource,
    F: FnOnce(S::Event<'_>, &mut Data) -> S::Ret + 'static,
{
    let mut callback = Some(callback);
    Box::new(move |source, what, data| {
        if callback.is_none() {
            // The callback panicked in an earlier call, and so the source is still there.
            return Ok(PostAction::Remove);
        }
        let answer = process::<S>(source, what, |event| match callback.take() {
            Some(callback) => callback(event, data),
            None => panic!(
                "`{}` emitted two events in one call of `process_events`",
                std::any::type_name::<S>()
            ),
        });
        match answer {
            Ok(_) if callback.is_none() => Ok(PostAction::Remove),
            Ok(action) => Ok(action),
            Err(error) => Err(Failure::new(error, callback.is_none())),
        }
    })
}

/// The source as an `S`.
pub(crate) fn downcast_mut<S: EventSource>(source: &mut dyn AnySource) -> Option<&mut S> {
    (source as &mut dyn Any).downcast_mut()
}

// Two registers.
static_assertions::const_assert!(size_of::<Answer>() <= 16);
