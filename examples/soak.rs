//! Every source at full tilt in one state for as long as it is told: `cargo run --release --example soak --
//! --minutes 10`. At the end memory and fds have to be what they were when it had warmed up.
//!
//! Peers vanish, callbacks fail, sources are removed, taken, moved and disabled at random; the interval has to have counted
//! every beat all the same.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use soloop::{
    AnyToken, Child, ErrorAction, EventLoop, EventSource, Generic, Inspector, Interest, Interval,
    LoopData, LoopHandle, MioSource, Mode, Ping, PostAction, Ready, Scheduler, Signals, SyncSender,
    Task, Tick, TimeoutAction, TimeoutFuture, Timer, Token, TransientSource, WallAction, WallTimer,
    channel, executor, make_ping, sync_channel,
};

type Failure = Box<dyn std::error::Error>;

const SIGUSR2: rustix::process::Signal = rustix::process::Signal::USR2;
const BEAT: Duration = Duration::from_millis(1);

struct Soak {
    handle: LoopHandle<Soak>,
    random: u64,
    events: u64,
    faults: u64,
    timers: Vec<Token<Timer>>,
    /// Each with the end that is written to.
    sockets: Vec<(UnixStream, AnyToken)>,
    tasks: Vec<(UnixStream, Token<Task>)>,
    parts: Vec<Token<TransientSource<Timer>>>,
    children: u32,
    scheduler: Scheduler<u64>,
    pings: Vec<Ping>,
    /// How many the interval told of, and the first and the last of them.
    beats: u64,
    first_and_last: Option<(Instant, Instant)>,
}

impl LoopData for Soak {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl Soak {
    /// A number below `end`, by xorshift.
    fn random(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % end
    }

    fn insert_timer(&mut self) -> Result<(), Failure> {
        let after = Duration::from_micros(self.random(3000));
        let callback = |_, soak: &mut Self| {
            soak.events += 1;
            match soak.random(8) {
                0 => TimeoutAction::Drop,
                n => TimeoutAction::ToDuration(Duration::from_micros(200 * n)),
            }
        };
        self.timers.push(self.handle.insert_source(Timer::from_duration(after), callback)?);
        Ok(())
    }

    fn insert_socket(&mut self) -> Result<(), Failure> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let mode = [Mode::Level, Mode::Edge][self.random(2) as usize];
        let token = if self.random(2) == 0 {
            self.insert_stream(Generic::new(theirs, Interest::READ, mode))?
        } else {
            let theirs = mio::net::UnixStream::from_std(theirs);
            self.insert_stream(MioSource::new(theirs, Interest::READ, mode))?
        };
        self.sockets.push((ours, token));
        Ok(())
    }

    fn insert_stream<S, T: Read>(&mut self, source: S) -> Result<AnyToken, Failure>
    where
        S: for<'a> EventSource<Event<'a> = Ready<'a, T>, Ret = std::io::Result<PostAction>>,
    {
        let callback = |ready: Ready<'_, T>, soak: &mut Self| {
            soak.events += 1;
            if drain(ready.io) {
                return Ok(PostAction::Remove);
            }
            match soak.random(200) {
                0 => Err(std::io::Error::other("a random fault")),
                1 => Ok(PostAction::Remove),
                2 => Ok(PostAction::Reregister),
                _ => Ok(PostAction::Continue),
            }
        };
        Ok(self.handle.insert_source(source, callback).map_err(|refused| refused.error)?.into())
    }

    /// A task that reads until its peer is gone, and sleeps a little after each time.
    fn insert_task(&mut self) -> Result<(), Failure> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let theirs = self.handle.adapt_io(theirs)?;
        let task = self.handle.spawn(|cx| async move {
            loop {
                theirs.readable().await;
                if drain(&mut theirs.get_ref()) {
                    return;
                }
                cx.with(|soak| soak.events += 1).await;
                cx.sleep(Duration::from_micros(100)).await;
            }
        });
        self.tasks.push((ours, task));
        Ok(())
    }

    /// A part that goes with each of its timers, and gets another one by an idle.
    fn insert_part(&mut self) -> Result<(), Failure> {
        let place = self.parts.len();
        let part = TransientSource::from(Timer::immediate());
        let token = self.handle.insert_source(part, move |_, soak: &mut Self| {
            soak.events += 1;
            let (token, after) = (soak.parts[place], Duration::from_micros(soak.random(2000)));
            soak.handle.insert_idle(move |soak| {
                soak.handle.update(token, move |part| part.replace(Timer::from_duration(after)));
            });
            TimeoutAction::Drop
        });
        self.parts.push(token.map_err(|refused| refused.error)?);
        Ok(())
    }

    fn insert_child(&mut self) -> Result<(), Failure> {
        let child = Child::new(Command::new("true").spawn()?)?;
        self.children += 1;
        self.handle.insert_source(child, |status, soak| {
            assert!(status.success());
            soak.events += 1;
            soak.children -= 1;
        })?;
        Ok(())
    }

    /// A future that waits for the loop's clock, and one that wakes itself.
    fn schedule(&mut self) -> Result<(), Failure> {
        let after = Duration::from_micros(self.random(1000));
        let timeout = TimeoutFuture::from_duration(&mut self.handle, after);
        let mut left = self.random(5);
        let yields = std::future::poll_fn(move |cx| {
            left = left.saturating_sub(1);
            cx.waker().wake_by_ref();
            if left == 0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        self.scheduler.schedule(async {
            timeout.await;
            yields.await;
            1
        })?;
        Ok(())
    }

    /// What is there from the beginning to the end.
    fn insert_the_steady_ones(&mut self) -> Result<(), Failure> {
        for _ in 0..20 {
            let (ping, source) = make_ping();
            self.handle.insert_source(source, |(), soak| soak.events += 1)?;
            self.pings.push(ping);
        }
        for _ in 0..20 {
            self.insert_part()?;
        }
        self.handle.insert_source(Interval::new(BEAT), |tick: Tick, soak| {
            soak.events += 1;
            soak.beats += 1 + tick.missed;
            // The first may have missed some before it.
            let (first, _) = soak.first_and_last.get_or_insert_with(|| {
                soak.beats = 0;
                (tick.deadline, tick.deadline)
            });
            soak.first_and_last = Some((*first, tick.deadline));
            PostAction::Continue
        })?;
        let every = Duration::from_millis(2);
        self.handle.insert_source(WallTimer::after(every)?, move |_, soak| {
            soak.events += 1;
            WallAction::ToDuration(every)
        })?;
        self.handle.insert_source(Signals::new([SIGUSR2.as_raw()])?, |signal, soak| {
            assert_eq!(signal.number, SIGUSR2.as_raw());
            soak.events += 1;
        })?;
        Ok(())
    }

    /// A sender whose messages count.
    fn insert_channel(&mut self, bound: usize) -> Result<SyncSender<()>, Failure> {
        let (sender, receiver) = sync_channel(bound);
        self.handle.insert_source(receiver, |event, soak| {
            if let channel::Event::Msg(()) = event {
                soak.events += 1;
            }
        })?;
        Ok(sender)
    }

    /// Some of everything, and some faults: peers that vanish, sources removed at random.
    fn stir(&mut self) -> Result<(), Failure> {
        self.timers.retain(|token| self.handle.contains(*token));
        self.sockets.retain(|(_, token)| self.handle.contains(*token));
        self.tasks.retain(|(_, token)| self.handle.contains(*token));
        while self.timers.len() < 200 {
            self.insert_timer()?;
        }
        while self.sockets.len() < 50 {
            self.insert_socket()?;
        }
        while self.tasks.len() < 20 {
            self.insert_task()?;
        }
        self.schedule()?;
        for _ in 0..10 {
            let at = self.random(self.sockets.len() as u64) as usize;
            let _ = self.sockets[at].0.write_all(b"soak");
            let at = self.random(self.pings.len() as u64) as usize;
            self.pings[at].ping();
            let at = self.random(self.tasks.len() as u64) as usize;
            let _ = self.tasks[at].0.write_all(b"soak");
            let at = self.random(200) as usize;
            let token = self.timers[at];
            self.handle.update(token, |timer| timer.set_duration(Duration::from_micros(500)));
        }
        match self.random(24) {
            0 => {
                // A disabled source would not hear of it.
                let (peer, token) = self.sockets.swap_remove(7);
                self.handle.enable(token);
                drop(peer);
            }
            1 => {
                self.handle.remove(self.timers[11]);
            }
            2 => {
                let (_, token) = self.sockets[3];
                self.handle.disable(token);
                self.handle.insert_idle(move |soak| {
                    soak.handle.enable(token);
                });
            }
            3 => {
                let token = self.timers[7];
                self.handle.take(token, |timer: Timer, soak| {
                    assert!(timer.current_deadline().is_some());
                    soak.events += 1;
                });
                self.handle.visit(self.timers[8], |_, soak| soak.events += 1);
            }
            4 => {
                self.handle.remove(self.tasks.swap_remove(3).1); // cancelled
                drop(self.tasks.swap_remove(5).0); // done
            }
            5 => rustix::process::kill_process(rustix::process::getpid(), SIGUSR2)?,
            6 => {
                self.handle.insert_once(Timer::immediate(), |_, soak| {
                    soak.events += 1;
                    TimeoutAction::Drop
                })?;
            }
            // A process takes as long as thousands of events.
            7 if self.children == 0 && self.random(20) == 0 => self.insert_child()?,
            _ => {}
        }
        Ok(())
    }
}

/// Reads all there is; whether the peer is gone.
fn drain(io: &mut impl Read) -> bool {
    let mut buffer = [0; 256];
    loop {
        match io.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

fn open_fds() -> std::io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

/// The resident set in KiB.
fn memory() -> Result<usize, Failure> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize =
        statm.split_whitespace().nth(1).ok_or("statm has no second word")?.parse()?;
    Ok(pages * 4)
}

/// How long to run, and where `soloop-top` may connect, from the command line.
fn options() -> Result<(Duration, Option<PathBuf>), Failure> {
    let (mut duration, mut inspect) = (Duration::from_secs(3), None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (&*arg, args.next()) {
            ("--minutes", Some(minutes)) => {
                duration = Duration::from_secs_f64(minutes.parse::<f64>()? * 60.0);
            }
            ("--inspect", Some(path)) => inspect = Some(PathBuf::from(path)),
            _ => return Err("usage: soak [--minutes N] [--inspect PATH]".into()),
        }
    }
    Ok((duration, inspect))
}

fn main() -> Result<(), Failure> {
    let (duration, inspect) = options()?;
    let (mut event_loop, handle) = EventLoop::new()?;
    event_loop.on_error(|_, soak: &mut Soak| {
        soak.faults += 1;
        match soak.random(3) {
            0 => ErrorAction::Ignore,
            1 => ErrorAction::Remove,
            _ => ErrorAction::Disable,
        }
    });
    let (executor, scheduler) = executor();
    let mut soak = Soak {
        handle,
        random: 0x9e37_79b9_7f4a_7c15,
        events: 0,
        faults: 0,
        timers: Vec::new(),
        sockets: Vec::new(),
        tasks: Vec::new(),
        parts: Vec::new(),
        children: 0,
        scheduler,
        pings: Vec::new(),
        beats: 0,
        first_and_last: None,
    };
    soak.handle.insert_source(executor, |value, soak: &mut Soak| soak.events += value)?;
    soak.insert_the_steady_ones()?;
    if let Some(path) = inspect {
        soak.handle.insert_inspector(Inspector::bind(path)?)?;
    }
    // Other threads send and post without a pause, but for what the loop has not taken yet.
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for bound in [64, 0] {
        let (stop, remote) = (Arc::clone(&stop), soak.handle.remote());
        let sender = soak.insert_channel(bound)?;
        threads.push(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) && sender.send(()).is_ok() {
                remote.post(|soak: &mut Soak| soak.events += 1);
            }
        }));
    }

    let start = Instant::now();
    let warm = duration.min(Duration::from_secs(60)) / 3;
    let mut before = None;
    let mut next = Duration::from_secs(1);
    let mut rounds = 0_u64;
    while start.elapsed() < duration {
        soak.stir()?;
        event_loop.dispatch(Duration::from_millis(5), &mut soak)?;
        rounds += 1;
        if before.is_none() && start.elapsed() > warm {
            before = Some(memory()?);
        }
        if start.elapsed() > next {
            let (events, faults) = (soak.events, soak.faults);
            println!(
                "{next:?}: {rounds} rounds, {events} events, {faults} faults, {} KiB, {} fds",
                memory()?,
                open_fds()?
            );
            next += Duration::from_secs(1);
        }
    }
    let (before, after) = (before.unwrap_or(memory()?), memory()?);
    assert!(after < before + before / 10 + 512, "memory grew from {before} to {after} KiB");
    if let Some((first, last)) = soak.first_and_last {
        let beats = (last - first).as_nanos() / BEAT.as_nanos();
        assert_eq!(u128::from(soak.beats), beats, "not a beat is lost, nor told twice");
    }
    println!(
        "{rounds} rounds, {} events, {} faults, {before} KiB, then {after}",
        soak.events, soak.faults
    );

    // When all is removed, the fds are those of a loop with nothing in it.
    stop.store(true, Ordering::Relaxed);
    while soak.children > 0 || !threads.iter().all(|thread| thread.is_finished()) {
        event_loop.dispatch(Duration::from_millis(5), &mut soak)?;
    }
    soak.tasks.clear();
    soak.sockets.clear();
    for row in event_loop.sources(&soak.handle).rows {
        soak.handle.remove(row.token);
    }
    // What one round has no time for, the next ones do.
    for _ in 0..100 {
        event_loop.dispatch(Duration::ZERO, &mut soak)?;
    }
    let fds = open_fds()?;
    drop((event_loop, soak));
    let left = open_fds()?;
    assert!(fds - left <= 4, "{fds} fds with an empty loop, {left} without");
    println!("{fds} fds with an empty loop, {left} without one");
    Ok(())
}
