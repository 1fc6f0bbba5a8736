//! Harm that clients do, to either compositor: the example of soloop and that of `examples/smithay`.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::client::Client;
use super::server::{self, Compositor, PATIENCE, binary};
use super::witness::Witness;

const RED: u32 = 0xffff0000;
const GREEN: u32 = 0xff00ff00;
/// How long harm is done where it could go on for ever.
const WHILE: Duration = Duration::from_secs(2);

/// Does `harm` beside a witness.
pub fn beside_a_witness(what: &str, harm: impl FnOnce(&Compositor)) {
    let compositor = Compositor::serve();
    let witness = Witness::start(&compositor);
    harm(&compositor);
    witness.end(what);
    print_drawing(what, &compositor);
}

/// What the compositor has drawn, and how long that took it.
fn print_drawing(what: &str, compositor: &Compositor) {
    let stats = compositor.control().ask("stats");
    let drawing = |line: &&String| ["frames", "rendering"].iter().any(|it| line.starts_with(it));
    println!("{what}: {}", stats.iter().find(drawing).unwrap());
}

/// `wl_display.sync`, so many times, with a new callback each.
pub fn syncs(first: u32, count: u32) -> Vec<u8> {
    let sync = |id: u32| [1, 12 << 16, id].map(u32::to_ne_bytes).concat();
    (first..first + count).flat_map(sync).collect()
}

pub fn flood_of_commits(compositor: &Compositor) {
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
}

/// Reads its answers, as fast as it can, and comes again when that was not fast enough. How much it has sent.
pub fn flood_that_is_read(compositor: &Compositor) -> u64 {
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
        let _ = stream.shutdown(Shutdown::Both);
        reading.join().unwrap();
    }
    println!("a flood of requests: {sent} in {WHILE:?}, over {connections} connections");
    sent
}

/// Asks, and never reads what it is told, until it is disconnected with these words.
pub fn flood_that_is_not_read(compositor: &Compositor, words: &str) {
    let mut stream = compositor.raw_client();
    // Ends with an error: the other end is closed.
    while stream.write_all(&syncs(2, 100)).is_ok() {}
    compositor.stderr_line(words);
}

/// `end` is told of each of both witnesses: of how they come, and of how all of them draw at once.
pub fn five_hundred_clients(end: impl Fn(Witness, &str)) {
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
    end(witness, "500 clients come");
    assert_eq!(compositor.control().ask("windows").last().unwrap(), "ok 500 windows");
    let witness = Witness::start(&compositor);
    for (client, window) in &mut clients {
        window.surface.frame(&client.queue, ());
        client.show(&window.surface, (16, 16), GREEN);
        client.connection.flush().unwrap();
    }
    for (client, _) in &mut clients {
        client.until("its frame", |heard| heard.frames == 1);
    }
    print_drawing("500 clients", &compositor);
    end(witness, "500 clients draw");
    drop(clients);
    for _ in 0..500 {
        compositor.stderr_line("hung up");
    }
}

/// Those for which there are no fds are told off, and others served as soon as there are some.
pub fn more_clients_than_fds() {
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

/// What a killed compositor left behind is taken over.
pub fn sockets_of_a_killed_one() {
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

/// A clear error, which does not disturb the one that listens.
pub fn sockets_in_use() {
    let compositor = Compositor::serve();
    let directory = compositor.dir.path();
    let path = directory.join("wl");
    let words = format!("compositor: another compositor listens at {}", path.display());
    assert_eq!(complaint(&run(directory, &["--serve", "--socket", "wl"])), words);
    let control = directory.join("wl.control");
    let arguments = ["--serve", "--socket", "other", "--control", control.to_str().unwrap()];
    let words = complaint(&run(directory, &arguments));
    assert!(words.contains("no control socket") && words.contains("wl.control"), "{words}");
    assert_eq!(compositor.control().ask("windows"), ["ok 0 windows"]);
}

/// A directory that is not there is a clear error.
pub fn no_such_directory() {
    let output = run("/no/such/directory".as_ref(), &["--serve"]);
    assert!(complaint(&output).starts_with("compositor: no socket in /no/such/directory"));
}

/// Runs the compositor to its end, with that `XDG_RUNTIME_DIR`.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).env("XDG_RUNTIME_DIR", directory).output().unwrap()
}

/// What it ended with.
pub fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap().trim_end().to_owned()
}
