//! Which callback blew the frame? A loop that looks at itself, from inside of a callback: the live table of its
//! sources, the slowest callbacks, histograms, and a trace for `chrome://tracing` or Perfetto. It ends by
//! itself, and checks what it wrote.
//!
//! ```text
//! cargo run --example inspect
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, IsTerminal};
use std::time::{Duration, Instant};

use soloop::channel::Event;
use soloop::{
    ChromeTrace, ErrorAction, EventLoop, Generic, Histograms, Interest, LoopData, LoopHandle, Mode,
    PostAction, Priority, SlowestCallbacks, SourceOptions, TimeoutAction, Timer,
};

const FRAMES: u32 = 120;
const FRAME: Duration = Duration::from_millis(4);

/// Who looks.
type Eyes = (ChromeTrace<BufWriter<File>>, (Histograms, SlowestCallbacks));

struct State {
    handle: LoopHandle<State>,
    frames: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
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

    // What there is to see, while it happens.
    let options = SourceOptions::new().name("display").priority(Priority::Low);
    handle.insert_source_with(options, Timer::from_duration(8 * FRAME), |_, state| {
        state.handle.inspect(show);
        TimeoutAction::ToDuration(8 * FRAME)
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

/// Prints it, each time in the place of the last one on a terminal.
fn show(event_loop: &EventLoop<State>, state: &mut State) {
    let Some((_, (histograms, slowest))) = event_loop.observer::<Eyes>() else { return };
    if std::io::stdout().is_terminal() {
        print!("\x1b[H\x1b[J");
    } else if state.frames < FRAMES {
        return;
    }
    println!("The sources:\n\n{}", event_loop.sources(&state.handle));
    println!("How long their callbacks took:\n\n{histograms}");
    println!("The slowest ones:\n\n{slowest}");
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, frames: 0 };
    insert_sources(&mut state.handle)?;

    event_loop.enable_stats(true);
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("trace.json");
    let trace = ChromeTrace::new(BufWriter::new(File::create(&path)?));
    let eyes: Eyes = (trace, (Histograms::new(), SlowestCallbacks::new(5)));
    event_loop.set_observer(eyes);
    event_loop.run(None, &mut state, |_| ())?;

    show(&event_loop, &mut state);
    let stats = event_loop.stats();
    println!(
        "{} rounds, {} events, {} wake-ups; busy for {:.1?}, asleep for {:.1?}",
        stats.rounds, stats.events, stats.wakeups, stats.busy, stats.asleep
    );

    let (trace, (_, slowest)) =
        event_loop.observer_mut::<Eyes>().ok_or("the observer is the one that was set")?;
    assert!(slowest.iter().any(|slow| slow.name == "frame"), "every 16th is a hard one");
    trace.finish()?;
    let events: Vec<serde_json::Value> = serde_json::from_reader(File::open(&path)?)?;
    let frames = events.iter().filter(|event| event["name"] == "frame").count();
    assert_eq!(frames, FRAMES as usize, "a span for every frame");
    println!("The trace holds {} spans, {frames} of them frames.", events.len());
    Ok(())
}
