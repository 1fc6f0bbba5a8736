//! Debian's clients run under the compositor, and screenshots show them.

mod support;

use std::collections::HashSet;
use std::time::Instant;

use support::server::{Compositor, PATIENCE, Picture};
use support::{installed, program, rect, window_line};

/// What is behind windows.
const BACKGROUND: u32 = 0x1a_21_2e;

/// How many colours there are in a part of the picture, besides the background's.
fn colours(picture: &Picture, [x, y, width, height]: [i32; 4]) -> usize {
    let mut colours = HashSet::new();
    for y in (y.max(0)..(y + height).min(480)).step_by(3) {
        colours.extend((x.max(0)..(x + width).min(640)).step_by(3).map(|x| picture.pixel(x, y)));
    }
    colours.remove(&BACKGROUND);
    colours.len()
}

/// Starts a client, waits for its window, and until a screenshot shows that many colours in it.
fn shows(client: &[&str], window: &str, least: usize) {
    program(client[0]);
    let arguments: Vec<&str> = ["--"].iter().chain(client).copied().collect();
    let compositor = Compositor::start(&arguments);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let line = window_line(&compositor, window);
        let found = colours(&compositor.screenshot(), rect(&line));
        if found >= least {
            println!("{line}: {found} colours");
            break;
        }
        assert!(Instant::now() < deadline, "{line}: only {found} colours");
    }
    if let Some(directory) = std::env::var_os("KEEP_SCREENSHOTS") {
        let is_program = |word: &&&str| **word != "env" && !word.contains('=');
        let name = client.iter().find(is_program).unwrap();
        let kept = std::path::Path::new(&directory).join(name).with_extension("png");
        std::fs::copy(compositor.path("shot.png"), kept).unwrap();
    }
}

#[test]
fn weston_simple_shm() {
    shows(&["weston-simple-shm"], "title=\"simple-shm\"", 20);
}

#[test]
fn weston_flower() {
    shows(&["weston-flower"], "title=\"Flower\"", 2);
}

#[test]
fn weston_terminal() {
    shows(&["weston-terminal", "--shell=/bin/sh"], "title=\"Wayland Terminal\"", 5);
}

#[test]
fn foot() {
    shows(&["foot", "sh", "-c", "echo here; exec cat"], "app_id=\"foot\"", 5);
}

#[test]
fn gtk3_demo() {
    shows(&["gtk3-demo"], "app_id=\"gtk3-demo\"", 10);
}

#[test]
fn gtk4_demo() {
    if installed("gtk4-demo") {
        // It draws with OpenGL, which is slow without a GPU, or so.
        shows(&["env", "GSK_RENDERER=cairo", "gtk4-demo"], "app_id=\"gtk4-demo\"", 10);
    }
}

#[test]
fn qt6ct() {
    if installed("qt6ct") {
        shows(&["env", "QT_QPA_PLATFORM=wayland", "qt6ct"], "app_id=\"qt6ct\"", 10);
    }
}

#[test]
fn wayland_info_lists_the_globals() {
    program("wayland-info");
    let mut compositor = Compositor::start(&["--", "wayland-info"]);
    let globals = [
        "wl_compositor",
        "wl_subcompositor",
        "wl_shm",
        "wl_seat",
        "wl_output",
        "wl_data_device_manager",
        "xdg_wm_base",
        "zwlr_layer_shell_v1",
        "zwp_primary_selection_device_manager_v1",
        "zwp_linux_dmabuf_v1",
        "zwp_relative_pointer_manager_v1",
        "zwp_idle_inhibit_manager_v1",
        "ext_idle_notifier_v1",
        "wp_viewporter",
        "zxdg_output_manager_v1",
        "ext_data_control_manager_v1",
        "ext_foreign_toplevel_list_v1",
        "ext_session_lock_manager_v1",
        "wp_cursor_shape_manager_v1",
        "wp_fractional_scale_manager_v1",
        "wp_presentation",
        "wp_single_pixel_buffer_manager_v1",
        "xdg_activation_v1",
        "zwlr_data_control_manager_v1",
        "zwp_input_method_manager_v2",
        "zwp_keyboard_shortcuts_inhibit_manager_v1",
        "zwp_pointer_constraints_v1",
        "zwp_pointer_gestures_v1",
        "zwp_tablet_manager_v2",
        "zwp_text_input_manager_v3",
        "zwp_virtual_keyboard_manager_v1",
        "zxdg_decoration_manager_v1",
    ];
    let mut missing: HashSet<&str> = globals.into_iter().collect();
    while !missing.is_empty() {
        let line = compositor.stdout_line("interface: ");
        missing.retain(|global| !line.contains(&format!("'{global}'")));
    }
    // It has ended, as the only client.
    assert!(compositor.wait().success());
}
