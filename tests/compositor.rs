//! The compositor example, end to end: a process of its own, real clients, and what they see.

#![cfg(target_os = "linux")]
#![expect(unreachable_pub, reason = "`pub` tells what the modules of this test offer")]

#[path = "compositor/client.rs"]
mod client;
#[path = "compositor/server.rs"]
mod server;

use std::io::{Read, Write};
use std::process::Command;

use rustix::process::Signal;
use wayland_client::protocol::wl_shm::Format;
use wayland_protocols::xdg::shell::client::xdg_positioner::{Anchor, Gravity};

use client::Client;
use server::{Compositor, Control, PATIENCE, Picture, binary};

const RED: u32 = 0xffcc2211;
const GREEN: u32 = 0xff11aa33;
const BLUE: u32 = 0xff2233dd;

fn rgb(colour: u32) -> u32 {
    colour & 0xffffff
}

#[test]
fn a_window_is_shown_and_its_frames_are_called_back() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("first", (120, 80), RED);
    assert_eq!(client.heard.releases, 1);
    let (x, y) = compositor.window("first");
    let picture = compositor.screenshot();
    for (dx, dy) in [(0, 0), (119, 0), (0, 79), (119, 79), (60, 40)] {
        assert_eq!(picture.pixel(x + dx, y + dy), rgb(RED), "{dx} {dy}");
    }
    for (dx, dy) in [(-1, 40), (120, 40), (60, 80), (60, -1)] {
        assert_ne!(picture.pixel(x + dx, y + dy), rgb(RED), "{dx} {dy}");
    }
    client.frames(&window, 5);
    assert!(client.heard.frames >= 5);

    // Half transparent, premultiplied: half of it is what is underneath. Then a scaled buffer.
    client.show(&window.surface, (120, 80), 0xffffffff);
    window.surface.set_buffer_scale(2);
    client.show(&window.surface, (120, 80), BLUE);
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 59, y + 39), rgb(BLUE));
    assert_ne!(picture.pixel(x + 60, y + 39), rgb(BLUE));
}

#[test]
fn premultiplied_pixels_are_put_over_what_is_below() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("glass", (64, 64), 0xff000000);
    let subsurface = client.surface();
    client.subcompositor.get_subsurface(&subsurface, &window.surface, &client.queue, ());
    client.show(&subsurface, (64, 64), 0x80804000);
    client.show(&window.surface, (64, 64), 0xff0000ff);
    client.roundtrip();
    let (x, y) = compositor.window("glass");
    assert_eq!(compositor.screenshot().pixel(x + 9, y + 9), 0x80407f);
}

#[test]
fn a_synchronized_subsurface_follows_its_parent() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("parent", (120, 80), RED);
    let (x, y) = compositor.window("parent");
    let child = client.surface();
    let subsurface =
        client.subcompositor.get_subsurface(&child, &window.surface, &client.queue, ());
    subsurface.set_position(100, 10);
    client.show(&child, (40, 20), GREEN);
    client.roundtrip();
    assert_eq!(
        compositor.screenshot().pixel(x + 110, y + 15),
        rgb(RED),
        "not before the parent is committed"
    );

    window.surface.commit();
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 99, y + 15), rgb(RED));
    assert_eq!(picture.pixel(x + 100, y + 10), rgb(GREEN));
    assert_eq!(picture.pixel(x + 139, y + 29), rgb(GREEN), "it may reach beyond its parent");

    subsurface.set_desync();
    client.show(&child, (40, 20), BLUE);
    client.roundtrip();
    assert_eq!(compositor.screenshot().pixel(x + 110, y + 15), rgb(BLUE), "desynchronized");

    subsurface.place_below(&window.surface);
    window.surface.commit();
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 110, y + 15), rgb(RED), "below the parent");
    assert_eq!(picture.pixel(x + 130, y + 15), rgb(BLUE));
}

#[test]
fn a_popup_is_where_its_positioner_says_and_goes_with_a_click_elsewhere() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("owner", (120, 80), RED);
    let (x, y) = compositor.window("owner");
    let positioner = client.wm_base.create_positioner(&client.queue, ());
    positioner.set_size(30, 20);
    positioner.set_anchor_rect(10, 10, 20, 5);
    positioner.set_anchor(Anchor::BottomRight);
    positioner.set_gravity(Gravity::BottomRight);
    positioner.set_offset(2, 3);
    let surface = client.surface();
    let xdg = client.wm_base.get_xdg_surface(&surface, &client.queue, ());
    let popup = xdg.get_popup(Some(&window.xdg), &positioner, &client.queue, ());
    popup.grab(&client.seat, 0);
    surface.commit();
    client.until("configure", |heard| heard.configured.contains(&xdg));
    assert_eq!(client.heard.popup, Some((32, 18, 30, 20)));
    client.show(&surface, (30, 20), GREEN);
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 32, y + 18), rgb(GREEN));
    assert_eq!(picture.pixel(x + 61, y + 37), rgb(GREEN));
    assert_eq!(picture.pixel(x + 31, y + 18), rgb(RED));

    compositor.control().ask(&format!("pointer {} {} left", x + 40, y + 20));
    client.roundtrip();
    assert!(!client.heard.popup_done);
    compositor.control().ask("pointer 600 470 right");
    client.until("popup_done", |heard| heard.popup_done);
    assert_eq!(compositor.screenshot().pixel(x + 32, y + 18), rgb(RED));
}

#[test]
fn keys_and_buttons_arrive() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_pointer(&client.queue, ());
    client.window("typed on", (120, 80), RED);
    // Asked for after the window has the keyboard.
    client.seat.get_keyboard(&client.queue, ());
    client.until("keyboard focus", |heard| heard.keyboard_entered);
    assert!(client.heard.keymap.is_some_and(|size| size > 1000));
    let mut control = compositor.control();
    assert_eq!(control.ask("key 30 press"), ["ok"]);
    assert_eq!(control.ask("key 30 release"), ["ok"]);
    assert_eq!(control.ask("key 48"), ["ok"]);
    client.until("four key events", |heard| heard.keys.len() == 4);
    assert_eq!(client.heard.keys, [(30, true), (30, false), (48, true), (48, false)]);

    let (x, y) = compositor.window("typed on");
    assert_eq!(control.ask(&format!("pointer {} {} left", x + 7, y + 9)), ["ok"]);
    client.until("a click", |heard| heard.buttons.len() == 2);
    assert_eq!(client.heard.pointer, Some((7.0, 9.0)));
    assert_eq!(client.heard.buttons, [(0x110, true), (0x110, false)]);
    control.ask("pointer 639 479");
    client.until("the pointer to leave", |heard| heard.pointer.is_none());

    let mut other = Client::connect(&compositor);
    other.window("in front", (50, 50), GREEN);
    client.until("the keyboard to leave", |heard| !heard.keyboard_entered);
}

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
fn syncs(first: u32, count: u32) -> Vec<u8> {
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
            // With the second answer, the round of the loop in which the first was given is over.
            control.ask("stats");
            control.ask("stats");
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

#[test]
fn a_window_that_goes_gives_the_keyboard_back() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_keyboard(&client.queue, ());
    client.window("below", (64, 64), RED);
    let mut other = Client::connect(&compositor);
    let above = other.window("above", (64, 64), GREEN);
    client.until("the keyboard to leave", |heard| !heard.keyboard_entered);
    above.surface.attach(None, 0, 0);
    above.surface.commit();
    other.roundtrip();
    client.until("the keyboard", |heard| heard.keyboard_entered);
    // Unmapped is as new: it asks anew, and may be mapped again.
    let asked = other.heard.configured.len();
    above.surface.commit();
    other.until("configure", |heard| heard.configured.len() > asked);
    other.show(&above.surface, (64, 64), GREEN);
    other.roundtrip();
    assert_eq!(compositor.control().ask("windows").len(), 3);
    above.toplevel.destroy();
    above.xdg.destroy();
    other.roundtrip();
    assert_eq!(compositor.control().ask("windows").len(), 2);
}

#[test]
fn the_control_socket_answers_mistakes() {
    let compositor = Compositor::serve();
    let mut control = compositor.control();
    let mistakes = [
        ("", "an empty line"),
        ("dance", "is not a command"),
        ("key", "usage: key"),
        ("key a", "not a number"),
        ("key 30 hold", "usage: key"),
        ("key 9999", "no key 9999"),
        ("pointer 1", "usage: pointer"),
        ("pointer 1 2 3", "usage: pointer"),
        ("pointer 9999 0", "not on the output"),
        ("screenshot", "usage: screenshot"),
        ("screenshot /no/such/directory/a.png", "can't be written"),
        ("quit now", "takes no arguments"),
    ];
    for (line, words) in mistakes {
        let answer = control.ask(line);
        assert!(
            answer[0].starts_with("error ") && answer[0].contains(words),
            "{line:?}: {answer:?}"
        );
    }
    control.send(b"\xff\xfe\n");
    assert!(control.answer()[0].contains("UTF-8"));
    // Several commands at once are answered in order, one that takes its time included.
    let path = compositor.path("a b.png");
    control.send(format!("windows\nscreenshot {}\nstats\nwindows\n", path.display()).as_bytes());
    assert_eq!(control.answer(), ["ok 0 windows"]);
    assert!(control.answer()[0].starts_with("ok "));
    assert_eq!(control.answer().len(), 6, "a line for each module");
    assert_eq!(control.answer(), ["ok 0 windows"]);
    Picture::read(&path);

    let mut chatterbox = compositor.control();
    chatterbox.send(&[b'x'; 5000]);
    assert!(chatterbox.answer()[0].contains("more than 4096 bytes"));
    assert!(chatterbox.is_at_end());
    assert_eq!(control.ask("windows"), ["ok 0 windows"]);
}

#[test]
fn quit_ends_it() {
    let mut compositor = Compositor::serve();
    assert_eq!(compositor.control().ask("quit"), ["ok"]);
    assert!(compositor.wait().success());
}

#[test]
fn sigterm_and_sigint_end_it_and_leave_nothing() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut compositor = Compositor::serve();
        assert!(compositor.path("wl").exists());
        compositor.signal(signal);
        assert!(compositor.wait().success());
        let left = std::fs::read_dir(compositor.dir.path()).unwrap().count();
        assert_eq!(left, 0);
    }
}

#[test]
fn sigusr1_takes_a_screenshot() {
    let compositor = Compositor::start(&["--serve", "--screenshot", "usr1.png"]);
    let mut client = Client::connect(&compositor);
    client.window("seen", (64, 64), BLUE);
    let (x, y) = compositor.window("seen");
    compositor.signal(Signal::USR1);
    compositor.stdout_line("wrote usr1.png 640x480");
    assert_eq!(Picture::read(&compositor.path("usr1.png")).pixel(x + 32, y + 32), rgb(BLUE));
}

#[test]
fn it_ends_with_the_last_child() {
    let script =
        "test -S \"$XDG_RUNTIME_DIR/$WAYLAND_DISPLAY\" && echo child is here; read line < gate";
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(dir.path().join("gate")).status().unwrap().success());
    let script = format!("cd {} && {script}", dir.path().display());
    let mut compositor = Compositor::start(&["--", "true", "--", "sh", "-c", &script]);
    compositor.stdout_line("child is here");
    assert!(
        compositor.control().ask("stats").iter().any(|line| line.contains("2 children started"))
    );
    std::fs::write(dir.path().join("gate"), "go\n").unwrap();
    assert!(compositor.wait().success());
}

#[test]
fn a_child_that_can_not_be_started_is_an_error() {
    let output = Command::new(binary())
        .args(["--", "/no/such/program"])
        .env("XDG_RUNTIME_DIR", tempfile::tempdir().unwrap().path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

/// How often the threads of a process have gone to sleep.
fn sleeps(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .map(|task| {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            line.unwrap().split_whitespace().last().unwrap().parse::<u64>().unwrap()
        })
        .sum()
}

fn wait_until_asleep(pid: u32) {
    let asleep = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().any(|line| line.starts_with("State:") && line.contains("S (sleeping)"))
    };
    while !asleep() {
        std::thread::yield_now();
    }
}

fn wait_for_frame_timer_to_stop(control: &mut Control) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !control.ask("stats").iter().any(|line| line.contains("frame timer off")) {
        assert!(std::time::Instant::now() < deadline, "the frame timer does not stop");
    }
}

#[test]
fn with_nothing_to_do_it_does_nothing() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("idle", (64, 64), RED);
    client.frames(&window, 2);
    client.roundtrip();
    let mut control = compositor.control();
    wait_for_frame_timer_to_stop(&mut control);
    let pid = compositor.child.id();
    wait_until_asleep(pid);
    let before = sleeps(pid);
    // Nothing can be waited for where nothing is to happen: this is a second in which it may show.
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(sleeps(pid), before, "it woke up");
    client.frames(&window, 1);
}

#[test]
fn the_demonstration_leaves_a_picture_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .env_remove("XDG_RUNTIME_DIR")
        .env("TMPDIR", dir.path())
        .current_dir(dir.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stdout}{stderr}");
    for module in ["protocol", "input", "rendering", "control", "clients"] {
        assert!(stdout.lines().any(|line| line.starts_with(&format!("{module}: "))), "{stdout}");
    }
    assert!(stdout.contains("4 clients came"), "{stdout}");
    Picture::read(&dir.path().join("compositor.png"));
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["compositor.png"], "the private directory is removed");
}

#[test]
fn the_private_directory_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .args(["--", "sh", "-c", "stat --format mode=%a $XDG_RUNTIME_DIR"])
        .env_remove("XDG_RUNTIME_DIR")
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("mode=700\n"), "{stdout}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn clients_of_weston_are_shown() {
    let installed = |program: &str| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|directory| directory.join(program).exists())
    };
    if !["weston-simple-shm", "weston-flower", "wayland-info"].into_iter().all(installed) {
        println!("skipped: weston's clients are not installed");
        return;
    }
    let clients = ["--", "weston-simple-shm", "--", "weston-flower", "--", "wayland-info"];
    let compositor = Compositor::start(&clients);
    compositor.stdout_line("'xdg_wm_base'");
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut control = compositor.control();
    loop {
        let windows = control.ask("windows").join("\n");
        if windows.contains("title=\"simple-shm\"") && windows.contains("title=\"Flower\"") {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{windows}");
    }
    let (x, y) = compositor.window("simple-shm");
    // It draws a white frame of twenty pixels around its rings.
    assert_eq!(compositor.screenshot().pixel(x + 5, y + 5), 0xffffff);
}
