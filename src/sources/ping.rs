//! Pings: a thread tells the loop that something happened.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use crate::RawNotifier;
use crate::sync::{AtomicBool, Mutex, Ordering, lock};
use crate::{EventSource, InterestToken, PostAction, Readiness, Registrar};

/// Makes a ping, which any thread sends, and the source that receives it.
///
/// A ping sent before the source is inserted, or while it is disabled, is delivered once the source is enabled. It
/// takes no fd and can't fail.
///
/// # Limits
///
/// Pings are not counted: all that come before the callback runs are one event. A ping takes a lock, so a signal
/// handler must not ping: use `Signals` there.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, pings: u32 }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use soloop::{EventLoop, make_ping};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, pings: 0 };
/// let (ping, source) = make_ping();
/// state.handle.insert_source(source, |(), state| state.pings += 1)?;
/// std::thread::spawn(move || {
///     ping.ping();
///     ping.ping();
/// })
/// .join()
/// .unwrap();
/// event_loop.dispatch(None, &mut state)?;
/// assert_eq!(state.pings, 1);
/// # Ok::<(), soloop::Error>(())
/// ```
pub fn make_ping() -> (Ping, PingSource) {
    let shared = Arc::new(PingState::default());
    (Ping { shared: Arc::clone(&shared) }, PingSource { shared, token: None })
}

#[derive(Debug, Default)]
struct PingState {
    pinged: AtomicBool,
    notifier: Mutex<Option<RawNotifier>>,
}

/// Pings a [`PingSource`], from any thread. A clone pings the same source.
#[derive(Clone, Debug)]
pub struct Ping {
    shared: Arc<PingState>,
}

impl Ping {
    /// Makes the loop call the callback of the source, in the current or the next round. Does nothing once the source
    /// is gone.
    #[inline]
    pub fn ping(&self) {
        if !self.shared.pinged.swap(true, Ordering::AcqRel)
            && let Some(notifier) = &*lock(&self.shared.notifier)
        {
            notifier.notify();
        }
    }
}

/// Receives the pings of [`make_ping`]; the event is `()`. It stays when all [`Ping`]s are gone.
#[derive(Debug)]
pub struct PingSource {
    shared: Arc<PingState>,
    token: Option<InterestToken>,
}

/// A ping may outlive the source and its loop: from here on it holds none of the loop's fds.
impl Drop for PingSource {
    fn drop(&mut self) {
        *lock(&self.shared.notifier) = None;
    }
}

impl EventSource for PingSource {
    type Event<'a> = ();
    type Ret = ();
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let (token, notifier) = registrar.raw_notifier();
        self.token = Some(token);
        let mut slot = lock(&self.shared.notifier);
        // Checked under the lock: a later ping finds the notifier.
        if self.shared.pinged.load(Ordering::Acquire) {
            notifier.notify();
        }
        *slot = Some(notifier);
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        *lock(&self.shared.notifier) = None;
        if let Some(token) = self.token.take() {
            registrar.release(token);
        }
        Ok(())
    }

    #[inline]
    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(()),
    {
        if self.token == Some(token) && self.shared.pinged.swap(false, Ordering::AcqRel) {
            callback(());
        }
        Ok(PostAction::Continue)
    }
}

static_assertions::assert_eq_size!(Ping, usize);
