//! Harm that clients do, to either compositor: the example of soloop and that of `examples/smithay`.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::client::Client;
use super::server::{self, Compositor, PATIENCE, binary};
use super::witness::{Witness, computed_by};

const RED: u32 = 0xffff0000;
const GREEN: u32 = 0xff00ff00;

/// Does `harm` beside a witness.
pub fn beside_a_witness(what: &str, harm: impl FnOnce(&Compositor, &mut Witness)) {
    let compositor = Compositor::serve();
    let mut witness = Witness::start(&compositor);
    harm(&compositor, &mut witness);
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

pub fn flood_of_commits(compositor: &Compositor, witness: &mut Witness) {
    let mut client = Client::connect(compositor);
    let window = client.window("flood", (256, 256), RED);
    let mut flood = witness.beside(1000);
    while flood.goes_on() {
        for _ in 0..100 {
            window.surface.damage_buffer(0, 0, 256, 256);
            window.surface.commit();
        }
        client.roundtrip();
    }
    println!("a flood of commits: {}00", flood.steps);
}

/// Reads its answers, as fast as it can, and comes again when that was not fast enough.
pub fn flood_that_is_read(compositor: &Compositor, witness: &mut Witness) {
    let message = syncs(2, 1000);
    let mut connections = 0;
    let mut connect = || {
        connections += 1;
        let stream = compositor.raw_client();
        let mut reader = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        stream
    };
    let mut stream = connect();
    let mut flood = witness.beside(2000);
    while flood.goes_on() {
        while stream.write_all(&message).is_err() {
            stream = connect();
        }
    }
    let steps = flood.steps;
    // The compositor may have done so.
    let _ = stream.shutdown(Shutdown::Both);
    println!("a flood of requests: {steps}000, over {connections} connections");
}

/// Asks, and never reads what it is told, until it is disconnected with these words.
pub fn flood_that_is_not_read(compositor: &Compositor, witness: &mut Witness, words: &str) {
    let mut floods = witness.beside(50);
    while floods.goes_on() {
        let mut stream = compositor.raw_client();
        // Ends with an error: the other end is closed.
        let unread = (0..10_000).position(|_| stream.write_all(&syncs(2, 100)).is_err());
        assert!(unread.is_some(), "a million requests, and it is still connected");
        compositor.stderr_line(words);
    }
    println!("floods, unread: {}", floods.steps);
}

/// Many clients at once, whose requests are all there when the compositor looks.
pub fn twenty_floods(compositor: &Compositor, witness: &mut Witness) {
    let (message, mut answers) = (syncs(2, 1000), vec![0; 12 * 2 * 1000]);
    let mut streams: Vec<_> = (0..20).map(|_| compositor.raw_client()).collect();
    let mut floods = witness.beside(50);
    // While one is answered, the next thousand of it waits.
    streams.iter_mut().for_each(|stream| stream.write_all(&message).unwrap());
    while floods.goes_on() {
        for stream in &mut streams {
            stream.write_all(&message).unwrap();
            stream.read_exact(&mut answers).unwrap();
        }
    }
    println!("20 floods: {}000 requests each", floods.steps);
}

/// Clients that send what is no message, and are disconnected with these words.
pub fn garbage(compositor: &Compositor, witness: &mut Witness, words: &str) {
    let mut clients = witness.beside(5000);
    while clients.goes_on() {
        let mut stream = compositor.raw_client();
        // Of twelve bytes, for an object that there is not.
        stream.write_all(&[0xa5a5_a5a5, 12 << 16, 0].map(u32::to_ne_bytes).concat()).unwrap();
        compositor.stderr_line(words);
    }
    println!("garbage: {} clients", clients.steps - 1);
}

/// What is waiting when the compositor next looks: many requests of one client, some of which are answered, and then one
/// of another. Serials are given in the order of the answers.
pub fn flood_before_others() {
    const ANSWERS: usize = 500;
    let compositor = Compositor::serve();
    let mut flood = Client::connect(&compositor);
    let flooding = flood.window("flood", (32, 32), RED);
    let mut other = Client::connect(&compositor);
    let window = other.window("other", (32, 32), GREEN);
    flood.roundtrip();
    let (of_flood, of_other) = (flood.heard.serials.len(), other.heard.serials.len());
    compositor.signal(Signal::STOP);
    waitpid(Some(Pid::from_child(&compositor.child)), WaitOptions::UNTRACED).unwrap();
    for number in 0..ANSWERS {
        (0..8).for_each(|_| flooding.toplevel.set_min_size(1, 1));
        if number % 2 == 0 {
            flooding.toplevel.set_maximized();
        } else {
            flooding.toplevel.unset_maximized();
        }
    }
    flood.connection.flush().unwrap();
    window.toplevel.set_maximized();
    other.connection.flush().unwrap();
    compositor.signal(Signal::CONT);
    flood.until("its answers", |heard| heard.serials.len() >= of_flood + ANSWERS);
    other.until("an answer", |heard| heard.serials.len() > of_other);
    let answer = other.heard.serials[of_other];
    let before = flood.heard.serials[of_flood..].iter().filter(|serial| **serial < answer).count();
    println!("behind a flood: {before} of {ANSWERS} answers came before another's");
    assert!(before < ANSWERS / 4, "{before}");
}

/// All that a client has goes in one go, while nobody else is served: of many surfaces, each takes at most four times as
/// long to go as one of a few takes to come. Were the many too many, it would take longer with each.
pub fn many_surfaces_go(most: usize) {
    const FEW: usize = 100;
    let compositor = Compositor::serve();
    let come_and_go = |count: usize| {
        let mut client = Client::connect(&compositor);
        let parent = client.window("many", (32, 32), RED);
        let start = computed_by(&compositor);
        for number in 1..count {
            let surface = client.surface();
            if number % 2 == 0 {
                let queue = &client.queue;
                client.subcompositor.get_subsurface(&surface, &parent.surface, queue, ());
                surface.commit();
            }
        }
        parent.surface.commit();
        client.roundtrip();
        let came = computed_by(&compositor);
        drop((parent, client));
        compositor.stderr_line("hung up");
        assert_eq!(compositor.control().ask("windows"), ["ok 0 windows"]);
        (came - start, computed_by(&compositor) - came)
    };
    let came = (0..5).map(|_| come_and_go(FEW).0).min().unwrap();
    let went = (0..5).map(|_| come_and_go(most).1).min().unwrap();
    println!("{FEW} surfaces come in {came:.1?}, {most} go in {went:.1?}");
    assert!(
        went * (FEW as u32) < 4 * came * (most as u32),
        "{went:?} for {most}, {came:?} for {FEW}"
    );
}

/// Connections that come and go.
pub fn two_thousand_connections(compositor: &Compositor, witness: &mut Witness) {
    // The queue of the socket has room for thousands.
    let mut connections = witness.beside(20_000);
    while connections.goes_on() | (connections.steps < 2000) {
        drop(compositor.raw_client());
    }
    let count = connections.steps - 1;
    for _ in 0..count {
        compositor.stderr_line("hung up");
    }
    println!("connections that come and go: {count}");
}

/// Clients that go on after they have been refused one, with these words.
pub fn ten_thousand_surfaces(compositor: &Compositor, witness: &mut Witness, words: &str) {
    let mut clients = witness.beside(100);
    while clients.goes_on() {
        let mut client = Client::connect(compositor);
        for _ in 0..10_000 {
            client.surface();
        }
        // Most of them are written after the refusal.
        client.end();
        compositor.stderr_line(words);
    }
    println!("10,000 surfaces: {} times", clients.steps - 1);
}

/// A program that draws all the time, and where its window is.
fn program(compositor: &Compositor, command: &mut Command) -> (Child, (i32, i32)) {
    let child = command
        .env("XDG_RUNTIME_DIR", compositor.dir.path())
        .env("WAYLAND_DISPLAY", "wl")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = format!("pid={} ", child.id());
    let mut control = compositor.control();
    let deadline = Instant::now() + PATIENCE;
    let position = loop {
        if let Some(line) = control.ask("windows").iter().find(|line| line.contains(&pid)) {
            break server::position(line);
        }
        assert!(Instant::now() < deadline, "no window");
    };
    (child, position)
}

fn kill(compositor: &Compositor, mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
    compositor.stderr_line("hung up");
    assert_eq!(compositor.control().ask("windows").last().unwrap(), "ok 1 windows");
}

/// Programs that are killed in mid-frame are missed by nobody.
pub fn killed_clients(compositor: &Compositor, witness: &mut Witness, command: &mut Command) {
    let mut clients = witness.beside(20);
    while clients.goes_on() {
        let (child, _) = program(compositor, command);
        kill(compositor, child);
    }
    println!("clients killed: {}", clients.steps - 1);
}

/// A program that is stopped, and there all the same; `meanwhile` is told where its window is.
pub fn stopped_client(
    compositor: &Compositor,
    witness: &mut Witness,
    command: &mut Command,
    meanwhile: impl FnOnce((i32, i32)),
) {
    let (child, position) = program(compositor, command);
    let stopped = Pid::from_child(&child);
    kill_process(stopped, Signal::STOP).unwrap();
    waitpid(Some(stopped), WaitOptions::UNTRACED).unwrap();
    meanwhile(position);
    witness.gets_frames();
    kill(compositor, child);
}

/// How they come, and how all of them draw at once.
pub fn five_hundred_clients() {
    let compositor = Compositor::serve();
    let mut witness = Witness::start(&compositor);
    let start = Instant::now();
    let mut crowd = witness.beside(200);
    let (sender, come) = mpsc::channel();
    let mut clients: Vec<_> = std::thread::scope(|scope| {
        // All connect at once, and ten at a time are served by this side.
        for numbers in 0..10 {
            let sender = sender.clone();
            let streams: Vec<_> = (0..50).map(|_| compositor.raw_client()).collect();
            scope.spawn(move || {
                for (number, stream) in (50 * numbers..).zip(streams) {
                    let mut client = Client::over(stream);
                    let window = client.window(&format!("number {number}"), (16, 16), RED);
                    sender.send((client, window)).unwrap();
                }
            });
        }
        drop(sender);
        let count = |it| {
            crowd.goes_on();
            it
        };
        come.into_iter().map(count).collect()
    });
    println!("500 clients: they came in {:.2?}", start.elapsed());
    witness.end("500 clients come");
    compositor.stderr_line("hung up");
    assert_eq!(compositor.control().ask("windows").last().unwrap(), "ok 500 windows");
    let mut witness = Witness::start(&compositor);
    for (client, window) in &mut clients {
        window.surface.frame(&client.queue, ());
        client.show(&window.surface, (16, 16), GREEN);
        client.connection.flush().unwrap();
    }
    for (client, _) in &mut clients {
        client.until("its frame", |heard| heard.frames == 1);
    }
    print_drawing("500 clients", &compositor);
    witness.gets_frames();
    witness.end("500 clients draw");
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
