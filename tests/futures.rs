//! Futures on the loop: executors, streams, timeouts, tasks, `block_on`; adapted fds have a program of
//! their own. Rows of the list of calloop's faults are named by their numbers.

mod common;

use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{LONG, State, ZERO, in_child, manual_loop, new_loop, open_fds};
use soloop::{Clock, EventLoop, SourceOptions, TimeoutFuture, executor};

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

/// Dispatches, without waiting, more often than anything here needs.
fn settle(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    for _ in 0..8 {
        event_loop.dispatch(ZERO, state).unwrap();
    }
    state.take_log()
}

/// Whether a dispatch finds nothing to do: it then passes the time of its timeout.
fn is_quiet(event_loop: &mut EventLoop<State>, state: &mut State, clock: &Clock) -> bool {
    let before = clock.now();
    event_loop.dispatch(HOUR, state).unwrap();
    clock.now() - before == HOUR
}

/// Pending once, and wakes itself at once.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A value on its way from a thread to a future.
#[derive(Clone, Default)]
struct Mailbox(Arc<Mutex<(Option<u32>, Option<Waker>)>>);

impl Mailbox {
    fn put(&self, value: u32) {
        let mut slot = self.0.lock().unwrap();
        slot.0 = Some(value);
        let waker = slot.1.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn get(&self) -> u32 {
        poll_fn(|cx| {
            let mut slot = self.0.lock().unwrap();
            match slot.0.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    slot.1 = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn waker(&self) -> Option<Waker> {
        self.0.lock().unwrap().1.clone()
    }
}

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// `Arc::strong_count` of what `make`'s future captured, after `end`.
fn left(witness: &Arc<()>) -> usize {
    Arc::strong_count(witness) - 1
}

mod executors {
    use super::*;
    use soloop::{ExecutorDestroyed, Scheduler, Token};

    fn insert(state: &mut State) -> (Token<soloop::Executor<u32>>, Scheduler<u32>) {
        insert_with(state, SourceOptions::new())
    }

    fn insert_with(
        state: &mut State,
        options: SourceOptions,
    ) -> (Token<soloop::Executor<u32>>, Scheduler<u32>) {
        let (executor, scheduler) = executor();
        let callback = |value: u32, state: &mut State| state.note(value);
        let token = state.handle.insert_source_with(options, executor, callback).unwrap();
        (token, scheduler)
    }

    #[test]
    fn results_are_events_in_the_order_in_which_they_are_ready() {
        let (mut event_loop, mut state) = new_loop();
        let (_, scheduler) = insert(&mut state);
        scheduler
            .schedule(async {
                yield_now().await;
                1
            })
            .unwrap();
        scheduler.schedule(ready(2)).unwrap();
        scheduler.schedule(ready(3)).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["2", "3", "1"]);
    }

    #[test]
    fn what_is_scheduled_waits_for_the_executor() {
        let (mut event_loop, mut state) = new_loop();
        let (executor, scheduler) = executor();
        // Not `Send`.
        let local = std::ptr::dangling::<u8>();
        scheduler.schedule(async move { u32::from(local.is_null()) }).unwrap();
        let callback = |value: u32, state: &mut State| state.note(value);
        let token = state.handle.insert_source(executor, callback).unwrap();
        assert_eq!(settle(&mut event_loop, &mut state), ["0"]);

        state.handle.disable(token);
        scheduler.schedule(ready(1)).unwrap();
        assert_eq!(settle(&mut event_loop, &mut state), [""; 0]);
        state.handle.enable(token);
        assert_eq!(settle(&mut event_loop, &mut state), ["1"]);
    }

    #[test]
    fn a_callback_that_disables_its_executor_loses_nothing() {
        let (mut event_loop, mut state) = new_loop();
        let (executor, scheduler) = executor();
        let callback = |value: u32, state: &mut State| {
            state.note(value);
            let token = state.tokens[0];
            state.handle.disable(token);
        };
        let token = state.handle.insert_source(executor, callback).unwrap();
        state.tokens.push(token.into());
        for n in 0..3 {
            scheduler.schedule(ready(n)).unwrap();
        }
        for n in 0..3 {
            assert_eq!(settle(&mut event_loop, &mut state), [n.to_string()]);
            state.handle.enable(token);
        }
    }

    #[test]
    fn a_callback_that_removes_its_executor_gets_no_more() {
        let (mut event_loop, mut state) = new_loop();
        let (executor, scheduler) = executor();
        let callback = |value: u32, state: &mut State| {
            state.note(value);
            let token = state.tokens[0];
            state.handle.remove(token);
        };
        let token = state.handle.insert_source(executor, callback).unwrap();
        state.tokens.push(token.into());
        scheduler.schedule(ready(1)).unwrap();
        scheduler.schedule(ready(2)).unwrap();
        assert_eq!(settle(&mut event_loop, &mut state), ["1"]);
        assert_eq!(scheduler.schedule(ready(3)), Err(ExecutorDestroyed));
    }

    #[test]
    fn a_future_may_schedule_others() {
        let (mut event_loop, mut state) = new_loop();
        let (_, scheduler) = insert(&mut state);
        let inner = scheduler.clone();
        let outer = async move {
            inner.schedule(ready(1)).unwrap();
            yield_now().await;
            2
        };
        scheduler.schedule(outer).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["1", "2"]);
    }

    #[test]
    fn woken_while_it_runs_it_is_polled_again() {
        let (mut event_loop, mut state) = new_loop();
        let (_, scheduler) = insert(&mut state);
        let mut polls = 0;
        scheduler
            .schedule(poll_fn(move |cx| {
                polls += 1;
                if polls == 5 {
                    return Poll::Ready(polls);
                }
                // By another thread, and more than once.
                let waker = cx.waker().clone();
                thread::spawn(move || {
                    waker.wake_by_ref();
                    waker.wake();
                })
                .join()
                .unwrap();
                Poll::Pending
            }))
            .unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["5"]);
    }

    #[test]
    fn d14_an_endless_future_does_not_keep_dispatch_from_returning() {
        let (mut event_loop, mut state) = new_loop();
        let polls = Arc::new(AtomicUsize::new(0));
        let (_, scheduler) = insert_with(&mut state, SourceOptions::new().budget(10));
        let count = Arc::clone(&polls);
        scheduler
            .schedule(async move {
                loop {
                    count.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                }
            })
            .unwrap();
        state.handle.insert_idle(|state| state.note("idle"));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(polls.load(Ordering::Relaxed), 10);
        assert_eq!(state.take_log(), ["idle"]);
        // It goes on in the next round, without a wait, and keeps none of its siblings waiting.
        scheduler.schedule(ready(1)).unwrap();
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(polls.load(Ordering::Relaxed), 19);
        assert_eq!(state.take_log(), ["1"]);

        let (mut event_loop, mut state) = new_loop();
        let (_, scheduler) = insert(&mut state);
        scheduler
            .schedule(async {
                loop {
                    yield_now().await
                }
            })
            .unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap(); // with the default budget, too
    }

    #[test]
    fn of_10_000_wake_ups_from_threads_none_is_lost() {
        const THREADS: u32 = 4;
        const EACH: u32 = 2500;
        let (mut event_loop, mut state) = new_loop();
        let (_, scheduler) = insert(&mut state);
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let mailbox = Mailbox::default();
                let (received, receipts) = mpsc::channel();
                let theirs = mailbox.clone();
                scheduler
                    .schedule(async move {
                        let mut sum = 0;
                        for _ in 0..EACH {
                            sum += theirs.get().await;
                            received.send(()).unwrap();
                        }
                        sum
                    })
                    .unwrap();
                // The next value goes out when the last one has arrived: a wake-up that is lost stops it.
                thread::spawn(move || {
                    for n in 0..EACH {
                        mailbox.put(n);
                        receipts.recv().unwrap();
                    }
                })
            })
            .collect();
        let deadline = Instant::now() + LONG;
        while state.log.len() < THREADS as usize {
            assert!(Instant::now() < deadline, "a wake-up was lost");
            event_loop.dispatch(LONG, &mut state).unwrap();
        }
        assert_eq!(state.log, vec![(EACH * (EACH - 1) / 2).to_string(); THREADS as usize]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn a_resting_future_lets_the_loop_sleep() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let (_, scheduler) = insert(&mut state);
        let mailbox = Mailbox::default();
        let theirs = mailbox.clone();
        scheduler
            .schedule(async move {
                yield_now().await;
                theirs.get().await
            })
            .unwrap();
        event_loop.dispatch(None, &mut state).unwrap();
        assert!(is_quiet(&mut event_loop, &mut state, &clock));
        let waker = mailbox.waker().unwrap();
        mailbox.put(7);
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["7"]);
        assert!(is_quiet(&mut event_loop, &mut state, &clock));
        // The waker of a future that is done does nothing.
        waker.wake();
        assert!(is_quiet(&mut event_loop, &mut state, &clock));
    }

    #[test]
    fn a_future_that_panics_takes_nothing_with_it() {
        let (mut event_loop, mut state) = new_loop();
        let (_, scheduler) = insert(&mut state);
        let witness = Arc::new(());
        let held = Arc::clone(&witness);
        scheduler
            .schedule(async move {
                let _held = held;
                yield_now().await;
                panic!("on purpose")
            })
            .unwrap();
        scheduler
            .schedule(async {
                yield_now().await;
                1
            })
            .unwrap();
        let run = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state)));
        assert!(run.is_err());
        assert_eq!(left(&witness), 0);
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["1"]);
        scheduler.schedule(ready(2)).unwrap();
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["2"]);
    }

    #[test]
    fn a_callback_that_panics_takes_nothing_with_it() {
        let (mut event_loop, mut state) = new_loop();
        let (executor, scheduler) = executor();
        let callback = |value: u32, state: &mut State| {
            assert_ne!(value, 1, "on purpose");
            state.note(value);
        };
        state.handle.insert_source(executor, callback).unwrap();
        for n in 0..3 {
            scheduler.schedule(ready(n)).unwrap();
        }
        let run = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state)));
        assert!(run.is_err());
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["0", "2"]);
    }

    #[test]
    fn everything_is_dropped_with_the_loop() {
        for dispatches in 0..3 {
            let (mut event_loop, mut state) = new_loop();
            let (token, scheduler) = insert(&mut state);
            let witness = Arc::new(());
            let (held, own) = (Arc::clone(&witness), scheduler.clone());
            let future = async move {
                let _held = held;
                // It owns a scheduler of its own executor.
                own.schedule(ready(1)).unwrap();
                pending::<()>().await;
                2
            };
            scheduler.schedule(future).unwrap();
            for _ in 0..dispatches {
                event_loop.dispatch(ZERO, &mut state).unwrap();
            }
            state.handle.disable(token);
            assert_eq!(left(&witness), 1);
            drop(event_loop);
            drop(state);
            assert_eq!(left(&witness), 0, "after {dispatches} dispatches");
            let held = Arc::clone(&witness);
            let late = async move {
                let _held = held;
                3
            };
            assert_eq!(scheduler.schedule(late), Err(ExecutorDestroyed));
            assert_eq!(left(&witness), 0);
        }
    }

    #[test]
    fn a_destructor_that_schedules_is_told_that_the_executor_is_gone() {
        struct Last(Scheduler<u32>, mpsc::Sender<Result<(), ExecutorDestroyed>>);
        impl Drop for Last {
            fn drop(&mut self) {
                self.1.send(self.0.schedule(ready(1))).unwrap();
            }
        }
        let (mut event_loop, mut state) = new_loop();
        let (token, scheduler) = insert(&mut state);
        let (sender, answers) = mpsc::channel();
        let last = Last(scheduler.clone(), sender);
        scheduler
            .schedule(async move {
                let _last = last;
                pending().await
            })
            .unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        state.handle.remove(token);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(answers.recv().unwrap(), Err(ExecutorDestroyed));
    }

    #[test]
    fn a_waker_that_outlives_the_loop_holds_no_fd() {
        in_child("a_waker_that_outlives_the_loop_holds_no_fd", || {
            let before = open_fds();
            let (mut event_loop, mut state) = new_loop();
            let with_loop = open_fds();
            let (_, scheduler) = insert(&mut state);
            let mailboxes: Vec<_> = (0..3).map(|_| Mailbox::default()).collect();
            let [executed, spawned, blocked] = mailboxes.clone().try_into().ok().unwrap();
            scheduler.schedule(async move { executed.get().await }).unwrap();
            state.handle.spawn(|_| async move {
                spawned.get().await;
            });
            let signal = state.handle.signal();
            let blocked = async {
                signal.stop();
                blocked.get().await
            };
            assert_eq!(event_loop.block_on(blocked, &mut state).unwrap(), None);
            settle(&mut event_loop, &mut state);
            assert_eq!(open_fds(), with_loop, "futures take no fds");
            let wakers: Vec<_> = mailboxes.iter().map(|mailbox| mailbox.waker().unwrap()).collect();
            drop((event_loop, state, signal));
            assert_eq!(open_fds(), before);
            wakers.iter().for_each(Waker::wake_by_ref);
        });
    }
}

mod blocking {
    use super::*;

    #[test]
    fn returns_what_the_future_does() {
        let (mut event_loop, mut state) = new_loop();
        let mut borrowed = vec![1];
        let answer = event_loop.block_on(
            async {
                yield_now().await;
                borrowed.push(2);
                borrowed.len()
            },
            &mut state,
        );
        assert_eq!(answer.unwrap(), Some(2));
    }

    #[test]
    fn dispatches_until_a_thread_wakes_it() {
        let (mut event_loop, mut state) = new_loop();
        let mailbox = Mailbox::default();
        let theirs = mailbox.clone();
        let (executor, scheduler) = executor();
        let callback = |value: u32, state: &mut State| state.note(value);
        state.handle.insert_source(executor, callback).unwrap();
        scheduler.schedule(ready(1)).unwrap();
        let (go, wait) = mpsc::channel();
        let thread = thread::spawn(move || {
            wait.recv().unwrap();
            theirs.put(7);
        });
        let answer = event_loop.block_on(
            async {
                go.send(()).unwrap();
                mailbox.get().await
            },
            &mut state,
        );
        assert_eq!(answer.unwrap(), Some(7));
        thread.join().unwrap();
        settle(&mut event_loop, &mut state);
    }

    #[test]
    fn is_not_polled_unless_it_was_woken() {
        let (mut event_loop, mut state) = new_loop();
        let mut polls = 0;
        for n in 0..3 {
            state.handle.insert_idle(move |state: &mut State| {
                state.handle.insert_idle(move |state| state.note(n));
            });
        }
        let signal = state.handle.signal();
        state
            .handle
            .insert_source(soloop::Timer::from_duration(MS), move |_, _: &mut State| {
                signal.stop();
                soloop::TimeoutAction::Drop
            })
            .unwrap();
        let future = poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        });
        assert_eq!(event_loop.block_on(future, &mut state).unwrap(), None);
        assert_eq!(polls, 1);
        assert_eq!(state.log.len(), 3);
    }

    #[test]
    fn a_stop_ends_it_once() {
        let (mut event_loop, mut state) = new_loop();
        state.handle.stop();
        assert_eq!(event_loop.block_on(ready(1), &mut state).unwrap(), None);
        assert_eq!(event_loop.block_on(ready(1), &mut state).unwrap(), Some(1));
        let signal = state.handle.signal();
        let thread = thread::spawn(move || signal.stop());
        assert_eq!(event_loop.block_on(pending::<()>(), &mut state).unwrap(), None);
        thread.join().unwrap();
    }

    #[test]
    fn a_panic_leaves_a_loop_that_goes_on() {
        let (mut event_loop, mut state) = new_loop();
        let future = async { panic!("on purpose") };
        let run = catch_unwind(AssertUnwindSafe(|| event_loop.block_on(future, &mut state)));
        assert!(run.is_err());
        assert_eq!(event_loop.block_on(ready(1), &mut state).unwrap(), Some(1));
    }
}

mod timeouts {
    use super::*;

    #[test]
    fn follow_the_loops_clock() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let started = clock.now();
        let short = TimeoutFuture::from_duration(&mut state.handle, HOUR);
        let long = TimeoutFuture::from_deadline(&mut state.handle, started + 3 * HOUR);
        // The order in which they are awaited does not matter.
        let both = async {
            long.await;
            let passed = clock.now() - started;
            short.await;
            (passed, clock.now() - started)
        };
        let passed = event_loop.block_on(both, &mut state).unwrap().unwrap();
        assert_eq!(passed, (3 * HOUR, 3 * HOUR));
    }

    #[test]
    fn one_that_is_due_is_ready_with_the_next_dispatch() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let started = clock.now();
        let zero = TimeoutFuture::from_duration(&mut state.handle, ZERO);
        let past = TimeoutFuture::from_deadline(&mut state.handle, started);
        event_loop.block_on(async { (zero.await, past.await) }, &mut state).unwrap();
        assert_eq!(clock.now(), started);
    }

    #[test]
    fn are_never_early() {
        let (mut event_loop, mut state) = new_loop();
        for micros in [0, 1, 100, 999, 1001] {
            let duration = Duration::from_micros(micros);
            let started = Instant::now();
            let timeout = TimeoutFuture::from_duration(&mut state.handle, duration);
            event_loop.block_on(timeout, &mut state).unwrap();
            assert!(started.elapsed() >= duration);
        }
    }

    #[test]
    fn the_end_of_time_never_comes() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let timeout = TimeoutFuture::from_duration(&mut state.handle, Duration::MAX);
        assert!(is_quiet(&mut event_loop, &mut state, &clock));
        assert_eq!(poll_once(timeout), Poll::Pending);
    }

    fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_last_waker_is_woken_once() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let mut timeout = pin!(TimeoutFuture::from_duration(&mut state.handle, HOUR));
        let (first, second) = (Arc::new(CountWakes::default()), Arc::new(CountWakes::default()));
        for count in [&first, &second] {
            let waker = Waker::from(Arc::clone(count));
            assert!(timeout.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        event_loop.dispatch(None, &mut state).unwrap();
        let wakes = [&first, &second].map(|count| count.0.load(Ordering::SeqCst));
        assert_eq!(wakes, [0, 1]);
        assert_eq!(poll_once(timeout), Poll::Ready(()));
    }

    #[test]
    fn d16_a_dropped_one_does_not_wake_the_loop() {
        let (mut event_loop, mut state, clock) = manual_loop();
        // Before it is stored, before it is polled, and after.
        drop(TimeoutFuture::from_duration(&mut state.handle, MS));
        assert!(is_quiet(&mut event_loop, &mut state, &clock));
        let unpolled = TimeoutFuture::from_duration(&mut state.handle, 10 * HOUR);
        let polled = TimeoutFuture::from_duration(&mut state.handle, 10 * HOUR);
        let mut polled = Box::pin(polled);
        assert_eq!(poll_once(polled.as_mut()), Poll::Pending);
        assert!(is_quiet(&mut event_loop, &mut state, &clock));
        drop((unpolled, polled));
        for _ in 0..20 {
            assert!(is_quiet(&mut event_loop, &mut state, &clock));
        }
        assert!(!format!("{event_loop:?}").contains("timeout"), "{event_loop:?}");

        // And on the system's clock.
        let (mut event_loop, mut state) = new_loop();
        drop(TimeoutFuture::from_duration(&mut state.handle, MS));
        let started = Instant::now();
        event_loop.dispatch(20 * MS, &mut state).unwrap();
        assert!(started.elapsed() >= 20 * MS);
    }

    #[cfg(not(mio_unsupported_force_poll_poll))]
    #[test]
    fn d16_a_dropped_one_leaves_the_loops_fd_alone() {
        use common::readable_within;
        let (mut event_loop, mut state) = new_loop();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(!readable_within(&event_loop, ZERO));
        let timeout = TimeoutFuture::from_duration(&mut state.handle, 20 * MS);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        drop(timeout);
        // There is something to do, which a dispatch does: the alarm goes, and nothing is left of it.
        assert!(readable_within(&event_loop, ZERO));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(!readable_within(&event_loop, 40 * MS));
    }

    #[test]
    fn dropped_on_another_thread_while_the_loop_sleeps() {
        let (mut event_loop, mut state) = new_loop();
        let timeout = TimeoutFuture::from_duration(&mut state.handle, HOUR);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let signal = state.handle.signal();
        let thread = thread::spawn(move || {
            drop(timeout);
            signal.stop();
        });
        event_loop.run(None, &mut state, |_| ()).unwrap();
        thread.join().unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(!format!("{event_loop:?}").contains("timeout"), "{event_loop:?}");
    }

    #[test]
    fn without_its_loop_it_stays_pending_and_holds_nothing() {
        let (mut event_loop, mut state) = new_loop();
        let mut timeout = Box::pin(TimeoutFuture::from_duration(&mut state.handle, ZERO));
        let count = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&count));
        assert!(timeout.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        event_loop.apply_pending(&mut state).unwrap();
        drop((event_loop, state));
        assert_eq!(Arc::strong_count(&count), 1);
        assert_eq!(poll_once(timeout.as_mut()), Poll::Pending);
    }
}

mod tasks {
    use super::*;
    use soloop::{Elapsed, TaskContext};

    #[test]
    fn two_of_them_share_one_state() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        for (name, first, period) in [("a", 10, 20), ("b", 20, 20)] {
            state.handle.spawn(move |cx: TaskContext<State>| async move {
                cx.sleep(first * MS).await;
                for n in 0..3 {
                    let count = cx
                        .with(move |state| {
                            state.note(format!("{name}{n}"));
                            state.log.len()
                        })
                        .await;
                    if count == 6 {
                        cx.with(|state| state.handle.stop()).await;
                    }
                    cx.sleep(period * MS).await;
                }
            });
        }
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_eq!(state.take_log(), ["a0", "b0", "a1", "b1", "a2", "b2"]);
    }

    #[test]
    fn runs_to_its_end_in_one_round_and_is_gone() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let task = state.handle.spawn(|cx: TaskContext<State>| async move {
            for n in 0..100 {
                assert_eq!(cx.with(move |state| (state.note(n), n)).await.1, n);
            }
        });
        assert!(state.handle.contains(task));
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log().len(), 100);
        assert!(!state.handle.contains(task));
        assert!(is_quiet(&mut event_loop, &mut state, &clock));
    }

    #[test]
    fn what_a_closure_asks_for_is_done_before_the_task_goes_on() {
        let (mut event_loop, mut state) = new_loop();
        let (ping, source) = soloop::make_ping();
        let other = state.handle.insert_source(source, |(), state: &mut State| state.note("ping"));
        let other = other.unwrap();
        let witness = Arc::new(());
        let held = Arc::clone(&witness);
        state.handle.spawn(move |cx: TaskContext<State>| async move {
            cx.with(move |state| {
                state.handle.remove(other);
                let idle = move |state: &mut State| state.note(left(&held));
                state.handle.visit(other, |_, _| unreachable!("it is gone"));
                state.handle.insert_idle(idle);
            })
            .await;
            let removed = cx.with(move |state| !state.handle.contains(other)).await;
            cx.with(move |state| state.note(removed)).await;
        });
        ping.ping();
        settle(&mut event_loop, &mut state);
        assert_eq!(left(&witness), 0);
    }

    #[test]
    fn removal_cancels() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let witness = Arc::new(());
        for dispatches in 0..3 {
            let held = Arc::clone(&witness);
            let task = state.handle.spawn(move |cx: TaskContext<State>| async move {
                let _held = held;
                cx.with(|state| state.note("started")).await;
                cx.sleep(HOUR).await;
                unreachable!("it was cancelled");
            });
            for _ in 0..dispatches {
                event_loop.dispatch(ZERO, &mut state).unwrap();
            }
            assert!(state.handle.remove(task));
            event_loop.apply_pending(&mut state).unwrap();
            assert_eq!(left(&witness), 0);
        }
        // Its timer went with it.
        for _ in 0..3 {
            assert!(is_quiet(&mut event_loop, &mut state, &clock));
        }
    }

    #[test]
    fn it_may_cancel_itself() {
        let (mut event_loop, mut state) = new_loop();
        let witness = Arc::new(());
        let held = Arc::clone(&witness);
        let task = state.handle.spawn(move |cx: TaskContext<State>| async move {
            let _held = held;
            cx.with(|state| {
                let token = state.tokens[0];
                state.handle.remove(token)
            })
            .await;
            unreachable!("it is cancelled before this");
        });
        state.tokens.push(task.into());
        settle(&mut event_loop, &mut state);
        assert_eq!(left(&witness), 0);
    }

    #[test]
    fn disabled_it_pauses() {
        let (mut event_loop, mut state) = new_loop();
        let task = state.handle.spawn(|cx: TaskContext<State>| async move {
            for n in 0..3 {
                cx.with(move |state| {
                    state.note(n);
                    let token = state.tokens[0];
                    state.handle.disable(token);
                })
                .await;
            }
        });
        state.tokens.push(task.into());
        for n in 0..3 {
            assert_eq!(settle(&mut event_loop, &mut state), [n.to_string()]);
            state.handle.enable(task);
        }
        settle(&mut event_loop, &mut state);
        assert!(!state.handle.contains(task));
    }

    #[test]
    fn sleeps_on_the_loops_clock() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let started = clock.now();
        state.handle.spawn(move |cx: TaskContext<State>| async move {
            let nap = cx.sleep(2 * HOUR); // from now, not from when it is awaited
            cx.sleep(HOUR).await;
            assert_eq!(cx.now(), started + HOUR);
            nap.await;
            assert_eq!(cx.now(), started + 2 * HOUR);
            cx.sleep_until(started + 5 * HOUR).await;
            cx.sleep_until(started).await;
            cx.sleep(ZERO).await;
            let passed = cx.now() - started;
            cx.with(move |state| {
                state.note(passed.as_secs() / 3600);
                state.handle.stop();
            })
            .await;
            cx.sleep(Duration::MAX).await;
        });
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_eq!(state.take_log(), ["5"]);
    }

    #[test]
    fn a_timeout_drops_what_takes_too_long() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let started = clock.now();
        let witness = Arc::new(());
        let held = Arc::clone(&witness);
        state.handle.spawn(move |cx: TaskContext<State>| async move {
            let witness = Arc::clone(&held);
            let slow = async move {
                let _held = held;
                pending::<()>().await;
            };
            assert_eq!(cx.timeout(HOUR, slow).await, Err(Elapsed));
            assert_eq!((cx.now() - started, Arc::strong_count(&witness)), (HOUR, 2));
            // In time: no time passes, and its timer goes.
            assert_eq!(cx.timeout(HOUR, async { 1 }).await, Ok(1));
            assert_eq!(cx.timeout(HOUR, cx.with(|state| state.log.len())).await, Ok(0));
            let nested = cx.timeout(2 * HOUR, cx.timeout(HOUR, pending::<()>()));
            assert_eq!(nested.await, Ok(Err(Elapsed)));
            assert_eq!(cx.now() - started, 2 * HOUR);
            // At the same time the future wins.
            assert_eq!(cx.timeout(HOUR, cx.sleep(HOUR)).await, Ok(()));
            assert_eq!(cx.timeout(Duration::MAX, cx.sleep(HOUR)).await, Ok(()));
            cx.with(|state| state.handle.stop()).await;
        });
        event_loop.run(None, &mut state, |_| ()).unwrap();
        assert_eq!(clock.now() - started, 4 * HOUR);
        event_loop.dispatch(ZERO, &mut state).unwrap(); // the stop also asked for a wake-up
        for _ in 0..9 {
            assert!(is_quiet(&mut event_loop, &mut state, &clock));
        }
    }

    #[test]
    fn a_closure_that_is_dropped_before_it_ran_does_not_run() {
        let (mut event_loop, mut state) = new_loop();
        let witness = Arc::new(());
        let held = Arc::clone(&witness);
        state.handle.spawn(move |cx: TaskContext<State>| async move {
            let witness = Arc::clone(&held);
            let mut with = Box::pin(cx.with(move |state| {
                drop(held);
                state.note("ran");
            }));
            poll_fn(|cx| Poll::Ready(with.as_mut().poll(cx))).await.is_pending();
            drop(with);
            assert_eq!(Arc::strong_count(&witness), 2);
            cx.with(|state| state.note("after")).await;
        });
        assert_eq!(settle(&mut event_loop, &mut state), ["after"]);
        assert_eq!(left(&witness), 0);
    }

    #[test]
    fn several_closures_may_be_under_way() {
        let (mut event_loop, mut state) = new_loop();
        state.handle.spawn(|cx: TaskContext<State>| async move {
            let with = |n: usize| {
                cx.with(move |state| {
                    state.note(n);
                    n
                })
            };
            let all = futures_util::future::join_all((0..50).map(with)).await;
            assert!(all.into_iter().eq(0..50));
            cx.with(|state| state.note("end")).await;
        });
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log().len(), 51);
    }

    #[test]
    fn a_panic_ends_the_task_and_nothing_else() {
        for in_closure in [false, true] {
            let (mut event_loop, mut state) = new_loop();
            let witness = Arc::new(());
            let held = Arc::clone(&witness);
            let task = state.handle.spawn(move |cx: TaskContext<State>| async move {
                let _held = held;
                yield_now().await;
                if in_closure {
                    cx.with(|_| panic!("on purpose")).await
                } else {
                    panic!("on purpose")
                }
            });
            state.handle.spawn(|cx: TaskContext<State>| async move {
                yield_now().await;
                cx.with(|state| state.note("other")).await;
            });
            let run = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state)));
            assert!(run.is_err());
            assert_eq!(left(&witness), 0);
            assert_eq!(settle(&mut event_loop, &mut state), ["other"]);
            assert!(!state.handle.contains(task));
        }
    }

    #[test]
    fn d14_an_endless_task_does_not_keep_dispatch_from_returning() {
        let (mut event_loop, mut state) = new_loop();
        state.handle.spawn(|cx: TaskContext<State>| async move {
            loop {
                cx.with(|state| state.note("again")).await;
            }
        });
        state.handle.insert_idle(|state| state.note("idle"));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log().pop().as_deref(), Some("idle"));
        event_loop.dispatch(None, &mut state).unwrap();
        assert!(state.log.len() > 100);
    }

    #[test]
    fn are_dropped_with_the_loop() {
        for dispatches in 0..3 {
            let (mut event_loop, mut state) = new_loop();
            let witness = Arc::new(());
            let held = Arc::clone(&witness);
            state.handle.spawn(move |cx: TaskContext<State>| async move {
                // Its own context, a timer and a closure that never runs.
                let clone = cx.clone();
                let captured = Arc::clone(&held);
                let mut with = Box::pin(clone.with(move |_| drop(captured)));
                poll_fn(|cx| Poll::Ready(with.as_mut().poll(cx))).await.is_pending();
                cx.sleep(HOUR).await;
                drop(held);
            });
            for _ in 0..dispatches {
                event_loop.dispatch(ZERO, &mut state).unwrap();
            }
            assert!(left(&witness) > 0);
            drop((event_loop, state));
            assert_eq!(left(&witness), 0, "after {dispatches} dispatches");
        }
    }

    #[test]
    fn a_context_may_be_used_elsewhere_and_outlive_its_task() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, contexts) = mpsc::channel();
        let task = state.handle.spawn(move |cx: TaskContext<State>| async move {
            sender.send(cx).unwrap();
            pending::<()>().await;
        });
        settle(&mut event_loop, &mut state);
        let cx = contexts.recv().unwrap();
        let answer = event_loop.block_on(cx.with(|state| state.log.len()), &mut state);
        assert_eq!(answer.unwrap(), Some(0));
        state.handle.remove(task);
        settle(&mut event_loop, &mut state);
        let mut late = pin!(cx.with(|_| unreachable!("the task is gone")));
        for _ in 0..2 {
            assert!(late.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    }

    #[test]
    fn of_10_000_wake_ups_from_a_thread_none_is_lost() {
        let (mut event_loop, mut state) = new_loop();
        let mailbox = Mailbox::default();
        let (received, receipts) = mpsc::channel();
        let theirs = mailbox.clone();
        state.handle.spawn(move |cx: TaskContext<State>| async move {
            for n in 0..10_000 {
                assert_eq!(theirs.get().await, n);
                cx.with(|state| state.tokens.clear()).await;
                received.send(()).unwrap();
            }
            cx.with(|state| state.handle.stop()).await;
        });
        let thread = thread::spawn(move || {
            for n in 0..10_000 {
                mailbox.put(n);
                receipts.recv_timeout(LONG).expect("a wake-up was lost");
            }
        });
        event_loop.run(LONG, &mut state, |_| ()).unwrap();
        thread.join().unwrap();
    }
}

#[cfg(feature = "futures-core")]
mod streams {
    use super::*;
    use futures_util::stream::{self, Stream};
    use soloop::{StreamSource, Token};

    fn insert<S: Stream<Item = u32> + 'static>(
        state: &mut State,
        options: SourceOptions,
        stream: S,
    ) -> Token<StreamSource<S>> {
        let callback = |item: Option<u32>, state: &mut State| match item {
            Some(item) => state.note(item),
            None => state.note("end"),
        };
        let source = StreamSource::new(stream);
        state.handle.insert_source_with(options, source, callback).unwrap()
    }

    #[test]
    fn items_then_the_end_then_it_is_gone() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let token = insert(&mut state, SourceOptions::new(), stream::iter(0..3));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), ["0", "1", "2", "end"]);
        assert!(!state.handle.contains(token));
        assert!(is_quiet(&mut event_loop, &mut state, &clock));
    }

    #[test]
    fn need_not_be_unpin_and_wait_for_threads() {
        let (mut event_loop, mut state) = new_loop();
        let mailbox = Mailbox::default();
        let (received, receipts) = mpsc::channel();
        let theirs = mailbox.clone();
        let stream = stream::unfold(0, move |sum| {
            let (theirs, received) = (theirs.clone(), received.clone());
            async move {
                if sum == 10_000 {
                    return None;
                }
                sum_up(&theirs, &received, sum).await
            }
        });
        async fn sum_up(
            mailbox: &Mailbox,
            received: &mpsc::Sender<()>,
            sum: u32,
        ) -> Option<(u32, u32)> {
            let value = mailbox.get().await;
            received.send(()).unwrap();
            Some((value, sum + value))
        }
        insert(&mut state, SourceOptions::new(), stream);
        let thread = thread::spawn(move || {
            for _ in 0..10_000 {
                mailbox.put(1);
                receipts.recv_timeout(LONG).expect("a wake-up was lost");
            }
        });
        while state.log.last().is_none_or(|last| last != "end") {
            event_loop.dispatch(LONG, &mut state).unwrap();
        }
        assert_eq!(state.log.len(), 10_001);
        thread.join().unwrap();
    }

    #[test]
    fn d14_an_endless_one_does_not_keep_dispatch_from_returning() {
        let (mut event_loop, mut state) = new_loop();
        insert(&mut state, SourceOptions::new().budget(10), stream::repeat(1));
        for _ in 0..3 {
            event_loop.dispatch(None, &mut state).unwrap();
            assert_eq!(state.take_log(), ["1"; 10]);
        }
        let (mut event_loop, mut state) = new_loop();
        insert(&mut state, SourceOptions::new(), stream::repeat(1));
        event_loop.dispatch(None, &mut state).unwrap();
    }

    #[test]
    fn disabled_or_after_a_panic_of_its_callback_it_loses_nothing() {
        let (mut event_loop, mut state) = new_loop();
        let source = StreamSource::new(stream::iter(0..4));
        let callback = |item: Option<u32>, state: &mut State| {
            assert_ne!(item, Some(2), "on purpose");
            state.note(format!("{item:?}"));
            let token = state.tokens[0];
            state.handle.disable(token);
        };
        let token = state.handle.insert_source(source, callback).unwrap();
        state.tokens.push(token.into());
        assert_eq!(settle(&mut event_loop, &mut state), ["Some(0)"]);
        state.handle.enable(token);
        assert_eq!(settle(&mut event_loop, &mut state), ["Some(1)"]);
        state.handle.enable(token);
        let run = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state)));
        assert!(run.is_err());
        assert_eq!(settle(&mut event_loop, &mut state), ["Some(3)"]);
        state.handle.enable(token);
        assert_eq!(settle(&mut event_loop, &mut state), ["None"]);
    }

    #[test]
    fn one_that_panics_is_removed() {
        let (mut event_loop, mut state) = new_loop();
        let stream = stream::poll_fn(|_| -> Poll<Option<u32>> { panic!("on purpose") });
        let token = insert(&mut state, SourceOptions::new(), stream);
        let run = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state)));
        assert!(run.is_err());
        assert_eq!(settle(&mut event_loop, &mut state), [""; 0]);
        assert!(!state.handle.contains(token));
    }

    #[test]
    fn are_dropped_with_the_loop() {
        let (mut event_loop, mut state) = new_loop();
        let witness = Arc::new(());
        let held = Arc::clone(&witness);
        let stream = stream::poll_fn(move |_| {
            let _held = &held;
            Poll::<Option<u32>>::Pending
        });
        insert(&mut state, SourceOptions::new(), stream);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        drop((event_loop, state));
        assert_eq!(left(&witness), 0);
    }
}
