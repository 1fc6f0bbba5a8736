//! How the sources of each kind are made and inserted.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};

use soloop::channel::Event;
use soloop::{
    Child, EventLoop, EventSource, Executor, Generic, InsertError, Interest, Interval, JoinHandle,
    LoopHandle, MioSource, Mode, Priority, Ready, Scheduler, Scope, Signals, SourceOptions, Timer,
    Token, TransientSource, make_ping,
};

use super::named::{Named, OtherEnd, Source};
use super::script::{Caller, Script};
use super::sources::{Bell, Noted, Rope};
use super::system::{Leash, numbers, wall_timer};
use super::tasks::{self, First, Gate};
use super::{World, ms};
use crate::model::ops::{BOUND, CHILDREN, Kind, Options, Pick, SCOPES, Step, signals};

/// A source that can be inserted in each of the ways.
struct Insertion<'a> {
    handle: &'a mut LoopHandle<World>,
    /// `None`: all are the defaults.
    settings: Option<SourceOptions>,
    once: bool,
    part: bool,
}

impl Insertion<'_> {
    fn insert<S, F>(self, source: S, callback: F) -> Token<S>
    where
        S: EventSource,
        F: FnMut(S::Event<'_>, &mut World) -> S::Ret + 'static,
    {
        let handle = self.handle;
        let inserted = match (self.settings, self.once, self.part) {
            (None, true, _) => handle.insert_once(source, callback).map_err(Into::into),
            (Some(settings), true, _) => {
                handle.insert_once_with(settings, source, callback).map_err(Into::into)
            }
            (settings, false, true) => {
                handle.insert_part(settings.unwrap_or_default(), source, whole, callback)
            }
            (None, false, false) => handle.insert_source(source, callback),
            (Some(settings), false, false) => handle.insert_source_with(settings, source, callback),
        };
        inserted.map_err(|InsertError { error, .. }| error).unwrap()
    }
}

impl World {
    /// Whether a program may have one more.
    pub fn insert(&mut self, kind: Kind, options: Options, steps: Vec<Step>, depth: usize) -> bool {
        if kind.is_child() {
            if self.children == CHILDREN {
                return false;
            }
            self.children += 1;
        }
        self.kinds.push(kind);
        if self.runs_until && !kind.lets_time_pass() {
            self.handle.stop();
        }
        let mut script = Script {
            caller: Caller { id: self.sources.len(), depth },
            steps: steps.into(),
            log: self.log.clone(),
            _held: Arc::clone(&self.held),
        };
        let (source, brought) = match kind {
            Kind::Task => (self.insert_task(options, script, First::Nothing), None),
            Kind::Waiter(pick) => {
                let other = self.take_join_handle(pick);
                (self.insert_task(options, script, other.map_or(First::Nothing, First::Join)), None)
            }
            Kind::Once(_) | Kind::Parent => {
                let (first, end) = self.bring(kind, &mut script);
                let token = Named::Timer(dead_token());
                (self.insert_task(options, script, first), Some(Source { token, end }))
            }
            kind => (self.insert_source(kind, options, script), None),
        };
        self.kinds.extend(kind.brings());
        self.sources.push(source);
        self.sources.extend(brought);
        true
    }

    /// What a task of this kind inserts, and the other end of that.
    fn bring(&self, kind: Kind, script: &mut Script) -> (First, OtherEnd) {
        let (id, log) = (script.caller.id + 1, self.log.clone());
        match kind {
            Kind::Once(after) if kind.brings() == Some(Kind::Timer(after)) => {
                let source = Timer::from_duration(ms(after));
                (First::Timer(Noted { source, id, log }), OtherEnd::None)
            }
            Kind::Once(_) => {
                let (ping, source) = make_ping();
                (First::Ping(Noted { source, id, log }), OtherEnd::Ping(ping))
            }
            _ => {
                let steps = script.steps.split_off(script.steps.len().min(1));
                let caller = Caller { id, depth: script.caller.depth };
                let held = Arc::clone(&self.held);
                let script = move || Script { caller, steps, log, _held: held };
                let gate = Arc::<Gate>::default();
                (First::Spawn(Box::new(script), Arc::clone(&gate)), OtherEnd::Task(gate, None))
            }
        }
    }

    /// Has a remote insert a timer: its number is known at once, and its token to nobody.
    pub fn insert_by_remote(
        &mut self,
        after: u8,
        scope: u8,
        steps: Vec<Step>,
        depth: usize,
    ) -> bool {
        self.kinds.push(Kind::Timer(after));
        let mut script = Script {
            caller: Caller { id: self.sources.len(), depth },
            steps: steps.into(),
            log: self.log.clone(),
            _held: Arc::clone(&self.held),
        };
        self.sources.push(Source { token: Named::Timer(dead_token()), end: OtherEnd::None });
        let options = SourceOptions::new().scope(&self.scopes[usize::from(scope) % SCOPES]);
        self.remote.insert_with(
            options,
            Timer::from_duration(ms(after)),
            move |deadline, world: &mut World| script.timer(deadline, world),
        )
    }

    fn settings(&self, options: Options) -> Option<SourceOptions> {
        let Options { priority, budget, scope, .. } = options;
        if (priority % 3, budget % 4, scope % 4) == (0, 0, 0) {
            return None;
        }
        let mut settings = SourceOptions::new().priority(match priority % 3 {
            0 => Priority::Normal,
            1 => Priority::High,
            _ => Priority::Low,
        });
        if budget % 4 > 0 {
            settings = settings.budget((budget % 4).into());
        }
        Some(self.in_scope(settings.clone(), scope).unwrap_or(settings))
    }

    /// `settings` in the first scope, the second, or one that is gone.
    pub fn in_scope(&self, settings: SourceOptions, scope: u8) -> Option<SourceOptions> {
        match usize::from(scope % 4) {
            0 => None,
            n @ 1..=SCOPES => Some(settings.scope(&self.scopes[n - 1])),
            _ => Some(settings.scope(&Scope::new())),
        }
    }

    fn take_join_handle(&mut self, pick: Pick) -> Option<JoinHandle<u32>> {
        let index = pick.of(self.sources.len())?;
        match &mut self.sources[index].end {
            OtherEnd::Task(_, join) => join.take(),
            _ => None,
        }
    }

    fn insert_task(&mut self, options: Options, script: Script, first: First) -> Source {
        let gate = Arc::<Gate>::default();
        let ours = Arc::clone(&gate);
        let (token, join) = if options.once {
            let token = self.handle.spawn(|cx| async {
                tasks::run(cx, script, ours, first).await;
            });
            (token, None)
        } else {
            let settings = self.settings(options).unwrap_or_default();
            let join = self.handle.spawn_with(settings, |cx| tasks::run(cx, script, ours, first));
            (join.token(), Some(join))
        };
        Source { token: Named::Task(token), end: OtherEnd::Task(gate, join) }
    }

    fn insert_source(&mut self, kind: Kind, options: Options, mut script: Script) -> Source {
        let (id, log) = (script.caller.id, self.log.clone());
        let settings = self.settings(options);
        let Options { once, part, .. } = options;
        let insertion = Insertion { handle: &mut self.handle, settings, once, part };
        let (token, end) = match kind {
            Kind::Timer(after) => {
                let timer = Timer::from_duration(ms(after));
                let call = move |deadline, world: &mut World| script.timer(deadline, world);
                let Insertion { handle, settings, once, part } = insertion;
                let token = match settings {
                    None if !once && !part => handle.insert_timer(timer, call),
                    settings => Insertion { handle, settings, once, part }.insert(timer, call),
                };
                (Named::Timer(token), OtherEnd::None)
            }
            Kind::Part(after) => {
                let part = TransientSource::from(Timer::from_duration(ms(after)));
                let call = move |deadline, world: &mut World| script.timer(deadline, world);
                (Named::Part(insertion.insert(part, call)), OtherEnd::None)
            }
            Kind::Interval(period) => {
                let call = soloop::map_data(whole, move |tick, world| script.interval(tick, world));
                (Named::Interval(insertion.insert(Interval::new(ms(period)), call)), OtherEnd::None)
            }
            Kind::Ping => {
                let (ping, source) = make_ping();
                let call = move |(), world: &mut World| script.ping(world);
                (Named::Ping(insertion.insert(source, call)), OtherEnd::Ping(ping))
            }
            Kind::Channel => {
                let (sender, source) = soloop::channel();
                let call = move |event, world: &mut World| script.message(event, world);
                let token = insertion.insert(source, call);
                (Named::Channel(token), OtherEnd::Channel(Some(sender)))
            }
            Kind::SyncChannel => {
                let (sender, source) = soloop::sync_channel(BOUND);
                let call = move |event, world: &mut World| script.message(event, world);
                let token = insertion.insert(source, call);
                (Named::Channel(token), OtherEnd::SyncChannel(Some(sender)))
            }
            Kind::Executor => {
                let (source, scheduler): (Executor<u32>, Scheduler<u32>) = soloop::executor();
                let call =
                    move |message, world: &mut World| script.message(Event::Msg(message), world);
                let token = insertion.insert(source, call);
                (Named::Executor(token), OtherEnd::Scheduler(scheduler))
            }
            Kind::Level | Kind::Edge | Kind::OneShot => {
                let (ours, theirs) = pair();
                let source = Generic::new(theirs, Interest::READ, mode(kind));
                let call = move |ready: Ready<'_, UnixStream>, world: &mut World| {
                    script.fd(ready.io, world)
                };
                (Named::Fd(insertion.insert(source, call)), OtherEnd::Fd(Some(ours)))
            }
            Kind::MioLevel | Kind::MioEdge | Kind::MioOneShot => {
                let (ours, theirs) = pair();
                let theirs = mio::net::UnixStream::from_std(theirs);
                let source = MioSource::new(theirs, Interest::READ, mode(kind));
                let call = move |ready: Ready<'_, mio::net::UnixStream>, world: &mut World| {
                    script.fd(ready.io, world)
                };
                (Named::Mio(insertion.insert(source, call)), OtherEnd::Fd(Some(ours)))
            }
            Kind::Bell => {
                let rope = Arc::<Rope>::default();
                let call = move |(), world: &mut World| script.bell(world);
                (Named::Bell(insertion.insert(Bell::new(&rope), call)), OtherEnd::Bell(rope))
            }
            Kind::Signals(which) => {
                let which = signals(which);
                let source = Signals::new(numbers(which).collect::<Vec<_>>()).unwrap();
                let call = move |signal, world: &mut World| script.signal(signal, world);
                let token = insertion.insert(Noted { source, id, log }, call);
                (Named::Signals(token), OtherEnd::Signals(which))
            }
            Kind::Child | Kind::EndedChild => {
                let (child, mut leash) = Leash::spawn();
                if kind == Kind::EndedChild {
                    leash.end(None);
                }
                let source = Child::new(child).unwrap();
                let call = move |status, world: &mut World| script.child(status, world);
                let token = insertion.insert(Noted { source, id, log }, call);
                (Named::Child(token), OtherEnd::Child(leash))
            }
            Kind::Wall(n) => {
                let source = wall_timer(n);
                let call = move |event, world: &mut World| script.wall(event, world);
                let token = insertion.insert(Noted { source, id, log }, call);
                (Named::Wall(token), OtherEnd::None)
            }
            Kind::Stream => insert_stream(insertion, script),
            Kind::Task | Kind::Waiter(_) | Kind::Once(_) | Kind::Parent => {
                unreachable!("it is spawned")
            }
        };
        Source { token, end }
    }
}

/// A token that names nothing.
fn dead_token() -> Token<Timer> {
    static DEAD: OnceLock<Token<Timer>> = OnceLock::new();
    *DEAD.get_or_init(|| {
        let (event_loop, mut handle) = EventLoop::<World>::new().unwrap();
        drop(event_loop);
        handle.insert_timer(Timer::never(), |_, _| unreachable!())
    })
}

/// The part of the state that is all of it.
fn whole(world: &mut World) -> &mut World {
    world
}

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    (ours, theirs)
}

fn mode(kind: Kind) -> Mode {
    match kind {
        Kind::Level | Kind::MioLevel => Mode::Level,
        Kind::Edge | Kind::MioEdge => Mode::Edge,
        _ => Mode::OneShot,
    }
}

#[cfg(feature = "futures-core")]
fn insert_stream(insertion: Insertion<'_>, mut script: Script) -> (Named, OtherEnd) {
    let feed = tasks::Feed::default();
    let source = soloop::StreamSource::new(feed.clone());
    let call = move |item: Option<u32>, world: &mut World| {
        script.message(item.map_or(Event::Closed, Event::Msg), world);
    };
    (Named::Stream(insertion.insert(source, call)), OtherEnd::Feed(feed))
}

#[cfg(not(feature = "futures-core"))]
fn insert_stream(_: Insertion<'_>, _: Script) -> (Named, OtherEnd) {
    unreachable!("there is no such source")
}
