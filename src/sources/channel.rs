//! Channels: messages from other threads, with a receiver that is a source.
//!
//! One queue behind a lock serves the bounded and the unbounded channel. The receiver swaps the whole queue for an
//! empty one, and so locks once for many messages. A sender notifies the loop only if it finds the receiver idle, that
//! is, after the receiver has found the queue empty.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvError, SendError, TryRecvError, TrySendError};

use crate::RawNotifier;
use crate::shrink::pop_front;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError, lock};
use crate::{EventSource, InterestToken, PostAction, Readiness, Registrar};

/// An event of a [`Channel`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event<T> {
    /// A message.
    Msg(T),
    /// All senders are gone and all messages were delivered. The source is removed after this.
    Closed,
}

/// Makes a channel without a bound: sending never blocks.
///
/// It takes no fd. A message sent before the source is inserted, or while it is disabled, is delivered once the
/// source is enabled. Each message is an event of its own: a callback that removes or disables its source in the
/// middle of a backlog receives no more of it.
///
/// # Limits
///
/// Messages that are not received yet take memory without a limit; [`sync_channel`] holds senders back. `Closed` does
/// not come while any sender exists, such as a clone that the callback itself owns.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, sum: u32 }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use soloop::{EventLoop, channel};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, sum: 0 };
/// let (sender, channel) = soloop::channel();
/// state.handle.insert_source(channel, |event, state| match event {
///     channel::Event::Msg(n) => state.sum += n,
///     channel::Event::Closed => state.handle.stop(),
/// })?;
/// let worker = std::thread::spawn(move || (1..=10).for_each(|n: u32| sender.send(n).unwrap()));
/// event_loop.run(None, &mut state, |_| ())?;
/// worker.join().unwrap();
/// assert_eq!(state.sum, 55);
/// # Ok::<(), soloop::Error>(())
/// ```
pub fn channel<T>() -> (Sender<T>, Channel<T>) {
    with_bound(UNBOUNDED)
}

/// Makes a channel that holds at most `bound` messages: sending blocks while it is full. With a bound of 0 each send
/// blocks until its message is received.
///
/// In everything else it is a [`channel`](channel()).
///
/// # Limits
///
/// The thread of the loop must not [`send`](SyncSender::send) into a channel that this loop receives: it would wait
/// for itself. [`try_send`](SyncSender::try_send) is safe there.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, words: Vec<&'static str> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use soloop::{EventLoop, channel};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, words: Vec::new() };
/// let (sender, channel) = soloop::sync_channel(0);
/// state.handle.insert_source(channel, |event, state| match event {
///     channel::Event::Msg(word) => state.words.push(word),
///     channel::Event::Closed => state.handle.stop(),
/// })?;
/// let worker = std::thread::spawn(move || {
///     sender.send("hand").unwrap();
///     sender.send("over").unwrap();
/// });
/// event_loop.run(None, &mut state, |_| ())?;
/// worker.join().unwrap();
/// assert_eq!(state.words, ["hand", "over"]);
/// # Ok::<(), soloop::Error>(())
/// ```
#[inline]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Channel<T>) {
    let (sender, channel) = with_bound(bound);
    (SyncSender { sender }, channel)
}

#[inline]
fn with_bound<T>(bound: usize) -> (Sender<T>, Channel<T>) {
    let queue = MessageQueue {
        messages: VecDeque::new(),
        senders: 1,
        received: 0,
        receiver_gone: false,
        receivers_waiting: 0,
        senders_waiting: 0,
        notified: false,
        notifier: None,
    };
    let (taken, sent) = (Condvar::new(), Condvar::new());
    let shared = Arc::new(ChannelShared { queue: Mutex::new(queue), bound, taken, sent });
    let channel = Channel { shared: Arc::clone(&shared), batch: Mutex::default(), token: None };
    (Sender { shared }, channel)
}

/// The bound of an unbounded channel.
const UNBOUNDED: usize = usize::MAX;

struct ChannelShared<T> {
    queue: Mutex<MessageQueue<T>>,
    /// The number of messages it holds at most.
    bound: usize,
    /// Senders wait on this for room, or for their message to be received.
    taken: Condvar,
    /// Threads in [`Channel::recv`] wait on this.
    sent: Condvar,
}

struct MessageQueue<T> {
    messages: VecDeque<T>,
    senders: usize,
    /// The number of messages that have ever left the queue.
    received: u64,
    receiver_gone: bool,
    /// The number of threads that wait in [`Channel::recv`].
    receivers_waiting: u32,
    /// The number of senders that wait for room, or for their message to be received.
    senders_waiting: u32,
    /// The loop was notified, and will ask for more.
    notified: bool,
    notifier: Option<RawNotifier>,
}

impl<T> MessageQueue<T> {
    /// Whether there is a message, or the end of the channel, to deliver.
    /// `batch`: what the channel took out of the queue.
    fn has_more(&self, batch: &VecDeque<T>) -> bool {
        !batch.is_empty() || !self.messages.is_empty() || self.senders == 0
    }
}

impl<T> ChannelShared<T> {
    /// Queues a message and unlocks.
    #[inline]
    fn push(&self, mut queue: MutexGuard<'_, MessageQueue<T>>, message: T) {
        queue.messages.push_back(message);
        if queue.receivers_waiting > 0 {
            self.sent.notify_one();
        }
        Self::tell_loop(queue);
    }

    /// Notifies the loop, unless it was notified before, and unlocks.
    #[inline]
    fn tell_loop(mut queue: MutexGuard<'_, MessageQueue<T>>) {
        if !queue.notified
            && let Some(notifier) = &queue.notifier
        {
            // Unlock before waking the loop, which will lock.
            let asleep = notifier.queue_up().then(|| notifier.clone());
            queue.notified = true;
            drop(queue);
            if let Some(notifier) = asleep {
                notifier.interrupt();
            }
        }
    }

    /// Blocks on a bounded channel until `ready` returns true for the queue.
    fn wait_until<'a>(
        &self,
        mut queue: MutexGuard<'a, MessageQueue<T>>,
        mut ready: impl FnMut(&MessageQueue<T>) -> bool,
    ) -> MutexGuard<'a, MessageQueue<T>> {
        queue.senders_waiting += 1;
        let mut queue = self
            .taken
            .wait_while(queue, |queue| !queue.receiver_gone && !ready(queue))
            .unwrap_or_else(PoisonError::into_inner);
        queue.senders_waiting -= 1;
        queue
    }

    /// Takes the next message. On an unbounded channel it also moves all others into `batch`, which is empty.
    fn take(&self, batch: Option<&mut VecDeque<T>>) -> Option<T> {
        let mut queue = lock(&self.queue);
        let message = pop_front(&mut queue.messages)?;
        if self.bound == UNBOUNDED {
            if let Some(batch) = batch
                && !queue.messages.is_empty()
            {
                std::mem::swap(&mut queue.messages, batch);
            }
            return Some(message);
        }
        queue.received += 1;
        if queue.senders_waiting > 0 {
            drop(queue);
            self.taken.notify_all();
        }
        Some(message)
    }

    /// Whether all senders are gone and the queue is empty.
    fn is_closed(&self) -> bool {
        let queue = lock(&self.queue);
        queue.senders == 0 && queue.messages.is_empty()
    }
}

/// Sends into a [`channel`](channel()), from any thread. A clone sends into the same channel.
pub struct Sender<T> {
    shared: Arc<ChannelShared<T>>,
}

impl<T> Sender<T> {
    /// Sends a message. Never blocks.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message if the channel is gone.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let queue = lock(&self.shared.queue);
        if queue.receiver_gone {
            return Err(SendError(message));
        }
        self.shared.push(queue, message);
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        lock(&self.shared.queue).senders += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared.queue);
        queue.senders -= 1;
        if queue.senders == 0 {
            // Waking a condition variable is a system call even if nobody waits.
            if queue.receivers_waiting > 0 {
                self.shared.sent.notify_all();
            }
            ChannelShared::tell_loop(queue);
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Sends into a [`sync_channel`], from any thread. A clone sends into the same channel.
pub struct SyncSender<T> {
    sender: Sender<T>,
}

impl<T> SyncSender<T> {
    /// Sends a message. Blocks while the channel is full; with a bound of 0, until the message is received.
    ///
    /// Never call it in the thread of the receiving loop: it would wait for itself.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message if the channel is gone; with a bound of 0, also if the channel goes before it
    /// received the message.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let shared = &self.sender.shared;
        let queue = shared
            .wait_until(lock(&shared.queue), |queue| queue.messages.len() < shared.bound.max(1));
        if queue.receiver_gone {
            return Err(SendError(message));
        }
        let ticket = queue.received + queue.messages.len() as u64;
        shared.push(queue, message);
        if shared.bound > 0 {
            return Ok(());
        }
        let mut queue = shared.wait_until(lock(&shared.queue), |queue| queue.received > ticket);
        if queue.received > ticket {
            return Ok(());
        }
        // The channel was dropped, and left the message for its sender.
        queue.messages.pop_front().map_or(Ok(()), |message| Err(SendError(message)))
    }

    /// Sends a message if that is possible without blocking.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] with the message if the channel is full or gone. A channel with a bound of 0 is full unless a
    /// thread waits in [`Channel::recv`].
    ///
    /// # Examples
    ///
    /// ```
    /// use soloop::sync_channel;
    ///
    /// let (sender, channel) = sync_channel(1);
    /// assert!(sender.try_send("first").is_ok());
    /// assert!(sender.try_send("second").is_err()); // full
    /// assert_eq!(channel.try_recv(), Ok("first"));
    /// assert!(sender.try_send("third").is_ok());
    /// ```
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let shared = &self.sender.shared;
        let queue = lock(&shared.queue);
        if queue.receiver_gone {
            return Err(TrySendError::Disconnected(message));
        }
        let room = match shared.bound {
            0 => queue.receivers_waiting as usize > queue.messages.len(),
            bound => queue.messages.len() < bound,
        };
        if !room {
            return Err(TrySendError::Full(message));
        }
        shared.push(queue, message);
        Ok(())
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}

/// The receiving end of a [`channel`](channel()) or a [`sync_channel`]: a source of [`Event`]s.
pub struct Channel<T> {
    shared: Arc<ChannelShared<T>>,
    /// Messages that an unbounded channel took out of the queue and did not deliver yet.
    batch: Mutex<VecDeque<T>>,
    token: Option<InterestToken>,
}

impl<T> Channel<T> {
    /// Receives a message without the loop, and blocks until there is one. Do not call it in a callback or a task: it
    /// would block the loop.
    ///
    /// # Errors
    ///
    /// [`RecvError`] if all senders are gone and no message is left.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, channel) = soloop::channel();
    /// std::thread::spawn(move || sender.send(42));
    /// assert_eq!(channel.recv(), Ok(42));
    /// assert!(channel.recv().is_err()); // the sender is gone
    /// ```
    pub fn recv(&self) -> Result<T, RecvError> {
        loop {
            match self.try_recv() {
                Err(TryRecvError::Empty) => {
                    let mut queue = lock(&self.shared.queue);
                    queue.receivers_waiting += 1;
                    let mut queue = self
                        .shared
                        .sent
                        .wait_while(queue, |queue| queue.messages.is_empty() && queue.senders > 0)
                        .unwrap_or_else(PoisonError::into_inner);
                    queue.receivers_waiting -= 1;
                }
                received => return received.map_err(|_| RecvError),
            }
        }
    }

    /// Receives a message without the loop, if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`] if there is no message now, or all senders are gone and no message is left.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut batch = lock(&self.batch);
        // The other messages stay in the queue, where other threads that wait for one see them.
        match pop_front(&mut batch).or_else(|| self.shared.take(None)) {
            Some(message) => Ok(message),
            None if self.shared.is_closed() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl<T> Drop for Channel<T> {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared.queue);
        queue.receiver_gone = true;
        // With a bound of 0 the waiting sender takes its message back. An empty queue is not moved: the move would
        // stall on the stores of unregistering.
        let handed_back = self.shared.bound == 0;
        let _messages = (!handed_back && !queue.messages.is_empty())
            .then(|| std::mem::take(&mut queue.messages));
        let _notifier = if queue.notifier.is_some() { queue.notifier.take() } else { None };
        let senders_waiting = queue.senders_waiting > 0;
        drop(queue);
        if senders_waiting {
            self.shared.taken.notify_all();
        }
        // The destructors of messages are user code: they run here, outside of the lock.
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

impl<T: 'static> EventSource for Channel<T> {
    type Event<'a> = Event<T>;
    type Ret = ();
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let (token, notifier) = registrar.raw_notifier();
        self.token = Some(token);
        let batch = self.batch.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut queue = lock(&self.shared.queue);
        // Announces what was sent before the registration.
        queue.notified = queue.has_more(batch);
        if queue.notified {
            notifier.notify();
        }
        queue.notifier = Some(notifier);
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if self.token.is_none() {
            return self.register(registrar);
        }
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        lock(&self.shared.queue).notifier = None;
        if let Some(token) = self.token.take() {
            registrar.release(token);
        }
        Ok(())
    }

    #[inline]
    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(Event<T>),
    {
        if self.token != Some(token) {
            return Ok(PostAction::Continue);
        }
        let batch = self.batch.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = pop_front(batch).or_else(|| self.shared.take(Some(batch))) {
            callback(Event::Msg(message));
        } else if self.shared.is_closed() {
            callback(Event::Closed);
            return Ok(PostAction::Remove);
        }
        let mut queue = lock(&self.shared.queue);
        // If there is no more, the next sender notifies the loop.
        queue.notified = queue.has_more(batch);
        if !queue.notified {
            return Ok(PostAction::Continue);
        }
        if let Some(notifier) = &queue.notifier {
            // In case a source around this one answers something else.
            notifier.again();
        }
        Ok(PostAction::Again)
    }
}

static_assertions::assert_eq_size!(Sender<[u8; 99]>, SyncSender<[u8; 99]>, usize);
