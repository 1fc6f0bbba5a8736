// calloop: other threads can't insert. Here `LocalRemote` posts from the loop's own thread what is not `Send`.
// error[E0277]: `*const u8` cannot be sent between threads safely

use std::ptr;

use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer};

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
    let pointer = ptr::null::<u8>();
    handle.remote().insert(Timer::immediate(), move |_, _| {
        assert!(pointer.is_null());
        TimeoutAction::Drop
    });
    Ok(())
}
