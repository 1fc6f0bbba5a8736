//! How other threads stop or wake a loop.

use std::sync::Arc;

use crate::threads::shared::Shared;

/// Stops or wakes a loop, from any thread.
///
/// [`LoopHandle::signal`](crate::LoopHandle::signal) makes it. Once the loop is gone its methods do nothing. To run
/// code on the loop's thread, use a [`Remote`](crate::Remote).
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// let (mut event_loop, handle) = soloop::EventLoop::new()?;
/// let signal = handle.signal();
/// let mut state = State { handle };
/// let thread = std::thread::spawn(move || signal.stop());
/// event_loop.run(None, &mut state, |_| ())?; // until the thread stops it
/// thread.join().unwrap();
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LoopSignal {
    shared: Arc<Shared>,
}

impl LoopSignal {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Makes [`EventLoop::run`](crate::EventLoop::run) (or `run_until`, or `block_on`) return after the current
    /// dispatch, or at once if it begins later. Ends the current wait. A stop ends one of them and is then forgotten,
    /// as with [`LoopHandle::stop`](crate::LoopHandle::stop).
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Ends the current wait, or keeps the next one from blocking.
    pub fn wakeup(&self) {
        self.shared.ready().wake();
    }
}

static_assertions::assert_eq_size!(LoopSignal, usize);
