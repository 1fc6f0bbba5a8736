//! What goes wrong on a seat.

use super::seat::Seat;
use super::steps::BACKGROUND;

pub fn two_on_one_terminal(seat: &mut Seat<'_>) {
    seat.start("");
    seat.says("control=");
    let second = format!("as-user /opt/{} --tty --serve --socket two; echo status $?", seat.name);
    let said = seat.machine.run(&second);
    assert!(said.contains("compositor: no seat") && said.contains("status 1"), "{said}");
    seat.ask_until("stats", "ok");
    let nobody = format!(
        "env -u XDG_RUNTIME_DIR /usr/bin/setpriv --reuid=65534 --clear-groups /opt/{} --tty --serve; echo status $?",
        seat.name
    );
    let said = seat.machine.run(&nobody);
    assert!(said.contains("compositor: no seat") && said.contains("status 1"), "{said}");
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
    seat.machine.kill_seatd();
    let log = seat.says("status ");
    assert!(log.contains("compositor: the seat is lost") && log.contains("status 1"), "{log}");
    let said = seat.machine.run(&format!("as-user /opt/{} --tty --serve", seat.name));
    assert!(said.contains("compositor: no seat"), "{said}");
    seat.machine.start_seatd();
}

/// The screens are as they should be afterwards, whichever comes first, and so are those that change meanwhile.
pub fn paused_in_a_modeset(seat: &mut Seat<'_>) {
    seat.start("");
    seat.says("control=");
    let away = |seat: &mut Seat<'_>, round: u32| {
        seat.machine.keys(&["ctrl", "alt", "f2"]);
        seat.machine.run_until("grep -c 'session paused' /tmp/log", &round.to_string());
    };
    let back = |seat: &mut Seat<'_>, round: u32| {
        seat.machine.run("chvt 1");
        seat.machine.run_until("grep -c 'session resumed' /tmp/log", &round.to_string());
    };
    let second = seat.name("7-second");
    for (round, (width, height)) in (1..).zip([(1024, 768), (800, 600), (1024, 768), (800, 600)]) {
        if round % 2 == 0 {
            away(seat, round);
            seat.machine.second_screen(width, height);
        } else {
            seat.machine.second_screen(width, height);
            away(seat, round);
        }
        back(seat, round);
        let width = usize::from(width);
        seat.machine.look_until(1, &second, |it| {
            it.width == width && it.count(BACKGROUND) > it.width * it.height * 9 / 10
        });
        seat.look_until("7-first", |it| it.count(BACKGROUND) > it.width * it.height / 2);
    }
    seat.machine.second_screen(0, 0);
    seat.says("screen removed: Virtual-2");
    seat.end();
    seat.assert_text();
}

/// Somebody has the card without the session's knowledge.
pub fn busy_card(seat: &mut Seat<'_>) {
    seat.machine.run("exec 9</dev/dri/card0");
    seat.start("");
    let log = seat.says("status ");
    let words =
        ["/dev/dri/card0 can't be used", "Permission denied", "another program", "status 1"];
    assert!(words.iter().all(|it| log.contains(it)), "{log}");
    seat.machine.run("exec 9<&-");
    seat.assert_text();
}

/// Clients stay, and a compositor that is started then says why it can't.
pub fn card_pulled_out(seat: &mut Seat<'_>) {
    seat.start("");
    seat.says("control=");
    seat.client("weston-simple-shm");
    seat.ask_until("windows", "1 windows");
    seat.shows_frames(3);
    let driver = "/sys/bus/virtio/drivers/virtio_gpu";
    seat.machine
        .run(&format!("cd {driver}; ls -d virtio* >/tmp/card; cat /tmp/card >unbind; cd /tmp"));
    seat.says("compositor: the graphics card is gone");
    seat.ask_until("windows", "1 windows");
    let log = seat.end();
    assert!(log.contains("status 0"), "{log}");
    seat.start("");
    let log = seat.says("status ");
    assert!(log.contains("no graphics card on seat0") && log.contains("status 1"), "{log}");
    seat.machine.run(&format!("cat /tmp/card >{driver}/bind"));
    seat.machine.run("udevadm settle");
    seat.start("");
    seat.look_until("8-again", |it| it.count(BACKGROUND) > it.width * it.height / 2);
    seat.end();
}
