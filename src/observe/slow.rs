//! Reports of callbacks that took too long.

use std::fmt;
use std::time::{Duration, Instant};

use crate::{CallbackReport, Observer};

/// An observer for [`EventLoop::observe`](crate::EventLoop::observe) that hands on the reports of callbacks
/// that took `threshold` or longer. [`SlowCallbacks`] also limits their rate.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::time::Duration;
///
/// let (mut event_loop, handle) = soloop::EventLoop::<State>::new()?;
/// event_loop.observe(soloop::slow_callbacks(Duration::from_millis(4), |report| {
///     eprintln!("`{}` took {:?}: the frame is late", report.name, report.duration);
/// }));
/// # Ok::<(), soloop::Error>(())
/// ```
pub fn slow_callbacks(
    threshold: Duration,
    mut report: impl FnMut(&CallbackReport<'_>) + 'static,
) -> impl FnMut(&CallbackReport<'_>) + 'static {
    move |callback: &CallbackReport<'_>| {
        if callback.duration >= threshold {
            report(callback);
        }
    }
}

/// An [`Observer`] that reports slow callbacks, at a limited rate: a loop that is late as it is should not
/// spend its time on saying so.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::time::Duration;
/// use soloop::SlowCallbacks;
///
/// let (mut event_loop, handle) = soloop::EventLoop::<State>::new()?;
/// let slow = SlowCallbacks::new(Duration::from_millis(4), |report, unreported| {
///     eprintln!("`{}` took {:?} ({unreported} more since the last report)", report.name, report.duration);
/// });
/// event_loop.set_observer(slow.at_most(1, Duration::from_secs(1)));
/// # Ok::<(), soloop::Error>(())
/// ```
pub struct SlowCallbacks<F> {
    threshold: Duration,
    report: F,
    /// How many reports, in how long.
    limit: u32,
    window: Duration,
    /// When the current window began, and how many reports were made in it.
    current: Option<(Instant, u32)>,
    unreported: u64,
}

impl<F: FnMut(&CallbackReport<'_>, u64)> SlowCallbacks<F> {
    /// Calls `report` for callbacks that took `threshold` or longer, with the number of those that were not
    /// reported since the last report: ten a second at most are.
    pub fn new(threshold: Duration, report: F) -> Self {
        let window = Duration::from_secs(1);
        Self { threshold, report, limit: 10, window, current: None, unreported: 0 }
    }

    /// Reports `limit` callbacks at most in each `window`, which begins with a report.
    pub fn at_most(mut self, limit: u32, window: Duration) -> Self {
        (self.limit, self.window) = (limit, window);
        self
    }
}

impl<F: FnMut(&CallbackReport<'_>, u64)> Observer for SlowCallbacks<F> {
    fn callback_end(&mut self, report: &CallbackReport<'_>) {
        if report.duration < self.threshold {
            return;
        }
        let now = report.started + report.duration;
        let (began, reported) = match self.current {
            Some((began, reported)) if now.saturating_duration_since(began) < self.window => {
                (began, reported)
            }
            _ => (now, 0),
        };
        if reported < self.limit {
            self.current = Some((began, reported + 1));
            (self.report)(report, std::mem::take(&mut self.unreported));
        } else {
            self.unreported += 1;
        }
    }
}

impl<F> fmt::Debug for SlowCallbacks<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlowCallbacks").field("threshold", &self.threshold).finish_non_exhaustive()
    }
}

assert_traits!(SlowCallbacks<fn()>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(SlowCallbacks<*mut ()>: Unpin; not Send, Sync);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallbackKind, Priority};

    #[test]
    fn a_window_holds_so_many_reports_and_the_next_one_tells_what_was_left_out() {
        let start = Instant::now();
        let mut reports = Vec::new();
        let second = Duration::from_secs(1);
        let mut slow = SlowCallbacks::new(Duration::from_millis(2), |report, unreported| {
            reports.push((report.started - start, unreported));
        })
        .at_most(2, second);
        for (at, millis) in [(0, 1), (1, 2), (2, 3), (3, 2), (4, 9), (1000, 1), (2000, 2)] {
            slow.callback_end(&CallbackReport {
                token: None,
                name: "",
                kind: CallbackKind::Idle,
                duration: Duration::from_millis(millis),
                priority: Priority::Normal,
                started: start + Duration::from_millis(at),
                lateness: None,
            });
        }
        let at = Duration::from_millis;
        assert_eq!(reports, [(at(1), 0), (at(2), 0), (at(2000), 2)]);
    }
}
