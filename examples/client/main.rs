//! A Wayland client with a window of its own: one event loop, one state.
//!
//! ```text
//! cargo run --example client --features wayland-client
//! cargo run --example client --features wayland-client -- --help
//! ```
//!
//! It shows the Mandelbrot set. The arrow keys move it, Page Up and Page Down and the pointer's buttons zoom,
//! what is typed appears at the bottom, Escape ends it. It needs a compositor; the one in `examples/compositor`
//! will do.
//!
//! | source | module | what it does |
//! |---|---|---|
//! | `WaylandSource` | `display` | the compositor's events |
//! | `Timer` | `keyboard` | repeats the key that is held down, there only while one is |
//! | a channel | `fractal` | pictures of a worker thread |
//! | `Signals` | here | SIGINT and SIGTERM end it in order |
//!
//! All of them meet in the one [`State`], which each callback gets as `&mut`, the handle of the loop a plain field
//! of it.

#![expect(unreachable_pub, reason = "in a program, `pub` tells what a module offers to the others")]

mod buffers;
mod display;
mod fractal;
mod keyboard;
mod options;
mod picture;
mod state;
mod window;

use std::error::Error;
use std::process::ExitCode;

use options::{Options, Request};
use soloop::signals::consts::{SIGINT, SIGTERM};
use soloop::{EventLoop, Signals, SourceOptions, WaylandSource, channel};
use state::State;
use wayland_client::backend::WaylandError;
use wayland_client::{Connection, DispatchError};

fn main() -> ExitCode {
    let result = match options::parse(std::env::args_os().skip(1)) {
        Ok(Request::Help) => {
            print!("{}", options::HELP);
            Ok(())
        }
        Ok(Request::Run(options)) => run(&options),
        Err(error) => {
            eprintln!("client: {error}\n\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let connection = display::connect()?;
    let (event_loop, handle) = EventLoop::new()?;
    let (queue, globals) = display::globals(&connection)?;
    let (worker, pictures) = fractal::start()?;
    let mut state = State::new(handle, options, worker, &globals, &queue.handle())?;

    let handle = &mut state.handle;
    handle.insert_source_with(
        SourceOptions::new().name("compositor"),
        WaylandSource::new(connection.clone(), queue),
        |queue, state: &mut State| queue.dispatch_pending(state),
    )?;
    handle.insert_source(pictures, |event, state: &mut State| match event {
        channel::Event::Msg(picture) => state.rendered(picture),
        channel::Event::Closed => state.fail("the thread that computes has ended".into()),
    })?;
    handle.insert_source(Signals::new([SIGINT, SIGTERM])?, |signal, state: &mut State| {
        state.tell(format_args!("signal {}", signal.number));
        state.handle.stop();
    })?;

    let outcome = serve(event_loop, &mut state);
    state.end();
    outcome?;
    // The window goes before the connection does.
    Ok(flush(&connection)?)
}

fn serve(mut event_loop: EventLoop<State>, state: &mut State) -> Result<(), Box<dyn Error>> {
    event_loop.run(None, state, |_| ()).map_err(explain)?;
    match state.failure.take() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Says in words what became of the connection.
fn explain(error: soloop::Error) -> Box<dyn Error> {
    let soloop::Error::Source { error: cause, .. } = &error else { return error.into() };
    let failure = match cause.downcast_ref() {
        Some(DispatchError::Backend(failure)) => Some(failure),
        _ => cause.downcast_ref(),
    };
    match failure {
        Some(WaylandError::Io(io)) => format!("the compositor has gone: {io}").into(),
        Some(WaylandError::Protocol(refusal)) => {
            format!("the compositor refuses: {refusal}").into()
        }
        None => error.into(),
    }
}

fn flush(connection: &Connection) -> Result<(), WaylandError> {
    match connection.flush() {
        // A compositor that has gone meanwhile has nothing to tidy up.
        Err(WaylandError::Io(_)) => Ok(()),
        result => result,
    }
}
