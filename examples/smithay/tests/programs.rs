//! Debian's small tools, each of which needs a protocol or two, and what those say for which Smithay has none.

mod support;

use std::io::{BufReader, Read, Write};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::client::Client;
use support::programs::{Area, Program, changes, count, has_colours, pixels, shows, until, window};
use support::server::{Compositor, PATIENCE};
use support::{ask_until, client_of, program, rect, window_line};

const RED: u32 = 0xffff0000;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn wl_clipboard_copies_and_pastes_without_a_window() {
    program("wl-copy");
    let compositor = Compositor::serve();
    let copy = |arguments: &[&str], text: &str| {
        let mut copy = client_of(&compositor, "wl-copy");
        let mut child = copy.args(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    };
    let paste = |arguments: &[&str]| {
        let mut paste = client_of(&compositor, "wl-paste");
        text(&paste.args(arguments).output().unwrap())
    };
    copy(&[], "a word");
    copy(&["--primary"], "another");
    assert_eq!(paste(&["--no-newline"]), "a word");
    assert_eq!(paste(&["--no-newline", "--primary"]), "another");
    assert!(paste(&["--list-types"]).contains("text/plain"));
    // Without data-control it would not watch.
    let mut watch = client_of(&compositor, "wl-paste")
        .args(["--watch", "cat"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = BufReader::new(watch.stdout.take().unwrap());
    let mut next = |words: &str| {
        let mut bytes = vec![0; words.len()];
        heard.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, words.as_bytes());
    };
    next("a word");
    copy(&[], "a third");
    next("a third");
    watch.kill().unwrap();
    watch.wait().unwrap();
    let wl_copy = client_of(&compositor, "wl-copy").args(["--clear"]).status().unwrap();
    assert!(wl_copy.success());
    assert_eq!(paste(&["--no-newline"]), "");
}

#[test]
fn slurp_selects_a_part_of_the_output() {
    program("slurp");
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.window("window", (64, 64), RED);
    let before = compositor.screenshot().pixel(600, 400);
    let slurp = client_of(&compositor, "slurp").stdout(Stdio::piped()).spawn().unwrap();
    // It covers everything when it is there.
    let deadline = Instant::now() + PATIENCE;
    while compositor.screenshot().pixel(600, 400) == before {
        assert!(Instant::now() < deadline, "slurp shows nothing");
    }
    let mut control = compositor.control();
    for command in ["pointer 100 110 left press", "pointer 200 250", "pointer 200 250 left release"]
    {
        assert_eq!(control.ask(command), ["ok"]);
    }
    let output = slurp.wait_with_output().unwrap();
    assert_eq!(text(&output), "100,110 101x141\n");
}

#[test]
fn swayidle_knows_when_nobody_is_there() {
    program("swayidle");
    let compositor = Compositor::serve();
    let (idle, back) = (compositor.path("idle"), compositor.path("back"));
    let mut swayidle = client_of(&compositor, "swayidle")
        .args(["timeout", "1", &format!("touch {}", idle.display())])
        .args(["resume", &format!("touch {}", back.display())])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let exists = |path: &std::path::Path| {
        let deadline = Instant::now() + PATIENCE;
        while !path.exists() {
            assert!(Instant::now() < deadline, "{} never comes", path.display());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    exists(&idle);
    assert!(!back.exists());
    compositor.control().ask("key 30");
    exists(&back);
    swayidle.kill().unwrap();
    swayidle.wait().unwrap();
}

/// From one window of `weston-dnd` to another: of its four times four places every other has a flower.
#[test]
fn a_flower_is_dragged_from_one_program_to_another() {
    program("weston-dnd");
    let compositor = Compositor::start(&["--serve", "--size", "1280x720"]);
    let mut control = compositor.control();
    let flowers = [(); 2].map(|()| {
        let before = control.ask("windows").len();
        let flowers = Program::start(&compositor, &["weston-dnd"]);
        until("its window", || (control.ask("windows").len() > before).then_some(()));
        flowers
    });
    let lines = control.ask("windows");
    // Inside of its border and title bar, in pixels.
    let place = |window: usize, column: i32, row: i32| {
        let [x, y, ..] = rect(&lines[window]);
        [x + 22 + 80 * column, y + 43 + 80 * row, 64, 64]
    };
    let middle = |[x, y, ..]: Area| format!("{} {}", x + 32, y + 32);
    let (from, to) = (place(0, 1, 0), place(1, 0, 0));
    has_colours(&compositor, from, 10);
    has_colours(&compositor, place(1, 1, 0), 10);
    let black = 64 * 64;
    shows(&compositor, to, 0x00_00_00, black);
    let flower = pixels(&compositor.screenshot(), from);
    // A drop that its target has not accepted yet is none, and nothing shows whether it has.
    until("a drop", || {
        assert_eq!(control.ask(&format!("pointer {} left press", middle(from))), ["ok"]);
        // It is dragged once its client has said so, and pale meanwhile.
        until("a drag", || {
            control.ask(&format!("pointer {}", middle(to)));
            (pixels(&compositor.screenshot(), from) != flower).then_some(())
        });
        assert_eq!(control.ask(&format!("pointer {} left release", middle(to))), ["ok"]);
        until("the end of the drag", || {
            let picture = compositor.screenshot();
            let is_gone = count(&picture, from, 0x00_00_00) == black;
            (is_gone || pixels(&picture, from) == flower).then_some(is_gone)
        })
        .then_some(())
    });
    control.ask("pointer 1270 710");
    until("the flower", || (pixels(&compositor.screenshot(), to) == flower).then_some(()));
    drop(flowers);
}

#[test]
fn fingers_paint_where_they_touch() {
    program("weston-simple-touch");
    let compositor = Compositor::serve();
    let _touch = Program::start(&compositor, &["weston-simple-touch"]);
    let area @ [x, y, ..] = window(&compositor, "title=\"simple-touch\"");
    has_colours(&compositor, area, 1);
    let before = pixels(&compositor.screenshot(), area);
    let mut control = compositor.control();
    for command in [
        format!("touch down 1 {} {}", x + 100, y + 100),
        format!("touch down 2 {} {}", x + 200, y + 200),
        format!("touch move 1 {} {}", x + 150, y + 120),
        "touch up 1".to_owned(),
        "touch up 2".to_owned(),
    ] {
        assert_eq!(control.ask(&command), ["ok"]);
    }
    // A cross of a few pixels each time, in a colour for each finger.
    let mut colours = Vec::new();
    for (dx, dy) in [(100, 100), (150, 120), (200, 200)] {
        let spot = [x + dx - 1, y + dy - 1, 3, 3];
        let around = pixels(&compositor.screenshot(), [x + 50, y + 50, 1, 1])[0];
        colours.push(until("a cross", || {
            pixels(&compositor.screenshot(), spot).into_iter().find(|pixel| *pixel != around)
        }));
    }
    assert_eq!(colours[0], colours[1], "one finger");
    assert_ne!(colours[0], colours[2], "another");
    changes(&compositor, area, &before, 10);
}

#[test]
fn waybar_is_above_and_swaybg_below() {
    const BAR: u32 = 0xaa_55_00;
    const WALL: u32 = 0x33_66_99;
    program("waybar");
    program("swaybg");
    let compositor = Compositor::serve();
    let (config, style) = (compositor.path("bar"), compositor.path("bar.css"));
    let pressed = compositor.path("pressed");
    let module = format!(r#"{{ "format": "press", "on-click": "touch {}" }}"#, pressed.display());
    let text = format!(
        r#"{{ "layer": "top", "height": 30, "modules-left": ["custom/it"], "custom/it": {module} }}"#
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(&style, "window#waybar { background: #aa5500 }").unwrap();
    let (config, style) = (config.display().to_string(), style.display().to_string());
    let _wall = Program::start(&compositor, &["swaybg", "-c", "#336699"]);
    shows(&compositor, [0, 0, 640, 480], WALL, 640 * 480);
    let _bar = Program::start(&compositor, &["waybar", "-c", &config, "-s", &style]);
    shows(&compositor, [100, 0, 540, 30], BAR, 540 * 30);
    shows(&compositor, [0, 40, 640, 440], WALL, 640 * 440);
    // A window that fills the output leaves it room.
    let mut client = Client::connect(&compositor);
    let window = client.window("window", (100, 100), RED);
    window.toplevel.set_maximized();
    client.roundtrip();
    assert_eq!(rect(&window_line(&compositor, "title=\"window\""))[..2], [0, 30]);
    compositor.control().ask("pointer 10 15 left");
    until("the click", || pressed.exists().then_some(()));
}

#[test]
fn weston_confines_the_pointer_and_scales_its_content() {
    program("weston-confine");
    let compositor = Compositor::serve();
    let confine = Program::start(&compositor, &["weston-confine"]);
    let [x, y, width, height] = window(&compositor, "title=\"Wayland Confine\"");
    let mut control = compositor.control();
    control.ask(&format!("pointer {} {} left", x + width / 2, y + height / 2));
    ask_until(&compositor, "stats", "confined");
    // Wherever it is to go.
    control.ask("motion 1000 1000");
    let stats = ask_until(&compositor, "stats", "confined");
    let line = stats.iter().find(|line| line.starts_with("pointer: at")).unwrap();
    let at: Vec<f64> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    assert!(at[0] < f64::from(x + width) && at[1] < f64::from(y + height), "{line}");
    assert!(at[0] > f64::from(x + width - 30), "{line}");
    drop(confine);
    // A blue part of a buffer, larger than it is there.
    let _scaler = Program::start(&compositor, &["weston-scaler"]);
    let area @ [_, _, width, height] = window(&compositor, "title=\"Scaler Test Box\"");
    shows(&compositor, area, 0x00_00_ff, (width * height * 9 / 10) as usize);
}

/// One asks for a token, and the other, which it starts, is activated with it.
#[test]
fn what_foot_opens_a_link_with_is_activated() {
    program("foot");
    let compositor = Compositor::serve();
    let (opener, log) = (compositor.path("opener"), compositor.path("log"));
    let script = format!(
        "WAYLAND_DEBUG=client exec foot --app-id=opened sh -c 'exec sleep 600' 2> {}",
        log.display()
    );
    std::fs::write(&opener, script).unwrap();
    let launch = format!("url.launch=sh {}", opener.display());
    let words = ["WAYLAND_DEBUG=client", "foot", "-o", &launch, "-o", "url.label-letters=sa"];
    let shell = ["sh", "-c", "echo https://a.example/; exec sleep 600"];
    let foot = Program::start(&compositor, &[&words[..], &shell].concat());
    let area = window(&compositor, "active app_id=\"foot\"");
    let before = has_colours(&compositor, area, 5);
    // Ctrl+Shift+U puts a label on each link, and its letter opens that.
    let mut control = compositor.control();
    for command in ["29 press", "42 press", "22", "42 release", "29 release"] {
        assert_eq!(control.ask(&format!("key {command}")), ["ok"]);
    }
    changes(&compositor, area, &before, 20);
    assert_eq!(control.ask("key 31"), ["ok"]);
    let line = foot.says(".done(\"");
    let token = line.split('"').nth(1).unwrap();
    window(&compositor, "active app_id=\"opened\"");
    until("its token", || {
        std::fs::read_to_string(&log)
            .unwrap()
            .contains(&format!(".activate(\"{token}\""))
            .then_some(())
    });
}

/// CONFORMANCE.md has the list.
#[test]
fn what_smithay_lacks_is_missed_in_clear_words() {
    let compositor = Compositor::serve();
    let says = |command: &mut Command, words: &str| {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{command:?} ends well");
        assert!(said.contains(words), "{command:?} says {said:?}");
    };
    says(client_of(&compositor, "grim").arg("picture.png"), "wlr-screencopy");
    says(&mut client_of(&compositor, "wlr-randr"), "wlr-output-management");
    says(&mut client_of(&compositor, "wlsunset"), "wlr-gamma-control");
    // They have done no harm.
    ask_until(&compositor, "windows", "ok 0 windows");
}
