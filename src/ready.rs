//! The ready queue: how other threads, and sources without an fd, make a loop call back.
//!
//! All notifiers of a loop share one queue and one `mio::Waker`. The protocol is that of a thread
//! parker, one atomic with three states:
//!
//! * `AWAKE`: the loop runs, and looks at the queue before it waits;
//! * `NOTIFIED`: something was queued (or a wake-up asked for) that the loop has not looked at;
//! * `ASLEEP`: the loop waits in the kernel, or rests between two dispatches while its fd is watched
//!   from outside. Only the one who takes it out of this state pays for the system call.
//!
//! No wake-up is lost: a notifier queues, then swaps in `NOTIFIED`; the loop swaps in `AWAKE`, then
//! empties the queue, and falls asleep only by a compare-and-exchange from `AWAKE`. Either the
//! notifier's swap comes first, then the loop does not fall asleep; or the loop's exchange does, then
//! the notifier finds `ASLEEP` and wakes it. The swaps acquire and release, so that whatever a thread
//! did before it notified is seen by the callback.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};

use crate::shared::Shared;
use crate::sync::{AtomicBool, AtomicU8, Mutex, MutexGuard, Ordering, Waker};
use crate::token::InterestKey;

#[cfg(all(loom, test))]
mod loom;

/// What is in the ready queue.
#[derive(Debug)]
pub(crate) enum Woken {
    Interest(InterestKey),
    Notifier(Arc<NotifierState>),
    /// Something was posted to the loop's mailbox.
    Mail,
}

const AWAKE: u8 = 0;
const NOTIFIED: u8 = 1;
const ASLEEP: u8 = 2;

#[derive(Debug)]
pub(crate) struct Ready {
    state: AtomicU8,
    queue: Mutex<Queue>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Queue {
    woken: Vec<Woken>,
    closed: bool,
}

impl Ready {
    #[allow(clippy::useless_conversion, reason = "under loom it is one")]
    pub(crate) fn new(waker: mio::Waker) -> Self {
        let queue = Mutex::new(Queue::default());
        Self { state: AtomicU8::new(AWAKE), queue, waker: waker.into() }
    }

    /// Queues `woken`, which is dropped if the loop is gone; whether the loop sleeps, and has to be interrupted to
    /// look at the queue.
    #[inline]
    #[must_use]
    pub(crate) fn push(&self, woken: Woken) -> bool {
        let mut queue = self.lock();
        if queue.closed {
            return false;
        }
        queue.woken.push(woken);
        drop(queue);
        // If this finds `NOTIFIED`, the loop empties the queue after this push: had it done so before,
        // the lock would have made its `AWAKE` visible here.
        self.state.load(Ordering::Relaxed) != NOTIFIED && self.end_sleep()
    }

    /// Makes the current wait of the loop end, or the next one not block.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.end_sleep() {
            self.interrupt();
        }
    }

    /// Takes the loop out of its sleep; whether it was asleep.
    #[inline]
    fn end_sleep(&self) -> bool {
        self.state.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP
    }

    /// Makes the loop's fd readable.
    pub(crate) fn interrupt(&self) {
        // An eventfd of our own that can't be written to would be a broken invariant of the kernel's;
        // the loop would then notice at its next deadline or event.
        let _: io::Result<()> = self.waker.wake();
    }

    /// Falls asleep, unless there was a notification. Called by the loop alone.
    #[inline]
    pub(crate) fn try_sleep(&self) -> bool {
        self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    #[inline]
    pub(crate) fn is_asleep(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ASLEEP
    }

    /// Whether there was no notification since the last [`rouse`](Self::rouse), nor any sleep.
    #[inline]
    pub(crate) fn is_awake(&self) -> bool {
        self.state.load(Ordering::Relaxed) == AWAKE
    }

    /// Is awake from here on; whether there was a notification. Called by the loop alone.
    #[inline]
    pub(crate) fn rouse(&self) -> bool {
        self.state.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }

    /// Takes what is queued, in exchange for an empty vector.
    #[inline]
    pub(crate) fn take(&self, into: &mut Vec<Woken>) {
        std::mem::swap(&mut self.lock().woken, into);
    }

    /// From here on everything that is pushed is dropped.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        let woken = std::mem::take(&mut queue.woken);
        drop(queue);
        drop(woken);
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes an interest ready, each time anew: for sources that know by themselves whether the loop is going to look.
#[derive(Clone)]
pub(crate) struct Doorbell {
    interest: InterestKey,
    shared: Arc<Shared>,
}

impl Doorbell {
    pub(crate) fn new(interest: InterestKey, shared: Arc<Shared>) -> Self {
        Self { interest, shared }
    }

    pub(crate) fn ring(&self) {
        if self.queue_up() {
            self.interrupt();
        }
    }

    /// The first half of [`ring`](Self::ring): whether the loop sleeps, and is to be interrupted.
    #[inline]
    #[must_use]
    pub(crate) fn queue_up(&self) -> bool {
        self.shared.ready.push(Woken::Interest(self.interest))
    }

    /// The second half of [`ring`](Self::ring).
    pub(crate) fn interrupt(&self) {
        self.shared.ready.interrupt();
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Doorbell").field(&self.interest).finish()
    }
}

#[derive(Debug)]
pub(crate) struct NotifierState {
    doorbell: Doorbell,
    /// Whether it is in the queue.
    queued: AtomicBool,
}

impl NotifierState {
    /// Takes note that it left the queue: the interest that is ready.
    #[inline]
    pub(crate) fn dequeued(&self) -> InterestKey {
        // Not a store: whoever finds it queued does not push, and this swap is how the loop then sees what
        // it did before.
        self.queued.swap(false, Ordering::AcqRel);
        self.doorbell.interest
    }
}

/// Makes a source ready, from any thread.
///
/// A source obtains it from [`Registrar::notifier`](crate::Registrar::notifier) and gives clones of it
/// to whoever produces its events. It costs no fd; notifying a loop that is awake takes no system call.
/// Once the interest is released, or the loop is gone, notifying does nothing.
///
/// # Examples
///
/// A source that fires as often as a counter says, from anywhere:
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
    pub(crate) fn new(interest: InterestKey, shared: Arc<Shared>) -> Self {
        let doorbell = Doorbell::new(interest, shared);
        Self(Arc::new(NotifierState { doorbell, queued: AtomicBool::new(false) }))
    }

    /// Makes the source ready: its `process_events` is called in the current or the next round. Calls
    /// until then have no further effect.
    #[inline]
    pub fn notify(&self) {
        let NotifierState { doorbell, queued } = &*self.0;
        if !queued.swap(true, Ordering::AcqRel)
            && doorbell.shared.ready.push(Woken::Notifier(Arc::clone(&self.0)))
        {
            doorbell.interrupt();
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notifier").field(&self.0.doorbell).finish()
    }
}

assert_traits!(Notifier: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, fmt::Debug; not Copy);
static_assertions::assert_eq_size!(Notifier, Option<Notifier>, usize);
