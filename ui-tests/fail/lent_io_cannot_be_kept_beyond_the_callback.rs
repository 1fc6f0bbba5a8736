// calloop: a reference is refused as well; the other way to the io, a clone of its `Dispatcher`, panics in the callback (`RefCell`).
// error[E0521]: borrowed data escapes outside of closure

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use soloop::{EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction};

/// Stands for a socket, a device, a display connection.
struct Device(OwnedFd);

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

struct State {
    handle: LoopHandle<State>,
    kept: Option<&'static mut Device>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn insert(handle: &mut LoopHandle<State>, device: Device) -> soloop::Result<()> {
    let source = Generic::new(device, Interest::READ, Mode::Level);
    handle.insert_source(source, |ready, state: &mut State| {
        state.kept = Some(ready.io);
        Ok(PostAction::Continue)
    })?;
    Ok(())
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    let (device, _peer) = UnixStream::pair()?;
    insert(&mut handle, Device(device.into()))
}
