// calloop: a loop shared by `Rc<RefCell<_>>` is borrowed while it dispatches; using it in the callback panics (`BorrowMutError`).
// error[E0382]: borrow of moved value: `event_loop`

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

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle };
    let (ping, source) = make_ping();
    ping.ping();
    state.handle.insert_source(source, move |(), state: &mut State| {
        let _ = event_loop.dispatch(Duration::ZERO, state);
    })?;
    event_loop.dispatch(Duration::ZERO, &mut state)
}
