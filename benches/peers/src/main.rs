//! soloop side by side with other event loops, in one run.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- \
//!     [--growth | --footprint] [--quick] [--only A1,B3] [--peers raw,soloop] [--json] [--svg FILE]
//! ```
//!
//! Each workload runs for at least nine rounds (five with `--quick`), and more if they are short, in each of which
//! all peers take their turn, the first one changing, so that what the machine does meanwhile hits all alike. The
//! table shows medians. A peer that does not come to the expected sum fails the run.
//!
//! `--growth` has the core workloads at sizes from 10 to 1 M, in nanoseconds an operation: soloop, calloop and
//! raw, if no others are asked for. `--footprint` has the bytes and the fds of a source of each kind, and how
//! often a loop without a source sleeps in a second, for soloop and calloop (once is the wait itself).
//! `benches/peers/build-cost` compares what the two take to build.
//!
//! `--features c-peers` adds libuv, libevent, GLib, sd-event and wl_event_loop.
//!
//! What is in a number, where that is not obvious:
//!
//! * A1, A2, A3, A5: an operation is the write that makes the fd ready, its share of the wait, and the read.
//!   A4 is the wait and the callback alone.
//! * B1, C1: both threads work at once; the time is that of the receiving one, or of the round trip.
//! * D1 includes what each callback captures (its number), D1 and D2 the applying of pending ops.
//! * With `--growth`, D1, D2, T1 and T4 take a loop of their own for each n, whose tables have to grow: what
//!   that takes is shared by n. So is, in A5, B3, B4, C2, D3 and E2, what a dispatch takes. D1 and T1 are
//!   insertions alone, without the making of the ping. D2 removes in the order of insertion, T2 to T4 are in
//!   random order. T3 is a visit and its application.
//! * D6 is lateness, not cost: how long after its deadline a callback runs.
//! * F1: the Rust peers add and remove where the loop of the workload is, by functions that are inlined, as in a program
//!   that does it in one place: a return after a system call takes long (`examples/returns.rs`).
//! * H1 counts system calls in a loop that has run for a while: D3 fires batch after batch of 1000.
//! * J: `hosted` is a soloop that hosts something of calloop's. soloop and calloop, in the same rows, watch the one fd
//!   that fires, and host nothing.
//! * raw reads its eventfds, as eventfd(2) has it. In C1 to C3 a loop that does without can be faster.
//! * `floor` is no loop, and no peer to beat: it does only what soloop's rules ask of any loop that keeps them, and so shows
//!   about what these workloads take at least.
//! * A peer is missing where it has no means for a workload, or where it would take minutes.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use peers::Peer;
use report::Row;
use workloads::{Unit, Workload};

mod alloc;
mod footprint;
mod peers;
mod plot;
mod report;
mod workloads;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

const USAGE: &str = "usage: peers [--growth | --footprint] [--quick] [--only A1,B3] [--peers raw,soloop] [--json] [--svg FILE]";

/// What is measured.
#[derive(Clone, Copy, Default, PartialEq)]
enum What {
    #[default]
    Workloads,
    Growth,
    Footprint,
}

#[derive(Default)]
struct Options {
    what: What,
    quick: bool,
    json: bool,
    only: Option<Vec<String>>,
    peers: Option<Vec<String>>,
    svg: Option<String>,
}

impl Options {
    /// `None` if they can't be understood.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        fn list(argument: String) -> Option<Vec<String>> {
            Some(argument.split(',').map(|item| item.trim().to_lowercase()).collect())
        }
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            match &*argument {
                "--growth" => options.what = What::Growth,
                "--footprint" => options.what = What::Footprint,
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--only" => options.only = list(arguments.next()?),
                "--peers" => options.peers = list(arguments.next()?),
                "--svg" => options.svg = Some(arguments.next()?),
                _ => return None,
            }
        }
        let drawable = options.what != What::Footprint || options.svg.is_none();
        drawable.then_some(options)
    }

    /// `D1` selects `D1-10k`, `D1@10k` and so on.
    fn selects(&self, id: &str) -> bool {
        let id = id.to_lowercase();
        self.only.as_ref().is_none_or(|only| {
            only.iter().any(|item| {
                id.strip_prefix(item.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '@']))
            })
        })
    }
}

fn all_peers() -> Vec<Box<dyn Peer>> {
    #[allow(unused_mut, reason = "the feature adds some")]
    let mut list: Vec<Box<dyn Peer>> = vec![
        Box::new(peers::raw::Raw),
        Box::new(peers::floor::Floor),
        Box::new(peers::mio::Mio),
        Box::new(peers::polling::Polling),
        Box::new(peers::calloop::Calloop),
        Box::new(peers::tokio::Tokio),
        Box::new(peers::soloop::Soloop),
        Box::new(peers::hosted::Hosted),
    ];
    #[cfg(feature = "c-peers")]
    list.extend(peers::c::all());
    list
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if let Err(error) = raise_limit() {
        eprintln!("can't raise the limit of open files: {error}");
    }
    if std::env::args().nth(1).as_deref() == Some("--traced") {
        return traced(arguments.by_ref().skip(1));
    }
    let Some(options) = Options::parse(arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut peers = all_peers();
    if let Some(names) = &options.peers {
        peers.retain(|peer| names.iter().any(|name| name == peer.name()));
    } else if options.what == What::Growth {
        peers.retain(|peer| report::COLORS.iter().any(|(name, _)| *name == peer.name()));
    }
    eprintln!("load: {}", load());
    let workloads = match options.what {
        What::Workloads => workloads::all(options.quick),
        What::Growth => workloads::growth(options.quick),
        What::Footprint => Vec::new(),
    };
    let one_by_one = !options.json && options.what == What::Workloads;
    if one_by_one {
        report::table_head();
    }
    let mut all = Vec::new();
    let mut show = |rows: Vec<Row>| {
        if options.json {
            report::json(&rows);
        } else if one_by_one {
            report::table(&rows);
        }
        all.extend(rows);
    };
    for workload in workloads {
        if !workload.ids.iter().any(|id| options.selects(id)) {
            continue;
        }
        for (id, rows) in workload.ids.iter().zip(measure(&workload, &peers, options.quick)) {
            if options.selects(id) {
                show(rows);
            }
        }
    }
    let traced = if options.what == What::Workloads { &workloads::TRACED[..] } else { &[] };
    for &(id, fewer, more) in traced {
        let id = (id, format!("H1-{id}-syscalls"));
        if options.selects(&id.1) {
            match system_calls(id.0, fewer, more, &peers) {
                Ok(rows) => show(rows),
                Err(error) => eprintln!("{}: skipped, strace does not run here: {error}", id.1),
            }
        }
    }
    if options.what == What::Footprint {
        let mut rows = footprint::rows();
        rows.retain(|row| {
            options.selects(&row.workload) && peers.iter().any(|peer| peer.name() == row.peer)
        });
        show(rows);
    }
    eprintln!("load: {}", load());
    match options.what {
        What::Growth if !options.json => report::grid(
            &all,
            |row| format!("{:<4}{:<38}{:<8}", split(row).0, row.title, row.peer),
            |row| split(row).1.to_owned(),
        ),
        What::Footprint if !options.json => report::grid(
            &all,
            |row| row.title.clone(),
            |row| format!("{} {}", row.peer, row.unit.name()),
        ),
        _ => {}
    }
    let draw = if options.what == What::Growth { plot::svg } else { report::svg };
    if let Some(file) = &options.svg
        && let Err(error) = std::fs::write(file, draw(&all))
    {
        eprintln!("{file}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Workload and size of a row of `--growth`.
fn split(row: &Row) -> (&str, &str) {
    row.workload.split_once('@').unwrap_or((&row.workload, ""))
}

/// How many rounds there are of a workload that takes no time.
const MOST: usize = 45;

/// Runs all rounds of a workload: the rows of each of its ids.
fn measure(workload: &Workload, peers: &[Box<dyn Peer>], quick: bool) -> Vec<Vec<Row>> {
    let mut samples: Vec<Vec<Vec<f64>>> = vec![vec![Vec::new(); peers.len()]; workload.ids.len()];
    let (least, budget) =
        if quick { (5, Duration::from_millis(600)) } else { (9, Duration::from_secs(3)) };
    let started = Instant::now();
    let more = |round| match workload.rounds {
        Some(rounds) => round < rounds,
        None => round < least || round < MOST && started.elapsed() < budget,
    };
    for round in (0..).take_while(|&round| more(round)) {
        for turn in 0..peers.len() {
            let n = (round + turn) % peers.len();
            let peer = &*peers[n];
            if workload.without.contains(&peer.name()) {
                continue;
            }
            // A panic of this call says which peer failed.
            let _blame = Blame(&workload.ids[0], peer.name());
            for (id, sample) in (workload.run)(peer).into_iter().flatten().enumerate() {
                samples[id][n].push(sample);
            }
        }
    }
    let rows = |(id, samples): (usize, Vec<Vec<f64>>)| {
        let row = |(mut samples, peer): (Vec<f64>, &dyn Peer)| {
            if samples.is_empty() {
                return None;
            }
            let (median, iqr_pct) = report::summary(&mut samples);
            Some(row(workload, id, peer.name(), median, iqr_pct))
        };
        let mut rows: Vec<Row> =
            samples.into_iter().zip(peers.iter().map(|peer| &**peer)).filter_map(row).collect();
        report::compare(&mut rows);
        rows
    };
    samples.into_iter().enumerate().map(rows).collect()
}

fn row(workload: &Workload, id: usize, peer: &'static str, median: f64, iqr_pct: f64) -> Row {
    Row {
        workload: workload.ids[id].clone(),
        title: workload.titles[id].clone(),
        unit: workload.unit,
        peer,
        median,
        iqr_pct,
        vs_raw: None,
        vs_calloop: None,
    }
}

/// Says on a panic whose it was.
struct Blame<'a>(&'a str, &'static str);

impl Drop for Blame<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {} failed", self.0, self.1);
        }
    }
}

/// H1: system calls for an operation, counted in a child under strace.
fn system_calls(
    id: &str,
    fewer: usize,
    more: usize,
    peers: &[Box<dyn Peer>],
) -> std::io::Result<Vec<Row>> {
    let workload = Workload {
        ids: vec![format!("H1-{id}-syscalls")],
        titles: vec![format!("system calls for an event of {id}, its cause included")],
        unit: Unit::SystemCalls,
        rounds: None,
        without: &[],
        run: Box::new(|_| None),
    };
    let mut rows = Vec::new();
    for peer in peers {
        if id == "D3" && peer.name() == "calloop" {
            continue; // Under strace its timers are due long before they are inserted.
        }
        let mut samples = Vec::new();
        for _ in 0..3 {
            let Some(few) = strace(id, peer.name(), fewer)? else { break };
            let Some(many) = strace(id, peer.name(), more)? else { break };
            samples.push((many as f64 - few as f64).max(0.0) / (more - fewer) as f64);
        }
        if !samples.is_empty() {
            let (median, iqr_pct) = report::summary(&mut samples);
            rows.push(row(&workload, 0, peer.name(), median, iqr_pct));
        }
    }
    report::compare(&mut rows);
    Ok(rows)
}

/// The system calls of a child that is this program; `None` if the peer does not do this workload.
fn strace(id: &str, peer: &str, ops: usize) -> std::io::Result<Option<u64>> {
    let output = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "--"])
        .arg(std::env::current_exe()?)
        .args(["--traced", id, peer, &ops.to_string()])
        .output()?;
    if output.status.code() == Some(3) {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let total = text.lines().find_map(|line| line.trim().strip_suffix("total"));
    match total.and_then(|total| total.trim().parse().ok()) {
        Some(total) if output.status.success() => Ok(Some(total)),
        _ => Err(std::io::Error::other(text.into_owned())),
    }
}

/// What the child does: one workload of one peer. Exits with 3 if the peer does not do it.
fn traced(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let (Some(id), Some(name), Some(ops)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return ExitCode::from(2);
    };
    let (Some(peer), Ok(ops)) =
        (all_peers().into_iter().find(|peer| peer.name() == name), ops.parse())
    else {
        return ExitCode::from(2);
    };
    if workloads::trace(&id, ops, &*peer) { ExitCode::SUCCESS } else { ExitCode::from(3) }
}

/// 9000 fds, and some more.
fn raise_limit() -> rustix::io::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .map_or("unknown".to_owned(), |load| load.trim().to_owned())
}
