//! What is observed of a program: the loop and its model have to write the same.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::panicking;

/// What the loop does is noted from the state, and from what it drops.
#[derive(Clone, Default)]
pub struct Log {
    entries: Arc<Mutex<Vec<Entry>>>,
    polls: Arc<AtomicU32>,
}

impl Log {
    pub fn push(&self, entry: Entry) {
        let mut entries = self.lock();
        assert!(entries.len() < 100_000 || panicking(), "the program does not end: {entry:?}");
        entries.push(entry);
    }

    /// What was noted since the last time.
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut self.lock())
    }

    /// Notes that a future was polled, or an event came that a future waits for, which calls nobody back.
    pub fn polled(&self) {
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was since the last time.
    pub fn take_polls(&self) -> u32 {
        self.polls.swap(0, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// An op answered.
    Did(&'static str, bool),
    /// A source that may find nothing to call back for was asked to process an event.
    Asked(usize),
    Called(usize, Data),
    /// The callback of a source was dropped, the future of a task.
    Dropped(usize),
    Ran(&'static str),
    Visited(usize),
    Inspected(View),
    /// How many sources a scope has.
    Members(usize),
    Taken(usize),
    Dispatched(Outcome),
    /// The time in milliseconds.
    Now(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Data {
    /// How many bytes were read, and whether the other end is closed.
    Fd(usize, bool),
    /// The deadline in milliseconds.
    Timer(i64),
    /// The same, and how many were missed.
    Tick(i64, u64),
    Ping,
    Msg(u32),
    Closed,
    Bell,
    /// Which of the two.
    Signal(usize),
    /// The exit code.
    Ended(i32),
    Fired,
    Task,
    /// What the other task came to.
    Joined(Option<u32>),
    /// Whether the event came that it waited for.
    Heard(bool),
}

/// What a closure sees of the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View {
    /// How many sources there are.
    pub sources: usize,
    pub rounds: u64,
    /// One of them: whether it is enabled, and its rank, 0 being the first to run.
    pub source: Option<(bool, usize)>,
    /// Whether the handle says that it is there.
    pub live: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Fine,
    /// The error of this source.
    Failed(usize),
    Panicked,
}
