//! Fds in futures: [`Async`].
//!
//! An fd is registered once, edge-triggered and for both directions, when it is adapted. Only the kernel knows
//! whether it is ready: a future tries, and waits for the next edge on `WouldBlock`. It stores its waker *before* it
//! tries, so that an edge in between is not lost; a spurious wake-up costs one more try. Each direction has wakers of
//! its own, and each waiting future has its place among them.
//!
//! A dropped [`Async`] tells the kernel at once, because the fd may be adapted again before the loop runs; the loop
//! forgets its part when it next applies ops. Neither keeps the other alive.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::Waker;
#[cfg(feature = "futures-io")]
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use self::ready::ReadinessWait;
use self::waiters::{Direction, IoSource, Place, Waiters};
use crate::{FdGuard, InsertError, Interest, LoopHandle, SourceGuard};

mod ready;
#[cfg(feature = "futures-io")]
mod traits;
mod waiters;

pub use self::ready::{Readable, Writable};

/// mio's `poll(2)` backend drops an interest once it has reported it.
const REARM: bool = cfg!(mio_unsupported_force_poll_poll);

/// Wraps an fd so that futures can wait for it; [`LoopHandle::adapt_io`] makes it.
///
/// A future tries to read or write, and on `WouldBlock` awaits [`readable`](Self::readable) or
/// [`writable`](Self::writable). With the feature `futures-io` it implements `AsyncRead` and `AsyncWrite`. One future
/// may wait to read while another waits to write, as the halves of `futures::AsyncReadExt::split` do, and any number
/// of futures may await `readable`.
///
/// The fd is non-blocking while it is wrapped. [`into_inner`](Self::into_inner) and dropping unregister it at once
/// and restore its mode.
///
/// # Limits
///
/// It belongs to its loop, which has to be dispatched for anything to become ready. If the loop is dropped first,
/// waiting futures are woken once more and then never again: reading and writing through the futures-io traits fail
/// instead of waiting, `readable` and `writable` stay pending. Do not put another fd in its place through
/// [`get_mut`](Self::get_mut): adapt that fd instead. The mode belongs to the open file: of two duplicates that are
/// adapted, the first one dropped makes the file blocking for the other.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use soloop::EventLoop;
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle };
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let mut ours = state.handle.adapt_io(ours)?;
/// let thread = std::thread::spawn(move || theirs.write_all(b"hello"));
///
/// let mut buffer = [0; 5];
/// event_loop.block_on(
///     async {
///         ours.readable().await;
///         ours.get_mut().read_exact(&mut buffer)
///     },
///     &mut state,
/// )?;
/// assert_eq!(&buffer, b"hello");
/// # thread.join().unwrap()?;
/// # Ok::<(), soloop::Error>(())
/// ```
pub struct Async<F: AsFd> {
    /// What owns the fd, and the watch of it. `None` only while `into_inner` hands the fd out.
    held: Option<(F, FdGuard)>,
    /// The fd's flags from before; `None` if it was non-blocking already.
    blocking: Option<OFlags>,
    waiters: Arc<Waiters>,
    /// Removes the loop's side, after `drop` has told the kernel.
    _guard: SourceGuard,
}

/// Inserts the source that wakes waiting futures, watches the fd for it, and makes the fd non-blocking.
fn watch<Data>(
    handle: &mut LoopHandle<Data>,
    fd: BorrowedFd<'_>,
    waiters: &Arc<Waiters>,
) -> io::Result<(FdGuard, SourceGuard, Option<OFlags>)> {
    // Make the guard first: it removes the source if the fd is refused.
    let token = handle.insert_source(IoSource::new(waiters), |(), _| ())?;
    let guard = handle.guard(token);
    let Some(mut registrar) = handle.registrar(token) else {
        return Err(io::ErrorKind::NotConnected.into());
    };
    let (_, watch) = registrar.watch_fd(fd, Interest::BOTH)?;
    Ok((watch, guard, set_nonblocking(fd)?))
}

/// Sets non-blocking mode. Returns the previous flags if that was a change.
fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<Option<OFlags>> {
    let flags = fcntl_getfl(fd)?;
    if flags.contains(OFlags::NONBLOCK) {
        return Ok(None);
    }
    fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    Ok(Some(flags))
}

impl<F: AsFd> Async<F> {
    /// Implements [`LoopHandle::adapt_io`].
    pub(crate) fn new<Data>(handle: &mut LoopHandle<Data>, fd: F) -> Result<Self, InsertError<F>> {
        let waiters = Arc::new(Waiters::default());
        match watch(handle, fd.as_fd(), &waiters) {
            Ok((watch, guard, blocking)) => {
                Ok(Self { held: Some((fd, watch)), blocking, waiters, _guard: guard })
            }
            Err(error) => Err(InsertError::new(error, fd)),
        }
    }

    /// Borrows what owns the fd.
    pub fn get_ref(&self) -> &F {
        &self.held.as_ref().expect("held until `into_inner`").0
    }

    /// Borrows what owns the fd mutably, to read and write.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.held.as_mut().expect("held until `into_inner`").0
    }

    /// Returns what owns the fd, unregistered and in its former mode. It can be adapted again at once.
    pub fn into_inner(mut self) -> F {
        self.release().expect("held until `into_inner`")
    }

    /// Waits until a read would not block: there is data, the end, or an error.
    pub fn readable(&self) -> Readable<'_, F> {
        Readable { wait: self.wait(Direction::Read) }
    }

    /// Waits until a write would not block: there is room, or an error.
    pub fn writable(&self) -> Writable<'_, F> {
        Writable { wait: self.wait(Direction::Write) }
    }

    fn wait(&self, direction: Direction) -> ReadinessWait<'_, F> {
        ReadinessWait { io: self, place: self.waiters.new_place(direction) }
    }

    /// Stores a waker for the next edge. The caller has to try after this.
    fn await_edge(&self, place: Place, waker: &Waker) -> io::Result<()> {
        self.waiters.leave(place, waker);
        if REARM && let Some((fd, watch)) = &self.held {
            watch.rearm(fd.as_fd())?;
        }
        Ok(())
    }

    /// Asks the kernel whether a call in this direction would not block.
    fn is_ready(&self, direction: Direction) -> bool {
        let flags = match direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
        };
        let mut fds = [PollFd::new(self.get_ref(), flags)];
        // After an error, too: the caller tries then, and gets the error.
        !matches!(rustix::event::poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    /// Calls `operation`: retries `Interrupted`; `WouldBlock` becomes `Pending`.
    #[cfg(feature = "futures-io")]
    fn poll_with<R>(
        &mut self,
        direction: Direction,
        cx: &Context<'_>,
        mut operation: impl FnMut(&mut F) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        // All calls in one direction share a place, which keeps only the waker of the last one.
        let place = (direction, 0);
        let mut waits = false;
        loop {
            match operation(self.get_mut()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if waits {
                        return Poll::Pending;
                    }
                    if self.waiters.is_over() {
                        return Poll::Ready(Err(io::Error::other("the event loop is gone")));
                    }
                    self.await_edge(place, cx.waker())?;
                    waits = true;
                }
                result => {
                    if waits {
                        self.waiters.leave_place(place);
                    }
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Hands out what owns the fd, unregistered and in its former mode.
    fn release(&mut self) -> Option<F> {
        let (owner, watch) = self.held.take()?;
        // It fails for another fd than the one that was registered, which keeps its mode. Later events of the
        // registered one are not delivered in any case.
        let unregistered = watch.unregister(owner.as_fd());
        if unregistered.is_ok()
            && let Some(flags) = self.blocking
        {
            // Setting the mode succeeded, so restoring it does, too.
            let _ = fcntl_setfl(&owner, flags);
        }
        Some(owner)
    }
}

impl<F: AsFd> Drop for Async<F> {
    fn drop(&mut self) {
        let _fd = self.release();
        self.waiters.clear();
    }
}

/// No field is pinned.
impl<F: AsFd> Unpin for Async<F> {}

impl<F: AsFd> AsFd for Async<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<F: AsFd + fmt::Debug> fmt::Debug for Async<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(self.get_ref()).finish()
    }
}
