//! calloop as the loop of the compositor: everything the program asks of a loop, and all that knows which.
//!
//! `loop_soloop.rs` has the same items for soloop, to be read beside this one. The handle is a plain field
//! of the state; [`Loop`] stays where it is run.
#![allow(unsafe_code, reason = "calloop's Generic gives out its fd to be changed only so")]

use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Instant;

use calloop::channel::{self, Sender, channel};
use calloop::generic::Generic;
use calloop::signals::{Signal, Signals};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventLoop, Interest, LoopHandle, LoopSignal, Mode, PostAction, RegistrationToken};
use smithay::reexports::wayland_server::{Display, ListeningSocket};

use crate::connection::Door;
use crate::control::{self, Conversation};
use crate::state::State;
use crate::{Result, connection};

/// In which order a round's callbacks come: calloop has none but the kernel's.
#[derive(Clone, Copy)]
pub enum Rank {
    First,
    Second,
}

/// Which loop this is.
pub const NAME: &str = "calloop";

/// What callbacks change: a field of the state.
#[derive(Clone)]
pub struct Handle {
    sources: LoopHandle<'static, State>,
    signal: LoopSignal,
}
/// What names a listening socket.
pub struct Listener<S>(RegistrationToken, PhantomData<S>);
/// What takes what insists on a handle of calloop's.
pub type Foreign = LoopHandle<'static, State>;
/// Reaches the state from another thread, or from a place that has no state.
#[derive(Clone)]
pub struct Remote(Sender<Post>);
type Post = Box<dyn FnOnce(&mut State) + Send>;

impl Remote {
    pub fn post(&self, callback: impl FnOnce(&mut State) + Send + 'static) -> bool {
        self.0.send(Box::new(callback)).is_ok()
    }
}

/// What waits and calls back.
pub struct Loop(EventLoop<'static, State>);

impl Loop {
    /// The loop, its handle, and the handle for what insists on one of calloop's: the same one, here.
    pub fn new() -> Result<(Self, Handle, Foreign)> {
        let event_loop = EventLoop::try_new()?;
        let sources = event_loop.handle();
        let handle = Handle { sources: sources.clone(), signal: event_loop.get_signal() };
        Ok((Self(event_loop), handle, sources))
    }

    /// Until somebody stops it.
    pub fn run(&mut self, state: &mut State) -> Result<()> {
        Ok(self.0.run(None, state, State::after_round)?)
    }
}

pub fn stop(handle: &mut Handle) {
    handle.signal.stop();
    handle.signal.wakeup();
}

/// calloop lets nobody look into it.
pub fn inspect(_: &mut Handle, _: &Path) -> Result<()> {
    Err("calloop has no inspector".into())
}

pub fn remote(handle: &mut Handle) -> Result<Remote> {
    let (sender, posts) = channel::<Post>();
    let inserted =
        handle.sources.insert_source(posts, |event, (), state: &mut State| match event {
            channel::Event::Msg(callback) => callback(state),
            channel::Event::Closed => {}
        });
    inserted.map_err(|error| error.error)?;
    Ok(Remote(sender))
}

/// A handle of calloop's, for what insists on one.
pub fn calloop(_: &mut Handle, foreign: &Foreign) -> Result<LoopHandle<'static, State>> {
    Ok(foreign.clone())
}

/// Inserts a source of calloop's kind.
pub fn insert_foreign<S, F>(handle: &mut Handle, source: S, callback: F) -> Result<()>
where
    S: calloop::EventSource + 'static,
    F: FnMut(S::Event, &mut S::Metadata, &mut State) -> S::Ret + 'static,
{
    handle.sources.insert_source(source, callback).map_err(|error| error.error)?;
    Ok(())
}

/// Inserts a source of calloop's kind.
pub fn insert_ranked<S, F>(
    handle: &mut Handle,
    _name: &'static str,
    _rank: Rank,
    source: S,
    callback: F,
) -> Result<()>
where
    S: calloop::EventSource + 'static,
    F: FnMut(S::Event, &mut S::Metadata, &mut State) -> S::Ret + 'static,
{
    insert_foreign(handle, source, callback)
}

/// Calls back whenever what has an fd is readable, as long as that answers true.
pub fn watch<T: AsFd + 'static>(
    handle: &mut Handle,
    _name: &'static str,
    _rank: Rank,
    io: T,
    callback: fn(&mut T, &mut State) -> io::Result<bool>,
) -> Result<()> {
    let source = Generic::new(io, Interest::READ, Mode::Level);
    let inserted = handle.sources.insert_source(source, move |_, io, state: &mut State| {
        // SAFETY: what has the fd is not dropped here.
        let goes_on = callback(unsafe { io.get_mut() }, state)?;
        Ok(if goes_on { PostAction::Continue } else { PostAction::Remove })
    });
    inserted.map_err(|error| error.error)?;
    Ok(())
}

/// Serves the clients of a display.
pub fn serve(handle: &mut Handle, display: Display<State>) -> Result<()> {
    let source = Generic::new(display, Interest::READ, Mode::Level);
    let inserted = handle.sources.insert_source(source, |_, display, state: &mut State| {
        // SAFETY: the display is not dropped here.
        unsafe { display.get_mut() }.dispatch_clients(state)?;
        Ok(PostAction::Continue)
    });
    inserted.map_err(|error| error.error)?;
    Ok(())
}

/// Accepts Wayland clients. When that fails, it is disabled until [`enable`].
pub fn listen(handle: &mut Handle, socket: ListeningSocket) -> Result<Listener<ListeningSocket>> {
    let source = Generic::new(socket, Interest::READ, Mode::Level);
    let inserted = handle.sources.insert_source(source, |_, socket, state: &mut State| {
        let accepted = match socket.accept() {
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
    });
    Ok(Listener(inserted.map_err(|error| error.error)?, PhantomData))
}

pub fn enable<S>(handle: &mut Handle, listener: &Listener<S>) {
    if let Err(error) = handle.sources.enable(&listener.0) {
        eprintln!("compositor: {error}");
    }
}

/// Accepts clients of the control socket, and obeys them line by line. When that fails, it is disabled until
/// [`enable`].
pub fn listen_to_control(
    handle: &mut Handle,
    socket: UnixListener,
) -> Result<Listener<UnixListener>> {
    socket.set_nonblocking(true)?;
    let source = Generic::new(socket, Interest::READ, Mode::Level);
    let inserted = handle.sources.insert_source(source, |_, socket, state: &mut State| {
        let accepted = socket.accept().and_then(|(it, _)| converse(&mut state.handle, it));
        Ok(match accepted {
            Ok(()) => PostAction::Continue,
            // It has hung up meanwhile.
            Err(error) if error.kind() == ErrorKind::WouldBlock => PostAction::Continue,
            Err(error) => {
                connection::take_a_break(state, Door::Control, &error);
                PostAction::Disable
            }
        })
    });
    Ok(Listener(inserted.map_err(|error| error.error)?, PhantomData))
}

fn converse(handle: &mut Handle, stream: UnixStream) -> io::Result<()> {
    let source = Generic::new(Conversation::new(stream)?, Interest::READ, Mode::Level);
    let inserted = handle.sources.insert_source(source, |_, conversation, state| {
        // SAFETY: the conversation is not dropped here.
        let goes_on = control::go_on(unsafe { conversation.get_mut() }, state);
        Ok(if goes_on { PostAction::Continue } else { PostAction::Remove })
    });
    inserted.map(drop).map_err(|error| io::Error::other(error.error))
}

/// Calls back at a deadline, and again whenever that says so.
pub fn at(
    handle: &mut Handle,
    _name: &'static str,
    deadline: Instant,
    mut callback: impl FnMut(&mut State, Instant) -> Option<Instant> + 'static,
) -> Result<()> {
    let timer = Timer::from_deadline(deadline);
    let inserted = handle.sources.insert_source(timer, move |deadline, (), state: &mut State| {
        callback(state, deadline).map_or(TimeoutAction::Drop, TimeoutAction::ToInstant)
    });
    inserted.map_err(|error| error.error)?;
    Ok(())
}

/// Calls back once, when an fd is readable: a fence has been passed.
pub fn when_readable(
    handle: &mut Handle,
    fd: OwnedFd,
    callback: impl FnOnce(&mut State) + 'static,
) -> Result<()> {
    let source = Generic::new(fd, Interest::READ, Mode::OneShot);
    let mut callback = Some(callback);
    let inserted = handle.sources.insert_source(source, move |_, _, state: &mut State| {
        if let Some(callback) = callback.take() {
            callback(state);
        }
        Ok(PostAction::Remove)
    });
    inserted.map_err(|error| error.error)?;
    Ok(())
}

/// Calls back with the number of each of these signals that arrives.
pub fn on_signals(
    handle: &mut Handle,
    signals: &[i32],
    callback: fn(&mut State, i32),
) -> Result<()> {
    let known = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD, Signal::SIGUSR1];
    let signals: Vec<Signal> =
        known.into_iter().filter(|signal| signals.contains(&(*signal as i32))).collect();
    let source = Signals::new(&signals)?;
    let inserted = handle.sources.insert_source(source, move |event, (), state: &mut State| {
        callback(state, event.signal() as i32);
    });
    inserted.map_err(|error| error.error)?;
    Ok(())
}
