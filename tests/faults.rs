//! What goes wrong outside of the loop: fds that are closed or replaced behind its back, clocks at their ends,
//! storms of signals, children, a kernel that refuses.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{LONG, State, ZERO, manual_loop, new_loop};
use soloop::{Clock, EventLoop, Generic, Interest, Mode, PostAction, Ready, TimeoutAction, Timer};

/// An fd that others can replace while a source owns it.
#[derive(Clone)]
struct Replaceable(Arc<Mutex<Option<OwnedFd>>>, Arc<OwnedFd>);

impl Replaceable {
    fn new(fd: impl Into<OwnedFd>) -> Self {
        let spare = UnixStream::pair().unwrap().0;
        Self(Arc::new(Mutex::new(Some(fd.into()))), Arc::new(spare.into()))
    }

    fn close(&self) {
        self.0.lock().unwrap().take();
    }
}

/// Lends its spare fd: what it had is closed, and a source must not depend on being told.
impl AsFd for Replaceable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.as_fd()
    }
}

fn noting<T>(
    name: &'static str,
) -> impl FnMut(Ready<'_, T>, &mut State) -> std::io::Result<PostAction> {
    move |_, state| {
        state.note(name);
        Ok(PostAction::Continue)
    }
}

/// A wrapper whose fd is taken out by its own callback: the number is free, and another source gets it.
#[test]
fn an_fd_closed_by_its_callback_and_reused_belongs_to_the_new_source() {
    common::in_child("an_fd_closed_by_its_callback", || {
        let (mut event_loop, mut state) = new_loop();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let number = theirs.as_raw_fd();
        let source = Generic::new(theirs, Interest::READ, Mode::Level);
        let (other, mut far) = UnixStream::pair().unwrap();
        let mut other = Some(other);
        let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
            state.note("old");
            // The old fd is closed here, behind the loop's back, and its number is reused at once.
            *ready.io = other.take().unwrap();
            let (end, reused) = UnixStream::pair().unwrap();
            let both = [end.as_raw_fd(), reused.as_raw_fd()];
            assert!(both.contains(&number), "the number is reused");
            let (mut end, reused) = if both[0] == number { (reused, end) } else { (end, reused) };
            end.write_all(b"x").unwrap();
            std::mem::forget(end);
            let source = Generic::new(reused, Interest::READ, Mode::Level);
            state.handle.insert_source(source, noting("new")).unwrap();
            Ok(PostAction::Disable)
        };
        let token = state.handle.insert_source(source, callback).unwrap();
        ours.write_all(b"x").unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        for _ in 0..3 {
            state.log.clear();
            event_loop.dispatch(ZERO, &mut state).unwrap();
            assert_eq!(state.log, ["new"]);
        }
        // Removing the old one takes nothing from the new one.
        state.handle.remove(token);
        state.log.clear();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["new"]);
        far.write_all(b"x").unwrap_err();
    });
}

#[test]
fn an_fd_that_is_another_than_was_registered_does_no_harm() {
    let (mut event_loop, mut state) = new_loop();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let source = Replaceable::new(theirs);
    let token = state
        .handle
        .insert_source(Generic::new(source.clone(), Interest::READ, Mode::Level), noting("hung up"))
        .unwrap();
    source.close();
    drop(ours);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.handle.update(token, |_| ());
    state.handle.disable(token);
    state.handle.enable(token);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(state.handle.remove(token));
    event_loop.dispatch(ZERO, &mut state).unwrap();
}

#[test]
fn a_duplicate_that_keeps_the_file_open_calls_nobody_and_is_reported_once() {
    let (mut event_loop, mut state) = new_loop();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let duplicate = theirs.try_clone().unwrap();
    let source = Generic::new(theirs, Interest::READ, Mode::Level);
    // The fd is closed within the callback, while the kernel still watches the file.
    let (spare, _far) = UnixStream::pair().unwrap();
    let mut spare = Some(spare);
    let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
        state.note("once");
        if let Some(spare) = spare.take() {
            *ready.io = spare;
        }
        Ok(PostAction::Remove)
    };
    state.handle.insert_source(source, callback).unwrap();
    ours.write_all(b"x").unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    let (mut last, mut rounds) = (Instant::now(), 0);
    let end = last + Duration::from_millis(50);
    let mut reported = Vec::new();
    while last < end {
        let dispatched = event_loop.dispatch(end - last, &mut state);
        reported.extend(dispatched.err().map(|error| error.to_string()));
        last = Instant::now();
        rounds += 1;
    }
    assert_eq!(state.log, ["once"]);
    // The kernel goes on to tell of it: that it wakes the loop for nothing is known.
    assert!(event_loop.stats().stale >= rounds - 1);
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(reported[0].contains("Generic") && reported[0].contains("duplicate"), "{reported:?}");
    drop(duplicate);
}

#[test]
fn the_clock_and_deadlines_at_their_ends() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let far = [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)];
    for after in far {
        let timer = Timer::from_duration(after);
        state.handle.insert_source(timer, |_, _: &mut State| TimeoutAction::Drop).unwrap();
    }
    let again = |deadline: Instant, state: &mut State| {
        state.note("fired");
        assert_eq!(deadline, deadline.checked_add(ZERO).unwrap());
        TimeoutAction::ToDuration(Duration::MAX)
    };
    let token = state.handle.insert_source(Timer::immediate(), again).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    clock.advance(Duration::MAX);
    clock.advance(Duration::MAX);
    assert!(clock.now() > start);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["fired"], "the end of time does not come");
    state.handle.update(token, |timer| timer.set_duration(ZERO));
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["fired", "fired"], "there is no time after it, but now is");
}

/// As many signals as the machine delivers in a second or so, about one a millisecond, while timers run.
#[test]
fn timers_run_through_a_storm_of_signals() {
    common::in_child("timers_run_through_a_storm", || {
        let interrupts = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&interrupts);
        signal_hook::flag::register_usize(10, Arc::clone(&interrupts), 1).unwrap();
        let (calm, until_calm) = std::sync::mpsc::channel::<()>();
        let pid = rustix::process::getpid();
        let storm = std::thread::spawn(move || {
            let mut sent = 0;
            let pause = Duration::from_micros(900);
            while until_calm.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
                sent += 1;
            }
            sent
        });
        let (mut event_loop, mut state) = new_loop();
        let late = Arc::new(Mutex::new(ZERO));
        let worst = Arc::clone(&late);
        let callback = move |deadline: Instant, state: &mut State| {
            let now = Instant::now();
            assert!(now >= deadline, "never early");
            let mut worst = worst.lock().unwrap();
            *worst = (*worst).max(now - deadline);
            state.note("tick");
            TimeoutAction::ToInstant(deadline + Duration::from_millis(2))
        };
        state.handle.insert_source(Timer::immediate(), callback).unwrap();
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end {
            event_loop.dispatch(LONG, &mut state).unwrap();
        }
        drop(calm);
        let sent = storm.join().unwrap();
        assert!(sent > 50, "{sent}");
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert!(state.log.len() > 50 && state.log.len() < 260, "{}", state.log.len());
        println!(
            "{} ticks, {sent} signals, late by {:?} at most",
            state.log.len(),
            late.lock().unwrap()
        );
    });
}

#[test]
fn children_inherit_no_fd() {
    common::in_child("children_inherit_no_fd", || {
        let list = || {
            let output =
                std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().lines().count()
        };
        let before = list();
        let (mut event_loop, mut state) = new_loop();
        let (_sender, channel) = soloop::channel::<u8>();
        state.handle.insert_source(channel, |_, _: &mut State| ()).unwrap();
        let timer = Timer::from_duration(LONG);
        state.handle.insert_source(timer, |_, _: &mut State| TimeoutAction::Drop).unwrap();
        let signals = soloop::Signals::new([rustix::process::Signal::USR2.as_raw()]).unwrap();
        state.handle.insert_source(signals, |_, _: &mut State| ()).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let _ = event_loop.as_fd();
        assert_eq!(list(), before, "all are close-on-exec");
    });
}

#[test]
fn a_loop_that_can_not_be_made_is_an_error_and_leaves_no_fd() {
    common::in_child("a_loop_that_can_not_be_made", || {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        drop(new_loop());
        let open = common::open_fds();
        let limit = getrlimit(Resource::Nofile);
        let mut refused = 0;
        for current in 3.. {
            setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum })
                .unwrap();
            let made = EventLoop::<State>::with_clock(Clock::system()).map(drop);
            setrlimit(Resource::Nofile, limit).unwrap();
            assert_eq!(common::open_fds(), open, "with a limit of {current}");
            match made {
                Ok(()) => break,
                Err(error) => assert!(error.is_io(), "{error}"),
            }
            refused += 1;
        }
        assert!(refused >= 4, "without the first, the second… of its fds: {refused}");
        drop(new_loop());
    });
}

#[test]
fn what_the_kernel_refuses_costs_nobody_else() {
    let (mut event_loop, mut state) = new_loop();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let source = Generic::new(theirs, Interest::READ, Mode::Level);
    let callback = |ready: Ready<'_, UnixStream>, state: &mut State| {
        let n = ready.io.read(&mut [0; 8])?;
        state.note(n);
        Ok(PostAction::Continue)
    };
    let token = state.handle.insert_source(source, callback).unwrap();
    for _ in 0..100 {
        let file = tempfile::tempfile().unwrap();
        let source = Generic::new(file, Interest::READ, Mode::Level);
        let refused =
            state.handle.insert_source(source, |_, _: &mut State| Ok(PostAction::Continue));
        assert_eq!(refused.unwrap_err().error.kind(), std::io::ErrorKind::PermissionDenied);
    }
    // A file that can't be watched takes the place of one that can: the error is the source's.
    let (file, other) = (tempfile::tempfile().unwrap(), UnixStream::pair().unwrap());
    let swap = state.handle.insert_source(
        Generic::new(OwnedFd::from(other.0.try_clone().unwrap()), Interest::EMPTY, Mode::Level),
        |_, _: &mut State| Ok(PostAction::Continue),
    );
    let swap = swap.unwrap();
    state.handle.update(swap, move |source| *source.get_mut() = file.into());
    ours.write_all(b"x").unwrap();
    let error = event_loop.dispatch(ZERO, &mut state).unwrap_err();
    assert_eq!(error.token(), Some(swap.into()));
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["1"]);
    assert!(state.handle.remove(swap) && state.handle.contains(token));
    event_loop.dispatch(ZERO, &mut state).unwrap();
    drop(other);
}
