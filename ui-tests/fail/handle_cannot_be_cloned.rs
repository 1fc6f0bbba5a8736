// calloop: each clone of a handle owns the loop (`Rc`); one that is kept in a callback or a source leaks it.
// error[E0599]: a `LoopHandle` can't be cloned: a loop has one, in its state

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
    let (_event_loop, handle) = EventLoop::new()?;
    let state = State { handle };
    let _second = state.handle.clone();
    Ok(())
}
