// calloop: tokens have no type; an `update` with the wrong one re-registers another source.
// error[E0631]: type mismatch in closure arguments

use soloop::{EventLoop, LoopData, LoopHandle, PingSource, TimeoutAction, Timer};

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::<State>::new()?;
    let timer = Timer::immediate();
    let token = handle.insert_source(timer, |_, _| TimeoutAction::Drop)?;
    handle.visit(token, |_source: &mut PingSource, _: &mut State| ());
    Ok(())
}
