//! Sources whose owner is gone: how a value that holds no [`LoopHandle`], such as a
//! future, takes its source with it when it is dropped.
//!
//! What is abandoned is removed at the next settling, hence before the next wait, and quietly: unlike with a
//! [`Remote`](crate::Remote), the loop does not wake up for it, unless it sleeps just now.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::shared::Shared;
use crate::token::{AnyToken, InterestKey};
use crate::{EventSource, LoopHandle, Token};

/// What one guard left behind.
#[derive(Debug)]
struct Leftover {
    source: AnyToken,
    /// An interest that the kernel does not know any more.
    interest: Option<InterestKey>,
}

/// Where guards leave what has to go. Owned by the handle.
#[derive(Debug)]
pub(crate) struct Abandoned {
    list: Mutex<Vec<Leftover>>,
    /// Whether there is anything in the list.
    any: AtomicBool,
    shared: Arc<Shared>,
}

impl Abandoned {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { list: Mutex::default(), any: AtomicBool::new(false), shared })
    }

    fn add(&self, leftover: Leftover) {
        self.lock().push(leftover);
        self.any.store(true, Ordering::Release);
        if self.shared.ready.is_asleep() {
            // From another thread, or between two dispatches of a loop whose fd is watched: what the loop
            // waits for, and what its fd tells of, has to follow.
            self.shared.ready.wake();
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    fn take(&self) -> Vec<Leftover> {
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Leftover>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a source when it is dropped. Does not keep the loop alive.
#[derive(Debug)]
pub(crate) struct SourceGuard {
    source: AnyToken,
    interest: Option<InterestKey>,
    abandoned: Weak<Abandoned>,
}

impl SourceGuard {
    /// The guard also forgets `interest`, of which its owner has told the kernel before.
    #[cfg(unix)]
    pub(crate) fn with_interest(mut self, interest: InterestKey) -> Self {
        self.interest = Some(interest);
        self
    }

    /// Drops the guard of a source that is gone by itself.
    pub(crate) fn defuse(&mut self) {
        self.abandoned = Weak::new();
    }
}

impl Drop for SourceGuard {
    fn drop(&mut self) {
        if let Some(abandoned) = self.abandoned.upgrade() {
            abandoned.add(Leftover { source: self.source, interest: self.interest });
        }
    }
}

impl<Data> LoopHandle<Data> {
    /// A guard that removes `source` when it is dropped.
    pub(crate) fn guard<S: EventSource>(&self, source: Token<S>) -> SourceGuard {
        let abandoned = Arc::downgrade(&self.abandoned);
        SourceGuard { source: source.into(), interest: None, abandoned }
    }

    /// Has the sources removed whose guards were dropped.
    #[inline(never)]
    pub(crate) fn remove_abandoned(&mut self) {
        for Leftover { source, interest } in self.abandoned.take() {
            if let Some(interest) = interest {
                self.registrations.remove_interest(interest);
            }
            self.remove(source);
        }
    }
}

static_assertions::assert_impl_all!(SourceGuard: Send, Sync);
