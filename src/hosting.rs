//! Hosts sources and loops written for calloop as sources of this loop.
//!
//! There are three ways. The costs are in addition to those of a plain source of this loop:
//!
//! | | hosts | costs |
//! |---|---|---|
//! | [`insert_calloop_source`](crate::LoopHandle::insert_calloop_source) | one `calloop::EventSource` | five system calls when it fires, nothing in any other round |
//! | [`insert_calloop_on_demand`](crate::LoopHandle::insert_calloop_on_demand) | a library that requires a `calloop::LoopHandle` and uses it at known places | six system calls when something in it fires, nothing in any other round |
//! | [`insert_calloop`](crate::LoopHandle::insert_calloop) | code that uses a `calloop::LoopHandle` anywhere; one loop at a time | the wait is calloop's: five system calls in every round, one more than on calloop alone |
//!
//! Nearly everything of Smithay's is a single source. Start there; `MIGRATING.md` has a table.

mod on_demand;
mod source;
mod timers;
mod whole;

use std::io;

use crate::Notifier;

pub use self::source::CalloopSource;
pub use self::whole::{CalloopLoop, CalloopTurn};

/// Replaces epoll's least clear error by one that says what it means.
pub(crate) fn explain(error: io::Error) -> io::Error {
    if error.raw_os_error() != Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return error;
    }
    let text = format!("epoll instances are nested too deep in each other: {error}");
    io::Error::new(error.kind(), text)
}

/// Notifies the loop if the source panics or fails: records may be left, or the alarm may not be set.
pub(crate) struct LookAgain(pub(crate) Option<Notifier>);

impl Drop for LookAgain {
    fn drop(&mut self) {
        if let Some(more) = &self.0 {
            more.notify();
        }
    }
}
