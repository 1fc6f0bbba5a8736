//! The pointer while a button is held down.

use wayland_protocols::xdg::shell::client::xdg_positioner::{Anchor, Gravity};

use super::client::Client;
use super::server::Compositor;
use super::{BLUE, GREEN, RED};

const LEFT: u32 = 0x110;
const RIGHT: u32 = 0x111;

#[test]
fn x4_a_button_that_is_held_keeps_the_pointer_on_its_window() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_pointer(&client.queue, ());
    client.window("dragged from", (120, 80), RED);
    let mut other = Client::connect(&compositor);
    other.seat.get_pointer(&other.queue, ());
    let window = other.window("dragged to", (100, 50), GREEN);
    let (x, y) = compositor.window("dragged from");
    let (there_x, there_y) = compositor.window("dragged to");
    let mut control = compositor.control();
    assert_eq!(control.ask(&format!("pointer {} {} left press", x + 7, y + 9)), ["ok"]);
    client.until("a press", |heard| heard.buttons == [(LEFT, true)]);

    // Over another window, with a second button, and when something comes and goes.
    assert_eq!(control.ask(&format!("pointer {} {}", there_x + 3, there_y + 4)), ["ok"]);
    let seen = (f64::from(there_x + 3 - x), f64::from(there_y + 4 - y));
    client.until("motion from outside", |heard| heard.pointer == Some(seen));
    assert_eq!(control.ask("pointer 639 479 right"), ["ok"]);
    client.until("the second button", |heard| heard.buttons.contains(&(RIGHT, false)));
    other.show(&window.surface, (90, 40), BLUE);
    other.roundtrip();
    assert_eq!(other.heard.pointer, None);

    assert_eq!(control.ask(&format!("pointer {there_x} {there_y} left release")), ["ok"]);
    client.until("the release", |heard| heard.buttons.last() == Some(&(LEFT, false)));
    client.until("the pointer to leave", |heard| heard.pointer.is_none());
    other.until("the pointer", |heard| heard.pointer == Some((0.0, 0.0)));
    assert_eq!(other.heard.buttons, []);
}

#[test]
fn a_window_that_goes_while_a_button_is_held_lets_the_pointer_go() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_pointer(&client.queue, ());
    let window = client.window("short-lived", (120, 80), RED);
    let (x, y) = compositor.window("short-lived");
    let mut control = compositor.control();
    control.ask(&format!("pointer {} {} left press", x + 7, y + 9));
    client.until("a press", |heard| heard.buttons == [(LEFT, true)]);
    window.surface.attach(None, 0, 0);
    window.surface.commit();
    client.until("the pointer to leave", |heard| heard.pointer.is_none());
    let other = client.window("next", (120, 80), RED);
    let (x, y) = compositor.window("next");
    control.ask(&format!("pointer {} {} left release", x + 1, y + 2));
    client.until("the pointer", |heard| heard.pointer == Some((1.0, 2.0)));
    assert_eq!(client.heard.pointed.as_ref(), Some(&other.surface));
    assert_eq!(client.heard.buttons, [(LEFT, true)]);
}

#[test]
fn a_menu_that_a_press_opens_takes_the_pointer() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_pointer(&client.queue, ());
    let window = client.window("has a menu", (120, 80), RED);
    let (x, y) = compositor.window("has a menu");
    let mut control = compositor.control();
    control.ask(&format!("pointer {} {} left press", x + 7, y + 9));
    client.until("a press", |heard| heard.buttons == [(LEFT, true)]);
    let positioner = client.wm_base.create_positioner(&client.queue, ());
    positioner.set_size(50, 60);
    positioner.set_anchor_rect(30, 20, 1, 1);
    positioner.set_anchor(Anchor::BottomRight);
    positioner.set_gravity(Gravity::BottomRight);
    let surface = client.surface();
    let xdg = client.wm_base.get_xdg_surface(&surface, &client.queue, ());
    let popup = xdg.get_popup(Some(&window.xdg), &positioner, &client.queue, ());
    popup.grab(&client.seat, 0);
    surface.commit();
    client.until("configure", |heard| heard.configured.contains(&xdg));
    client.show(&surface, (50, 60), GREEN);
    client.roundtrip();
    control.ask(&format!("pointer {} {}", x + 34, y + 25));
    client.until("the menu", |heard| heard.pointed.as_ref() == Some(&surface));
    assert_eq!(client.heard.pointer, Some((3.0, 4.0)));
    control.ask(&format!("pointer {} {} left release", x + 34, y + 25));
    client.until("a release", |heard| heard.buttons.last() == Some(&(LEFT, false)));
    assert_eq!(client.heard.pointed.as_ref(), Some(&surface));
}
