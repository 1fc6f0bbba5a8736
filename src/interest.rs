//! The vocabulary between a source and the loop: what it waits for, how, what came, what is next.

use std::ops::{BitOr, BitOrAssign};

/// What a source wants to hear of its fd.
///
/// Errors and hang-ups are reported whatever the interest, as `epoll_ctl(2)` does. An interest in
/// nothing ([`Interest::EMPTY`]) hears of them once, so that a hang-up does not make the loop spin (and
/// not at all where mio is asked, which has no such interest: with a `MioSource`, and outside of Linux).
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
    pub const READ: Self = Self { readable: true, writable: false, priority: false };
    /// Writable.
    pub const WRITE: Self = Self { readable: false, writable: true, priority: false };
    /// Readable and writable.
    pub const BOTH: Self = Self { readable: true, writable: true, priority: false };

    /// This as mio's type, which has no empty interest.
    pub(crate) fn into_mio(self) -> Option<mio::Interest> {
        let mut interest = None;
        let mut add = |wanted: bool, one: mio::Interest| {
            if wanted {
                interest = Some(interest.map_or(one, |so_far: mio::Interest| so_far | one));
            }
        };
        add(self.readable, mio::Interest::READABLE);
        add(self.writable, mio::Interest::WRITABLE);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        add(self.priority, mio::Interest::PRIORITY);
        interest
    }
}

/// When an fd that is ready is reported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Mode {
    /// In every round, as long as it is ready.
    #[default]
    Level,
    /// Once each time it becomes ready; the callback reads or writes until `WouldBlock`. (As long as it is
    /// ready with mio's `poll(2)` backend.)
    Edge,
    /// Once; then not again until the source is re-registered, by answering
    /// [`PostAction::Reregister`] or with [`LoopHandle::update`](crate::LoopHandle::update).
    OneShot,
}

/// What the kernel said of an fd.
///
/// `readable` and `writable` are set only where the [`Interest`] asked for them, and then on a hang-up
/// or an error too, since the next call would not block. The events of timers, channels and other
/// sources without an fd carry [`Readiness::EMPTY`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub struct Readiness {
    /// A read would not block.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
    /// The fd is in an error state (`EPOLLERR`).
    pub error: bool,
    /// The peer has closed its writing half, or all of the connection.
    pub read_closed: bool,
    /// The peer has closed its reading half, or all of the connection.
    pub write_closed: bool,
    /// Exceptional data is there (`EPOLLPRI`).
    pub priority: bool,
}

impl Readiness {
    /// Nothing.
    pub const EMPTY: Self = Self {
        readable: false,
        writable: false,
        error: false,
        read_closed: false,
        write_closed: false,
        priority: false,
    };
}

/// A [`Readiness`] in one byte: what the queues carry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadySet(u8);

// The first four are those of epoll_ctl(2), so that they need no translation.
const READABLE: u8 = 1;
const PRIORITY: u8 = 1 << 1;
const WRITABLE: u8 = 1 << 2;
const ERROR: u8 = 1 << 3;
const READ_CLOSED: u8 = 1 << 4;
const WRITE_CLOSED: u8 = 1 << 5;
/// As the kernel told it, whether the interest asked for it or not.
const TOLD: u8 = 1 << 6;

impl ReadySet {
    pub(crate) const EMPTY: Self = Self(0);

    /// What the kernel told: what is closed or broken can be read or written without blocking.
    #[inline]
    pub(crate) fn told(readiness: Readiness) -> Self {
        let mut told = Self::from(readiness).0 | TOLD;
        if told & (ERROR | READ_CLOSED | WRITE_CLOSED) != 0 {
            if readiness.error || readiness.read_closed {
                told |= READABLE;
            }
            if readiness.error || readiness.write_closed {
                told |= WRITABLE;
            }
        }
        Self(told)
    }

    /// What is left of what the kernel told if an interest asks for `wants`.
    #[inline]
    pub(crate) fn wanted(self, wants: Wants) -> Self {
        let wanted = wants.0 | ERROR | READ_CLOSED | WRITE_CLOSED;
        if self.0 & TOLD == 0 { self } else { Self(self.0 & wanted) }
    }
}

impl From<ReadySet> for Readiness {
    #[inline]
    fn from(ReadySet(bits): ReadySet) -> Self {
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

impl From<Readiness> for ReadySet {
    #[inline]
    fn from(readiness: Readiness) -> Self {
        let set = |is: bool, bit: u8| u8::from(is) * bit;
        Self(
            set(readiness.readable, READABLE)
                | set(readiness.writable, WRITABLE)
                | set(readiness.priority, PRIORITY)
                | set(readiness.error, ERROR)
                | set(readiness.read_closed, READ_CLOSED)
                | set(readiness.write_closed, WRITE_CLOSED),
        )
    }
}

/// An [`Interest`] in one byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants(u8);

impl From<Interest> for Wants {
    fn from(interest: Interest) -> Self {
        let set = |is: bool, bit: u8| if is { bit } else { 0 };
        Self(
            set(interest.readable, READABLE)
                | set(interest.writable, WRITABLE)
                | set(interest.priority, PRIORITY),
        )
    }
}

impl From<Wants> for Interest {
    fn from(Wants(bits): Wants) -> Self {
        Self {
            readable: bits & READABLE != 0,
            writable: bits & WRITABLE != 0,
            priority: bits & PRIORITY != 0,
        }
    }
}

/// What a source answers after it processed an event.
///
/// The answers of the parts of a composite source are combined with `|`: equal answers stay,
/// `Continue | Again` is `Again`, and every other pair is `Reregister`, so that no part loses its own.
///
/// # Examples
///
/// ```
/// use soloop::PostAction;
///
/// assert_eq!(PostAction::Continue | PostAction::Again, PostAction::Again);
/// assert_eq!(PostAction::Continue | PostAction::Remove, PostAction::Reregister);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PostAction {
    /// Go on as before.
    Continue,
    /// There is more: call the source again, within its budget of this round.
    Again,
    /// Register the source anew: its interest or its parts changed.
    Reregister,
    /// Unregister the source, but keep it.
    Disable,
    /// Remove and drop the source.
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

assert_traits!(Interest: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_traits!(Mode: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_traits!(Readiness: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_traits!(PostAction: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
