//! One viewer: a source that reads its requests, keeps its times and writes what it gets.
//!
//! It does at most a few thousand bytes of work a call, and one call a round. It reads no request before the answers to the
//! earlier ones are written, and no snapshot begins before the last one is: what waits for a viewer is bounded, and
//! one that takes nothing for a while is dropped. What it needs the loop for it asks its callback for, which has
//! [`look`](super::look::look) called.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::VERSION;
use super::look::Collecting;
use super::message::{Hello, Message, Request};
use crate::{
    Clock, EventSource, Interest, InterestToken, Mode, Notifier, PostAction, Readiness, Registrar,
};

/// How long a viewer may take nothing of what waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a request is.
const LONGEST_REQUEST: usize = 4096;
/// How much is written at once.
const CHUNK: usize = 64 << 10;
const LEAST_PERIOD: Duration = Duration::from_millis(10);
const LEAST_SLOW: Duration = Duration::from_micros(100);
const LONGEST_TRACE: Duration = Duration::from_secs(60);

/// A trace that a viewer asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tracing {
    For(Duration),
    Until(Instant),
}

#[derive(Debug)]
pub(super) struct Viewer {
    stream: UnixStream,
    clock: Clock,
    fd: Option<(InterestToken, Interest)>,
    timer: Option<InterestToken>,
    notifier: Option<(InterestToken, Notifier)>,
    input: Vec<u8>,
    output: VecDeque<Vec<u8>>,
    /// How much of the first of these is written.
    written: usize,
    /// Since when it has taken nothing.
    stuck_since: Instant,
    greeted: bool,
    /// What waits for it is the last it gets.
    closing: bool,
    watch: Option<(Duration, Instant)>,
    pub(super) slow: Option<Duration>,
    pub(super) tracing: Option<Tracing>,
    pub(super) collecting: Option<Collecting>,
}

/// A message as it is sent.
pub(super) fn line(message: &Message) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

impl Viewer {
    pub(super) fn new(stream: UnixStream, clock: Clock, program: &str) -> Self {
        let stuck_since = clock.now();
        let (pid, program) = (std::process::id(), program.to_owned());
        let hello = line(&Message::Hello(Hello { version: VERSION, pid, program }));
        Self {
            stream,
            clock,
            fd: None,
            timer: None,
            notifier: None,
            input: Vec::new(),
            output: VecDeque::from([hello]),
            written: 0,
            stuck_since,
            greeted: false,
            closing: false,
            watch: None,
            slow: None,
            tracing: None,
            collecting: None,
        }
    }

    /// Has a line written.
    pub(super) fn send(&mut self, line: Vec<u8>) {
        if self.output.is_empty() {
            self.stuck_since = self.clock.now();
        }
        self.output.push_back(line);
    }

    pub(super) fn notifier(&self) -> Option<Notifier> {
        self.notifier.as_ref().map(|(_, notifier)| notifier.clone())
    }

    /// Ends it, when it has heard why.
    fn refuse(&mut self, why: String) {
        self.send(line(&Message::Error(why)));
        (self.closing, self.watch, self.collecting) = (true, None, None);
        self.input.clear();
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(first) = self.output.front() else { return Ok(()) };
        let end = first.len().min(self.written + CHUNK);
        let written = retried(self.stream.write(&first[self.written..end]))?;
        self.written += written;
        if written > 0 {
            self.stuck_since = self.clock.now();
        }
        if self.written == first.len() {
            self.output.pop_front();
            self.written = 0;
        }
        Ok(())
    }

    /// Reads some; whether the viewer is still there.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; LONGEST_REQUEST];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => self.input.extend(&buffer[..read]),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Does what is asked for, until there is something to write.
    fn take_requests(&mut self) {
        while !self.closing && !self.is_busy() {
            let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else {
                if self.input.len() > LONGEST_REQUEST {
                    self.refuse(format!("a request of more than {LONGEST_REQUEST} bytes"));
                }
                return;
            };
            let request: Vec<u8> = self.input.drain(..=end).collect();
            match serde_json::from_slice(&request) {
                Ok(request) => self.take_request(request),
                Err(error) => self.refuse(format!("not a request: {error}")),
            }
        }
    }

    fn take_request(&mut self, request: Request) {
        match request {
            Request::Hello { version: VERSION } => self.greeted = true,
            Request::Hello { version } => self.refuse(format!(
                "this program speaks version {VERSION} of the inspector's protocol, and the viewer version {version}"
            )),
            _ if !self.greeted => {
                self.refuse(format!("the first request is {{\"hello\":{{\"version\":{VERSION}}}}}"));
            }
            Request::Snapshot => self.collecting = Some(Collecting::default()),
            Request::Watch { every_ms, slow_us } => {
                let every = Duration::from_millis(every_ms).max(LEAST_PERIOD);
                self.slow = slow_us.map(|slow| Duration::from_micros(slow).max(LEAST_SLOW));
                self.watch = Some((every, self.clock.now()));
            }
            Request::Trace { ms } => {
                let time = Duration::from_millis(ms).min(LONGEST_TRACE);
                self.tracing = Some(Tracing::For(time));
            }
        }
    }

    /// Whether requests wait for something to be written.
    fn is_busy(&self) -> bool {
        !self.output.is_empty() || self.collecting.is_some()
    }

    /// Begins the snapshot that is due, and plans the next.
    fn keep_time(&mut self, now: Instant) {
        let busy = self.is_busy();
        if let Some((every, next)) = &mut self.watch
            && *next <= now
        {
            // A viewer that is slower than that gets fewer.
            *next = now.checked_add(*every).unwrap_or(now);
            if !busy {
                self.collecting = Some(Collecting::default());
            }
        }
    }

    /// When the timer is to fire.
    fn deadline(&self) -> Option<Instant> {
        let watch = self.watch.map(|(_, next)| next);
        let patience = (!self.output.is_empty()).then(|| self.stuck_since + PATIENCE);
        let trace = match self.tracing {
            Some(Tracing::Until(end)) => Some(end),
            _ => None,
        };
        [watch, patience, trace].into_iter().flatten().min()
    }

    fn interest(&self) -> Interest {
        if self.output.is_empty() { Interest::READ } else { Interest::WRITE }
    }

    fn process(&mut self, token: InterestToken, ready: Readiness) -> io::Result<PostAction> {
        let now = self.clock.now();
        if self.fd.is_some_and(|(fd, _)| fd == token) {
            if ready.error || (ready.write_closed && !self.output.is_empty()) {
                return Ok(PostAction::Remove);
            }
            self.write()?;
            if self.closing && self.output.is_empty() {
                return Ok(PostAction::Remove);
            }
            if !self.is_busy() && (ready.readable || ready.read_closed) && !self.read()? {
                return Ok(PostAction::Remove);
            }
        }
        if !self.output.is_empty() && now.saturating_duration_since(self.stuck_since) >= PATIENCE {
            return Ok(PostAction::Remove);
        }
        self.take_requests();
        self.keep_time(now);
        Ok(PostAction::Reregister)
    }
}

impl EventSource for Viewer {
    /// The loop is to be looked at.
    type Event<'a> = ();
    type Ret = ();
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let interest = self.interest();
        let fd = registrar.register_fd(self.stream.as_fd(), interest, Mode::Level)?;
        self.fd = Some((fd, interest));
        self.notifier = Some(registrar.notifier());
        self.reregister(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let Some((fd, registered)) = self.fd else { return self.register(registrar) };
        let interest = self.interest();
        if interest != registered {
            registrar.reregister_fd(fd, self.stream.as_fd(), interest, Mode::Level)?;
            self.fd = Some((fd, interest));
        }
        match (self.timer, self.deadline()) {
            (Some(timer), Some(deadline)) => registrar.rearm(timer, deadline),
            (None, Some(deadline)) => self.timer = Some(registrar.arm(deadline)),
            (Some(timer), None) => {
                registrar.disarm(timer);
                self.timer = None;
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if let Some(timer) = self.timer.take() {
            registrar.disarm(timer);
        }
        if let Some((token, _)) = self.notifier.take() {
            registrar.release(token);
        }
        let fd = self.fd.take();
        fd.map_or(Ok(()), |(fd, _)| registrar.unregister_fd(fd, self.stream.as_fd()))
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(()),
    {
        let answer = match self.process(token, readiness) {
            // It has gone without a word.
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => {
                return Ok(PostAction::Remove);
            }
            answer => answer?,
        };
        if answer == PostAction::Remove || !self.greeted {
            return Ok(answer);
        }
        callback(());
        Ok(if self.collecting.is_some() { PostAction::Again } else { answer })
    }
}

fn retried(result: io::Result<usize>) -> io::Result<usize> {
    result.or_else(|error| if is_passing(&error) { Ok(0) } else { Err(error) })
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
