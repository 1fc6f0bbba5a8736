//! Watches a directory: an inotify instance, which has no source of its own, as a `Generic`. Linux only.
//!
//! ```text
//! cargo run --example inotify                 watches a temporary directory, and ends when it is removed
//! cargo run --example inotify -- DIRECTORY    watches that one until it is removed
//! ```
//!
//! Without arguments a thread makes, renames and removes files in it.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use soloop::{EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction, Ready};

struct State {
    handle: LoopHandle<Self>,
    changes: usize,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// Reads all there is to read, and says what is to become of the source.
fn changed(ready: Ready<'_, OwnedFd>, state: &mut State) -> io::Result<PostAction> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(ready.io, &mut buffer);
    loop {
        let event = match reader.next() {
            Ok(event) => event,
            Err(Errno::AGAIN) => return Ok(PostAction::Continue),
            Err(error) => return Err(error.into()),
        };
        state.changes += 1;
        let name = event.file_name().map_or("it".into(), |name| name.to_string_lossy());
        let kinds = [
            (ReadFlags::CREATE, "is new"),
            (ReadFlags::CLOSE_WRITE, "was written"),
            (ReadFlags::MOVED_FROM, "has another name now"),
            (ReadFlags::MOVED_TO, "has this name now"),
            (ReadFlags::DELETE, "is gone"),
            (ReadFlags::DELETE_SELF, "is removed, with nothing left to watch"),
        ];
        for (_, what) in kinds.iter().filter(|(flag, _)| event.events().contains(*flag)) {
            println!("{name} {what}");
        }
        if event.events().contains(ReadFlags::IGNORED) {
            state.handle.stop();
            return Ok(PostAction::Remove);
        }
    }
}

/// Gives the watcher something to see, and takes the directory away.
fn work_in(directory: &Path) -> io::Result<()> {
    let (draft, letter) = (directory.join("draft"), directory.join("letter"));
    std::fs::write(&draft, "Dear all,")?;
    std::fs::rename(&draft, &letter)?;
    std::fs::remove_file(&letter)?;
    std::fs::remove_dir(directory)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args_os().nth(1).map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let directory = argument.clone().unwrap_or_else(|| temporary.path().join("desk"));
    if argument.is_none() {
        std::fs::create_dir(&directory)?;
    }

    let watcher = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let interesting = WatchFlags::CREATE
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVE
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF;
    inotify::add_watch(&watcher, &directory, interesting | WatchFlags::ONLYDIR)?;

    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, changes: 0 };
    let source = Generic::new(watcher, Interest::READ, Mode::Level);
    state.handle.insert_source(source, changed)?;

    // The watch is there: what happens from here on is seen.
    println!("watching {}", directory.display());
    let worker = argument.is_none().then(|| std::thread::spawn(move || work_in(&directory)));
    event_loop.run(None, &mut state, |_| ())?;
    if let Some(worker) = worker {
        worker.join().expect("the worker does not panic")?;
        assert!(state.changes >= 5, "all of it was seen");
    }
    Ok(())
}
