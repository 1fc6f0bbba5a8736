// calloop: refused as well, without a hint.
// error[E0277]: `S` is not an event source of soloop

use soloop::{EventLoop, LoopData, LoopHandle, make_ping};

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn insert<S>(handle: &mut LoopHandle<State>, source: S) {
    let _ = handle.insert_source(source, |_, _| todo!());
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    insert(&mut handle, make_ping().1);
    Ok(())
}
