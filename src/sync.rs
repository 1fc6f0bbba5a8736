//! The building blocks of the parts that other threads reach: std and mio, or loom's stand-ins while loom tests them.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --lib --release --target-dir target/loom loom` runs every interleaving of the
//! models in `threads/ready/loom.rs`.

#[cfg(not(all(loom, test)))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering, fence},
};

#[cfg(all(loom, test))]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering, fence},
};

pub(crate) use std::sync::PoisonError;

/// Locks `mutex`, also after a panic.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(not(all(loom, test)))]
pub(crate) use mio::Waker;

#[cfg(all(loom, test))]
pub(crate) use stand_ins::{Condvar, Waker};

/// Replacements for what loom does not provide.
#[cfg(all(loom, test))]
mod stand_ins {
    use std::io;
    use std::sync::LockResult;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::{AtomicBool, MutexGuard, Ordering};

    /// Wakes the loop. It also plays the kernel's part, and keeps one wake-up, as an eventfd does.
    #[derive(Debug)]
    pub(crate) struct Waker {
        woken: AtomicBool,
        waiting: loom::sync::Notify,
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
            let (woken, waiting) = (AtomicBool::new(false), loom::sync::Notify::new());
            Self { woken, waiting, wakes: AtomicUsize::new(0) }
        }
    }

    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
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
}
