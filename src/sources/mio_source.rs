//! Types that mio can watch: the source [`MioSource`], and its event.

use std::io;

use crate::{EventSource, Interest, InterestToken, Mode, PostAction, Readiness, Registrar};

/// The event of a [`MioSource`] or a `Generic`: the readiness, and the source to read from and write to.
#[derive(Debug)]
#[non_exhaustive]
#[doc(alias = "NoIoDrop")]
pub struct Ready<'a, T> {
    /// What the source is ready for.
    pub readiness: Readiness,
    /// The source, or what owns the fd.
    pub io: &'a mut T,
}

impl<'a, T> Ready<'a, T> {
    /// Makes such an event, for a source of your own.
    pub fn new(readiness: Readiness, io: &'a mut T) -> Self {
        Self { readiness, io }
    }
}

/// Watches a `mio::event::Source`: a `mio::net::TcpListener`, a `mio::unix::pipe::Receiver`, or a type of your own.
///
/// It works like [`Generic`](crate::Generic), for types that register themselves with mio, on every platform. A program
/// that uses it depends on `mio` 1 itself, with mio's feature `net` for sockets.
///
/// # Limits
///
/// mio is edge-triggered and hides the fd of its sources. So [`Mode::Level`] re-registers the source after each
/// event, which costs 1.4 to 1.8 times as much. Where that matters, use a [`Generic`](crate::Generic) on the fd, or
/// [`Mode::Edge`].
///
/// On 32-bit Linux it is refused with [`Unsupported`](std::io::ErrorKind::Unsupported), since mio's token has no room for
/// the loop's key there; a [`Generic`](crate::Generic) works.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, visitors: u32 }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use mio::net::TcpListener;
/// use soloop::{EventLoop, Interest, MioSource, Mode, PostAction};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, visitors: 0 };
/// let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
/// let address = listener.local_addr()?;
/// let source = MioSource::new(listener, Interest::READ, Mode::Level);
/// state.handle.insert_source(source, |ready, state| {
///     ready.io.accept()?;
///     state.visitors += 1;
///     Ok(PostAction::Continue)
/// })?;
/// let _visitor = std::net::TcpStream::connect(address)?;
/// event_loop.dispatch(None, &mut state)?;
/// assert_eq!(state.visitors, 1);
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
pub struct MioSource<T> {
    /// What the source waits for; a change takes effect with [`LoopHandle::update`](crate::LoopHandle::update).
    pub interest: Interest,
    /// How often it is reported; a change takes effect with [`LoopHandle::update`](crate::LoopHandle::update).
    pub mode: Mode,
    io: T,
    token: Option<InterestToken>,
}

impl<T> MioSource<T> {
    /// Makes a source that watches `io`.
    pub fn new(io: T, interest: Interest, mode: Mode) -> Self {
        Self { interest, mode, io, token: None }
    }

    /// Borrows the mio source.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Borrows the mio source mutably.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// Returns the mio source.
    pub fn into_inner(self) -> T {
        self.io
    }
}

impl<T: mio::event::Source + 'static> EventSource for MioSource<T> {
    type Event<'a> = Ready<'a, T>;
    type Ret = io::Result<PostAction>;
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.token = Some(registrar.register(&mut self.io, self.interest, self.mode)?);
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let Some(token) = self.token else { return self.register(registrar) };
        match registrar.reregister(token, &mut self.io, self.interest, self.mode) {
            // The callback replaced the source.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let _ = registrar.unregister(token, &mut self.io);
                self.register(registrar)
            }
            result => result,
        }
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.token.take().map_or(Ok(()), |token| registrar.unregister(token, &mut self.io))
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(Ready<'_, T>) -> io::Result<PostAction>,
    {
        if self.token != Some(token) {
            return Ok(PostAction::Continue);
        }
        callback(Ready { readiness, io: &mut self.io })
    }
}
