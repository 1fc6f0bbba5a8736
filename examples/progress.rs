//! A job in a thread that reports its progress to the loop, and can be cancelled from there.
//!
//! ```text
//! cargo run --example progress
//! ```
//!
//! The first job counts primes to the end; the second is cancelled half-way by the callback that hears of its
//! progress. The job's last word is its result; should it panic, its channel closes without one.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use soloop::{EventLoop, LoopData, LoopHandle, Sender, channel};

struct State {
    handle: LoopHandle<Self>,
    job: Option<Job>,
    /// What became of the jobs so far.
    outcomes: Vec<Outcome>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

struct Job {
    thread: JoinHandle<()>,
    cancelled: Arc<AtomicBool>,
    /// The callback gives it up at this percentage.
    patience: u32,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Outcome {
    Primes(u32),
    Cancelled,
    Panicked,
}

enum Report {
    Percent(u32),
    Ended(Outcome),
}

/// The job: it knows nothing of the loop but the two ends it was given.
fn count_primes(limit: u32, cancelled: &AtomicBool, reports: &Sender<Report>) -> Outcome {
    let is_prime = |n: u32| (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    let mut found = 0;
    for percent in 0..100 {
        if cancelled.load(Ordering::Relaxed) {
            return Outcome::Cancelled;
        }
        let part = limit / 100 * percent..limit / 100 * (percent + 1);
        found += part.filter(|n| *n > 1 && is_prime(*n)).count() as u32;
        if reports.send(Report::Percent(percent + 1)).is_err() {
            return Outcome::Cancelled; // the loop is gone, and nobody waits
        }
    }
    Outcome::Primes(found)
}

impl State {
    fn start(&mut self, limit: u32, patience: u32) -> soloop::Result<()> {
        let (sender, reports) = soloop::channel();
        self.handle.insert_source(reports, |event, state| match event {
            channel::Event::Msg(report) => {
                if state.heard(report).is_break() {
                    println!();
                }
            }
            channel::Event::Closed => state.ended(),
        })?;
        let cancelled = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancelled);
        let thread = std::thread::spawn(move || {
            let outcome = count_primes(limit, &flag, &sender);
            let _ = sender.send(Report::Ended(outcome)); // nobody to tell if the loop is gone
        });
        self.job = Some(Job { thread, cancelled, patience, outcome: None });
        Ok(())
    }

    fn heard(&mut self, report: Report) -> ControlFlow<()> {
        let Some(job) = &mut self.job else { return ControlFlow::Break(()) };
        match report {
            Report::Percent(percent) => {
                if percent >= job.patience {
                    job.cancelled.store(true, Ordering::Relaxed);
                }
                let bar = "#".repeat(percent as usize / 4);
                print!("\r[{bar:25}] {percent:3} %");
                let _ = std::io::stdout().flush(); // a progress bar that can't be shown is no loss
                ControlFlow::Continue(())
            }
            Report::Ended(outcome) => {
                job.outcome = Some(outcome);
                ControlFlow::Break(())
            }
        }
    }

    /// All of the job's reports were delivered, and its end of the channel is gone.
    fn ended(&mut self) {
        let Some(job) = self.job.take() else { return };
        let ended = job.thread.join();
        let outcome = job.outcome.filter(|_| ended.is_ok()).unwrap_or(Outcome::Panicked);
        println!("{outcome:?}");
        self.outcomes.push(outcome);
        let next = if self.outcomes.len() == 1 { self.start(50_000_000, 10) } else { Ok(()) };
        if self.job.is_none() || next.is_err() {
            self.handle.stop();
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, job: None, outcomes: Vec::new() };
    state.start(100_000, u32::MAX)?;
    event_loop.run(None, &mut state, |_| ())?;
    assert_eq!(state.outcomes, [Outcome::Primes(9592), Outcome::Cancelled]);
    Ok(())
}
