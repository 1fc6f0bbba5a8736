//! What the program and its viewers say to each other: one JSON value a line, both ways.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What a viewer asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// The first one: `{"hello":{"version":1}}`.
    Hello {
        /// Which version the viewer speaks: [`VERSION`](super::VERSION).
        version: u32,
    },
    /// One [`Snapshot`]: `"snapshot"`.
    Snapshot,
    /// A [`Snapshot`] now and then, and slow callbacks as they happen, in the place of an earlier `watch`:
    /// `{"watch":{"every_ms":100,"slow_us":4000}}`.
    Watch {
        /// The time between two snapshots in milliseconds, at least 10.
        every_ms: u64,
        /// How long a callback takes at least, in microseconds, to be told of; at least 100. None is without it.
        #[serde(default)]
        slow_us: Option<u64>,
    },
    /// A [`Trace`] of what happens from now on: `{"trace":{"ms":5000}}`.
    Trace {
        /// For how long, in milliseconds; a minute at most.
        ms: u64,
    },
}

/// What the program says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Message {
    /// The first one.
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

/// Who speaks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Which version of the protocol: [`VERSION`](super::VERSION).
    pub version: u32,
    /// The number of the process.
    pub pid: u32,
    /// The name of its program.
    pub program: String,
}

/// The loop and its sources. What is counted is counted since the first of the viewers that are there came.
///
/// Times are in nanoseconds. In a loop that is busy a snapshot takes several rounds, so that it delays none of them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// The loop.
    #[serde(rename = "loop")]
    pub totals: Totals,
    /// What is no source: idles, posts, ops.
    pub others: Vec<Gone>,
    /// The sources that are gone, those of a name together.
    pub gone: Vec<Gone>,
    /// The sources that are there.
    pub sources: Vec<Source>,
}

/// What the loop did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// For how long it is counted.
    pub counted_ns: u64,
    /// Dispatches.
    pub rounds: u64,
    /// Callbacks of sources.
    pub events: u64,
    /// How many times the loop woke up; those for a source are [`Counts::wakeups`].
    pub wakeups: u64,
    /// How many of these no callback followed.
    pub wakeups_for_nothing: u64,
    /// In waits.
    pub asleep_ns: u64,
    /// In the rest of the dispatches.
    pub busy_ns: u64,
}

/// What callbacks of one kind, or those of sources that are gone, did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Gone {
    /// The kind, or the name of the sources.
    pub name: String,
    /// What was counted.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What callbacks did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// How many ran.
    pub events: u64,
    /// How long they took.
    pub busy_ns: u64,
    /// How long the slowest took.
    pub worst_ns: u64,
    /// How long the last took.
    pub last_ns: u64,
    /// How many times the loop woke up for one of them: it was the first one afterwards.
    pub wakeups: u64,
    /// How many failed.
    pub errors: u64,
}

/// A source that is there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// What names it, [`AnyToken::to_bits`](crate::AnyToken::to_bits).
    pub id: u64,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its type, without paths.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it receives events.
    pub enabled: bool,
    /// `high`, `normal` or `low`.
    pub priority: Cow<'static, str>,
    /// Whether it belongs to a scope.
    pub scoped: bool,
    /// How long until its nearest deadline; negative for one that has passed.
    pub due_in_ns: Option<i64>,
    /// How much of what it waits for has come and is not delivered.
    pub backlog: usize,
    /// What a task waits for: `sleep`, `state`, `source`, several of them with `+` between, or `other`.
    pub waits_for: Option<String>,
    /// What it failed with the last time.
    pub last_error: Option<String>,
    /// What was counted.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A callback that took long.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SlowCallback {
    /// When it returned, on the scale of [`Totals::counted_ns`].
    pub at_ns: u64,
    /// Its source's name, else its type's; or the kind.
    pub name: String,
    /// `source`, `idle`, `op`, `remote` or `inspect`.
    pub kind: Cow<'static, str>,
    /// How long it took.
    pub took_ns: u64,
    /// For how much of that it had the processor. The rest it waited: for a disk, a lock, a peer, a sleep, or for a processor.
    pub on_cpu_ns: u64,
    /// By how much its timer was late.
    pub late_ns: Option<u64>,
}

/// What happened, for `chrome://tracing` and Perfetto.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Whether it ends before its time: there was too much of it.
    pub truncated: bool,
    /// What [`ChromeTrace`](crate::ChromeTrace) writes.
    pub events: Vec<serde_json::Value>,
}

impl Counts {
    /// Adds what others did. The last of them is the last.
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.busy_ns += other.busy_ns;
        self.worst_ns = self.worst_ns.max(other.worst_ns);
        self.last_ns = other.last_ns;
        self.wakeups += other.wakeups;
        self.errors += other.errors;
    }
}

assert_traits!(Request: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(Message: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(Hello: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(Snapshot: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(Totals: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(Gone: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(Counts: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(Source: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(SlowCallback: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
assert_traits!(Trace: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
