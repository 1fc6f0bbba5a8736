//! Sources and idles whose owner is gone: how a value that holds no [`LoopHandle`], such as a future or a scope, takes
//! them with it when it is dropped.
//!
//! What is dropped is seen at the next application of ops: before any other callback, and before the next wait. The
//! loop does not wake up for it, unless it sleeps just now.

use std::sync::{Arc, Weak};

use crate::shared::Shared;
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};
use crate::token::{AnyToken, IdleToken, InterestKey};
use crate::{EventSource, LoopHandle, Token};

/// What one guard leaves to be removed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DroppedGuard {
    Source(AnyToken),
    /// With an interest that the kernel does not know any more.
    SourceAndInterest(AnyToken, InterestKey),
    Idle(IdleToken),
}

/// What the guards left that were dropped since ops were last applied.
#[derive(Debug, Default)]
pub(crate) struct DroppedGuards {
    list: Mutex<Vec<DroppedGuard>>,
    /// Whether there is anything in the list.
    any: AtomicBool,
}

impl DroppedGuards {
    /// Adds what a guard left. The loop has to be woken if it is asleep.
    pub(crate) fn add(&self, dropped: DroppedGuard) {
        self.lock().push(dropped);
        self.any.store(true, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    pub(crate) fn take(&self) -> Vec<DroppedGuard> {
        // First the mark: what is added from here on is in the list, or marks it again.
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<DroppedGuard>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Has a source removed, or an idle cancelled, at the next application of ops. `false` if the loop is gone.
    pub(crate) fn remove_soon(&self, dropped: DroppedGuard) -> bool {
        if self.ready.is_closed() {
            return false;
        }
        self.dropped_guards.add(dropped);
        self.ready.wake_if_asleep();
        true
    }
}

/// Removes a source, or cancels an idle, when it is dropped. Does not keep the loop alive.
#[derive(Debug)]
pub(crate) struct Guard {
    of: DroppedGuard,
    shared: Weak<Shared>,
}

impl Guard {
    /// The guard also forgets `interest`, which its owner has told the kernel to forget before.
    #[cfg(unix)]
    pub(crate) fn with_interest(mut self, interest: InterestKey) -> Self {
        if let DroppedGuard::Source(source) = self.of {
            self.of = DroppedGuard::SourceAndInterest(source, interest);
        }
        self
    }

    /// Drops the guard of what is gone by itself.
    pub(crate) fn defuse(&mut self) {
        self.shared = Weak::new();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.remove_soon(self.of);
        }
    }
}

impl<Data> LoopHandle<Data> {
    /// A guard that removes `source` when it is dropped.
    pub(crate) fn guard<S: EventSource>(&self, source: Token<S>) -> Guard {
        self.guard_of(DroppedGuard::Source(source.into()))
    }

    /// A guard that cancels `idle` when it is dropped.
    pub(crate) fn idle_guard(&self, idle: IdleToken) -> Guard {
        self.guard_of(DroppedGuard::Idle(idle))
    }

    fn guard_of(&self, of: DroppedGuard) -> Guard {
        Guard { of, shared: Arc::downgrade(&self.registrations.shared) }
    }
}

static_assertions::assert_impl_all!(Guard: Send, Sync);
