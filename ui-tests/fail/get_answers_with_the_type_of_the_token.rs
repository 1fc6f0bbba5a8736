// calloop: tokens have no type; which `Dispatcher` belongs to which token is up to the user, and a wrong one acts on another source.
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

fn look_at_ping(event_loop: &EventLoop<State>, token: Token<Timer>) {
    let _: Option<&PingSource> = event_loop.get(token);
}

fn main() -> soloop::Result<()> {
    let (event_loop, mut handle) = EventLoop::<State>::new()?;
    let token = handle.insert_source(Timer::immediate(), |_, _| TimeoutAction::Drop)?;
    look_at_ping(&event_loop, token);
    Ok(())
}
