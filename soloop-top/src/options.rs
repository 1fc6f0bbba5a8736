//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

pub const HELP: &str = "\
Shows what a running soloop program does: its sources, its slow callbacks, and what wakes it up.

usage: soloop-top [OPTIONS] PATH

PATH is the socket of the program's inspector (LoopHandle::insert_inspector).

  --once            print one table of what happened within a second, and end
  --json            print what the program says, a JSON value a line, as long as it runs
  --once --json     print the counts of a second as JSON, and end
  --trace SECS      write a trace of the next SECS seconds to the standard output, for chrome://tracing
                    or ui.perfetto.dev, and end
  --every MS        the time between two snapshots (default: 250)
  --slow MS         how long a callback takes to count as slow (default: 4)
  -h, --help        show this

Keys: q ends, p or space pauses, left and right (or s) choose what to sort by, up and down scroll, / filters by
name or type (enter keeps the filter, escape drops it).
";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Screen,
    Once,
    Json,
    OnceJson,
    Trace(Duration),
}

#[derive(Debug)]
pub struct Options {
    pub path: PathBuf,
    pub mode: Mode,
    pub every: Duration,
    pub slow: Duration,
}

/// Reads the command line, without the name of the program; `None` if help is asked for.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Options>, lexopt::Error> {
    let (mut path, mut once, mut json, mut trace) = (None, false, false, None);
    let (mut every, mut slow) = (Duration::from_millis(250), Duration::from_millis(4));
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("once") => once = true,
            Long("json") => json = true,
            Long("trace") => trace = Some(duration(&mut parser, 1.0)?),
            Long("every") => every = duration(&mut parser, 0.001)?,
            Long("slow") => slow = duration(&mut parser, 0.001)?,
            Short('h') | Long("help") => return Ok(None),
            Value(value) if path.is_none() => path = Some(PathBuf::from(value)),
            _ => return Err(argument.unexpected()),
        }
    }
    let mode = match (once, json, trace) {
        (false, false, None) => Mode::Screen,
        (true, false, None) => Mode::Once,
        (false, true, None) => Mode::Json,
        (true, true, None) => Mode::OnceJson,
        (false, false, Some(time)) => Mode::Trace(time),
        _ => return Err("--trace goes with neither --once nor --json".into()),
    };
    let path = path.ok_or("the path of the program's socket is missing; see --help")?;
    Ok(Some(Options { path, mode, every, slow }))
}

fn duration(parser: &mut lexopt::Parser, unit: f64) -> Result<Duration, lexopt::Error> {
    let number = parser.value()?.parse_with(str::parse::<f64>)?;
    Duration::try_from_secs_f64(number * unit).map_err(|error| lexopt::Error::Custom(error.into()))
}
