//! What reaches a loop from other threads, and from values that hold no handle of it.

pub(crate) mod dropped_guards;
pub(crate) mod ready;
pub(crate) mod remote;
pub(crate) mod shared;
pub(crate) mod signal;
