// A guard that removes a source when it is dropped, wherever that is, holds a `Remote`: it never finds the loop half-way.

use std::time::Duration;

use soloop::{AnyToken, EventLoop, LoopData, LoopHandle, Remote, make_ping};

struct Guard {
    remote: Remote<State>,
    guarded: AnyToken,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.remote.remove(self.guarded);
    }
}

struct State {
    handle: LoopHandle<State>,
    pings: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, pings: 0 };
    let (ping, source) = make_ping();
    let guarded = state.handle.insert_source(source, |(), state: &mut State| state.pings += 1)?;
    let guard = Guard { remote: state.handle.remote(), guarded: guarded.into() };
    let (_ping, owner) = make_ping();
    let owner = state.handle.insert_source(owner, move |(), _: &mut State| {
        let _owned = &guard;
    })?;
    ping.ping();
    event_loop.dispatch(None, &mut state)?;
    assert_eq!(state.pings, 1);

    // The callback that owns the guard is dropped in the middle of a dispatch.
    assert!(state.handle.remove(owner));
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    assert!(!state.handle.contains(guarded));
    ping.ping();
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    assert_eq!(state.pings, 1);
    Ok(())
}
