//! The Mandelbrot set, computed by a thread of its own.
//!
//! The thread takes jobs from a channel of the standard library and answers on one of the loop's. A job that has
//! been overtaken by a newer one is given up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use soloop::{Channel, Sender};

/// What a pixel in the set has in place of a count.
pub const INSIDE: u8 = u8::MAX;
const MOST: u32 = 400;

/// The part of the plane to look at: its middle, and how wide it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct View {
    pub x: f64,
    pub y: f64,
    pub width: f64,
}

struct Job {
    number: u64,
    view: View,
    size: (i32, i32),
}

/// For each pixel, row by row, how soon it leaves.
pub struct Counts {
    pub size: (i32, i32),
    pub counts: Vec<u8>,
    pub took: Duration,
}

/// The thread, as long as this is there.
pub struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    /// The number of the last job.
    newest: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread.
pub fn start() -> io::Result<(Worker, Channel<Counts>)> {
    let (jobs, inbox) = mpsc::channel();
    let (answers, pictures) = soloop::channel();
    let newest = Arc::new(AtomicU64::new(0));
    let current = Arc::clone(&newest);
    let thread = thread::Builder::new()
        .name("fractal".into())
        .spawn(move || work(&inbox, &answers, &current))?;
    Ok((Worker { jobs: Some(jobs), newest, thread: Some(thread) }, pictures))
}

impl Worker {
    /// Has a picture computed, in place of whatever is being computed.
    pub fn look(&self, view: View, size: (i32, i32)) {
        let number = self.newest.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(jobs) = &self.jobs {
            // If the thread has ended, its channel says so.
            let _ = jobs.send(Job { number, view, size });
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.newest.fetch_add(1, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // If it has panicked, it has said so on standard error.
            let _ = thread.join();
        }
    }
}

fn work(inbox: &mpsc::Receiver<Job>, answers: &Sender<Counts>, newest: &AtomicU64) {
    for job in inbox {
        let started = Instant::now();
        let overtaken = || newest.load(Ordering::Relaxed) != job.number;
        let Some(counts) = compute(job.view, job.size, overtaken) else { continue };
        if answers.send(Counts { size: job.size, counts, took: started.elapsed() }).is_err() {
            return;
        }
    }
}

fn compute(view: View, size: (i32, i32), overtaken: impl Fn() -> bool) -> Option<Vec<u8>> {
    let (width, height) = size;
    let step = view.width / f64::from(width);
    let mut counts = Vec::with_capacity(width as usize * height as usize);
    for row in 0..height {
        if overtaken() {
            return None;
        }
        let y = view.y + step * (f64::from(row) - f64::from(height) / 2.0);
        counts.extend(
            (0..width).map(|column| {
                count(view.x + step * (f64::from(column) - f64::from(width) / 2.0), y)
            }),
        );
    }
    Some(counts)
}

fn count(x: f64, y: f64) -> u8 {
    let (mut re, mut im) = (0.0, 0.0);
    for turn in 0..MOST {
        let (re2, im2) = (re * re, im * im);
        if re2 + im2 > 4.0 {
            return (turn % u32::from(INSIDE)) as u8;
        }
        (re, im) = (re2 - im2 + x, 2.0 * re * im + y);
    }
    INSIDE
}
