//! No more fds: whoever is there stays, whoever comes waits, and the loop does not spin meanwhile.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::client::Client;
use super::robustness::syncs;
use super::server::{Compositor, Control};
use super::{GREEN, RED};

/// Leaves the compositor so many fds: the limit is one of their numbers.
fn leave(compositor: &Compositor, spare: usize) {
    let used = std::fs::read_dir(format!("/proc/{}/fd", compositor.child.id())).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let used: HashSet<u64> =
        used.map(|entry| name(entry).to_str().unwrap().parse().unwrap()).collect();
    let free = (0..).filter(|fd| !used.contains(fd)).nth(spare);
    limit(compositor, free.unwrap());
}

fn limit(compositor: &Compositor, fds: u64) {
    let pid = Pid::from_child(&compositor.child);
    // Only the soft limit moves, so that it can be moved back.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: Some(fds), maximum };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
}

/// How many rounds the loop has made.
fn rounds(control: &mut Control) -> u64 {
    let stats = control.ask("stats");
    let line = stats.iter().find_map(|line| line.strip_prefix("loop: ")).unwrap();
    line.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn x6_without_fds_everybody_stays_and_others_come_when_there_are_some() {
    let compositor = Compositor::serve();
    let mut witness = Client::connect(&compositor);
    let window = witness.window("witness", (32, 32), GREEN);
    witness.frames(&window, 2);
    let mut control = compositor.control();
    control.ask("windows");
    leave(&compositor, 8);

    let mut waiting: UnixStream = compositor.raw_client();
    waiting.write_all(&syncs(2, 1)).unwrap();
    let line = compositor.stderr_line("no client can be accepted for now");
    assert!(line.contains("Too many open files"), "{line}");
    let mut waiting_control = compositor.control();
    waiting_control.send(b"windows\n");
    let line = compositor.stderr_line("no control client can be accepted for now");
    assert!(line.contains("Too many open files"), "{line}");

    // Every frame of the witness shows a new buffer, with an fd; these don't.
    let before = rounds(&mut control);
    for frame in witness.heard.frames..witness.heard.frames + 30 {
        window.surface.frame(&witness.queue, ());
        window.surface.damage_buffer(0, 0, 32, 32);
        window.surface.commit();
        witness.until("a frame callback", |heard| heard.frames > frame);
    }
    let turned = rounds(&mut control) - before;
    println!("{turned} rounds for 30 frames without fds");
    assert!(turned < 30 * 10, "{turned} rounds for 30 frames");

    limit(&compositor, 512);
    assert_eq!(waiting_control.answer().last().unwrap(), "ok 1 windows");
    waiting.read_exact(&mut [0; 12]).unwrap();
    let mut late = Client::connect(&compositor);
    late.window("late", (32, 32), RED);
    assert_eq!(compositor.control().ask("windows").last().unwrap(), "ok 2 windows");
    witness.frames(&window, 2);
}

/// An fd that can't be received is lost: its client would wait for it for ever, and take the next one for it.
#[test]
fn x6_a_client_that_sends_an_fd_too_many_is_the_only_one_that_goes() {
    let compositor = Compositor::serve();
    let mut witness = Client::connect(&compositor);
    let window = witness.window("witness", (32, 32), GREEN);
    let mut client = Client::connect(&compositor);
    leave(&compositor, 0);
    client.pool(&client.memory(4096), 4096);
    client.connection.flush().unwrap();
    compositor.stderr_line("no file descriptor left");
    limit(&compositor, 512);
    witness.frames(&window, 2);
    client = Client::connect(&compositor);
    client.window("late", (32, 32), RED);
}
