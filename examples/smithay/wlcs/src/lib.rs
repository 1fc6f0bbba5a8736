//! What the conformance suite wlcs loads: it starts the compositor in a thread, connects clients to it, and
//! moves windows, the pointer and a finger.
//!
//! Everything goes to the compositor's thread as a closure, with the remote of its loop. The suite is written
//! in C, so there is some `unsafe` here; there is none in the compositor.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use smithay::backend::input::{ButtonState, TouchSlot};
use smithay::reexports::wayland_server::Client;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Logical, Point};
use soloop_smithay::backend::Backend;
use soloop_smithay::backend::headless::Headless;
use soloop_smithay::event_loop::{self, Remote};
use soloop_smithay::state::State;
use soloop_smithay::{connection, frames, input, session, windows};
use wayland_sys::client::{wayland_client_handle, wl_display, wl_proxy};
use wayland_sys::common::{wl_fixed_t, wl_fixed_to_double};
use wayland_sys::ffi_dispatch;
use wlcs::ffi_display_server_api::{
    WlcsExtensionDescriptor, WlcsIntegrationDescriptor, WlcsServerIntegration,
};
use wlcs::ffi_wrappers::wlcs_server;
use wlcs::{Pointer, Touch, Wlcs, extension_list};

/// What the suite looks for.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "the name is wlcs's")]
pub static wlcs_server_integration: WlcsServerIntegration = wlcs_server::<Server>();

static EXTENSIONS: &[WlcsExtensionDescriptor] = extension_list!(
    ("wl_compositor", 6),
    ("wl_subcompositor", 1),
    ("wl_shm", 1),
    ("wl_data_device_manager", 3),
    ("wl_seat", 9),
    ("wl_output", 4),
    ("xdg_wm_base", 6),
    ("zwlr_layer_shell_v1", 4),
    ("zwp_primary_selection_device_manager_v1", 1),
    ("zwp_relative_pointer_manager_v1", 1),
    ("zxdg_output_manager_v1", 3),
    ("wp_viewporter", 1),
);

/// A descriptor that is the same for all threads.
struct Descriptor(WlcsIntegrationDescriptor);

// SAFETY: it points to static data, which nobody changes.
unsafe impl Sync for Descriptor {}

static DESCRIPTOR: Descriptor = Descriptor(WlcsIntegrationDescriptor {
    version: 1,
    num_extensions: EXTENSIONS.len(),
    supported_extensions: EXTENSIONS.as_ptr(),
});

const OUTPUT: (i32, i32) = (1280, 1024);

/// Which of the suite's sockets belongs to which client.
type Clients = Arc<Mutex<HashMap<RawFd, Client>>>;

/// A compositor in a thread of its own.
struct Server {
    running: Option<Running>,
    clients: Clients,
}

struct Running {
    remote: Remote,
    thread: JoinHandle<()>,
}

impl Server {
    fn tell(&self, closure: impl FnOnce(&mut State) + Send + 'static) {
        if let Some(running) = &self.running {
            tell(&running.remote, closure);
        }
    }
}

/// Has the compositor do something, and waits for it: what clients of the suite ask for next is to come after it.
fn tell(remote: &Remote, closure: impl FnOnce(&mut State) + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    remote.post(move |state| {
        closure(state);
        let _ = done.send(());
    });
    // If the compositor has ended, it is dropped.
    let _ = is_done.recv();
}

/// Runs a compositor, and sends what reaches it.
fn run(sender: &mpsc::Sender<Remote>) -> soloop_smithay::Result<()> {
    let (mut event_loop, mut state) =
        session::compositor(Backend::Headless(Headless::new(OUTPUT)?))?;
    sender.send(state.remote.clone())?;
    event_loop.run(&mut state)
}

impl Wlcs for Server {
    type Pointer = Mouse;
    type Touch = Finger;

    fn new() -> Self {
        Self { running: None, clients: Clients::default() }
    }

    fn start(&mut self) {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            if let Err(error) = run(&sender) {
                eprintln!("the compositor has ended: {error}");
            }
        });
        // Without one, every test fails for want of a compositor.
        self.running = receiver.recv().ok().map(|remote| Running { remote, thread });
    }

    fn stop(&mut self) {
        self.tell(|state| event_loop::stop(&mut state.handle));
        if let Some(running) = self.running.take() {
            // A panic has been reported by the thread itself.
            let _ = running.thread.join();
        }
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn create_client_socket(&self) -> io::Result<OwnedFd> {
        let (ours, theirs) = UnixStream::pair()?;
        let (clients, fd) = (Arc::clone(&self.clients), theirs.as_raw_fd());
        self.tell(move |state| {
            if let Ok(client) = connection::welcome(state, ours) {
                clients.lock().unwrap_or_else(PoisonError::into_inner).insert(fd, client);
            }
        });
        Ok(theirs.into())
    }

    fn position_window_absolute(
        &self,
        display: *mut wl_display,
        surface: *mut wl_proxy,
        x: i32,
        y: i32,
    ) {
        // SAFETY: both are the suite's, and alive during this call.
        let (fd, surface) = unsafe {
            (
                ffi_dispatch!(wayland_client_handle(), wl_display_get_fd, display),
                ffi_dispatch!(wayland_client_handle(), wl_proxy_get_id, surface),
            )
        };
        let clients = Arc::clone(&self.clients);
        self.tell(move |state| {
            let client = clients.lock().unwrap_or_else(PoisonError::into_inner).get(&fd).cloned();
            let surface = client.and_then(|client| {
                client.object_from_protocol_id::<WlSurface>(&state.display, surface).ok()
            });
            if let Some(window) = surface.and_then(|surface| state.window_of(&surface)) {
                windows::relocate(state, &window, (x, y).into());
                input::refocus_pointer(state);
                frames::schedule(state);
            }
        });
    }

    fn create_pointer(&mut self) -> Option<Mouse> {
        self.running.as_ref().map(|running| Mouse(running.remote.clone()))
    }

    fn create_touch(&mut self) -> Option<Finger> {
        self.running.as_ref().map(|running| Finger(running.remote.clone()))
    }

    fn get_descriptor(&self) -> &WlcsIntegrationDescriptor {
        &DESCRIPTOR.0
    }
}

fn point(x: wl_fixed_t, y: wl_fixed_t) -> Point<f64, Logical> {
    (wl_fixed_to_double(x), wl_fixed_to_double(y)).into()
}

struct Mouse(Remote);

impl Mouse {
    fn button(&self, button: i32, button_state: ButtonState) {
        tell(&self.0, move |state| input::button(state, button as u32, button_state));
    }
}

impl Pointer for Mouse {
    fn move_absolute(&mut self, x: wl_fixed_t, y: wl_fixed_t) {
        let to = point(x, y);
        tell(&self.0, move |state| input::move_pointer_to(state, to));
    }

    fn move_relative(&mut self, x: wl_fixed_t, y: wl_fixed_t) {
        let by = point(x, y);
        tell(&self.0, move |state| input::move_pointer_by(state, by));
    }

    fn button_up(&mut self, button: i32) {
        self.button(button, ButtonState::Released);
    }

    fn button_down(&mut self, button: i32) {
        self.button(button, ButtonState::Pressed);
    }
}

struct Finger(Remote);

/// The suite has one finger.
fn slot() -> TouchSlot {
    Some(0).into()
}

/// Version 1.5.0 of the suite says whole pixels here, though its `touch.h` says `wl_fixed_t`.
impl Touch for Finger {
    fn touch_down(&mut self, x: wl_fixed_t, y: wl_fixed_t) {
        let at = (f64::from(x), f64::from(y)).into();
        tell(&self.0, move |state| input::touch_down(state, slot(), at));
    }

    fn touch_move(&mut self, x: wl_fixed_t, y: wl_fixed_t) {
        let at = (f64::from(x), f64::from(y)).into();
        tell(&self.0, move |state| input::touch_motion(state, slot(), at));
    }

    fn touch_up(&mut self) {
        tell(&self.0, |state| input::touch_up(state, slot()));
    }
}
