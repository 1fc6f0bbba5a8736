//! A timeout as a future.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::promise::Promise;
use crate::{
    EventSource, InterestToken, LoopHandle, PostAction, Readiness, Registrar, SourceGuard,
};

/// A future that is ready at a deadline on the loop's clock.
///
/// It is a timer of a loop, which has to be dispatched for the future to become ready; any executor may poll it. Like
/// a [`Timer`](crate::Timer) it is precise and never early, and on a [manual clock](crate::Clock::manual) it takes no
/// time. Dropped before its deadline it is cancelled, and does not wake the loop.
///
/// # Limits
///
/// If the loop is dropped first, the future stays pending for ever. So does one whose deadline is more than 292 years
/// away, such as [`Duration::MAX`] from now.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::time::Duration;
/// use soloop::{Clock, EventLoop, TimeoutFuture};
///
/// let clock = Clock::manual();
/// let (mut event_loop, handle) = EventLoop::with_clock(clock.clone())?;
/// let mut state = State { handle };
/// let started = clock.now();
/// let hour = Duration::from_secs(3600);
/// let timeout = TimeoutFuture::from_duration(&mut state.handle, hour);
/// event_loop.block_on(timeout, &mut state)?;
/// assert_eq!(clock.now() - started, hour); // and the test took no time
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct TimeoutFuture {
    shared: Arc<Promise<()>>,
    /// `None` if the deadline never comes.
    guard: Option<SourceGuard>,
}

impl TimeoutFuture {
    /// Makes a future that is ready `duration` from now.
    pub fn from_duration<Data>(handle: &mut LoopHandle<Data>, duration: Duration) -> Self {
        Self::at(handle, handle.now().checked_add(duration))
    }

    /// Makes a future that is ready at `deadline`; if that has passed, with the next dispatch.
    pub fn from_deadline<Data>(handle: &mut LoopHandle<Data>, deadline: Instant) -> Self {
        Self::at(handle, Some(deadline))
    }

    /// With no deadline, which is later than an [`Instant`] can express, the timeout never ends; nor if the loop is gone.
    pub(crate) fn at<Data>(handle: &mut LoopHandle<Data>, deadline: Option<Instant>) -> Self {
        let shared = Arc::new(Promise::new());
        let guard = deadline.and_then(|deadline| {
            let source = TimeoutSource { deadline, shared: Arc::clone(&shared) };
            let token = handle.insert_source(source, |(), _| ()).ok()?;
            Some(handle.guard(token))
        });
        Self { shared, guard }
    }
}

impl Future for TimeoutFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.poll(cx).map(|_| {
            if let Some(guard) = self.guard.take() {
                guard.disarm();
            }
        })
    }
}

impl Drop for TimeoutFuture {
    fn drop(&mut self) {
        self.shared.forget_waker();
    }
}

/// The loop's part. Its callback is never called.
struct TimeoutSource {
    deadline: Instant,
    shared: Arc<Promise<()>>,
}

impl EventSource for TimeoutSource {
    type Event<'a> = ();
    type Ret = ();
    type Error = Infallible;

    /// The future owns the waker, and only the future removes a source that has not fired.
    const DROP_RUNS_CODE: bool = false;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        registrar.arm(self.deadline);
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    /// The loop takes the deadline out of its queue: no source contains this one.
    fn unregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        _: InterestToken,
        _: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(()),
    {
        self.shared.settle(Some(()));
        Ok(PostAction::Remove)
    }
}

/// A waker may own the task that owns the future: dropping the source with the loop breaks that cycle.
impl Drop for TimeoutSource {
    fn drop(&mut self) {
        self.shared.forget_waker();
    }
}
