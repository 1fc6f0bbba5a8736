//! A client that animates a window, beside others that do harm, and says when it got its frames.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::Client;
use super::server::Compositor;

/// From frame to frame.
pub const PERIOD: Duration = Duration::from_nanos(16_666_667);
const GREEN: u32 = 0xff00ff00;
/// How many frames say something about when they come.
const LEAST: usize = 60;

/// A client that animates a window in a thread of its own, until it is asked how that went.
pub struct Witness {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Witness {
    pub fn start(compositor: &Compositor) -> Self {
        let mut client = Client::connect(compositor);
        let window = client.window("witness", (32, 32), GREEN);
        client.frames(&window, 5);
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut intervals = Vec::new();
            let mut last = Instant::now();
            while intervals.len() < LEAST || stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                client.frames(&window, 1);
                let now = Instant::now();
                intervals.push(now - last);
                last = now;
            }
            intervals
        });
        Self { stop, thread }
    }

    /// Prints how its frames came. None is to be late by a whole frame, but for one in ten, in which the
    /// machine may have had something else to do.
    pub fn end(self, what: &str) {
        assert!(self.measured(what) < 2 * PERIOD, "frames are late: {what}");
    }

    /// Prints how its frames came.
    pub fn report(self, what: &str) {
        self.measured(what);
    }

    /// From one frame to the next, for nine in ten.
    fn measured(self, what: &str) -> Duration {
        self.stop.send(()).unwrap();
        let mut intervals = self.thread.join().unwrap();
        intervals.sort();
        let at = |share: usize| intervals[(intervals.len() - 1) * share / 100];
        println!(
            "{what}: {} frames, from one to the next {:.2?} (median), {:.2?} (90 of 100), {:.2?} (all)",
            intervals.len(),
            at(50),
            at(90),
            at(100)
        );
        at(90)
    }
}
