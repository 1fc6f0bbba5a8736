//! What clients do with each other and with the desktop: copy and paste, drag and drop, panels, menus, and windows that are
//! moved by hand.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use support::client::{Client, Heard};
use support::server::Compositor;
use support::{rect, window_line};
use wayland_client::protocol::{
    wl_data_device, wl_data_device::WlDataDevice, wl_data_device_manager,
    wl_data_device_manager::WlDataDeviceManager, wl_data_offer::WlDataOffer, wl_data_source,
    wl_data_source::WlDataSource, wl_pointer, wl_pointer::WlPointer,
};
use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop, event_created_child};
use wayland_protocols::xdg::shell::client::xdg_positioner::{Anchor, Gravity};
use wayland_protocols_wlr::layer_shell::v1::client::zwlr_layer_shell_v1::{
    Layer, ZwlrLayerShellV1,
};
use wayland_protocols_wlr::layer_shell::v1::client::zwlr_layer_surface_v1 as layer_surface;
use wayland_protocols_wlr::layer_shell::v1::client::zwlr_layer_surface_v1::ZwlrLayerSurfaceV1;

const RED: u32 = 0xffff0000;
const GREEN: u32 = 0xff00ff00;
const TEXT: &str = "text/plain;charset=utf-8";

/// What a client hears besides what [`Heard`] takes note of.
#[derive(Default)]
struct Notes {
    /// The serial of the last press of a button.
    pressed: Option<u32>,
    selection: Option<WlDataOffer>,
    dragged: Option<WlDataOffer>,
    dropped: bool,
    finished: bool,
    panel: Option<(u32, u32)>,
}

type Shared = Arc<Mutex<Notes>>;

impl Dispatch<WlPointer, Shared> for Heard {
    fn event(
        _: &mut Self,
        _: &WlPointer,
        event: wl_pointer::Event,
        notes: &Shared,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_pointer::Event::Button { serial, .. } = event {
            notes.lock().unwrap().pressed = Some(serial);
        }
    }
}

impl Dispatch<WlDataDevice, Shared> for Heard {
    fn event(
        _: &mut Self,
        _: &WlDataDevice,
        event: wl_data_device::Event,
        notes: &Shared,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_data_device::Event;
        let mut notes = notes.lock().unwrap();
        match event {
            Event::Selection { id } => notes.selection = id,
            Event::Enter { id, serial, .. } => {
                if let Some(offer) = &id {
                    offer.accept(serial, Some(TEXT.to_owned()));
                    let copy = wl_data_device_manager::DndAction::Copy;
                    offer.set_actions(copy, copy);
                }
                notes.dragged = id;
            }
            Event::Drop => notes.dropped = true,
            _ => {}
        }
    }

    event_created_child!(Heard, WlDataDevice, [
        wl_data_device::EVT_DATA_OFFER_OPCODE => (WlDataOffer, ()),
    ]);
}

/// The source gives its text to whoever asks.
impl Dispatch<WlDataSource, (String, Shared)> for Heard {
    fn event(
        _: &mut Self,
        _: &WlDataSource,
        event: wl_data_source::Event,
        (text, notes): &(String, Shared),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            wl_data_source::Event::Send { mime_type, fd } => {
                assert_eq!(mime_type, TEXT);
                File::from(fd).write_all(text.as_bytes()).unwrap();
            }
            wl_data_source::Event::DndFinished => notes.lock().unwrap().finished = true,
            _ => {}
        }
    }
}

impl Dispatch<ZwlrLayerSurfaceV1, Shared> for Heard {
    fn event(
        _: &mut Self,
        panel: &ZwlrLayerSurfaceV1,
        event: layer_surface::Event,
        notes: &Shared,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let layer_surface::Event::Configure { serial, width, height } = event {
            panel.ack_configure(serial);
            notes.lock().unwrap().panel = Some((width, height));
        }
    }
}

delegate_noop!(Heard: WlDataDeviceManager);
delegate_noop!(Heard: ignore WlDataOffer);
delegate_noop!(Heard: ZwlrLayerShellV1);

/// A client with a pointer and a data device.
struct Desktop {
    client: Client,
    notes: Shared,
    manager: WlDataDeviceManager,
    device: WlDataDevice,
}

impl Desktop {
    fn connect(compositor: &Compositor) -> Self {
        let client = Client::connect(compositor);
        let notes = Shared::default();
        let queue = &client.queue;
        client.seat.get_keyboard(queue, ());
        client.seat.get_pointer(queue, ());
        client.seat.get_pointer(queue, Arc::clone(&notes));
        let manager: WlDataDeviceManager = client.globals.bind(queue, 3..=3, ()).unwrap();
        let device = manager.get_data_device(&client.seat, queue, Arc::clone(&notes));
        Self { client, notes, manager, device }
    }

    fn until(&mut self, what: &str, done: impl Fn(&Notes) -> bool) {
        let notes = Arc::clone(&self.notes);
        self.client.until(what, |_| done(&notes.lock().unwrap()));
    }

    fn source(&self, text: &str) -> WlDataSource {
        let data = (text.to_owned(), Arc::clone(&self.notes));
        let source = self.manager.create_data_source(&self.client.queue, data);
        source.offer(TEXT.to_owned());
        source
    }

    /// Presses the left button over a window, and tells the serial of that.
    fn press(&mut self, compositor: &Compositor, at: (i32, i32)) -> u32 {
        compositor.control().ask(&format!("pointer {} {} left press", at.0, at.1));
        self.until("the button", |notes| notes.pressed.is_some());
        self.notes.lock().unwrap().pressed.unwrap()
    }
}

/// What an offer holds, given by `source`'s client.
fn paste(offer: &WlDataOffer, sink: &Client, source: &mut Client) -> String {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    offer.receive(TEXT.to_owned(), writer.as_fd());
    sink.connection.flush().unwrap();
    drop(writer);
    // It ends when the source has closed its end, which that does when it has been asked.
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).map(|_| text)
    });
    source.until("a request for the text", |_| reading.is_finished());
    reading.join().unwrap().unwrap()
}

#[test]
fn what_one_client_copies_another_pastes() {
    let compositor = Compositor::serve();
    let mut copies = Desktop::connect(&compositor);
    copies.client.window("copies", (100, 100), RED);
    copies.client.until("the keyboard", |heard| heard.keyboard_entered);
    let source = copies.source("a word");
    copies.device.set_selection(Some(&source), 0);
    copies.client.roundtrip();

    // Who gets the keyboard is told what there is to paste.
    let mut pastes = Desktop::connect(&compositor);
    pastes.client.window("pastes", (100, 100), GREEN);
    pastes.until("an offer", |notes| notes.selection.is_some());
    let offer = pastes.notes.lock().unwrap().selection.clone().unwrap();
    assert_eq!(paste(&offer, &pastes.client, &mut copies.client), "a word");

    // What is copied goes with its client: who gets the keyboard later is told of nothing.
    drop((copies, source));
    compositor.stderr_line("hung up");
    let mut late = Desktop::connect(&compositor);
    late.client.window("late", (100, 100), GREEN);
    late.client.until("the keyboard", |heard| heard.keyboard_entered);
    late.client.roundtrip();
    assert!(late.notes.lock().unwrap().selection.is_none());
}

#[test]
fn what_is_dragged_from_one_window_is_dropped_on_another() {
    let compositor = Compositor::serve();
    let mut from = Desktop::connect(&compositor);
    let origin = from.client.window("from", (100, 100), RED);
    let mut to = Desktop::connect(&compositor);
    to.client.window("to", (100, 100), GREEN);
    let (x, y) = compositor.window("from");
    let serial = from.press(&compositor, (x + 10, y + 10));
    let source = from.source("a thing");
    source.set_actions(wl_data_device_manager::DndAction::Copy);
    from.device.start_drag(Some(&source), &origin.surface, None, serial);
    from.client.roundtrip();

    let (x, y) = compositor.window("to");
    compositor.control().ask(&format!("pointer {} {}", x + 20, y + 20));
    to.until("something dragged", |notes| notes.dragged.is_some());
    to.client.roundtrip();
    compositor.control().ask(&format!("pointer {} {} left release", x + 20, y + 20));
    to.until("the drop", |notes| notes.dropped);
    let offer = to.notes.lock().unwrap().dragged.clone().unwrap();
    assert_eq!(paste(&offer, &to.client, &mut from.client), "a thing");
    offer.finish();
    to.client.roundtrip();
    from.until("the end of it", |notes| notes.finished);
}

#[test]
fn windows_leave_room_for_a_panel() {
    const HEIGHT: u32 = 40;
    let compositor = Compositor::serve();
    let mut client = Desktop::connect(&compositor);
    let window = client.client.window("window", (100, 100), RED);
    window.toplevel.set_maximized();
    client.client.roundtrip();
    let place = || rect(&window_line(&compositor, "title=\"window\""));
    assert_eq!(place()[..2], [0, 0]);

    let shell: ZwlrLayerShellV1 =
        client.client.globals.bind(&client.client.queue, 1..=4, ()).unwrap();
    let surface = client.client.surface();
    let queue = &client.client.queue;
    let notes = Arc::clone(&client.notes);
    let panel =
        shell.get_layer_surface(&surface, None, Layer::Top, "panel".to_owned(), queue, notes);
    use layer_surface::Anchor as Edge;
    panel.set_anchor(Edge::Top | Edge::Left | Edge::Right);
    panel.set_size(0, HEIGHT);
    panel.set_exclusive_zone(HEIGHT as i32);
    surface.commit();
    client.until("the panel's size", |notes| notes.panel.is_some());
    assert_eq!(client.notes.lock().unwrap().panel, Some((640, HEIGHT)));
    client.client.show(&surface, (640, HEIGHT as i32), GREEN);
    client.client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(600, 20), GREEN & 0xffffff);
    // The window that fills the rest begins below it, and is asked to be smaller.
    assert_eq!(place()[..2], [0, HEIGHT as i32]);
    // So do those that are put side by side.
    window.toplevel.unset_maximized();
    client.client.roundtrip();
    compositor.control().ask("tile");
    let tiled = place();
    assert!(tiled[1] > HEIGHT as i32, "{tiled:?}");

    panel.destroy();
    surface.destroy();
    client.client.roundtrip();
    compositor.control().ask("tile");
    assert_eq!(place()[1], tiled[1] - HEIGHT as i32);
}

#[test]
fn a_click_beside_a_menu_closes_it() {
    let compositor = Compositor::serve();
    let mut client = Desktop::connect(&compositor);
    let window = client.client.window("window", (200, 200), RED);
    let (x, y) = compositor.window("window");
    let serial = client.press(&compositor, (x + 50, y + 50));
    let queue = &client.client.queue;
    let positioner = client.client.wm_base.create_positioner(queue, ());
    positioner.set_size(60, 60);
    positioner.set_anchor_rect(50, 50, 1, 1);
    positioner.set_anchor(Anchor::TopLeft);
    positioner.set_gravity(Gravity::BottomRight);
    let surface = client.client.surface();
    let xdg = client.client.wm_base.get_xdg_surface(&surface, queue, ());
    let popup = xdg.get_popup(Some(&window.xdg), &positioner, queue, ());
    popup.grab(&client.client.seat, serial);
    surface.commit();
    client.client.until("its place", |heard| heard.popup == Some((50, 50, 60, 60)));
    client.client.show(&surface, (60, 60), GREEN);
    client.client.roundtrip();
    let mut control = compositor.control();
    control.ask(&format!("pointer {} {} left release", x + 60, y + 60));
    client.client.until("the pointer on it", |heard| heard.pointed.as_ref() == Some(&surface));
    // A click on it is its own,
    control.ask(&format!("pointer {} {} left", x + 70, y + 70));
    client.client.roundtrip();
    assert!(!client.client.heard.popup_done);
    // and one beside it closes it.
    control.ask("pointer 630 470 left");
    client.client.until("its end", |heard| heard.popup_done);
    popup.destroy();
    client.client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 60, y + 60), RED & 0xffffff);
}

#[test]
fn a_window_is_moved_by_hand_until_the_button_is_released() {
    let compositor = Compositor::serve();
    let mut client = Desktop::connect(&compositor);
    let window = client.client.window("window", (100, 100), RED);
    let (x, y) = compositor.window("window");
    let serial = client.press(&compositor, (x + 10, y + 10));
    window.toplevel._move(&client.client.seat, serial);
    client.client.until("no pointer", |heard| heard.pointed.is_none());
    let mut control = compositor.control();
    control.ask(&format!("pointer {} {}", x + 110, y + 60));
    assert_eq!(compositor.window("window"), (x + 100, y + 50));
    control.ask(&format!("pointer {} {} left release", x + 130, y + 70));
    assert_eq!(compositor.window("window"), (x + 120, y + 60));
    client.client.until("the pointer", |heard| heard.pointer == Some((10.0, 10.0)));
    control.ask(&format!("pointer {x} {y}"));
    assert_eq!(compositor.window("window"), (x + 120, y + 60));
    assert_eq!(compositor.screenshot().pixel(x + 125, y + 65), RED & 0xffffff);

    // A serial that is no press of a button on it moves nothing.
    window.toplevel._move(&client.client.seat, serial);
    client.client.roundtrip();
    control.ask(&format!("pointer {} {}", x + 50, y + 50));
    assert_eq!(compositor.window("window"), (x + 120, y + 60));
}
