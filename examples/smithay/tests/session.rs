//! The compositor as a process: where it listens, how it ends, what it leaves.

mod support;

use std::process::Command;

use rustix::process::Signal;
use support::client::Client;
use support::harm::{self, complaint, run};
use support::server::{Compositor, Picture, binary};

const RED: u32 = 0xffff0000;

#[test]
fn sigterm_sigint_and_quit_end_it_and_leave_nothing() {
    for signal in [Some(Signal::TERM), Some(Signal::INT), None] {
        let mut compositor = Compositor::serve();
        assert!(compositor.path("wl").exists());
        match signal {
            Some(signal) => compositor.signal(signal),
            None => drop(compositor.control().ask("quit")),
        }
        assert!(compositor.wait().success());
        assert_eq!(std::fs::read_dir(compositor.dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn it_takes_over_what_a_killed_one_left_behind() {
    harm::sockets_of_a_killed_one();
}

#[test]
fn a_socket_in_use_is_a_clear_error() {
    harm::sockets_in_use();
}

#[test]
fn a_runtime_directory_that_is_not_there_is_a_clear_error() {
    harm::no_such_directory();
}

#[test]
fn without_a_runtime_directory_it_has_a_private_one() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .args(["--", "sh", "-c", "stat --format mode=%a $XDG_RUNTIME_DIR"])
        .env_remove("XDG_RUNTIME_DIR")
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("mode=700\n"), "{stdout}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_demonstration_leaves_a_picture_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .env_remove("XDG_RUNTIME_DIR")
        .env("TMPDIR", dir.path())
        .current_dir(dir.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}");
    assert!(stdout.contains("wrote smithay.png 1280x720"), "{stdout}");
    Picture::read(&dir.path().join("smithay.png"));
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["smithay.png"], "the private directory is removed");
}

#[test]
fn a_child_that_can_not_be_started_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let words = complaint(&run(dir.path(), &["--", "/no/such/program"]));
    assert!(words.contains("/no/such/program can't be started"), "{words}");
}

#[test]
fn keys_and_the_pointer_reach_windows() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_keyboard(&client.queue, ());
    client.seat.get_pointer(&client.queue, ());
    client.window("typed on", (120, 80), RED);
    client.until("keyboard focus", |heard| heard.keyboard_entered);
    let mut control = compositor.control();
    control.ask("key 30");
    client.until("a key", |heard| heard.keys == [(30, true), (30, false)]);
    let (x, y) = compositor.window("typed on");
    control.ask(&format!("pointer {} {} left", x + 7, y + 9));
    client.until("a click", |heard| heard.buttons.len() == 2);
    assert_eq!(client.heard.pointer, Some((7.0, 9.0)));

    // Alt+F4 is the window manager's.
    for command in ["key 56 press", "key 62 press", "key 62 release", "key 56 release"] {
        control.ask(command);
    }
    client.until("Alt", |heard| heard.keys.contains(&(56, false)));
    assert!(!client.heard.keys.contains(&(62, true)), "{:?}", client.heard.keys);
}
