//! No loop: only the memory operations and system calls that soloop's rules ask of any loop that keeps them, done as
//! directly as safe Rust does them, with what soloop is built on. It is no peer to beat but shows about
//! what these workloads take at least.
//!
//! The rules: a token is a generational key, which outlives its source; so is that of an interest (a deadline, an fd), of
//! which a source may have any number and which it gets when it registers (here it has one, in its row, under its key). A
//! source lies in one box with its callback and what that captures, out of reach of the callback that runs: in a table of
//! its own, so that what is asked for is queued and applied in order afterwards. It knows its deadline and its interest,
//! since a token gives it back. An insertion registers at once. Timers fire in the order of their deadlines. A turn asks
//! the kernel, so that idles that queue idles don't starve fds.
//!
//! There are no other kinds of sources, no type erasure but that of callbacks, no errors, rollback, priorities, budgets or
//! hooks, nothing that outlives a panic, and nothing is ever woken.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use slotmap::{Key, SecondaryMap, SlotMap, new_key_type};

use super::{Bulk, Measured, Meter, Peer};
use crate::alloc;

pub struct Floor;

#[derive(Default)]
struct State {
    sum: u64,
    count: u64,
}

new_key_type! {
    struct SourceKey;
}

/// What callbacks may ask about a source.
#[derive(Clone, Copy)]
struct Known {
    removed: bool,
    /// Of its deadline among the others.
    place: u32,
}

enum Op<S: ?Sized> {
    Insert(SourceKey, Box<S>),
    Remove(SourceKey),
}

/// What is known of sources, the sources, and what is to be done to them.
struct Table<S: ?Sized> {
    known: SlotMap<SourceKey, Known>,
    sources: SecondaryMap<SourceKey, Box<S>>,
    ops: VecDeque<Op<S>>,
}

impl<S: ?Sized> Table<S> {
    fn new() -> Self {
        let known = SlotMap::with_key();
        Self { known, sources: SecondaryMap::new(), ops: VecDeque::new() }
    }

    fn add(&mut self, place: usize) -> SourceKey {
        self.known.insert(Known { removed: false, place: place as u32 })
    }

    /// Whether it was there.
    fn remove(&mut self, key: SourceKey) -> bool {
        let live = self.known.get(key).is_some_and(|known| !known.removed);
        if live {
            self.known[key].removed = true;
            self.ops.push_back(Op::Remove(key));
        }
        live
    }

    /// `leave` is given each source that is removed, what was known of it, and the rows.
    fn apply(&mut self, mut leave: impl FnMut(&mut S, Known, &mut SlotMap<SourceKey, Known>)) {
        while let Some(op) = self.ops.pop_front() {
            match op {
                Op::Insert(key, source) => drop(self.sources.insert(key, source)),
                Op::Remove(key) => {
                    if let Some(known) = self.known.remove(key)
                        && let Some(mut source) = self.sources.remove(key)
                    {
                        leave(&mut source, known, &mut self.known);
                    }
                }
            }
        }
    }
}

/// A timer with its callback.
struct Timer<F: ?Sized> {
    deadline: i64,
    #[allow(dead_code, reason = "nothing else is ever ready")]
    interest: SourceKey,
    callback: F,
}

type AnyTimer = Timer<dyn FnMut(&mut State)>;

/// The deadlines have no order until they are due; a row knows its place among them.
struct Timers {
    epoch: Instant,
    table: Table<AnyTimer>,
    deadlines: Vec<(i64, SourceKey)>,
    /// No deadline is before this.
    nearest: i64,
    /// The timer that was moved last, and to when: it is told of it by the next ops.
    moved: Option<(SourceKey, i64)>,
}

fn nanos(epoch: Instant, deadline: Instant) -> i64 {
    deadline.saturating_duration_since(epoch).as_nanos() as i64
}

impl Timers {
    fn new() -> Self {
        Self {
            epoch: Instant::now(),
            table: Table::new(),
            deadlines: Vec::new(),
            nearest: i64::MAX,
            moved: None,
        }
    }

    fn insert(&mut self, n: usize, deadline: Instant) -> SourceKey {
        let at = nanos(self.epoch, deadline);
        let key = self.table.add(self.deadlines.len());
        self.deadlines.push((at, key));
        self.nearest = self.nearest.min(at);
        let callback = move |state: &mut State| {
            state.sum += n as u64;
            state.count += 1;
        };
        let timer = Box::new(Timer { deadline: at, interest: key, callback });
        self.table.ops.push_back(Op::Insert(key, timer));
        key
    }

    fn insert_all(&mut self, deadlines: &[Instant]) {
        for (n, &deadline) in deadlines.iter().enumerate() {
            self.insert(n, deadline);
        }
    }

    fn apply(&mut self) {
        let Self { table, deadlines, moved, .. } = self;
        if let Some((key, at)) = moved.take()
            && let Some(timer) = table.sources.get_mut(key)
        {
            timer.deadline = at;
        }
        table.apply(|_, known, rows| {
            let place = known.place as usize;
            deadlines.swap_remove(place);
            if let Some(&(_, moved)) = deadlines.get(place) {
                rows[moved].place = place as u32;
            }
        });
    }

    /// Moves a deadline at once: its timer, which is stored, is told of the last. Whether it is there.
    fn rearm(&mut self, key: SourceKey, deadline: Instant) -> bool {
        let at = nanos(self.epoch, deadline);
        let place = self.table.known.get(key).map(|known| known.place as usize);
        match place.and_then(|place| self.deadlines.get_mut(place)) {
            Some(entry) => entry.0 = at,
            None => return false,
        }
        self.nearest = self.nearest.min(at);
        self.moved = Some((key, at));
        true
    }

    /// All of them are due.
    fn fire(&mut self, state: &mut State) {
        let due = in_order(std::mem::take(&mut self.deadlines));
        for batch in due.chunks(16) {
            self.read(batch);
            for &(_, key) in batch {
                if self.table.known.contains_key(key)
                    && let Some(mut timer) = self.table.sources.remove(key)
                {
                    (timer.callback)(state);
                    self.table.known.remove(key);
                }
            }
        }
    }

    /// Reads ahead of what is due, so that the processor waits for all of it together.
    fn read(&self, batch: &[(i64, SourceKey)]) {
        let mut timers = [None; 16];
        for (timer, &(_, key)) in timers.iter_mut().zip(batch) {
            black_box(self.table.known.contains_key(key));
            *timer = self.table.sources.get(key);
        }
        for timer in timers.into_iter().flatten() {
            black_box(timer.deadline);
        }
    }
}

/// By deadline, equals as they were: each goes to its bucket, a stretch of time, and each bucket is sorted.
fn in_order(due: Vec<(i64, SourceKey)>) -> Vec<(i64, SourceKey)> {
    let earliest = due.iter().map(|due| due.0).min().unwrap_or(0);
    let latest = due.iter().map(|due| due.0).max().unwrap_or(0);
    let span = latest.abs_diff(earliest);
    let bits = (due.len() / 4).max(1).ilog2() + 1;
    let shift = (u64::BITS - span.leading_zeros()).saturating_sub(bits);
    let bucket = |due: &(i64, SourceKey)| (due.0.abs_diff(earliest) >> shift) as usize;
    let mut buckets = vec![0_u32; (span >> shift) as usize + 2];
    for due in &due {
        buckets[bucket(due)] += 1;
    }
    let mut end = 0;
    for bucket in &mut buckets {
        end += *bucket;
        *bucket = end;
    }
    let mut sorted = due.clone();
    for due in due.iter().rev() {
        let place = &mut buckets[bucket(due)];
        *place -= 1;
        sorted[*place as usize] = *due;
    }
    for bounds in buckets.windows(2) {
        sorted[bounds[0] as usize..bounds[1] as usize].sort_by_key(|due| due.0);
    }
    sorted
}

/// An fd with its callback.
struct Watch<F: ?Sized> {
    fd: Arc<OwnedFd>,
    #[allow(dead_code, reason = "nothing is ever ready")]
    interest: SourceKey,
    #[allow(dead_code, reason = "nothing is ever ready")]
    callback: F,
}

type AnyWatch = Watch<dyn FnMut(&mut State, u64)>;

struct Watches {
    epoll: OwnedFd,
    table: Table<AnyWatch>,
}

impl Watches {
    fn new() -> Self {
        let epoll = epoll::create(CreateFlags::CLOEXEC).expect("epoll_create1");
        Self { epoll, table: Table::new() }
    }

    #[inline(always)]
    fn insert(&mut self, fd: Arc<OwnedFd>) -> SourceKey {
        let key = self.table.add(0);
        let data = EventData::new_u64(key.data().as_ffi());
        epoll::add(&self.epoll, &fd, data, EventFlags::IN).expect("epoll_ctl");
        let callback = |state: &mut State, value| state.sum += value;
        let watch = Box::new(Watch { fd, interest: key, callback });
        self.table.ops.push_back(Op::Insert(key, watch));
        key
    }

    #[inline(always)]
    fn apply(&mut self) {
        self.table.apply(|watch, _, _| {
            epoll::delete(&self.epoll, &watch.fd).expect("epoll_ctl");
        });
    }
}

/// Asks without waiting; nothing is ready.
fn ask(epoll: &OwnedFd, events: &mut Vec<epoll::Event>) {
    let zero = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    let room = rustix::buffer::spare_capacity(events);
    epoll::wait(epoll, room, Some(&zero)).expect("epoll_wait");
}

impl Peer for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn timers(&self, deadlines: &[Instant]) -> Option<Bulk> {
        let mut timers = Timers::new();
        let mut tokens = Vec::with_capacity(deadlines.len());
        let live = alloc::live();
        let meter = Meter::start();
        for (n, &deadline) in deadlines.iter().enumerate() {
            tokens.push(timers.insert(n, deadline));
        }
        timers.apply();
        timers.table.ops = VecDeque::new();
        let insert = meter.stop(0).elapsed;
        let bytes = alloc::live().wrapping_sub(live);
        let meter = Meter::start();
        let mut sum = 0;
        for token in tokens {
            sum += u64::from(timers.table.remove(token));
        }
        timers.apply();
        let remove = meter.stop(0).elapsed;
        assert!(timers.table.sources.is_empty() && timers.deadlines.is_empty());
        Some(Bulk { insert, remove, bytes, sum })
    }

    fn fire(&self, batches: &[Vec<Instant>]) -> Option<Measured> {
        let mut timers = Timers::new();
        let fire = |deadlines: &Vec<Instant>| {
            let mut state = State::default();
            timers.insert_all(deadlines);
            timers.apply();
            super::sleep_past(deadlines);
            let meter = Meter::start();
            timers.fire(&mut state);
            assert_eq!(state.count, deadlines.len() as u64);
            meter.stop(state.sum)
        };
        batches.iter().map(fire).last()
    }

    fn rearm(&self, others: usize, times: usize) -> Option<Measured> {
        let mut timers = Timers::new();
        let far = super::far_deadlines();
        let deadlines: Vec<_> = far.iter().copied().cycle().take(others).collect();
        timers.insert_all(&deadlines);
        let token = timers.insert(others, far[0]);
        timers.apply();
        let meter = Meter::start();
        let mut sum = 0;
        for &deadline in far.iter().cycle().take(times) {
            sum += u64::from(black_box(&mut timers).rearm(token, deadline));
        }
        timers.apply();
        Some(meter.stop(sum))
    }

    fn idle_chain(&self, length: usize) -> Option<Measured> {
        type Once = Box<dyn FnOnce(&mut Idle)>;
        struct Idle {
            sum: u64,
            queue: VecDeque<Once>,
        }
        fn next(state: &mut Idle) {
            state.sum += 1;
            state.queue.push_back(Box::new(next));
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC).expect("epoll_create1");
        let mut events = Vec::with_capacity(16);
        let mut state = Idle { sum: 0, queue: VecDeque::new() };
        state.queue.push_back(Box::new(next));
        let meter = Meter::start();
        while state.sum < length as u64
            && let Some(idle) = state.queue.pop_front()
        {
            ask(&epoll, &mut events);
            idle(&mut state);
        }
        Some(meter.stop(state.sum))
    }

    fn fd_churn(&self, others: usize, times: usize) -> Option<Measured> {
        let mut watches = Watches::new();
        for _ in 0..others {
            watches.insert(Arc::new(super::eventfd()));
        }
        watches.apply();
        let fd = Arc::new(super::eventfd());
        let meter = Meter::start();
        let mut sum = 0;
        for _ in 0..times {
            let key = watches.insert(Arc::clone(&fd));
            sum += u64::from(watches.table.remove(key));
            watches.apply();
        }
        Some(meter.stop(sum))
    }
}
