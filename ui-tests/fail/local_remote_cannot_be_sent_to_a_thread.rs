// calloop: `LoopHandle` is refused as well. Here `Remote` goes to the thread.
// error[E0277]: `(dyn soloop::handle::one::StaysInTheThreadOfItsLoop + 'static)` cannot be sent between threads safely
// Headline only: each part of the loop that is not `Send` is an error of its own, and shows types of std.
// Shown: SendARemote(PhantomData<dyn StaysInTheThreadOfItsLoop>); // of `handle.remote()`; or make the loop in that thread

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
