//! Models of the ready queue, run by loom in every interleaving; see `sync.rs` for the command. A wake-up that is
//! lost shows as a loop that waits for ever, which loom reports.

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Notifier, NotifierState, Ready, Woken};
use crate::clock::Clock;
use crate::poller::{Alarm, WAKER};
use crate::shared::Shared;
use crate::token::InterestKey;

fn shared() -> Arc<Shared> {
    let poll = mio::Poll::new().unwrap();
    let clock = Clock::manual();
    let ready = Ready::new(mio::Waker::new(poll.registry(), WAKER).unwrap());
    let alarm = Alarm::new(poll.registry()).unwrap();
    Shared::new(ready, alarm, &clock)
}

/// What the loop does with the ready queue in a dispatch: it waits if nothing was found before, as
/// `EventLoop::settle_all` and `EventLoop::poll` do.
fn dispatch(ready: &Ready) -> Vec<Woken> {
    let mut woken = Vec::new();
    if !ready.is_awake() && ready.rouse() {
        ready.take(&mut woken);
        return woken;
    }
    if ready.try_sleep() {
        ready.waker.wait();
    }
    if !ready.is_awake() && ready.rouse() {
        ready.take(&mut woken);
    }
    woken
}

/// `threads` of them notify `times` each, by a notifier of their own or a common one. The loop sleeps until
/// it has seen all there is.
fn every_notification_is_seen(threads: usize, times: usize, common: bool) {
    let mut model = loom::model::Builder::new();
    // Two threads beside the loop have too many interleavings to run them all: those with two preemptions.
    model.preemption_bound = (threads > 1).then_some(2);
    model.check(move || {
        let shared = shared();
        let done: Vec<_> = (0..threads).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let one = Notifier::new(InterestKey::from_mio(WAKER), Arc::clone(&shared));
        let others: Vec<_> = done
            .iter()
            .map(|done| {
                let done = Arc::clone(done);
                let own = || Notifier::new(InterestKey::from_mio(WAKER), Arc::clone(&shared));
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
            for woken in dispatch(&shared.ready) {
                if let Woken::Notifier(notifier) = woken {
                    NotifierState::dequeued(&notifier);
                }
            }
        }
        others.into_iter().for_each(|thread| thread.join().unwrap());
        shared.ready.close();
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
    loom::model(|| {
        let shared = shared();
        let waking = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.ready.wake()
        });
        dispatch(&shared.ready);
        waking.join().unwrap();
    });
}

#[test]
fn loom_a_closed_queue_keeps_nothing() {
    loom::model(|| {
        let shared = shared();
        let notifier = Notifier::new(InterestKey::from_mio(WAKER), Arc::clone(&shared));
        let state = Arc::downgrade(&notifier.0);
        let notifying = thread::spawn(move || notifier.notify());
        shared.ready.close();
        notifying.join().unwrap();
        assert_eq!(state.strong_count(), 0, "what is pushed after the end is dropped");
    });
}
