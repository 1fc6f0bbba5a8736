//! How a `std::task::Waker` makes a source ready: the part that the sources of futures and
//! that of Wayland events share.
//!
//! A bell holds what there is to do, whether the loop knows, and the notifier while the source is registered,
//! behind one lock. Whoever adds work tells the loop unless it knows; the source answers `Again` as long as
//! there is work, and only an answer of `Continue` makes the bell silent. So a wake-up that comes while the
//! future is being polled is seen, none costs a round of its own, and none is lost to a panic: the loop
//! hands a notifier's event to the source once more then, and the bell still counts as rung.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::RawNotifier;
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::{InterestToken, PostAction, Registrar};

/// What a bell collects.
pub(crate) trait Work: Default {
    fn is_empty(&self) -> bool;
}

/// For a source with one future: whether to poll it.
impl Work for bool {
    fn is_empty(&self) -> bool {
        !self
    }
}

/// The side of those who bring work, on any thread.
#[derive(Debug, Default)]
pub(crate) struct Bell<W> {
    state: Mutex<State<W>>,
}

#[derive(Debug, Default)]
struct State<W> {
    work: W,
    /// The loop will look, or is looking.
    told: bool,
    notifier: Option<RawNotifier>,
}

impl<W: Work> State<W> {
    fn tell(&mut self) {
        if !self.told
            && let Some(notifier) = &self.notifier
        {
            notifier.notify();
            self.told = true;
        }
    }
}

impl<W: Work> Bell<W> {
    /// Adds work, and tells the loop.
    pub(crate) fn add(&self, add: impl FnOnce(&mut W)) {
        let mut state = self.lock();
        add(&mut state.work);
        state.tell();
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell<bool> {
    /// Has the future polled.
    pub(crate) fn ring(&self) {
        self.add(|woken| *woken = true);
    }
}

impl Wake for Bell<bool> {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// The side of the source.
#[derive(Debug)]
pub(crate) struct Listener<W: Work> {
    bell: Arc<Bell<W>>,
    token: Option<InterestToken>,
}

impl<W: Work> Listener<W> {
    pub(crate) fn new() -> Self {
        Self { bell: Arc::default(), token: None }
    }

    pub(crate) fn bell(&self) -> &Arc<Bell<W>> {
        &self.bell
    }

    /// Registers, and tells the loop of what came before.
    pub(crate) fn register(&mut self, registrar: &mut Registrar<'_>) {
        let (token, notifier) = registrar.raw_notifier();
        self.token = Some(token);
        let mut state = self.bell.lock();
        state.notifier = Some(notifier);
        state.told = false;
        if !state.work.is_empty() {
            state.tell();
        }
    }

    pub(crate) fn reregister(&mut self, registrar: &mut Registrar<'_>) {
        if self.token.is_none() {
            self.register(registrar);
        }
    }

    pub(crate) fn unregister(&mut self, registrar: &mut Registrar<'_>) {
        if let Some(token) = self.token.take() {
            registrar.release(token);
        }
        self.bell.lock().notifier = None;
    }

    pub(crate) fn is(&self, token: InterestToken) -> bool {
        self.token == Some(token)
    }

    pub(crate) fn with_work<R>(&self, f: impl FnOnce(&mut W) -> R) -> R {
        f(&mut self.bell.lock().work)
    }

    /// The loop is going to look in this round: until it has, nobody needs to tell it.
    #[cfg(feature = "wayland-client")]
    pub(crate) fn expect(&self) {
        self.bell.lock().told = true;
    }

    /// What to answer after a step: `Again` if there is work.
    pub(crate) fn answer(&mut self) -> PostAction {
        let mut state = self.bell.lock();
        state.told = !state.work.is_empty();
        if !state.told {
            return PostAction::Continue;
        }
        if let Some(notifier) = &state.notifier {
            notifier.again();
        }
        PostAction::Again
    }
}

impl Listener<bool> {
    /// A bell that has rung: what is new wants a first poll.
    #[cfg(any(feature = "executor", feature = "futures-core"))]
    pub(crate) fn rung() -> Self {
        let listener = Self::new();
        listener.bell().ring();
        listener
    }

    pub(crate) fn waker(&self) -> Waker {
        Arc::clone(self.bell()).into()
    }

    /// Whether to poll; forgets it.
    pub(crate) fn take_ring(&self) -> bool {
        self.with_work(std::mem::take)
    }
}

/// A waker may outlive the source and its loop: it then holds none of the loop's fds.
impl<W: Work> Drop for Listener<W> {
    fn drop(&mut self) {
        self.bell.lock().notifier = None;
    }
}

static_assertions::assert_impl_all!(Bell<bool>: Send, Sync);
