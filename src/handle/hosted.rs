//! Handles of the calloop loops that this loop hosts. Callbacks reach the hosted loops through them.

use crate::token::SourceKey;

/// A weak handle of a calloop loop. A closure, because calloop does not export the type.
pub(crate) type WeakHandle<Data> = Box<dyn Fn() -> Option<calloop::LoopHandle<'static, Data>>>;

/// The handle of a hosted loop, with the source that hosts the loop.
pub(crate) struct HostedHandle<Data> {
    pub(crate) key: SourceKey,
    pub(crate) upgrade: WeakHandle<Data>,
}

impl<Data: 'static> HostedHandle<Data> {
    pub(crate) fn to(inner: &calloop::EventLoop<'static, Data>) -> WeakHandle<Data> {
        let weak = inner.handle().downgrade();
        Box::new(move || weak.upgrade())
    }
}
