//! Counts of what a task waits for through its context.

use std::fmt;
use std::sync::Arc;

use crate::sync::{Mutex, lock};

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

/// Counts one wait as long as it lives.
pub(super) struct Waiting {
    waits: Arc<Mutex<TaskWaits>>,
    count: Count,
}

/// Selects what is counted.
type Count = fn(&mut TaskWaits) -> &mut u32;

impl Waiting {
    pub(super) fn new(waits: &Arc<Mutex<TaskWaits>>, count: Count) -> Self {
        *count(&mut lock(waits)) += 1;
        Self { waits: Arc::clone(waits), count }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        *(self.count)(&mut lock(&self.waits)) -= 1;
    }
}
