//! The observer that counts while viewers are connected.
//!
//! Its counts are separate from those of [`enable_stats`](crate::EventLoop::enable_stats), which the program turns on
//! and off.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::message::{Counts, Gone, Message, SlowCallback, Totals};
use super::viewer::{Viewer, line};
use crate::clock::{instant, stamp};
use crate::{
    AnyToken, CallbackKind, CallbackReport, ChromeTrace, Error, ErrorAction, Notifier, Observer,
    RoundReport, Token, WaitReport,
};

/// Counts of removed sources are kept for this many names.
const MOST_NAMES: usize = 1024;
/// At most this many slow callbacks wait for a viewer; further ones are not reported.
const MOST_SLOW: usize = 256;
/// The longest trace, in bytes.
const LONGEST_TRACE: usize = 16 << 20;
/// The error of a slow callback's CPU time: that much of the time before it may be counted as its own.
const PRECISION: Duration = Duration::from_micros(100);

#[derive(Default)]
pub(super) struct Recorder {
    /// On the scale of deadlines.
    since: i64,
    totals: Totals,
    /// By the place of the source in the tables of the loop.
    sources: Vec<Option<Record>>,
    gone: BTreeMap<String, Counts>,
    others: BTreeMap<CallbackKind, Counts>,
    /// The number of the last snapshot.
    snapshot: u64,
    /// The loop woke up, and no callback ran since.
    woke: bool,
    /// The running callback is the inspector's own, and is not reported as slow.
    pub(super) is_own: bool,
    /// The thread's CPU time when it was last read.
    on_cpu: Duration,
    /// The time that callbacks have taken since then.
    unseen: Duration,
    pub(super) viewers: BTreeMap<Token<Viewer>, Attached>,
}

pub(super) struct Record {
    source: AnyToken,
    name: String,
    pub(super) counts: Counts,
    pub(super) last_error: Option<String>,
    /// The last snapshot that contains the source, or the current one when the record was made.
    seen: u64,
}

/// The state kept for one viewer.
pub(super) struct Attached {
    pub(super) notifier: Notifier,
    pub(super) slow: Option<Duration>,
    pub(super) pending: Vec<Vec<u8>>,
    pub(super) trace: Option<ChromeTrace<TraceBuffer>>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { since: stamp(Instant::now()), ..Self::default() }
    }

    /// How long it has been counting.
    fn counted_ns(&self) -> u64 {
        nanos(instant(self.since).elapsed())
    }

    /// Begins a snapshot. Returns its number and what comes before the sources.
    pub(super) fn begin_snapshot(&mut self) -> (u64, Totals, Vec<Gone>) {
        self.snapshot += 1;
        let totals = Totals { counted_ns: self.counted_ns(), ..self.totals.clone() };
        let other = |(kind, counts): (&CallbackKind, &Counts)| named(kind.to_string(), counts);
        (self.snapshot, totals, self.others.iter().map(other).collect())
    }

    /// What a snapshot says about one source.
    pub(super) fn show(&mut self, source: AnyToken) -> Option<&Record> {
        let record = self.sources.get_mut(place_of(source))?.as_mut();
        let record = record.filter(|record| record.source == source)?;
        record.seen = self.snapshot;
        Some(record)
    }

    /// Ends a snapshot: the sources that it did not meet are gone. Returns those that are.
    pub(super) fn end_snapshot(&mut self, number: u64) -> Vec<Gone> {
        for place in &mut self.sources {
            if let Some(record) = place.take_if(|record| record.seen < number) {
                bury(&mut self.gone, &record);
            }
        }
        self.gone.iter().map(|(name, counts)| named(name.clone(), counts)).collect()
    }

    fn record(&mut self, source: AnyToken, name: &str) -> &mut Record {
        let place = place_of(source);
        if place >= self.sources.len() {
            self.sources.resize_with(place + 1, || None);
        }
        let (place, seen) = (&mut self.sources[place], self.snapshot);
        if let Some(before) = place.take_if(|record| record.source != source) {
            bury(&mut self.gone, &before);
        }
        place.get_or_insert_with(|| Record {
            source,
            name: name.to_owned(),
            counts: Counts::default(),
            last_error: None,
            seen,
        })
    }

    /// The CPU time that the thread has used since the last call.
    fn look_at_cpu(&mut self) -> Duration {
        self.unseen = Duration::ZERO;
        let before = std::mem::replace(&mut self.on_cpu, thread_time());
        self.on_cpu.saturating_sub(before)
    }

    fn has_slow(&self) -> bool {
        self.viewers.values().any(|attached| attached.slow.is_some())
    }

    fn tell_slow(&mut self, report: &CallbackReport<'_>) {
        let is_slow = |attached: &Attached| {
            attached.slow.is_some_and(|threshold| report.duration >= threshold)
        };
        if !self.viewers.values().any(is_slow) {
            return;
        }
        let on_cpu = self.look_at_cpu().min(report.duration);
        let slow = Message::Slow(SlowCallback {
            at_ns: self.counted_ns(),
            name: report.name.to_owned(),
            kind: report.kind.as_str().into(),
            took_ns: nanos(report.duration),
            on_cpu_ns: nanos(on_cpu),
            late_ns: report.lateness.map(nanos),
        });
        for attached in self.viewers.values_mut().filter(|attached| is_slow(attached)) {
            if attached.pending.len() < MOST_SLOW {
                attached.pending.push(line(&slow));
                attached.notifier.notify();
            }
        }
    }

    fn traces(&mut self) -> impl Iterator<Item = &mut ChromeTrace<TraceBuffer>> {
        self.viewers.values_mut().filter_map(|attached| attached.trace.as_mut())
    }
}

impl Observer for Recorder {
    fn round_end(&mut self, report: &RoundReport) {
        self.totals.rounds += 1;
        self.totals.asleep_ns += nanos(report.asleep);
        self.totals.busy_ns += nanos(report.duration.saturating_sub(report.asleep));
    }

    fn wait_begin(&mut self, _timeout: Option<Duration>) {
        self.totals.wakeups_for_nothing += u64::from(std::mem::take(&mut self.woke));
    }

    fn wait_end(&mut self, report: &WaitReport) {
        self.woke = report.woke;
        self.totals.wakeups += u64::from(report.woke);
        self.traces().for_each(|trace| trace.wait_end(report));
        if self.has_slow() {
            self.look_at_cpu();
        }
    }

    fn callback_end(&mut self, report: &CallbackReport<'_>) {
        self.woke = false;
        let duration = nanos(report.duration);
        let counts = match report.token {
            Some(token) if report.kind == CallbackKind::Source => {
                self.totals.events += 1;
                &mut self.record(token, report.name).counts
            }
            _ => self.others.entry(report.kind).or_default(),
        };
        counts.add(&Counts {
            events: 1,
            busy_ns: duration,
            worst_ns: duration,
            last_ns: duration,
            wakeups: u64::from(report.woke),
            errors: 0,
        });
        self.traces().for_each(|trace| trace.callback_end(report));
        let is_viewer = |viewer: &Token<Viewer>| Some(viewer.into()) == report.token;
        if !std::mem::take(&mut self.is_own) && !self.viewers.keys().any(is_viewer) {
            self.tell_slow(report);
        }
        // Short callbacks before a slow one are counted as part of it.
        self.unseen += report.duration;
        if self.unseen > PRECISION && self.has_slow() {
            self.look_at_cpu();
        }
    }

    fn error(&mut self, error: &Error, _action: ErrorAction) {
        let Error::Source { token, name, error, .. } = error else { return };
        let record = self.record(*token, name);
        record.counts.errors += 1;
        record.last_error = Some(error.to_string());
    }
}

/// The target of a trace, which writes it on one line.
#[derive(Default)]
pub(super) struct TraceBuffer {
    pub(super) text: Vec<u8>,
}

impl Write for TraceBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() > LONGEST_TRACE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend(bytes.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn place_of(source: AnyToken) -> usize {
    source.to_bits() as u32 as usize
}

/// Adds the counts of a source that is gone to those of its name.
fn bury(gone: &mut BTreeMap<String, Counts>, record: &Record) {
    let mut name = record.name.clone();
    if gone.len() >= MOST_NAMES && !gone.contains_key(&name) {
        name = "(others)".to_owned();
    }
    gone.entry(name).or_default().add(&record.counts);
}

fn named(name: String, counts: &Counts) -> Gone {
    Gone { name, counts: counts.clone() }
}

/// The CPU time that this thread has used so far.
fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}
