//! Brings a closure from a future to the state, and its result back.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::TaskContext;
use super::waits::Waiting;
use crate::sources::promise::Promise;
use crate::sync::{Mutex, lock};

/// A closure on its way to the state, shared by the queue and the future that waits for it.
pub(super) trait Call<Data> {
    fn run(&self, data: &mut Data);
}

struct Parcel<F, R> {
    /// `None` once it ran, or after the future was dropped.
    call: Mutex<Option<F>>,
    result: Promise<R>,
}

impl<F, R> Parcel<F, R> {
    /// The closure is called, or dropped, outside of the lock: that is user code.
    fn take_call(&self) -> Option<F> {
        lock(&self.call).take()
    }
}

impl<Data, F: FnOnce(&mut Data) -> R, R> Call<Data> for Parcel<F, R> {
    fn run(&self, data: &mut Data) {
        if let Some(call) = self.take_call() {
            self.result.settle(Some(call(data)));
        }
    }
}

/// The future that [`TaskContext::with`] returns.
pub(super) struct With<Data, F, R> {
    cx: TaskContext<Data>,
    parcel: Arc<Parcel<F, R>>,
    /// `None` until the closure is sent.
    waiting: Option<Waiting>,
}

impl<Data, F, R> With<Data, F, R> {
    pub(super) fn new(cx: TaskContext<Data>, call: F) -> Self {
        let parcel = Parcel { call: Mutex::new(Some(call)), result: Promise::new() };
        Self { cx, parcel: Arc::new(parcel), waiting: None }
    }
}

impl<Data, F, R> Future for With<Data, F, R>
where
    Data: 'static,
    F: FnOnce(&mut Data) -> R + 'static,
    R: 'static,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let polled = self.parcel.result.poll(cx);
        if self.waiting.is_none() {
            self.waiting = Some(Waiting::new(&self.cx.waits, |waits| &mut waits.state));
            // If the task is gone, nothing receives the closure: the future stays pending.
            if self.cx.calls.send(self.parcel.clone()).is_ok() {
                self.cx.wake_state.wake_up();
            }
        }
        match polled {
            Poll::Ready(Some(result)) => Poll::Ready(result),
            _ => Poll::Pending,
        }
    }
}

impl<Data, F, R> Drop for With<Data, F, R> {
    fn drop(&mut self) {
        let call = self.parcel.take_call();
        self.parcel.result.forget_waker();
        drop(call);
    }
}

/// No field is pinned.
impl<Data, F, R> Unpin for With<Data, F, R> {}
