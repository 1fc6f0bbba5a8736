//! polling: level-triggered and edge-triggered fds by key, and a notification; no timers but the
//! timeout of the wait, no channels and no idles.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polling::{Event, Events, PollMode, Poller};
use rustix::fd::OwnedFd;

use super::{EVENTS, Fds, Mailbox, Measured, Meter, Peer};

pub struct Polling;

struct Loop {
    poller: Arc<Poller>,
    events: Events,
    fds: Vec<Arc<OwnedFd>>,
}

impl Loop {
    fn new() -> Self {
        let capacity = NonZeroUsize::new(EVENTS).expect("not zero");
        Self {
            poller: Arc::new(Poller::new().expect("a poller")),
            events: Events::with_capacity(capacity),
            fds: Vec::new(),
        }
    }

    #[inline(always)]
    fn add(&mut self, fd: Arc<OwnedFd>, mode: PollMode) {
        let event = Event::readable(self.fds.len());
        // SAFETY: the fd stays open until it is deleted or the poller is gone.
        unsafe { self.poller.add_with_mode(&*fd, event, mode) }.expect("an eventfd can be watched");
        self.fds.push(fd);
    }

    #[inline(always)]
    fn remove_last(&mut self) {
        let Some(fd) = self.fds.pop() else { return };
        self.poller.delete(&*fd).expect("it is watched");
    }

    /// Waits, and calls back with what is ready; how many that were.
    #[inline]
    fn turn(&mut self, timeout: Option<Duration>, mut callback: impl FnMut(&OwnedFd)) -> usize {
        self.events.clear();
        let n = self.poller.wait(&mut self.events, timeout).expect("wait");
        for event in self.events.iter() {
            callback(&self.fds[event.key]);
        }
        n
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        for fd in &self.fds {
            // Nothing is lost if it was not watched.
            let _ = self.poller.delete(&**fd);
        }
    }
}

impl Peer for Polling {
    fn name(&self) -> &'static str {
        "polling"
    }

    fn level(&self, spec: Fds) -> Option<Measured> {
        let mut poll = Loop::new();
        let fds = spec.open();
        for fd in &fds {
            poll.add(Arc::clone(fd), PollMode::Level);
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
                    sum += super::read(fd);
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
            poll.add(Arc::clone(fd), PollMode::Edge);
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
            poll.add(Arc::new(super::eventfd()), PollMode::Level);
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
        let mailbox = Mailbox::new();
        let (mut sum, mut count, mut batch) = (0, 0, Vec::new());
        let sender = (Arc::clone(&mailbox), Arc::clone(&poll.poller));
        let send = |(mailbox, poller): &(Arc<Mailbox<u64>>, Arc<Poller>), n| {
            if mailbox.push(n) {
                poller.notify().expect("notify");
            }
        };
        Some(super::with_sender(messages, sender, send, || {
            while count < messages {
                poll.turn(None, |_| ());
                mailbox.take(&mut batch);
                for message in batch.drain(..) {
                    sum += message;
                    count += 1;
                }
            }
            sum
        }))
    }

    fn ping_pong(&self, trips: u64) -> Option<Measured> {
        let (first, second) = (Loop::new(), Loop::new());
        let to_first = Arc::clone(&first.poller);
        let to_second = Arc::clone(&second.poller);
        let run = move |mut poll: Loop, other: Arc<Poller>, starts: bool, ready: &dyn Fn()| {
            ready();
            if starts {
                other.notify().expect("notify");
            }
            let mut count = 0;
            while count < trips {
                // A wait without a limit that finds no fd was ended by a notification.
                poll.turn(None, |_| ());
                count += 1;
                if !starts || count < trips {
                    other.notify().expect("notify");
                }
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
        let mut sum = 0;
        let meter = Meter::start();
        for _ in 0..turns {
            for _ in 0..pings {
                poll.poller.notify().expect("notify");
            }
            poll.turn(None, |_| ());
            sum += 1;
        }
        Some(meter.stop(sum))
    }

    fn ping_self(&self, turns: usize) -> Option<Measured> {
        self.ping_burst(1, turns)
    }

    /// By the timeout of the wait.
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
            poll.add(Arc::new(super::eventfd()), PollMode::Level);
        }
        let fd = Arc::new(super::eventfd());
        let meter = Meter::start();
        for _ in 0..times {
            poll.add(Arc::clone(&fd), PollMode::Level);
            poll.remove_last();
        }
        Some(meter.stop(times as u64))
    }
}
