//! The peers, and what each is asked to do.
//!
//! A peer leaves out what it has no means for (mio has no timers, say). Whatever it does, it accounts for
//! with a sum that is compared to the expected one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::alloc;
use rustix::fd::{AsFd, OwnedFd};

#[cfg(feature = "c-peers")]
pub mod c;
pub mod calloop;
pub mod floor;
pub mod hosted;
pub mod mio;
pub mod polling;
pub mod raw;
pub mod soloop;
pub mod tokio;

/// How many events one wait takes in, wherever that can be chosen.
pub const EVENTS: usize = 1024;

/// A measured stretch of work.
pub struct Measured {
    pub elapsed: Duration,
    /// During the measured part, if they are counted.
    pub allocations: u64,
    /// What the work came to.
    pub sum: u64,
}

/// A running measurement.
pub struct Meter {
    allocations: u64,
    started: Instant,
}

impl Meter {
    pub fn start() -> Self {
        let allocations = alloc::allocations();
        Self { allocations, started: Instant::now() }
    }

    pub fn stop(self, sum: u64) -> Measured {
        let elapsed = self.started.elapsed();
        Measured { elapsed, allocations: alloc::allocations() - self.allocations, sum }
    }
}

/// Some of many fds are ready, again and again.
#[derive(Clone, Copy)]
pub struct Fds {
    /// How many are watched.
    pub watched: usize,
    /// How many of them are written to each turn.
    pub ready: usize,
    pub turns: usize,
}

impl Fds {
    /// eventfds, non-blocking; shared between the writer and the source.
    pub fn open(&self) -> Vec<Arc<OwnedFd>> {
        (0..self.watched).map(|_| Arc::new(eventfd())).collect()
    }

    /// Those that are written to, evenly spread, each with the value it gets.
    pub fn written<'a>(&self, fds: &'a [Arc<OwnedFd>]) -> Vec<(&'a OwnedFd, u64)> {
        let step = self.watched / self.ready;
        let offset = step / 2;
        (0..self.ready).map(|n| (&*fds[offset + n * step], n as u64 + 1)).collect()
    }

    /// The sum of what is written in a turn.
    pub fn sum_per_turn(&self) -> u64 {
        let ready = self.ready as u64;
        ready * (ready + 1) / 2
    }
}

/// How a soloop hosts an fd that calloop watches.
#[derive(Clone, Copy, PartialEq)]
pub enum Host {
    /// `insert_calloop`.
    Waited,
    /// `insert_calloop_source`.
    Source,
    /// The same, a source with hooks.
    Hooks,
    /// The same, a source with a timer of calloop's.
    Timers,
    /// `insert_calloop_on_demand`.
    OnDemand,
}

/// Beside an fd of the loop's own.
#[derive(Clone, Copy)]
pub struct Hosting {
    pub way: Host,
    /// It is what fires, and not the loop's own.
    pub fires: bool,
    pub turns: usize,
}

/// What inserting and removing many sources took.
pub struct Bulk {
    pub insert: Duration,
    pub remove: Duration,
    /// Live bytes they added, if allocations are counted.
    pub bytes: u64,
    /// How many were removed.
    pub sum: u64,
}

pub trait Peer {
    fn name(&self) -> &'static str;

    /// Whether its allocations are this program's, and counted.
    fn is_counted(&self) -> bool {
        true
    }

    /// A1, A2, A3, A5. A turn writes to fds and dispatches until all of them were read by their level-triggered
    /// callbacks. The sum is that of the values read.
    fn level(&self, _: Fds) -> Option<Measured> {
        None
    }

    /// A4. A turn writes to fds (not measured) and dispatches until each of their edge-triggered callbacks
    /// ran, which does not read. The sum is that of the callbacks that ran.
    fn edge(&self, _: Fds) -> Option<Measured> {
        None
    }

    /// G1. Dispatches without waiting; nothing is ready. The sum is 0.
    fn empty(&self, _sources: usize, _turns: usize) -> Option<Measured> {
        None
    }

    /// B1. Another thread sends 0, 1, 2, …; the sum is that of the messages received.
    fn channel(&self, _messages: u64) -> Option<Measured> {
        None
    }

    /// B2. A callback receives n and sends n + 1 to its own channel, from 0 up to and not including
    /// `messages`; the sum is that of the messages received.
    fn self_send(&self, _messages: u64) -> Option<Measured> {
        None
    }

    /// B3, B4. A turn sends `each` messages (1) through each channel, then dispatches until all have arrived.
    fn many_channels(&self, _channels: usize, _each: usize, _turns: usize) -> Option<Measured> {
        None
    }

    /// C1. Two threads on one CPU wake each other in turns; the sum is that of the pings one of them saw.
    fn ping_pong(&self, _trips: u64) -> Option<Measured> {
        None
    }

    /// C2. A turn pings `pings` times, and dispatches once; the sum is that of the callbacks that ran.
    fn ping_burst(&self, _pings: usize, _turns: usize) -> Option<Measured> {
        None
    }

    /// C3. A turn pings once and dispatches, without a limit of time.
    fn ping_self(&self, _turns: usize) -> Option<Measured> {
        None
    }

    /// D1, D2, D5. Inserts a timer for each deadline, with a callback of its own, and cancels them all, in
    /// the order in which they were inserted.
    fn timers(&self, _deadlines: &[Instant]) -> Option<Bulk> {
        None
    }

    /// D3. For each batch: inserts a timer for each deadline, waits until all have passed, then (measured)
    /// dispatches until all have fired. The nth of a batch adds n to the sum; the last batch counts.
    fn fire(&self, _batches: &[Vec<Instant>]) -> Option<Measured> {
        None
    }

    /// D4. Moves the deadline of one timer, which never fires, beside `others` more. The sum is how often.
    fn rearm(&self, _others: usize, _times: usize) -> Option<Measured> {
        None
    }

    /// D6. How late each tick of a repeating timer is; negative if early, in nanoseconds.
    fn lateness(&self, _period: Duration, _ticks: usize) -> Option<Vec<i64>> {
        None
    }

    /// D7. A due timer fires and arms itself anew, for the same time, one a dispatch.
    fn self_rearm(&self, _times: usize) -> Option<Measured> {
        None
    }

    /// E1. An idle callback queues the next one.
    fn idle_chain(&self, _length: usize) -> Option<Measured> {
        None
    }

    /// E2. A turn queues `idles` idle callbacks and dispatches them; each adds its number.
    fn idle_batch(&self, _idles: usize, _turns: usize) -> Option<Measured> {
        None
    }

    /// F1. Inserts and removes a source for an open fd, beside `others` more.
    fn fd_churn(&self, _others: usize, _times: usize) -> Option<Measured> {
        None
    }

    /// T1, T4. Inserts pings that are there already, and removes them by their tokens, in `order`.
    fn pings(&self, _order: &[usize]) -> Option<Bulk> {
        None
    }

    /// T2. Asks of tokens, in `order` and over again, whether their sources are there. The sum is how often
    /// they are.
    fn contains(&self, _order: &[usize], _times: usize) -> Option<Measured> {
        None
    }

    /// T3. Reaches into sources by their tokens, in `order` and over again. The sum is how often.
    fn visit(&self, _order: &[usize], _times: usize) -> Option<Measured> {
        None
    }

    /// J1 to J8. A turn writes to one fd and dispatches until it was read. What hosts nothing watches it itself. The sum
    /// is that of the values read, one a turn.
    fn hosting(&self, _: Hosting) -> Option<Measured> {
        None
    }

    /// F2. Makes a channel, inserts, removes and drops it.
    fn channel_churn(&self, _times: usize) -> Option<Measured> {
        None
    }
}

pub fn eventfd() -> OwnedFd {
    use rustix::event::EventfdFlags;
    rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).expect("eventfd")
}

/// Adds `value` to an eventfd.
#[inline]
pub fn write(fd: impl AsFd, value: u64) {
    rustix::io::write(fd, &value.to_ne_bytes()).expect("write to an eventfd");
}

/// Takes the value of an eventfd; 0 if it has none.
#[inline]
pub fn read(fd: impl AsFd) -> u64 {
    let mut bytes = [0; 8];
    match rustix::io::read(fd, &mut bytes) {
        Ok(_) => u64::from_ne_bytes(bytes),
        Err(rustix::io::Errno::AGAIN) => 0,
        Err(error) => panic!("read from an eventfd: {error}"),
    }
}

/// Runs both at once on one CPU, and measures what `first` does. Each makes what it needs, calls the
/// function it is given when it is ready for the other, and then works.
pub fn on_one_cpu(
    first: impl FnOnce(&dyn Fn()) -> u64 + Send,
    second: impl FnOnce(&dyn Fn()) + Send,
) -> Measured {
    fn pin() {
        let mut cpu = rustix::thread::CpuSet::new();
        cpu.set(0);
        rustix::thread::sched_setaffinity(None, &cpu).expect("sched_setaffinity");
    }
    let barrier = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin();
            second(&|| {
                barrier.wait();
            });
        });
        let first = scope.spawn(|| {
            pin();
            let meter = std::sync::Mutex::new(None);
            let sum = first(&|| {
                barrier.wait();
                *meter.lock().expect("no panic") = Some(Meter::start());
            });
            let meter = meter.into_inner().expect("no panic").expect("the peer said it was ready");
            meter.stop(sum)
        });
        first.join().expect("no panic")
    })
}

/// Has another thread send `0..messages` while `receive` runs, measured.
pub fn with_sender<T: Send>(
    messages: u64,
    sender: T,
    send: impl Fn(&T, u64) + Sync,
    receive: impl FnOnce() -> u64,
) -> Measured {
    let barrier = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Moved in and kept until the end: whether the closing of the channel costs something is not asked here.
            let sender = sender;
            barrier.wait();
            (0..messages).for_each(|n| send(&sender, n));
            barrier.wait();
        });
        barrier.wait();
        let meter = Meter::start();
        let sum = receive();
        let measured = meter.stop(sum);
        barrier.wait();
        measured
    })
}

/// A queue for peers without a channel of their own: the one whose push finds it empty wakes the loop.
pub struct Mailbox<T> {
    queue: std::sync::Mutex<Vec<T>>,
}

impl<T> Mailbox<T> {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { queue: std::sync::Mutex::default() })
    }

    /// Whether to wake the loop.
    #[inline]
    pub fn push(&self, message: T) -> bool {
        let mut queue = self.queue.lock().expect("no panic");
        queue.push(message);
        queue.len() == 1
    }

    /// Takes everything, in exchange for the empty `into`.
    #[inline]
    pub fn take(&self, into: &mut Vec<T>) {
        std::mem::swap(&mut *self.queue.lock().expect("no panic"), into);
    }
}

/// xorshift64*: the same numbers each time.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let random = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((u128::from(random) * u128::from(end)) >> 64) as u64
    }
}

/// Far deadlines to move a timer between.
pub fn far_deadlines() -> Vec<Instant> {
    let base = Instant::now() + Duration::from_secs(3600);
    let mut random = Random(0x1234_5678_9abc_def1);
    (0..1024).map(|_| base + Duration::from_nanos(random.below(3_600_000_000_000))).collect()
}

/// Waits until all deadlines have passed, for the coarsest clocks too.
pub fn sleep_past(deadlines: &[Instant]) {
    if let Some(&last) = deadlines.iter().max() {
        let until = last + Duration::from_millis(3);
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}

/// How late `deadline` is.
pub fn lateness(deadline: Instant) -> i64 {
    let now = Instant::now();
    match now.checked_duration_since(deadline) {
        Some(late) => late.as_nanos() as i64,
        None => -((deadline - now).as_nanos() as i64),
    }
}
