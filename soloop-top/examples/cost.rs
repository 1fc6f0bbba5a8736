//! What a viewer costs a loop of 1,000 sources at 60 frames a second: `cargo run --release --example cost`. It prints how much of a
//! processor the loop's thread takes without a viewer, and with one that asks ten times a second, for a frame that calls
//! back once and for one that calls every source back; and the longest look of the viewer's, which is what it delays a callback by.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use soloop::inspector::{Message, Request, VERSION};
use soloop::{
    EventLoop, Inspector, Interval, LoopData, LoopHandle, Ping, PostAction, SourceOptions,
    make_ping,
};

const SOURCES: usize = 1000;
const TIME: Duration = Duration::from_secs(10);

struct State {
    handle: LoopHandle<State>,
    pings: Vec<Ping>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// The share of a processor that the thread takes.
fn run(path: &PathBuf, all: bool) -> Result<f64, Box<dyn std::error::Error>> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, pings: Vec::new() };
    for n in 0..SOURCES {
        let (ping, source) = make_ping();
        let options = SourceOptions::new().name(format!("client {n}"));
        state.handle.insert_source_with(options, source, |(), _| ())?;
        state.pings.push(ping);
    }
    let frame = Interval::new(Duration::from_nanos(16_666_667));
    let options = SourceOptions::new().name("frame");
    state.handle.insert_source_with(options, frame, move |_, state: &mut State| {
        if all {
            state.pings.iter().for_each(Ping::ping);
        }
        PostAction::Continue
    })?;
    state.handle.insert_inspector(Inspector::bind(path)?)?;
    let time = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let (before, end) = (time(), state.handle.now() + TIME);
    event_loop.run_until(end, &mut state)?;
    Ok((time() - before).as_secs_f64() / TIME.as_secs_f64())
}

/// The longest look, in nanoseconds, and how many there were.
fn watch(path: &PathBuf) -> Result<(u64, u64), Box<dyn std::error::Error>> {
    let mut stream = loop {
        match UnixStream::connect(path) {
            Ok(stream) => break stream,
            Err(_) => std::thread::yield_now(),
        }
    };
    for request in
        [Request::Hello { version: VERSION }, Request::Watch { every_ms: 100, slow_us: Some(4000) }]
    {
        writeln!(stream, "{}", serde_json::to_string(&request)?)?;
    }
    let mut longest = (0, 0);
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        if let Message::Snapshot(snapshot) = serde_json::from_str(&line)?
            && let Some(looks) = snapshot.others.iter().find(|other| other.name == "inspect")
        {
            longest = (looks.counts.worst_ns, looks.counts.busy_ns / looks.counts.events);
        }
    }
    Ok(longest)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("socket");
    for all in [false, true] {
        let without = run(&path, all)?;
        let viewer = std::thread::spawn({
            let path = path.clone();
            move || watch(&path).map_err(|error| error.to_string())
        });
        let with = run(&path, all)?;
        let (worst, mean) = viewer.join().map_err(|_| "the viewer panicked")??;
        println!(
            "{} callbacks a frame: {:.2} % of a processor without a viewer, {:.2} % with one; \
             its longest look {:.0} µs, the mean {:.0} µs",
            if all { SOURCES } else { 1 },
            without * 100.0,
            with * 100.0,
            worst as f64 / 1e3,
            mean as f64 / 1e3
        );
    }
    Ok(())
}
