// calloop: no such thing; as a message of a channel that carries boxed closures it is refused as well.
// error[E0277]: `*mut u8` cannot be sent between threads safely

use soloop::{EventLoop, LoopData, LoopHandle};

/// Belongs to the thread that made it, as much of OpenGL and of Wayland does.
struct Surface {
    pointer: *mut u8,
}

struct State {
    handle: LoopHandle<State>,
    shown: *mut u8,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, handle) = EventLoop::<State>::new()?;
    let pointer = std::ptr::null_mut();
    let surface = Surface { pointer };
    handle.remote().post(move |state: &mut State| {
        let surface: Surface = surface;
        state.shown = surface.pointer;
    });
    Ok(())
}
