//! No loop: only the memory operations and system calls that soloop's rules ask of any loop that keeps them, done as
//! directly as safe Rust does them, with what soloop is built on. It is no peer to beat but a lower bound.
//!
//! The rules: a token is a generational key, which outlives its source. A callback is boxed with what it captures, and
//! lies out of reach of the one that runs: in a table of its own, so that what is asked for is queued and applied in
//! order afterwards. An insertion registers at once. Timers fire in the order of their deadlines. A turn asks the
//! kernel, so that idles that queue idles don't starve fds.
//!
//! There are no other kinds of sources, no errors, priorities, budgets or hooks, nothing that outlives a panic, and
//! nothing is ever woken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use slotmap::{DefaultKey, Key, SecondaryMap, SlotMap};

use super::{Bulk, Measured, Meter, Peer};
use crate::alloc;

pub struct Floor;

#[derive(Default)]
struct State {
    sum: u64,
    count: u64,
}

enum Op<C> {
    Insert(DefaultKey, C),
    Remove(DefaultKey),
    Rearm(DefaultKey, i64),
}

/// Timers by their keys, each with its place among the deadlines, which have no order until they are due.
struct Timers {
    epoch: Instant,
    places: SlotMap<DefaultKey, u32>,
    deadlines: Vec<(i64, DefaultKey)>,
    nearest: i64,
    callbacks: SecondaryMap<DefaultKey, Callback>,
    ops: VecDeque<Op<Callback>>,
}

type Callback = Box<dyn FnMut(&mut State)>;

impl Timers {
    fn new() -> Self {
        Self {
            epoch: Instant::now(),
            places: SlotMap::new(),
            deadlines: Vec::new(),
            nearest: i64::MAX,
            callbacks: SecondaryMap::new(),
            ops: VecDeque::new(),
        }
    }

    fn nanos(&self, deadline: Instant) -> i64 {
        deadline.saturating_duration_since(self.epoch).as_nanos() as i64
    }

    fn insert(&mut self, n: usize, deadline: Instant) -> DefaultKey {
        let at = self.nanos(deadline);
        let key = self.places.insert(self.deadlines.len() as u32);
        self.deadlines.push((at, key));
        self.nearest = self.nearest.min(at);
        let callback = move |state: &mut State| {
            state.sum += n as u64;
            state.count += 1;
        };
        self.ops.push_back(Op::Insert(key, Box::new(callback)));
        key
    }

    fn insert_all(&mut self, deadlines: &[Instant]) {
        for (n, &deadline) in deadlines.iter().enumerate() {
            self.insert(n, deadline);
        }
    }

    fn apply(&mut self) {
        while let Some(op) = self.ops.pop_front() {
            match op {
                Op::Insert(key, callback) => drop(self.callbacks.insert(key, callback)),
                Op::Remove(key) => {
                    if let Some(place) = self.places.remove(key) {
                        self.deadlines.swap_remove(place as usize);
                        if let Some(&(_, moved)) = self.deadlines.get(place as usize) {
                            self.places[moved] = place;
                        }
                    }
                    self.callbacks.remove(key);
                }
                Op::Rearm(key, at) => {
                    if let Some(&place) = self.places.get(key) {
                        self.deadlines[place as usize].0 = at;
                        self.nearest = self.nearest.min(at);
                    }
                }
            }
        }
    }

    /// All of them are due.
    fn fire(&mut self, state: &mut State) {
        let mut due = std::mem::take(&mut self.deadlines);
        due.sort_unstable();
        for (_, key) in due {
            if self.places.remove(key).is_some()
                && let Some(mut callback) = self.callbacks.remove(key)
            {
                callback(state);
            }
        }
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
        timers.ops = VecDeque::new();
        let insert = meter.stop(0).elapsed;
        let bytes = alloc::live().wrapping_sub(live);
        let meter = Meter::start();
        let mut sum = 0;
        for token in tokens {
            sum += u64::from(timers.places.contains_key(token));
            timers.ops.push_back(Op::Remove(token));
        }
        timers.apply();
        let remove = meter.stop(0).elapsed;
        assert!(timers.callbacks.is_empty());
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
            let at = timers.nanos(deadline);
            sum += u64::from(timers.places.contains_key(token));
            timers.ops.push_back(Op::Rearm(token, at));
            std::hint::black_box(&mut timers).apply();
        }
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
        type Source = (Arc<OwnedFd>, fn(&mut State, u64));
        let epoll = epoll::create(CreateFlags::CLOEXEC).expect("epoll_create1");
        let mut keys: SlotMap<DefaultKey, ()> = SlotMap::new();
        let mut sources: SecondaryMap<DefaultKey, Box<Source>> = SecondaryMap::new();
        let mut ops: VecDeque<Op<Box<Source>>> = VecDeque::new();
        let read: fn(&mut State, u64) = |state, value| state.sum += value;
        let add = |fd: Arc<OwnedFd>, keys: &mut SlotMap<DefaultKey, ()>, ops: &mut VecDeque<_>| {
            let key = keys.insert(());
            let data = EventData::new_u64(key.data().as_ffi());
            epoll::add(&epoll, &fd, data, EventFlags::IN).expect("epoll_ctl");
            ops.push_back(Op::Insert(key, Box::new((fd, read))));
            key
        };
        let mut apply = |keys: &mut SlotMap<_, ()>, ops: &mut VecDeque<Op<Box<Source>>>| {
            while let Some(op) = ops.pop_front() {
                match op {
                    Op::Insert(key, source) => drop(sources.insert(key, source)),
                    Op::Remove(key) => {
                        keys.remove(key);
                        if let Some(source) = sources.remove(key) {
                            epoll::delete(&epoll, &source.0).expect("epoll_ctl");
                        }
                    }
                    Op::Rearm(..) => {}
                }
            }
        };
        for _ in 0..others {
            add(Arc::new(super::eventfd()), &mut keys, &mut ops);
        }
        apply(&mut keys, &mut ops);
        let fd = Arc::new(super::eventfd());
        let meter = Meter::start();
        let mut sum = 0;
        for _ in 0..times {
            let key = add(Arc::clone(&fd), &mut keys, &mut ops);
            sum += u64::from(keys.contains_key(key));
            ops.push_back(Op::Remove(key));
            apply(&mut keys, &mut ops);
        }
        Some(meter.stop(sum))
    }

    fn channel_churn(&self, times: usize) -> Option<Measured> {
        /// What the two ends share: the messages, the loop to tell, the number of senders.
        struct Shared {
            messages: VecDeque<u64>,
            wakes: Option<Arc<()>>,
            senders: usize,
            receiver: bool,
        }
        type Ends = Arc<Mutex<Shared>>;
        type Source = (Ends, fn(&mut State, u64));
        let woken = Arc::new(());
        let mut keys: SlotMap<DefaultKey, ()> = SlotMap::new();
        let mut sources: SecondaryMap<DefaultKey, Box<Source>> = SecondaryMap::new();
        let mut ops: VecDeque<Op<Box<Source>>> = VecDeque::new();
        let receive: fn(&mut State, u64) = |state, value| state.sum += value;
        let meter = Meter::start();
        let mut sum = 0;
        for _ in 0..times {
            let shared =
                Shared { messages: VecDeque::new(), wakes: None, senders: 1, receiver: true };
            let sender = Arc::new(Mutex::new(shared));
            let receiver = Arc::clone(&sender);
            let key = keys.insert(());
            receiver.lock().expect("no panic").wakes = Some(Arc::clone(&woken));
            ops.push_back(Op::Insert(key, Box::new((receiver, receive))));
            sum += u64::from(keys.contains_key(key));
            ops.push_back(Op::Remove(key));
            while let Some(op) = std::hint::black_box(&mut ops).pop_front() {
                match op {
                    Op::Insert(key, source) => drop(sources.insert(key, source)),
                    Op::Remove(key) => {
                        keys.remove(key);
                        if let Some(source) = sources.remove(key) {
                            let mut shared = source.0.lock().expect("no panic");
                            shared.wakes = None;
                            shared.receiver = false;
                        }
                    }
                    Op::Rearm(..) => {}
                }
            }
            let mut shared = sender.lock().expect("no panic");
            assert!(!shared.receiver && shared.messages.is_empty());
            shared.senders -= 1;
        }
        Some(meter.stop(sum))
    }
}
