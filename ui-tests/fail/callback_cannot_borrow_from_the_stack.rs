// calloop: allowed for what outlives the loop, which is then bound to the borrow by a lifetime of its own (`EventLoop<'l, _>`).
// error[E0597]: `limit` does not live long enough

use soloop::{EventLoop, LoopData, LoopHandle, make_ping};

struct State {
    handle: LoopHandle<State>,
    pings: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    let (_ping, source) = make_ping();
    let limit = 3;
    let limit = &limit;
    handle.insert_source(source, move |(), state: &mut State| state.pings %= *limit)?;
    Ok(())
}
