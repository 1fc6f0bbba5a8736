//! A line server on a Unix socket: what one client says, all others hear. Nobody who reads slowly holds up the loop, and
//! nobody who does not read at all holds up the others for long.
//!
//! ```text
//! cargo run --example line_server                    serves four clients of its own, and ends
//! cargo run --example line_server -- /tmp/socket     serves until it is interrupted; `nc -U /tmp/socket` is a client
//! ```
//!
//! To write to a client that is not the one calling back, three things come together: the socket is in its source, in the
//! loop; what is not sent yet is in the state; and a visit brings the two together, as soon as the callback returns. What a
//! visit can't send either goes when the socket is writable, which is asked for just then.
//!
//! Back-pressure: while a client has too much to read, nothing is read from anyone, so that memory has a bound and senders
//! block in their own `write`. One that is behind for longer than the grace period is dropped.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use soloop::{
    AnyToken, ErrorAction, EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction,
    Ready, Scope, SourceOptions, TimeoutAction, Timer, Token,
};

/// More than this is too much for a client to have unread, in bytes.
const FULL: usize = 64 * 1024;
/// The longest line.
const LONGEST: usize = 16 * 1024;
/// For how long a client may have too much.
const GRACE: Duration = Duration::from_millis(100);

struct Client {
    socket: Token<Generic<UnixStream>>,
    /// Drops the client, if it is behind by then.
    grace: Token<Timer>,
    is_behind: bool,
    interest: Interest,
    /// What it said of a line that is not complete.
    line: Vec<u8>,
    unsent: Vec<u8>,
    /// Both sources go with the client.
    _scope: Scope,
}

struct State {
    handle: LoopHandle<Self>,
    clients: BTreeMap<AnyToken, Client>,
    /// For the figures at the end.
    served: usize,
    dropped: usize,
    most_unsent: usize,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn accept(ready: Ready<'_, UnixListener>, state: &mut State) -> io::Result<PostAction> {
    loop {
        match ready.io.accept() {
            Ok((socket, _)) => state.welcome(socket)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(PostAction::Continue),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            // Out of fds, say: the options of the listener have it tried again later.
            Err(error) => return Err(error),
        }
    }
}

/// The callback of every client, which finds out whose it is.
fn serve(ready: Ready<'_, UnixStream>, state: &mut State) -> io::Result<PostAction> {
    let Some(id) = state.handle.current() else { return Ok(PostAction::Remove) };
    let (reads, writes) = (ready.readiness.readable, ready.readiness.writable);
    let written = if writes { state.send(id, ready.io) } else { Ok(()) };
    let read = if reads { state.receive(id, ready.io) } else { Ok(()) };
    if written.and(read).is_err() {
        state.clients.remove(&id);
    }
    state.update_interests();
    Ok(PostAction::Continue)
}

impl State {
    fn welcome(&mut self, socket: UnixStream) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let (scope, interest) = (Scope::new(), Interest::READ);
        let options = || SourceOptions::new().name("client").scope(&scope);
        let source = Generic::new(socket, interest, Mode::Level);
        let socket = self.handle.insert_source_with(options(), source, serve)?;
        let id = AnyToken::from(socket);
        let grace =
            self.handle.insert_source_with(options(), Timer::never(), move |_, state| {
                state.drop_if_behind(id);
                TimeoutAction::Keep
            })?;
        let (line, unsent) = (Vec::new(), Vec::new());
        let client =
            Client { socket, grace, is_behind: false, interest, line, unsent, _scope: scope };
        self.clients.insert(id, client);
        self.served += 1;
        Ok(())
    }

    /// Reads what is there, and hands on the lines.
    fn receive(&mut self, id: AnyToken, socket: &mut UnixStream) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let read = match socket.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => &buffer[..read],
            Err(error) if is_temporary(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        client.line.extend_from_slice(read);
        let lines = client.line.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = client.line.drain(..lines).collect();
        if client.line.len() > LONGEST {
            return Err(ErrorKind::InvalidData.into());
        }
        self.broadcast(id, &lines);
        Ok(())
    }

    fn broadcast(&mut self, from: AnyToken, lines: &[u8]) {
        let Self { handle, clients, most_unsent, .. } = self;
        for (&to, client) in clients.iter_mut().filter(|(to, _)| **to != from) {
            let waits = !client.unsent.is_empty();
            client.unsent.extend_from_slice(lines);
            *most_unsent = client.unsent.len().max(*most_unsent);
            // One that waits is sent the rest when it is writable.
            if !waits && !lines.is_empty() {
                handle.visit(client.socket, move |socket, state| {
                    if state.send(to, socket.get_mut()).is_err() {
                        state.clients.remove(&to);
                    }
                    state.update_interests();
                });
            }
        }
    }

    /// Sends as much as the socket takes.
    fn send(&mut self, id: AnyToken, socket: &mut UnixStream) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        while !client.unsent.is_empty() {
            match socket.write(&client.unsent) {
                Ok(sent) => drop(client.unsent.drain(..sent)),
                Err(error) if is_temporary(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads from all unless one has too much, and waits for those to be writable that have something.
    fn update_interests(&mut self) {
        let Self { handle, clients, .. } = self;
        let reads = clients.values().all(|client| client.unsent.len() <= FULL);
        for client in clients.values_mut() {
            let is_behind = client.unsent.len() > FULL;
            if is_behind && !client.is_behind {
                let end = handle.now() + GRACE;
                handle.set_deadline(client.grace, end);
            }
            client.is_behind = is_behind;
            let mut interest = if reads { Interest::READ } else { Interest::EMPTY };
            if !client.unsent.is_empty() {
                interest |= Interest::WRITE;
            }
            if interest != client.interest {
                client.interest = interest;
                handle.update(client.socket, move |socket| socket.interest = interest);
            }
        }
    }

    fn drop_if_behind(&mut self, id: AnyToken) {
        if self.clients.get(&id).is_some_and(|client| client.is_behind) {
            self.clients.remove(&id);
            self.dropped += 1;
            self.update_interests();
        }
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = tempfile::tempdir()?;
    let path = argument.clone().unwrap_or_else(|| directory.path().join("socket"));
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;

    let (mut event_loop, handle) = EventLoop::new()?;
    let (clients, served, dropped, most_unsent) = (BTreeMap::new(), 0, 0, 0);
    let mut state = State { handle, clients, served, dropped, most_unsent };
    let retry = ErrorAction::Retry(Duration::from_millis(100));
    let options = SourceOptions::new().name("listener").on_error(retry);
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    state.handle.insert_source_with(options, source, accept)?;
    if argument.is_some() {
        event_loop.run(None, &mut state, |_| ())?;
        return Ok(());
    }

    let mut connect = || -> Result<UnixStream, Box<dyn std::error::Error>> {
        let client = UnixStream::connect(&path)?;
        let served = state.served;
        while state.served == served {
            event_loop.dispatch(None, &mut state)?;
        }
        Ok(client)
    };
    let (fast, slow, deaf, talker) = (connect()?, connect()?, connect()?, connect()?);
    let (heard, turns) = mpsc::channel();
    let remote = state.handle.remote();
    let threads = [
        thread::spawn(move || listen(fast, |_| heard.send(()).is_ok())),
        thread::spawn(move || listen_slowly(slow, &turns)),
        thread::spawn(move || talk(talker)),
    ];
    let waiter = thread::spawn(move || {
        let results = threads.map(|thread| thread.join().expect("no client panics"));
        remote.stop();
        results
    });
    event_loop.run(None, &mut state, |_| ())?;
    for result in waiter.join().expect("it does not panic") {
        result?;
    }
    println!("dropped {}; {} bytes unsent at most", state.dropped, state.most_unsent);
    assert_eq!(state.dropped, 1, "the deaf one, and not the slow one");
    assert!(state.most_unsent <= FULL + LONGEST + 4096, "{} bytes", state.most_unsent);
    drop(deaf);
    Ok(())
}

// The clients, which block: more than all buffers hold is said.

const LINES: usize = 4000;

fn line(n: usize) -> String {
    format!("{n:0499}\n")
}

fn talk(mut socket: UnixStream) -> io::Result<()> {
    (0..LINES).try_for_each(|n| socket.write_all(line(n).as_bytes()))
}

/// Hears every line, and tells of each.
fn listen(socket: UnixStream, mut tell: impl FnMut(usize) -> bool) -> io::Result<()> {
    let mut lines = BufReader::new(socket);
    for n in 0..LINES {
        let mut heard = String::new();
        lines.read_line(&mut heard)?;
        assert_eq!(heard, line(n), "each of them, and in order");
        tell(n);
    }
    Ok(())
}

/// Is always one line behind the fast one.
fn listen_slowly(socket: UnixStream, turns: &Receiver<()>) -> io::Result<()> {
    listen(socket, |_| turns.recv().is_ok())
}
