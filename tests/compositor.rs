//! The compositor example, end to end: a process of its own, real clients, and what they see.

#![cfg(target_os = "linux")]
#![expect(unreachable_pub, reason = "`pub` tells what the modules of this test offer")]

#[path = "compositor/buffers.rs"]
mod buffers;
#[path = "compositor/client.rs"]
mod client;
#[path = "compositor/clipboard.rs"]
mod clipboard;
mod common;
#[path = "compositor/decorations.rs"]
mod decorations;
#[path = "compositor/desk.rs"]
mod desk;
#[path = "compositor/drags.rs"]
mod drags;
#[path = "compositor/fds.rs"]
mod fds;
#[path = "compositor/globals.rs"]
mod globals;
#[path = "compositor/insight.rs"]
mod insight;
#[path = "compositor/pointer.rs"]
mod pointer;
#[path = "compositor/robustness.rs"]
mod robustness;
#[path = "compositor/server.rs"]
mod server;
#[path = "compositor/session.rs"]
mod session;
#[path = "compositor/touch.rs"]
mod touch;
#[path = "compositor/typing.rs"]
mod typing;

use wayland_protocols::xdg::shell::client::xdg_positioner::{
    Anchor, ConstraintAdjustment, Gravity,
};

use client::Client;
use server::{Compositor, PATIENCE, Picture};

const RED: u32 = 0xffcc2211;
const GREEN: u32 = 0xff11aa33;
const BLUE: u32 = 0xff2233dd;

fn rgb(colour: u32) -> u32 {
    colour & 0xffffff
}

/// Whether a program can be run.
fn installed(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|directory| directory.join(program).exists())
}

#[test]
fn a_window_is_shown_and_its_frames_are_called_back() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("first", (120, 80), RED);
    assert_eq!(client.heard.releases, 1);
    let (x, y) = compositor.window("first");
    let picture = compositor.screenshot();
    for (dx, dy) in [(0, 0), (119, 0), (0, 79), (119, 79), (60, 40)] {
        assert_eq!(picture.pixel(x + dx, y + dy), rgb(RED), "{dx} {dy}");
    }
    for (dx, dy) in [(-1, 40), (120, 40), (60, 80), (60, -1)] {
        assert_ne!(picture.pixel(x + dx, y + dy), rgb(RED), "{dx} {dy}");
    }
    client.frames(&window, 5);
    assert!(client.heard.frames >= 5);

    // Half transparent, premultiplied: half of it is what is underneath. Then a scaled buffer.
    client.show(&window.surface, (120, 80), 0xffffffff);
    window.surface.set_buffer_scale(2);
    client.show(&window.surface, (120, 80), BLUE);
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 59, y + 39), rgb(BLUE));
    assert_ne!(picture.pixel(x + 60, y + 39), rgb(BLUE));
}

#[test]
fn premultiplied_pixels_are_put_over_what_is_below() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("glass", (64, 64), 0xff000000);
    let subsurface = client.surface();
    client.subcompositor.get_subsurface(&subsurface, &window.surface, &client.queue, ());
    client.show(&subsurface, (64, 64), 0x80804000);
    client.show(&window.surface, (64, 64), 0xff0000ff);
    client.roundtrip();
    let (x, y) = compositor.window("glass");
    assert_eq!(compositor.screenshot().pixel(x + 9, y + 9), 0x80407f);
}

#[test]
fn a_synchronized_subsurface_follows_its_parent() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("parent", (120, 80), RED);
    let (x, y) = compositor.window("parent");
    let child = client.surface();
    let subsurface =
        client.subcompositor.get_subsurface(&child, &window.surface, &client.queue, ());
    subsurface.set_position(100, 10);
    client.show(&child, (40, 20), GREEN);
    client.roundtrip();
    assert_eq!(
        compositor.screenshot().pixel(x + 110, y + 15),
        rgb(RED),
        "not before the parent is committed"
    );

    window.surface.commit();
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 99, y + 15), rgb(RED));
    assert_eq!(picture.pixel(x + 100, y + 10), rgb(GREEN));
    assert_eq!(picture.pixel(x + 139, y + 29), rgb(GREEN), "it may reach beyond its parent");

    subsurface.set_desync();
    client.show(&child, (40, 20), BLUE);
    client.roundtrip();
    assert_eq!(compositor.screenshot().pixel(x + 110, y + 15), rgb(BLUE), "desynchronized");

    subsurface.place_below(&window.surface);
    window.surface.commit();
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 110, y + 15), rgb(RED), "below the parent");
    assert_eq!(picture.pixel(x + 130, y + 15), rgb(BLUE));
}

#[test]
fn a_popup_is_where_its_positioner_says_and_goes_with_a_click_elsewhere() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("owner", (120, 80), RED);
    let (x, y) = compositor.window("owner");
    let positioner = client.wm_base.create_positioner(&client.queue, ());
    positioner.set_size(30, 20);
    positioner.set_anchor_rect(10, 10, 20, 5);
    positioner.set_anchor(Anchor::BottomRight);
    positioner.set_gravity(Gravity::BottomRight);
    positioner.set_offset(2, 3);
    let surface = client.surface();
    let xdg = client.wm_base.get_xdg_surface(&surface, &client.queue, ());
    let popup = xdg.get_popup(Some(&window.xdg), &positioner, &client.queue, ());
    popup.grab(&client.seat, 0);
    surface.commit();
    client.until("configure", |heard| heard.configured.contains(&xdg));
    assert_eq!(client.heard.popup, Some((32, 18, 30, 20)));
    client.show(&surface, (30, 20), GREEN);
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 32, y + 18), rgb(GREEN));
    assert_eq!(picture.pixel(x + 61, y + 37), rgb(GREEN));
    assert_eq!(picture.pixel(x + 31, y + 18), rgb(RED));

    compositor.control().ask(&format!("pointer {} {} left", x + 40, y + 20));
    client.roundtrip();
    assert!(!client.heard.popup_done);
    compositor.control().ask("pointer 600 470 right");
    client.until("popup_done", |heard| heard.popup_done);
    assert_eq!(compositor.screenshot().pixel(x + 32, y + 18), rgb(RED));
}

#[test]
fn a_popup_that_would_leave_the_output_slides_back() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    // Everything of the popup but its commit comes before its parent has a place.
    let window = client.unmapped_window("owner");
    let positioner = client.wm_base.create_positioner(&client.queue, ());
    positioner.set_size(600, 20);
    positioner.set_anchor_rect(100, 10, 1, 1);
    positioner.set_anchor(Anchor::BottomRight);
    positioner.set_gravity(Gravity::BottomRight);
    positioner.set_constraint_adjustment(ConstraintAdjustment::SlideX);
    let surface = client.surface();
    let xdg = client.wm_base.get_xdg_surface(&surface, &client.queue, ());
    xdg.get_popup(Some(&window.xdg), &positioner, &client.queue, ());
    client.show(&window.surface, (120, 80), RED);
    surface.commit();
    client.until("configure", |heard| heard.configured.contains(&xdg));
    let (x, _) = compositor.window("owner");
    assert_eq!(client.heard.popup, Some((40 - x, 11, 600, 20)));
}

#[test]
fn keys_and_buttons_arrive() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_pointer(&client.queue, ());
    client.window("typed on", (120, 80), RED);
    // Asked for after the window has the keyboard.
    client.seat.get_keyboard(&client.queue, ());
    client.until("keyboard focus", |heard| heard.keyboard_entered);
    assert!(client.heard.keymap.is_some_and(|size| size > 1000));
    let mut control = compositor.control();
    assert_eq!(control.ask("key 30 press"), ["ok"]);
    assert_eq!(control.ask("key 30 release"), ["ok"]);
    assert_eq!(control.ask("key 48"), ["ok"]);
    client.until("four key events", |heard| heard.keys.len() == 4);
    assert_eq!(client.heard.keys, [(30, true), (30, false), (48, true), (48, false)]);

    let (x, y) = compositor.window("typed on");
    assert_eq!(control.ask(&format!("pointer {} {} left", x + 7, y + 9)), ["ok"]);
    client.until("a click", |heard| heard.buttons.len() == 2);
    assert_eq!(client.heard.pointer, Some((7.0, 9.0)));
    assert_eq!(client.heard.buttons, [(0x110, true), (0x110, false)]);
    control.ask("pointer 639 479");
    client.until("the pointer to leave", |heard| heard.pointer.is_none());

    let mut other = Client::connect(&compositor);
    other.window("in front", (50, 50), GREEN);
    client.until("the keyboard to leave", |heard| !heard.keyboard_entered);
}

#[test]
fn a_window_that_goes_gives_the_keyboard_back() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_keyboard(&client.queue, ());
    client.window("below", (64, 64), RED);
    let mut other = Client::connect(&compositor);
    let above = other.window("above", (64, 64), GREEN);
    client.until("the keyboard to leave", |heard| !heard.keyboard_entered);
    above.surface.attach(None, 0, 0);
    above.surface.commit();
    other.roundtrip();
    client.until("the keyboard", |heard| heard.keyboard_entered);
    // Unmapped is as new: it asks anew, and may be mapped again.
    let asked = other.heard.configured.len();
    above.surface.commit();
    other.until("configure", |heard| heard.configured.len() > asked);
    other.show(&above.surface, (64, 64), GREEN);
    other.roundtrip();
    assert_eq!(compositor.control().ask("windows").len(), 3);
    above.toplevel.destroy();
    above.xdg.destroy();
    other.roundtrip();
    assert_eq!(compositor.control().ask("windows").len(), 2);
}

#[test]
fn the_control_socket_answers_mistakes() {
    let compositor = Compositor::serve();
    let mut control = compositor.control();
    let mistakes = [
        ("", "an empty line"),
        ("dance", "is not a command"),
        ("key", "usage: key"),
        ("key a", "not a number"),
        ("key 30 hold", "usage: key"),
        ("key 9999", "no key 9999"),
        ("pointer 1", "usage: pointer"),
        ("pointer 1 2 3", "usage: pointer"),
        ("pointer 1 2 left hold", "usage: pointer"),
        ("pointer 9999 0", "not on the output"),
        ("touch", "usage: touch"),
        ("touch down 1", "usage: touch"),
        ("touch up a", "not a number"),
        ("touch move 1 9999 0", "not on the output"),
        ("screenshot", "usage: screenshot"),
        ("screenshot /no/such/directory/a.png", "can't be written"),
        ("type", "usage: type"),
        ("quit now", "takes no arguments"),
    ];
    for (line, words) in mistakes {
        let answer = control.ask(line);
        assert!(
            answer[0].starts_with("error ") && answer[0].contains(words),
            "{line:?}: {answer:?}"
        );
    }
    control.send(b"\xff\xfe\n");
    assert!(control.answer()[0].contains("UTF-8"));
    // Several commands at once are answered in order, one that takes its time included.
    let path = compositor.path("a b.png");
    control.send(format!("windows\nscreenshot {}\nstats\nwindows\n", path.display()).as_bytes());
    assert_eq!(control.answer(), ["ok 0 windows"]);
    assert!(control.answer()[0].starts_with("ok "));
    assert!(control.answer().len() > 6, "a line for each module, and tables");
    assert_eq!(control.answer(), ["ok 0 windows"]);
    Picture::read(&path);

    let mut chatterbox = compositor.control();
    chatterbox.send(&[b'x'; 5000]);
    assert!(chatterbox.answer()[0].contains("more than 4096 bytes"));
    assert!(chatterbox.is_at_end());
    assert_eq!(control.ask("windows"), ["ok 0 windows"]);
}

#[test]
fn clients_of_weston_are_shown() {
    if !["weston-simple-shm", "weston-flower", "wayland-info"].into_iter().all(installed) {
        println!("skipped: weston's clients are not installed");
        return;
    }
    let clients = ["--", "weston-simple-shm", "--", "weston-flower", "--", "wayland-info"];
    let compositor = Compositor::start(&clients);
    compositor.stdout_line("'xdg_wm_base'");
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut control = compositor.control();
    loop {
        let windows = control.ask("windows").join("\n");
        if windows.contains("title=\"simple-shm\"") && windows.contains("title=\"Flower\"") {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{windows}");
    }
    let (x, y) = compositor.window("simple-shm");
    // It draws a white frame of twenty pixels around its rings.
    assert_eq!(compositor.screenshot().pixel(x + 5, y + 5), 0xffffff);
}
