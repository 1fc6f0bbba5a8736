// calloop: refused as well, so it is shared with the loop by a `Dispatcher`, which panics if used in its own callback (`BorrowMutError`).
// error[E0382]: borrow of moved value: `timer`

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
    let mut timer = Timer::immediate();
    handle.insert_source(timer, |_, _| TimeoutAction::Drop)?;
    timer.set_duration(Duration::from_secs(1));
    Ok(())
}
