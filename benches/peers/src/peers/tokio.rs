//! tokio on one thread: a task where other loops have a callback.
//!
//! Many timers with callbacks are tokio-util's `DelayQueue`, the collection that tokio has for that. One
//! turn of the runtime is not something a program asks for: the task that drives a workload is woken by
//! the last callback.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio_util::time::DelayQueue;

use super::{Bulk, Fds, Measured, Meter, Peer};
use crate::alloc;

pub struct Tokio;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A sum that is waited for.
#[derive(Default)]
struct Sum {
    sum: AtomicU64,
    until: AtomicU64,
    reached: Notify,
}

impl Sum {
    /// One thread only: no need for an atomic addition.
    fn add(&self, n: u64) {
        let sum = self.get() + n;
        self.sum.store(sum, Relaxed);
        if sum == self.until.load(Relaxed) {
            self.reached.notify_one();
        }
    }

    fn get(&self) -> u64 {
        self.sum.load(Relaxed)
    }

    fn expect(&self, more: u64) {
        self.until.store(self.get() + more, Relaxed);
    }

    async fn reach(&self) {
        self.reached.notified().await;
    }
}

#[inline(always)]
fn watch(fd: Arc<OwnedFd>) -> AsyncFd<Arc<OwnedFd>> {
    // SAFETY: it stays the same open fd as long as the `Arc` lives.
    let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    fd.map_err(|error| error.into_parts().1).expect("an eventfd can be watched")
}

async fn read_all(fd: AsyncFd<Arc<OwnedFd>>, sum: Arc<Sum>) {
    loop {
        let mut guard = fd.readable().await.expect("the runtime runs");
        // One read takes all an eventfd has.
        sum.add(super::read(&**fd.get_ref()));
        guard.clear_ready();
    }
}

async fn count_all(fd: AsyncFd<Arc<OwnedFd>>, sum: Arc<Sum>) {
    loop {
        let mut guard = fd.readable().await.expect("the runtime runs");
        sum.add(1);
        guard.clear_ready();
    }
}

type Callback = Box<dyn FnMut(&mut (u64, u64))>;

fn callback(n: usize) -> Callback {
    Box::new(move |(sum, count)| {
        *sum += n as u64;
        *count += 1;
    })
}

impl Peer for Tokio {
    fn name(&self) -> &'static str {
        "tokio"
    }

    fn level(&self, spec: Fds) -> Option<Measured> {
        let runtime = runtime();
        let fds = spec.open();
        Some(runtime.block_on(async {
            let sum = Arc::new(Sum::default());
            for fd in &fds {
                tokio::spawn(read_all(watch(Arc::clone(fd)), Arc::clone(&sum)));
            }
            let written = spec.written(&fds);
            let turn = async || {
                sum.expect(spec.sum_per_turn());
                for &(fd, value) in &written {
                    super::write(fd, value);
                }
                sum.reach().await;
            };
            turn().await;
            let meter = Meter::start();
            for _ in 0..spec.turns {
                turn().await;
            }
            meter.stop(sum.get() - spec.sum_per_turn())
        }))
    }

    fn edge(&self, spec: Fds) -> Option<Measured> {
        let runtime = runtime();
        let fds = spec.open();
        Some(runtime.block_on(async {
            let sum = Arc::new(Sum::default());
            for fd in &fds {
                tokio::spawn(count_all(watch(Arc::clone(fd)), Arc::clone(&sum)));
            }
            tokio::task::yield_now().await;
            let written = spec.written(&fds);
            let mut elapsed = Duration::ZERO;
            for _ in 0..spec.turns {
                sum.expect(spec.ready as u64);
                for &(fd, value) in &written {
                    super::write(fd, value);
                }
                let meter = Meter::start();
                sum.reach().await;
                elapsed += meter.stop(0).elapsed;
            }
            Measured { elapsed, allocations: 0, sum: sum.get() }
        }))
    }

    fn channel(&self, messages: u64) -> Option<Measured> {
        let runtime = runtime();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let send = |sender: &UnboundedSender<u64>, n| sender.send(n).expect("the loop receives");
        Some(super::with_sender(messages, sender, send, || {
            runtime.block_on(async {
                let (mut sum, mut count) = (0, 0);
                while count < messages {
                    sum += receiver.recv().await.expect("a sender lives");
                    count += 1;
                }
                sum
            })
        }))
    }

    fn self_send(&self, messages: u64) -> Option<Measured> {
        let runtime = runtime();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        Some(runtime.block_on(async {
            let meter = Meter::start();
            sender.send(0).expect("the loop receives");
            let (mut sum, mut count) = (0, 0);
            while count < messages {
                let n = receiver.recv().await.expect("a sender lives");
                sum += n;
                count += 1;
                if n + 1 < messages {
                    sender.send(n + 1).expect("the loop receives");
                }
            }
            meter.stop(sum)
        }))
    }

    fn many_channels(&self, channels: usize, each: usize, turns: usize) -> Option<Measured> {
        let runtime = runtime();
        Some(runtime.block_on(async {
            let sum = Arc::new(Sum::default());
            let senders: Vec<_> = (0..channels)
                .map(|_| {
                    let (sender, mut receiver) = mpsc::unbounded_channel();
                    let sum = Arc::clone(&sum);
                    tokio::spawn(async move {
                        while let Some(n) = receiver.recv().await {
                            sum.add(n);
                        }
                    });
                    sender
                })
                .collect();
            let turn = async || {
                sum.expect((channels * each) as u64);
                for sender in &senders {
                    for _ in 0..each {
                        sender.send(1_u64).expect("the loop receives");
                    }
                }
                sum.reach().await;
            };
            turn().await;
            let meter = Meter::start();
            for _ in 0..turns {
                turn().await;
            }
            meter.stop(sum.get() - (channels * each) as u64)
        }))
    }

    fn ping_pong(&self, trips: u64) -> Option<Measured> {
        let ping = Arc::new(Notify::new());
        let pong = Arc::new(Notify::new());
        let (ping2, pong2) = (Arc::clone(&ping), Arc::clone(&pong));
        let run = move |own: Arc<Notify>, answer: Arc<Notify>, starts: bool, ready: &dyn Fn()| {
            let runtime = runtime();
            runtime.block_on(async {
                ready();
                if starts {
                    answer.notify_one();
                }
                let mut count = 0;
                while count < trips {
                    own.notified().await;
                    count += 1;
                    if !starts || count < trips {
                        answer.notify_one();
                    }
                }
                count
            })
        };
        Some(super::on_one_cpu(
            move |ready| run(pong, ping, true, ready),
            move |ready| {
                run(ping2, pong2, false, ready);
            },
        ))
    }

    fn ping_burst(&self, pings: usize, turns: usize) -> Option<Measured> {
        let runtime = runtime();
        Some(runtime.block_on(async {
            let ping = Arc::new(Notify::new());
            let sum = Arc::new(Sum::default());
            tokio::spawn({
                let (ping, sum) = (Arc::clone(&ping), Arc::clone(&sum));
                async move {
                    loop {
                        ping.notified().await;
                        sum.add(1);
                    }
                }
            });
            tokio::task::yield_now().await;
            let meter = Meter::start();
            for _ in 0..turns {
                sum.expect(1);
                for _ in 0..pings {
                    ping.notify_one();
                }
                sum.reach().await;
                // The task may have been woken, and then pinged once more.
                tokio::task::yield_now().await;
            }
            let measured = meter.stop(0);
            Measured {
                // Pings that came after the task was woken are one event more.
                sum: sum.get().min(turns as u64),
                ..measured
            }
        }))
    }

    fn ping_self(&self, turns: usize) -> Option<Measured> {
        self.ping_burst(1, turns)
    }

    fn timers(&self, deadlines: &[Instant]) -> Option<Bulk> {
        let runtime = runtime();
        let _guard = runtime.enter();
        let mut keys = Vec::with_capacity(deadlines.len());
        let mut queue = DelayQueue::new();
        let live = alloc::live();
        let meter = Meter::start();
        for (n, &deadline) in deadlines.iter().enumerate() {
            keys.push(queue.insert_at(callback(n), deadline.into()));
        }
        let insert = meter.stop(0).elapsed;
        let bytes = alloc::live().wrapping_sub(live);
        let meter = Meter::start();
        let mut sum = 0;
        for key in keys {
            sum += u64::from(queue.try_remove(&key).is_some());
        }
        let remove = meter.stop(0).elapsed;
        Some(Bulk { insert, remove, bytes, sum })
    }

    fn fire(&self, batches: &[Vec<Instant>]) -> Option<Measured> {
        let runtime = runtime();
        runtime.block_on(async {
            let mut queue = DelayQueue::new();
            let mut last = None;
            for deadlines in batches {
                for (n, &deadline) in deadlines.iter().enumerate() {
                    queue.insert_at(callback(n), deadline.into());
                }
                super::sleep_past(deadlines);
                let meter = Meter::start();
                let mut state = (0, 0);
                while let Some(expired) = poll_fn(|cx| queue.poll_expired(cx)).await {
                    let mut callback = expired.into_inner();
                    callback(&mut state);
                }
                last = Some(meter.stop(state.0));
            }
            last
        })
    }

    fn rearm(&self, others: usize, times: usize) -> Option<Measured> {
        let runtime = runtime();
        Some(runtime.block_on(async {
            let far = super::far_deadlines();
            for &deadline in far.iter().cycle().take(others) {
                tokio::spawn(tokio::time::sleep_until(deadline.into()));
            }
            tokio::task::yield_now().await;
            let mut timer = pin!(tokio::time::sleep_until(far[0].into()));
            // It is with the timer wheel once it was polled.
            poll_fn(|cx| {
                assert!(timer.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            let meter = Meter::start();
            let mut sum = 0;
            for &deadline in far.iter().cycle().take(times) {
                timer.as_mut().reset(deadline.into());
                sum += 1;
            }
            meter.stop(sum)
        }))
    }

    fn lateness(&self, period: Duration, ticks: usize) -> Option<Vec<i64>> {
        let runtime = runtime();
        Some(runtime.block_on(async {
            let mut late = Vec::with_capacity(ticks);
            let mut at = Instant::now() + period;
            while late.len() < ticks {
                tokio::time::sleep_until(at.into()).await;
                late.push(super::lateness(at));
                at += period;
            }
            late
        }))
    }

    fn idle_chain(&self, length: usize) -> Option<Measured> {
        fn next(sum: Arc<Sum>, left: usize) {
            tokio::spawn(async move {
                sum.add(1);
                if left > 1 {
                    next(sum, left - 1);
                }
            });
        }
        let runtime = runtime();
        Some(runtime.block_on(async {
            let sum = Arc::new(Sum::default());
            let meter = Meter::start();
            sum.expect(length as u64);
            next(Arc::clone(&sum), length);
            sum.reach().await;
            meter.stop(sum.get())
        }))
    }

    fn idle_batch(&self, idles: usize, turns: usize) -> Option<Measured> {
        let runtime = runtime();
        let idles = idles as u64;
        Some(runtime.block_on(async {
            let sum = Arc::new(Sum::default());
            let meter = Meter::start();
            for _ in 0..turns {
                sum.expect(idles * (idles - 1) / 2);
                for n in 0..idles {
                    let sum = Arc::clone(&sum);
                    tokio::spawn(async move { sum.add(n) });
                }
                sum.reach().await;
            }
            meter.stop(sum.get())
        }))
    }

    fn fd_churn(&self, others: usize, times: usize) -> Option<Measured> {
        let runtime = runtime();
        let _guard = runtime.enter();
        let _others: Vec<_> = (0..others).map(|_| watch(Arc::new(super::eventfd()))).collect();
        let fd = Arc::new(super::eventfd());
        let meter = Meter::start();
        for _ in 0..times {
            drop(watch(Arc::clone(&fd)));
        }
        Some(meter.stop(times as u64))
    }

    fn channel_churn(&self, times: usize) -> Option<Measured> {
        let runtime = runtime();
        Some(runtime.block_on(async {
            let meter = Meter::start();
            let mut sum = 0;
            for _ in 0..times {
                let (sender, mut receiver) = mpsc::unbounded_channel::<u64>();
                let task = tokio::spawn(async move { while receiver.recv().await.is_some() {} });
                drop(sender);
                sum += u64::from(task.await.is_ok());
            }
            meter.stop(sum)
        }))
    }
}
