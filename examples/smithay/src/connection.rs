//! The connections of clients: how they come, how they are written to, and why they end.
//!
//! The display is libwayland's, not the one in Rust, for the sake of fairness: in one round it reads from each
//! client once, a few KiB, where the other reads until there is nothing more, which a client that floods
//! it never lets come true. It buffers a few KiB of events for each client, and gives up one that does not
//! read them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use smithay::reexports::wayland_server::backend::{ClientData, ClientId, DisconnectReason};
use smithay::reexports::wayland_server::{Client, Resource};
use smithay::wayland::compositor::CompositorClientState;

use crate::event_loop::{self, Listener, Remote};
use crate::state::State;

/// How long no client is accepted when that failed, for want of fds usually.
const RESPITE: Duration = Duration::from_secs(1);

/// The clients there are.
#[derive(Default)]
pub struct Connections {
    listener: Option<Listener>,
    clients: HashMap<ClientId, Name>,
    came: u64,
    went: u64,
}

impl Connections {
    pub fn set_listener(&mut self, listener: Listener) {
        self.listener = Some(listener);
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
        // A client that died of something sent to it is buried when its socket is next served: at once, as
        // this makes it ready.
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
pub fn welcome(state: &mut State, stream: UnixStream) -> Option<Client> {
    let name = Name::of(&stream);
    let served = insert(state, name.clone(), stream);
    served.inspect_err(|error| eprintln!("compositor: {name} could not be served: {error}")).ok()
}

fn insert(state: &mut State, name: Name, stream: UnixStream) -> io::Result<Client> {
    let peer = Peer {
        compositor: CompositorClientState::default(),
        stream: stream.try_clone()?,
        remote: state.remote.clone(),
    };
    let client = state.display.insert_client(stream, Arc::new(peer))?;
    let connections = &mut state.connections;
    connections.clients.insert(client.id(), name);
    connections.came += 1;
    Ok(client)
}

/// No client can be accepted: tries again in a while.
pub fn take_a_break(state: &mut State, error: &io::Error) {
    eprintln!("compositor: no client can be accepted for now: {error}");
    let in_a_while = Instant::now() + RESPITE;
    let armed = event_loop::at(&mut state.handle, "accept again", in_a_while, |state, _| {
        if let Some(listener) = &state.connections.listener {
            event_loop::enable(&mut state.handle, listener);
        }
        None
    });
    if let Err(error) = armed {
        eprintln!("compositor: {error}");
    }
}

fn forget(state: &mut State, client: &ClientId, cause: &str) {
    if let Some(name) = state.connections.clients.remove(client) {
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
        forget(state, &client, "a protocol error");
    }
}

/// Writes to each client what is buffered for it; what does not go is tried again by libwayland when it can.
pub fn flush(state: &mut State) {
    if let Err(error) = state.display.flush_clients() {
        eprintln!("compositor: clients are not written to: {error}");
    }
}

/// The process behind a resource; 0 if it is gone.
pub fn pid(state: &State, resource: &impl Resource) -> i32 {
    let client = resource.client().as_ref().map(Client::id);
    let name = client.and_then(|client| state.connections.clients.get(&client));
    name.map_or(0, |name| name.pid)
}
