//! What callbacks do to both loops: idles, insertions, removals.

use calloop::ping::{Ping, make_ping};
use calloop::timer::{TimeoutAction, Timer};

use crate::rig::*;

fn insert_ping(
    state: &mut State,
    place: usize,
    mut then: impl FnMut(&mut State) + 'static,
) -> Ping {
    let (ping, source) = make_ping().unwrap();
    state.insert_at(place, source, move |(), _, state| then(state));
    ping
}

#[test]
fn idles_run_at_the_end_of_the_round_that_asked_for_them() {
    compare(|rig| {
        let ping = insert_ping(&mut rig.state, 0, |state| {
            state.idle(|state| state.note("idle"));
            state.idle(|state| state.note("another"));
            state.note("ping");
        });
        rig.quiesce();
        ping.ping();
        rig.until_noted(3);
        rig.quiesce();
    });
}

#[test]
fn idles_that_are_asked_for_between_two_dispatches() {
    compare(|rig| {
        rig.state.idle(|state| state.note("idle"));
        rig.turn(ZERO);
        // On demand the round that is asked for is the next.
        rig.quiesce();
    });
}

#[test]
fn idles_that_insert_timers() {
    compare(|rig| {
        rig.state.idle(|state| {
            state.insert(Timer::from_duration(3 * MS), |_, _, state| {
                state.note("timer");
                state.idle(|state| state.note("idle of a timer"));
                TimeoutAction::Drop
            });
            state.note("idle");
        });
        rig.turn(ZERO);
        rig.until_noted(2);
        rig.quiesce();
    });
}

#[test]
fn idles_of_idles_run_one_level_a_dispatch() {
    compare(|rig| {
        rig.state.idle(|state| {
            state.note(1);
            state.idle(|state| {
                state.note(2);
                state.idle(|state| {
                    state.note(3);
                    let timer = Timer::from_duration(3 * MS);
                    state.insert(timer, |_, _, state| {
                        state.note("timer of an idle of an idle of an idle");
                        TimeoutAction::Drop
                    });
                });
            });
        });
        for _ in 0..3 {
            rig.turn(ZERO);
        }
        rig.until(|state| state.log.len() == 4);
        rig.quiesce();
    });
}

#[test]
fn a_callback_inserts_a_source_that_is_ready() {
    compare(|rig| {
        let ping = insert_ping(&mut rig.state, 0, |state| {
            state.note("outer");
            let inner = insert_ping(state, 1, |state| state.note("inner"));
            inner.ping();
            // It stays: calloop's source goes with the last of its senders.
            std::mem::forget(inner);
        });
        ping.ping();
        rig.until_noted(2);
        ping.ping();
        rig.until_noted(2);
        rig.quiesce();
    });
}

#[test]
fn a_callback_removes_its_own_source() {
    compare(|rig| {
        let ping = insert_ping(&mut rig.state, 0, |state| {
            state.note("once");
            state.remove(0);
        });
        ping.ping();
        rig.until_noted(1);
        ping.ping();
        rig.quiesce();
    });
}

#[test]
fn a_callback_disables_its_own_source_and_another_enables_it() {
    compare(|rig| {
        let ping = insert_ping(&mut rig.state, 0, |state| {
            state.note("ping");
            state.disable(0);
        });
        let enable = insert_ping(&mut rig.state, 1, |state| {
            state.note("enable");
            state.enable(0);
        });
        for _ in 0..2 {
            ping.ping();
            rig.quiesce();
            ping.ping();
            rig.quiesce();
            enable.ping();
            rig.quiesce();
        }
    });
}

/// In a batch of two, the first removes the second: nothing of it comes.
#[test]
fn a_callback_removes_a_source_that_is_ready_too() {
    compare(|rig| {
        let pings: Vec<_> = (0..2)
            .map(|place| {
                insert_ping(&mut rig.state, place, move |state| {
                    state.note("one of two");
                    state.remove(1 - place);
                })
            })
            .collect();
        rig.quiesce();
        pings.iter().for_each(Ping::ping);
        rig.quiesce();
    });
}

#[test]
fn a_timer_is_removed_before_it_fires() {
    compare(|rig| {
        rig.state.insert_at(0, Timer::from_duration(20 * MS), |_, _, state| {
            state.note("removed");
            TimeoutAction::Drop
        });
        rig.state.insert(Timer::from_duration(3 * MS), |_, _, state| {
            state.note("removes");
            state.remove(0);
            TimeoutAction::Drop
        });
        rig.state.insert(Timer::from_duration(30 * MS), |_, _, state| {
            state.note("later");
            TimeoutAction::Drop
        });
        rig.until_noted(2);
        rig.quiesce();
    });
}

/// A timer that is disabled keeps its deadline.
#[test]
fn a_timer_is_disabled_and_enabled() {
    compare(|rig| {
        rig.state.insert_at(0, Timer::from_duration(5 * MS), |_, _, state| {
            state.note("timer");
            TimeoutAction::Drop
        });
        rig.state.disable(0);
        rig.state.insert(Timer::from_duration(15 * MS), |_, _, state| {
            state.note("enables");
            state.enable(0);
            TimeoutAction::Drop
        });
        rig.until_noted(2);
        rig.quiesce();
    });
}

/// Each loop's callbacks ask something of the other.
#[test]
fn callbacks_of_both_loops_insert_into_each_other() {
    for way in Way::HOSTED {
        let mut rig = Rig::new(way);
        rig.state.idle(|state| {
            let own = soloop::Timer::from_duration(2 * MS);
            let callback = |_, state: &mut State| {
                state.note("own timer");
                state.insert(Timer::from_duration(2 * MS), |_, _, state| {
                    state.note("calloop's timer");
                    state.handle.insert_idle(|state: &mut State| {
                        state.note("own idle");
                        state.idle(|state| state.note("calloop's idle"));
                    });
                    TimeoutAction::Drop
                });
                soloop::TimeoutAction::Drop
            };
            state.handle.insert_source(own, callback).unwrap();
        });
        rig.until(|state| state.log.len() == 4);
        assert_eq!(
            rig.state.log,
            ["own timer", "calloop's timer", "own idle", "calloop's idle"],
            "{way:?}"
        );
    }
}
