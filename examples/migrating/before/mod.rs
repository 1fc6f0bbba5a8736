//! The patterns of MIGRATING.md as programs on calloop have them.
#![allow(unreachable_pub, dead_code, reason = "whoever includes this uses its part")]
#![allow(clippy::disallowed_types, reason = "what programs on calloop share is counted")]

pub mod async_tasks;
pub mod error_gates;
pub mod fd_taken_back;
pub mod from_a_drop;
pub mod idle_later;
pub mod insertion_by_shared_self;
pub mod lending;
pub mod menu;
pub mod one_shot;
pub mod part_with_handle;
pub mod reading_back;
pub mod removal_by_ping;
pub mod self_removal;
pub mod sibling;
pub mod state_after_sources;
pub mod thread_answers;
pub mod token_in_state;

use super::*;

// What the patterns share.
pub use calloop::{EventLoop, Idle, Interest, LoopHandle, Mode, PostAction, RegistrationToken};

pub struct State<T: 'static> {
    pub handle: LoopHandle<'static, State<T>>,
    pub log: Vec<String>,
    pub own: T, // what a pattern has of its own
}

pub fn new_loop<T>(own: T) -> Result<(EventLoop<'static, State<T>>, State<T>)> {
    let event_loop = EventLoop::try_new()?;
    let handle = event_loop.handle();
    Ok((event_loop, State { handle, log: Vec::new(), own }))
}
