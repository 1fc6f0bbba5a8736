//! What runs out: fds, memory, and the patience for one client's surfaces.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use support::client::Client;
use support::harm;
use support::server::{Compositor, Control, PATIENCE};
use support::witness::Witness;

const RED: u32 = 0xffff0000;
/// How many surfaces a client may have.
const MOST: usize = soloop_smithay::connection::MOST_SURFACES;

/// A part of `/proc/PID/status`, in the unit that it has there.
fn status(compositor: &Compositor, name: &str) -> u64 {
    let path = format!("/proc/{}/status", compositor.child.id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

/// Sets a limit of the compositor. What it may be at most is as this process has it.
fn limit(compositor: &Compositor, resource: Resource, current: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(resource);
    let pid = Pid::from_child(&compositor.child);
    prlimit(Some(pid), resource, Rlimit { current, maximum }).unwrap();
}

/// As many fds as it has, and a few more.
fn limit_fds(compositor: &Compositor, more: u64) {
    let fds = format!("/proc/{}/fd", compositor.child.id());
    let most = std::fs::read_dir(fds).unwrap().count() as u64 + more;
    limit(compositor, Resource::Nofile, Some(most));
}

/// How many rounds the loop has made.
fn rounds(control: &mut Control) -> u64 {
    let stats = control.ask("stats");
    let line = stats.iter().find_map(|line| line.strip_prefix("loop: ")).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Connects to a socket until the compositor says that it has no fds, and checks that this harms nobody.
fn without_fds(socket: &str, words: &[&str]) {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_keyboard(&client.queue, ());
    let window = client.window("window", (64, 64), RED);
    client.frames(&window, 3);
    let mut control = compositor.control();
    control.ask("windows");

    limit_fds(&compositor, 6);
    let connect = || UnixStream::connect(compositor.path(socket)).unwrap();
    let crowd: Vec<_> = (0..32).map(|_| connect()).collect();
    let line = compositor.stderr_line("Too many open files");
    assert!(words.iter().any(|words| line.contains(words)), "{line}");

    // Those who are there stay, and are served.
    let before = rounds(&mut control);
    for drawn in client.heard.frames..client.heard.frames + 150 {
        window.surface.frame(&client.queue, ());
        window.surface.damage_buffer(0, 0, 32, 32);
        window.surface.commit();
        client.until("a frame", |heard| heard.frames > drawn);
    }
    // And it does not spin: it tries again each second.
    let turned = rounds(&mut control) - before;
    println!("{socket}: {turned} rounds for 150 frames");
    assert!(turned < 150 * 10, "{turned} rounds for 150 frames");
    // A new buffer is an fd that is sent.
    client.frames(&window, 3);
    assert_eq!(control.ask("windows").len(), 2);
    control.ask("key 30");
    client.until("a key", |heard| heard.keys.len() == 2);

    // It recovers, with nobody's help.
    drop(crowd);
    let mut late = connect();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    if socket == "wl" {
        drop(late);
        Client::over(compositor.raw_client()).roundtrip();
    } else {
        late.write_all(b"windows\n").unwrap();
        let mut line = String::new();
        BufReader::new(late).read_line(&mut line).unwrap();
        assert!(line.contains("title=\"window\""), "{line}");
    }
    client.frames(&window, 3);
}

#[test]
fn x1_without_fds_for_the_control_socket_clients_stay() {
    without_fds("wl.control", &["no client of the control socket can be accepted"]);
}

#[test]
fn x1_without_fds_for_the_wayland_socket_clients_stay() {
    // One is accepted with the last fd, and needs another.
    without_fds("wl", &["no Wayland client can be accepted", "could not be served"]);
}

#[test]
fn x2_threads_of_screenshots_end_with_them() {
    let compositor = Compositor::serve();
    compositor.screenshot();
    let before = status(&compositor, "VmSize");
    for _ in 0..200 {
        compositor.screenshot();
    }
    let deadline = Instant::now() + PATIENCE;
    while status(&compositor, "Threads") > 2 {
        assert!(Instant::now() < deadline, "{} threads", status(&compositor, "Threads"));
    }
    let grown = status(&compositor, "VmSize").saturating_sub(before) / 1024;
    println!("200 screenshots: {grown} MiB of address space");
    // The allocator may have reserved 64 for a thread, or twice; a stack is two.
    assert!(grown < 200, "{grown} MiB");
}

#[test]
fn x2_a_screenshot_for_which_there_is_no_thread_is_a_clear_error() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("window", (64, 64), RED);
    client.frames(&window, 3);
    // Too little for the stack of a thread.
    let most = 1024 * (status(&compositor, "VmSize") + 1024);
    limit(&compositor, Resource::As, Some(most));
    let path = compositor.path("shot.png");
    let mut control = compositor.control();
    let answer = control.ask(&format!("screenshot {}", path.display()));
    assert!(answer[0].starts_with("error no thread"), "{answer:?}");
    assert!(answer[0].contains("shot.png"), "{answer:?}");
    client.frames(&window, 3);
    limit(&compositor, Resource::As, None);
    let (x, y) = compositor.window("window");
    compositor.screenshot().pixel(x + 50, y + 50);
}

#[test]
fn x3_many_surfaces_go_about_as_fast_as_they_come() {
    harm::many_surfaces_go(MOST);
}

#[test]
fn x3_more_surfaces_than_a_client_may_have_are_a_protocol_error() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    // Those that are done away with do not count.
    for _ in 0..3000 {
        client.surface().destroy();
    }
    client.roundtrip();
    for _ in 0..MOST {
        client.surface();
    }
    client.roundtrip();
    let witness = Witness::start(&compositor);
    client.surface();
    let error = client.protocol_error();
    assert_eq!(error.object_interface, "wl_display", "{error}");
    compositor.stderr_line("is disconnected");
    witness.end("a client with too many surfaces");
    // Another may have as many.
    let mut another = Client::connect(&compositor);
    for _ in 0..MOST {
        another.surface();
    }
    another.roundtrip();
}
