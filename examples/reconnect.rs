//! A connection that comes and goes inside of one source: a client that loses its server and connects again.
//!
//! The parts are a `TransientSource` for the connection, which is empty while there is none, and a timer for
//! the next attempt. Whoever uses the source sees its messages only.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use soloop::{
    EventLoop, EventSource, Generic, Interest, InterestToken, LoopData, LoopHandle, Mode,
    PostAction, Readiness, Registrar, TimeoutAction, Timer, TransientSource,
};

/// Reads bytes from a server, and connects again when it is gone.
struct Reconnecting {
    server: SocketAddr,
    connection: TransientSource<Generic<TcpStream>>,
    retry: TransientSource<Timer>,
}

impl Reconnecting {
    fn new(server: SocketAddr) -> Self {
        let retry = Timer::immediate().into();
        Self { server, connection: TransientSource::default(), retry }
    }
}

impl EventSource for Reconnecting {
    type Event<'a> = &'a [u8];
    type Ret = ();
    type Error = Box<dyn Error + Send + Sync>;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.connection.register(registrar)?;
        self.retry.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.connection.reregister(registrar)?;
        self.retry.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.connection.unregister(registrar)?;
        self.retry.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Self::Error>
    where
        F: FnMut(&[u8]),
    {
        let mut lost = false;
        let mut action = self.connection.process_events(readiness, token, |ready| {
            let mut buffer = [0; 256];
            match ready.io.read(&mut buffer) {
                Ok(0) | Err(_) => {
                    lost = true;
                    return Ok(PostAction::Remove);
                }
                Ok(length) => callback(&buffer[..length]),
            }
            Ok(PostAction::Continue)
        })?;
        if lost {
            self.retry.replace(Timer::from_duration(Duration::from_millis(1)));
            action |= PostAction::Reregister;
        }
        let server = self.server;
        let mut connected = None;
        action |=
            self.retry.process_events(readiness, token, |_| match TcpStream::connect(server) {
                Ok(stream) => {
                    connected = Some(stream);
                    TimeoutAction::Drop
                }
                Err(_) => TimeoutAction::ToDuration(Duration::from_millis(1)),
            })?;
        if let Some(stream) = connected {
            self.connection.replace(Generic::new(stream, Interest::READ, Mode::Level));
            action |= PostAction::Reregister;
        }
        Ok(action)
    }
}

struct State {
    handle: LoopHandle<State>,
    heard: String,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // A server that hangs up after each word.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = std::thread::spawn(move || -> io::Result<()> {
        for word in ["lost ", "and ", "found"] {
            listener.accept()?.0.write_all(word.as_bytes())?;
        }
        Ok(())
    });

    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, heard: String::new() };
    state.handle.insert_source(Reconnecting::new(address), |bytes, state| {
        state.heard.push_str(&String::from_utf8_lossy(bytes));
        if state.heard.ends_with("found") {
            state.handle.stop();
        }
    })?;
    event_loop.run(None, &mut state, |_| ())?;
    server.join().expect("the server does not panic")?;
    println!("three connections: {:?}", state.heard);
    assert_eq!(state.heard, "lost and found");
    Ok(())
}
