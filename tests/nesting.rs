//! soloop inside of other loops, by its fd. (In another soloop: tests/rules.rs; in GLib: tests/glib.)

mod common;

use std::os::fd::AsFd;
use std::time::Duration;

use common::{State, ZERO, new_loop};
use soloop::{EventLoop, TimeoutAction, Timer, make_ping};

/// A loop with work from a thread, a timer, and an idle that each of them inserts; a stop of its own after
/// both.
fn busy_loop() -> (EventLoop<State>, State, std::thread::JoinHandle<()>) {
    let (mut event_loop, mut state) = new_loop();
    let timer = |_: std::time::Instant, state: &mut State| {
        state.note("timer");
        state.handle.insert_idle(|state: &mut State| state.note("idle"));
        TimeoutAction::Drop
    };
    state.handle.insert_source(Timer::from_duration(Duration::from_millis(5)), timer).unwrap();
    let (ping, source) = make_ping();
    state.handle.insert_source(source, |(), state: &mut State| state.note("ping")).unwrap();
    let thread = std::thread::spawn(move || ping.ping());
    event_loop.apply_pending(&mut state).unwrap();
    (event_loop, state, thread)
}

fn is_done(state: &State) -> bool {
    ["timer", "idle", "ping"].iter().all(|what| state.log.iter().any(|line| line == what))
}

#[test]
fn in_calloop() {
    struct Outer {
        inner: EventLoop<State>,
        state: State,
        signal: calloop::LoopSignal,
    }
    let (inner, state, thread) = busy_loop();
    let mut outer = calloop::EventLoop::try_new().unwrap();
    // calloop gives `&mut` of what owns an fd in an unsafe way only: it watches a duplicate.
    let fd = inner.as_fd().try_clone_to_owned().unwrap();
    let source = calloop::generic::Generic::new(fd, calloop::Interest::READ, calloop::Mode::Level);
    let dispatch = |_, _: &mut _, outer: &mut Outer| {
        outer.inner.dispatch(ZERO, &mut outer.state).map_err(std::io::Error::other)?;
        if is_done(&outer.state) {
            outer.signal.stop();
        }
        Ok(calloop::PostAction::Continue)
    };
    outer.handle().insert_source(source, dispatch).unwrap();
    let mut data = Outer { inner, state, signal: outer.get_signal() };
    outer.run(None, &mut data, |_| ()).unwrap();
    assert!(is_done(&data.state));
    thread.join().unwrap();
}

#[test]
fn in_tokio() {
    let (inner, mut state, thread) = busy_loop();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        // tokio's newer `register` is an unsafe call: the loop owns its fd, and keeps it until it is dropped.
        #[allow(deprecated)]
        let mut inner = tokio::io::unix::AsyncFd::new(inner).unwrap();
        while !is_done(&state) {
            let mut ready = inner.readable_mut().await.unwrap();
            ready.get_inner_mut().dispatch(ZERO, &mut state).unwrap();
            ready.clear_ready();
        }
    });
    thread.join().unwrap();
}
