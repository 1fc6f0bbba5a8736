//! What an interest waits for, and what the loop has to do for its mode.

use crate::Mode;
use crate::deadlines::Position;
use crate::interest::InterestBits;

/// What an interest waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watch {
    /// Readiness of an fd, or of a mio source (whose fd is not known: `fd` is `None`).
    Io(IoWatch),
    /// A notification from any thread.
    Notifier,
    /// A point in time, and where it was last in the deadline queue.
    Deadline(Position),
}

/// How an fd is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoWatch {
    /// −1 for a mio source.
    pub(crate) fd: i32,
    pub(crate) wants: InterestBits,
    pub(crate) rearm: Rearm,
    /// The kernel tells of it as long as it is ready.
    pub(crate) level: bool,
}

/// What the loop does for a mode that the kernel was not asked for, because mio is edge-triggered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rearm {
    /// The kernel knows the mode.
    Native,
    /// Level-triggered: the source is re-registered after each event.
    Level,
    /// One-shot, not yet fired.
    OneShot,
    /// One-shot and fired: events are dropped until the interest is re-registered.
    Spent,
    /// InterestBits nothing, and mio has no such interest: not registered with the kernel.
    Absent,
}

impl Rearm {
    /// For a mode on top of mio's edge-triggered registrations.
    pub(crate) fn emulating(mode: Mode) -> Self {
        match mode {
            Mode::Level => Self::Level,
            // mio's poll(2) backend drops an interest that was ready until it is registered anew.
            Mode::Edge if cfg!(mio_unsupported_force_poll_poll) => Self::Level,
            Mode::Edge => Self::Native,
            Mode::OneShot => Self::OneShot,
        }
    }
}
