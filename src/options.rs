//! What can be said of a source when it is inserted.

use std::borrow::Cow;

/// The rank of a source among those that are ready in the same round.
///
/// All ready sources of a round run, whatever their priority; priority orders them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
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

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// A source's name, priority and budget; see
/// [`LoopHandle::insert_source_with`](crate::LoopHandle::insert_source_with).
///
/// # Examples
///
/// ```
/// use soloop::{Priority, SourceOptions};
///
/// let options = SourceOptions::new().name("input").priority(Priority::High).budget(64);
/// ```
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) priority: Priority,
    pub(crate) budget: Option<u32>,
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

    /// How many callbacks the source may run in one round, at least 1. What it still holds then waits
    /// for the next round, behind everything that is ready by then.
    pub fn budget(mut self, callbacks: u32) -> Self {
        self.budget = Some(callbacks.max(1));
        self
    }

    pub(crate) fn is_default(&self) -> bool {
        self.name.is_none() && self.priority == Priority::default() && self.budget.is_none()
    }
}
