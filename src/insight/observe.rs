//! Observers, and the reports that they receive.
//!
//! The loop's part is in `instrumentation.rs`; ready-made observers are in `observe/`. Without observers, and with
//! [`stats`](crate::EventLoop::stats) off, a callback costs one more branch, and the loop reads no clock.

mod chrome;
mod histogram;
mod slow;
mod slowest;
#[cfg(feature = "tracing")]
mod spans;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{Mutex, lock};
use crate::{AnyToken, Error, ErrorAction, Priority};

pub use chrome::ChromeTrace;
pub use histogram::{Histogram, Histograms};
pub use slow::slow_callbacks;
pub use slowest::{SlowestCallback, SlowestCallbacks};
#[cfg(feature = "tracing")]
pub use spans::TracingSpans;

/// The kind of a callback.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum CallbackKind {
    /// A source that processes one event, and its callback.
    Source,
    /// An [idle](crate::LoopHandle::insert_idle).
    Idle,
    /// A closure given to [`visit`](crate::LoopHandle::visit), [`update`](crate::LoopHandle::update) or
    /// [`take`](crate::LoopHandle::take).
    Op,
    /// A closure given to [`Remote::post`](crate::Remote::post) or [`LocalRemote::post`](crate::LocalRemote::post).
    Remote,
    /// A closure given to [`inspect`](crate::LoopHandle::inspect).
    Inspect,
}

impl CallbackKind {
    /// The name in lower case: `source`, `idle`, `op`, `remote`, `inspect`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Idle => "idle",
            Self::Op => "op",
            Self::Remote => "remote",
            Self::Inspect => "inspect",
        }
    }
}

impl fmt::Display for CallbackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A callback that is about to run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallbackStart<'a> {
    /// The source; `Some` for [`CallbackKind::Source`] and [`CallbackKind::Op`].
    pub token: Option<AnyToken>,
    /// The name in the source's [`SourceOptions`](crate::SourceOptions), or else its type's name without
    /// paths, or else the kind.
    pub name: &'a str,
    /// What runs.
    pub kind: CallbackKind,
    /// The source's priority.
    pub priority: Priority,
    /// How late a deadline is delivered, on the loop's clock; `None` for any other event.
    pub lateness: Option<Duration>,
}

/// A callback that ran.
///
/// Times are read from the system's monotonic clock, even if the loop has a [manual](crate::Clock::manual) one; only
/// `lateness` is on the loop's clock. A callback that panics is not reported.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallbackReport<'a> {
    /// The source; `Some` for [`CallbackKind::Source`] and [`CallbackKind::Op`].
    pub token: Option<AnyToken>,
    /// The name in the source's [`SourceOptions`](crate::SourceOptions), or else its type's name without
    /// paths, or else the kind.
    pub name: &'a str,
    /// What ran.
    pub kind: CallbackKind,
    /// How long it took.
    pub duration: Duration,
    /// The source's priority.
    pub priority: Priority,
    /// When it was called.
    pub started: Instant,
    /// How late a deadline was delivered, on the loop's clock; `None` for any other event.
    pub lateness: Option<Duration>,
    /// Whether this is the first callback after a wake-up. Only that one counts as the reason of the wake-up, even if
    /// others were ready, too.
    pub woke: bool,
}

/// A wait that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WaitReport {
    /// When it began.
    pub started: Instant,
    /// How long it took, on the system's monotonic clock.
    pub duration: Duration,
    /// How many fds and wake-ups the wait found; timers do not count.
    pub events: usize,
    /// Whether the loop woke up, as [`Stats::wakeups`](crate::Stats::wakeups) counts.
    pub woke: bool,
}

/// A dispatch that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RoundReport {
    /// Its number: the loop's first dispatch is 1.
    pub round: u64,
    /// When it began.
    pub started: Instant,
    /// How long it took, including its wait.
    pub duration: Duration,
    /// How long its wait took.
    pub asleep: Duration,
}

/// Sees everything that a loop does; [`EventLoop::set_observer`](crate::EventLoop::set_observer) installs it.
///
/// Every method does nothing unless it is implemented. An observer runs on the loop's thread, between the callbacks;
/// its own time is not part of any report. If a callback or a wait panics, its end is not reported.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::time::Duration;
/// use soloop::{CallbackReport, EventLoop, Observer, TimeoutAction, Timer};
///
/// #[derive(Default)]
/// struct Lateness {
///     worst: Duration,
/// }
///
/// impl Observer for Lateness {
///     fn callback_end(&mut self, report: &CallbackReport<'_>) {
///         self.worst = self.worst.max(report.lateness.unwrap_or_default());
///     }
/// }
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle };
/// event_loop.set_observer(Lateness::default());
/// state.handle.insert_source(Timer::immediate(), |_, _| TimeoutAction::Drop)?;
/// event_loop.dispatch(None, &mut state)?;
/// let lateness = event_loop.observer::<Lateness>().unwrap();
/// assert!(lateness.worst > Duration::ZERO);
/// # Ok::<(), soloop::Error>(())
/// ```
pub trait Observer {
    /// A dispatch begins; `round` is its number.
    fn round_begin(&mut self, round: u64) {
        let _ = round;
    }

    /// A dispatch ended, with or without an error.
    fn round_end(&mut self, report: &RoundReport) {
        let _ = report;
    }

    /// The loop is about to wait for `timeout` at most; it may not have to.
    fn wait_begin(&mut self, timeout: Option<Duration>) {
        let _ = timeout;
    }

    /// A wait ended.
    fn wait_end(&mut self, report: &WaitReport) {
        let _ = report;
    }

    /// A callback is about to run.
    fn callback_begin(&mut self, start: &CallbackStart<'_>) {
        let _ = start;
    }

    /// A callback ran.
    fn callback_end(&mut self, report: &CallbackReport<'_>) {
        let _ = report;
    }

    /// A source failed, or left an [orphan](Error::Orphan), and its own policy or the loop's decided on `action`.
    /// Called for every error, whatever the action.
    fn error(&mut self, error: &Error, action: ErrorAction) {
        let _ = (error, action);
    }
}

/// The methods of an observer that passes everything on: `$each` applies `$see` to each observer that it passes it to.
macro_rules! pass_on {
    (|$self:ident, $see:ident| $each:expr) => {
        fn round_begin(&mut self, round: u64) {
            let $self = self;
            let $see = |observer: &mut dyn Observer| observer.round_begin(round);
            $each
        }
        fn round_end(&mut self, report: &RoundReport) {
            let $self = self;
            let $see = |observer: &mut dyn Observer| observer.round_end(report);
            $each
        }
        fn wait_begin(&mut self, timeout: Option<Duration>) {
            let $self = self;
            let $see = |observer: &mut dyn Observer| observer.wait_begin(timeout);
            $each
        }
        fn wait_end(&mut self, report: &WaitReport) {
            let $self = self;
            let $see = |observer: &mut dyn Observer| observer.wait_end(report);
            $each
        }
        fn callback_begin(&mut self, start: &CallbackStart<'_>) {
            let $self = self;
            let $see = |observer: &mut dyn Observer| observer.callback_begin(start);
            $each
        }
        fn callback_end(&mut self, report: &CallbackReport<'_>) {
            let $self = self;
            let $see = |observer: &mut dyn Observer| observer.callback_end(report);
            $each
        }
        fn error(&mut self, error: &Error, action: ErrorAction) {
            let $self = self;
            let $see = |observer: &mut dyn Observer| observer.error(error, action);
            $each
        }
    };
}

/// Both observers see everything, the first one first.
impl<A: Observer, B: Observer> Observer for (A, B) {
    pass_on!(|both, see| {
        see(&mut both.0);
        see(&mut both.1);
    });
}

/// An optional observer, such as a trace that a command line turns on.
impl<O: Observer> Observer for Option<O> {
    pass_on!(|optional, see| if let Some(observer) = optional {
        see(observer);
    });
}

/// An observer that other threads can read. (Callbacks use [`inspect`](crate::LoopHandle::inspect).) The lock is held
/// only while the observer runs, never during a callback.
impl<O: Observer> Observer for Arc<Mutex<O>> {
    pass_on!(|shared, see| see(&mut *lock(shared)));
}
