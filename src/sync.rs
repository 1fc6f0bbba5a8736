//! The building blocks of the parts that other threads reach: std and mio, or loom's stand-ins while loom tests them.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --lib --release --target-dir target/loom loom` runs every interleaving of the
//! models in `threads/ready/loom.rs`.

#[cfg(not(all(loom, test)))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering, fence},
};

#[cfg(all(loom, test))]
pub(crate) use ::loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering, fence},
};

pub(crate) use std::sync::PoisonError;

/// Locks `mutex`, also after a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(not(all(loom, test)))]
pub(crate) use mio::Waker;

#[cfg(all(loom, test))]
mod loom;
#[cfg(all(loom, test))]
pub(crate) use self::loom::{Condvar, Waker};
