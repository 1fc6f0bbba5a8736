//! How a `std::task::Waker` makes a source ready. Shared by the sources of futures and the source of Wayland events.
//!
//! A [`WakeState`] holds, behind one lock, the work, whether the loop knows of it, and the notifier while the source is
//! registered. A thread that adds work notifies the loop unless it knows. The source answers `Again` as long as there
//! is work. An answer of `Continue` clears `loop_knows`, and so does a registration, which looks for work itself. So a
//! wake-up during a poll is seen, no wake-up costs a round of its own, and no panic loses one: after a panic the loop
//! delivers the notifier's event to the source again, while `loop_knows` is still set.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::RawNotifier;
use crate::sync::{Mutex, lock};
use crate::{InterestToken, PostAction, Registrar};

/// The work that a [`WakeState`] collects.
pub(crate) trait Work: Default {
    fn is_empty(&self) -> bool;
}

/// For a source with one future: whether to poll it.
impl Work for bool {
    fn is_empty(&self) -> bool {
        !self
    }
}

/// The part for threads that add work.
#[derive(Debug, Default)]
pub(crate) struct WakeState<W> {
    state: Mutex<WakeWork<W>>,
}

#[derive(Debug, Default)]
struct WakeWork<W> {
    work: W,
    /// The loop will look, or is looking.
    loop_knows: bool,
    notifier: Option<RawNotifier>,
}

impl<W: Work> WakeWork<W> {
    fn notify_once(&mut self) {
        if !self.loop_knows
            && let Some(notifier) = &self.notifier
        {
            notifier.notify();
            self.loop_knows = true;
        }
    }
}

impl<W: Work> WakeState<W> {
    /// Adds work, and notifies the loop.
    pub(crate) fn add(&self, add: impl FnOnce(&mut W)) {
        let mut state = lock(&self.state);
        add(&mut state.work);
        state.notify_once();
    }
}

impl WakeState<bool> {
    /// Requests a poll of the future.
    pub(crate) fn wake_up(&self) {
        self.add(|woken| *woken = true);
    }
}

impl Wake for WakeState<bool> {
    fn wake(self: Arc<Self>) {
        self.wake_up();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_up();
    }
}

/// The source's part.
#[derive(Debug)]
pub(crate) struct WakeReceiver<W: Work> {
    wake_state: Arc<WakeState<W>>,
    token: Option<InterestToken>,
}

impl<W: Work> WakeReceiver<W> {
    pub(crate) fn new() -> Self {
        Self { wake_state: Arc::default(), token: None }
    }

    pub(crate) fn wake_state(&self) -> &Arc<WakeState<W>> {
        &self.wake_state
    }

    /// Registers, and announces earlier work to the loop.
    pub(crate) fn register(&mut self, registrar: &mut Registrar<'_>) {
        let (token, notifier) = registrar.raw_notifier();
        self.token = Some(token);
        let mut state = lock(&self.wake_state.state);
        state.notifier = Some(notifier);
        state.loop_knows = false;
        if !state.work.is_empty() {
            state.notify_once();
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
        lock(&self.wake_state.state).notifier = None;
    }

    pub(crate) fn is(&self, token: InterestToken) -> bool {
        self.token == Some(token)
    }

    pub(crate) fn with_work<R>(&self, f: impl FnOnce(&mut W) -> R) -> R {
        f(&mut lock(&self.wake_state.state).work)
    }

    /// The loop will look in this round: until it has, nobody needs to notify it.
    #[cfg(feature = "wayland-client")]
    pub(crate) fn expect(&self) {
        lock(&self.wake_state.state).loop_knows = true;
    }

    /// The answer after a step: `Again` if there is work.
    pub(crate) fn answer(&mut self) -> PostAction {
        let mut state = lock(&self.wake_state.state);
        state.loop_knows = !state.work.is_empty();
        if !state.loop_knows {
            return PostAction::Continue;
        }
        if let Some(notifier) = &state.notifier {
            notifier.again();
        }
        PostAction::Again
    }
}

impl WakeReceiver<bool> {
    /// A wake state that was woken: a new future needs a first poll.
    #[cfg(any(feature = "executor", feature = "futures-core"))]
    pub(crate) fn woken() -> Self {
        let receiver = Self::new();
        receiver.wake_state().wake_up();
        receiver
    }

    pub(crate) fn waker(&self) -> Waker {
        Arc::clone(self.wake_state()).into()
    }

    /// Whether it was woken, and the future is to be polled; cleared by that.
    pub(crate) fn take_wake_up(&self) -> bool {
        self.with_work(std::mem::take)
    }
}

/// A waker may outlive the source and its loop: from here on it holds none of the loop's fds.
impl<W: Work> Drop for WakeReceiver<W> {
    fn drop(&mut self) {
        lock(&self.wake_state.state).notifier = None;
    }
}

static_assertions::assert_impl_all!(WakeState<bool>: Send, Sync);
