//! A callback-based event loop for programs that keep one global state.
//!
//! The loop ([`EventLoop`]) stays in `main` and calls back with `&mut Data`. Its handle ([`LoopHandle`]) is a
//! plain field of that state, where [`LoopData`] finds it, so that a callback can insert, change and remove
//! sources. What a source is called by is a [`Token`], typed and generational. Nothing is reference-counted
//! and nothing is borrowed at run time: what callbacks share flows through `&mut Data`.
//!
//! The [`guide`] begins at the beginning: words, pictures, and how the usual things are done.
//!
//! # Map
//!
//! * The loop: [`EventLoop::run`], [`EventLoop::dispatch`]; what goes wrong: [`Error`], [`ErrorAction`].
//! * Operations: [`LoopHandle::insert_source`], [`insert_once`](LoopHandle::insert_once),
//!   [`insert_timer`](LoopHandle::insert_timer), [`insert_idle`](LoopHandle::insert_idle), [`remove`](LoopHandle::remove), [`take`](LoopHandle::take),
//!   [`visit`](LoopHandle::visit), [`update`](LoopHandle::update), [`enable`](LoopHandle::enable),
//!   [`disable`](LoopHandle::disable).
//! * Sources: fds ([`Generic`], [`MioSource`]), time ([`Timer`], [`Interval`], `WallTimer`), messages ([`channel()`], [`sync_channel`],
//!   [`make_ping`]), processes (`Signals`, `Child`), Wayland (`WaylandSource`), those of calloop (`CalloopSource`, `CalloopLoop`), and yours ([`EventSource`],
//!   [`TransientSource`]).
//! * Futures: [`EventLoop::block_on`], [`TimeoutFuture`], fds (`LoopHandle::adapt_io`), those whose results go
//!   to a callback (`executor`), tasks that reach the state (`LoopHandle::spawn`) and those that are waited for
//!   (`JoinHandle`), streams (`StreamSource`).
//! * Sources and tasks that end together: [`Scope`].
//! * From other threads, and from a `Drop`: [`Remote`], [`LocalRemote`], [`LoopSignal`], [`Notifier`], [`SourceGuard`],
//!   `FdGuard`.
//! * Sources of your own: [`EventSource`], and [`Registrar`], by which those of this crate are made, too.
//! * Order and time: [`SourceOptions`] (name, priority, budgets, error policy), [`EventLoop::set_round_time`] (how late
//!   a timer may be under load), [`Clock`] (virtual time for tests).
//! * Insight: [`EventLoop::observe`] and [`slow_callbacks`], [`Observer`] with [`Histograms`], [`ChromeTrace`]
//!   and [`SlowestCallbacks`], [`EventLoop::stats`], and [`EventLoop::sources`], a table; from
//!   inside of a callback, [`LoopHandle::inspect`]; from another process, `Inspector` and `soloop-top`.
//! * Modules that know only their part of the state: [`map_data`], [`LoopHandle::insert_part`].
//!
//! # Where an operation takes effect
//!
//! What touches a stored source is queued, and applied in the order it was asked for as soon as the current
//! callback returns, before any other callback runs. So a source that is removed or disabled gets no further
//! event, not even one that was found together with the current one, and an explicit operation on the own
//! source wins over what the callback answers.
//!
//! # Words
//!
//! * *source*: what produces events, inserted into the loop with its *callback*; the *token* names it;
//! * *interest*: one thing that a source waits for; *readiness*: what has come of it;
//! * *op*: what was asked of a stored source, and is applied after the current callback;
//! * *dispatch*: one call of [`EventLoop::dispatch`]; *round*: what one dispatch delivers;
//! * *idle*: a callback that runs once, after the events of the round; *deadline*: when a timer is due.
//!
//! # Look, then act
//!
//! [`EventLoop::get`] borrows the loop, and a borrow of a part of the state ends before
//! [`LoopData::loop_handle`] borrows the whole: first look, then act.
//!
//! ```
//! # use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer};
//! # struct State { handle: LoopHandle<State> }
//! # impl LoopData for State { fn loop_handle(&mut self) -> &mut LoopHandle<Self> { &mut self.handle } }
//! let (mut event_loop, handle) = EventLoop::new()?;
//! let mut state = State { handle };
//! let timer = state.handle.insert_source(Timer::immediate(), |_, _| TimeoutAction::Drop)?;
//! event_loop.apply_pending(&mut state)?;
//! let due = event_loop.get(timer).and_then(Timer::current_deadline);
//! if due.is_some_and(|due| due < state.handle.now()) {
//!     state.handle.remove(timer);
//! }
//! # Ok::<(), soloop::Error>(())
//! ```

#![forbid(unsafe_code)]

#[macro_use]
mod assertions;

mod clock;
mod dispatch;
mod error;
mod event_loop;
pub mod guide;
mod handle;
#[cfg(all(unix, feature = "calloop"))]
pub mod hosting;
mod insight;
#[cfg(all(unix, feature = "inspector"))]
pub mod inspector;
mod interest;
mod kernel;
mod operations;
mod registry;
mod shrink;
mod sources;
mod sync;
mod tasks;
mod threads;
mod token;

pub use clock::Clock;
pub use error::{Error, ErrorAction, InsertError, InsertOnceError, Result};
pub use event_loop::EventLoop;
pub use handle::local_remote::LocalRemote;
pub use handle::part::map_data;
pub use handle::{LoopData, LoopHandle};
#[cfg(all(unix, feature = "calloop"))]
pub use hosting::{CalloopLoop, CalloopSource, CalloopTurn};
#[cfg(feature = "tracing")]
pub use insight::observe::TracingSpans;
pub use insight::observe::{
    CallbackKind, CallbackReport, CallbackStart, ChromeTrace, Histogram, Histograms, Observer,
    RoundReport, SlowestCallback, SlowestCallbacks, WaitReport, slow_callbacks,
};
pub use insight::stats::{SourceRow, SourceStats, SourceTable, Stats};
#[cfg(all(unix, feature = "inspector"))]
pub use inspector::Inspector;
pub use interest::{Interest, Mode, PostAction, Readiness};
pub use registry::options::{Priority, SourceOptions};
pub use registry::registrar::Registrar;
pub use registry::scope::Scope;
pub use registry::source::{EventIterator, EventSource};
#[cfg(unix)]
pub use threads::dropped_guards::FdGuard;
pub use threads::dropped_guards::SourceGuard;
pub use threads::ready::{Notifier, RawNotifier};
pub use threads::remote::Remote;
pub use threads::signal::LoopSignal;
pub use token::{AnyToken, IdleToken, InterestToken, Token};

pub use sources::*;
pub use tasks::*;

/// The code of README.md compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
