//! The result of a task, and the handle that waits for it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Task;
use crate::Token;
use crate::sources::promise::Promise;

/// A future of a task's result; [`LoopHandle::spawn_with`](crate::LoopHandle::spawn_with) makes it.
///
/// Another task can await it, or [`block_on`](crate::EventLoop::block_on), or another thread if the result is `Send`.
/// If it is dropped, the task goes on. Its [`token`](Self::token) cancels the task.
///
/// It returns the result once. Polled again after that, it is ready with [`Cancelled`].
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::time::Duration;
/// use soloop::{Cancelled, Clock, EventLoop, SourceOptions, TaskContext};
///
/// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
/// let mut state = State { handle };
/// let mut spawn = |seconds| {
///     let sum = async move |cx: TaskContext<State>| {
///         cx.sleep(Duration::from_secs(seconds)).await;
///         seconds
///     };
///     state.handle.spawn_with(SourceOptions::new().name("sum"), sum)
/// };
/// let (first, second, third) = (spawn(1), spawn(2), spawn(3));
/// state.handle.remove(third.token());
/// let all = async { (first.await, second.await, third.await) };
/// let results = event_loop.block_on(all, &mut state)?;
/// assert_eq!(results, Some((Ok(1), Ok(2), Err(Cancelled))));
/// # Ok::<(), soloop::Error>(())
/// ```
pub struct JoinHandle<R> {
    pub(super) token: Token<Task>,
    pub(super) outcome: Arc<Promise<R>>,
}

impl<R> JoinHandle<R> {
    /// The token of the task: [`remove`](crate::LoopHandle::remove) cancels the task,
    /// [`disable`](crate::LoopHandle::disable) pauses it.
    pub fn token(&self) -> Token<Task> {
        self.token
    }

    /// Whether the task is over, with a result or without.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, SourceOptions, TaskContext};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// let task = |_cx: TaskContext<State>| async { 42 };
    /// let answer = state.handle.spawn_with(SourceOptions::new(), task);
    /// assert!(!answer.is_finished()); // it is first polled in a dispatch
    /// event_loop.dispatch(None, &mut state)?;
    /// assert!(answer.is_finished());
    /// assert_eq!(event_loop.block_on(answer, &mut state)?, Some(Ok(42)));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn is_finished(&self) -> bool {
        !self.outcome.is_open()
    }
}

impl<R> Future for JoinHandle<R> {
    type Output = Result<R, Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.outcome.poll(cx).map(|result| result.ok_or(Cancelled))
    }
}

impl<R> fmt::Debug for JoinHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("token", &self.token)
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

/// The end that stores the result. Dropped without a result, it reports that there is none.
pub(super) struct Report<R>(pub(super) Arc<Promise<R>>);

impl<R> Report<R> {
    pub(super) fn finish(self, result: R) {
        self.0.settle(Some(result));
    }
}

impl<R> Drop for Report<R> {
    fn drop(&mut self) {
        if self.0.is_open() {
            self.0.settle(None);
        }
    }
}

/// The error of a [`JoinHandle`] without a result: the task was removed or panicked, its loop is gone, or the result
/// was taken before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task was cancelled")
    }
}

impl Error for Cancelled {}
