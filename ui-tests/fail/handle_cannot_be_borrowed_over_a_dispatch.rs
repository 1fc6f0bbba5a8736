// calloop: compiles, the handle is shared; used where the loop holds its tables (a hook, a `Drop`) it panics (`BorrowMutError`).
// error[E0499]: cannot borrow `state` as mutable more than once at a time

use std::time::Duration;

use soloop::{EventLoop, LoopData, LoopHandle};

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle };
    let handle = state.loop_handle();
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    handle.stop();
    Ok(())
}
