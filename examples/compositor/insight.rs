//! What can be seen of the loop: the table of its sources, how long their callbacks take, and a trace.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use soloop::{ChromeTrace, EventLoop, Histograms, LoopHandle, SlowestCallbacks};

/// How many of the slowest callbacks are remembered.
const SLOWEST: usize = 5;

/// Who looks: at all that happens, and into a file if that is asked for.
type Eyes = ((Histograms, SlowestCallbacks), Option<ChromeTrace<BufWriter<File>>>);

/// Looks at the loop from now on, and writes a trace of it to `trace`.
pub fn watch<D>(event_loop: &mut EventLoop<D>, trace: Option<&Path>) -> io::Result<()> {
    let file = trace.map(File::create).transpose()?;
    let trace = file.map(|file| ChromeTrace::new(BufWriter::new(file)));
    let eyes: Eyes = ((Histograms::new(), SlowestCallbacks::new(SLOWEST)), trace);
    event_loop.set_observer(eyes);
    event_loop.enable_stats(true);
    Ok(())
}

/// What was seen so far: the loop, and, each line of them indented, three tables.
pub fn report<D>(event_loop: &EventLoop<D>, handle: &LoopHandle<D>) -> Vec<String> {
    let stats = event_loop.stats();
    let mut lines = vec![format!(
        "loop: {} rounds, {} callbacks of sources, {} wake-ups, busy for {:.1?}, asleep for {:.1?}",
        stats.rounds, stats.events, stats.wakeups, stats.busy, stats.asleep
    )];
    let mut add = |title: &str, table: String| {
        lines.push(title.to_owned());
        lines.extend(table.lines().map(|line| format!("  {line}")));
    };
    add("sources:", event_loop.sources(handle).to_string());
    if let Some(((histograms, slowest), _)) = event_loop.observer::<Eyes>() {
        add("callbacks:", histograms.to_string());
        add("slowest callbacks:", slowest.to_string());
    }
    lines
}

/// Ends the trace, if there is one.
pub fn finish<D>(event_loop: &mut EventLoop<D>) -> io::Result<()> {
    let eyes = event_loop.observer_mut::<Eyes>();
    eyes.and_then(|(_, trace)| trace.as_mut()).map_or(Ok(()), ChromeTrace::finish)
}
