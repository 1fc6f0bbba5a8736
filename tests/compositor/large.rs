//! Debian's large programs, under either compositor: a browser, toolkits, video, OpenGL, a compositor in a window.

use super::programs::{Program, changes, copies, has_colours, shows, type_letters, until, window};
use super::server::Compositor;

/// A page that turns green when the word is typed, and brown when it is clicked on.
const PAGE: &str = "<!doctype html><title>a page</title>\
    <style>html { height: 100%; background: #2040a0 } input { margin: 40px }</style>\
    <input id=field autofocus><script>\
    const page = document.documentElement;\
    field.oninput = () => { if (field.value == 'soloop') page.style.background = '#109030' };\
    page.onclick = () => { page.style.background = '#c06010'; field.focus() };\
    </script>";
const BLUE: u32 = 0x20_40_a0;
const BROWN: u32 = 0xc0_60_10;
const GREEN: u32 = 0x10_90_30;

/// Starts Chromium with the page.
pub fn chromium(compositor: &Compositor, variables: &[&str], words: &[&str]) -> Program {
    let page = compositor.path("page.html");
    std::fs::write(&page, PAGE).unwrap();
    let app = format!("--app=file://{}", page.display());
    let profile = format!("--user-data-dir={}", compositor.path("profile").display());
    let own = ["chromium", "--no-sandbox", "--no-first-run", "--disable-gpu", &profile, &app];
    Program::start(compositor, &[variables, &own, words].concat())
}

#[test]
fn chromium_is_clicked_on_and_typed_into() {
    let compositor = Compositor::serve();
    let debug = ["WAYLAND_DEBUG=client"];
    let chromium = chromium(&compositor, &debug, &["--ozone-platform=wayland"]);
    // In 120ths.
    chromium.says("wp_fractional_scale_v1#");
    chromium.says(".preferred_scale(120)");
    let area = window(&compositor, "title=\"a page\"");
    let [x, y, width, height] = area;
    let most = (width * height / 2) as usize;
    shows(&compositor, area, BLUE, most);
    compositor.control().ask(&format!("pointer {} {} left", x + width / 2, y + height - 80));
    shows(&compositor, area, BROWN, most);
    type_letters(&compositor, "soloop");
    shows(&compositor, area, GREEN, most);
    copies(&compositor, "soloop");
}

#[test]
fn a_gtk_4_program_is_typed_into() {
    let compositor = Compositor::serve();
    let demo = ["GSK_RENDERER=cairo", "gtk4-demo", "--run=search_entry2"];
    let _demo = Program::start(&compositor, &demo);
    let area = window(&compositor, "active app_id=\"gtk4-demo\"");
    let before = has_colours(&compositor, area, 10);
    type_letters(&compositor, "soloop");
    changes(&compositor, area, &before, 200);
    copies(&compositor, "soloop");
}

#[test]
fn a_qt_6_program_hears_keys() {
    const RIGHT: u32 = 106;
    let compositor = Compositor::serve();
    let _tool = Program::start(&compositor, &["QT_QPA_PLATFORM=wayland", "qt6ct"]);
    let area = window(&compositor, "active app_id=\"qt6ct\"");
    let before = has_colours(&compositor, area, 50);
    // To the next tab, which has fewer things on it.
    compositor.control().ask(&format!("key {RIGHT}"));
    changes(&compositor, area, &before, 10_000);
}

#[test]
fn sdl_programs_draw_and_hear_keys() {
    const TESTS: &str = "/usr/libexec/installed-tests/SDL2";
    let compositor = Compositor::serve();
    let own = ["SDL_VIDEODRIVER=wayland", "SDL_RENDER_DRIVER=software"];
    let program = |name: &str| {
        Program::start(&compositor, &[&own[..], &[&format!("{TESTS}/{name}")]].concat())
    };
    let draws = program("testdraw2");
    // Lines and rectangles on grey, more of them each time.
    let area = window(&compositor, "app_id=\"testdraw2\"");
    let before = has_colours(&compositor, area, 2);
    changes(&compositor, area, &before, 1000);
    drop(draws);
    let keys = program("checkkeys");
    window(&compositor, "active app_id=\"checkkeys\"");
    type_letters(&compositor, "a");
    keys.says("Key pressed :  scancode 4 = A");
    keys.says("INPUT Text (\\x61)");
    keys.says("Key released:  scancode 4 = A");
}

/// By processor: there is no GPU.
#[test]
fn an_opengl_program_draws_frame_after_frame() {
    let compositor = Compositor::serve();
    let _gears = Program::start(&compositor, &["LIBGL_ALWAYS_SOFTWARE=1", "es2gears_wayland"]);
    let area = window(&compositor, "title=\"es2gears\"");
    shows(&compositor, area, 0xc8_19_00, 1000);
    let mut before = has_colours(&compositor, area, 100);
    for _ in 0..3 {
        changes(&compositor, area, &before, 1000);
        before = has_colours(&compositor, area, 100);
    }
}

#[test]
fn mpv_plays_and_hears_when_its_frames_are_shown() {
    let compositor = Compositor::serve();
    let film = "av://lavfi:testsrc=duration=600";
    let words = ["WAYLAND_DEBUG=client", "mpv", "--no-config", "--vo=wlshm", film];
    let mpv = Program::start(&compositor, &words);
    let area = window(&compositor, "app_id=\"mpv\"");
    // Its bars: yellow is one.
    shows(&compositor, area, 0xff_ff_00, 500);
    mpv.says(".presented(");
    mpv.says(".presented(");
}

#[test]
fn a_compositor_runs_in_a_window_and_programs_in_it() {
    let compositor = Compositor::serve();
    let weston = [
        "weston",
        "--backend=wayland-backend.so",
        "--use-pixman",
        "--no-config",
        "--socket=nested",
        "--width=400",
        "--height=300",
    ];
    let _weston = Program::start(&compositor, &weston);
    let area = window(&compositor, "title=\"Weston Compositor");
    let before = has_colours(&compositor, area, 50);
    until("its socket", || compositor.path("nested").exists().then_some(()));
    let _inner = Program::start(&compositor, &["WAYLAND_DISPLAY=nested", "weston-simple-shm"]);
    // 250 pixels square; it draws in all colours.
    changes(&compositor, area, &before, 10_000);
    has_colours(&compositor, area, 200);
}
