//! A process that forks with its loop in the middle of everything. What the child inherits is the parent's epoll instance,
//! not a copy: it drops the loop, or ends without doing so, and the parent's goes on as if nothing had been.
//!
//! And the way for a daemon: the process that stays makes the loop, after it left the one that started it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getppid, setsid};
use soloop::{
    EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction, Ready, Signals,
    TimeoutAction, Timer, channel, make_ping,
};

const LONG: Duration = Duration::from_secs(30);

struct State {
    handle: LoopHandle<State>,
    log: Vec<&'static str>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// A daemon: it answers each byte with what it heard, until there is nobody to answer.
fn serve(stream: UnixStream) -> Result<(), Box<dyn std::error::Error>> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, log: Vec::new() };
    let signals = Signals::new([Signal::SIGUSR2 as i32])?;
    state.handle.insert_source(signals, |_, state: &mut State| state.log.push("s"))?;
    let io = Generic::new(stream, Interest::READ, Mode::Level);
    state.handle.insert_source(io, |ready: Ready<'_, UnixStream>, state: &mut State| {
        let mut byte = [0];
        if ready.io.read(&mut byte)? == 0 {
            state.handle.stop();
            return Ok(PostAction::Remove);
        }
        raise(Signal::SIGUSR2)?;
        let mut writer = ready.io.try_clone()?;
        let timer = Timer::from_duration(Duration::from_millis(2));
        state.handle.insert_timer(timer, move |_, state| {
            let answer = std::mem::take(&mut state.log).concat();
            if writer.write_all(answer.as_bytes()).is_err() {
                state.handle.stop();
            }
            TimeoutAction::Drop
        });
        Ok(PostAction::Continue)
    })?;
    Ok(event_loop.run(None, &mut state, |_| ())?)
}

/// Starts a daemon, whose starter ends at once, and has a loop of its own beside it.
fn daemonise() -> Result<(), Box<dyn std::error::Error>> {
    let (mut ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(LONG))?;
    // SAFETY: there is no other thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(ours);
            setsid()?;
            let starter = getppid();
            // SAFETY: as above.
            let ended = match unsafe { fork() }? {
                ForkResult::Parent { .. } => true,
                ForkResult::Child => serve(theirs).is_ok() && getppid() != starter,
            };
            std::process::exit(if ended { 7 } else { 8 });
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None)?, WaitStatus::Exited(child, 7));
        }
    }
    drop(theirs);
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, log: Vec::new() };
    for _ in 0..3 {
        ours.write_all(b"?")?;
        let timer = Timer::from_duration(Duration::from_millis(1));
        state.handle.insert_timer(timer, |_, state| {
            state.log.push("timer");
            TimeoutAction::Drop
        });
        event_loop.dispatch(LONG, &mut state)?;
        let mut answer = [0];
        ours.read_exact(&mut answer)?;
        assert_eq!((&answer, state.log.pop()), (b"s", Some("timer")));
    }
    println!("the daemon's loop and the starter's are two");
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // While there is no loop.
    daemonise()?;
    for child_drops in [false, true] {
        let (mut event_loop, handle) = EventLoop::new()?;
        let mut state = State { handle, log: Vec::new() };
        let (mut ours, theirs) = UnixStream::pair()?;
        let io = Generic::new(theirs, Interest::READ, Mode::Level);
        state.handle.insert_source(io, |ready: Ready<'_, UnixStream>, state: &mut State| {
            ready.io.read_exact(&mut [0])?;
            state.log.push("fd");
            Ok(PostAction::Continue)
        })?;
        let (sender, messages) = soloop::channel();
        state.handle.insert_source(messages, |event, state: &mut State| {
            if let channel::Event::Msg(()) = event {
                state.log.push("message");
            }
        })?;
        let (ping, pings) = make_ping();
        state.handle.insert_source(pings, |(), state: &mut State| state.log.push("ping"))?;
        let signals = Signals::new([Signal::SIGUSR1 as i32])?;
        state.handle.insert_source(signals, |_, state: &mut State| state.log.push("signal"))?;
        let timer = Timer::from_duration(Duration::from_millis(20));
        state.handle.insert_source(timer, |_, state: &mut State| {
            state.log.push("timer");
            TimeoutAction::Drop
        })?;
        event_loop.dispatch(Duration::ZERO, &mut state)?;
        // Half of what comes is pending while the child is there.
        ours.write_all(b"x")?;
        sender.send(())?;
        raise(Signal::SIGUSR1)?;

        // SAFETY: there is no other thread.
        match unsafe { fork() }? {
            ForkResult::Child => {
                if child_drops {
                    drop((event_loop, state, sender, ping, ours));
                }
                std::process::exit(7);
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None)?, WaitStatus::Exited(child, 7));
            }
        }
        let mut dispatch_until = |state: &mut State, expected: &[&str]| {
            while state.log.len() < expected.len() {
                event_loop.dispatch(LONG, state)?;
            }
            state.log.sort();
            assert_eq!(std::mem::take(&mut state.log), expected);
            Ok::<(), soloop::Error>(())
        };
        dispatch_until(&mut state, &["fd", "message", "signal", "timer"])?;
        ours.write_all(b"x")?;
        dispatch_until(&mut state, &["fd"])?;
        sender.send(())?;
        ping.ping();
        dispatch_until(&mut state, &["message", "ping"])?;
        raise(Signal::SIGUSR1)?;
        dispatch_until(&mut state, &["signal"])?;
        // The timerfd is shared as well.
        let timer = Timer::from_duration(Duration::from_millis(2));
        state.handle.insert_source(timer, |_, state: &mut State| {
            state.log.push("timer");
            TimeoutAction::Drop
        })?;
        dispatch_until(&mut state, &["timer"])?;
    }
    println!("the parent heard of everything");
    Ok(())
}
