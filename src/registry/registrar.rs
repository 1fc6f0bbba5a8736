//! The part of the loop that a source sees.

use std::io;
use std::sync::Arc;
use std::time::Instant;

#[cfg(unix)]
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::clock::{Clock, stamp};
use crate::kernel;
use crate::kernel::Rearm;
use crate::registry::{IoWatch, Registrations, Watch};
#[cfg(unix)]
use crate::threads::dropped_guards::FdGuard;
use crate::threads::ready::{Notifier, RawNotifier};
#[cfg(all(unix, feature = "calloop"))]
use crate::threads::shared::Shared;
use crate::token::SourceKey;
use crate::{Interest, InterestToken, Mode};

/// Registers what a source waits for: fds, mio sources, deadlines and notifiers.
///
/// The loop passes it to [`EventSource::register`](crate::EventSource::register), `reregister` and `unregister`. Each
/// registration returns an [`InterestToken`], with which [`process_events`](crate::EventSource::process_events) is
/// later called. A token of another source is refused with [`io::ErrorKind::NotFound`].
///
/// The sources of this crate use nothing else, so yours can do whatever a timer, a channel or a task does. (The
/// exception is `CalloopLoop`, in which the loop itself waits.)
///
/// | waits for | by | ended by |
/// |---|---|---|
/// | an fd, a mio source | [`register_fd`](Self::register_fd), [`register`](Self::register) | `unregister_fd`, `unregister` |
/// | an fd that somebody else owns | [`watch_fd`](Self::watch_fd) | its [`FdGuard`] |
/// | a deadline | [`arm`](Self::arm), [`rearm`](Self::rearm) | [`disarm`](Self::disarm) |
/// | other threads, wakers | [`notifier`](Self::notifier), [`raw_notifier`](Self::raw_notifier) | [`release`](Self::release) |
///
/// # Examples
///
/// A timer with several deadlines, which arms the next one whenever one was delivered:
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, fired: u32 }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::{convert::Infallible, io, time::{Duration, Instant}};
/// use soloop::{Clock, EventLoop, EventSource, InterestToken, PostAction, Readiness, Registrar};
///
/// struct Agenda {
///     /// The nearest is the last.
///     deadlines: Vec<Instant>,
///     token: Option<InterestToken>,
/// }
///
/// impl EventSource for Agenda {
///     type Event<'a> = Instant;
///     type Ret = ();
///     type Error = Infallible;
///
///     fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         self.token = self.deadlines.last().map(|deadline| registrar.arm(*deadline));
///         Ok(())
///     }
///
///     fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         if let (Some(token), Some(deadline)) = (self.token, self.deadlines.last()) {
///             registrar.rearm(token, *deadline);
///         }
///         Ok(())
///     }
///
///     fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
///         if let Some(token) = self.token.take() {
///             registrar.disarm(token);
///         }
///         Ok(())
///     }
///
///     fn process_events<F>(&mut self, _: Readiness, token: InterestToken, mut callback: F)
///         -> Result<PostAction, Infallible>
///     where
///         F: FnMut(Instant),
///     {
///         if self.token != Some(token) {
///             return Ok(PostAction::Continue);
///         }
///         if let Some(deadline) = self.deadlines.pop() {
///             callback(deadline);
///         }
///         Ok(if self.deadlines.is_empty() { PostAction::Remove } else { PostAction::Reregister })
///     }
/// }
///
/// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
/// let mut state = State { handle, fired: 0 };
/// let now = state.handle.now();
/// let deadlines = [3, 2, 1].map(|hours| now + hours * Duration::from_secs(3600)).to_vec();
/// let agenda = Agenda { deadlines, token: None };
/// let token = state.handle.insert_source(agenda, |_, state| state.fired += 1)?;
/// for _ in 0..3 {
///     event_loop.dispatch(None, &mut state)?; // a manual clock jumps to the next deadline
/// }
/// assert_eq!(state.fired, 3);
/// assert!(!state.handle.contains(token));
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
#[doc(alias("Poll", "TokenFactory"))]
pub struct Registrar<'a> {
    registrations: &'a mut Registrations,
    source: SourceKey,
    /// See [`is_answer`](Self::is_answer).
    pub(crate) is_answer: bool,
}

impl<'a> Registrar<'a> {
    #[inline]
    pub(crate) fn new(registrations: &'a mut Registrations, source: SourceKey) -> Self {
        Self { registrations, source, is_answer: false }
    }

    /// Watches a mio source. mio is edge-triggered, so with [`Mode::Level`] the loop re-registers the source after
    /// each event, and with [`Mode::OneShot`] it drops what comes after the first event.
    ///
    /// # Errors
    ///
    /// Those of `mio::Registry::register`, such as [`io::ErrorKind::AlreadyExists`] for an fd that is
    /// registered already. [`io::ErrorKind::Unsupported`] on a target with 32-bit pointers, where mio's token has no room
    /// for the loop's key; [`register_fd`](Self::register_fd) works there.
    pub fn register<T: mio::event::Source + ?Sized>(
        &mut self,
        io: &mut T,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<InterestToken> {
        self.registrations.add_io(self.source, -1, interest, |registry, key| {
            kernel::emulate(registry, io, key, interest, mode, Rearm::Absent)
        })
    }

    /// Changes the interest or the mode of a mio source.
    ///
    /// # Errors
    ///
    /// Those of `mio::Registry::reregister`; [`io::ErrorKind::NotFound`] if `token` is not a
    /// registration of this source, [`io::ErrorKind::InvalidInput`] if it is a deadline or a notifier.
    pub fn reregister<T: mio::event::Source + ?Sized>(
        &mut self,
        token: InterestToken,
        io: &mut T,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let before = self.io_watch(token)?.rearm;
        let registry = self.registrations.registry();
        let rearm = kernel::emulate(registry, io, token, interest, mode, before)?;
        self.registrations.set_io(token, -1, interest, rearm);
        Ok(())
    }

    /// Ends the watch of a mio source, and releases `token`.
    ///
    /// # Errors
    ///
    /// Those of `mio::Registry::deregister`; `token` is released in any case. [`io::ErrorKind::NotFound`] if `token`
    /// is not a registration of this source, [`io::ErrorKind::InvalidInput`] if it is a deadline or a notifier.
    pub fn unregister<T: mio::event::Source + ?Sized>(
        &mut self,
        token: InterestToken,
        io: &mut T,
    ) -> io::Result<()> {
        match self.remove_io(token)?.rearm {
            Rearm::Absent => Ok(()),
            _ => self.registrations.registry().deregister(io),
        }
    }

    /// Watches an fd.
    ///
    /// # Errors
    ///
    /// Those of `epoll_ctl(2)` on Linux: `EEXIST` for an fd that is registered already, `EPERM` for a
    /// regular file or a directory, `EBADF` for one that is closed, `ENOSPC` beyond the user's limit.
    #[cfg(unix)]
    #[inline]
    pub fn register_fd(
        &mut self,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<InterestToken> {
        self.registrations.add_io(self.source, fd.as_raw_fd(), interest, |registry, key| {
            kernel::add(registry, fd, key, interest, mode)
        })
    }

    /// Changes the interest or the mode of a watched fd; arms a [`Mode::OneShot`] one again. If `fd` is another file
    /// than the one registered under `token`, it replaces that one.
    ///
    /// If the old file was closed under its number while a duplicate keeps it open, `epoll(7)` goes on to report it,
    /// and nothing can end that: the source then receives the events of both files under `token`. To receive those of
    /// the new file alone, [register](Self::register_fd) the new file and unregister `token`, as
    /// [`Generic`](crate::Generic) does.
    ///
    /// # Errors
    ///
    /// Those of [`register_fd`](Self::register_fd); [`io::ErrorKind::NotFound`] if `token` is not a
    /// registration of this source, [`io::ErrorKind::InvalidInput`] if it is a deadline or a notifier.
    #[cfg(unix)]
    pub fn reregister_fd(
        &mut self,
        token: InterestToken,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        if self.modify_fd(token, fd, interest, mode)? {
            return Ok(());
        }
        let before = self.io_watch(token)?;
        let rearm = kernel::add(self.registrations.registry(), fd, token, interest, mode)?;
        if before.fd != fd.as_raw_fd() {
            // Nothing is lost if the file was closed: the kernel has then forgotten it.
            let _ = self.registrations.forget_fd(self.source, before, token, false);
        }
        self.registrations.set_io(token, fd.as_raw_fd(), interest, rearm);
        Ok(())
    }

    /// [`reregister_fd`](Self::reregister_fd), but only for the file that is registered under `token`. `false` if
    /// `fd` is another file; nothing is changed then.
    ///
    /// # Errors
    ///
    /// Those of [`reregister_fd`](Self::reregister_fd).
    #[cfg(unix)]
    pub fn modify_fd(
        &mut self,
        token: InterestToken,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<bool> {
        let IoWatch { fd: registered, rearm, .. } = self.io_watch(token)?;
        let raw = fd.as_raw_fd();
        let holder = self.registrations.fds.get(raw as usize);
        let is_held = rearm == Rearm::Absent || holder == Some(&Some(token));
        if registered != raw || !is_held {
            return Ok(false);
        }
        let registry = self.registrations.registry();
        let Some(rearm) = kernel::modify(registry, fd, token, interest, mode, rearm)? else {
            return Ok(false);
        };
        self.registrations.set_io(token, raw, interest, rearm);
        Ok(true)
    }

    /// Ends the watch of an fd, and releases `token`.
    ///
    /// # Errors
    ///
    /// Those of `epoll_ctl(2)`; `token` is released in any case. No error if the kernel has already forgotten the fd,
    /// because it was closed. [`io::ErrorKind::NotFound`] if `token` is not a registration of this source,
    /// [`io::ErrorKind::InvalidInput`] if it is a deadline or a notifier.
    #[cfg(unix)]
    #[inline]
    pub fn unregister_fd(&mut self, token: InterestToken, fd: BorrowedFd<'_>) -> io::Result<()> {
        let before = self.remove_io(token)?;
        let has_it = before.fd == fd.as_raw_fd();
        let forgotten = self.registrations.forget_fd(self.source, before, token, has_it);
        // An error about another file than `fd` is of no use to the source.
        if has_it { forgotten } else { Ok(()) }
    }

    /// Watches an fd, edge-triggered, that is not owned by the source. The fd's owner keeps the guard, and ends the
    /// watch with it, on any thread.
    ///
    /// # Errors
    ///
    /// Those of [`register_fd`](Self::register_fd).
    ///
    /// # Examples
    ///
    /// See [`LoopHandle::registrar`](crate::LoopHandle::registrar).
    #[cfg(unix)]
    pub fn watch_fd(
        &mut self,
        fd: BorrowedFd<'_>,
        interest: Interest,
    ) -> io::Result<(InterestToken, FdGuard)> {
        let token = self.register_fd(fd, interest, Mode::Edge)?;
        let (registry, shared) = (self.registrations.registry(), self.registrations.shared());
        Ok((token, FdGuard::new(fd, interest, token, registry, shared)))
    }

    /// Makes the source ready at `deadline` on the loop's clock: once, never early, and after those with the same
    /// deadline that were armed before. A deadline in the past comes in the next round; one more than 292 years away
    /// never comes.
    #[inline]
    pub fn arm(&mut self, deadline: Instant) -> InterestToken {
        self.registrations.arm(self.source, stamp(deadline))
    }

    /// Moves a deadline, whether it has passed or not. It then comes after those with the same deadline that were
    /// armed before, unless it is not moved at all. Does nothing if `token` is not a deadline of this source.
    #[inline]
    pub fn rearm(&mut self, token: InterestToken, deadline: Instant) {
        self.registrations.rearm(self.source, token, stamp(deadline));
    }

    /// Cancels a deadline and releases its token. Does nothing if `token` is not a deadline of this
    /// source.
    pub fn disarm(&mut self, token: InterestToken) {
        if let Some(Watch::Deadline(_)) = self.registrations.watch(self.source, token) {
            self.registrations.remove_interest(token);
        }
    }

    /// Makes a [`Notifier`], by which any thread makes the source ready. [`Notifier`] has an example.
    #[inline]
    pub fn notifier(&mut self) -> (InterestToken, Notifier) {
        let (token, raw) = self.raw_notifier();
        (token, Notifier::new(raw))
    }

    /// Makes a [`RawNotifier`], for a source that itself keeps track of whether it notified the loop.
    #[inline]
    pub fn raw_notifier(&mut self) -> (InterestToken, RawNotifier) {
        let token = self.registrations.rows.add(self.source, |_| Watch::Notifier);
        let shared = Arc::clone(self.registrations.shared());
        (token, RawNotifier::new(token, shared))
    }

    /// Releases a notifier: its clones have no further effect. Does nothing if `token` is not a notifier of this
    /// source.
    pub fn release(&mut self, token: InterestToken) {
        if let Some(Watch::Notifier) = self.registrations.watch(self.source, token) {
            self.registrations.remove_interest(token);
        }
    }

    /// Whether the source is re-registered because of its own answer: it, or a source that contains it, answered
    /// [`PostAction::Reregister`](crate::PostAction::Reregister), or its mode requires re-registering after each
    /// event. `false` if an operation such as [`LoopHandle::update`](crate::LoopHandle::update) asked for it.
    ///
    /// A part of a composite thus learns that nobody changed it. A part that would report its edge again when it is
    /// re-registered skips that in this case.
    pub fn is_answer(&self) -> bool {
        self.is_answer
    }

    /// The time on the loop's clock.
    pub fn now(&self) -> Instant {
        self.clock().now()
    }

    /// The loop's clock, to keep for reading it in `process_events`.
    pub fn clock(&self) -> &Clock {
        self.registrations.shared().clock()
    }

    /// Makes the loop wait in this source from now on, and not in the kernel. Returns what the source needs for that.
    ///
    /// # Errors
    ///
    /// If another source hosts the wait already, if the loop's fd is watched from outside, or if no fd is left.
    #[cfg(all(unix, feature = "calloop"))]
    pub(crate) fn wait_in_source(&mut self) -> io::Result<(std::os::fd::OwnedFd, Arc<Shared>)> {
        use std::os::fd::AsFd;
        if self.registrations.host().is_some_and(|host| host != self.source) {
            let text = "this loop waits in another calloop loop already; \
                        `insert_calloop_on_demand` hosts any number";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        if self.registrations.shared().is_exported() {
            return Err(watched_from_outside());
        }
        let epoll = self.registrations.registry().as_fd().try_clone_to_owned()?;
        self.registrations.host = Some(self.source);
        Ok((epoll, Arc::clone(self.registrations.shared())))
    }

    /// Makes the loop wait in the kernel again.
    #[cfg(all(unix, feature = "calloop"))]
    pub(crate) fn wait_in_kernel(&mut self) {
        if self.registrations.host() == Some(self.source) {
            self.registrations.host = None;
        }
    }

    fn io_watch(&mut self, token: InterestToken) -> io::Result<IoWatch> {
        let (kind, text) = match self.registrations.watch(self.source, token) {
            Some(Watch::Io(io)) => return Ok(io),
            Some(_) => (
                io::ErrorKind::InvalidInput,
                "the interest token names a deadline or a notifier, not an fd",
            ),
            None => (
                io::ErrorKind::NotFound,
                "the interest token is not one of this source's registrations",
            ),
        };
        Err(io::Error::new(kind, text))
    }

    #[inline]
    fn remove_io(&mut self, token: InterestToken) -> io::Result<IoWatch> {
        let io = self.io_watch(token)?;
        self.registrations.remove_interest(token);
        Ok(io)
    }
}

#[cfg(all(unix, feature = "calloop"))]
/// The error of a loop that would wait in another loop while its own fd is watched from outside.
pub(crate) fn watched_from_outside() -> io::Error {
    let text = "the fd of this loop is watched from outside, which is not told of a calloop loop that this one waits \
                in; `insert_calloop_on_demand` hosts it without";
    io::Error::new(io::ErrorKind::Unsupported, text)
}
