//! soloop's example of a seat without a compositor (`examples/seat`), which is another workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::seat::Seat;

pub fn build() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = here.join("target/seat");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--manifest-path"])
        .arg(here.join("../seat/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .unwrap();
    assert!(built.success());
    target.join("debug/soloop-seat")
}

/// It hears keys, of a keyboard that is plugged in as well, goes to another terminal and comes back, and ends.
pub fn works(seat: &mut Seat<'_>) {
    seat.start_program("as-user /opt/soloop-seat");
    seat.says("session: Enable");
    seat.says("device added: QEMU Virtio Mouse");
    seat.says("device added: QEMU Virtio Keyboard");
    seat.machine.keys(&["a"]);
    seat.says("key 30 Released");
    seat.machine.plug_keyboard(true);
    seat.machine.run_until("grep -c 'device added: QEMU Virtio Keyboard' /tmp/log", "2");
    seat.machine.keys(&["b"]);
    seat.says("key 48 Released");
    seat.machine.plug_keyboard(false);
    seat.says("device removed: QEMU Virtio Keyboard");
    seat.machine.keys(&["f2"]);
    seat.says("session: Disable");
    let open = "ls -l /proc/$(pidof soloop-seat)/fd | grep -c /dev/input | grep -x 0";
    seat.machine.run_until(open, "0");
    seat.machine.run("chvt 1");
    // Keys that are pressed before the keyboard is opened anew are nobody's.
    let added = "grep -c 'device added: QEMU Virtio Keyboard' /tmp/log";
    seat.machine.run_until(added, "3");
    seat.machine.keys(&["esc"]);
    let log = seat.says("status ");
    assert!(log.contains("status 0"), "{log}");
    seat.assert_text();

    seat.start_program("as-user /opt/soloop-seat");
    seat.says("device added: QEMU Virtio Keyboard");
    seat.machine.keys(&["a"]);
    seat.says("key 30 Released");
    seat.machine.kill_seatd();
    let log = seat.says("status ");
    assert!(log.contains("the session has gone") && log.contains("status 1"), "{log}");
    seat.machine.start_seatd();
}
