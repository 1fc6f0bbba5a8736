//! soloop as the loop of the compositor: everything the program asks of a loop, and all that knows which.
//!
//! `loop_calloop.rs` has the same items for calloop, to be read beside this one. The handle is a plain field
//! of the state; [`Loop`] stays where it is run.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Instant;

use smithay::reexports::wayland_server::{Display, ListeningSocket};
use soloop::{
    CalloopLoop, EventLoop, Generic, Inspector, Interest, LoopData, LoopHandle, Mode, PostAction,
    Priority, Signals, SourceOptions, TimeoutAction, Timer, Token,
};

use crate::connection::Door;
use crate::control::{self, Conversation};
use crate::state::State;
use crate::{Result, connection};

/// In which order a round's callbacks come: input, then frames, then clients.
#[derive(Clone, Copy)]
pub enum Rank {
    First,
    Second,
}

/// Which loop this is.
pub const NAME: &str = "soloop";

/// What callbacks change: a field of the state.
pub type Handle = LoopHandle<State>;
/// What names a listening socket.
pub type Listener<S> = Token<Generic<S>>;
/// Names the loop for what insists on a handle of calloop's.
pub type Foreign = Token<CalloopLoop<State>>;
/// Reaches the state from another thread, or from a place that has no state.
pub type Remote = soloop::Remote<State>;

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// What waits and calls back.
pub struct Loop(EventLoop<State>);

impl Loop {
    /// The loop, its handle, and the loop for what insists on a handle of calloop's.
    pub fn new() -> Result<(Self, Handle, Foreign)> {
        let (event_loop, mut handle) = EventLoop::new()?;
        let foreign = handle.insert_calloop_on_demand(calloop::EventLoop::try_new()?)?;
        Ok((Self(event_loop), handle, foreign))
    }

    /// Until somebody stops it.
    pub fn run(&mut self, state: &mut State) -> Result<()> {
        Ok(self.0.run(None, state, State::after_round)?)
    }
}

pub fn stop(handle: &mut Handle) {
    handle.stop();
}

/// Lets soloop-top look into the loop.
pub fn inspect(handle: &mut Handle, path: &Path) -> Result<()> {
    handle.insert_inspector(Inspector::bind(path)?)?;
    Ok(())
}

pub fn remote(handle: &mut Handle) -> Result<Remote> {
    Ok(handle.remote())
}

/// A handle of calloop's, for what insists on one; something is about to be asked of it.
pub fn calloop(
    handle: &mut Handle,
    foreign: &Foreign,
) -> Result<calloop::LoopHandle<'static, State>> {
    Ok(handle.calloop(*foreign).ok_or("the loop for calloop's sources is gone")?)
}

/// Inserts a source of calloop's kind.
pub fn insert_foreign<S, F>(handle: &mut Handle, source: S, callback: F) -> Result<()>
where
    S: calloop::EventSource + 'static,
    F: FnMut(S::Event, &mut S::Metadata, &mut State) -> S::Ret + 'static,
{
    handle.insert_calloop_source(source, callback)?;
    Ok(())
}

/// Inserts a source of calloop's kind, with a name and a rank.
pub fn insert_ranked<S, F>(
    handle: &mut Handle,
    name: &'static str,
    rank: Rank,
    source: S,
    callback: F,
) -> Result<()>
where
    S: calloop::EventSource + 'static,
    F: FnMut(S::Event, &mut S::Metadata, &mut State) -> S::Ret + 'static,
{
    handle.insert_calloop_source_with(options(name, rank), source, callback)?;
    Ok(())
}

fn options(name: &'static str, rank: Rank) -> SourceOptions {
    let priority = match rank {
        Rank::First => Priority::High,
        Rank::Second => Priority::Normal,
    };
    SourceOptions::new().name(name).priority(priority)
}

/// Calls back whenever what has an fd is readable, as long as that answers true.
pub fn watch<T: AsFd + 'static>(
    handle: &mut Handle,
    name: &'static str,
    rank: Rank,
    io: T,
    callback: fn(&mut T, &mut State) -> io::Result<bool>,
) -> Result<()> {
    let source = Generic::new(io, Interest::READ, Mode::Level);
    handle.insert_source_with(options(name, rank), source, move |ready, state: &mut State| {
        let goes_on = callback(ready.io, state)?;
        Ok(if goes_on { PostAction::Continue } else { PostAction::Remove })
    })?;
    Ok(())
}

/// Serves the clients of a display.
pub fn serve(handle: &mut Handle, display: Display<State>) -> Result<()> {
    let source = Generic::new(display, Interest::READ, Mode::Level);
    let options = SourceOptions::new().name("wayland clients").priority(Priority::Low);
    handle.insert_source_with(options, source, |ready, state: &mut State| {
        ready.io.dispatch_clients(state)?;
        Ok(PostAction::Continue)
    })?;
    Ok(())
}

/// Accepts Wayland clients. When that fails, it is disabled until [`enable`].
pub fn listen(handle: &mut Handle, socket: ListeningSocket) -> Result<Listener<ListeningSocket>> {
    let source = Generic::new(socket, Interest::READ, Mode::Level);
    let options = SourceOptions::new().name("wayland socket");
    Ok(handle.insert_source_with(options, source, |ready, state: &mut State| {
        let accepted = match ready.io.accept() {
            Ok(Some(stream)) => connection::welcome(state, stream).map(drop),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        Ok(match accepted {
            Ok(()) => PostAction::Continue,
            Err(error) => {
                connection::take_a_break(state, Door::Wayland, &error);
                PostAction::Disable
            }
        })
    })?)
}

pub fn enable<S>(handle: &mut Handle, listener: &Listener<S>) {
    handle.enable(listener);
}

/// Accepts clients of the control socket, and obeys them line by line. When that fails, it is disabled until
/// [`enable`].
pub fn listen_to_control(
    handle: &mut Handle,
    socket: UnixListener,
) -> Result<Listener<UnixListener>> {
    socket.set_nonblocking(true)?;
    let source = Generic::new(socket, Interest::READ, Mode::Level);
    let options = SourceOptions::new().name("control socket");
    Ok(handle.insert_source_with(options, source, |ready, state: &mut State| {
        let accepted = ready.io.accept().and_then(|(it, _)| converse(&mut state.handle, it));
        Ok(match accepted {
            Ok(()) => PostAction::Continue,
            // It has hung up meanwhile.
            Err(error) if error.kind() == ErrorKind::WouldBlock => PostAction::Continue,
            Err(error) => {
                connection::take_a_break(state, Door::Control, &error);
                PostAction::Disable
            }
        })
    })?)
}

fn converse(handle: &mut Handle, stream: UnixStream) -> io::Result<()> {
    let source = Generic::new(Conversation::new(stream)?, Interest::READ, Mode::Level);
    handle.insert_source(source, |ready, state: &mut State| {
        let goes_on = control::go_on(ready.io, state);
        Ok(if goes_on { PostAction::Continue } else { PostAction::Remove })
    })?;
    Ok(())
}

/// Calls back at a deadline, before the clients are served, and again whenever that says so.
pub fn at(
    handle: &mut Handle,
    name: &'static str,
    deadline: Instant,
    mut callback: impl FnMut(&mut State, Instant) -> Option<Instant> + 'static,
) -> Result<()> {
    let options = SourceOptions::new().name(name);
    let timer = Timer::from_deadline(deadline);
    handle.insert_source_with(options, timer, move |deadline, state: &mut State| {
        callback(state, deadline).map_or(TimeoutAction::Drop, TimeoutAction::ToInstant)
    })?;
    Ok(())
}

/// Calls back once, when an fd is readable: a fence has been passed.
pub fn when_readable(
    handle: &mut Handle,
    fd: OwnedFd,
    callback: impl FnOnce(&mut State) + 'static,
) -> Result<()> {
    let source = Generic::new(fd, Interest::READ, Mode::OneShot);
    handle.insert_once(source, |_, state: &mut State| {
        callback(state);
        Ok(PostAction::Remove)
    })?;
    Ok(())
}

/// Calls back with the number of each of these signals that arrives.
pub fn on_signals(
    handle: &mut Handle,
    signals: &[i32],
    callback: fn(&mut State, i32),
) -> Result<()> {
    handle.insert_source(Signals::new(signals)?, move |signal, state: &mut State| {
        callback(state, signal.number);
    })?;
    Ok(())
}
