//! What goes through the hosted calloop loop: X11 programs, a window on an X server, and who is told that
//! nobody is there.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::server::{Compositor, PATIENCE, Picture, lines, wait_for_line};
use support::{program, rect, window_line};
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::{wl_registry::WlRegistry, wl_seat::WlSeat};
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, delegate_noop};
use wayland_protocols::ext::idle_notify::v1::client::{
    ext_idle_notification_v1::{Event, ExtIdleNotificationV1},
    ext_idle_notifier_v1::ExtIdleNotifierV1,
};

/// Their windows are managed: mapped, placed beside others, drawn, and gone when they are closed.
#[test]
fn x11_programs_are_windows_among_others() {
    program("Xwayland");
    let compositor = Compositor::start(&["--xwayland", "--serve"]);
    let display = compositor.stdout_line("DISPLAY=");
    let display = display.split('=').next_back().unwrap();
    let mut clock = Command::new(program("xclock")).env("DISPLAY", display).spawn().unwrap();
    let line = window_line(&compositor, "title=\"xclock\"");
    let [x, y, width, height] = rect(&line);
    assert!(line.contains("app_id=\"XClock\"") && width > 50 && height > 50, "{line}");
    // The X server has it where the compositor has put it.
    let found = Command::new(program("xdotool"))
        .args(["search", "--sync", "--name", "xclock", "getwindowgeometry", "--shell"])
        .env("DISPLAY", display)
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let expected = [("X", x), ("Y", y), ("WIDTH", width), ("HEIGHT", height)];
    for (name, value) in expected {
        assert!(found.contains(&format!("\n{name}={value}\n")), "{line}: {found}");
    }
    // Its face is white, with black hands and marks, to the last corner.
    let corner = (x + width - 2, y + height - 2);
    let shown = |picture: &Picture| {
        let inside = (y..y + height).flat_map(|y| (x..x + width).map(move |x| (x, y)));
        picture.pixel(x + 1, y + 1) == 0xff_ff_ff
            && picture.pixel(corner.0, corner.1) == 0xff_ff_ff
            && inside.clone().any(|(x, y)| picture.pixel(x, y) == 0)
    };
    let deadline = Instant::now() + PATIENCE;
    while !shown(&compositor.screenshot()) {
        assert!(Instant::now() < deadline, "it is not drawn");
    }
    clock.kill().unwrap();
    clock.wait().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while compositor.control().ask("windows") != ["ok 0 windows"] {
        assert!(Instant::now() < deadline, "it stays");
    }
}

#[test]
fn x11_programs_hear_keys_and_buttons() {
    program("Xwayland");
    let compositor = Compositor::start(&["--xwayland", "--serve"]);
    let display = compositor.stdout_line("DISPLAY=");
    let display = display.split('=').next_back().unwrap();
    // Line by line, though its output is a pipe.
    let mut tester = Command::new("stdbuf")
        .args(["-oL", program("xev").to_str().unwrap()])
        .env("DISPLAY", display)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let heard = lines(tester.stdout.take().unwrap());
    let [x, y, ..] = rect(&window_line(&compositor, "title=\"Event Tester\""));
    wait_for_line(&heard, "FocusIn event");
    let mut control = compositor.control();
    control.ask("key 30");
    wait_for_line(&heard, "KeyPress event");
    wait_for_line(&heard, "keycode 38 (keysym 0x61, a)");
    wait_for_line(&heard, "KeyRelease event");
    control.ask(&format!("pointer {} {} left", x + 20, y + 30));
    wait_for_line(&heard, "ButtonPress event");
    wait_for_line(&heard, "(20,30)");
    tester.kill().unwrap();
    tester.wait().unwrap();
}

/// An X server without a screen.
struct Xvfb {
    child: Child,
    display: String,
}

impl Xvfb {
    fn start() -> Self {
        let mut child = Command::new(program("Xvfb"))
            .args(["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, display: format!(":{}", line.trim()) }
    }

    fn xdotool(&self, arguments: &[&str]) -> String {
        let output = Command::new(program("xdotool"))
            .args(arguments)
            .env("DISPLAY", &self.display)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn the_output_may_be_a_window_of_an_x_server() {
    let server = Xvfb::start();
    let mut compositor = Compositor::start_with(
        tempfile::tempdir().unwrap(),
        &["--winit", "--", "weston-simple-shm"],
        &[("DISPLAY", &server.display)],
    );
    let line = window_line(&compositor, "title=\"simple-shm\"");
    let [x, y, ..] = rect(&line);
    let deadline = Instant::now() + PATIENCE;
    // It draws a white frame of twenty pixels around its rings.
    while compositor.screenshot().pixel(x + 5, y + 5) != 0xff_ff_ff {
        assert!(Instant::now() < deadline, "nothing is drawn");
    }
    // The window of the output, and what is done to it.
    let window = server.xdotool(&["search", "--sync", "--name", "soloop and Smithay"]);
    let window = window.lines().next().unwrap();
    server.xdotool(&["mousemove", "--window", window, &(x + 9).to_string(), &(y + 9).to_string()]);
    // Ctrl+Alt+Backspace: the keys reach the window manager through winit's source, one of calloop's.
    server.xdotool(&["windowfocus", "--sync", window]);
    server.xdotool(&["key", "--window", window, "--clearmodifiers", "ctrl+alt+BackSpace"]);
    server.xdotool(&["key", "ctrl+alt+BackSpace"]);
    assert!(compositor.wait().success());
}

/// What an idle notification has said.
#[derive(Default)]
struct Heard {
    idled: usize,
    resumed: usize,
}

impl Dispatch<ExtIdleNotificationV1, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &ExtIdleNotificationV1,
        event: Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            Event::Idled => heard.idled += 1,
            Event::Resumed => heard.resumed += 1,
            _ => {}
        }
    }
}

impl Dispatch<WlRegistry, GlobalListContents> for Heard {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: <WlRegistry as Proxy>::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

delegate_noop!(Heard: ExtIdleNotifierV1);
delegate_noop!(Heard: ignore WlSeat);

/// Smithay's timers for this are calloop's: they fire on time while the outer loop sleeps.
#[test]
fn who_asks_is_told_on_time_that_nobody_is_there() {
    const TIMEOUT: Duration = Duration::from_millis(50);
    let compositor = Compositor::serve();
    let connection = Connection::from_socket(compositor.raw_client()).unwrap();
    let (globals, mut events) = registry_queue_init::<Heard>(&connection).unwrap();
    let queue = events.handle();
    let seat: WlSeat = globals.bind(&queue, 1..=7, ()).unwrap();
    let notifier: ExtIdleNotifierV1 = globals.bind(&queue, 1..=1, ()).unwrap();
    let mut heard = Heard::default();
    let start = Instant::now();
    notifier.get_idle_notification(TIMEOUT.as_millis() as u32, &seat, &queue, ());
    while heard.idled == 0 {
        events.blocking_dispatch(&mut heard).unwrap();
    }
    let mut control = compositor.control();
    let mut times = vec![start.elapsed()];
    for round in 1..10 {
        let start = Instant::now();
        control.ask("pointer 9 9");
        while heard.idled <= round {
            events.blocking_dispatch(&mut heard).unwrap();
        }
        times.push(start.elapsed());
        assert_eq!(heard.resumed, round);
    }
    times.sort();
    println!("told after {times:.1?}");
    assert!(times[0] >= TIMEOUT, "{times:?}");
    // On time, at least once: the machine may have had something else to do, but not each time.
    assert!(times[0] < TIMEOUT + support::witness::PERIOD, "{times:?}");
}
