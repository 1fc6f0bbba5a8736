//! The sources of the tests' own.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use soloop::{EventSource, InterestToken, Notifier, PostAction, Readiness, Registrar};

use crate::model::log::{Entry, Log};

/// What makes a bell ring.
#[derive(Default)]
pub struct Rope {
    pulls: AtomicU32,
    notifier: Mutex<Option<Notifier>>,
}

impl Rope {
    /// Whether there is a bell at its other end.
    pub fn pull(&self) -> bool {
        self.pulls.fetch_add(1, Ordering::Relaxed);
        let notifier = self.notifier.lock().unwrap().clone();
        notifier.inspect(Notifier::notify).is_some()
    }
}

/// A source on a notifier whose callback may answer anything: an event a pull.
pub struct Bell {
    rope: Arc<Rope>,
    token: Option<InterestToken>,
}

impl Bell {
    pub fn new(rope: &Arc<Rope>) -> Self {
        Self { rope: Arc::clone(rope), token: None }
    }
}

impl EventSource for Bell {
    type Event<'a> = ();
    type Ret = io::Result<PostAction>;
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let (token, notifier) = registrar.notifier();
        if self.rope.pulls.load(Ordering::Relaxed) > 0 {
            notifier.notify();
        }
        self.token = Some(token);
        *self.rope.notifier.lock().unwrap() = Some(notifier);
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        *self.rope.notifier.lock().unwrap() = None;
        if let Some(token) = self.token.take() {
            registrar.release(token);
        }
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(()) -> io::Result<PostAction>,
    {
        let pulls = self.rope.pulls.load(Ordering::Relaxed);
        if self.token != Some(token) || pulls == 0 {
            return Ok(PostAction::Continue);
        }
        self.rope.pulls.store(pulls - 1, Ordering::Relaxed);
        let action = callback(())?;
        let more = self.rope.pulls.load(Ordering::Relaxed) > 0;
        Ok(if more && action == PostAction::Continue { PostAction::Again } else { action })
    }
}

/// Notes whenever a source is asked to process an event, of which it may make nothing.
pub struct Noted<S> {
    pub source: S,
    pub id: usize,
    pub log: Log,
}

impl<S: EventSource> EventSource for Noted<S> {
    type Event<'a> = S::Event<'a>;
    type Ret = S::Ret;
    type Error = S::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.source.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.source.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.source.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, S::Error>
    where
        F: FnMut(S::Event<'_>) -> S::Ret,
    {
        self.log.push(Entry::Asked(self.id));
        self.source.process_events(readiness, token, |event| {
            self.log.polled();
            callback(event)
        })
    }
}
