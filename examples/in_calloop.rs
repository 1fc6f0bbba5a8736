//! soloop as a source of a calloop loop: a program that moves one module at a time, and begins at the leaves.
//!
//! `cargo run --example in_calloop`: a calloop program with a ping of its own. Its notifications are a module that is
//! on soloop already, with timers, a channel from a thread and idles. The inner loop's fd is readable
//! exactly when there is something to dispatch, timers and what was asked of its handle in between included, so that
//! the outer loop has no deadline to know of. (The other direction: `examples/hosts_calloop.rs`.)

use std::error::Error;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use calloop::generic::Generic;
use calloop::ping::make_ping;
use calloop::{Interest, LoopSignal, Mode, PostAction};
use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer, channel};

/// The module that is on soloop.
struct Notifications {
    handle: LoopHandle<Notifications>,
    shown: Vec<String>,
    expired: usize,
}

impl LoopData for Notifications {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl Notifications {
    fn show(&mut self, text: String) -> Result<(), soloop::Error> {
        println!("shows {text:?}");
        self.shown.push(text);
        let timeout = Timer::from_duration(Duration::from_millis(20));
        self.handle.insert_source(timeout, |_deadline, notifications| {
            println!("hides {:?}", notifications.shown.remove(0));
            notifications.expired += 1;
            TimeoutAction::Drop
        })?;
        Ok(())
    }
}

/// The program around it, still on calloop.
struct Program {
    notifications: Notifications,
    notifications_loop: EventLoop<Notifications>,
    signal: LoopSignal,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (notifications_loop, handle) = EventLoop::new()?;
    let mut notifications = Notifications { handle, shown: Vec::new(), expired: 0 };
    let (sender, messages) = soloop::channel();
    notifications.handle.insert_source(messages, |event, notifications: &mut Notifications| {
        if let channel::Event::Msg(text) = event {
            notifications.show(text).expect("a timer can always be inserted");
        }
    })?;

    let mut event_loop = calloop::EventLoop::<Program>::try_new()?;
    // A duplicate of the fd: calloop lends what it owns to its callback only in an unsafe way, and the loop is wanted
    // there by value.
    let fd: OwnedFd = notifications_loop.as_fd().try_clone_to_owned()?;
    let source = Generic::new(fd, Interest::READ, Mode::Level);
    event_loop.handle().insert_source(source, |_readiness, _fd, program| {
        let Program { notifications, notifications_loop, signal } = program;
        notifications_loop.dispatch(Duration::ZERO, notifications).map_err(io::Error::other)?;
        if notifications.expired == 2 {
            signal.stop();
        }
        Ok(PostAction::Continue)
    })?;

    // A callback of calloop's that uses the module: nothing has to be dispatched afterwards.
    let (ping, pings) = make_ping()?;
    event_loop.handle().insert_source(pings, |(), _, program| {
        let text = String::from("from a callback of calloop's");
        program.notifications.show(text).expect("a timer can always be inserted");
    })?;
    ping.ping();
    let thread = std::thread::spawn(move || sender.send(String::from("from a thread")));

    let mut program =
        Program { notifications, notifications_loop, signal: event_loop.get_signal() };
    event_loop.run(None, &mut program, |_program| ())?;
    thread.join().expect("the thread sends and ends")?;
    assert!(program.notifications.shown.is_empty());
    Ok(())
}
