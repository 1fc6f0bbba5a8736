// calloop: refused as well.
// error[E0308]: mismatched types

use soloop::{EventLoop, LoopData, LoopHandle, Timer};

struct State {
    handle: LoopHandle<State>,
    frames: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    handle.insert_source(Timer::immediate(), |_deadline, state: &mut State| {
        state.frames += 1;
    })?;
    Ok(())
}
