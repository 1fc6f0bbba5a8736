//! A commit that waits for a fence, in a compositor that runs in a thread of the test.

mod support;

use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;

use soloop_smithay::backend::Backend;
use soloop_smithay::backend::headless::Headless;
use soloop_smithay::event_loop::{self, Remote};
use soloop_smithay::state::State;
use soloop_smithay::{connection, fence, session};
use support::client::Client;
use support::server::PATIENCE;

const RED: u32 = 0xffff0000;

/// Asks the compositor's thread something.
fn ask<T: Send + 'static>(
    remote: &Remote,
    question: impl FnOnce(&mut State) -> T + Send + 'static,
) -> T {
    let (sender, receiver) = channel();
    remote.post(move |state: &mut State| drop(sender.send(question(state))));
    receiver.recv_timeout(PATIENCE).unwrap()
}

/// The size of the only window.
fn size(state: &mut State) -> (i32, i32) {
    let window = state.space.elements().next().unwrap();
    let size = window.geometry().size;
    (size.w, size.h)
}

#[test]
fn a_commit_waits_until_its_fence_is_readable() {
    let (sender, remotes) = channel();
    let compositor = std::thread::spawn(move || {
        let backend = Backend::Headless(Headless::new((640, 480)).unwrap());
        let (mut event_loop, mut state) = session::compositor(backend).unwrap();
        sender.send(state.remote.clone()).unwrap();
        event_loop.run(&mut state).unwrap();
    });
    let remote: Remote = remotes.recv_timeout(PATIENCE).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    ask(&remote, move |state| assert!(connection::welcome(state, theirs).is_ok()));
    let mut client = Client::over(ours);
    let window = client.window("fenced", (64, 64), RED);
    client.frames(&window, 1);

    let (fence, pass) = rustix::pipe::pipe().unwrap();
    ask(&remote, move |state| {
        let surface =
            state.space.elements().next().unwrap().toplevel().unwrap().wl_surface().clone();
        fence::wait(state, &surface, fence).unwrap();
    });
    let before = ask(&remote, size);
    window.surface.frame(&client.queue, ());
    let frames = client.heard.frames;
    client.show(&window.surface, (100, 50), RED);
    client.roundtrip();
    client.roundtrip();
    assert_eq!(ask(&remote, size), before, "it did not wait");

    rustix::io::write(&pass, b"!").unwrap();
    client.until("its frame", |heard| heard.frames > frames);
    assert_eq!(ask(&remote, size), (100, 50));

    // A client that goes while a fence of its is waited for is no harm.
    let (fence, pass) = rustix::pipe::pipe().unwrap();
    ask(&remote, move |state| {
        let surface =
            state.space.elements().next().unwrap().toplevel().unwrap().wl_surface().clone();
        fence::wait(state, &surface, fence).unwrap();
    });
    client.show(&window.surface, (64, 64), RED);
    client.connection.flush().unwrap();
    drop((window, client));
    while ask(&remote, |state| state.space.elements().len()) > 0 {}
    rustix::io::write(&pass, b"!").unwrap();
    ask(&remote, |state| event_loop::stop(&mut state.handle));
    compositor.join().unwrap();
}
