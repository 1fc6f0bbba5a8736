//! The client example, under the compositor example.
#![cfg(all(feature = "wayland-client", feature = "signals"))]

#[path = "compositor/server.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the compositor")]
mod server;

use std::collections::HashSet;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rustix::process::Signal;
use server::{Compositor, lines, wait_for_line};

const BAR: u32 = 0x26_32_38;
const INSIDE: u32 = 0x10_14_18;

/// The client as a process.
struct Client {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

fn command(arguments: &[&str]) -> Command {
    let binary = server::binary().with_file_name("client");
    assert!(binary.exists(), "{} is missing: build the examples", binary.display());
    let mut command = Command::new(binary);
    command.args(arguments).env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET");
    command
}

impl Client {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut child = command(arguments)
            .args(["--log", "--title", "the client", "--size", "300x200"])
            .env("XDG_RUNTIME_DIR", directory)
            .env("WAYLAND_DISPLAY", "wl")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Under a compositor of its own, showing what it computed.
    fn shown() -> (Compositor, Self) {
        let compositor = Compositor::serve();
        let client = Self::start(compositor.dir.path(), &[]);
        client.says("computed 300x176");
        (compositor, client)
    }

    /// The next line of its output with these words in it.
    fn says(&self, words: &str) -> String {
        wait_for_line(&self.stdout, words)
    }

    fn complains(&self, words: &str) {
        wait_for_line(&self.stderr, words);
    }

    /// Waits for its end.
    fn end(&mut self) -> ExitStatus {
        // Its output ends with it.
        while self.stdout.recv_timeout(server::PATIENCE).is_ok() {}
        self.child.wait().unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It has usually ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn its_picture_is_on_the_screen_and_moves() {
    let (compositor, _client) = Client::shown();
    let (x, y) = compositor.window("the client");
    let mut colours = HashSet::new();
    let started = std::time::Instant::now();
    while colours.len() < 5 {
        assert!(started.elapsed() < server::PATIENCE, "{colours:x?}");
        let picture = compositor.screenshot();
        // Far outside of the set the colours wander.
        colours.insert(picture.pixel(x + 4, y + 4));
        if colours.len() > 2 {
            assert_eq!(picture.pixel(x + 150, y + 88), INSIDE);
            assert_eq!(picture.pixel(x + 290, y + 198), BAR);
        }
    }
}

#[test]
fn a_key_that_is_held_down_repeats_until_it_is_released() {
    let (compositor, client) = Client::shown();
    let mut control = compositor.control();
    control.ask("key 30 press");
    client.says("key 30 pressed");
    for _ in 0..4 {
        client.says("key 30 repeated");
    }
    control.ask("key 30 release");
    client.says("key 30 released");
    // Longer than it takes for a key to repeat: another one has by then.
    control.ask("key 48 press");
    client.says("key 48 pressed");
    for _ in 0..2 {
        assert_eq!(client.stdout.recv_timeout(server::PATIENCE).unwrap(), "key 48 repeated");
    }
    control.ask("key 48 release");
    control.ask("key 28");
    let text = client.says("text");
    assert!(text.starts_with("text \"aaaaa") && text.contains("abbb"), "{text}");
}

#[test]
fn keys_and_buttons_have_it_compute() {
    let (compositor, client) = Client::shown();
    let mut control = compositor.control();
    control.ask("key 105");
    client.says("computed 300x176");
    let (x, y) = compositor.window("the client");
    control.ask(&format!("pointer {} {} left", x + 40, y + 50));
    client.says("button 272 pressed at 40 50");
    client.says("computed 300x176");
}

#[test]
fn it_ends_after_its_frames() {
    let compositor = Compositor::serve();
    let mut client = Client::start(compositor.dir.path(), &["--frames", "5"]);
    client.says("ended after 5 frames");
    assert!(client.end().success());
}

#[test]
fn escape_and_signals_end_it_in_order() {
    let (compositor, mut client) = Client::shown();
    compositor.control().ask("key 1");
    client.says("ended after");
    assert!(client.end().success());
    for signal in [Signal::INT, Signal::TERM] {
        let mut client = Client::start(compositor.dir.path(), &[]);
        client.says("computed");
        let pid = rustix::process::Pid::from_child(&client.child);
        rustix::process::kill_process(pid, signal).unwrap();
        client.says(&format!("signal {}", signal.as_raw()));
        client.says("ended after");
        assert!(client.end().success());
    }
}

#[test]
fn a_compositor_that_goes_is_a_clear_error() {
    let (compositor, mut client) = Client::shown();
    compositor.signal(Signal::KILL);
    client.complains("client: the compositor has gone: ");
    assert_eq!(client.end().code(), Some(1));
}

#[test]
fn no_compositor_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let refuses = |command: &mut Command, words: &str| {
        let output = command.output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), complaint.trim_end()), (Some(1), words));
    };
    refuses(&mut command(&[]), "client: no compositor: WAYLAND_DISPLAY is not set");
    refuses(
        command(&[]).env("WAYLAND_DISPLAY", "wl").env_remove("XDG_RUNTIME_DIR"),
        "client: no compositor: XDG_RUNTIME_DIR is not set, where WAYLAND_DISPLAY=wl would be",
    );
    refuses(
        command(&[]).env("WAYLAND_DISPLAY", "wl").env("XDG_RUNTIME_DIR", dir.path()),
        &format!("client: no compositor: nobody listens at {}/wl", dir.path().display()),
    );
    let output = command(&["--frames", "many"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

struct Silent;

impl wayland_server::backend::ClientData for Silent {}

#[test]
fn missing_globals_are_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("wl")).unwrap();
    let mut client = Client::start(dir.path(), &[]);
    // A compositor that offers nothing.
    let mut display = wayland_server::Display::<()>::new().unwrap();
    let (stream, _) = listener.accept().unwrap();
    display.handle().insert_client(stream, Arc::new(Silent)).unwrap();
    while client.child.try_wait().unwrap().is_none() {
        display.dispatch_clients(&mut ()).unwrap();
        display.flush_clients().unwrap();
    }
    client.complains("client: the compositor offers no wl_compositor of version 4 or later");
    assert_eq!(client.end().code(), Some(1));
}
