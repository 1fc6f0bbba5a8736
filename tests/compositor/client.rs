//! A Wayland client that does as it is told, and remembers what it is told by the compositor.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};
use wayland_client::backend::WaylandError;
use wayland_client::backend::protocol::ProtocolError;
use wayland_client::globals::{GlobalList, GlobalListContents, registry_queue_init};
use wayland_client::protocol::{
    wl_buffer, wl_buffer::WlBuffer, wl_callback, wl_callback::WlCallback,
    wl_compositor::WlCompositor, wl_keyboard, wl_keyboard::WlKeyboard, wl_pointer,
    wl_pointer::WlPointer, wl_registry::WlRegistry, wl_seat::WlSeat, wl_shm::Format, wl_shm::WlShm,
    wl_shm_pool::WlShmPool, wl_subcompositor::WlSubcompositor, wl_subsurface::WlSubsurface,
    wl_surface::WlSurface,
};
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle, delegate_noop};
use wayland_protocols::xdg::shell::client::{
    xdg_popup, xdg_popup::XdgPopup, xdg_positioner::XdgPositioner, xdg_surface,
    xdg_surface::XdgSurface, xdg_toplevel::XdgToplevel, xdg_wm_base, xdg_wm_base::XdgWmBase,
};

use super::server::{Compositor, PATIENCE};

pub struct Client {
    pub connection: Connection,
    #[allow(dead_code, reason = "for tests that bind more than what follows")]
    pub globals: GlobalList,
    events: EventQueue<Heard>,
    pub queue: QueueHandle<Heard>,
    pub heard: Heard,
    pub compositor: WlCompositor,
    pub subcompositor: WlSubcompositor,
    pub shm: WlShm,
    pub wm_base: XdgWmBase,
    pub seat: WlSeat,
}

/// What the compositor has said.
#[derive(Default)]
pub struct Heard {
    pub frames: usize,
    pub releases: usize,
    /// How many configure events there were for each surface; they are acknowledged.
    pub configured: Vec<XdgSurface>,
    /// Of the configure events.
    pub serials: Vec<u32>,
    pub popup: Option<(i32, i32, i32, i32)>,
    pub keymap: Option<u32>,
    pub keys: Vec<(u32, bool)>,
    pub keyboard_entered: bool,
    pub pointer: Option<(f64, f64)>,
    /// What the pointer is on.
    pub pointed: Option<WlSurface>,
    pub buttons: Vec<(u32, bool)>,
    pub popup_done: bool,
}

/// A mapped window.
pub struct Window {
    pub surface: WlSurface,
    pub xdg: XdgSurface,
    pub toplevel: XdgToplevel,
}

impl Client {
    pub fn connect(compositor: &Compositor) -> Self {
        Self::over(compositor.raw_client())
    }

    pub fn over(stream: UnixStream) -> Self {
        let connection = Connection::from_socket(stream).unwrap();
        let (globals, events): (GlobalList, EventQueue<Heard>) =
            registry_queue_init(&connection).unwrap();
        let queue = events.handle();
        Self {
            compositor: globals.bind(&queue, 6..=6, ()).unwrap(),
            subcompositor: globals.bind(&queue, 1..=1, ()).unwrap(),
            shm: globals.bind(&queue, 1..=1, ()).unwrap(),
            wm_base: globals.bind(&queue, 5..=5, ()).unwrap(),
            seat: globals.bind(&queue, 7..=7, ()).unwrap(),
            globals,
            heard: Heard::default(),
            connection,
            events,
            queue,
        }
    }

    /// Listens until something is so.
    pub fn until(&mut self, what: &str, done: impl Fn(&Heard) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.events.dispatch_pending(&mut self.heard).unwrap();
            if done(&self.heard) {
                return;
            }
            assert!(Instant::now() < deadline, "never: {what}");
            self.events.flush().unwrap();
            if let Some(guard) = self.events.prepare_read() {
                let mut fds = [PollFd::from_borrowed_fd(guard.connection_fd(), PollFlags::IN)];
                let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
                if rustix::event::poll(&mut fds, Some(&timeout)).unwrap() > 0 {
                    match guard.read() {
                        // All there was is what the library keeps to itself, such as `wl_display.delete_id`.
                        Err(WaylandError::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                        read => drop(read.unwrap()),
                    }
                }
            }
        }
    }

    /// Waits until the compositor has dealt with everything so far.
    pub fn roundtrip(&mut self) {
        self.events.roundtrip(&mut self.heard).unwrap();
    }

    /// The error the compositor answers everything so far with.
    pub fn protocol_error(&mut self) -> ProtocolError {
        self.end().expect("disconnected without a protocol error")
    }

    /// Waits for the end of the connection; the protocol error, unless the client still wrote when it was cut, and so
    /// never read it.
    pub fn end(&mut self) -> Option<ProtocolError> {
        let deadline = Instant::now() + PATIENCE;
        while self.events.roundtrip(&mut self.heard).is_ok() {
            assert!(Instant::now() < deadline, "the connection does not end");
        }
        self.connection.protocol_error()
    }

    pub fn memory(&self, bytes: i32) -> File {
        let memory = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let memory = File::from(memory);
        memory.set_len(bytes as u64).unwrap();
        memory
    }

    pub fn pool(&self, memory: &File, bytes: i32) -> WlShmPool {
        self.shm.create_pool(memory.as_fd(), bytes, &self.queue, ())
    }

    /// A buffer of one colour, `0xAARRGGBB`.
    pub fn buffer(&self, (width, height): (i32, i32), colour: u32) -> WlBuffer {
        let bytes = 4 * width * height;
        let memory = self.memory(bytes);
        memory.write_all_at(&colour.to_le_bytes().repeat((width * height) as usize), 0).unwrap();
        let pool = self.pool(&memory, bytes);
        let buffer =
            pool.create_buffer(0, width, height, 4 * width, Format::Argb8888, &self.queue, ());
        pool.destroy();
        buffer
    }

    pub fn surface(&self) -> WlSurface {
        self.compositor.create_surface(&self.queue, ())
    }

    /// Commits a surface with content of one colour.
    pub fn show(&self, surface: &WlSurface, size: (i32, i32), colour: u32) -> WlBuffer {
        let buffer = self.buffer(size, colour);
        surface.attach(Some(&buffer), 0, 0);
        surface.damage_buffer(0, 0, size.0, size.1);
        surface.commit();
        buffer
    }

    /// Maps a window of one colour.
    pub fn window(&mut self, title: &str, size: (i32, i32), colour: u32) -> Window {
        let window = self.unmapped_window(title);
        self.show(&window.surface, size, colour);
        self.roundtrip();
        window
    }

    /// A window that may be given content.
    pub fn unmapped_window(&mut self, title: &str) -> Window {
        let window = self.new_window(title);
        self.until("configure", |heard| heard.configured.contains(&window.xdg));
        window
    }

    /// A window that may be given content once it is configured.
    pub fn new_window(&self, title: &str) -> Window {
        let surface = self.surface();
        let xdg = self.wm_base.get_xdg_surface(&surface, &self.queue, ());
        let toplevel = xdg.get_toplevel(&self.queue, ());
        toplevel.set_title(title.to_owned());
        toplevel.set_app_id("test".to_owned());
        surface.commit();
        Window { surface, xdg, toplevel }
    }

    /// Repaints a window and waits for its frame, several times.
    pub fn frames(&mut self, window: &Window, count: usize) {
        for _ in 0..count {
            let frames = self.heard.frames;
            window.surface.frame(&self.queue, ());
            let buffer = self.show(&window.surface, (32, 32), 0xff808080);
            self.until("a frame callback", |heard| heard.frames > frames);
            // A client may have so many pools, and a witness that draws for minutes has as many buffers.
            buffer.destroy();
        }
    }
}

impl Dispatch<WlCallback, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlCallback,
        _: wl_callback::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        heard.frames += 1;
    }
}

impl Dispatch<WlBuffer, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlBuffer,
        _: wl_buffer::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        heard.releases += 1;
    }
}

impl Dispatch<XdgSurface, ()> for Heard {
    fn event(
        heard: &mut Self,
        xdg: &XdgSurface,
        event: xdg_surface::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event {
            xdg.ack_configure(serial);
            heard.configured.push(xdg.clone());
            heard.serials.push(serial);
        }
    }
}

impl Dispatch<XdgPopup, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &XdgPopup,
        event: xdg_popup::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            xdg_popup::Event::Configure { x, y, width, height } => {
                heard.popup = Some((x, y, width, height));
            }
            xdg_popup::Event::PopupDone => heard.popup_done = true,
            _ => {}
        }
    }
}

impl Dispatch<XdgWmBase, ()> for Heard {
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

impl Dispatch<WlKeyboard, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlKeyboard,
        event: wl_keyboard::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wayland_client::WEnum::Value;
        use wl_keyboard::{Event, KeyState};
        match event {
            Event::Keymap { size, .. } => heard.keymap = Some(size),
            Event::Enter { .. } => heard.keyboard_entered = true,
            Event::Leave { .. } => heard.keyboard_entered = false,
            Event::Key { key, state, .. } => {
                heard.keys.push((key, state == Value(KeyState::Pressed)));
            }
            _ => {}
        }
    }
}

impl Dispatch<WlPointer, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlPointer,
        event: wl_pointer::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wayland_client::WEnum::Value;
        use wl_pointer::{ButtonState, Event};
        match event {
            Event::Enter { surface, surface_x, surface_y, .. } => {
                heard.pointer = Some((surface_x, surface_y));
                heard.pointed = Some(surface);
            }
            Event::Motion { surface_x, surface_y, .. } => {
                heard.pointer = Some((surface_x, surface_y));
            }
            Event::Leave { .. } => (heard.pointer, heard.pointed) = (None, None),
            Event::Button { button, state, .. } => {
                heard.buttons.push((button, state == Value(ButtonState::Pressed)));
            }
            _ => {}
        }
    }
}

impl Dispatch<WlRegistry, GlobalListContents> for Heard {
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

delegate_noop!(Heard: WlCompositor);
delegate_noop!(Heard: WlSubcompositor);
delegate_noop!(Heard: WlSubsurface);
delegate_noop!(Heard: WlShmPool);
delegate_noop!(Heard: XdgPositioner);
delegate_noop!(Heard: ignore WlShm);
delegate_noop!(Heard: ignore WlSeat);
delegate_noop!(Heard: ignore WlSurface);
delegate_noop!(Heard: ignore XdgToplevel);
