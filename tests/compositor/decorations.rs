//! Who draws the frames of windows, as it is agreed on by xdg-decoration.

use std::process::{Command, Stdio};
use std::time::Instant;

use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, WEnum, delegate_noop};
use wayland_protocols::xdg::decoration::zv1::client::{
    zxdg_decoration_manager_v1::ZxdgDecorationManagerV1,
    zxdg_toplevel_decoration_v1::{self, Mode, ZxdgToplevelDecorationV1},
};

use super::client::{Client, Window};
use super::server::{self, Compositor, PATIENCE};
use super::{RED, installed};

/// The modes that were configured.
#[derive(Default)]
struct Modes(Vec<Mode>);

impl Dispatch<ZxdgToplevelDecorationV1, ()> for Modes {
    fn event(
        modes: &mut Self,
        _: &ZxdgToplevelDecorationV1,
        event: zxdg_toplevel_decoration_v1::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let zxdg_toplevel_decoration_v1::Event::Configure { mode: WEnum::Value(mode) } = event {
            modes.0.push(mode);
        }
    }
}

delegate_noop!(Modes: ZxdgDecorationManagerV1);

struct Negotiation {
    events: EventQueue<Modes>,
    modes: Modes,
    manager: ZxdgDecorationManagerV1,
}

impl Negotiation {
    fn begin(client: &Client) -> Self {
        let events = client.connection.new_event_queue();
        let manager = client.globals.bind(&events.handle(), 1..=1, ()).unwrap();
        Self { events, modes: Modes::default(), manager }
    }

    fn decoration(&self, window: &Window) -> ZxdgToplevelDecorationV1 {
        self.manager.get_toplevel_decoration(&window.toplevel, &self.events.handle(), ())
    }

    fn mode(&mut self) -> Option<Mode> {
        self.events.roundtrip(&mut self.modes).unwrap();
        self.modes.0.last().copied()
    }
}

/// Whether the compositor draws a title bar above the window at this place.
fn has_title_bar(compositor: &Compositor, (x, y): (i32, i32)) -> bool {
    // The leftmost button of an active window.
    compositor.screenshot().pixel(x + 16, y - 14) == 0xff6058
}

#[test]
fn x8_a_client_that_asks_gets_one_title_bar() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let mut negotiation = Negotiation::begin(&client);
    let window = client.unmapped_window("decorated");
    let decoration = negotiation.decoration(&window);
    assert_eq!(negotiation.mode(), Some(Mode::ServerSide));
    // As with shadows of its own, which are taken for a frame without an agreement.
    window.xdg.set_window_geometry(5, 5, 110, 70);
    client.roundtrip();
    client.show(&window.surface, (120, 80), RED);
    client.roundtrip();
    let place = compositor.window("decorated");
    assert!(has_title_bar(&compositor, place));

    decoration.set_mode(Mode::ClientSide);
    assert_eq!(negotiation.mode(), Some(Mode::ClientSide));
    client.roundtrip();
    client.roundtrip();
    assert!(!has_title_bar(&compositor, place), "it draws its own");
    decoration.unset_mode();
    assert_eq!(negotiation.mode(), Some(Mode::ServerSide));
    client.roundtrip();
    client.roundtrip();
    assert!(has_title_bar(&compositor, place));
}

#[test]
fn x8_a_program_of_qt_leaves_its_frame_to_the_compositor() {
    if !installed("qterminal") {
        println!("skipped: qterminal is not installed");
        return;
    }
    let compositor = Compositor::serve();
    let home = tempfile::tempdir().unwrap();
    let mut qt = Command::new("qterminal")
        .env("XDG_RUNTIME_DIR", compositor.dir.path())
        .env("WAYLAND_DISPLAY", "wl")
        .env("HOME", home.path())
        .env("QT_QPA_PLATFORM", "wayland")
        .env("WAYLAND_DEBUG", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = server::lines(qt.stderr.take().unwrap());
    // 2 is server_side.
    while !server::wait_for_line(&said, "zxdg_toplevel_decoration_v1@").contains(".configure(2)") {}
    let deadline = Instant::now() + PATIENCE;
    let mut control = compositor.control();
    let window = loop {
        assert!(Instant::now() < deadline, "no window");
        let windows = control.ask("windows");
        if windows.len() == 2 {
            break windows[0].clone();
        }
    };
    let words: Vec<&str> = window.split(' ').collect();
    let place = (words[3].parse().unwrap(), words[4].parse().unwrap());
    assert!(has_title_bar(&compositor, place), "{window}");
    qt.kill().unwrap();
    qt.wait().unwrap();
}

#[test]
fn decorations_have_rules() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("has a buffer", (64, 64), RED);
    Negotiation::begin(&client).decoration(&window);
    assert_eq!(client.protocol_error().code, 0, "unconfigured_buffer");

    let mut client = Client::connect(&compositor);
    let window = client.unmapped_window("has one");
    let negotiation = Negotiation::begin(&client);
    negotiation.decoration(&window);
    negotiation.decoration(&window);
    assert_eq!(client.protocol_error().code, 1, "already_constructed");

    let mut client = Client::connect(&compositor);
    let window = client.unmapped_window("goes first");
    Negotiation::begin(&client).decoration(&window);
    window.toplevel.destroy();
    assert_eq!(client.protocol_error().code, 2, "orphaned");
}
