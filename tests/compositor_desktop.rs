//! Debian's large programs under the compositor example. By name only: `scripts/ci desktop` installs them.

#![cfg(target_os = "linux")]
#![allow(dead_code, reason = "the modules are those of several tests")]
#![allow(unreachable_pub, reason = "`pub` tells what the modules of this test offer")]

#[path = "compositor/large.rs"]
mod large;
#[path = "compositor/programs.rs"]
mod programs;
#[path = "compositor/server.rs"]
mod server;

use programs::{Program, has_colours, window};
use server::Compositor;

/// All at once, as a desktop has them; the picture in `docs/` is of this.
#[test]
fn a_whole_desktop() {
    let compositor = Compositor::start(&["--serve", "--size", "1280x720"]);
    let browser = ["--ozone-platform=wayland", "--window-size=480,300"];
    let _programs = [
        large::chromium(&compositor, &[], &browser),
        Program::start(&compositor, &["GSK_RENDERER=cairo", "gtk4-demo", "--run=search_entry2"]),
        Program::start(&compositor, &["QT_QPA_PLATFORM=wayland", "qt6ct"]),
        Program::start(&compositor, &["es2gears_wayland"]),
        Program::start(&compositor, &["foot", "-W", "60x12", "sh", "-c", "ls /; exec cat"]),
        Program::start(
            &compositor,
            &["mpv", "--no-config", "--vo=wlshm", "av://lavfi:testsrc=duration=600"],
        ),
    ];
    let windows =
        ["title=\"a page\"", "\"gtk4-demo\"", "\"qt6ct\"", "\"es2gears\"", "\"foot\"", "\"mpv\""];
    for words in windows {
        has_colours(&compositor, window(&compositor, words), 3);
    }
    programs::keep(&compositor, "compositor-desktop.png");
}
