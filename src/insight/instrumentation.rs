//! The state that a loop keeps while it is observed or counts: the observers, the names of sources, times and counts.
//!
//! An [`EventLoop`](crate::EventLoop) has an `Instrumentation` only then. Every user callback passes through
//! [`instrument`], or through its two arms in `EventLoop::call_once` and `apply_op`, but for those of a loop that is
//! hosted as a whole: they count as a part of the wait. The code here is out of line, so that otherwise a loop pays for
//! one branch. A source's record is made when it first calls back. It is retired when the round that
//! removed the source ends, or when another record is made: a closure given to `take` still runs under the name of its
//! source.

use std::any::Any;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slotmap::SecondaryMap;

use crate::error::Error;
use crate::handle::tables;
use crate::insight::observe::{CallbackStart, Observer, RoundReport, WaitReport};
use crate::insight::stats::{SourceStats, Stats};
use crate::registry::Registrations;
use crate::token::{InterestToken, SourceKey};
use crate::{AnyToken, CallbackKind, CallbackReport, ErrorAction, LoopData, Priority};

/// The number of removed sources that the statistics remember.
const GONE: usize = 256;

/// An observer that can be downcast to its type.
pub(crate) trait AnyObserver: Observer + Any {}

impl<O: Observer + Any> AnyObserver for O {}

/// Receives only the ends of callbacks.
struct Closure<F>(F);

impl<F: FnMut(&CallbackReport<'_>)> Observer for Closure<F> {
    fn callback_end(&mut self, report: &CallbackReport<'_>) {
        (self.0)(report);
    }
}

/// The callback that is about to run.
pub(crate) enum Subject<'a> {
    /// With the name of the source's type, as in `Op`.
    Source(SourceKey, &'static str, InterestToken),
    Op(SourceKey, &'static str),
    /// With its own name.
    Idle(Option<&'a str>),
    Remote,
    Inspect,
}

#[derive(Default)]
pub(crate) struct Instrumentation {
    /// At most one of each type, except for closures.
    observers: Vec<Box<dyn AnyObserver>>,
    counting: bool,
    sources: SecondaryMap<SourceKey, SourceStats>,
    /// The sources removed in this round.
    removed: Vec<SourceKey>,
    gone: VecDeque<SourceStats>,
    round_started: Option<Instant>,
    /// When the wait began; the number of interests queued, and of wake-ups counted, by then.
    wait_started: Option<(Instant, usize, u64)>,
    /// The loop woke up, and no callback ran since.
    woke: bool,
    /// The time spent in the waits of this round.
    round_asleep: Duration,
    /// What [`enable_stats`](crate::EventLoop::enable_stats) counts, except for the sources.
    stats: Stats,
}

/// Runs a callback, and reports it to the observers and the statistics.
#[inline]
pub(crate) fn instrument<Data: LoopData, R>(
    insight: &mut Option<Box<Instrumentation>>,
    subject: Subject<'_>,
    data: &mut Data,
    run: impl FnOnce(&mut Data) -> R,
) -> R {
    match insight {
        None => run(data),
        Some(insight) => insight.watch(subject, data, run),
    }
}

impl Instrumentation {
    #[cold]
    #[inline(never)]
    pub(crate) fn watch<Data: LoopData, R>(
        &mut self,
        subject: Subject<'_>,
        data: &mut Data,
        run: impl FnOnce(&mut Data) -> R,
    ) -> R {
        let running = self.begin(subject, tables(data));
        let answer = run(data);
        self.end(running);
        answer
    }

    /// Reports that a callback begins. Returns what is known of its end: the name, if it belongs to no source, and all
    /// but the duration.
    pub(crate) fn begin<'a>(
        &mut self,
        subject: Subject<'a>,
        registrations: &Registrations,
    ) -> CallbackReport<'a> {
        let (kind, source, interest, name) = match subject {
            Subject::Source(key, type_name, interest) => {
                (CallbackKind::Source, Some((key, type_name)), Some(interest), None)
            }
            Subject::Op(key, type_name) => (CallbackKind::Op, Some((key, type_name)), None, None),
            Subject::Idle(name) => (CallbackKind::Idle, None, None, name),
            Subject::Remote => (CallbackKind::Remote, None, None, None),
            Subject::Inspect => (CallbackKind::Inspect, None, None, None),
        };
        if let Some((key, type_name)) = source {
            self.ensure_record(key, type_name, registrations);
        }
        let key = source.map(|(key, _)| key);
        let token = key.map(AnyToken::new);
        let priority = key.map_or(Priority::Normal, |key| registrations.priority(key));
        let lateness = interest.and_then(|interest| registrations.lateness(interest));
        let woke = std::mem::take(&mut self.woke);
        let plain = name.unwrap_or(kind.as_str());
        let record = key.and_then(|key| self.sources.get(key));
        let name = record.map_or(plain, |record| &record.name);
        let start = CallbackStart { token, name, kind, priority, lateness };
        self.observers.iter_mut().for_each(|observer| observer.callback_begin(&start));
        let (name, duration, started) = (plain, Duration::ZERO, Instant::now());
        CallbackReport { token, name, kind, duration, priority, started, lateness, woke }
    }

    pub(crate) fn end(&mut self, running: CallbackReport<'_>) {
        let duration = running.started.elapsed();
        let wakeups = u64::from(self.counting && running.woke);
        let name = match running.token.and_then(|token| self.sources.get_mut(token.key())) {
            Some(record) => {
                record.wakeups += wakeups;
                if self.counting && running.kind == CallbackKind::Source {
                    record.events += 1;
                    record.busy += duration;
                    record.slowest = record.slowest.max(duration);
                }
                &*record.name
            }
            None => {
                self.stats.wakeups_for_posts += wakeups;
                running.name
            }
        };
        let report = CallbackReport { name, duration, ..running };
        self.observers.iter_mut().for_each(|observer| observer.callback_end(&report));
    }

    /// Makes the record of a source, unless it exists.
    fn ensure_record(
        &mut self,
        key: SourceKey,
        type_name: &'static str,
        registrations: &Registrations,
    ) {
        if !self.sources.contains_key(key) {
            // The key may reuse the slot of a source that was removed in this round, whose record still exists.
            self.forget_removed();
            let name = registrations.name_of(key, type_name);
            let record = SourceStats::new(AnyToken::new(key), name);
            self.sources.insert(key, record);
        }
    }

    /// Notes that a source is about to be removed, before its options are forgotten.
    #[cold]
    pub(crate) fn note_removal(
        &mut self,
        key: SourceKey,
        type_name: &'static str,
        registrations: &Registrations,
    ) {
        self.ensure_record(key, type_name, registrations);
        self.removed.push(key);
    }

    /// Notes an error of a source.
    #[cold]
    pub(crate) fn note_error(
        &mut self,
        key: SourceKey,
        type_name: &'static str,
        error: String,
        registrations: &Registrations,
    ) {
        self.ensure_record(key, type_name, registrations);
        let record = &mut self.sources[key];
        record.errors += 1;
        record.last_error = Some(error);
    }

    /// Reports an error, and the decision about it, to the observers.
    #[cold]
    pub(crate) fn show_error(&mut self, error: &Error, action: ErrorAction) {
        self.observers.iter_mut().for_each(|observer| observer.error(error, action));
    }

    // Rounds and waits.

    #[cold]
    pub(crate) fn begin_round(&mut self, round: u64) {
        self.observers.iter_mut().for_each(|observer| observer.round_begin(round));
        self.round_asleep = Duration::ZERO;
        self.round_started = Some(Instant::now());
    }

    #[cold]
    pub(crate) fn end_round(&mut self, round: u64) {
        self.forget_removed();
        let Some(started) = self.round_started.take() else { return };
        let (duration, asleep) = (started.elapsed(), self.round_asleep);
        if self.counting {
            self.stats.asleep += asleep;
            self.stats.busy += duration.saturating_sub(asleep);
        }
        let report = RoundReport { round, started, duration, asleep };
        self.observers.iter_mut().for_each(|observer| observer.round_end(&report));
    }

    /// Notes that a wait begins, with `queued` interests to deliver and after `wakeups` wake-ups.
    #[cold]
    pub(crate) fn begin_wait(&mut self, timeout: Option<Duration>, queued: usize, wakeups: u64) {
        self.observers.iter_mut().for_each(|observer| observer.wait_begin(timeout));
        let woke = std::mem::take(&mut self.woke);
        self.stats.wakeups_for_nothing += u64::from(woke && self.counting);
        self.wait_started = Some((Instant::now(), queued, wakeups));
    }

    /// Notes that a wait ends; `queued` and `wakeups` are the counts by now.
    #[cold]
    pub(crate) fn end_wait(&mut self, queued: usize, wakeups: u64) {
        let Some((started, queued_before, wakeups_before)) = self.wait_started.take() else {
            return;
        };
        let duration = started.elapsed();
        self.round_asleep += duration;
        self.woke = wakeups > wakeups_before;
        let events = queued.saturating_sub(queued_before);
        let report = WaitReport { started, duration, events, woke: self.woke };
        self.observers.iter_mut().for_each(|observer| observer.wait_end(&report));
    }

    /// Deletes the records of removed sources, and keeps the statistics of the last few.
    fn forget_removed(&mut self) {
        let removed = self.removed.drain(..).filter_map(|key| self.sources.remove(key));
        self.gone.extend(removed.filter(|record| self.counting && is_shown(record)));
        self.gone.drain(..self.gone.len().saturating_sub(GONE));
    }

    // Observers.

    pub(crate) fn add_closure(&mut self, closure: impl FnMut(&CallbackReport<'_>) + 'static) {
        self.observers.push(Box::new(Closure(closure)));
    }

    /// Adds an observer, or replaces the one of its type.
    pub(crate) fn set_observer<O: Observer + Any>(&mut self, observer: O) {
        match self.observer_mut::<O>() {
            Some(place) => *place = observer,
            None => self.observers.push(Box::new(observer)),
        }
    }

    pub(crate) fn observer<O: Any>(&self) -> Option<&O> {
        self.observers.iter().find_map(|observer| (&**observer as &dyn Any).downcast_ref())
    }

    pub(crate) fn observer_mut<O: Any>(&mut self) -> Option<&mut O> {
        self.observers
            .iter_mut()
            .find_map(|observer| (&mut **observer as &mut dyn Any).downcast_mut())
    }

    pub(crate) fn take_observer<O: Any>(&mut self) -> Option<O> {
        let is_it = |observer: &mut Box<dyn AnyObserver>| (&**observer as &dyn Any).is::<O>();
        let observer: Box<dyn Any> = self.observers.extract_if(.., is_it).next()?;
        observer.downcast().ok().map(|observer| *observer)
    }

    pub(crate) fn clear_observers(&mut self) {
        self.observers.clear();
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.counting || !self.observers.is_empty()
    }

    // Statistics.

    /// Starts counting, or stops and clears the counts.
    pub(crate) fn count(&mut self, on: bool) {
        self.counting = on;
        if !on {
            self.sources.clear();
            self.gone.clear();
            self.stats = Stats::default();
        }
    }

    pub(crate) fn record(&self, key: SourceKey) -> Option<&SourceStats> {
        self.sources.get(key)
    }

    /// What was counted, removed sources first. `None` unless it counts.
    pub(crate) fn stats(&self) -> Option<Stats> {
        let stored = self.sources.values().filter(|record| is_shown(record));
        let sources = self.gone.iter().chain(stored).cloned().collect();
        self.counting.then(|| Stats { sources, ..self.stats.clone() })
    }
}

/// The statistics name the sources with an event or an error.
fn is_shown(record: &SourceStats) -> bool {
    record.events + record.errors > 0
}
