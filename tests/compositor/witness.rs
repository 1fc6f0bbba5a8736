//! A client that animates a window, beside others that do harm: it gets its frames all the same. What is asserted are
//! counts, not times: on a machine that is slow, or has something else to do, less harm is done from one frame to the
//! next. The times are printed.

use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::Client;
use super::server::{Compositor, PATIENCE};

/// From frame to frame.
pub const PERIOD: Duration = Duration::from_nanos(16_666_667);
const GREEN: u32 = 0xff00ff00;
/// How many frames there are beside harm.
const FRAMES: usize = 60;
/// How many there are when it is over: that they come is all there is to see.
const AFTER: usize = 10;

/// A client that animates a window in a thread of its own, until it is asked how that went.
pub struct Witness {
    /// How long each frame came after the one before.
    frames: Receiver<Duration>,
    intervals: Vec<Duration>,
    thread: JoinHandle<()>,
}

impl Witness {
    pub fn start(compositor: &Compositor) -> Self {
        let mut client = Client::connect(compositor);
        let window = client.window("witness", (32, 32), GREEN);
        client.frames(&window, 5);
        let (sender, frames) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut last = Instant::now();
            loop {
                client.frames(&window, 1);
                let now = Instant::now();
                if sender.send(now - last).is_err() {
                    break;
                }
                last = now;
            }
        });
        Self { frames, intervals: Vec::new(), thread }
    }

    /// How many frames it has had so far.
    fn frames(&mut self) -> usize {
        self.intervals.extend(self.frames.try_iter());
        self.intervals.len()
    }

    /// Counts steps of harm. No more than `most` go with a frame: a compositor that does the harm first makes more.
    pub fn beside(&mut self, most: usize) -> Harm<'_> {
        let first = self.frames();
        Harm { witness: self, first, seen: first, since: 0, most, steps: 0 }
    }

    /// Waits until it has had its frames beside harm that lasts.
    pub fn gets_frames(&mut self) {
        self.wait_for(FRAMES);
    }

    fn wait_for(&mut self, frames: usize) {
        for _ in 0..frames {
            self.intervals.push(self.frames.recv_timeout(PATIENCE).expect("a frame"));
        }
    }

    /// It goes on to get its frames. Prints how they came.
    pub fn end(mut self, what: &str) {
        self.wait_for(AFTER);
        drop(self.frames);
        self.thread.join().unwrap();
        self.intervals.sort();
        let at = |share: usize| self.intervals[(self.intervals.len() - 1) * share / 100];
        println!(
            "{what}: {} frames, from one to the next {:.2?} (median), {:.2?} (90 of 100), {:.2?} (all)",
            self.intervals.len(),
            at(50),
            at(90),
            at(100)
        );
    }
}

/// Harm that is done step by step, beside a witness.
pub struct Harm<'a> {
    witness: &'a mut Witness,
    first: usize,
    /// How many frames it had had when it was last looked, and how many steps there were since.
    seen: usize,
    since: usize,
    most: usize,
    pub steps: usize,
}

impl Harm<'_> {
    /// Another step. Whether the witness has not yet had its frames.
    pub fn goes_on(&mut self) -> bool {
        let frames = self.witness.frames();
        if std::mem::replace(&mut self.seen, frames) < frames {
            self.since = 0;
        }
        assert!(self.since < self.most, "{} steps of harm without a frame", self.since);
        self.since += 1;
        self.steps += 1;
        frames < self.first + FRAMES
    }
}

/// The time that the first thread of a compositor has computed for, when it sleeps next: of what it computes now the
/// kernel takes note later.
pub fn computed_by(compositor: &Compositor) -> Duration {
    let deadline = Instant::now() + PATIENCE;
    let stat = format!("/proc/{}/stat", compositor.child.id());
    // As proc(5) has it: the state follows the name in parentheses.
    while !std::fs::read_to_string(&stat).unwrap().contains(") S ") {
        assert!(Instant::now() < deadline, "it never sleeps");
        std::thread::yield_now();
    }
    computed(&format!("/proc/{}/schedstat", compositor.child.id()))
}

/// The time that a thread has computed for: what else the machine has to do does not matter.
pub fn computed(schedstat: &str) -> Duration {
    let schedstat = std::fs::read_to_string(schedstat).unwrap();
    Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
}
