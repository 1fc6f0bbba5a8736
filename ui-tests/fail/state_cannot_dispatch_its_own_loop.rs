// calloop: a state that holds its loop in an `Rc<RefCell<_>>` compiles; a dispatch within a dispatch panics (`BorrowMutError`).
// error[E0499]: cannot borrow `*state` as mutable more than once at a time

use std::time::Duration;

use soloop::{EventLoop, LoopData, LoopHandle, make_ping};

struct State {
    handle: LoopHandle<State>,
    event_loop: EventLoop<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn insert(state: &mut State) -> soloop::Result<()> {
    let (_ping, source) = make_ping();
    state.handle.insert_source(source, |(), state: &mut State| {
        let event_loop = &mut state.event_loop;
        let _ = event_loop.dispatch(Duration::ZERO, state);
    })?;
    Ok(())
}

fn main() -> soloop::Result<()> {
    let (event_loop, handle) = EventLoop::new()?;
    insert(&mut State { handle, event_loop })
}
