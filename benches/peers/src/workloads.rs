//! What is measured: each workload with its sizes, and the sum it has to come to.

use std::time::{Duration, Instant};

use crate::alloc;
use crate::peers::{Bulk, Fds, Host, Hosting, Measured, Peer, Random};

/// What a number stands for.
#[derive(Clone, Copy, PartialEq)]
pub enum Unit {
    Nanoseconds,
    Bytes,
    Allocations,
    SystemCalls,
    Fds,
    Sleeps,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Bytes => "bytes",
            Self::Allocations => "allocations",
            Self::SystemCalls => "system calls",
            Self::Fds => "fds",
            Self::Sleeps => "sleeps",
        }
    }
}

type Run = Box<dyn Fn(&dyn Peer) -> Option<Vec<f64>>>;

/// One or more ids that are measured together.
pub struct Workload {
    /// As many as `run` answers numbers. With a size at the end (`A2@10k`) if it is one of [`growth`]'s.
    pub ids: Vec<String>,
    /// One for each id.
    pub titles: Vec<String>,
    pub unit: Unit,
    /// How many rounds, if not as many as the others.
    pub rounds: Option<usize>,
    /// Names of peers that are left out: they would take minutes.
    pub without: &'static [&'static str],
    pub run: Run,
}

impl Workload {
    fn new(
        ids: &[&str],
        title: &str,
        run: impl Fn(&dyn Peer) -> Option<Vec<f64>> + 'static,
    ) -> Self {
        Self {
            ids: ids.iter().map(|&id| id.to_owned()).collect(),
            titles: vec![title.to_owned(); ids.len()],
            unit: Unit::Nanoseconds,
            rounds: None,
            without: &[],
            run: Box::new(run),
        }
    }
}

/// The time of one of `ops` operations, if the work came to `sum`.
fn per(measured: Option<Measured>, ops: usize, sum: u64) -> Option<Vec<f64>> {
    let measured = measured?;
    assert_eq!(measured.sum, sum, "did not do the work");
    Some(vec![measured.elapsed.as_nanos() as f64 / ops as f64])
}

/// Allocations for one of `ops` operations, if the work came to `sum`.
fn allocations(
    peer: &dyn Peer,
    run: impl FnOnce() -> Option<Measured>,
    ops: usize,
    sum: u64,
) -> Option<Vec<f64>> {
    if !peer.is_counted() {
        return None;
    }
    alloc::count(true);
    let measured = run();
    alloc::count(false);
    let measured = measured?;
    assert_eq!(measured.sum, sum, "did not do the work");
    Some(vec![measured.allocations as f64 / ops as f64])
}

/// 0 + 1 + … + (n − 1).
fn sum_below(n: usize) -> u64 {
    n as u64 * (n as u64 - 1) / 2
}

fn level(peer: &dyn Peer, watched: usize, ready: usize, turns: usize) -> Option<Vec<f64>> {
    let spec = Fds { watched, ready, turns };
    per(peer.level(spec), ready * turns, spec.sum_per_turn() * turns as u64)
}

/// The times of one insertion and of one removal of `n`, over several runs.
fn bulk(n: usize, runs: usize, run: impl Fn() -> Option<Bulk>) -> Option<Vec<f64>> {
    let (mut insert, mut remove) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..runs {
        let bulk = run()?;
        assert_eq!(bulk.sum, n as u64, "did not remove all of them");
        insert += bulk.insert;
        remove += bulk.remove;
    }
    let per = |time: Duration| time.as_nanos() as f64 / (n * runs) as f64;
    Some(vec![per(insert), per(remove)])
}

/// An hour to two hours from now.
fn far(n: usize) -> Vec<Instant> {
    spread(n, Duration::from_secs(3600), Duration::from_secs(3600))
}

/// Due soon: after they are inserted, which takes a while.
fn soon(n: usize) -> Vec<Instant> {
    let micros = n as u64 * 3 / 5;
    spread(n, Duration::from_micros(10_000 + micros), Duration::from_millis(20))
}

/// Random deadlines within `over`, from `after` on.
fn spread(n: usize, after: Duration, over: Duration) -> Vec<Instant> {
    let start = Instant::now() + after;
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    (0..n).map(|_| start + Duration::from_nanos(random.below(over.as_nanos() as u64))).collect()
}

fn lateness(peer: &dyn Peer, period: Duration, ticks: usize) -> Option<Vec<f64>> {
    let mut late = peer.lateness(period, ticks)?;
    late.sort_unstable();
    assert!(late[0] >= 0 || peer.name() != "soloop", "fired early");
    let at = |percent: usize| late[(late.len() - 1) * percent / 100] as f64;
    Some(vec![at(50), late[(late.len() * 99).div_ceil(100) - 1] as f64])
}

/// All the workloads that run in this process.
pub fn all(quick: bool) -> Vec<Workload> {
    let scale = move |full: usize| if quick { full / 2 } else { full };
    let mut list = Vec::new();
    let mut add = |workload| list.push(workload);

    let (few, turns) = (scale(20_000), scale(200));
    add(Workload::new(&["A1"], "1 ready fd of 1, level, read", move |peer| level(peer, 1, 1, few)));
    add(Workload::new(&["A2"], "1 ready fd of 9000, level, read", move |peer| {
        level(peer, 9000, 1, few)
    }));
    add(Workload::new(&["A3"], "100 ready of 100, level, read", move |peer| {
        level(peer, 100, 100, turns)
    }));
    add(Workload::new(&["A4"], "100 ready of 100, edge, no read", move |peer| {
        let spec = Fds { watched: 100, ready: 100, turns };
        per(peer.edge(spec), 100 * turns, 100 * turns as u64)
    }));
    let many = scale(10);
    add(Workload::new(&["A5"], "9000 ready of 9000, level, read", move |peer| {
        level(peer, 9000, 9000, many)
    }));
    for sources in [1, 1000] {
        let turns = scale(50_000);
        add(Workload::new(
            &[&format!("G1-{sources}")],
            &format!("empty dispatch, {sources} sources"),
            move |peer| per(peer.empty(sources, turns), turns, 0),
        ));
    }

    let messages = scale(1_000_000);
    add(Workload::new(&["B1"], "cross-thread channel of u64", move |peer| {
        let measured = peer.channel(messages as u64);
        per(measured, messages, sum_below(messages))
    }));
    let messages = scale(400_000);
    add(Workload::new(
        &["B2"],
        "callback sends the next message to its own channel",
        move |peer| {
            let measured = peer.self_send(messages as u64);
            per(measured, messages, sum_below(messages))
        },
    ));
    add(Workload::new(&["B3"], "1000 channels, 1 message each, send and dispatch", move |peer| {
        let sent = 1000 * turns;
        per(peer.many_channels(1000, 1, turns), sent, sent as u64)
    }));

    let trips = scale(10_000);
    add(Workload::new(&["C1"], "ping-pong of two threads on one CPU, round trip", move |peer| {
        per(peer.ping_pong(trips as u64), trips, trips as u64)
    }));
    add(Workload::new(&["C2"], "1000 pings to a loop that is awake, 1 dispatch", move |peer| {
        per(peer.ping_burst(1000, turns), 1000 * turns, turns as u64)
    }));
    add(Workload::new(&["C3"], "ping itself, dispatch", move |peer| {
        per(peer.ping_self(few), few, few as u64)
    }));

    for (n, size) in [(10_000, "10k"), (100_000, "100k"), (1_000_000, "1m")] {
        let slow: &[&str] = match n {
            1_000_000 => &["calloop"],
            100_000 if quick => &["calloop"],
            _ => &[],
        };
        let mut workload = Workload::new(
            &[&format!("D1-{size}"), &format!("D2-{size}")],
            &format!("insert (D1), cancel (D2) {n} timers with random far deadlines"),
            move |peer| bulk(n, 1, || peer.timers(&far(n))),
        );
        workload.without = slow;
        add(workload);
    }
    for (n, size) in [(10_000, "10k"), (100_000, "100k"), (1_000_000, "1m")] {
        let mut workload =
            Workload::new(&[&format!("D3-{size}")], &format!("fire {n} due timers"), move |peer| {
                per(peer.fire(&[soon(n)]), n, sum_below(n))
            });
        if n == 1_000_000 || quick && n == 100_000 {
            workload.without = &["calloop", "sd-event"];
        }
        add(workload);
    }
    for (others, id) in [(0, "D4-alone"), (10_000, "D4-10k")] {
        // As many that what is done once, for all that wait, does not count.
        let times = scale(200_000);
        add(Workload::new(
            &[id],
            &format!("re-arm one timer beside {others} others"),
            move |peer| per(peer.rearm(others, times), times, times as u64),
        ));
    }
    for (n, size) in [(10_000, "10k"), (100_000, "100k"), (1_000_000, "1m")] {
        let mut workload = Workload::new(
            &[&format!("D5-{size}")],
            &format!("bytes for each of {n} timers"),
            move |peer| {
                alloc::count(true);
                let timers = peer.timers(&far(n));
                alloc::count(false);
                Some(vec![timers?.bytes as f64 / n as f64])
            },
        );
        workload.unit = Unit::Bytes;
        workload.rounds = Some(1);
        if n > 10_000 {
            workload.without = &["calloop"];
        }
        add(workload);
    }
    let ticks = if quick { 30 } else { 120 };
    add(Workload::new(
        &["D6-16ms-p50", "D6-16ms-p99"],
        "lateness of a timer that repeats every 16.667 ms",
        move |peer| lateness(peer, Duration::from_micros(16_667), ticks),
    ));
    let ticks = scale(2000);
    add(Workload::new(
        &["D6-300us-p50", "D6-300us-p99"],
        "lateness of a timer that repeats every 300 µs",
        move |peer| lateness(peer, Duration::from_micros(300), ticks),
    ));
    add(Workload::new(&["D7"], "a due timer re-arms itself, one a dispatch", move |peer| {
        per(peer.self_rearm(few), few, few as u64)
    }));

    add(Workload::new(&["E1"], "idle that inserts the next idle", move |peer| {
        per(peer.idle_chain(few), few, few as u64)
    }));
    add(Workload::new(&["E2"], "1000 idles a dispatch", move |peer| {
        let measured = peer.idle_batch(1000, turns);
        per(measured, 1000 * turns, sum_below(1000) * turns as u64)
    }));

    for others in [0, 9000] {
        let times = scale(10_000);
        add(Workload::new(
            &[&format!("F1-{others}")],
            &format!("insert and remove an fd source beside {others} others"),
            move |peer| per(peer.fd_churn(others, times), times, times as u64),
        ));
    }
    add(Workload::new(&["F2"], "create, insert, remove, drop a channel", move |peer| {
        per(peer.channel_churn(few), few, few as u64)
    }));

    for (id, title, way, fires) in HOSTED {
        let turns = scale(10_000);
        add(Workload::new(&[id], title, move |peer| hosting(peer, way, fires, turns)));
    }

    let mut add = |id: &str, title: &str, run: fn(&dyn Peer) -> Option<Vec<f64>>| {
        let mut workload = Workload::new(&[id], title, run);
        workload.unit = Unit::Allocations;
        workload.rounds = Some(3);
        list.push(workload);
    };
    add("H1-A1-allocs", "allocations for an event of A1", |peer| {
        let spec = Fds { watched: 1, ready: 1, turns: 10_000 };
        allocations(peer, || peer.level(spec), 10_000, 10_000)
    });
    add("H1-B1-allocs", "allocations for a message of B1", |peer| {
        let n = 1_000_000;
        allocations(peer, || peer.channel(n as u64), n, sum_below(n))
    });
    add("H1-D3-allocs", "allocations for a due timer of D3, the second time", |peer| {
        let batch = |after| spread(1000, Duration::from_millis(after), Duration::from_millis(10));
        let batches = [batch(5), batch(40)];
        allocations(peer, || peer.fire(&batches), 1000, sum_below(1000))
    });
    list
}

/// Group J: what is hosted, and whether it is what fires.
const HOSTED: [(&str, &str, Host, bool); 8] = [
    ("J1", "insert_calloop, its fd fires", Host::Waited, true),
    ("J2", "insert_calloop, another fd fires", Host::Waited, false),
    ("J3", "insert_calloop_source, it fires", Host::Source, true),
    ("J4", "insert_calloop_source, another fd fires", Host::Source, false),
    ("J5", "insert_calloop_on_demand, its fd fires", Host::OnDemand, true),
    ("J6", "insert_calloop_on_demand, another fd fires", Host::OnDemand, false),
    ("J7", "insert_calloop_source with hooks, another fd fires", Host::Hooks, false),
    ("J8", "insert_calloop_source with a timer, its fd fires", Host::Timers, true),
];

fn hosting(peer: &dyn Peer, way: Host, fires: bool, turns: usize) -> Option<Vec<f64>> {
    per(peer.hosting(Hosting { way, fires, turns }), turns, turns as u64)
}

/// The sizes of [`growth`], and how an id has them.
pub const SIZES: [(usize, &str); 6] =
    [(10, "10"), (100, "100"), (1000, "1k"), (10_000, "10k"), (100_000, "100k"), (1_000_000, "1m")];

/// What is measured beside, or with, n of a kind, for each size n. What takes an fd each ends at 10 k.
pub fn growth(quick: bool) -> Vec<Workload> {
    /// Runs about as many operations as the last argument says, with the size before it.
    type Sized = fn(&dyn Peer, usize, usize) -> Option<Vec<f64>>;
    let ops = if quick { 10_000 } else { 40_000 };
    let mut list = Vec::new();
    let mut add = |sizes: &[(usize, &str)], measured: &[(&str, &str)], run: Sized| {
        // Most of calloop's timers would take minutes from here on, and its pings more fds than there are.
        let slow = if measured[0].0 == "D3" { 1_000_000 } else { 100_000 };
        for &(n, size) in sizes {
            list.push(Workload {
                ids: measured.iter().map(|(id, _)| format!("{id}@{size}")).collect(),
                titles: measured.iter().map(|&(_, title)| title.to_owned()).collect(),
                unit: Unit::Nanoseconds,
                rounds: None,
                without: if n >= slow { &["calloop"] } else { &[] },
                run: Box::new(move |peer| run(peer, n, ops)),
            });
        }
    };
    fn turns(ops: usize, n: usize) -> usize {
        (ops / n).max(1)
    }
    let (few, all) = (&SIZES[..4], &SIZES[..]);

    add(few, &[("A2", "1 ready fd of n, level, read")], |peer, n, ops| level(peer, n, 1, ops));
    add(few, &[("A5", "n ready fds of n, level, read")], |peer, n, ops| {
        level(peer, n, n, turns(ops, n))
    });
    add(few, &[("A4", "n ready fds of n, edge, no read")], |peer, n, ops| {
        let spec = Fds { watched: n, ready: n, turns: turns(ops, n) };
        per(peer.edge(spec), n * spec.turns, (n * spec.turns) as u64)
    });
    add(few, &[("G1", "empty dispatch beside n sources")], |peer, n, ops| {
        per(peer.empty(n, ops), ops, 0)
    });
    add(few, &[("F1", "insert and remove an fd beside n")], |peer, n, ops| {
        per(peer.fd_churn(n, ops), ops, ops as u64)
    });
    add(few, &[("B3", "n channels, 1 message each")], |peer, n, ops| {
        let sent = n * turns(ops, n);
        per(peer.many_channels(n, 1, turns(ops, n)), sent, sent as u64)
    });
    add(few, &[("B4", "1 channel, a backlog of n messages")], |peer, n, ops| {
        let sent = n * turns(ops, n);
        per(peer.many_channels(1, n, turns(ops, n)), sent, sent as u64)
    });
    add(few, &[("C2", "n pings, then 1 dispatch")], |peer, n, ops| {
        let turns = turns(ops, n);
        per(peer.ping_burst(n, turns), n * turns, turns as u64)
    });
    add(few, &[("E2", "n idles a dispatch")], |peer, n, ops| {
        let turns = turns(ops, n);
        per(peer.idle_batch(n, turns), n * turns, sum_below(n) * turns as u64)
    });
    add(all, &[("D1", "insert n timers"), ("D2", "cancel n timers")], |peer, n, ops| {
        bulk(n, turns(ops, n), || peer.timers(&far(n)))
    });
    add(all, &[("D3", "fire n due timers")], |peer, n, _| {
        per(peer.fire(&[soon(n)]), n, sum_below(n))
    });
    add(all, &[("D4", "re-arm one timer beside n")], |peer, n, ops| {
        per(peer.rearm(n, ops), ops, ops as u64)
    });
    add(all, &[("T1", "insert n pings"), ("T4", "remove n pings")], |peer, n, ops| {
        let order = shuffled(n);
        bulk(n, turns(ops, n), || peer.pings(&order))
    });
    add(all, &[("T2", "`contains` by token, n live")], |peer, n, ops| {
        per(peer.contains(&shuffled(n), ops), ops, ops as u64)
    });
    add(all, &[("T3", "`visit` by token, n live")], |peer, n, ops| {
        per(peer.visit(&shuffled(n), ops), ops, ops as u64)
    });
    list
}

/// 0, 1, …, n − 1 in a random order, the same each time.
fn shuffled(n: usize) -> Vec<usize> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    order
}

/// What H1 traces in a child, and how many operations it does there: the difference of the two counts
/// leaves out what starting and ending takes, and what it takes until there is room for all.
pub const TRACED: [(&str, usize, usize); 11] = [
    ("A1", 2000, 4000),
    ("B1", 20_000, 100_000),
    ("D3", 5000, 25_000),
    ("J1", 200, 400),
    ("J2", 200, 400),
    ("J3", 200, 400),
    ("J4", 200, 400),
    ("J5", 200, 400),
    ("J6", 200, 400),
    ("J7", 200, 400),
    ("J8", 200, 400),
];

/// How many timers of the D3 that is traced are a batch.
const DUE_AT_ONCE: usize = 1000;
const MS: Duration = Duration::from_millis(1);

/// Runs one of [`TRACED`] with `ops` operations; whether the peer can.
pub fn trace(id: &str, ops: usize, peer: &dyn Peer) -> bool {
    let done = match id {
        "A1" => level(peer, 1, 1, ops),
        "B1" => per(peer.channel(ops as u64), ops, sum_below(ops)),
        "D3" => {
            // One batch after the other is inserted, and fired when all of it is due. However many there are
            // to be, as many are made.
            let batch = |n| spread(DUE_AT_ONCE, 20 * MS * n, 10 * MS);
            let batches: Vec<_> = (1..=25).map(batch).collect();
            per(peer.fire(&batches[..ops / DUE_AT_ONCE]), DUE_AT_ONCE, sum_below(DUE_AT_ONCE))
        }
        _ => HOSTED
            .into_iter()
            .find(|(hosted, ..)| *hosted == id)
            .and_then(|(_, _, way, fires)| hosting(peer, way, fires, ops)),
    };
    done.is_some()
}
