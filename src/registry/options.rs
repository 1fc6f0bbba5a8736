//! What can be said of a source when it is inserted.

use std::borrow::Cow;
use std::time::Duration;

use crate::registry::scope::Membership;
use crate::{ErrorAction, Scope};

/// The rank of a source among those that are ready in the same round.
///
/// Priority orders the sources of a round. All of them run in it, whatever their priority, unless its time
/// ([`EventLoop::set_round_time`](crate::EventLoop::set_round_time)) is over before: those that are left run in the next
/// round, which takes in what has become ready at higher priorities, and a part of which is kept for them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Priority {
    /// After the others: logging, background work.
    Low,
    /// What a source has that does not say.
    #[default]
    Normal,
    /// Before the others: input, the frame clock.
    High,
}

impl Priority {
    pub(crate) const COUNT: usize = 3;
    /// In the order in which a round delivers.
    pub(crate) const DESCENDING: [Self; Self::COUNT] = [Self::High, Self::Normal, Self::Low];

    /// In lower case: `low`, `normal`, `high`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// A source's name, priority, budgets, error policy and scope; see
/// [`LoopHandle::insert_source_with`](crate::LoopHandle::insert_source_with).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use soloop::{ErrorAction, Priority, SourceOptions};
///
/// let input = SourceOptions::new().name("input").priority(Priority::High).budget(64);
/// let log = SourceOptions::new()
///     .name("log")
///     .priority(Priority::Low)
///     .time_budget(Duration::from_millis(2))
///     .on_error(ErrorAction::Retry(Duration::from_secs(1)));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until a source is inserted with them"]
pub struct SourceOptions {
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) priority: Priority,
    pub(crate) budget: Option<u32>,
    pub(crate) time_budget: Option<Duration>,
    pub(crate) on_error: Option<ErrorAction>,
    pub(crate) scope: Option<Membership>,
}

impl SourceOptions {
    /// The defaults: named after its type, of normal priority, at most 1024 callbacks a round.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the source in errors and reports.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Ranks the source among those that are ready in the same round.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How many callbacks the source may run in a row for one readiness, at least 1; 1024 if nobody says. What it
    /// still holds then waits for the next round, behind everything of its priority that is ready by then. The time
    /// of the whole round ([`EventLoop::set_round_time`](crate::EventLoop::set_round_time)) may end it before.
    pub fn budget(mut self, callbacks: u32) -> Self {
        self.budget = Some(callbacks.max(1));
        self
    }

    /// For how long the source may go on calling back in a row, on the loop's clock. It calls back once at
    /// least, and a callback that runs is not interrupted; what the source still holds when the time is over
    /// waits for the next round, as with [`budget`](Self::budget). Costs a clock reading for each callback.
    pub fn time_budget(mut self, time: Duration) -> Self {
        self.time_budget = Some(time);
        self
    }

    /// What the loop does about the errors of this source, in the place of what
    /// [`EventLoop::on_error`](crate::EventLoop::on_error) says.
    pub fn on_error(mut self, action: ErrorAction) -> Self {
        self.on_error = Some(action);
        self
    }

    /// Removes the source when `scope` is dropped; if it was by the time the source is inserted, at once.
    /// The options keep nothing of the scope alive.
    pub fn scope(mut self, scope: &Scope) -> Self {
        self.scope = Some(scope.membership());
        self
    }

    pub(crate) fn is_default(&self) -> bool {
        let Self { name, priority, budget, time_budget, on_error, scope } = self;
        name.is_none()
            && *priority == Priority::default()
            && budget.is_none()
            && time_budget.is_none()
            && on_error.is_none()
            && scope.is_none()
    }
}

assert_traits!(Priority: Copy, Ord, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_traits!(SourceOptions: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
