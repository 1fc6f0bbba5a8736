//! A hand-written program on epoll, eventfd and timerfd: what a loop can hope for.
//!
//! A table of callbacks is indexed by the token that the kernel hands back. Channels are a vector behind
//! a lock with an eventfd beside it that is written when the vector was empty and read when it woke the
//! program; timers are a `BTreeMap`; idles are a `VecDeque`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{Bulk, EVENTS, Fds, Mailbox, Measured, Meter, Peer};
use crate::alloc;

pub struct Raw;

#[derive(Default)]
struct State {
    sum: u64,
    count: u64,
}

struct Entry<S> {
    fd: Arc<OwnedFd>,
    callback: fn(&mut S, &OwnedFd),
}

/// The epoll instance, its buffer and the table.
struct Loop<S> {
    epoll: OwnedFd,
    table: Vec<Entry<S>>,
    events: Vec<libc::epoll_event>,
}

const LEVEL: u32 = libc::EPOLLIN as u32;
const EDGE: u32 = (libc::EPOLLIN | libc::EPOLLET) as u32;

impl<S> Loop<S> {
    fn new() -> Self {
        // SAFETY: the fd is new, and ours.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            assert!(fd >= 0, "epoll_create1");
            OwnedFd::from_raw_fd(fd)
        };
        Self { epoll, table: Vec::new(), events: Vec::with_capacity(EVENTS) }
    }

    #[inline(always)]
    fn add(&mut self, fd: Arc<OwnedFd>, flags: u32, callback: fn(&mut S, &OwnedFd)) {
        let mut event = libc::epoll_event { events: flags, u64: self.table.len() as u64 };
        // SAFETY: both fds are open, and the event lives as long as the call.
        let result = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event)
        };
        assert_eq!(result, 0, "epoll_ctl");
        self.table.push(Entry { fd, callback });
    }

    /// Takes out what was added last.
    #[inline(always)]
    fn remove_last(&mut self) {
        let Some(entry) = self.table.pop() else { return };
        // SAFETY: both fds are open.
        let result = unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                entry.fd.as_raw_fd(),
                std::ptr::null_mut(),
            )
        };
        assert_eq!(result, 0, "epoll_ctl");
    }

    /// Waits for `timeout` milliseconds, −1 for ever, and calls back.
    #[inline]
    fn turn(&mut self, timeout: i32, state: &mut S) {
        // SAFETY: the kernel writes at most `EVENTS` events, for which there is room.
        unsafe {
            let n = libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS as i32,
                timeout,
            );
            assert!(n >= 0, "epoll_wait");
            self.events.set_len(n as usize);
        }
        for event in &self.events {
            let entry = &self.table[event.u64 as usize];
            (entry.callback)(state, &entry.fd);
        }
    }
}

fn on_level(state: &mut State, fd: &OwnedFd) {
    state.sum += super::read(fd);
    state.count += 1;
}

/// A deadline, and a number that tells equal ones apart.
type When = (Instant, u64);
type Callback = Box<dyn FnMut(&mut State)>;

fn insert_timers(timers: &mut BTreeMap<When, Callback>, deadlines: &[Instant]) {
    for (n, &deadline) in deadlines.iter().enumerate() {
        let n = n as u64;
        let callback = move |state: &mut State| {
            state.sum += n;
            state.count += 1;
        };
        timers.insert((deadline, n), Box::new(callback));
    }
}

/// Idle callbacks.
type Queue<S> = VecDeque<Box<dyn FnOnce(&mut S)>>;

fn timerfd() -> OwnedFd {
    // SAFETY: the fd is new, and ours.
    unsafe {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        let fd = libc::timerfd_create(libc::CLOCK_MONOTONIC, flags);
        assert!(fd >= 0, "timerfd_create");
        OwnedFd::from_raw_fd(fd)
    }
}

/// Nanoseconds of the monotonic clock.
fn monotonic() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it is written to, and lives as long as the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn set(timerfd: &OwnedFd, at: u64) {
    let new = libc::itimerspec {
        it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: libc::timespec {
            tv_sec: (at / 1_000_000_000) as i64,
            tv_nsec: (at % 1_000_000_000) as i64,
        },
    };
    // SAFETY: the fd is open, and the time lives as long as the call.
    let result = unsafe {
        libc::timerfd_settime(
            timerfd.as_raw_fd(),
            libc::TFD_TIMER_ABSTIME,
            &new,
            std::ptr::null_mut(),
        )
    };
    assert_eq!(result, 0, "timerfd_settime");
}

struct Inbox {
    mailbox: Arc<Mailbox<u64>>,
    messages: Vec<u64>,
    state: State,
}

fn send(mailbox: &Mailbox<u64>, wake: &OwnedFd, message: u64) {
    if mailbox.push(message) {
        super::write(wake, 1);
    }
}

impl Peer for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn level(&self, spec: Fds) -> Option<Measured> {
        let mut epoll = Loop::new();
        let mut state = State::default();
        let fds = spec.open();
        for fd in &fds {
            epoll.add(Arc::clone(fd), LEVEL, on_level);
        }
        let written = spec.written(&fds);
        let mut turn = || {
            let until = state.count + spec.ready as u64;
            for &(fd, value) in &written {
                super::write(fd, value);
            }
            while state.count < until {
                epoll.turn(-1, &mut state);
            }
        };
        turn();
        let meter = Meter::start();
        (0..spec.turns).for_each(|_| turn());
        Some(meter.stop(state.sum - spec.sum_per_turn()))
    }

    fn edge(&self, spec: Fds) -> Option<Measured> {
        let mut epoll = Loop::new();
        let mut state = State::default();
        let fds = spec.open();
        for fd in &fds {
            epoll.add(Arc::clone(fd), EDGE, |state: &mut State, _| state.sum += 1);
        }
        let written = spec.written(&fds);
        let mut elapsed = Duration::ZERO;
        for _ in 0..spec.turns {
            let until = state.sum + spec.ready as u64;
            for &(fd, value) in &written {
                super::write(fd, value);
            }
            let meter = Meter::start();
            while state.sum < until {
                epoll.turn(-1, &mut state);
            }
            elapsed += meter.stop(0).elapsed;
        }
        Some(Measured { elapsed, allocations: 0, sum: state.sum })
    }

    fn empty(&self, sources: usize, turns: usize) -> Option<Measured> {
        let mut epoll = Loop::new();
        let mut state = State::default();
        for _ in 0..sources {
            epoll.add(Arc::new(super::eventfd()), LEVEL, on_level);
        }
        let meter = Meter::start();
        for _ in 0..turns {
            epoll.turn(0, &mut state);
        }
        Some(meter.stop(state.sum))
    }

    fn channel(&self, messages: u64) -> Option<Measured> {
        let mut epoll = Loop::new();
        let wake = Arc::new(super::eventfd());
        let mailbox = Mailbox::new();
        let mut inbox =
            Inbox { mailbox: Arc::clone(&mailbox), messages: Vec::new(), state: State::default() };
        epoll.add(Arc::clone(&wake), LEVEL, |inbox: &mut Inbox, wake| {
            super::read(wake);
            inbox.mailbox.take(&mut inbox.messages);
            for message in inbox.messages.drain(..) {
                inbox.state.sum += message;
                inbox.state.count += 1;
            }
        });
        let send = |(mailbox, wake): &(Arc<Mailbox<u64>>, Arc<OwnedFd>), n| send(mailbox, wake, n);
        Some(super::with_sender(messages, (mailbox, wake), send, || {
            while inbox.state.count < messages {
                epoll.turn(-1, &mut inbox);
            }
            inbox.state.sum
        }))
    }

    /// The program knows that it is awake, and looks into its mailbox once more before it waits.
    fn self_send(&self, messages: u64) -> Option<Measured> {
        struct Own {
            mailbox: Arc<Mailbox<u64>>,
            state: State,
            batch: Vec<u64>,
            messages: u64,
        }
        let mut epoll = Loop::new();
        let wake = Arc::new(super::eventfd());
        let mailbox = Mailbox::new();
        let mut own = Own {
            mailbox: Arc::clone(&mailbox),
            state: State::default(),
            batch: Vec::new(),
            messages,
        };
        epoll.add(Arc::clone(&wake), LEVEL, |own: &mut Own, wake| {
            super::read(wake);
            loop {
                own.mailbox.take(&mut own.batch);
                if own.batch.is_empty() {
                    break;
                }
                for n in own.batch.drain(..) {
                    own.state.sum += n;
                    own.state.count += 1;
                    if n + 1 < own.messages {
                        own.mailbox.push(n + 1);
                    }
                }
            }
        });
        let meter = Meter::start();
        send(&mailbox, &wake, 0);
        while own.state.count < messages {
            epoll.turn(-1, &mut own);
        }
        Some(meter.stop(own.state.sum))
    }

    /// Each with an eventfd of its own.
    fn many_channels(&self, channels: usize, each: usize, turns: usize) -> Option<Measured> {
        struct Many {
            mailboxes: Vec<Arc<Mailbox<u64>>>,
            batch: Vec<u64>,
            sum: u64,
        }
        // The table's callbacks have no captures: the state finds the mailbox by the fd's number.
        let mut epoll = Loop::new();
        let mut state = Many { mailboxes: Vec::new(), batch: Vec::new(), sum: 0 };
        let senders: Vec<_> = (0..channels)
            .map(|_| {
                let wake = Arc::new(super::eventfd());
                let mailbox = Mailbox::new();
                let number = wake.as_raw_fd() as usize;
                while state.mailboxes.len() <= number {
                    state.mailboxes.push(Arc::clone(&mailbox));
                }
                state.mailboxes[number] = Arc::clone(&mailbox);
                epoll.add(Arc::clone(&wake), LEVEL, |many: &mut Many, wake| {
                    super::read(wake);
                    many.mailboxes[wake.as_raw_fd() as usize].take(&mut many.batch);
                    many.sum += many.batch.drain(..).sum::<u64>();
                });
                (mailbox, wake)
            })
            .collect();
        let mut turn = || {
            let until = state.sum + (channels * each) as u64;
            for (mailbox, wake) in &senders {
                for _ in 0..each {
                    send(mailbox, wake, 1);
                }
            }
            while state.sum < until {
                epoll.turn(-1, &mut state);
            }
        };
        turn();
        let meter = Meter::start();
        (0..turns).for_each(|_| turn());
        Some(meter.stop(state.sum - (channels * each) as u64))
    }

    fn ping_pong(&self, trips: u64) -> Option<Measured> {
        struct Side {
            answer: Arc<OwnedFd>,
            answers: u64,
            count: u64,
        }
        let ping = Arc::new(super::eventfd());
        let pong = Arc::new(super::eventfd());
        let (ping2, pong2) = (Arc::clone(&ping), Arc::clone(&pong));
        let run = move |own: Arc<OwnedFd>, answer: Arc<OwnedFd>, starts: bool, ready: &dyn Fn()| {
            let mut epoll = Loop::new();
            epoll.add(own, LEVEL, |side: &mut Side, own| {
                super::read(own);
                side.count += 1;
                if side.count <= side.answers {
                    super::write(&side.answer, 1);
                }
            });
            let mut side =
                Side { answer, answers: if starts { trips - 1 } else { trips }, count: 0 };
            ready();
            if starts {
                super::write(&side.answer, 1);
            }
            while side.count < trips {
                epoll.turn(-1, &mut side);
            }
            side.count
        };
        Some(super::on_one_cpu(
            move |ready| run(pong, ping, true, ready),
            move |ready| {
                run(ping2, pong2, false, ready);
            },
        ))
    }

    fn ping_burst(&self, pings: usize, turns: usize) -> Option<Measured> {
        let mut epoll = Loop::new();
        let mut state = State::default();
        let ping = Arc::new(super::eventfd());
        epoll.add(Arc::clone(&ping), LEVEL, |state: &mut State, fd| {
            super::read(fd);
            state.sum += 1;
        });
        let meter = Meter::start();
        for _ in 0..turns {
            for _ in 0..pings {
                super::write(&ping, 1);
            }
            epoll.turn(-1, &mut state);
        }
        Some(meter.stop(state.sum))
    }

    fn ping_self(&self, turns: usize) -> Option<Measured> {
        self.ping_burst(1, turns)
    }

    fn timers(&self, deadlines: &[Instant]) -> Option<Bulk> {
        let mut timers = BTreeMap::new();
        let live = alloc::live();
        let meter = Meter::start();
        insert_timers(&mut timers, deadlines);
        let insert = meter.stop(0).elapsed;
        let bytes = alloc::live().wrapping_sub(live);
        let meter = Meter::start();
        let mut sum = 0;
        for (n, &deadline) in deadlines.iter().enumerate() {
            sum += u64::from(timers.remove(&(deadline, n as u64)).is_some());
        }
        let remove = meter.stop(0).elapsed;
        Some(Bulk { insert, remove, bytes, sum })
    }

    fn fire(&self, batches: &[Vec<Instant>]) -> Option<Measured> {
        let mut epoll = Loop::new();
        let mut state = State::default();
        let mut timers = BTreeMap::new();
        let fire = |deadlines: &Vec<Instant>| {
            (state.sum, state.count) = (0, 0);
            insert_timers(&mut timers, deadlines);
            super::sleep_past(deadlines);
            let meter = Meter::start();
            epoll.turn(0, &mut state);
            let now = Instant::now();
            while let Some(first) = timers.first_entry()
                && first.key().0 <= now
            {
                let mut callback = first.remove();
                callback(&mut state);
            }
            meter.stop(state.sum)
        };
        batches.iter().map(fire).last()
    }

    /// Alone a timerfd of its own; beside others a place in the map.
    fn rearm(&self, others: usize, times: usize) -> Option<Measured> {
        if others > 0 {
            let mut timers = BTreeMap::new();
            let far = super::far_deadlines();
            let deadlines: Vec<_> = far.iter().copied().cycle().take(others + 1).collect();
            insert_timers(&mut timers, &deadlines);
            let (mut at, number) = (far[others % far.len()], others as u64);
            let meter = Meter::start();
            let mut sum = 0;
            for &deadline in far.iter().cycle().take(times) {
                if let Some(callback) = timers.remove(&(at, number)) {
                    at = deadline;
                    timers.insert((at, number), callback);
                    sum += 1;
                }
            }
            return Some(meter.stop(sum));
        }
        let timerfd = timerfd();
        let base = monotonic() + 3_600_000_000_000;
        let mut random = super::Random(0x1234_5678_9abc_def1);
        let far: Vec<_> = (0..1024).map(|_| base + random.below(3_600_000_000_000)).collect();
        let meter = Meter::start();
        let mut sum = 0;
        for &at in far.iter().cycle().take(times) {
            set(&timerfd, at);
            sum += 1;
        }
        Some(meter.stop(sum))
    }

    fn lateness(&self, period: Duration, ticks: usize) -> Option<Vec<i64>> {
        struct Ticks {
            at: u64,
            period: u64,
            late: Vec<i64>,
        }
        let mut epoll = Loop::new();
        let period = period.as_nanos() as u64;
        let mut state = Ticks { at: monotonic() + period, period, late: Vec::with_capacity(ticks) };
        let timerfd = Arc::new(timerfd());
        set(&timerfd, state.at);
        epoll.add(timerfd, LEVEL, |state: &mut Ticks, timerfd| {
            super::read(timerfd);
            state.late.push(monotonic() as i64 - state.at as i64);
            state.at += state.period;
            set(timerfd, state.at);
        });
        while state.late.len() < ticks {
            epoll.turn(-1, &mut state);
        }
        Some(state.late)
    }

    fn self_rearm(&self, times: usize) -> Option<Measured> {
        let mut epoll = Loop::new();
        let mut state = State::default();
        let mut timers: BTreeMap<When, Callback> = BTreeMap::new();
        let start = Instant::now();
        let callback = |state: &mut State| state.sum += 1;
        timers.insert((start, 0), Box::new(callback));
        let meter = Meter::start();
        for n in 1..=times as u64 {
            epoll.turn(0, &mut state);
            if let Some(first) = timers.first_entry()
                && first.key().0 <= Instant::now()
            {
                let ((at, _), mut callback) = first.remove_entry();
                callback(&mut state);
                timers.insert((at, n), callback);
            }
        }
        Some(meter.stop(state.sum))
    }

    fn idle_chain(&self, length: usize) -> Option<Measured> {
        struct Idle {
            sum: u64,
            queue: Queue<Idle>,
        }
        fn next(state: &mut Idle) {
            state.sum += 1;
            state.queue.push_back(Box::new(next));
        }
        let mut state = Idle { sum: 0, queue: VecDeque::new() };
        state.queue.push_back(Box::new(next));
        let meter = Meter::start();
        while state.sum < length as u64
            && let Some(idle) = state.queue.pop_front()
        {
            idle(std::hint::black_box(&mut state));
        }
        Some(meter.stop(state.sum))
    }

    fn idle_batch(&self, idles: usize, turns: usize) -> Option<Measured> {
        let mut epoll = Loop::new();
        let mut state = State::default();
        let mut queue: Queue<State> = VecDeque::new();
        let meter = Meter::start();
        for _ in 0..turns {
            for n in 0..idles as u64 {
                queue.push_back(Box::new(move |state| state.sum += n));
            }
            epoll.turn(0, &mut state);
            while let Some(idle) = queue.pop_front() {
                idle(&mut state);
            }
        }
        Some(meter.stop(state.sum))
    }

    fn fd_churn(&self, others: usize, times: usize) -> Option<Measured> {
        let mut epoll: Loop<State> = Loop::new();
        for _ in 0..others {
            epoll.add(Arc::new(super::eventfd()), LEVEL, on_level);
        }
        let fd = Arc::new(super::eventfd());
        let meter = Meter::start();
        for _ in 0..times {
            epoll.add(Arc::clone(&fd), LEVEL, on_level);
            epoll.remove_last();
        }
        Some(meter.stop(times as u64))
    }
}
