//! Clients that do harm, beside one that animates a window and measures when it gets its frames.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use support::client::Client;
use support::harm::{self, beside_a_witness};
use support::server::PATIENCE;
use support::witness::Witness;
use support::{program, window_line};
use wayland_client::protocol::wl_shm::Format;

#[test]
fn a_flood_of_requests_delays_nobody() {
    beside_a_witness("a flood of requests", |compositor| {
        assert!(harm::flood_that_is_read(compositor) > 10_000);
    });
}

#[test]
fn a_flood_of_commits_delays_nobody() {
    beside_a_witness("a flood of commits", harm::flood_of_commits);
}

#[test]
fn a_client_that_asks_and_never_reads_is_disconnected() {
    beside_a_witness("a flood, unread", |compositor| {
        harm::flood_that_is_not_read(compositor, "is disconnected");
    });
}

#[test]
fn clients_killed_in_mid_frame_are_missed_by_nobody() {
    beside_a_witness("clients killed", |compositor| {
        for _ in 0..10 {
            let mut child = Command::new(program("weston-simple-shm"))
                .env("XDG_RUNTIME_DIR", compositor.dir.path())
                .env("WAYLAND_DISPLAY", "wl")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let line = window_line(compositor, "simple-shm");
            assert!(line.contains(&format!("pid={} ", child.id())), "{line}");
            kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
            child.wait().unwrap();
            compositor.stderr_line("hung up");
            assert_eq!(compositor.control().ask("windows").len(), 2);
        }
    });
}

#[test]
fn five_hundred_clients_at_once_are_served() {
    harm::five_hundred_clients(Witness::end);
}

#[test]
fn garbage_and_torn_buffers_are_errors_of_their_client() {
    beside_a_witness("garbage", |compositor| {
        let mut stream = compositor.raw_client();
        // A message of twelve bytes for an object that there is not.
        stream.write_all(&[0xa5a5_a5a5, 12 << 16, 0].map(u32::to_ne_bytes).concat()).unwrap();
        compositor.stderr_line("is disconnected");

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
