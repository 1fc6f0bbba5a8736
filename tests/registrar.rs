//! What a source of one's own may do with its `Registrar`, and what it may leave behind.
#![cfg(unix)]

mod common;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use common::{LONG, State, ZERO, is_readable, manual_loop, new_loop, readable_within};
use soloop::{
    Error, EventSource, FdGuard, Generic, Interest, InterestToken, Mode, Notifier, PostAction,
    Readiness, Ready, Registrar, TimeoutAction, Timer, Token,
};

const MS: Duration = Duration::from_millis(1);

type Step = Box<dyn FnMut(&mut Own, &mut Registrar<'_>) -> io::Result<()>>;

/// Does what it is told when it is registered, re-registered and unregistered; an event is the place of its token.
#[derive(Default)]
struct Own {
    register: Option<Step>,
    reregister: Option<Step>,
    unregister: Option<Step>,
    tokens: Vec<InterestToken>,
    notifier: Option<Notifier>,
    fds: Vec<OwnedFd>,
}

impl Own {
    fn new(
        register: impl FnMut(&mut Self, &mut Registrar<'_>) -> io::Result<()> + 'static,
    ) -> Self {
        Self { register: Some(Box::new(register)), ..Self::default() }
    }

    fn reregister(
        self,
        step: impl FnMut(&mut Self, &mut Registrar<'_>) -> io::Result<()> + 'static,
    ) -> Self {
        Self { reregister: Some(Box::new(step)), ..self }
    }

    fn unregister(
        self,
        step: impl FnMut(&mut Self, &mut Registrar<'_>) -> io::Result<()> + 'static,
    ) -> Self {
        Self { unregister: Some(Box::new(step)), ..self }
    }

    fn run(
        &mut self,
        which: fn(&mut Self) -> &mut Option<Step>,
        registrar: &mut Registrar<'_>,
    ) -> io::Result<()> {
        let Some(mut step) = which(self).take() else { return Ok(()) };
        let result = step(self, registrar);
        *which(self) = Some(step);
        result
    }
}

impl EventSource for Own {
    type Event<'a> = usize;
    type Ret = io::Result<PostAction>;
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.run(|own| &mut own.register, registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.run(|own| &mut own.reregister, registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.run(|own| &mut own.unregister, registrar)
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(usize) -> io::Result<PostAction>,
    {
        let place = self.tokens.iter().position(|ours| *ours == token);
        callback(place.expect("an event under a token that it does not hold"))
    }
}

fn insert(state: &mut State, source: Own) -> Token<Own> {
    let callback = |place: usize, state: &mut State| {
        state.note(place);
        Ok(PostAction::Continue)
    };
    state.handle.insert_source(source, callback).unwrap()
}

fn refused(state: &mut State, source: Own) -> io::Error {
    let refused = state.handle.insert_source(source, |_, _| Ok(PostAction::Continue));
    refused.expect_err("an error").error
}

#[test]
fn another_fd_takes_the_place_of_the_registered_one() {
    let (mut event_loop, mut state) = new_loop();
    let (mut first, old) = UnixStream::pair().unwrap();
    let (mut second, new) = UnixStream::pair().unwrap();
    let mut source = Own::new(|own, registrar| {
        let token = registrar.register_fd(own.fds[0].as_fd(), Interest::READ, Mode::Level)?;
        own.tokens.push(token);
        Ok(())
    })
    .reregister(|own, registrar| {
        registrar.reregister_fd(own.tokens[0], own.fds[1].as_fd(), Interest::READ, Mode::Level)
    });
    source.fds.extend([old.into(), new.into()]);
    let token = insert(&mut state, source);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    // The first stays open and readable, and the kernel is not to tell of it any more.
    first.write_all(b"x").unwrap();
    state.handle.update(token, |_| ());
    event_loop.apply_pending(&mut state).unwrap();
    let before = Instant::now();
    event_loop.dispatch(20 * MS, &mut state).unwrap();
    assert!(before.elapsed() >= 20 * MS && state.log.is_empty(), "{:?}", state.log);
    second.write_all(b"x").unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.take_log(), ["0"]);
}

/// Half a registration, of everything, that its source then does not take back.
#[test]
fn what_a_failed_registration_leaves_is_swept_up() {
    for panics in [false, true] {
        let (mut event_loop, mut state, clock) = manual_loop();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let (sent, notifiers) = std::sync::mpsc::channel();
        let duplicate = theirs.try_clone().unwrap();
        let source = Own::new(move |_, registrar| {
            registrar.register_fd(theirs.as_fd(), Interest::READ, Mode::Level)?;
            registrar.arm(registrar.now() + MS);
            sent.send(registrar.notifier().1).unwrap();
            assert!(!panics, "on purpose");
            Err(io::Error::other("as told"))
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            refused(&mut state, source).to_string()
        }));
        assert_eq!(outcome.ok().as_deref(), (!panics).then_some("as told"));
        // None of the three is known: neither the deadline nor the fd ends this wait, and nobody is called.
        ours.write_all(b"x").unwrap();
        notifiers.recv().unwrap().notify();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let before = clock.now();
        event_loop.dispatch(Duration::from_secs(3600), &mut state).unwrap();
        assert_eq!(clock.now() - before, Duration::from_secs(3600));
        drop(duplicate);
    }
}

/// It is removed or disabled all the same, whoever asked for it, and whoever panics, the source or the policy that is
/// told of its error: the kernel does not tell of its fd, nor does its deadline come.
#[test]
fn what_a_panic_in_unregister_leaves_is_swept_up() {
    /// Whether there was anything to ask for.
    type Ask = fn(&mut State, Token<Own>) -> bool;
    let ways: [(PostAction, Ask, bool); 4] = [
        (PostAction::Continue, |state, token| state.handle.remove(token), true),
        (PostAction::Continue, |state, token| state.handle.disable(token), false),
        (PostAction::Remove, |_, _| false, true),
        (PostAction::Disable, |_, _| false, false),
    ];
    for ((answer, ask, removed), source_panics) in
        ways.into_iter().flat_map(|way| [(way, true), (way, false)])
    {
        let (mut event_loop, mut state) = new_loop();
        event_loop.on_error(|error, _| panic!("{error}"));
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let duplicate = theirs.try_clone().unwrap();
        let source = Own::new(move |own, registrar| {
            let fd = registrar.register_fd(theirs.as_fd(), Interest::READ, Mode::Level)?;
            own.tokens.extend([fd, registrar.arm(registrar.now() + 10 * MS)]);
            Ok(())
        })
        .unregister(move |_, _| {
            assert!(!source_panics, "on purpose");
            Err(io::Error::other("on purpose"))
        });
        let callback = move |place: usize, state: &mut State| {
            state.note(place);
            Ok(answer)
        };
        let token = state.handle.insert_source(source, callback).unwrap();
        event_loop.apply_pending(&mut state).unwrap();
        ours.write_all(b"x").unwrap();
        assert_eq!(ask(&mut state, token), answer == PostAction::Continue);
        let dispatch = || event_loop.dispatch(ZERO, &mut state);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(dispatch)).unwrap_err();
        state.log.clear();
        let before = Instant::now();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(50 * MS, &mut state).unwrap();
        assert!(before.elapsed() >= 50 * MS && state.log.is_empty(), "{:?}", state.log);
        assert_eq!(event_loop.get(token).is_none(), removed);
        drop(duplicate);
    }
}

/// The loop's own fd does not become readable at a deadline that was taken back with the rest.
#[test]
fn a_refused_insertion_leaves_no_alarm_behind() {
    let (mut event_loop, mut state) = new_loop();
    let later = Timer::from_duration(Duration::from_secs(3600));
    state.handle.insert_source(later, |_, _| TimeoutAction::Drop).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(!is_readable(&event_loop));
    let source = Own::new(|_, registrar| {
        registrar.arm(registrar.now() + 50 * MS);
        Err(io::Error::other("as told"))
    });
    refused(&mut state, source);
    assert!(!readable_within(&event_loop, 100 * MS));
}

#[test]
fn its_error_comes_out_as_it_is() {
    const EIO: i32 = 5;
    const ENOMEM: i32 = 12;
    const EMFILE: i32 = 24;
    const ENOSPC: i32 = 28; // of epoll_ctl(2): too many watches
    for code in [EIO, ENOMEM, EMFILE, ENOSPC] {
        let fail =
            move |_: &mut Own, _: &mut Registrar<'_>| Err(io::Error::from_raw_os_error(code));
        let (mut event_loop, mut state) = new_loop();
        assert_eq!(refused(&mut state, Own::new(fail)).raw_os_error(), Some(code));
        let mut comes_out = |state: &mut State, token: Token<Own>| {
            let Err(Error::Source { token: failed, error, .. }) = event_loop.apply_pending(state)
            else {
                panic!("no error of a source");
            };
            assert_eq!(failed, token);
            assert_eq!(error.downcast::<io::Error>().unwrap().raw_os_error(), Some(code));
            event_loop.dispatch(ZERO, state).unwrap();
        };
        let token = insert(&mut state, Own::default().reregister(fail));
        state.handle.update(token, |_| ());
        comes_out(&mut state, token);
        let token = insert(&mut state, Own::default().unregister(fail));
        state.handle.disable(token);
        comes_out(&mut state, token);
        // It is disabled all the same, and the next one is to register it.
        state.handle.update(token, move |own| own.register = Some(Box::new(fail)));
        state.handle.enable(token);
        comes_out(&mut state, token);
        assert!(state.handle.contains(token));
    }
}

#[test]
fn a_token_of_another_source_is_none_of_its_business() {
    let (mut event_loop, mut state, _) = manual_loop();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    let shared = theirs.try_clone().unwrap();
    let (sent, tokens) = std::sync::mpsc::channel();
    let mut source = Own::new(move |own, registrar| {
        let io = registrar.register_fd(own.fds[0].as_fd(), Interest::READ, Mode::Level)?;
        own.tokens = vec![io, registrar.arm(registrar.now() + MS), registrar.notifier().0];
        sent.send(own.tokens.clone()).unwrap();
        Ok(())
    });
    source.fds.push(theirs);
    insert(&mut state, source);
    let tokens = tokens.recv().unwrap();
    insert(
        &mut state,
        Own::new(move |_, registrar| {
            let not_found = |result: io::Result<()>| {
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::NotFound);
            };
            for token in &tokens {
                let (fd, mode) = (shared.as_fd(), Mode::Level);
                not_found(registrar.reregister_fd(*token, fd, Interest::EMPTY, mode));
                not_found(registrar.unregister_fd(*token, fd));
                registrar.rearm(*token, registrar.now() + 60 * MS);
                registrar.disarm(*token);
                registrar.release(*token);
            }
            Ok(())
        }),
    );
    event_loop.dispatch(None, &mut state).unwrap();
    assert_eq!(state.take_log(), ["1"], "the deadline");
    ours.write_all(b"x").unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["0"], "the fd");
}

/// As often as a source is enabled again: what it held before is told from what it holds, by whatever way it is named.
#[test]
fn an_interest_is_of_one_registration() {
    let (mut event_loop, mut state, _) = manual_loop();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let (sent, notifiers) = std::sync::mpsc::channel();
    let source = Own {
        fds: vec![theirs.into()],
        ..Own::new(move |own, registrar| {
            // One of them lies in the row of its source.
            let first = own.tokens.len().is_multiple_of(2).then(|| registrar.notifier());
            let fd = registrar.register_fd(own.fds[0].as_fd(), Interest::READ, Mode::Level)?;
            let (notified, notifier) = first.unwrap_or_else(|| registrar.notifier());
            sent.send(notifier).unwrap();
            let deadline = registrar.arm(registrar.now() + MS);
            own.tokens.extend([fd, notified, deadline]);
            Ok(())
        })
    }
    .reregister(|own, registrar| {
        let (past, [fd, notified, deadline]) = own.tokens.split_last_chunk().unwrap();
        for token in past {
            assert!(![fd, notified, deadline].contains(&token));
            let result = registrar.unregister_fd(*token, own.fds[0].as_fd());
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::NotFound);
            registrar.rearm(*token, registrar.now() + 60 * MS);
            registrar.disarm(*token);
            registrar.release(*token);
        }
        Ok(())
    })
    .unregister(|own, registrar| {
        let [.., fd, notified, deadline] = own.tokens[..] else { unreachable!() };
        registrar.unregister_fd(fd, own.fds[0].as_fd())?;
        registrar.disarm(deadline);
        registrar.release(notified);
        Ok(())
    });
    let token = insert(&mut state, source);
    let mut past: Vec<Notifier> = Vec::new();
    for registration in 0..100 {
        let notifier = notifiers.recv().unwrap();
        state.handle.update(token, |_| ());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        past.iter().for_each(Notifier::notify);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(state.log.is_empty(), "of an earlier registration: {:?}", state.log);

        let first = 3 * registration;
        notifier.notify();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), [(first + 1).to_string()], "the notifier");
        event_loop.dispatch(MS, &mut state).unwrap();
        assert_eq!(state.take_log(), [(first + 2).to_string()], "the deadline");
        ours.write_all(b"x").unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.take_log(), [first.to_string()], "the fd");
        let fd = event_loop.get(token).unwrap().fds[0].as_fd();
        rustix::io::read(fd, &mut [0; 8]).unwrap();

        state.handle.disable(token);
        state.handle.enable(token);
        event_loop.apply_pending(&mut state).unwrap();
        past.push(notifier);
    }
}

#[test]
fn a_notifier_says_of_which_interest_it_is() {
    let (_event_loop, mut state) = new_loop();
    let source = Own::new(|_, registrar| {
        let named = |token: InterestToken| format!("RawNotifier({token:?})");
        let (token, raw) = registrar.raw_notifier();
        assert_eq!(format!("{raw:?}"), named(token));
        let (token, notifier) = registrar.notifier();
        assert_eq!(format!("{notifier:?}"), format!("Notifier({})", named(token)));
        Ok(())
    });
    insert(&mut state, source);
}

#[test]
fn only_what_asks_for_it_is_registered_anew() {
    let (mut event_loop, mut state) = new_loop();
    let (raw, anew) = (Arc::new(OnceLock::new()), Arc::new(AtomicU32::new(0)));
    let (place, count) = (Arc::clone(&raw), Arc::clone(&anew));
    let source = Own::new(move |own, registrar| {
        let (token, notifier) = registrar.raw_notifier();
        own.tokens.push(token);
        notifier.notify();
        place.set(notifier).map_err(|_| io::Error::other("registered twice"))
    })
    .reregister(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let callback = move |_, state: &mut State| {
        state.note("called");
        if state.log.len() < 3 {
            raw.get().unwrap().again();
        }
        Ok(PostAction::Continue)
    };
    let token = state.handle.insert_source(source, callback).unwrap();
    for _ in 0..4 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.take_log(), ["called"; 3]);
    assert_eq!(anew.load(Ordering::Relaxed), 0, "a source that has more");
    state.handle.visit(token, |_, _| ());
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!(anew.load(Ordering::Relaxed), 0, "a visit");
    state.handle.update(token, |_| ());
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!(anew.load(Ordering::Relaxed), 1, "an update");
}

/// Its error was the answer to the insertion; there is no source that could have another.
#[test]
fn a_refused_source_that_closed_its_fd_is_no_orphan() {
    let (mut event_loop, mut state) = new_loop();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    // The kernel goes on to report the file.
    let _duplicate = theirs.try_clone().unwrap();
    let mut theirs = Some(theirs);
    let source = Own::new(move |_, registrar| {
        let fd = theirs.take().unwrap();
        registrar.register_fd(fd.as_fd(), Interest::READ, Mode::Level)?;
        Err(io::Error::other("as told"))
    });
    assert_eq!(refused(&mut state, source).to_string(), "as told");
    ours.write_all(b"x").unwrap();
    for _ in 0..2 {
        state.handle.insert_timer(Timer::never(), |_, _| TimeoutAction::Drop);
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
}

#[test]
fn what_a_source_gives_back_makes_no_event() {
    let (mut event_loop, mut state, _) = manual_loop();
    let source = Own::new(|own, registrar| {
        let (token, notifier) = registrar.notifier();
        own.tokens = vec![token, registrar.arm(registrar.now() + MS)];
        own.notifier = Some(notifier);
        Ok(())
    })
    .reregister(|own, registrar| {
        registrar.release(own.tokens[0]);
        registrar.disarm(own.tokens[1]);
        Ok(())
    });
    let token = insert(&mut state, source);
    event_loop.apply_pending(&mut state).unwrap();
    event_loop.get(token).unwrap().notifier.as_ref().unwrap().notify();
    state.handle.update(token, |_| ());
    event_loop.dispatch(10 * MS, &mut state).unwrap();
    assert!(state.log.is_empty(), "{:?}", state.log);
    event_loop.get(token).unwrap().notifier.as_ref().unwrap().notify();
    (0..2).for_each(|_| event_loop.dispatch(10 * MS, &mut state).unwrap());
    assert!(state.log.is_empty(), "{:?}", state.log);
}

#[test]
fn a_number_that_another_source_has_taken_meanwhile_is_not_modified() {
    let (mut event_loop, mut state) = new_loop();
    let [(_first, fd), (mut second, theirs)] = [(); 2].map(|()| UnixStream::pair().unwrap());
    let fd = Arc::new(Mutex::new(OwnedFd::from(fd)));
    let watches = |fd: &Arc<Mutex<OwnedFd>>| {
        let fd = Arc::clone(fd);
        Own::new(move |own, registrar| {
            let fd = fd.lock().unwrap();
            own.tokens = vec![registrar.register_fd(fd.as_fd(), Interest::READ, Mode::Level)?];
            Ok(())
        })
    };
    let file = Arc::clone(&fd);
    let source = watches(&fd).reregister(move |own, registrar| {
        let fd = file.lock().unwrap();
        let modified =
            registrar.modify_fd(own.tokens[0], fd.as_fd(), Interest::READ, Mode::Level)?;
        assert!(!modified, "the other source's registration");
        Ok(())
    });
    let token = state.handle.insert_source(source, |_, _| Ok(PostAction::Remove)).unwrap();
    // Another file under the number of the first, which is closed.
    rustix::io::dup2(&theirs, &mut fd.lock().unwrap()).unwrap();
    insert(&mut state, watches(&fd));
    state.handle.update(token, |_| ());
    event_loop.apply_pending(&mut state).unwrap();
    second.write_all(b"x").unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.log, ["0"]);
    assert!(state.handle.contains(token));
}

/// What hears of an fd that somebody else owns: it is inserted first, and told of the fd later.
fn hears_of_an_fd(state: &mut State) -> Token<Own> {
    insert(state, Own::default())
}

/// Watches `fd` for it, under the place 0.
fn watch(state: &mut State, token: Token<Own>, fd: impl AsFd, interest: Interest) -> FdGuard {
    let mut registrar = state.handle.registrar(token).expect("a registered source");
    let (interest, guard) = registrar.watch_fd(fd.as_fd(), interest).unwrap();
    state.handle.visit(token, move |own, _| own.tokens = vec![interest]);
    guard
}

#[test]
fn the_owner_of_a_watched_fd_ends_the_watch_on_any_thread() {
    let (mut event_loop, mut state) = new_loop();
    let token = hears_of_an_fd(&mut state);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let guard = watch(&mut state, token, &theirs, Interest::READ);
    ours.write_all(b"x").unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.take_log(), ["0"]);
    let theirs = std::thread::spawn(move || guard.unregister(theirs.as_fd()).map(|()| theirs));
    let theirs = theirs.join().unwrap().unwrap();
    // It is free at once: no op was applied since.
    let again = watch(&mut state, token, &theirs, Interest::READ);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["0"]);
    // Of another fd the guard knows nothing, and what it watches is not watched any more.
    assert_eq!(again.unregister(ours.as_fd()).unwrap_err().kind(), io::ErrorKind::NotFound);
    event_loop.apply_pending(&mut state).unwrap();
    ours.write_all(b"x").unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(state.log.is_empty() && state.handle.contains(token));
    // Without the loop there is nothing to unregister.
    let last = watch(&mut state, token, &theirs, Interest::READ);
    drop((event_loop, state));
    last.rearm(theirs.as_fd()).unwrap();
    last.unregister(theirs.as_fd()).unwrap();
}

/// By the next application of ops, and only if the number of the fd is not another's by then.
#[test]
fn a_dropped_guard_ends_the_watch() {
    let (mut event_loop, mut state) = new_loop();
    let token = hears_of_an_fd(&mut state);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let guard = watch(&mut state, token, &theirs, Interest::READ);
    ours.write_all(b"x").unwrap();
    drop(guard);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(state.log.is_empty());
    assert_eq!(event_loop.stats().stale, 0, "the kernel has forgotten it, too");

    let guard = watch(&mut state, token, &theirs, Interest::READ);
    // Another file takes the number.
    let (mut peer, next) = UnixStream::pair().unwrap();
    let mut number = OwnedFd::from(theirs);
    rustix::io::dup2(next, &mut number).unwrap();
    let next = UnixStream::from(number);
    let generic = Generic::new(next, Interest::READ, Mode::Level);
    let callback = |ready: Ready<'_, UnixStream>, state: &mut State| {
        state.note("next");
        ready.io.read(&mut [0; 8]).map(|_| PostAction::Continue)
    };
    state.handle.insert_source(generic, callback).unwrap();
    drop(guard);
    event_loop.apply_pending(&mut state).unwrap();
    peer.write_all(b"x").unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.take_log(), ["next"]);
}

#[test]
fn a_watched_fd_is_told_of_anew_when_it_is_rearmed() {
    let (mut event_loop, mut state) = new_loop();
    let token = hears_of_an_fd(&mut state);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let guard = watch(&mut state, token, &ours, Interest::BOTH);
    theirs.write_all(b"x").unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["0"]);
    guard.rearm(ours.as_fd()).unwrap();
    assert_eq!(guard.rearm(theirs.as_fd()).unwrap_err().kind(), io::ErrorKind::NotFound);
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.take_log(), ["0"]);
    drop(guard);
}

#[test]
fn only_a_source_that_is_registered_has_a_registrar() {
    let (mut event_loop, mut state) = new_loop();
    let token = hears_of_an_fd(&mut state);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let guard = watch(&mut state, token, &theirs, Interest::READ);
    state.handle.disable(token);
    assert!(state.handle.registrar(token).is_none());
    ours.write_all(b"x").unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(state.handle.registrar(token).is_none());
    state.handle.enable(token);
    assert!(state.handle.registrar(token).is_none(), "it is to be registered, and is not yet");
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(state.log.is_empty(), "what was watched ended with the registration");
    // The number is free, and the guard is nobody's.
    let again = watch(&mut state, token, &theirs, Interest::READ);
    drop(guard);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.take_log(), ["0"]);
    state.handle.remove(token);
    assert!(state.handle.registrar(token).is_none());
    event_loop.apply_pending(&mut state).unwrap();
    assert!(state.handle.registrar(token).is_none());
    assert!(state.handle.registrar(Token::<Timer>::null()).is_none());
    drop(again);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(event_loop.stats().stale, 0);
}

#[test]
fn a_guard_removes_its_source_unless_it_is_disarmed() {
    let (mut event_loop, mut state) = new_loop();
    let [kept, removed] = [(); 2].map(|()| hears_of_an_fd(&mut state));
    state.handle.guard(kept).disarm();
    drop(state.handle.guard(removed));
    event_loop.apply_pending(&mut state).unwrap();
    assert!(state.handle.contains(kept) && !state.handle.contains(removed));
    let null = Token::<Timer>::null();
    drop(state.handle.guard(null));
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(!state.handle.contains(null) && !state.handle.remove(null));
}

/// A part that shows what it knows when something was asked of it leaves that if it was not.
#[test]
fn a_source_is_told_who_asks_for_its_registration() {
    let (mut event_loop, mut state) = new_loop();
    let (sent, asked) = std::sync::mpsc::channel();
    let source = Own::new(|own, registrar| {
        assert!(!registrar.is_answer());
        let (token, notifier) = registrar.notifier();
        notifier.notify();
        own.tokens.push(token);
        Ok(())
    })
    .reregister(move |_, registrar| {
        sent.send(registrar.is_answer()).unwrap();
        Ok(())
    });
    let callback = |_: usize, _: &mut State| Ok(PostAction::Reregister);
    let token = state.handle.insert_source(source, callback).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    state.handle.update(token, |_| ());
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), [true, false]);
}

/// One that drops memory alone keeps no wait from blocking; any other does, for what its destructor may have done.
#[test]
fn the_loop_sleeps_on_when_a_quiet_source_goes() {
    struct Quiet<const QUIET: bool>(#[expect(dead_code, reason = "to be dropped")] Box<u8>);

    impl<const QUIET: bool> EventSource for Quiet<QUIET> {
        type Event<'a> = ();
        type Ret = ();
        type Error = io::Error;
        const DROP_RUNS_CODE: bool = !QUIET;

        fn register(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
            Ok(())
        }

        fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
            Ok(())
        }

        fn unregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
            Ok(())
        }

        fn process_events<F>(
            &mut self,
            _: Readiness,
            _: InterestToken,
            _: F,
        ) -> io::Result<PostAction> {
            Ok(PostAction::Continue)
        }
    }

    fn sleeps<const QUIET: bool>() -> bool {
        let (mut event_loop, mut state, clock) = manual_loop();
        let token = state.handle.insert_source(Quiet::<QUIET>(Box::new(1)), |(), _| ()).unwrap();
        event_loop.apply_pending(&mut state).unwrap();
        drop(state.handle.guard(token));
        let before = clock.now();
        event_loop.dispatch(MS, &mut state).unwrap();
        assert!(!state.handle.contains(token));
        clock.now() > before
    }
    assert!(sleeps::<true>() && !sleeps::<false>());
}

/// An error is of one event; what the source has besides comes next.
#[test]
fn an_error_loses_nothing_of_its_own_source() {
    let (mut event_loop, mut state) = new_loop();
    let source = Own::new(|own, registrar| {
        let (token, notifier) = registrar.notifier();
        notifier.notify();
        own.tokens.push(token);
        own.notifier = Some(notifier);
        Ok(())
    });
    let mut left = 3;
    let callback = move |_, state: &mut State| {
        left -= 1;
        state.note(left);
        match left {
            2 => Err(io::Error::other("the first")),
            0 => Ok(PostAction::Continue),
            _ => Ok(PostAction::Again),
        }
    };
    state.handle.insert_source(source, callback).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap_err();
    event_loop.dispatch(ZERO, &mut state).unwrap(); // what is left of that round
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["2", "1", "0"]);
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_refused_leaves_no_memory() {
    // In a process of its own, whose memory is nobody else's.
    common::in_child("what_is_refused_leaves_no_memory", || {
        let kib = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap()
        };
        let (_event_loop, mut state) = new_loop();
        let mut before = 0;
        for round in 0..400_000 {
            let source = Own::new(|_, registrar| {
                registrar.arm(registrar.now() + MS);
                Err(io::Error::from(io::ErrorKind::OutOfMemory))
            });
            refused(&mut state, source);
            if round == 1000 {
                before = kib();
            }
        }
        // A source and an interest take 32 bytes at least.
        let grown = kib() - before;
        assert!(grown < 2000, "{grown} KiB");
    });
}
