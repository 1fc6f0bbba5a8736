//! The compositor on a seat of a machine that qemu emulates: a kernel's graphics card, keyboards and pointers, udev,
//! seatd, and screenshots of what the screens show. `../../vm` runs it, on either loop:
//!
//! ```text
//! vm DIRECTORY COMPOSITOR...     COMPOSITOR...: programs to be tested, one after the other
//! vm --ask SOCKET WORD...        in the machine
//! vm --flood                     in the machine
//! ```

mod guest;
mod machine;
mod vnc;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use machine::{Machine, Picture, installed};

const BACKGROUND: [u8; 3] = [26, 33, 46];
const GREEN: [u8; 3] = [0, 192, 0];
const RED: [u8; 3] = [192, 0, 0];
const WHITE: [u8; 3] = [255, 255, 255];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--ask", socket, ..] => guest::ask(socket, &arguments[2..]),
        ["--flood"] => guest::flood(),
        [directory, _, ..] if !directory.starts_with('-') => {
            let compositors: Vec<PathBuf> = arguments[1..].iter().map(PathBuf::from).collect();
            test(Path::new(directory), &compositors);
        }
        // As `cargo test` runs it.
        _ => {
            let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm");
            test(&directory, &[PathBuf::from(env!("CARGO_BIN_EXE_soloop-smithay"))]);
        }
    }
}

fn test(directory: &Path, compositors: &[PathBuf]) {
    let needed =
        ["qemu-system-x86_64", "seatd", "cpio", "busybox", "modprobe", "udevadm", "chvt", "foot"];
    if let Some(missing) = needed.into_iter().find(|program| !installed(program)) {
        println!("skipped: no machine without {missing}: ./setup installs it");
        return;
    }
    let start = Instant::now();
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/image");
    let guest = std::env::current_exe().unwrap();
    let made = Command::new(image).arg(directory).arg(&guest).args(compositors).status().unwrap();
    assert!(made.success(), "there is no image");
    println!("image: {:.1} s", start.elapsed().as_secs_f64());

    let mut machine = Machine::boot(directory);
    println!("boot: {:.1} s", start.elapsed().as_secs_f64());
    let guest = format!("/opt/{}", guest.file_name().unwrap().display());
    for compositor in compositors {
        let name = compositor.file_name().unwrap().display().to_string();
        let mut seat = Seat { machine: &mut machine, guest: guest.clone(), name };
        for (step, act) in STEPS {
            let begin = Instant::now();
            act(&mut seat);
            println!("{}: {step}: {:.1} s", seat.name, begin.elapsed().as_secs_f64());
        }
    }
    println!("all of it: {:.1} s", start.elapsed().as_secs_f64());
}

type Step = (&'static str, fn(&mut Seat<'_>));
const STEPS: [Step; 12] = [
    ("first frame", first_frame),
    ("typing", typing),
    ("pointer", pointer),
    ("keyboard comes and goes", keyboard),
    ("second screen", second_screen),
    ("terminals", terminals),
    ("flood", flood),
    ("ended by a signal", ended),
    ("nobody there", idle),
    ("two on one terminal", two_on_one_terminal),
    ("panic", panics),
    ("seatd killed", seatd_killed),
];

/// A compositor in the machine.
struct Seat<'a> {
    machine: &'a mut Machine,
    guest: String,
    name: String,
}

impl Seat<'_> {
    fn start(&mut self, options: &str) {
        let command = format!(
            "(as-user /opt/{} --tty --serve --socket wl {options} >/tmp/log 2>&1; echo \"status $?\" >>/tmp/log) &",
            self.name
        );
        self.machine.run(&command);
    }

    /// Waits for words of the compositor's, and gives what it has said since it was started.
    fn says(&mut self, words: &str) -> String {
        self.machine.run_until("cat /tmp/log", words)
    }

    fn ask(&mut self, words: &str) -> String {
        self.machine.run(&format!("{} --ask /run/user/wl.control {words}", self.guest))
    }

    fn ask_until(&mut self, command: &str, words: &str) -> String {
        let command = format!("{} --ask /run/user/wl.control {command}", self.guest);
        self.machine.run_until(&command, words)
    }

    fn client(&mut self, command: &str) {
        let command =
            format!("WAYLAND_DISPLAY=wl as-user {command} >/tmp/client.log 2>&1 </dev/null &");
        self.machine.run(&command);
    }

    /// A terminal that shows the colour that somebody types.
    fn terminal(&mut self, size: &str) {
        self.machine.run(
            "cat >/tmp/colours <<'END'\nwhile read -r word; do case $word in\n\
             green) printf '\\033]11;#00c000\\033\\\\' ;;\nred) printf '\\033]11;#c00000\\033\\\\' ;;\n\
             esac; done\nEND",
        );
        self.client(&format!("foot --window-size-pixels={size} /bin/sh /tmp/colours"));
    }

    fn name(&self, picture: &str) -> String {
        format!("{}-{picture}", self.name)
    }

    fn look_until(&mut self, name: &str, what: impl Fn(&Picture) -> bool) -> Picture {
        let name = self.name(name);
        self.machine.look_until(0, &name, what)
    }

    /// A number in the line of `stats` that starts with these words, before this one.
    fn number(&mut self, line: &str, word: &str) -> u64 {
        let stats = self.ask("stats");
        let found = stats.lines().find(|it| it.starts_with(line));
        let found = found.unwrap_or_else(|| panic!("no {line:?} in {stats}"));
        let words: Vec<&str> = found.split([' ', ',']).filter(|it| !it.is_empty()).collect();
        let at = words.iter().position(|it| *it == word).unwrap_or_else(|| panic!("{found}"));
        words[at - 1].parse().unwrap()
    }

    fn pointer_at(&mut self) -> (usize, usize) {
        let stats = self.ask("stats");
        let line = stats.lines().find(|it| it.starts_with("pointer: at ")).unwrap();
        let words: Vec<&str> = line.split([' ', ',']).collect();
        let number = |word: &str| word.parse::<f64>().unwrap();
        (number(words[2]).round() as usize, number(words[3]).round() as usize)
    }

    /// Moves the pointer until it is near a point: how far it goes is not how far the mouse went.
    fn move_to(&mut self, x: i32, y: i32) {
        for _ in 0..50 {
            let (at_x, at_y) = self.pointer_at();
            let (away_x, away_y) = (x - at_x as i32, y - at_y as i32);
            if away_x.abs() < 8 && away_y.abs() < 8 {
                return;
            }
            self.machine.motion(away_x * 4 / 5, away_y * 4 / 5);
        }
        panic!("the pointer never comes to {x} {y}");
    }

    /// Does something that comes to so many events of input, and waits for these: those of two devices may overtake
    /// each other.
    fn heard(&mut self, events: u64, act: impl FnOnce(&mut Machine)) {
        let before = self.number("input:", "events");
        act(self.machine);
        let deadline = Instant::now() + machine::PATIENCE;
        while self.number("input:", "events") < before + events {
            assert!(Instant::now() < deadline, "the compositor never hears of it");
        }
    }

    fn click(&mut self) {
        self.heard(2, |machine| {
            machine.button(true);
            machine.button(false);
        });
    }

    fn end(&mut self) -> String {
        self.machine.run("kill $(pidof foot weston-simple-shm) 2>/dev/null; kill -TERM $(pidof soloop calloop soloop-smithay)");
        self.says("status ")
    }

    /// The terminal shows text, as before.
    fn assert_text(&mut self) {
        self.machine.run_until("kbdinfo -C /dev/tty1 getmode", "text");
    }
}

fn first_frame(seat: &mut Seat<'_>) {
    seat.start("");
    seat.says("control=");
    let picture = seat.look_until("1-first", |it| it.count(BACKGROUND) > it.width * it.height / 2);
    assert_eq!((picture.width, picture.height), (1280, 800));
    assert_eq!(seat.machine.run("kbdinfo -C /dev/tty1 getmode"), "graphics");
}

fn typing(seat: &mut Seat<'_>) {
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

fn pointer(seat: &mut Seat<'_>) {
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

fn keyboard(seat: &mut Seat<'_>) {
    let added = seat.says("").matches("device added: QEMU Virtio Keyboard").count();
    seat.machine.qmp(
        "device_add",
        "\"driver\":\"virtio-keyboard-pci\",\"id\":\"second\",\"bus\":\"port1\"",
    );
    let counts = "grep -c 'device added: QEMU Virtio Keyboard' /tmp/log";
    seat.machine.run_until(counts, &(added + 1).to_string());
    seat.machine.type_line("green");
    seat.look_until("4-green", |it| it.count(GREEN) > 100_000);
    seat.machine.qmp("device_del", "\"id\":\"second\"");
    seat.says("device removed: QEMU Virtio Keyboard");
    seat.machine.type_line("red");
    seat.look_until("4-red", |it| it.count(GREEN) < 1_000);
    // A tablet, on another bus: it says where the pointer is.
    seat.machine.qmp("device_add", "\"driver\":\"usb-tablet\",\"id\":\"tablet\",\"bus\":\"usb.0\"");
    seat.says("device added: QEMU QEMU USB Tablet");
    seat.machine.qmp("device_del", "\"id\":\"tablet\"");
    seat.says("device removed: QEMU QEMU USB Tablet");
}

fn second_screen(seat: &mut Seat<'_>) {
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
    seat.machine.second_screen(0, 0);
    seat.says("screen removed: Virtual-2");
    seat.look_until("5-back", |it| it.count(RED) > 150_000);
}

fn terminals(seat: &mut Seat<'_>) {
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
        let before = seat.number("screen Virtual-1:", "shown");
        while seat.number("screen Virtual-1:", "shown") < before + 10 {}
        seat.machine.type_line(["green", "red"][round - 1]);
        let now = [GREEN, RED][round - 1];
        seat.look_until("6-typed", |it| it.count(now) > 100_000);
    }
    assert_eq!(seat.number("clients:", "are"), 3);
}

fn flood(seat: &mut Seat<'_>) {
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

fn ended(seat: &mut Seat<'_>) {
    let log = seat.end();
    assert!(log.contains("status 0"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    seat.assert_text();
}

fn idle(seat: &mut Seat<'_>) {
    seat.start("--blank 1");
    seat.says("compositor: screens off");
    seat.machine.run_until("cat /sys/class/drm/card0-Virtual-1/dpms", "Off");
    seat.machine.keys(&["a"]);
    seat.says("compositor: screens on");
    seat.machine.run_until("cat /sys/class/drm/card0-Virtual-1/dpms", "On");
    seat.end();
}

fn two_on_one_terminal(seat: &mut Seat<'_>) {
    seat.start("");
    seat.says("control=");
    let second = format!("as-user /opt/{} --tty --serve --socket two; echo status $?", seat.name);
    let said = seat.machine.run(&second);
    assert!(said.contains("compositor: no seat") && said.contains("status 1"), "{said}");
    seat.ask_until("stats", "ok");
    let nobody =
        format!("/usr/bin/setpriv --reuid=65534 --clear-groups /opt/{} --tty --serve", seat.name);
    let said = seat.machine.run(&nobody);
    assert!(said.contains("compositor: "), "{said}");
}

fn panics(seat: &mut Seat<'_>) {
    seat.ask("panic");
    let log = seat.says("status ");
    assert!(log.contains("as asked") && log.contains("status 101"), "{log}");
    seat.assert_text();
}

fn seatd_killed(seat: &mut Seat<'_>) {
    seat.start("");
    seat.says("control=");
    seat.machine.run("kill -KILL $(pidof seatd)");
    let log = seat.says("status ");
    assert!(log.contains("compositor: the seat is lost") && log.contains("status 1"), "{log}");
    let said = seat.machine.run(&format!("as-user /opt/{} --tty --serve", seat.name));
    assert!(said.contains("compositor: no seat"), "{said}");
    seat.machine.run("rm -f /run/seatd.sock; seatd -g seat >/tmp/seatd.log 2>&1 &");
    seat.machine.run_until("ls /run/seatd.sock", "/run/seatd.sock");
}
