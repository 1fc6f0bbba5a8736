//! Wake-ups from threads.

use std::sync::{Arc, Barrier};
use std::thread;

use calloop::channel::{Event, channel};
use calloop::ping::make_ping;
use calloop::timer::{TimeoutAction, Timer};

use crate::rig::*;

#[test]
fn messages_from_threads_come_all_and_in_order() {
    compare(|rig| {
        let (sender, source) = channel();
        let mut sums = [0_u32; 2];
        let mut closed = false;
        rig.state.insert(source, move |event, _, state| match event {
            Event::Msg((thread, number)) => {
                if number != sums[thread] {
                    state.note("out of order");
                }
                sums[thread] += 1;
                if sums == [500; 2] {
                    state.note("all");
                }
            }
            Event::Closed => {
                assert!(!std::mem::replace(&mut closed, true));
                state.note("closed");
            }
        });
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for number in 0..500 {
                        sender.send((index, number)).unwrap();
                        if number % 7 == 0 {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        drop(sender);
        rig.until(|state| state.log.len() >= 2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        rig.quiesce();
    });
}

/// Each ping is waited for by the thread before the next: none is lost, in whatever moment it comes.
#[test]
fn pings_that_are_waited_for() {
    compare(|rig| {
        let (ping, source) = make_ping().unwrap();
        let barrier = Arc::new(Barrier::new(2));
        let seen = Arc::clone(&barrier);
        rig.state.insert(source, move |(), _, state| {
            state.note("ping");
            seen.wait();
        });
        let thread = thread::spawn(move || {
            for _ in 0..200 {
                ping.ping();
                barrier.wait();
            }
        });
        rig.until_noted(200);
        thread.join().unwrap();
        rig.quiesce();
    });
}

/// A timer of calloop's goes on while events come at any time: its alarm is not lost between them.
#[test]
fn a_timer_goes_on_in_a_storm_of_pings() {
    for way in Way::HOSTED {
        let mut rig = Rig::new(way);
        let (ping, source) = make_ping().unwrap();
        rig.state.insert(source, |(), _, _| ());
        let (storm, soloops) = soloop::make_ping();
        rig.state.handle.insert_source(soloops, |(), _| ()).unwrap();
        let every = MS / 5;
        rig.state.insert(Timer::from_duration(every), move |_, _, state| {
            state.note("tick");
            TimeoutAction::ToDuration(every)
        });
        let thread = thread::spawn(move || {
            let mut random = 1_u32;
            for _ in 0..3000 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if random >> 31 == 0 {
                    ping.ping()
                } else {
                    storm.ping()
                }
                for _ in 0..random >> 20 {
                    std::hint::spin_loop();
                }
            }
            (ping, storm)
        });
        while !thread.is_finished() {
            rig.until_noted(1);
        }
        // Now nothing but the timer itself wakes the loop.
        rig.until_noted(20);
        assert!(rig.state.log.iter().all(|line| line == "tick"), "{way:?}: {:?}", rig.state.log);
        thread.join().unwrap();
    }
}
