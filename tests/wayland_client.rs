//! The Wayland client source, against the compositor example.
#![cfg(feature = "wayland-client")]

mod common;
#[path = "compositor/server.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the compositor")]
mod server;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::{LONG, ZERO};
use server::Compositor;
use soloop::wayland::Queue;
use soloop::{AnyToken, EventLoop, LoopData, LoopHandle, TimeoutAction, Timer, WaylandSource};
use wayland_client::protocol::{wl_callback, wl_registry};
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle};

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
struct Other {
    done: u32,
}

impl Dispatch<wl_callback::WlCallback, ()> for Other {
    fn event(
        other: &mut Self,
        _: &wl_callback::WlCallback,
        _: wl_callback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        other.done += 1;
    }
}

/// An answer that does something: only for the loop's queue.
type Deed = fn(&mut State, &Connection);
const NOTHING: Deed = |_, _| ();

impl Dispatch<wl_callback::WlCallback, Deed> for State {
    fn event(
        state: &mut Self,
        _: &wl_callback::WlCallback,
        _: wl_callback::Event,
        deed: &Deed,
        connection: &Connection,
        _: &QueueHandle<Self>,
    ) {
        state.done += 1;
        deed(state, connection);
    }
}

fn connect(stream: UnixStream, left: u32) -> (Connection, EventLoop<State>, State) {
    let connection = Connection::from_socket(stream).unwrap();
    let queue = connection.new_event_queue::<State>();
    connection.display().get_registry(&queue.handle(), ());
    connection.display().sync(&queue.handle(), ());
    let (event_loop, state, _) = insert(&connection, queue, left);
    (connection, event_loop, state)
}

fn insert(
    connection: &Connection,
    queue: EventQueue<State>,
    left: u32,
) -> (EventLoop<State>, State, AnyToken) {
    let (event_loop, handle) = EventLoop::new().unwrap();
    let mut state = State { handle, globals: 0, done: 0, left };
    let source = WaylandSource::new(connection.clone(), queue);
    let token = state
        .handle
        .insert_source(source, |queue, state: &mut State| queue.dispatch_pending(state))
        .unwrap();
    (event_loop, state, token.into())
}

/// Runs the loop until a handler stops it.
fn run(event_loop: &mut EventLoop<State>, state: &mut State) {
    let started = Instant::now();
    event_loop.run(LONG, state, |_| assert!(started.elapsed() < LONG, "a lost wake-up")).unwrap();
}

/// A loop whose queue has had nothing to do yet.
fn connect_quietly(
    compositor: &Compositor,
) -> (Connection, QueueHandle<State>, EventLoop<State>, State, AnyToken) {
    let connection = Connection::from_socket(compositor.raw_client()).unwrap();
    let queue = connection.new_event_queue::<State>();
    let handle = queue.handle();
    let (mut event_loop, mut state, token) = insert(&connection, queue, u32::MAX);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    (connection, handle, event_loop, state, token)
}

/// Reads all that the compositor has answered so far, for whatever queue it is.
fn read_elsewhere(connection: &Connection) {
    connection.new_event_queue::<Other>().roundtrip(&mut Other { done: 0 }).unwrap();
}

#[test]
fn requests_are_flushed_and_answers_dispatched() {
    let compositor = Compositor::serve();
    let (_connection, mut event_loop, mut state) = connect(compositor.raw_client(), 500);
    run(&mut event_loop, &mut state);
    assert!(state.globals > 3);
    assert_eq!(state.done, 501);
    // A round for each answer, not one more for the wake-up that the answer is to the queue.
    let rounds = event_loop.stats().rounds;
    assert!(rounds < 700, "{rounds} rounds");
}

#[test]
fn two_threads_read_one_connection() {
    let compositor = Compositor::serve();
    // It goes on until the thread stops it: an event that comes between the look of `blocking_dispatch` at
    // its queue and its announcement waits for the next message.
    let (connection, mut event_loop, mut state) = connect(compositor.raw_client(), u32::MAX);
    // Something else that ends waits, so that announcements are taken back as well.
    let period = Duration::from_micros(200);
    state
        .handle
        .insert_source(Timer::immediate(), move |_, _| TimeoutAction::ToDuration(period))
        .unwrap();
    let signal = state.handle.signal();
    let thread = std::thread::spawn(move || {
        let mut queue = connection.new_event_queue::<Other>();
        let mut other = Other { done: 0 };
        for expected in 1..=3000 {
            connection.display().sync(&queue.handle(), ());
            while other.done < expected {
                queue.blocking_dispatch(&mut other).unwrap();
            }
        }
        signal.stop();
    });
    run(&mut event_loop, &mut state);
    thread.join().unwrap();
    assert!(state.done > 1000, "{}", state.done);
}

#[test]
fn two_loops_read_one_connection() {
    let compositor = Compositor::serve();
    let (connection, mut event_loop, mut state) = connect(compositor.raw_client(), 3000);
    let thread = std::thread::spawn(move || {
        let queue = connection.new_event_queue::<State>();
        connection.display().sync(&queue.handle(), ());
        let (mut event_loop, mut state, _) = insert(&connection, queue, 3000);
        run(&mut event_loop, &mut state);
        state.done
    });
    run(&mut event_loop, &mut state);
    assert_eq!([state.done, thread.join().unwrap()], [3001; 2]);
}

#[test]
fn what_another_thread_reads_is_dispatched() {
    let compositor = Compositor::serve();
    let (connection, queue, mut event_loop, mut state, token) = connect_quietly(&compositor);
    for expected in 1..=100 {
        connection.display().sync(&queue, NOTHING);
        read_elsewhere(&connection);
        // There is nothing to read any more.
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.done, expected);
    }
    // The same while the source is disabled.
    state.handle.disable(token);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    connection.display().sync(&queue, NOTHING);
    read_elsewhere(&connection);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.done, 100);
    state.handle.enable(token);
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.done, 101);
}

#[test]
fn what_was_queued_before_it_was_inserted_is_dispatched() {
    let compositor = Compositor::serve();
    let connection = Connection::from_socket(compositor.raw_client()).unwrap();
    let queue = connection.new_event_queue::<State>();
    connection.display().sync(&queue.handle(), ());
    read_elsewhere(&connection);
    let (mut event_loop, mut state, _) = insert(&connection, queue, 0);
    run(&mut event_loop, &mut state);
    assert_eq!(state.done, 1);
}

#[test]
fn a_thread_that_reads_does_not_wait_for_a_callback() {
    let compositor = Compositor::serve();
    let (connection, queue, mut event_loop, mut state, _) = connect_quietly(&compositor);
    let deed: Deed = |_, connection| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let connection = connection.clone();
        std::thread::spawn(move || {
            read_elsewhere(&connection);
            sender.send(()).unwrap();
        });
        receiver.recv_timeout(LONG).unwrap();
    };
    connection.display().sync(&queue, deed);
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.done, 1);
    // Nor for one of another source.
    let reader = connection.clone();
    state
        .handle
        .insert_source(Timer::immediate(), move |_, state: &mut State| {
            deed(state, &reader);
            TimeoutAction::Drop
        })
        .unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
}

#[test]
fn a_callback_may_read_the_connection_itself() {
    let compositor = Compositor::serve();
    let connection = Connection::from_socket(compositor.raw_client()).unwrap();
    let queue = connection.new_event_queue::<State>();
    let handle = queue.handle();
    let (mut event_loop, loop_handle) = EventLoop::new().unwrap();
    let mut state = State { handle: loop_handle, globals: 0, done: 0, left: u32::MAX };
    let mut roundtrips = 0;
    let source = WaylandSource::new(connection.clone(), queue);
    let callback = move |queue: &mut Queue<State>, state: &mut State| {
        if roundtrips < 10 {
            roundtrips += 1;
            connection.display().sync(&handle, NOTHING);
            queue.roundtrip(state)?;
            // From inside of a handler, which so reads for the queue that is being dispatched.
            let deed: Deed = |_, connection| assert!(connection.roundtrip().is_ok());
            connection.display().sync(&handle, deed);
            if roundtrips == 10 {
                connection.display().sync(&handle, (|state, _| state.handle.stop()) as Deed);
            }
        }
        queue.dispatch_pending(state)
    };
    state.handle.insert_source(source, callback).unwrap();
    run(&mut event_loop, &mut state);
    assert_eq!(state.done, 10 + 10 + 1);
}

#[test]
fn a_frozen_queue_does_not_stop_the_loop() {
    let compositor = Compositor::serve();
    let (connection, queue, mut event_loop, mut state, _) = connect_quietly(&compositor);
    let frozen = queue.freeze();
    connection.display().sync(&queue, NOTHING);
    read_elsewhere(&connection);
    // Nothing wakes it either.
    let rounds = event_loop.stats().wakeups;
    for _ in 0..3 {
        event_loop.dispatch(Duration::from_millis(5), &mut state).unwrap();
    }
    assert!(event_loop.stats().wakeups <= rounds + 3);
    assert_eq!(state.done, 0);
    drop(frozen);
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.done, 1);
}

#[test]
fn what_is_left_after_a_panic_is_dispatched() {
    let compositor = Compositor::serve();
    let (connection, queue, mut event_loop, mut state, _) = connect_quietly(&compositor);
    let deed: Deed = |_, _| panic!("of a handler");
    connection.display().sync(&queue, deed);
    connection.display().sync(&queue, NOTHING);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        event_loop.dispatch(LONG, &mut state).unwrap();
    }));
    assert!(panicked.is_err());
    assert_eq!(state.done, 1);
    event_loop.dispatch(ZERO, &mut state).unwrap(); // what is left of the round
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.done, 2);
    // And it is woken as before.
    connection.display().sync(&queue, NOTHING);
    read_elsewhere(&connection);
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.done, 3);
}

#[test]
fn a_lost_connection_is_an_error_once() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (_connection, mut event_loop, mut state) = connect(ours, 0);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    drop(theirs);
    let error = event_loop.dispatch(LONG, &mut state).unwrap_err();
    assert!(error.to_string().contains("WaylandSource"), "{error}");
    for _ in 0..2 {
        // What is left of the round with the error, then the one that disables it.
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    // Nothing makes this wait end early.
    let before = Instant::now();
    event_loop.dispatch(Duration::from_millis(20), &mut state).unwrap();
    assert!(before.elapsed().as_millis() >= 20);
}

#[test]
fn what_came_before_the_connection_was_lost_is_dispatched() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (_connection, mut event_loop, mut state) = connect(ours, 1);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    // wl_callback.done of the sync: object 3, opcode 0, 12 bytes, and the last word that it carries.
    let done = [3, 12 << 16, 0].map(u32::to_ne_bytes).concat();
    theirs.write_all(&done).unwrap();
    drop(theirs);
    let mut rounds = 0..3;
    let error = rounds.find_map(|_| event_loop.dispatch(LONG, &mut state).err()).unwrap();
    assert!(error.to_string().contains("WaylandSource"), "{error}");
    assert_eq!(state.done, 1);
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
    // As long as there is none, the loop sleeps.
    for _ in 0..3 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    let before = Instant::now();
    event_loop.dispatch(Duration::from_millis(20), &mut state).unwrap();
    assert!(before.elapsed().as_millis() >= 20);
    let reader = std::thread::spawn(move || {
        use std::io::Read;
        // Each sync is 12 bytes, as is the first one and the registry.
        let mut buffer = vec![0; 12 * (requests + 2)];
        theirs.read_exact(&mut buffer).unwrap();
    });
    while !reader.is_finished() {
        event_loop.dispatch(Duration::from_millis(1), &mut state).ok();
    }
    reader.join().unwrap();
}
