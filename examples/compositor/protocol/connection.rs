//! The connections of clients: how they come, how they are written to, and why they end.
//!
//! Between a client and the display is a [`Relay`]. A client that does not read has the buffers on the way to it
//! overflow (the backend gives it up then) or, if little is sent to it, stays behind: it is given up after
//! [`PATIENCE`].

use std::ffi::CString;
use std::fmt;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use soloop::{
    ErrorAction, Generic, InsertError, Interest, LoopHandle, Mode, PostAction, Scope, Sender,
    SourceOptions, TimeoutAction, Timer, Token,
};
use wayland_server::backend::protocol::ProtocolError;
use wayland_server::backend::{ClientData, ClientId, DisconnectReason, ObjectId};
use wayland_server::{Client, ListeningSocket, Resource};

use super::relay::{Relay, Relayed};
use super::{Protocol, ProtocolHost, SurfaceKey};
use crate::fds;

/// For how long a client may leave its events unread.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many surfaces, and how many pools, a client may have. Those that show a thousand things at once have a hundred;
/// a pool takes a file descriptor, and the end of a client takes as long as it has surfaces.
const MOST: usize = 1024;
/// `wl_display.error.no_memory`
const NO_MEMORY: u32 = 2;
/// How long to wait before the next client is accepted when that failed, for want of fds usually.
const RESPITE: Duration = Duration::from_secs(1);

/// A client, as it is named to people.
#[derive(Clone, Debug)]
pub struct Name {
    pub pid: i32,
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

/// A live client.
pub struct Connection {
    pub name: Name,
    relay: Token<Relay>,
    /// What it has of that which is limited.
    pub surfaces: usize,
    pub pools: usize,
    /// It leaves events unread; what happens if it goes on so.
    behind: Option<Scope>,
    /// What it was asked to show that it lives, and what happens if it does not.
    pub ping: Option<(u32, Scope)>,
}

/// A client that was declared dead.
pub struct Gone {
    client: ClientId,
    cause: String,
}

/// What the backend keeps with a client, and tells of its end.
struct Peer {
    /// A duplicate of the display's socket, to ask it what is wrong. It goes with the client: as long as
    /// it lives, so does the registration of the socket in the display's epoll instance.
    stream: UnixStream,
    gone: Sender<Gone>,
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
        // A client that died of something sent to it from elsewhere is buried, with all its objects, when
        // its socket is next served: which is at once, as this makes it ready.
        let _ = self.stream.shutdown(Shutdown::Both);
        // The loop may be gone already, with everybody who could want to know.
        let _ = self.gone.send(Gone { client, cause });
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

/// Accepts clients.
pub fn listen<D: ProtocolHost>(
    handle: &mut LoopHandle<D>,
    socket: ListeningSocket,
    gone: Sender<Gone>,
) -> Result<(), InsertError<Generic<ListeningSocket>>> {
    let source = Generic::new(socket, Interest::READ, Mode::Level);
    let options = SourceOptions::new().name("wayland socket").on_error(ErrorAction::Retry(RESPITE));
    handle.insert_source_with(options, source, move |ready, data: &mut D| {
        match fds::room_at(ready.io).and_then(|()| ready.io.accept()) {
            Ok(Some(stream)) => {
                if let Err(error) = welcome(data, stream, gone.clone()) {
                    eprintln!("compositor: a client could not be served: {error}");
                }
                Ok(PostAction::Continue)
            }
            Ok(None) => Ok(PostAction::Continue),
            Err(error) => {
                eprintln!("compositor: no client can be accepted for now: {error}");
                Err(error)
            }
        }
    })?;
    Ok(())
}

fn welcome<D: ProtocolHost>(
    data: &mut D,
    stream: UnixStream,
    gone: Sender<Gone>,
) -> std::io::Result<()> {
    let name = Name::of(&stream);
    let (relay, stream) = Relay::new(stream)?;
    let peer = Peer { stream: stream.try_clone()?, gone };
    let client = data.as_mut().display.insert_client(stream, Arc::new(peer))?.id();
    let options = SourceOptions::new().name("wayland client");
    let whose = client.clone();
    let inserted =
        data.loop_handle().insert_source_with(options, relay, move |relayed, data: &mut D| {
            match relayed {
                Relayed::Behind => wait_for(data, whose.clone()),
                Relayed::CaughtUp => {
                    if let Some(connection) = data.as_mut().connections.get_mut(&whose) {
                        connection.behind = None;
                    }
                }
                Relayed::LostFds => {
                    give_up(data, &whose, "there is no file descriptor left for one that it sent");
                }
            }
        });
    let protocol = data.as_mut();
    match inserted {
        Ok(relay) => {
            let connection =
                Connection { name, relay, surfaces: 0, pools: 0, behind: None, ping: None };
            protocol.connections.insert(client, connection);
            protocol.stats.clients += 1;
            Ok(())
        }
        Err(error) => {
            // The relay is dropped with this, and the display sees the end of it.
            Err(error.error)
        }
    }
}

/// Copies what clients have committed, and sends each what is buffered for it: to its relay, which the loop has
/// pass it on.
pub fn flush<D: ProtocolHost>(data: &mut D) {
    if data.as_mut().copy_pixels() {
        data.frame_wanted();
    }
    // What is wrong with a client, the next attempt to read from it will say.
    let _ = data.as_mut().display.flush_clients();
}

/// Gives up a client that is behind, unless it catches up in time.
fn wait_for<D: ProtocolHost>(data: &mut D, client: ClientId) {
    let Some(connection) = data.as_mut().connections.get_mut(&client) else { return };
    let scope = Scope::new();
    let options = SourceOptions::new().name("client behind").scope(&scope);
    connection.behind = Some(scope);
    let timer = Timer::from_duration(PATIENCE);
    let inserted = data.loop_handle().insert_once_with(options, timer, move |_, data: &mut D| {
        give_up(data, &client, &format!("it has not read its events for {PATIENCE:?}"));
        TimeoutAction::Drop
    });
    if let Err(error) = inserted {
        eprintln!("compositor: nobody watches a client that is behind: {error}");
    }
}

fn give_up<D: ProtocolHost>(data: &mut D, client: &ClientId, cause: &str) {
    let error = ProtocolError {
        code: 0,
        object_id: 0,
        object_interface: String::new(),
        message: cause.to_owned(),
    };
    let display = data.as_mut().display.backend_handle();
    display.kill_client(client.clone(), DisconnectReason::ProtocolError(error));
}

/// Says why a client is gone.
pub fn forget<D: ProtocolHost>(data: &mut D, gone: Gone) {
    let protocol = data.as_mut();
    let Some(connection) = protocol.connections.remove(&gone.client) else { return };
    eprintln!("compositor: {} is disconnected: {}", connection.name, gone.cause);
    protocol.stats.disconnected += 1;
    // It is gone already if its client was the first to go.
    data.loop_handle().take(connection.relay, |mut relay, _| relay.say_farewell());
}

impl Protocol {
    /// Counts one more of what a client may have a limited number of. Beyond that it is disconnected.
    pub(super) fn count(
        &mut self,
        client: &Client,
        what: &str,
        counter: impl FnOnce(&mut Connection) -> &mut usize,
    ) {
        let Some(connection) = self.connections.get_mut(&client.id()) else { return };
        let count = counter(connection);
        *count += 1;
        if *count <= MOST {
            return;
        }
        let display = self.display.backend_handle();
        let mut object = None;
        let find = |id: ObjectId| object = object.take().or((id.protocol_id() == 1).then_some(id));
        // The client may be dead by now.
        if display.with_all_objects_for(client.id(), find).is_ok()
            && let Some(wl_display) = object
        {
            let message = format!("a client may have {MOST} {what}");
            display.post_error(wl_display, NO_MEMORY, CString::new(message).unwrap_or_default());
        }
    }

    /// The process behind a surface; 0 if it is gone.
    pub fn pid(&self, key: SurfaceKey) -> i32 {
        let surface = self.surfaces.get(key);
        let client = surface.and_then(|surface| surface.resource.client()).as_ref().map(Client::id);
        let connection = client.and_then(|client| self.connections.get(&client));
        connection.map_or(0, |connection| connection.name.pid)
    }
}
