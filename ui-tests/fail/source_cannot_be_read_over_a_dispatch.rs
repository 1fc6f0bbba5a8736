// calloop: a `Ref` of `Dispatcher::as_source_ref` held over a dispatch panics as soon as the source is ready (`BorrowMutError`).
// error[E0502]: cannot borrow `event_loop` as mutable because it is also borrowed as immutable

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
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle };
    let timer = Timer::immediate();
    let token = state.handle.insert_source(timer, |_, _: &mut State| TimeoutAction::Drop)?;
    event_loop.apply_pending(&mut state)?;
    let timer = event_loop.get(token);
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    assert!(timer.is_some());
    Ok(())
}
