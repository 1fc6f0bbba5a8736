//! The window: its surface, its size, its frames.

use std::io;

use wayland_client::QueueHandle;
use wayland_client::globals::GlobalList;
use wayland_client::protocol::wl_compositor::WlCompositor;
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_protocols::xdg::shell::client::xdg_surface::XdgSurface;
use wayland_protocols::xdg::shell::client::xdg_toplevel::XdgToplevel;
use wayland_protocols::xdg::shell::client::xdg_wm_base::XdgWmBase;

use crate::buffers::{Buffers, Slot};
use crate::display::bind;
use crate::options::Options;
use crate::state::State;

pub struct Window {
    surface: WlSurface,
    xdg_surface: XdgSurface,
    toplevel: XdgToplevel,
    buffers: Buffers,
    queue: QueueHandle<State>,
    size: (i32, i32),
    /// What the compositor asked for last, to be taken up with its next `configure`.
    suggested: Option<(i32, i32)>,
    /// A frame is being shown: the compositor will say when to paint the next.
    pending: bool,
    /// Both buffers were busy when it was time to paint.
    starved: bool,
    frames: u64,
}

impl Window {
    pub fn new(
        options: &Options,
        globals: &GlobalList,
        queue: &QueueHandle<State>,
    ) -> Result<Self, String> {
        let compositor: WlCompositor = bind(globals, 4..=6, queue)?; // 4: damage_buffer
        let wm_base: XdgWmBase = bind(globals, 1..=6, queue)?;
        let buffers = Buffers::new(bind(globals, 1..=1, queue)?);
        let surface = compositor.create_surface(queue, ());
        let xdg_surface = wm_base.get_xdg_surface(&surface, queue, ());
        let toplevel = xdg_surface.get_toplevel(queue, ());
        toplevel.set_title(options.title.clone());
        toplevel.set_app_id("soloop.client".into());
        // Without a buffer: it asks the compositor for its configuration.
        surface.commit();
        Ok(Self {
            surface,
            xdg_surface,
            toplevel,
            buffers,
            queue: queue.clone(),
            size: options.size,
            suggested: None,
            pending: false,
            starved: false,
            frames: 0,
        })
    }

    pub fn size(&self) -> (i32, i32) {
        self.size
    }

    /// How many pictures it has shown.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The compositor asks for this size; zeros leave it to the client.
    pub fn suggest(&mut self, width: i32, height: i32) {
        self.suggested = (width > 0 && height > 0).then_some((width, height));
    }

    /// Takes up what the compositor asked for: whether the size is another one.
    pub fn configure(&mut self) -> bool {
        let size = self.suggested.take().unwrap_or(self.size);
        std::mem::replace(&mut self.size, size) != size
    }

    /// Whether a picture is wanted now.
    pub fn wants_picture(&self) -> bool {
        !self.pending
    }

    /// Shows a picture, and asks to be told when to paint the next.
    pub fn show(&mut self, pixels: &[u8]) -> io::Result<()> {
        let Some(buffer) = self.buffers.fill(self.size, pixels, &self.queue)? else {
            self.starved = true;
            return Ok(());
        };
        self.surface.attach(Some(buffer), 0, 0);
        self.surface.damage_buffer(0, 0, i32::MAX, i32::MAX);
        self.surface.frame(&self.queue, ());
        self.surface.commit();
        self.pending = true;
        self.starved = false;
        self.frames += 1;
        Ok(())
    }

    /// What was shown is on the screen.
    pub fn shown(&mut self) {
        self.pending = false;
    }

    /// A buffer is free again: whether a picture has waited for it.
    pub fn released(&mut self, slot: Slot) -> bool {
        self.buffers.release(slot);
        self.starved
    }

    pub fn destroy(&self) {
        self.toplevel.destroy();
        self.xdg_surface.destroy();
        self.surface.destroy();
    }
}
