//! The client side of a Wayland connection: the source [`WaylandSource`], and its event.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::task::{Context, Poll, Waker};

use wayland_client::backend::{ReadEventsGuard, WaylandError};
use wayland_client::{Connection, DispatchError, EventQueue};

use super::fd_watch::FdWatch;
use super::wake::WakeReceiver;
use crate::{
    EventIterator, EventSource, Interest, InterestToken, Mode, PostAction, Readiness, Registrar,
};

/// Dispatches the event queue of a `wayland-client` connection.
///
/// The callback receives the [`Queue`], and answers with the result of [`Queue::dispatch_pending`]. Requests are
/// flushed before each wait; if the socket is full, as soon as there is room. If this loop is nested in another one,
/// and so does not wait itself, flush the [connection](Self::connection) yourself.
///
/// # Threads
///
/// The source follows the prepare-read protocol of Wayland: before the loop waits, the source announces that it is
/// going to read; after the wait, before any callback runs, it either reads or withdraws the announcement. So other
/// threads may read the same connection for queues of their own, and never wait for a callback; what they read for
/// this queue wakes the loop.
///
/// The source is `Send` and `Sync`, with one exception: not with libwayland (feature `client_system` of
/// `wayland-backend`) in a version of `wayland-backend` before 0.3.17.
///
/// # Limits
///
/// A thread that reads the same connection should run a loop of its own, and not call
/// [`EventQueue::blocking_dispatch`]. In `wayland-client` 0.31 that looks at its queue *before* it announces that it
/// is going to read: events that this loop, or another thread, reads for it in between wait there for the next
/// message of the compositor.
///
/// One loop watches a connection once: a second source for the same connection is refused with
/// [`io::ErrorKind::AlreadyExists`].
///
/// # Errors
///
/// The dispatch returns an error of the connection once; the source is disabled after it.
///
/// # Examples
///
/// ```no_run
/// use soloop::{EventLoop, LoopData, LoopHandle, WaylandSource};
/// use wayland_client::{Connection, Dispatch, QueueHandle, protocol::wl_registry};
///
/// struct State {
///     handle: LoopHandle<State>,
/// }
/// # impl LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut LoopHandle<Self> { &mut self.handle }
/// # }
/// # impl Dispatch<wl_registry::WlRegistry, ()> for State {
/// #     fn event(_: &mut Self, _: &wl_registry::WlRegistry, _: wl_registry::Event, _: &(),
/// #         _: &Connection, _: &QueueHandle<Self>) {}
/// # }
///
/// let connection = Connection::connect_to_env()?;
/// let queue = connection.new_event_queue::<State>();
/// let _registry = connection.display().get_registry(&queue.handle(), ());
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle };
/// let source = WaylandSource::new(connection, queue);
/// state.handle.insert_source(source, |queue, state| queue.dispatch_pending(state))?;
/// event_loop.run(None, &mut state, |_state| ())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WaylandSource<Data> {
    connection: Connection,
    queue: Queue<Data>,
    /// Woken by any thread that reads an event for the queue.
    wake_state: WakeReceiver<bool>,
    watch: FdWatch,
    /// The announcement to read, held while the loop waits.
    guard: Option<ReadEventsGuard>,
    /// The socket did not take everything that was flushed: wait for room.
    full: bool,
    /// A wait for room is registered.
    waits_for_room: bool,
    /// The error of a hook, to be reported.
    error: Option<WaylandError>,
    failed: bool,
}

impl<Data> WaylandSource<Data> {
    /// Makes a source that dispatches `queue`, which belongs to `connection`.
    pub fn new(connection: Connection, queue: EventQueue<Data>) -> Self {
        let wake_state = WakeReceiver::new();
        let queue = Queue { queue, waker: wake_state.waker(), armed: false };
        Self {
            connection,
            queue,
            wake_state,
            watch: FdWatch::default(),
            guard: None,
            full: false,
            waits_for_room: false,
            error: None,
            failed: false,
        }
    }

    /// Borrows the connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Borrows the queue.
    pub fn queue(&self) -> &EventQueue<Data> {
        &self.queue
    }

    /// Returns the connection and the queue.
    pub fn into_inner(self) -> (Connection, EventQueue<Data>) {
        (self.connection, self.queue.queue)
    }

    /// Keeps an error to report it. Returns whether the socket would have blocked instead.
    fn would_block(&mut self, result: Result<impl Sized, WaylandError>) -> bool {
        match result {
            Err(WaylandError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return true;
            }
            Err(error) => self.error = Some(error),
            Ok(_) => {}
        }
        false
    }
}

impl<Data: 'static> EventSource for WaylandSource<Data> {
    type Event<'a> = &'a mut Queue<Data>;
    type Ret = Result<(), DispatchError>;
    type Error = Box<dyn Error + Send + Sync>;
    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.reregister(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.wake_state.reregister(registrar);
        let interest = if self.full { Interest::BOTH } else { Interest::READ };
        let fd = self.connection.as_fd();
        self.watch.register(registrar, fd, interest, Mode::Level)?;
        self.waits_for_room = interest.writable;
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.guard = None;
        self.wake_state.unregister(registrar);
        self.watch.unregister(registrar, self.connection.as_fd())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Self::Error>
    where
        F: FnMut(&mut Queue<Data>) -> Result<(), DispatchError>,
    {
        if !self.watch.is(token) && !self.wake_state.is(token) {
            return Ok(PostAction::Continue);
        }
        if self.failed {
            return Ok(PostAction::Disable);
        }
        self.wake_state.take_wake_up();
        self.queue.armed = false;
        // Dispatch what was read before the connection failed: it may give the reason.
        let dispatched = callback(&mut self.queue);
        if let Some(error) = self.error.take() {
            self.failed = true;
            return Err(error.into());
        }
        if let Err(error) = dispatched {
            self.failed = matches!(error, DispatchError::Backend(_));
            return Err(error.into());
        }
        let changed = self.full != self.waits_for_room;
        let answer = self.wake_state.answer();
        Ok(if changed { PostAction::Reregister } else { answer })
    }

    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
        let Some(token) = self.watch.token() else { return Ok(None) };
        let now = Ok(Some((Readiness::EMPTY, token)));
        if self.failed {
            return now;
        }
        let flushed = self.connection.flush();
        self.full = self.would_block(flushed);
        if self.error.is_some() || self.full != self.waits_for_room || !self.queue.armed {
            return now;
        }
        // `None`: dispatch first what another thread has read for the connection.
        self.guard = self.queue.prepare_read();
        if self.guard.is_none() { now } else { Ok(None) }
    }

    fn before_handle_events(&mut self, mut events: EventIterator<'_>) {
        // Dropping the guard takes the announcement back.
        let Some(guard) = self.guard.take() else { return };
        let readable =
            |readiness: Readiness| readiness.readable || readiness.read_closed || readiness.error;
        if events.any(|(readiness, token)| self.watch.is(token) && readable(readiness)) {
            // The event that makes the source read also makes it dispatch.
            self.wake_state.expect();
            // If it would block, another thread has read the events.
            self.would_block(guard.read());
        }
    }
}

impl<Data> fmt::Debug for WaylandSource<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaylandSource").field("full", &self.full).finish_non_exhaustive()
    }
}

/// The event of a [`WaylandSource`]: an [`EventQueue`], to be dispatched with
/// [`dispatch_pending`](Self::dispatch_pending).
pub struct Queue<Data> {
    queue: EventQueue<Data>,
    waker: Waker,
    /// The queue was dispatched to its end, and has held the waker since.
    armed: bool,
}

impl<Data> Queue<Data> {
    /// Calls the handlers of all queued events, in place of [`EventQueue::dispatch_pending`].
    ///
    /// From then on, events that any thread queues wake the loop. If a thread has frozen the queue, this does not
    /// wait for it; the loop does other work until the thread unfreezes the queue.
    ///
    /// # Errors
    ///
    /// [`DispatchError::BadMessage`] for an event that its object's handler can't interpret; the rest is dispatched
    /// in the next round. [`DispatchError::Backend`] if the connection failed.
    pub fn dispatch_pending(&mut self, data: &mut Data) -> Result<(), DispatchError> {
        match self.queue.poll_dispatch_pending(&mut Context::from_waker(&self.waker), data) {
            Poll::Pending => self.armed = true,
            Poll::Ready(Err(error)) => return Err(error),
        }
        Ok(())
    }
}

impl<Data> Deref for Queue<Data> {
    type Target = EventQueue<Data>;

    fn deref(&self) -> &EventQueue<Data> {
        &self.queue
    }
}

/// Reaches the [`EventQueue`], for a [`roundtrip`](EventQueue::roundtrip) or the like. The next round dispatches the
/// queue again, since events may be left in it.
impl<Data> DerefMut for Queue<Data> {
    fn deref_mut(&mut self) -> &mut EventQueue<Data> {
        self.armed = false;
        &mut self.queue
    }
}

impl<Data> fmt::Debug for Queue<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("queue", &self.queue).finish_non_exhaustive()
    }
}
