// calloop: the io is duplicated, or shared by `Rc`, to use it beside its source: closed in one place and polled in the other.
// error[E0382]: borrow of moved value: `device`

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

impl Device {
    fn flush(&mut self) {}
}

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn insert(handle: &mut LoopHandle<State>, mut device: Device) -> soloop::Result<()> {
    let source = Generic::new(device, Interest::READ, Mode::Level);
    handle.insert_source(source, |_ready, _: &mut State| Ok(PostAction::Continue))?;
    device.flush();
    Ok(())
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    let (device, _peer) = UnixStream::pair()?;
    insert(&mut handle, Device(device.into()))
}
