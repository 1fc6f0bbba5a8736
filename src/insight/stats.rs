//! What a loop counts, and the table of its sources.

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::type_name::without_paths;
use crate::{AnyToken, Priority};

/// What a loop has done so far; see [`EventLoop::stats`](crate::EventLoop::stats).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// How many dispatches it was asked for.
    pub rounds: u64,
    /// How many times it called back for an event of a source.
    pub events: u64,
    /// How many times it woke up: out of a wait that slept, or told by a notification while it was awake.
    pub wakeups: u64,
    /// How many of these were for what was [posted](crate::Remote::post), while [enabled](crate::EventLoop::enable_stats). Those
    /// for a source are its own: [`SourceStats::wakeups`].
    pub wakeups_for_posts: u64,
    /// How many of them no callback followed, while enabled: a timeout ended the wait, or a [`LoopSignal`](crate::LoopSignal),
    /// or an fd that no source waits for any more.
    pub wakeups_for_nothing: u64,
    /// How many times the kernel told of an fd that no source waits for any more. A few are usual; if they go on, see [`Error::Orphan`](crate::Error::Orphan).
    pub stale: u64,
    /// How long its waits took, while [enabled](crate::EventLoop::enable_stats).
    pub asleep: Duration,
    /// How long the rest of its dispatches took, while enabled.
    pub busy: Duration,
    /// The sources that called back, or failed, while enabled: those that live, and the last 256 of those
    /// that are gone.
    pub sources: Vec<SourceStats>,
}

/// What one source has done so far.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceStats {
    /// The source.
    pub token: AnyToken,
    /// Its name: from its [`SourceOptions`](crate::SourceOptions), else its type's.
    pub name: String,
    /// How many times it called back.
    pub events: u64,
    /// How long that took.
    pub busy: Duration,
    /// How long the slowest of its callbacks took.
    pub slowest: Duration,
    /// How many times the loop woke up for it: its callback was the first one afterwards.
    pub wakeups: u64,
    /// How many times it failed.
    pub errors: u64,
    /// What it failed with the last time.
    pub last_error: Option<String>,
}

/// The sources of a loop at one moment; see [`EventLoop::sources`](crate::EventLoop::sources). `Display` renders it with its columns
/// aligned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceTable {
    /// One a source, in the order of the tables, which is not that of insertion.
    pub rows: Vec<SourceRow>,
}

/// One source in a [`SourceTable`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceRow {
    /// The source.
    pub token: AnyToken,
    /// Its name, if its [`SourceOptions`](crate::SourceOptions) give it one.
    pub name: Option<String>,
    /// The full name of its type.
    pub type_name: &'static str,
    /// Whether it receives events.
    pub enabled: bool,
    /// Its rank.
    pub priority: Priority,
    /// Whether it belongs to a [`Scope`](crate::Scope).
    pub scoped: bool,
    /// The nearest of its deadlines, on the loop's clock.
    pub deadline: Option<Instant>,
    /// How much of what it waits for has come and is not delivered: fds, deadlines, and notifications (any number of
    /// messages is one).
    pub backlog: usize,
    /// How many times it called back, while [enabled](crate::EventLoop::enable_stats).
    pub events: u64,
    /// How long that took.
    pub busy: Duration,
    /// How long the slowest of its callbacks took.
    pub slowest: Duration,
    /// How many times the loop woke up for it; see [`SourceStats::wakeups`].
    pub wakeups: u64,
    /// What it failed with the last time.
    pub last_error: Option<String>,
}

impl SourceRow {
    const TITLES: [&str; 7] = ["name", "type", "state", "priority", "events", "time", "last error"];

    fn cells(&self) -> [String; 7] {
        [
            self.name.as_deref().unwrap_or("-").to_owned(),
            without_paths(self.type_name),
            if self.enabled { "enabled" } else { "disabled" }.to_owned(),
            self.priority.as_str().to_owned(),
            self.events.to_string(),
            format!("{:.1?}", self.busy).replace(".0", ""),
            // One line a source, whatever its errors say.
            self.last_error.as_deref().unwrap_or_default().replace('\n', " "),
        ]
    }
}

impl fmt::Display for SourceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = SourceRow::TITLES.map(str::to_owned);
        let lines: Vec<_> =
            std::iter::once(titles).chain(self.rows.iter().map(SourceRow::cells)).collect();
        write_aligned(f, &lines)
    }
}

/// Lines of cells, each column as wide as its widest cell; nothing after the last cell of a line.
pub(crate) fn write_aligned<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    lines: &[[String; N]],
) -> fmt::Result {
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for line in lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  "));
        writeln!(f, "{}", cells.collect::<String>().trim_end())?;
    }
    Ok(())
}

assert_traits!(Stats: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(SourceStats: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(SourceTable: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(SourceRow: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
