//! The op queue: requests about stored sources, which only the loop can carry out.
//!
//! Ops are applied in the order in which they were issued, after the callback that issued them and, unless the time of
//! the round is over, before any other.

use std::time::Instant;

use crate::EventLoop;
use crate::registry::slot::Slot;
use crate::registry::source::AnySource;
use crate::token::SourceKey;

/// A request about a source.
pub(crate) enum Op<Data> {
    Insert(SourceKey, Slot<Data>),
    Enable(SourceKey),
    Disable(SourceKey),
    Remove(SourceKey),
    /// Moves a timer.
    SetDeadline(SourceKey, Instant),
    Visit {
        key: SourceKey,
        visitor: Visitor<Data>,
        /// The visitor changes only the source, which is registered anew afterwards.
        updates: bool,
        /// Calling or dropping the visitor may run code that changes more than the source.
        runs: bool,
    },
    Take(SourceKey, Taker<Data>),
    /// Concerns no source.
    Inspect(Look<Data>),
}

type Visitor<Data> = Box<dyn FnOnce(&mut dyn AnySource, &mut Data)>;
/// Receives a source that was taken out of its slot, and the loop's state.
type Taker<Data> = Box<dyn FnOnce(Box<dyn AnySource>, &mut Data)>;
type Look<Data> = Box<dyn FnOnce(&mut EventLoop<Data>, &mut Data)>;

impl<Data> Op<Data> {
    /// Whether applying this op runs user code (destructors included). Such ops need the budget's permission.
    pub(super) fn runs_user_code(&self) -> bool {
        !matches!(
            self,
            Self::Insert(..) | Self::Enable(_) | Self::Disable(_) | Self::SetDeadline(..)
        )
    }
}
