//! Layers and the keyboard.

mod support;

use support::client::{Client, Heard};
use support::server::Compositor;
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop};
use wayland_protocols_wlr::layer_shell::v1::client::zwlr_layer_shell_v1::{
    Layer, ZwlrLayerShellV1,
};
use wayland_protocols_wlr::layer_shell::v1::client::zwlr_layer_surface_v1::{
    Anchor, Event, KeyboardInteractivity, ZwlrLayerSurfaceV1,
};

const RED: u32 = 0xffff0000;
const GREEN: u32 = 0xff00ff00;
/// All of the upper edge.
const SIZE: (i32, i32) = (640, 40);

delegate_noop!(Heard: ZwlrLayerShellV1);

/// Each configure event counts as a frame, so that a test can wait for it.
impl Dispatch<ZwlrLayerSurfaceV1, ()> for Heard {
    fn event(
        heard: &mut Self,
        panel: &ZwlrLayerSurfaceV1,
        event: Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let Event::Configure { serial, .. } = event {
            panel.ack_configure(serial);
            heard.frames += 1;
        }
    }
}

/// A client with a panel.
struct Panel {
    client: Client,
    surface: WlSurface,
    layer: ZwlrLayerSurfaceV1,
}

impl Panel {
    fn connect(compositor: &Compositor, keyboard: KeyboardInteractivity) -> Self {
        let client = Client::connect(compositor);
        client.seat.get_keyboard(&client.queue, ());
        let shell: ZwlrLayerShellV1 = client.globals.bind(&client.queue, 4..=4, ()).unwrap();
        let surface = client.surface();
        let layer = shell.get_layer_surface(
            &surface,
            None,
            Layer::Top,
            "panel".to_owned(),
            &client.queue,
            (),
        );
        layer.set_anchor(Anchor::Top | Anchor::Left | Anchor::Right);
        layer.set_size(SIZE.0 as u32, SIZE.1 as u32);
        layer.set_exclusive_zone(SIZE.1);
        layer.set_keyboard_interactivity(keyboard);
        let mut panel = Self { client, surface, layer };
        panel.map();
        panel
    }

    fn map(&mut self) {
        let configured = self.client.heard.frames;
        self.surface.commit();
        self.client.until("its size", |heard| heard.frames > configured);
        self.client.show(&self.surface, SIZE, GREEN);
        self.client.roundtrip();
    }

    fn unmap(&mut self) {
        self.surface.attach(None, 0, 0);
        self.surface.commit();
        self.client.roundtrip();
    }

    fn has_the_keyboard(&mut self) {
        self.client.until("the panel has the keyboard", |heard| heard.keyboard_entered);
    }
}

/// A client with a window that has the keyboard, and a point of it.
fn window(compositor: &Compositor) -> (Client, (i32, i32)) {
    let mut client = Client::connect(compositor);
    client.seat.get_keyboard(&client.queue, ());
    client.window("window", (100, 100), RED);
    client.until("the keyboard", |heard| heard.keyboard_entered);
    let (x, y) = compositor.window("window");
    (client, (x + 50, y + 60))
}

#[test]
fn x5_an_on_demand_layer_has_the_keyboard_when_it_is_new_and_when_it_is_clicked() {
    let compositor = Compositor::serve();
    let (mut client, (x, y)) = window(&compositor);
    let mut panel = Panel::connect(&compositor, KeyboardInteractivity::OnDemand);
    panel.has_the_keyboard();
    client.until("it is lost", |heard| !heard.keyboard_entered);

    let mut control = compositor.control();
    control.ask(&format!("pointer {x} {y} left"));
    client.until("a click gets it", |heard| heard.keyboard_entered);
    // A clock that shows the next second takes no keys away.
    panel.client.show(&panel.surface, SIZE, RED);
    panel.client.roundtrip();
    control.ask("key 30");
    client.until("a key", |heard| heard.keys.len() == 2);
    assert!(client.heard.keyboard_entered);
    assert!(!panel.client.heard.keyboard_entered);

    control.ask("pointer 150 20 left");
    panel.has_the_keyboard();
    // It does not want it any more.
    panel.layer.set_keyboard_interactivity(KeyboardInteractivity::None);
    panel.surface.commit();
    panel.client.roundtrip();
    client.until("it is back", |heard| heard.keyboard_entered);
    control.ask("pointer 150 20 left");
    panel.client.roundtrip();
    assert!(!panel.client.heard.keyboard_entered);
}

#[test]
fn x5_an_exclusive_layer_that_is_unmapped_gives_the_keyboard_back() {
    let compositor = Compositor::serve();
    let (mut client, (x, y)) = window(&compositor);
    let mut panel = Panel::connect(&compositor, KeyboardInteractivity::Exclusive);
    panel.has_the_keyboard();
    let mut control = compositor.control();
    control.ask(&format!("pointer {x} {y} left"));
    client.roundtrip();
    assert!(!client.heard.keyboard_entered, "a click takes it away");

    panel.unmap();
    client.until("it is back", |heard| heard.keyboard_entered);
    assert_ne!(compositor.screenshot().pixel(10, 10), GREEN & 0xffffff);
    // Another time: as from the start.
    panel.map();
    panel.has_the_keyboard();
    assert_eq!(compositor.screenshot().pixel(10, 10), GREEN & 0xffffff);
    panel.layer.destroy();
    panel.surface.destroy();
    panel.client.roundtrip();
    client.until("it is back", |heard| heard.keyboard_entered);
}

/// The room that a panel leaves to windows is theirs again as long as it shows nothing.
#[test]
fn x5_an_unmapped_layer_takes_no_room() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("window", (100, 100), RED);
    let mut panel = Panel::connect(&compositor, KeyboardInteractivity::None);
    window.toplevel.set_maximized();
    client.roundtrip();
    assert_eq!(compositor.window("window"), (0, SIZE.1));
    panel.unmap();
    assert_eq!(compositor.window("window"), (0, 0));
    panel.map();
    assert_eq!(compositor.window("window"), (0, SIZE.1));
}
