//! State that the loop shares with its handle, its remotes and other threads.

use std::io;
use std::sync::{Arc, Weak};

use crate::clock::{Clock, FollowsClock};
use crate::kernel::Alarm;
use crate::sync::{AtomicBool, AtomicI64, Ordering, fence};
use crate::threads::dropped_guards::DroppedGuard;
use crate::threads::ready::ReadyQueue;
use crate::threads::remote::Mailbox;

/// No deadline.
const NEVER: i64 = i64::MAX;
/// Before any deadline.
const LONG_AGO: i64 = i64::MIN;

#[derive(Debug)]
pub(crate) struct Shared {
    ready: ReadyQueue,
    /// The guards dropped since ops were last applied.
    dropped_guards: Mailbox<DroppedGuard>,
    alarm: Alarm,
    /// With a manual clock the alarm stays off.
    clock: Clock,
    stop: AtomicBool,
    /// A part of the running source has more, whatever the source answers.
    again: AtomicBool,
    /// Ops are being applied.
    applying: AtomicBool,
    /// The loop's fd is watched from outside: it has to become readable for any work.
    exported: AtomicBool,
    /// The last dispatch left work, or the handle was asked for something since.
    work: AtomicBool,
    /// The nearest deadline on the clock's scale.
    nearest: AtomicI64,
    /// The last reading of the clock, on its scale.
    latest: AtomicI64,
}

impl Shared {
    pub(crate) fn new(ready: ReadyQueue, alarm: Alarm, clock: Clock) -> Arc<Self> {
        let shared = Arc::new(Self {
            ready,
            dropped_guards: Mailbox::new(),
            alarm,
            clock,
            stop: AtomicBool::new(false),
            again: AtomicBool::new(false),
            applying: AtomicBool::new(false),
            exported: AtomicBool::new(false),
            work: AtomicBool::new(false),
            nearest: AtomicI64::new(NEVER),
            latest: AtomicI64::new(LONG_AGO),
        });
        let follower: Weak<Self> = Arc::downgrade(&shared);
        shared.clock.tell(follower);
        shared
    }

    /// Holds what other threads made ready, and whether the loop sleeps.
    #[inline]
    pub(crate) fn ready(&self) -> &ReadyQueue {
        &self.ready
    }

    #[inline]
    pub(crate) fn dropped_guards(&self) -> &Mailbox<DroppedGuard> {
        &self.dropped_guards
    }

    /// Adds `post` to a mailbox of the loop, and wakes the loop if it is asleep. `false` if the loop is gone.
    pub(crate) fn post<T>(&self, mailbox: &Mailbox<T>, post: T) -> bool {
        let posted = mailbox.add(post).is_ok();
        if posted {
            self.ready.wake_if_asleep();
        }
        posted
    }

    // The time.

    #[inline]
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Reads the clock, on the scale of deadlines.
    #[inline]
    pub(crate) fn read_clock(&self) -> i64 {
        let now = self.clock.now_stamp();
        self.latest.store(now, Ordering::Relaxed);
        now
    }

    /// The last result of [`read_clock`](Self::read_clock).
    #[inline]
    pub(crate) fn latest(&self) -> i64 {
        self.latest.load(Ordering::Relaxed)
    }

    // Stops.

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.ready.wake_if_asleep();
    }

    /// Whether a stop was requested.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Takes the request to stop: returns it, and clears it.
    #[inline]
    pub(crate) fn take_stop(&self) -> bool {
        self.is_stopping() && self.stop.swap(false, Ordering::AcqRel)
    }

    // Parts that have more.

    /// Notes whether the running source has more.
    #[inline]
    pub(crate) fn set_again(&self, again: bool) {
        self.again.store(again, Ordering::Relaxed);
    }

    /// Whether the running source has more.
    #[inline]
    pub(crate) fn is_again(&self) -> bool {
        self.again.load(Ordering::Relaxed)
    }

    // Ops.

    /// Notes whether ops are being applied.
    #[inline]
    pub(crate) fn set_applying(&self, applying: bool) {
        self.applying.store(applying, Ordering::Relaxed);
    }

    /// Whether ops are being applied: an op made the current request.
    #[inline]
    pub(crate) fn is_applying(&self) -> bool {
        self.applying.load(Ordering::Relaxed)
    }

    // Deadlines.

    /// The nearest deadline, on the clock's scale. While ops are applied it may be earlier than that.
    #[inline]
    pub(crate) fn nearest_deadline(&self) -> Option<i64> {
        let nearest = self.nearest.load(Ordering::Relaxed);
        (nearest != NEVER).then_some(nearest)
    }

    #[inline]
    pub(crate) fn set_nearest_deadline(&self, nearest: Option<i64>) {
        // The caller also queues an op, or is about to publish: it need not update the loop's fd here.
        self.nearest.store(nearest.unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// Adds a deadline at `at`, which may be the nearest.
    #[inline]
    pub(crate) fn lower_nearest_deadline(&self, at: i64) {
        self.nearest.store(self.nearest.load(Ordering::Relaxed).min(at), Ordering::Relaxed);
    }

    /// Whether the nearest deadline has passed and no alarm is set to it. An alarm that is set wakes the loop by
    /// itself.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.nearest_deadline().is_some_and(|at| {
            !self.alarm.is_set_to(at) && (at <= self.latest() || at <= self.read_clock())
        })
    }

    /// What makes the loop's fd readable at a deadline.
    #[inline]
    pub(crate) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    // The loop's fd, where it is watched from outside.

    /// Whether the loop is between two dispatches and its fd is watched from outside.
    #[inline]
    fn is_resting(&self) -> bool {
        self.is_exported() && self.ready.is_asleep()
    }

    #[inline]
    pub(crate) fn is_exported(&self) -> bool {
        self.exported.load(Ordering::Relaxed)
    }

    /// Starts the watch of the loop's fd from outside. `has_work`: what the loop knows of without its handle.
    #[cfg_attr(mio_unsupported_force_poll_poll, expect(dead_code))]
    pub(crate) fn export(&self, has_work: impl Fn() -> bool) {
        if !self.exported.swap(true, Ordering::Relaxed) {
            let work = self.work.load(Ordering::Relaxed) || self.is_due() || has_work();
            self.publish_readiness(work, has_work);
        }
    }

    /// Assumes work: the dispatch ended by a panic or without its handle, and can't tell what it leaves.
    pub(crate) fn publish_work(&self) {
        self.publish_readiness(true, || true);
    }

    /// Notes the first request to the handle since the loop last looked.
    #[inline]
    pub(crate) fn note_work(&self) {
        self.work.store(true, Ordering::Relaxed);
        if self.is_resting() {
            self.set_fd_readable(true);
        }
    }

    /// Ends a dispatch of a loop whose fd nobody watches yet. `work`: it leaves work that nothing else shows.
    #[inline]
    pub(crate) fn set_work(&self, work: bool) {
        self.work.store(work, Ordering::Relaxed);
    }

    /// Ends a dispatch of a loop whose fd is watched. `work`: it leaves work; `look` checks once more.
    pub(crate) fn publish_readiness(&self, work: bool, look: impl FnOnce() -> bool) {
        self.set_work(work);
        let work = work || !self.ready.fall_asleep(look);
        if work {
            // The alarm may be set already, and have gone off unseen: setting it again makes an edge.
            self.alarm.fired();
        }
        self.set_fd_readable(work);
    }

    /// Makes the loop's fd readable now or at the nearest deadline, and not before. It uses the alarm for both, because
    /// an alarm, unlike the waker, can be taken back. Setting it again makes an edge.
    fn set_fd_readable(&self, now: bool) {
        let at = if now {
            Some(LONG_AGO)
        } else {
            self.nearest_deadline().filter(|_| !self.clock.is_manual())
        };
        if Alarm::PRECISE {
            // An error can't be reported here: the next dispatch tries again, and reports it.
            let _: io::Result<()> = self.alarm.set(at, || self.clock.now_stamp());
        } else if now {
            self.ready.interrupt();
        }
    }
}

impl FollowsClock for Shared {
    fn time_passed(&self) {
        // Fence after storing the time: the loop falls asleep, then reads the time once more.
        fence(Ordering::SeqCst);
        if self.is_resting() && self.is_due() {
            self.ready.wake();
        }
    }
}
