//! What a loop reports about itself: observers, statistics, the table of its sources.

pub(crate) mod instrumentation;
pub(crate) mod observe;
pub(crate) mod stats;
