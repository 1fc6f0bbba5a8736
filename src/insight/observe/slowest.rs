//! The few callbacks that took the longest.

use std::fmt;
use std::time::{Duration, Instant};

use crate::insight::stats::write_aligned;
use crate::{CallbackKind, CallbackReport, Observer};

/// An [`Observer`] that remembers the callbacks that took longest. `Display` renders a table, the slowest first.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::thread::sleep;
/// use std::time::Duration;
/// use soloop::{EventLoop, SlowestCallbacks, SourceOptions, TimeoutAction, Timer};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle };
/// event_loop.set_observer(SlowestCallbacks::new(10));
/// let options = SourceOptions::new().name("frame");
/// state.handle.insert_source_with(options, Timer::immediate(), |_, _| {
///     sleep(Duration::from_millis(2));
///     TimeoutAction::Drop
/// })?;
/// state.handle.insert_idle(|_| ());
/// event_loop.dispatch(None, &mut state)?;
///
/// let slowest = event_loop.observer::<SlowestCallbacks>().unwrap();
/// assert_eq!(slowest.iter().next().unwrap().name, "frame");
/// println!("{slowest}"); // name   kind    took  at
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SlowestCallbacks {
    count: usize,
    since: Instant,
    /// Slowest first.
    callbacks: Vec<SlowestCallback>,
}

/// One of the [`SlowestCallbacks`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlowestCallback {
    /// The name in the source's [`SourceOptions`](crate::SourceOptions), or else its type's name, or else the kind.
    pub name: String,
    /// What ran.
    pub kind: CallbackKind,
    /// How long it took.
    pub duration: Duration,
    /// When it was called.
    pub started: Instant,
    /// How late a deadline was delivered, on the loop's clock; `None` for any other event.
    pub lateness: Option<Duration>,
}

impl SlowestCallbacks {
    /// Makes an observer that remembers the `count` slowest callbacks, of those that run from now on.
    pub fn new(count: usize) -> Self {
        Self { count, since: Instant::now(), callbacks: Vec::new() }
    }

    /// The remembered callbacks, the slowest first; of equally slow ones the earliest first.
    pub fn iter(&self) -> impl Iterator<Item = &SlowestCallback> {
        self.callbacks.iter()
    }

    /// Forgets all callbacks, and starts over.
    pub fn clear(&mut self) {
        *self = Self::new(self.count);
    }
}

impl Observer for SlowestCallbacks {
    fn callback_end(&mut self, report: &CallbackReport<'_>) {
        let rank = self.callbacks.partition_point(|other| other.duration >= report.duration);
        if rank >= self.count {
            return;
        }
        self.callbacks.truncate(self.count - 1);
        let slow = SlowestCallback {
            name: report.name.to_owned(),
            kind: report.kind,
            duration: report.duration,
            started: report.started,
            lateness: report.lateness,
        };
        self.callbacks.insert(rank, slow);
    }
}

/// The table gives the time of a callback in seconds since [`SlowestCallbacks::new`].
impl fmt::Display for SlowestCallbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = ["name", "kind", "took", "at", "late by"];
        let lines = self.callbacks.iter().map(|slow| {
            let at = slow.started.saturating_duration_since(self.since);
            [
                slow.name.clone(),
                slow.kind.to_string(),
                format!("{:.1?}", slow.duration),
                format!("{:.3}s", at.as_secs_f64()),
                slow.lateness.map(|late| format!("{late:.1?}")).unwrap_or_default(),
            ]
        });
        write_aligned(f, titles, lines)
    }
}
