//! Surfaces and what is in them: `wl_surface`, `wl_shm`, `linux-dmabuf`.

use smithay::backend::renderer::utils::on_commit_buffer_handler;
use smithay::reexports::wayland_server::Client;
use smithay::reexports::wayland_server::protocol::{wl_buffer::WlBuffer, wl_surface::WlSurface};
use smithay::wayland::buffer::BufferHandler;
use smithay::wayland::compositor::{
    CompositorClientState, CompositorHandler, CompositorState, get_parent, is_sync_subsurface,
};
use smithay::wayland::dmabuf::{DmabufGlobal, DmabufHandler, DmabufState, ImportNotifier};
use smithay::wayland::shm::{ShmHandler, ShmState};
use smithay::{delegate_dmabuf, delegate_shm, delegate_viewporter};

use super::{layer, lock, popups, seat, shell, subsurfaces};
use crate::connection::{self, Peer};
use crate::state::State;
use crate::{fence, frames, input, windows};

impl CompositorHandler for State {
    fn compositor_state(&mut self) -> &mut CompositorState {
        &mut self.globals.compositor
    }

    fn client_compositor_state<'a>(&self, client: &'a Client) -> &'a CompositorClientState {
        client_commits(client).expect("every client is inserted with such a state")
    }

    fn new_surface(&mut self, surface: &WlSurface) {
        connection::surface_made(self, surface);
        fence::watch_commits(surface);
        subsurfaces::watch_commits(surface);
    }

    fn commit(&mut self, surface: &WlSurface) {
        subsurfaces::place(surface);
        on_commit_buffer_handler::<Self>(surface);
        self.popups.commit(surface);
        let mut far = false;
        if !is_sync_subsurface(surface) {
            let root = root(surface);
            if let Some(window) = self.window_of(&root) {
                windows::commit(self, &window);
                far = !windows::concerns_pointer(self, &window, &root);
            }
            if *surface == root {
                shell::committed(self, surface);
                layer::committed(self, surface);
                popups::committed(self, surface);
                lock::committed(self, surface);
            }
        }
        // It may have moved under the pointer, or away. To find out takes as long as there are windows.
        if !far {
            input::refocus_pointer(self);
        }
        frames::schedule(self);
    }

    fn destroyed(&mut self, surface: &WlSurface) {
        connection::surface_gone(surface);
        seat::update_inhibition(self);
        frames::schedule(self);
    }
}

/// What orders the commits of a client.
pub fn client_commits(client: &Client) -> Option<&CompositorClientState> {
    #[cfg(feature = "xwayland")]
    if let Some(data) = client.get_data::<smithay::xwayland::XWaylandClientData>() {
        return Some(&data.compositor_state);
    }
    client.get_data::<Peer>().map(|peer| &peer.compositor)
}

/// The surface that a subsurface is, in the end, a part of.
pub fn root(surface: &WlSurface) -> WlSurface {
    let mut root = surface.clone();
    while let Some(parent) = get_parent(&root) {
        root = parent;
    }
    root
}

impl BufferHandler for State {
    fn buffer_destroyed(&mut self, _: &WlBuffer) {}
}

impl ShmHandler for State {
    fn shm_state(&self) -> &ShmState {
        &self.globals.shm
    }
}

impl DmabufHandler for State {
    fn dmabuf_state(&mut self) -> &mut DmabufState {
        &mut self.globals.dmabuf
    }

    fn dmabuf_imported(
        &mut self,
        _: &DmabufGlobal,
        dmabuf: smithay::backend::allocator::dmabuf::Dmabuf,
        notifier: ImportNotifier,
    ) {
        if self.backend.can_import(&dmabuf) {
            // The client may have gone meanwhile.
            let _ = notifier.successful::<Self>();
        } else {
            notifier.failed();
        }
    }
}

delegate_shm!(State);
delegate_dmabuf!(State);
delegate_viewporter!(State);
