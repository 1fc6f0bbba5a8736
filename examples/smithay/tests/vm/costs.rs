//! What a seat costs: system calls, as strace counts them, and processor time, without strace.

use std::thread::sleep;
use std::time::Duration;

use super::seat::Seat;

const KEYS: u64 = 100;
const FRAMES: u64 = 300;

/// Prints a line for each of these: a key that nobody is told of, and a frame that a client has drawn.
pub fn print(seat: &mut Seat<'_>) {
    seat.start("");
    seat.says("control=");
    seat.ask_until("windows", "0 windows");
    line(seat, "key", keys);
    seat.client("weston-simple-shm");
    seat.ask_until("windows", "1 windows");
    line(seat, "frame", frames);
    seat.end();
}

fn line(seat: &mut Seat<'_>, what: &str, act: fn(&mut Seat<'_>) -> u64) {
    let pid = seat.machine.run(&format!("pidof {}", seat.name));
    // The time in which each of the process's threads has run, in nanoseconds.
    let spent = format!("cat /proc/{pid}/task/*/schedstat | awk '{{ t += $1 }} END {{ print t }}'");
    let before: u64 = seat.machine.run(&spent).parse().unwrap();
    let count = act(seat);
    let after: u64 = seat.machine.run(&spent).parse().unwrap();
    let time = (after - before) as f64 / count as f64 / 1e3;

    seat.machine.run(&format!(
        "strace -f -c -U calls,name -o /tmp/calls -p {pid} 2>/dev/null & echo $! >/tmp/strace"
    ));
    seat.machine.run_until(&format!("grep -c 'TracerPid:.*[1-9]' /proc/{pid}/status"), "1");
    let count = act(seat);
    let table =
        seat.machine.run("kill -TERM $(cat /tmp/strace); wait $(cat /tmp/strace); cat /tmp/calls");
    let total = table.lines().find(|line| line.ends_with("total"));
    let total: f64 = total.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap();
    let calls = total / count as f64;
    println!("{:<8} {what:<6} {calls:6.1} calls {time:6.0} us", seat.name);
    if std::env::var_os("TABLE").is_some() {
        println!("{table}");
    }
}

/// Keys that come one by one, each to a wake-up of its own.
fn keys(seat: &mut Seat<'_>) -> u64 {
    seat.heard(KEYS, |machine| {
        for key in 0..KEYS {
            machine.hold(&["shift"], key % 2 == 0);
            // As long as it takes to start two programs there: the compositor has gone back to sleep.
            machine.run("/bin/true; /bin/true");
        }
    });
    KEYS
}

fn frames(seat: &mut Seat<'_>) -> u64 {
    let before = seat.number("screen Virtual-1:", "shown");
    loop {
        sleep(Duration::from_secs(1));
        let shown = seat.number("screen Virtual-1:", "shown") - before;
        if shown >= FRAMES {
            return shown;
        }
    }
}
