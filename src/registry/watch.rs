//! What an interest waits for, and what the loop has to do for its mode.

use crate::interest::ReadinessBits;
use crate::kernel::Rearm;
use crate::registry::deadlines::Position;

/// What an interest waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watch {
    /// Readiness of an fd, or of a mio source.
    Io(IoWatch),
    /// A notification from any thread.
    Notifier,
    /// A deadline, and its last known position in the deadline queue.
    Deadline(Position),
}

/// How an fd is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoWatch {
    /// −1 for a mio source, whose fd is not known.
    pub(crate) fd: i32,
    pub(crate) wants: ReadinessBits,
    pub(crate) rearm: Rearm,
}
