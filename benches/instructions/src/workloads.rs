//! What is counted, by the public API with its defaults. Each workload checks that its work was done.

use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use soloop::{
    EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction, TimeoutAction, Timer,
    channel, make_ping,
};

pub struct Workload {
    pub name: &'static str,
    /// Of the shorter run.
    pub operations: u64,
    run: fn(u64),
}

pub const WORKLOADS: &[Workload] = &[
    Workload { name: "dispatch-empty", operations: 2_000, run: dispatch_empty },
    Workload { name: "fd-level", operations: 2_000, run: fd_level },
    Workload { name: "fd-edge-100", operations: 20_000, run: fd_edge },
    Workload { name: "fd-churn", operations: 2_000, run: fd_churn },
    Workload { name: "channel-churn", operations: 2_000, run: channel_churn },
    Workload { name: "channel-self", operations: 20_000, run: channel_self },
    Workload { name: "channel-1000", operations: 20_000, run: channel_many },
    Workload { name: "channel-1000-unobserved", operations: 20_000, run: channel_many_unobserved },
    Workload { name: "channel-1000-observed", operations: 20_000, run: channel_many_observed },
    Workload { name: "ping-burst", operations: 50_000, run: ping_burst },
    Workload { name: "ping-self", operations: 5_000, run: ping_self },
    Workload { name: "timer-insert", operations: 20_000, run: timer_insert },
    Workload { name: "timer-cancel", operations: 20_000, run: timer_cancel },
    Workload { name: "timer-fire", operations: 20_000, run: timer_fire },
    Workload { name: "timer-move", operations: 10_000, run: timer_move },
    Workload { name: "timer-update", operations: 10_000, run: timer_update },
    Workload { name: "timer-repeat", operations: 5_000, run: timer_repeat },
    Workload { name: "idle-chain", operations: 5_000, run: idle_chain },
    Workload { name: "idle-1000", operations: 20_000, run: idle_batch },
];

pub fn run(name: &str, operations: u64) {
    let workload = WORKLOADS.iter().find(|workload| workload.name == name);
    (workload.expect("the name of a workload").run)(operations);
}

struct State {
    handle: LoopHandle<State>,
    count: u64,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn new() -> (EventLoop<State>, State) {
    let (mut event_loop, handle) = EventLoop::new().expect("a loop");
    // Under valgrind a round has no time for all that a workload asks of it.
    event_loop.set_round_time(Duration::MAX);
    (event_loop, State { handle, count: 0 })
}

fn counter() -> OwnedFd {
    eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).expect("an eventfd")
}

fn add(fd: &OwnedFd) {
    rustix::io::write(fd, &1_u64.to_ne_bytes()).expect("a counter takes one more");
}

fn watch(state: &mut State, fd: OwnedFd, mode: Mode) -> soloop::Token<Generic<OwnedFd>> {
    let source = Generic::new(fd, Interest::READ, mode);
    let token = state.handle.insert_source(source, |ready, state: &mut State| {
        rustix::io::read(&*ready.io, &mut [0; 8])?;
        state.count += 1;
        Ok(PostAction::Continue)
    });
    token.expect("an eventfd can be watched")
}

fn dispatch_empty(times: u64) {
    let (mut event_loop, mut state) = new();
    for _ in 0..times {
        event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
    }
}

fn fd_level(times: u64) {
    let (mut event_loop, mut state) = new();
    let fd = counter();
    watch(&mut state, fd.try_clone().expect("a duplicate"), Mode::Level);
    for _ in 0..times {
        add(&fd);
        event_loop.dispatch(None, &mut state).expect("dispatch");
    }
    assert_eq!(state.count, times);
}

fn fd_edge(events: u64) {
    let (mut event_loop, mut state) = new();
    let fds: Vec<_> = (0..100).map(|_| counter()).collect();
    for fd in &fds {
        let fd = fd.try_clone().expect("a duplicate");
        let source = Generic::new(fd, Interest::READ, Mode::Edge);
        let token = state.handle.insert_source(source, |_ready, state: &mut State| {
            state.count += 1;
            Ok(PostAction::Continue)
        });
        token.expect("an eventfd can be watched");
    }
    while state.count < events {
        fds.iter().for_each(add);
        event_loop.dispatch(None, &mut state).expect("dispatch");
    }
    assert_eq!(state.count, events);
}

fn fd_churn(times: u64) {
    let (mut event_loop, mut state) = new();
    let fd = counter();
    for _ in 0..times {
        let token = watch(&mut state, fd.try_clone().expect("a duplicate"), Mode::Level);
        assert!(state.handle.remove(token));
        event_loop.apply_pending(&mut state).expect("removal");
    }
}

fn channel_churn(times: u64) {
    let (mut event_loop, mut state) = new();
    for _ in 0..times {
        let (sender, channel) = channel::<u64>();
        let token = state.handle.insert_source(channel, |_, state: &mut State| state.count += 1);
        assert!(state.handle.remove(token.expect("a channel")));
        event_loop.apply_pending(&mut state).expect("removal");
        drop(sender);
    }
}

fn channel_self(messages: u64) {
    let (mut event_loop, mut state) = new();
    let (sender, channel) = channel();
    let own = sender.clone();
    let token = state.handle.insert_source(channel, move |event, state: &mut State| {
        if let channel::Event::Msg(n) = event {
            state.count += 1;
            own.send(n + 1).expect("the loop receives");
        }
    });
    token.expect("a channel");
    sender.send(0_u64).expect("the loop receives");
    while state.count < messages {
        event_loop.dispatch(None, &mut state).expect("dispatch");
    }
}

fn channel_many(messages: u64) {
    send_through_many(messages, |_| ());
}

/// Whoever observed is gone: costs what a loop costs that never was observed.
fn channel_many_unobserved(messages: u64) {
    send_through_many(messages, |event_loop| {
        event_loop.enable_stats(true);
        event_loop.enable_stats(false);
    });
}

fn channel_many_observed(messages: u64) {
    send_through_many(messages, |event_loop| event_loop.enable_stats(true));
}

fn send_through_many(messages: u64, prepare: impl FnOnce(&mut EventLoop<State>)) {
    let (mut event_loop, mut state) = new();
    prepare(&mut event_loop);
    let senders: Vec<_> = (0..1000)
        .map(|_| {
            let (sender, channel) = channel();
            let token = state.handle.insert_source(channel, |event, state: &mut State| {
                if let channel::Event::Msg(n) = event {
                    state.count += n;
                }
            });
            token.expect("a channel");
            sender
        })
        .collect();
    while state.count < messages {
        for sender in &senders {
            sender.send(1_u64).expect("the loop receives");
        }
        event_loop.dispatch(None, &mut state).expect("dispatch");
    }
    assert_eq!(state.count, messages);
}

fn ping_burst(pings: u64) {
    let (mut event_loop, mut state) = new();
    let (ping, source) = make_ping();
    let token = state.handle.insert_source(source, |(), state: &mut State| state.count += 1);
    token.expect("a ping");
    for _ in 0..pings / 1000 {
        for _ in 0..1000 {
            ping.ping();
        }
        event_loop.dispatch(None, &mut state).expect("dispatch");
    }
    assert_eq!(state.count, pings / 1000);
}

fn ping_self(times: u64) {
    let (mut event_loop, mut state) = new();
    let (ping, source) = make_ping();
    let token = state.handle.insert_source(source, |(), state: &mut State| state.count += 1);
    token.expect("a ping");
    for _ in 0..times {
        ping.ping();
        event_loop.dispatch(None, &mut state).expect("dispatch");
    }
    assert_eq!(state.count, times);
}

/// Deadlines without order, from `start` on.
fn scattered(start: Instant, timers: u64) -> impl Iterator<Item = Instant> {
    // A multiplicative hash scatters its multiples.
    (0..timers).map(move |n| {
        start + Duration::from_micros(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000)
    })
}

fn insert_timers(
    state: &mut State,
    deadlines: impl Iterator<Item = Instant>,
) -> Vec<soloop::Token<Timer>> {
    deadlines
        .enumerate()
        .map(|(n, deadline)| {
            let timer = Timer::from_deadline(deadline);
            let token = state.handle.insert_source(timer, move |_, state: &mut State| {
                // It captures something, as callbacks do.
                state.count += 1 + n as u64 / u64::MAX;
                TimeoutAction::Drop
            });
            token.expect("a timer")
        })
        .collect()
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

fn timer_insert(timers: u64) {
    let (mut event_loop, mut state) = new();
    let tokens = insert_timers(&mut state, scattered(far(), timers));
    event_loop.apply_pending(&mut state).expect("insertion");
    assert!(tokens.iter().all(|&token| state.handle.contains(token)));
    // What is left of them is not the matter here.
    std::mem::forget((event_loop, state));
}

fn timer_cancel(timers: u64) {
    let (mut event_loop, mut state) = new();
    let tokens = insert_timers(&mut state, scattered(far(), timers));
    event_loop.apply_pending(&mut state).expect("insertion");
    assert!(tokens.into_iter().all(|token| state.handle.remove(token)));
    event_loop.apply_pending(&mut state).expect("removal");
}

fn timer_fire(timers: u64) {
    let (mut event_loop, mut state) = new();
    let past = Instant::now() - Duration::from_secs(2);
    insert_timers(&mut state, scattered(past, timers));
    event_loop.dispatch(None, &mut state).expect("dispatch");
    assert_eq!(state.count, timers);
}

fn timer_move(times: u64) {
    let (mut event_loop, mut state) = new();
    let tokens = insert_timers(&mut state, scattered(far(), 1000));
    event_loop.apply_pending(&mut state).expect("insertion");
    for deadline in scattered(far(), times) {
        assert!(state.handle.set_deadline(tokens[0], deadline));
    }
    event_loop.apply_pending(&mut state).expect("a move");
}

fn timer_update(times: u64) {
    let (mut event_loop, mut state) = new();
    let tokens = insert_timers(&mut state, scattered(far(), 1000));
    event_loop.apply_pending(&mut state).expect("insertion");
    for deadline in scattered(far(), times) {
        state.handle.update(tokens[0], move |timer| timer.set_deadline(deadline));
        event_loop.apply_pending(&mut state).expect("update");
    }
}

fn timer_repeat(times: u64) {
    let (mut event_loop, mut state) = new();
    let timer = Timer::immediate();
    let token = state.handle.insert_source(timer, |deadline, state: &mut State| {
        state.count += 1;
        TimeoutAction::ToInstant(deadline)
    });
    token.expect("a timer");
    for _ in 0..times {
        event_loop.dispatch(None, &mut state).expect("dispatch");
    }
    assert_eq!(state.count, times);
}

fn idle_chain(length: u64) {
    fn next(state: &mut State) {
        state.count += 1;
        state.handle.insert_idle(next);
    }
    let (mut event_loop, mut state) = new();
    state.handle.insert_idle(next);
    for _ in 0..length {
        event_loop.dispatch(None, &mut state).expect("dispatch");
    }
    assert_eq!(state.count, length);
}

fn idle_batch(idles: u64) {
    let (mut event_loop, mut state) = new();
    for _ in 0..idles / 1000 {
        for n in 0..1000 {
            state.handle.insert_idle(move |state| state.count += 1 + n / u64::MAX);
        }
        event_loop.dispatch(None, &mut state).expect("dispatch");
    }
    assert_eq!(state.count, idles);
}
