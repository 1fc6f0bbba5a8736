//! Who types besides the keyboard.

mod support;

use support::client::{Client, Heard};
use support::notes::{Notes, number};
use support::programs::{Program, has_colours, until, window};
use support::server::Compositor;
use support::{ask_until, client_of, program, window_line};
use wayland_client::delegate_noop;
use wayland_client::protocol::wl_output::WlOutput;
use wayland_protocols::ext::session_lock::v1::client::{
    ext_session_lock_manager_v1::ExtSessionLockManagerV1,
    ext_session_lock_surface_v1::ExtSessionLockSurfaceV1, ext_session_lock_v1::ExtSessionLockV1,
};
use wayland_protocols::wp::text_input::zv3::client::{
    zwp_text_input_manager_v3::ZwpTextInputManagerV3, zwp_text_input_v3::ZwpTextInputV3,
};
use wayland_protocols_misc::zwp_input_method_v2::client::{
    zwp_input_method_keyboard_grab_v2::ZwpInputMethodKeyboardGrabV2,
    zwp_input_method_manager_v2::ZwpInputMethodManagerV2, zwp_input_method_v2::ZwpInputMethodV2,
    zwp_input_popup_surface_v2::ZwpInputPopupSurfaceV2,
};

const RED: u32 = 0xffff0000;
const BLUE: u32 = 0xff0000ff;

note!(
    ExtSessionLockV1,
    ExtSessionLockSurfaceV1,
    ZwpInputMethodV2,
    ZwpInputMethodKeyboardGrabV2,
    ZwpInputPopupSurfaceV2,
    ZwpTextInputV3,
);
delegate_noop!(Heard: ExtSessionLockManagerV1);
delegate_noop!(Heard: ignore WlOutput);
delegate_noop!(Heard: ZwpInputMethodManagerV2);
delegate_noop!(Heard: ZwpTextInputManagerV3);

#[test]
fn an_input_method_writes_into_the_text_that_has_the_keyboard() {
    let compositor = Compositor::serve();
    let mut writer = Client::connect(&compositor);
    let (text, method, popup, grab) =
        (Notes::default(), Notes::default(), Notes::default(), Notes::default());
    let queue = writer.queue.clone();
    writer.seat.get_keyboard(&queue, ());
    let manager: ZwpTextInputManagerV3 = writer.globals.bind(&queue, 1..=1, ()).unwrap();
    let input = manager.get_text_input(&writer.seat, &queue, text.clone());
    writer.window("text", (200, 100), RED);
    writer.until("the keyboard", |heard| heard.keyboard_entered);

    let mut speaker = Client::connect(&compositor);
    let queue = speaker.queue.clone();
    let manager: ZwpInputMethodManagerV2 = speaker.globals.bind(&queue, 1..=1, ()).unwrap();
    let words = manager.get_input_method(&speaker.seat, &queue, method.clone());
    speaker.roundtrip();
    text.until(&mut writer, "Enter");
    input.enable();
    input.set_surrounding_text("before".to_owned(), 6, 6);
    input.set_cursor_rectangle(10, 20, 2, 15);
    input.commit();
    writer.roundtrip();
    method.until(&mut speaker, "Activate");
    method.until(&mut speaker, "SurroundingText { text: \"before\", cursor: 6, anchor: 6 }");
    method.until(&mut speaker, "Done");

    words.set_preedit_string("u".to_owned(), 0, 1);
    words.commit(1);
    speaker.roundtrip();
    text.until(&mut writer, "PreeditString { text: Some(\"u\")");
    text.until(&mut writer, "Done { serial: 1 }");
    words.commit_string("ü".to_owned());
    words.commit(1);
    speaker.roundtrip();
    text.until(&mut writer, "CommitString { text: Some(\"ü\") }");
    text.until(&mut writer, "Done { serial: 1 }");

    // What else may be meant is shown below the text.
    let surface = speaker.surface();
    words.get_input_popup_surface(&surface, &queue, popup.clone());
    speaker.show(&surface, (30, 30), BLUE);
    speaker.roundtrip();
    let (x, y) = compositor.window("text");
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 10, y + 35), BLUE & 0xffffff);
    assert_eq!(picture.pixel(x + 39, y + 64), BLUE & 0xffffff);
    assert_eq!(picture.pixel(x + 10, y + 34), RED & 0xffffff);

    // Keys are the method's that grabs them, until it gives them back.
    let keyboard = words.grab_keyboard(&queue, grab.clone());
    speaker.roundtrip();
    let mut control = compositor.control();
    control.ask("key 30");
    grab.until(&mut speaker, "Key {");
    writer.roundtrip();
    assert!(writer.heard.keys.is_empty(), "{:?}", writer.heard.keys);
    keyboard.release();
    speaker.roundtrip();
    control.ask("key 31");
    writer.until("a key", |heard| heard.keys.contains(&(31, true)));

    // The text loses the keyboard.
    let mut other = Client::connect(&compositor);
    other.window("other", (50, 50), BLUE);
    text.until(&mut writer, "Leave");
    method.until(&mut speaker, "Deactivate");
}

/// What is typed on a lock is a password.
#[test]
fn an_input_method_does_not_hear_what_is_typed_on_a_lock() {
    let compositor = Compositor::serve();
    let mut speaker = Client::connect(&compositor);
    let (method, grab, lock) = (Notes::default(), Notes::default(), Notes::default());
    let queue = speaker.queue.clone();
    let manager: ZwpInputMethodManagerV2 = speaker.globals.bind(&queue, 1..=1, ()).unwrap();
    let words = manager.get_input_method(&speaker.seat, &queue, method);
    words.grab_keyboard(&queue, grab.clone());
    speaker.roundtrip();
    let mut control = compositor.control();
    control.ask("key 30");
    grab.until(&mut speaker, "Key {");

    let mut locker = Client::connect(&compositor);
    let queue = locker.queue.clone();
    locker.seat.get_keyboard(&queue, ());
    let manager: ExtSessionLockManagerV1 = locker.globals.bind(&queue, 1..=1, ()).unwrap();
    let output: WlOutput = locker.globals.bind(&queue, 1..=1, ()).unwrap();
    let locked = manager.lock(&queue, lock.clone());
    let surface = locker.surface();
    let role = locked.get_lock_surface(&surface, &output, &queue, lock.clone());
    let configure = lock.until(&mut locker, "Configure");
    role.ack_configure(number(&configure, "serial"));
    locker.show(&surface, (640, 480), BLUE);
    locker.until("the keyboard", |heard| heard.keyboard_entered);
    // Not with the grab that it has, nor with another.
    for key in [31, 32] {
        grab.clear();
        control.ask(&format!("key {key}"));
        locker.until("a key", |heard| heard.keys.contains(&(key, true)));
        speaker.roundtrip();
        assert_eq!(grab.find("Key {"), None);
        words.grab_keyboard(&speaker.queue, grab.clone());
        speaker.roundtrip();
    }
}

#[test]
fn wtype_types_into_foot() {
    program("wtype");
    program("foot");
    let compositor = Compositor::serve();
    let file = compositor.path("typed");
    let script = format!("cat > {}", file.display());
    let mut foot = client_of(&compositor, "foot").args(["sh", "-c", &script]).spawn().unwrap();
    window_line(&compositor, "app_id=\"foot\"");
    ask_until(&compositor, "windows", "active");
    // Foot starts the shell, and then shows its window; so the file is there.
    let wtype = |arguments: &[&str]| {
        let mut wtype = client_of(&compositor, "wtype");
        assert!(wtype.args(arguments).status().unwrap().success());
    };
    wtype(&["Grüße, 世界"]);
    wtype(&["-k", "Return"]);
    // The end of the file, and so of the terminal.
    wtype(&["-M", "ctrl", "-k", "d", "-m", "ctrl"]);
    assert!(foot.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(file).unwrap(), "Grüße, 世界\n");
}

/// A keyboard on the screen: what its keys write goes through the input method into the text, and what else they do
/// through a keyboard of its own.
#[test]
fn squeekboard_writes_into_foot() {
    program("squeekboard");
    program("dbus-run-session");
    let compositor = Compositor::serve();
    let file = compositor.path("typed");
    let script = format!("cat > {}", file.display());
    let foot = Program::start(&compositor, &["WAYLAND_DEBUG=client", "foot", "sh", "-c", &script]);
    window(&compositor, "active app_id=\"foot\"");
    let settings = compositor.path("glib-2.0/settings");
    std::fs::create_dir_all(&settings).unwrap();
    let shown = "[org/gnome/desktop/a11y/applications]\nscreen-keyboard-enabled=true\n";
    std::fs::write(settings.join("keyfile"), shown).unwrap();
    let variables = [
        "WAYLAND_DEBUG=client",
        "GSETTINGS_BACKEND=keyfile",
        "GIO_USE_VFS=local",
        "NO_AT_BRIDGE=1",
    ];
    let words = [&variables[..], &["dbus-run-session", "squeekboard"]].concat();
    let keyboard = Program::start(&compositor, &words);
    // It is at the bottom, as soon as there is a text to write.
    foot.says(".enable()");
    keyboard.says(".activate()");
    has_colours(&compositor, [0, 290, 640, 180], 20);
    let mut control = compositor.control();
    let mut strike = |x, y| {
        for step in ["press", "release"] {
            assert_eq!(control.ask(&format!("pointer {x} {y} left {step}")), ["ok"]);
        }
    };
    // foot leaves out what is committed while a commit of its own is under way: the serial of that `done` is older than its
    // state. Whoever sees that a letter is missing types the line again.
    let is_typed = (1..=10).any(|lines| {
        for (letter, x, y) in [("d", 192, 370), ("y", 352, 326)] {
            strike(x, y);
            let written = format!(".commit_string(\"{letter}\")");
            keyboard.says(&written);
            foot.says(&written);
        }
        // Enter.
        strike(586, 457);
        let text = until("a line", || {
            let text = std::fs::read_to_string(&file).unwrap();
            (text.ends_with('\n') && text.lines().count() == lines).then_some(text)
        });
        text.lines().last() == Some("dy")
    });
    assert!(is_typed, "{:?}", std::fs::read_to_string(&file));
}
