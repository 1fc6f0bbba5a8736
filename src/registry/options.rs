//! The options of a source, given when it is inserted.

use std::borrow::Cow;
use std::time::Duration;

use crate::registry::scope::Membership;
use crate::{ErrorAction, Scope};

/// The rank of a source among those that are ready in the same round.
///
/// Priority orders the sources of a round; it excludes none. If the round's time
/// ([`EventLoop::set_round_time`](crate::EventLoop::set_round_time)) ends first, the remaining sources run in the
/// next round. That round also includes what has become ready at higher priorities meanwhile, and reserves a part of
/// its time for the remaining ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Priority {
    /// After the others: logging, background work.
    Low,
    /// Between the two: the default.
    #[default]
    Normal,
    /// Before the others: input, the frame clock.
    High,
}

impl Priority {
    pub(crate) const COUNT: usize = 3;
    /// In the order in which a round delivers them.
    pub(crate) const DESCENDING: [Self; Self::COUNT] = [Self::High, Self::Normal, Self::Low];

    /// The name in lower case: `low`, `normal`, `high`.
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

/// A source's name, priority, budgets, error policy and scope, for
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
    /// The defaults: named after the source's type, normal priority, at most 1024 callbacks in a row, the loop's
    /// error policy, no scope.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the source in errors, tables and traces.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Ranks the source among those that are ready in the same round; [`Priority::Normal`] by default.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Limits how many callbacks the source may run in a row for one readiness: at least 1, by default 1024.
    ///
    /// What the source still holds then waits for the next round, behind everything of its priority that is ready by
    /// then. The time of the whole round ([`EventLoop::set_round_time`](crate::EventLoop::set_round_time)) may end
    /// the row earlier.
    pub fn budget(mut self, callbacks: u32) -> Self {
        self.budget = Some(callbacks.max(1));
        self
    }

    /// Limits how long the source may go on calling back in a row, on the loop's clock; unlimited by default.
    ///
    /// The source calls back at least once, and a running callback is not interrupted. What the source still holds
    /// when the time is over waits for the next round, as with [`budget`](Self::budget). This costs one clock reading
    /// for each callback.
    pub fn time_budget(mut self, time: Duration) -> Self {
        self.time_budget = Some(time);
        self
    }

    /// Sets what the loop does about an [`Error::Source`](crate::Error::Source) of this source, instead of asking the
    /// policy of [`EventLoop::on_error`](crate::EventLoop::on_error). (That policy still decides about an
    /// [`Error::Orphan`](crate::Error::Orphan).)
    pub fn on_error(mut self, action: ErrorAction) -> Self {
        self.on_error = Some(action);
        self
    }

    /// Removes the source when `scope` is dropped. If `scope` is gone by the time of the insertion, the source is
    /// removed at once. The options do not keep the scope alive.
    pub fn scope(mut self, scope: &Scope) -> Self {
        self.scope = Some(scope.membership());
        self
    }

    #[inline]
    pub(crate) fn is_default(&self) -> bool {
        matches!(
            self,
            Self {
                name: None,
                priority: Priority::Normal,
                budget: None,
                time_budget: None,
                on_error: None,
                scope: None,
            }
        )
    }
}
