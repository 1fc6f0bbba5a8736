// calloop: refused as well, where the callback takes three.
// error[E0593]: closure is expected to take 2 arguments, but it takes 3 arguments

use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer};

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
    handle.insert_timer(Timer::immediate(), |_deadline, _metadata, _state| TimeoutAction::Drop);
    Ok(())
}
