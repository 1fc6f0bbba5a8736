//! The ready queue: how other threads, and sources without an fd, make a loop call back.
//!
//! All notifiers of a loop share one queue and one `mio::Waker`. The protocol is that of a thread
//! parker, one atomic with three states:
//!
//! * `AWAKE`: the loop runs, and looks at the queue before it waits;
//! * `NOTIFIED`: something was queued, or a wake-up was requested, and the loop has not looked yet;
//! * `ASLEEP`: the loop waits in the kernel, or rests between two dispatches while its fd is watched
//!
//! No wake-up is lost. A notifier queues, then swaps in `NOTIFIED`; the loop swaps in `AWAKE`, then empties the queue,
//! and falls asleep only by a compare-and-exchange from `AWAKE`. If the notifier's swap comes first, the loop does not
//! fall asleep; if the loop's exchange comes first, the notifier finds `ASLEEP` and wakes the loop. The swaps acquire
//! and release, so the callback sees whatever a thread did before it notified.
//!
//! Posts, dropped guards and stops are not in this queue: the loop checks them in each dispatch, and they wake it only
//! if it sleeps. A thread that adds one fences, then checks for `ASLEEP`; the loop falls asleep, fences, then checks
//! all of them once more. One of the two sees the other.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::sync::{AtomicBool, AtomicU8, Mutex, Ordering, Waker, fence, lock};
use crate::threads::shared::Shared;
use crate::token::InterestToken;

#[cfg(all(loom, test))]
mod loom;

/// An entry of the ready queue.
#[derive(Debug)]
pub(crate) enum Woken {
    Interest(InterestToken),
    Notifier(Arc<NotifierState>),
}

const AWAKE: u8 = 0;
const NOTIFIED: u8 = 1;
const ASLEEP: u8 = 2;

#[derive(Debug)]
pub(crate) struct ReadyQueue {
    state: AtomicU8,
    queue: Mutex<Vec<Woken>>,
    waker: Waker,
    /// The loop is gone. Set before the queue is emptied for the last time: what is pushed after that finds it set.
    gone: AtomicBool,
}

impl ReadyQueue {
    #[allow(clippy::useless_conversion, reason = "under loom it is one")]
    pub(crate) fn new(waker: mio::Waker) -> Self {
        let (queue, gone) = (Mutex::default(), AtomicBool::new(false));
        Self { state: AtomicU8::new(AWAKE), queue, waker: waker.into(), gone }
    }

    /// Queues `woken`, or drops it if the loop is gone. Returns whether the loop sleeps and has to be interrupted.
    #[inline]
    #[must_use]
    pub(crate) fn push(&self, woken: Woken) -> bool {
        let mut queue = lock(&self.queue);
        if self.is_closed() {
            return false;
        }
        queue.push(woken);
        drop(queue);
        // If this finds `NOTIFIED`, the loop empties the queue after this push: had it done so before, the lock would
        // have made its `AWAKE` visible here.
        self.state.load(Ordering::Relaxed) != NOTIFIED && self.end_sleep()
    }

    /// Ends the current wait of the loop, or keeps the next one from blocking.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.end_sleep() {
            self.interrupt();
        }
    }

    /// Ends the loop's sleep. Returns whether it was asleep.
    #[inline]
    fn end_sleep(&self) -> bool {
        self.state.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP
    }

    /// Makes the loop's fd readable.
    pub(crate) fn interrupt(&self) {
        // A write to our own eventfd fails only if the kernel breaks its contract. The loop would then notice at its
        // next deadline or event.
        let _: io::Result<()> = self.waker.wake();
    }

    /// Wakes the loop if it sleeps: for work outside the queue, which the loop checks before and after it falls asleep.
    #[inline]
    pub(crate) fn wake_if_asleep(&self) {
        fence(Ordering::SeqCst);
        if self.is_asleep() {
            self.wake();
        }
    }

    /// Falls asleep, unless there was a notification or `has_work` then returns true. Only the loop calls this.
    #[inline]
    pub(crate) fn fall_asleep(&self, has_work: impl FnOnce() -> bool) -> bool {
        if !self.exchange(AWAKE, ASLEEP) {
            return false;
        }
        fence(Ordering::SeqCst);
        if !has_work() {
            return true;
        }
        // A notification that came meanwhile stays.
        self.exchange(ASLEEP, AWAKE);
        false
    }

    /// Ends the rest between two dispatches without checking the queue. Only the loop calls this.
    #[inline]
    pub(crate) fn end_rest(&self) {
        if self.is_asleep() {
            // A notification that came meanwhile stays.
            self.exchange(ASLEEP, AWAKE);
        }
    }

    #[inline]
    fn exchange(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    #[inline]
    pub(crate) fn is_asleep(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ASLEEP
    }

    /// Whether there was a notification that the loop has not looked at.
    #[inline]
    pub(crate) fn is_notified(&self) -> bool {
        self.state.load(Ordering::Relaxed) == NOTIFIED
    }

    /// Marks the loop as awake. Returns whether there was a notification. Only the loop calls this.
    #[inline]
    pub(crate) fn mark_awake(&self) -> bool {
        // Most dispatches find the loop awake, and need no exchange.
        self.state.load(Ordering::Relaxed) != AWAKE
            && self.state.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }

    /// Whether the loop is gone.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Moves the queued entries into `into`, which is empty.
    #[inline]
    pub(crate) fn take(&self, into: &mut Vec<Woken>) {
        std::mem::swap(&mut *lock(&self.queue), into);
    }

    /// Closes the queue: later pushes are dropped.
    pub(crate) fn close(&self) {
        self.gone.store(true, Ordering::Release);
        self.take(&mut Vec::new());
    }
}

/// A [`Notifier`] without a memory: each call makes the source ready anew.
///
/// It is for a source that itself keeps track of whether it notified the loop: a channel, for example, notes that
/// under its own lock, and saves the second note. [`Registrar::raw_notifier`](crate::Registrar::raw_notifier) makes
/// it.
#[derive(Clone)]
pub struct RawNotifier {
    interest: InterestToken,
    shared: Arc<Shared>,
}

impl RawNotifier {
    pub(crate) fn new(interest: InterestToken, shared: Arc<Shared>) -> Self {
        Self { interest, shared }
    }

    /// Makes the source ready: the loop calls its `process_events` in the current or the next round.
    pub fn notify(&self) {
        if self.queue_up() {
            self.interrupt();
        }
    }

    /// The first half of [`notify`](Self::notify): queues the source. `true` if the loop sleeps, and
    /// [`interrupt`](Self::interrupt) must be called.
    #[inline]
    #[must_use]
    pub fn queue_up(&self) -> bool {
        self.shared.ready().push(Woken::Interest(self.interest))
    }

    /// The second half of [`notify`](Self::notify): wakes the loop, by one system call.
    pub fn interrupt(&self) {
        self.shared.ready().interrupt();
    }

    /// Announces, from within `process_events` for this notifier, that the source has more events. The loop then
    /// calls it once more, as after [`PostAction::Again`](crate::PostAction::Again), even if a composite around it
    /// answers something else.
    #[inline]
    pub fn again(&self) {
        self.shared.set_again(true);
    }
}

impl fmt::Debug for RawNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawNotifier").field(&self.interest).finish()
    }
}

#[derive(Debug)]
pub(crate) struct NotifierState {
    raw: RawNotifier,
    /// The notifier is in the queue.
    queued: AtomicBool,
}

impl NotifierState {
    /// Notes that the notifier left the queue. Returns the interest that is ready.
    #[inline]
    pub(crate) fn dequeued(&self) -> InterestToken {
        // A swap, not a store: a thread that finds `queued` set does not push, and this swap makes visible to the loop
        // what that thread did before.
        self.queued.swap(false, Ordering::AcqRel);
        self.raw.interest
    }
}

/// Makes a source ready, from any thread.
///
/// A source obtains it from [`Registrar::notifier`](crate::Registrar::notifier), and gives clones of it to whatever
/// produces its events. It needs no fd, and notifying a loop that is awake takes no system call. Once the interest is
/// released, or the loop is gone, notifying does nothing.
///
/// # Examples
///
/// A source that fires as often as a counter says, which any thread increments:
///
/// ```
/// use std::{convert::Infallible, io, sync::{Arc, Mutex, atomic::{AtomicU32, Ordering}}};
/// use soloop::{EventSource, InterestToken, Notifier, PostAction, Readiness, Registrar};
///
/// struct Countdown {
///     left: Arc<AtomicU32>,
///     notifier: Option<(InterestToken, Notifier)>,
/// }
///
/// impl EventSource for Countdown {
///     type Event<'a> = u32;
///     type Ret = ();
///     type Error = Infallible;
///
///     fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         let (token, notifier) = registrar.notifier();
///         notifier.notify(); // there may be something already
///         self.notifier = Some((token, notifier));
///         Ok(())
///     }
///
///     fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
///         Ok(())
///     }
///
///     fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         if let Some((token, _)) = self.notifier.take() {
///             registrar.release(token);
///         }
///         Ok(())
///     }
///
///     fn process_events<F>(&mut self, _: Readiness, token: InterestToken, mut callback: F)
///         -> Result<PostAction, Infallible>
///     where
///         F: FnMut(u32),
///     {
///         let ours = self.notifier.as_ref().is_some_and(|(ours, _)| *ours == token);
///         let left = self.left.load(Ordering::Acquire);
///         if !ours || left == 0 {
///             return Ok(PostAction::Continue);
///         }
///         self.left.fetch_sub(1, Ordering::AcqRel);
///         callback(left);
///         Ok(PostAction::Again)
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Notifier(Arc<NotifierState>);

impl Notifier {
    pub(crate) fn new(raw: RawNotifier) -> Self {
        Self(Arc::new(NotifierState { raw, queued: AtomicBool::new(false) }))
    }

    /// Makes the source ready: the loop calls its `process_events` in the current or the next round. Further calls
    /// until then have no effect.
    #[inline]
    pub fn notify(&self) {
        let NotifierState { raw, queued } = &*self.0;
        if !queued.swap(true, Ordering::AcqRel)
            && raw.shared.ready().push(Woken::Notifier(Arc::clone(&self.0)))
        {
            raw.interrupt();
        }
    }

    /// [`RawNotifier::again`].
    #[cfg(all(unix, feature = "calloop"))]
    pub(crate) fn again(&self) {
        self.0.raw.again();
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notifier").field(&self.0.raw).finish()
    }
}

static_assertions::assert_eq_size!(Notifier, Option<Notifier>, usize);
