//! Handles of the calloop loops that this loop hosts. Callbacks reach the hosted loops through them.

use crate::token::SourceKey;

/// The handle of a hosted loop, with the source that hosts the loop.
pub(crate) struct HostedHandle<Data> {
    pub(crate) key: SourceKey,
    /// The handle, unless the loop is gone. A closure, because calloop does not export the type of weak handles.
    pub(crate) upgrade: Box<dyn Fn() -> Option<calloop::LoopHandle<'static, Data>>>,
}
