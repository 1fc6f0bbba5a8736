//! A value that a future waits for.

use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, lock};

/// The value, or the waker of the future that waits for it.
#[derive(Debug)]
pub(crate) struct Promise<R> {
    stage: Mutex<Stage<R>>,
}

/// Each value is replaced under the lock, and dropped or woken outside of it: that is user code.
#[derive(Debug)]
enum Stage<R> {
    /// The waker of the future that waits for the value.
    Open(Option<Waker>),
    Kept(R),
    /// The value was taken, or there never will be one.
    Gone,
}

impl<R> Promise<R> {
    pub(crate) fn new() -> Self {
        Self { stage: Mutex::new(Stage::Open(None)) }
    }

    #[cfg(feature = "executor")]
    pub(crate) fn is_open(&self) -> bool {
        matches!(*lock(&self.stage), Stage::Open(_))
    }

    /// Stores the waker, or takes the value: `None` if it was taken, or there never will be one.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<R>> {
        let waker = cx.waker().clone();
        let mut stage = lock(&self.stage);
        let next = match &*stage {
            Stage::Open(_) => Stage::Open(Some(waker)),
            Stage::Kept(_) | Stage::Gone => Stage::Gone,
        };
        let last = std::mem::replace(&mut *stage, next);
        drop(stage);
        match last {
            Stage::Open(_) => Poll::Pending,
            Stage::Kept(value) => Poll::Ready(Some(value)),
            Stage::Gone => Poll::Ready(None),
        }
    }

    /// Stores the value, or that there is none, and wakes the future.
    pub(crate) fn settle(&self, value: Option<R>) {
        let stage = value.map_or(Stage::Gone, Stage::Kept);
        let last = std::mem::replace(&mut *lock(&self.stage), stage);
        if let Stage::Open(Some(waker)) = last {
            waker.wake();
        }
    }

    /// Drops the waker; the future stays pending.
    pub(crate) fn forget_waker(&self) {
        let waker = match &mut *lock(&self.stage) {
            Stage::Open(waker) => waker.take(),
            _ => None,
        };
        drop(waker);
    }
}
