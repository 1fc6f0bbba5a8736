// calloop: a `RefMut` of `Dispatcher::as_source_mut` held over a dispatch panics as soon as the source is ready (`BorrowMutError`).
// error[E0499]: cannot borrow `event_loop` as mutable more than once at a time

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
    if let Some(timer) = event_loop.get_mut(token) {
        event_loop.dispatch(Duration::ZERO, &mut state)?;
        timer.set_duration(Duration::from_secs(1));
    }
    Ok(())
}
