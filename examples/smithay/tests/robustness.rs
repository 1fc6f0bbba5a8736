//! Clients that do harm, beside one that animates a window and gets its frames all the same.

mod support;

use std::process::Command;
use std::time::Instant;

use support::client::Client;
use support::harm::{self, beside_a_witness};
use support::program;
use support::server::PATIENCE;
use wayland_client::protocol::wl_shm::Format;

/// A program that draws all the time.
fn shm() -> Command {
    Command::new(program("weston-simple-shm"))
}

#[test]
fn a_flood_of_requests_delays_nobody() {
    beside_a_witness("a flood of requests", harm::flood_that_is_read);
}

#[test]
fn a_flood_of_commits_delays_nobody() {
    beside_a_witness("a flood of commits", harm::flood_of_commits);
}

#[test]
fn twenty_floods_at_once_delay_nobody() {
    beside_a_witness("20 floods", harm::twenty_floods);
}

#[test]
fn who_asks_behind_a_flood_is_answered_in_turn() {
    harm::flood_before_others();
}

#[test]
fn clients_that_ask_and_never_read_are_disconnected() {
    beside_a_witness("floods, unread", |compositor, witness| {
        harm::flood_that_is_not_read(compositor, witness, "is disconnected");
    });
}

#[test]
fn clients_killed_in_mid_frame_are_missed_by_nobody() {
    beside_a_witness("clients killed", |compositor, witness| {
        harm::killed_clients(compositor, witness, &mut shm());
    });
}

#[test]
fn a_client_that_is_stopped_holds_nobody_up() {
    beside_a_witness("a client stopped", |compositor, witness| {
        harm::stopped_client(compositor, witness, &mut shm(), |(x, y)| {
            // It is told, whether or not it listens.
            compositor.control().ask(&format!("pointer {} {} left", x + 50, y + 50));
        });
    });
}

#[test]
fn five_hundred_clients_at_once_are_served() {
    harm::five_hundred_clients();
}

#[test]
fn two_thousand_connections_come_and_go() {
    beside_a_witness("2,000 connections", harm::two_thousand_connections);
}

#[test]
fn ten_thousand_surfaces_are_refused() {
    beside_a_witness("10,000 surfaces", |compositor, witness| {
        harm::ten_thousand_surfaces(compositor, witness, "is disconnected");
    });
}

#[test]
fn garbage_is_an_error_of_its_client() {
    beside_a_witness("garbage", |compositor, witness| {
        harm::garbage(compositor, witness, "is disconnected");
    });
}

#[test]
fn torn_buffers_are_errors_of_their_client() {
    beside_a_witness("a torn buffer", |compositor, _| {
        let mut client = Client::connect(compositor);
        let window = client.unmapped_window("torn");
        let memory = client.memory(4 * 64 * 64);
        let pool = client.pool(&memory, 4 * 64 * 64);
        let buffer = pool.create_buffer(0, 64, 64, 4 * 64, Format::Xrgb8888, &client.queue, ());
        client.roundtrip();
        memory.set_len(0).unwrap();
        window.surface.frame(&client.queue, ());
        window.surface.attach(Some(&buffer), 0, 0);
        window.surface.commit();
        // It is found out when it is drawn.
        let error = client.protocol_error();
        assert_eq!(error.object_interface, "wl_buffer", "{error}");
        // libwayland leaves it to the client to hang up then.
        drop((window, pool, buffer, client));
        let deadline = Instant::now() + PATIENCE;
        while compositor.control().ask("windows").len() != 2 {
            assert!(Instant::now() < deadline, "the torn window stays");
        }
        compositor.stderr_line("is disconnected: a protocol error");
        compositor.screenshot();
    });
}

#[test]
fn clients_for_which_there_are_no_fds_are_refused() {
    harm::more_clients_than_fds();
}
