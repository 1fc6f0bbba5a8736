//! Unix signals: each test in a process of its own, since dispositions are the process's.
#![cfg(feature = "signals")]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use common::{LONG, State, ZERO, in_child, new_loop, run_child};
use soloop::{EventLoop, Signals, Token};

const USR1: i32 = 10;
const USR2: i32 = 12;
const TERM: i32 = 15;

/// Sends a signal to this process, and returns when it was handled.
fn raise(signal: i32) {
    signal_hook::low_level::raise(signal).unwrap();
}

fn insert(state: &mut State, signals: &[i32]) -> Token<Signals> {
    let callback =
        |signal: soloop::Signal, state: &mut State| state.note(signal.name().unwrap_or("?"));
    state.handle.insert_source(Signals::new(signals).unwrap(), callback).unwrap()
}

fn dispatch(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    event_loop.dispatch(ZERO, state).unwrap();
    state.take_log()
}

#[test]
fn each_signal_arrives_with_its_name() {
    in_child("each_signal_arrives", || {
        let (mut event_loop, mut state) = new_loop();
        insert(&mut state, &[USR1, USR2]);
        raise(USR2);
        raise(USR1);
        raise(USR1);
        assert_eq!(dispatch(&mut event_loop, &mut state)[0], "SIGUSR1");
        raise(USR2);
        assert!(dispatch(&mut event_loop, &mut state).contains(&"SIGUSR2".into()));
        assert!(dispatch(&mut event_loop, &mut state).is_empty());
    });
}

#[test]
fn one_wakes_a_sleeping_loop() {
    in_child("one_wakes", || {
        let (mut event_loop, mut state) = new_loop();
        insert(&mut state, &[USR1]);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let pid = std::process::id().to_string();
        let mut kill = Command::new("kill").args(["-USR1", &pid]).spawn().unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["SIGUSR1"]);
        kill.wait().unwrap();
    });
}

#[cfg(feature = "signal-origin")]
#[test]
fn the_sender_is_told() {
    in_child("the_sender", || {
        let (mut event_loop, mut state) = new_loop();
        let callback = |signal: soloop::Signal, state: &mut State| {
            state.note(format!("{:?}", signal.sender.map(|sender| sender.pid)));
        };
        state.handle.insert_source(Signals::new([USR1]).unwrap(), callback).unwrap();
        let script = format!("kill -USR1 {}; echo $$", std::process::id());
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let pid = String::from_utf8(output.stdout).unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, [format!("Some({})", pid.trim())]);
    });
}

#[test]
fn the_set_can_be_changed() {
    in_child("the_set_can", || {
        let (mut event_loop, mut state) = new_loop();
        // Another listener, so that what this one drops does not end the process.
        let _other = Signals::new([USR1, USR2, TERM]).unwrap();
        let token = insert(&mut state, &[USR1]);
        event_loop.apply_pending(&mut state).unwrap();
        let all = |event_loop: &mut EventLoop<State>, state: &mut State| {
            for signal in [USR1, USR2, TERM] {
                raise(signal);
            }
            dispatch(event_loop, state)
        };
        assert_eq!(all(&mut event_loop, &mut state), ["SIGUSR1"]);
        event_loop.get_mut(token).unwrap().add_signals([USR2, USR1]).unwrap();
        assert_eq!(all(&mut event_loop, &mut state), ["SIGUSR1", "SIGUSR2"]);
        state.handle.visit(token, |signals, _| signals.remove_signals([USR1, TERM]).unwrap());
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(all(&mut event_loop, &mut state), ["SIGUSR2"]);
        // What arrived and stays in the set is not lost by a change of the set.
        raise(USR2);
        event_loop.get_mut(token).unwrap().set_signals(vec![USR2, TERM]).unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["SIGUSR2"]);
        assert_eq!(all(&mut event_loop, &mut state), ["SIGUSR2", "SIGTERM"]);
        let error = event_loop.get_mut(token).unwrap().set_signals([USR1, 9]).unwrap_err();
        assert!(error.to_string().contains("SIGKILL (9) can't be listened to"), "{error}");
        assert_eq!(all(&mut event_loop, &mut state), ["SIGUSR2", "SIGTERM"], "as it was");
    });
}

#[test]
fn what_comes_while_it_is_disabled_waits() {
    in_child("what_comes_while", || {
        let (mut event_loop, mut state) = new_loop();
        raise_before_insertion(&mut event_loop, &mut state);
        let token = insert(&mut state, &[USR1]);
        state.handle.disable(token);
        event_loop.apply_pending(&mut state).unwrap();
        raise(USR1);
        assert!(dispatch(&mut event_loop, &mut state).is_empty());
        state.handle.enable(token);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["SIGUSR1"]);
    });
}

fn raise_before_insertion(event_loop: &mut EventLoop<State>, state: &mut State) {
    let signals = Signals::new([USR2]).unwrap();
    raise(USR2);
    let callback = |signal: soloop::Signal, state: &mut State| state.note(signal.number);
    let token = state.handle.insert_source(signals, callback).unwrap();
    assert_eq!(dispatch(event_loop, state), ["12"]);
    state.handle.remove(token);
}

#[test]
fn what_can_not_be_listened_to_is_refused() {
    for number in [0, -1, 9, 11, 19, 4711] {
        let error = Signals::new([number]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{number}");
        assert!(error.to_string().contains(&number.to_string()), "{error}");
    }
}

#[test]
fn two_sources_and_two_loops_hear_of_one_signal() {
    in_child("two_sources", || {
        let (mut event_loop, mut state) = new_loop();
        let (mut other_loop, mut other) = new_loop();
        let first = insert(&mut state, &[USR1]);
        insert(&mut state, &[USR1, USR2]);
        insert(&mut other, &[USR1]);
        raise(USR1);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["SIGUSR1"; 2]);
        assert_eq!(dispatch(&mut other_loop, &mut other), ["SIGUSR1"]);
        state.handle.remove(first);
        event_loop.apply_pending(&mut state).unwrap();
        raise(USR1);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["SIGUSR1"]);
        assert_eq!(dispatch(&mut other_loop, &mut other), ["SIGUSR1"]);
    });
}

#[test]
fn the_default_is_back_after_the_last_listener() {
    if std::env::var_os("SOLOOP_TEST_CHILD").is_some() {
        let (mut event_loop, mut state) = new_loop();
        let first = insert(&mut state, &[TERM, 17]);
        let second = insert(&mut state, &[TERM]);
        for token in [first, second] {
            raise(TERM);
            // Whether it was delivered or not: what arrived while somebody listened does not kill.
            state.handle.remove(token);
            event_loop.apply_pending(&mut state).unwrap();
        }
        raise(17); // SIGCHLD: its default is to do nothing
        println!("alive");
        // And again, after a second first listener.
        let token = insert(&mut state, &[TERM]);
        event_loop.apply_pending(&mut state).unwrap();
        raise(TERM);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["SIGTERM"]);
        state.handle.remove(token);
        event_loop.apply_pending(&mut state).unwrap();
        println!("now");
        raise(TERM);
        println!("too late");
        return;
    }
    let output = run_child("the_default_is_back");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.signal(), Some(TERM), "{text}");
    assert!(text.contains("alive") && text.contains("now") && !text.contains("too late"), "{text}");
}

#[test]
fn a_callback_that_panics_or_disables_its_source_loses_no_other_signal() {
    in_child("a_callback_that_panics", || {
        let (mut event_loop, mut state) = new_loop();
        let callback = |signal: soloop::Signal, state: &mut State| {
            state.note(signal.number);
            match state.log.len() {
                1 => std::panic::resume_unwind(Box::new("as planned")),
                2 => state.handle.disable(state.tokens[0]),
                _ => false,
            };
        };
        let source = Signals::new([USR1, USR2, TERM]).unwrap();
        let token = state.handle.insert_source(source, callback).unwrap();
        state.tokens.push(token.into());
        [USR1, USR2, TERM].into_iter().for_each(raise);
        let first = AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state));
        assert!(catch_unwind(first).is_err());
        // The rest of the round that the panic ended, and the next one.
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["10", "12"]);
        state.handle.enable(token);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["10", "12", "15"]);
    });
}

#[test]
fn children_inherit_a_clean_mask_and_default_dispositions() {
    in_child("children_inherit", || {
        let (mut event_loop, mut state) = new_loop();
        insert(&mut state, &[USR1, TERM]);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        // Of this thread: libc blocks all signals in one that is starting another.
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let output = Command::new("cat").arg("/proc/self/status").output().unwrap();
        let child = String::from_utf8(output.stdout).unwrap();
        let field = |status: &str, name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
            u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap()
        };
        assert_eq!(field(&status, "SigBlk"), 0, "no mask is touched");
        assert_eq!(field(&child, "SigBlk"), 0);
        assert_ne!(field(&status, "SigCgt") & (1 << (TERM - 1)), 0, "it is caught here");
        assert_eq!(field(&child, "SigCgt") & (1 << (TERM - 1)), 0);
    });
}

#[test]
fn a_storm_from_another_process_loses_no_last_signal() {
    in_child("a_storm", || {
        let (mut event_loop, mut state) = new_loop();
        insert(&mut state, &[USR1]);
        insert(&mut state, &[USR2]);
        let pid = std::process::id();
        let script = format!(
            "i=0; while [ $i -lt 2000 ]; do kill -USR1 {pid}; i=$((i+1)); done; kill -USR2 {pid}"
        );
        let mut storm = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        while !state.log.contains(&"SIGUSR2".into()) {
            event_loop.dispatch(LONG, &mut state).unwrap();
        }
        assert!(storm.wait().unwrap().success());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(state.log.iter().any(|name| name == "SIGUSR1"));
        // Another thread, that of the test harness, may be just about to handle the last SIGUSR1, which ends a process
        // that listens no more.
        std::mem::forget((event_loop, state));
    });
}

#[cfg(target_os = "linux")]
mod blocked_signals {
    use super::*;

    use std::io::ErrorKind;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::time::{Duration, Instant};

    use nix::sys::signal::{SigSet, Signal};
    use rustix::process::{getpid, kill_process};

    /// Runs `body` in a process whose threads all inherit `blocked`, as children of a program that blocks its signals
    /// early do, and its own threads.
    fn in_child_that_blocks(name: &str, blocked: &[Signal], body: impl FnOnce()) {
        if std::env::var_os("SOLOOP_TEST_CHILD").is_some() {
            return body();
        }
        let blocked: SigSet = blocked.iter().copied().collect();
        let before = blocked.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK).unwrap();
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| in_child(name, body)));
        before.thread_set_mask().unwrap();
        ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }

    /// Each interruption takes from the timeout; it does not begin anew.
    #[test]
    fn f34_that_interrupt_a_wait_do_not_lengthen_it() {
        // All threads of the process block it but the loop's, which each signal therefore interrupts.
        in_child_that_blocks("f34_that_interrupt", &[Signal::SIGUSR1], || {
            let (mut event_loop, mut state) = new_loop();
            let interrupted = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(USR1, Arc::clone(&interrupted)).unwrap();
            let (end, at_end) = mpsc::channel::<()>();
            let sender = std::thread::spawn(move || {
                // So often that a wait that begins anew each time ends when they do.
                let pause = Duration::from_millis(5);
                for _ in 0..2000 {
                    kill_process(getpid(), rustix::process::Signal::USR1).unwrap();
                    if at_end.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                        return true;
                    }
                }
                false
            });
            SigSet::from(Signal::SIGUSR1).thread_unblock().unwrap();
            let timeout = Duration::from_millis(100);
            let start = Instant::now();
            event_loop.dispatch(timeout, &mut state).unwrap();
            let elapsed = start.elapsed();
            drop(end);
            assert!(elapsed >= timeout, "{elapsed:?}");
            assert!(sender.join().unwrap(), "the wait outlasted the signals: {elapsed:?}");
            assert!(interrupted.load(Ordering::SeqCst));
        });
    }

    fn refusal(error: &std::io::Error) -> String {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        error.to_string()
    }

    #[test]
    fn f28_are_refused_by_name_and_arrive_once_they_are_unblocked() {
        let blocked = [Signal::SIGTERM, Signal::SIGUSR2];
        in_child_that_blocks("f28_are_refused_by_name", &blocked, || {
            let (mut event_loop, mut state) = new_loop();
            let signals = Signals::new([USR1, TERM, USR2]).unwrap();
            let callback = |signal: soloop::Signal, state: &mut State| state.note(signal.number);
            let refused = state.handle.insert_source(signals, callback).unwrap_err();
            let message = refusal(&refused.error);
            let names = "SIGUSR2 (12), SIGTERM (15) are blocked in every thread of this process";
            assert!(message.starts_with(names), "{message}");

            insert(&mut state, &[USR1]);
            raise(USR1);
            assert_eq!(dispatch(&mut event_loop, &mut state), ["SIGUSR1"]);

            // The refused source went on listening, and what is blocked is pending.
            kill_process(getpid(), rustix::process::Signal::TERM).unwrap();
            blocked.into_iter().collect::<SigSet>().thread_unblock().unwrap();
            state.handle.insert_source(refused.source, callback).unwrap();
            event_loop.dispatch(LONG, &mut state).unwrap();
            assert_eq!(state.log, ["10", "15"]);
        });
    }

    #[test]
    fn f28_can_not_be_added_and_not_be_enabled() {
        in_child_that_blocks("f28_can_not_be_added", &[Signal::SIGTERM], || {
            let (mut event_loop, mut state) = new_loop();
            let token = insert(&mut state, &[USR1]);
            event_loop.apply_pending(&mut state).unwrap();
            let signals = event_loop.get_mut(token).unwrap();
            let message = refusal(&signals.add_signals([USR2, TERM]).unwrap_err());
            assert!(message.starts_with("SIGTERM (15) is blocked"), "{message}");
            refusal(&signals.set_signals([TERM]).unwrap_err());
            raise(USR1);
            assert_eq!(dispatch(&mut event_loop, &mut state), ["SIGUSR1"], "the set is as it was");

            state.handle.disable(token);
            event_loop.apply_pending(&mut state).unwrap();
            event_loop.get_mut(token).unwrap().add_signals([TERM]).unwrap();
            state.handle.enable(token);
            let error = event_loop.apply_pending(&mut state).unwrap_err();
            assert!(error.to_string().contains("SIGTERM (15) is blocked"), "{error}");

            SigSet::from(Signal::SIGTERM).thread_unblock().unwrap();
            state.handle.enable(token);
            event_loop.apply_pending(&mut state).unwrap();
            raise(TERM);
            assert_eq!(dispatch(&mut event_loop, &mut state), ["SIGTERM"]);
        });
    }

    #[test]
    fn f28_arrive_if_another_thread_takes_them() {
        in_child_that_blocks("f28_arrive_if_another_thread", &[Signal::SIGTERM], || {
            let (mut event_loop, mut state) = new_loop();
            let (ready, is_ready) = mpsc::channel();
            let (end, at_end) = mpsc::channel::<()>();
            let thread = std::thread::spawn(move || {
                SigSet::from(Signal::SIGTERM).thread_unblock().unwrap();
                ready.send(()).unwrap();
                let _ = at_end.recv();
            });
            is_ready.recv().unwrap();
            insert(&mut state, &[TERM]);
            kill_process(getpid(), rustix::process::Signal::TERM).unwrap();
            event_loop.dispatch(LONG, &mut state).unwrap();
            assert_eq!(state.log, ["SIGTERM"]);
            drop(end);
            thread.join().unwrap();
        });
    }
}
