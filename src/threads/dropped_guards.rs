//! Guards: a value that holds no [`LoopHandle`](crate::LoopHandle), such as a future or a scope, owns a guard for what
//! it has in the loop. Dropping the guard removes that.
//!
//! The loop handles dropped guards when it next applies ops: before any other callback, and before the next wait. A
//! dropped guard wakes the loop only if it is asleep.

#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Weak};

#[cfg(unix)]
use crate::kernel::{self, Rearm};
use crate::threads::shared::Shared;
use crate::token::{AnyToken, IdleToken, InterestToken};
#[cfg(unix)]
use crate::{Interest, Mode};

/// What the loop has to do after one guard was dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DroppedGuard {
    /// Remove the source.
    Source(AnyToken),
    /// Cancel the idle.
    Idle(IdleToken),
    /// Forget an interest in an fd. `told`: the kernel has forgotten it already.
    #[cfg_attr(not(unix), expect(dead_code))]
    Fd { interest: InterestToken, told: bool },
}

impl Shared {
    /// Queues a dropped guard for the next application of ops. `false`: the loop is gone.
    pub(crate) fn leave(&self, dropped: DroppedGuard) -> bool {
        self.post(self.dropped_guards(), dropped)
    }
}

/// Makes the loop do something when it is dropped. All guards are built on it.
#[derive(Debug)]
pub(crate) struct Guard {
    leaves: DroppedGuard,
    shared: Weak<Shared>,
}

impl Guard {
    pub(crate) fn new(leaves: DroppedGuard, shared: &Arc<Shared>) -> Self {
        Self { leaves, shared: Arc::downgrade(shared) }
    }

    /// Drops the guard without any effect.
    pub(crate) fn disarm(mut self) {
        self.shared = Weak::new();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.leave(self.leaves);
        }
    }
}

/// Removes a source when it is dropped, on any thread; [`LoopHandle::guard`](crate::LoopHandle::guard) makes it.
///
/// It is for a value that represents a source but holds no handle, such as a future that waits for the source. The
/// source is removed when ops are applied the next time: if a callback drops the guard, before any other callback
/// runs. A guard does not keep the loop alive.
///
/// For several sources that end together, use a [`Scope`](crate::Scope).
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use soloop::{EventLoop, make_ping};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle };
/// let (_ping, source) = make_ping();
/// let token = state.handle.insert_source(source, |(), _| ())?;
/// let guard = state.handle.guard(token);
/// std::thread::spawn(|| drop(guard)).join().unwrap();
/// event_loop.apply_pending(&mut state)?;
/// assert!(!state.handle.contains(token));
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a guard that is dropped removes its source"]
pub struct SourceGuard(pub(crate) Guard);

impl SourceGuard {
    /// Drops the guard without removing its source.
    pub fn disarm(self) {
        self.0.disarm();
    }
}

/// Ends the watch of an fd that is not owned by the source; [`Registrar::watch_fd`](crate::Registrar::watch_fd) makes
/// it.
///
/// The fd's owner keeps the guard beside the fd, on any thread, and needs no handle of the loop. Before the fd is
/// closed, or given to somebody who may register it again, the owner must call [`unregister`](Self::unregister), which
/// tells the kernel at once; also if the source is gone by then. If the guard is dropped instead, the loop ends the
/// watch when ops are applied the next time, unless the fd's number was registered again by then. A guard does not
/// keep the loop alive.
///
/// [`LoopHandle::registrar`](crate::LoopHandle::registrar) has an example.
#[cfg(unix)]
#[derive(Debug)]
#[must_use = "a guard that is dropped ends the watch"]
pub struct FdGuard {
    fd: RawFd,
    wants: Interest,
    interest: InterestToken,
    registry: Weak<mio::Registry>,
    guard: Guard,
}

#[cfg(unix)]
impl FdGuard {
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        wants: Interest,
        interest: InterestToken,
        registry: &Arc<mio::Registry>,
        shared: &Arc<Shared>,
    ) -> Self {
        let guard = Guard::new(DroppedGuard::Fd { interest, told: false }, shared);
        Self { fd: fd.as_raw_fd(), wants, interest, registry: Arc::downgrade(registry), guard }
    }

    /// Makes the kernel report the fd again if it is ready, as `EPOLL_CTL_MOD` of `epoll_ctl(2)` does. Does nothing
    /// once the loop and its handle are gone.
    ///
    /// Only mio's `poll(2)` backend needs this before each wait, because it drops an interest once it was reported.
    /// With every other backend each edge is reported without it.
    ///
    /// # Errors
    ///
    /// Those of `epoll_ctl(2)`; [`NotFound`](io::ErrorKind::NotFound) if `fd` is not the watched one.
    pub fn rearm(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.check(fd)?;
        let Some(registry) = self.registry.upgrade() else { return Ok(()) };
        kernel::modify(&registry, fd, self.interest, self.wants, Mode::Edge, Rearm::Native)?;
        Ok(())
    }

    /// Ends the watch: the kernel forgets the fd at once, and the source receives no more of its events. Does nothing
    /// once the loop and its handle are gone.
    ///
    /// # Errors
    ///
    /// Those of `epoll_ctl(2)`; [`NotFound`](io::ErrorKind::NotFound) if `fd` is not the watched one.
    pub fn unregister(mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.check(fd)?;
        self.guard.leaves = DroppedGuard::Fd { interest: self.interest, told: true };
        let Some(registry) = self.registry.upgrade() else { return Ok(()) };
        kernel::delete_raw(&registry, self.fd)
    }

    fn check(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if fd.as_raw_fd() == self.fd {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "the fd is not the one that the guard watches"))
    }
}
