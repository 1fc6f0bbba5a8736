//! Counts of what a task waits for through its context.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a [`Task`](super::Task) waits for by its [`TaskContext`](super::TaskContext), which may be several things at
/// once. `Display` joins their names: `sleep`, `state`, `source`; or `other` if it waits for none of these.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::time::Duration;
///
/// let (mut event_loop, handle) = soloop::EventLoop::new()?;
/// let mut state = State { handle };
/// let task = state.handle.spawn(|cx| async move { cx.sleep(Duration::from_secs(3600)).await });
/// (0..3).try_for_each(|_| event_loop.dispatch(Duration::ZERO, &mut state))?;
/// let waits = event_loop.get(task).unwrap().waits();
/// assert_eq!(waits.to_string(), "sleep");
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub struct TaskWaits {
    /// How many sleeps and timeouts it waits for.
    pub sleeps: u32,
    /// How many closures it waits for, which run with the state ([`with`](super::TaskContext::with)).
    pub state: u32,
    /// How many sources it waits for ([`once`](super::TaskContext::once)).
    pub sources: u32,
}

impl fmt::Display for TaskWaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sleeps, state, sources } = *self;
        let all = [(sleeps, "sleep"), (state, "state"), (sources, "source")];
        let names: Vec<&str> =
            all.into_iter().filter(|(count, _)| *count > 0).map(|(_, name)| name).collect();
        f.pad(&if names.is_empty() { "other".to_owned() } else { names.join("+") })
    }
}

/// One kind of wait.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    Sleep,
    State,
    Source,
}

/// The counts, which the futures of a task change.
#[derive(Debug, Default)]
pub(super) struct WaitCounts([AtomicU32; 3]);

impl WaitCounts {
    pub(super) fn get(&self) -> TaskWaits {
        let [sleeps, state, sources] = self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        TaskWaits { sleeps, state, sources }
    }
}

/// Counts one wait as long as it lives.
pub(super) struct Waiting {
    counts: Arc<WaitCounts>,
    wait: Wait,
}

impl Waiting {
    pub(super) fn new(counts: &Arc<WaitCounts>, wait: Wait) -> Self {
        counts.0[wait as usize].fetch_add(1, Ordering::Relaxed);
        Self { counts: Arc::clone(counts), wait }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.counts.0[self.wait as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
