// calloop: refused as well; here too the closure is given the state.
// error[E0499]: cannot borrow `state.handle` as mutable more than once at a time

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
    event_loop.run(None, &mut state, |_state| state.handle.stop())
}
