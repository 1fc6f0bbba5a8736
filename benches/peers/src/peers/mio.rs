//! mio: a poll and a waker; what is ready is looked up by its token.
//!
//! It is edge-triggered. One read takes all an eventfd has, so that the advice to read until `WouldBlock`
//! is followed without a second read. It has one waker and no timers, channels or idles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::fd::{AsRawFd, OwnedFd};

use super::{EVENTS, Fds, Mailbox, Measured, Meter, Peer};

pub struct Mio;

const WAKER: Token = Token(usize::MAX);

struct Loop {
    poll: Poll,
    events: Events,
    fds: Vec<Arc<OwnedFd>>,
}

impl Loop {
    fn new() -> Self {
        Self {
            poll: Poll::new().expect("a poll"),
            events: Events::with_capacity(EVENTS),
            fds: Vec::new(),
        }
    }

    #[inline(always)]
    fn add(&mut self, fd: Arc<OwnedFd>) {
        let token = Token(self.fds.len());
        let registry = self.poll.registry();
        registry
            .register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)
            .expect("an eventfd can be watched");
        self.fds.push(fd);
    }

    #[inline(always)]
    fn remove_last(&mut self) {
        let Some(fd) = self.fds.pop() else { return };
        let registry = self.poll.registry();
        registry.deregister(&mut SourceFd(&fd.as_raw_fd())).expect("it is watched");
    }

    fn waker(&self) -> Waker {
        Waker::new(self.poll.registry(), WAKER).expect("a waker")
    }

    /// Waits, and calls back with what is ready; `None` for the waker.
    #[inline]
    fn turn(&mut self, timeout: Option<Duration>, mut callback: impl FnMut(Option<&OwnedFd>)) {
        self.poll.poll(&mut self.events, timeout).expect("poll");
        for event in &self.events {
            match event.token() {
                WAKER => callback(None),
                Token(n) => callback(Some(&self.fds[n])),
            }
        }
    }
}

impl Peer for Mio {
    fn name(&self) -> &'static str {
        "mio"
    }

    fn level(&self, spec: Fds) -> Option<Measured> {
        let mut poll = Loop::new();
        let fds = spec.open();
        for fd in &fds {
            poll.add(Arc::clone(fd));
        }
        let written = spec.written(&fds);
        let (mut sum, mut count) = (0, 0);
        let mut turn = || {
            let until = count + spec.ready;
            for &(fd, value) in &written {
                super::write(fd, value);
            }
            while count < until {
                poll.turn(None, |fd| {
                    sum += fd.map_or(0, super::read);
                    count += 1;
                });
            }
        };
        turn();
        let meter = Meter::start();
        (0..spec.turns).for_each(|_| turn());
        Some(meter.stop(sum - spec.sum_per_turn()))
    }

    fn edge(&self, spec: Fds) -> Option<Measured> {
        let mut poll = Loop::new();
        let fds = spec.open();
        for fd in &fds {
            poll.add(Arc::clone(fd));
        }
        let written = spec.written(&fds);
        let mut sum = 0;
        let mut elapsed = Duration::ZERO;
        for _ in 0..spec.turns {
            let until = sum + spec.ready as u64;
            for &(fd, value) in &written {
                super::write(fd, value);
            }
            let meter = Meter::start();
            while sum < until {
                poll.turn(None, |_| sum += 1);
            }
            elapsed += meter.stop(0).elapsed;
        }
        Some(Measured { elapsed, allocations: 0, sum })
    }

    fn empty(&self, sources: usize, turns: usize) -> Option<Measured> {
        let mut poll = Loop::new();
        for _ in 0..sources {
            poll.add(Arc::new(super::eventfd()));
        }
        let mut sum = 0;
        let meter = Meter::start();
        for _ in 0..turns {
            poll.turn(Some(Duration::ZERO), |_| sum += 1);
        }
        Some(meter.stop(sum))
    }

    fn channel(&self, messages: u64) -> Option<Measured> {
        let mut poll = Loop::new();
        let waker = poll.waker();
        let mailbox = Mailbox::new();
        let (mut sum, mut count, mut batch) = (0, 0, Vec::new());
        let sender = (Arc::clone(&mailbox), waker);
        let send = |(mailbox, waker): &(Arc<Mailbox<u64>>, Waker), n| {
            if mailbox.push(n) {
                waker.wake().expect("wake");
            }
        };
        Some(super::with_sender(messages, sender, send, || {
            while count < messages {
                poll.turn(None, |_| {
                    mailbox.take(&mut batch);
                    for message in batch.drain(..) {
                        sum += message;
                        count += 1;
                    }
                });
            }
            sum
        }))
    }

    fn ping_pong(&self, trips: u64) -> Option<Measured> {
        let (first, second) = (Loop::new(), Loop::new());
        // A waker that is dropped takes back what it did: both live until both sides have ended.
        let (to_first, to_second) = (first.waker(), second.waker());
        let (to_first, to_second) = (&to_first, &to_second);
        let run = move |mut poll: Loop, other: &Waker, starts: bool, ready: &dyn Fn()| {
            ready();
            if starts {
                other.wake().expect("wake");
            }
            let mut count = 0;
            while count < trips {
                poll.turn(None, |_| {
                    count += 1;
                    if !starts || count < trips {
                        other.wake().expect("wake");
                    }
                });
            }
            count
        };
        Some(super::on_one_cpu(
            move |ready| run(first, to_second, true, ready),
            move |ready| {
                run(second, to_first, false, ready);
            },
        ))
    }

    fn ping_burst(&self, pings: usize, turns: usize) -> Option<Measured> {
        let mut poll = Loop::new();
        let waker = poll.waker();
        let mut sum = 0;
        let meter = Meter::start();
        for _ in 0..turns {
            for _ in 0..pings {
                waker.wake().expect("wake");
            }
            poll.turn(None, |_| sum += 1);
        }
        Some(meter.stop(sum))
    }

    fn ping_self(&self, turns: usize) -> Option<Measured> {
        self.ping_burst(1, turns)
    }

    /// By the timeout of the poll, which is in whole milliseconds.
    fn lateness(&self, period: Duration, ticks: usize) -> Option<Vec<i64>> {
        let mut poll = Loop::new();
        let mut at = Instant::now() + period;
        let mut late = Vec::with_capacity(ticks);
        while late.len() < ticks {
            let now = Instant::now();
            if at <= now {
                late.push(super::lateness(at));
                at += period;
            } else {
                poll.turn(Some(at - now), |_| ());
            }
        }
        Some(late)
    }

    fn fd_churn(&self, others: usize, times: usize) -> Option<Measured> {
        let mut poll = Loop::new();
        for _ in 0..others {
            poll.add(Arc::new(super::eventfd()));
        }
        let fd = Arc::new(super::eventfd());
        let meter = Meter::start();
        for _ in 0..times {
            poll.add(Arc::clone(&fd));
            poll.remove_last();
        }
        Some(meter.stop(times as u64))
    }
}
