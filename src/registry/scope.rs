//! Sources that end together: the tasks, timers and fds of one window, say, or the children of one task.
//!
//! A scope holds a guard for each of its sources, and each source's options hold its place in the scope: whichever goes
//! first releases the other. So dropping a scope removes its sources, a long-lived scope keeps nothing of removed
//! sources, and nobody has to tell it. A scope keeps no loop alive and belongs to none.

use std::fmt;
use std::sync::{Arc, Weak};

use slotmap::{SlotMap, new_key_type};

use crate::sync::{Mutex, lock};
use crate::threads::dropped_guards::Guard;

new_key_type! {
    struct MemberKey;
}

/// Removes its sources when it is dropped; [`SourceOptions::scope`](crate::SourceOptions::scope) puts a source into
/// it.
///
/// Use it for sources that end together: as a field of the struct that stands for a window or a client, or as a local
/// variable of a task whose children must not outlive the task. If a callback drops the scope, its sources (tasks and
/// idles, too) are removed before any other callback runs; otherwise, when ops are applied the next time. The futures
/// of removed [tasks](crate::spawn) are dropped, and with them the scopes that they own.
///
/// A scope may be dropped on another thread, which wakes a sleeping loop. It may hold sources of several loops. A
/// source that is removed or taken leaves its scope.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use soloop::{Clock, EventLoop, LoopData, LoopHandle, Scope, SourceOptions, TaskContext};
///
/// struct Window {
///     opacity: u32,
///     scope: Scope, // what animates it goes with it
/// }
///
/// struct State {
///     handle: LoopHandle<State>,
///     window: Option<Window>,
/// }
/// # impl LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut LoopHandle<Self> { &mut self.handle }
/// # }
///
/// async fn fade_in(cx: TaskContext<State>) {
///     loop {
///         cx.sleep(Duration::from_millis(10)).await;
///         cx.with(|state| state.window.as_mut().unwrap().opacity += 1).await; // there as long as the task is
///     }
/// }
///
/// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
/// let mut state = State { handle, window: None };
/// let scope = Scope::new();
/// let fade = SourceOptions::new().name("fade in").scope(&scope);
/// let task = state.handle.spawn_with(fade, fade_in).token();
/// state.window = Some(Window { opacity: 0, scope });
///
/// while state.window.as_ref().is_some_and(|window| window.opacity < 3) {
///     event_loop.dispatch(None, &mut state)?;
/// }
/// state.window = None;
/// event_loop.apply_pending(&mut state)?;
/// assert!(!state.handle.contains(task));
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Default)]
#[must_use = "the sources of a scope go when it is dropped"]
pub struct Scope {
    members: Arc<Members>,
}

/// Dropping a guard removes its source.
type Members = Mutex<SlotMap<MemberKey, Guard>>;

impl Scope {
    /// Makes an empty scope.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many sources, tasks and idles are in the scope.
    pub fn len(&self) -> usize {
        lock(&self.members).len()
    }

    /// Whether the scope is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes the scope's sources, as dropping it does, and keeps the scope for others.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, Scope, SourceOptions, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// let window = Scope::new();
    /// let options = SourceOptions::new().scope(&window);
    /// let blink = state.handle.insert_source_with(options, Timer::never(), |_, _| TimeoutAction::Drop)?;
    /// assert_eq!(window.len(), 1);
    /// window.clear();
    /// event_loop.apply_pending(&mut state)?;
    /// assert!(window.is_empty() && !state.handle.contains(blink));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn clear(&self) {
        // Drained, not replaced: sources on their way out still hold keys of this map, which new ones must not get.
        let guards: Vec<_> = lock(&self.members).drain().collect();
        drop(guards);
    }

    pub(crate) fn membership(&self) -> Membership {
        Membership { members: Arc::downgrade(&self.members), place: None }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("sources", &self.len()).finish()
    }
}

/// The scope that options name; in the options of an inserted source, also the source's place in it.
pub(crate) struct Membership {
    members: Weak<Members>,
    place: Option<MemberKey>,
}

impl Membership {
    /// Takes a place for the source of `guard`. If the scope is gone, dropping `guard` removes the source.
    pub(crate) fn enter(&mut self, guard: Guard) {
        if let Some(members) = self.members.upgrade() {
            self.place = Some(lock(&members).insert(guard));
        }
    }
}

/// The clone has no place: a place belongs to one source.
impl Clone for Membership {
    fn clone(&self) -> Self {
        Self { members: Weak::clone(&self.members), place: None }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(place) = self.place
            && let Some(members) = self.members.upgrade()
            && let Some(guard) = lock(&members).remove(place)
        {
            guard.disarm();
        }
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope")
    }
}
