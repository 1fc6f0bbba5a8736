// calloop: handles are clones, so this moves one of many; the loop lives as long as any of them does.
// error[E0507]: cannot move out of `state.handle` which is behind a mutable reference

use soloop::{EventLoop, LoopData, LoopHandle, make_ping};

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    let (_ping, source) = make_ping();
    handle.insert_source(source, |(), state: &mut State| drop(state.handle))?;
    Ok(())
}
