// calloop: it is one of its own.
// error[E0277]: `calloop::generic::Generic<UnixStream>` is not an event source of soloop
// Headline only: what follows lists the sources there are, by the features of the crate.
// Shown: a source that is written for calloop is inserted by `insert_calloop_source` (feature `calloop`)

use std::os::unix::net::UnixStream;

use calloop::generic::Generic;
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
    let (_event_loop, mut handle) = EventLoop::<State>::new()?;
    let (_theirs, ours) = UnixStream::pair().unwrap();
    let source = Generic::new(ours, calloop::Interest::READ, calloop::Mode::Level);
    handle.insert_source(source, |_, _| ())?;
    Ok(())
}
