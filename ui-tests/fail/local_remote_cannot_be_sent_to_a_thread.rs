// calloop: `LoopHandle` is refused as well. Here `Remote` goes to the thread.
// error[E0277]: `(dyn …)` cannot be sent between threads safely
// Headline only: what follows names the insides of the loop and types of std.

use std::thread;

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
    let (_event_loop, handle) = EventLoop::<State>::new()?;
    let remote = handle.local_remote();
    let worker = thread::spawn(move || remote.post(|_| ()));
    worker.join().unwrap();
    Ok(())
}
