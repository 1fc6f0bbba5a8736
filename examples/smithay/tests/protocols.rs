//! The smaller protocols, a client and a few words each.

mod support;

use support::client::{Client, Heard, Window};
use support::notes::{Notes, number};
use support::server::Compositor;
use wayland_client::protocol::{
    wl_keyboard::WlKeyboard, wl_pointer::WlPointer, wl_region::WlRegion,
};
use wayland_client::{
    Connection, Dispatch, Proxy, QueueHandle, delegate_noop, event_created_child,
};
use wayland_protocols::ext::data_control::v1::client::{
    ext_data_control_device_v1, ext_data_control_device_v1::ExtDataControlDeviceV1,
    ext_data_control_manager_v1::ExtDataControlManagerV1,
    ext_data_control_offer_v1::ExtDataControlOfferV1,
};
use wayland_protocols::ext::foreign_toplevel_list::v1::client::{
    ext_foreign_toplevel_handle_v1::ExtForeignToplevelHandleV1, ext_foreign_toplevel_list_v1,
    ext_foreign_toplevel_list_v1::ExtForeignToplevelListV1,
};
use wayland_protocols::wp::cursor_shape::v1::client::{
    wp_cursor_shape_device_v1::{Shape, WpCursorShapeDeviceV1},
    wp_cursor_shape_manager_v1::WpCursorShapeManagerV1,
};
use wayland_protocols::wp::fractional_scale::v1::client::{
    wp_fractional_scale_manager_v1::WpFractionalScaleManagerV1,
    wp_fractional_scale_v1::WpFractionalScaleV1,
};
use wayland_protocols::wp::keyboard_shortcuts_inhibit::zv1::client::{
    zwp_keyboard_shortcuts_inhibit_manager_v1::ZwpKeyboardShortcutsInhibitManagerV1,
    zwp_keyboard_shortcuts_inhibitor_v1::ZwpKeyboardShortcutsInhibitorV1,
};
use wayland_protocols::wp::pointer_constraints::zv1::client::{
    zwp_confined_pointer_v1::ZwpConfinedPointerV1,
    zwp_locked_pointer_v1::ZwpLockedPointerV1,
    zwp_pointer_constraints_v1::{Lifetime, ZwpPointerConstraintsV1},
};
use wayland_protocols::wp::pointer_gestures::zv1::client::{
    zwp_pointer_gesture_hold_v1::ZwpPointerGestureHoldV1,
    zwp_pointer_gesture_pinch_v1::ZwpPointerGesturePinchV1,
    zwp_pointer_gesture_swipe_v1::ZwpPointerGestureSwipeV1,
    zwp_pointer_gestures_v1::ZwpPointerGesturesV1,
};
use wayland_protocols::wp::presentation_time::client::{
    wp_presentation::WpPresentation, wp_presentation_feedback::WpPresentationFeedback,
};
use wayland_protocols::wp::relative_pointer::zv1::client::{
    zwp_relative_pointer_manager_v1::ZwpRelativePointerManagerV1,
    zwp_relative_pointer_v1::ZwpRelativePointerV1,
};
use wayland_protocols::wp::single_pixel_buffer::v1::client::wp_single_pixel_buffer_manager_v1::WpSinglePixelBufferManagerV1;
use wayland_protocols::wp::tablet::zv2::client::{
    zwp_tablet_manager_v2::ZwpTabletManagerV2, zwp_tablet_pad_v2::ZwpTabletPadV2,
    zwp_tablet_seat_v2, zwp_tablet_seat_v2::ZwpTabletSeatV2, zwp_tablet_tool_v2::ZwpTabletToolV2,
    zwp_tablet_v2::ZwpTabletV2,
};
use wayland_protocols::wp::viewporter::client::{
    wp_viewport::WpViewport, wp_viewporter::WpViewporter,
};
use wayland_protocols::xdg::activation::v1::client::{
    xdg_activation_token_v1::XdgActivationTokenV1, xdg_activation_v1::XdgActivationV1,
};
use wayland_protocols::xdg::decoration::zv1::client::{
    zxdg_decoration_manager_v1::ZxdgDecorationManagerV1,
    zxdg_toplevel_decoration_v1::{Mode, ZxdgToplevelDecorationV1},
};

const RED: u32 = 0xffff0000;
const GREEN: u32 = 0xff00ff00;

note!(
    WlKeyboard,
    WlPointer,
    ExtForeignToplevelHandleV1,
    WpFractionalScaleV1,
    WpPresentation,
    WpPresentationFeedback,
    XdgActivationTokenV1,
    ZwpConfinedPointerV1,
    ZwpKeyboardShortcutsInhibitorV1,
    ZwpLockedPointerV1,
    ZwpPointerGestureHoldV1,
    ZwpPointerGesturePinchV1,
    ZwpPointerGestureSwipeV1,
    ZwpRelativePointerV1,
    ZwpTabletToolV2,
    ZxdgToplevelDecorationV1,
);
delegate_noop!(Heard: WlRegion);
delegate_noop!(Heard: WpCursorShapeDeviceV1);
delegate_noop!(Heard: WpCursorShapeManagerV1);
delegate_noop!(Heard: WpFractionalScaleManagerV1);
delegate_noop!(Heard: WpSinglePixelBufferManagerV1);
delegate_noop!(Heard: WpViewport);
delegate_noop!(Heard: WpViewporter);
delegate_noop!(Heard: XdgActivationV1);
delegate_noop!(Heard: ZwpKeyboardShortcutsInhibitManagerV1);
delegate_noop!(Heard: ZwpPointerConstraintsV1);
delegate_noop!(Heard: ZwpPointerGesturesV1);
delegate_noop!(Heard: ZwpRelativePointerManagerV1);
delegate_noop!(Heard: ZwpTabletManagerV2);
delegate_noop!(Heard: ZxdgDecorationManagerV1);
delegate_noop!(Heard: ExtDataControlManagerV1);
delegate_noop!(Heard: ignore ExtDataControlOfferV1);
delegate_noop!(Heard: ignore ZwpTabletV2);
delegate_noop!(Heard: ignore ZwpTabletPadV2);

/// Objects of which the compositor makes others, which have the notes of a test.
macro_rules! note_parent {
    ($proxy:ty, [$($opcode:pat => $child:ty),*]) => {
        impl Dispatch<$proxy, Notes> for Heard {
            fn event(
                _: &mut Self,
                _: &$proxy,
                event: <$proxy as Proxy>::Event,
                notes: &Notes,
                _: &Connection,
                _: &QueueHandle<Self>,
            ) {
                notes.push(&event);
            }

            fn event_created_child(
                opcode: u16,
                queue: &QueueHandle<Self>,
            ) -> std::sync::Arc<dyn wayland_client::backend::ObjectData> {
                match opcode {
                    $($opcode => <$child>::made(queue),)*
                    _ => unreachable!(),
                }
            }
        }
    };
}

/// How the child of an object is made.
trait Made: Sized {
    fn made(queue: &QueueHandle<Heard>) -> std::sync::Arc<dyn wayland_client::backend::ObjectData>;
}

/// The notes of all children: a test has one object that makes them.
fn of_children() -> Notes {
    thread_local!(static NOTES: Notes = Notes::default());
    NOTES.with(Notes::clone)
}

macro_rules! made {
    ($($child:ty = $data:expr),* $(,)?) => {$(
        impl Made for $child {
            fn made(
                queue: &QueueHandle<Heard>,
            ) -> std::sync::Arc<dyn wayland_client::backend::ObjectData> {
                queue.make_data::<$child, _>($data)
            }
        }
    )*};
}

made!(
    ExtForeignToplevelHandleV1 = of_children(),
    ZwpTabletToolV2 = of_children(),
    ZwpTabletV2 = (),
    ZwpTabletPadV2 = (),
    ExtDataControlOfferV1 = (),
);
note_parent!(ExtForeignToplevelListV1, [
    ext_foreign_toplevel_list_v1::EVT_TOPLEVEL_OPCODE => ExtForeignToplevelHandleV1
]);
note_parent!(ZwpTabletSeatV2, [
    zwp_tablet_seat_v2::EVT_TABLET_ADDED_OPCODE => ZwpTabletV2,
    zwp_tablet_seat_v2::EVT_TOOL_ADDED_OPCODE => ZwpTabletToolV2,
    zwp_tablet_seat_v2::EVT_PAD_ADDED_OPCODE => ZwpTabletPadV2
]);

impl Dispatch<ExtDataControlDeviceV1, Notes> for Heard {
    fn event(
        _: &mut Self,
        _: &ExtDataControlDeviceV1,
        event: ext_data_control_device_v1::Event,
        notes: &Notes,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        notes.push(&event);
    }

    event_created_child!(Heard, ExtDataControlDeviceV1, [
        ext_data_control_device_v1::EVT_DATA_OFFER_OPCODE => (ExtDataControlOfferV1, ()),
    ]);
}

/// A client with a window that has the keyboard and the pointer, and what it hears of them.
struct Desk {
    compositor: Compositor,
    client: Client,
    window: Window,
    pointer: WlPointer,
    pointed: Notes,
    typed: Notes,
    /// The place of the window.
    at: (i32, i32),
}

impl Desk {
    fn new() -> Self {
        let compositor = Compositor::serve();
        let mut client = Client::connect(&compositor);
        let (pointed, typed) = (Notes::default(), Notes::default());
        client.seat.get_keyboard(&client.queue, ());
        client.seat.get_keyboard(&client.queue, typed.clone());
        client.seat.get_pointer(&client.queue, ());
        let pointer = client.seat.get_pointer(&client.queue, pointed.clone());
        let window = client.window("window", (200, 100), RED);
        client.until("the keyboard", |heard| heard.keyboard_entered);
        let at = compositor.window("window");
        compositor.control().ask(&format!("pointer {} {}", at.0 + 50, at.1 + 50));
        client.until("the pointer", |heard| heard.pointed.is_some());
        Self { compositor, client, window, pointer, pointed, typed, at }
    }

    fn ask(&self, command: &str) {
        let answer = self.compositor.control().ask(command);
        assert_eq!(answer, ["ok"], "{command}");
    }

    /// What is said of the pointer.
    fn pointer_line(&self) -> String {
        let stats = self.compositor.control().ask("stats");
        stats.iter().find(|line| line.starts_with("pointer")).unwrap().clone()
    }

    fn bind<P>(&self) -> P
    where
        P: Proxy + 'static,
        Heard: Dispatch<P, ()>,
    {
        self.client.globals.bind(&self.client.queue, 1..=1, ()).unwrap()
    }
}

#[test]
fn clients_draw_their_own_title_bars_unless_they_want_none() {
    let mut desk = Desk::new();
    let manager: ZxdgDecorationManagerV1 = desk.bind();
    let notes = Notes::default();
    let toplevel = &desk.window.toplevel;
    let decoration = manager.get_toplevel_decoration(toplevel, &desk.client.queue, notes.clone());
    notes.until(&mut desk.client, "Configure { mode: Value(ClientSide) }");
    decoration.set_mode(Mode::ServerSide);
    notes.until(&mut desk.client, "Configure { mode: Value(ServerSide) }");
    decoration.unset_mode();
    notes.until(&mut desk.client, "Configure { mode: Value(ClientSide) }");
    // Who begins with what it wants is told that, and nothing else before.
    decoration.destroy();
    let decoration = manager.get_toplevel_decoration(toplevel, &desk.client.queue, notes.clone());
    decoration.set_mode(Mode::ServerSide);
    assert_eq!(notes.until(&mut desk.client, "Configure"), "Configure { mode: Value(ServerSide) }");
    desk.client.roundtrip();
    assert_eq!(notes.find("Configure"), None);
}

/// A token of `client`, with the serial of the last event if there is one.
fn token(client: &mut Client, activation: &XdgActivationV1, serial: Option<u32>) -> String {
    let notes = Notes::default();
    let token = activation.get_activation_token(&client.queue, notes.clone());
    if let Some(serial) = serial {
        token.set_serial(serial, &client.seat);
    }
    token.commit();
    let done = notes.until(client, "Done");
    done.split('"').nth(1).unwrap().to_owned()
}

#[test]
fn who_has_the_keyboard_may_have_another_window_raised() {
    let mut desk = Desk::new();
    let activation: XdgActivationV1 = desk.bind();
    let mut other = Client::connect(&desk.compositor);
    let typed = Notes::default();
    other.seat.get_keyboard(&other.queue, typed.clone());
    let theirs: XdgActivationV1 = other.globals.bind(&other.queue, 1..=1, ()).unwrap();
    other.window("on top", (100, 100), GREEN);
    let entered = typed.until(&mut other, "Enter");
    let top = |desk: &Desk| {
        let windows = desk.compositor.control().ask("windows");
        windows.iter().find(|line| line.contains(" active ")).unwrap().clone()
    };
    assert!(top(&desk).contains("on top"));

    // Not with a token of its own, nor with one that nobody has made.
    let serial = number(&desk.typed.find("Enter").unwrap(), "serial");
    for serial in [None, Some(serial)] {
        let mine = token(&mut desk.client, &activation, serial);
        activation.activate(mine, &desk.window.surface);
        desk.client.roundtrip();
        assert!(top(&desk).contains("on top"));
    }
    activation.activate("nobody's".to_owned(), &desk.window.surface);
    desk.client.roundtrip();
    assert!(top(&desk).contains("on top"));

    let given = token(&mut other, &theirs, Some(number(&entered, "serial")));
    activation.activate(given.clone(), &desk.window.surface);
    desk.client.until("the keyboard", |heard| heard.keyboard_entered);
    assert!(top(&desk).contains("\"window\""));
    // It is for one time.
    let (x, y) = desk.compositor.window("on top");
    desk.ask(&format!("pointer {} {} left", x + 5, y + 5));
    typed.until(&mut other, "Enter");
    activation.activate(given, &desk.window.surface);
    desk.client.roundtrip();
    assert!(top(&desk).contains("on top"));
}

#[test]
fn clients_are_told_the_scale_and_when_frames_are_shown() {
    let mut desk = Desk::new();
    let (scale, queue) = (Notes::default(), desk.client.queue.clone());
    let manager: WpFractionalScaleManagerV1 = desk.bind();
    manager.get_fractional_scale(&desk.window.surface, &queue, scale.clone());
    scale.until(&mut desk.client, "PreferredScale { scale: 120 }");

    let clock = Notes::default();
    let presentation: WpPresentation =
        desk.client.globals.bind(&queue, 1..=2, clock.clone()).unwrap();
    clock.until(&mut desk.client, "ClockId { clk_id: 1 }");
    let (first, second) = (Notes::default(), Notes::default());
    for notes in [&first, &second] {
        presentation.feedback(&desk.window.surface, &queue, notes.clone());
        desk.client.show(&desk.window.surface, (200, 100), GREEN);
    }
    // The second is there before the frame in which the first would have been.
    first.until(&mut desk.client, "Discarded");
    let presented = second.until(&mut desk.client, "Presented");
    assert_eq!(number(&presented, "refresh"), 16_666_667);
    let seconds = u64::from(number(&presented, "tv_sec_lo"));
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec as u64;
    assert!((now - 60..=now).contains(&seconds), "{seconds} is not about {now}");
}

#[test]
fn a_pixel_is_a_buffer() {
    let desk = Desk::new();
    let queue = &desk.client.queue;
    let (pixels, viewporter): (WpSinglePixelBufferManagerV1, WpViewporter) =
        (desk.bind(), desk.bind());
    let viewport = viewporter.get_viewport(&desk.window.surface, queue, ());
    viewport.set_destination(150, 80);
    let pixel = pixels.create_u32_rgba_buffer(0, u32::MAX, 0, u32::MAX, queue, ());
    desk.window.surface.attach(Some(&pixel), 0, 0);
    desk.window.surface.damage_buffer(0, 0, 1, 1);
    desk.window.surface.commit();
    let mut client = desk.client;
    client.roundtrip();
    let (picture, (x, y)) = (desk.compositor.screenshot(), desk.at);
    assert_eq!(picture.pixel(x + 149, y + 79), GREEN & 0xffffff);
    assert_ne!(picture.pixel(x + 150, y + 79), GREEN & 0xffffff);
}

#[test]
fn clients_name_the_cursor() {
    let mut desk = Desk::new();
    let manager: WpCursorShapeManagerV1 = desk.bind();
    let device = manager.get_pointer(&desk.pointer, &desk.client.queue, ());
    let serial = number(&desk.pointed.until(&mut desk.client, "Enter"), "serial");
    device.set_shape(serial, Shape::Text);
    desk.client.roundtrip();
    assert!(desk.pointer_line().ends_with("cursor text"), "{}", desk.pointer_line());
    // It is that of whoever has the pointer, and says so with the right number.
    desk.ask("pointer 630 470");
    desk.client.until("it is gone", |heard| heard.pointed.is_none());
    device.set_shape(serial, Shape::Wait);
    desk.client.roundtrip();
    assert!(!desk.pointer_line().ends_with("cursor wait"), "{}", desk.pointer_line());
}

#[test]
fn a_locked_pointer_stays_and_tells_of_its_motion() {
    let mut desk = Desk::new();
    let queue = desk.client.queue.clone();
    let (lock, relative) = (Notes::default(), Notes::default());
    let manager: ZwpRelativePointerManagerV1 = desk.bind();
    manager.get_relative_pointer(&desk.pointer, &queue, relative.clone());
    let constraints: ZwpPointerConstraintsV1 = desk.bind();
    let lifetime = Lifetime::Persistent;
    let locked = constraints.lock_pointer(
        &desk.window.surface,
        &desk.pointer,
        None,
        lifetime,
        &queue,
        lock.clone(),
    );
    lock.until(&mut desk.client, "Locked");
    let place = desk.pointer_line();
    assert!(place.contains("locked"), "{place}");
    desk.ask("motion 30 -20");
    relative.until(&mut desk.client, "dx: 30.0, dy: -20.0");
    // Where somebody has it put is a motion, too.
    desk.ask("pointer 600 400");
    relative.until(&mut desk.client, "RelativeMotion");
    assert_eq!(desk.pointer_line(), place);
    assert_eq!(desk.client.heard.pointer, Some((50.0, 50.0)));

    // It goes on from where its client says.
    locked.set_cursor_position_hint(10.0, 15.0);
    desk.window.surface.commit();
    locked.destroy();
    desk.client.roundtrip();
    desk.ask("motion 1 1");
    desk.client.until("it moves", |heard| heard.pointer == Some((11.0, 16.0)));
    assert!(desk.pointer_line().contains("free"), "{}", desk.pointer_line());
}

#[test]
fn a_confined_pointer_stays_on_its_window_until_another_has_the_keyboard() {
    let mut desk = Desk::new();
    let (notes, queue) = (Notes::default(), desk.client.queue.clone());
    let constraints: ZwpPointerConstraintsV1 = desk.bind();
    let region = desk.client.compositor.create_region(&queue, ());
    region.add(0, 0, 100, 100);
    let confined = constraints.confine_pointer(
        &desk.window.surface,
        &desk.pointer,
        Some(&region),
        Lifetime::Persistent,
        &queue,
        notes.clone(),
    );
    notes.until(&mut desk.client, "Confined");
    desk.ask("motion 30 0");
    desk.client.until("it moves", |heard| heard.pointer == Some((80.0, 50.0)));
    // Not out of the region, but to its edge, and along that, to the corner.
    desk.ask("motion 30 10");
    desk.client.until("it moves down", |heard| heard.pointer == Some((99.0, 60.0)));
    desk.ask("motion -30 0");
    desk.client.until("it moves back", |heard| heard.pointer == Some((69.0, 60.0)));
    desk.ask("pointer 600 400");
    desk.client.until("the corner", |heard| heard.pointer == Some((99.0, 99.0)));
    desk.ask("motion -1000 -1000");
    desk.client.until("the other corner", |heard| heard.pointer == Some((0.0, 0.0)));
    desk.ask("motion 80 60");
    desk.client.until("it is back", |heard| heard.pointer == Some((80.0, 60.0)));
    assert!(desk.pointer_line().contains("confined"), "{}", desk.pointer_line());
    confined.set_region(None);
    desk.window.surface.commit();
    desk.client.roundtrip();
    desk.ask("motion 30 0");
    desk.client.until("it moves on", |heard| heard.pointer == Some((110.0, 60.0)));

    let mut other = Client::connect(&desk.compositor);
    other.window("other", (100, 100), GREEN);
    notes.until(&mut desk.client, "Unconfined");
    desk.ask("pointer 600 400");
    desk.client.until("it is gone", |heard| heard.pointed.is_none());
}

#[test]
fn gestures_reach_the_window_under_the_pointer() {
    let mut desk = Desk::new();
    let (notes, queue) = (Notes::default(), desk.client.queue.clone());
    let gestures: ZwpPointerGesturesV1 = desk.client.globals.bind(&queue, 3..=3, ()).unwrap();
    gestures.get_swipe_gesture(&desk.pointer, &queue, notes.clone());
    gestures.get_pinch_gesture(&desk.pointer, &queue, notes.clone());
    gestures.get_hold_gesture(&desk.pointer, &queue, notes.clone());
    desk.client.roundtrip();
    desk.ask("swipe 3 40 -5");
    let begin = notes.until(&mut desk.client, "Begin");
    assert_eq!(number(&begin, "fingers"), 3);
    notes.until(&mut desk.client, "dx: 40.0, dy: -5.0");
    notes.until(&mut desk.client, "End");
    desk.ask("pinch 2 1.5 90");
    notes.until(&mut desk.client, "fingers: 2");
    notes.until(&mut desk.client, "scale: 1.5, rotation: 90.0");
    notes.until(&mut desk.client, "End");
    desk.ask("hold 4");
    notes.until(&mut desk.client, "fingers: 4");
    notes.until(&mut desk.client, "End");
}

#[test]
fn a_stylus_draws_on_the_window_below_it() {
    let mut desk = Desk::new();
    let (notes, queue) = (Notes::default(), desk.client.queue.clone());
    let pen = of_children();
    pen.clear();
    let manager: ZwpTabletManagerV2 = desk.bind();
    manager.get_tablet_seat(&desk.client.seat, &queue, notes.clone());
    desk.client.roundtrip();
    let mut other = Client::connect(&desk.compositor);
    other.window("on top", (100, 100), GREEN);
    let (x, y) = desk.at;
    desk.ask(&format!("stylus {} {} 0", x + 20, y + 30));
    notes.until(&mut desk.client, "ToolAdded");
    pen.until(&mut desk.client, "Type { tool_type: Value(Pen) }");
    pen.until(&mut desk.client, "ProximityIn");
    pen.until(&mut desk.client, "Motion { x: 20.0, y: 30.0 }");
    desk.ask(&format!("stylus {} {} 0.5", x + 25, y + 30));
    pen.until(&mut desk.client, "Down");
    let pressure = pen.until(&mut desk.client, "Pressure");
    assert_eq!(number(&pressure, "pressure"), 32768);
    // What it presses on comes to the front.
    desk.client.until("the keyboard", |heard| heard.keyboard_entered);
    desk.ask("stylus away");
    pen.until(&mut desk.client, "Up");
    pen.until(&mut desk.client, "ProximityOut");
}

#[test]
fn the_keys_of_the_window_manager_are_a_client_s_that_inhibits_them() {
    let mut desk = Desk::new();
    let (notes, queue) = (Notes::default(), desk.client.queue.clone());
    let manager: ZwpKeyboardShortcutsInhibitManagerV1 = desk.bind();
    let (surface, seat) = (&desk.window.surface, &desk.client.seat);
    let inhibitor = manager.inhibit_shortcuts(surface, seat, &queue, notes.clone());
    notes.until(&mut desk.client, "Active");
    let alt_f4 = ["key 56 press", "key 62 press", "key 62 release", "key 56 release"];
    alt_f4.iter().for_each(|command| desk.ask(command));
    desk.client.until("Alt+F4", |heard| heard.keys.contains(&(62, true)));
    inhibitor.destroy();
    desk.client.roundtrip();
    desk.client.heard.keys.clear();
    alt_f4.iter().for_each(|command| desk.ask(command));
    desk.client.until("Alt", |heard| heard.keys.contains(&(56, false)));
    assert!(!desk.client.heard.keys.contains(&(62, true)), "{:?}", desk.client.heard.keys);
}

#[test]
fn windows_are_listed_as_they_come_and_go() {
    let mut desk = Desk::new();
    let mut lister = Client::connect(&desk.compositor);
    let (list, window) = (Notes::default(), of_children());
    window.clear();
    let queue = lister.queue.clone();
    let _list: ExtForeignToplevelListV1 = lister.globals.bind(&queue, 1..=1, list.clone()).unwrap();
    list.until(&mut lister, "Toplevel");
    window.until(&mut lister, "Title { title: \"window\" }");
    window.until(&mut lister, "AppId { app_id: \"test\" }");
    window.until(&mut lister, "Done");
    desk.window.toplevel.set_title("another title".to_owned());
    desk.client.roundtrip();
    window.until(&mut lister, "Title { title: \"another title\" }");
    window.until(&mut lister, "Done");

    desk.client.window("second", (50, 50), GREEN);
    list.until(&mut lister, "Toplevel");
    window.until(&mut lister, "Title { title: \"second\" }");
    desk.window.surface.attach(None, 0, 0);
    desk.window.surface.commit();
    desk.client.roundtrip();
    window.until(&mut lister, "Closed");
}

#[test]
fn the_clipboard_is_known_to_those_without_a_window() {
    let mut desk = Desk::new();
    let (notes, queue) = (Notes::default(), desk.client.queue.clone());
    let manager: ExtDataControlManagerV1 = desk.bind();
    manager.get_data_device(&desk.client.seat, &queue, notes.clone());
    notes.until(&mut desk.client, "Selection { id: None }");
    let copy = support::client_of(&desk.compositor, "wl-copy").arg("copied").status().unwrap();
    assert!(copy.success());
    notes.until(&mut desk.client, "DataOffer");
    notes.until(&mut desk.client, "Selection { id: Some");
}
