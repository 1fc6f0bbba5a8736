// calloop: an idle has a type of its own as well, but one that cancels itself panics (`BorrowMutError`).
// error[E0277]: the trait bound `AnyToken: From<IdleToken>` is not satisfied

use soloop::{EventLoop, LoopData, LoopHandle};

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
    let idle = handle.insert_idle(|_| ());
    handle.remove(idle);
    Ok(())
}
