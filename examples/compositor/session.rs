//! A session from its beginning to its end: sockets, sources, children, and the loop.

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use soloop::{EventLoop, Inspector, Priority, Signals, SourceOptions, TimeoutAction, Timer};
use wayland_server::Display;

use crate::clients::Clients;
use crate::control::Control;
use crate::demo;
use crate::fds;
use crate::geometry::Rect;
use crate::input::Input;
use crate::insight;
use crate::options::{self, Options};
use crate::protocol::{Protocol, connection};
use crate::rendering::{Rendering, decoration};
use crate::sockets::{ControlSocket, RuntimeDir, bind};
use crate::state::{Purpose, State};

/// How long the demonstration runs.
const DEMO: Duration = Duration::from_secs(2);
/// Where screenshots go if nothing else is said.
const SCREENSHOT: &str = "compositor.png";

/// Runs the compositor to its end.
pub fn run(options: Options) -> Result<(), Box<dyn Error>> {
    // Removed at the end, after everything in it.
    let runtime = RuntimeDir::find()?;
    let (socket, name) = bind(runtime.path(), options.socket.as_deref())?;
    let control = options.control.clone().unwrap_or_else(|| {
        let mut file = name.clone();
        file.push(".control");
        runtime.path().join(file)
    });
    let (control, control_listener) = ControlSocket::bind(control)?;

    let (mut event_loop, mut handle) = EventLoop::<State>::new()?;
    insight::watch(&mut event_loop, options.trace.as_deref())?;
    let display = Display::<State>::new()?;
    let mut state = State {
        protocol: Protocol::insert(&mut handle, display, socket, options.size)?,
        input: Input::new(&handle),
        rendering: Rendering::insert(&mut handle, options.size)?,
        control: Control::insert(&mut handle, control_listener)?,
        clients: Clients::insert(&mut handle)?,
        background: decoration::background(options.size),
        cursor_area: Rect::default(),
        active: None,
        screenshots: HashMap::new(),
        ending: false,
        handle,
    };
    if let Some(path) = &options.inspect {
        state.handle.insert_inspector(Inspector::bind(path)?)?;
    }
    listen_to_signals(&mut state, options.screenshot.clone())?;
    announce(&format!(
        "compositor: XDG_RUNTIME_DIR={} WAYLAND_DISPLAY={} control={}",
        runtime.path().display(),
        name.display(),
        control.path().display()
    ));

    start_clients(&mut state, &options.clients, runtime.path(), &name)?;
    // Each client takes four of them.
    if let Err(error) = fds::raise_limit() {
        eprintln!("compositor: the limit of file descriptors stays as it is: {error}");
    }
    let demo = matches!(options.clients, options::Clients::Demo);
    if let Some(duration) = options.duration.or(demo.then_some(DEMO)) {
        let last_picture = options.screenshot.or(demo.then(|| SCREENSHOT.into()));
        end_after(&mut state, duration, last_picture)?;
    }

    event_loop.run(None, &mut state, connection::flush)?;
    state.rendering.finish();
    for line in state.statistics() {
        announce(&line);
    }
    insight::finish(&mut event_loop)
        .map_err(|error| format!("the trace could not be written: {error}").into())
}

/// Tells whoever reads the output, if anyone does.
pub fn announce(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn listen_to_signals(state: &mut State, screenshot: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let screenshot = screenshot.unwrap_or_else(|| SCREENSHOT.into());
    let signals = [Signal::INT, Signal::TERM, Signal::USR1].map(Signal::as_raw);
    let options = SourceOptions::new().name("signals").priority(Priority::High);
    let source = Signals::new(signals)?;
    state.handle.insert_source_with(options, source, move |signal, state: &mut State| {
        if signal.number == Signal::USR1.as_raw() {
            state.take_screenshot(screenshot.clone(), Purpose::Announce);
        } else {
            state.handle.stop();
        }
    })?;
    Ok(())
}

/// Ends the session in a while, with a last picture of it.
fn end_after(
    state: &mut State,
    duration: Duration,
    picture: Option<PathBuf>,
) -> Result<(), Box<dyn Error>> {
    let options = SourceOptions::new().name("end of the session");
    let timer = Timer::from_duration(duration);
    state.handle.insert_once_with(options, timer, move |_, state: &mut State| {
        if let Some(path) = picture {
            state.take_screenshot(path, Purpose::Announce);
        }
        state.end();
        TimeoutAction::Drop
    })?;
    Ok(())
}

fn start_clients(
    state: &mut State,
    clients: &options::Clients,
    runtime: &Path,
    display: &OsStr,
) -> Result<(), Box<dyn Error>> {
    let commands = match clients {
        options::Clients::None => return Ok(()),
        options::Clients::Commands(commands) => commands.clone(),
        options::Clients::Demo => {
            let me = std::env::current_exe()?.into_os_string();
            let command = |name: &&str| vec![me.clone(), "demo-client".into(), name.into()];
            demo::NAMES.iter().map(command).collect()
        }
    };
    for words in commands {
        let Some((program, arguments)) = words.split_first() else { continue };
        let mut command = Command::new(program);
        command.args(arguments).env("XDG_RUNTIME_DIR", runtime).env("WAYLAND_DISPLAY", display);
        // What would lead a client elsewhere.
        command.env_remove("WAYLAND_SOCKET").env_remove("DISPLAY");
        let name = program.display().to_string();
        let started = state.clients.start(name.clone(), &mut command);
        started.map_err(|error| format!("{name} can't be started: {error}"))?;
    }
    Ok(())
}
