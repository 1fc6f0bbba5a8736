//! Distributions of durations.
//!
//! Buckets are log-linear, as in HdrHistogram: each power of two of nanoseconds is divided into 16 equal parts, so that
//! the width of a bucket is at most 1/16 of the durations in it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::insight::stats::write_aligned;
use crate::{CallbackKind, CallbackReport, Observer};

/// The base-2 logarithm of the number of parts of a power of two.
const PARTS: u32 = 4;

/// A distribution of durations. It stores only how many durations lie in each bucket: 8 kB at most, and recording one
/// is an addition.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use soloop::Histogram;
///
/// let mut histogram = Histogram::new();
/// (1..=1000).for_each(|n| histogram.record(Duration::from_micros(n)));
/// assert_eq!(histogram.count(), 1000);
/// assert_eq!(histogram.max(), Duration::from_millis(1));
/// let p50 = histogram.quantile(0.5).as_micros();
/// assert!((500..532).contains(&p50), "{p50}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    total: Duration,
    max: Duration,
}

impl Histogram {
    /// Makes an empty histogram.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a duration.
    pub fn record(&mut self, duration: Duration) {
        let bucket = bucket(duration.as_nanos().try_into().unwrap_or(u64::MAX));
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.total = self.total.saturating_add(duration);
        self.max = self.max.max(duration);
    }

    /// How many durations were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of all durations.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// The longest duration, exactly; zero if there is none.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The duration that a fraction `q` of all durations (between 0 and 1) does not exceed. It is too long by 1/16 at
    /// most; zero if there is no duration.
    pub fn quantile(&self, q: f64) -> Duration {
        // The cast saturates, and turns NaN into 0.
        let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        bucket.map_or(self.max, |bucket| Duration::from_nanos(upper_bound(bucket)).min(self.max))
    }
}

fn bucket(nanos: u64) -> usize {
    let Some(shift) = nanos.checked_ilog2().and_then(|log| log.checked_sub(PARTS)) else {
        return nanos as usize;
    };
    // The leading bit, which every value has, adds one more power.
    ((shift as usize) << PARTS) + (nanos >> shift) as usize
}

/// The longest duration in a bucket, in nanoseconds.
fn upper_bound(bucket: usize) -> u64 {
    let shift = (bucket >> PARTS).saturating_sub(1);
    let part = (bucket - (shift << PARTS)) as u128;
    u64::try_from(((part + 1) << shift) - 1).unwrap_or(u64::MAX)
}

/// An [`Observer`] that keeps a [`Histogram`] of the durations of callbacks for each name and kind.
///
/// Sources that come and go under one name (clients, say) share one histogram. `Display` renders a table, the largest
/// total first.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use soloop::{CallbackKind, EventLoop, Histograms, SourceOptions, TimeoutAction, Timer};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle };
/// event_loop.set_observer(Histograms::new());
/// let options = SourceOptions::new().name("frame");
/// state.handle.insert_source_with(options, Timer::immediate(), |_, _| TimeoutAction::Drop)?;
/// event_loop.dispatch(None, &mut state)?;
///
/// let histograms = event_loop.observer::<Histograms>().unwrap();
/// println!("{histograms}");
/// let frame = histograms.get(CallbackKind::Source, "frame").unwrap();
/// assert!(frame.quantile(0.99) <= frame.max());
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Histograms {
    kinds: BTreeMap<CallbackKind, BTreeMap<String, Histogram>>,
}

impl Histograms {
    /// Makes an observer without histograms.
    pub fn new() -> Self {
        Self::default()
    }

    /// The histogram of the callbacks of one kind and name, if any of them ran.
    pub fn get(&self, kind: CallbackKind, name: &str) -> Option<&Histogram> {
        self.kinds.get(&kind)?.get(name)
    }

    /// All histograms, ordered by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = (CallbackKind, &str, &Histogram)> {
        self.kinds.iter().flat_map(|(kind, names)| {
            names.iter().map(move |(name, histogram)| (*kind, &**name, histogram))
        })
    }
}

impl Observer for Histograms {
    fn callback_end(&mut self, report: &CallbackReport<'_>) {
        let names = self.kinds.entry(report.kind).or_default();
        match names.get_mut(report.name) {
            Some(histogram) => histogram.record(report.duration),
            None => names.entry(report.name.to_owned()).or_default().record(report.duration),
        }
    }
}

impl fmt::Display for Histograms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_by_key(|(_, _, histogram)| std::cmp::Reverse(histogram.total()));
        let titles = ["name", "kind", "callbacks", "p50", "p99", "max"];
        let lines = all.into_iter().map(|(kind, name, histogram)| {
            let times = [histogram.quantile(0.5), histogram.quantile(0.99), histogram.max()];
            let [p50, p99, max] = times.map(|time| format!("{time:.1?}"));
            [name.to_owned(), kind.to_string(), histogram.count().to_string(), p50, p99, max]
        });
        write_aligned(f, titles, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_are_a_sixteenth_wide_at_most() {
        assert_eq!(bucket(0), 0);
        assert_eq!((bucket(u64::MAX), upper_bound(bucket(u64::MAX))), (975, u64::MAX));
        for at in 0..975 {
            let last = upper_bound(at);
            assert_eq!((bucket(last), bucket(last + 1)), (at, at + 1));
            let width = upper_bound(at + 1) - last;
            assert!(width == 1 || width <= last / 16 + 1, "{at}: {width} of {last}");
        }
    }

    #[test]
    fn quantiles_agree_with_a_sorted_list() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        let mut nanos: Vec<u64> = (0..10_000).map(|n: u64| n * n * 7919 % 1_000_003).collect();
        nanos.iter().for_each(|n| histogram.record(Duration::from_nanos(*n)));
        nanos.sort_unstable();
        for (q, rank) in [(0.0, 0), (0.5, 4999), (0.99, 9899), (1.0, 9999)] {
            let (exact, found) = (nanos[rank], histogram.quantile(q).as_nanos() as u64);
            assert!(exact <= found && found <= exact + exact / 16, "{q}: {exact} {found}");
        }
        assert_eq!(histogram.quantile(1.0), histogram.max());
    }
}
