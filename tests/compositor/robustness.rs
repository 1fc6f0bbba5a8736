//! Clients that do harm: they are told off, and nobody else notices.

use std::io::{Read, Write};

use wayland_client::protocol::wl_shm::Format;

use super::client::Client;
use super::server::Compositor;
use super::{BLUE, GREEN, RED};

/// Runs `harm` beside a client that animates a window, which must not notice.
fn beside_a_healthy_client(harm: impl FnOnce(&Compositor)) {
    let compositor = Compositor::serve();
    let mut witness = Client::connect(&compositor);
    let window = witness.window("witness", (32, 32), GREEN);
    witness.frames(&window, 2);
    harm(&compositor);
    witness.frames(&window, 3);
    assert!(compositor.control().ask("windows").last().is_some_and(|line| line.starts_with("ok")));
}

#[test]
fn a_client_that_dies_in_mid_frame_is_missed_by_nobody() {
    beside_a_healthy_client(|compositor| {
        let mut client = Client::connect(compositor);
        let window = client.window("short-lived", (120, 80), RED);
        window.surface.frame(&client.queue, ());
        client.show(&window.surface, (120, 80), BLUE);
        client.connection.flush().unwrap();
        drop((window, client));
        let line = compositor.stderr_line("hung up");
        assert!(line.contains(&format!("client {} ", std::process::id())), "{line}");
        assert_eq!(compositor.control().ask("windows").len(), 2);
    });
}

#[test]
fn a_client_that_sends_garbage_is_disconnected() {
    beside_a_healthy_client(|compositor| {
        let mut stream = compositor.raw_client();
        stream.write_all(&[0xa5; 64]).unwrap();
        compositor.stderr_line("malformed message");
        let mut rest = Vec::new();
        // With garbage left unread, the end of it may be a reset.
        let _ = stream.read_to_end(&mut rest);
    });
}

/// `wl_display.sync`, so many times, with a new callback each.
pub fn syncs(first: u32, count: u32) -> Vec<u8> {
    let sync = |id: u32| [1, 12 << 16, id].map(u32::to_ne_bytes).concat();
    (first..first + count).flat_map(sync).collect()
}

#[test]
fn a_client_that_asks_and_never_reads_is_disconnected() {
    beside_a_healthy_client(|compositor| {
        let mut stream = compositor.raw_client();
        // Ends with an error: the other end is closed.
        while stream.write_all(&syncs(2, 100)).is_ok() {}
        compositor.stderr_line("does not read its events");
    });
}

#[test]
fn a_client_that_stays_behind_is_disconnected_after_a_while() {
    beside_a_healthy_client(|compositor| {
        let mut stream = compositor.raw_client();
        let mut control = compositor.control();
        let mut unread = 0;
        loop {
            stream.write_all(&syncs(2, 100)).unwrap();
            // Each answer takes a round of the loop: requests have gone to the display, and answers come back.
            for _ in 0..5 {
                control.ask("stats");
            }
            let now = rustix::io::ioctl_fionread(&stream).unwrap();
            if now < unread + 2400 {
                break;
            }
            unread = now;
        }
        compositor.stderr_line("has not read its events for");
    });
}

#[test]
fn a_pool_that_is_truncated_is_an_error_of_its_client_only() {
    beside_a_healthy_client(|compositor| {
        let mut client = Client::connect(compositor);
        let window = client.unmapped_window("torn");
        let memory = client.memory(4 * 64 * 64);
        let pool = client.pool(&memory, 4 * 64 * 64);
        let buffer = pool.create_buffer(0, 64, 64, 4 * 64, Format::Xrgb8888, &client.queue, ());
        client.roundtrip();
        memory.set_len(0).unwrap();
        window.surface.attach(Some(&buffer), 0, 0);
        window.surface.commit();
        let error = client.protocol_error();
        assert_eq!((error.code, error.object_interface.as_str()), (2, "wl_buffer"), "invalid_fd");
        assert!(compositor.stderr_line("truncated").contains("protocol error 2 on wl_buffer"));
    });
}

#[test]
fn x3_a_client_may_have_a_thousand_surfaces_and_pools() {
    beside_a_healthy_client(|compositor| {
        let mut client = Client::connect(compositor);
        // What is destroyed does not count.
        (0..2000).for_each(|_| client.surface().destroy());
        (0..1024).for_each(|_| drop(client.surface()));
        client.roundtrip();
        client.surface();
        let error = client.protocol_error();
        assert_eq!((error.code, error.object_interface.as_str()), (2, "wl_display"), "no_memory");
        compositor.stderr_line("a client may have 1024 surfaces");

        let mut client = Client::connect(compositor);
        let memory = client.memory(4096);
        for _ in 0..200 {
            let pools: Vec<_> = (0..10).map(|_| client.pool(&memory, 4096)).collect();
            client.roundtrip();
            pools.iter().for_each(|pool| pool.destroy());
        }
        for _ in 0..1024 / 8 {
            (0..8).for_each(|_| drop(client.pool(&memory, 4096)));
            client.roundtrip();
        }
        client.pool(&memory, 4096);
        assert_eq!(client.protocol_error().code, 2);
        compositor.stderr_line("a client may have 1024 pools");
    });
}

#[test]
fn buffers_that_do_not_fit_are_errors() {
    beside_a_healthy_client(|compositor| {
        let cases = [
            ("larger than the pool", (0, 64, 65, 256, Format::Argb8888), 1),
            ("beyond the end", (4, 64, 64, 256, Format::Argb8888), 1),
            ("before the start", (-4, 64, 64, 256, Format::Argb8888), 1),
            ("a stride too short", (0, 64, 64, 252, Format::Argb8888), 1),
            ("no size", (0, 0, 64, 256, Format::Argb8888), 1),
            ("overflow", (0, i32::MAX, i32::MAX, i32::MAX, Format::Argb8888), 1),
            ("a format not offered", (0, 64, 64, 256, Format::Rgb565), 0),
        ];
        for (name, (offset, width, height, stride, format), code) in cases {
            let mut client = Client::connect(compositor);
            let pool = client.pool(&client.memory(4 * 64 * 64), 4 * 64 * 64);
            pool.create_buffer(offset, width, height, stride, format, &client.queue, ());
            assert_eq!(client.protocol_error().code, code, "{name}");
        }
        let mut client = Client::connect(compositor);
        client.pool(&client.memory(100), 200);
        assert_eq!(client.protocol_error().code, 2, "a pool larger than its file");
    });
}

#[test]
fn the_rules_of_roles_and_configuration_are_kept() {
    beside_a_healthy_client(|compositor| {
        let mut client = Client::connect(compositor);
        let window = client.window("window", (64, 64), RED);
        let parent = client.surface();
        client.subcompositor.get_subsurface(&window.surface, &parent, &client.queue, ());
        let error = client.protocol_error();
        assert_eq!(error.object_interface, "wl_subcompositor");
        assert!(error.message.contains("xdg_toplevel"), "{}", error.message);

        let mut client = Client::connect(compositor);
        let surface = client.surface();
        let xdg = client.wm_base.get_xdg_surface(&surface, &client.queue, ());
        xdg.get_toplevel(&client.queue, ());
        client.show(&surface, (64, 64), RED);
        let error = client.protocol_error();
        assert_eq!(
            (error.code, error.object_interface.as_str()),
            (3, "xdg_surface"),
            "unconfigured_buffer"
        );

        let mut client = Client::connect(compositor);
        let window = client.unmapped_window("window");
        window.xdg.ack_configure(12345);
        assert_eq!(client.protocol_error().code, 4, "invalid_serial");
    });
}
