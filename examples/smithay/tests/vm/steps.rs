//! What people do on a seat.

use super::seat::{CONTROL, Seat};

pub const BACKGROUND: [u8; 3] = [26, 33, 46];
const GREEN: [u8; 3] = [0, 192, 0];
const RED: [u8; 3] = [192, 0, 0];
const WHITE: [u8; 3] = [255, 255, 255];

pub fn first_frame(seat: &mut Seat<'_>) {
    seat.start("");
    seat.says("control=");
    let picture = seat.look_until("1-first", |it| it.count(BACKGROUND) > it.width * it.height / 2);
    assert_eq!((picture.width, picture.height), (1280, 800));
    assert_eq!(seat.machine.run("kbdinfo -C /dev/tty1 getmode"), "graphics");
}

pub fn typing(seat: &mut Seat<'_>) {
    seat.terminal("400x300");
    seat.ask_until("windows", "1 windows");
    let before =
        seat.look_until("2-terminal", |it| it.count(BACKGROUND) < it.width * it.height * 95 / 100);
    for letter in ["g", "r"] {
        seat.machine.keys(&[letter]);
    }
    // A letter is what its shape is; here it is enough that there are some.
    seat.look_until("2-typed", |it| it.differs_from(&before) > 30);
    seat.machine.type_line("een");
    seat.look_until("2-green", |it| it.count(GREEN) > 100_000);
    // The keyboard's light is the compositor's to turn on.
    seat.machine.keys(&["caps_lock"]);
    seat.machine.run_until("cat /sys/class/leds/*capslock/brightness", "1");
    seat.machine.keys(&["caps_lock"]);
    seat.machine.run_until("cat /sys/class/leds/*capslock/brightness", "0");
}

pub fn pointer(seat: &mut Seat<'_>) {
    seat.terminal("300x200");
    seat.ask_until("windows", "2 windows");
    seat.machine.type_line("red");
    seat.look_until("3-red", |it| it.count(RED) > 50_000 && it.count(GREEN) > 100_000);
    seat.move_to(1100, 700);
    let (x, y) = seat.pointer_at();
    seat.look_until("3-arrow", |it| it.at(x, y) == WHITE);
    // The terminal that is not typed on is the first one, at the top left. A click gives it the keys.
    seat.move_to(100, 100);
    seat.click();
    seat.machine.type_line("red");
    seat.look_until("3-clicked", |it| it.count(GREEN) < 1_000 && it.count(RED) > 150_000);
}

pub fn keyboard(seat: &mut Seat<'_>) {
    let added = seat.says("").matches("device added: QEMU Virtio Keyboard").count();
    seat.machine.plug_keyboard(true);
    let counts = "grep -c 'device added: QEMU Virtio Keyboard' /tmp/log";
    seat.machine.run_until(counts, &(added + 1).to_string());
    seat.machine.type_line("green");
    seat.look_until("4-green", |it| it.count(GREEN) > 100_000);
    seat.machine.plug_keyboard(false);
    seat.says("device removed: QEMU Virtio Keyboard");
    seat.machine.type_line("red");
    seat.look_until("4-red", |it| it.count(GREEN) < 1_000);
    // A tablet, on another bus: it says where the pointer is.
    seat.machine.qmp("device_add", "\"driver\":\"usb-tablet\",\"id\":\"tablet\",\"bus\":\"usb.0\"");
    seat.says("device added: QEMU QEMU USB Tablet");
    seat.machine.qmp("device_del", "\"id\":\"tablet\"");
    seat.says("device removed: QEMU QEMU USB Tablet");
}

pub fn fingers(seat: &mut Seat<'_>) {
    let guest = seat.guest.clone();
    let before = seat.number("input:", "strokes");
    seat.machine.run(&format!("{guest} --stroke touchscreen {CONTROL}"));
    seat.says("device removed: touchscreen");
    assert_eq!(seat.number("input:", "strokes"), before + 1);
    let at = seat.pointer_at();
    seat.machine.run(&format!("{guest} --stroke touchpad {CONTROL}"));
    seat.says("device removed: touchpad");
    assert_eq!(seat.number("input:", "strokes"), before + 2);
    assert_eq!(seat.pointer_at(), at, "three fingers do not move the pointer");
}

pub fn second_screen(seat: &mut Seat<'_>) {
    seat.machine.second_screen(1024, 768);
    seat.says("screen Virtual-2 1280 0 1024x768");
    let (first, second) = (seat.name("5-second"), seat.name("5-smaller"));
    seat.machine.look_until(1, &first, |it| {
        it.width == 1024 && it.count(BACKGROUND) > it.width * it.height * 9 / 10
    });
    seat.machine.run("rm -f /tmp/second.png");
    let answer = seat.ask("screenshot-of Virtual-2 /tmp/second.png");
    assert!(answer.contains("1024x768"), "{answer}");
    seat.machine.second_screen(800, 600);
    seat.says("screen Virtual-2 1280 0 800x600");
    seat.machine.look_until(1, &second, |it| it.width == 800 && it.count(BACKGROUND) > 400_000);
    // A window goes there, and comes back when there is none.
    seat.move_to(100, 100);
    seat.heard(1, |machine| machine.hold(&["alt"], true));
    seat.heard(1, |machine| machine.button(true));
    seat.move_to(1400, 150);
    seat.heard(1, |machine| machine.button(false));
    seat.heard(1, |machine| machine.hold(&["alt"], false));
    let moved = seat.name("5-moved");
    seat.machine.look_until(1, &moved, |it| it.count(RED) > 10_000);
    seat.ask("scale Virtual-2 2");
    seat.machine.run_until("grep -c 'screen Virtual-2 1280 0 800x600@.* 2$' /tmp/log", "1");
    let answer = seat.ask("mode Virtual-2 7x7");
    assert!(answer.contains("it has no such mode"), "{answer}");
    seat.ask("mode Virtual-2 640x480");
    seat.says("screen Virtual-2 1280 0 640x480");
    let chosen = seat.name("5-chosen");
    seat.machine.look_until(1, &chosen, |it| {
        it.width == 640 && it.count(BACKGROUND) + it.count(RED) > 640 * 480 / 2
    });
    seat.machine.second_screen(0, 0);
    seat.says("screen removed: Virtual-2");
    seat.look_until("5-back", |it| it.count(RED) > 150_000);
}

pub fn terminals(seat: &mut Seat<'_>) {
    seat.client("weston-simple-shm");
    seat.ask_until("windows", "3 windows");
    // The new window has the keys.
    seat.move_to(100, 100);
    seat.click();
    for round in 1..=2 {
        seat.machine.keys(&["ctrl", "alt", "f2"]);
        let count = |word: &str| format!("grep -c 'session {word}' /tmp/log");
        seat.machine.run_until(&count("paused"), &round.to_string());
        seat.look_until("6-away", |it| it.count(BACKGROUND) < it.width * it.height / 10);
        seat.machine.run("chvt 1");
        seat.machine.run_until(&count("resumed"), &round.to_string());
        seat.look_until("6-back", |it| it.count(RED) > 50_000 && it.count(BACKGROUND) > 100_000);
        seat.shows_frames(10);
        seat.machine.type_line(["green", "red"][round - 1]);
        let now = [GREEN, RED][round - 1];
        seat.look_until("6-typed", |it| it.count(now) > 100_000);
    }
    assert_eq!(seat.number("clients:", "are"), 3);
}

pub fn flood(seat: &mut Seat<'_>) {
    let guest = seat.guest.clone();
    seat.client(&format!("{guest} --flood"));
    seat.ask_until("stats", "4 are there");
    let before = seat.number("input:", "motions");
    let shown = seat.number("screen Virtual-1:", "shown");
    for step in 0..100 {
        seat.machine.motion(if step % 2 == 0 { 7 } else { -7 }, 1);
    }
    seat.ask_until("stats", &format!("{} motions, 0 left behind", before + 100));
    assert!(seat.number("screen Virtual-1:", "shown") > shown, "nothing is drawn in a flood");
    seat.machine.run(&format!("kill $(pidof {})", guest.rsplit('/').next().unwrap()));
}

pub fn ended(seat: &mut Seat<'_>) {
    let log = seat.end();
    assert!(log.contains("status 0"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    seat.assert_text();
}

pub fn idle(seat: &mut Seat<'_>) {
    seat.start("--blank 1");
    seat.says("compositor: screens off");
    seat.machine.run_until("cat /sys/class/drm/card0-Virtual-1/dpms", "Off");
    seat.machine.keys(&["a"]);
    seat.says("compositor: screens on");
    // They are on for a second only, whoever looks later presses another key.
    seat.machine
        .run_until_with("cat /sys/class/drm/card0-Virtual-1/dpms", "On", |it| it.keys(&["a"]));
    seat.end();
}
