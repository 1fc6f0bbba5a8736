//! An executor: futures that run on the loop's thread, and a callback for their results.
//!
//! The [`Executor`] alone owns the futures: a waker knows only the key of its task, and a [`Scheduler`] passes
//! futures through a channel that ends with the executor. So a future that owns a scheduler of its own executor does
//! not keep itself alive, and all futures are dropped with the loop.
//!
//! The wakers use the standard library's [`Wake`], with an `Arc` of a key and a flag. The crate `async-task`, which
//! calloop uses, keeps future, result and waker in one allocation that is reference-counted by hand. There a task lives
//! as long as its last waker, and moving tasks between threads, which tasks here never do, takes unsafe code. The price
//! here is a second small allocation per task.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use std::collections::VecDeque;

use slotmap::{SlotMap, new_key_type};

use crate::sources::wake::{WakeReceiver, WakeState, Work};
use crate::sync::{AtomicBool, Ordering};
use crate::{EventSource, InterestToken, PostAction, Readiness, Registrar};

/// Makes an executor, and the scheduler that passes futures to it.
///
/// The callback of the [`Executor`] receives the results of the futures. The futures run on the loop's thread and
/// need not be `Send`; their wakers work from any thread. An executor takes no fd.
///
/// For futures that reach the state of the loop, use [`LoopHandle::spawn`](crate::LoopHandle::spawn).
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, sum: u32 }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::time::Duration;
/// use soloop::{EventLoop, TimeoutFuture, executor};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, sum: 0 };
/// let (executor, scheduler) = executor();
/// state.handle.insert_source(executor, |value: u32, state| {
///     state.sum += value;
///     if state.sum == 42 {
///         state.handle.stop();
///     }
/// })?;
/// let timeout = TimeoutFuture::from_duration(&mut state.handle, Duration::from_millis(1));
/// scheduler.schedule(async { 40 })?;
/// scheduler.schedule(async {
///     timeout.await;
///     2
/// })?;
/// event_loop.run(None, &mut state, |_| ())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn executor<T>() -> (Executor<T>, Scheduler<T>) {
    let (sender, incoming) = mpsc::channel();
    let receiver = WakeReceiver::new();
    let scheduler = Scheduler { sender, wake_state: Arc::clone(receiver.wake_state()) };
    let executor = Executor { incoming, tasks: SlotMap::with_key(), polling: None, receiver };
    (executor, scheduler)
}

type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

new_key_type! { struct TaskKey; }

/// One step for the executor.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Take in a new future, and poll it.
    New,
    Poll(TaskKey),
}

/// The steps, in the order of the requests.
type Steps = VecDeque<Step>;

impl Work for Steps {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

/// Runs futures, and delivers their results; [`executor`] makes it.
///
/// Each result is an event of its own, in the order in which the futures finish. A future that wakes itself is polled
/// again in the same round as long as the source's [budget](crate::SourceOptions::budget) lasts, which counts polls,
/// so that no future keeps a dispatch from returning. While the source is disabled no future is polled.
///
/// # Limits
///
/// A poll blocks the loop for as long as it takes. A single future can't be cancelled: all are dropped with the
/// executor. A future that panics is dropped, and the panic comes out of the dispatch; the others continue in the
/// next dispatch.
pub struct Executor<T> {
    /// Dropped first, so that destructors of futures cannot schedule any more.
    incoming: mpsc::Receiver<LocalFuture<T>>,
    tasks: SlotMap<TaskKey, ExecutorTask<T>>,
    /// The task that is being polled. It stays set if the poll panics.
    polling: Option<TaskKey>,
    receiver: WakeReceiver<Steps>,
}

struct ExecutorTask<T> {
    /// Taken out while it is polled: a poll that panics drops it.
    future: Option<LocalFuture<T>>,
    wake: Arc<TaskWake>,
    waker: Waker,
}

struct TaskWake {
    key: TaskKey,
    /// A poll was requested. Stays set when the task is done: its wakers then do nothing.
    queued: AtomicBool,
    wake_state: Arc<WakeState<Steps>>,
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.wake_state.add(|steps| steps.push_back(Step::Poll(self.key)));
        }
    }
}

impl<T> Executor<T> {
    /// Polls the task of a step. Returns its result if it is done.
    fn run(&mut self, step: Step) -> Option<T> {
        let key = match step {
            Step::Poll(key) => key,
            Step::New => {
                let future = Some(self.incoming.try_recv().ok()?);
                let wake_state = Arc::clone(self.receiver.wake_state());
                self.tasks.insert_with_key(|key| {
                    // This step makes the first poll.
                    let queued = AtomicBool::new(true);
                    let wake = Arc::new(TaskWake { key, queued, wake_state });
                    ExecutorTask { future, waker: Arc::clone(&wake).into(), wake }
                })
            }
        };
        let task = self.tasks.get_mut(key)?;
        let mut future = task.future.take()?;
        // From here on a wake-up requests another poll. The swap also acquires what the wakers did before.
        task.wake.queued.swap(false, Ordering::AcqRel);
        self.polling = Some(key);
        let polled = future.as_mut().poll(&mut Context::from_waker(&task.waker));
        self.polling = None;
        let Poll::Ready(value) = polled else {
            task.future = Some(future);
            return None;
        };
        task.wake.queued.store(true, Ordering::Release);
        self.tasks.remove(key);
        Some(value)
    }
}

impl<T: 'static> EventSource for Executor<T> {
    type Event<'a> = T;
    type Ret = ();
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
        F: FnMut(T),
    {
        if !self.receiver.is(token) {
            return Ok(PostAction::Continue);
        }
        if let Some(key) = self.polling.take() {
            self.tasks.remove(key);
        }
        let step = self.receiver.with_work(VecDeque::pop_front);
        if let Some(value) = step.and_then(|step| self.run(step)) {
            callback(value);
        }
        Ok(self.receiver.answer())
    }
}

impl<T> fmt::Debug for Executor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

/// Passes futures to an [`Executor`]. It stays in the loop's thread, a clone serves the same executor, and a future
/// may own one.
pub struct Scheduler<T> {
    sender: mpsc::Sender<LocalFuture<T>>,
    wake_state: Arc<WakeState<Steps>>,
}

impl<T> Scheduler<T> {
    /// Passes `future` to the executor. It is first polled in the next round, or, if a future of this executor calls
    /// this, later in the same round. If the executor is not inserted yet, the future waits.
    ///
    /// # Errors
    ///
    /// [`ExecutorDestroyed`] if the executor is gone; `future` is dropped then.
    pub fn schedule<F>(&self, future: F) -> Result<(), ExecutorDestroyed>
    where
        F: Future<Output = T> + 'static,
    {
        self.sender.send(Box::pin(future)).map_err(|_| ExecutorDestroyed)?;
        self.wake_state.add(|steps| steps.push_back(Step::New));
        Ok(())
    }
}

impl<T> Clone for Scheduler<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), wake_state: Arc::clone(&self.wake_state) }
    }
}

impl<T> fmt::Debug for Scheduler<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").finish_non_exhaustive()
    }
}

/// The error of [`Scheduler::schedule`] when the executor is gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ExecutorDestroyed;

impl fmt::Display for ExecutorDestroyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the executor is gone")
    }
}

impl Error for ExecutorDestroyed {}

static_assertions::assert_impl_all!(TaskWake: Send, Sync);
