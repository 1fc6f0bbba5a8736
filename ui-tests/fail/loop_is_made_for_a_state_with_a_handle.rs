// calloop: any state will do; callbacks that need the loop capture a clone of its handle, and leak it.
// error[E0277]: `State` does not say where its `LoopHandle` is

use soloop::EventLoop;

struct State;

fn main() -> soloop::Result<()> {
    let (_event_loop, _handle) = EventLoop::<State>::new()?;
    Ok(())
}
