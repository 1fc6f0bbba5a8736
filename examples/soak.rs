//! Everything at full tilt in one state for as long as it is told: `cargo run --release --example soak --
//! --minutes 10`. At the end memory and fds have to be what they were when it had warmed up.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use soloop::{
    ErrorAction, EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, Ping, PostAction, Ready,
    TimeoutAction, Timer, Token, channel, make_ping,
};

type Failure = Box<dyn std::error::Error>;

struct Soak {
    handle: LoopHandle<Soak>,
    random: u64,
    events: u64,
    faults: u64,
    timers: Vec<Token<Timer>>,
    sockets: Vec<(UnixStream, Token<Generic<UnixStream>>)>,
    pings: Vec<Ping>,
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
        let callback = |ready: Ready<'_, UnixStream>, soak: &mut Self| {
            soak.events += 1;
            let mut buffer = [0; 256];
            while let Ok(n) = ready.io.read(&mut buffer) {
                if n == 0 {
                    return Ok(PostAction::Remove);
                }
            }
            match soak.random(200) {
                0 => Err(std::io::Error::other("a random fault")),
                1 => Ok(PostAction::Remove),
                2 => Ok(PostAction::Reregister),
                _ => Ok(PostAction::Continue),
            }
        };
        let source = Generic::new(theirs, Interest::READ, mode);
        self.sockets.push((ours, self.handle.insert_source(source, callback)?));
        Ok(())
    }

    /// Some of everything, and some faults: peers that vanish, sources removed at random.
    fn stir(&mut self) -> Result<(), Failure> {
        self.timers.retain(|token| self.handle.contains(*token));
        self.sockets.retain(|(_, token)| self.handle.contains(*token));
        while self.timers.len() < 200 {
            self.insert_timer()?;
        }
        while self.sockets.len() < 50 {
            self.insert_socket()?;
        }
        for _ in 0..10 {
            let at = self.random(self.sockets.len() as u64) as usize;
            let _ = self.sockets[at].0.write_all(b"soak");
            let at = self.random(self.pings.len() as u64) as usize;
            self.pings[at].ping();
            let at = self.random(200) as usize;
            let token = self.timers[at];
            self.handle.update(token, |timer| timer.set_duration(Duration::from_micros(500)));
        }
        match self.random(20) {
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
                let token = self.sockets[3].1;
                self.handle.disable(token);
                self.handle.insert_idle(move |soak: &mut Self| {
                    soak.handle.enable(token);
                });
            }
            3 => {
                self.handle.take(self.sockets[5].1, |source, _| drop(source));
            }
            _ => {}
        }
        Ok(())
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

/// How long to run, from the command line.
fn duration() -> Result<Duration, Failure> {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (None, _) => Ok(Duration::from_secs(3)),
        (Some("--minutes"), Some(minutes)) => {
            Ok(Duration::from_secs_f64(minutes.parse::<f64>()? * 60.0))
        }
        _ => Err("usage: soak [--minutes N]".into()),
    }
}

fn main() -> Result<(), Failure> {
    let duration = duration()?;
    let (mut event_loop, handle) = EventLoop::new()?;
    event_loop.on_error(|_, soak: &mut Soak| {
        soak.faults += 1;
        match soak.random(3) {
            0 => ErrorAction::Ignore,
            1 => ErrorAction::Remove,
            _ => ErrorAction::Disable,
        }
    });
    let mut soak = Soak {
        handle,
        random: 0x9e37_79b9_7f4a_7c15,
        events: 0,
        faults: 0,
        timers: Vec::new(),
        sockets: Vec::new(),
        pings: Vec::new(),
    };
    for _ in 0..20 {
        let (ping, source) = make_ping();
        soak.handle.insert_source(source, |(), soak: &mut Soak| soak.events += 1)?;
        soak.pings.push(ping);
    }
    // Another thread sends and posts without a pause, but for what the loop has not taken yet.
    let (sender, receiver) = soloop::sync_channel(64);
    soak.handle.insert_source(receiver, |event, soak: &mut Soak| {
        if let channel::Event::Msg(()) = event {
            soak.events += 1;
        }
    })?;
    let stop = Arc::new(AtomicBool::new(false));
    let thread = std::thread::spawn({
        let (stop, remote) = (Arc::clone(&stop), soak.handle.remote());
        move || {
            while !stop.load(Ordering::Relaxed) && sender.send(()).is_ok() {
                remote.post(|soak: &mut Soak| soak.events += 1);
            }
        }
    });

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
    assert!(after < before + before / 2 + 1024, "memory grew from {before} to {after} KiB");
    println!(
        "{rounds} rounds, {} events, {} faults, {before} KiB, then {after}",
        soak.events, soak.faults
    );

    // When all is removed, the fds are those of a loop with nothing in it.
    stop.store(true, Ordering::Relaxed);
    for (_, token) in std::mem::take(&mut soak.sockets) {
        soak.handle.remove(token);
    }
    while !thread.is_finished() {
        event_loop.dispatch(Duration::from_millis(5), &mut soak)?;
    }
    event_loop.dispatch(Duration::ZERO, &mut soak)?;
    let fds = open_fds()?;
    drop((event_loop, soak));
    let left = open_fds()?;
    assert!(fds - left <= 4, "{fds} fds with an empty loop, {left} without");
    println!("{fds} fds with an empty loop, {left} without one");
    Ok(())
}
