//! Runs that end by themselves: with the result of a future, or at a deadline.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use crate::sync::{AtomicBool, Ordering};
use crate::threads::shared::Shared;
use crate::{EventLoop, LoopData, Result};

impl<Data: LoopData> EventLoop<Data> {
    /// Dispatches until `future` is ready, and returns its result. `None` if the loop is stopped first; `future` is
    /// dropped then. A stop from before counts: `future` is then not polled at all.
    ///
    /// The future may borrow anything but the loop and the state. It need not be `Send`, and its wakers work from any
    /// thread. It is polled between two dispatches, and only after it was woken.
    ///
    /// # Errors
    ///
    /// As [`dispatch`](Self::dispatch); `future` is dropped then.
    ///
    /// # Panics
    ///
    /// If `future` panics; the loop can go on afterwards. Otherwise as [`dispatch`](Self::dispatch).
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{EventLoop, TimeoutFuture};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// let timeout = TimeoutFuture::from_duration(&mut state.handle, Duration::from_millis(1));
    /// let answer = async {
    ///     timeout.await;
    ///     42
    /// };
    /// assert_eq!(event_loop.block_on(answer, &mut state)?, Some(42));
    ///
    /// state.handle.stop();
    /// assert_eq!(event_loop.block_on(std::future::pending::<()>(), &mut state)?, None);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn block_on<R>(
        &mut self,
        future: impl Future<Output = R>,
        data: &mut Data,
    ) -> Result<Option<R>> {
        let mut future = pin!(future);
        let wake = Arc::new(LoopWake {
            woken: AtomicBool::new(true),
            shared: Arc::downgrade(&self.shared),
        });
        let waker = Waker::from(Arc::clone(&wake));
        let mut cx = Context::from_waker(&waker);
        while !self.shared.take_stop() {
            if wake.woken.swap(false, Ordering::AcqRel)
                && let Poll::Ready(value) = future.as_mut().poll(&mut cx)
            {
                return Ok(Some(value));
            }
            self.dispatch_once(None, true, data)?;
        }
        Ok(None)
    }

    /// Dispatches until `deadline` on the loop's clock, or until the loop is [stopped](crate::LoopHandle::stop). What
    /// is due at the deadline runs. If the deadline has passed, one dispatch runs, which does not block. A stop from
    /// before counts: nothing is dispatched then.
    ///
    /// On a [manual clock](crate::Clock::manual) the time is `deadline` afterwards, unless the loop is stopped or the
    /// clock was past it. [`dispatch`](Self::dispatch) without a timeout moves that clock to the next timer, however
    /// far away: a test that waits for a thread or a child process may see an hour pass.
    ///
    /// # Errors
    ///
    /// As [`dispatch`](Self::dispatch). A call with the same deadline then goes on.
    ///
    /// # Panics
    ///
    /// As [`dispatch`](Self::dispatch).
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, ticks: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{Clock, EventLoop, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    /// let mut state = State { handle, ticks: 0 };
    /// let minute = Duration::from_secs(60);
    /// state.handle.insert_timer(Timer::from_duration(minute), move |deadline, state| {
    ///     state.ticks += 1;
    ///     TimeoutAction::ToInstant(deadline + minute)
    /// });
    /// let hour = state.handle.now() + 60 * minute;
    /// event_loop.run_until(hour, &mut state)?;
    /// assert_eq!((state.ticks, state.handle.now()), (60, hour));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn run_until(&mut self, deadline: Instant, data: &mut Data) -> Result<()> {
        while !self.shared.take_stop() {
            let left = deadline.saturating_duration_since(self.shared.clock().now());
            self.dispatch_once(Some(left), true, data)?;
            if self.shared.clock().now() >= deadline {
                break;
            }
        }
        Ok(())
    }
}

/// A waker may outlive the loop, so it keeps no part of the loop alive.
struct LoopWake {
    woken: AtomicBool,
    shared: Weak<Shared>,
}

impl Wake for LoopWake {
    fn wake(self: Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(shared) = self.shared.upgrade()
        {
            shared.ready().wake();
        }
    }
}

static_assertions::assert_impl_all!(LoopWake: Send, Sync);
