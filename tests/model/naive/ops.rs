//! Ops, and what a program does from outside of the loop.

use super::source::{Source, When};
use super::{Model, Pending, Post};
use crate::model::log::Entry;
use crate::model::ops::{
    BEREFT, BOUND, CHILDREN, DEPTH, Kind, Op, Options, POKED, Pick, SCOPES, SIGNALS, Step,
};

impl Model {
    pub(super) fn execute_all(&mut self, ops: &[Op], depth: usize) {
        if depth <= DEPTH {
            ops.iter().for_each(|op| self.execute(op, depth));
        }
    }

    pub fn execute(&mut self, op: &Op, depth: usize) {
        let picked = |pick: Pick| pick.of(self.sources.len());
        let (name, done) = match op {
            Op::Insert(kind, options, steps) => {
                ("insert", self.insert(*kind, *options, steps, depth))
            }
            Op::Remove(pick) => ("remove", self.ask(picked(*pick), Pending::Remove)),
            Op::Enable(pick) => ("enable", self.ask(picked(*pick), Pending::Enable)),
            Op::Disable(pick) => ("disable", self.ask(picked(*pick), Pending::Disable)),
            Op::Update(pick, to) => {
                ("update", self.ask(picked(*pick), |id| Pending::Update(id, *to)))
            }
            Op::Move(pick, to) => ("move", self.move_timer(picked(*pick), *to)),
            Op::Take(pick, body) => {
                ("take", self.ask(picked(*pick), |id| Pending::Take(id, body.clone(), depth)))
            }
            Op::Visit(pick, body) => {
                ("visit", self.ask(picked(*pick), |id| Pending::Visit(id, body.clone(), depth)))
            }
            Op::Idle(body, scope) => {
                self.idles.push_back((self.idles_ever, Some((body.clone(), depth))));
                match usize::from(*scope % 4) {
                    0 => {}
                    n @ 1..=SCOPES => self.scoped_idles[n - 1].push(self.idles_ever),
                    _ => self.abandoned_idles.push(self.idles_ever),
                }
                self.idles_ever += 1;
                ("idle", true)
            }
            Op::CancelIdle(pick) => {
                let number = pick.of(self.idles_ever);
                ("cancel", number.is_some_and(|number| self.cancel_idle(number)))
            }
            Op::Poke(pick) => {
                self.messages += 1;
                ("poke", picked(*pick).is_some_and(|id| self.poke(id)))
            }
            Op::HangUp(pick) => {
                picked(*pick).inspect(|id| self.hang_up(*id));
                ("hang up", true)
            }
            Op::Inspect(pick, body) => {
                self.pending.push_back(Pending::Inspect(picked(*pick), body.clone(), depth));
                ("inspect", true)
            }
            Op::ClearScope(which) => {
                self.let_go(*which);
                ("clear", true)
            }
            Op::RemoteInsert(after, scope, steps) => {
                let scope = usize::from(*scope) % SCOPES;
                let options =
                    Options { priority: 0, budget: 0, scope: 0, once: false, part: false };
                let mut source = Source::new(Kind::Timer(*after), options, steps, depth);
                source.unnamed = true;
                let insert = Post::Insert(self.sources.len(), scope, self.dropped_scopes[scope]);
                self.sources.push(source);
                self.mailbox.push_back(insert);
                ("remote insert", true)
            }
            Op::DropScope(which) => {
                self.let_go(*which);
                self.dropped_scopes[usize::from(*which) % SCOPES] += 1;
                ("drop", true)
            }
            Op::Post(body) => {
                self.mailbox.push_back(Post::Body("posted", body.clone(), depth));
                ("post", true)
            }
            Op::PostLocal(body) => {
                self.mailbox.push_back(Post::Body("local", body.clone(), depth));
                ("local", true)
            }
            Op::RemoteRemove(pick) => {
                let id = picked(*pick);
                let named = id.filter(|&id| !self.sources[id].unnamed);
                self.abandoned.extend(named.map(|id| vec![id]));
                ("remote", id.is_some())
            }
            Op::Wakeup => {
                self.notified = true;
                ("wake", true)
            }
            Op::Stop => {
                self.stops = true;
                ("stop", true)
            }
            Op::Policy(policy) => {
                self.policy = *policy;
                ("policy", true)
            }
            Op::Advance(by) => {
                self.now += i64::from(*by);
                ("advance", true)
            }
            Op::Dispatch(_) | Op::Run(_) | Op::RunUntil(_) | Op::Settle => return,
        };
        self.log.push(Entry::Did(name, done));
    }

    /// Whether it was there.
    pub(super) fn cancel_idle(&mut self, number: usize) -> bool {
        self.leave_scope(number);
        let idle = self.idles.iter_mut().find(|idle| idle.0 == number);
        idle.is_some_and(|idle| idle.1.take().is_some())
    }

    /// An idle that is about to run, or never will.
    pub(super) fn leave_scope(&mut self, idle: usize) {
        self.scoped_idles.iter_mut().for_each(|idles| idles.retain(|&number| number != idle));
    }

    fn ask(&mut self, id: Option<usize>, op: impl FnOnce(usize) -> Pending) -> bool {
        let named = |&id: &usize| self.sources[id].live && !self.sources[id].unnamed;
        let Some(id) = id.filter(named) else { return false };
        let op = op(id);
        let removes = matches!(op, Pending::Remove(_) | Pending::Take(..));
        self.request(id, op);
        self.sources[id].live = !removes;
        self.sources[id].going = removes && self.applying;
        true
    }

    fn move_timer(&mut self, id: Option<usize>, to: u8) -> bool {
        let at = self.now + i64::from(to);
        let is_timer = |source: &Source| matches!(source.kind, Kind::Timer(_)) && !source.unnamed;
        let timer = id.filter(|&id| is_timer(&self.sources[id]));
        // Of several in a row for the same timer the last is what counts.
        if matches!(self.pending.back(), Some(Pending::Move(last, _)) if Some(*last) == timer) {
            self.pending.pop_back();
        }
        let waits = |source: &Source| {
            source.live && source.enabled && !matches!(source.when, When::Never | When::Kept)
        };
        if let Some(id) = timer.filter(|&id| waits(&self.sources[id])) {
            self.arm_at(id, at);
        }
        self.ask(timer, |id| Pending::Move(id, at))
    }

    fn poke(&mut self, id: usize) -> bool {
        let source = &mut self.sources[id];
        match source.kind {
            Kind::Timer(_) | Kind::Part(_) | Kind::Interval(_) => false,
            Kind::Ping => {
                if !std::mem::replace(&mut source.pinged, true) && source.enabled {
                    self.notify(id);
                }
                true
            }
            Kind::Bell => {
                source.pulls += 1;
                let enabled = source.enabled;
                if enabled {
                    self.notify(id);
                }
                enabled
            }
            Kind::Channel | Kind::SyncChannel | Kind::Executor => {
                let full = source.kind == Kind::SyncChannel && source.messages.len() >= BOUND;
                let closed = source.hung_up && source.kind != Kind::Executor;
                if closed || source.dropped || full {
                    return false;
                }
                source.messages.push_back(self.messages);
                self.tell(id);
                true
            }
            Kind::Signals(_) => {
                self.raise(id);
                true
            }
            Kind::Child => {
                let runs = source.exit.is_none();
                source.exit.get_or_insert(POKED);
                runs
            }
            Kind::EndedChild | Kind::Wall(_) => false,
            Kind::Stream => {
                let open = !source.hung_up;
                if open {
                    source.messages.push_back(self.messages);
                    self.unpark(id);
                }
                open
            }
            kind if kind.is_task() => {
                source.pokes += 1;
                self.unpark(id);
                true
            }
            _ => {
                if source.hung_up || source.dropped {
                    return false;
                }
                source.bytes += 1;
                source.listed |= source.is_edge();
                true
            }
        }
    }

    /// Tells the loop that a channel has something.
    pub(super) fn tell(&mut self, id: usize) {
        let source = &mut self.sources[id];
        if !source.told && source.enabled {
            source.told = true;
            self.notify(id);
        }
    }

    fn hang_up(&mut self, id: usize) {
        let source = &mut self.sources[id];
        if std::mem::replace(&mut source.hung_up, true) {
            return;
        }
        source.listed |= source.is_edge();
        match source.kind {
            Kind::Channel | Kind::SyncChannel => self.tell(id),
            Kind::Stream => self.unpark(id),
            Kind::Child => drop(source.exit.get_or_insert(BEREFT)),
            _ => {}
        }
    }

    /// Every source that listens hears of it.
    fn raise(&mut self, id: usize) {
        for which in 0..2 {
            if !self.sources[id].signals[which].raised {
                continue;
            }
            for source in self.sources.iter_mut().filter(|source| !source.dropped) {
                let signal = &mut source.signals[which];
                if signal.listens {
                    signal.arrived = (signal.arrived + 1).min(SIGNALS);
                    source.bytes += 1;
                }
            }
        }
    }

    /// What a remote inserts, when the post runs.
    pub(super) fn insert_posted(&mut self, id: usize, scope: usize, dropped: u32) {
        self.begin(id);
        if dropped == self.dropped_scopes[scope] {
            self.sources[id].scope = Some(scope);
            self.scopes[scope].push(id);
        } else {
            self.abandoned.push(vec![id]);
        }
    }

    /// What the handle does when something is inserted.
    pub(super) fn begin(&mut self, id: usize) {
        self.register(id);
        self.pending.push_back(Pending::Stored(id));
    }

    fn let_go(&mut self, which: u8) {
        let members = std::mem::take(&mut self.scopes[usize::from(which) % SCOPES]);
        let idles = std::mem::take(&mut self.scoped_idles[usize::from(which) % SCOPES]);
        self.log.push(Entry::Members(members.len() + idles.len()));
        self.abandoned_idles.extend(idles);
        for &id in &members {
            self.sources[id].scope = None;
        }
        self.abandoned.push(members);
    }

    fn insert(&mut self, kind: Kind, options: Options, steps: &[Step], depth: usize) -> bool {
        if kind.is_child() {
            if self.children == CHILDREN {
                return false;
            }
            self.children += 1;
        }
        self.stops |= self.runs_until && !kind.lets_time_pass();
        let id = self.sources.len();
        let task = self.new_task(kind, options);
        let own = if kind == Kind::Parent { steps.len().min(1) } else { steps.len() };
        let mut source = Source::new(kind, options, &steps[..own], depth);
        source.task = task;
        self.sources.push(source);
        if let Some(kind) = kind.brings() {
            let brought = self.brought(kind, &steps[own..], depth);
            self.sources.push(brought);
        }
        self.begin(id);
        match usize::from(options.scope % 4) {
            0 => {}
            _ if self.sources[id].is_task() && options.once => {}
            n @ 1..=SCOPES => {
                self.sources[id].scope = Some(n - 1);
                self.scopes[n - 1].push(id);
            }
            _ => self.abandoned.push(vec![id]),
        }
        true
    }
}
