//! A TCP echo server: the listener's callback inserts a source for each client.
//!
//! ```text
//! cargo run --example tcp_echo                     talks to itself, and ends
//! cargo run --example tcp_echo -- 127.0.0.1:7000   serves until it is killed
//! ```
//!
//! Without arguments four clients, each in a thread, come by: three send lines and check what comes back, and one
//! breaks its connection off. The listener is level-triggered: one `accept` a callback. The clients are edge-triggered
//! in both directions, so that a slow reader is waited for without a change of interest.
//!
//! Callbacks return their errors, and one policy decides by the token of the source that failed: a client that fails is
//! gone, the listener is tried again later, and anything else ends the program.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use soloop::{
    AnyToken, ErrorAction, EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction,
    Ready,
};

struct State {
    handle: LoopHandle<Self>,
    /// Those that are connected, with their sources.
    clients: HashMap<SocketAddr, AnyToken>,
    echoed: usize,
    /// How many of them failed.
    failed: usize,
    /// How many clients to serve; without a number the server goes on for ever.
    visits_left: Option<usize>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn arrived(&mut self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let connection = Connection { stream, unsent: VecDeque::new() };
        let source = Generic::new(connection, Interest::BOTH, Mode::Edge);
        let token = self.handle.insert_source(source, move |ready, state: &mut State| {
            let action = state.serve(ready)?;
            if action == PostAction::Remove {
                state.left(peer);
            }
            Ok(action)
        })?;
        self.clients.insert(peer, token.into());
        println!("{peer} is here, {} connected", self.clients.len());
        Ok(())
    }

    /// Sends back what comes: one read a callback, so that no client keeps the others waiting.
    fn serve(&mut self, ready: Ready<'_, Connection>) -> io::Result<PostAction> {
        let connection = ready.io;
        connection.flush()?;
        if !connection.unsent.is_empty() {
            return Ok(PostAction::Continue); // it reads slowly: no more from it until it does
        }
        let mut buffer = [0; 4096];
        match connection.stream.read(&mut buffer) {
            Ok(0) => Ok(PostAction::Remove),
            Ok(n) => {
                self.echoed += n;
                connection.unsent.extend(&buffer[..n]);
                Ok(PostAction::Again)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(PostAction::Continue),
            Err(error) => Err(error),
        }
    }

    /// The client that a source serves; `None` if it is another source.
    fn client(&self, source: Option<AnyToken>) -> Option<SocketAddr> {
        let mut clients = self.clients.iter();
        clients.find_map(|(peer, token)| (Some(*token) == source).then_some(*peer))
    }

    fn left(&mut self, peer: SocketAddr) {
        self.clients.remove(&peer);
        println!("{peer} is gone, {} connected, {} bytes echoed", self.clients.len(), self.echoed);
        if let Some(left) = &mut self.visits_left {
            *left -= 1;
            if *left == 0 {
                self.handle.stop();
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    unsent: VecDeque<u8>,
}

impl Connection {
    /// Sends what is unsent, as far as that is possible at once.
    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(self.unsent.as_slices().0) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Sends lines and checks that they come back; how many bytes that was.
fn visit(server: SocketAddr, lines: usize) -> io::Result<usize> {
    let stream = TcpStream::connect(server)?;
    let mut answers = BufReader::new(stream.try_clone()?).lines();
    let mut bytes = 0;
    for n in 0..lines {
        let line = format!("line {n} of {lines}");
        writeln!(&stream, "{line}")?;
        bytes += line.len() + 1;
        let answer = answers.next().ok_or(ErrorKind::UnexpectedEof)??;
        assert_eq!(answer, line);
    }
    Ok(bytes)
}

/// Breaks the connection off: the server's next read fails.
fn break_off(server: SocketAddr) -> io::Result<usize> {
    let stream = TcpStream::connect(server)?;
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    Ok(0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0"))?;
    listener.set_nonblocking(true)?;
    let server = listener.local_addr()?;
    println!("serving on {server}");

    let visitors: Vec<JoinHandle<io::Result<usize>>> = match address {
        Some(_) => Vec::new(),
        None => [1, 10, 100, 0]
            .map(|lines| {
                std::thread::spawn(move || match lines {
                    0 => break_off(server),
                    lines => visit(server, lines),
                })
            })
            .into_iter()
            .collect(),
    };
    let visits_left = (!visitors.is_empty()).then_some(visitors.len());

    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, clients: HashMap::new(), echoed: 0, failed: 0, visits_left };
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    let listener = state.handle.insert_source(source, |ready, state: &mut State| {
        match ready.io.accept() {
            Ok((stream, peer)) => {
                if let Err(error) = state.arrived(stream, peer) {
                    eprintln!("cannot serve {peer}: {error}");
                }
            }
            // It was ready for a client that has left again.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(PostAction::Continue)
    })?;
    event_loop.on_error(move |error, state| {
        eprintln!("{error}");
        if let Some(peer) = state.client(error.token()) {
            state.failed += 1;
            state.left(peer);
            ErrorAction::Remove
        } else if error.token() == Some(listener.into()) {
            // There is no fd for the client, say: it waits until another one has left.
            ErrorAction::Retry(Duration::from_secs(1))
        } else {
            ErrorAction::Report
        }
    });
    event_loop.run(None, &mut state, |_| ())?;

    let mut sent = 0;
    for visitor in visitors {
        sent += visitor.join().expect("the visitor got the lines it sent")?;
    }
    assert_eq!(state.echoed, sent);
    assert_eq!((state.clients.len(), state.failed), (0, 1));
    Ok(())
}
