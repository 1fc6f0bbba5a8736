//! A source whose methods do what a test tells them to.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use soloop::{
    EventIterator, EventSource, Interest, InterestToken, Mode, PostAction, Readiness, Registrar,
};

/// What a `before_sleep` answers.
type Answer = Option<(Readiness, InterestToken)>;

/// A source whose methods do what they are told to.
pub(crate) struct Scripted {
    pub token: Option<InterestToken>,
    pub fd: Option<UnixStream>,
    pub register: Box<dyn FnMut() -> io::Result<()>>,
    pub unregister: Box<dyn FnMut() -> io::Result<()>>,
    pub before_sleep: Box<dyn FnMut(InterestToken) -> io::Result<Answer>>,
    pub before_events: Box<dyn FnMut()>,
}

impl Scripted {
    pub(crate) fn new() -> Self {
        Self {
            token: None,
            fd: None,
            register: Box::new(|| Ok(())),
            unregister: Box::new(|| Ok(())),
            before_sleep: Box::new(|_| Ok(None)),
            before_events: Box::new(|| ()),
        }
    }
}

impl EventSource for Scripted {
    type Event<'a> = Readiness;
    type Ret = io::Result<PostAction>;
    type Error = io::Error;
    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = true;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        (self.register)()?;
        self.token = Some(match &self.fd {
            Some(fd) => registrar.register_fd(fd.as_fd(), Interest::READ, Mode::Level)?,
            None => registrar.notifier().0,
        });
        Ok(())
    }
    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        (self.register)()
    }
    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        (self.unregister)()?;
        if let Some(token) = self.token.take() {
            match &self.fd {
                Some(fd) => registrar.unregister_fd(token, fd.as_fd())?,
                None => registrar.release(token),
            }
        }
        Ok(())
    }
    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(Readiness) -> io::Result<PostAction>,
    {
        if self.token != Some(token) {
            return Ok(PostAction::Continue);
        }
        callback(readiness)
    }
    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
        (self.before_sleep)(self.token.unwrap())
    }
    fn before_handle_events(&mut self, _: EventIterator<'_>) {
        (self.before_events)();
    }
}
