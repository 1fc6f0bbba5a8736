#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod clock;
mod deadlines;
mod error;
mod event_loop;
mod handle;
mod idle;
mod interest;
mod options;
mod pending;
mod poller;
mod ready;
mod registrar;
mod registrations;
mod remote;
mod settle;
mod shared;
mod slot;
mod source;
mod sources;
mod token;
mod wait;

pub use clock::Clock;
pub use error::{Error, ErrorAction, InsertError, Result};
pub use event_loop::EventLoop;
pub use handle::{LoopData, LoopHandle};
pub use interest::{Interest, Mode, PostAction, Readiness};
pub use options::{Priority, SourceOptions};
pub use ready::Notifier;
pub use registrar::Registrar;
pub use remote::Remote;
pub use shared::LoopSignal;
pub use source::{EventIterator, EventSource};
pub use token::{AnyToken, IdleToken, InterestToken, Token};

pub use sources::*;
