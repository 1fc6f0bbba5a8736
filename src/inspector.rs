//! Looking into a running loop from another process. Feature `inspector`.
//!
//! An [`Inspector`] is a socket that viewers connect to: `soloop-top`, a folder of the repository, or any program that
//! reads lines of JSON. A program calls [`LoopHandle::insert_inspector`] for it, and nothing else. While no viewer is
//! connected, it is one more fd in the kernel's table, and no dispatch costs more. Viewers are sources of the loop,
//! and are counted as such.
//!
//! # The protocol
//!
//! Both sides send JSON values, one per line, in UTF-8: a viewer sends [`Request`]s, the program [`Message`]s. The
//! program begins, with `{"hello":{"version":1,"pid":4711,"program":"compositor"}}`. The viewer answers
//! `{"hello":{"version":1}}` and then requests:
//!
//! ```text
//! "snapshot"
//! {"watch":{"every_ms":100,"slow_us":4000}}
//! {"trace":{"ms":5000}}
//! ```
//!
//! and receives (with `watch` again and again):
//!
//! ```text
//! {"snapshot":{"loop":{"counted_ns":…,"rounds":…,…},"others":[…],"sources":[{"id":…,"name":"frame",…},…],"gone":[…]}}
//! {"slow":{"at_ns":…,"name":"frame","kind":"source","took_ns":10500000,"on_cpu_ns":420000,"late_ns":null}}
//! {"trace":{"truncated":false,"events":[…]}}
//! ```
//!
//! In a snapshot, counts that are 0 and what a source does not have are left out.
//!
//! `printf '{"hello":{"version":1}}\n"snapshot"\n' | nc -U PATH` is a viewer, too.
//!
//! The program answers a request that it can't read with `{"error":"…"}`, and then ends the connection. It does the
//! same to a viewer of another version, and to those beyond the sixteenth. A viewer that reads nothing for five
//! seconds is dropped. A viewer delays a callback by the time that it takes to collect a few rows, or to write 32 KiB of
//! them. The file of the socket has mode 0600: only its owner can connect.
//!
//! # Examples
//!
//! ```
//! # struct State { handle: soloop::LoopHandle<Self> }
//! # impl soloop::LoopData for State {
//! #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
//! # }
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("socket");
//! use soloop::{EventLoop, Inspector};
//!
//! let (mut event_loop, handle) = EventLoop::new()?;
//! let mut state = State { handle };
//! state.handle.insert_inspector(Inspector::bind(&path)?)?; // soloop-top PATH
//! # let viewer = std::os::unix::net::UnixStream::connect(&path)?;
//! # std::io::Write::write_all(&mut &viewer, b"{\"hello\":{\"version\":1}}\n\"snapshot\"\n")?;
//! # let mut lines = std::io::BufRead::lines(std::io::BufReader::new(&viewer));
//! # for _ in 0..20 { event_loop.dispatch(std::time::Duration::ZERO, &mut state)?; }
//! # assert!(lines.next().unwrap()?.starts_with("{\"hello\":{\"version\":1"));
//! # let soloop::inspector::Message::Snapshot(snapshot) = serde_json::from_str(&lines.next().unwrap()?).unwrap() else { panic!() };
//! # assert_eq!(snapshot.sources.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

mod look;
mod message;
mod recorder;
mod socket;
mod viewer;

use self::look::look;
use self::recorder::Recorder;
use self::socket::Socket;
use self::viewer::{Viewer, line};
use crate::{
    ErrorAction, EventSource, Generic, InsertError, Interest, InterestToken, LocalRemote, LoopData,
    LoopHandle, Mode, PostAction, Priority, Readiness, Registrar, Scope, SourceOptions, Token,
};

pub use self::message::{
    Counts, Gone, Hello, Message, Request, SlowCallback, Snapshot, Source, Totals, Trace,
};

/// The version of the protocol. It grows when a message changes its meaning. A new field does not change it, and
/// readers ignore fields that they do not know.
pub const VERSION: u32 = 1;

/// The number of viewers at a time, at most.
const MOST_VIEWERS: usize = 16;
/// How long the inspector accepts no viewer after the process ran out of fds.
const PAUSE: Duration = Duration::from_secs(1);

/// A socket by which viewers look into the loop; the [module](crate::inspector) describes it.
///
/// Its event is a viewer that has connected, which [`LoopHandle::insert_inspector`] handles. Dropping it removes the
/// socket's file.
#[derive(Debug)]
pub struct Inspector {
    socket: Generic<Socket>,
}

/// The event of an [`Inspector`]: a viewer that has connected.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
}

impl Inspector {
    /// Makes a socket at `path`, mode 0600, for the user of this process alone. A socket left behind by another
    /// process is replaced.
    ///
    /// # Errors
    ///
    /// Each error says what is wrong with `path`: [`InvalidInput`](io::ErrorKind::InvalidInput) if it is too long for
    /// a socket, [`AlreadyExists`](io::ErrorKind::AlreadyExists) if it is a file but no socket,
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if it is a socket of somebody else,
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) if another program listens there. Otherwise those of `socket(2)`,
    /// `bind(2)` and `listen(2)`.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let socket = Socket::bind(path.as_ref())?;
        Ok(Self { socket: Generic::new(socket, Interest::READ, Mode::Level) })
    }

    /// The path that viewers connect to.
    pub fn path(&self) -> &Path {
        &self.socket.get_ref().path
    }
}

impl EventSource for Inspector {
    type Event<'a> = Connection;
    type Ret = ();
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.socket.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.socket.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.socket.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(Connection),
    {
        self.socket.process_events(readiness, token, |ready| {
            if let Some(stream) = ready.io.accept()? {
                callback(Connection { stream });
            }
            Ok(PostAction::Continue)
        })
    }
}

impl<Data: LoopData + 'static> LoopHandle<Data> {
    /// Lets viewers look into the loop: inserts an [`Inspector`], and each viewer when it connects. Removing the
    /// inspector removes its viewers.
    ///
    /// # Errors
    ///
    /// As [`insert_source`](Self::insert_source).
    ///
    /// # Examples
    ///
    /// See the [module](crate::inspector).
    pub fn insert_inspector(
        &mut self,
        inspector: Inspector,
    ) -> Result<Token<Inspector>, InsertError<Inspector>> {
        let program = std::env::current_exe().unwrap_or_default();
        let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let scope = Scope::new();
        let options = SourceOptions::new()
            .name("inspector")
            .priority(Priority::Low)
            .on_error(ErrorAction::Retry(PAUSE));
        self.insert_source_with(options, inspector, move |connection, data: &mut Data| {
            let handle = data.loop_handle();
            if scope.len() >= MOST_VIEWERS {
                let text = format!("{MOST_VIEWERS} viewers are there already");
                // It fits into the empty buffer of a new socket.
                let _ = (&connection.stream).write(&line(&Message::Error(text)));
                return;
            }
            let detach = Detach(handle.local_remote());
            let options = SourceOptions::new()
                .name("inspector viewer")
                .priority(Priority::Low)
                .budget(1)
                .scope(&scope);
            let viewer = Viewer::new(connection.stream, handle.clock().clone(), &program);
            // A viewer that the kernel refuses is dropped.
            let _ = handle.insert_source_with(options, viewer, move |(), data: &mut Data| {
                let _goes_with_the_viewer = &detach;
                let handle = data.loop_handle();
                let viewer = handle.current().and_then(|viewer| handle.downcast::<Viewer>(viewer));
                if let Some(viewer) = viewer {
                    handle.inspect_mut(move |event_loop, data| look(viewer, event_loop, data));
                }
            });
        })
    }
}

/// Detaches the observer when the last viewer goes: the callback of each viewer owns one, and drops it.
struct Detach<Data: LoopData + 'static>(LocalRemote<Data>);

impl<Data: LoopData + 'static> Drop for Detach<Data> {
    fn drop(&mut self) {
        // If the loop is gone, so is the observer.
        self.0.post(|data| {
            data.loop_handle().inspect_mut(|event_loop, data| {
                let Some(recorder) = event_loop.observer_mut::<Recorder>() else { return };
                recorder.is_own = true;
                recorder.viewers.retain(|viewer, _| data.loop_handle().contains(*viewer));
                if recorder.viewers.is_empty() {
                    event_loop.take_observer::<Recorder>();
                }
            });
        });
    }
}
