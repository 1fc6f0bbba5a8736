//! Fingers: what clients hear of them.

use std::time::Instant;

use wayland_client::protocol::wl_touch::{self, WlTouch};
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle};

use super::client::{Client, Window};
use super::server::{Compositor, PATIENCE};
use super::{GREEN, RED};

/// A client with a window that can be touched.
struct Touched {
    client: Client,
    window: Window,
    at: (i32, i32),
    events: EventQueue<Heard>,
    heard: Heard,
}

#[derive(Default)]
struct Heard {
    /// Those of a group that has not ended.
    begun: Vec<Said>,
    /// Groups, in order.
    groups: Vec<Vec<Said>>,
}

#[derive(PartialEq, Debug)]
enum Said {
    Down(i32, f64, f64),
    Motion(i32, f64, f64),
    Up(i32),
    Cancel,
}
use Said::{Cancel, Down, Motion, Up};

impl Touched {
    fn new(compositor: &Compositor, title: &str, colour: u32) -> Self {
        let mut client = Client::connect(compositor);
        let events = client.connection.new_event_queue();
        client.seat.get_touch(&events.handle(), ());
        let window = client.window(title, (100, 80), colour);
        let at = compositor.window(title);
        Self { client, window, at, events, heard: Heard::default() }
    }

    /// Waits until it has heard so many groups of events; those are all.
    fn hears(&mut self, groups: &[&[Said]]) {
        let deadline = Instant::now() + PATIENCE;
        while self.heard.groups.len() < groups.len() {
            assert!(Instant::now() < deadline, "only {:?}", self.heard.groups);
            self.listen();
        }
        self.listen();
        assert_eq!(self.heard.groups, groups);
        assert_eq!(self.heard.begun, []);
    }

    fn listen(&mut self) {
        self.events.roundtrip(&mut self.heard).unwrap();
    }

    /// Does something with a finger at a place of the window.
    fn touch(&self, compositor: &Compositor, step: &str, (x, y): (i32, i32)) {
        let command = format!("touch {step} {} {}", self.at.0 + x, self.at.1 + y);
        assert_eq!(compositor.control().ask(&command), ["ok"]);
    }
}

#[test]
fn a_finger_stays_with_the_window_it_came_down_on() {
    let compositor = Compositor::serve();
    let mut below = Touched::new(&compositor, "below", RED);
    let mut other = Touched::new(&compositor, "other", GREEN);
    below.client.seat.get_keyboard(&below.client.queue, ());
    below.touch(&compositor, "down 7", (10, 20));
    // Its window is the one that is typed to.
    below.client.until("the keyboard", |heard| heard.keyboard_entered);
    other.touch(&compositor, "down 2", (3, 4));
    other.touch(&compositor, "move 7", (5, 6));
    below.touch(&compositor, "move 2", (1, 1));
    let control = |command: &str| assert_eq!(compositor.control().ask(command), ["ok"]);
    control("touch up 7");
    control("touch up 2");
    // Those are not down.
    control("touch up 7");
    control("touch move 7 10 10");
    let (dx, dy) = (other.at.0 - below.at.0, other.at.1 - below.at.1);
    let (x, y) = (f64::from(dx), f64::from(dy));
    below.hears(&[&[Down(7, 10.0, 20.0)], &[Motion(7, x + 5.0, y + 6.0)], &[Up(7)]]);
    other.hears(&[&[Down(2, 3.0, 4.0)], &[Motion(2, 1.0 - x, 1.0 - y)], &[Up(2)]]);
}

#[test]
fn what_is_cancelled_is_over() {
    let compositor = Compositor::serve();
    let mut one = Touched::new(&compositor, "one", RED);
    let mut other = Touched::new(&compositor, "other", GREEN);
    one.touch(&compositor, "down 0", (1, 2));
    one.touch(&compositor, "down 1", (3, 4));
    assert_eq!(compositor.control().ask("touch cancel"), ["ok"]);
    // Nothing of it is left: they may come down again.
    assert_eq!(compositor.control().ask("touch up 0"), ["ok"]);
    one.touch(&compositor, "down 1", (5, 6));
    let both: [&[Said]; 4] =
        [&[Down(0, 1.0, 2.0)], &[Down(1, 3.0, 4.0)], &[Cancel], &[Down(1, 5.0, 6.0)]];
    one.hears(&both);
    other.hears(&[]);
}

#[test]
fn a_finger_is_lifted_as_its_window_goes() {
    let compositor = Compositor::serve();
    let mut client = Touched::new(&compositor, "short-lived", RED);
    client.touch(&compositor, "down 3", (1, 2));
    client.window.surface.attach(None, 0, 0);
    client.window.surface.commit();
    client.hears(&[&[Down(3, 1.0, 2.0)], &[Up(3)]]);

    // One that goes with its client is not in the way of the next.
    let gone = Touched::new(&compositor, "gone", GREEN);
    gone.touch(&compositor, "down 4", (1, 2));
    drop(gone);
    compositor.stderr_line("hung up");
    let mut next = Touched::new(&compositor, "next", GREEN);
    next.touch(&compositor, "move 4", (1, 2));
    assert_eq!(compositor.control().ask("touch up 4"), ["ok"]);
    next.touch(&compositor, "down 4", (5, 6));
    next.hears(&[&[Down(4, 5.0, 6.0)]]);
}

impl Dispatch<WlTouch, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlTouch,
        event: wl_touch::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_touch::Event;
        match event {
            Event::Down { id, x, y, .. } => heard.begun.push(Down(id, x, y)),
            Event::Motion { id, x, y, .. } => heard.begun.push(Motion(id, x, y)),
            Event::Up { id, .. } => heard.begun.push(Up(id)),
            // It has no frame.
            Event::Cancel => heard.groups.push(vec![Cancel]),
            Event::Frame => heard.groups.push(std::mem::take(&mut heard.begun)),
            _ => {}
        }
    }
}
