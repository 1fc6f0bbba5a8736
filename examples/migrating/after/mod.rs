//! The patterns of MIGRATING.md as programs on soloop have them.
#![allow(unreachable_pub, dead_code, reason = "whoever includes this uses its part")]

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
pub use soloop::{EventLoop, IdleToken, Interest, LoopData, LoopHandle, Mode, PostAction, Token};

pub struct State<T> {
    pub handle: LoopHandle<State<T>>,
    pub log: Vec<String>,
    pub own: T, // what a pattern has of its own
}

impl<T> LoopData for State<T> {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

pub fn new_loop<T>(own: T) -> Result<(EventLoop<State<T>>, State<T>)> {
    let (event_loop, handle) = EventLoop::new()?;
    Ok((event_loop, State { handle, log: Vec::new(), own }))
}
