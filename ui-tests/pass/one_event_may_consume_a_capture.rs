// `insert_once` takes a closure that gives away what it captured, and removes the source after it.

use std::time::Duration;

use soloop::{EventLoop, LoopData, LoopHandle, make_ping};

#[derive(PartialEq, Debug)]
struct Greeting(&'static str);

struct State {
    handle: LoopHandle<State>,
    last: Option<Greeting>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, last: None };
    let (fence, source) = make_ping();
    let greeting = Greeting("hello");
    let token = state.handle.insert_once(source, move |(), state: &mut State| {
        state.last = Some(greeting);
    })?;
    fence.ping();
    event_loop.dispatch(None, &mut state)?;
    assert_eq!(state.last.take(), Some(Greeting("hello")));
    assert!(!state.handle.contains(token));
    fence.ping();
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    assert_eq!(state.last, None);
    Ok(())
}
