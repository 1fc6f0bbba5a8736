//! The Wayland client source, against the compositor example.
#![cfg(feature = "wayland-client")]

mod common;
#[path = "compositor/server.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the compositor")]
mod server;

use std::os::unix::net::UnixStream;

use common::LONG;
use server::Compositor;
use soloop::{EventLoop, LoopData, LoopHandle, WaylandSource};
use wayland_client::protocol::{wl_callback, wl_registry};
use wayland_client::{Connection, Dispatch, QueueHandle};

struct State {
    handle: LoopHandle<State>,
    globals: u32,
    done: u32,
    /// How many more roundtrips to make, each from the answer of the one before.
    left: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl Dispatch<wl_registry::WlRegistry, ()> for State {
    fn event(
        state: &mut Self,
        _: &wl_registry::WlRegistry,
        _: wl_registry::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        state.globals += 1;
    }
}

impl Dispatch<wl_callback::WlCallback, ()> for State {
    fn event(
        state: &mut Self,
        _: &wl_callback::WlCallback,
        _: wl_callback::Event,
        (): &(),
        connection: &Connection,
        queue: &QueueHandle<Self>,
    ) {
        state.done += 1;
        if state.left == 0 {
            state.handle.stop();
        } else {
            state.left -= 1;
            connection.display().sync(queue, ());
        }
    }
}

/// The state of another queue.
struct Other;

impl Dispatch<wl_callback::WlCallback, ()> for Other {
    fn event(
        _: &mut Self,
        _: &wl_callback::WlCallback,
        _: wl_callback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

fn connect(stream: UnixStream, left: u32) -> (Connection, EventLoop<State>, State) {
    let connection = Connection::from_socket(stream).unwrap();
    let queue = connection.new_event_queue::<State>();
    connection.display().get_registry(&queue.handle(), ());
    connection.display().sync(&queue.handle(), ());
    let (event_loop, handle) = EventLoop::new().unwrap();
    let mut state = State { handle, globals: 0, done: 0, left };
    let source = WaylandSource::new(connection.clone(), queue);
    state
        .handle
        .insert_source(source, |queue, state: &mut State| queue.dispatch_pending(state))
        .unwrap();
    (connection, event_loop, state)
}

#[test]
fn requests_are_flushed_and_answers_dispatched() {
    let compositor = Compositor::serve();
    let (_connection, mut event_loop, mut state) = connect(compositor.raw_client(), 500);
    event_loop.run(LONG, &mut state, |_| ()).unwrap();
    assert!(state.globals > 3);
    assert_eq!(state.done, 501);
}

#[test]
fn a_lost_connection_is_an_error_once() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (_connection, mut event_loop, mut state) = connect(ours, 0);
    event_loop.dispatch(std::time::Duration::ZERO, &mut state).unwrap();
    drop(theirs);
    let error = event_loop.dispatch(LONG, &mut state).unwrap_err();
    assert!(error.to_string().contains("WaylandSource"), "{error}");
    for _ in 0..2 {
        // What is left of the round with the error, then the one that disables it.
        event_loop.dispatch(std::time::Duration::ZERO, &mut state).unwrap();
    }
    // Nothing makes this wait end early.
    let before = std::time::Instant::now();
    event_loop.dispatch(std::time::Duration::from_millis(20), &mut state).unwrap();
    assert!(before.elapsed().as_millis() >= 20);
}

#[test]
fn a_full_socket_is_flushed_when_there_is_room() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (connection, mut event_loop, mut state) = connect(ours, 0);
    let queue = connection.new_event_queue::<Other>();
    // Until the socket is full: what the connection could not send stays in its buffer.
    let mut requests = 0;
    loop {
        connection.display().sync(&queue.handle(), ());
        requests += 1;
        if connection.flush().is_err() {
            break;
        }
    }
    let reader = std::thread::spawn(move || {
        use std::io::Read;
        // Each sync is 12 bytes, as is the first one and the registry.
        let mut buffer = vec![0; 12 * (requests + 2)];
        theirs.read_exact(&mut buffer).unwrap();
    });
    while !reader.is_finished() {
        event_loop.dispatch(std::time::Duration::from_millis(1), &mut state).ok();
    }
    reader.join().unwrap();
}
