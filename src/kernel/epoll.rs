//! Linux: `epoll_ctl(2)` and `epoll_wait(2)` on mio's instance, and `timerfd_create(2)`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI64, Ordering};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::{EVENTS, Rearm, Timeout};
use crate::interest::ReadinessBits;
use crate::token::{ALARM, InterestToken};
use crate::{Interest, Mode, Readiness};

#[inline]
fn flags(interest: Interest, mode: Mode) -> EventFlags {
    let mut flags = EventFlags::empty();
    if interest.readable {
        flags |= EventFlags::IN | EventFlags::RDHUP;
    }
    if interest.writable {
        flags |= EventFlags::OUT;
    }
    if interest.priority {
        flags |= EventFlags::PRI;
    }
    // The kernel always reports a hang-up: a level-triggered interest in nothing would make the loop spin.
    flags |= match mode {
        Mode::Level if flags.is_empty() => EventFlags::ET,
        Mode::Level => EventFlags::empty(),
        Mode::Edge => EventFlags::ET,
        Mode::OneShot => EventFlags::ONESHOT,
    };
    flags
}

/// For an empty interest the kernel reports only a hang-up, once.
#[inline]
fn rearm(interest: Interest, mode: Mode) -> Rearm {
    let is_repeated = mode == Mode::Level && interest != Interest::EMPTY;
    if is_repeated { Rearm::Repeated } else { Rearm::Native }
}

fn data(key: InterestToken) -> EventData {
    EventData::new_u64(key.to_bits())
}

#[inline]
pub(crate) fn add(
    registry: &mio::Registry,
    fd: BorrowedFd<'_>,
    key: InterestToken,
    interest: Interest,
    mode: Mode,
) -> io::Result<Rearm> {
    epoll::add(registry.as_fd(), fd, data(key), flags(interest, mode))?;
    Ok(rearm(interest, mode))
}

/// `None`: the number now belongs to another file than the registered one.
pub(crate) fn modify(
    registry: &mio::Registry,
    fd: BorrowedFd<'_>,
    key: InterestToken,
    interest: Interest,
    mode: Mode,
    _: Rearm,
) -> io::Result<Option<Rearm>> {
    match epoll::modify(registry.as_fd(), fd, data(key), flags(interest, mode)) {
        Err(Errno::NOENT) => Ok(None),
        result => Ok(Some(result.map(|()| rearm(interest, mode))?)),
    }
}

/// Whether another key than `key` is registered under the number. It reads a line of text for each registration, and is
/// called only in the rare case in which nothing else answers. `false` without a `/proc`.
#[cold]
pub(crate) fn is_of_another(registry: &mio::Registry, fd: RawFd, key: InterestToken) -> bool {
    let path = format!("/proc/self/fdinfo/{}", registry.as_fd().as_raw_fd());
    let registered = match std::fs::read_to_string(path) {
        Ok(registered) => registered,
        // No fd is left to open the file. Assume yes: an extra wake-up is counted, a source that gets no events is not.
        Err(error) => return error.kind() != io::ErrorKind::NotFound,
    };
    registered.lines().any(|line| {
        // Format of proc(5): `tfd: 7 events: 19 data: 100000003`, and more fields.
        let mut words = line.split_whitespace();
        let is_it = words.next() == Some("tfd:") && words.next().map(str::parse) == Some(Ok(fd));
        let data = words.nth(3).filter(|_| is_it);
        data.is_some_and(|data| u64::from_str_radix(data, 16) != Ok(key.to_bits()))
    })
}

/// mio's epoll instance.
pub(crate) struct Poller {
    poll: mio::Poll,
    /// What the last wait found.
    events: Vec<epoll::Event>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { poll: mio::Poll::new()?, events: Vec::with_capacity(EVENTS) })
    }

    pub(crate) fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// Waits until something is ready, or for `timeout`: with feature `linux_5_11` to the nanosecond, else in whole
    /// milliseconds, rounded up, at most 24 days.
    #[inline]
    pub(crate) fn wait(&mut self, timeout: Timeout) -> io::Result<()> {
        // Stays within an `int` of milliseconds, which any kernel accepts, also with nanoseconds.
        const LONGEST: i64 = i32::MAX as i64 / 1000 - 1;
        let timeout = match timeout {
            Timeout::Zero => Some(Timespec::default()),
            Timeout::Never => None,
            Timeout::After(left) => {
                let tv_sec = i64::try_from(left.as_secs()).map_or(LONGEST, |s| s.min(LONGEST));
                Some(Timespec { tv_sec, tv_nsec: left.subsec_nanos().into() })
            }
        };
        self.events.clear();
        let room = rustix::buffer::spare_capacity(&mut self.events);
        epoll::wait(self.poll.registry().as_fd(), room, timeout.as_ref())?;
        Ok(())
    }

    /// Whether the last wait filled the buffer.
    pub(crate) fn was_full(&self) -> bool {
        self.events.len() == EVENTS
    }

    /// Calls `take` for each fd that was ready.
    #[inline]
    pub(crate) fn each(&self, mut take: impl FnMut(u64, ReadinessBits)) {
        for &epoll::Event { flags, data } in &self.events {
            let is_open = !flags.intersects(EventFlags::ERR | EventFlags::HUP | EventFlags::RDHUP);
            let open = ReadinessBits::open(flags.bits());
            take(data.u64(), if is_open { open } else { closed(open, flags) });
        }
    }

    /// Whether the kernel has anything ready besides the loop's own fds.
    pub(crate) fn is_ready(&self) -> bool {
        let mut fds = [PollFd::new(self.poll.registry(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// Adds which directions are closed.
#[cold]
fn closed(open: ReadinessBits, flags: EventFlags) -> ReadinessBits {
    ReadinessBits::raw(Readiness {
        read_closed: flags.intersects(EventFlags::HUP | EventFlags::RDHUP),
        write_closed: flags.intersects(EventFlags::ERR | EventFlags::HUP),
        ..open.into()
    })
}

/// A timerfd that makes the loop's epoll instance ready at a deadline.
///
/// It is registered edge-triggered and never read.
#[derive(Debug)]
pub(crate) struct Alarm {
    fd: OwnedFd,
    /// The time it is set to, on the clock's scale, or [`Alarm::OFF`].
    armed: AtomicI64,
}

impl Alarm {
    const OFF: i64 = i64::MAX;
    /// Whether the alarm wakes the loop at a deadline, to the precision of the kernel's timers.
    pub(crate) const PRECISE: bool = true;
    /// The wait's own timeout is as precise.
    pub(crate) const OPTIONAL: bool = cfg!(feature = "linux_5_11");

    pub(crate) fn new(registry: &mio::Registry) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let data = EventData::new_u64(ALARM);
        epoll::add(registry.as_fd(), &fd, data, EventFlags::IN | EventFlags::ET)?;
        Ok(Self { fd, armed: AtomicI64::new(Self::OFF) })
    }

    /// Sets the alarm to a time on the clock's scale, or turns it off. Makes a system call only for a change.
    ///
    /// The kernel counts the remaining time from the call, after `now` was read: the alarm is late by the time between
    /// the two, never early.
    pub(crate) fn set(&self, at: Option<i64>, now: impl FnOnce() -> i64) -> io::Result<()> {
        let armed = at.unwrap_or(Self::OFF);
        if self.armed.load(Ordering::Relaxed) == armed {
            return Ok(());
        }
        // Zero turns the alarm off; a deadline that has passed is set to one nanosecond, which fires at once.
        let left = at.map_or(0, |at| at.saturating_sub(now()).max(1));
        let it_value = Timespec { tv_sec: left / 1_000_000_000, tv_nsec: left % 1_000_000_000 };
        let new = Itimerspec { it_interval: Timespec::default(), it_value };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &new)?;
        self.armed.store(armed, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the alarm is set to `at`.
    pub(crate) fn is_set_to(&self, at: i64) -> bool {
        self.armed.load(Ordering::Relaxed) == at
    }

    /// Notes that the alarm went off.
    pub(crate) fn fired(&self) {
        self.armed.store(Self::OFF, Ordering::Relaxed);
    }
}
