//! The futures that wait for an edge, and the source that wakes them.
//!
//! Wakers are cloned, dropped and woken outside of the lock. That is user code: it may drop the [`Async`](super::Async)
//! itself, and it may panic, which does not keep the other wakers from being woken.

use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::Waker;

use crate::sync::{Mutex, lock};
use crate::{EventSource, InterestToken, PostAction, Readiness, Registrar};

#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Read,
    Write,
}

/// State shared by an [`Async`](super::Async) and its source.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Mutex<WaiterList>,
}

#[derive(Debug, Default)]
struct WaiterList {
    /// For each direction, the waiting places and their wakers. There are few of them.
    wakers: [Vec<(u64, Waker)>; 2],
    places: u64,
    /// The loop is gone.
    ended: bool,
}

impl WaiterList {
    fn take(&mut self, direction: Direction, place: u64) -> Option<(u64, Waker)> {
        let wakers = &mut self.wakers[direction as usize];
        let index = wakers.iter().position(|(other, _)| *other == place)?;
        Some(wakers.swap_remove(index))
    }
}

impl Waiters {
    /// The place that all futures-io traits share; it keeps only the waker of the last call.
    #[cfg(feature = "futures-io")]
    pub(super) const TRAITS: u64 = 0;

    pub(super) fn new_place(&self) -> u64 {
        let mut waiting = lock(&self.waiting);
        waiting.places += 1;
        waiting.places
    }

    pub(super) fn leave(&self, direction: Direction, place: u64, waker: &Waker) {
        let waker = waker.clone();
        let mut waiting = lock(&self.waiting);
        if waiting.ended {
            return;
        }
        let old = waiting.take(direction, place);
        waiting.wakers[direction as usize].push((place, waker));
        drop(waiting);
        drop(old);
    }

    pub(super) fn leave_place(&self, direction: Direction, place: u64) {
        let old = lock(&self.waiting).take(direction, place);
        drop(old);
    }

    /// Drops all wakers.
    pub(super) fn clear(&self) {
        let wakers = std::mem::take(&mut lock(&self.waiting).wakers);
        drop(wakers);
    }

    /// Whether the loop is gone, so that nothing will wake the waiting futures.
    #[cfg(feature = "futures-io")]
    pub(super) fn is_over(&self) -> bool {
        lock(&self.waiting).ended
    }
}

/// The loop's part: it wakes the waiting futures. It neither owns nor registers the fd, and its callback is never
/// called.
pub(super) struct IoSource {
    waiters: Arc<Waiters>,
    /// A buffer for the wakers to wake.
    woken: Vec<(u64, Waker)>,
}

impl IoSource {
    pub(super) fn new(waiters: &Arc<Waiters>) -> Self {
        Self { waiters: Arc::clone(waiters), woken: Vec::new() }
    }

    /// Wakes all of them, then resumes the first panic.
    fn wake(&mut self) {
        let mut panicked = None;
        for (_, waker) in self.woken.drain(..) {
            // The waker is dropped after that: nothing sees it half woken.
            let woken = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            panicked = panicked.or(woken.err());
        }
        // In a destructor, a panic during another panic would abort.
        if let Some(panic) = panicked.filter(|_| !std::thread::panicking()) {
            resume_unwind(panic);
        }
    }
}

impl EventSource for IoSource {
    type Event<'a> = ();
    type Ret = ();
    type Error = Infallible;

    /// The `Async` owns the wakers, and only the `Async` removes the source.
    const DROP_RUNS_CODE: bool = false;

    fn register(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        _: InterestToken,
        _: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(()),
    {
        let mut waiting = lock(&self.waiters.waiting);
        if readiness.readable {
            self.woken.append(&mut waiting.wakers[Direction::Read as usize]);
        }
        if readiness.writable {
            self.woken.append(&mut waiting.wakers[Direction::Write as usize]);
        }
        drop(waiting);
        self.wake();
        Ok(PostAction::Continue)
    }
}

/// A waker may own the task that owns the `Async`: dropping the source with the loop breaks that cycle. Waiting futures
/// are woken.
impl Drop for IoSource {
    fn drop(&mut self) {
        let mut waiting = lock(&self.waiters.waiting);
        waiting.ended = true;
        self.woken.extend(waiting.wakers.iter_mut().flat_map(std::mem::take));
        drop(waiting);
        self.wake();
    }
}
