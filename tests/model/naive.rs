//! The model: what a loop does, without a kernel, threads, tables or heaps.
//!
//! It is told what the loop observed only to follow it where the order is the kernel's: among the fds of one
//! wait.

use std::collections::VecDeque;

use super::ops::{
    BOUND, Body, DEPTH, Data, End, Entry, Kind, Op, Options, Outcome, Pick, Policy, Step,
};

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
    Update(usize, u8),
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

#[derive(Clone, Copy)]
enum When {
    At(i64),
    After(i64),
    /// The part is gone.
    Never,
}

#[derive(Clone, Copy, PartialEq)]
enum Armed {
    No,
    /// With the number of the arming.
    At(i64, u64),
    Due(i64),
}

struct Source {
    kind: Kind,
    /// An fd whose mode the loop emulates.
    emulated: bool,
    /// 0 is the first to run.
    rank: usize,
    budget: u32,
    once: bool,
    /// Was called, and is `once`.
    spent: bool,
    steps: VecDeque<Step>,
    depth: usize,
    /// Not removed, nor about to be.
    live: bool,
    /// Its slot is there.
    stored: bool,
    dropped: bool,
    enabled: bool,
    touched: bool,
    generation: u32,
    // Timers.
    when: When,
    armed: Armed,
    // Fds.
    bytes: usize,
    hung_up: bool,
    /// The kernel has it on its list of what to look at.
    listed: bool,
    // Notifiers: in the ready queue; and what there is to tell.
    queued: bool,
    pinged: bool,
    pulls: u32,
    messages: VecDeque<u32>,
    /// The loop knows of the messages.
    told: bool,
}

impl Source {
    fn is_fd(&self) -> bool {
        matches!(self.kind, Kind::Level | Kind::Edge | Kind::OneShot)
    }

    fn is_notifier(&self) -> bool {
        matches!(self.kind, Kind::Ping | Kind::Bell) || self.has_messages()
    }

    fn has_messages(&self) -> bool {
        matches!(self.kind, Kind::Channel | Kind::SyncChannel | Kind::Executor)
    }

    /// Whether the kernel tells again only of what is new, or after a re-registration.
    fn is_edge(&self) -> bool {
        self.kind == Kind::Edge || self.kind == Kind::Level && self.emulated
    }

    fn readable(&self) -> bool {
        self.bytes > 0 || self.hung_up
    }

    /// Whether there is something for a callback, if its notifier says so.
    fn has_event(&self) -> bool {
        match self.kind {
            Kind::Ping => self.pinged,
            Kind::Channel | Kind::SyncChannel => !self.messages.is_empty() || self.hung_up,
            Kind::Executor => !self.messages.is_empty(),
            Kind::Bell => self.pulls > 0,
            _ => true,
        }
    }
}

pub struct Model {
    /// What the loop observed, to follow, and what the model did of the current op.
    expected: Vec<Entry>,
    pub log: Vec<Entry>,
    sources: Vec<Source>,
    idles: VecDeque<(usize, Option<(Body, usize)>)>,
    idles_ever: usize,
    pending: VecDeque<Pending>,
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
        }
    }

    /// What the loop observed during the op that follows.
    pub fn expect(&mut self, seen: &[Entry]) {
        self.expected = seen.to_vec();
        self.log.clear();
    }

    pub fn dispatch(&mut self, timeout: u8) {
        let outcome = match self.turn(timeout.into()) {
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
        if std::mem::take(&mut self.notified) {
            self.stirred = true;
            self.collect();
        }
        self.stirred |= self.settle()?;
        self.stirred |= self.run_mail()?;
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
                source.listed = source.kind == Kind::Level && !source.emulated;
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

    // The round.

    fn deliver(&mut self) -> Flow {
        self.settle()?;
        for rank in 0..3 {
            while let Some(interest) = self.next_ready(rank) {
                self.call(interest)?;
            }
            while let Some(interest) = self.next_due(rank) {
                self.call(interest)?;
            }
        }
        Ok(())
    }

    /// The next fd or wake-up of `rank`: where the order is free, as the loop did it.
    fn next_ready(&mut self, rank: usize) -> Option<Interest> {
        let callable = |model: &Self, interest: Interest| {
            model.is_registered(interest) && model.sources[interest.0].live
        };
        let ready = std::mem::take(&mut self.ready);
        self.ready = ready.into_iter().filter(|&interest| callable(self, interest)).collect();
        let places: Vec<_> = (0..self.ready.len())
            .filter(|&place| self.sources[self.ready[place].0].rank == rank)
            .collect();
        // Fds that the same wait found lie side by side.
        let source = |place: usize| &self.sources[self.ready[place].0];
        let fds = || places.iter().copied().take_while(|&place| source(place).is_fd());
        let next = self.expected.get(self.log.len());
        let seen = |place: usize| matches!(next, Some(Entry::Called(called, _)) if *called == self.ready[place].0);
        let spent = fds().find(|&place| source(place).spent);
        let place = spent.or_else(|| fds().find(|&place| seen(place)));
        self.ready.remove(place.or(places.first().copied())?)
    }

    fn next_due(&mut self, rank: usize) -> Option<Interest> {
        let sources = &self.sources;
        let place = self.due.iter().position(|&(index, _)| {
            sources[index].rank == rank && matches!(sources[index].armed, Armed::Due(_))
        });
        let Some(place) = place else {
            self.due.retain(|&(index, _)| sources[index].rank != rank);
            return None;
        };
        let (index, _) = self.due.remove(place);
        self.sources[index].armed = Armed::No;
        Some((index, self.sources[index].generation))
    }

    fn is_registered(&self, (index, generation): Interest) -> bool {
        let source = &self.sources[index];
        source.enabled && source.generation == generation
    }

    /// Whether an event of `interest` may be delivered.
    fn begin(&mut self, interest: Interest) -> bool {
        let begins = self.is_registered(interest) && self.sources[interest.0].live;
        if begins {
            self.sources[interest.0].touched = false;
        }
        begins
    }

    fn call(&mut self, interest: Interest) -> Flow {
        if !self.begin(interest) {
            return Ok(());
        }
        self.current = Some(interest);
        let id = interest.0;
        for _ in 0..self.sources[id].budget {
            let again = match self.process(id)? {
                None => {
                    self.current = None;
                    if self.sources[id].is_notifier() {
                        self.carried.push(interest);
                    }
                    if self.sources[id].once {
                        self.finish(id);
                    }
                    self.rearm(id);
                    match self.policy {
                        Policy::Report => return Err(Stop::Failed(id)),
                        Policy::Ignore => {}
                        Policy::Disable => self.request(id, Pending::Disable(id)),
                        Policy::Remove => self.request_removal(id),
                    }
                    false
                }
                Some(End::Disable | End::Remove)
                    if self.sources[id].touched && !self.sources[id].spent =>
                {
                    self.rearm(id);
                    false
                }
                Some(action) => {
                    match action {
                        End::Reregister => self.reregister(id),
                        End::Disable => self.unregister(id),
                        End::Remove => self.finish(id),
                        End::Again => {}
                        _ => self.rearm(id),
                    }
                    action == End::Again
                }
            };
            if !again {
                self.current = None;
                return self.settle().map(drop);
            }
            self.settle()?;
            if !self.begin(interest) {
                self.current = None;
                return Ok(());
            }
        }
        self.carried.extend(self.current.take());
        Ok(())
    }

    /// What the source does with an event, and answers; `None`: an error.
    fn process(&mut self, id: usize) -> Flow<Option<End>> {
        let source = &mut self.sources[id];
        if source.spent {
            return Ok(Some(End::Remove));
        }
        if !source.has_event() {
            source.told = false;
            return Ok(Some(End::Continue));
        }
        let data = match source.kind {
            Kind::Timer(_) | Kind::Part(_) => match source.when {
                When::At(at) => Data::Timer(at),
                When::After(_) | When::Never => return Ok(Some(End::Continue)),
            },
            Kind::Interval(period) => {
                let period = i64::from(period);
                let When::At(due) = source.when else {
                    return Ok(Some(End::Continue));
                };
                let missed = (self.now - due).max(0).checked_div(period);
                let at = missed.map_or(due.max(self.now), |missed| due + missed * period);
                source.when = When::At(at + period);
                Data::Tick(at, missed.unwrap_or(0) as u64)
            }
            Kind::Ping => {
                source.pinged = false;
                Data::Ping
            }
            Kind::Bell => {
                source.pulls -= 1;
                Data::Bell
            }
            Kind::Channel | Kind::SyncChannel | Kind::Executor => {
                source.messages.pop_front().map_or(Data::Closed, Data::Msg)
            }
            _ => {
                let read = source.steps.front().is_none_or(|step| step.read);
                let bytes = if read { std::mem::take(&mut source.bytes) } else { 0 };
                Data::Fd(bytes, read && source.hung_up)
            }
        };
        source.spent = source.once;
        let depth = source.depth;
        let step = source.steps.pop_front();
        self.log.push(Entry::Called(id, data));
        let end = step.as_ref().map(|step| step.end);
        if let Some(step) = step {
            self.execute_all(&step.ops, depth + 1);
        }
        if end == Some(End::Panic) {
            return Err(Stop::Panicked);
        }
        let source = &mut self.sources[id];
        let answer = match (source.kind, end) {
            (Kind::Timer(_) | Kind::Part(_), Some(End::Again | End::Reregister | End::Disable)) => {
                source.when = match (end, source.when) {
                    (Some(End::Disable), When::At(at)) => When::At(at + 5),
                    (Some(End::Again), _) => When::After(3),
                    _ => When::After(0),
                };
                End::Reregister
            }
            (Kind::Timer(_), _) => End::Remove,
            (Kind::Part(_), _) => {
                source.when = When::Never;
                End::Reregister
            }
            (Kind::Interval(_), Some(end @ (End::Disable | End::Remove))) => end,
            (Kind::Interval(_), _) => End::Reregister,
            (Kind::Ping, _) => End::Continue,
            (Kind::Channel | Kind::SyncChannel, _) if data == Data::Closed => End::Remove,
            (Kind::Channel | Kind::SyncChannel | Kind::Executor, _) => {
                source.told = source.has_event();
                if source.told { End::Again } else { End::Continue }
            }
            (Kind::Bell, None | Some(End::Continue)) if source.pulls > 0 => End::Again,
            (_, None) => match data {
                Data::Fd(_, true) => End::Remove,
                _ => End::Continue,
            },
            (_, Some(End::Error)) => return Ok(None),
            (_, Some(end)) => end,
        };
        Ok(Some(if source.once { End::Remove } else { answer }))
    }

    /// Runs a closure.
    fn body(&mut self, entry: Entry, body: Body, depth: usize) -> Flow {
        self.log.push(entry);
        self.execute_all(&body.ops, depth + 1);
        if body.panics { Err(Stop::Panicked) } else { Ok(()) }
    }

    /// Whether there was any.
    fn run_mail(&mut self) -> Flow<bool> {
        let any = !self.mail.is_empty();
        while let Some(mail) = self.mail.pop_front() {
            match mail {
                Mail::Body(body, depth) => self.body(Entry::Ran("posted"), body, depth)?,
                Mail::Remove(id) => self.request_removal(id),
            }
            self.settle()?;
        }
        Ok(any)
    }

    // Ops.

    /// Whether closures ran.
    fn settle(&mut self) -> Flow<bool> {
        let mut ran = false;
        while let Some(op) = self.pending.pop_front() {
            match op {
                Pending::Stored(id) => self.sources[id].stored = true,
                Pending::Enable(id) => self.register(id),
                Pending::Disable(id) => self.unregister(id),
                Pending::Update(id, to) => {
                    if self.sources[id].dropped {
                        continue;
                    }
                    match self.sources[id].kind {
                        Kind::Part(_) if matches!(self.sources[id].when, When::Never) => {}
                        Kind::Timer(_) | Kind::Part(_) => {
                            self.sources[id].when = When::After(to.into());
                        }
                        Kind::Interval(period) if period == to => {}
                        Kind::Interval(_) => {
                            self.sources[id].kind = Kind::Interval(to);
                            self.sources[id].when = When::After(to.into());
                        }
                        Kind::Level | Kind::Edge | Kind::OneShot => {
                            let kinds = [Kind::Level, Kind::Edge, Kind::OneShot];
                            self.sources[id].kind = kinds[usize::from(to) % 3];
                        }
                        _ => {}
                    }
                    self.reregister(id);
                }
                Pending::Remove(id) => self.remove(id),
                Pending::Take(id, body, depth) => {
                    if self.sources[id].dropped {
                        continue;
                    }
                    self.remove(id);
                    ran = true;
                    self.body(Entry::Taken(id), body, depth)?;
                }
                Pending::Visit(id, body, depth) => {
                    if self.sources[id].dropped {
                        continue;
                    }
                    ran = true;
                    self.body(Entry::Visited(id), body, depth)?;
                }
            }
        }
        Ok(ran)
    }

    fn register(&mut self, id: usize) {
        let source = &mut self.sources[id];
        if source.enabled || source.dropped {
            return;
        }
        source.enabled = true;
        source.generation += 1;
        source.listed = true;
        source.queued = false;
        source.told = source.has_event();
        if source.is_notifier() && source.has_event() {
            self.notify(id);
        }
        self.arm(id);
    }

    fn reregister(&mut self, id: usize) {
        if self.sources[id].enabled {
            let source = &mut self.sources[id];
            source.listed = true;
            if source.has_messages() {
                let has_event = source.has_event();
                // An executor that has nothing leaves it at that.
                source.told = has_event || source.told && source.kind == Kind::Executor;
                if has_event {
                    self.notify(id);
                }
            }
            self.arm(id);
        }
    }

    /// What the loop does after each event of an fd whose mode it emulates.
    fn rearm(&mut self, id: usize) {
        if self.sources[id].emulated && self.sources[id].kind == Kind::Level {
            self.reregister(id);
        }
    }

    fn unregister(&mut self, id: usize) {
        let source = &mut self.sources[id];
        source.enabled = false;
        source.armed = Armed::No;
    }

    /// The removal that a source asked for by its answer.
    fn finish(&mut self, id: usize) {
        self.sources[id].live = false;
        self.remove(id);
    }

    fn remove(&mut self, id: usize) {
        self.unregister(id);
        self.sources[id].dropped = true;
    }

    fn arm(&mut self, id: usize) {
        let source = &mut self.sources[id];
        if let Kind::Timer(_) | Kind::Part(_) | Kind::Interval(_) = source.kind {
            if matches!(source.when, When::Never) {
                source.armed = Armed::No;
            }
            if let When::After(after) = source.when {
                source.when = When::At(self.now + after);
            }
            if let When::At(at) = source.when {
                // Armed for the same, it keeps its turn.
                if matches!(source.armed, Armed::At(to, _) | Armed::Due(to) if to == at) {
                    return;
                }
                source.armed = Armed::At(at, self.armings);
                self.armings += 1;
            }
        }
    }

    fn notify(&mut self, id: usize) {
        let source = &mut self.sources[id];
        if !source.queued {
            source.queued = true;
            let interest = (id, source.generation);
            self.woken.push(Woken::Interest(interest));
            self.notified = true;
        }
    }

    fn request(&mut self, id: usize, op: Pending) {
        if self.sources[id].live {
            self.sources[id].touched |= !matches!(op, Pending::Visit(..));
            self.pending.push_back(op);
        }
    }

    fn request_removal(&mut self, id: usize) {
        self.request(id, Pending::Remove(id));
        self.sources[id].live = false;
    }

    fn execute_all(&mut self, ops: &[Op], depth: usize) {
        if depth <= DEPTH {
            ops.iter().for_each(|op| self.execute(op, depth));
        }
    }

    pub fn execute(&mut self, op: &Op, depth: usize) {
        let picked = |pick: Pick| pick.of(self.sources.len());
        let (name, done) = match op {
            Op::Insert(kind, options, steps) => {
                self.insert(*kind, *options, steps, depth);
                ("insert", true)
            }
            Op::Remove(pick) => ("remove", self.ask(picked(*pick), Pending::Remove)),
            Op::Enable(pick) => ("enable", self.ask(picked(*pick), Pending::Enable)),
            Op::Disable(pick) => ("disable", self.ask(picked(*pick), Pending::Disable)),
            Op::Update(pick, to) => {
                ("update", self.ask(picked(*pick), |id| Pending::Update(id, *to)))
            }
            Op::Take(pick, body) => {
                ("take", self.ask(picked(*pick), |id| Pending::Take(id, body.clone(), depth)))
            }
            Op::Visit(pick, body) => {
                ("visit", self.ask(picked(*pick), |id| Pending::Visit(id, body.clone(), depth)))
            }
            Op::Idle(body) => {
                self.idles.push_back((self.idles_ever, Some((body.clone(), depth))));
                self.idles_ever += 1;
                ("idle", true)
            }
            Op::CancelIdle(pick) => {
                let number = pick.of(self.idles_ever);
                let idle = self.idles.iter_mut().find(|idle| Some(idle.0) == number);
                ("cancel", idle.is_some_and(|idle| idle.1.take().is_some()))
            }
            Op::Poke(pick) => ("poke", picked(*pick).is_some_and(|id| self.poke(id))),
            Op::HangUp(pick) => {
                if let Some(id) = picked(*pick)
                    && !std::mem::replace(&mut self.sources[id].hung_up, true)
                {
                    self.sources[id].listed |= self.sources[id].is_edge();
                    if matches!(self.sources[id].kind, Kind::Channel | Kind::SyncChannel) {
                        self.tell(id);
                    }
                }
                ("hang up", true)
            }
            Op::Post(body) => {
                self.post(Mail::Body(body.clone(), depth));
                ("post", true)
            }
            Op::RemoteRemove(pick) => {
                let id = picked(*pick);
                if let Some(id) = id {
                    self.post(Mail::Remove(id));
                }
                ("remote", id.is_some())
            }
            Op::Wakeup => {
                self.notified = true;
                ("wake", true)
            }
            Op::Policy(policy) => {
                self.policy = *policy;
                ("policy", true)
            }
            Op::Advance(by) => {
                self.now += i64::from(*by);
                ("advance", true)
            }
            Op::Dispatch(_) => return,
        };
        self.log.push(Entry::Did(name, done));
    }

    fn ask(&mut self, id: Option<usize>, op: impl FnOnce(usize) -> Pending) -> bool {
        let Some(id) = id.filter(|&id| self.sources[id].live) else { return false };
        let op = op(id);
        let removes = matches!(op, Pending::Remove(_) | Pending::Take(..));
        self.request(id, op);
        self.sources[id].live = !removes;
        true
    }

    fn post(&mut self, mail: Mail) {
        if self.mailbox.is_empty() {
            self.woken.push(Woken::Mail);
            self.notified = true;
        }
        self.mailbox.push_back(mail);
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
                self.messages += 1;
                let full = source.kind == Kind::SyncChannel && source.messages.len() >= BOUND;
                let closed = source.hung_up && source.kind != Kind::Executor;
                if closed || source.dropped || full {
                    return false;
                }
                source.messages.push_back(self.messages);
                self.tell(id);
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
    fn tell(&mut self, id: usize) {
        let source = &mut self.sources[id];
        if !source.told && source.enabled {
            source.told = true;
            self.notify(id);
        }
    }

    fn insert(&mut self, kind: Kind, options: Options, steps: &[Step], depth: usize) {
        let id = self.sources.len();
        let after = match kind {
            Kind::Timer(after) | Kind::Part(after) | Kind::Interval(after) => after.into(),
            _ => 0,
        };
        let (kind, emulated) = match kind {
            Kind::MioLevel => (Kind::Level, true),
            Kind::MioEdge => (Kind::Edge, true),
            Kind::MioOneShot => (Kind::OneShot, true),
            kind => (kind, false),
        };
        let custom = !options.once;
        self.sources.push(Source {
            kind,
            emulated,
            rank: if custom { [1, 0, 2][usize::from(options.priority) % 3] } else { 1 },
            budget: match options.budget % 4 {
                1..=3 if custom => (options.budget % 4).into(),
                _ => 1024,
            },
            once: options.once,
            spent: false,
            steps: steps.to_vec().into(),
            depth,
            live: true,
            stored: false,
            dropped: false,
            enabled: false,
            touched: false,
            generation: 0,
            when: When::After(after),
            armed: Armed::No,
            bytes: 0,
            hung_up: false,
            listed: false,
            queued: false,
            pinged: false,
            pulls: 0,
            messages: VecDeque::new(),
            told: false,
        });
        self.register(id);
        self.pending.push_back(Pending::Stored(id));
    }
}
