// calloop: any state will do; callbacks that need the loop capture a clone of its handle, and leak it.
// error[E0277]: `State` does not say where its `LoopHandle` is

use soloop::{EventLoop, LoopHandle};

struct State {
    handle: LoopHandle<State>,
}

fn main() -> soloop::Result<()> {
    let (_event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle };
    state.handle.stop();
    Ok(())
}
