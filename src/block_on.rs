//! A future as the reason to run the loop.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use crate::shared::Shared;
use crate::sync::{AtomicBool, Ordering};
use crate::{EventLoop, LoopData, Result};

impl<Data: LoopData> EventLoop<Data> {
    /// Dispatches until `future` is ready: what it returns, or `None` if the loop is stopped first, in which
    /// case `future` is dropped. A stop asked for before counts: `future` is not polled then.
    ///
    /// The future may borrow what it likes, except for the loop and the state; it need not be `Send`, and its
    /// wakers work from any thread. It is polled between two dispatches, and only if it was woken.
    ///
    /// # Errors
    ///
    /// As [`dispatch`](Self::dispatch); `future` is dropped then.
    ///
    /// # Panics
    ///
    /// If `future` does; the loop can go on afterwards.
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
}

/// A waker may outlive the loop: it holds nothing of it.
struct LoopWake {
    woken: AtomicBool,
    shared: Weak<Shared>,
}

impl Wake for LoopWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(shared) = self.shared.upgrade()
        {
            shared.ready.wake();
        }
    }
}

static_assertions::assert_impl_all!(LoopWake: Send, Sync);
