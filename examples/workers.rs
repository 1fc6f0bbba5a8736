//! Threads that count the lines of this crate's sources, held back by a bounded channel: they never are more than a few
//! files ahead of the loop. What is not a message but a deed, such as a complaint, is posted through a `Remote`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::{fs, io, thread};

use soloop::{EventLoop, LoopData, LoopHandle, Remote, SyncSender, channel};

struct State {
    handle: LoopHandle<State>,
    files: usize,
    lines: usize,
    longest: (usize, PathBuf),
    complaints: Vec<String>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

struct Counted {
    path: PathBuf,
    lines: usize,
}

/// What there is to count, shared by the workers.
type Work = Arc<Mutex<Vec<PathBuf>>>;

fn worker(work: Work, counted: SyncSender<Counted>, remote: Remote<State>) -> JoinHandle<()> {
    thread::spawn(move || {
        // Its sender goes with it: the last one closes the channel.
        loop {
            let Some(path) = work.lock().unwrap().pop() else { return };
            match fs::read_to_string(&path) {
                Ok(text) => {
                    let lines = text.lines().count();
                    if counted.send(Counted { path, lines }).is_err() {
                        return; // the loop is gone
                    }
                }
                Err(error) => {
                    let complaint = format!("{}: {error}", path.display());
                    remote.post(move |state: &mut State| state.complaints.push(complaint));
                }
            }
        }
    })
}

fn rust_files(directory: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source.join("not_there.rs")];
    rust_files(&source, &mut files)?;
    let there = files.len() - 1;

    let (mut event_loop, handle) = EventLoop::new()?;
    let longest = (0, PathBuf::new());
    let mut state = State { handle, files: 0, lines: 0, longest, complaints: Vec::new() };
    let (sender, results) = soloop::sync_channel(4);
    state.handle.insert_source(results, |event, state| match event {
        channel::Event::Msg(Counted { path, lines }) => {
            state.files += 1;
            state.lines += lines;
            if lines > state.longest.0 {
                state.longest = (lines, path);
            }
        }
        channel::Event::Closed => state.handle.stop(),
    })?;
    let work = Work::new(Mutex::new(files));
    let remote = state.handle.remote();
    let workers: Vec<_> =
        (0..3).map(|_| worker(work.clone(), sender.clone(), remote.clone())).collect();
    drop(sender);
    event_loop.run(None, &mut state, |_| ())?;
    event_loop.apply_pending(&mut state)?; // what was posted during the last round

    println!("{} lines in {} files", state.lines, state.files);
    println!("{} of them in {}", state.longest.0, state.longest.1.display());
    println!("complaints: {:?}", state.complaints);
    assert_eq!((state.files, state.complaints.len()), (there, 1));
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked")?;
    }
    Ok(())
}
