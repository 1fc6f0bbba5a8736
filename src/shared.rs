//! What the loop shares with its handle, its remotes and other threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::clock::Clock;
use crate::poller::Alarm;
use crate::ready::Ready;

/// No deadline.
const NEVER: i64 = i64::MAX;
/// Before any deadline.
const LONG_AGO: i64 = i64::MIN;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ready: Ready,
    pub(crate) alarm: Alarm,
    /// The alarm stays off if it is a manual one.
    clock: Clock,
    stop: AtomicBool,
    /// The loop's fd is watched from outside: it has to tell of everything there is to do.
    exported: AtomicBool,
    /// The handle has ops or idles queued.
    work: AtomicBool,
    /// The nearest deadline on the clock's scale.
    nearest: AtomicI64,
}

impl Shared {
    pub(crate) fn new(ready: Ready, alarm: Alarm, clock: &Clock) -> Arc<Self> {
        let shared = Arc::new(Self {
            ready,
            alarm,
            clock: clock.clone(),
            stop: AtomicBool::new(false),
            exported: AtomicBool::new(false),
            work: AtomicBool::new(false),
            nearest: AtomicI64::new(NEVER),
        });
        clock.tell(&shared);
        shared
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.ready.wake();
    }

    /// Whether a stop was asked for.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether to stop; forgets it.
    #[inline]
    pub(crate) fn take_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) && self.stop.swap(false, Ordering::AcqRel)
    }

    /// Notes whether the handle has ops or idles queued.
    #[inline]
    pub(crate) fn set_work(&self, work: bool) {
        self.work.store(work, Ordering::Relaxed);
        if work && self.rests() {
            self.tell(true);
        }
    }

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
        self.nearest.store(nearest, Ordering::Relaxed);
        if self.rests() {
            self.tell(self.work.load(Ordering::Relaxed) || self.is_due());
        }
    }

    /// Whether the loop is between two dispatches and its fd is watched from outside.
    #[inline]
    fn rests(&self) -> bool {
        self.exported.load(Ordering::Relaxed) && self.ready.is_asleep()
    }

    #[inline]
    pub(crate) fn is_exported(&self) -> bool {
        self.exported.load(Ordering::Relaxed)
    }

    /// The loop's fd is watched from outside from here on. `backlog`: there are events to deliver.
    pub(crate) fn export(&self, backlog: bool) {
        if !self.exported.swap(true, Ordering::Relaxed) {
            self.rest(backlog);
        }
    }

    /// Ends a dispatch of a loop whose fd is watched from outside: readable if there is more to do.
    pub(crate) fn rest(&self, backlog: bool) {
        let more = backlog || self.work.load(Ordering::Relaxed) || self.is_due();
        self.tell(more || !self.ready.try_sleep());
    }

    /// Makes the loop's fd readable now or at the nearest deadline, and not before. The alarm does both,
    /// since unlike the waker it can be taken back.
    fn tell(&self, now: bool) {
        let nearest = self.nearest.load(Ordering::Relaxed);
        let at = if now {
            Some(LONG_AGO)
        } else {
            (nearest != NEVER && !self.clock.is_manual()).then_some(nearest)
        };
        if Alarm::PRECISE {
            // There is nobody to tell of an error here: the next dispatch tries again, and reports it.
            let _: io::Result<()> = self.alarm.set(at, || self.clock.now_stamp());
        } else if now {
            self.ready.interrupt();
        }
    }

    /// Whether a manual clock has reached the nearest deadline.
    fn is_due(&self) -> bool {
        self.clock.is_manual() && self.nearest.load(Ordering::Relaxed) <= self.clock.now_stamp()
    }

    /// A manual clock moved.
    pub(crate) fn time_passed(&self) {
        if self.rests() && self.is_due() {
            self.ready.wake();
        }
    }
}

/// Stops or wakes a loop, from any thread.
///
/// Obtained from [`LoopHandle::signal`](crate::LoopHandle::signal). Once the loop is gone its methods
/// do nothing.
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

    /// Makes [`EventLoop::run`](crate::EventLoop::run) return after the current dispatch, or at once if
    /// it is not running yet. Ends the current wait.
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
