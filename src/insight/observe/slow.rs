//! Reports of callbacks that took too long.

use std::time::Duration;

use crate::CallbackReport;

/// Makes an observer for [`EventLoop::observe`](crate::EventLoop::observe) that calls a function with the report of
/// each callback that took `threshold` or longer.
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
