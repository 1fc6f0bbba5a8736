//! A window of a Wayland client: the least that it takes, on `wayland-client`.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use rustix::fs::MemfdFlags;
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::{
    wl_buffer::WlBuffer, wl_callback::WlCallback, wl_compositor::WlCompositor,
    wl_registry::WlRegistry, wl_shm::Format, wl_shm::WlShm, wl_shm_pool::WlShmPool,
    wl_subcompositor::WlSubcompositor, wl_subsurface::WlSubsurface, wl_surface::WlSurface,
};
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle, delegate_noop};
use wayland_protocols::xdg::shell::client::{
    xdg_popup::XdgPopup,
    xdg_positioner::{Anchor, ConstraintAdjustment, Gravity, XdgPositioner},
    xdg_surface::{self, XdgSurface},
    xdg_toplevel::{self, XdgToplevel},
    xdg_wm_base::{self, XdgWmBase},
};

use super::pictures::Pixels;

/// Paints a picture as it is after so many seconds.
pub type Paint = fn(&mut Pixels, f32);

/// Where something is after so many seconds.
pub type Path = fn(f32) -> (i32, i32);

/// What a window shows.
pub struct Scene {
    pub title: &'static str,
    pub size: (i32, i32),
    pub opaque: bool,
    pub paint: Paint,
    pub attachment: Option<Attachment>,
}

/// A second surface.
pub enum Attachment {
    Subsurface {
        size: (i32, i32),
        paint: Paint,
        path: Path,
    },
    Popup {
        size: (i32, i32),
        paint: Paint,
        /// Its top left corner in the window.
        anchor: (i32, i32),
    },
}

/// A surface with two buffers, one to show and one to paint.
struct Drawing {
    surface: WlSurface,
    memory: File,
    buffers: [WlBuffer; 2],
    pixels: Pixels,
    paint: Paint,
    painted: usize,
}

struct Client {
    started: Instant,
    window: Drawing,
    subsurface: Option<(Drawing, WlSubsurface, Path)>,
    popup: Option<(Drawing, XdgSurface)>,
    animated: bool,
    running: bool,
}

impl Drawing {
    fn new(
        surface: WlSurface,
        shm: &WlShm,
        (width, height): (i32, i32),
        opaque: bool,
        paint: Paint,
        queue: &QueueHandle<Client>,
    ) -> Result<Self, Box<dyn Error>> {
        let bytes = 4 * width * height;
        let memory = File::from(rustix::fs::memfd_create("pixels", MemfdFlags::CLOEXEC)?);
        memory.set_len(2 * bytes as u64)?;
        let pool = shm.create_pool(memory.as_fd(), 2 * bytes, queue, ());
        let format = if opaque { Format::Xrgb8888 } else { Format::Argb8888 };
        let buffer =
            |offset| pool.create_buffer(offset, width, height, 4 * width, format, queue, ());
        let buffers = [buffer(0), buffer(bytes)];
        pool.destroy();
        Ok(Self { surface, memory, buffers, pixels: Pixels::new(width, height), paint, painted: 0 })
    }

    /// Shows the picture as it is after so many seconds.
    fn show(&mut self, seconds: f32) -> std::io::Result<()> {
        (self.paint)(&mut self.pixels, seconds);
        let bytes = self.pixels.bytes();
        let index = self.painted % 2;
        self.memory.write_all_at(bytes, (index * bytes.len()) as u64)?;
        self.surface.attach(Some(&self.buffers[index]), 0, 0);
        self.surface.damage_buffer(0, 0, i32::MAX, i32::MAX);
        self.surface.commit();
        self.painted += 1;
        Ok(())
    }
}

/// Shows a window until the compositor has gone, or asks to close it.
pub fn show(name: &str, scene: Scene) -> Result<(), Box<dyn Error>> {
    let connection = Connection::connect_to_env()?;
    let (globals, mut events): (_, EventQueue<Client>) = registry_queue_init(&connection)?;
    let queue = events.handle();
    let compositor: WlCompositor = globals.bind(&queue, 4..=6, ())?;
    let shm: WlShm = globals.bind(&queue, 1..=1, ())?;
    let wm_base: XdgWmBase = globals.bind(&queue, 1..=5, ())?;

    let surface = compositor.create_surface(&queue, ());
    let xdg_surface = wm_base.get_xdg_surface(&surface, &queue, ());
    let toplevel = xdg_surface.get_toplevel(&queue, ());
    toplevel.set_title(scene.title.to_owned());
    toplevel.set_app_id(format!("compositor.demo.{name}"));
    surface.commit();

    let window = Drawing::new(surface, &shm, scene.size, scene.opaque, scene.paint, &queue)?;
    let mut client = Client {
        started: Instant::now(),
        window,
        subsurface: None,
        popup: None,
        animated: false,
        running: true,
    };
    match scene.attachment {
        None => {}
        Some(Attachment::Subsurface { size, paint, path }) => {
            let subcompositor: WlSubcompositor = globals.bind(&queue, 1..=1, ())?;
            let surface = compositor.create_surface(&queue, ());
            let subsurface =
                subcompositor.get_subsurface(&surface, &client.window.surface, &queue, ());
            let drawing = Drawing::new(surface, &shm, size, false, paint, &queue)?;
            client.subsurface = Some((drawing, subsurface, path));
        }
        Some(Attachment::Popup { size, paint, anchor }) => {
            let positioner = wm_base.create_positioner(&queue, ());
            positioner.set_size(size.0, size.1);
            positioner.set_anchor_rect(anchor.0, anchor.1, 1, 1);
            positioner.set_anchor(Anchor::BottomRight);
            positioner.set_gravity(Gravity::BottomRight);
            positioner.set_constraint_adjustment(
                ConstraintAdjustment::SlideX | ConstraintAdjustment::SlideY,
            );
            let surface = compositor.create_surface(&queue, ());
            let popup_surface = wm_base.get_xdg_surface(&surface, &queue, ());
            popup_surface.get_popup(Some(&xdg_surface), &positioner, &queue, ());
            let drawing = Drawing::new(surface, &shm, size, false, paint, &queue)?;
            client.popup = Some((drawing, popup_surface));
        }
    }
    while client.running {
        // The compositor that goes is the usual end.
        if events.blocking_dispatch(&mut client).is_err() {
            break;
        }
    }
    Ok(())
}

impl Client {
    /// Paints everything anew, and asks to be told when to do so again.
    fn frame(&mut self, queue: &QueueHandle<Self>) {
        let seconds = self.started.elapsed().as_secs_f32();
        self.window.surface.frame(queue, ());
        if let Some((drawing, subsurface, path)) = &mut self.subsurface {
            let (x, y) = path(seconds);
            subsurface.set_position(x, y);
            self.running &= drawing.show(seconds).is_ok();
        }
        self.running &= self.window.show(seconds).is_ok();
    }
}

impl Dispatch<XdgSurface, ()> for Client {
    fn event(
        client: &mut Self,
        xdg_surface: &XdgSurface,
        event: xdg_surface::Event,
        _: &(),
        _: &Connection,
        queue: &QueueHandle<Self>,
    ) {
        let xdg_surface::Event::Configure { serial } = event else { return };
        xdg_surface.ack_configure(serial);
        let seconds = client.started.elapsed().as_secs_f32();
        match &mut client.popup {
            Some((drawing, popup)) if popup == xdg_surface => {
                client.running &= drawing.show(seconds).is_ok();
            }
            popup => {
                if !std::mem::replace(&mut client.animated, true) {
                    if let Some((drawing, _)) = popup {
                        // Its first commit, which asks for its size, waits for the parent to be there.
                        drawing.surface.commit();
                    }
                    client.frame(queue);
                }
            }
        }
    }
}

impl Dispatch<XdgToplevel, ()> for Client {
    fn event(
        client: &mut Self,
        _: &XdgToplevel,
        event: xdg_toplevel::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_toplevel::Event::Close = event {
            client.running = false;
        }
    }
}

impl Dispatch<WlCallback, ()> for Client {
    fn event(
        client: &mut Self,
        _: &WlCallback,
        _: <WlCallback as Proxy>::Event,
        _: &(),
        _: &Connection,
        queue: &QueueHandle<Self>,
    ) {
        client.frame(queue);
    }
}

impl Dispatch<XdgWmBase, ()> for Client {
    fn event(
        _: &mut Self,
        wm_base: &XdgWmBase,
        event: xdg_wm_base::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_wm_base::Event::Ping { serial } = event {
            wm_base.pong(serial);
        }
    }
}

impl Dispatch<WlRegistry, GlobalListContents> for Client {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: <WlRegistry as Proxy>::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

delegate_noop!(Client: WlCompositor);
delegate_noop!(Client: WlSubcompositor);
delegate_noop!(Client: WlSubsurface);
delegate_noop!(Client: WlShmPool);
delegate_noop!(Client: XdgPositioner);
delegate_noop!(Client: ignore WlShm);
delegate_noop!(Client: ignore WlBuffer);
delegate_noop!(Client: ignore WlSurface);
delegate_noop!(Client: ignore XdgPopup);
