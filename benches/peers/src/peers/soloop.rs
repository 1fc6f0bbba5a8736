//! soloop, by its public API with its defaults.

use std::sync::Arc;
use std::time::{Duration, Instant};

use soloop::{
    EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, Ping, PingSource, PostAction, Sender,
    TimeoutAction, Timer, Token, channel, make_ping,
};

use super::{Bulk, Fds, Hosting, Measured, Meter, Peer};
use crate::alloc;
use rustix::fd::OwnedFd;

pub struct Soloop;

struct State {
    handle: LoopHandle<State>,
    sum: u64,
    count: u64,
    sender: Option<Sender<u64>>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn new() -> (EventLoop<State>, State) {
    let (event_loop, handle) = EventLoop::new().expect("a loop");
    let state = State { handle, sum: 0, count: 0, sender: None };
    (event_loop, state)
}

/// Watches `fd` for reading.
#[inline(always)]
fn watch(state: &mut State, fd: Arc<OwnedFd>) -> Token<Generic<Arc<OwnedFd>>> {
    let source = Generic::new(fd, Interest::READ, Mode::Level);
    let token = state.handle.insert_source(source, |ready, state: &mut State| {
        state.sum += super::read(&**ready.io);
        state.count += 1;
        Ok(PostAction::Continue)
    });
    token.expect("an eventfd can be watched")
}

fn insert_timers(state: &mut State, deadlines: &[Instant]) -> Vec<Token<Timer>> {
    let mut tokens = Vec::with_capacity(deadlines.len());
    insert_timers_into(&mut tokens, state, deadlines);
    tokens
}

fn insert_timers_into(tokens: &mut Vec<Token<Timer>>, state: &mut State, deadlines: &[Instant]) {
    for (n, &deadline) in deadlines.iter().enumerate() {
        let callback = move |_deadline: Instant, state: &mut State| {
            state.sum += n as u64;
            state.count += 1;
            TimeoutAction::Drop
        };
        let token = state.handle.insert_source(Timer::from_deadline(deadline), callback);
        tokens.push(token.expect("a timer"));
    }
}

fn insert_ping(state: &mut State, source: PingSource) -> Token<PingSource> {
    let token = state.handle.insert_source(source, |(), state: &mut State| state.sum += 1);
    token.expect("a ping")
}

fn insert_pings(
    event_loop: &mut EventLoop<State>,
    state: &mut State,
    n: usize,
) -> (Vec<Ping>, Vec<Token<PingSource>>) {
    let insert = |_| {
        let (ping, source) = make_ping();
        (ping, insert_ping(state, source))
    };
    let inserted = (0..n).map(insert).unzip();
    event_loop.apply_pending(state).expect("insertion");
    inserted
}

impl Peer for Soloop {
    fn name(&self) -> &'static str {
        "soloop"
    }

    fn level(&self, spec: Fds) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let fds = spec.open();
        for fd in &fds {
            watch(&mut state, Arc::clone(fd));
        }
        event_loop.apply_pending(&mut state).expect("insertion");
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
            let token = state.handle.insert_source(source, |_, state: &mut State| {
                state.sum += 1;
                Ok(PostAction::Continue)
            });
            token.expect("an eventfd can be watched");
        }
        event_loop.apply_pending(&mut state).expect("insertion");
        let written = spec.written(&fds);
        let mut elapsed = Duration::ZERO;
        let mut allocations = 0;
        for _ in 0..spec.turns {
            let until = state.sum + spec.ready as u64;
            for &(fd, value) in &written {
                super::write(fd, value);
            }
            let meter = Meter::start();
            while state.sum < until {
                event_loop.dispatch(None, &mut state).expect("dispatch");
            }
            let measured = meter.stop(0);
            elapsed += measured.elapsed;
            allocations += measured.allocations;
        }
        Some(Measured { elapsed, allocations, sum: state.sum })
    }

    fn empty(&self, sources: usize, turns: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        for _ in 0..sources {
            watch(&mut state, Arc::new(super::eventfd()));
        }
        event_loop.apply_pending(&mut state).expect("insertion");
        let meter = Meter::start();
        for _ in 0..turns {
            event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
        }
        Some(meter.stop(state.sum))
    }

    fn channel(&self, messages: u64) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let (sender, channel) = channel();
        let token = state.handle.insert_source(channel, |event, state: &mut State| {
            if let channel::Event::Msg(n) = event {
                state.sum += n;
                state.count += 1;
            }
        });
        token.expect("a channel");
        event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
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
        let token = state.handle.insert_source(channel, move |event, state: &mut State| {
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
        event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
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
                let token = state.handle.insert_source(channel, |event, state: &mut State| {
                    if let channel::Event::Msg(n) = event {
                        state.sum += n;
                    }
                });
                token.expect("a channel");
                sender
            })
            .collect();
        event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
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
        let (ping, pinged) = make_ping();
        let (pong, ponged) = make_ping();
        let run = move |source, answer: Ping, starts: bool, ready: &dyn Fn()| {
            let (mut event_loop, mut state) = new();
            let first = starts.then(|| answer.clone());
            let token = state.handle.insert_source(source, move |(), state: &mut State| {
                state.sum += 1;
                if !starts || state.sum < trips {
                    answer.ping();
                }
            });
            token.expect("a ping");
            event_loop.apply_pending(&mut state).expect("insertion");
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
        let (ping, source) = make_ping();
        insert_ping(&mut state, source);
        event_loop.apply_pending(&mut state).expect("insertion");
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
        let mut tokens = Vec::with_capacity(deadlines.len());
        let live = alloc::live();
        let meter = Meter::start();
        insert_timers_into(&mut tokens, &mut state, deadlines);
        event_loop.apply_pending(&mut state).expect("insertion");
        let insert = meter.stop(0).elapsed;
        let bytes = alloc::live().wrapping_sub(live);
        let meter = Meter::start();
        let mut sum = 0;
        for token in tokens {
            sum += u64::from(state.handle.remove(token));
        }
        event_loop.apply_pending(&mut state).expect("removal");
        let remove = meter.stop(0).elapsed;
        event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
        assert_eq!(state.count, 0);
        Some(Bulk { insert, remove, bytes, sum })
    }

    fn fire(&self, batches: &[Vec<Instant>]) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let fire = |deadlines: &Vec<Instant>| {
            (state.sum, state.count) = (0, 0);
            insert_timers(&mut state, deadlines);
            event_loop.apply_pending(&mut state).expect("insertion");
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
        let (mut event_loop, mut state) = new();
        let far = super::far_deadlines();
        let deadlines: Vec<_> = far.iter().copied().cycle().take(others).collect();
        insert_timers(&mut state, &deadlines);
        let token = insert_timers(&mut state, &far[..1])[0];
        event_loop.apply_pending(&mut state).expect("insertion");
        let meter = Meter::start();
        let mut sum = 0;
        for &deadline in far.iter().cycle().take(times) {
            sum += u64::from(state.handle.set_deadline(token, deadline));
        }
        event_loop.apply_pending(&mut state).expect("a move");
        let measured = meter.stop(sum);
        let last = far.iter().cycle().take(times).last().copied();
        assert_eq!(event_loop.get(token).and_then(Timer::current_deadline), last);
        Some(measured)
    }

    fn lateness(&self, period: Duration, ticks: usize) -> Option<Vec<i64>> {
        struct Late {
            handle: LoopHandle<Late>,
            late: Vec<i64>,
        }
        impl LoopData for Late {
            fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
                &mut self.handle
            }
        }
        let (mut event_loop, handle) = EventLoop::new().expect("a loop");
        let mut state = Late { handle, late: Vec::with_capacity(ticks) };
        let timer = Timer::from_deadline(Instant::now() + period);
        let token = state.handle.insert_source(timer, move |deadline, state: &mut Late| {
            state.late.push(super::lateness(deadline));
            TimeoutAction::ToInstant(deadline + period)
        });
        token.expect("a timer");
        while state.late.len() < ticks {
            event_loop.dispatch(None, &mut state).expect("dispatch");
        }
        Some(state.late)
    }

    fn self_rearm(&self, times: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let timer = Timer::immediate();
        let token = state.handle.insert_source(timer, |deadline, state: &mut State| {
            state.sum += 1;
            TimeoutAction::ToInstant(deadline)
        });
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
            state.handle.insert_idle(next);
        }
        let (mut event_loop, mut state) = new();
        state.handle.insert_idle(next);
        let meter = Meter::start();
        while state.sum < length as u64 {
            event_loop.dispatch(None, &mut state).expect("dispatch");
        }
        Some(meter.stop(state.sum))
    }

    fn idle_batch(&self, idles: usize, turns: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let meter = Meter::start();
        for _ in 0..turns {
            for n in 0..idles as u64 {
                state.handle.insert_idle(move |state| state.sum += n);
            }
            event_loop.dispatch(None, &mut state).expect("dispatch");
        }
        Some(meter.stop(state.sum))
    }

    fn fd_churn(&self, others: usize, times: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        for _ in 0..others {
            watch(&mut state, Arc::new(super::eventfd()));
        }
        event_loop.apply_pending(&mut state).expect("insertion");
        let fd = Arc::new(super::eventfd());
        let meter = Meter::start();
        let mut sum = 0;
        for _ in 0..times {
            let token = watch(&mut state, Arc::clone(&fd));
            sum += u64::from(state.handle.remove(token));
            event_loop.apply_pending(&mut state).expect("removal");
        }
        Some(meter.stop(sum))
    }

    fn pings(&self, order: &[usize]) -> Option<Bulk> {
        let (mut event_loop, mut state) = new();
        let (pings, sources): (Vec<_>, Vec<_>) = order.iter().map(|_| make_ping()).unzip();
        let mut tokens = Vec::with_capacity(order.len());
        let live = alloc::live();
        let meter = Meter::start();
        for source in sources {
            tokens.push(insert_ping(&mut state, source));
        }
        event_loop.apply_pending(&mut state).expect("insertion");
        let insert = meter.stop(0).elapsed;
        let bytes = alloc::live().wrapping_sub(live);
        let meter = Meter::start();
        let mut sum = 0;
        for &n in order {
            sum += u64::from(state.handle.remove(tokens[n]));
        }
        event_loop.apply_pending(&mut state).expect("removal");
        let remove = meter.stop(0).elapsed;
        drop(pings);
        Some(Bulk { insert, remove, bytes, sum })
    }

    fn contains(&self, order: &[usize], times: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let (_pings, tokens) = insert_pings(&mut event_loop, &mut state, order.len());
        let meter = Meter::start();
        let mut sum = 0;
        for &n in order.iter().cycle().take(times) {
            sum += u64::from(state.handle.contains(tokens[n]));
        }
        Some(meter.stop(sum))
    }

    fn visit(&self, order: &[usize], times: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let (_pings, tokens) = insert_pings(&mut event_loop, &mut state, order.len());
        let meter = Meter::start();
        for &n in order.iter().cycle().take(times) {
            state.handle.visit(tokens[n], |_source, state| state.sum += 1);
            event_loop.apply_pending(&mut state).expect("visit");
        }
        Some(meter.stop(state.sum))
    }

    fn channel_churn(&self, times: usize) -> Option<Measured> {
        let (mut event_loop, mut state) = new();
        let meter = Meter::start();
        let mut sum = 0;
        for _ in 0..times {
            let (sender, channel) = channel::<u64>();
            let token = state.handle.insert_source(channel, |event, state: &mut State| {
                if let channel::Event::Msg(n) = event {
                    state.sum += n;
                }
            });
            sum += u64::from(state.handle.remove(token.expect("a channel")));
            event_loop.apply_pending(&mut state).expect("removal");
            drop(sender);
        }
        Some(meter.stop(sum))
    }
}
