// calloop: `as_source_mut`, then `update`: forgetting the second is a change that never takes effect, and in the own callback the first panics.
// error[E0593]: closure is expected to take 1 argument, but it takes 2 arguments

use std::time::Duration;

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
    let timer = Timer::immediate();
    let token = handle.insert_source(timer, |_, _| TimeoutAction::Drop)?;
    handle.update(token, |timer, _state| timer.set_duration(Duration::ZERO));
    Ok(())
}
