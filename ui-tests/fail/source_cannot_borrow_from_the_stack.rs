// calloop: allowed for what outlives the loop, which is then bound to the borrow by a lifetime of its own (`EventLoop<'l, _>`).
// error[E0597]: `device` does not live long enough

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

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    let (device, _peer) = UnixStream::pair()?;
    let device = Device(device.into());
    let source = Generic::new(&device, Interest::READ, Mode::Level);
    handle.insert_source(source, |_ready, _: &mut State| Ok(PostAction::Continue))?;
    Ok(())
}
