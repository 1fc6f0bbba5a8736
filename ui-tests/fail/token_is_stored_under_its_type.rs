// calloop: one `RegistrationToken` is like another; mixed up in the fields of a state, the wrong source is removed.
// error[E0308]: mismatched types

use soloop::{EventLoop, LoopData, LoopHandle, PingSource, TimeoutAction, Timer, Token};

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

struct WakeUp {
    pinged: Token<PingSource>,
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::<State>::new()?;
    let timer = handle.insert_source(Timer::immediate(), |_, _| TimeoutAction::Drop)?;
    let wake_up = WakeUp { pinged: timer };
    handle.remove(wake_up.pinged);
    Ok(())
}
