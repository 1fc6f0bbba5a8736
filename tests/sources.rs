//! The built-in sources, through the public API; signals have a program of their own.

mod common;

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use common::{LONG, State, ZERO, manual_loop, new_loop};
use soloop::channel::Event;
use soloop::{
    AnyToken, EventLoop, EventSource, Generic, Interest, InterestToken, Interval, MioSource, Mode,
    Notifier, PostAction, Readiness, Ready, Registrar, Tick, TimeoutAction, Timer, Token,
    make_ping,
};

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

fn dispatch(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    event_loop.dispatch(ZERO, state).unwrap();
    state.take_log()
}

mod generic {
    use super::*;

    /// A source that notes what is ready, and reads only if `reads`.
    fn insert(
        state: &mut State,
        interest: Interest,
        mode: Mode,
        reads: bool,
    ) -> (UnixStream, Token<Generic<UnixStream>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let source = Generic::new(theirs, interest, mode);
        let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
            state.note(describe(ready.readiness));
            if reads {
                while matches!(ready.io.read(&mut [0; 64]), Ok(1..)) {}
            }
            Ok(PostAction::Continue)
        };
        (ours, state.handle.insert_source(source, callback).unwrap())
    }

    fn describe(readiness: Readiness) -> String {
        let names = [
            (readiness.readable, "readable"),
            (readiness.writable, "writable"),
            (readiness.error, "error"),
            (readiness.read_closed, "read_closed"),
            (readiness.write_closed, "write_closed"),
            (readiness.priority, "priority"),
        ];
        let set: Vec<_> = names.iter().filter(|name| name.0).map(|name| name.1).collect();
        set.join(" ")
    }

    #[test]
    fn level_tells_as_long_as_it_is_ready() {
        let (mut event_loop, mut state) = new_loop();
        let (mut ours, _) = insert(&mut state, Interest::READ, Mode::Level, false);
        ours.write_all(b"x").unwrap();
        for _ in 0..3 {
            assert_eq!(dispatch(&mut event_loop, &mut state), ["readable"]);
        }
    }

    #[test]
    fn edge_tells_once_each_time() {
        if common::POLL_BACKEND {
            return;
        }
        let (mut event_loop, mut state) = new_loop();
        let (mut ours, _) = insert(&mut state, Interest::READ, Mode::Edge, false);
        for _ in 0..2 {
            ours.write_all(b"x").unwrap();
            assert_eq!(dispatch(&mut event_loop, &mut state), ["readable"]);
            assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        }
    }

    #[test]
    fn oneshot_tells_once_until_it_is_updated() {
        let (mut event_loop, mut state) = new_loop();
        let (mut ours, token) = insert(&mut state, Interest::READ, Mode::OneShot, false);
        for _ in 0..2 {
            ours.write_all(b"x").unwrap();
            assert_eq!(dispatch(&mut event_loop, &mut state), ["readable"]);
            ours.write_all(b"x").unwrap();
            assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
            state.handle.update(token, |_| ());
        }
    }

    #[test]
    fn interest_and_mode_change_with_an_update() {
        let (mut event_loop, mut state) = new_loop();
        let (mut ours, token) = insert(&mut state, Interest::READ, Mode::Level, false);
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        state.handle.update(token, |source| source.interest = Interest::WRITE);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["writable"]);
        ours.write_all(b"x").unwrap();
        state.handle.update(token, |source| source.interest = Interest::BOTH);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["readable writable"]);
        state.handle.update(token, |source| {
            source.interest = Interest::READ;
            source.mode = Mode::Edge;
        });
        assert_eq!(dispatch(&mut event_loop, &mut state), ["readable"]);
        if !common::POLL_BACKEND {
            assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        }
    }

    #[test]
    fn a_hang_up_is_readable_and_closed() {
        let (mut event_loop, mut state) = new_loop();
        let (ours, _) = insert(&mut state, Interest::READ, Mode::Level, true);
        drop(ours);
        let expected = ["readable read_closed write_closed"];
        assert_eq!(dispatch(&mut event_loop, &mut state), expected);
    }

    #[test]
    fn an_empty_interest_hears_of_a_hang_up_once() {
        if common::POLL_BACKEND {
            return;
        }
        let (mut event_loop, mut state) = new_loop();
        let (ours, _) = insert(&mut state, Interest::EMPTY, Mode::Level, false);
        drop(ours);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["read_closed write_closed"]);
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    }

    #[test]
    fn an_error_of_the_fd_is_told() {
        let (mut event_loop, mut state) = new_loop();
        let (reader, writer) = std::io::pipe().unwrap();
        let source = Generic::new(OwnedFd::from(writer), Interest::WRITE, Mode::Level);
        let callback = |ready: Ready<'_, OwnedFd>, state: &mut State| {
            state.note(describe(ready.readiness));
            Ok(PostAction::Remove)
        };
        state.handle.insert_source(source, callback).unwrap();
        drop(reader);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["writable error write_closed"]);
    }

    #[test]
    fn refuses_what_epoll_refuses_and_gives_it_back() {
        if common::POLL_BACKEND {
            return;
        }
        let (mut event_loop, mut state) = new_loop();
        let callback = |_: Ready<'_, UnixStream>, _: &mut State| Ok(PostAction::Continue);
        let (ours, _theirs) = UnixStream::pair().unwrap();

        struct Shared(std::sync::Arc<UnixStream>);
        impl AsFd for Shared {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }
        let shared = std::sync::Arc::new(ours);
        let twice = |state: &mut State| {
            let source = Generic::new(Shared(shared.clone()), Interest::READ, Mode::Level);
            state.handle.insert_source(source, |_, _: &mut State| Ok(PostAction::Continue))
        };
        let first = twice(&mut state).unwrap();
        let refused = twice(&mut state).unwrap_err();
        assert_eq!(refused.error.kind(), std::io::ErrorKind::AlreadyExists);
        // The refusal took nothing from the first one.
        assert!(state.handle.contains(first));
        state.handle.remove(first);
        event_loop.apply_pending(&mut state).unwrap();
        twice(&mut state).unwrap();

        let directory = std::fs::File::open("/").unwrap();
        let source = Generic::new(directory, Interest::READ, Mode::Level);
        let refused = state
            .handle
            .insert_source(source, |_, _: &mut State| Ok(PostAction::Continue))
            .unwrap_err();
        assert_eq!(refused.error.kind(), std::io::ErrorKind::PermissionDenied);
        assert!(refused.source.into_inner().metadata().unwrap().is_dir());
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let source = Generic::new(ours, Interest::READ, Mode::Level);
        state.handle.insert_source(source, callback).unwrap();
    }

    #[test]
    fn another_fd_in_its_place_is_registered() {
        let (mut event_loop, mut state) = new_loop();
        let (mut first, theirs) = UnixStream::pair().unwrap();
        let (mut second, mut next) = {
            let (ours, theirs) = UnixStream::pair().unwrap();
            (ours, Some(theirs))
        };
        let source = Generic::new(theirs, Interest::READ, Mode::Level);
        let (kept, keep) = mpsc::channel();
        let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
            let mut byte = [0];
            ready.io.read_exact(&mut byte)?;
            state.note(byte[0] as char);
            if let Some(next) = next.take() {
                // The old one stays open, and full of events that nobody is to hear of.
                kept.send(std::mem::replace(ready.io, next)).unwrap();
            }
            Ok(PostAction::Continue)
        };
        let token = state.handle.insert_source(source, callback).unwrap();
        first.write_all(b"ab").unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["a"]);
        let _old = keep.recv().unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        second.write_all(b"c").unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["c"]);
        // No wake-ups from the old one: this wait lasts until the timeout.
        let before = Instant::now();
        event_loop.dispatch(20 * MS, &mut state).unwrap();
        assert!(before.elapsed() >= 20 * MS);
        let (taken, take) = mpsc::channel();
        state.handle.take(token, move |source, _| taken.send(source.into_inner()).unwrap());
        event_loop.apply_pending(&mut state).unwrap();
        second.write_all(b"d").unwrap();
        let mut byte = [0];
        take.recv().unwrap().read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"d", "the new one is handed out");
    }

    #[test]
    fn the_fd_comes_back_with_take() {
        let (mut event_loop, mut state) = new_loop();
        let (mut ours, token) = insert(&mut state, Interest::READ, Mode::Level, false);
        let (sender, receiver) = mpsc::channel();
        state.handle.take(token, move |source, _| sender.send(source.into_inner()).unwrap());
        event_loop.apply_pending(&mut state).unwrap();
        ours.write_all(b"x").unwrap();
        let mut theirs = receiver.recv().unwrap();
        theirs.read_exact(&mut [0]).unwrap();
        assert!(!state.handle.contains(token));
        // It can be inserted again, here or in another loop.
        let source = Generic::new(theirs, Interest::READ, Mode::Level);
        state.handle.insert_source(source, |_, _: &mut State| Ok(PostAction::Continue)).unwrap();
    }

    #[test]
    fn a_disabled_one_is_silent_and_tells_when_it_is_enabled() {
        for mode in [Mode::Level, Mode::Edge, Mode::OneShot] {
            let (mut event_loop, mut state) = new_loop();
            let (mut ours, token) = insert(&mut state, Interest::READ, mode, true);
            assert!(state.handle.disable(token));
            assert!(state.handle.disable(token), "twice is once");
            ours.write_all(b"x").unwrap();
            assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
            assert!(state.handle.enable(token));
            assert!(state.handle.enable(token), "twice is once");
            assert_eq!(dispatch(&mut event_loop, &mut state), ["readable"]);
            state.handle.remove(token);
            assert!(!state.handle.enable(token) && !state.handle.disable(token));
        }
    }

    #[test]
    fn no_fds_left_is_an_error_and_loses_nothing() {
        // In a process of its own: the limit is the process's.
        common::in_child("no_fds_left", || {
            let (mut event_loop, mut state) = new_loop();
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let source = Generic::new(listener, Interest::READ, Mode::Level);
            state
                .handle
                .insert_source(source, |ready, _: &mut State| {
                    ready.io.accept()?;
                    Ok(PostAction::Continue)
                })
                .unwrap();
            let source = Generic::new(theirs, Interest::READ, Mode::Level);
            state
                .handle
                .insert_source(source, |ready, state: &mut State| {
                    ready.io.read_exact(&mut [0])?;
                    state.note("read");
                    Ok(PostAction::Continue)
                })
                .unwrap();
            ours.write_all(b"x").unwrap();
            let mut hoard = Vec::new();
            let full = loop {
                match std::fs::File::open("/dev/null") {
                    Ok(file) => hoard.push(file),
                    Err(error) => break error,
                }
            };
            assert_eq!(full.raw_os_error(), Some(24), "EMFILE");
            let error = EventLoop::<State>::new().map(drop).unwrap_err();
            assert!(error.is_io(), "{error}");
            let error = event_loop.dispatch(ZERO, &mut state).unwrap_err();
            assert!(error.is_source() && error.to_string().contains("os error 24"), "{error}");
            event_loop.dispatch(ZERO, &mut state).map(drop).ok();
            assert_eq!(state.log, ["read"], "the other source goes on");
            drop(hoard);
            event_loop.dispatch(ZERO, &mut state).unwrap();
        });
    }
}

mod mio_source {
    use super::*;
    use mio::net::{TcpListener, TcpStream};

    #[test]
    fn level_tells_as_long_as_it_is_ready() {
        if !common::MIO_SOURCES {
            return;
        }
        let (mut event_loop, mut state) = new_loop();
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let source = MioSource::new(listener, Interest::READ, Mode::Level);
        state
            .handle
            .insert_source(source, |ready, state: &mut State| {
                // One of two waiting connections a call.
                state.note(ready.io.accept().is_ok());
                Ok(PostAction::Continue)
            })
            .unwrap();
        let _clients = [(); 2].map(|()| std::net::TcpStream::connect(address).unwrap());
        assert_eq!(dispatch(&mut event_loop, &mut state), ["true"]);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["true"]);
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    }

    fn connected() -> (std::net::TcpStream, TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let theirs = listener.accept().unwrap().0;
        theirs.set_nonblocking(true).unwrap();
        (ours, TcpStream::from_std(theirs))
    }

    #[test]
    #[cfg(not(target_pointer_width = "64"))]
    fn is_refused_where_mios_token_has_no_room_and_comes_back() {
        let (mut event_loop, mut state) = new_loop();
        let (mut ours, theirs) = connected();
        let source = MioSource::new(theirs, Interest::READ, Mode::Level);
        let callback = |_: soloop::Ready<'_, TcpStream>, _: &mut State| Ok(PostAction::Continue);
        let refused = state.handle.insert_source(source, callback).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("64 bits") && text.contains("MioSource"), "{text}");
        ours.write_all(b"x").unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        refused.source.into_inner().read_exact(&mut [0]).unwrap();
    }

    #[test]
    fn oneshot_and_edge_and_changes() {
        if !common::MIO_SOURCES {
            return;
        }
        let (mut event_loop, mut state) = new_loop();
        let (mut ours, theirs) = connected();
        let source = MioSource::new(theirs, Interest::READ, Mode::OneShot);
        let token = state
            .handle
            .insert_source(source, |ready, state: &mut State| {
                state.note(format!("{}{}", ready.readiness.readable, ready.readiness.writable));
                Ok(PostAction::Continue)
            })
            .unwrap();
        ours.write_all(b"x").unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.take_log(), ["truefalse"]);
        ours.write_all(b"x").unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        state.handle.update(token, |_| ());
        assert_eq!(dispatch(&mut event_loop, &mut state), ["truefalse"]);
        state.handle.update(token, |source| {
            source.mode = Mode::Edge;
            source.interest = Interest::BOTH;
        });
        assert_eq!(dispatch(&mut event_loop, &mut state), ["truetrue"]);
        if common::POLL_BACKEND {
            return;
        }
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        state.handle.update(token, |source| source.interest = Interest::EMPTY);
        drop(ours);
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        state.handle.update(token, |source| source.interest = Interest::READ);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["truefalse"]);
        state.handle.disable(token);
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        state.handle.enable(token);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["truefalse"]);
        state.handle.update(token, |source| source.interest = Interest::EMPTY);
        state.handle.remove(token);
        event_loop
            .dispatch(ZERO, &mut state)
            .expect("nothing that the kernel would have to forget");
    }
}

mod timer {
    use super::*;

    fn noting(name: &'static str) -> impl FnMut(Instant, &mut State) -> TimeoutAction {
        move |_, state| {
            state.note(name);
            TimeoutAction::Drop
        }
    }

    #[test]
    fn a_duration_counts_from_insertion_on_the_loops_clock() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let timer = Timer::from_duration(HOUR);
        assert_eq!(timer.current_deadline(), None);
        clock.advance(5 * HOUR);
        let token = state.handle.insert_source(timer, noting("x")).unwrap();
        let inserted = clock.now();
        event_loop.apply_pending(&mut state).unwrap();
        let deadline = event_loop.get(token).unwrap().current_deadline();
        assert_eq!(deadline, Some(inserted + HOUR));
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(clock.now(), inserted + HOUR);
        assert_eq!(state.log, ["x"]);
        assert!(!state.handle.contains(token), "removed after Drop");
    }

    #[test]
    fn the_end_of_time_never_comes() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let token =
            state.handle.insert_source(Timer::from_duration(Duration::MAX), noting("never"));
        let token = token.unwrap();
        let far =
            clock.now().checked_add(Duration::from_secs(u32::MAX.into()).saturating_mul(1000));
        if let Some(far) = far {
            state.handle.insert_source(Timer::from_deadline(far), noting("never")).unwrap();
        }
        for _ in 0..3 {
            clock.advance(Duration::MAX);
            event_loop.dispatch(ZERO, &mut state).unwrap();
            event_loop.dispatch(Duration::MAX, &mut state).unwrap();
        }
        assert!(state.log.is_empty());
        assert_eq!(event_loop.get(token).unwrap().current_deadline(), None);
        let callback = |_: Instant, _: &mut State| TimeoutAction::ToDuration(Duration::MAX);
        let (mut event_loop, mut state) = new_loop();
        let token = state.handle.insert_source(Timer::immediate(), callback).unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert!(state.handle.contains(token));
        assert_eq!(event_loop.get(token).unwrap().current_deadline(), None);
        state.handle.update(token, |timer| timer.set_duration(ZERO));
        event_loop.dispatch(LONG, &mut state).unwrap();
    }

    #[test]
    fn repeats_without_drift_or_from_now() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = clock.now();
        let slow = clock.clone();
        state
            .handle
            .insert_source(Timer::from_duration(10 * MS), move |deadline, state: &mut State| {
                slow.advance(3 * MS); // the callback takes its time
                state.note((deadline - start).as_millis());
                TimeoutAction::ToInstant(deadline + 10 * MS)
            })
            .unwrap();
        for _ in 0..3 {
            event_loop.dispatch(None, &mut state).unwrap();
        }
        assert_eq!(state.log, ["10", "20", "30"]);
    }

    #[test]
    fn a_disabled_one_fires_when_it_is_enabled() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let timer = state.handle.insert_source(Timer::from_duration(MS), noting("x")).unwrap();
        state.handle.disable(timer);
        clock.advance(HOUR);
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        state.handle.enable(timer);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["x"]);
    }

    #[test]
    fn is_moved_by_its_token_whatever_it_does_meanwhile() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = clock.now();
        let at = |hours: u32| start + hours * HOUR;
        let waits =
            state.handle.insert_source(Timer::from_duration(HOUR), noting("waits")).unwrap();
        let rests =
            state.handle.insert_source(Timer::from_duration(HOUR), noting("rests")).unwrap();
        let never = Timer::from_duration(Duration::MAX);
        let never = state.handle.insert_source(never, noting("never")).unwrap();
        // One that is inserted just now, and those that are stored.
        assert!(state.handle.set_deadline(waits, at(2)));
        state.handle.disable(rests);
        event_loop.apply_pending(&mut state).unwrap();
        for (token, hours) in [(waits, 4), (rests, 2), (never, 3)] {
            assert!(state.handle.set_deadline(token, at(hours)));
        }
        event_loop.apply_pending(&mut state).unwrap();
        let deadline = |token: Token<Timer>| event_loop.get(token).unwrap().current_deadline();
        assert_eq!([waits, rests, never].map(deadline), [4, 2, 3].map(|hours| Some(at(hours))));
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!((clock.now(), state.take_log()), (at(3), vec!["never".to_owned()]));
        assert!(!state.handle.set_deadline(never, at(5)), "it is gone");
        // Enabled again, it is long due.
        state.handle.enable(rests);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["rests"]);
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!((clock.now(), state.take_log()), (at(4), vec!["waits".to_owned()]));
    }

    #[test]
    fn the_last_of_its_moves_counts_in_the_order_they_were_asked_for() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let at = |hours: u32| clock.now() + hours * HOUR;
        let one = state.handle.insert_source(Timer::from_duration(HOUR), noting("one")).unwrap();
        let two = state.handle.insert_source(Timer::from_duration(HOUR), noting("two")).unwrap();
        let (third, fourth) = (at(3), at(4));
        state.handle.set_deadline(one, at(9));
        state.handle.set_deadline(one, at(5));
        state.handle.set_deadline(two, at(6));
        state.handle.set_deadline(one, at(7));
        state.handle.update(two, move |timer| timer.set_deadline(third));
        state.handle.update(one, move |timer| timer.set_deadline(third));
        state.handle.set_deadline(one, at(8));
        state.handle.set_deadline(one, fourth);
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(event_loop.get(one).unwrap().current_deadline(), Some(fourth));
        for (deadline, name) in [(third, "two"), (fourth, "one")] {
            event_loop.dispatch(None, &mut state).unwrap();
            assert_eq!((clock.now(), state.take_log()), (deadline, vec![name.to_owned()]));
        }
    }

    #[test]
    fn one_that_its_own_callback_moves_stays_whatever_it_answers() {
        for answer in [TimeoutAction::Drop, TimeoutAction::ToDuration(9 * HOUR)] {
            let (mut event_loop, mut state, clock) = manual_loop();
            let later = clock.now() + HOUR;
            let itself = Arc::new(OnceLock::new());
            let token = Arc::clone(&itself);
            let callback = move |deadline: Instant, state: &mut State| {
                state.note("x");
                if deadline < later {
                    state.handle.set_deadline(*token.get().unwrap(), later);
                }
                answer
            };
            let timer = state.handle.insert_source(Timer::immediate(), callback).unwrap();
            itself.set(timer).unwrap();
            assert_eq!(dispatch(&mut event_loop, &mut state), ["x"]);
            event_loop.dispatch(None, &mut state).unwrap();
            assert_eq!((clock.now(), state.take_log()), (later, vec!["x".to_owned()]));
        }
    }

    #[test]
    fn the_token_of_another_loop_moves_nothing_that_is_no_timer() {
        let (_other_loop, mut other) = new_loop();
        let (mut event_loop, mut state, clock) = manual_loop();
        let timer = other.handle.insert_source(Timer::immediate(), noting("x")).unwrap();
        let interval = Interval::new(HOUR);
        let callback = |_: Tick, state: &mut State| {
            state.note("tick");
            PostAction::Remove
        };
        let interval = state.handle.insert_source(interval, callback).unwrap();
        assert_eq!(
            AnyToken::from(timer),
            AnyToken::from(interval),
            "that of a loop's first source"
        );
        let start = clock.now();
        state.handle.set_deadline(timer, start + 9 * HOUR);
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!((clock.now(), state.take_log()), (start + HOUR, vec!["tick".to_owned()]));
    }

    #[test]
    fn changes_through_get_mut_take_effect_with_an_update() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let timer = state.handle.insert_source(Timer::from_duration(HOUR), noting("x")).unwrap();
        event_loop.apply_pending(&mut state).unwrap();
        let soon = clock.now() + MS;
        event_loop.get_mut(timer).unwrap().set_deadline(soon);
        state.handle.update(timer, |_| ());
        event_loop.apply_pending(&mut state).unwrap();
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(clock.now(), soon);
        assert!(event_loop.get(timer).is_none() && event_loop.get_mut(timer).is_none());
    }
}

mod channel {
    use super::*;

    /// A thread that is expected to sleep.
    struct Sleeper<T> {
        /// What /proc says of it.
        stat: PathBuf,
        answer: mpsc::Receiver<T>,
    }

    impl<T: Send + 'static> Sleeper<T> {
        fn spawn(run: impl FnOnce() -> T + Send + 'static) -> Self {
            let (tell, told) = mpsc::channel();
            let (sender, answer) = mpsc::channel();
            std::thread::spawn(move || {
                tell.send(std::fs::read_link("/proc/thread-self").unwrap()).unwrap();
                sender.send(run())
            });
            let stat = Path::new("/proc").join(told.recv().unwrap()).join("stat");
            Self { stat, answer }
        }

        fn wait_until_asleep(&self) {
            let start = Instant::now();
            while !std::fs::read_to_string(&self.stat).expect("a thread").contains(") S ") {
                assert!(start.elapsed() < LONG, "it does not sleep");
                std::thread::yield_now();
            }
        }

        fn join(self) -> T {
            self.answer.recv_timeout(LONG).expect("it wakes up")
        }
    }

    fn insert<T: ToString + 'static>(
        state: &mut State,
        channel: soloop::Channel<T>,
    ) -> Token<soloop::Channel<T>> {
        let callback = |event, state: &mut State| match event {
            Event::Msg(message) => state.note(message),
            Event::Closed => state.note("closed"),
        };
        state.handle.insert_source(channel, callback).unwrap()
    }

    #[test]
    fn delivers_in_order_then_closes_and_goes() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::channel();
        sender.send(1).unwrap();
        let token = insert(&mut state, channel);
        let other = sender.clone();
        sender.send(2).unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["1", "2"]);
        drop(sender);
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        other.send(3).unwrap();
        drop(other);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["3", "closed"]);
        assert!(!state.handle.contains(token));
    }

    #[test]
    fn waits_while_it_is_disabled() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::channel();
        let token = insert(&mut state, channel);
        state.handle.disable(token);
        sender.send(1).unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        state.handle.enable(token);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["1"]);
        sender.send(2).unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["2"]);
    }

    #[test]
    fn many_threads_lose_nothing() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::channel();
        state
            .handle
            .insert_source(channel, |event, state: &mut State| match event {
                Event::Msg(message) => state.note(message),
                Event::Closed => state.handle.stop(),
            })
            .unwrap();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    (0..5000).for_each(|n| sender.send(thread * 5000 + n).unwrap());
                })
            })
            .collect();
        drop(sender);
        event_loop.run(LONG, &mut state, |_| ()).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut all: Vec<u32> = state.log.iter().map(|n| n.parse().unwrap()).collect();
        let in_order = (0..4).all(|thread| all.iter().filter(|n| **n / 5000 == thread).is_sorted());
        assert!(in_order, "each thread's messages stay in order");
        all.sort();
        assert_eq!(all, (0..20_000).collect::<Vec<_>>());
    }

    #[test]
    fn bounded_ones_block_the_sender_and_never_get_stuck() {
        for bound in [0, 1, 3] {
            let (mut event_loop, mut state) = new_loop();
            let (sender, channel) = soloop::sync_channel(bound);
            state
                .handle
                .insert_source(channel, |event, state: &mut State| match event {
                    Event::Msg(message) => state.note(message),
                    Event::Closed => state.handle.stop(),
                })
                .unwrap();
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let sender = sender.clone();
                    std::thread::spawn(move || {
                        (0..500).for_each(|n| sender.send(n).unwrap());
                    })
                })
                .collect();
            drop(sender);
            event_loop.run(LONG, &mut state, |_| ()).unwrap();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(state.log.len(), 1000, "bound {bound}");
        }
    }

    #[test]
    fn a_rendezvous_ends_when_the_message_is_received_or_the_channel_gone() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::sync_channel(0);
        assert!(matches!(sender.try_send(1), Err(mpsc::TrySendError::Full(1))));
        let token = insert(&mut state, channel);
        let sleeper = Sleeper::spawn(move || (sender.send(1), sender));
        event_loop.dispatch(LONG, &mut state).unwrap();
        let (sent, sender) = sleeper.join();
        assert_eq!((sent, state.take_log()), (Ok(()), vec!["1".to_owned()]));
        let sleeper = Sleeper::spawn(move || (sender.send(2), sender.try_send(3)));
        sleeper.wait_until_asleep();
        state.handle.remove(token);
        event_loop.apply_pending(&mut state).unwrap();
        let (gone, gone_too) = (mpsc::SendError(2), mpsc::TrySendError::Disconnected(3));
        assert_eq!(sleeper.join(), (Err(gone), Err(gone_too)), "they come back");
    }

    #[test]
    fn one_that_is_dropped_drops_its_messages() {
        let message = Arc::new(());
        let (sender, channel) = soloop::channel();
        let (bounded, bounded_channel) = soloop::sync_channel(1);
        sender.send(Arc::clone(&message)).unwrap();
        bounded.try_send(Arc::clone(&message)).unwrap();
        drop((channel, bounded_channel));
        assert_eq!(Arc::strong_count(&message), 1);
    }

    #[test]
    fn another_in_its_place_is_registered() {
        let (mut event_loop, mut state) = new_loop();
        let (_sender, channel) = soloop::channel();
        let token = insert(&mut state, channel);
        let (sender, another) = soloop::channel();
        state.handle.update(token, |channel| *channel = another);
        event_loop.apply_pending(&mut state).unwrap();
        sender.send(1).unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["1"]);
    }

    #[cfg(not(mio_unsupported_force_poll_poll))]
    #[test]
    fn a_rendezvous_keeps_its_sender_until_the_message_is_received() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::sync_channel(0);
        insert(&mut state, channel);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(!common::is_readable(&event_loop));
        let sleeper = Sleeper::spawn(move || sender.send(1));
        assert!(common::readable_within(&event_loop, LONG), "the message is there");
        sleeper.wait_until_asleep();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        sleeper.join().unwrap();
    }

    #[test]
    fn a_sender_waits_while_a_bounded_one_is_full() {
        let (sender, channel) = soloop::sync_channel(1);
        sender.try_send(1).unwrap();
        let sleeper = Sleeper::spawn(move || sender.send(2));
        sleeper.wait_until_asleep();
        assert_eq!(channel.try_recv(), Ok(1));
        sleeper.join().unwrap();
        assert_eq!(channel.try_recv(), Ok(2));
    }

    #[test]
    fn recv_waits_for_a_message_and_for_the_last_sender() {
        let (sender, channel) = soloop::channel();
        let sleeper = Sleeper::spawn(move || (channel.recv(), channel));
        sleeper.wait_until_asleep();
        sender.send("a message").unwrap();
        let (received, channel) = sleeper.join();
        assert_eq!(received, Ok("a message"));
        let sleeper = Sleeper::spawn(move || channel.recv());
        sleeper.wait_until_asleep();
        drop(sender.clone());
        sleeper.wait_until_asleep();
        drop(sender);
        assert_eq!(sleeper.join(), Err(mpsc::RecvError));
    }

    #[test]
    fn a_thread_that_waits_in_recv_gets_what_another_leaves() {
        let (sender, channel) = soloop::channel();
        let channel = Arc::new(channel);
        let theirs = Arc::clone(&channel);
        let sleeper = Sleeper::spawn(move || theirs.recv().unwrap());
        sleeper.wait_until_asleep();
        (0..3).for_each(|n| sender.send(n).unwrap());
        let ours = channel.try_recv().unwrap();
        let mut received = [ours, sleeper.join(), channel.try_recv().unwrap()];
        received.sort();
        assert_eq!(received, [0, 1, 2]);
    }

    #[test]
    fn a_rendezvous_has_room_while_recv_waits() {
        let (sender, channel) = soloop::sync_channel(0);
        let sleeper = Sleeper::spawn(move || (channel.recv(), channel));
        sleeper.wait_until_asleep();
        sender.try_send(1).unwrap();
        let (received, _channel) = sleeper.join();
        assert_eq!(received, Ok(1));
        assert_eq!(sender.try_send(2), Err(mpsc::TrySendError::Full(2)), "nobody waits any more");
    }

    #[test]
    fn its_ends_say_what_they_are() {
        let (sender, channel) = soloop::channel::<()>();
        let (bounded, _channel) = soloop::sync_channel::<()>(1);
        assert_eq!(format!("{sender:?} {bounded:?}"), "Sender { .. } SyncSender { .. }");
        assert!(format!("{channel:?}").starts_with("Channel"));
    }

    #[test]
    fn works_without_a_loop() {
        let (sender, channel) = soloop::sync_channel(2);
        assert_eq!(channel.try_recv(), Err(mpsc::TryRecvError::Empty));
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        assert!(matches!(sender.try_send(3), Err(mpsc::TrySendError::Full(3))));
        assert_eq!(channel.recv(), Ok(1));
        let thread = std::thread::spawn(move || sender.send(4));
        assert_eq!((channel.recv(), channel.recv()), (Ok(2), Ok(4)));
        thread.join().unwrap().unwrap();
        assert_eq!(channel.recv(), Err(mpsc::RecvError));
        assert_eq!(channel.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        let (sender, channel) = soloop::channel();
        drop(channel);
        assert_eq!(sender.send(5), Err(mpsc::SendError(5)));
    }
}

mod ping {
    use super::*;

    #[test]
    fn coalesces_and_waits_while_it_is_not_enabled() {
        let (mut event_loop, mut state) = new_loop();
        let (ping, source) = make_ping();
        ping.ping(); // before the insertion
        let token =
            state.handle.insert_source(source, |(), state: &mut State| state.note("x")).unwrap();
        (0..10).for_each(|_| ping.ping());
        assert_eq!(dispatch(&mut event_loop, &mut state), ["x"]);
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        state.handle.disable(token);
        event_loop.apply_pending(&mut state).unwrap();
        ping.ping();
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        state.handle.enable(token);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["x"]);
        state.handle.remove(token);
        event_loop.apply_pending(&mut state).unwrap();
        ping.ping();
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    }

    #[test]
    fn a_ping_from_its_own_callback_arrives_in_the_next_round() {
        let (mut event_loop, mut state) = new_loop();
        let (ping, source) = make_ping();
        let again = ping.clone();
        state
            .handle
            .insert_source(source, move |(), state: &mut State| {
                state.note("x");
                again.ping();
            })
            .unwrap();
        ping.ping();
        for _ in 0..3 {
            event_loop.dispatch(None, &mut state).unwrap();
            assert_eq!(state.take_log(), ["x"]);
        }
    }

    #[test]
    fn threads_wake_a_sleeping_loop_every_time() {
        let (mut event_loop, mut state) = new_loop();
        let (ping, source) = make_ping();
        let (answer, answers) = mpsc::channel();
        state
            .handle
            .insert_source(source, move |(), _: &mut State| answer.send(()).unwrap())
            .unwrap();
        let stop = state.handle.signal();
        let thread = std::thread::spawn(move || {
            for _ in 0..20_000 {
                ping.ping();
                answers.recv_timeout(LONG).expect("no wake-up is lost");
            }
            stop.stop();
        });
        event_loop.run(None, &mut state, |_| ()).unwrap();
        thread.join().unwrap();
    }
}

mod once {
    use super::*;

    #[test]
    fn the_callback_may_consume_and_the_source_goes() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, channel) = soloop::channel();
        let captured = String::from("moved out");
        let token = state
            .handle
            .insert_once(channel, move |event, state: &mut State| {
                let Event::Msg(()) = event else { return };
                state.note(captured);
            })
            .unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
        assert!(state.handle.contains(token), "it waits for an event");
        sender.send(()).unwrap();
        sender.send(()).unwrap();
        assert_eq!(dispatch(&mut event_loop, &mut state), ["moved out"]);
        assert!(!state.handle.contains(token));
        assert!(sender.send(()).is_err());
        let timer = state
            .handle
            .insert_once(Timer::immediate(), |_, _: &mut State| TimeoutAction::ToDuration(HOUR));
        let timer = timer.unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert!(!state.handle.contains(timer), "whatever it answers");
    }
}

mod custom {
    use super::*;

    /// A composite of everything a registrar offers, that fails where it is told to.
    #[derive(Default)]
    struct Composite {
        fail: String,
        calls: Calls,
        socket: Option<UnixStream>,
        tokens: Vec<InterestToken>,
        notifier: Option<Notifier>,
        shown: Vec<(Readiness, InterestToken)>,
    }

    /// The methods that were called.
    #[derive(Clone, Default)]
    struct Calls(Arc<Mutex<Vec<&'static str>>>);

    impl Calls {
        fn take(&self) -> Vec<&'static str> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl Composite {
        fn step(&self, name: &'static str) -> std::io::Result<()> {
            self.calls.0.lock().unwrap().push(name);
            match self.fail.strip_prefix("panic ") {
                Some(panic) => assert_ne!(panic, name, "on purpose"),
                None if self.fail == name => return Err(std::io::Error::other("as told")),
                None => {}
            }
            Ok(())
        }
    }

    impl EventSource for Composite {
        type Event<'a> = &'a str;
        type Ret = ();
        type Error = std::io::Error;
        const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

        fn register(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
            self.step("register")?;
            if let Some(socket) = &self.socket {
                let token = registrar.register_fd(socket.as_fd(), Interest::READ, Mode::Level)?;
                self.tokens.push(token);
            }
            self.step("half")?;
            self.tokens.push(registrar.arm(registrar.now() + HOUR));
            let (token, notifier) = registrar.notifier();
            self.tokens.push(token);
            self.notifier = Some(notifier);
            Ok(())
        }

        fn reregister(&mut self, _: &mut Registrar<'_>) -> std::io::Result<()> {
            self.step("reregister")
        }

        fn unregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
            self.step("unregister")?;
            let mut tokens = std::mem::take(&mut self.tokens).into_iter();
            if let (Some(socket), Some(token)) = (&self.socket, tokens.next()) {
                registrar.unregister_fd(token, socket.as_fd())?;
            }
            if let Some(token) = tokens.next() {
                registrar.disarm(token);
            }
            if let Some(token) = tokens.next() {
                registrar.release(token);
            }
            Ok(())
        }

        fn process_events<F>(
            &mut self,
            readiness: Readiness,
            token: InterestToken,
            mut callback: F,
        ) -> std::io::Result<PostAction>
        where
            F: FnMut(&str),
        {
            self.step("process_events")?;
            assert_eq!(self.shown, [(readiness, token)]);
            let place = self.tokens.iter().position(|ours| *ours == token);
            callback(place.map_or("?", |place| ["fd", "deadline", "notifier"][place]));
            Ok(PostAction::Continue)
        }

        fn before_sleep(&mut self) -> std::io::Result<Option<(Readiness, InterestToken)>> {
            self.step("before_sleep")?;
            Ok(None)
        }

        fn before_handle_events(&mut self, events: soloop::EventIterator<'_>) {
            self.shown = events.collect();
            let name = ["before_handle_events", "with one event"][self.shown.len()];
            self.step(name).ok();
        }
    }

    /// Takes its part out of the loop and puts it back, while it stays itself.
    struct Pausing<S> {
        part: S,
        pauses: bool,
        is_registered: bool,
    }

    impl<S: EventSource> EventSource for Pausing<S> {
        type Event<'a> = S::Event<'a>;
        type Ret = S::Ret;
        type Error = S::Error;

        fn register(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
            self.reregister(registrar)
        }

        fn reregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
            match (self.pauses, std::mem::replace(&mut self.is_registered, !self.pauses)) {
                (true, true) => self.part.unregister(registrar),
                (true, false) => Ok(()),
                (false, true) => self.part.reregister(registrar),
                (false, false) => self.part.register(registrar),
            }
        }

        fn unregister(&mut self, registrar: &mut Registrar<'_>) -> std::io::Result<()> {
            if std::mem::take(&mut self.is_registered) {
                self.part.unregister(registrar)?;
            }
            Ok(())
        }

        fn process_events<F>(
            &mut self,
            readiness: Readiness,
            token: InterestToken,
            callback: F,
        ) -> Result<PostAction, S::Error>
        where
            F: FnMut(S::Event<'_>) -> S::Ret,
        {
            self.part.process_events(readiness, token, callback)
        }
    }

    #[test]
    fn a_part_that_is_taken_out_makes_no_event_until_it_is_back() {
        fn check<S: EventSource>(
            part: S,
            answer: fn() -> S::Ret,
            make_ready: impl FnOnce(&soloop::Clock),
        ) {
            let (mut event_loop, mut state, clock) = manual_loop();
            let source = Pausing { part, pauses: false, is_registered: false };
            let callback = move |_: S::Event<'_>, state: &mut State| {
                state.note("called");
                answer()
            };
            let token = state.handle.insert_source(source, callback).unwrap();
            state.handle.update(token, |source| source.pauses = true);
            event_loop.apply_pending(&mut state).unwrap();
            make_ready(&clock);
            (0..2).for_each(|_| event_loop.dispatch(ZERO, &mut state).unwrap());
            assert_eq!(state.log.len(), 0, "{}", std::any::type_name::<S>());
            state.handle.update(token, |source| source.pauses = false);
            event_loop.dispatch(ZERO, &mut state).unwrap();
            assert_eq!(state.log, ["called"], "{}", std::any::type_name::<S>());
        }
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let fd = Generic::new(theirs, Interest::READ, Mode::Level);
        check(fd, || Ok(PostAction::Continue), |_| ours.write_all(b"x").unwrap());
        let (sender, channel) = soloop::channel();
        check(channel, || (), |_| sender.send(()).unwrap());
        let (ping, pinged) = make_ping();
        check(pinged, || (), |_| ping.ping());
        let timer = Timer::from_duration(HOUR);
        check(timer, || TimeoutAction::Drop, |clock| clock.advance(HOUR));
    }

    fn composite(fail: impl Into<String>) -> (UnixStream, Composite, Calls) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let composite =
            Composite { fail: fail.into(), socket: Some(theirs), ..Composite::default() };
        let calls = composite.calls.clone();
        (ours, composite, calls)
    }

    fn noting(event: &str, state: &mut State) {
        state.note(event);
    }

    #[test]
    fn each_part_is_told_from_the_others() {
        told_apart(|source| source);
    }

    #[test]
    fn a_box_passes_everything_on() {
        told_apart(Box::new);
    }

    fn told_apart<S>(wrap: fn(Composite) -> S)
    where
        S: for<'a> EventSource<Event<'a> = &'a str, Ret = (), Error = std::io::Error>,
        S: std::borrow::Borrow<Composite>,
    {
        let (mut event_loop, mut state, _) = manual_loop();
        let (mut ours, source, calls) = composite("");
        let token = state.handle.insert_source(wrap(source), noting).unwrap();
        assert_eq!(calls.take(), ["register", "half"]);
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["deadline"]);
        assert!(calls.take().ends_with(&["with one event", "process_events"]));
        event_loop.get(token).unwrap().borrow().notifier.as_ref().unwrap().notify();
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["notifier"]);
        ours.write_all(b"x").unwrap();
        calls.take();
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["fd"]);
        assert_eq!(calls.take()[..3], ["before_sleep", "with one event", "process_events"]);
        state.handle.update(token, |_| ());
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(calls.take(), ["reregister"]);
        // Of more than it asked for.
        drop(ours);
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.take_log(), ["fd"]);
        assert_eq!(calls.take()[..3], ["before_sleep", "with one event", "process_events"]);
        state.handle.remove(token);
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(calls.take(), ["unregister"]);
    }

    #[test]
    fn a_failed_registration_leaves_nothing_behind() {
        // In a process of its own, since it counts fds.
        common::in_child("a_failed_registration", failed_registrations);
    }

    fn failed_registrations() {
        for fail in ["register", "half"] {
            let (mut event_loop, mut state) = new_loop();
            let fds = common::open_fds();
            let (mut ours, source, calls) = composite(fail);
            let refused = state.handle.insert_source(source, noting).unwrap_err();
            assert_eq!(refused.error.to_string(), "as told");
            assert_eq!(calls.take().last(), Some(&"unregister"), "it is rolled back");
            ours.write_all(b"x").unwrap();
            assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
            assert_eq!(calls.take(), [""; 0], "no hook stays behind");
            let mut source = refused.source;
            source.fail.clear();
            let token = state.handle.insert_source(source, noting).unwrap();
            assert_eq!(dispatch(&mut event_loop, &mut state), ["fd"]);
            state.handle.remove(token);
            event_loop.apply_pending(&mut state).unwrap();
            drop(ours);
            assert_eq!(common::open_fds(), fds);
        }
    }

    #[test]
    fn what_a_source_fails_to_take_back_is_swept_up() {
        let (mut event_loop, mut state) = new_loop();
        let (mut ours, source, _) = composite("unregister");
        let token = state.handle.insert_source(source, noting).unwrap();
        let (sender, receiver) = mpsc::channel();
        state.handle.take(token, move |source, _| sender.send(source.socket).unwrap());
        let error = event_loop.apply_pending(&mut state).unwrap_err();
        assert!(error.to_string().contains("Composite` failed: as told"), "{error}");
        assert!(!state.handle.contains(token));
        // The fd came out all the same, and the kernel does not tell of it any more.
        let _socket = receiver.try_recv().unwrap().unwrap();
        ours.write_all(b"x").unwrap();
        let before = Instant::now();
        event_loop.dispatch(20 * MS, &mut state).unwrap();
        assert!(before.elapsed() >= 20 * MS);
    }

    #[test]
    fn a_source_that_fails_or_panics_anywhere_leaves_a_loop_that_goes_on() {
        let steps = [
            "register",
            "half",
            "reregister",
            "unregister",
            "process_events",
            "before_sleep",
            "before_handle_events",
            "with one event",
        ];
        for (panics, step) in [false, true].into_iter().flat_map(|p| steps.map(|step| (p, step))) {
            let fail = if panics { format!("panic {step}") } else { step.into() };
            let (mut event_loop, mut state) = new_loop();
            let (mut ours, source, calls) = composite(fail.clone());
            let other = Timer::immediate();
            let inserted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                state.handle.insert_source(source, noting)
            }));
            // What was refused is dropped here.
            let token = inserted.ok().and_then(Result::ok);
            let _ = ours.write_all(b"x"); // it may be dropped already
            if let Some(token) = token {
                state.handle.update(token, |_| ());
            }
            state
                .handle
                .insert_source(other, |_, state: &mut State| {
                    state.note("other");
                    TimeoutAction::Drop
                })
                .unwrap();
            let turn = |state: &mut State, event_loop: &mut EventLoop<State>| {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    event_loop.dispatch(ZERO, state)
                }));
                result.is_ok_and(|result| result.is_ok())
            };
            // A hook that always fails stops every wait; removed, it stops none.
            for _ in 0..3 {
                turn(&mut state, &mut event_loop);
            }
            if let Some(token) = token {
                state.handle.remove(token);
                turn(&mut state, &mut event_loop);
            }
            for _ in 0..2 {
                turn(&mut state, &mut event_loop);
            }
            assert!(turn(&mut state, &mut event_loop), "{fail}");
            assert_eq!(state.log.iter().filter(|l| *l == "other").count(), 1, "{fail}");
            assert!(token.is_none_or(|token| !state.handle.contains(token)));
            assert_eq!(Arc::strong_count(&calls.0), 1, "{fail}: the source was dropped");
        }
    }
}

mod identity {
    use super::*;

    #[test]
    fn a_token_of_a_removed_source_names_nothing() {
        let (mut event_loop, mut state) = new_loop();
        let insert = |state: &mut State| {
            let timer = Timer::from_duration(HOUR);
            state.handle.insert_source(timer, |_, _: &mut State| TimeoutAction::Drop).unwrap()
        };
        let old = insert(&mut state);
        assert!(state.handle.remove(old));
        assert!(!state.handle.remove(old));
        event_loop.apply_pending(&mut state).unwrap();
        for _ in 0..70_000 {
            let new = insert(&mut state);
            assert_ne!(new, old);
            assert!(!state.handle.remove(old) && !state.handle.contains(old));
            assert!(!state.handle.update(old, |_| ()) && !state.handle.visit(old, |_, _| ()));
            assert!(!state.handle.take(old, |_, _| ()));
            assert!(state.handle.remove(new));
            event_loop.apply_pending(&mut state).unwrap();
        }
        assert!(event_loop.get(old).is_none());
    }

    #[test]
    fn a_handle_of_another_loop_is_an_error_before_anything_is_applied() {
        let (mut event_loop, state) = new_loop();
        let (mut other_loop, mut other) = new_loop();
        let (sender, channel) = soloop::channel();
        other
            .handle
            .insert_source(channel, |_: Event<u8>, state: &mut State| state.note("message"))
            .unwrap();
        sender.send(1).unwrap();
        let error = event_loop.dispatch(ZERO, &mut other).unwrap_err();
        assert!(error.is_foreign_handle(), "{error}");
        assert!(event_loop.apply_pending(&mut other).unwrap_err().is_foreign_handle());
        assert_eq!(dispatch(&mut other_loop, &mut other), ["message"]);
        drop(state);
    }

    #[test]
    fn a_handle_swapped_by_a_callback_is_an_error() {
        let (mut event_loop, mut state) = new_loop();
        let (_other_loop, other) = new_loop();
        let mut spare = Some(other.handle);
        let (ping, source) = make_ping();
        state
            .handle
            .insert_source(source, move |(), state: &mut State| {
                std::mem::swap(&mut state.handle, spare.as_mut().unwrap());
            })
            .unwrap();
        ping.ping();
        assert!(event_loop.dispatch(ZERO, &mut state).unwrap_err().is_foreign_handle());
    }

    #[test]
    fn a_token_of_another_loop_does_no_harm() {
        let (mut event_loop, mut state) = new_loop();
        let (_other_loop, mut other) = new_loop();
        let (_, source) = make_ping();
        let ping = other.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
        let timer = state
            .handle
            .insert_source(Timer::immediate(), |_, state: &mut State| {
                state.note("fired");
                TimeoutAction::Drop
            })
            .unwrap();
        // Of another type than what it happens to name here.
        state.handle.visit(ping, |_, _| panic!("of another type"));
        state.handle.update(ping, |_| panic!("of another type"));
        assert!(event_loop.get(ping).is_none());
        assert_eq!(dispatch(&mut event_loop, &mut state), ["fired"]);
        assert!(!state.handle.contains(timer));
    }
}

mod remote {
    use super::*;

    #[test]
    fn posts_of_many_threads_run_in_the_order_of_each() {
        let (mut event_loop, mut state) = new_loop();
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let remote = state.handle.remote();
                std::thread::spawn(move || {
                    for n in 0..2000 {
                        let posted = remote.post(move |state: &mut State| {
                            state.note(thread * 2000 + n);
                            if state.log.len() == 8000 {
                                state.handle.stop();
                            }
                        });
                        assert!(posted);
                    }
                })
            })
            .collect();
        event_loop.run(LONG, &mut state, |_| ()).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let log: Vec<u32> = state.log.iter().map(|n| n.parse().unwrap()).collect();
        for thread in 0..4 {
            assert!(log.iter().filter(|n| **n / 2000 == thread).is_sorted());
        }
        let remote = state.handle.remote();
        let token = remote_token(&mut state);
        drop(event_loop);
        assert!(!remote.post(|_| ()) && !remote.remove(token));
    }

    fn remote_token(state: &mut State) -> soloop::AnyToken {
        let (_, source) = make_ping();
        state.handle.insert_source(source, |(), _: &mut State| ()).unwrap().into()
    }
}

mod ends {
    use super::*;

    #[test]
    fn a_loop_dropped_with_everything_pending_frees_everything() {
        // In a process of its own, since it counts fds.
        common::in_child("a_loop_dropped", drop_a_full_loop);
    }

    fn drop_a_full_loop() {
        let fds = common::open_fds();
        let counter = std::sync::Arc::new(());
        {
            let (event_loop, mut state) = new_loop();
            let held = || counter.clone();
            let (ours, theirs) = UnixStream::pair().unwrap();
            let source = Generic::new(theirs, Interest::READ, Mode::Level);
            let one = held();
            let callback = move |_: Ready<'_, UnixStream>, _: &mut State| {
                let _ = &one;
                Ok(PostAction::Continue)
            };
            let token = state.handle.insert_source(source, callback).unwrap();
            let one = held();
            state.handle.insert_idle(move |_| drop(one));
            let one = held();
            state.handle.visit(token, move |_, _| drop(one));
            let one = held();
            let remote = state.handle.remote();
            let kept = remote.clone();
            remote.post(move |_| drop((one, kept)));
            let (ping, source) = make_ping();
            let one = held();
            let also = ping.clone();
            state
                .handle
                .insert_source(source, move |(), _: &mut State| {
                    let _ = (&one, &also);
                })
                .unwrap();
            ping.ping();
            assert_eq!(std::sync::Arc::strong_count(&counter), 6);
            drop(event_loop);
            assert!(!remote.post(|_| ()));
            drop((state, ours));
        }
        assert_eq!(std::sync::Arc::strong_count(&counter), 1);
        assert_eq!(common::open_fds(), fds);
    }

    #[test]
    fn an_interrupted_wait_goes_on() {
        common::in_child("an_interrupted_wait", || {
            let (mut event_loop, mut state) = new_loop();
            // A handler that only interrupts.
            signal_hook::flag::register(10, std::sync::Arc::default()).unwrap();
            let (sender, channel) = soloop::channel::<()>();
            let storm = std::thread::spawn({
                let pid = std::process::id().to_string();
                move || {
                    for _ in 0..50 {
                        std::process::Command::new("kill").args(["-USR1", &pid]).status().unwrap();
                    }
                    drop(sender);
                }
            });
            let callback = |event, state: &mut State| state.note(format!("{event:?}"));
            state.handle.insert_source(channel, callback).unwrap();
            event_loop.dispatch(LONG, &mut state).unwrap(); // the first look after the insertion
            if state.log.is_empty() {
                event_loop.dispatch(LONG, &mut state).unwrap();
            }
            assert_eq!(state.log, ["Closed"], "no dispatch ended for a signal");
            storm.join().unwrap();
            let before = Instant::now();
            event_loop.dispatch(20 * MS, &mut state).unwrap();
            assert!(before.elapsed() >= 20 * MS);
        });
    }
}
