//! What the tests of the loop share: a state that keeps a log.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use soloop::{AnyToken, Clock, EventLoop, LoopData, LoopHandle};

/// Long enough for a loaded machine; a test that waits this long has failed.
pub const LONG: Duration = Duration::from_secs(30);
/// mio's poll(2) backend, which has neither edges nor refusals of its own.
pub const POLL_BACKEND: bool = cfg!(mio_unsupported_force_poll_poll);
/// Whether mio's tokens have room for the loop's keys.
pub const MIO_SOURCES: bool = cfg!(target_pointer_width = "64");
pub const ZERO: Duration = Duration::ZERO;

pub struct State {
    pub handle: LoopHandle<State>,
    pub log: Vec<String>,
    /// Sources that callbacks do something to.
    pub tokens: Vec<AnyToken>,
}

impl State {
    pub fn note(&mut self, what: impl ToString) {
        self.log.push(what.to_string());
    }

    /// What was noted since the last time.
    pub fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// A loop whose rounds have all the time that they need: however busy the machine is, one dispatch delivers what is there.
pub fn new_loop() -> (EventLoop<State>, State) {
    let (mut event_loop, state) = default_loop();
    event_loop.set_round_time(Duration::from_secs(3600));
    (event_loop, state)
}

/// A loop as it comes, with 10 ms a round.
pub fn default_loop() -> (EventLoop<State>, State) {
    with_clock(Clock::system())
}

pub fn manual_loop() -> (EventLoop<State>, State, Clock) {
    let clock = Clock::manual();
    let (event_loop, state) = with_clock(clock.clone());
    (event_loop, state, clock)
}

fn with_clock(clock: Clock) -> (EventLoop<State>, State) {
    let (event_loop, handle) = EventLoop::with_clock(clock).unwrap();
    (event_loop, State { handle, log: Vec::new(), tokens: Vec::new() })
}

/// What takes a while on the real clock.
pub fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

/// Whether `fd` becomes readable within `timeout`.
pub fn readable_within(fd: impl AsFd, timeout: Duration) -> bool {
    let timeout = rustix::time::Timespec::try_from(timeout).unwrap();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&timeout)).unwrap() == 1
}

/// Waits until nobody has the other end of `fd` open any more. A program that another thread of the tests starts has a copy
/// of each file until its `exec`, so what is dropped here is not closed at once.
pub fn wait_for_hang_up(fd: impl AsFd) {
    let timeout = rustix::time::Timespec::try_from(LONG).unwrap();
    let mut fds = [PollFd::new(&fd, PollFlags::empty())];
    assert_eq!(poll(&mut fds, Some(&timeout)).unwrap(), 1, "the other end stays open");
    assert!(fds[0].revents().contains(PollFlags::HUP), "{:?}", fds[0].revents());
}

/// Whether `fd` is readable now.
pub fn is_readable(fd: impl AsFd) -> bool {
    readable_within(fd, ZERO)
}

/// How many fds this process has open.
pub fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Runs `body` in a process of its own: this test program once more, with this test alone. `name` is a part
/// of the test's name that no other test of the program has.
pub fn in_child(name: &str, body: impl FnOnce()) {
    if std::env::var_os("SOLOOP_TEST_CHILD").is_some() {
        return body();
    }
    let output = run_child(name);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{name}: {text}{errors}");
}

/// This test program once more, with the test `name` alone.
pub fn run_child(name: &str) -> std::process::Output {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--nocapture", "--test-threads=1"])
        .env("SOLOOP_TEST_CHILD", name)
        .output()
        .unwrap()
}
