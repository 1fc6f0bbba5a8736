//! A conversation over TCP, written from both ends as straight-line async code on one loop and one state.
//!
//! The server accepts with `adapt_io` and spawns a task for each client; each client is a task, too. They all
//! count in the same state, which a task reaches between two awaits with `cx.with`: no lock, no `RefCell`. A
//! client that falls silent is disconnected by a timeout. When all clients are done the program ends.
//!
//! ```text
//! cargo run --example async_client
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use soloop::{Async, EventLoop, LoopData, LoopHandle, TaskContext};

struct State {
    handle: LoopHandle<State>,
    /// What the server was asked, by anybody.
    questions: u32,
    transcript: Vec<String>,
    clients: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

type Cx = TaskContext<State>;

/// Accepts clients for as long as the task lives.
async fn serve(cx: Cx, listener: Async<TcpListener>) {
    loop {
        listener.readable().await;
        let Ok((stream, peer)) = listener.get_ref().accept() else { continue };
        cx.with(move |state| match state.handle.adapt_io(stream) {
            Ok(stream) => {
                state.handle.spawn(move |cx| answer(cx, stream));
            }
            Err(error) => eprintln!("{peer}: {error}"),
        })
        .await;
    }
}

/// Answers one client, line by line, until it leaves or takes too long.
async fn answer(cx: Cx, mut stream: Async<TcpStream>) {
    let patience = Duration::from_millis(50);
    loop {
        let line = match cx.timeout(patience, read_line(&mut stream)).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return eprintln!("server: {error}"),
            Err(elapsed) => {
                let _ = write_all(&mut stream, format!("bye: {elapsed}\n").as_bytes()).await;
                return;
            }
        };
        let reply = cx
            .with(move |state| {
                state.questions += 1;
                format!("{}! (answer {})\n", line.to_uppercase(), state.questions)
            })
            .await;
        if let Err(error) = write_all(&mut stream, reply.as_bytes()).await {
            return eprintln!("server: {error}");
        }
    }
}

/// Says each of `lines` and notes the answers; then waits for the server to lose patience, if `stays`.
async fn talk(cx: Cx, address: SocketAddr, name: &'static str, lines: &[&str], stays: bool) {
    let outcome = async {
        // To a listener on this machine: this does not block.
        let stream = TcpStream::connect(address)?;
        let mut stream = cx.with(|state| state.handle.adapt_io(stream)).await?;
        for line in lines {
            write_all(&mut stream, format!("{line}\n").as_bytes()).await?;
            note(&cx, name, read_line(&mut stream).await?).await;
        }
        if stays {
            note(&cx, name, read_line(&mut stream).await?).await;
        }
        io::Result::Ok(())
    };
    if let Err(error) = outcome.await {
        note(&cx, name, Some(error.to_string())).await;
    }
    cx.with(|state| {
        state.clients -= 1;
        if state.clients == 0 {
            state.handle.stop();
        }
    })
    .await;
}

async fn note(cx: &Cx, name: &str, line: Option<String>) {
    let line = format!("{name} heard: {}", line.as_deref().unwrap_or("the end"));
    cx.with(|state| state.transcript.push(line)).await;
}

/// A line without its end; `None` at the end of the stream. Byte by byte, for brevity.
async fn read_line(stream: &mut Async<TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match stream.get_mut().read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => stream.readable().await,
            Err(error) => return Err(error),
        }
    }
    String::from_utf8(line).map(Some).map_err(io::Error::other)
}

async fn write_all(stream: &mut Async<TcpStream>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.get_mut().write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => stream.writable().await,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, questions: 0, transcript: Vec::new(), clients: 2 };

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let listener = state.handle.adapt_io(listener)?;
    let server = state.handle.spawn(|cx| serve(cx, listener));
    state.handle.spawn(move |cx| async move {
        talk(cx, address, "Ada", &["is anybody there", "good"], false).await;
    });
    state.handle.spawn(move |cx| async move {
        talk(cx, address, "Ben", &["hello"], true).await;
    });
    event_loop.run(None, &mut state, |_| ())?;

    // Its listener goes with it.
    state.handle.remove(server);
    event_loop.apply_pending(&mut state)?;
    assert!(TcpStream::connect(address).is_err());
    for line in &state.transcript {
        println!("{line}");
    }
    assert_eq!(state.questions, 3);
    assert_eq!(state.transcript.len(), 4);
    assert!(state.transcript.contains(&"Ben heard: bye: the time is up".into()));
    Ok(())
}
