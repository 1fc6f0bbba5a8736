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

use self::source::{Armed, Source};
use super::log::{Entry, Outcome, View};
use super::ops::{Body, Kind, Policy, SCOPES};

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

enum Mail {
    Body(Body, usize),
    Remove(usize),
}

enum Woken {
    Interest(Interest),
    Mail,
}

pub struct Model {
    /// What the loop observed, to follow, and what the model did of the current op.
    expected: Vec<Entry>,
    pub log: Vec<Entry>,
    sources: Vec<Source>,
    idles: VecDeque<(usize, Option<(Body, usize)>)>,
    idles_ever: usize,
    pending: VecDeque<Pending>,
    scopes: [Vec<usize>; SCOPES],
    /// What scopes let go, scope by scope.
    abandoned: Vec<Vec<usize>>,
    mailbox: VecDeque<Mail>,
    mail: VecDeque<Mail>,
    woken: Vec<Woken>,
    notified: bool,
    stirred: bool,
    /// What a round delivers; the order of fds that lie side by side is the kernel's.
    ready: VecDeque<Interest>,
    due: Vec<(usize, u64)>,
    carried: Vec<Interest>,
    current: Option<Interest>,
    unfinished: bool,
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
            scopes: Default::default(),
            abandoned: Vec::new(),
            mailbox: VecDeque::new(),
            mail: VecDeque::new(),
            woken: Vec::new(),
            notified: false,
            stirred: false,
            ready: VecDeque::new(),
            due: Vec::new(),
            carried: Vec::new(),
            current: None,
            unfinished: false,
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
        self.rounds += 1;
        let turn = self.turn(timeout.into());
        self.note(turn);
    }

    pub fn apply_pending(&mut self) {
        let settled = self.settle_all();
        self.note(settled);
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

    fn turn(&mut self, timeout: i64) -> Flow {
        if let Some(interest) = self.current.take()
            && self.is_registered(interest)
        {
            self.rearm(interest.0);
            if self.sources[interest.0].is_notifier() {
                self.ready.push_back(interest);
            }
        }
        self.settle_all()?;
        if !self.unfinished {
            self.wait(timeout);
        }
        self.unfinished = true;
        self.run_mail()?;
        self.deliver()?;
        self.unfinished = false;
        for _ in 0..self.idles.len() {
            if let Some((_, Some((body, depth)))) = self.idles.pop_front() {
                self.body(Entry::Ran("idle"), body, depth)?;
                self.settle()?;
            }
        }
        Ok(())
    }

    fn settle_all(&mut self) -> Flow {
        if std::mem::take(&mut self.notified) {
            self.stirred = true;
            self.collect();
        }
        self.stirred |= self.settle()?;
        self.stirred |= self.run_mail()?;
        Ok(())
    }

    // The wait.

    fn wait(&mut self, timeout: i64) {
        let blocks = !std::mem::take(&mut self.stirred)
            && timeout > 0
            && self.ready.is_empty()
            && self.carried.is_empty()
            && self.mail.is_empty()
            && self.idles.is_empty();
        for index in 0..self.sources.len() {
            let source = &mut self.sources[index];
            if source.is_fd() && source.enabled && source.readable() && source.listed {
                // The kernel lists a level-triggered one again.
                source.listed = source.is_level();
                let interest = (index, source.generation);
                self.ready.push_back(interest);
            }
        }
        if std::mem::take(&mut self.notified) {
            self.collect();
        }
        if blocks && self.ready.is_empty() && self.mail.is_empty() {
            let until = self.nearest().map_or(timeout, |at| (at - self.now).max(0));
            self.now += until.min(timeout);
        }
        for interest in std::mem::take(&mut self.carried) {
            if self.sources[interest.0].is_notifier() || !self.ready.contains(&interest) {
                self.ready.push_back(interest);
            }
        }
        let mut due: Vec<_> = (0..self.sources.len())
            .filter_map(|index| match self.sources[index].armed {
                Armed::At(at, number) if at <= self.now => Some((at, number, index)),
                _ => None,
            })
            .collect();
        due.sort();
        for (at, number, index) in due {
            self.sources[index].armed = Armed::Due(at);
            self.due.push((index, number));
        }
    }

    fn nearest(&self) -> Option<i64> {
        let at = |source: &Source| match source.armed {
            Armed::At(at, _) => Some(at),
            _ => None,
        };
        self.sources.iter().filter_map(at).min()
    }

    fn collect(&mut self) {
        for woken in std::mem::take(&mut self.woken) {
            match woken {
                Woken::Interest(interest) if self.is_registered(interest) => {
                    self.sources[interest.0].queued = false;
                    self.ready.push_back(interest);
                }
                Woken::Interest(_) => {}
                Woken::Mail => self.mail.append(&mut self.mailbox),
            }
        }
    }

    /// What a closure sees of the loop.
    fn view(&self, id: Option<usize>) -> View {
        let there = |source: &&Source| source.stored && !source.dropped;
        let source = id.map(|id| &self.sources[id]);
        View {
            sources: self.sources.iter().filter(there).count(),
            rounds: self.rounds,
            source: source.filter(there).map(|source| (source.enabled, source.rank)),
            live: source.is_some_and(|source| source.live),
        }
    }
}
