//! Debian's large programs. By name only: `../../scripts/ci desktop` installs them.

mod support;

#[path = "../../../tests/compositor/large.rs"]
mod large;

use support::client::Client;
use support::programs::{Program, changes, has_colours, keep, shows, until, window};
use support::server::Compositor;
use support::{ask_until, programs, server};

const TESTS: &str = "/usr/libexec/installed-tests/SDL2";

/// Chromium names the cursor that it wants, and the field has that for text.
#[test]
fn chromium_has_the_cursor_that_it_names() {
    let compositor = Compositor::serve();
    let _chromium = large::chromium(&compositor, &[], &["--ozone-platform=wayland"]);
    let [x, y, ..] = window(&compositor, "title=\"a page\"");
    // The field is at its top left; where exactly is up to it.
    let mut control = compositor.control();
    until("the cursor for text", || {
        (0..20).find_map(|step| {
            control.ask(&format!("pointer {} {}", x + 70, y + 20 + 5 * step));
            let stats = control.ask("stats");
            stats.iter().any(|line| line.contains("cursor text")).then_some(())
        })
    });
}

#[test]
fn a_pen_draws_in_gtk_4() {
    let compositor = Compositor::serve();
    let demo = ["GSK_RENDERER=cairo", "gtk4-demo", "--run=paint"];
    let _paint = Program::start(&compositor, &demo);
    let area @ [x, y, ..] = window(&compositor, "title=\"Paint\"");
    has_colours(&compositor, area, 10);
    let paper = [x + 50, y + 90, 120, 70];
    shows(&compositor, paper, 0xff_ff_ff, 8400);
    let before = programs::pixels(&compositor.screenshot(), paper);
    let mut control = compositor.control();
    for (dx, dy, pressure) in [(60, 100, 0.0), (60, 100, 0.8), (160, 150, 0.8), (160, 150, 0.0)] {
        let answer = control.ask(&format!("stylus {} {} {pressure}", x + dx, y + dy));
        assert_eq!(answer, ["ok"]);
    }
    // A line from there to here.
    changes(&compositor, paper, &before, 100);
}

#[test]
fn two_fingers_pinch_in_gtk_4() {
    let compositor = Compositor::serve();
    let demo = ["WAYLAND_DEBUG=client", "GSK_RENDERER=cairo", "gtk4-demo", "--run=gestures"];
    let gestures = Program::start(&compositor, &demo);
    let [x, y, ..] = window(&compositor, "title=\"Gestures\"");
    let mut control = compositor.control();
    control.ask(&format!("pointer {} {}", x + 100, y + 200));
    control.ask("pinch 2 1.5 40");
    gestures.says("zwp_pointer_gesture_pinch_v1");
    for event in [".begin(", ".update(", ".end("] {
        gestures.says(event);
    }
}

/// A mouse that is locked to its window moves what that shows.
#[test]
fn a_game_of_sdl_holds_the_pointer() {
    const RED: u32 = 0xff_00_00;
    let compositor = Compositor::serve();
    let relative = format!("{TESTS}/testrelative");
    let words = ["SDL_VIDEODRIVER=wayland", "SDL_RENDER_DRIVER=software", &relative];
    let _game = Program::start(&compositor, &words);
    let area @ [x, y, ..] = window(&compositor, "app_id=\"testrelative\"");
    let mut control = compositor.control();
    control.ask(&format!("pointer {} {} left", x + 60, y + 80));
    ask_until(&compositor, "stats", "locked");
    shows(&compositor, area, RED, 50);
    let before = programs::pixels(&compositor.screenshot(), area);
    control.ask("motion 50 100");
    // It is elsewhere.
    changes(&compositor, area, &before, 100);
    shows(&compositor, area, RED, 50);
}

#[test]
fn a_game_of_sdl_has_the_keys_of_the_window_manager() {
    let compositor = Compositor::serve();
    let draw = format!("{TESTS}/testdraw2");
    let variables =
        ["WAYLAND_DEBUG=client", "SDL_VIDEODRIVER=wayland", "SDL_RENDER_DRIVER=software"];
    let words = [&draw, "--grab", "--keyboard-grab", "--info", "event"];
    let game = Program::start(&compositor, &[&variables[..], &words].concat());
    window(&compositor, "active app_id=\"testdraw2\"");
    game.says(".inhibit_shortcuts(");
    // It has been written by the time that a key is read.
    let mut control = compositor.control();
    control.ask("key 30");
    game.says("scancode 0x00000004 = A");
    // Alt+F4, with which the window manager closes it otherwise.
    for command in ["56 press", "62", "56 release"] {
        assert_eq!(control.ask(&format!("key {command}")), ["ok"]);
    }
    game.says("scancode 0x0000003D = F4");
    assert_eq!(control.ask("windows").last().unwrap(), "ok 1 windows");
}

#[test]
fn nobody_is_said_to_be_away_while_mpv_plays() {
    let compositor = Compositor::serve();
    let film = "av://lavfi:testsrc=duration=600";
    let words = ["WAYLAND_DEBUG=client", "mpv", "--no-config", "--vo=wlshm", film];
    let mpv = Program::start(&compositor, &words);
    mpv.says(".create_inhibitor(");
    let away = compositor.path("away");
    let idle = ["WAYLAND_DEBUG=client", "swayidle", "timeout", "1", "touch away"];
    let swayidle = Program::start(&compositor, &idle);
    swayidle.says(".get_idle_notification(");
    // Two seconds at least, as the compositor counts them.
    let mut client = Client::connect(&compositor);
    let window = client.window("clock", (32, 32), 0xff00ff00);
    client.frames(&window, 120);
    assert!(!away.exists());
    drop(mpv);
    until("nobody is there", || away.exists().then_some(()));
}

/// The variable that X11 programs need.
fn x11_display(compositor: &Compositor) -> String {
    let line = compositor.stdout_line(" DISPLAY=:");
    line.rsplit(' ').next().unwrap().to_owned()
}

/// X11's: a program with OpenGL, a toolkit, a browser.
#[test]
fn x11_programs_are_drawn_and_typed_into() {
    let compositor = Compositor::start(&["--xwayland", "--serve"]);
    let display = x11_display(&compositor);
    {
        let _gears =
            Program::start(&compositor, &[&display, "LIBGL_ALWAYS_SOFTWARE=1", "glxgears"]);
        let area = window(&compositor, "title=\"glxgears\"");
        shows(&compositor, area, 0xc8_19_00, 1000);
        let before = has_colours(&compositor, area, 20);
        changes(&compositor, area, &before, 1000);
    }
    let words =
        [&display[..], "GDK_BACKEND=x11", "GSK_RENDERER=cairo", "gtk4-demo", "--run=search_entry2"];
    let _demo = Program::start(&compositor, &words);
    let area = window(&compositor, "title=\"Type to Search\"");
    let before = has_colours(&compositor, area, 10);
    ask_until(&compositor, "windows", "active app_id=\"gtk4-demo\"");
    programs::type_letters(&compositor, "soloop");
    changes(&compositor, area, &before, 200);
}

/// All at once, as a desktop has them; the picture in `docs/` is of this.
#[test]
fn a_whole_desktop() {
    let compositor = Compositor::start(&["--xwayland", "--serve", "--size", "1280x720"]);
    let display = x11_display(&compositor);
    let (config, style) = (compositor.path("bar"), compositor.path("bar.css"));
    std::fs::write(
        &config,
        r#"{ "layer": "top", "height": 28, "modules-left": ["custom/name"], "modules-right": ["clock"],
            "custom/name": { "format": "  soloop and Smithay  " } }"#,
    )
    .unwrap();
    std::fs::write(
        &style,
        "* { font-family: sans-serif } window#waybar { background: #20242e; color: #d0d4e0 } #clock { padding: 0 12px }",
    )
    .unwrap();
    let (config, style) = (config.display().to_string(), style.display().to_string());
    let bar = Program::start(&compositor, &["waybar", "-c", &config, "-s", &style]);
    shows(&compositor, [300, 0, 400, 28], 0x20_24_2e, 10_000);
    let browser = ["--ozone-platform=wayland", "--window-size=480,300"];
    let demo = ["GSK_RENDERER=cairo", "gtk4-demo", "--run=search_entry2"];
    let film = ["mpv", "--no-config", "--vo=wlshm", "av://lavfi:testsrc=duration=600"];
    let _programs = [
        bar,
        Program::start(&compositor, &["swaybg", "-c", "#2f4f5f"]),
        Program::start(&compositor, &["QT_QPA_PLATFORM=wayland", "qt6ct"]),
        large::chromium(&compositor, &[], &browser),
        Program::start(&compositor, &demo),
        Program::start(&compositor, &["es2gears_wayland"]),
        Program::start(&compositor, &["foot", "-W", "60x12", "sh", "-c", "ls /; exec cat"]),
        Program::start(&compositor, &film),
        Program::start(&compositor, &[&display, "xclock"]),
    ];
    let windows = [
        "title=\"a page\"",
        "\"gtk4-demo\"",
        "\"qt6ct\"",
        "\"es2gears\"",
        "\"foot\"",
        "\"mpv\"",
        "\"XClock\"",
    ];
    for words in windows {
        has_colours(&compositor, window(&compositor, words), 3);
    }
    keep(&compositor, "smithay-desktop.png");
}
