// calloop: refused as well, without a hint.
// error[E0277]: `Keyboard` is not an event source of soloop
// Headline only: what follows lists the sources there are, by the features of the crate.

use soloop::{EventLoop, LoopData, LoopHandle};

struct Keyboard;

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::<State>::new()?;
    handle.insert_source(Keyboard, |_, _| ())?;
    Ok(())
}
