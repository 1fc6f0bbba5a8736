//! Clients that do harm to the compositor example, and what it finds in its directory: a clear error or a disconnected
//! client, and everybody else gets their frames. The times are in the output: `-- --nocapture`.

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

use std::process::Command;

use client::Client;
use load::Snapshot;
use server::{Compositor, binary};
use witness::Witness;

/// A client of the example's own, which draws all the time.
fn clock() -> Command {
    let mut command = Command::new(binary());
    command.args(["demo-client", "clock"]);
    command
}

mod frames_come {
    use super::*;

    #[test]
    fn beside_a_flood_of_commits() {
        harm::beside_a_witness("a flood of commits", harm::flood_of_commits);
    }

    /// Each commit has 4 MiB of new pixels. Those of two in a frame are copied.
    #[test]
    fn x9_beside_a_flood_of_buffers() {
        harm::beside_a_witness("a flood of buffers", |compositor, witness| {
            let mut client = Client::connect(compositor);
            let window = client.window("flood", (1024, 1024), 0xffff0000);
            let buffers =
                [0xff00ff00, 0xff0000ff].map(|colour| client.buffer((1024, 1024), colour));
            let before = Snapshot::of(compositor);
            let mut flood = witness.beside(1000);
            while flood.goes_on() {
                for buffer in buffers.iter().cycle().take(100) {
                    window.surface.attach(Some(buffer), 0, 0);
                    window.surface.damage_buffer(0, 0, 1024, 1024);
                    window.surface.commit();
                }
                client.roundtrip();
            }
            let steps = flood.steps;
            let after = Snapshot::of(compositor);
            let (copied, frames) = (after.copied - before.copied, after.frames - before.frames);
            println!(
                "a flood of buffers: {steps}00 of 4 MiB, {copied} KiB copied in {frames} frames"
            );
            // At the end of a round, and as the frame is painted. The witness has 4 KiB.
            assert!(copied <= 2 * (4096 + 4) * (frames + 1), "{copied} KiB for {frames} frames");
        });
    }

    #[test]
    fn beside_twenty_clients_that_flood_at_once() {
        harm::beside_a_witness("20 floods", harm::twenty_floods);
    }

    #[test]
    fn beside_floods_that_are_not_read() {
        harm::beside_a_witness("floods, unread", |compositor, witness| {
            harm::flood_that_is_not_read(compositor, witness, "does not read its events");
        });
    }

    /// By itself, wayland-backend reads a client until there is nothing more, and with this one there always is.
    #[test]
    fn x9_beside_a_flood_that_is_read() {
        harm::beside_a_witness("a flood, read", harm::flood_that_is_read);
    }

    #[test]
    fn beside_clients_that_are_killed_in_mid_frame() {
        harm::beside_a_witness("clients killed", |compositor, witness| {
            harm::killed_clients(compositor, witness, &mut clock());
        });
    }

    #[test]
    fn beside_garbage() {
        harm::beside_a_witness("garbage", |compositor, witness| {
            harm::garbage(compositor, witness, "malformed message");
        });
    }

    #[test]
    fn x3_beside_ten_thousand_surfaces() {
        harm::beside_a_witness("10,000 surfaces", |compositor, witness| {
            harm::ten_thousand_surfaces(compositor, witness, "a client may have 1024 surfaces");
        });
    }

    #[test]
    fn x3_beside_a_client_with_a_thousand_windows_that_goes() {
        let compositor = Compositor::serve();
        let mut client = Client::connect(&compositor);
        let buffer = client.buffer((16, 16), 0xff00ff00);
        let windows: Vec<_> =
            (0..1000).map(|number| client.new_window(&format!("number {number}"))).collect();
        client.until("to be configured", |heard| heard.configured.len() == windows.len());
        for window in windows {
            window.surface.attach(Some(&buffer), 0, 0);
            window.surface.commit();
        }
        client.roundtrip();
        assert_eq!(compositor.control().ask("windows").last().unwrap(), "ok 1000 windows");
        let mut witness = Witness::start(&compositor);
        drop((client, buffer));
        compositor.stderr_line("hung up");
        witness.gets_frames();
        witness.end("1000 windows go");
    }

    #[test]
    fn beside_two_thousand_connections() {
        harm::beside_a_witness("2,000 connections", harm::two_thousand_connections);
    }

    #[test]
    fn beside_a_client_that_is_stopped() {
        harm::beside_a_witness("a client stopped", |compositor, witness| {
            harm::stopped_client(compositor, witness, &mut clock(), |(x, y)| {
                // It has the keyboard. Whoever is given it is asked whether they live, and the witness does; by the time
                // the press on the other's title bar comes, what it answered before it was stopped has been read.
                let mut control = compositor.control();
                let (witness_x, witness_y) = compositor.window("witness");
                control.ask(&format!("pointer {} {} left", witness_x + 5, witness_y + 5));
                control.ask(&format!("pointer {} {} left", x + 60, y - 10));
                compositor.stderr_line("has not answered a ping");
            });
        });
    }

    #[test]
    fn beside_five_hundred_clients() {
        harm::five_hundred_clients();
    }
}

#[test]
fn x9_who_asks_behind_a_flood_is_answered_in_turn() {
    harm::flood_before_others();
}

#[test]
fn x3_many_surfaces_go_about_as_fast_as_they_come() {
    harm::many_surfaces_go(1024);
}

/// The times are printed: it fits into a frame in release.
#[test]
fn x9_fifty_clients_that_draw_are_copied_once_a_frame() {
    let everything = load::fifty_clients(load::Damaged::Everything);
    let corners = load::fifty_clients(load::Damaged::Corner);
    // What has not changed is not copied: of each window 1 KiB has, of 256.
    assert!(corners.copied * 50 < everything.copied, "{corners:?} {everything:?}");
    assert!(everything.copied <= 2 * 256 * load::CLIENTS as u64, "{everything:?}");
    // What is not optimized takes longer.
    if !cfg!(debug_assertions) {
        assert!(everything.busy < 20 * everything.copying, "{everything:?}");
    }
}

#[test]
fn clients_are_refused_while_there_are_no_fds() {
    harm::more_clients_than_fds();
}

mod directory {
    use super::*;

    #[test]
    fn what_a_killed_one_left_behind_is_taken_over() {
        harm::sockets_of_a_killed_one();
    }

    #[test]
    fn a_socket_in_use_is_a_clear_error() {
        harm::sockets_in_use();
    }

    #[test]
    fn that_is_not_there_is_a_clear_error() {
        harm::no_such_directory();
    }
}
