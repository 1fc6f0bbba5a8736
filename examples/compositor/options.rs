//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

pub const HELP: &str = "\
A headless Wayland compositor: one event loop, one state.

usage: compositor [OPTIONS] [-- COMMAND [ARGUMENT]...]...

Each COMMAND is started as a client, with WAYLAND_DISPLAY set; the compositor ends when the last one has
gone. Without any, it starts clients of its own, runs for two seconds and leaves compositor.png.

  --serve            start no clients; run until a signal or the control socket ends it
  --duration SECS    end after this time; with a screenshot, if --screenshot is given
  --screenshot PATH  where a screenshot goes (default: compositor.png); SIGUSR1 takes one
  --size WxH         the size of the output in pixels (default: 1280x720)
  --socket NAME      the name of the socket (default: the first of wayland-1, wayland-2, ... that is free)
  --control PATH     the control socket (default: NAME.control next to the other)
  --trace FILE       write what the loop does and when, for chrome://tracing or ui.perfetto.dev
  --inspect PATH     a socket for soloop-top, which shows the running loop
  -h, --help         show this

Without XDG_RUNTIME_DIR the sockets are in a private directory, which is removed at the end.
SIGINT and SIGTERM end the compositor. The commands of the control socket are listed in control.rs.
";

/// What the compositor is asked to do.
#[derive(Debug)]
pub enum Request {
    Help,
    Run(Options),
    /// Be a client of the demo; nobody types this.
    DemoClient(String),
}

#[derive(Debug)]
pub struct Options {
    pub clients: Clients,
    pub duration: Option<Duration>,
    pub screenshot: Option<PathBuf>,
    pub size: (i32, i32),
    pub socket: Option<OsString>,
    pub control: Option<PathBuf>,
    pub trace: Option<PathBuf>,
    pub inspect: Option<PathBuf>,
}

#[derive(Debug)]
pub enum Clients {
    Demo,
    None,
    Commands(Vec<Vec<OsString>>),
}

/// Reads the command line, without the name of the program.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, lexopt::Error> {
    let arguments: Vec<OsString> = arguments.collect();
    let mut parts = arguments.split(|argument| argument == "--");
    let own = parts.next().unwrap_or_default();
    let commands: Vec<Vec<OsString>> = parts.map(<[_]>::to_vec).collect();
    if commands.iter().any(Vec::is_empty) {
        return Err("a command is missing after --".into());
    }
    let mut options = Options {
        clients: if commands.is_empty() { Clients::Demo } else { Clients::Commands(commands) },
        duration: None,
        screenshot: None,
        size: (1280, 720),
        socket: None,
        control: None,
        trace: None,
        inspect: None,
    };
    let mut parser = lexopt::Parser::from_args(own.iter().cloned());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("serve") if matches!(options.clients, Clients::Commands(_)) => {
                return Err("--serve and a command exclude each other".into());
            }
            Long("serve") => options.clients = Clients::None,
            Long("duration") => {
                let seconds = parser.value()?.parse_with(str::parse::<f64>)?;
                let duration = Duration::try_from_secs_f64(seconds)
                    .map_err(|error| lexopt::Error::Custom(error.into()))?;
                options.duration = Some(duration);
            }
            Long("screenshot") => options.screenshot = Some(parser.value()?.into()),
            Long("size") => options.size = parser.value()?.parse_with(size)?,
            Long("socket") => options.socket = Some(parser.value()?),
            Long("control") => options.control = Some(parser.value()?.into()),
            Long("trace") => options.trace = Some(parser.value()?.into()),
            Long("inspect") => options.inspect = Some(parser.value()?.into()),
            Short('h') | Long("help") => return Ok(Request::Help),
            Value(word) if word == "demo-client" => {
                return Ok(Request::DemoClient(parser.value()?.string()?));
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Request::Run(options))
}

fn size(word: &str) -> Result<(i32, i32), String> {
    let side = |word: &str| word.parse().ok().filter(|side| (64..=8192).contains(side));
    let sides =
        word.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    sides.ok_or_else(|| format!("{word:?} is not WIDTHxHEIGHT, of 64 to 8192 pixels each"))
}
