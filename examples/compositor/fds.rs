//! How many file descriptors there are, and that some are left for what clients send.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the limit as far as it goes; children keep it, so it is for when those have been started.
pub fn raise_limit() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Whether whoever waits at `listener` may come in. The last fds are for those who are here: an fd in a message
/// that there is no room for is lost.
pub fn room_at(listener: &impl AsFd) -> io::Result<()> {
    let lowest_free = listener.as_fd().try_clone_to_owned()?.as_raw_fd() as u64;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let reserve = (limit / 8).clamp(8, 64);
    if lowest_free + reserve < limit { Ok(()) } else { Err(Errno::MFILE.into()) }
}
