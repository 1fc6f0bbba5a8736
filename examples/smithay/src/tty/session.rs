//! The session: who may use the devices of the seat, from seatd or logind by way of libseat.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calloop::{EventSource, Poll, PostAction, Readiness, Token, TokenFactory};
use smithay::backend::session::libseat::{LibSeatSession, LibSeatSessionNotifier};
use smithay::backend::session::{Event, Session};

use crate::Result;

/// What happens to the session.
pub enum Change {
    /// Somebody else has the screen, and the devices are revoked.
    Paused,
    /// It is ours again.
    Resumed,
    /// Whoever gives out the devices is gone.
    Lost,
}

/// What a session asks of the state.
pub trait SessionHandler {
    fn session_changed(&mut self, change: Change);
}

pub fn hear<D: SessionHandler>(change: Change, _: &mut (), data: &mut D) {
    data.session_changed(change);
}

/// Opens the session of the terminal that this runs on.
///
/// # Errors
///
/// Neither seatd nor logind gives one, or another program has the terminal.
pub fn open() -> Result<(LibSeatSession, SessionSource)> {
    let (session, notifier) = LibSeatSession::new().map_err(|error| {
        format!("no seat: {error}; is seatd or logind running, and may this user use it?")
    })?;
    if !session.is_active() {
        return Err("no seat: another session has the terminal".into());
    }
    Ok((session, SessionSource { notifier, silent: 0 }))
}

/// After so many calls without a change there is nobody at the other end: one change takes two.
const SILENT: u32 = 16;

/// Smithay's source, which does not tell that seatd has died: libseat (0.7) reads the end of its socket, says that
/// nothing has happened, and the socket stays readable; or libseat fails, and Smithay panics.
pub struct SessionSource {
    notifier: LibSeatSessionNotifier,
    /// The calls since the last change.
    silent: u32,
}

impl EventSource for SessionSource {
    type Event = Change;
    type Metadata = ();
    type Ret = ();
    type Error = io::Error;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(Change, &mut ()),
    {
        let mut changes = Vec::new();
        let source = AssertUnwindSafe(|| {
            self.notifier.process_events(readiness, token, |event, ()| {
                changes.push(match event {
                    Event::PauseSession => Change::Paused,
                    Event::ActivateSession => Change::Resumed,
                });
            })
        });
        let outcome = catch_unwind(source);
        self.silent = if changes.is_empty() { self.silent + 1 } else { 0 };
        let lost = !matches!(outcome, Ok(Ok(_))) || self.silent == SILENT;
        for change in changes.into_iter().chain(lost.then_some(Change::Lost)) {
            callback(change, &mut ());
        }
        Ok(PostAction::Continue)
    }

    fn register(&mut self, poll: &mut Poll, factory: &mut TokenFactory) -> calloop::Result<()> {
        self.notifier.register(poll, factory)
    }

    fn reregister(&mut self, poll: &mut Poll, factory: &mut TokenFactory) -> calloop::Result<()> {
        self.notifier.reregister(poll, factory)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.notifier.unregister(poll)
    }
}
