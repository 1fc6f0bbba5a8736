// calloop: refused as well: the handle names the type of the state.
// error[E0308]: mismatched types

use soloop::{EventLoop, LoopData, LoopHandle};

struct Other {
    handle: LoopHandle<Other>,
}

impl LoopData for Other {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, handle) = EventLoop::<Other>::new()?;
    let _state = State { handle };
    Ok(())
}
