//! What is known of the program: the snapshots of the last second, and what they come to.

use std::collections::{HashMap, HashSet, VecDeque};

#[cfg(test)]
use soloop::inspector::Gone;
use soloop::inspector::{Counts, SlowCallback, Snapshot, Source};

/// What rates are taken over.
const WINDOW: u64 = 1_000_000_000;
/// How many slow callbacks are kept.
const SLOW: usize = 100;
/// How many bars a sparkline has.
pub const BARS: usize = 24;

/// What rows are sorted by: the largest first, but for names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sort {
    #[default]
    Time,
    Calls,
    Wakes,
    Worst,
    Name,
}

impl Sort {
    const ALL: [Self; 5] = [Self::Time, Self::Calls, Self::Wakes, Self::Worst, Self::Name];

    /// The one so many places further.
    pub fn step(self, by: isize) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or_default();
        let to = at as isize + by;
        Self::ALL[to.rem_euclid(Self::ALL.len() as isize) as usize]
    }
}

/// What a row is of: sources are told apart by their tokens, the rest by its name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Source(u64),
    Gone(String),
    Other(String),
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub type_name: String,
    pub state: String,
    pub priority: String,
    pub backlog: usize,
    pub due_in_ns: Option<i64>,
    pub counts: Counts,
    pub last_error: Option<String>,
    /// A second.
    pub calls: f64,
    pub wakes: f64,
    /// Of the loop's time, between 0 and 1.
    pub share: f64,
    /// The same, of each of the last intervals.
    pub history: Vec<f64>,
}

/// What the loop as a whole does in a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    pub rounds: f64,
    pub events: f64,
    pub wakeups: f64,
    pub for_nothing: f64,
    pub busy: f64,
}

#[derive(Default)]
pub struct Model {
    /// The oldest first; the oldest is a second old.
    snapshots: VecDeque<Snapshot>,
    histories: HashMap<Key, VecDeque<f64>>,
    pub slow: VecDeque<SlowCallback>,
    pub sort: Sort,
    pub filter: String,
}

impl Model {
    pub fn add(&mut self, snapshot: Snapshot) {
        if let Some(last) = self.snapshots.back() {
            let passed = snapshot.totals.counted_ns.saturating_sub(last.totals.counted_ns).max(1);
            let before = before(last, &snapshot);
            let mut present = HashSet::new();
            for (key, counts, _) in entries(&snapshot) {
                let busy = counts
                    .busy_ns
                    .saturating_sub(before.get(&key).map_or(0, |before| before.busy_ns));
                let history = self.histories.entry(key.clone()).or_default();
                history.push_back(busy as f64 / passed as f64);
                if history.len() > BARS {
                    history.pop_front();
                }
                present.insert(key);
            }
            self.histories.retain(|key, _| present.contains(key));
        }
        self.snapshots.push_back(snapshot);
        while self.snapshots.len() > 2 && self.window_without_oldest() >= WINDOW {
            self.snapshots.pop_front();
        }
    }

    fn window_without_oldest(&self) -> u64 {
        let (second, last) = (self.snapshots.get(1), self.snapshots.back());
        let ends = second
            .zip(last)
            .map(|(second, last)| (second.totals.counted_ns, last.totals.counted_ns));
        ends.map_or(0, |(second, last)| last.saturating_sub(second))
    }

    pub fn add_slow(&mut self, slow: SlowCallback) {
        self.slow.push_front(slow);
        self.slow.truncate(SLOW);
    }

    /// The time of the last snapshot on the program's scale.
    pub fn now(&self) -> u64 {
        self.snapshots.back().map_or(0, |snapshot| snapshot.totals.counted_ns)
    }

    /// The last snapshot.
    pub fn last(&self) -> Option<&Snapshot> {
        self.snapshots.back()
    }

    /// The first and the last, and the seconds between them.
    fn ends(&self) -> Option<(&Snapshot, &Snapshot, f64)> {
        let (first, last) = (self.snapshots.front()?, self.snapshots.back()?);
        let passed = last.totals.counted_ns.saturating_sub(first.totals.counted_ns);
        Some((first, last, passed.max(1) as f64 / 1e9))
    }

    pub fn rates(&self) -> Rates {
        let Some((first, last, seconds)) = self.ends() else { return Rates::default() };
        let (first, last) = (&first.totals, &last.totals);
        let rate = |last: u64, first: u64| last.saturating_sub(first) as f64 / seconds;
        Rates {
            rounds: rate(last.rounds, first.rounds),
            events: rate(last.events, first.events),
            wakeups: rate(last.wakeups, first.wakeups),
            for_nothing: rate(last.wakeups_for_nothing, first.wakeups_for_nothing),
            busy: rate(last.busy_ns, first.busy_ns) / 1e9,
        }
    }

    /// How many sources there are.
    pub fn sources(&self) -> usize {
        self.snapshots.back().map_or(0, |snapshot| snapshot.sources.len())
    }

    /// All rows that pass the filter, sorted.
    pub fn rows(&self) -> Vec<Row> {
        let Some((first, last, seconds)) = self.ends() else { return Vec::new() };
        let before = before(first, last);
        let none = Counts::default();
        let filter = self.filter.to_lowercase();
        let mut rows: Vec<Row> = entries(last)
            .map(|(key, counts, source)| {
                let before = before.get(&key).unwrap_or(&none);
                let rate = |last: u64, first: u64| last.saturating_sub(first) as f64 / seconds;
                let history = self.histories.get(&key);
                Row {
                    calls: rate(counts.events, before.events),
                    wakes: rate(counts.wakeups, before.wakeups),
                    share: rate(counts.busy_ns, before.busy_ns) / 1e9,
                    history: history.into_iter().flatten().copied().collect(),
                    ..row(key, counts, source)
                }
            })
            .filter(|row| {
                let matches = |text: &str| text.to_lowercase().contains(&filter);
                matches(&row.name) || matches(&row.type_name)
            })
            .collect();
        let number = |row: &Row| match self.sort {
            Sort::Time => row.share,
            Sort::Calls => row.calls,
            Sort::Wakes => row.wakes,
            Sort::Worst => row.counts.worst_ns as f64,
            Sort::Name => 0.0,
        };
        rows.sort_by(|a, b| number(b).total_cmp(&number(a)).then_with(|| a.name.cmp(&b.name)));
        rows
    }

    /// What woke the loop most in the last second, whatever the filter.
    pub fn wakers(&self) -> Vec<(String, f64)> {
        let Some((first, last, seconds)) = self.ends() else { return Vec::new() };
        let before = before(first, last);
        let mut wakers: HashMap<String, f64> = HashMap::new();
        for (key, counts, source) in entries(last) {
            let before = before.get(&key).map_or(0, |before| before.wakeups);
            let more = counts.wakeups.saturating_sub(before);
            *wakers.entry(row(key, counts, source).name).or_default() += more as f64 / seconds;
        }
        let mut wakers: Vec<_> = wakers.into_iter().filter(|(_, rate)| *rate > 0.0).collect();
        wakers.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        wakers
    }
}

/// What was counted by the first of two snapshots. Of a source that is gone by the last it is counted by its name, as there.
fn before(first: &Snapshot, last: &Snapshot) -> HashMap<Key, Counts> {
    let left: HashSet<u64> = last.sources.iter().map(|source| source.id).collect();
    let mut before: HashMap<Key, Counts> = HashMap::new();
    for (key, counts, source) in entries(first) {
        let key = match source {
            Some(source) if !left.contains(&source.id) => Key::Gone(name_of(source)),
            _ => key,
        };
        let sum = before.entry(key).or_default();
        sum.events += counts.events;
        sum.busy_ns += counts.busy_ns;
        sum.wakeups += counts.wakeups;
    }
    before
}

fn name_of(source: &Source) -> String {
    source.name.clone().unwrap_or_else(|| source.type_name.clone())
}

/// Everything in a snapshot that has counts.
fn entries(snapshot: &Snapshot) -> impl Iterator<Item = (Key, &Counts, Option<&Source>)> {
    let sources = snapshot
        .sources
        .iter()
        .map(|source| (Key::Source(source.id), &source.counts, Some(source)));
    let gone = snapshot.gone.iter().map(|gone| (Key::Gone(gone.name.clone()), &gone.counts, None));
    let others =
        snapshot.others.iter().map(|one| (Key::Other(one.name.clone()), &one.counts, None));
    sources.chain(gone).chain(others)
}

fn row(key: Key, counts: &Counts, source: Option<&Source>) -> Row {
    let (name, type_name, state) = match (&key, source) {
        (_, Some(source)) => {
            let state = match &source.waits_for {
                _ if !source.enabled => "disabled".to_owned(),
                Some(waits_for) => format!("waits: {waits_for}"),
                None => "enabled".to_owned(),
            };
            (name_of(source), source.type_name.clone(), state)
        }
        (Key::Gone(name), None) => (name.clone(), "-".to_owned(), "gone".to_owned()),
        (Key::Other(name), None) => (format!("({name})"), "-".to_owned(), "-".to_owned()),
        (Key::Source(_), None) => Default::default(),
    };
    Row {
        name,
        type_name,
        state,
        priority: source.map_or("-", |source| &source.priority).to_owned(),
        backlog: source.map_or(0, |source| source.backlog),
        due_in_ns: source.and_then(|source| source.due_in_ns),
        counts: counts.clone(),
        last_error: source.and_then(|source| source.last_error.clone()),
        calls: 0.0,
        wakes: 0.0,
        share: 0.0,
        history: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(events: u64) -> Counts {
        Counts { events, wakeups: events, ..Counts::default() }
    }

    fn snapshot(seconds: u64, sources: &[(u64, u64)], gone: u64) -> Snapshot {
        let source = |&(id, events): &(u64, u64)| {
            let json = serde_json::json!({
                "id": id, "name": "client", "type": "T", "enabled": true, "priority": "low",
                "scoped": false, "due_in_ns": null, "backlog": 0, "waits_for": null,
                "last_error": null, "events": events, "busy_ns": 0, "worst_ns": 0, "last_ns": 0,
                "wakeups": events, "errors": 0
            });
            serde_json::from_value(json).unwrap()
        };
        let mut snapshot = Snapshot::default();
        snapshot.totals.counted_ns = seconds * 1_000_000_000;
        snapshot.sources = sources.iter().map(source).collect();
        snapshot.gone = vec![Gone { name: "client".into(), counts: counts(gone) }];
        snapshot
    }

    #[test]
    fn what_a_source_did_before_it_went_is_no_rate() {
        let mut model = Model::default();
        model.add(snapshot(1, &[(1, 1_000_000), (2, 10)], 7));
        // The first was called 5 times more, and went.
        model.add(snapshot(2, &[(2, 12)], 1_000_012));
        let rows = model.rows();
        let calls: Vec<_> = rows.iter().map(|row| (&*row.state, row.calls)).collect();
        assert_eq!(calls.len(), 2, "{rows:?}");
        assert!(calls.contains(&("gone", 5.0)) && calls.contains(&("enabled", 2.0)), "{calls:?}");
        assert_eq!(model.wakers(), [("client".to_owned(), 7.0)]);
    }
}
