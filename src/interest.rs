//! The vocabulary between a source and the loop: interest, mode, readiness, and what a source wants next.

use std::ops::{BitOr, BitOrAssign};

/// What a source waits for on its fd.
///
/// Errors and hang-ups are reported whatever the interest, as by `epoll_ctl(2)`. An interest in nothing
/// ([`Interest::EMPTY`]) reports them once, so that a hang-up does not make the loop spin. (A `MioSource`, and any fd
/// outside of Linux, does not report them with an empty interest, because mio has none.)
///
/// # Examples
///
/// ```
/// use soloop::Interest;
///
/// assert_eq!(Interest::READ | Interest::WRITE, Interest::BOTH);
/// assert!((Interest::READ | Interest::PRIORITY).priority);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Interest {
    /// A read would not block.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
    /// Exceptional data: `POLLPRI`, such as out-of-band data of a TCP socket or a changed sysfs attribute.
    pub priority: bool,
}

impl Interest {
    /// Nothing but errors and hang-ups.
    pub const EMPTY: Self = Self { readable: false, writable: false, priority: false };
    /// Readable.
    pub const READ: Self = Self { readable: true, ..Self::EMPTY };
    /// Writable.
    pub const WRITE: Self = Self { writable: true, ..Self::EMPTY };
    /// Readable and writable.
    pub const BOTH: Self = Self { writable: true, ..Self::READ };
    /// Exceptional data.
    pub const PRIORITY: Self = Self { priority: true, ..Self::EMPTY };

    /// This as mio's type, which has no empty interest.
    pub(crate) fn into_mio(self) -> Option<mio::Interest> {
        let wanted = [
            self.readable.then_some(mio::Interest::READABLE),
            self.writable.then_some(mio::Interest::WRITABLE),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            self.priority.then_some(mio::Interest::PRIORITY),
        ];
        wanted.into_iter().flatten().reduce(BitOr::bitor)
    }
}

/// The union of two interests.
impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            readable: self.readable || other.readable,
            writable: self.writable || other.writable,
            priority: self.priority || other.priority,
        }
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// How often a ready fd is reported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Mode {
    /// In every round, as long as it is ready.
    #[default]
    Level,
    /// Once each time it becomes ready; the callback reads or writes until `WouldBlock`. (With mio's `poll(2)`
    /// backend, in every round as long as it is ready.)
    Edge,
    /// Once; then not again until the source is re-registered, by answering
    /// [`PostAction::Reregister`] or with [`LoopHandle::update`](crate::LoopHandle::update).
    OneShot,
}

/// What an fd is ready for.
///
/// `readable`, `writable` and `priority` are set only if the [`Interest`] includes them. The first two are then also
/// set on a hang-up or an error, since the next call would not block. Events of timers, channels and other sources without an fd carry
/// [`Readiness::EMPTY`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub struct Readiness {
    /// A read would not block.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
    /// The fd is in an error state (`EPOLLERR`).
    pub error: bool,
    /// The peer has closed its writing half, or the whole connection (`EPOLLRDHUP`, `EPOLLHUP`).
    pub read_closed: bool,
    /// The peer has closed its reading half, or the whole connection (`EPOLLHUP`, `EPOLLERR`).
    pub write_closed: bool,
    /// Exceptional data is there (`EPOLLPRI`).
    pub priority: bool,
}

impl Readiness {
    /// Ready for nothing.
    pub const EMPTY: Self = Self {
        readable: false,
        writable: false,
        error: false,
        read_closed: false,
        write_closed: false,
        priority: false,
    };
}

/// The readiness of an interest that is not delivered yet. It lies in the interest's row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReadinessBits(u16);

// The first four are the bits of epoll_ctl(2), so that they need no translation.
const READABLE: u16 = 1;
const PRIORITY: u16 = 1 << 1;
const WRITABLE: u16 = 1 << 2;
const ERROR: u16 = 1 << 3;
const READ_CLOSED: u16 = 1 << 4;
const WRITE_CLOSED: u16 = 1 << 5;
/// As the kernel reported it, including what the interest did not ask for.
const RAW: u16 = 1 << 6;
/// There is an event, even if the interest is ready for nothing in particular.
const EVENT: u16 = 1 << 7;
/// The wait found the event. Without this bit, only a `before_sleep` returned it.
const FOUND: u16 = 1 << 8;
/// The source said that it has more: it may have read it already, and the kernel then reports nothing.
const MORE: u16 = 1 << 9;
/// No event, but a place in the queue of the round.
const PLACE: u16 = 1 << 10;
/// The kernel repeats the event by itself while the fd is ready.
const LEVEL: u16 = 1 << 11;

impl ReadinessBits {
    /// No event.
    pub(crate) const NONE: Self = Self(0);
    /// An event without readiness, such as a notification.
    pub(crate) const NOTIFIED: Self = Self(EVENT | FOUND);

    /// What the kernel reported, in the bits of epoll_ctl(2), except for what is closed.
    #[cfg_attr(mio_unsupported_force_poll_poll, expect(dead_code))]
    pub(crate) fn open(epoll: u32) -> Self {
        Self(epoll as u16 & (READABLE | PRIORITY | WRITABLE | ERROR) | EVENT | RAW | FOUND)
    }

    /// What the kernel reported. A closed or broken direction counts as ready: reading or writing does not block.
    pub(crate) fn raw(readiness: Readiness) -> Self {
        let Readiness { readable, writable, error, read_closed, write_closed, .. } = readiness;
        let readable = readable || error || read_closed;
        let writable = writable || error || write_closed;
        Self(Self::from(Readiness { readable, writable, ..readiness }).0 | RAW | FOUND)
    }

    /// The part of the kernel's report that an interest in `wants` asked for.
    #[inline]
    pub(crate) fn wanted(self, wants: Self) -> Self {
        let wanted = wants.0 | !(READABLE | PRIORITY | WRITABLE);
        if self.0 & RAW == 0 { self } else { Self(self.0 & wanted) }
    }

    /// Adds the mark of an fd whose events the kernel repeats, if `level`.
    pub(crate) fn with_level(self, level: bool) -> Self {
        if level { Self(self.0 | LEVEL) } else { self }
    }

    /// Whether the kernel repeats all of it. It does not repeat what the source said.
    pub(crate) fn is_told_again(self) -> bool {
        self.0 & (LEVEL | MORE) == LEVEL
    }

    /// Whether there is an event.
    pub(crate) fn is_event(self) -> bool {
        self.0 & EVENT != 0
    }

    /// Whether the wait found the event.
    pub(crate) fn is_found(self) -> bool {
        self.0 & FOUND != 0
    }

    /// Adds the mark that the source has more.
    pub(crate) fn with_more(self) -> Self {
        Self(self.0 | MORE)
    }

    /// Whether the source said that there is more.
    pub(crate) fn has_more(self) -> bool {
        self.0 & MORE != 0
    }

    /// A forgotten event that keeps its place in the queue.
    pub(crate) const FORGOTTEN: Self = Self(PLACE);

    /// Adds `more`. Returns whether the interest needs a place in the queue.
    #[inline]
    pub(crate) fn merge(&mut self, more: Self) -> bool {
        let first = self.0 == 0;
        self.0 |= more.0;
        first
    }
}

impl From<ReadinessBits> for Readiness {
    #[inline]
    fn from(ReadinessBits(bits): ReadinessBits) -> Self {
        Self {
            readable: bits & READABLE != 0,
            writable: bits & WRITABLE != 0,
            error: bits & ERROR != 0,
            read_closed: bits & READ_CLOSED != 0,
            write_closed: bits & WRITE_CLOSED != 0,
            priority: bits & PRIORITY != 0,
        }
    }
}

impl From<Readiness> for ReadinessBits {
    #[inline]
    fn from(readiness: Readiness) -> Self {
        let set = |is: bool, bit: u16| u16::from(is) * bit;
        Self(
            EVENT
                | set(readiness.readable, READABLE)
                | set(readiness.writable, WRITABLE)
                | set(readiness.priority, PRIORITY)
                | set(readiness.error, ERROR)
                | set(readiness.read_closed, READ_CLOSED)
                | set(readiness.write_closed, WRITE_CLOSED),
        )
    }
}

/// The readiness that an interest asks for.
impl From<Interest> for ReadinessBits {
    fn from(Interest { readable, writable, priority }: Interest) -> Self {
        Readiness { readable, writable, priority, ..Readiness::EMPTY }.into()
    }
}

/// What a source wants next, returned by [`process_events`](crate::EventSource::process_events) and by many
/// callbacks.
///
/// A composite source combines the answers of its parts with `|`: equal answers stay, `Continue | Again` is `Again`,
/// and every other pair is `Reregister`, so that the `Remove` or `Disable` of one part does not concern the others.
///
/// # Examples
///
/// ```
/// use soloop::PostAction;
///
/// assert_eq!(PostAction::Continue | PostAction::Again, PostAction::Again);
/// assert_eq!(PostAction::Continue | PostAction::Remove, PostAction::Reregister);
/// ```
// As wide as a pointer, so that a `Result` of it goes through registers.
#[repr(usize)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum PostAction {
    /// Go on as before.
    Continue,
    /// There is more: call the source again, within its budget of this round.
    ///
    /// A part of a composite source can't be sure that its `Again` reaches the loop. If a
    /// [notifier](crate::Registrar::raw_notifier) wakes it, it also calls
    /// [`RawNotifier::again`](crate::RawNotifier::again), which holds whatever the composite answers.
    Again,
    /// Register the source anew: its interest or its parts changed.
    Reregister,
    /// Unregister the source, but keep it.
    Disable,
    /// Remove and drop the source. This is the default, for sources that are inserted for one event
    /// (`TaskContext::once`).
    #[default]
    Remove,
}

impl BitOr for PostAction {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::Continue, Self::Again) | (Self::Again, Self::Continue) => Self::Again,
            _ => Self::Reregister,
        }
    }
}

impl BitOrAssign for PostAction {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}
