//! A TCP echo server: the listener's callback inserts a source for each client.
//!
//! ```text
//! cargo run --example tcp_echo                     talks to itself, and ends
//! cargo run --example tcp_echo -- 127.0.0.1:7000   serves until it is killed
//! ```
//!
//! Without arguments three clients, each in a thread, send lines and check what comes back. The listener is
//! level-triggered: one `accept` a callback. The clients are edge-triggered in both directions, so that a
//! slow reader is waited for without a change of interest.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::JoinHandle;

use soloop::{
    ErrorAction, EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction, Ready,
};

struct State {
    handle: LoopHandle<Self>,
    connected: usize,
    echoed: usize,
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
        self.handle.insert_source(source, move |ready, state: &mut State| {
            let action = state.serve(ready)?;
            if action == PostAction::Remove {
                state.left(peer);
            }
            Ok(action)
        })?;
        self.connected += 1;
        println!("{peer} is here, {} connected", self.connected);
        Ok(())
    }

    /// Sends back what comes, until a read or a write would block.
    fn serve(&mut self, ready: Ready<'_, Connection>) -> io::Result<PostAction> {
        let connection = ready.io;
        let mut buffer = [0; 4096];
        loop {
            connection.flush()?;
            if !connection.unsent.is_empty() {
                return Ok(PostAction::Continue); // it reads slowly: no more from it until it does
            }
            match connection.stream.read(&mut buffer) {
                Ok(0) => return Ok(PostAction::Remove),
                Ok(n) => {
                    self.echoed += n;
                    connection.unsent.extend(&buffer[..n]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(PostAction::Continue);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn left(&mut self, peer: SocketAddr) {
        self.connected -= 1;
        println!("{peer} is gone, {} connected, {} bytes echoed", self.connected, self.echoed);
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

/// Sends lines and checks that they come back.
fn visit(server: SocketAddr, lines: usize) -> io::Result<()> {
    let stream = TcpStream::connect(server)?;
    let mut answers = BufReader::new(stream.try_clone()?).lines();
    for n in 0..lines {
        let line = format!("line {n} of {lines}");
        writeln!(&stream, "{line}")?;
        let answer = answers.next().ok_or(ErrorKind::UnexpectedEof)??;
        assert_eq!(answer, line);
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0"))?;
    listener.set_nonblocking(true)?;
    let server = listener.local_addr()?;
    println!("serving on {server}");

    let visitors: Vec<JoinHandle<io::Result<()>>> = match address {
        Some(_) => Vec::new(),
        None => [1, 10, 100]
            .map(|lines| std::thread::spawn(move || visit(server, lines)))
            .into_iter()
            .collect(),
    };
    let visits_left = (!visitors.is_empty()).then_some(visitors.len());

    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, connected: 0, echoed: 0, visits_left };
    // A connection that fails is a client that is gone; the server goes on.
    event_loop.on_error(|error, state: &mut State| {
        eprintln!("{error}");
        state.connected -= 1;
        ErrorAction::Remove
    });
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    state.handle.insert_source(source, |ready, state: &mut State| {
        match ready.io.accept() {
            Ok((stream, peer)) => {
                if let Err(error) = state.arrived(stream, peer) {
                    eprintln!("cannot serve {peer}: {error}");
                }
            }
            // It was ready for a client that has left again, or there is no fd for it now.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => eprintln!("cannot accept: {error}"),
        }
        Ok(PostAction::Continue)
    })?;
    event_loop.run(None, &mut state, |_| ())?;

    for visitor in visitors {
        visitor.join().expect("the visitor got the lines it sent")?;
    }
    Ok(())
}
