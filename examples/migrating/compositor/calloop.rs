//! A Wayland compositor in small, on calloop. It shows nothing, but windows are configured and laid out, surfaces get
//! their frames, and a client that does not open a window in time is disconnected.

use std::collections::HashMap;
use std::error::Error;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use calloop::channel::{self, Sender, channel};
use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{
    EventLoop, Idle, Interest, LoopHandle, LoopSignal, Mode, PostAction, RegistrationToken,
};
use wayland_protocols::xdg::shell::server::xdg_positioner::{self, XdgPositioner};
use wayland_protocols::xdg::shell::server::xdg_surface::{self, XdgSurface};
use wayland_protocols::xdg::shell::server::xdg_toplevel::{self, XdgToplevel};
use wayland_protocols::xdg::shell::server::xdg_wm_base::{self, XdgWmBase};
use wayland_server::backend::{ClientData, ClientId, DisconnectReason, ObjectId};
use wayland_server::protocol::wl_callback::{self, WlCallback};
use wayland_server::protocol::wl_compositor::{self, WlCompositor};
use wayland_server::protocol::wl_region::{self, WlRegion};
use wayland_server::protocol::wl_surface::{self, WlSurface};
use wayland_server::{
    Client, DataInit, Dispatch, Display, DisplayHandle, GlobalDispatch, ListeningSocket, New,
    Resource,
};

const REFRESH: Duration = Duration::from_millis(16);
/// In which a client has to open a window.
const GRACE: Duration = Duration::from_secs(1);
const OUTPUT: (i32, i32) = (1280, 720);

/// What there was.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub clients: usize,
    pub expelled: usize,
    pub frames: usize,
    pub layouts: usize,
    pub wallpaper: Option<String>,
}

pub struct State {
    handle: LoopHandle<'static, State>,
    signal: LoopSignal,
    display: DisplayHandle,
    /// The time until which each client has to open a window, for those that have not.
    clients: HashMap<ClientId, Option<RegistrationToken>>,
    disconnected: Sender<ClientId>,
    surfaces: HashMap<ObjectId, Surface>,
    windows: Vec<Window>,
    /// Runs while a surface waits for a frame.
    refresh: Option<RegistrationToken>,
    layout: Option<Idle<'static>>,
    started: Instant,
    report: Report,
}

#[derive(Default)]
struct Surface {
    requested: Vec<WlCallback>,
    waiting: Vec<WlCallback>,
}

struct Window {
    surface: WlSurface,
    xdg: XdgSurface,
    toplevel: XdgToplevel,
    size: (i32, i32),
}

/// Runs the compositor until its last client has gone.
pub fn run(socket: ListeningSocket) -> Result<Report, Box<dyn Error>> {
    let mut event_loop = EventLoop::<State>::try_new()?;
    let handle = event_loop.handle();
    let mut display = Display::<State>::new()?;
    let display_handle = display.handle();
    display_handle.create_global::<State, WlCompositor, _>(6, ());
    display_handle.create_global::<State, XdgWmBase, _>(5, ());

    let source = Generic::new(socket, Interest::READ, Mode::Level);
    handle.insert_source(source, |_, socket, state| {
        while let Some(stream) = socket.accept()? {
            let data = Arc::new(Connected { disconnected: state.disconnected.clone() });
            let client = state.display.insert_client(stream, data)?;
            state.connected(client.id());
        }
        Ok(PostAction::Continue)
    })?;

    // `&mut` of what is in a `Generic` is an unsafe call: the callback owns the display, the source a second fd.
    let fd = display.as_fd().try_clone_to_owned()?;
    let source = Generic::new(fd, Interest::READ, Mode::Level);
    handle.insert_source(source, move |_, _, state| {
        display.dispatch_clients(state)?;
        Ok(PostAction::Continue)
    })?;

    let (disconnected, messages) = channel();
    handle.insert_source(messages, |event, _, state| {
        if let channel::Event::Msg(client) = event {
            state.disconnected(&client);
        }
    })?;

    let (wallpaper, messages) = channel();
    handle.insert_source(messages, |event, _, state| {
        if let channel::Event::Msg(wallpaper) = event {
            state.report.wallpaper = Some(wallpaper);
        }
    })?;
    let loader = thread::spawn(move || wallpaper.send(String::from("dunes")));

    let mut state = State {
        handle,
        signal: event_loop.get_signal(),
        display: display_handle,
        clients: HashMap::new(),
        disconnected,
        surfaces: HashMap::new(),
        windows: Vec::new(),
        refresh: None,
        layout: None,
        started: Instant::now(),
        report: Report::default(),
    };
    event_loop.run(None, &mut state, |state| {
        let _ = state.display.flush_clients();
    })?;
    loader.join().expect("it sends and ends")?;
    Ok(state.report)
}

// Clients.

/// What tells of the end of a connection. It is called in the middle of the display's work, without the state.
struct Connected {
    disconnected: Sender<ClientId>,
}

impl ClientData for Connected {
    fn disconnected(&self, client: ClientId, _: DisconnectReason) {
        let _ = self.disconnected.send(client);
    }
}

impl State {
    fn connected(&mut self, client: ClientId) {
        self.report.clients += 1;
        let expelled = client.clone();
        let grace = self.handle.insert_source(Timer::from_duration(GRACE), move |_, _, state| {
            state.report.expelled += 1;
            state.clients.insert(expelled.clone(), None);
            let reason = DisconnectReason::ConnectionClosed;
            state.display.backend_handle().kill_client(expelled.clone(), reason);
            TimeoutAction::Drop
        });
        self.clients.insert(client, grace.ok());
    }

    /// The client has opened a window.
    fn settled(&mut self, client: &Client) {
        if let Some(grace) = self.clients.get_mut(&client.id()).and_then(Option::take) {
            self.handle.remove(grace);
        }
    }

    fn disconnected(&mut self, client: &ClientId) {
        if let Some(Some(grace)) = self.clients.remove(client) {
            self.handle.remove(grace);
        }
        self.windows.retain(|window| window.surface.is_alive());
        if self.clients.is_empty() {
            self.signal.stop();
        }
    }
}

// Frames and the layout.

impl State {
    fn commit(&mut self, surface: &WlSurface) {
        let Some(state) = self.surfaces.get_mut(&surface.id()) else { return };
        state.waiting.append(&mut state.requested);
        if !state.waiting.is_empty() && self.refresh.is_none() {
            let refresh = Timer::from_duration(REFRESH);
            let refresh = self.handle.insert_source(refresh, |deadline, _, state| {
                if state.frame(deadline) {
                    TimeoutAction::ToInstant(deadline + REFRESH)
                } else {
                    state.refresh = None;
                    TimeoutAction::Drop
                }
            });
            self.refresh = refresh.ok();
        }
    }

    /// Tells the surfaces that wait for it of a frame; whether there are any.
    fn frame(&mut self, at: Instant) -> bool {
        let mut any = false;
        let time = at.duration_since(self.started).as_millis() as u32;
        for surface in self.surfaces.values_mut() {
            for callback in surface.waiting.drain(..) {
                callback.done(time);
                any = true;
            }
        }
        self.report.frames += usize::from(any);
        any
    }

    /// Has the windows laid out once everything that happens now has happened.
    fn lay_out_later(&mut self) {
        if self.layout.is_none() {
            let layout = self.handle.insert_idle(|state| {
                state.layout = None;
                state.lay_out();
            });
            self.layout = Some(layout);
        }
    }

    /// Side by side.
    fn lay_out(&mut self) {
        self.report.layouts += 1;
        let size = (OUTPUT.0 / self.windows.len().max(1) as i32, OUTPUT.1);
        for window in &mut self.windows {
            if window.size != size {
                window.size = size;
                window.toplevel.configure(size.0, size.1, Vec::new());
                window.xdg.configure(0);
            }
        }
    }
}

// The protocol.

impl GlobalDispatch<WlCompositor, ()> for State {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        compositor: New<WlCompositor>,
        _: &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(compositor, ());
    }
}

impl Dispatch<WlCompositor, ()> for State {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &WlCompositor,
        request: wl_compositor::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match request {
            wl_compositor::Request::CreateSurface { id } => {
                let surface = init.init(id, ());
                state.surfaces.insert(surface.id(), Surface::default());
            }
            wl_compositor::Request::CreateRegion { id } => drop(init.init(id, ())),
            _ => {}
        }
    }
}

impl Dispatch<WlSurface, ()> for State {
    fn request(
        state: &mut Self,
        _: &Client,
        surface: &WlSurface,
        request: wl_surface::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match request {
            wl_surface::Request::Frame { callback } => {
                let callback = init.init(callback, ());
                if let Some(surface) = state.surfaces.get_mut(&surface.id()) {
                    surface.requested.push(callback);
                }
            }
            wl_surface::Request::Commit => state.commit(surface),
            _ => {}
        }
    }

    fn destroyed(state: &mut Self, _: ClientId, surface: &WlSurface, _: &()) {
        state.surfaces.remove(&surface.id());
    }
}

impl Dispatch<WlCallback, ()> for State {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlCallback,
        _: wl_callback::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl Dispatch<WlRegion, ()> for State {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlRegion,
        _: wl_region::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl GlobalDispatch<XdgWmBase, ()> for State {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        wm_base: New<XdgWmBase>,
        _: &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(wm_base, ());
    }
}

impl Dispatch<XdgWmBase, ()> for State {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &XdgWmBase,
        request: xdg_wm_base::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match request {
            xdg_wm_base::Request::GetXdgSurface { id, surface } => drop(init.init(id, surface)),
            xdg_wm_base::Request::CreatePositioner { id } => drop(init.init(id, ())),
            _ => {}
        }
    }
}

impl Dispatch<XdgPositioner, ()> for State {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &XdgPositioner,
        _: xdg_positioner::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl Dispatch<XdgSurface, WlSurface> for State {
    fn request(
        state: &mut Self,
        client: &Client,
        xdg: &XdgSurface,
        request: xdg_surface::Request,
        surface: &WlSurface,
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let xdg_surface::Request::GetToplevel { id } = request {
            let (surface, xdg) = (surface.clone(), xdg.clone());
            let toplevel = init.init(id, ());
            state.windows.push(Window { surface, xdg, toplevel, size: (0, 0) });
            state.settled(client);
            state.lay_out_later();
        }
    }
}

impl Dispatch<XdgToplevel, ()> for State {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &XdgToplevel,
        _: xdg_toplevel::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }

    fn destroyed(state: &mut Self, _: ClientId, toplevel: &XdgToplevel, _: &()) {
        state.windows.retain(|window| window.toplevel != *toplevel);
        state.lay_out_later();
    }
}
