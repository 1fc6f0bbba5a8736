//! Whose an fd number is, when files come and go under it.
#![cfg(all(target_os = "linux", not(mio_unsupported_force_poll_poll)))]

use super::*;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use soloop::{MioSource, Token};

/// Two connected pairs, so that the first end of the second has `number`, which is free.
fn reuse(number: i32) -> (UnixStream, UnixStream) {
    let (one, two) = UnixStream::pair().unwrap();
    assert!([one.as_raw_fd(), two.as_raw_fd()].contains(&number), "the number is reused");
    if one.as_raw_fd() == number { (one, two) } else { (two, one) }
}

/// The callback of a source puts another fd in the place of its own, whose number a mio source gets; then `after`.
fn a_mio_source_hears(name: &str, after: fn(&mut State) -> io::Result<PostAction>) {
    if !common::MIO_SOURCES {
        return;
    }
    common::in_child(name, || {
        let (mut event_loop, mut state) = new_loop();
        let (mut end, source) = pair(Mode::Level);
        let number = source.get_ref().as_raw_fd();
        let (spare, _far) = UnixStream::pair().unwrap();
        let mut spare = Some(spare);
        let (sender, ends) = std::sync::mpsc::channel();
        let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
            *ready.io = spare.take().unwrap();
            let (ours, theirs) = reuse(number);
            ours.set_nonblocking(true).unwrap();
            sender.send(theirs).unwrap();
            let ours = mio::net::UnixStream::from_std(ours);
            let heard = |ready: Ready<'_, mio::net::UnixStream>, state: &mut State| {
                state.note("heard");
                ready.io.read_exact(&mut [0])?;
                Ok(PostAction::Continue)
            };
            let source = MioSource::new(ours, Interest::READ, Mode::Edge);
            state.handle.insert_source(source, heard).unwrap();
            after(state)
        };
        let token = state.handle.insert_source(source, callback).unwrap();
        state.tokens.push(token.into());
        end.write_all(b"x").unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        ends.recv().unwrap().write_all(b"x").unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["heard"]);
    });
}

#[test]
fn a_mio_source_with_the_number_of_a_replaced_fd_hears() {
    a_mio_source_hears("a_mio_source_with_the_number_of_a_replaced_fd", |_| {
        Ok(PostAction::Continue)
    });
}

#[test]
fn a_mio_source_with_the_number_of_a_removed_fd_hears() {
    a_mio_source_hears("a_mio_source_with_the_number_of_a_removed_fd", |_| Ok(PostAction::Remove));
}

#[test]
fn a_mio_source_with_the_number_of_a_disabled_fd_hears() {
    a_mio_source_hears("a_mio_source_with_the_number_of_a_disabled_fd", |state| {
        let token = state.tokens[0];
        state.handle.disable(token);
        Ok(PostAction::Continue)
    });
}

/// What was replaced is forgotten by the kernel also where mio sources are registered.
#[test]
fn a_replaced_fd_that_stays_open_wakes_nobody_beside_mio_sources() {
    if !common::MIO_SOURCES {
        return;
    }
    let (mut event_loop, mut state) = new_loop();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let source = MioSource::new(mio::net::UnixStream::from_std(ours), Interest::READ, Mode::Edge);
    state.handle.insert_source(source, |_, _: &mut State| Ok(PostAction::Continue)).unwrap();
    let (mut end, source) = pair(Mode::Level);
    let (spare, _far) = UnixStream::pair().unwrap();
    let mut spare = Some(spare);
    let (sender, kept) = std::sync::mpsc::channel();
    let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
        state.note("called");
        sender.send(std::mem::replace(ready.io, spare.take().unwrap())).unwrap();
        Ok(PostAction::Continue)
    };
    state.handle.insert_source(source, callback).unwrap();
    end.write_all(b"x").unwrap();
    for _ in 0..10 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.log, ["called"]);
    assert_eq!(event_loop.stats().stale, 0);
    drop(kept);
}

/// The number of a source stands for another file, while a duplicate keeps the first one open: the kernel goes on to
/// tell of both. That of the first is stale.
#[test]
fn a_source_with_another_file_under_its_number_hears_nothing_of_the_first_one() {
    for updates in [false, true] {
        let (mut event_loop, mut state) = new_loop();
        let (mut first, theirs) = UnixStream::pair().unwrap();
        let duplicate = theirs.try_clone().unwrap();
        let (mut second, other) = UnixStream::pair().unwrap();
        let mut other = Some(other);
        let set: Arc<OnceLock<Token<Generic<OwnedFd>>>> = Arc::default();
        let own = Arc::clone(&set);
        let callback = move |ready: Ready<'_, OwnedFd>, state: &mut State| {
            let Some(other) = other.take() else {
                receive(ready.io, state);
                return Ok(PostAction::Continue);
            };
            state.note("replaced");
            // Closes the first file under its number, and opens the second.
            rustix::io::dup2(other, ready.io).unwrap();
            if updates {
                let token = *own.get().unwrap();
                state.handle.update(token, |_| ());
                return Ok(PostAction::Continue);
            }
            Ok(PostAction::Reregister)
        };
        let source = Generic::new(OwnedFd::from(theirs), Interest::READ, Mode::Level);
        let options = soloop::SourceOptions::new().name("two files");
        set.set(state.handle.insert_source_with(options, source, callback).unwrap()).unwrap();
        first.write_all(b"x").unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.take_log(), ["replaced"]);
        // The byte in the first file is there still, and nobody reads it.
        let mut reports = Vec::new();
        for _ in 0..10 {
            let dispatched = event_loop.dispatch(ZERO, &mut state);
            reports.extend(dispatched.err().map(|error| error.to_string()));
        }
        assert_eq!(state.log, [""; 0], "the second file has nothing");
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].contains("two files"), "{reports:?}");
        assert!(event_loop.stats().stale >= 10);
        second.write_all(b"abc").unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.take_log(), ["3"]);
        drop(duplicate);
        common::wait_for_hang_up(&first);
        let stale = event_loop.stats().stale;
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(event_loop.stats().stale, stale, "it is over with the duplicate");
    }
}

/// Notes how much there is to read, or why it can't be read.
fn receive(fd: &OwnedFd, state: &mut State) {
    let read = rustix::net::recv(fd, &mut [0; 8], rustix::net::RecvFlags::DONTWAIT);
    state.note(read.map_or_else(|error| error.to_string(), |(n, _)| n.to_string()));
}

/// Keeps one token for whatever file it has.
struct Keeps(OwnedFd, Option<InterestToken>);

impl EventSource for Keeps {
    type Event<'a> = &'a OwnedFd;
    type Ret = ();
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.1 = Some(registrar.register_fd(self.0.as_fd(), Interest::READ, Mode::Level)?);
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let Some(token) = self.1 else { return Ok(()) };
        registrar.reregister_fd(token, self.0.as_fd(), Interest::READ, Mode::Level)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        match self.1.take() {
            Some(token) => registrar.unregister_fd(token, self.0.as_fd()),
            None => Ok(()),
        }
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(&OwnedFd),
    {
        assert_eq!(self.1, Some(token));
        callback(&self.0);
        Ok(PostAction::Continue)
    }
}

/// A source of one's own that keeps its token by `reregister_fd` hears of both files under it, until it is registered
/// anew.
#[test]
fn a_token_that_is_kept_for_another_file_is_that_of_both() {
    let (mut event_loop, mut state) = new_loop();
    let (mut first, theirs) = UnixStream::pair().unwrap();
    let duplicate = theirs.try_clone().unwrap();
    let (mut second, other) = UnixStream::pair().unwrap();
    let token = state.handle.insert_source(Keeps(theirs.into(), None), receive).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let source = event_loop.get_mut(token).unwrap();
    rustix::io::dup2(other, &mut source.0).unwrap();
    state.handle.update(token, |_| ());
    second.write_all(b"abc").unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.take_log(), ["3"]);
    first.write_all(b"x").unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.take_log().len(), 1, "of the first file, which only the duplicate reads");
    state.handle.disable(token);
    state.handle.enable(token);
    second.write_all(b"abcd").unwrap();
    for _ in 0..3 {
        // The first of them reports that the kernel goes on.
        let _ = event_loop.dispatch(LONG, &mut state);
    }
    assert_eq!(state.log, ["4"]);
    assert!(event_loop.stats().stale > 0);
    drop(duplicate);
}
