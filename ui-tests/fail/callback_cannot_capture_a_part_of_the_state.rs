// calloop: the part goes into an `Rc<RefCell<_>>`, which panics when two users meet (`BorrowMutError`).
// error[E0521]: borrowed data escapes outside of function

use soloop::{EventLoop, LoopData, LoopHandle, make_ping};

struct State {
    handle: LoopHandle<State>,
    pings: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn count_pings(state: &mut State) -> soloop::Result<()> {
    let (_ping, source) = make_ping();
    let pings = &mut state.pings;
    state.handle.insert_source(source, move |(), _: &mut State| *pings += 1)?;
    Ok(())
}

fn main() -> soloop::Result<()> {
    let (_event_loop, handle) = EventLoop::new()?;
    count_pings(&mut State { handle, pings: 0 })
}
