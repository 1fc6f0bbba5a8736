//! Debian's small tools, each of which needs a protocol or two, and what those say for which Smithay has none.

mod support;

use std::io::{BufReader, Read, Write};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::client::Client;
use support::server::{Compositor, PATIENCE};
use support::{ask_until, client_of, program};

const RED: u32 = 0xffff0000;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn wl_clipboard_copies_and_pastes_without_a_window() {
    program("wl-copy");
    let compositor = Compositor::serve();
    let copy = |arguments: &[&str], text: &str| {
        let mut copy = client_of(&compositor, "wl-copy");
        let mut child = copy.args(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    };
    let paste = |arguments: &[&str]| {
        let mut paste = client_of(&compositor, "wl-paste");
        text(&paste.args(arguments).output().unwrap())
    };
    copy(&[], "a word");
    copy(&["--primary"], "another");
    assert_eq!(paste(&["--no-newline"]), "a word");
    assert_eq!(paste(&["--no-newline", "--primary"]), "another");
    assert!(paste(&["--list-types"]).contains("text/plain"));
    // Without data-control it would not watch.
    let mut watch = client_of(&compositor, "wl-paste")
        .args(["--watch", "cat"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = BufReader::new(watch.stdout.take().unwrap());
    let mut next = |words: &str| {
        let mut bytes = vec![0; words.len()];
        heard.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, words.as_bytes());
    };
    next("a word");
    copy(&[], "a third");
    next("a third");
    watch.kill().unwrap();
    watch.wait().unwrap();
    let wl_copy = client_of(&compositor, "wl-copy").args(["--clear"]).status().unwrap();
    assert!(wl_copy.success());
    assert_eq!(paste(&["--no-newline"]), "");
}

#[test]
fn slurp_selects_a_part_of_the_output() {
    program("slurp");
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.window("window", (64, 64), RED);
    let before = compositor.screenshot().pixel(600, 400);
    let slurp = client_of(&compositor, "slurp").stdout(Stdio::piped()).spawn().unwrap();
    // It covers everything when it is there.
    let deadline = Instant::now() + PATIENCE;
    while compositor.screenshot().pixel(600, 400) == before {
        assert!(Instant::now() < deadline, "slurp shows nothing");
    }
    let mut control = compositor.control();
    for command in ["pointer 100 110 left press", "pointer 200 250", "pointer 200 250 left release"]
    {
        assert_eq!(control.ask(command), ["ok"]);
    }
    let output = slurp.wait_with_output().unwrap();
    assert_eq!(text(&output), "100,110 101x141\n");
}

#[test]
fn swayidle_knows_when_nobody_is_there() {
    program("swayidle");
    let compositor = Compositor::serve();
    let (idle, back) = (compositor.path("idle"), compositor.path("back"));
    let mut swayidle = client_of(&compositor, "swayidle")
        .args(["timeout", "1", &format!("touch {}", idle.display())])
        .args(["resume", &format!("touch {}", back.display())])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let exists = |path: &std::path::Path| {
        let deadline = Instant::now() + PATIENCE;
        while !path.exists() {
            assert!(Instant::now() < deadline, "{} never comes", path.display());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    exists(&idle);
    assert!(!back.exists());
    compositor.control().ask("key 30");
    exists(&back);
    swayidle.kill().unwrap();
    swayidle.wait().unwrap();
}

/// CONFORMANCE.md has the list.
#[test]
fn what_smithay_lacks_is_missed_in_clear_words() {
    let compositor = Compositor::serve();
    let says = |command: &mut Command, words: &str| {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{command:?} ends well");
        assert!(said.contains(words), "{command:?} says {said:?}");
    };
    says(client_of(&compositor, "grim").arg("picture.png"), "wlr-screencopy");
    says(&mut client_of(&compositor, "wlr-randr"), "wlr-output-management");
    says(&mut client_of(&compositor, "wlsunset"), "wlr-gamma-control");
    // They have done no harm.
    ask_until(&compositor, "windows", "ok 0 windows");
}
