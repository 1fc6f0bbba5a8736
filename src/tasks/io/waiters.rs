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

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Direction {
    Read,
    Write,
}

/// Where a future waits: each has a number of its own.
pub(super) type Place = (Direction, u64);

/// State shared by an [`Async`](super::Async) and its source.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Mutex<WaiterList>,
}

#[derive(Debug, Default)]
struct WaiterList {
    /// There are few of them.
    wakers: Vec<(Place, Waker)>,
    places: u64,
    /// The loop is gone.
    ended: bool,
}

impl WaiterList {
    fn take(&mut self, place: Place) -> Option<(Place, Waker)> {
        let index = self.wakers.iter().position(|(other, _)| *other == place)?;
        Some(self.wakers.swap_remove(index))
    }
}

impl Waiters {
    pub(super) fn new_place(&self, direction: Direction) -> Place {
        let mut waiting = lock(&self.waiting);
        waiting.places += 1;
        (direction, waiting.places)
    }

    pub(super) fn leave(&self, place: Place, waker: &Waker) {
        let waker = waker.clone();
        let mut waiting = lock(&self.waiting);
        if waiting.ended {
            return;
        }
        let old = waiting.take(place);
        waiting.wakers.push((place, waker));
        drop(waiting);
        drop(old);
    }

    pub(super) fn leave_place(&self, place: Place) {
        let old = lock(&self.waiting).take(place);
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
    woken: Vec<(Place, Waker)>,
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
        let ready = waiting.wakers.extract_if(.., |((direction, _), _)| match direction {
            Direction::Read => readiness.readable,
            Direction::Write => readiness.writable,
        });
        self.woken.extend(ready);
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
        self.woken.append(&mut waiting.wakers);
        drop(waiting);
        self.wake();
    }
}
