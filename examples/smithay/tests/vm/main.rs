//! The compositor on a seat of a machine that qemu emulates: a kernel's graphics card, keyboards and pointers, udev,
//! seatd, and screenshots of what the screens show, which are then in `target/tmp/vm`. `cargo test --test vm` runs it on the
//! loop that it is built for, `../../vm` on both.
//!
//! ```text
//! vm                             the compositor that this is built with
//! vm --on COMPOSITOR...          programs to be tested, one after the other
//! vm --costs COMPOSITOR...       what each costs
//! vm --ask SOCKET WORD...        in the machine
//! vm --flood                     in the machine
//! vm --stroke touchscreen SOCKET in the machine; or touchpad
//! ```

mod costs;
mod daemon;
mod faults;
mod fingers;
mod guest;
mod machine;
mod seat;
mod steps;
mod vnc;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use machine::{Machine, installed};
use seat::Seat;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--ask", socket, words @ ..] => print!("{}", guest::ask(socket, &words.join(" "))),
        ["--flood"] => guest::flood(),
        ["--stroke", device, socket] => fingers::stroke(device, socket),
        ["--on", compositors @ ..] => with_machine(compositors, all_steps),
        ["--costs", compositors @ ..] => with_machine(compositors, costs::print),
        // As `cargo test --test vm` runs it: all that is not asked for by another name.
        [name, ..] if !name.starts_with('-') && !"vm".contains(name) => {}
        _ => with_machine(&[env!("CARGO_BIN_EXE_soloop-smithay")], all_steps),
    }
}

const NEEDED: [&str; 10] = [
    "qemu-system-x86_64",
    "seatd",
    "cpio",
    "busybox",
    "modprobe",
    "udevadm",
    "chvt",
    "foot",
    "dpkg-deb",
    "apt-get",
];

/// Boots a machine that has these compositors, and does something with each.
fn with_machine(compositors: &[&str], act: fn(&mut Seat<'_>)) {
    if let Some(missing) = NEEDED.into_iter().find(|program| !installed(program)) {
        println!("skipped: no machine without {missing}: ./setup installs it");
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm");
    let start = Instant::now();
    let guest = std::env::current_exe().unwrap();
    let daemon = daemon::build();
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/image");
    let mut image = Command::new(image);
    let made = image.arg(&directory).args([&guest, &daemon]).args(compositors).status().unwrap();
    assert!(made.success(), "there is no image");
    println!("image: {:.1} s", start.elapsed().as_secs_f64());

    let mut machine = Machine::boot(&directory);
    println!("boot: {:.1} s", start.elapsed().as_secs_f64());
    let name_of = |path: &Path| path.file_name().unwrap().display().to_string();
    let guest = format!("/opt/{}", name_of(&guest));
    for compositor in compositors {
        let name = name_of(Path::new(compositor));
        act(&mut Seat { machine: &mut machine, guest: guest.clone(), name });
    }
    println!("all of it: {:.1} s", start.elapsed().as_secs_f64());
}

type Step = (&'static str, fn(&mut Seat<'_>));
const STEPS: [Step; 17] = [
    ("first frame", steps::first_frame),
    ("typing", steps::typing),
    ("pointer", steps::pointer),
    ("keyboard comes and goes", steps::keyboard),
    ("fingers", steps::fingers),
    ("second screen", steps::second_screen),
    ("terminals", steps::terminals),
    ("flood", steps::flood),
    ("ended by a signal", steps::ended),
    ("nobody there", steps::idle),
    ("two on one terminal", faults::two_on_one_terminal),
    ("panic", faults::panics),
    ("paused in a modeset", faults::paused_in_a_modeset),
    ("busy card", faults::busy_card),
    ("card pulled out", faults::card_pulled_out),
    ("without a compositor", daemon::works),
    ("seatd killed", faults::seatd_killed),
];

fn all_steps(seat: &mut Seat<'_>) {
    for (step, act) in STEPS {
        let begin = Instant::now();
        act(seat);
        println!("{}: {step}: {:.1} s", seat.name, begin.elapsed().as_secs_f64());
    }
}
