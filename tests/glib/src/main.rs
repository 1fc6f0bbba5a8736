//! soloop inside of a GLib main context, by its fd: a timer, an idle and a ping from a thread arrive.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer, make_ping};

struct State {
    handle: LoopHandle<State>,
    log: Vec<&'static str>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, log: Vec::new() };
    let timer = Timer::from_duration(Duration::from_millis(5));
    state.handle.insert_source(timer, |_, state: &mut State| {
        state.log.push("timer");
        state.handle.insert_idle(|state: &mut State| state.log.push("idle"));
        TimeoutAction::Drop
    })?;
    let (ping, source) = make_ping();
    state.handle.insert_source(source, |(), state: &mut State| state.log.push("ping"))?;
    let thread = std::thread::spawn(move || ping.ping());

    let context = glib::MainLoop::new(None, false);
    let fd = event_loop.as_raw_fd();
    let log = Arc::new(Mutex::new(Vec::new()));
    let (quit, result) = (context.clone(), log.clone());
    glib_unix::unix_fd_add_local(fd, glib::IOCondition::IN, move |_, _| {
        event_loop.dispatch(Duration::ZERO, &mut state).expect("no source fails");
        if state.log.len() < 3 {
            return glib::ControlFlow::Continue;
        }
        *result.lock().unwrap() = state.log.clone();
        quit.quit();
        glib::ControlFlow::Break
    });
    context.run();
    thread.join().expect("the thread pings");
    let mut log = log.lock().unwrap().clone();
    log.sort_unstable();
    assert_eq!(log, ["idle", "ping", "timer"]);
    println!("soloop in GLib: {log:?}");
    Ok(())
}
