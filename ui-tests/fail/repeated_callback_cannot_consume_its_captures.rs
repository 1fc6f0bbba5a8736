// calloop: refused as well; it takes an `Option` and a `take().unwrap()` that may panic. Here: `insert_once`.
// error[E0507]: cannot move out of `greeting`, a captured variable in an `FnMut` closure

use soloop::{EventLoop, LoopData, LoopHandle, make_ping};

struct Greeting;

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
    let (_event_loop, mut handle) = EventLoop::new()?;
    let (_ping, source) = make_ping();
    let greeting = Greeting;
    handle.insert_source(source, move |(), state: &mut State| {
        state.last = Some(greeting);
    })?;
    Ok(())
}
