// calloop: refused as well.
// error[E0308]: mismatched types

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
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn insert(handle: &mut LoopHandle<State>, device: Device) -> soloop::Result<()> {
    let source = Generic::new(device, Interest::READ, Mode::Level);
    handle.insert_source(source, |_ready, _: &mut State| PostAction::Continue)?;
    Ok(())
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    let (device, _peer) = UnixStream::pair()?;
    insert(&mut handle, Device(device.into()))
}
