//! The connections of clients: how they come, how they are written to, and why they end.
//!
//! The display is libwayland's, not the one in Rust, for the sake of fairness: in one round it reads from each
//! client once, a few KiB, where the other reads until there is nothing more, which a client that floods
//! it never lets come true. It buffers a few KiB of events for each client, and gives up one that does not
//! read them.

use std::collections::HashMap;
use std::ffi::CString;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use rustix::process::{Resource, getrlimit};
use smithay::reexports::wayland_server::backend::{ClientData, ClientId, DisconnectReason};
use smithay::reexports::wayland_server::protocol::__interfaces::WL_DISPLAY_INTERFACE;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::{Client, ListeningSocket, Resource as _};
use smithay::wayland::compositor::{CompositorClientState, with_states};

use crate::event_loop::{self, Listener, Remote};
use crate::state::State;
use crate::windows;

/// How long no client is accepted when that failed, for want of fds usually.
const RESPITE: Duration = Duration::from_secs(1);

/// `wl_display.error.implementation`: there is none for a limit, and with `no_memory` libwayland does not give the message.
const IMPLEMENTATION: u32 = 3;

/// How many surfaces a client may have at a time. All of them go with it in one go, for which Smithay 0.7 searches
/// its list of all surfaces once for each: with more, the others would wait for longer than a frame.
pub const MOST_SURFACES: usize = 500;

/// The sockets that the compositor listens on.
#[derive(Clone, Copy, Debug)]
pub enum Door {
    Wayland,
    Control,
}

impl Door {
    fn name(self) -> &'static str {
        match self {
            Self::Wayland => "Wayland client",
            Self::Control => "client of the control socket",
        }
    }
}

/// How many fds are kept for those who are there: they have buffers and copies sent to the compositor as fds, and one
/// that does not arrive is the end of its client. A limit that is low is not used up by it.
const RESERVE: u64 = 32;

/// The clients there are.
#[derive(Default)]
pub struct Connections {
    /// Given up when nobody can be accepted any more.
    reserve: Vec<OwnedFd>,
    wayland: Option<Listener<ListeningSocket>>,
    control: Option<Listener<UnixListener>>,
    clients: HashMap<ClientId, Name>,
    came: u64,
    went: u64,
}

impl Connections {
    pub fn set_listeners(
        &mut self,
        wayland: Listener<ListeningSocket>,
        control: Listener<UnixListener>,
    ) {
        self.wayland = Some(wayland);
        self.control = Some(control);
        self.fill_reserve();
    }

    /// Whether there are enough fds for all that it is to hold.
    fn fill_reserve(&mut self) -> bool {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        while (self.reserve.len() as u64) < RESERVE.min(limit / 8) {
            let Ok(fd) = eventfd(0, EventfdFlags::CLOEXEC) else {
                self.reserve.clear();
                return false;
            };
            self.reserve.push(fd);
        }
        true
    }

    pub fn statistics(&self) -> String {
        let Self { clients, came, went, .. } = self;
        format!("clients: {came} came, {went} went, {} are there", clients.len())
    }
}

/// A client, as it is named to people.
#[derive(Clone, Debug)]
struct Name {
    pid: i32,
    command: String,
}

impl Name {
    fn of(stream: &UnixStream) -> Self {
        let pid = rustix::net::sockopt::socket_peercred(stream)
            .map_or(0, |credentials| credentials.pid.as_raw_nonzero().get());
        let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Self { pid, command: command.trim().to_owned() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} ({})", self.pid, self.command)
    }
}

/// What the backend keeps with a client, and tells of its end.
pub struct Peer {
    pub compositor: CompositorClientState,
    /// How many surfaces it has.
    surfaces: Arc<AtomicUsize>,
    /// A duplicate of the client's socket, to ask it what is wrong.
    stream: UnixStream,
    remote: Remote,
}

impl ClientData for Peer {
    fn disconnected(&self, client: ClientId, reason: DisconnectReason) {
        let cause = match reason {
            DisconnectReason::ProtocolError(error) => match error.object_id {
                0 => error.message,
                id => format!(
                    "protocol error {} on {}@{id}: {}",
                    error.code, error.object_interface, error.message
                ),
            },
            DisconnectReason::ConnectionClosed => cause_of_close(&self.stream).to_owned(),
        };
        // Its end of the connection is closed at once: this duplicate lives as long as one of its objects.
        let _ = self.stream.shutdown(Shutdown::Both);
        // The loop may be gone already, with everybody who could want to know.
        self.remote.post(move |state| forget(state, &client, &cause));
    }
}

/// Why the backend closed a connection: it does not say.
fn cause_of_close(stream: &UnixStream) -> &'static str {
    let mut fds = [PollFd::new(stream, PollFlags::OUT)];
    let found = rustix::event::poll(&mut fds, Some(&Timespec::default()));
    let flags = fds[0].revents();
    if found.is_err() || flags.intersects(PollFlags::HUP | PollFlags::ERR) {
        "it hung up"
    } else if !flags.contains(PollFlags::OUT) {
        "it does not read its events"
    } else {
        "it sent a malformed message"
    }
}

/// A client is there.
///
/// # Errors
///
/// It can't be served, for want of fds usually, and is disconnected.
pub fn welcome(state: &mut State, stream: UnixStream) -> io::Result<Client> {
    let name = Name::of(&stream);
    let served = insert(state, name.clone(), stream);
    served.inspect_err(|error| eprintln!("compositor: {name} could not be served: {error}"))
}

fn insert(state: &mut State, name: Name, stream: UnixStream) -> io::Result<Client> {
    let peer = Peer {
        compositor: CompositorClientState::default(),
        surfaces: Arc::default(),
        stream: stream.try_clone()?,
        remote: state.remote.clone(),
    };
    let client = state.display.insert_client(stream, Arc::new(peer))?;
    let connections = &mut state.connections;
    connections.clients.insert(client.id(), name);
    connections.came += 1;
    Ok(client)
}

/// A client can't be accepted on a socket, which is disabled now: it is enabled in a while, if there are enough fds
/// then. Meanwhile clients wait in the queue of the socket, and those who are there have the reserve.
pub fn take_a_break(state: &mut State, door: Door, error: &io::Error) {
    eprintln!("compositor: no {} can be accepted for now: {error}", door.name());
    state.connections.reserve.clear();
    let in_a_while = Instant::now() + RESPITE;
    let armed = event_loop::at(&mut state.handle, "accept again", in_a_while, move |state, _| {
        let State { connections, handle, .. } = state;
        if !connections.fill_reserve() {
            return Some(Instant::now() + RESPITE);
        }
        match door {
            Door::Wayland => {
                connections.wayland.iter().for_each(|it| event_loop::enable(handle, it))
            }
            Door::Control => {
                connections.control.iter().for_each(|it| event_loop::enable(handle, it))
            }
        }
        None
    });
    if let Err(error) = armed {
        eprintln!("compositor: {error}");
    }
}

/// The surfaces of a client, as each of them knows it.
struct Counted(Arc<AtomicUsize>);

/// A client makes a surface. One that has too many of them is told so, and is no more.
pub fn surface_made(state: &State, surface: &WlSurface) {
    let Some(client) = surface.client() else { return };
    let Some(peer) = client.get_data::<Peer>() else { return };
    let before = peer.surfaces.fetch_add(1, Ordering::Relaxed);
    with_states(surface, |states| {
        states.data_map.insert_if_missing_threadsafe(|| Counted(Arc::clone(&peer.surfaces)));
    });
    if before < MOST_SURFACES {
        return;
    }
    // On the display, as libwayland itself does it: what it then does with the client is to disconnect it.
    let message = format!("a client may have {MOST_SURFACES} surfaces");
    let display = state.display.backend_handle();
    if let Ok(object) = display.object_for_protocol_id(client.id(), &WL_DISPLAY_INTERFACE, 1) {
        display.post_error(object, IMPLEMENTATION, CString::new(message).unwrap_or_default());
    }
}

/// A surface is no more.
pub fn surface_gone(surface: &WlSurface) {
    with_states(surface, |states| {
        if let Some(Counted(surfaces)) = states.data_map.get::<Counted>() {
            surfaces.fetch_sub(1, Ordering::Relaxed);
        }
    });
}

fn forget(state: &mut State, client: &ClientId, cause: &str) {
    if let Some(name) = state.connections.clients.remove(client) {
        windows::remove_orphans(state);
        eprintln!("compositor: {name} is disconnected: {cause}");
        state.connections.went += 1;
    }
}

/// With each frame: buries those of whose end libwayland's backend does not tell, which are those that broke the
/// protocol.
pub fn bury(state: &mut State) {
    let display = state.display.backend_handle();
    let clients = state.connections.clients.keys();
    let dead: Vec<ClientId> = clients
        .filter(|client| display.get_client_data((*client).clone()).is_err())
        .cloned()
        .collect();
    for client in dead {
        // Behind what the backend has told in this round, and with a cause.
        state.remote.post(move |state| forget(state, &client, "a protocol error"));
    }
}

/// Writes to each client what is buffered for it; what does not go is tried again by libwayland when it can.
pub fn flush(state: &mut State) {
    if let Err(error) = state.display.flush_clients() {
        eprintln!("compositor: clients are not written to: {error}");
    }
}

/// The process behind a resource; 0 if it is gone.
pub fn pid(state: &State, resource: &impl wayland_server::Resource) -> i32 {
    let client = resource.client().as_ref().map(Client::id);
    let name = client.and_then(|client| state.connections.clients.get(&client));
    name.map_or(0, |name| name.pid)
}
