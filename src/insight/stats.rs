//! The counts of a loop, and the table of its sources.

use std::fmt;
use std::iter;
use std::time::{Duration, Instant};

use crate::error::type_name::without_paths;
use crate::{AnyToken, Priority};

/// The counts of a loop, from [`EventLoop::stats`](crate::EventLoop::stats).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// How many dispatches began.
    pub rounds: u64,
    /// How many times a source processed an event; it may do so without calling its callback.
    pub events: u64,
    /// How many times the loop woke up: from a wait that slept, or by a notification that came while it was awake.
    pub wakeups: u64,
    /// How many of these wake-ups were for [posts](crate::Remote::post), while [enabled](crate::EventLoop::enable_stats).
    /// [`SourceStats::wakeups`] has those for a source.
    pub wakeups_for_posts: u64,
    /// How many of them were followed by no callback, while enabled: the reason was a timeout, a
    /// [`LoopSignal`](crate::LoopSignal), or an fd that no source waits for any more.
    pub wakeups_for_nothing: u64,
    /// How many times the kernel reported an fd that no source waits for any more. A few are usual; if the number
    /// keeps growing, see [`Error::Orphan`](crate::Error::Orphan).
    pub stale: u64,
    /// How long the waits took, while [enabled](crate::EventLoop::enable_stats).
    pub asleep: Duration,
    /// How long the rest of the dispatches took, while enabled.
    pub busy: Duration,
    /// The sources that called back or failed while enabled: the inserted ones, and the last 256 of those that are
    /// gone.
    pub sources: Vec<SourceStats>,
}

/// The counts of one source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceStats {
    /// The source.
    pub token: AnyToken,
    /// The name in its [`SourceOptions`](crate::SourceOptions), or else its type's name without paths.
    pub name: String,
    /// How many times it processed an event, with or without calling its callback.
    pub events: u64,
    /// How long that took, callbacks included.
    pub busy: Duration,
    /// How long the slowest of these took.
    pub slowest: Duration,
    /// How many wake-ups it caused: its callback was the first one after a wake-up.
    pub wakeups: u64,
    /// How many times it failed.
    pub errors: u64,
    /// Its last error.
    pub last_error: Option<String>,
}

impl SourceStats {
    pub(crate) fn new(token: AnyToken, name: String) -> Self {
        let (busy, slowest) = (Duration::ZERO, Duration::ZERO);
        Self { token, name, events: 0, busy, slowest, wakeups: 0, errors: 0, last_error: None }
    }
}

/// The sources of a loop at one moment, from [`EventLoop::sources`](crate::EventLoop::sources). `Display` renders it with aligned columns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceTable {
    /// One row per source, in the order of the loop's tables, which is not that of insertion.
    pub rows: Vec<SourceRow>,
}

/// One source in a [`SourceTable`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceRow {
    /// The source.
    pub token: AnyToken,
    /// The name in its [`SourceOptions`](crate::SourceOptions), if there is one.
    pub name: Option<String>,
    /// The full name of its type.
    pub type_name: &'static str,
    /// Whether it receives events.
    pub enabled: bool,
    /// Its priority.
    pub priority: Priority,
    /// Whether it belongs to a [`Scope`](crate::Scope).
    pub scoped: bool,
    /// Its nearest deadline, on the loop's clock.
    pub deadline: Option<Instant>,
    /// How many of its interests (fds, deadlines, notifiers) are ready and not delivered yet. A channel counts as
    /// one, however many messages it holds.
    pub backlog: usize,
    /// How many times it processed an event, while [enabled](crate::EventLoop::enable_stats).
    pub events: u64,
    /// How long that took, callbacks included.
    pub busy: Duration,
    /// How long the slowest of these took.
    pub slowest: Duration,
    /// How many wake-ups it caused, as [`SourceStats::wakeups`].
    pub wakeups: u64,
    /// Its last error.
    pub last_error: Option<String>,
}

impl SourceRow {
    fn cells(&self) -> [String; 7] {
        [
            self.name.as_deref().unwrap_or("-").to_owned(),
            without_paths(self.type_name),
            if self.enabled { "enabled" } else { "disabled" }.to_owned(),
            self.priority.as_str().to_owned(),
            self.events.to_string(),
            format!("{:.1?}", self.busy).replace(".0", ""),
            // One line per source, even if an error has several.
            self.last_error.as_deref().unwrap_or_default().replace('\n', " "),
        ]
    }
}

impl fmt::Display for SourceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = ["name", "type", "state", "priority", "events", "time", "last error"];
        write_aligned(f, titles, self.rows.iter().map(SourceRow::cells))
    }
}

/// Writes titles and lines of cells. Each column is as wide as its widest cell; no spaces follow the last cell of a line.
pub(crate) fn write_aligned<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    titles: [&str; N],
    lines: impl Iterator<Item = [String; N]>,
) -> fmt::Result {
    let lines: Vec<_> = iter::once(titles.map(str::to_owned)).chain(lines).collect();
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
