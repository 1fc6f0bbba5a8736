//! Fds: the source [`Generic`].

use std::io;
use std::os::fd::AsFd;

use super::fd_watch::FdWatch;
use crate::{EventSource, Interest, InterestToken, Mode, PostAction, Readiness, Registrar};

pub use super::mio_source::Ready;

/// Watches an fd: a socket, a pipe, a device, another loop.
///
/// The callback gets [`Ready`], with `&mut` of what owns the fd. It answers how to go on, as
/// `io::Result<PostAction>`; the dispatch returns an `Err` under the name of the source, which stays registered. With
/// [`Mode::Level`] the callback is called in each round as long as the fd is ready; with [`Mode::Edge`], when it
/// becomes ready; with [`Mode::OneShot`], once until it is updated (or the callback answers
/// [`PostAction::Reregister`]).
///
/// To write to a client other than the one calling back, [visit](crate::LoopHandle::visit) its source:
/// [`guide::sources`](crate::guide::sources) shows how.
///
/// If the callback puts another fd into `io`, that fd is registered when the callback returns.
///
/// # Limits
///
/// `epoll(7)` refuses regular files and directories (`EPERM`), and the same fd twice (`EEXIST`): both are errors of
/// the insertion. If the new fd has the same *number* as the old one (the old one was closed first), the callback has
/// to answer [`PostAction::Reregister`].
///
/// The fd should be non-blocking: this source does not change its mode, and a blocking read or write stops the loop.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, heard: Vec<u8> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use soloop::{EventLoop, Generic, Interest, Mode, PostAction};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, heard: Vec::new() };
/// let (mut ours, theirs) = UnixStream::pair()?;
/// let source = Generic::new(theirs, Interest::READ, Mode::Level);
/// state.handle.insert_source(source, |ready, state| {
///     let mut buffer = [0; 64];
///     match ready.io.read(&mut buffer)? {
///         0 => return Ok(PostAction::Remove),
///         n => state.heard.extend_from_slice(&buffer[..n]),
///     }
///     Ok(PostAction::Continue)
/// })?;
/// ours.write_all(b"hello")?;
/// event_loop.dispatch(None, &mut state)?;
/// assert_eq!(state.heard, b"hello");
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
pub struct Generic<T> {
    /// What the source waits for; a change takes effect with [`LoopHandle::update`](crate::LoopHandle::update).
    pub interest: Interest,
    /// How often it is reported; a change takes effect with [`LoopHandle::update`](crate::LoopHandle::update).
    pub mode: Mode,
    io: T,
    pub(super) watch: FdWatch,
}

impl<T> Generic<T> {
    /// Makes a source that watches the fd of `io`.
    pub fn new(io: T, interest: Interest, mode: Mode) -> Self {
        Self { interest, mode, io, watch: FdWatch::default() }
    }

    /// Borrows what owns the fd.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Borrows what owns the fd mutably. If you put another fd in its place,
    /// [`LoopHandle::update`](crate::LoopHandle::update) registers it.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// Returns what owns the fd.
    #[doc(alias = "unwrap")]
    pub fn into_inner(self) -> T {
        self.io
    }
}

impl<T: AsFd + 'static> EventSource for Generic<T> {
    type Event<'a> = Ready<'a, T>;
    type Ret = io::Result<PostAction>;
    type Error = io::Error;

    #[inline(always)]
    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        // Also if whatever contains this source left out to unregister it.
        self.watch = FdWatch::default();
        self.watch.register(registrar, self.io.as_fd(), self.interest, self.mode)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.watch.register(registrar, self.io.as_fd(), self.interest, self.mode)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.watch.unregister(registrar, self.io.as_fd())
    }

    #[inline]
    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(Ready<'_, T>) -> io::Result<PostAction>,
    {
        if !self.watch.is(token) {
            return Ok(PostAction::Continue);
        }
        let action = callback(Ready { readiness, io: &mut self.io })?;
        Ok(match action {
            // The callback replaced the fd.
            PostAction::Continue | PostAction::Again if !self.watch.has(self.io.as_fd()) => {
                PostAction::Reregister
            }
            action => action,
        })
    }
}
