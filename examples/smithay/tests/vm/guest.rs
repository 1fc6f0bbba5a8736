//! What the test's own program does inside of the machine.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_callback::{self, WlCallback};
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::{Connection, Dispatch, QueueHandle};

/// What the control socket answers.
pub fn ask(socket: &str, words: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    writeln!(stream, "{words}").unwrap();
    let mut answer = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        answer += &line;
        answer.push('\n');
        if line == "ok" || line.starts_with("ok ") || line.starts_with("error ") {
            break;
        }
    }
    answer
}

struct Nothing;

impl Dispatch<WlRegistry, GlobalListContents> for Nothing {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

/// Has the compositor busy with requests, as many as it takes.
pub fn flood() {
    let connection = Connection::connect_to_env().unwrap();
    let (_globals, mut queue) = registry_queue_init::<Nothing>(&connection).unwrap();
    let display = connection.display();
    let handle = queue.handle();
    loop {
        for _ in 0..500 {
            display.sync(&handle, ());
        }
        queue.roundtrip(&mut Nothing).unwrap();
    }
}

impl Dispatch<WlCallback, ()> for Nothing {
    fn event(
        _: &mut Self,
        _: &WlCallback,
        _: wl_callback::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}
