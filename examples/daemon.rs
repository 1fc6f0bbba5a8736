//! A daemon: it leaves its starter first and makes its loop afterwards.
//!
//! ```text
//! cargo run --example daemon                      starts one, talks to it, and ends it
//! cargo run --example daemon -- start /tmp/socket starts one that serves until it gets SIGTERM
//! ```
//!
//! A child of `fork(2)` shares the epoll instance of its parent's loop, so a loop that was made before a fork is lost to one
//! of the two. This program does not fork, which would take unsafe code and copy locks that other threads hold: it runs
//! itself anew, and the new process leaves the session of its starter, then calls `EventLoop::new`.
//!
//! The starter binds the socket, as long as there is somebody to read what went wrong, and hands it down as standard input.
//! So a client can connect as soon as the starter has ended.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, getsid, kill_process, setsid};
use soloop::signals::consts::SIGTERM;
use soloop::{EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction, Signals};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = env::args_os().skip(1);
    match arguments.next() {
        None => try_it_out(),
        Some(word) if word == "start" => {
            let socket = arguments.next().ok_or("start needs the path of a socket")?;
            println!("{}", start(socket.as_ref())?);
            Ok(())
        }
        Some(word) if word == "run" => run(),
        Some(word) => Err(format!("unknown argument {word:?}").into()),
    }
}

/// Starts the daemon; its pid.
fn start(socket: &Path) -> io::Result<u32> {
    let listener = UnixListener::bind(socket)?;
    let daemon = Command::new(env::current_exe()?)
        .arg("run")
        .current_dir("/")
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(daemon.id())
}

struct Daemon {
    handle: LoopHandle<Self>,
    /// They see the daemon's end as theirs.
    clients: Vec<UnixStream>,
}

impl LoopData for Daemon {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// The daemon's own `main`.
fn run() -> Result<(), Failure> {
    // Without a terminal, whose Ctrl-C and hang-up are for others from here on.
    setsid()?;
    let listener = UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;

    let (mut event_loop, handle) = EventLoop::new()?;
    let mut daemon = Daemon { handle, clients: Vec::new() };
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    daemon.handle.insert_source(source, |ready, daemon: &mut Daemon| {
        match ready.io.accept() {
            Ok((client, _)) => daemon.greet(client)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {} // it has left again
            Err(error) => return Err(error),
        }
        Ok(PostAction::Continue)
    })?;
    daemon.handle.insert_source(Signals::new([SIGTERM])?, |_, daemon: &mut Daemon| {
        daemon.handle.stop();
    })?;
    event_loop.run(None, &mut daemon, |_| ())?;
    Ok(())
}

impl Daemon {
    /// Says who it is.
    fn greet(&mut self, mut client: UnixStream) -> io::Result<()> {
        let session = getsid(None)?;
        let greeting = format!("{} {}\n", getpid(), session);
        // A client that has left already is none.
        if client.write_all(greeting.as_bytes()).is_ok() {
            self.clients.push(client);
        }
        Ok(())
    }
}

/// Starts a daemon from a process that ends, talks to it, and ends it.
fn try_it_out() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("socket");
    let starter = Command::new(env::current_exe()?).arg("start").arg(&socket).output()?;
    assert!(starter.status.success(), "{}", String::from_utf8_lossy(&starter.stderr));
    let pid = String::from_utf8(starter.stdout)?.trim().to_owned();
    println!("the starter has ended; the daemon is process {pid}");

    let mut daemon = UnixStream::connect(&socket)?;
    daemon.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut greeting = vec![0; 2 * pid.len() + 2];
    daemon.read_exact(&mut greeting)?;
    assert_eq!(String::from_utf8(greeting)?, format!("{pid} {pid}\n"), "it leads a session");

    let process = Pid::from_raw(pid.parse()?).ok_or("0 is no process")?;
    kill_process(process, Signal::TERM)?;
    assert_eq!(daemon.read(&mut [0])?, 0, "it ended in order");
    println!("the daemon has ended");
    Ok(())
}
