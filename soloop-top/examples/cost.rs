//! What a viewer costs a loop of 1,000 sources at 60 frames a second: `cargo run --release --example cost`.
//!
//! It prints how much of a processor the loop's thread takes without a viewer, and with one that asks ten times a
//! second, for a frame that calls back once and for one that calls every source back. Then it prints how long the looks
//! of the viewer and the calls of its source take, which is what they delay a callback by, beside the calls of a
//! callback that walks through memory for 25 µs: how much longer these take is what the machine adds.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use soloop::inspector::{Request, VERSION};
use soloop::{
    CallbackKind, CallbackReport, EventLoop, Inspector, Interval, LoopData, LoopHandle, Observer,
    Ping, PostAction, SourceOptions, make_ping,
};

const SOURCES: usize = 1000;
const TIME: Duration = Duration::from_secs(10);
const FRAME: Duration = Duration::from_nanos(16_666_667);
/// How long a look collects rows, and how many there are in a second, roughly.
const LOOK: Duration = Duration::from_micros(25);
const LOOKS: u32 = 300;

const WALKS: &str = "calls that walk through 4 MiB for 25 µs";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct State {
    handle: LoopHandle<State>,
    pings: Vec<Ping>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// Inserts the sources, and a frame that calls so many of them back.
fn program(path: &Path, called: usize) -> Result<(EventLoop<State>, State)> {
    let (event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, pings: Vec::new() };
    for n in 0..SOURCES {
        let (ping, source) = make_ping();
        let options = SourceOptions::new().name(format!("client {n}"));
        state.handle.insert_source_with(options, source, |(), _| ())?;
        state.pings.push(ping);
    }
    let options = SourceOptions::new().name("frame");
    state.handle.insert_source_with(
        options,
        Interval::new(FRAME),
        move |_, state: &mut State| {
            state.pings[..called].iter().for_each(Ping::ping);
            PostAction::Continue
        },
    )?;
    state.handle.insert_inspector(Inspector::bind(path)?)?;
    Ok((event_loop, state))
}

/// The share of a processor that the thread takes.
fn share(path: &Path, called: usize) -> Result<f64> {
    let (mut event_loop, mut state) = program(path, called)?;
    let time = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let (before, end) = (time(), state.handle.now() + TIME);
    event_loop.run_until(end, &mut state)?;
    Ok((time() - before).as_secs_f64() / TIME.as_secs_f64())
}

/// Asks, and reads what comes, until the program ends.
fn watch(path: &Path) -> std::io::Result<()> {
    let mut stream = loop {
        match UnixStream::connect(path) {
            Ok(stream) => break stream,
            Err(_) => thread::yield_now(),
        }
    };
    for request in
        [Request::Hello { version: VERSION }, Request::Watch { every_ms: 100, slow_us: Some(4000) }]
    {
        writeln!(stream, "{}", serde_json::to_string(&request)?)?;
    }
    // The program ends the connection in any case.
    BufReader::new(stream).lines().for_each(drop);
    Ok(())
}

/// Runs with a viewer, which is a process of its own: one in a thread would share the memory's locks.
fn watched<T>(path: &Path, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut viewer = Command::new(std::env::current_exe()?).arg(path).spawn()?;
    let result = run();
    if result.is_err() {
        viewer.kill()?;
    }
    viewer.wait()?;
    result
}

/// How long the looks took that collected as much as one does, the calls of the viewer's own source, and those that
/// walk through memory.
#[derive(Default)]
struct Times {
    looks: Vec<Duration>,
    calls: Vec<Duration>,
    walks: Vec<Duration>,
}

impl Observer for Times {
    fn callback_end(&mut self, report: &CallbackReport<'_>) {
        match (report.kind, report.name) {
            (CallbackKind::Inspect, _) if report.duration >= LOOK => {
                self.looks.push(report.duration)
            }
            (CallbackKind::Source, "inspector viewer") => self.calls.push(report.duration),
            (CallbackKind::Source, WALKS) => self.walks.push(report.duration),
            _ => {}
        }
    }
}

fn times(path: &Path) -> Result<Times> {
    let (mut event_loop, mut state) = program(path, SOURCES)?;
    let interval = Interval::new(Duration::from_secs(1) / LOOKS);
    let options = SourceOptions::new().name(WALKS);
    let (mut memory, mut place) = (vec![1_u8; 4 << 20], 0);
    state.handle.insert_source_with(options, interval, move |_, _| {
        let started = Instant::now();
        while started.elapsed() < LOOK {
            // Page after page, as a look goes from row to row.
            place = (place + 4093) % memory.len();
            memory[place] = memory[place].wrapping_mul(3);
        }
        PostAction::Continue
    })?;
    event_loop.set_observer(Times::default());
    let end = state.handle.now() + TIME;
    event_loop.run_until(end, &mut state)?;
    Ok(event_loop.take_observer().unwrap_or_default())
}

fn main() -> Result<()> {
    if let Some(path) = std::env::args_os().nth(1) {
        return Ok(watch(path.as_ref())?);
    }
    let dir = tempfile::tempdir()?;
    let path = &dir.path().join("socket");
    for called in [1, SOURCES] {
        let (without, with) = (share(path, called)?, watched(path, || share(path, called))?);
        println!(
            "{called} callbacks a frame: {:.2} % of a processor without a viewer, {:.2} % with one",
            without * 100.0,
            with * 100.0
        );
    }
    let Times { looks, calls, walks } = watched(path, || times(path))?;
    let all = [("looks", looks), ("calls of the viewer's source", calls), (WALKS, walks)];
    for (name, mut times) in all.into_iter().filter(|(_, times)| !times.is_empty()) {
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!(
            "{} {name}: median {:.1?}, 99 % within {:.1?}, 99.9 % within {:.1?}, longest {:.1?}",
            times.len(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }
    Ok(())
}
