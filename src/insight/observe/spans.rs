//! Spans of the `tracing` crate.

use std::time::Duration;

use tracing::span::EnteredSpan;

use crate::insight::observe::CallbackStart;
use crate::{CallbackReport, Observer, WaitReport};

/// An [`Observer`] that enters a [`tracing`] span around each wait and each callback, so that what a callback logs
/// carries its name. Feature `tracing`.
///
/// The spans are named `wait` and `callback`, with target `soloop` and level debug. The fields of `callback` are
/// `name`, `kind`, and for timers `lateness`.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use soloop::{EventLoop, TracingSpans};
///
/// let (mut event_loop, handle) = EventLoop::<State>::new()?;
/// event_loop.set_observer(TracingSpans::new());
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct TracingSpans {
    /// The span of the running callback. A span that a panic left is replaced when the next one is entered.
    current: Option<EnteredSpan>,
}

impl TracingSpans {
    /// Makes an observer whose spans go to the subscriber that is current when they are entered.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Observer for TracingSpans {
    fn wait_begin(&mut self, _timeout: Option<Duration>) {
        self.current = None;
        self.current = Some(tracing::debug_span!(target: "soloop", "wait").entered());
    }

    fn wait_end(&mut self, _report: &WaitReport) {
        self.current = None;
    }

    fn callback_begin(&mut self, start: &CallbackStart<'_>) {
        self.current = None;
        let span = tracing::debug_span!(
            target: "soloop",
            "callback",
            name = start.name,
            kind = start.kind.as_str(),
            lateness = start.lateness.map(tracing::field::debug),
        );
        self.current = Some(span.entered());
    }

    fn callback_end(&mut self, _report: &CallbackReport<'_>) {
        self.current = None;
    }
}
