//! Futures that wait for an fd.

use std::fmt;
use std::future::Future;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Async;
use super::waiters::Place;

/// The future of [`Async::readable`]: waits until a read would not block.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Readable<'a, F: AsFd> {
    pub(super) wait: ReadinessWait<'a, F>,
}

/// The future of [`Async::writable`]: waits until a write would not block.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Writable<'a, F: AsFd> {
    pub(super) wait: ReadinessWait<'a, F>,
}

impl<F: AsFd> Future for Readable<'_, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.wait.poll(cx)
    }
}

impl<F: AsFd> Future for Writable<'_, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.wait.poll(cx)
    }
}

pub(super) struct ReadinessWait<'a, F: AsFd> {
    pub(super) io: &'a Async<F>,
    /// Its place among the waiting futures.
    pub(super) place: Place,
}

impl<F: AsFd> ReadinessWait<'_, F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let told = self.io.await_edge(self.place, cx.waker());
        if told.is_err() || self.io.is_ready(self.place.0) {
            self.io.waiters.leave_place(self.place);
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl<F: AsFd> Drop for ReadinessWait<'_, F> {
    fn drop(&mut self) {
        self.io.waiters.leave_place(self.place);
    }
}

impl<F: AsFd> fmt::Debug for ReadinessWait<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.place.0)
    }
}
