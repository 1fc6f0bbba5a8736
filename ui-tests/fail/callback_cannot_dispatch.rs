// calloop: a dispatch within a dispatch takes a loop in an `Rc<RefCell<_>>`, and panics (`BorrowMutError`).
// error[E0521]: borrowed data escapes outside of function

use std::time::Duration;

use soloop::{EventLoop, LoopData, LoopHandle, make_ping};

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn insert(event_loop: &mut EventLoop<State>, state: &mut State) -> soloop::Result<()> {
    let (_ping, source) = make_ping();
    let handle = &mut state.handle;
    handle.insert_source(source, move |(), state: &mut State| {
        let _ = event_loop.dispatch(Duration::ZERO, state);
    })?;
    Ok(())
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    insert(&mut event_loop, &mut State { handle })
}
