//! One viewer: a source that reads requests, keeps the viewer's times and writes the answers.
//!
//! It handles at most a few thousand bytes per call, and one call per round. It reads no request before the answers to
//! earlier ones are written, and begins no snapshot before the last one is written: the data that waits for a viewer is
//! bounded. A viewer that reads nothing for a while is dropped. For work that needs the loop it calls its callback,
//! which arranges a call of [`look`](super::look::look).

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::VERSION;
use super::look::Collecting;
use super::message::{Hello, Message, Request};
use crate::sources::fd_watch::FdWatch;
use crate::{
    Clock, EventSource, Interest, InterestToken, Mode, Notifier, PostAction, Readiness, Registrar,
    Timer,
};

/// How long a viewer may read nothing while data waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest request, in bytes.
const LONGEST_REQUEST: usize = 4096;
/// The number of bytes per write, at most.
const CHUNK: usize = 32 << 10;
const LEAST_PERIOD: Duration = Duration::from_millis(10);
const LEAST_SLOW: Duration = Duration::from_micros(100);
const LONGEST_TRACE: Duration = Duration::from_secs(60);

/// A trace that a viewer requested.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tracing {
    For(Duration),
    Until(Instant),
}

#[derive(Debug)]
pub(super) struct Viewer {
    stream: UnixStream,
    clock: Clock,
    fd: FdWatch,
    timer: Timer,
    pub(super) notifier: Option<(InterestToken, Notifier)>,
    input: Vec<u8>,
    output: VecDeque<Vec<u8>>,
    /// The number of bytes of the first line that are written.
    written: usize,
    /// Since when the viewer has read nothing.
    stuck_since: Instant,
    greeted: bool,
    /// The viewer is removed once its output is written.
    closing: bool,
    watch: Option<(Duration, Instant)>,
    pub(super) slow: Option<Duration>,
    pub(super) tracing: Option<Tracing>,
    pub(super) collecting: Option<Collecting>,
}

/// A message in the form in which it is sent.
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
            fd: FdWatch::default(),
            timer: Timer::never(),
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

    /// Queues a line to be written.
    pub(super) fn send(&mut self, line: Vec<u8>) {
        if self.output.is_empty() {
            self.stuck_since = self.clock.now();
        }
        self.output.push_back(line);
    }

    /// Sends the reason, then ends the connection.
    fn refuse(&mut self, why: String) {
        self.send(line(&Message::Error(why)));
        (self.closing, self.watch, self.collecting) = (true, None, None);
        self.input.clear();
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(first) = self.output.front() else { return Ok(()) };
        let end = first.len().min(self.written + CHUNK);
        let written = match self.stream.write(&first[self.written..end]) {
            Err(error) if is_passing(&error) => 0,
            written => written?,
        };
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

    /// Reads once. Returns whether the viewer is still connected.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; LONGEST_REQUEST];
        let read = match self.stream.read(&mut buffer) {
            Err(error) if is_passing(&error) => return Ok(true),
            read => read?,
        };
        self.input.extend(&buffer[..read]);
        Ok(read > 0)
    }

    /// Handles requests until there is something to write.
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

    /// Whether requests have to wait until something is written.
    fn is_busy(&self) -> bool {
        !self.output.is_empty() || self.collecting.is_some()
    }

    /// Begins a snapshot if it is due, and schedules the next.
    fn keep_time(&mut self, now: Instant) {
        let busy = self.is_busy();
        if let Some((every, next)) = &mut self.watch
            && *next <= now
        {
            // A viewer that reads more slowly than that gets fewer snapshots.
            *next = now.checked_add(*every).unwrap_or(now);
            if !busy {
                self.collecting = Some(Collecting::default());
            }
        }
    }

    /// The next deadline of the timer.
    fn deadline(&self) -> Option<Instant> {
        let watch = self.watch.map(|(_, next)| next);
        let patience = (!self.output.is_empty()).then(|| self.stuck_since + PATIENCE);
        let trace = match self.tracing {
            Some(Tracing::Until(end)) => Some(end),
            _ => None,
        };
        [watch, patience, trace].into_iter().flatten().min()
    }

    /// Reads and writes. Returns whether the viewer stays.
    fn process(&mut self, token: InterestToken, ready: Readiness) -> io::Result<bool> {
        let now = self.clock.now();
        if self.fd.is(token) {
            if ready.error || (ready.write_closed && !self.output.is_empty()) {
                return Ok(false);
            }
            self.write()?;
            if self.closing && self.output.is_empty() {
                return Ok(false);
            }
            if !self.is_busy() && (ready.readable || ready.read_closed) && !self.read()? {
                return Ok(false);
            }
        }
        if !self.output.is_empty() && now.saturating_duration_since(self.stuck_since) >= PATIENCE {
            return Ok(false);
        }
        self.take_requests();
        self.keep_time(now);
        Ok(true)
    }
}

impl EventSource for Viewer {
    /// The viewer needs a look at the loop.
    type Event<'a> = ();
    type Ret = ();
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.reregister(registrar)?;
        self.notifier = Some(registrar.notifier());
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let interest = if self.output.is_empty() { Interest::READ } else { Interest::WRITE };
        self.fd.register(registrar, self.stream.as_fd(), interest, Mode::Level)?;
        match self.deadline() {
            Some(deadline) => self.timer.set_deadline(deadline),
            None => self.timer.set_duration(Duration::MAX),
        }
        self.timer.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.timer.unregister(registrar)?;
        if let Some((token, _)) = self.notifier.take() {
            registrar.release(token);
        }
        self.fd.unregister(registrar, self.stream.as_fd())
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
        // Of an error: the viewer disconnected without a message.
        if !self.process(token, readiness).unwrap_or(false) {
            return Ok(PostAction::Remove);
        }
        if self.greeted {
            callback(());
        }
        // A viewer that is not greeted collects nothing.
        Ok(if self.collecting.is_some() { PostAction::Again } else { PostAction::Reregister })
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
