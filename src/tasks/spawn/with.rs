//! Brings a closure from a future to the state, and its result back.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::TaskContext;
use super::waits::{Wait, Waiting};

/// A closure on its way to the state, shared by the queue and the future that waits for it.
pub(super) trait Call<Data> {
    fn run(&self, data: &mut Data);
}

struct Parcel<F, R> {
    content: Mutex<Content<F, R>>,
}

/// Each field is taken out and used, or dropped, outside of the lock: that is user code.
struct Content<F, R> {
    /// `None` once it ran, or after the future was dropped.
    call: Option<F>,
    result: Option<R>,
    waker: Option<Waker>,
}

impl<F, R> Parcel<F, R> {
    fn lock(&self) -> MutexGuard<'_, Content<F, R>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Data, F: FnOnce(&mut Data) -> R, R> Call<Data> for Parcel<F, R> {
    fn run(&self, data: &mut Data) {
        let Some(call) = self.lock().call.take() else {
            return;
        };
        let result = call(data);
        let mut content = self.lock();
        content.result = Some(result);
        let waker = content.waker.take();
        drop(content);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The future that [`TaskContext::with`] returns.
pub(super) struct With<Data, F, R> {
    cx: TaskContext<Data>,
    state: WithState<F, R>,
}

impl<Data, F, R> With<Data, F, R> {
    pub(super) fn new(cx: TaskContext<Data>, call: F) -> Self {
        Self { cx, state: WithState::New(Some(call)) }
    }
}

enum WithState<F, R> {
    New(Option<F>),
    Sent(Arc<Parcel<F, R>>, #[allow(dead_code, reason = "counts as long as it lives")] Waiting),
}

impl<Data, F, R> Future for With<Data, F, R>
where
    Data: 'static,
    F: FnOnce(&mut Data) -> R + 'static,
    R: 'static,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let waker = Some(cx.waker().clone());
        match &mut self.state {
            WithState::New(call) => {
                let content = Content { call: call.take(), result: None, waker };
                let parcel = Arc::new(Parcel { content: Mutex::new(content) });
                let waiting = Waiting::new(&self.cx.waits, Wait::State);
                self.state = WithState::Sent(Arc::clone(&parcel), waiting);
                // If the task is gone, nothing receives the closure: the future stays pending.
                if self.cx.calls.send(parcel).is_ok() {
                    self.cx.wake_state.wake_up();
                }
                Poll::Pending
            }
            WithState::Sent(parcel, _) => {
                let mut content = parcel.lock();
                if let Some(result) = content.result.take() {
                    return Poll::Ready(result);
                }
                let old = std::mem::replace(&mut content.waker, waker);
                drop(content);
                drop(old);
                Poll::Pending
            }
        }
    }
}

impl<Data, F, R> Drop for With<Data, F, R> {
    fn drop(&mut self) {
        if let WithState::Sent(parcel, _) = &self.state {
            let mut content = parcel.lock();
            let left = (content.call.take(), content.result.take(), content.waker.take());
            drop(content);
            drop(left);
        }
    }
}

/// No field is pinned.
impl<Data, F, R> Unpin for With<Data, F, R> {}
