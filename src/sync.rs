//! What the ready queue is built of: std and mio, or loom's stand-ins while loom tests it.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --lib --release loom` runs every interleaving of the models in
//! `ready/loom.rs`.

#[cfg(not(all(loom, test)))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, Ordering, fence},
};

#[cfg(all(loom, test))]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, Ordering, fence},
};

pub(crate) use std::sync::PoisonError;

#[cfg(not(all(loom, test)))]
pub(crate) use mio::Waker;

/// What wakes the loop: it keeps one wake-up, as an eventfd does.
#[cfg(all(loom, test))]
#[derive(Debug)]
pub(crate) struct Waker(loom::sync::Notify);

#[cfg(all(loom, test))]
impl Waker {
    #[allow(clippy::unnecessary_wraps, reason = "as mio's")]
    pub(crate) fn wake(&self) -> std::io::Result<()> {
        self.0.notify();
        Ok(())
    }

    /// The wait in the kernel.
    pub(crate) fn wait(&self) {
        self.0.wait();
    }
}

#[cfg(all(loom, test))]
impl From<mio::Waker> for Waker {
    fn from(_: mio::Waker) -> Self {
        Self(loom::sync::Notify::new())
    }
}
