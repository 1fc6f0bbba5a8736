// calloop: refused as well; what is wanted later is shared by `Rc<RefCell<_>>` and may panic then. Here: `Remote`, or an idle.
// error[E0521]: borrowed data escapes outside of closure

use soloop::{EventLoop, LoopData, LoopHandle, make_ping};

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn insert(handle: &mut LoopHandle<State>, mut kept: Vec<&'static mut State>) -> soloop::Result<()> {
    let (_ping, source) = make_ping();
    handle.insert_source(source, move |(), state: &mut State| kept.push(state))?;
    Ok(())
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    insert(&mut handle, vec![])
}
