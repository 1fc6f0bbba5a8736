// calloop: compiles, the handle is a clone; used where the loop holds its tables (a hook, a `Drop`) it panics (`BorrowMutError`).
// error[E0382]: borrow of moved value: `handle`

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
    let (mut event_loop, mut handle) = EventLoop::new()?;
    let mut state = State { handle };
    handle.stop();
    event_loop.run(None, &mut state, |_| ())
}
