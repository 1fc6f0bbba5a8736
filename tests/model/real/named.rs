//! What the state keeps of a source.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use soloop::{
    AnyToken, Channel, Child, Executor, Generic, Interval, JoinHandle, MioSource, Ping, PingSource,
    Scheduler, Sender, Signals, SyncSender, Task, Timer, Token, TransientSource, WallTimer,
};

use super::sources::{Bell, Noted, Rope};
use super::system::Leash;
use super::tasks::{Feed, Gate};

pub struct Source {
    pub token: Named,
    pub end: OtherEnd,
}

#[derive(Clone, Copy)]
pub enum Named {
    Timer(Token<Timer>),
    Part(Token<TransientSource<Timer>>),
    Interval(Token<Interval>),
    Ping(Token<PingSource>),
    Channel(Token<Channel<u32>>),
    Fd(Token<Generic<UnixStream>>),
    Mio(Token<MioSource<mio::net::UnixStream>>),
    Executor(Token<Executor<u32>>),
    Bell(Token<Bell>),
    Signals(Token<Noted<Signals>>),
    Child(Token<Noted<Child>>),
    Wall(Token<Noted<WallTimer>>),
    #[cfg(feature = "futures-core")]
    Stream(Token<soloop::StreamSource<Feed>>),
    Task(Token<Task>),
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
            Named::Signals($token) => $body,
            Named::Child($token) => $body,
            Named::Wall($token) => $body,
            #[cfg(feature = "futures-core")]
            Named::Stream($token) => $body,
            Named::Task($token) => $body,
        }
    };
}
pub(super) use with_token;

impl Named {
    pub fn any(self) -> AnyToken {
        with_token!(self, token => token.into())
    }
}

pub enum OtherEnd {
    None,
    Ping(Ping),
    Channel(Option<Sender<u32>>),
    SyncChannel(Option<SyncSender<u32>>),
    Scheduler(Scheduler<u32>),
    Fd(Option<UnixStream>),
    Bell(Arc<Rope>),
    /// The signals that it was made for.
    Signals([bool; 2]),
    Child(Leash),
    #[cfg_attr(
        not(feature = "futures-core"),
        expect(dead_code, reason = "there is no such source")
    )]
    Feed(Feed),
    Task(Arc<Gate>, Option<JoinHandle<u32>>),
}

impl OtherEnd {
    /// Whether there was anything to do it to. `message` is what to send.
    pub fn poke(&mut self, message: u32) -> bool {
        use std::io::Write;
        match self {
            Self::None => false,
            Self::Ping(ping) => {
                ping.ping();
                true
            }
            Self::Channel(sender) => {
                sender.as_ref().is_some_and(|sender| sender.send(message).is_ok())
            }
            Self::SyncChannel(sender) => {
                sender.as_ref().is_some_and(|sender| sender.try_send(message).is_ok())
            }
            Self::Scheduler(scheduler) => scheduler.schedule(std::future::ready(message)).is_ok(),
            Self::Fd(stream) => {
                stream.as_mut().is_some_and(|stream| stream.write_all(b"x").is_ok())
            }
            Self::Bell(rope) => rope.pull(),
            Self::Signals(which) => {
                super::system::raise(*which);
                true
            }
            Self::Child(leash) => leash.end(Some(crate::model::ops::POKED)),
            Self::Feed(feed) => feed.push(message),
            Self::Task(gate, _) => {
                gate.poke();
                true
            }
        }
    }

    pub fn hang_up(&mut self) {
        match self {
            Self::Channel(sender) => *sender = None,
            Self::SyncChannel(sender) => *sender = None,
            Self::Fd(stream) => *stream = None,
            Self::Child(leash) => drop(leash.end(None)),
            Self::Feed(feed) => feed.end(),
            _ => {}
        }
    }
}
