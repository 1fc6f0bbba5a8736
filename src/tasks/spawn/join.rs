//! The result of a task, and the handle that waits for it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Task;
use crate::Token;

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
    token: Token<Task>,
    outcome: Arc<TaskResult<R>>,
}

/// The result of a task, or the waker of the future that waits for it.
pub(super) struct TaskResult<R> {
    stage: Mutex<Stage<R>>,
}

/// Each value is replaced under the lock, and dropped or woken outside of it: that is user code.
enum Stage<R> {
    /// The waker of the future that waits for the result.
    Running(Option<Waker>),
    Done(R),
    /// The result was taken, or there never will be one.
    Gone,
}

impl<R> TaskResult<R> {
    fn lock(&self) -> MutexGuard<'_, Stage<R>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, stage: Stage<R>) -> Stage<R> {
        std::mem::replace(&mut *self.lock(), stage)
    }

    /// Returns the result once. After that, or if there is no result: [`Cancelled`].
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<R, Cancelled>> {
        let waker = cx.waker().clone();
        let mut stage = self.lock();
        let next = match &*stage {
            Stage::Running(_) => Stage::Running(Some(waker)),
            Stage::Done(_) | Stage::Gone => Stage::Gone,
        };
        let last = std::mem::replace(&mut *stage, next);
        drop(stage);
        match last {
            Stage::Running(_) => Poll::Pending,
            Stage::Done(result) => Poll::Ready(Ok(result)),
            Stage::Gone => Poll::Ready(Err(Cancelled)),
        }
    }

    fn set(&self, stage: Stage<R>) {
        if let Stage::Running(Some(waker)) = self.replace(stage) {
            waker.wake();
        }
    }
}

impl<R> JoinHandle<R> {
    pub(super) fn new(token: Token<Task>, outcome: Arc<TaskResult<R>>) -> Self {
        Self { token, outcome }
    }

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
        !matches!(*self.outcome.lock(), Stage::Running(_))
    }
}

impl<R> Future for JoinHandle<R> {
    type Output = Result<R, Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.outcome.poll(cx)
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
pub(super) struct Report<R> {
    outcome: Arc<TaskResult<R>>,
}

impl<R> Report<R> {
    pub(super) fn new() -> Self {
        let stage = Mutex::new(Stage::Running(None));
        Self { outcome: Arc::new(TaskResult { stage }) }
    }

    pub(super) fn outcome(&self) -> Arc<TaskResult<R>> {
        Arc::clone(&self.outcome)
    }

    pub(super) fn finish(self, result: R) {
        self.outcome.set(Stage::Done(result));
    }
}

impl<R> Drop for Report<R> {
    fn drop(&mut self) {
        if matches!(*self.outcome.lock(), Stage::Running(_)) {
            self.outcome.set(Stage::Gone);
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
