//! Clients that do harm to the compositor example, and what it finds in its directory: a clear error or a disconnected
//! client, and the frames of everybody else come on time. The times are in the output: `-- --nocapture`.

#![cfg(target_os = "linux")]
#![allow(dead_code, reason = "the modules are those of several tests")]
#![allow(unreachable_pub, reason = "`pub` tells what the modules of this test offer")]

#[path = "compositor/client.rs"]
mod client;
#[path = "compositor/server.rs"]
mod server;
#[path = "compositor/witness.rs"]
mod witness;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::Client;
use rustix::process::{Pid, Signal, kill_process};
use server::{Compositor, PATIENCE, binary};
use witness::Witness;

const RED: u32 = 0xffff0000;
const GREEN: u32 = 0xff00ff00;
/// How long harm is done where it could go on for ever.
const WHILE: Duration = Duration::from_secs(2);

/// One test at a time: they measure.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does `harm` beside a witness.
fn beside_a_witness(what: &str, harm: impl FnOnce(&Compositor)) {
    let _alone = alone();
    let compositor = Compositor::serve();
    let witness = Witness::start(&compositor);
    harm(&compositor);
    witness.end(what);
    let stats = compositor.control().ask("stats");
    println!("{what}: {}", stats.iter().find(|line| line.starts_with("rendering")).unwrap());
}

/// As [`Witness::end`], where the compositor has much to draw: not on time if it is not optimized for that.
fn end_drawn(witness: Witness, what: &str) {
    if cfg!(debug_assertions) { witness.report(what) } else { witness.end(what) }
}

/// `wl_display.sync`, so many times, with a new callback each.
fn syncs(first: u32, count: u32) -> Vec<u8> {
    let sync = |id: u32| [1, 12 << 16, id].map(u32::to_ne_bytes).concat();
    (first..first + count).flat_map(sync).collect()
}

mod frames {
    use super::*;

    #[test]
    fn are_on_time_beside_a_flood_of_commits() {
        beside_a_witness("a flood of commits", |compositor| {
            let mut client = Client::connect(compositor);
            let window = client.window("flood", (256, 256), RED);
            let start = Instant::now();
            let mut commits = 0;
            while start.elapsed() < WHILE {
                for _ in 0..100 {
                    window.surface.damage_buffer(0, 0, 256, 256);
                    window.surface.commit();
                    commits += 1;
                }
                client.roundtrip();
            }
            println!("a flood of commits: {commits} in {WHILE:?}");
        });
    }

    #[test]
    fn are_on_time_beside_a_flood_that_is_not_read() {
        beside_a_witness("a flood, unread", |compositor| {
            let mut stream = compositor.raw_client();
            // Ends with an error: the other end is closed.
            while stream.write_all(&syncs(2, 100)).is_ok() {}
            compositor.stderr_line("does not read its events");
        });
    }

    /// The limit of a display in Rust, as README.md has it. `-- --ignored --nocapture` shows how late they are.
    #[test]
    #[ignore = "wayland-backend reads a client until there is nothing more, and with this one there always is"]
    fn are_on_time_beside_a_flood_that_is_read() {
        beside_a_witness("a flood, read", |compositor| {
            let (message, start) = (syncs(2, 1000), Instant::now());
            let mut connections = 0;
            while start.elapsed() < WHILE {
                connections += 1;
                let mut stream = compositor.raw_client();
                let mut reader = stream.try_clone().unwrap();
                let reading = std::thread::spawn(move || {
                    let mut buffer = vec![0; 1 << 16];
                    while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
                });
                while start.elapsed() < WHILE && stream.write_all(&message).is_ok() {}
                // The compositor may have done so.
                let _ = stream.shutdown(std::net::Shutdown::Both);
                reading.join().unwrap();
            }
            println!("a flood, read: over {connections} connections");
        });
    }

    #[test]
    fn are_on_time_beside_clients_that_are_killed_in_mid_frame() {
        beside_a_witness("clients killed", |compositor| {
            for _ in 0..10 {
                // A client of the example's own, which draws all the time.
                let mut child = Command::new(binary())
                    .args(["demo-client", "clock"])
                    .env("XDG_RUNTIME_DIR", compositor.dir.path())
                    .env("WAYLAND_DISPLAY", "wl")
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                let pid = format!("pid={} ", child.id());
                let deadline = Instant::now() + PATIENCE;
                let mut control = compositor.control();
                while !control.ask("windows").iter().any(|line| line.contains(&pid)) {
                    assert!(Instant::now() < deadline, "no window");
                }
                kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
                child.wait().unwrap();
                compositor.stderr_line("hung up");
                assert_eq!(compositor.control().ask("windows").len(), 2);
            }
        });
    }

    #[test]
    fn are_on_time_beside_garbage() {
        beside_a_witness("garbage", |compositor| {
            for _ in 0..100 {
                let mut stream = compositor.raw_client();
                stream.write_all(&[0xa5; 64]).unwrap();
                compositor.stderr_line("malformed message");
            }
        });
    }

    #[test]
    fn are_on_time_for_five_hundred_clients() {
        let _alone = alone();
        let compositor = Compositor::serve();
        let witness = Witness::start(&compositor);
        let start = Instant::now();
        let mut clients: Vec<_> = (0..500)
            .map(|number| {
                let mut client = Client::connect(&compositor);
                let window = client.window(&format!("number {number}"), (16, 16), RED);
                (client, window)
            })
            .collect();
        println!("500 clients: they came in {:.2?}", start.elapsed());
        end_drawn(witness, "500 clients come");
        assert_eq!(compositor.control().ask("windows").last().unwrap(), "ok 500 windows");
        let witness = Witness::start(&compositor);
        // All of them draw at once.
        for (client, window) in &mut clients {
            window.surface.frame(&client.queue, ());
            client.show(&window.surface, (16, 16), GREEN);
            client.connection.flush().unwrap();
        }
        for (client, _) in &mut clients {
            client.until("its frame", |heard| heard.frames == 1);
        }
        end_drawn(witness, "500 clients draw");
        drop(clients);
        for _ in 0..500 {
            compositor.stderr_line("hung up");
        }
    }
}

/// Those for which there are no fds are told off, and others served as soon as there are some.
#[test]
fn clients_are_refused_while_there_are_no_fds() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    // As a limit that is not raised.
    let script = format!("ulimit -n 48; exec {} --serve --socket wl", binary().display());
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .env("XDG_RUNTIME_DIR", dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = server::lines(child.stdout.take().unwrap());
    let stderr = server::lines(child.stderr.take().unwrap());
    server::wait_for_line(&stdout, "WAYLAND_DISPLAY=wl");
    let connect = || {
        let stream = UnixStream::connect(dir.path().join("wl")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let crowd: Vec<_> = (0..64).map(|_| connect()).collect();
    server::wait_for_line(&stderr, "Too many open files");
    drop(crowd);
    let mut stream = connect();
    stream.write_all(&syncs(2, 1)).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

mod directory {
    use super::*;

    fn run(directory: &std::path::Path, arguments: &[&str]) -> Output {
        Command::new(binary()).args(arguments).env("XDG_RUNTIME_DIR", directory).output().unwrap()
    }

    fn complaint(output: &Output) -> String {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr.clone()).unwrap().trim_end().to_owned()
    }

    #[test]
    fn what_a_killed_one_left_behind_is_taken_over() {
        let _alone = alone();
        let mut killed = Compositor::serve();
        killed.signal(Signal::KILL);
        killed.wait();
        let dir = std::mem::replace(&mut killed.dir, tempfile::tempdir().unwrap());
        let left: HashSet<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, ["wl", "wl.lock", "wl.control"].map(str::to_owned).into());

        // The same socket, with the lock file there; then a client shows a window.
        let next = Compositor::start_in(dir, &["--serve"]);
        let mut client = Client::connect(&next);
        client.window("again", (32, 32), RED);
        assert_eq!(next.control().ask("windows").last().unwrap(), "ok 1 windows");
    }

    #[test]
    fn a_socket_in_use_is_a_clear_error() {
        let _alone = alone();
        let compositor = Compositor::serve();
        let directory = compositor.dir.path();
        let path = directory.join("wl");
        let words = format!("compositor: another compositor listens at {}", path.display());
        assert_eq!(complaint(&run(directory, &["--serve", "--socket", "wl"])), words);
        let control = directory.join("wl.control");
        let arguments = ["--serve", "--socket", "other", "--control", control.to_str().unwrap()];
        let words = complaint(&run(directory, &arguments));
        assert!(words.contains("wl.control"), "{words}");
        // The one that listens is not disturbed.
        assert_eq!(compositor.control().ask("windows"), ["ok 0 windows"]);
    }

    #[test]
    fn that_is_not_there_is_a_clear_error() {
        let output = run("/no/such/directory".as_ref(), &["--serve"]);
        assert!(complaint(&output).starts_with("compositor: no socket in /no/such/directory"));
    }
}
