//! `Child`, with real processes. Each ends when its standard input does, or when it is killed.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};

use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_process, setrlimit,
    waitid,
};
use soloop::{Child, EventLoop, Generic, Interest, Mode, PostAction, Token};

mod common;
use common::*;

/// Ends with `code` when its input does.
fn spawn(code: i32) -> (std::process::Child, ChildStdin) {
    let mut child = Command::new("sh")
        .args(["-c", &format!("read line; exit {code}")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    (child, stdin)
}

fn insert(state: &mut State, child: Child) -> Token<Child> {
    let callback = |status: ExitStatus, state: &mut State| match status.code() {
        Some(code) => state.note(code),
        None => state.note(format!("signal {}", status.signal().unwrap())),
    };
    state.handle.insert_source(child, callback).unwrap()
}

fn dispatch(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    event_loop.dispatch(ZERO, state).unwrap();
    state.take_log()
}

/// Dispatches until something is noted.
fn next(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    while state.log.is_empty() {
        event_loop.dispatch(LONG, state).unwrap();
    }
    state.take_log()
}

/// Waits until the process has ended (or stopped), and leaves it as it is.
fn wait_for(child: &std::process::Child, what: WaitIdOptions) {
    let options = what | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(Pid::from_child(child)), options).unwrap().unwrap();
}

/// Whether the process is there, a zombie or not.
fn exists(pid: u32) -> bool {
    std::fs::exists(format!("/proc/{pid}")).unwrap()
}

#[test]
fn tells_the_status_reaps_the_process_and_goes() {
    let (mut event_loop, mut state) = new_loop();
    let (child, stdin) = spawn(7);
    let pid = child.id();
    let token = insert(&mut state, Child::new(child).unwrap());
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0], "it lives");
    drop(stdin);
    assert_eq!(next(&mut event_loop, &mut state), ["7"]);
    assert!(!state.handle.contains(token));
    assert!(!exists(pid), "it is no zombie");
}

#[test]
fn tells_of_a_signal_that_killed_it() {
    let (mut event_loop, mut state) = new_loop();
    let (child, _stdin) = spawn(0);
    let token = insert(&mut state, Child::new(child).unwrap());
    state.handle.visit(token, |child, _| child.get_mut().kill().unwrap());
    assert_eq!(next(&mut event_loop, &mut state), ["signal 9"]);
    assert!(!state.handle.contains(token));
}

#[test]
fn a_stopped_child_is_no_event() {
    let (mut event_loop, mut state) = new_loop();
    let (child, stdin) = spawn(7);
    let pid = Pid::from_child(&child);
    let token = insert(&mut state, Child::new(child).unwrap());
    event_loop.apply_pending(&mut state).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    wait_for(event_loop.get(token).unwrap().get_ref(), WaitIdOptions::STOPPED);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    kill_process(pid, Signal::CONT).unwrap();
    wait_for(event_loop.get(token).unwrap().get_ref(), WaitIdOptions::CONTINUED);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    assert!(state.handle.contains(token));
    drop(stdin);
    assert_eq!(next(&mut event_loop, &mut state), ["7"]);
}

#[test]
fn one_that_has_ended_already_is_told_of() {
    let (mut event_loop, mut state) = new_loop();
    // Before the source was made, as a zombie and reaped; and before it was inserted.
    let (zombie, stdin) = spawn(1);
    drop(stdin);
    wait_for(&zombie, WaitIdOptions::EXITED);
    insert(&mut state, Child::new(zombie).unwrap());
    assert_eq!(dispatch(&mut event_loop, &mut state), ["1"]);
    let (mut reaped, stdin) = spawn(2);
    drop(stdin);
    reaped.wait().unwrap();
    let token = insert(&mut state, Child::new(reaped).unwrap());
    assert_eq!(dispatch(&mut event_loop, &mut state), ["2"]);
    assert!(!state.handle.contains(token));
    let (child, stdin) = spawn(3);
    let child = Child::new(child).unwrap();
    drop(stdin);
    wait_for(child.get_ref(), WaitIdOptions::EXITED);
    insert(&mut state, child);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["3"]);
}

#[test]
fn f27_a_refused_child_comes_back() {
    in_child("f27_a_refused_child", || {
        let (mut event_loop, mut state) = new_loop();
        let (child, stdin) = spawn(7);
        let pid = child.id();
        let limit = getrlimit(Resource::Nofile);
        let none_left = Rlimit { current: Some(0), maximum: limit.maximum };
        setrlimit(Resource::Nofile, none_left).unwrap();
        let refused = Child::new(child);
        setrlimit(Resource::Nofile, limit).unwrap();
        let refused = refused.unwrap_err();
        assert_eq!(refused.error.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
        assert_eq!(refused.source.id(), pid);
        // It can be watched later, and then nothing is left of it.
        insert(&mut state, Child::new(refused.source).unwrap());
        drop(stdin);
        assert_eq!(next(&mut event_loop, &mut state), ["7"]);
        assert!(!exists(pid), "it is no zombie");
    });
}

#[test]
fn f27_a_child_that_someone_else_reaped_comes_back() {
    let (child, stdin) = spawn(7);
    drop(stdin);
    waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED).unwrap().unwrap();
    let pid = child.id();
    let refused = Child::new(child).unwrap_err();
    assert_eq!(refused.error.raw_os_error(), Some(Errno::CHILD.raw_os_error()));
    assert_eq!(refused.source.id(), pid);
}

#[test]
fn one_whose_callback_panics_is_told_of_once() {
    // One that was known to have ended, and one that the kernel tells of.
    for known in [true, false] {
        let (mut event_loop, mut state) = new_loop();
        let (child, stdin) = spawn(7);
        let mut stdin = Some(stdin);
        if known {
            stdin = None;
            wait_for(&child, WaitIdOptions::EXITED);
        }
        let child = Child::new(child).unwrap();
        drop(stdin);
        let token = state.handle.insert_source(child, |_, state: &mut State| {
            state.note("it has ended");
            std::panic::resume_unwind(Box::new("as planned"));
        });
        let token = token.unwrap();
        let dispatch = AssertUnwindSafe(|| event_loop.dispatch(LONG, &mut state));
        assert!(catch_unwind(dispatch).is_err());
        state.handle.disable(token);
        state.handle.enable(token);
        // The rest of the round that the panic ended, and the next one.
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["it has ended"]);
        assert!(!state.handle.contains(token));
    }
}

#[test]
fn one_that_was_waited_for_by_hand_is_told_of() {
    let (mut event_loop, mut state) = new_loop();
    let (child, stdin) = spawn(7);
    let token = insert(&mut state, Child::new(child).unwrap());
    event_loop.apply_pending(&mut state).unwrap();
    drop(stdin);
    let status = event_loop.get_mut(token).unwrap().get_mut().wait().unwrap();
    assert_eq!(status.code(), Some(7));
    assert_eq!(dispatch(&mut event_loop, &mut state), ["7"]);
    assert!(!state.handle.contains(token));
}

#[test]
fn what_happens_while_it_is_disabled_is_told_of_afterwards() {
    let (mut event_loop, mut state) = new_loop();
    let (child, stdin) = spawn(7);
    let running = insert(&mut state, Child::new(child).unwrap());
    let (mut ended, other) = spawn(8);
    drop(other);
    ended.wait().unwrap();
    let ended = insert(&mut state, Child::new(ended).unwrap());
    state.handle.disable(running);
    state.handle.disable(ended);
    event_loop.apply_pending(&mut state).unwrap();
    drop(stdin);
    wait_for(event_loop.get(running).unwrap().get_ref(), WaitIdOptions::EXITED);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    state.handle.enable(running);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["7"]);
    state.handle.enable(ended);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["8"]);
}

#[test]
fn children_of_others_are_left_alone() {
    let (mut event_loop, mut state) = new_loop();
    let (ours, stdin) = spawn(1);
    insert(&mut state, Child::new(ours).unwrap());
    let (mut stranger, other) = spawn(2);
    drop(other);
    wait_for(&stranger, WaitIdOptions::EXITED);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    drop(stdin);
    assert_eq!(next(&mut event_loop, &mut state), ["1"]);
    assert_eq!(stranger.wait().unwrap().code(), Some(2));
}

#[test]
fn many_are_told_apart() {
    let (mut event_loop, mut state) = new_loop();
    let mut inputs = Vec::new();
    for code in 0..20 {
        let (child, stdin) = spawn(code);
        inputs.push(stdin);
        insert(&mut state, Child::new(child).unwrap());
    }
    for code in [13, 5, 19] {
        // A line ends it as well as the end of the input.
        inputs[code].write_all(b"\n").unwrap();
        assert_eq!(next(&mut event_loop, &mut state), [code.to_string()]);
    }
    drop(inputs);
    while state.log.len() < 17 {
        event_loop.dispatch(LONG, &mut state).unwrap();
    }
    let mut all: Vec<u32> = state.log.iter().map(|code| code.parse().unwrap()).collect();
    all.sort();
    assert!(all.iter().copied().eq((0..19).filter(|code| ![13, 5].contains(code))));
}

#[test]
fn its_output_is_a_source_beside_it() {
    let (mut event_loop, mut state) = new_loop();
    let mut child = Command::new("sh")
        .args(["-c", "echo one; echo two; exit 3"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let callback = |ready: soloop::Ready<'_, std::process::ChildStdout>, state: &mut State| {
        let mut buffer = [0; 64];
        let read = ready.io.read(&mut buffer)?;
        if read == 0 {
            state.note("end");
            return Ok(PostAction::Remove);
        }
        state.note(String::from_utf8_lossy(&buffer[..read]));
        Ok(PostAction::Continue)
    };
    let stdout = Generic::new(stdout, Interest::READ, Mode::Level);
    state.handle.insert_source(stdout, callback).unwrap();
    insert(&mut state, Child::new(child).unwrap());
    let is_over =
        |state: &State| ["end", "3"].iter().all(|what| state.log.iter().any(|l| l == what));
    while !is_over(&state) {
        event_loop.dispatch(LONG, &mut state).unwrap();
    }
    state.log.retain(|line| line != "end" && line != "3");
    assert_eq!(state.log.concat(), "one\ntwo\n");
}

#[test]
fn taken_out_it_gives_the_child_back_with_its_pipes() {
    let (mut event_loop, mut state) = new_loop();
    let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let token = insert(&mut state, Child::new(child).unwrap());
    let (give, given) = std::sync::mpsc::channel();
    state.handle.take(token, move |child, _| give.send(child.into_inner()).unwrap());
    event_loop.apply_pending(&mut state).unwrap();
    let mut child = given.recv().unwrap();
    assert_eq!(child.id(), pid);
    child.stdin.take().unwrap().write_all(b"hello").unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello");
    assert!(child.wait().unwrap().success());
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
}

#[test]
fn dropped_without_its_event_it_kills_nobody() {
    let (mut event_loop, mut state) = new_loop();
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let pid = child.id();
    let token = insert(&mut state, Child::new(child).unwrap());
    state.handle.remove(token);
    event_loop.apply_pending(&mut state).unwrap();
    stdin.write_all(b"alive").unwrap();
    drop(stdin);
    let mut said = String::new();
    stdout.read_to_string(&mut said).unwrap();
    assert_eq!(said, "alive");
    // It is a zombie now, for this process to reap.
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).unwrap().unwrap();
}

#[test]
fn one_reaped_behind_its_back_is_an_error_once_and_not_a_spin() {
    let (mut event_loop, mut state) = new_loop();
    let (child, stdin) = spawn(7);
    let pid = Pid::from_child(&child);
    let token = insert(&mut state, Child::new(child).unwrap());
    event_loop.apply_pending(&mut state).unwrap();
    drop(stdin);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).unwrap().unwrap();
    let error = event_loop.dispatch(LONG, &mut state).unwrap_err();
    assert_eq!(error.token(), Some(token.into()), "{error}");
    for _ in 0..3 {
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    }
    assert!(state.handle.contains(token));
}

#[test]
fn takes_one_fd_and_gives_it_back() {
    in_child("takes_one_fd", || {
        let (mut event_loop, mut state) = new_loop();
        let before = open_fds();
        let (child, stdin) = spawn(0);
        insert(&mut state, Child::new(child).unwrap());
        assert_eq!(open_fds(), before + 2, "and the pipe");
        drop(stdin);
        assert_eq!(next(&mut event_loop, &mut state), ["0"]);
        assert_eq!(open_fds(), before);
    });
}
