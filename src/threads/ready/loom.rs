//! Models of what other threads do to a loop. Loom runs them in every interleaving; `sync.rs` gives the command. After
//! a lost wake-up the loop waits for ever, which loom reports as a deadlock.
//!
//! The first few models use the ready queue alone. The others run a whole loop with its own dispatch; only the wait in
//! the kernel is replaced, by [`Waker::wait`](crate::sync::Waker). In each, other threads call the public API and make
//! plain, relaxed accesses beside it, which the loop has to see as well.

use std::future::{Future, poll_fn};
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Notifier, NotifierState, RawNotifier, ReadyQueue, Woken};
use crate::channel::Event;
use crate::clock::Clock;
use crate::kernel::Alarm;
use crate::threads::shared::Shared;
use crate::token::{InterestToken, WAKER};
use crate::{AnyToken, EventLoop, LoopData, LoopHandle, TimeoutAction, Timer, make_ping};

impl ReadyQueue {
    /// Replaces the wait in the kernel.
    pub(crate) fn wait_in_model(&self, timeout: Option<Duration>) -> Option<Duration> {
        self.waker.wait(timeout)
    }
}

// The ready queue.

fn shared() -> Arc<Shared> {
    let poll = mio::Poll::new().unwrap();
    let ready =
        ReadyQueue::new(mio::Waker::new(poll.registry(), mio::Token(WAKER as usize)).unwrap());
    let alarm = Alarm::new(poll.registry()).unwrap();
    Shared::new(ready, alarm, Clock::manual())
}

fn notifier_of(shared: &Arc<Shared>) -> Notifier {
    Notifier::new(RawNotifier::new(InterestToken::from_bits(WAKER), Arc::clone(shared)))
}

/// Uses the ready queue as `EventLoop::poll` does in a dispatch.
fn wait(ready: &ReadyQueue) -> Vec<Woken> {
    let mut woken = Vec::new();
    if ready.fall_asleep(|| false) {
        ready.waker.wait(None);
    }
    if ready.mark_awake() {
        ready.take(&mut woken);
    }
    woken
}

/// The preemptions per interleaving of a whole loop, at most.
const BOUND: usize = 4;

/// Runs every interleaving with at most `bound` preemptions. Three threads have too many interleavings to run them all.
fn check(bound: impl Into<Option<usize>>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound.into();
    builder.max_branches = 10_000;
    builder.check(model);
}

/// `threads` threads notify `times` times each, with a notifier of their own or a common one. The loop sleeps until it
/// has seen every notification.
fn every_notification_is_seen(threads: usize, times: usize, common: bool) {
    check((threads > 1).then_some(2), move || {
        let shared = shared();
        let done: Vec<_> = (0..threads).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let one = notifier_of(&shared);
        let others: Vec<_> = done
            .iter()
            .map(|done| {
                let done = Arc::clone(done);
                let own = || notifier_of(&shared);
                let notifier = if common { one.clone() } else { own() };
                thread::spawn(move || {
                    for n in 1..=times {
                        done.store(n, Ordering::Relaxed);
                        notifier.notify();
                    }
                })
            })
            .collect();
        while done.iter().any(|done| done.load(Ordering::Relaxed) < times) {
            for woken in wait(shared.ready()) {
                if let Woken::Notifier(notifier) = woken {
                    NotifierState::dequeued(&notifier);
                }
            }
        }
        others.into_iter().for_each(|thread| thread.join().unwrap());
        shared.ready().close();
    });
}

#[test]
fn loom_one_notifier_loses_no_wake_up() {
    every_notification_is_seen(1, 1, false);
}

#[test]
fn loom_two_notifiers_lose_no_wake_up() {
    every_notification_is_seen(2, 1, false);
}

#[test]
fn loom_a_notifier_that_is_queued_again_loses_no_wake_up() {
    every_notification_is_seen(1, 2, false);
}

#[test]
fn loom_two_threads_with_one_notifier_lose_no_wake_up() {
    every_notification_is_seen(2, 1, true);
}

#[test]
fn loom_a_wake_up_without_an_event_ends_the_wait() {
    check(None, || {
        let shared = shared();
        let waking = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.ready().wake()
        });
        wait(shared.ready());
        waking.join().unwrap();
    });
}

#[test]
fn loom_a_closed_queue_keeps_nothing() {
    check(None, || {
        let shared = shared();
        let notifier = notifier_of(&shared);
        let state = Arc::downgrade(&notifier.0);
        let notifying = thread::spawn(move || notifier.notify());
        shared.ready().close();
        notifying.join().unwrap();
        assert_eq!(state.strong_count(), 0, "what is pushed after the end is dropped");
    });
}

// A whole loop.

struct State {
    handle: LoopHandle<Self>,
    /// What the callbacks saw, in order.
    seen: Vec<usize>,
    /// Sources that a thread asks the loop to remove.
    tokens: Vec<AnyToken>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn count_seen(&self) -> usize {
        let gone = self.tokens.iter().filter(|token| !self.handle.contains(**token));
        self.seen.len() + gone.count()
    }

    /// Inserts a source that does nothing and will be removed.
    fn insert_victim(&mut self) -> crate::Token<crate::sources::PingSource> {
        let token = self.handle.insert_source(make_ping().1, |(), _: &mut Self| ()).unwrap();
        self.tokens.push(token.into());
        token
    }
}

fn new_loop() -> (EventLoop<State>, State) {
    let (event_loop, handle) = EventLoop::with_clock(Clock::manual()).unwrap();
    (event_loop, State { handle, seen: Vec::new(), tokens: Vec::new() })
}

/// The work of one thread.
type Work = Box<dyn FnOnce() + Send>;

fn work(work: impl FnOnce() + Send + 'static) -> Work {
    Box::new(work)
}

/// How a loop waits.
#[derive(Clone, Copy, PartialEq)]
enum Wait {
    /// In blocking dispatches.
    Blocks,
    /// Something outside watches the loop's fd; the dispatches do not block.
    IsWatched,
}

/// Runs a loop until `is_done`, beside one thread for each item of work that `prepare` returns.
fn until(
    wait: Wait,
    bound: impl Into<Option<usize>>,
    prepare: fn(&mut EventLoop<State>, &mut State) -> Vec<Work>,
    is_done: fn(&State) -> bool,
) {
    check(bound, move || {
        let (mut event_loop, mut state) = new_loop();
        let threads: Vec<_> =
            prepare(&mut event_loop, &mut state).into_iter().map(thread::spawn).collect();
        let shared = Arc::clone(state.handle.registrations.shared());
        if wait == Wait::IsWatched {
            let _ = event_loop.as_fd();
        }
        let mut in_vain = 0;
        while !is_done(&state) {
            match wait {
                Wait::Blocks => event_loop.dispatch(None, &mut state).unwrap(),
                Wait::IsWatched => {
                    // Only the alarm and the waker make the fd readable.
                    if !shared.alarm().is_set_to(i64::MIN) {
                        shared.ready().waker.watch();
                    }
                    let seen = state.count_seen();
                    event_loop.dispatch(Duration::ZERO, &mut state).unwrap();
                    in_vain = if state.count_seen() == seen { in_vain + 1 } else { 0 };
                    assert!(in_vain <= 1 + threads.len(), "the fd is readable without a reason");
                }
            }
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

fn posts(_: &mut EventLoop<State>, state: &mut State) -> Vec<Work> {
    let remote = state.handle.remote();
    vec![work(move || {
        for n in [1, 2] {
            assert!(remote.post(move |state: &mut State| state.seen.push(n)));
        }
    })]
}

#[test]
fn loom_a_post_is_seen() {
    until(Wait::Blocks, BOUND, posts, |state| state.seen == [1, 2]);
}

#[test]
fn loom_a_post_is_seen_by_whoever_watches_the_fd() {
    until(Wait::IsWatched, BOUND, posts, |state| state.seen == [1, 2]);
}

/// A stop beside dispatches outside of `run`, then a post.
#[test]
fn loom_a_stop_is_taken_by_the_wait_that_it_ends_or_left_to_the_next_run() {
    check(BOUND, || {
        let (mut event_loop, mut state) = new_loop();
        let (signal, remote) = (state.handle.signal(), state.handle.remote());
        let shared = Arc::clone(state.handle.registrations.shared());
        let of_the_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            signal.stop();
            let woke = of_the_thread.ready().waker.wakes() > 0;
            assert!(remote.post(|state: &mut State| state.seen.push(1)));
            woke
        });
        while state.seen.is_empty() {
            event_loop.dispatch(None, &mut state).unwrap();
        }
        let ended_a_wait = thread.join().unwrap();
        assert!(ended_a_wait || shared.is_stopping(), "a stop that ended no wait is gone");
    });
}

/// A guard is dropped, as a future drops that of its source, and a remote removes another source.
fn removals(_: &mut EventLoop<State>, state: &mut State) -> Vec<Work> {
    let dropped = state.insert_victim();
    let removed = state.insert_victim();
    let guard = state.handle.guard(dropped);
    let remote = state.handle.remote();
    vec![work(move || {
        drop(guard);
        assert!(remote.remove(removed));
    })]
}

fn victims_are_gone(state: &State) -> bool {
    state.count_seen() == 2
}

#[test]
fn loom_a_dropped_guard_is_seen() {
    until(Wait::Blocks, BOUND, removals, victims_are_gone);
}

#[test]
fn loom_a_dropped_guard_is_seen_by_whoever_watches_the_fd() {
    until(Wait::IsWatched, BOUND, removals, victims_are_gone);
}

/// The callback notes what was written before the ping.
fn pings(_: &mut EventLoop<State>, state: &mut State) -> Vec<Work> {
    let (ping, source) = make_ping();
    let written = Arc::new(AtomicUsize::new(0));
    let read = Arc::clone(&written);
    let callback = move |(), state: &mut State| state.seen.push(read.load(Ordering::Relaxed));
    state.handle.insert_source(source, callback).unwrap();
    vec![work(move || {
        for n in [1, 2] {
            written.store(n, Ordering::Relaxed);
            ping.ping();
        }
    })]
}

#[test]
fn loom_a_ping_is_seen() {
    until(Wait::Blocks, BOUND, pings, |state| state.seen.contains(&2));
}

#[test]
fn loom_a_ping_is_seen_by_whoever_watches_the_fd() {
    until(Wait::IsWatched, BOUND, pings, |state| state.seen.contains(&2));
}

const CLOSED: usize = usize::MAX;

fn note(event: Event<usize>, state: &mut State) {
    state.seen.push(match event {
        Event::Msg(n) => n,
        Event::Closed => CLOSED,
    });
}

fn messages(_: &mut EventLoop<State>, state: &mut State) -> Vec<Work> {
    let (sender, channel) = crate::channel();
    state.handle.insert_source(channel, note).unwrap();
    vec![work(move || {
        sender.send(1).unwrap();
        sender.send(2).unwrap();
    })]
}

/// Two messages and the end were delivered.
fn is_closed(state: &State) -> bool {
    assert!([1, 2, CLOSED].starts_with(&state.seen), "{:?}", state.seen);
    state.seen.len() == 3
}

#[test]
fn loom_messages_and_their_end_are_seen() {
    until(Wait::Blocks, BOUND, messages, is_closed);
}

#[test]
fn loom_messages_and_their_end_are_seen_by_whoever_watches_the_fd() {
    until(Wait::IsWatched, BOUND, messages, is_closed);
}

/// The bound makes the sender's thread block.
fn bounded_messages<const BOUND: usize>(_: &mut EventLoop<State>, state: &mut State) -> Vec<Work> {
    let (sender, channel) = crate::sync_channel(BOUND);
    state.handle.insert_source(channel, note).unwrap();
    vec![work(move || {
        sender.send(1).unwrap();
        sender.send(2).unwrap();
    })]
}

#[test]
fn loom_a_sender_that_waits_for_room_goes_on() {
    until(Wait::Blocks, BOUND, bounded_messages::<1>, is_closed);
}

#[test]
fn loom_a_sender_that_waits_for_its_receiver_goes_on() {
    until(Wait::Blocks, BOUND, bounded_messages::<0>, is_closed);
}

/// The source is enabled while a sender exists.
fn messages_before_enabling(_: &mut EventLoop<State>, state: &mut State) -> Vec<Work> {
    let (sender, channel) = crate::channel();
    let token = state.handle.insert_source(channel, note).unwrap();
    state.handle.disable(token);
    state.handle.insert_idle(move |state: &mut State| assert!(state.handle.enable(token)));
    vec![work(move || {
        sender.send(1).unwrap();
        sender.send(2).unwrap();
    })]
}

#[test]
fn loom_messages_are_seen_that_come_while_the_source_is_enabled() {
    until(Wait::Blocks, BOUND, messages_before_enabling, is_closed);
}

/// A future that is done once 2 was written, and the work that writes 2 and wakes the future. The work begins with the
/// first poll.
fn awaited() -> (impl Future<Output = ()>, Work) {
    let written = Arc::new(AtomicUsize::new(0));
    let slot = Arc::new(std::sync::Mutex::new(None::<Waker>));
    let future = {
        let (written, slot) = (Arc::clone(&written), Arc::clone(&slot));
        poll_fn(move |cx| {
            slot.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
            if written.load(Ordering::Relaxed) == 2 { Poll::Ready(()) } else { Poll::Pending }
        })
    };
    let work = work(move || {
        let waker = slot.lock().unwrap().take().expect("the future was polled");
        for n in [1, 2] {
            written.store(n, Ordering::Relaxed);
            waker.wake_by_ref();
        }
    });
    (future, work)
}

fn task(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<Work> {
    let (future, work) = awaited();
    state.handle.spawn(|cx| async move {
        future.await;
        cx.with(|state: &mut State| state.seen.push(2)).await;
    });
    event_loop.dispatch(Duration::ZERO, state).unwrap();
    vec![work]
}

#[test]
fn loom_a_task_is_woken() {
    until(Wait::Blocks, BOUND, task, |state| state.seen == [2]);
}

#[test]
fn loom_a_task_is_woken_by_whoever_watches_the_fd() {
    until(Wait::IsWatched, BOUND, task, |state| state.seen == [2]);
}

fn executor(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<Work> {
    let (future, work) = awaited();
    let (executor, scheduler) = crate::executor();
    state.handle.insert_source(executor, |(), state: &mut State| state.seen.push(2)).unwrap();
    scheduler.schedule(future).unwrap();
    event_loop.dispatch(Duration::ZERO, state).unwrap();
    vec![work]
}

#[test]
fn loom_a_future_of_an_executor_is_woken() {
    until(Wait::Blocks, BOUND, executor, |state| state.seen == [2]);
}

#[test]
fn loom_the_future_that_runs_the_loop_is_woken() {
    check(BOUND, || {
        let (mut event_loop, mut state) = new_loop();
        let (future, work) = awaited();
        let (mut work, mut thread) = (Some(work), None);
        let mut future = pin!(future);
        let future = poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            if let Some(work) = work.take() {
                thread = Some(thread::spawn(work));
            }
            polled
        });
        event_loop.block_on(future, &mut state).unwrap();
        thread.unwrap().join().unwrap();
    });
}

/// Another thread moves a manual clock, and a timer becomes due.
fn time(_: &mut EventLoop<State>, state: &mut State) -> Vec<Work> {
    let timer = Timer::from_duration(Duration::from_secs(1));
    let callback = |_, state: &mut State| {
        state.seen.push(1);
        TimeoutAction::Drop
    };
    state.handle.insert_source(timer, callback).unwrap();
    let clock = state.handle.clock().clone();
    vec![work(move || clock.advance(Duration::from_secs(1)))]
}

#[test]
fn loom_time_that_passes_is_seen_by_whoever_watches_the_fd() {
    until(Wait::IsWatched, BOUND, time, |state| state.seen == [1]);
}

/// One thread posts, another pings.
fn posts_and_pings(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<Work> {
    let mut works = pings(event_loop, state);
    let remote = state.handle.remote();
    works.push(work(move || assert!(remote.post(|state: &mut State| state.seen.push(3)))));
    works
}

#[test]
fn loom_two_threads_lose_no_wake_up() {
    let is_done = |state: &State| state.seen.contains(&2) && state.seen.contains(&3);
    until(Wait::Blocks, 2, posts_and_pings, is_done);
    until(Wait::IsWatched, 2, posts_and_pings, is_done);
}

#[test]
fn loom_a_stop_ends_a_run() {
    check(BOUND, || {
        let (mut event_loop, mut state) = new_loop();
        let remote = state.handle.remote();
        let stopping = thread::spawn(move || {
            remote.post(|state: &mut State| state.seen.push(1));
            remote.stop();
        });
        event_loop.run(None, &mut state, |_| ()).unwrap();
        stopping.join().unwrap();
        // Earlier posts run here at the latest, and the stop no longer ends a `run`.
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(state.seen, [1]);
        assert!(!state.handle.registrations.shared().is_stopping());
    });
}

#[test]
fn loom_a_wake_up_ends_a_dispatch() {
    check(None, || {
        let (mut event_loop, mut state) = new_loop();
        let signal = state.handle.signal();
        let waking = thread::spawn(move || signal.wakeup());
        event_loop.dispatch(None, &mut state).unwrap();
        waking.join().unwrap();
    });
}

/// A value in transit when the loop ends is dropped once, while its sender lives. `send` returns whether it was sent.
fn nothing_is_kept<S: Send + 'static>(prepare: fn(&mut State) -> S, send: fn(&S, Arc<()>) -> bool) {
    check(None, move || {
        let (event_loop, mut state) = new_loop();
        let sender = Arc::new(prepare(&mut state));
        let value = Arc::new(());
        let sending = thread::spawn({
            let (sender, value) = (Arc::clone(&sender), Arc::clone(&value));
            move || send(&sender, value)
        });
        drop((event_loop, state));
        sending.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
        assert!(!send(&sender, Arc::clone(&value)), "nobody receives it");
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn loom_a_loop_that_ends_keeps_no_post() {
    let prepare = |state: &mut State| state.handle.remote();
    nothing_is_kept(prepare, |remote, value| remote.post(move |_| drop(value)));
}

#[test]
fn loom_a_loop_that_ends_keeps_no_message() {
    let prepare = |state: &mut State| {
        let (sender, channel) = crate::channel();
        state.handle.insert_source(channel, |_, _: &mut State| ()).unwrap();
        sender
    };
    nothing_is_kept(prepare, |sender, value| sender.send(value).is_ok());
}

#[test]
fn loom_a_loop_that_ends_gives_a_sender_that_waits_its_message_back() {
    let prepare = |state: &mut State| {
        let (sender, channel) = crate::sync_channel(0);
        state.handle.insert_source(channel, |_, _: &mut State| ()).unwrap();
        sender
    };
    nothing_is_kept(prepare, |sender, value| sender.send(value).is_ok());
}
