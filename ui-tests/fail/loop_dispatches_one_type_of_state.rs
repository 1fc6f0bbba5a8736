// calloop: refused as well: the loop names the type of the state.
// error[E0308]: mismatched types

use std::time::Duration;

use soloop::{EventLoop, LoopData, LoopHandle};

struct Module {
    frames: u32,
}

struct State {
    handle: LoopHandle<State>,
    module: Module,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::<State>::new()?;
    let module = Module { frames: 0 };
    let mut state = State { handle, module };
    event_loop.dispatch(Duration::ZERO, &mut state.module)?;
    assert_eq!(state.module.frames, 0);
    Ok(())
}
