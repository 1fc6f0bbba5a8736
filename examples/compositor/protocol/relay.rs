//! A client's socket, read in pieces.
//!
//! The display of `wayland-backend` reads a client until there is nothing more, and a client that sends all the
//! time has it read all the time. So the display gets one end of a socket pair in place of the client's socket, and
//! this source passes on what comes, fds included: in each round of the loop a piece of it, from each client. What
//! the display can read in one go is bounded by that, and a client that sends more waits for its turn.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use soloop::{EventSource, Interest, InterestToken, Mode, PostAction, Readiness, Registrar};

/// How much is passed on in a round, in bytes: as much as libwayland's buffers hold.
const PIECE: usize = 4096;
/// How many fds come with a piece at most: as many as libwayland sends.
const MAX_FDS: usize = 28;

/// A client's socket and the display's, with what is on its way between them.
pub struct Relay {
    client: End,
    display: End,
    requests: Pipe,
    events: Pipe,
    behind: bool,
}

/// What a relay tells of.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Relayed {
    /// Its client leaves events unread: there is no room for more.
    Behind,
    /// It has read enough for all that was waiting.
    CaughtUp,
    /// There were no fds left for some that it sent.
    LostFds,
}

impl Relay {
    /// A relay for a client, and the socket to give to the display.
    pub fn new(client: UnixStream) -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        client.set_nonblocking(true)?;
        ours.set_nonblocking(true)?;
        let relay = Self {
            client: End::new(client),
            display: End::new(ours),
            requests: Pipe::default(),
            events: Pipe::default(),
            behind: false,
        };
        Ok((relay, theirs))
    }

    /// Passes on the last words of a display that has closed its end: why it did, usually.
    pub fn say_farewell(&mut self) {
        let Self { client, display, events, .. } = self;
        while events.advance(&display.stream, &client.stream, true).is_ok() && events.moved {}
    }

    /// Each end is read while there is room at the other, and written to while something waits for it.
    fn update_interests(&mut self) -> bool {
        let interest = |from: &Pipe, to: &Pipe| Interest {
            readable: from.is_empty(),
            writable: !to.is_empty(),
            ..Interest::EMPTY
        };
        let of_client = interest(&self.requests, &self.events);
        let of_display = interest(&self.events, &self.requests);
        let changed = (of_client, of_display) != (self.client.interest, self.display.interest);
        (self.client.interest, self.display.interest) = (of_client, of_display);
        changed
    }
}

struct End {
    stream: UnixStream,
    interest: Interest,
    token: Option<InterestToken>,
}

impl End {
    fn new(stream: UnixStream) -> Self {
        Self { stream, interest: Interest::READ, token: None }
    }

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let fd = self.stream.as_fd();
        match self.token {
            Some(token) => registrar.reregister_fd(token, fd, self.interest, Mode::Level)?,
            None => {
                self.token = Some(registrar.register_fd(fd, self.interest, Mode::Level)?);
            }
        }
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let token = self.token.take();
        token.map_or(Ok(()), |token| registrar.unregister_fd(token, self.stream.as_fd()))
    }
}

impl EventSource for Relay {
    type Event<'a> = Relayed;
    type Ret = ();
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.client.register(registrar)?;
        self.display.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.register(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.client.unregister(registrar).and(self.display.unregister(registrar))
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(Relayed),
    {
        let Self { client, display, requests, events, behind } = self;
        let readable = readiness.readable || readiness.read_closed || readiness.error;
        let asks = readable && client.token == Some(token);
        let answers = readable && display.token == Some(token);
        if requests.advance(&client.stream, &display.stream, asks) == Err(Ended::Reading) {
            // What was passed on is read all the same, and then there is an end for the display, too.
            let _ = display.stream.shutdown(Shutdown::Both);
            return Ok(PostAction::Remove);
        }
        if events.advance(&display.stream, &client.stream, answers).is_err() {
            let _ = display.stream.shutdown(Shutdown::Both);
            return Ok(PostAction::Remove);
        }
        if requests.lost_fds {
            callback(Relayed::LostFds);
        }
        if std::mem::replace(behind, !events.is_empty()) != *behind {
            callback(if *behind { Relayed::Behind } else { Relayed::CaughtUp });
        }
        Ok(if self.update_interests() { PostAction::Reregister } else { PostAction::Continue })
    }
}

/// What was read at one end and is still to be written to the other.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
    /// The last advance has read something.
    moved: bool,
    lost_fds: bool,
}

/// Which end is closed.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Ended {
    Reading,
    Writing,
}

impl Pipe {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads a piece, if it may and nothing is waiting, and writes as much as goes.
    fn advance(&mut self, from: &UnixStream, to: &UnixStream, may_read: bool) -> Result<(), Ended> {
        self.moved = false;
        if may_read && self.is_empty() {
            self.receive(from).map_err(|_| Ended::Reading)?;
        }
        self.send(to).map_err(|_| Ended::Writing)
    }

    fn receive(&mut self, from: &UnixStream) -> io::Result<()> {
        self.bytes.resize(PIECE, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut fds = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(from, &mut [IoSliceMut::new(&mut self.bytes)], &mut fds, flags);
        let count = received.as_ref().map_or(0, |received| received.bytes);
        self.bytes.truncate(count);
        let received = match received.map_err(io::Error::from) {
            Ok(received) => received,
            Err(error) if is_for_now(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        for message in fds.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        self.lost_fds |= received.flags.contains(ReturnFlags::CTRUNC);
        self.moved = count > 0;
        if self.moved { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn send(&mut self, to: &UnixStream) -> io::Result<()> {
        while !self.bytes.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
            let mut message = SendAncillaryBuffer::new(&mut space);
            let fds: Vec<_> = self.fds.iter().map(AsFd::as_fd).collect();
            if !fds.is_empty() {
                message.push(SendAncillaryMessage::ScmRights(&fds));
            }
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendmsg(to, &[IoSlice::new(&self.bytes)], &mut message, flags) {
                Ok(count) => {
                    // The fds go with the first byte.
                    self.fds.clear();
                    self.bytes.drain(..count);
                }
                Err(error) if is_for_now(&error.into()) => return Ok(()),
                Err(error) => {
                    self.bytes.clear();
                    self.fds.clear();
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }
}

fn is_for_now(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
