//! Replacements for what loom does not provide.

use std::io;
use std::sync::LockResult;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::{AtomicBool, MutexGuard, Ordering};

/// Wakes the loop. It also plays the kernel's part, and keeps one wake-up, as an eventfd does.
#[derive(Debug)]
pub(crate) struct Waker {
    woken: AtomicBool,
    waiting: ::loom::sync::Notify,
    /// How often it woke the loop. No part of the model.
    wakes: AtomicUsize,
}

impl Waker {
    #[allow(clippy::unnecessary_wraps, reason = "as mio's")]
    pub(crate) fn wake(&self) -> io::Result<()> {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.woken.swap(true, Ordering::AcqRel);
        self.waiting.notify();
        Ok(())
    }

    /// The loop's wait, which consumes the wake-up. Returns the timeout for asking the kernel afterwards.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Option<Duration> {
        while !self.woken.swap(false, Ordering::AcqRel) && timeout.is_none() {
            self.waiting.wait();
        }
        Some(Duration::ZERO)
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.load(Ordering::Relaxed)
    }

    /// The wait of an outside watcher of the loop's fd, which consumes nothing.
    pub(crate) fn watch(&self) {
        while !self.woken.fetch_or(false, Ordering::AcqRel) {
            self.waiting.wait();
        }
    }
}

impl From<mio::Waker> for Waker {
    fn from(_: mio::Waker) -> Self {
        let (woken, waiting) = (AtomicBool::new(false), ::loom::sync::Notify::new());
        Self { woken, waiting, wakes: AtomicUsize::new(0) }
    }
}

#[derive(Debug)]
pub(crate) struct Condvar(::loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(::loom::sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut guard) {
            guard = self.0.wait(guard)?;
        }
        Ok(guard)
    }
}
