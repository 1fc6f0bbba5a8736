//! Tasks: futures that reach the state between two awaits.
//!
//! No future can hold `&mut Data` while it waits. So [`TaskContext::with`] queues a closure; the task, which is a
//! source, runs it with the state in its callback, like any other callback; then the future is polled again. The
//! callback owns the queue's receiving end and the source owns the future, so that a task, its closures and their
//! captures end together. A [`JoinHandle`] returns the task's result to its waiter.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use self::join::Report;
use self::waits::Waiting;
use self::with::{Call, With};
use crate::sources::promise::Promise;
use crate::sources::timer::TimeoutFuture;
use crate::sources::wake::{WakeReceiver, WakeState};
use crate::sync::{Mutex, lock};
use crate::{
    Clock, EventSource, InterestToken, LoopData, LoopHandle, PostAction, Readiness, Registrar,
    SourceOptions, Token,
};

mod join;
mod once;
mod waits;
mod with;

pub use join::{Cancelled, JoinHandle};
pub use waits::TaskWaits;

/// Implements [`LoopHandle::spawn_with`].
pub(crate) fn spawn_with<Data, F, Fut>(
    handle: &mut LoopHandle<Data>,
    options: SourceOptions,
    task: F,
) -> JoinHandle<Fut::Output>
where
    Data: 'static,
    F: FnOnce(TaskContext<Data>) -> Fut + 'static,
    Fut: Future + 'static,
    Fut::Output: 'static,
{
    let outcome = Arc::new(Promise::new());
    let report = Report(Arc::clone(&outcome));
    let task = |cx| async move {
        report.finish(task(cx).await);
    };
    JoinHandle { token: spawn(handle, options, task), outcome }
}

/// Implements [`LoopHandle::spawn`].
pub(crate) fn spawn<Data, F, Fut>(
    handle: &mut LoopHandle<Data>,
    options: SourceOptions,
    task: F,
) -> Token<Task>
where
    Data: 'static,
    F: FnOnce(TaskContext<Data>) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let (sender, calls) = mpsc::channel::<Arc<dyn Call<Data>>>();
    let receiver = WakeReceiver::woken();
    let wake_state = Arc::clone(receiver.wake_state());
    let waits = Arc::default();
    let clock = handle.clock().clone();
    let cx = TaskContext { calls: sender, wake_state, waits: Arc::clone(&waits), clock };
    // The first poll calls `task`, so that all of its code runs in polls.
    let future = Box::pin(async move { task(cx).await });
    let task = Task { future: Some(future), waker: receiver.waker(), receiver, waits };
    let callback = move |(), data: &mut Data| calls.try_recv().map(|call| call.run(data)).is_ok();
    // If the loop is gone, this drops the task.
    handle.insert_source_with(options, task, callback).unwrap_or_else(|_| Token::null())
}

/// The source that [`LoopHandle::spawn`] inserts; its token cancels the task.
///
/// Its callback runs one of the closures that the future queued, and answers whether there was one.
pub struct Task {
    /// `None` if it panicked.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    receiver: WakeReceiver<bool>,
    waker: Waker,
    waits: Arc<Mutex<TaskWaits>>,
}

impl Task {
    /// What the task waits for, as far as it waits by its [`TaskContext`].
    pub fn waits(&self) -> TaskWaits {
        *lock(&self.waits)
    }
}

impl EventSource for Task {
    type Event<'a> = ();
    type Ret = bool;
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.receiver.register(registrar);
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.receiver.reregister(registrar);
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.receiver.unregister(registrar);
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(()) -> bool,
    {
        if !self.receiver.is(token) {
            return Ok(PostAction::Continue);
        }
        // Take the future out until all went well: a task that panics anywhere is over.
        let Some(mut future) = self.future.take() else {
            return Ok(PostAction::Remove);
        };
        // A queued closure wakes this source, so the task runs again as long as closures are queued.
        if !callback(())
            && self.receiver.take_wake_up()
            && future.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready()
        {
            return Ok(PostAction::Remove);
        }
        self.future = Some(future);
        Ok(self.receiver.answer())
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

/// A task's access to the state and the time of its loop. A clone belongs to the same task.
///
/// # Limits
///
/// Its futures work only while the task runs: once the task is done or cancelled, a future that a clone elsewhere
/// awaits stays pending for ever.
///
/// # Examples
///
/// See [`LoopHandle::spawn`], and [the guide](crate::guide::tasks).
pub struct TaskContext<Data> {
    calls: mpsc::Sender<Arc<dyn Call<Data>>>,
    wake_state: Arc<WakeState<bool>>,
    waits: Arc<Mutex<TaskWaits>>,
    clock: Clock,
}

impl<Data: 'static> TaskContext<Data> {
    /// Runs `f` with the state, and returns its result. Only this future waits for that: no other callback runs in
    /// between, unless the task has used up its budget of the round.
    ///
    /// Ops that `f` queues in the [`LoopHandle`] are applied before the task goes on. If the future is dropped before
    /// `f` ran, `f` is dropped unrun.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, clients: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, TaskContext};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, clients: 3 };
    /// let task = state.handle.spawn_with(Default::default(), |cx: TaskContext<State>| async move {
    ///     cx.with(|state| state.clients).await
    /// });
    /// assert_eq!(event_loop.block_on(task, &mut state)?, Some(Ok(3)));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn with<F, R>(&self, f: F) -> impl Future<Output = R> + use<Data, F, R>
    where
        F: FnOnce(&mut Data) -> R + 'static,
        R: 'static,
    {
        With::new(self.clone(), f)
    }

    /// Waits until `duration` from now on the loop's clock; [`LoopHandle::spawn`] has an example.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + use<Data>
    where
        Data: LoopData,
    {
        self.sleep_to(self.now().checked_add(duration))
    }

    /// Waits until `deadline` on the loop's clock.
    pub fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + use<Data>
    where
        Data: LoopData,
    {
        self.sleep_to(Some(deadline))
    }

    fn sleep_to(&self, deadline: Option<Instant>) -> impl Future<Output = ()> + use<Data>
    where
        Data: LoopData,
    {
        let cx = self.clone();
        async move {
            let timeout =
                cx.with(move |data| TimeoutFuture::at(data.loop_handle(), deadline)).await;
            let _waiting = Waiting::new(&cx.waits, |waits| &mut waits.sleeps);
            timeout.await;
        }
    }

    /// Awaits `future` for at most `duration` on the loop's clock, and then drops it. If `future` is ready and the
    /// time is over, the future wins.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] if the time ran out.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::{future, time::Duration};
    /// use soloop::{Clock, Elapsed, EventLoop, TaskContext};
    ///
    /// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    /// let mut state = State { handle };
    /// state.handle.spawn(|cx: TaskContext<State>| async move {
    ///     let minute = Duration::from_secs(60);
    ///     assert_eq!(cx.timeout(minute, future::ready(42)).await, Ok(42));
    ///     assert_eq!(cx.timeout(minute, future::pending::<()>()).await, Err(Elapsed));
    ///     cx.with(|state| state.handle.stop()).await;
    /// });
    /// event_loop.run(None, &mut state, |_| ())?;
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn timeout<Fut: Future>(
        &self,
        duration: Duration,
        future: Fut,
    ) -> impl Future<Output = Result<Fut::Output, Elapsed>> + use<Data, Fut>
    where
        Data: LoopData,
    {
        let sleep = self.sleep(duration);
        async move {
            let mut future = pin!(future);
            let mut sleep = pin!(sleep);
            poll_fn(|cx| match future.as_mut().poll(cx) {
                Poll::Ready(value) => Poll::Ready(Ok(value)),
                Poll::Pending => sleep.as_mut().poll(cx).map(|()| Err(Elapsed)),
            })
            .await
        }
    }

    /// Starts another task like [`LoopHandle::spawn`]; the future is ready with its token at once.
    ///
    /// The other task goes on when this one ends. To end it with this one, use [`spawn_with`](Self::spawn_with) and a
    /// [`Scope`](crate::Scope) that this task owns.
    pub fn spawn<F, Fut>(&self, task: F) -> impl Future<Output = Token<Task>> + use<Data, F, Fut>
    where
        Data: LoopData,
        F: FnOnce(TaskContext<Data>) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        self.with(|data| spawn(data.loop_handle(), SourceOptions::new(), task))
    }

    /// Starts another task like [`LoopHandle::spawn_with`], with a result and [`SourceOptions`]. The future is ready
    /// at once with a [`JoinHandle`], which is awaited in turn for the result.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, sum: u64 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{Clock, EventLoop, SourceOptions, TaskContext};
    ///
    /// async fn download(cx: TaskContext<State>, bytes: u64) -> u64 {
    ///     cx.sleep(Duration::from_secs(bytes)).await;
    ///     bytes
    /// }
    ///
    /// async fn download_all(cx: TaskContext<State>) {
    ///     let mut downloads = Vec::new();
    ///     for bytes in [3, 1, 2] {
    ///         let options = SourceOptions::new().name("download");
    ///         downloads.push(cx.spawn_with(options, move |cx| download(cx, bytes)).await);
    ///     }
    ///     for download in downloads {
    ///         let bytes = download.await.unwrap_or(0);
    ///         cx.with(move |state| state.sum += bytes).await;
    ///     }
    ///     cx.with(|state| state.handle.stop()).await;
    /// }
    ///
    /// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    /// let start = handle.now();
    /// let mut state = State { handle, sum: 0 };
    /// state.handle.spawn(download_all);
    /// event_loop.run(None, &mut state, |_| ())?;
    /// assert_eq!(state.sum, 6);
    /// assert_eq!(state.handle.now() - start, Duration::from_secs(3)); // side by side
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn spawn_with<F, Fut>(
        &self,
        options: SourceOptions,
        task: F,
    ) -> impl Future<Output = JoinHandle<Fut::Output>> + use<Data, F, Fut>
    where
        Data: LoopData,
        F: FnOnce(TaskContext<Data>) -> Fut + 'static,
        Fut: Future + 'static,
        Fut::Output: 'static,
    {
        self.with(|data| spawn_with(data.loop_handle(), options, task))
    }

    /// The time on the loop's clock.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }
}

impl<Data> Clone for TaskContext<Data> {
    fn clone(&self) -> Self {
        Self {
            calls: self.calls.clone(),
            wake_state: Arc::clone(&self.wake_state),
            waits: Arc::clone(&self.waits),
            clock: self.clock.clone(),
        }
    }
}

impl<Data> fmt::Debug for TaskContext<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext").finish_non_exhaustive()
    }
}

/// The error of [`TaskContext::timeout`]: the future did not finish in time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is up")
    }
}

impl Error for Elapsed {}
