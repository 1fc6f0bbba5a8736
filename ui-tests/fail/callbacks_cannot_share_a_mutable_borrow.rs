// calloop: what two callbacks share goes into an `Rc<RefCell<_>>`, which panics when one of them runs within the other.
// error[E0382]: use of moved value: `frames`

use soloop::{EventLoop, LoopData, LoopHandle, make_ping};

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// The borrow lives long enough for a callback; it is only not to be shared.
fn insert_two(handle: &mut LoopHandle<State>, frames: &'static mut u32) -> soloop::Result<()> {
    let (_ping, one) = make_ping();
    let (_ping, other) = make_ping();
    handle.insert_source(one, move |(), _: &mut State| *frames += 1)?;
    handle.insert_source(other, move |(), _: &mut State| *frames = 0)?;
    Ok(())
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    insert_two(&mut handle, Box::leak(Box::new(0)))
}
