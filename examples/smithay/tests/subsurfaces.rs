//! Where subsurfaces are, and which of them has the pointer, while it rests.

mod support;

use support::client::{Client, Window};
use support::server::Compositor;
use wayland_client::protocol::{wl_subsurface::WlSubsurface, wl_surface::WlSurface};

const RED: u32 = 0xffff0000;
const GREEN: u32 = 0xff00ff00;
const BLUE: u32 = 0xff0000ff;

/// A window with the pointer twenty pixels into it.
fn under_the_pointer() -> (Compositor, Client, Window, (i32, i32)) {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_pointer(&client.queue, ());
    let window = client.window("parent", (200, 100), RED);
    let (x, y) = compositor.window("parent");
    compositor.control().ask(&format!("pointer {} {}", x + 20, y + 20));
    client.until("the pointer", |heard| heard.pointer == Some((20.0, 20.0)));
    (compositor, client, window, (x, y))
}

/// One at the top left of a window, of the same size as any other.
fn subsurface(client: &mut Client, window: &Window) -> (WlSurface, WlSubsurface) {
    let surface = client.surface();
    let subsurface =
        client.subcompositor.get_subsurface(&surface, &window.surface, &client.queue, ());
    client.show(&surface, (50, 50), GREEN);
    window.surface.commit();
    client.until("the pointer on it", |heard| heard.pointed.as_ref() == Some(&surface));
    (surface, subsurface)
}

#[test]
fn the_pointer_is_on_the_one_that_is_put_on_top() {
    let (_compositor, mut client, window, _) = under_the_pointer();
    let (lower, below) = subsurface(&mut client, &window);
    let (upper, _above) = subsurface(&mut client, &window);
    below.place_above(&upper);
    window.surface.commit();
    client.until("the lower one", |heard| heard.pointed.as_ref() == Some(&lower));
    below.place_below(&upper);
    window.surface.commit();
    client.until("the upper one", |heard| heard.pointed.as_ref() == Some(&upper));
}

#[test]
fn it_moves_with_the_commit_of_its_parent() {
    let (_compositor, mut client, window, _) = under_the_pointer();
    let (surface, subsurface) = subsurface(&mut client, &window);
    subsurface.set_desync();
    subsurface.set_position(5, 7);
    // Its own commit is not what it waits for.
    client.show(&surface, (50, 50), GREEN);
    client.roundtrip();
    assert_eq!(client.heard.pointer, Some((20.0, 20.0)));
    window.surface.commit();
    client.until("the pointer elsewhere in it", |heard| heard.pointer == Some((15.0, 13.0)));
    // And it stays there.
    client.show(&surface, (50, 50), RED);
    client.roundtrip();
    assert_eq!(client.heard.pointer, Some((15.0, 13.0)));

    // Once more a subsurface, it begins at the corner.
    subsurface.destroy();
    client.until("the window", |heard| heard.pointed.as_ref() == Some(&window.surface));
    client.subcompositor.get_subsurface(&surface, &window.surface, &client.queue, ());
    client.show(&surface, (50, 50), RED);
    window.surface.commit();
    client.until("the corner", |heard| heard.pointed.as_ref() == Some(&surface));
    assert_eq!(client.heard.pointer, Some((20.0, 20.0)));
}

/// What is moved by what its client does is not raised by that.
#[test]
fn one_that_reaches_out_of_its_window_does_not_raise_it() {
    let (compositor, mut client, window, (x, y)) = under_the_pointer();
    let (surface, subsurface) = subsurface(&mut client, &window);
    let mut other = Client::connect(&compositor);
    other.window("above", (50, 50), BLUE);
    let (from_x, from_y) = compositor.window("above");
    let mut control = compositor.control();
    for command in [
        "key 56 press".to_owned(),
        format!("pointer {} {} left press", from_x + 5, from_y + 5),
        format!("pointer {} {} left release", x + 105, y + 35),
        "key 56 release".to_owned(),
    ] {
        assert_eq!(control.ask(&command), ["ok"]);
    }
    assert_eq!(compositor.screenshot().pixel(x + 110, y + 40), BLUE & 0xffffff);
    subsurface.set_position(-12, -9);
    client.show(&surface, (50, 50), GREEN);
    window.surface.commit();
    client.roundtrip();
    assert_eq!(compositor.window("parent"), (x - 12, y - 9));
    assert_eq!(compositor.screenshot().pixel(x + 110, y + 40), BLUE & 0xffffff);
}

/// A client that sets no geometry, such as this, has that of all its surfaces.
#[test]
fn one_that_reaches_out_of_its_window_does_not_push_it() {
    let (compositor, mut client, window, (x, y)) = under_the_pointer();
    let (surface, subsurface) = subsurface(&mut client, &window);
    subsurface.set_position(-12, -9);
    client.show(&surface, (50, 50), GREEN);
    window.surface.commit();
    client.until("the pointer elsewhere in it", |heard| heard.pointer == Some((32.0, 29.0)));
    assert_eq!(compositor.window("parent"), (x - 12, y - 9));
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 199, y + 99), RED & 0xffffff);
    assert_eq!(picture.pixel(x - 12, y - 9), GREEN & 0xffffff);
    assert_ne!(picture.pixel(x + 200, y + 99), RED & 0xffffff);
}
