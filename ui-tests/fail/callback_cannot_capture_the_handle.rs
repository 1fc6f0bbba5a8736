// calloop: the callback captures a clone of the handle, which owns the loop, which owns the callback: a cycle that is never freed.
// error[E0505]: cannot move out of `handle` because it is borrowed

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
    let (_event_loop, mut handle) = EventLoop::<State>::new()?;
    let (_ping, source) = make_ping();
    handle.insert_source(source, move |(), _: &mut State| handle.stop())?;
    Ok(())
}
