//! soloop's example of a client (`examples/client`), under this compositor.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::server::{Compositor, lines, wait_for_line};

/// Builds the example, which is in another workspace.
fn build() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = here.join("target/client");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--features", "wayland-client", "--example", "client"])
        .arg("--manifest-path")
        .arg(here.join("../../Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .unwrap();
    assert!(built.success());
    target.join("debug/examples/client")
}

#[test]
fn it_shows_its_picture_hears_keys_and_ends() {
    let client = build();
    let compositor = Compositor::serve();
    let mut child = Command::new(client)
        .args(["--log", "--title", "the client", "--size", "300x200"])
        .env("XDG_RUNTIME_DIR", compositor.dir.path())
        .env("WAYLAND_DISPLAY", "wl")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = lines(child.stdout.take().unwrap());
    wait_for_line(&stdout, "computed 300x176");
    let (x, y) = compositor.window("the client");
    let deadline = std::time::Instant::now() + support::server::PATIENCE;
    // The inside of the set, and the bar below it.
    loop {
        let picture = compositor.screenshot();
        if (picture.pixel(x + 150, y + 88), picture.pixel(x + 290, y + 198)) == (0x101418, 0x263238)
        {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "it does not show its picture");
    }
    let mut control = compositor.control();
    control.ask("key 30 press");
    wait_for_line(&stdout, "key 30 pressed");
    wait_for_line(&stdout, "key 30 repeated");
    control.ask("key 30 release");
    wait_for_line(&stdout, "key 30 released");
    control.ask(&format!("pointer {} {} left", x + 40, y + 50));
    wait_for_line(&stdout, "button 272 pressed at 40 50");
    control.ask("key 1");
    wait_for_line(&stdout, "ended after");
    assert!(child.wait().unwrap().success());
}
