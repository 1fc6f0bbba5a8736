//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

pub const HELP: &str = "\
A Smithay compositor on soloop.

usage: soloop-smithay [OPTIONS] [-- COMMAND [ARGUMENT]...]...

Each COMMAND is started as a client, with WAYLAND_DISPLAY set; the compositor ends when the last one has
gone. Without any, it starts those of a few well-known clients that are installed, runs for two seconds and
leaves smithay.png.

  --serve            start no clients; run until a signal or the control socket ends it
  --winit            show the output in a window of the X11 or Wayland session this is started in
  --tty              on this terminal, with its screens, keyboards and pointers (seatd or logind gives them)
  --blank SECS       turn the screens of the terminal off when nobody has touched anything for so long
  --xwayland         run X11 programs as well; DISPLAY is set for clients
  --duration SECS    end after this time; with a screenshot, if --screenshot is given
  --screenshot PATH  where a screenshot goes (default: smithay.png); SIGUSR1 takes one
  --size WxH         the size of the output in pixels (default: 1280x720)
  --socket NAME      the name of the socket (default: the first of wayland-1, wayland-2, ... that is free)
  --control PATH     the control socket (default: NAME.control next to the other)
  --inspect PATH     a socket for soloop-top, which shows the running loop
  -h, --help         show this

Alt with the left button moves a window, with the right one resizes it; Alt+Tab goes round, Alt+F4 closes,
Alt+Return arranges the windows side by side, Ctrl+Alt+Backspace ends the compositor, Ctrl+Alt+F1 to F12
go to another terminal. Layouts of keys are those of XKB_DEFAULT_LAYOUT and XKB_DEFAULT_OPTIONS.
Without XDG_RUNTIME_DIR the sockets are in a private directory, which is removed at the end.
SIGINT and SIGTERM end the compositor. The commands of the control socket are listed in control.rs.
";

/// What the compositor is asked to do.
#[derive(Debug)]
pub enum Request {
    Help,
    Run(Options),
}

#[derive(Debug)]
pub struct Options {
    pub clients: Clients,
    pub winit: bool,
    pub tty: bool,
    pub blank: Option<Duration>,
    pub xwayland: bool,
    pub duration: Option<Duration>,
    pub screenshot: Option<PathBuf>,
    pub size: (i32, i32),
    pub socket: Option<OsString>,
    pub control: Option<PathBuf>,
    pub inspect: Option<PathBuf>,
}

#[derive(Debug)]
pub enum Clients {
    Demo,
    None,
    Commands(Vec<Vec<OsString>>),
}

/// Reads the command line, without the name of the program.
///
/// # Errors
///
/// What is wrong with it.
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
        winit: false,
        tty: false,
        blank: None,
        xwayland: false,
        duration: None,
        screenshot: None,
        size: (1280, 720),
        socket: None,
        control: None,
        inspect: None,
    };
    let mut parser = lexopt::Parser::from_args(own.iter().cloned());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("serve") if matches!(options.clients, Clients::Commands(_)) => {
                return Err("--serve and a command exclude each other".into());
            }
            Long("serve") => options.clients = Clients::None,
            Long("winit") if cfg!(feature = "winit") => options.winit = true,
            Long("winit") => return Err("--winit needs the feature winit".into()),
            Long("tty") if cfg!(feature = "tty") => options.tty = true,
            Long("tty") => return Err("--tty needs the feature tty".into()),
            Long("blank") => options.blank = Some(parser.value()?.parse_with(duration)?),
            Long("xwayland") if cfg!(feature = "xwayland") => options.xwayland = true,
            Long("xwayland") => return Err("--xwayland needs the feature xwayland".into()),
            Long("duration") => options.duration = Some(parser.value()?.parse_with(duration)?),
            Long("screenshot") => options.screenshot = Some(parser.value()?.into()),
            Long("size") => options.size = parser.value()?.parse_with(size)?,
            Long("socket") => options.socket = Some(parser.value()?),
            Long("control") => options.control = Some(parser.value()?.into()),
            Long("inspect") => options.inspect = Some(parser.value()?.into()),
            Short('h') | Long("help") => return Ok(Request::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    if options.winit && options.tty {
        return Err("--winit and --tty exclude each other".into());
    }
    Ok(Request::Run(options))
}

fn duration(word: &str) -> Result<Duration, String> {
    let seconds: f64 = word.parse().map_err(|_| format!("{word:?} is not a number"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn size(word: &str) -> Result<(i32, i32), String> {
    let side = |word: &str| word.parse().ok().filter(|side| (64..=8192).contains(side));
    let sides =
        word.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    sides.ok_or_else(|| format!("{word:?} is not WIDTHxHEIGHT, of 64 to 8192 pixels each"))
}
