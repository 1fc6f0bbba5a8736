//! The client side of a Wayland connection.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

use wayland_client::backend::{ReadEventsGuard, WaylandError};
use wayland_client::{Connection, DispatchError, EventQueue};

use crate::{
    EventIterator, EventSource, Interest, InterestToken, Mode, PostAction, Readiness, Registrar,
};

/// Dispatches the event queue of a `wayland-client` connection.
///
/// The callback receives the queue, and answers with what
/// [`EventQueue::dispatch_pending`] does with the state. Requests are flushed before each wait; if the
/// socket is full, as soon as there is room.
///
/// The source follows the prepare-read protocol of Wayland: before the loop waits it announces that it is
/// going to read, and after the wait it either reads or takes the announcement back, however the wait ended.
///
/// # Limits
///
/// `wayland-client` does not tell whether a queue holds events. If another thread reads the same connection,
/// what it reads for this queue between two dispatches may wait until the next wake-up of the loop: have that
/// thread send a [`Ping`](crate::Ping), or read in the loop alone.
///
/// An error of the connection comes out of the dispatch once; the source is disabled after it.
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
/// state.handle.insert_source(source, |queue, state: &mut State| queue.dispatch_pending(state))?;
/// event_loop.run(None, &mut state, |_state| ())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WaylandSource<Data> {
    connection: Connection,
    queue: EventQueue<Data>,
    token: Option<InterestToken>,
    /// The announcement to read, while the loop waits.
    guard: Option<ReadEventsGuard>,
    /// The socket took not all that was to be flushed: a wait for room is wanted.
    full: bool,
    /// A wait for room is registered.
    waits_for_room: bool,
    /// What a hook met with, and is to be told.
    error: Option<WaylandError>,
    failed: bool,
}

impl<Data> WaylandSource<Data> {
    /// Dispatches `queue`, which belongs to `connection`.
    pub fn new(connection: Connection, queue: EventQueue<Data>) -> Self {
        Self {
            connection,
            queue,
            token: None,
            guard: None,
            full: false,
            waits_for_room: false,
            error: None,
            failed: false,
        }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The queue.
    pub fn queue(&self) -> &EventQueue<Data> {
        &self.queue
    }

    /// The connection and the queue.
    pub fn into_inner(self) -> (Connection, EventQueue<Data>) {
        (self.connection, self.queue)
    }

    fn interest(&self) -> Interest {
        if self.full { Interest::BOTH } else { Interest::READ }
    }

    fn flush(&mut self) {
        match self.connection.flush() {
            Ok(()) => self.full = false,
            Err(WaylandError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.full = true;
            }
            Err(error) => self.error = Some(error),
        }
    }
}

impl<Data: 'static> EventSource for WaylandSource<Data> {
    type Event<'a> = &'a mut EventQueue<Data>;
    type Ret = Result<usize, DispatchError>;
    type Error = Box<dyn Error + Send + Sync>;
    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let interest = self.interest();
        let backend = self.connection.backend();
        self.token = Some(registrar.register_fd(backend.poll_fd(), interest, Mode::Level)?);
        self.waits_for_room = interest.writable;
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let Some(token) = self.token else { return self.register(registrar) };
        let interest = self.interest();
        let backend = self.connection.backend();
        registrar.reregister_fd(token, backend.poll_fd().as_fd(), interest, Mode::Level)?;
        self.waits_for_room = interest.writable;
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.guard = None;
        let backend = self.connection.backend();
        match self.token.take() {
            Some(token) => registrar.unregister_fd(token, backend.poll_fd()),
            None => Ok(()),
        }
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Self::Error>
    where
        F: FnMut(&mut EventQueue<Data>) -> Result<usize, DispatchError>,
    {
        if self.token != Some(token) {
            return Ok(PostAction::Continue);
        }
        if self.failed {
            return Ok(PostAction::Disable);
        }
        // What was read before the connection failed is dispatched: it may say why.
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
        Ok(if changed { PostAction::Reregister } else { PostAction::Continue })
    }

    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
        let Some(token) = self.token else { return Ok(None) };
        let now = Ok(Some((Readiness::EMPTY, token)));
        if self.failed {
            return now;
        }
        self.flush();
        if self.error.is_some() || self.full != self.waits_for_room {
            return now;
        }
        // Nothing can be read before what is queued is dispatched.
        self.guard = self.queue.prepare_read();
        if self.guard.is_none() { now } else { Ok(None) }
    }

    fn before_handle_events(&mut self, mut events: EventIterator<'_>) {
        // Dropped, it takes the announcement back.
        let Some(guard) = self.guard.take() else { return };
        let readable =
            |readiness: Readiness| readiness.readable || readiness.read_closed || readiness.error;
        if events.any(|(readiness, token)| self.token == Some(token) && readable(readiness)) {
            match guard.read() {
                // Another thread was faster.
                Err(WaylandError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => self.error = Some(error),
                Ok(_) => {}
            }
        }
    }
}

impl<Data> fmt::Debug for WaylandSource<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaylandSource").field("full", &self.full).finish_non_exhaustive()
    }
}
