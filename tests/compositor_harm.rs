//! Clients that do harm to the compositor example, and what it finds in its directory: a clear error or a disconnected
//! client, and the frames of everybody else come on time. The times are in the output: `-- --nocapture`.

#![cfg(target_os = "linux")]
#![allow(dead_code, reason = "the modules are those of several tests")]
#![allow(unreachable_pub, reason = "`pub` tells what the modules of this test offer")]

#[path = "compositor/client.rs"]
mod client;
#[path = "compositor/harm.rs"]
mod harm;
#[path = "compositor/load.rs"]
mod load;
#[path = "compositor/server.rs"]
mod server;
#[path = "compositor/witness.rs"]
mod witness;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::Client;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use server::{Compositor, PATIENCE, binary};
use witness::Witness;

/// One test at a time: they measure.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn beside_a_witness(what: &str, harm: impl FnOnce(&Compositor)) {
    let _alone = alone();
    harm::beside_a_witness(what, harm);
}

/// As [`beside_a_witness`], where the compositor has much to do.
fn beside_a_busy_witness(what: &str, harm: impl FnOnce(&Compositor)) {
    let _alone = alone();
    let compositor = Compositor::serve();
    let witness = Witness::start(&compositor);
    harm(&compositor);
    end_drawn(witness, what);
}

/// As [`Witness::end`], where the compositor has much to draw: not on time if it is not optimized for that.
fn end_drawn(witness: Witness, what: &str) {
    if cfg!(debug_assertions) { witness.report(what) } else { witness.end(what) }
}

mod frames {
    use super::*;

    #[test]
    fn are_on_time_beside_a_flood_of_commits() {
        beside_a_witness("a flood of commits", harm::flood_of_commits);
    }

    /// Each commit has 4 MiB of new pixels.
    #[test]
    fn x9_are_on_time_beside_a_flood_of_buffers() {
        beside_a_busy_witness("a flood of buffers", |compositor| {
            let mut client = Client::connect(compositor);
            let window = client.window("flood", (1024, 1024), 0xffff0000);
            let buffers =
                [0xff00ff00, 0xff0000ff].map(|colour| client.buffer((1024, 1024), colour));
            let (start, mut commits) = (Instant::now(), 0);
            while start.elapsed() < Duration::from_secs(2) {
                for buffer in buffers.iter().cycle().take(100) {
                    window.surface.attach(Some(buffer), 0, 0);
                    window.surface.damage_buffer(0, 0, 1024, 1024);
                    window.surface.commit();
                    commits += 1;
                }
                client.roundtrip();
            }
            let stats = compositor.control().ask("stats");
            let copied = stats.iter().find(|line| line.starts_with("protocol: ")).unwrap();
            println!("a flood of buffers: {commits} of 4 MiB in 2s; {copied}");
        });
    }

    #[test]
    fn are_on_time_beside_twenty_clients_that_flood_at_once() {
        beside_a_busy_witness("20 floods", |compositor| {
            let floods = (0..20).map(|_| {
                let mut stream = compositor.raw_client();
                std::thread::spawn(move || {
                    let (start, mut sent) = (Instant::now(), 0);
                    let mut answers = vec![0; 1 << 16];
                    while start.elapsed() < Duration::from_secs(2) {
                        stream.write_all(&harm::syncs(2, 1000)).unwrap();
                        sent += 1000;
                        let mut left = 24 * 1000;
                        while left > 0 {
                            left -= stream.read(&mut answers).unwrap();
                        }
                    }
                    sent
                })
            });
            let floods: Vec<_> = floods.collect();
            let sent: usize = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
            println!("20 floods: {sent} requests in 2s");
        });
    }

    #[test]
    fn are_on_time_beside_a_flood_that_is_not_read() {
        beside_a_witness("a flood, unread", |compositor| {
            harm::flood_that_is_not_read(compositor, "does not read its events");
        });
    }

    /// By itself, wayland-backend reads a client until there is nothing more, and with this one there always is.
    #[test]
    fn x9_are_on_time_beside_a_flood_that_is_read() {
        beside_a_witness("a flood, read", |compositor| {
            harm::flood_that_is_read(compositor);
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
    fn x3_are_on_time_beside_ten_thousand_surfaces() {
        beside_a_witness("10,000 surfaces", |compositor| {
            let mut client = Client::connect(compositor);
            let start = Instant::now();
            for _ in 0..10_000 {
                client.surface();
            }
            // Most of them are written after the refusal.
            let error = client.end().map(|error| error.message);
            println!("10,000 surfaces: {error:?} after {:.2?}", start.elapsed());
            compositor.stderr_line("a client may have 1024 surfaces");
        });
    }

    #[test]
    fn x3_are_on_time_beside_a_client_with_a_thousand_windows_that_goes() {
        let _alone = alone();
        let compositor = Compositor::serve();
        let mut client = Client::connect(&compositor);
        let buffer = client.buffer((16, 16), 0xff00ff00);
        for number in 0..1000 {
            let window = client.unmapped_window(&format!("number {number}"));
            window.surface.attach(Some(&buffer), 0, 0);
            window.surface.commit();
        }
        client.roundtrip();
        let witness = Witness::start(&compositor);
        drop((client, buffer));
        compositor.stderr_line("hung up");
        witness.end("1000 windows go");
    }

    #[test]
    fn are_on_time_beside_two_thousand_connections() {
        beside_a_witness("2,000 connections", |compositor| {
            let start = Instant::now();
            for _ in 0..2000 {
                drop(compositor.raw_client());
            }
            for _ in 0..2000 {
                compositor.stderr_line("hung up");
            }
            println!("2,000 connections: they came and went in {:.2?}", start.elapsed());
        });
    }

    #[test]
    fn are_on_time_beside_a_client_that_is_stopped() {
        beside_a_witness("a client stopped", |compositor| {
            let mut child = Command::new(binary())
                .args(["demo-client", "clock"])
                .env("XDG_RUNTIME_DIR", compositor.dir.path())
                .env("WAYLAND_DISPLAY", "wl")
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let pid = format!("pid={} ", child.id());
            let mut control = compositor.control();
            let deadline = Instant::now() + PATIENCE;
            let (x, y) = loop {
                assert!(Instant::now() < deadline, "no window");
                if let Some(line) = control.ask("windows").iter().find(|it| it.contains(&pid)) {
                    break server::position(line);
                }
            };
            let stopped = Pid::from_child(&child);
            kill_process(stopped, Signal::STOP).unwrap();
            waitpid(Some(stopped), WaitOptions::UNTRACED).unwrap();
            // It has the keyboard. Whoever is given it is asked whether they live, and the witness does; by the time the
            // press on the other's title bar comes, what it answered before it was stopped has been read.
            let (witness_x, witness_y) = compositor.window("witness");
            control.ask(&format!("pointer {} {} left", witness_x + 5, witness_y + 5));
            control.ask(&format!("pointer {} {} left", x + 60, y - 10));
            compositor.stderr_line("has not answered a ping");
            child.kill().unwrap();
            child.wait().unwrap();
            compositor.stderr_line("hung up");
        });
    }

    #[test]
    fn are_on_time_for_five_hundred_clients() {
        let _alone = alone();
        harm::five_hundred_clients(end_drawn);
    }
}

/// What is not optimized takes longer; the figures are printed all the same.
#[test]
fn x9_fifty_clients_that_draw_fit_into_a_frame() {
    let _alone = alone();
    let everything = load::fifty_clients(load::Damaged::Everything);
    let corners = load::fifty_clients(load::Damaged::Corner);
    // What has not changed is not copied: of each window 1 KiB has, of 256.
    assert!(corners.copied * 50 < everything.copied, "{corners:?} {everything:?}");
    if !cfg!(debug_assertions) {
        assert!(everything.busy < witness::PERIOD, "{everything:?}");
        assert!(everything.interval < 2 * witness::PERIOD, "{everything:?}");
    }
}

#[test]
fn clients_are_refused_while_there_are_no_fds() {
    let _alone = alone();
    harm::more_clients_than_fds();
}

mod directory {
    use super::*;

    #[test]
    fn what_a_killed_one_left_behind_is_taken_over() {
        let _alone = alone();
        harm::sockets_of_a_killed_one();
    }

    #[test]
    fn a_socket_in_use_is_a_clear_error() {
        let _alone = alone();
        harm::sockets_in_use();
    }

    #[test]
    fn that_is_not_there_is_a_clear_error() {
        harm::no_such_directory();
    }
}
