//! A callback-based event loop for programs that keep one global state.
//!
//! The loop ([`EventLoop`]) stays in `main` and calls back with `&mut Data`. Its handle ([`LoopHandle`]) is a plain
//! field of that state, where [`LoopData`] finds it, so that a callback can insert, change and remove sources. A
//! [`Token`], typed and generational, names an inserted source. Callbacks share nothing but `&mut Data`: there is no
//! `Rc` and no `RefCell`, and the compiler checks every borrow.
//!
//! Start with the [`guide`]: the words, pictures of the loop, and how common tasks are done.
//!
//! # Map
//!
//! * The loop: [`EventLoop::run`], [`EventLoop::dispatch`]; what goes wrong: [`Error`], [`ErrorAction`].
//! * Operations: [`LoopHandle::insert_source`], [`insert_once`](LoopHandle::insert_once),
//!   [`insert_timer`](LoopHandle::insert_timer), [`insert_idle`](LoopHandle::insert_idle),
//!   [`remove`](LoopHandle::remove), [`take`](LoopHandle::take), [`visit`](LoopHandle::visit),
//!   [`update`](LoopHandle::update), [`enable`](LoopHandle::enable), [`disable`](LoopHandle::disable).
//! * Sources: fds ([`Generic`], [`MioSource`]), time ([`Timer`], [`Interval`], `WallTimer`), messages ([`channel()`],
//!   [`sync_channel`], [`make_ping`]), processes (`Signals`, `Child`), Wayland (`WaylandSource`), sources and loops
//!   of calloop (`CalloopSource`, `CalloopLoop`).
//! * Futures: [`EventLoop::block_on`]; [`TimeoutFuture`]; futures that wait for an fd (`LoopHandle::adapt_io`);
//!   futures whose results go to a callback (`executor`); tasks that reach the state (`LoopHandle::spawn`) and tasks
//!   with a result (`JoinHandle`); streams (`StreamSource`).
//! * Sources and tasks that end together: [`Scope`].
//! * Work from other threads, or from a `Drop`: [`Remote`], [`LocalRemote`], [`LoopSignal`], [`Notifier`],
//!   [`SourceGuard`],
//!   `FdGuard`.
//! * Sources of your own: [`EventSource`], [`TransientSource`] and [`Registrar`]; the built-in sources use the same
//!   three.
//! * Order and time: [`SourceOptions`] (name, priority, budgets, error policy), [`EventLoop::set_round_time`] (how late
//!   a timer may be under load), [`Clock`] (virtual time for tests).
//! * Insight: [`EventLoop::observe`] and [`slow_callbacks`], [`Observer`] with [`Histograms`], [`ChromeTrace`]
//!   and [`SlowestCallbacks`], [`EventLoop::stats`], and [`EventLoop::sources`], a table; from
//!   inside of a callback, [`LoopHandle::inspect`]; from another process, `Inspector` and `soloop-top`.
//! * Modules that know only their part of the state: [`map_data`], [`LoopHandle::insert_part`].
//!
//! # Features
//!
//! By default: `signals` (`Signals`, and `Child` elsewhere than on Linux) and `executor` (`executor`,
//! `LoopHandle::spawn`). Others:
//! `signal-origin` (who sent a signal), `futures-core` (`StreamSource`), `futures-io` (`AsyncRead` and `AsyncWrite` for
//! `Async`), `tracing` (`TracingSpans`), `wayland-client` (`WaylandSource`), `calloop` (sources and loops of calloop's:
//! `LoopHandle::insert_calloop_source`, `insert_calloop_on_demand`, `insert_calloop`), `inspector` (`Inspector`),
//! `full` (all of these), and `linux_5_11` (a wait ends at the nearest deadline by itself; on an older kernel every
//! wait fails).
//!
//! # Where an operation takes effect
//!
//! An operation on a stored source is queued. The queue is applied in order as soon as the current callback returns,
//! before any other callback runs. So a source that is removed or disabled gets no further event, not even one that
//! the same wait found, and an explicit operation on the running source overrides what its callback answers.
//!
//! When the [time of a round](EventLoop::set_round_time) is over, operations that run user code (visits, updates,
//! destructors) wait for the next round together with those behind them, and sources of high priority and due timers may
//! run before them. Removing, disabling and moving a deadline hold in any case.
//!
//! # Words
//!
//! * *source*: produces events, and is inserted into the loop with its *callback*; the *token* names it;
//! * *interest*: one thing that a source waits for; *readiness*: what an fd is ready for;
//! * *op*: an operation on a stored source; it is queued, and applied after the current callback;
//! * *dispatch*: one call of [`EventLoop::dispatch`]; *round*: what one dispatch delivers;
//! * *idle*: a callback that runs once, after the events of the round; *deadline*: when a timer is due.
//!
//! # Look, then act
//!
//! [`EventLoop::get`] borrows the loop, and [`LoopData::loop_handle`] borrows the whole state. So end the first
//! borrow before you begin the second: first look, then act.
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

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

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
