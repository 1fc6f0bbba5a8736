//! The messages between the program and its viewers: one JSON value per line, both ways.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A message of a viewer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// The first one: `{"hello":{"version":1}}`.
    Hello {
        /// The version that the viewer speaks: [`VERSION`](super::VERSION).
        version: u32,
    },
    /// Requests one [`Snapshot`]: `"snapshot"`.
    Snapshot,
    /// Requests a [`Snapshot`] at regular intervals, and slow callbacks as they happen; replaces an earlier `watch`:
    /// `{"watch":{"every_ms":100,"slow_us":4000}}`.
    Watch {
        /// The time between two snapshots in milliseconds, at least 10.
        every_ms: u64,
        /// Which callbacks are slow: those that take this time or longer, in microseconds, at least 100. Without it
        /// none is reported.
        slow_us: Option<u64>,
    },
    /// Requests a [`Trace`] of what happens from now on: `{"trace":{"ms":5000}}`.
    Trace {
        /// The length of the trace in milliseconds, a minute at most.
        ms: u64,
    },
}

/// A message of the program.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Message {
    /// The first message.
    Hello(Hello),
    /// The loop and its sources.
    Snapshot(Snapshot),
    /// A callback that took long has just returned.
    Slow(SlowCallback),
    /// The answer to [`Request::Trace`], when its time is over.
    Trace(Trace),
    /// Why the program ends the connection.
    Error(String),
}

/// The program introduces itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol: [`VERSION`](super::VERSION).
    pub version: u32,
    /// The process id.
    pub pid: u32,
    /// The name of its program.
    pub program: String,
}

/// The loop and its sources. Counts begin when the first of the connected viewers connected.
///
/// Times are in nanoseconds. A snapshot of a busy loop takes several rounds, so that it delays none of them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// The loop.
    #[serde(rename = "loop")]
    pub totals: Totals,
    /// The callbacks that belong to no source: idles, posts, ops.
    pub others: Vec<Gone>,
    /// The sources that are gone, one entry per name.
    pub gone: Vec<Gone>,
    /// The sources that are inserted.
    pub sources: Vec<Source>,
}

/// The counts of the whole loop.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// How long the loop has been counting.
    pub counted_ns: u64,
    /// How many dispatches there were.
    pub rounds: u64,
    /// How many times a source processed an event.
    pub events: u64,
    /// How many times the loop woke up. [`Counts::wakeups`] has the wake-ups of one source.
    pub wakeups: u64,
    /// How many of these were followed by no callback.
    pub wakeups_for_nothing: u64,
    /// How long the waits took.
    pub asleep_ns: u64,
    /// How long the rest of the dispatches took.
    pub busy_ns: u64,
}

/// The counts of the callbacks of one kind, or of sources that are gone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Gone {
    /// The kind, or the name of the sources.
    pub name: String,
    /// What was counted.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The counts of some callbacks. On the wire, those that are 0 are left out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// How many ran.
    #[serde(skip_serializing_if = "is_default")]
    pub events: u64,
    /// How long they took.
    #[serde(skip_serializing_if = "is_default")]
    pub busy_ns: u64,
    /// How long the slowest took.
    #[serde(skip_serializing_if = "is_default")]
    pub worst_ns: u64,
    /// How long the last took.
    #[serde(skip_serializing_if = "is_default")]
    pub last_ns: u64,
    /// How many wake-ups they caused: the callback was the first one after a wake-up.
    #[serde(skip_serializing_if = "is_default")]
    pub wakeups: u64,
    /// How many failed.
    #[serde(skip_serializing_if = "is_default")]
    pub errors: u64,
}

/// An inserted source. On the wire, what it does not have is left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Its token, as [`AnyToken::to_bits`](crate::AnyToken::to_bits).
    pub id: u64,
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "is_default")]
    pub name: Option<String>,
    /// Its type, without paths.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it receives events.
    pub enabled: bool,
    /// `high`, `normal` or `low`.
    pub priority: Cow<'static, str>,
    /// Whether it belongs to a scope.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scoped: bool,
    /// The time until its nearest deadline; negative for one that has passed.
    #[serde(skip_serializing_if = "is_default")]
    pub due_in_ns: Option<i64>,
    /// How many of its interests are ready and not delivered yet.
    #[serde(default, skip_serializing_if = "is_default")]
    pub backlog: usize,
    /// What a task waits for: `sleep`, `state`, `source`, several of them with `+` between, or `other`.
    #[serde(skip_serializing_if = "is_default")]
    pub waits_for: Option<String>,
    /// Its last error.
    #[serde(skip_serializing_if = "is_default")]
    pub last_error: Option<String>,
    /// What was counted.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A slow callback, as [`Request::Watch`] defines it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SlowCallback {
    /// When it returned, on the scale of [`Totals::counted_ns`].
    pub at_ns: u64,
    /// The name of its source, or of the source's type, or else the kind.
    pub name: String,
    /// `source`, `idle`, `op`, `remote` or `inspect`.
    pub kind: Cow<'static, str>,
    /// How long it took.
    pub took_ns: u64,
    /// How much of that time it ran on a processor. The rest of it, it waited: for a disk, a lock, a peer, a sleep,
    /// or a processor.
    pub on_cpu_ns: u64,
    /// How late its deadline was delivered.
    pub late_ns: Option<u64>,
}

/// A trace for `chrome://tracing` and Perfetto.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Whether it ends early, because there were too many events.
    pub truncated: bool,
    /// The events that [`ChromeTrace`](crate::ChromeTrace) writes.
    pub events: Vec<serde_json::Value>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Counts {
    /// Adds the counts of `other`, which is the later one: its last duration replaces this one's.
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.busy_ns += other.busy_ns;
        self.worst_ns = self.worst_ns.max(other.worst_ns);
        self.last_ns = other.last_ns;
        self.wakeups += other.wakeups;
        self.errors += other.errors;
    }
}
