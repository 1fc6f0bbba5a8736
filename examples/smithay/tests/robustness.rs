//! Clients that do harm, beside one that animates a window and measures when it gets its frames.

mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::client::Client;
use support::server::{Compositor, PATIENCE, binary};
use support::witness::Witness;
use support::{program, window_line};
use wayland_client::protocol::wl_shm::Format;

const RED: u32 = 0xffff0000;
const GREEN: u32 = 0xff00ff00;
/// How long harm is done where it could go on for ever.
const WHILE: Duration = Duration::from_secs(2);

/// Does `harm` beside a witness.
fn beside_a_witness(what: &str, harm: impl FnOnce(&Compositor)) {
    let compositor = Compositor::serve();
    let witness = Witness::start(&compositor);
    harm(&compositor);
    witness.end(what);
    let mut control = compositor.control();
    let stats = control.ask("stats");
    println!("{what}: {}", stats.iter().find(|line| line.starts_with("frames")).unwrap());
}

/// `wl_display.sync`, so many times, with a new callback each.
fn syncs(first: u32, count: u32) -> Vec<u8> {
    let sync = |id: u32| [1, 12 << 16, id].map(u32::to_ne_bytes).concat();
    (first..first + count).flat_map(sync).collect()
}

/// Reads its answers, as fast as it can, and comes again when that was not fast enough.
#[test]
fn a_flood_of_requests_delays_nobody() {
    beside_a_witness("a flood of requests", |compositor| {
        let (message, start) = (syncs(2, 1000), Instant::now());
        let (mut sent, mut connections) = (0, 0);
        while start.elapsed() < WHILE {
            connections += 1;
            let mut stream = compositor.raw_client();
            let mut reader = stream.try_clone().unwrap();
            let reading = std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
            });
            while start.elapsed() < WHILE && stream.write_all(&message).is_ok() {
                sent += 1000;
            }
            // The compositor may have done so.
            let _ = stream.shutdown(std::net::Shutdown::Both);
            reading.join().unwrap();
        }
        println!("a flood of requests: {sent} in {WHILE:?}, over {connections} connections");
        assert!(sent > 10_000);
    });
}

#[test]
fn a_flood_of_commits_delays_nobody() {
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
fn a_client_that_asks_and_never_reads_is_disconnected() {
    beside_a_witness("a flood, unread", |compositor| {
        let mut stream = compositor.raw_client();
        // Ends with an error: the other end is closed.
        while stream.write_all(&syncs(2, 100)).is_ok() {}
        compositor.stderr_line("is disconnected");
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
    witness.end("500 clients come");
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
    let stats = compositor.control().ask("stats");
    println!("500 clients: {}", stats.iter().find(|line| line.starts_with("frames")).unwrap());
    witness.end("500 clients draw");
    drop(clients);
    for _ in 0..500 {
        compositor.stderr_line("hung up");
    }
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

/// Those are told off, and others served as soon as there are some.
#[test]
fn clients_for_which_there_are_no_fds_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("ulimit -n 48; exec {} --serve --socket wl", binary().display());
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .env("XDG_RUNTIME_DIR", dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = support::server::lines(child.stdout.take().unwrap());
    let stderr = support::server::lines(child.stderr.take().unwrap());
    support::server::wait_for_line(&stdout, "WAYLAND_DISPLAY=wl");
    let connect = || {
        let stream = std::os::unix::net::UnixStream::connect(dir.path().join("wl")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let crowd: Vec<_> = (0..64).map(|_| connect()).collect();
    support::server::wait_for_line(&stderr, "Too many open files");
    drop(crowd);
    // Served, once those are gone.
    let mut stream = connect();
    stream.write_all(&syncs(2, 1)).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}
