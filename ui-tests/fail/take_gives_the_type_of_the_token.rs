// calloop: `Dispatcher::into_source_inner` gives a source back, and panics if it is still registered under its (untyped) token.
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
    handle.take(token, |_source: PingSource, _: &mut State| ());
    Ok(())
}
