//! Work for the loop from other threads, and from places that can't reach the state.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::AnyToken;
use crate::shrink::pop_front;
use crate::sync::{AtomicBool, Mutex, Ordering, lock};
use crate::threads::dropped_guards::DroppedGuard;
use crate::threads::shared::Shared;

/// What was posted to a loop.
pub(crate) type Post<Data> = Box<dyn FnOnce(&mut Data) + Send>;

/// A queue of what other threads and destructors ask a loop for; `None` once the loop is gone.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    posts: Mutex<Option<VecDeque<T>>>,
    /// The queue is not empty, unless [`take_next`](Self::take_next) has emptied it.
    any: AtomicBool,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        Self { posts: Mutex::new(Some(VecDeque::new())), any: AtomicBool::new(false) }
    }

    /// Adds a post, or returns it if the loop is gone. Does not wake the loop.
    pub(crate) fn add(&self, post: T) -> Result<(), T> {
        let mut posts = lock(&self.posts);
        let Some(queue) = posts.as_mut() else {
            // The caller drops a refused post outside of the lock: its destructor may post.
            return Err(post);
        };
        queue.push_back(post);
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Moves all posts into `into`, which is empty.
    pub(crate) fn take(&self, into: &mut VecDeque<T>) {
        let mut posts = lock(&self.posts);
        self.any.store(false, Ordering::Relaxed);
        if let Some(posts) = posts.as_mut() {
            std::mem::swap(posts, into);
        }
    }

    /// Takes the oldest post.
    pub(crate) fn take_next(&self) -> Option<T> {
        lock(&self.posts).as_mut().and_then(pop_front)
    }

    /// Refuses all later posts, and drops the queued ones outside of the lock.
    pub(crate) fn close(&self) {
        let posts = lock(&self.posts).take();
        drop(posts);
    }
}

/// Reaches the state of a loop from anywhere: another thread, or a `Drop`.
///
/// [`LoopHandle::remote`](crate::LoopHandle::remote) makes it. It is `Send` and `Sync` whatever `Data` is: only
/// closures that are `Send` travel, and they run on the loop's thread. ([`LocalRemote`](crate::LocalRemote) stays on
/// that thread, and posts any closure.)
///
/// Posts run in the order in which they were posted: after the current wait, which they end, or before the wait of
/// the next dispatch, which then does not block.
///
/// # Limits
///
/// The number of posts is unbounded: to hold a thread back, let it send into a [`sync_channel`](crate::sync_channel).
/// A post allocates and takes a lock, so a signal handler must not post: use `Signals` there. A loop that is dropped
/// drops its remaining posts without running them.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, answer: u32 }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// let (mut event_loop, handle) = soloop::EventLoop::new()?;
/// let remote = handle.remote();
/// let mut state = State { handle, answer: 0 };
///
/// let thread = std::thread::spawn({
///     let remote = remote.clone();
///     move || remote.post(|state: &mut State| state.answer = 42)
/// });
/// event_loop.dispatch(None, &mut state)?; // until something arrives
/// assert!(thread.join().unwrap());
/// assert_eq!(state.answer, 42);
///
/// drop(event_loop);
/// assert!(!remote.post(|_| unreachable!()));
/// # Ok::<(), soloop::Error>(())
/// ```
pub struct Remote<Data> {
    mailbox: Arc<Mailbox<Post<Data>>>,
    shared: Arc<Shared>,
}

impl<Data> Remote<Data> {
    pub(crate) fn new(mailbox: Arc<Mailbox<Post<Data>>>, shared: Arc<Shared>) -> Self {
        Self { mailbox, shared }
    }

    /// Queues `f` to run on the loop's thread. `false` if the loop is gone; `f` is dropped then.
    pub fn post(&self, f: impl FnOnce(&mut Data) + Send + 'static) -> bool {
        self.shared.post(&self.mailbox, Box::new(f))
    }

    /// Removes a source like [`LoopHandle::remove`](crate::LoopHandle::remove), but from anywhere. `false` if the
    /// loop is gone.
    ///
    /// The source is removed when ops are applied the next time: before any other callback, and before the posts that
    /// are queued. So a destructor that runs in a callback can keep a source from being called in the same round.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, Remote, TimeoutAction, Timer, Token};
    ///
    /// /// Has no state at hand when it is dropped.
    /// struct Notification {
    ///     timer: Token<Timer>,
    ///     remote: Remote<State>,
    /// }
    ///
    /// impl Drop for Notification {
    ///     fn drop(&mut self) {
    ///         self.remote.remove(self.timer);
    ///     }
    /// }
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// let timer = state.handle.insert_timer(Timer::never(), |_, _| TimeoutAction::Drop);
    /// drop(Notification { timer, remote: state.handle.remote() });
    /// event_loop.apply_pending(&mut state)?;
    /// assert!(!state.handle.contains(timer));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn remove(&self, token: impl Into<AnyToken>) -> bool {
        self.shared.leave(DroppedGuard::Source(token.into()))
    }

    /// Makes [`EventLoop::run`](crate::EventLoop::run) return, as [`LoopSignal::stop`](crate::LoopSignal::stop) does.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Ends the current wait, or keeps the next one from blocking.
    pub fn wakeup(&self) {
        self.shared.ready().wake();
    }
}

impl<Data> Clone for Remote<Data> {
    fn clone(&self) -> Self {
        Self { mailbox: Arc::clone(&self.mailbox), shared: Arc::clone(&self.shared) }
    }
}

impl<Data> fmt::Debug for Remote<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

// `*mut ()` stands for a state that is neither `Send` nor `Sync`.

static_assertions::assert_eq_size!(Remote<[u8; 99]>, [usize; 2]);
