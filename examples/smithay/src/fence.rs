//! Commits that wait for a fence: the GPU still draws into the buffer that is shown.
//!
//! A commit with such a buffer is blocked, together with those that follow it on its surfaces, until the fds
//! of its planes are readable; each of them is a source of the loop for one event. Explicit fences
//! (`linux-drm-syncobj`) would be waited for in the same way, but Smithay offers them with a DRM device only.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::{
    Barrier, BufferAssignment, SurfaceAttributes, add_blocker, add_pre_commit_hook, with_states,
};
use smithay::wayland::dmabuf::get_dmabuf;

use crate::event_loop;
use crate::handlers::compositor::client_commits;
use crate::state::State;

/// Has the commits of a surface wait for what is being drawn.
pub fn watch_commits(surface: &WlSurface) {
    add_pre_commit_hook::<State, _>(surface, |state, _, surface| {
        for fence in fences(surface) {
            if let Err(error) = wait(state, surface, fence) {
                eprintln!("compositor: a fence is not waited for: {error}");
            }
        }
    });
}

/// The fds of the buffer about to be committed that are not readable yet.
fn fences(surface: &WlSurface) -> Vec<OwnedFd> {
    with_states(surface, |states| {
        let mut attributes = states.cached_state.get::<SurfaceAttributes>();
        let Some(BufferAssignment::NewBuffer(buffer)) = &attributes.pending().buffer else {
            return Vec::new();
        };
        let Ok(dmabuf) = get_dmabuf(buffer) else { return Vec::new() };
        let pending = dmabuf.handles().filter(|plane| !is_readable(plane));
        pending.filter_map(|plane| plane.try_clone_to_owned().ok()).collect()
    })
}

fn is_readable(fd: &BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    // What can't be polled has no fence.
    !matches!(rustix::event::poll(&mut fds, Some(&Timespec::default())), Ok(0))
}

/// Blocks the next commit of a surface until a fence has been passed.
pub fn wait(state: &mut State, surface: &WlSurface, fence: OwnedFd) -> crate::Result<()> {
    let Some(client) = surface.client() else { return Ok(()) };
    let barrier = Barrier::new(false);
    let passed = barrier.clone();
    event_loop::when_readable(&mut state.handle, fence, move |state| {
        passed.signal();
        // The client may have gone, and its commits with it.
        if let Some(queue) = client_commits(&client) {
            let display = state.display.clone();
            queue.blocker_cleared(state, &display);
        }
    })?;
    add_blocker(surface, barrier);
    Ok(())
}
