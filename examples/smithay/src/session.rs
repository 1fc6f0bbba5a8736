//! A session from its beginning to its end: sockets, sources, children, and the loop.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use smithay::reexports::wayland_server::Display;

use crate::backend::Backend;
use crate::backend::headless::Headless;
use crate::event_loop::{self, Loop};
use crate::options::{self, Options};
use crate::sockets::{ControlSocket, RuntimeDir, bind};
use crate::state::State;
use crate::{Result, clients, placing, render};

/// How long the demonstration runs.
const DEMO: Duration = Duration::from_secs(2);
/// Where screenshots go if nothing else is said.
const SCREENSHOT: &str = "smithay.png";
/// What the demonstration shows, as far as it is installed.
const DEMO_CLIENTS: [&[&str]; 6] = [
    &["weston-flower"],
    &["weston-simple-shm"],
    &["weston-terminal", "--shell=/bin/sh"],
    &["foot", "--window-size-pixels=420x260", "sh", "-c", "echo one state, one loop; exec cat"],
    &["weston-smoke"],
    &["weston-clickdot"],
];

/// A compositor without clients and without sockets, and the loop to run it on.
///
/// # Errors
///
/// The loop or the display can't be made, or something that they need.
pub fn compositor(backend: Backend) -> Result<(Loop, State)> {
    let (event_loop, mut handle, foreign) = Loop::new()?;
    let display = Display::<State>::new()?;
    let display_handle = display.handle();
    event_loop::serve(&mut handle, display)?;
    let state = State::new(handle, foreign, &display_handle, backend)?;
    Ok((event_loop, state))
}

/// Runs the compositor to its end.
///
/// # Errors
///
/// What keeps it from starting, or ends it.
pub fn run(options: Options) -> Result<()> {
    raise_fd_limit();
    // Removed at the end, after everything in it.
    let runtime = RuntimeDir::find()?;
    let (socket, name) = bind(runtime.path(), options.socket.as_deref())?;
    let control = options.control.clone().unwrap_or_else(|| {
        let mut file = name.clone();
        file.push(".control");
        runtime.path().join(file)
    });
    let (control, control_listener) = ControlSocket::bind(control)?;

    let (mut event_loop, mut state) = start(&options)?;
    let wayland = event_loop::listen(&mut state.handle, socket)?;
    let controls = event_loop::listen_to_control(&mut state.handle, control_listener)?;
    state.connections.set_listeners(wayland, controls);
    if let Some(path) = &options.inspect {
        event_loop::inspect(&mut state.handle, path)?;
    }
    listen_to_signals(&mut state, options.screenshot.clone())?;
    announce(&format!(
        "compositor: XDG_RUNTIME_DIR={} WAYLAND_DISPLAY={} control={}",
        runtime.path().display(),
        name.display(),
        control.path().display()
    ));

    #[cfg(feature = "xwayland")]
    if options.xwayland {
        let display = crate::xwayland::start(&mut state, runtime.path())?;
        announce(&format!("compositor: DISPLAY={display}"));
    }
    start_clients(&mut state, &options.clients, runtime.path(), &name)?;
    let demo = matches!(options.clients, options::Clients::Demo);
    if demo {
        let halfway = Instant::now() + DEMO / 2;
        event_loop::at(&mut state.handle, "arrange", halfway, |state, _| {
            placing::tile(state);
            None
        })?;
    }
    if let Some(duration) = options.duration.or(demo.then_some(DEMO)) {
        let last_picture = options.screenshot.or(demo.then(|| SCREENSHOT.into()));
        end_after(&mut state, duration, last_picture)?;
    }

    event_loop.run(&mut state)?;
    for line in state.statistics() {
        announce(&line);
    }
    match state.backend.take_end() {
        Some(reason) => Err(reason.into()),
        None => Ok(()),
    }
}

fn start(options: &Options) -> Result<(Loop, State)> {
    #[cfg(feature = "winit")]
    if options.winit {
        let (winit, events) = crate::backend::winit::Winit::new(options.size)?;
        let (event_loop, mut state) = compositor(winit.into())?;
        crate::backend::winit::listen(&mut state, events)?;
        return Ok((event_loop, state));
    }
    #[cfg(feature = "tty")]
    if options.tty {
        return crate::tty::start(options);
    }
    compositor(Backend::Headless(Headless::new(options.size)?))
}

/// Each client takes a few fds.
fn raise_fd_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Clients are refused, one by one, when fds run out.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Tells whoever reads the output, if anyone does.
fn announce(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn announce_picture(result: Result<String, String>) {
    match result {
        Ok(word) => announce(&format!("compositor: wrote {word}")),
        Err(message) => eprintln!("compositor: {message}"),
    }
}

fn listen_to_signals(state: &mut State, screenshot: Option<PathBuf>) -> Result<()> {
    state.screenshot_path = screenshot.unwrap_or_else(|| SCREENSHOT.into());
    let signals = [Signal::INT, Signal::TERM, Signal::USR1, Signal::CHILD].map(Signal::as_raw);
    event_loop::on_signals(&mut state.handle, &signals, |state, signal| {
        if signal == Signal::CHILD.as_raw() {
            clients::reap(state);
        } else if signal == Signal::USR1.as_raw() {
            let path = state.screenshot_path.clone();
            render::take_screenshot(state, &path, announce_picture);
        } else {
            event_loop::stop(&mut state.handle);
        }
    })
}

/// Ends the session in a while, with a last picture of it.
fn end_after(state: &mut State, duration: Duration, picture: Option<PathBuf>) -> Result<()> {
    let end = Instant::now() + duration;
    event_loop::at(&mut state.handle, "end", end, move |state, _| {
        if let Some(path) = &picture {
            render::take_screenshot(state, path, announce_picture);
        }
        event_loop::stop(&mut state.handle);
        None
    })
}

fn start_clients(
    state: &mut State,
    clients: &options::Clients,
    runtime: &Path,
    display: &OsStr,
) -> Result<()> {
    let commands = match clients {
        options::Clients::None => return Ok(()),
        options::Clients::Commands(commands) => commands.clone(),
        options::Clients::Demo => demo_clients()?,
    };
    for words in commands {
        let Some((program, arguments)) = words.split_first() else { continue };
        let mut command = Command::new(program);
        command.args(arguments).env("XDG_RUNTIME_DIR", runtime).env("WAYLAND_DISPLAY", display);
        // What would lead a client elsewhere.
        command.env_remove("WAYLAND_SOCKET").env_remove("DISPLAY");
        #[cfg(feature = "xwayland")]
        if let Some(xwayland) = &state.xwayland {
            command.env("DISPLAY", &xwayland.display);
        }
        let name = program.display().to_string();
        let started = state.clients.start(name.clone(), &mut command);
        started.map_err(|error| format!("{name} can't be started: {error}"))?;
    }
    Ok(())
}

fn demo_clients() -> Result<Vec<Vec<std::ffi::OsString>>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = |words: &&&[&str]| {
        std::env::split_paths(&path).any(|directory| directory.join(words[0]).exists())
    };
    let commands: Vec<Vec<_>> = DEMO_CLIENTS
        .iter()
        .filter(installed)
        .map(|words| words.iter().map(Into::into).collect())
        .collect();
    if commands.is_empty() {
        let names: Vec<&str> = DEMO_CLIENTS.iter().map(|words| words[0]).collect();
        return Err(
            format!("none of {} is installed: ./setup installs them", names.join(", ")).into()
        );
    }
    Ok(commands)
}
