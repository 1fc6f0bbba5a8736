// calloop: a `RefMut` of `Dispatcher::as_source_mut` can be kept, and panics when the source is ready (`BorrowMutError`).
// error[E0521]: borrowed data escapes outside of closure

use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer};

struct State {
    handle: LoopHandle<State>,
    kept: Vec<&'static mut Timer>,
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
    handle.visit(token, |timer, state| state.kept.push(timer));
    Ok(())
}
