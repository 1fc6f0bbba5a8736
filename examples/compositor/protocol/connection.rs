//! The connections of clients: how they come, how they are written to, and why they end.
//!
//! The backend buffers a few KiB of events for a client and flushes them on demand. A client that does not
//! read has its buffer overflow (the backend gives it up then) or, if little is sent to it, stays behind: it
//! is given up after [`PATIENCE`]. While some client is behind, a timer tries again to send to it.

use std::fmt;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use soloop::{
    ErrorAction, Generic, InsertError, Interest, LoopHandle, Mode, PostAction, Scope, Sender,
    SourceOptions, TimeoutAction, Timer,
};
use wayland_server::backend::protocol::ProtocolError;
use wayland_server::backend::{ClientData, ClientId, DisconnectReason};
use wayland_server::{Client, ListeningSocket, Resource};

use super::{Protocol, ProtocolHost};

/// For how long a client may leave its events unread.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a client that is behind is written to.
const RETRY: Duration = Duration::from_millis(100);
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
    /// Since when it has left events unread.
    behind_since: Option<Instant>,
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
    /// A duplicate of the client's socket, to ask it what is wrong. It goes with the client: as long as
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
        match ready.io.accept() {
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
    let peer = Peer { stream: stream.try_clone()?, gone };
    let protocol = data.as_mut();
    let client = protocol.display.insert_client(stream, Arc::new(peer))?;
    protocol.connections.insert(client.id(), Connection { name, behind_since: None, ping: None });
    protocol.stats.clients += 1;
    Ok(())
}

/// Sends each client what is buffered for it.
pub fn flush<D: ProtocolHost>(data: &mut D) {
    let now = data.loop_handle().now();
    let protocol = data.as_mut();
    let mut display = protocol.display.backend_handle();
    let mut behind = false;
    for (client, connection) in &mut protocol.connections {
        match display.flush(Some(client.clone())) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                behind = true;
                connection.behind_since.get_or_insert(now);
            }
            // What else is wrong with it, the next attempt to read from it will say.
            Ok(()) | Err(_) => connection.behind_since = None,
        }
    }
    if behind && protocol.retry.is_none() {
        let timer = Timer::from_duration(RETRY);
        let options = SourceOptions::new().name("clients behind");
        let handle = data.loop_handle();
        match handle.insert_source_with(options, timer, |_, data: &mut D| retry(data)) {
            Ok(token) => data.as_mut().retry = Some(token),
            Err(error) => eprintln!("compositor: {error}"),
        }
    }
}

/// Gives up clients that are behind for too long. The loop flushes after this, as after everything.
fn retry<D: ProtocolHost>(data: &mut D) -> TimeoutAction {
    let now = data.loop_handle().now();
    let protocol = data.as_mut();
    let display = protocol.display.backend_handle();
    let mut behind = false;
    for (client, connection) in &protocol.connections {
        let Some(since) = connection.behind_since else { continue };
        behind = true;
        if now.duration_since(since) >= PATIENCE {
            let error = ProtocolError {
                code: 0,
                object_id: 0,
                object_interface: String::new(),
                message: format!("it has not read its events for {PATIENCE:?}"),
            };
            display.kill_client(client.clone(), DisconnectReason::ProtocolError(error));
        }
    }
    if behind {
        return TimeoutAction::ToDuration(RETRY);
    }
    protocol.retry = None;
    TimeoutAction::Drop
}

impl Protocol {
    /// Says why a client is gone.
    pub fn forget(&mut self, gone: Gone) {
        if let Some(connection) = self.connections.remove(&gone.client) {
            eprintln!("compositor: {} is disconnected: {}", connection.name, gone.cause);
            self.stats.disconnected += 1;
        }
    }

    /// The process behind a resource; 0 if it is gone.
    pub fn pid(&self, resource: &impl Resource) -> i32 {
        let client = resource.client().as_ref().map(Client::id);
        let connection = client.and_then(|client| self.connections.get(&client));
        connection.map_or(0, |connection| connection.name.pid)
    }
}
