//! What the loop shares with its handle, its remotes and other threads.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::clock::Clock;
use crate::dropped_guards::DroppedGuards;
use crate::poller::Alarm;
use crate::ready::Ready;
use crate::sync::{AtomicBool, AtomicI64, Ordering, fence};

/// No deadline.
const NEVER: i64 = i64::MAX;
/// Before any deadline.
const LONG_AGO: i64 = i64::MIN;

#[derive(Debug)]
pub(crate) struct Shared {
    ready: Ready,
    dropped_guards: DroppedGuards,
    alarm: Alarm,
    /// The alarm stays off if it is a manual one.
    clock: Clock,
    stop: AtomicBool,
    /// A part of the source that runs has more, whatever the source answers.
    again: AtomicBool,
    /// Ops are being applied.
    applying: AtomicBool,
    /// The loop's fd is watched from outside: it has to tell of everything there is to do.
    exported: AtomicBool,
    /// The last dispatch left something to do, or something was asked of the handle since.
    work: AtomicBool,
    /// The nearest deadline on the clock's scale.
    nearest: AtomicI64,
    /// The time when the clock was last read, on its scale: it has passed.
    latest: AtomicI64,
}

impl Shared {
    pub(crate) fn new(ready: Ready, alarm: Alarm, clock: &Clock) -> Arc<Self> {
        let shared = Arc::new(Self {
            ready,
            dropped_guards: DroppedGuards::default(),
            alarm,
            clock: clock.clone(),
            stop: AtomicBool::new(false),
            again: AtomicBool::new(false),
            applying: AtomicBool::new(false),
            exported: AtomicBool::new(false),
            work: AtomicBool::new(false),
            nearest: AtomicI64::new(NEVER),
            latest: AtomicI64::new(LONG_AGO),
        });
        clock.tell(&shared);
        shared
    }

    /// What other threads made ready, and whether the loop sleeps.
    #[inline]
    pub(crate) fn ready(&self) -> &Ready {
        &self.ready
    }

    #[inline]
    pub(crate) fn dropped_guards(&self) -> &DroppedGuards {
        &self.dropped_guards
    }

    // The time.

    /// The time on the loop's clock.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The time on the scale of deadlines.
    #[inline]
    pub(crate) fn read_clock(&self) -> i64 {
        let now = self.clock.now_stamp();
        self.latest.store(now, Ordering::Relaxed);
        now
    }

    /// What [`read_clock`](Self::read_clock) said last.
    #[inline]
    pub(crate) fn latest(&self) -> i64 {
        self.latest.load(Ordering::Relaxed)
    }

    // Stops.

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.ready.wake_if_asleep();
    }

    /// Whether a stop was asked for.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether to stop; forgets it.
    #[inline]
    pub(crate) fn take_stop(&self) -> bool {
        self.is_stopping() && self.stop.swap(false, Ordering::AcqRel)
    }

    // Parts that have more.

    /// Notes that what is being processed has more.
    #[inline]
    pub(crate) fn set_again(&self) {
        self.again.store(true, Ordering::Relaxed);
    }

    /// Forgets it: what is processed from here on is another event.
    #[inline]
    pub(crate) fn forget_again(&self) {
        self.again.store(false, Ordering::Relaxed);
    }

    /// Whether what was processed has more.
    #[inline]
    pub(crate) fn is_again(&self) -> bool {
        self.again.load(Ordering::Relaxed)
    }

    // Ops.

    /// Notes that ops are being applied, or no more.
    #[inline]
    pub(crate) fn set_applying(&self, applying: bool) {
        self.applying.store(applying, Ordering::Relaxed);
    }

    /// Whether ops are being applied, and what is asked for now is asked for by one.
    #[inline]
    pub(crate) fn is_applying(&self) -> bool {
        self.applying.load(Ordering::Relaxed)
    }

    // Deadlines.

    /// The nearest deadline, on the clock's scale; while ops are applied, that or a time before it.
    #[inline]
    pub(crate) fn nearest_deadline(&self) -> Option<i64> {
        let nearest = self.nearest.load(Ordering::Relaxed);
        (nearest != NEVER).then_some(nearest)
    }

    #[inline]
    pub(crate) fn set_nearest_deadline(&self, nearest: Option<i64>) {
        let nearest = nearest.unwrap_or(NEVER);
        if self.nearest.load(Ordering::Relaxed) == nearest {
            return;
        }
        // Whoever changes it has an op queued as well, or is about to publish: the loop's fd needs no word of it here.
        self.nearest.store(nearest, Ordering::Relaxed);
    }

    /// There is a deadline at `at`, which may be the nearest.
    #[inline]
    pub(crate) fn lower_nearest_deadline(&self, at: i64) {
        if at < self.nearest.load(Ordering::Relaxed) {
            self.nearest.store(at, Ordering::Relaxed);
        }
    }

    /// Whether the nearest deadline has passed and nothing tells of it: an alarm that is set to it does.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.nearest_deadline().is_some_and(|at| {
            !self.alarm.is_set_to(at) && (at <= self.latest() || at <= self.read_clock())
        })
    }

    /// Has the loop's fd become readable at `at`, a deadline in the future.
    pub(crate) fn set_alarm(&self, at: i64, now: i64) -> io::Result<()> {
        self.alarm.set(Some(at), || now)
    }

    /// Whether the loop's fd becomes readable at `at`.
    #[inline]
    pub(crate) fn is_alarm_set_to(&self, at: i64) -> bool {
        self.alarm.is_set_to(at)
    }

    /// Notes that the alarm went off.
    #[inline]
    pub(crate) fn alarm_fired(&self) {
        self.alarm.fired();
    }

    /// A manual clock moved.
    pub(crate) fn time_passed(&self) {
        // After the time: the loop falls asleep, then looks at the time once more.
        fence(Ordering::SeqCst);
        if self.is_resting() && self.is_due() {
            self.ready.wake();
        }
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

    /// The loop's fd is watched from outside from here on. `has_work`: as far as the loop knows without its handle.
    #[cfg_attr(mio_unsupported_force_poll_poll, expect(dead_code))]
    pub(crate) fn export(&self, has_work: impl Fn() -> bool) {
        if !self.exported.swap(true, Ordering::Relaxed) {
            let work = self.work.load(Ordering::Relaxed) || self.is_due() || has_work();
            self.publish_readiness(work, has_work);
        }
    }

    /// A dispatch ends that can't tell what it leaves: by a panic, or without its handle. There may be anything.
    pub(crate) fn publish_work(&self) {
        self.publish_readiness(true, || true);
    }

    /// Something was asked of the handle for the first time since the loop last looked.
    #[inline]
    pub(crate) fn note_work(&self) {
        self.work.store(true, Ordering::Relaxed);
        if self.is_resting() {
            self.set_fd_readable(true);
        }
    }

    /// Ends a dispatch of a loop whose fd nobody watches yet: whether it leaves work, as far as it is not seen otherwise.
    #[inline]
    pub(crate) fn set_work(&self, work: bool) {
        self.work.store(work, Ordering::Relaxed);
    }

    /// Ends a dispatch of a loop whose fd is watched, which leaves `work` or not. `look` asks for it once more.
    pub(crate) fn publish_readiness(&self, work: bool, look: impl FnOnce() -> bool) {
        self.work.store(work, Ordering::Relaxed);
        let work = work || !self.ready.fall_asleep(look);
        if work {
            // It may be set already, and have gone off unseen: set again, it makes an edge.
            self.alarm.fired();
        }
        self.set_fd_readable(work);
    }

    /// Makes the loop's fd readable now or at the nearest deadline, and not before. The alarm does both, since unlike
    /// the waker it can be taken back. That it is set anew makes an edge.
    fn set_fd_readable(&self, now: bool) {
        let at = match self.nearest_deadline() {
            _ if now => Some(LONG_AGO),
            nearest => nearest.filter(|_| !self.clock.is_manual()),
        };
        if Alarm::PRECISE {
            // There is nobody to tell of an error here: the next dispatch tries again, and reports it.
            let _: io::Result<()> = self.alarm.set(at, || self.clock.now_stamp());
        } else if now {
            self.ready.interrupt();
        }
    }
}

/// Stops or wakes a loop, from any thread.
///
/// [`LoopHandle::signal`](crate::LoopHandle::signal) makes it. Once the loop is gone its methods do nothing. To run
/// code on the loop's thread, use a [`Remote`](crate::Remote).
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// let (mut event_loop, handle) = soloop::EventLoop::new()?;
/// let signal = handle.signal();
/// let mut state = State { handle };
/// let thread = std::thread::spawn(move || signal.stop());
/// event_loop.run(None, &mut state, |_| ())?; // until the thread stops it
/// thread.join().unwrap();
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LoopSignal {
    shared: Arc<Shared>,
}

impl LoopSignal {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Makes [`EventLoop::run`](crate::EventLoop::run) (or `block_on`) return after the current dispatch, or at once
    /// if it begins later. Ends the current wait. A stop ends one `run` and is then forgotten, as with
    /// [`LoopHandle::stop`](crate::LoopHandle::stop).
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Ends the current wait, or keeps the next one from blocking.
    pub fn wakeup(&self) {
        self.shared.ready.wake();
    }
}

assert_traits!(LoopSignal: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, std::fmt::Debug; not Copy);
static_assertions::assert_eq_size!(LoopSignal, usize);
