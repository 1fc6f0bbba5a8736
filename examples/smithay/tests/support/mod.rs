//! What the tests share: the compositor as a process, and a client that does as it is told, both those of
//! soloop's own example; and the programs they need.
#![allow(dead_code, unreachable_pub, reason = "no test needs all of it")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

#[path = "../../../../tests/compositor/client.rs"]
pub mod client;
#[path = "../../../../tests/compositor/harm.rs"]
pub mod harm;
pub mod notes;
#[path = "../../../../tests/compositor/programs.rs"]
pub mod programs;
#[path = "../../../../tests/compositor/server.rs"]
pub mod server;
#[path = "../../../../tests/compositor/witness.rs"]
pub mod witness;

use server::{Compositor, PATIENCE};

/// A program that a test needs. A test is not skipped for want of one.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(name));
    found.into_iter().find(|program| program.exists()).unwrap_or_else(|| {
        panic!("{name} is not installed: examples/smithay/setup installs it");
    })
}

/// Whether a program is there without which a test says so and does nothing: some are large.
pub fn installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(name).exists());
    if !found {
        println!("skipped: {name} is not installed");
    }
    found
}

/// A program as a client of the compositor.
pub fn client_of(compositor: &Compositor, name: &str) -> Command {
    let mut command = Command::new(program(name));
    command
        .env("XDG_RUNTIME_DIR", compositor.dir.path())
        .env("WAYLAND_DISPLAY", "wl")
        .env_remove("DISPLAY")
        .current_dir(compositor.dir.path())
        .stdin(Stdio::null());
    command
}

/// Asks until an answer has these words in it.
pub fn ask_until(compositor: &Compositor, command: &str, words: &str) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut control = compositor.control();
    loop {
        let answer = control.ask(command);
        if answer.iter().any(|line| line.contains(words)) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{command} never answers {words:?}, but {answer:#?}");
        std::thread::yield_now();
    }
}

/// The line of a window, once there is one with these words in it.
pub fn window_line(compositor: &Compositor, words: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut control = compositor.control();
    loop {
        let windows = control.ask("windows");
        if let Some(line) = windows.iter().find(|line| line.contains(words)) {
            return line.clone();
        }
        assert!(Instant::now() < deadline, "no window with {words:?} in {windows:#?}");
    }
}

/// `x`, `y`, width and height in the line of a window.
pub fn rect(line: &str) -> [i32; 4] {
    let words: Vec<&str> = line.split(' ').collect();
    let (width, height) = words[5].split_once('x').unwrap();
    [words[3], words[4], width, height].map(|word| word.parse().unwrap())
}
