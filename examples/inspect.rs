//! Which callback blew the frame? A loop that looks at itself: the live table of its sources, the slowest
//! callbacks, histograms, and a trace for `chrome://tracing` or Perfetto. It ends by itself, and checks what
//! it wrote.
//!
//! ```text
//! cargo run --example inspect
//! ```

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use soloop::channel::Event;
use soloop::{
    ChromeTrace, ErrorAction, EventLoop, Generic, Histograms, Interest, LoopData, LoopHandle, Mode,
    PostAction, Priority, SourceOptions, TimeoutAction, Timer, slow_callbacks,
};

const FRAMES: u32 = 60;
const FRAME: Duration = Duration::from_millis(4);

struct State {
    handle: LoopHandle<State>,
    frames: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// A callback that was too slow.
struct Slow {
    name: String,
    duration: Duration,
    frame_started: Instant,
}

/// Looks busy.
fn work(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

fn insert_sources(handle: &mut LoopHandle<State>) -> Result<(), Box<dyn Error>> {
    // The frame clock. Every 16th frame is a hard one.
    let frame = |deadline: Instant, state: &mut State| {
        state.frames += 1;
        work(Duration::from_micros(if state.frames.is_multiple_of(16) { 3000 } else { 200 }));
        if state.frames == FRAMES {
            state.handle.stop();
            return TimeoutAction::Drop;
        }
        TimeoutAction::ToInstant(deadline + FRAME)
    };
    let options = SourceOptions::new().name("frame").priority(Priority::High);
    handle.insert_source_with(options, Timer::immediate(), frame)?;

    // A log that may not take more than half a millisecond of a round.
    let (log, lines) = soloop::channel();
    let options = SourceOptions::new()
        .name("log")
        .priority(Priority::Low)
        .time_budget(Duration::from_micros(500));
    handle.insert_source_with(options, lines, |event, _| {
        if let Event::Msg(_line) = event {
            work(Duration::from_micros(100));
        }
    })?;
    let options = SourceOptions::new().name("traffic");
    let mut line = 0;
    handle.insert_source_with(options, Timer::immediate(), move |deadline, _| {
        (0..10).for_each(|_| {
            line += 1;
            // The log is gone only with the loop.
            let _ = log.send(line);
        });
        TimeoutAction::ToInstant(deadline + 2 * FRAME)
    })?;

    // A peer that hung up. What becomes of the error is the affair of this source alone.
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    drop(theirs);
    let options =
        SourceOptions::new().name("peer").on_error(ErrorAction::Retry(Duration::from_millis(50)));
    let peer = Generic::new(ours, Interest::READ, Mode::Level);
    handle.insert_source_with(options, peer, |ready, _| {
        let n = std::io::Read::read(ready.io, &mut [0; 64])?;
        if n == 0 {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        Ok(PostAction::Continue)
    })?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, frames: 0 };
    insert_sources(&mut state.handle)?;

    event_loop.enable_stats(true);
    let slow = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&slow);
    event_loop.observe(slow_callbacks(Duration::from_millis(1), move |report| {
        let slow = Slow {
            name: report.name.to_owned(),
            duration: report.duration,
            frame_started: report.started,
        };
        list.lock().unwrap().push(slow);
    }));
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("trace.json");
    let trace = ChromeTrace::new(BufWriter::new(File::create(&path)?));
    event_loop.set_observer((trace, Histograms::new()));

    let started = Instant::now();
    event_loop.run(None, &mut state, |_| ())?;

    println!("The sources:\n\n{}", event_loop.sources(&state.handle));

    let stats = event_loop.stats();
    println!(
        "{} rounds, {} events, {} wake-ups; busy for {:.1?}, asleep for {:.1?}\n",
        stats.rounds, stats.events, stats.wakeups, stats.busy, stats.asleep
    );

    let mut slow = std::mem::take(&mut *slow.lock().unwrap());
    slow.sort_by_key(|slow| std::cmp::Reverse(slow.duration));
    println!("The slowest callbacks:\n");
    for Slow { name, duration, frame_started } in slow.iter().take(5) {
        println!("{duration:>10.1?}  `{name}` at {:.1?}", frame_started.duration_since(started));
    }

    let (trace, histograms) = event_loop
        .observer_mut::<(ChromeTrace<BufWriter<File>>, Histograms)>()
        .ok_or("the observer is the one that was set")?;
    println!("\nHow long callbacks took:\n\n{histograms}");
    trace.finish()?;

    let events: Vec<serde_json::Value> = serde_json::from_reader(File::open(&path)?)?;
    let frames = events.iter().filter(|event| event["name"] == "frame").count();
    assert_eq!(frames, FRAMES as usize, "a span for every frame");
    println!("The trace holds {} spans, {frames} of them frames.", events.len());
    Ok(())
}
