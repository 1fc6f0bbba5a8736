// calloop: any number of handles, each of which keeps the loop alive (`Rc`).
// error[E0382]: use of moved value: `handle`

use soloop::{EventLoop, LoopData, LoopHandle};

struct Input {
    handle: LoopHandle<State>,
}

struct State {
    handle: LoopHandle<State>,
    input: Input,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, handle) = EventLoop::new()?;
    let input = Input { handle };
    let mut state = State { handle, input };
    state.input.handle.stop();
    Ok(())
}
