//! Every other platform: mio alone, which is edge-triggered; the loop emulates the other modes.

use std::io;

#[cfg(unix)]
use std::os::fd::{AsRawFd, BorrowedFd};

#[cfg(unix)]
use mio::unix::SourceFd;

use super::{EVENTS, Rearm, Timeout};
use crate::Readiness;
use crate::interest::ReadinessBits;
use crate::token::InterestToken;
#[cfg(unix)]
use crate::{Interest, Mode};

const _: () = assert!(
    usize::BITS >= 64,
    "soloop puts a 64-bit key into `mio::Token`: with narrower pointers only Linux is supported"
);

#[cfg(unix)]
pub(crate) fn add(
    registry: &mio::Registry,
    fd: BorrowedFd<'_>,
    key: InterestToken,
    interest: Interest,
    mode: Mode,
) -> io::Result<Rearm> {
    super::emulate(registry, &mut SourceFd(&fd.as_raw_fd()), key, interest, mode, Rearm::Absent)
}

/// Never `None`: these backends watch an fd by its number and know no files.
#[cfg(unix)]
pub(crate) fn modify(
    registry: &mio::Registry,
    fd: BorrowedFd<'_>,
    key: InterestToken,
    interest: Interest,
    mode: Mode,
    before: Rearm,
) -> io::Result<Option<Rearm>> {
    let raw = fd.as_raw_fd();
    let mut source = SourceFd(&raw);
    let rearm = match super::emulate(registry, &mut source, key, interest, mode, before) {
        // The number now belongs to another file, or mio's poll(2) backend forgot an fd that hung up.
        Err(error) if error.kind() == io::ErrorKind::NotFound && interest.into_mio().is_some() => {
            add(registry, fd, key, interest, mode)
        }
        result => result,
    };
    rearm.map(Some)
}

/// Always `false`: this platform can't tell.
pub(crate) fn is_of_another(_: &mio::Registry, _: i32, _: InterestToken) -> bool {
    false
}

/// The poller of mio for this platform.
pub(crate) struct Poller {
    poll: mio::Poll,
    events: mio::Events,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { poll: mio::Poll::new()?, events: mio::Events::with_capacity(EVENTS) })
    }

    pub(crate) fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// Waits until something is ready, or for `timeout`, in whole milliseconds, rounded up.
    pub(crate) fn wait(&mut self, timeout: Timeout) -> io::Result<()> {
        self.poll.poll(&mut self.events, timeout.into())
    }

    /// Whether the kernel has anything ready: always `false`, since nothing can wait for this loop from outside.
    pub(crate) fn is_ready(&self) -> bool {
        false
    }

    /// Whether the last wait filled the buffer: always `false` here.
    pub(crate) fn was_full(&self) -> bool {
        false
    }

    /// Calls `take` for each source that was ready.
    pub(crate) fn each(&self, mut take: impl FnMut(u64, ReadinessBits)) {
        for event in &self.events {
            let readiness = Readiness {
                readable: event.is_readable(),
                writable: event.is_writable(),
                priority: event.is_priority(),
                error: event.is_error(),
                read_closed: event.is_read_closed(),
                write_closed: event.is_write_closed(),
            };
            take(event.token().0 as u64, ReadinessBits::raw(readiness));
        }
    }
}

/// There is no alarm: the loop passes mio a timeout in whole milliseconds.
#[derive(Debug)]
pub(crate) struct Alarm;

impl Alarm {
    pub(crate) const PRECISE: bool = false;
    pub(crate) const OPTIONAL: bool = true;

    pub(crate) fn new(_: &mio::Registry) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn set(&self, _: Option<i64>, _: impl FnOnce() -> i64) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn is_set_to(&self, _: i64) -> bool {
        false
    }

    pub(crate) fn fired(&self) {}
}
