//! What goes wrong on a seat.

use super::seat::Seat;

pub fn two_on_one_terminal(seat: &mut Seat<'_>) {
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

pub fn panics(seat: &mut Seat<'_>) {
    seat.ask("panic");
    let log = seat.says("status ");
    assert!(log.contains("as asked") && log.contains("status 101"), "{log}");
    seat.assert_text();
}

pub fn seatd_killed(seat: &mut Seat<'_>) {
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
