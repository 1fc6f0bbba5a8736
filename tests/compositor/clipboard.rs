//! The clipboard: between clients of this test's own, and with `wl-copy` and `wl-paste`.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use wayland_client::protocol::wl_data_device::{self, WlDataDevice};
use wayland_client::protocol::wl_data_device_manager::WlDataDeviceManager;
use wayland_client::protocol::wl_data_offer::{self, WlDataOffer};
use wayland_client::protocol::wl_data_source::{self, WlDataSource};
use wayland_client::{
    Connection, Dispatch, EventQueue, QueueHandle, delegate_noop, event_created_child,
};

use super::client::Client;
use super::server::Compositor;
use super::{GREEN, RED, installed};

/// A client's side of the clipboard.
struct Clipboard {
    events: EventQueue<Heard>,
    heard: Heard,
    manager: WlDataDeviceManager,
    device: WlDataDevice,
}

#[derive(Default)]
struct Heard {
    mime_types: Vec<String>,
    /// What was said to be selected, each time.
    selections: Vec<Option<WlDataOffer>>,
    asked: Vec<(String, OwnedFd)>,
    cancelled: usize,
}

impl Clipboard {
    fn of(client: &Client) -> Self {
        let events = client.connection.new_event_queue();
        let queue = events.handle();
        let manager: WlDataDeviceManager = client.globals.bind(&queue, 3..=3, ()).unwrap();
        let device = manager.get_data_device(&client.seat, &queue, ());
        Self { events, heard: Heard::default(), manager, device }
    }

    fn listen(&mut self) -> &mut Heard {
        self.events.roundtrip(&mut self.heard).unwrap();
        &mut self.heard
    }

    fn source(&self, mime_type: &str) -> WlDataSource {
        let source = self.manager.create_data_source(&self.events.handle(), ());
        source.offer(mime_type.to_owned());
        source
    }
}

#[test]
fn x7_whoever_gets_the_keyboard_hears_what_is_selected() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let mut clipboard = Clipboard::of(&client);
    clipboard.listen();
    client.window("one", (64, 64), RED);
    assert_eq!(clipboard.listen().selections, [None], "nothing is, but it is told so");

    let source = clipboard.source("text/plain");
    clipboard.device.set_selection(Some(&source), 0);
    assert!(clipboard.listen().selections.last().unwrap().is_some());
    assert_eq!(clipboard.heard.mime_types, ["text/plain"]);

    // It goes over to another client, which is told before it has the keyboard.
    let mut other = Client::connect(&compositor);
    let mut its_clipboard = Clipboard::of(&other);
    assert_eq!(its_clipboard.listen().selections, []);
    other.window("two", (64, 64), GREEN);
    let selections = &its_clipboard.listen().selections;
    assert_eq!(selections.len(), 1);
    let offer = selections[0].clone().unwrap();
    let (read, write) = std::io::pipe().unwrap();
    offer.receive("text/plain".to_owned(), write.as_fd());
    drop(write);
    its_clipboard.listen();
    let (mime_type, fd) = clipboard.listen().asked.pop().unwrap();
    assert_eq!(mime_type, "text/plain");
    File::from(fd).write_all(b"hello").unwrap();
    let mut text = String::new();
    File::from(OwnedFd::from(read)).read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");

    // Who does not have the keyboard can't change it; who has it can, and what goes with its client is gone.
    let late = clipboard.source("text/html");
    clipboard.device.set_selection(Some(&late), 0);
    assert_eq!(clipboard.listen().cancelled, 1);
    let next = its_clipboard.source("image/png");
    its_clipboard.device.set_selection(Some(&next), 0);
    its_clipboard.listen();
    assert_eq!(clipboard.listen().cancelled, 2);
    drop((next, its_clipboard, other));
    compositor.stderr_line("hung up");
    client.roundtrip();
    assert_eq!(clipboard.listen().selections.last(), Some(&None));
}

#[test]
fn a_source_is_used_once() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.window("one", (64, 64), RED);
    let clipboard = Clipboard::of(&client);
    let source = clipboard.source("text/plain");
    clipboard.device.set_selection(Some(&source), 0);
    clipboard.device.set_selection(Some(&source), 0);
    assert_eq!(client.protocol_error().code, 1, "used_source");
}

#[test]
fn wl_paste_pastes_what_wl_copy_copied() {
    if !["wl-copy", "wl-paste", "timeout"].into_iter().all(installed) {
        println!("skipped: wl-clipboard is not installed");
        return;
    }
    let compositor = Compositor::serve();
    let run = |program: &str, words: &[&str]| {
        let mut command = Command::new("timeout");
        command.args(["20", program]).args(words);
        command.env("XDG_RUNTIME_DIR", compositor.dir.path()).env("WAYLAND_DISPLAY", "wl");
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    let nothing = run("wl-paste", &[]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(1), "124 is: it hangs");
    let start = || run("wl-copy", &["--foreground", "from one to the other"]).spawn().unwrap();
    let mut copy = start();
    // It is there when it can be pasted.
    let pasted = loop {
        let pasted = run("wl-paste", &["--no-newline"]).output().unwrap();
        if pasted.status.success() {
            break pasted.stdout;
        }
        assert_eq!(pasted.status.code(), Some(1));
        // Each opens a window to have the keyboard, and wl-copy gives up if wl-paste took it before it set the selection.
        if copy.try_wait().unwrap().is_some() {
            copy = start();
        }
    };
    assert_eq!(pasted, b"from one to the other");
    copy.kill().unwrap();
    copy.wait().unwrap();
}

impl Dispatch<WlDataDevice, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlDataDevice,
        event: wl_data_device::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            wl_data_device::Event::DataOffer { .. } => heard.mime_types.clear(),
            wl_data_device::Event::Selection { id } => heard.selections.push(id),
            _ => {}
        }
    }

    event_created_child!(Self, WlDataDevice, [
        wl_data_device::EVT_DATA_OFFER_OPCODE => (WlDataOffer, ()),
    ]);
}

impl Dispatch<WlDataOffer, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlDataOffer,
        event: wl_data_offer::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_data_offer::Event::Offer { mime_type } = event {
            heard.mime_types.push(mime_type);
        }
    }
}

impl Dispatch<WlDataSource, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlDataSource,
        event: wl_data_source::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            wl_data_source::Event::Send { mime_type, fd } => heard.asked.push((mime_type, fd)),
            wl_data_source::Event::Cancelled => heard.cancelled += 1,
            _ => {}
        }
    }
}

delegate_noop!(Heard: WlDataDeviceManager);
