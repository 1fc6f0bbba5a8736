//! The model: what a loop does, without a kernel, threads, tables or heaps.
//!
//! It is told what the loop observed only to follow it where the order is free: among the fds of one wait, and among
//! the sources of one scope.

mod ops;
mod process;
mod round;
mod settle;
mod source;
mod task;

use std::collections::VecDeque;
use std::mem::take;

use self::source::{Armed, Source};
use super::log::{Entry, Outcome, View};
use super::ops::{Body, Kind, Policy, RUN, SCOPES};

/// A registration: a source, and how often it was registered before.
type Interest = (usize, u32);

/// Why a dispatch ends early.
enum Stop {
    Failed(usize),
    Panicked,
}

type Flow<T = ()> = Result<T, Stop>;

enum Pending {
    Stored(usize),
    Remove(usize),
    Take(usize, Body, usize),
    Visit(usize, Body, usize),
    Inspect(Option<usize>, Body, usize),
    /// Of those that a scope let go, in an order of the loop's own.
    RemoveAll(Vec<usize>),
    Update(usize, u8),
    Move(usize, i64),
    Enable(usize),
    Disable(usize),
}

enum Post {
    Body(&'static str, Body, usize),
    /// A source for a scope, which was dropped so often by then.
    Insert(usize, usize, u32),
}

/// A place in the queue of what is ready.
#[derive(Clone, Copy)]
struct Place {
    interest: Interest,
    /// The wait that found an fd.
    wait: Option<u32>,
}

pub struct Model {
    /// What the loop observed, to follow, and what the model did of the current op.
    expected: Vec<Entry>,
    pub log: Vec<Entry>,
    sources: Vec<Source>,
    idles: VecDeque<(usize, Option<(Body, usize)>)>,
    idles_ever: usize,
    pending: VecDeque<Pending>,
    /// An op is being applied.
    applying: bool,
    scopes: [Vec<usize>; SCOPES],
    /// What scopes let go, scope by scope, and remotes.
    abandoned: Vec<Vec<usize>>,
    /// The idles in each scope, and those that scopes let go.
    scoped_idles: [Vec<usize>; SCOPES],
    abandoned_idles: Vec<usize>,
    /// How often each scope was dropped.
    dropped_scopes: [u32; SCOPES],
    mailbox: VecDeque<Post>,
    posts: VecDeque<Post>,
    woken: Vec<Interest>,
    notified: bool,
    ran_user_code: bool,
    stops: bool,
    runs_until: bool,
    /// What is to be delivered, by rank. The order of fds that one wait found is the kernel's.
    ready: [VecDeque<Place>; 3],
    due: [VecDeque<(usize, u64)>; 3],
    deferred: Vec<Interest>,
    /// What is called, or has more while ops are applied, which it then said.
    running: Option<(Interest, bool)>,
    failures: VecDeque<usize>,
    /// An error ended the last dispatch before it was through: none does that to this one.
    was_cut: bool,
    holds_failures: bool,
    waits: u32,
    now: i64,
    armings: u64,
    policy: Policy,
    messages: u32,
    children: usize,
    rounds: u64,
}

impl Model {
    pub fn new() -> Self {
        Self {
            expected: Vec::new(),
            log: Vec::new(),
            sources: Vec::new(),
            idles: VecDeque::new(),
            idles_ever: 0,
            pending: VecDeque::new(),
            applying: false,
            scopes: Default::default(),
            abandoned: Vec::new(),
            scoped_idles: Default::default(),
            abandoned_idles: Vec::new(),
            dropped_scopes: [0; SCOPES],
            mailbox: VecDeque::new(),
            posts: VecDeque::new(),
            woken: Vec::new(),
            notified: false,
            ran_user_code: false,
            stops: false,
            runs_until: false,
            ready: Default::default(),
            due: Default::default(),
            deferred: Vec::new(),
            running: None,
            failures: VecDeque::new(),
            was_cut: false,
            holds_failures: false,
            waits: 0,
            now: 0,
            armings: 0,
            policy: Policy::Report,
            messages: 0,
            children: 0,
            rounds: 0,
        }
    }

    /// What the loop observed during the op that follows.
    pub fn expect(&mut self, seen: &[Entry]) {
        self.expected = seen.to_vec();
        self.log.clear();
    }

    /// Of which kind the source is that was inserted as this one.
    pub fn kind(&self, source: usize) -> Kind {
        self.sources[source].inserted_as
    }

    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.sources.iter().map(|source| source.inserted_as)
    }

    pub fn dispatch(&mut self, timeout: u8) {
        let turn = self.turn(timeout.into(), false);
        self.note(turn);
    }

    pub fn run(&mut self, timeout: u8) {
        let ran = self.run_turns(timeout.into());
        self.note(ran);
    }

    fn run_turns(&mut self, timeout: i64) -> Flow {
        let mut turns = 0;
        while !take(&mut self.stops) {
            self.turn(timeout, true)?;
            turns += 1;
            self.stops |= turns == RUN;
        }
        Ok(())
    }

    pub fn run_until(&mut self, after: u8) {
        if self.kinds().all(Kind::lets_time_pass) {
            self.runs_until = true;
            let ran = self.turns_until(self.now + i64::from(after));
            self.runs_until = false;
            self.note(ran);
        }
    }

    fn turns_until(&mut self, deadline: i64) -> Flow {
        while !take(&mut self.stops) {
            self.turn((deadline - self.now).max(0), true)?;
            if self.now >= deadline {
                break;
            }
        }
        Ok(())
    }

    pub fn apply_pending(&mut self) {
        self.holds_failures = false;
        let applied = self.apply();
        self.note(applied);
    }

    fn note(&mut self, result: Flow) {
        let outcome = match result {
            Ok(()) => Outcome::Fine,
            Err(Stop::Failed(source)) => Outcome::Failed(source),
            Err(Stop::Panicked) => Outcome::Panicked,
        };
        self.log.push(Entry::Dispatched(outcome));
        self.log.push(Entry::Now(self.now as u64));
    }

    fn turn(&mut self, timeout: i64, in_run: bool) -> Flow {
        self.holds_failures = take(&mut self.was_cut);
        let steps = self.steps(timeout, in_run);
        if matches!(steps, Err(Stop::Panicked)) {
            return steps;
        }
        let was_held = take(&mut self.holds_failures);
        let turn = steps.and_then(|()| self.failure());
        self.was_cut = turn.is_err() && !was_held;
        turn
    }

    fn steps(&mut self, timeout: i64, in_run: bool) -> Flow {
        self.rounds += 1;
        self.apply()?;
        self.wait(timeout, in_run);
        self.deliver()?;
        for _ in 0..self.idles.len() {
            if let Some((number, Some((body, depth)))) = self.idles.pop_front() {
                self.leave_scope(number);
                self.body(Entry::Ran("idle"), body, depth)?;
                self.settle()?;
            }
        }
        Ok(())
    }

    /// What precedes the wait. The event during which a callback panicked comes once more.
    fn apply(&mut self) -> Flow {
        self.ran_user_code = false;
        if let Some((interest, more)) = self.running.take()
            && self.is_registered(interest)
            && self.sources[interest.0].mark_ready(more)
        {
            let rank = self.sources[interest.0].rank;
            self.ready[rank].push_front(Place { interest, wait: None });
        }
        self.settle()?;
        self.run_posts()
    }

    // The wait.

    fn has_work(&self) -> bool {
        !self.pending.is_empty()
            || !self.idles.is_empty()
            || !self.posts.is_empty()
            || !self.mailbox.is_empty()
            || !self.abandoned.is_empty()
            || self.ready.iter().any(|queue| !queue.is_empty())
            || self.due.iter().any(|queue| !queue.is_empty())
            || !self.deferred.is_empty()
            || !self.failures.is_empty()
            || self.notified
            || self.nearest().is_some_and(|at| at <= self.now)
    }

    fn wait(&mut self, timeout: i64, in_run: bool) {
        let stops = in_run && self.stops;
        let blocks = !take(&mut self.ran_user_code) && !stops && !self.has_work();
        self.ask_kernel();
        if blocks && !self.has_work() {
            self.now += self.nearest().map_or(timeout, |at| timeout.min(at - self.now));
        }
        for interest in take(&mut self.deferred) {
            let rank = if self.is_registered(interest) { self.sources[interest.0].rank } else { 1 };
            self.ready[rank].push_back(Place { interest, wait: None });
        }
        let mut due: Vec<_> = (0..self.sources.len())
            .filter_map(|index| match self.sources[index].armed {
                Armed::At(at, number) if at <= self.now => Some((at, number, index)),
                _ => None,
            })
            .collect();
        due.sort();
        for (at, number, index) in due {
            self.sources[index].armed = Armed::Due(at, number);
            self.due[self.sources[index].rank].push_back((index, number));
        }
    }

    /// What the kernel says, then what was notified.
    fn ask_kernel(&mut self) {
        self.waits += 1;
        for place in self.ready.iter().flatten() {
            let source = &mut self.sources[place.interest.0];
            if source.generation == place.interest.1 {
                source.forget_level();
            }
        }
        for index in 0..self.sources.len() {
            let source = &mut self.sources[index];
            if source.is_fd() && source.enabled && source.readable() && source.listed {
                // The kernel lists a level-triggered one again.
                source.listed = source.is_level();
                let interest = (index, source.generation);
                self.found(interest, Some(self.waits));
            }
        }
        if take(&mut self.notified) {
            for interest in take(&mut self.woken) {
                if self.is_registered(interest) {
                    self.sources[interest.0].queued = false;
                    self.found(interest, None);
                }
            }
        }
    }

    fn found(&mut self, interest: Interest, wait: Option<u32>) {
        let source = &mut self.sources[interest.0];
        if source.mark_ready(false) {
            self.ready[source.rank].push_back(Place { interest, wait });
        }
    }

    fn nearest(&self) -> Option<i64> {
        let at = |source: &Source| match source.armed {
            Armed::At(at, _) => Some(at),
            _ => None,
        };
        self.sources.iter().filter_map(at).min()
    }

    /// What a closure sees of the loop.
    fn view(&self, id: Option<usize>) -> View {
        let there = |source: &&Source| source.stored && !source.dropped;
        let source = id.map(|id| &self.sources[id]).filter(|source| !source.unnamed);
        View {
            sources: self.sources.iter().filter(there).count(),
            rounds: self.rounds,
            source: source.filter(there).map(|source| (source.gets_events(), source.rank)),
            live: source.is_some_and(|source| source.live),
        }
    }
}
