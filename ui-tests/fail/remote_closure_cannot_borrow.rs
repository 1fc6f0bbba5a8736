// calloop: no such thing; as a message of a channel that carries boxed closures it is refused as well.
// error[E0521]: borrowed data escapes outside of function

use soloop::{EventLoop, LoopData, LoopHandle, Remote};

struct State {
    handle: LoopHandle<State>,
    length: usize,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn rename(remote: &Remote<State>, name: &[u8]) {
    remote.post(move |state: &mut State| state.length = name.len());
}

fn main() -> soloop::Result<()> {
    let (_event_loop, handle) = EventLoop::new()?;
    rename(&handle.remote(), b"seat0");
    Ok(())
}
