//! A program on the real loop, on a manual clock.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use soloop::{
    AnyToken, Channel, Clock, Error, ErrorAction, EventLoop, EventSource, Executor, Generic,
    IdleToken, InsertError, Interest, InterestToken, Interval, LoopData, LoopHandle, MioSource,
    Mode, Notifier, Ping, PingSource, PostAction, Priority, Readiness, Registrar, Remote,
    Scheduler, Sender, SourceOptions, SyncSender, Tick, TimeoutAction, Timer, Token,
    TransientSource, channel, make_ping,
};

use super::ops::{
    BOUND, Body, DEPTH, Data, End, Entry, Kind, Op, Options, Outcome, Pick, Policy, Step,
};

const MODES: [Mode; 3] = [Mode::Level, Mode::Edge, Mode::OneShot];

pub fn ms(count: u8) -> Duration {
    Duration::from_millis(count.into())
}

pub struct World {
    handle: LoopHandle<World>,
    clock: Clock,
    epoch: Instant,
    remote: Remote<World>,
    sources: Vec<Source>,
    idles: Vec<IdleToken>,
    policy: Policy,
    messages: u32,
    pub log: Vec<Entry>,
    /// Everything that the loop holds for the program holds one of these.
    held: Arc<()>,
}

impl LoopData for World {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

struct Source {
    token: Named,
    end: OtherEnd,
}

#[derive(Clone, Copy)]
enum Named {
    Timer(Token<Timer>),
    Part(Token<TransientSource<Timer>>),
    Interval(Token<Interval>),
    Ping(Token<PingSource>),
    Channel(Token<Channel<u32>>),
    Fd(Token<Generic<UnixStream>>),
    Mio(Token<MioSource<mio::net::UnixStream>>),
    Executor(Token<Executor<u32>>),
    Bell(Token<Bell>),
}

enum OtherEnd {
    None,
    Ping(Ping),
    Channel(Option<Sender<u32>>),
    SyncChannel(Option<SyncSender<u32>>),
    Scheduler(Scheduler<u32>),
    Fd(Option<UnixStream>),
    Bell(Arc<Rope>),
}

/// Runs `$body` with the typed token of a source.
macro_rules! with_token {
    ($named:expr, $token:ident => $body:expr) => {
        match $named {
            Named::Timer($token) => $body,
            Named::Part($token) => $body,
            Named::Interval($token) => $body,
            Named::Ping($token) => $body,
            Named::Channel($token) => $body,
            Named::Fd($token) => $body,
            Named::Mio($token) => $body,
            Named::Executor($token) => $body,
            Named::Bell($token) => $body,
        }
    };
}

impl Named {
    fn any(self) -> AnyToken {
        with_token!(self, token => token.into())
    }
}

/// What makes a bell ring.
#[derive(Default)]
struct Rope {
    pulls: AtomicU32,
    notifier: Mutex<Option<Notifier>>,
}

/// A source on a notifier whose callback may answer anything: an event a pull.
struct Bell {
    rope: Arc<Rope>,
    token: Option<InterestToken>,
}

impl EventSource for Bell {
    type Event<'a> = ();
    type Ret = io::Result<PostAction>;
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let (token, notifier) = registrar.notifier();
        if self.rope.pulls.load(Ordering::Relaxed) > 0 {
            notifier.notify();
        }
        self.token = Some(token);
        *self.rope.notifier.lock().unwrap() = Some(notifier);
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        *self.rope.notifier.lock().unwrap() = None;
        if let Some(token) = self.token.take() {
            registrar.release(token);
        }
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(()) -> io::Result<PostAction>,
    {
        let pulls = self.rope.pulls.load(Ordering::Relaxed);
        if self.token != Some(token) || pulls == 0 {
            return Ok(PostAction::Continue);
        }
        self.rope.pulls.store(pulls - 1, Ordering::Relaxed);
        let action = callback(())?;
        let more = self.rope.pulls.load(Ordering::Relaxed) > 0;
        Ok(if more && action == PostAction::Continue { PostAction::Again } else { action })
    }
}

/// What a callback owns.
struct Script {
    id: usize,
    steps: VecDeque<Step>,
    depth: usize,
    _held: Arc<()>,
}

impl Script {
    /// What to do at this call; `None` after the last step.
    fn step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    fn run(&self, data: Data, step: Option<Step>, world: &mut World) -> Option<End> {
        world.log.push(Entry::Called(self.id, data));
        let step = step?;
        world.execute_all(step.ops, self.depth + 1);
        if step.end == End::Panic {
            planned_panic();
        }
        Some(step.end)
    }

    fn timer(&mut self, deadline: Instant, world: &mut World) -> TimeoutAction {
        let step = self.step();
        let at = deadline.duration_since(world.epoch).as_millis() as i64;
        match self.run(Data::Timer(at), step, world) {
            Some(End::Again) => TimeoutAction::ToDuration(ms(3)),
            Some(End::Reregister) => TimeoutAction::ToDuration(Duration::ZERO),
            Some(End::Disable) => TimeoutAction::ToInstant(deadline + ms(5)),
            _ => TimeoutAction::Drop,
        }
    }

    fn interval(&mut self, tick: Tick, world: &mut World) -> PostAction {
        let step = self.step();
        let at = tick.deadline.duration_since(world.epoch).as_millis() as i64;
        match self.run(Data::Tick(at, tick.missed), step, world) {
            Some(End::Error) => PostAction::Continue,
            end => answer(end).unwrap(),
        }
    }

    fn message(&mut self, event: channel::Event<u32>, world: &mut World) {
        let step = self.step();
        let data = match event {
            channel::Event::Msg(n) => Data::Msg(n),
            channel::Event::Closed => Data::Closed,
        };
        self.run(data, step, world);
    }

    fn ping(&mut self, world: &mut World) {
        let step = self.step();
        self.run(Data::Ping, step, world);
    }

    fn bell(&mut self, world: &mut World) -> io::Result<PostAction> {
        let step = self.step();
        answer(self.run(Data::Bell, step, world))
    }

    fn fd(&mut self, io: &mut impl Read, world: &mut World) -> io::Result<PostAction> {
        let step = self.step();
        let (read, closed) = match &step {
            Some(Step { read: false, .. }) => (0, false),
            _ => drain(io),
        };
        match self.run(Data::Fd(read, closed), step, world) {
            None if closed => Ok(PostAction::Remove),
            end => answer(end),
        }
    }
}

fn drain(io: &mut impl Read) -> (usize, bool) {
    let mut read = 0;
    loop {
        match io.read(&mut [0; 64]) {
            Ok(0) => return (read, true),
            Ok(n) => read += n,
            Err(_) => return (read, false),
        }
    }
}

fn answer(end: Option<End>) -> io::Result<PostAction> {
    Ok(match end {
        None | Some(End::Continue | End::Panic) => PostAction::Continue,
        Some(End::Again) => PostAction::Again,
        Some(End::Reregister) => PostAction::Reregister,
        Some(End::Disable) => PostAction::Disable,
        Some(End::Remove) => PostAction::Remove,
        Some(End::Error) => return Err(io::Error::other("as told")),
    })
}

struct Planned;

/// A panic that prints nothing.
fn planned_panic() -> ! {
    resume_unwind(Box::new(Planned))
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
            handle,
            sources: Vec::new(),
            idles: Vec::new(),
            policy: Policy::Report,
            messages: 0,
            log: Vec::new(),
            held: Arc::new(()),
        };
        (event_loop, world)
    }

    pub fn dispatch(&mut self, event_loop: &mut EventLoop<Self>, timeout: u8) {
        let result = catch_unwind(AssertUnwindSafe(|| event_loop.dispatch(ms(timeout), self)));
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

    /// An op that is not a dispatch.
    pub fn execute(&mut self, op: Op, depth: usize) {
        let answer = match op {
            Op::Insert(kind, options, steps) => {
                self.insert(kind, options, steps, depth);
                ("insert", true)
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
            Op::Update(pick, to) => ("update", self.update(pick, to)),
            Op::Idle(body) => {
                let body = self.body(body, depth);
                let token = self
                    .handle
                    .insert_idle(move |world: &mut World| body(Entry::Ran("idle"), world));
                self.idles.push(token);
                ("idle", true)
            }
            Op::CancelIdle(pick) => {
                let idle = pick.of(self.idles.len()).map(|index| self.idles[index]);
                ("cancel", idle.is_some_and(|idle| self.handle.cancel_idle(idle)))
            }
            Op::Poke(pick) => ("poke", self.poke(pick)),
            Op::HangUp(pick) => {
                match pick.of(self.sources.len()).map(|index| &mut self.sources[index].end) {
                    Some(OtherEnd::Channel(sender)) => *sender = None,
                    Some(OtherEnd::SyncChannel(sender)) => *sender = None,
                    Some(OtherEnd::Fd(stream)) => *stream = None,
                    _ => {}
                }
                ("hang up", true)
            }
            Op::Post(body) => {
                let body = self.body(body, depth);
                ("post", self.remote.post(move |world| body(Entry::Ran("posted"), world)))
            }
            Op::RemoteRemove(pick) => (
                "remote",
                self.pick(pick).is_some_and(|(_, token)| self.remote.remove(token.any())),
            ),
            Op::Wakeup => {
                self.remote.wakeup();
                ("wake", true)
            }
            Op::Policy(policy) => {
                self.policy = policy;
                ("policy", true)
            }
            Op::Advance(by) => {
                self.clock.advance(ms(by));
                ("advance", true)
            }
            Op::Dispatch(_) => return,
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
        with_token!(token, token => self.handle.visit(token, move |_, world| body(visited, world)))
    }

    fn update(&mut self, pick: Pick, to: u8) -> bool {
        let held = Arc::clone(&self.held);
        match self.pick(pick) {
            None => false,
            Some((_, Named::Timer(token))) => self.handle.update(token, move |timer| {
                let _ = &held;
                timer.set_duration(ms(to));
            }),
            Some((_, Named::Part(token))) => self.handle.update(token, move |part| {
                let _ = &held;
                part.map(|timer| timer.set_duration(ms(to)));
            }),
            Some((_, Named::Interval(token))) => self.handle.update(token, move |interval| {
                let _ = &held;
                interval.set_period(ms(to));
            }),
            Some((_, Named::Fd(token))) => self.handle.update(token, move |source| {
                let _ = &held;
                source.mode = MODES[usize::from(to) % 3];
            }),
            Some((_, Named::Mio(token))) => self.handle.update(token, move |source| {
                let _ = &held;
                source.mode = MODES[usize::from(to) % 3];
            }),
            Some((_, token)) => with_token!(token, token => self.handle.update(token, |_| ())),
        }
    }

    fn poke(&mut self, pick: Pick) -> bool {
        match pick.of(self.sources.len()).map(|index| &mut self.sources[index].end) {
            None | Some(OtherEnd::None) => false,
            Some(OtherEnd::Ping(ping)) => {
                ping.ping();
                true
            }
            Some(OtherEnd::Channel(sender)) => {
                self.messages += 1;
                sender.as_ref().is_some_and(|sender| sender.send(self.messages).is_ok())
            }
            Some(OtherEnd::SyncChannel(sender)) => {
                self.messages += 1;
                sender.as_ref().is_some_and(|sender| sender.try_send(self.messages).is_ok())
            }
            Some(OtherEnd::Scheduler(scheduler)) => {
                self.messages += 1;
                scheduler.schedule(std::future::ready(self.messages)).is_ok()
            }
            Some(OtherEnd::Fd(stream)) => {
                stream.as_mut().is_some_and(|stream| stream.write_all(b"x").is_ok())
            }
            Some(OtherEnd::Bell(rope)) => {
                rope.pulls.fetch_add(1, Ordering::Relaxed);
                let notifier = rope.notifier.lock().unwrap().clone();
                notifier.inspect(Notifier::notify).is_some()
            }
        }
    }

    fn insert(&mut self, kind: Kind, options: Options, steps: Vec<Step>, depth: usize) {
        let held = Arc::clone(&self.held);
        let mut script = Script { id: self.sources.len(), steps: steps.into(), depth, _held: held };
        let handle = &mut self.handle;
        let (token, end) = match kind {
            Kind::Timer(after) => {
                let call = move |deadline, world: &mut World| script.timer(deadline, world);
                (
                    Named::Timer(insert(handle, options, Timer::from_duration(ms(after)), call)),
                    OtherEnd::None,
                )
            }
            Kind::Part(after) => {
                let call = move |deadline, world: &mut World| script.timer(deadline, world);
                let part = TransientSource::from(Timer::from_duration(ms(after)));
                (Named::Part(insert(handle, options, part, call)), OtherEnd::None)
            }
            Kind::Interval(period) => {
                let call = move |tick, world: &mut World| script.interval(tick, world);
                let interval = Interval::new(ms(period));
                (Named::Interval(insert(handle, options, interval, call)), OtherEnd::None)
            }
            Kind::Ping => {
                let (ping, source) = make_ping();
                let call = move |(), world: &mut World| script.ping(world);
                (Named::Ping(insert(handle, options, source, call)), OtherEnd::Ping(ping))
            }
            Kind::Channel => {
                let (sender, source) = soloop::channel();
                let call = move |event, world: &mut World| script.message(event, world);
                (
                    Named::Channel(insert(handle, options, source, call)),
                    OtherEnd::Channel(Some(sender)),
                )
            }
            Kind::SyncChannel => {
                let (sender, source) = soloop::sync_channel(BOUND);
                let call = move |event, world: &mut World| script.message(event, world);
                (
                    Named::Channel(insert(handle, options, source, call)),
                    OtherEnd::SyncChannel(Some(sender)),
                )
            }
            Kind::Executor => {
                let (source, scheduler) = soloop::executor();
                let call = move |message, world: &mut World| {
                    script.message(channel::Event::Msg(message), world);
                };
                let token = insert(handle, options, source, call);
                (Named::Executor(token), OtherEnd::Scheduler(scheduler))
            }
            Kind::MioLevel | Kind::MioEdge | Kind::MioOneShot => {
                let (ours, theirs) = UnixStream::pair().unwrap();
                theirs.set_nonblocking(true).unwrap();
                let mode = match kind {
                    Kind::MioLevel => Mode::Level,
                    Kind::MioEdge => Mode::Edge,
                    _ => Mode::OneShot,
                };
                let theirs = mio::net::UnixStream::from_std(theirs);
                let source = MioSource::new(theirs, Interest::READ, mode);
                let call = move |ready: soloop::Ready<'_, mio::net::UnixStream>,
                                 world: &mut World| {
                    script.fd(ready.io, world)
                };
                (Named::Mio(insert(handle, options, source, call)), OtherEnd::Fd(Some(ours)))
            }
            Kind::Level | Kind::Edge | Kind::OneShot => {
                let (ours, theirs) = UnixStream::pair().unwrap();
                theirs.set_nonblocking(true).unwrap();
                let mode = match kind {
                    Kind::Level => Mode::Level,
                    Kind::Edge => Mode::Edge,
                    _ => Mode::OneShot,
                };
                let source = Generic::new(theirs, Interest::READ, mode);
                let call = move |ready: soloop::Ready<'_, UnixStream>, world: &mut World| {
                    script.fd(ready.io, world)
                };
                (Named::Fd(insert(handle, options, source, call)), OtherEnd::Fd(Some(ours)))
            }
            Kind::Bell => {
                let rope = Arc::<Rope>::default();
                let source = Bell { rope: Arc::clone(&rope), token: None };
                let call = move |(), world: &mut World| script.bell(world);
                (Named::Bell(insert(handle, options, source, call)), OtherEnd::Bell(rope))
            }
        };
        self.sources.push(Source { token, end });
    }

    /// Removes everything, and checks that nothing is left of it.
    pub fn end(mut self, mut event_loop: EventLoop<Self>) {
        self.policy = Policy::Ignore;
        for index in 0..self.sources.len() {
            let token = self.sources[index].token.any();
            self.handle.remove(token);
        }
        for idle in std::mem::take(&mut self.idles) {
            self.handle.cancel_idle(idle);
        }
        // What is pending may insert anew and panic, as often as there are ops: it gets no further than that.
        let mut rounds = 0;
        while Arc::strong_count(&self.held) > 1 {
            self.dispatch(&mut event_loop, 0);
            rounds += 1;
            assert!(rounds < 10_000, "the loop holds on to {}", Arc::strong_count(&self.held) - 1);
            for index in 0..self.sources.len() {
                let token = self.sources[index].token.any();
                self.handle.remove(token);
            }
        }
        self.dispatch(&mut event_loop, 0);
        assert!(self.sources.iter().all(|source| !self.handle.contains(source.token.any())));
        assert!(format!("{event_loop:?}").contains("num_elems: 0"), "{event_loop:?}");
        let (_, new) = Self::new();
        assert_eq!(format!("{:?}", self.handle), format!("{:?}", new.handle));
    }
}

fn insert<S, F>(
    handle: &mut LoopHandle<World>,
    options: Options,
    source: S,
    callback: F,
) -> Token<S>
where
    S: EventSource,
    F: FnMut(S::Event<'_>, &mut World) -> S::Ret + 'static,
{
    let inserted = if options.once {
        handle.insert_once(source, callback)
    } else {
        let mut settings = SourceOptions::new();
        settings = settings.priority(match options.priority % 3 {
            0 => Priority::Normal,
            1 => Priority::High,
            _ => Priority::Low,
        });
        match options.budget % 4 {
            0 => {}
            budget => settings = settings.budget(budget.into()),
        }
        handle.insert_source_with(settings, source, callback)
    };
    inserted.map_err(|InsertError { error, .. }| error).unwrap()
}
