//! The compositor as a process: its ends, its children, its signals, its sleep.

use std::process::Command;

use rustix::process::Signal;

use super::client::Client;
use super::common::readable_within;
use super::server::{Compositor, Control, PATIENCE, Picture, binary};
use super::{BLUE, RED, rgb};

#[test]
fn quit_ends_it() {
    let mut compositor = Compositor::serve();
    assert_eq!(compositor.control().ask("quit"), ["ok"]);
    assert!(compositor.wait().success());
}

#[test]
fn sigterm_and_sigint_end_it_and_leave_nothing() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut compositor = Compositor::serve();
        assert!(compositor.path("wl").exists());
        compositor.signal(signal);
        assert!(compositor.wait().success());
        let left = std::fs::read_dir(compositor.dir.path()).unwrap().count();
        assert_eq!(left, 0);
    }
}

#[test]
fn sigusr1_takes_a_screenshot() {
    let compositor = Compositor::start(&["--serve", "--screenshot", "usr1.png"]);
    let mut client = Client::connect(&compositor);
    client.window("seen", (64, 64), BLUE);
    let (x, y) = compositor.window("seen");
    compositor.signal(Signal::USR1);
    compositor.stdout_line("wrote usr1.png 640x480");
    assert_eq!(Picture::read(&compositor.path("usr1.png")).pixel(x + 32, y + 32), rgb(BLUE));
}

#[test]
fn it_ends_with_the_last_child() {
    let script =
        "test -S \"$XDG_RUNTIME_DIR/$WAYLAND_DISPLAY\" && echo child is here; read line < gate";
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(dir.path().join("gate")).status().unwrap().success());
    let script = format!("cd {} && {script}", dir.path().display());
    let mut compositor = Compositor::start(&["--", "true", "--", "sh", "-c", &script]);
    compositor.stdout_line("child is here");
    assert!(
        compositor.control().ask("stats").iter().any(|line| line.contains("2 children started"))
    );
    std::fs::write(dir.path().join("gate"), "go\n").unwrap();
    assert!(compositor.wait().success());
}

#[test]
fn a_child_that_can_not_be_started_is_an_error() {
    let output = Command::new(binary())
        .args(["--", "/no/such/program"])
        .env("XDG_RUNTIME_DIR", tempfile::tempdir().unwrap().path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

/// How often the threads of a process have gone to sleep.
fn sleeps(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .map(|task| {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            line.unwrap().split_whitespace().last().unwrap().parse::<u64>().unwrap()
        })
        .sum()
}

fn wait_until_asleep(pid: u32) {
    let asleep = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().any(|line| line.starts_with("State:") && line.contains("S (sleeping)"))
    };
    while !asleep() {
        std::thread::yield_now();
    }
}

fn wait_for_frame_timer_to_stop(control: &mut Control) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !control.ask("stats").iter().any(|line| line.contains("frame timer off")) {
        assert!(std::time::Instant::now() < deadline, "the frame timer does not stop");
    }
}

#[test]
fn with_nothing_to_do_it_does_nothing() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("idle", (64, 64), RED);
    client.frames(&window, 2);
    client.roundtrip();
    let mut control = compositor.control();
    wait_for_frame_timer_to_stop(&mut control);
    let pid = compositor.child.id();
    wait_until_asleep(pid);
    let before = sleeps(pid);
    // Nothing is to happen in this second.
    let heard = readable_within(&client.connection, std::time::Duration::from_secs(1));
    assert!(!heard, "its client was told something");
    assert_eq!(sleeps(pid), before, "it woke up");
    client.frames(&window, 1);
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
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stdout}{stderr}");
    for module in ["protocol", "input", "rendering", "control", "clients"] {
        assert!(stdout.lines().any(|line| line.starts_with(&format!("{module}: "))), "{stdout}");
    }
    assert!(stdout.contains("4 clients came"), "{stdout}");
    Picture::read(&dir.path().join("compositor.png"));
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["compositor.png"], "the private directory is removed");
}

#[test]
fn the_private_directory_is_private() {
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
