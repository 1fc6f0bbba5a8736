//! Floods: however much there is to do, a due timer and a source of high priority are late by a bound, nothing is lost or
//! reordered, and nobody starves.
//!
//! Items of a flood are busy for a while. Lateness is that of the callback, from its own deadline or ping on, less the
//! time for which the machine interrupted an item meanwhile; the best of three attempts counts.

mod common;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{State, ZERO, default_loop, manual_loop, spin};
use soloop::channel::Event;
use soloop::{
    Clock, Ping, PingSource, Priority, Remote, Sender, SourceOptions, TaskContext, TimeoutAction,
    Timer, Token, make_ping,
};

const US: Duration = Duration::from_micros(1);
const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What is measured is measured alone.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Messages,
    Posts,
    Idles,
    Pings,
    Tasks,
    Visits,
    Takes,
    /// Of sources with slow destructors.
    Removals,
}

use Kind::{Idles, Messages, Pings, Posts, Removals, Takes, Tasks, Visits};

const KINDS: [Kind; 8] = [Messages, Posts, Idles, Pings, Tasks, Visits, Takes, Removals];

impl Kind {
    /// Whether items of both share a part of each round: what is applied.
    fn shares_with(self, other: Self) -> bool {
        let is_applied = |kind| matches!(kind, Posts | Visits | Takes | Removals);
        let is_event = |kind| matches!(kind, Messages | Pings | Tasks);
        is_applied(self) && is_applied(other) || is_event(self) && is_event(other)
    }
}

/// One item: of which kind and stream, and which of the stream.
type Item = (usize, u32, u32);

/// What the items of a flood do: they note themselves, and are busy.
#[derive(Default)]
struct Flood {
    busy: Duration,
    /// On a manual clock items take no time but what they move it by.
    clock: Option<Clock>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    items: Vec<Item>,
    started: Option<Instant>,
    /// When the machine interrupted an item, and for how long: that is nobody's lateness.
    hiccups: Vec<(Instant, Duration)>,
    /// A source of high priority, pinged now and then.
    high: Option<Ping>,
    pinged: Option<Instant>,
    next_ping: Option<Instant>,
    late: Duration,
    late_by: &'static str,
    /// How often the timer and the source of high priority were called.
    calls: [u32; 2],
}

impl Flood {
    fn new(busy: Duration) -> Arc<Self> {
        Arc::new(Self { busy, ..Self::default() })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn work(&self, item: Item) {
        if let Some(clock) = &self.clock {
            self.seen().items.push(item);
            return clock.advance(self.busy);
        }
        let begin = Instant::now();
        {
            let mut seen = self.seen();
            seen.started.get_or_insert(begin);
            seen.items.push(item);
            if seen.pinged.is_none() && seen.next_ping.is_none_or(|at| at <= begin) {
                seen.pinged = Some(begin);
                if let Some(high) = &seen.high {
                    high.ping();
                }
            }
        }
        while begin.elapsed() < self.busy {}
        let end = Instant::now();
        let hiccup = end - begin - self.busy;
        if hiccup > 100 * US {
            self.seen().hiccups.push((end, hiccup));
        }
    }

    fn count(&self, kind: Kind) -> usize {
        self.seen().items.iter().filter(|item| item.0 == kind as usize).count()
    }
}

impl Seen {
    fn note_late(&mut self, due: Instant, by: &'static str) {
        let hiccups = self.hiccups.iter().rev().take_while(|(end, _)| *end > due);
        let late = due.elapsed().saturating_sub(hiccups.map(|(_, hiccup)| *hiccup).sum());
        if late > self.late {
            (self.late, self.late_by) = (late, by);
        }
    }
}

struct SlowDrop(Arc<Flood>, Item);

impl Drop for SlowDrop {
    fn drop(&mut self) {
        self.0.work(self.1);
    }
}

/// Produces items of one kind.
struct Producer {
    kind: Kind,
    options: SourceOptions,
    flood: Arc<Flood>,
    senders: Vec<Sender<u32>>,
    pings: Vec<(Ping, Arc<AtomicU32>)>,
    visited: Token<PingSource>,
    remote: Remote<State>,
    /// How many there were of each stream.
    queued: u32,
    streams: u32,
}

impl Producer {
    fn new(
        kind: Kind,
        streams: u32,
        priority: Priority,
        flood: &Arc<Flood>,
        state: &mut State,
    ) -> Self {
        let options = SourceOptions::new().priority(priority);
        let mut senders = Vec::new();
        let mut pings = Vec::new();
        for stream in 0..streams {
            let flood = Arc::clone(flood);
            if kind == Messages {
                let (sender, channel) = soloop::channel();
                let callback = move |event, _: &mut State| {
                    if let Event::Msg(n) = event {
                        flood.work((kind as usize, stream, n));
                    }
                };
                state.handle.insert_source_with(options.clone(), channel, callback).unwrap();
                senders.push(sender);
            } else if kind == Pings {
                let (ping, source) = make_ping();
                let left = Arc::new(AtomicU32::new(0));
                pings.push((ping.clone(), Arc::clone(&left)));
                let mut n = 0;
                let callback = move |(), _: &mut State| {
                    flood.work((kind as usize, stream, n));
                    n += 1;
                    if left.fetch_sub(1, Relaxed) > 1 {
                        ping.ping();
                    }
                };
                state.handle.insert_source_with(options.clone(), source, callback).unwrap();
            }
        }
        let visited = state.handle.insert_source(make_ping().1, |(), _: &mut State| ()).unwrap();
        let remote = state.handle.remote();
        let flood = Arc::clone(flood);
        Self { kind, options, flood, senders, pings, visited, remote, queued: 0, streams }
    }

    /// Queues `count` items of each stream.
    fn queue(&mut self, count: u32, state: &mut State) {
        let kind = self.kind as usize;
        if self.kind == Tasks {
            return self.spawn(count, state);
        }
        for n in self.queued..self.queued + count {
            for stream in 0..self.streams {
                let flood = Arc::clone(&self.flood);
                let item = (kind, stream, n);
                let work = move |_: &mut State| flood.work(item);
                let handle = &mut state.handle;
                match self.kind {
                    Messages => self.senders[stream as usize].send(n).unwrap(),
                    Posts => assert!(self.remote.post(work)),
                    Idles => drop(handle.insert_idle(work)),
                    Visits => assert!(handle.visit(self.visited, move |_, state| work(state))),
                    Takes => {
                        let token = handle.insert_source(make_ping().1, |(), _: &mut State| ());
                        assert!(handle.take(token.unwrap(), move |_, state| work(state)));
                    }
                    Removals => {
                        let slow = SlowDrop(Arc::clone(&self.flood), item);
                        let callback = move |(), _: &mut State| {
                            let _ = &slow;
                        };
                        let token = handle.insert_source(make_ping().1, callback).unwrap();
                        assert!(handle.remove(token));
                    }
                    Pings | Tasks => {}
                }
            }
        }
        for (ping, left) in &self.pings {
            left.fetch_add(count, Relaxed);
            ping.ping();
        }
        self.queued += count;
    }

    fn spawn(&mut self, count: u32, state: &mut State) {
        let first = self.queued;
        for stream in 0..self.streams {
            let flood = Arc::clone(&self.flood);
            let task = move |_: TaskContext<State>| async move {
                for n in first..first + count {
                    flood.work((Tasks as usize, stream, n));
                    yield_now().await;
                }
            };
            drop(state.handle.spawn_with(self.options.clone(), task));
        }
        self.queued += count;
    }

    fn total(&self) -> usize {
        (self.queued * self.streams) as usize
    }

    /// Whether all items ran, each once; those of a stream in order.
    fn assert_complete(&self) {
        let mut next = vec![0; self.streams as usize];
        for &(kind, stream, n) in &self.flood.seen().items {
            if kind == self.kind as usize {
                assert_eq!(n, next[stream as usize], "{:?}, stream {stream}", self.kind);
                next[stream as usize] += 1;
            }
        }
        assert!(next.iter().all(|next| *next == self.queued), "{:?}: {next:?}", self.kind);
    }
}

async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// Has a timer and a source of high priority called, and their lateness measured.
fn measure(flood: &Arc<Flood>, state: &mut State) {
    let gap = 3 * MS;
    let (high, source) = make_ping();
    flood.seen().high = Some(high);
    let called = Arc::clone(flood);
    let callback = move |(), _: &mut State| {
        let now = Instant::now();
        let mut seen = called.seen();
        if let Some(pinged) = seen.pinged.take() {
            seen.note_late(pinged, "high priority");
            seen.calls[1] += 1;
        }
        seen.next_ping = Some(now + gap);
    };
    let options = SourceOptions::new().priority(Priority::High);
    state.handle.insert_source_with(options, source, callback).unwrap();
    let called = Arc::clone(flood);
    let callback = move |deadline: Instant, _: &mut State| {
        let now = Instant::now();
        let mut seen = called.seen();
        if let Some(started) = seen.started {
            seen.note_late(deadline.max(started), "timer");
            seen.calls[0] += 1;
        }
        TimeoutAction::ToInstant(now + gap)
    };
    state.handle.insert_source(Timer::from_duration(gap), callback).unwrap();
}

/// How late the timer and the source of high priority were at most.
fn lateness(kinds: &[Kind], busy: Duration, count: u32, round: Option<Duration>) -> Seen {
    let (mut event_loop, mut state) = default_loop();
    if let Some(round) = round {
        event_loop.set_round_time(round);
    }
    let flood = Flood::new(busy);
    let of_kind = count / kinds.len() as u32;
    let streams = (of_kind / 2).clamp(1, 50);
    let new = |kind: &Kind| Producer::new(*kind, streams, Priority::Normal, &flood, &mut state);
    let mut producers: Vec<_> = kinds.iter().map(new).collect();
    measure(&flood, &mut state);
    event_loop.apply_pending(&mut state).unwrap();
    for producer in &mut producers {
        producer.queue(of_kind / streams, &mut state);
    }
    let total: usize = producers.iter().map(Producer::total).sum();
    let is_done = || {
        let seen = flood.seen();
        seen.items.len() >= total && seen.calls.iter().all(|calls| *calls > 0)
    };
    while !is_done() {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    producers.iter().for_each(Producer::assert_complete);
    std::mem::take(&mut *flood.seen())
}

/// Twice the time of a round, or two items, and some slack.
fn bound(busy: Duration) -> Duration {
    (20 * MS).max(2 * busy) + 2 * MS
}

fn assert_in_time(kinds: &[Kind], busy: Duration, count: u32) {
    let mut failed = Vec::new();
    for _ in 0..3 {
        let Seen { late, late_by, calls, .. } = lateness(kinds, busy, count, None);
        if late <= bound(busy) {
            return;
        }
        failed.push((late, late_by, calls));
    }
    panic!("{kinds:?} of {busy:?}: late by {failed:?}");
}

#[test]
fn a_flood_of_one_kind_delays_nothing_by_more_than_two_rounds() {
    let _alone = alone();
    for kind in KINDS {
        for (busy, count) in [(US, 10_000), (MS, 60), (10 * MS, 8)] {
            assert_in_time(&[kind], busy, count);
        }
    }
}

#[test]
fn a_flood_of_all_kinds_delays_nothing_by_more_than_two_rounds() {
    let _alone = alone();
    for (busy, count) in [(US, 16_000), (MS, 64), (10 * MS, 16)] {
        assert_in_time(&KINDS, busy, count);
    }
}

#[test]
fn what_bounds_the_delay_is_the_time_of_a_round() {
    let _alone = alone();
    for kind in KINDS {
        let late = lateness(&[kind], MS, 60, Some(HOUR)).late;
        assert!(late > bound(MS), "{kind:?}: {late:?}");
    }
}

/// In how many rounds each kind makes progress, whatever else there is: each of the eight parts of a round (what is
/// applied, idles, and events and timers of each priority) has its turn.
const ROUNDS: usize = 8;

/// Both kinds have always more than a round can take: how much of each ran in each round.
fn permanent(flood_of: Kind, victim: Kind, priority: Priority, rounds: usize) -> Vec<[usize; 2]> {
    const BUSY: Duration = Duration::from_micros(10);
    const PENDING: usize = 60;
    let (mut event_loop, mut state) = default_loop();
    event_loop.set_round_time(30 * BUSY);
    let floods = [Flood::new(BUSY), Flood::new(BUSY)];
    let of_flood = if priority == Priority::Low { Priority::High } else { Priority::Normal };
    // A source of pings has one in each round.
    let streams = |kind| if kind == Pings { 40 } else { 2 };
    let mut producers = [
        Producer::new(flood_of, streams(flood_of), of_flood, &floods[0], &mut state),
        Producer::new(victim, streams(victim), priority, &floods[1], &mut state),
    ];
    // What a task is inserted by would wait with all that is to be applied.
    for producer in producers.iter_mut().filter(|producer| producer.kind == Tasks) {
        producer.queue(20 * PENDING as u32, &mut state);
    }
    event_loop.apply_pending(&mut state).unwrap();
    let mut ran = Vec::new();
    for _ in 0..rounds {
        for (producer, flood) in producers.iter_mut().zip(&floods) {
            let pending = producer.total() - flood.seen().items.len();
            if pending < PENDING {
                producer.queue(PENDING as u32, &mut state);
            }
        }
        let before = floods.each_ref().map(|flood| flood.seen().items.len());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let after = floods.each_ref().map(|flood| flood.seen().items.len());
        ran.push([after[0] - before[0], after[1] - before[1]]);
    }
    ran
}

#[test]
fn no_kind_starves_under_a_permanent_flood_of_another() {
    let _alone = alone();
    for flood_of in KINDS {
        for victim in KINDS {
            for priority in [Priority::Normal, Priority::Low] {
                let has_priority = matches!(victim, Messages | Pings | Tasks);
                if !has_priority && (flood_of == victim || priority == Priority::Low) {
                    continue;
                }
                let ran = permanent(flood_of, victim, priority, 3 * ROUNDS);
                let progress =
                    |of: usize| ran.windows(ROUNDS).all(|ran| ran.iter().any(|ran| ran[of] > 0));
                assert!(
                    progress(0) && progress(1),
                    "{victim:?} {priority:?} under {flood_of:?}: {ran:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_left_over_gets_half_of_each_round() {
    let _alone = alone();
    for flood_of in KINDS {
        for victim in KINDS {
            for priority in [Priority::Normal, Priority::Low] {
                let has_priority = matches!(victim, Messages | Pings | Tasks);
                if priority == Priority::Low && !has_priority
                    || priority == Priority::Normal && flood_of.shares_with(victim)
                {
                    continue;
                }
                let share = || {
                    let ran = permanent(flood_of, victim, priority, 16);
                    let sums = ran.iter().skip(2).fold([0, 0], |[a, b], [c, d]| [a + c, b + d]);
                    (sums[1] as f64 / (sums[0] + sums[1]) as f64, ran)
                };
                // Both are always left over: each has half, give or take the items between two looks at the clock.
                let mut shares = Vec::new();
                while !shares.last().is_some_and(|(share, _)| (0.35..=0.65).contains(share)) {
                    assert!(
                        shares.len() < 3,
                        "{victim:?} {priority:?} under {flood_of:?}: {shares:?}"
                    );
                    shares.push(share());
                }
            }
        }
    }
}

#[test]
fn each_of_three_priorities_has_its_share() {
    let _alone = alone();
    let attempt = || {
        let (mut event_loop, mut state) = default_loop();
        event_loop.set_round_time(MS);
        let priorities = [Priority::High, Priority::Normal, Priority::Low];
        let floods = priorities.map(|_| Flood::new(10 * US));
        let mut producers: Vec<_> = std::iter::zip(priorities, &floods)
            .map(|(priority, flood)| Producer::new(Messages, 1, priority, flood, &mut state))
            .collect();
        producers.iter_mut().for_each(|producer| producer.queue(1000, &mut state));
        while floods.iter().all(|flood| flood.count(Messages) < 500) {
            event_loop.dispatch(ZERO, &mut state).unwrap();
        }
        floods.map(|flood| flood.count(Messages))
    };
    let attempts: Vec<_> = (0..3).map(|_| attempt()).collect();
    // A third each.
    let is_fair = |ran: &[usize; 3]| ran.iter().all(|ran| *ran > 250);
    assert!(attempts.iter().any(is_fair), "{attempts:?}");
}

/// What runs in which dispatch, of a flood of all kinds on a manual clock.
fn rounds_of_a_manual_clock(round: Duration) -> Vec<Vec<Item>> {
    let (mut event_loop, mut state, clock) = manual_loop();
    event_loop.set_round_time(round);
    let flood = Arc::new(Flood { busy: MS, clock: Some(clock), ..Flood::default() });
    let new = |kind| Producer::new(kind, 2, Priority::Normal, &flood, &mut state);
    let mut producers = KINDS.map(new);
    event_loop.apply_pending(&mut state).unwrap();
    producers.iter_mut().for_each(|producer| producer.queue(2500, &mut state));
    let total: usize = producers.iter().map(Producer::total).sum();
    let mut rounds = Vec::new();
    let mut ran = 0;
    while ran < total {
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let round = flood.seen().items[ran..].to_vec();
        ran += round.len();
        rounds.push(round);
    }
    producers.iter().for_each(Producer::assert_complete);
    rounds
}

#[test]
fn on_a_manual_clock_counts_alone_end_a_round_so_that_runs_repeat() {
    let rounds = rounds_of_a_manual_clock(MS);
    assert!(rounds.len() > 1, "some count ends a round");
    assert_eq!(rounds, rounds_of_a_manual_clock(MS));
    assert_eq!(rounds, rounds_of_a_manual_clock(HOUR));
}

/// An op that issues itself anew, for ever.
fn visit_for_ever(token: Token<PingSource>, flood: Arc<Flood>, state: &mut State) {
    state.handle.visit(token, move |_, state: &mut State| {
        flood.work((Visits as usize, 0, 0));
        visit_for_ever(token, flood, state);
    });
}

#[test]
fn ops_that_ops_issue_without_an_end_leave_room_for_the_rest() {
    let _alone = alone();
    for kind in KINDS {
        let (mut event_loop, mut state) = default_loop();
        event_loop.set_round_time(200 * US);
        let flood = Flood::new(10 * US);
        let victim = Flood::new(10 * US);
        let mut producer = Producer::new(kind, 1, Priority::Low, &victim, &mut state);
        event_loop.apply_pending(&mut state).unwrap();
        visit_for_ever(producer.visited, Arc::clone(&flood), &mut state);
        producer.queue(3, &mut state);
        let mut rounds = 0;
        while victim.count(kind) < 3 {
            event_loop.dispatch(ZERO, &mut state).unwrap();
            rounds += 1;
            assert!(rounds <= 3 * ROUNDS, "{kind:?}");
        }
    }
}

/// To put them in order takes longer than the time of a round, which begins after that.
#[test]
fn a_round_has_its_time_however_many_timers_expire_at_once() {
    let _alone = alone();
    let (mut event_loop, mut state) = default_loop();
    event_loop.set_round_time(HOUR);
    let now = state.handle.now();
    for n in 0..200_000 {
        let deadline = now - US * (n * 7919 % 200_000);
        state.handle.insert_timer(Timer::from_deadline(deadline), |_, state| {
            state.note("");
            TimeoutAction::Drop
        });
    }
    event_loop.apply_pending(&mut state).unwrap();
    event_loop.set_round_time(5 * MS);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(state.log.len() > 20, "{}", state.log.len());
}

/// In the round after one that left ops over, ops wait until what is urgent has run; what they ask for counts at once.
#[test]
fn a_source_that_disables_itself_while_ops_wait_is_not_called_again() {
    let _alone = alone();
    let (mut event_loop, mut state) = default_loop();
    event_loop.set_round_time(MS);
    let (sender, channel) = soloop::channel();
    let callback = |event, state: &mut State| {
        if let Event::Msg(n) = event {
            state.note(n);
            let token = state.tokens[0];
            state.handle.disable(token);
        }
    };
    let options = SourceOptions::new().priority(Priority::High);
    let token = state.handle.insert_source_with(options, channel, callback).unwrap();
    state.tokens.push(token.into());
    let timer = state.handle.insert_timer(Timer::from_duration(HOUR), |_, _| TimeoutAction::Drop);
    state.handle.insert_idle(move |state: &mut State| {
        spin(2 * MS);
        for _ in 0..10 {
            state.handle.visit(timer, |_, state| state.note("op"));
        }
    });
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(state.take_log().len() < 10, "the round went on after its time");
    event_loop.set_round_time(HOUR);
    (1..=2).for_each(|n| sender.send(n).unwrap());
    event_loop.dispatch(ZERO, &mut state).unwrap();
    // One op is what a lane has beyond the end of a round.
    assert_eq!(state.log[..3], ["op", "1", "op"]);
    assert!(!state.log.contains(&"2".to_owned()));
}

#[test]
fn run_calls_after_each_as_often_as_a_round_ends() {
    let _alone = alone();
    for kind in KINDS {
        let (mut event_loop, mut state) = default_loop();
        event_loop.set_round_time(2 * MS);
        let flood = Flood::new(MS);
        let mut producer = Producer::new(kind, 10, Priority::Normal, &flood, &mut state);
        event_loop.apply_pending(&mut state).unwrap();
        producer.queue(2, &mut state);
        let (mut ran, mut most) = (0, 0);
        event_loop
            .run(ZERO, &mut state, |state| {
                let now = flood.count(kind);
                (ran, most) = (now, most.max(now - ran));
                if now == producer.total() {
                    state.handle.stop();
                }
            })
            .unwrap();
        // What is applied before the wait, and a round; each to its end and an item over it.
        assert!((1..=6).contains(&most), "{kind:?}: {most} items of half a round");
    }
}

#[test]
fn set_round_time_sets_how_much_a_round_delivers() {
    let _alone = alone();
    let most_in_a_dispatch = |kind, round| {
        let (mut event_loop, mut state) = default_loop();
        event_loop.set_round_time(round);
        let flood = Flood::new(MS);
        let mut producer = Producer::new(kind, 15, Priority::Normal, &flood, &mut state);
        event_loop.apply_pending(&mut state).unwrap();
        producer.queue(2, &mut state);
        let mut most = 0;
        while flood.count(kind) < producer.total() {
            let before = flood.count(kind);
            event_loop.dispatch(ZERO, &mut state).unwrap();
            most = most.max(flood.count(kind) - before);
        }
        most
    };
    for kind in KINDS {
        assert!(most_in_a_dispatch(kind, 2 * MS) <= 6, "{kind:?}");
        // Each source of pings has one in each round.
        assert!(most_in_a_dispatch(kind, HOUR) >= 15, "{kind:?}");
    }
}
