//! calloop 0.14, by its own sources.

use std::sync::Arc;
use std::time::{Duration, Instant};

use calloop::channel::{self, Sender, channel};
use calloop::generic::Generic;
use calloop::ping::{Ping, PingSource, make_ping};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Dispatcher, EventLoop, Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use rustix::fd::OwnedFd;

use super::{Bulk, Fds, Hosting, Measured, Meter, Peer};
use crate::alloc;

pub struct Calloop;

#[derive(Default)]
struct State {
    sum: u64,
    count: u64,
    sender: Option<Sender<u64>>,
    handle: Option<LoopHandle<'static, State>>,
}

fn new() -> (EventLoop<'static, State>, State) {
    (EventLoop::try_new().expect("a loop"), State::default())
}

#[inline(always)]
fn watch(handle: &LoopHandle<'static, State>, fd: Arc<OwnedFd>) -> RegistrationToken {
    let source = Generic::new(fd, Interest::READ, Mode::Level);
    let token = handle.insert_source(source, |_, fd, state: &mut State| {
        state.sum += super::read(&***fd);
        state.count += 1;
        Ok(PostAction::Continue)
    });
    token.expect("an eventfd can be watched")
}

fn insert_timer(
    handle: &LoopHandle<'static, State>,
    n: usize,
    deadline: Instant,
) -> RegistrationToken {
    let callback = move |_: Instant, _: &mut (), state: &mut State| {
        state.sum += n as u64;
        state.count += 1;
        TimeoutAction::Drop
    };
    let token = handle.insert_source(Timer::from_deadline(deadline), callback);
    token.expect("a timer")
}

fn insert_ping(handle: &LoopHandle<'static, State>, source: PingSource) -> RegistrationToken {
    let token = handle.insert_source(source, |(), _, state: &mut State| state.sum += 1);
    token.expect("a ping")
}

impl Peer for Calloop {
    fn name(&self) -> &'static str {
        "calloop"
    }

    fn level(&self, spec: Fds) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let fds = spec.open();
        for fd in &fds {
            watch(&event_loop.handle(), Arc::clone(fd));
        }
        let written = spec.written(&fds);
        let mut turn = || {
            let until = state.count + spec.ready as u64;
            for &(fd, value) in &written {
                super::write(fd, value);
            }
            while state.count < until {
                event_loop.dispatch(None, &mut state).expect("dispatch");
            }
        };
        turn();
        let meter = Meter::start();
        (0..spec.turns).for_each(|_| turn());
        Some(meter.stop(state.sum - spec.sum_per_turn()))
    }

    fn hosting(&self, spec: Hosting) -> Option<Measured> {
        self.level(Fds { watched: 1, ready: 1, turns: spec.turns })
    }

    fn edge(&self, spec: Fds) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let fds = spec.open();
        for fd in &fds {
            let source = Generic::new(Arc::clone(fd), Interest::READ, Mode::Edge);
            let token = event_loop.handle().insert_source(source, |_, _, state: &mut State| {
                state.sum += 1;
                Ok(PostAction::Continue)
            });
            token.expect("an eventfd can be watched");
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
                event_loop.dispatch(None, &mut state).expect("dispatch");
            }
            elapsed += meter.stop(0).elapsed;
        }
        Some(Measured { elapsed, allocations: 0, sum: state.sum })
    }

    fn empty(&self, sources: usize, turns: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        for _ in 0..sources {
            watch(&event_loop.handle(), Arc::new(super::eventfd()));
        }
        let meter = Meter::start();
        for _ in 0..turns {
            event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
        }
        Some(meter.stop(state.sum))
    }

    fn channel(&self, messages: u64) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let (sender, channel) = channel();
        let token = event_loop.handle().insert_source(channel, |event, _, state: &mut State| {
            if let channel::Event::Msg(n) = event {
                state.sum += n;
                state.count += 1;
            }
        });
        token.expect("a channel");
        let send = |sender: &Sender<u64>, n| sender.send(n).expect("the loop receives");
        Some(super::with_sender(messages, sender, send, || {
            while state.count < messages {
                event_loop.dispatch(None, &mut state).expect("dispatch");
            }
            state.sum
        }))
    }

    fn self_send(&self, messages: u64) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let (sender, channel) = channel();
        let token =
            event_loop.handle().insert_source(channel, move |event, _, state: &mut State| {
                if let channel::Event::Msg(n) = event {
                    state.sum += n;
                    state.count += 1;
                    if n + 1 < messages
                        && let Some(sender) = &state.sender
                    {
                        sender.send(n + 1).expect("the loop receives");
                    }
                }
            });
        token.expect("a channel");
        let meter = Meter::start();
        sender.send(0).expect("the loop receives");
        state.sender = Some(sender);
        while state.count < messages {
            event_loop.dispatch(None, &mut state).expect("dispatch");
        }
        Some(meter.stop(state.sum))
    }

    fn many_channels(&self, channels: usize, each: usize, turns: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let senders: Vec<Sender<u64>> = (0..channels)
            .map(|_| {
                let (sender, channel) = channel();
                let token =
                    event_loop.handle().insert_source(channel, |event, _, state: &mut State| {
                        if let channel::Event::Msg(n) = event {
                            state.sum += n;
                        }
                    });
                token.expect("a channel");
                sender
            })
            .collect();
        let mut turn = || {
            let until = state.sum + (channels * each) as u64;
            for sender in &senders {
                for _ in 0..each {
                    sender.send(1).expect("the loop receives");
                }
            }
            while state.sum < until {
                event_loop.dispatch(None, &mut state).expect("dispatch");
            }
        };
        turn();
        let meter = Meter::start();
        (0..turns).for_each(|_| turn());
        Some(meter.stop(state.sum - (channels * each) as u64))
    }

    fn ping_pong(&self, trips: u64) -> Option<Measured> {
        let (ping, pinged) = make_ping().expect("a ping");
        let (pong, ponged) = make_ping().expect("a ping");
        let run = move |source, answer: Ping, starts: bool, ready: &dyn Fn()| {
            let (mut event_loop, mut state) = new();
            let first = starts.then(|| answer.clone());
            let token =
                event_loop.handle().insert_source(source, move |(), _, state: &mut State| {
                    state.sum += 1;
                    if !starts || state.sum < trips {
                        answer.ping();
                    }
                });
            token.expect("a ping");
            ready();
            if let Some(first) = first {
                first.ping();
            }
            while state.sum < trips {
                event_loop.dispatch(None, &mut state).expect("dispatch");
            }
            state.sum
        };
        Some(super::on_one_cpu(
            move |ready| run(ponged, ping, true, ready),
            move |ready| {
                run(pinged, pong, false, ready);
            },
        ))
    }

    fn ping_burst(&self, pings: usize, turns: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let (ping, source) = make_ping().expect("a ping");
        insert_ping(&event_loop.handle(), source);
        let meter = Meter::start();
        for _ in 0..turns {
            for _ in 0..pings {
                ping.ping();
            }
            event_loop.dispatch(None, &mut state).expect("dispatch");
        }
        Some(meter.stop(state.sum))
    }

    fn ping_self(&self, turns: usize) -> Option<Measured> {
        self.ping_burst(1, turns)
    }

    fn timers(&self, deadlines: &[Instant]) -> Option<Bulk> {
        let (mut event_loop, mut state) = new();
        let handle = event_loop.handle();
        let mut tokens = Vec::with_capacity(deadlines.len());
        let live = alloc::live();
        let meter = Meter::start();
        for (n, &deadline) in deadlines.iter().enumerate() {
            tokens.push(insert_timer(&handle, n, deadline));
        }
        let insert = meter.stop(0).elapsed;
        let bytes = alloc::live().wrapping_sub(live);
        let meter = Meter::start();
        let mut sum = 0;
        for token in tokens {
            handle.remove(token);
            sum += 1;
        }
        let remove = meter.stop(0).elapsed;
        event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
        assert_eq!(state.count, 0);
        Some(Bulk { insert, remove, bytes, sum })
    }

    fn fire(&self, batches: &[Vec<Instant>]) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let handle = event_loop.handle();
        let fire = |deadlines: &Vec<Instant>| {
            (state.sum, state.count) = (0, 0);
            for (n, &deadline) in deadlines.iter().enumerate() {
                insert_timer(&handle, n, deadline);
            }
            super::sleep_past(deadlines);
            let meter = Meter::start();
            while state.count < deadlines.len() as u64 {
                event_loop.dispatch(None, &mut state).expect("dispatch");
            }
            meter.stop(state.sum)
        };
        batches.iter().map(fire).last()
    }

    fn rearm(&self, others: usize, times: usize) -> Option<Measured> {
        let (event_loop, _state) = new();
        let handle = event_loop.handle();
        let far = super::far_deadlines();
        for (n, &deadline) in far.iter().cycle().take(others).enumerate() {
            insert_timer(&handle, n, deadline);
        }
        let timer = Dispatcher::new(
            Timer::from_deadline(far[0]),
            |_: Instant, _: &mut (), state: &mut State| {
                state.sum += 1;
                TimeoutAction::Drop
            },
        );
        let token = handle.register_dispatcher(timer.clone()).expect("a timer");
        let meter = Meter::start();
        let mut sum = 0;
        for &deadline in far.iter().cycle().take(times) {
            timer.as_source_mut().set_deadline(deadline);
            sum += u64::from(handle.update(&token).is_ok());
        }
        Some(meter.stop(sum))
    }

    fn lateness(&self, period: Duration, ticks: usize) -> Option<Vec<i64>> {
        let mut event_loop: EventLoop<'static, Vec<i64>> = EventLoop::try_new().expect("a loop");
        let mut late = Vec::with_capacity(ticks);
        let timer = Timer::from_deadline(Instant::now() + period);
        let token =
            event_loop.handle().insert_source(timer, move |deadline, _, late: &mut Vec<i64>| {
                late.push(super::lateness(deadline));
                TimeoutAction::ToInstant(deadline + period)
            });
        token.expect("a timer");
        while late.len() < ticks {
            event_loop.dispatch(None, &mut late).expect("dispatch");
        }
        Some(late)
    }

    fn self_rearm(&self, times: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let token = event_loop.handle().insert_source(
            Timer::immediate(),
            |deadline, _, state: &mut State| {
                state.sum += 1;
                TimeoutAction::ToInstant(deadline)
            },
        );
        token.expect("a timer");
        event_loop.dispatch(None, &mut state).expect("dispatch");
        let before = state.sum;
        let meter = Meter::start();
        for _ in 0..times {
            event_loop.dispatch(None, &mut state).expect("dispatch");
        }
        Some(meter.stop(state.sum - before))
    }

    fn idle_chain(&self, length: usize) -> Option<Measured> {
        fn next(state: &mut State) {
            state.sum += 1;
            if let Some(handle) = &state.handle {
                handle.insert_idle(next);
            }
        }
        let (mut event_loop, mut state) = new();
        let handle = event_loop.handle();
        handle.insert_idle(next);
        state.handle = Some(handle);
        let meter = Meter::start();
        while state.sum < length as u64 {
            event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
        }
        let measured = meter.stop(state.sum);
        state.handle = None;
        Some(measured)
    }

    fn idle_batch(&self, idles: usize, turns: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let handle = event_loop.handle();
        let meter = Meter::start();
        for _ in 0..turns {
            for n in 0..idles as u64 {
                handle.insert_idle(move |state| state.sum += n);
            }
            event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
        }
        Some(meter.stop(state.sum))
    }

    fn fd_churn(&self, others: usize, times: usize) -> Option<Measured> {
        let (event_loop, _state) = new();
        let handle = event_loop.handle();
        for _ in 0..others {
            watch(&handle, Arc::new(super::eventfd()));
        }
        let fd = Arc::new(super::eventfd());
        let meter = Meter::start();
        for _ in 0..times {
            let token = watch(&handle, Arc::clone(&fd));
            handle.remove(token);
        }
        Some(meter.stop(times as u64))
    }

    fn pings(&self, order: &[usize]) -> Option<Bulk> {
        let (event_loop, _state) = new();
        let handle = event_loop.handle();
        let (pings, sources): (Vec<_>, Vec<_>) =
            order.iter().map(|_| make_ping().expect("a ping")).unzip();
        let mut tokens = Vec::with_capacity(order.len());
        let live = alloc::live();
        let meter = Meter::start();
        for source in sources {
            tokens.push(insert_ping(&handle, source));
        }
        let insert = meter.stop(0).elapsed;
        let bytes = alloc::live().wrapping_sub(live);
        let meter = Meter::start();
        for &n in order {
            handle.remove(tokens[n]);
        }
        let remove = meter.stop(0).elapsed;
        drop(pings);
        Some(Bulk { insert, remove, bytes, sum: order.len() as u64 })
    }

    fn channel_churn(&self, times: usize) -> Option<Measured> {
        let (event_loop, _state) = new();
        let handle = event_loop.handle();
        let meter = Meter::start();
        for _ in 0..times {
            let (sender, channel) = channel::<u64>();
            let token = handle.insert_source(channel, |event, _, state: &mut State| {
                if let channel::Event::Msg(n) = event {
                    state.sum += n;
                }
            });
            handle.remove(token.expect("a channel"));
            drop(sender);
        }
        Some(meter.stop(times as u64))
    }
}
