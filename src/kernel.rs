//! Calls to the kernel, and the differences between platforms.
//!
//! mio is edge-triggered and knows no one-shot interests. On Linux fds are registered on mio's epoll
//! instance directly, so that the kernel keeps the mode: re-arming after each callback was measured at
//! 1.4 to 1.8 times the cost. Elsewhere, and with mio's `poll(2)` backend, the loop emulates the modes
//! (see [`Rearm`]). The wait there uses mio's instance, too.
//!
//! mio's timeouts are whole milliseconds, rounded up. The alarm makes deadlines more precise: on Linux a timerfd on the
//! same epoll instance; other platforms have none.

#[cfg_attr(
    all(any(target_os = "linux", target_os = "android"), not(mio_unsupported_force_poll_poll)),
    path = "kernel/epoll.rs"
)]
#[cfg_attr(
    not(all(
        any(target_os = "linux", target_os = "android"),
        not(mio_unsupported_force_poll_poll)
    )),
    path = "kernel/portable.rs"
)]
mod platform;
pub(crate) use platform::*;

use std::io;
use std::time::Duration;

use crate::token::InterestToken;
use crate::{Interest, Mode};

/// The kernel events that one wait takes in, at most. Smaller buffers take a little longer with 9000 ready fds.
const EVENTS: usize = 1024;

/// The longest time to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timeout {
    Zero,
    After(Duration),
    Never,
}

impl Timeout {
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        match self {
            Self::Zero => Self::Zero,
            Self::After(timeout) => Some(timeout.min(limit)).into(),
            Self::Never => Some(limit).into(),
        }
    }
}

impl From<Option<Duration>> for Timeout {
    #[inline]
    fn from(timeout: Option<Duration>) -> Self {
        match timeout {
            None => Self::Never,
            Some(Duration::ZERO) => Self::Zero,
            Some(timeout) => Self::After(timeout),
        }
    }
}

impl From<Timeout> for Option<Duration> {
    fn from(timeout: Timeout) -> Self {
        match timeout {
            Timeout::Zero => Some(Duration::ZERO),
            Timeout::After(timeout) => Some(timeout),
            Timeout::Never => None,
        }
    }
}

/// How the loop emulates a mode that mio, being edge-triggered, did not request from the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rearm {
    /// The kernel implements the mode.
    Native,
    /// The kernel implements the mode, and repeats an event as long as the fd is ready.
    Repeated,
    /// Level-triggered: the source is re-registered after each event.
    Level,
    /// One-shot, not yet fired.
    OneShot,
    /// One-shot and fired: events are dropped until the interest is re-registered.
    Spent,
    /// Interested in nothing: mio has no such interest, so the fd is not registered with the kernel.
    Absent,
}

/// Registers a mio source, or changes its registration; the loop emulates `mode`. `before`: how it is registered by now.
pub(crate) fn emulate<S: mio::event::Source + ?Sized>(
    registry: &mio::Registry,
    source: &mut S,
    key: InterestToken,
    interest: Interest,
    mode: Mode,
    before: Rearm,
) -> io::Result<Rearm> {
    let is_absent = before == Rearm::Absent;
    match interest.into_mio() {
        None if is_absent => return Ok(Rearm::Absent),
        None => return registry.deregister(source).map(|()| Rearm::Absent),
        Some(wanted) if is_absent => registry.register(source, key.to_mio()?, wanted)?,
        Some(wanted) => registry.reregister(source, key.to_mio()?, wanted)?,
    }
    Ok(match mode {
        Mode::Level => Rearm::Level,
        // mio's poll(2) backend drops an interest that was ready until it is registered again.
        Mode::Edge if cfg!(mio_unsupported_force_poll_poll) => Rearm::Level,
        Mode::Edge => Rearm::Native,
        Mode::OneShot => Rearm::OneShot,
    })
}

/// Ends the watch of an fd, given by its number only.
#[cfg(unix)]
pub(crate) fn delete_raw(registry: &mio::Registry, fd: i32) -> io::Result<()> {
    registry.deregister(&mut mio::unix::SourceFd(&fd))
}

#[cfg(not(unix))]
pub(crate) fn delete_raw(_: &mio::Registry, _: i32) -> io::Result<()> {
    Ok(())
}
