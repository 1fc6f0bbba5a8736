//! A locked session shows its lock, and nothing else.

mod support;

use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use support::client::{Client, Heard, Window};
use support::notes::{Notes, number};
use support::server::{Compositor, PATIENCE};
use support::{client_of, program, window_line};
use wayland_client::delegate_noop;
use wayland_client::protocol::wl_output::WlOutput;
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_protocols::ext::session_lock::v1::client::{
    ext_session_lock_manager_v1::ExtSessionLockManagerV1,
    ext_session_lock_surface_v1::ExtSessionLockSurfaceV1, ext_session_lock_v1,
    ext_session_lock_v1::ExtSessionLockV1,
};

const RED: u32 = 0xffff0000;
const GREEN: u32 = 0xff00ff00;
const SIZE: (i32, i32) = (640, 480);

note!(ExtSessionLockV1, ExtSessionLockSurfaceV1);
delegate_noop!(Heard: ExtSessionLockManagerV1);
delegate_noop!(Heard: ignore WlOutput);

/// A client with a window, keyboard and pointer, and a point of it.
fn window(compositor: &Compositor) -> (Client, Window, (i32, i32)) {
    let mut client = Client::connect(compositor);
    client.seat.get_keyboard(&client.queue, ());
    client.seat.get_pointer(&client.queue, ());
    let window = client.window("window", (100, 100), RED);
    client.until("the keyboard", |heard| heard.keyboard_entered);
    let (x, y) = compositor.window("window");
    compositor.control().ask(&format!("pointer {} {}", x + 50, y + 50));
    client.until("the pointer", |heard| heard.pointed.is_some());
    (client, window, (x + 50, y + 50))
}

/// A client that locks the session.
struct Locker {
    client: Client,
    lock: ExtSessionLockV1,
    notes: Notes,
}

impl Locker {
    fn connect(compositor: &Compositor) -> Self {
        let client = Client::connect(compositor);
        client.seat.get_keyboard(&client.queue, ());
        client.seat.get_pointer(&client.queue, ());
        let manager: ExtSessionLockManagerV1 =
            client.globals.bind(&client.queue, 1..=1, ()).unwrap();
        let notes = Notes::default();
        let lock = manager.lock(&client.queue, notes.clone());
        Self { client, lock, notes }
    }

    fn until(&mut self, words: &str) -> String {
        self.notes.until(&mut self.client, words)
    }

    /// Shows the lock surface.
    fn show(&mut self) -> WlSurface {
        let output: WlOutput = self.client.globals.bind(&self.client.queue, 1..=1, ()).unwrap();
        let surface = self.client.surface();
        let queue = &self.client.queue;
        let role = self.lock.get_lock_surface(&surface, &output, queue, self.notes.clone());
        let configure = self.until("Configure");
        let size = ["width", "height"].map(|side| number(&configure, side) as i32);
        assert_eq!(size, [SIZE.0, SIZE.1]);
        role.ack_configure(number(&configure, "serial"));
        self.client.show(&surface, SIZE, GREEN);
        self.client.roundtrip();
        surface
    }
}

#[test]
fn a_locked_session_shows_its_lock_alone_and_gives_it_keyboard_and_pointer() {
    let compositor = Compositor::serve();
    let (mut client, window, (x, y)) = window(&compositor);
    let mut locker = Locker::connect(&compositor);
    locker.until("Locked");
    // At once, whether or not there is a lock surface.
    assert_eq!(compositor.screenshot().pixel(x, y), 0);
    client.until("nobody has the keyboard", |heard| !heard.keyboard_entered);
    client.until("nobody has the pointer", |heard| heard.pointed.is_none());

    let surface = locker.show();
    locker.client.until("it has the keyboard", |heard| heard.keyboard_entered);
    locker.client.until("the pointer", |heard| heard.pointed.as_ref() == Some(&surface));
    let picture = compositor.screenshot();
    for (x, y) in [(x, y), (0, 0), (639, 479)] {
        assert_eq!(picture.pixel(x, y), GREEN & 0xffffff);
    }
    let mut control = compositor.control();
    control.ask(&format!("pointer {x} {y} left"));
    control.ask("key 30");
    locker.client.until("a key", |heard| heard.keys.len() == 2);
    assert_eq!(locker.client.heard.buttons.len(), 2);
    // Nor do the keys of the window manager work, and what is new is not seen.
    for command in ["key 56 press", "key 62 press", "key 62 release", "key 56 release"] {
        control.ask(command);
    }
    locker.client.until("Alt+F4", |heard| heard.keys.contains(&(62, true)));
    window.surface.frame(&client.queue, ());
    let mut late = Client::connect(&compositor);
    late.seat.get_keyboard(&late.queue, ());
    late.window("late", (300, 300), RED);
    late.roundtrip();
    client.roundtrip();
    assert!(!late.heard.keyboard_entered && !client.heard.keyboard_entered);
    assert!(client.heard.keys.is_empty() && client.heard.buttons.is_empty());
    assert_eq!(compositor.screenshot().pixel(x, y), GREEN & 0xffffff);

    // Nobody else locks it meanwhile, or shows something, or unlocks it.
    let mut impostor = Locker::connect(&compositor);
    impostor.until("Finished");
    let mistaken = impostor.show();
    impostor.client.show(&mistaken, SIZE, RED);
    impostor.client.roundtrip();
    assert!(!impostor.client.heard.keyboard_entered);
    assert_eq!(compositor.screenshot().pixel(x, y), GREEN & 0xffffff);
    impostor.lock.unlock_and_destroy();
    let error = impostor.client.protocol_error();
    assert_eq!(error.code, ext_session_lock_v1::Error::InvalidUnlock as u32, "{error}");
    control.ask("key 31");
    locker.client.until("a key", |heard| heard.keys.contains(&(31, true)));
    assert_eq!(compositor.screenshot().pixel(x, y), GREEN & 0xffffff);

    locker.lock.unlock_and_destroy();
    locker.client.roundtrip();
    late.until("the window on top has the keyboard", |heard| heard.keyboard_entered);
    assert_eq!(compositor.screenshot().pixel(x, y), RED & 0xffffff);
}

#[test]
fn a_session_stays_locked_without_its_locker_until_another_comes() {
    let compositor = Compositor::serve();
    let (mut client, _window, (x, y)) = window(&compositor);
    let mut locker = Locker::connect(&compositor);
    locker.until("Locked");
    locker.show();
    drop(locker);
    compositor.stderr_line("hung up");
    assert_eq!(compositor.screenshot().pixel(x, y), 0);
    client.roundtrip();
    assert!(!client.heard.keyboard_entered);

    let mut next = Locker::connect(&compositor);
    next.until("Locked");
    next.show();
    next.client.until("the keyboard", |heard| heard.keyboard_entered);
    assert_eq!(compositor.screenshot().pixel(x, y), GREEN & 0xffffff);
    next.lock.unlock_and_destroy();
    next.client.roundtrip();
    client.until("the keyboard", |heard| heard.keyboard_entered);
    assert_eq!(compositor.screenshot().pixel(x, y), RED & 0xffffff);
}

#[test]
fn who_thinks_better_of_it_locks_nothing() {
    let compositor = Compositor::serve();
    let (mut client, _window, (x, y)) = window(&compositor);
    let mut locker = Locker::connect(&compositor);
    locker.lock.destroy();
    locker.client.roundtrip();
    client.roundtrip();
    client.until("the keyboard is there, or back", |heard| heard.keyboard_entered);
    let deadline = Instant::now() + PATIENCE;
    while compositor.screenshot().pixel(x, y) != RED & 0xffffff {
        assert!(Instant::now() < deadline, "the window stays hidden");
    }
    assert_eq!(locker.notes.find("Locked"), None);
}

#[test]
fn swaylock_hides_the_windows() {
    program("swaylock");
    let compositor = Compositor::serve();
    let (mut client, _window, (x, y)) = window(&compositor);
    let mut swaylock = client_of(&compositor, "swaylock")
        .args(["--no-unlock-indicator", "--color", "0000ff"])
        .spawn()
        .unwrap();
    let shows = |colour: u32| {
        let deadline = Instant::now() + PATIENCE;
        while compositor.screenshot().pixel(x, y) != colour {
            assert!(Instant::now() < deadline, "never {colour:06x}");
        }
    };
    shows(0x0000ff);
    client.until("the keyboard is gone", |heard| !heard.keyboard_entered);
    // As its manual has it, in the place of a password; and when it listens to that. A key before that would be too
    // early for swaylock 1.7, and the end of it.
    let status = format!("/proc/{}/status", swaylock.id());
    let listens = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << (Signal::USR1.as_raw() - 1) != 0
    };
    let deadline = Instant::now() + PATIENCE;
    while !listens() {
        assert_eq!(swaylock.try_wait().unwrap(), None, "swaylock has ended");
        assert!(Instant::now() < deadline, "swaylock does not listen to SIGUSR1");
    }
    compositor.control().ask("key 30");
    client.roundtrip();
    assert!(client.heard.keys.is_empty());
    kill_process(Pid::from_child(&swaylock), Signal::USR1).unwrap();
    assert!(swaylock.wait().unwrap().success());
    client.until("the keyboard", |heard| heard.keyboard_entered);
    shows(RED & 0xffffff);
    window_line(&compositor, "active");
}
