//! Drag and drop, between clients of this test's own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use wayland_client::protocol::wl_data_device_manager::DndAction;
use wayland_client::protocol::wl_data_offer::WlDataOffer;
use wayland_client::protocol::wl_data_source::WlDataSource;

use super::desk::{Desk, Told, point_at};
use super::server::Compositor;
use super::{BLUE, GREEN, RED, rgb};

/// A client that drags, and one that may want it.
fn desks(compositor: &Compositor) -> (Desk, Desk) {
    (Desk::new(compositor, "from", RED), Desk::new(compositor, "to", GREEN))
}

/// Drags a source that can be copied onto `to`, which accepts.
fn drag_onto(
    compositor: &Compositor,
    from: &mut Desk,
    to: &mut Desk,
) -> (WlDataSource, WlDataOffer) {
    let source = from.source(DndAction::Copy);
    from.drag(compositor, &source);
    point_at(compositor, to.at, (5, 5), "");
    let offer = to.accept(DndAction::Copy, DndAction::Copy);
    (source, offer)
}

#[test]
fn what_is_dragged_from_one_client_is_dropped_on_another() {
    let compositor = Compositor::serve();
    let (mut from, mut to) = desks(&compositor);
    let source = from.source(DndAction::Copy | DndAction::Move);
    from.drag(&compositor, &source);
    point_at(&compositor, to.at, (20, 30), "");
    to.until("an offer", |heard| heard.over == Some((20.0, 30.0)));
    assert_eq!(to.heard.mime_types, ["text/plain"]);
    assert_eq!(to.heard.source_actions, Some(DndAction::Copy | DndAction::Move));
    let offer = to.accept(DndAction::Copy | DndAction::Move, DndAction::Move);
    assert_eq!(to.heard.action, Some(DndAction::Move));
    from.listen();
    let agreed = [Told::Target(Some("text/plain".to_owned())), Told::Action(DndAction::Move)];
    assert_eq!(from.heard.source, agreed);
    point_at(&compositor, to.at, (25, 35), "");
    to.until("motion", |heard| heard.over == Some((25.0, 35.0)));
    // It is no click.
    assert!(!to.heard.pointed);

    point_at(&compositor, to.at, (25, 35), "left release");
    to.until("the drop", |heard| heard.dropped);
    assert_eq!(from.listen().source.last(), Some(&Told::Dropped));
    let (mut read, write) = std::io::pipe().unwrap();
    offer.receive("text/plain".to_owned(), write.as_fd());
    drop(write);
    to.listen();
    from.until("a request", |heard| !heard.asked.is_empty());
    File::from(from.heard.asked.remove(0)).write_all(b"a thing").unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, "a thing");
    to.until("the pointer", |heard| heard.pointed);
    offer.finish();
    offer.destroy();
    to.listen();
    assert_eq!(from.listen().source.last(), Some(&Told::Finished));
    assert_eq!((from.heard.releases, to.heard.releases), (0, 0));
}

#[test]
fn what_nobody_wants_is_cancelled() {
    let compositor = Compositor::serve();
    let (mut from, mut to) = desks(&compositor);
    // Nothing is accepted; or there is no action that both can do; or it is elsewhere by then.
    for (actions, place) in
        [(None, (5, 5)), (Some(DndAction::Move), (5, 5)), (Some(DndAction::Copy), (0, 200))]
    {
        let source = from.source(DndAction::Copy);
        from.heard.source.clear();
        from.drag(&compositor, &source);
        point_at(&compositor, to.at, (5, 5), "");
        to.until("an offer", |heard| heard.over.is_some());
        if let Some(actions) = actions {
            to.accept(actions, actions);
        }
        point_at(&compositor, to.at, place, "left release");
        to.until("the end", |heard| heard.over.is_none());
        assert!(!to.heard.dropped, "{actions:?}");
        assert_eq!(from.listen().source.last(), Some(&Told::Cancelled), "{actions:?}");
        assert!(!from.heard.source.contains(&Told::Dropped), "{actions:?}");
        to.heard.offer.take().unwrap().destroy();
    }
}

#[test]
fn an_offer_that_is_dropped_and_not_finished_is_cancelled() {
    let compositor = Compositor::serve();
    let (mut from, mut to) = desks(&compositor);
    let (_source, offer) = drag_onto(&compositor, &mut from, &mut to);
    point_at(&compositor, to.at, (5, 5), "left release");
    to.until("the drop", |heard| heard.dropped);
    offer.destroy();
    to.listen();
    assert_eq!(from.listen().source.last(), Some(&Told::Cancelled));
}

#[test]
fn only_who_holds_the_pointer_drags() {
    let compositor = Compositor::serve();
    let (mut from, mut to) = desks(&compositor);
    let serial = from.press(&compositor);
    let start = |desk: &mut Desk, serial| {
        let source = desk.source(DndAction::Copy);
        desk.device.start_drag(Some(&source), &desk.window.surface, None, serial);
        desk.listen();
    };
    // Not another client, not by another serial, and not after the release.
    start(&mut to, serial);
    assert_eq!(to.heard.source, [Told::Cancelled]);
    start(&mut from, serial + 1);
    assert_eq!(from.heard.source, [Told::Cancelled]);
    point_at(&compositor, from.at, (10, 10), "left release");
    start(&mut from, serial);
    assert_eq!(from.heard.source, [Told::Cancelled, Told::Cancelled]);
    assert!(from.heard.pointed);
}

#[test]
fn a_drag_ends_with_either_side() {
    let compositor = Compositor::serve();
    let (mut from, mut to) = desks(&compositor);
    // The client below it goes: it goes on, and is wanted by nobody.
    let _kept = drag_onto(&compositor, &mut from, &mut to);
    drop(to);
    compositor.stderr_line("hung up");
    from.until("it is not wanted", |heard| heard.source.contains(&Told::Target(None)));
    point_at(&compositor, from.at, (10, 300), "left release");
    assert_eq!(from.listen().source.last(), Some(&Told::Cancelled));

    // The one that drags goes: it is taken back, and the pointer is free when the button is.
    let mut to = Desk::new(&compositor, "to", GREEN);
    let (source, offer) = drag_onto(&compositor, &mut from, &mut to);
    drop((from, source));
    compositor.stderr_line("hung up");
    to.until("it is taken back", |heard| heard.over.is_none());
    offer.destroy();
    point_at(&compositor, to.at, (5, 5), "left release");
    to.until("the pointer", |heard| heard.pointed);
    assert!(!to.heard.dropped);
    assert_eq!(to.heard.releases, 0);
}

#[test]
fn what_is_dropped_outlasts_its_source() {
    let compositor = Compositor::serve();
    let (mut from, mut to) = desks(&compositor);
    let (source, offer) = drag_onto(&compositor, &mut from, &mut to);
    point_at(&compositor, to.at, (5, 5), "left release");
    to.until("the drop", |heard| heard.dropped);
    drop((from, source));
    compositor.stderr_line("hung up");
    offer.finish();
    to.listen();
    // Twice is once too often.
    offer.finish();
    assert_eq!(to.client.protocol_error().code, 0, "invalid_finish");
}

#[test]
fn an_icon_follows_the_pointer() {
    let compositor = Compositor::serve();
    let mut from = Desk::new(&compositor, "from", RED);
    let icon = from.client.surface();
    from.client.show(&icon, (20, 10), BLUE);
    let source = from.source(DndAction::Copy);
    let serial = from.press(&compositor);
    from.device.start_drag(Some(&source), &from.window.surface, Some(&icon), serial);
    from.until("the pointer to leave", |heard| !heard.pointed);
    let (x, y) = from.at;
    for (dx, dy) in [(10, 10), (30, 20)] {
        point_at(&compositor, from.at, (dx, dy), "");
        let picture = compositor.screenshot();
        assert_eq!(picture.pixel(x + dx, y + dy), rgb(BLUE));
        assert_eq!(picture.pixel(x + dx + 19, y + dy + 9), rgb(BLUE));
        assert_eq!(picture.pixel(x + dx + 20, y + dy + 10), rgb(RED));
        assert_eq!(picture.pixel(x + dx - 1, y + dy), rgb(RED));
    }
    // It is moved by its client.
    icon.offset(-5, 3);
    from.client.show(&icon, (20, 10), BLUE);
    from.client.roundtrip();
    assert_eq!(compositor.screenshot().pixel(x + 26, y + 32), rgb(BLUE));
    point_at(&compositor, from.at, (30, 20), "left release");
    from.until("the pointer", |heard| heard.pointed);
    assert_eq!(compositor.screenshot().pixel(x + 35, y + 25), rgb(RED));

    let serial = from.press(&compositor);
    let surface = &from.window.surface;
    from.device.start_drag(None, surface, Some(surface), serial);
    let error = from.client.protocol_error();
    assert_eq!((error.code, error.object_interface.as_str()), (0, "wl_data_device"), "role");
}

#[test]
fn what_has_no_source_stays_in_its_client() {
    let compositor = Compositor::serve();
    let (mut from, mut to) = desks(&compositor);
    let serial = from.press(&compositor);
    from.device.start_drag(None, &from.window.surface, None, serial);
    from.until("the pointer to leave", |heard| !heard.pointed);
    point_at(&compositor, from.at, (11, 12), "");
    from.until("itself", |heard| heard.over == Some((11.0, 12.0)));
    assert_eq!(from.heard.offer, None);
    point_at(&compositor, to.at, (5, 5), "");
    from.until("to leave", |heard| heard.over.is_none());
    assert_eq!(to.listen().over, None);
    point_at(&compositor, from.at, (11, 12), "left release");
    from.until("the drop", |heard| heard.dropped);
}

#[test]
fn actions_have_rules() {
    let compositor = Compositor::serve();
    let mut client = Desk::new(&compositor, "one", RED);
    let source = client.source(DndAction::Copy);
    source.set_actions(DndAction::Copy);
    let error = client.client.protocol_error();
    assert_eq!((error.code, error.object_interface.as_str()), (1, "wl_data_source"));

    let (mut from, mut to) = desks(&compositor);
    let (_source, offer) = drag_onto(&compositor, &mut from, &mut to);
    offer.set_actions(DndAction::Copy, DndAction::Move);
    let error = to.client.protocol_error();
    assert_eq!((error.code, error.object_interface.as_str()), (2, "wl_data_offer"));
}
