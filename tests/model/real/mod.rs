//! A program on the real loop, on a manual clock.

mod insert;
#[cfg(not(mio_unsupported_force_poll_poll))]
pub mod law;
mod named;
mod script;
mod sources;
mod system;
mod tasks;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use soloop::{
    Clock, Error, ErrorAction, EventLoop, IdleToken, LocalRemote, LoopData, LoopHandle, Mode,
    Priority, Remote, Scope, SourceOptions,
};

use self::named::{Named, Source, with_token};
use self::script::{Planned, drain, planned_panic};
use super::log::{Entry, Log, Outcome, View};
use super::ops::{Body, DEPTH, Kind, Op, Pick, Policy, RUN, SCOPES, signals};

const MODES: [Mode; 3] = [Mode::Level, Mode::Edge, Mode::OneShot];

fn ms(count: u8) -> Duration {
    Duration::from_millis(count.into())
}

pub struct World {
    handle: LoopHandle<World>,
    clock: Clock,
    epoch: Instant,
    remote: Remote<World>,
    local: LocalRemote<World>,
    sources: Vec<Source>,
    idles: Vec<IdleToken>,
    scopes: [Scope; SCOPES],
    policy: Policy,
    messages: u32,
    /// The kinds that were inserted.
    kinds: Vec<Kind>,
    /// By how much the clock was moved.
    advanced: Duration,
    children: usize,
    runs_until: bool,
    /// A callback made a timer on the wall's clock due.
    wall_due: bool,
    pub log: Log,
    /// Everything that the loop holds for the program holds one of these.
    held: Arc<()>,
}

impl LoopData for World {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl World {
    pub fn new() -> (EventLoop<Self>, Self) {
        let clock = Clock::manual();
        let (mut event_loop, handle) = EventLoop::with_clock(clock.clone()).unwrap();
        event_loop.on_error(|_, world: &mut Self| match world.policy {
            Policy::Report => ErrorAction::Report,
            Policy::Ignore => ErrorAction::Ignore,
            Policy::Disable => ErrorAction::Disable,
            Policy::Remove => ErrorAction::Remove,
        });
        let world = Self {
            epoch: clock.now(),
            clock,
            remote: handle.remote(),
            local: handle.local_remote(),
            handle,
            sources: Vec::new(),
            idles: Vec::new(),
            scopes: Default::default(),
            policy: Policy::Report,
            messages: 0,
            kinds: Vec::new(),
            advanced: Duration::ZERO,
            children: 0,
            runs_until: false,
            wall_due: false,
            log: Log::default(),
            held: Arc::new(()),
        };
        (event_loop, world)
    }

    /// A step of a program.
    pub fn step(&mut self, event_loop: &mut EventLoop<Self>, op: &Op) {
        match op {
            Op::Dispatch(timeout) => self.dispatch(event_loop, *timeout),
            Op::Run(timeout) => self.run(event_loop, *timeout),
            Op::RunUntil(after) => self.run_until(event_loop, *after),
            Op::Settle => self.attempt(|world| event_loop.apply_pending(world)),
            op => self.execute(op.clone(), 1),
        }
    }

    pub fn dispatch(&mut self, event_loop: &mut EventLoop<Self>, timeout: u8) {
        self.wait_for_expiry();
        self.attempt(|world| event_loop.dispatch(ms(timeout), world));
    }

    fn run(&mut self, event_loop: &mut EventLoop<Self>, timeout: u8) {
        self.wait_for_expiry();
        let mut dispatches = 0;
        let after_each = move |world: &mut Self| {
            dispatches += 1;
            if dispatches == RUN {
                world.handle.stop();
            }
            world.wait_for_expiry();
        };
        self.attempt(|world| event_loop.run(ms(timeout), world, after_each));
    }

    fn run_until(&mut self, event_loop: &mut EventLoop<Self>, after: u8) {
        if self.kinds.iter().all(|kind| kind.lets_time_pass()) {
            let deadline = self.clock.now() + ms(after);
            self.runs_until = true;
            self.attempt(|world| event_loop.run_until(deadline, world));
            self.runs_until = false;
        }
    }

    /// Returns when what a callback made due on the wall's clock has expired.
    fn wait_for_expiry(&mut self) {
        if std::mem::take(&mut self.wall_due) {
            system::wait_for_expiry();
        }
    }

    /// Whether a source of this kind was ever inserted.
    fn has_had(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    fn attempt(&mut self, turn: impl FnOnce(&mut Self) -> soloop::Result<()>) {
        let result = catch_unwind(AssertUnwindSafe(|| turn(self)));
        let outcome = match result {
            Ok(Ok(())) => Outcome::Fine,
            Ok(Err(Error::Source { token, .. })) => {
                let failed = |source: &Source| source.token.any() == token;
                Outcome::Failed(self.sources.iter().position(failed).unwrap())
            }
            Ok(Err(error)) => panic!("the loop failed: {error}"),
            Err(panic) if panic.is::<Planned>() => Outcome::Panicked,
            Err(panic) => resume_unwind(panic),
        };
        self.log.push(Entry::Dispatched(outcome));
        let now = self.clock.now().duration_since(self.epoch).as_millis() as u64;
        self.log.push(Entry::Now(now));
    }

    pub fn execute_all(&mut self, ops: Vec<Op>, depth: usize) {
        if depth <= DEPTH {
            ops.into_iter().for_each(|op| self.execute(op, depth));
        }
    }

    /// An op of the handle's, or of the world around the loop.
    pub fn execute(&mut self, op: Op, depth: usize) {
        let answer = match op {
            Op::Insert(kind, options, steps) => {
                ("insert", self.insert(kind, options, steps, depth))
            }
            Op::Remove(pick) => {
                ("remove", self.pick(pick).is_some_and(|(_, t)| self.handle.remove(t.any())))
            }
            Op::Enable(pick) => {
                ("enable", self.pick(pick).is_some_and(|(_, t)| self.handle.enable(t.any())))
            }
            Op::Disable(pick) => {
                ("disable", self.pick(pick).is_some_and(|(_, t)| self.handle.disable(t.any())))
            }
            Op::Take(pick, body) => ("take", self.take(pick, body, depth)),
            Op::Visit(pick, body) => ("visit", self.visit(pick, body, depth)),
            Op::Inspect(pick, body) => {
                self.inspect(pick, body, depth);
                ("inspect", true)
            }
            Op::Update(pick, to) => ("update", self.update(pick, to)),
            Op::Move(pick, to) => ("move", self.move_timer(pick, to)),
            Op::Idle(body, scope) => {
                let body = self.body(body, depth);
                let idle = move |world: &mut World| body(Entry::Ran("idle"), world);
                let token = match self.in_scope(SourceOptions::new(), scope) {
                    Some(options) => self.handle.insert_idle_with(options, idle),
                    None => self.handle.insert_idle(idle),
                };
                self.idles.push(token);
                ("idle", true)
            }
            Op::CancelIdle(pick) => {
                let idle = pick.of(self.idles.len()).map(|index| self.idles[index]);
                ("cancel", idle.is_some_and(|idle| self.handle.cancel_idle(idle)))
            }
            Op::Poke(pick) => {
                self.messages += 1;
                let index = pick.of(self.sources.len());
                let poke = |index: usize| self.sources[index].end.poke(self.messages);
                ("poke", index.is_some_and(poke))
            }
            Op::HangUp(pick) => {
                let index = pick.of(self.sources.len());
                index.inspect(|index| self.sources[*index].end.hang_up());
                ("hang up", true)
            }
            Op::ClearScope(which) => {
                let scope = &self.scopes[usize::from(which) % SCOPES];
                self.log.push(Entry::Members(scope.len()));
                scope.clear();
                ("clear", true)
            }
            Op::DropScope(which) => {
                let scope = &mut self.scopes[usize::from(which) % SCOPES];
                self.log.push(Entry::Members(scope.len()));
                *scope = Scope::new();
                ("drop", true)
            }
            Op::Post(body) => {
                let body = self.body(body, depth);
                ("post", self.remote.post(move |world| body(Entry::Ran("posted"), world)))
            }
            Op::PostLocal(body) => {
                let body = self.body(body, depth);
                ("local", self.local.post(move |world| body(Entry::Ran("local"), world)))
            }
            Op::RemoteInsert(after, scope, steps) => {
                ("remote insert", self.insert_by_remote(after, scope, steps, depth))
            }
            Op::RemoteRemove(pick) => (
                "remote",
                self.pick(pick).is_some_and(|(_, token)| self.remote.remove(token.any())),
            ),
            Op::Wakeup => {
                self.remote.wakeup();
                ("wake", true)
            }
            Op::Stop => {
                self.handle.stop();
                ("stop", true)
            }
            Op::Policy(policy) => {
                self.policy = policy;
                ("policy", true)
            }
            Op::Advance(by) => {
                self.clock.advance(ms(by));
                self.advanced += ms(by);
                ("advance", true)
            }
            Op::Dispatch(_) | Op::Run(_) | Op::RunUntil(_) | Op::Settle => return,
        };
        self.log.push(Entry::Did(answer.0, answer.1));
    }

    fn pick(&self, pick: Pick) -> Option<(usize, Named)> {
        pick.of(self.sources.len()).map(|index| (index, self.sources[index].token))
    }

    /// A closure that does what `body` says.
    fn body(&self, body: Body, depth: usize) -> impl FnOnce(Entry, &mut World) + Send + use<> {
        let held = Arc::clone(&self.held);
        move |entry, world| {
            let _held = held;
            world.log.push(entry);
            world.execute_all(body.ops, depth + 1);
            if body.panics {
                planned_panic();
            }
        }
    }

    fn take(&mut self, pick: Pick, body: Body, depth: usize) -> bool {
        let Some((id, token)) = self.pick(pick) else { return false };
        let body = self.body(body, depth);
        with_token!(token, token => self.handle.take(token, move |source, world| {
            drop(Box::new(source));
            body(Entry::Taken(id), world);
        }))
    }

    fn visit(&mut self, pick: Pick, body: Body, depth: usize) -> bool {
        let Some((id, token)) = self.pick(pick) else { return false };
        let body = self.body(body, depth);
        let visited = Entry::Visited(id);
        match token {
            Named::Fd(token) => self.handle.visit(token, move |source, world| {
                drain(source.get_mut());
                body(visited, world);
            }),
            Named::Mio(token) => self.handle.visit(token, move |source, world| {
                drain(source.get_mut());
                body(visited, world);
            }),
            token => with_token!(token, token => {
                self.handle.visit(token, move |_, world| body(visited, world))
            }),
        }
    }

    fn inspect(&mut self, pick: Pick, body: Body, depth: usize) {
        let source = self.pick(pick);
        let body = self.body(body, depth);
        self.handle.inspect(move |event_loop, world: &mut World| {
            let view = world.view(event_loop, source.map(|(_, token)| token));
            body(Entry::Inspected(view), world);
        });
    }

    fn view(&self, event_loop: &EventLoop<Self>, token: Option<Named>) -> View {
        let table = event_loop.sources(&self.handle);
        let row = token.and_then(|token| table.rows.iter().find(|row| row.token == token.any()));
        let stored =
            token.is_some_and(|token| with_token!(token, token => event_loop.get(token).is_some()));
        assert_eq!(row.is_some(), stored);
        let rank = |priority| match priority {
            Priority::High => 0,
            Priority::Normal => 1,
            _ => 2,
        };
        View {
            sources: table.rows.len(),
            rounds: event_loop.stats().rounds,
            source: row.map(|row| (row.enabled, rank(row.priority))),
            live: token.is_some_and(|token| self.handle.contains(token.any())),
        }
    }

    fn move_timer(&mut self, pick: Pick, to: u8) -> bool {
        match self.pick(pick) {
            Some((_, Named::Timer(token))) => {
                self.handle.set_deadline(token, self.handle.now() + ms(to))
            }
            _ => false,
        }
    }

    fn update(&mut self, pick: Pick, to: u8) -> bool {
        let Some((_, token)) = self.pick(pick) else { return false };
        let held = Arc::clone(&self.held);
        let handle = &mut self.handle;
        match token {
            Named::Timer(token) => handle.update(token, move |timer| {
                let _ = &held;
                timer.set_duration(ms(to));
            }),
            Named::Part(token) => handle.update(token, move |part| {
                let _ = &held;
                part.map(|timer| timer.set_duration(ms(to)));
            }),
            Named::Interval(token) => handle.update(token, move |interval| {
                let _ = &held;
                interval.set_period(ms(to));
            }),
            Named::Fd(token) => handle.update(token, move |source| {
                let _ = &held;
                source.mode = MODES[usize::from(to) % 3];
            }),
            Named::Mio(token) => handle.update(token, move |source| {
                let _ = &held;
                source.mode = MODES[usize::from(to) % 3];
            }),
            Named::Signals(token) => handle.update(token, move |noted| {
                let _ = &held;
                let numbers: Vec<_> = system::numbers(signals(to)).collect();
                noted.source.set_signals(numbers).unwrap();
            }),
            Named::Wall(token) => handle.update(token, move |noted| {
                let _ = &held;
                system::set_wall_timer(&mut noted.source, to);
            }),
            token => with_token!(token, token => handle.update(token, move |_| {
                let _ = &held;
            })),
        }
    }

    /// Removes everything, and checks that nothing is left of it.
    pub fn end(mut self, mut event_loop: EventLoop<Self>) {
        self.policy = Policy::Ignore;
        self.remove_all(&event_loop);
        for idle in std::mem::take(&mut self.idles) {
            self.handle.cancel_idle(idle);
        }
        // What is pending may insert anew and panic, as often as there are ops: it gets no further than that.
        let mut rounds = 0;
        while Arc::strong_count(&self.held) > 1 {
            self.dispatch(&mut event_loop, 0);
            rounds += 1;
            assert!(rounds < 10_000, "the loop holds on to {}", Arc::strong_count(&self.held) - 1);
            self.remove_all(&event_loop);
        }
        self.dispatch(&mut event_loop, 0);
        assert!(self.sources.iter().all(|source| !self.handle.contains(source.token.any())));
        assert!(self.scopes.iter().all(Scope::is_empty), "{:?}", self.scopes);
        assert!(format!("{event_loop:?}").contains("num_elems: 0"), "{event_loop:?}");
        let (_, new) = Self::new();
        assert_eq!(format!("{:?}", self.handle), format!("{:?}", new.handle));
    }

    fn remove_all(&mut self, event_loop: &EventLoop<Self>) {
        for source in &self.sources {
            self.handle.remove(source.token.any());
        }
        // Of the others the tokens are not known.
        self.scopes.iter().for_each(Scope::clear);
        for row in event_loop.sources(&self.handle).rows {
            self.handle.remove(row.token);
        }
    }
}
