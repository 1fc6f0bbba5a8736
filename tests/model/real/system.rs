//! What the kernel is asked for: signals, processes, time. Each of these has happened when it returns, so that what the
//! next wait finds does not depend on when it comes.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, SystemTime};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use soloop::WallTimer;

/// Those that do nothing to a process that does not listen.
pub const SIGNALS: [i32; 2] = [signal_hook::consts::SIGURG, signal_hook::consts::SIGWINCH];

pub const YEAR: Duration = Duration::from_secs(365 * 86400);

/// The signals that are marked.
pub fn numbers(marked: [bool; 2]) -> impl Iterator<Item = i32> {
    SIGNALS.into_iter().zip(marked).filter_map(|(number, marked)| marked.then_some(number))
}

/// Has this thread run the handlers.
pub fn raise(marked: [bool; 2]) {
    numbers(marked).for_each(|number| signal_hook::low_level::raise(number).unwrap());
}

/// A child process, and what it waits for.
pub struct Leash {
    input: Option<ChildStdin>,
    pidfd: OwnedFd,
}

impl Leash {
    /// Starts a child that ends with the code it is told. It runs its program when this returns: until then it shares
    /// every fd of this process, also those that are closed here.
    pub fn spawn() -> (Child, Self) {
        let mut child = Command::new("sh")
            .args(["-c", "echo; read code; exit $code"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let started = child.stdout.take().unwrap().read(&mut [0]);
        assert_eq!(started.unwrap(), 1);
        let input = child.stdin.take();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        (child, Self { input, pidfd })
    }

    /// Has the child end; whether it had not before. Without a code its last command failed.
    pub fn end(&mut self, code: Option<i32>) -> bool {
        let Some(mut input) = self.input.take() else { return false };
        if let Some(code) = code {
            writeln!(input, "{code}").unwrap();
        }
        drop(input);
        self.wait(WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        true
    }

    /// Nothing happens if the child was waited for before.
    fn wait(&self, how: WaitIdOptions) {
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), how);
    }
}

/// A source that is removed leaves its child alone.
impl Drop for Leash {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        self.wait(WaitIdOptions::EXITED);
    }
}

/// What a kind says of a timer on the wall's clock: whether it is due, and whether its clock is that of the day.
fn which(n: u8) -> (bool, bool) {
    (n & 1 == 0, n & 2 == 0)
}

pub fn wall_timer(n: u8) -> WallTimer {
    let (due, of_day) = which(n);
    let after = if due { Duration::ZERO } else { YEAR };
    let timer = match (of_day, due) {
        (true, true) => WallTimer::new(SystemTime::UNIX_EPOCH),
        (true, false) => WallTimer::new(SystemTime::now() + after),
        (false, _) => WallTimer::after(after),
    };
    wait_for_expiry();
    timer.unwrap()
}

/// Moves a timer to where the kind says.
pub fn set_wall_timer(timer: &mut WallTimer, n: u8) {
    let (due, of_day) = which(n);
    let after = if due { Duration::ZERO } else { YEAR };
    if of_day {
        timer.set_time(SystemTime::now() + after).unwrap();
    } else {
        timer.set_duration(after).unwrap();
    }
    wait_for_expiry();
}

/// Returns when the timers that are due have expired: they do in an interrupt, which does not leave out any of them, a
/// moment after they are set.
pub fn wait_for_expiry() {
    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC).unwrap();
    let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
    let new = Itimerspec { it_interval, it_value: Timespec { tv_sec: 0, tv_nsec: 1 } };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &new).unwrap();
    rustix::io::read(&timer, &mut [0; 8]).unwrap();
}
