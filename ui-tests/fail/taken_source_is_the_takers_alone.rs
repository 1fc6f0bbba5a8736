// calloop: `Dispatcher`s are clones; taking the source out of one while another is alive or registered panics.
// error[E0382]: borrow of moved value: `timer`

use std::time::Duration;

use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer};

struct State {
    handle: LoopHandle<State>,
    spare: Option<Timer>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    let timer = Timer::immediate();
    let token = handle.insert_source(timer, |_, _: &mut State| TimeoutAction::Drop)?;
    handle.take(token, |mut timer, state| {
        state.spare = Some(timer);
        timer.set_duration(Duration::from_secs(1));
    });
    Ok(())
}
