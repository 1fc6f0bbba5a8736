//! The connection to the compositor, and where its events go.

use std::env;
use std::ops::RangeInclusive;
use std::path::Path;

use wayland_client::globals::{GlobalList, GlobalListContents, registry_queue_init};
use wayland_client::protocol::{
    wl_buffer::{self, WlBuffer},
    wl_callback::WlCallback,
    wl_compositor::WlCompositor,
    wl_keyboard::{self, KeyState, WlKeyboard},
    wl_pointer::{self, Axis, ButtonState, WlPointer},
    wl_registry::WlRegistry,
    wl_seat::{self, Capability, WlSeat},
    wl_shm::WlShm,
    wl_shm_pool::WlShmPool,
    wl_surface::WlSurface,
};
use wayland_client::{
    ConnectError, Connection, Dispatch, EventQueue, Proxy, QueueHandle, WEnum, delegate_noop,
};
use wayland_protocols::xdg::shell::client::{
    xdg_surface::{self, XdgSurface},
    xdg_toplevel::{self, XdgToplevel},
    xdg_wm_base::{self, XdgWmBase},
};

use crate::buffers::Slot;
use crate::state::State;

/// Connects to the compositor that the environment names.
pub fn connect() -> Result<Connection, String> {
    Connection::connect_to_env().map_err(|error| match error {
        ConnectError::NoCompositor => format!("no compositor: {}", what_is_missing()),
        error => format!("no compositor: {error}"),
    })
}

/// Why the environment names no compositor.
fn what_is_missing() -> String {
    let Some(name) = env::var_os("WAYLAND_DISPLAY") else {
        return "WAYLAND_DISPLAY is not set".into();
    };
    let name = Path::new(&name);
    match env::var_os("XDG_RUNTIME_DIR") {
        None if name.is_relative() => {
            format!("XDG_RUNTIME_DIR is not set, where WAYLAND_DISPLAY={} would be", name.display())
        }
        directory => {
            let path = Path::new(&directory.unwrap_or_default()).join(name);
            format!("nobody listens at {}", path.display())
        }
    }
}

/// What the compositor offers, and the queue for its events.
pub fn globals(connection: &Connection) -> Result<(EventQueue<State>, GlobalList), String> {
    let (globals, queue) = registry_queue_init(connection)
        .map_err(|error| format!("the compositor does not answer: {error}"))?;
    Ok((queue, globals))
}

/// Binds what the client can't do without.
pub fn bind<I>(
    globals: &GlobalList,
    versions: RangeInclusive<u32>,
    queue: &QueueHandle<State>,
) -> Result<I, String>
where
    I: Proxy + 'static,
    State: Dispatch<I, ()>,
{
    globals.bind(queue, versions.clone(), ()).map_err(|error| {
        let (name, least) = (I::interface().name, versions.start());
        format!("the compositor offers no {name} of version {least} or later: {error}")
    })
}

impl Dispatch<XdgWmBase, ()> for State {
    fn event(
        _: &mut Self,
        wm_base: &XdgWmBase,
        event: xdg_wm_base::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_wm_base::Event::Ping { serial } = event {
            wm_base.pong(serial);
        }
    }
}

impl Dispatch<XdgToplevel, ()> for State {
    fn event(
        state: &mut Self,
        _: &XdgToplevel,
        event: xdg_toplevel::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            xdg_toplevel::Event::Configure { width, height, .. } => {
                state.window.suggest(width, height);
            }
            xdg_toplevel::Event::Close => state.handle.stop(),
            _ => {}
        }
    }
}

impl Dispatch<XdgSurface, ()> for State {
    fn event(
        state: &mut Self,
        surface: &XdgSurface,
        event: xdg_surface::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event {
            surface.ack_configure(serial);
            state.configured();
        }
    }
}

/// The compositor is ready for the next frame.
impl Dispatch<WlCallback, ()> for State {
    fn event(
        state: &mut Self,
        _: &WlCallback,
        _: <WlCallback as Proxy>::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        state.shown();
    }
}

impl Dispatch<WlBuffer, Slot> for State {
    fn event(
        state: &mut Self,
        _: &WlBuffer,
        event: wl_buffer::Event,
        slot: &Slot,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_buffer::Event::Release = event {
            state.released(*slot);
        }
    }
}

impl Dispatch<WlSeat, ()> for State {
    fn event(
        state: &mut Self,
        seat: &WlSeat,
        event: wl_seat::Event,
        (): &(),
        _: &Connection,
        queue: &QueueHandle<Self>,
    ) {
        let wl_seat::Event::Capabilities { capabilities: WEnum::Value(capabilities) } = event
        else {
            return;
        };
        let has_keyboard = capabilities.contains(Capability::Keyboard);
        if has_keyboard && state.keyboard.device.is_none() {
            state.keyboard.device = Some(seat.get_keyboard(queue, ()));
        } else if !has_keyboard && let Some(keyboard) = state.keyboard.device.take() {
            state.let_go();
            if keyboard.version() >= wl_keyboard::REQ_RELEASE_SINCE {
                keyboard.release();
            }
        }
        let has_pointer = capabilities.contains(Capability::Pointer);
        if has_pointer && state.pointer.is_none() {
            state.pointer = Some(seat.get_pointer(queue, ()));
        } else if !has_pointer && let Some(pointer) = state.pointer.take() {
            state.at = None;
            if pointer.version() >= wl_pointer::REQ_RELEASE_SINCE {
                pointer.release();
            }
        }
    }
}

impl Dispatch<WlKeyboard, ()> for State {
    fn event(
        state: &mut Self,
        _: &WlKeyboard,
        event: wl_keyboard::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_keyboard::Event;
        match event {
            Event::Key { key, state: WEnum::Value(KeyState::Pressed), .. } => state.press(key),
            Event::Key { key, state: WEnum::Value(KeyState::Released), .. } => state.release(key),
            Event::Leave { .. } => state.let_go(),
            Event::Modifiers { mods_depressed, mods_latched, mods_locked, .. } => {
                state.keyboard.modify(mods_depressed | mods_latched, mods_locked);
            }
            Event::RepeatInfo { rate, delay } => state.keyboard.set_repeat(rate, delay),
            _ => {}
        }
    }
}

impl Dispatch<WlPointer, ()> for State {
    fn event(
        state: &mut Self,
        _: &WlPointer,
        event: wl_pointer::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_pointer::Event;
        match event {
            Event::Enter { surface_x, surface_y, .. }
            | Event::Motion { surface_x, surface_y, .. } => {
                state.at = Some((surface_x as i32, surface_y as i32));
            }
            Event::Leave { .. } => state.at = None,
            Event::Button { button, state: WEnum::Value(ButtonState::Pressed), .. } => {
                state.click(button);
            }
            Event::Axis { axis: WEnum::Value(Axis::VerticalScroll), value, .. } => {
                state.zoom(if value < 0.0 { 1.25 } else { 0.8 });
            }
            _ => {}
        }
    }
}

/// Globals that come and go later are none of this client's business.
impl Dispatch<WlRegistry, GlobalListContents> for State {
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

delegate_noop!(State: WlCompositor);
delegate_noop!(State: WlShmPool);
delegate_noop!(State: ignore WlShm);
delegate_noop!(State: ignore WlSurface);
