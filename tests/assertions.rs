//! What each public type is and what it is not: `Send`, `Sync`, `Copy`, `Unpin`, `UnwindSafe` and `RefUnwindSafe`, each
//! decided for each type.
//!
//! Deliberately `UnwindSafe`: plain data, tokens, and everything that another thread or a destructor may use (`Remote`,
//! `LoopSignal`, senders, pings, clocks), because no user code runs while these are half-changed. Deliberately not:
//! whatever holds the user's callbacks, futures and sources, above all the loop and its handle. These go on after a
//! panic, but what a callback was changing may be half-done. With `AssertUnwindSafe` the user says that this is known.

use std::fs;
use std::path::{Path, PathBuf};

/// `assert_traits!(Type: Send, Sync; not Copy)`: the compiler checks it.
macro_rules! assert_traits {
    ($type:ty: $($is:path),+ $(; not $($is_not:path),+)?) => {
        const _: () = {
            static_assertions::assert_impl_all!($type: $($is),+);
            $(static_assertions::assert_not_impl_any!($type: $($is_not),+);)?
        };
    };
}

#[rustfmt::skip]
mod everywhere {
    use std::error::Error as StdError;
    use std::fmt::Debug;
    use std::hash::Hash;
    use std::panic::{RefUnwindSafe, UnwindSafe};
    use std::sync::mpsc::Receiver;

    use soloop::channel::Event;
    use soloop::*;

    assert_traits!(EventLoop<()>: Unpin; not Send, Sync, Copy, Clone, UnwindSafe, RefUnwindSafe);
    assert_traits!(LoopHandle<()>: Unpin; not Send, Sync, Copy, Clone, UnwindSafe, RefUnwindSafe);
    assert_traits!(Clock: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);

    assert_traits!(Token<*mut ()>: Copy, Ord, Hash, Debug, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(AnyToken: Copy, Ord, Hash, Debug, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(InterestToken: Copy, Ord, Hash, Debug, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(IdleToken: Copy, Ord, Hash, Debug, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);

    assert_traits!(Interest: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(Mode: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(Readiness: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(PostAction: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);

    assert_traits!(Error: Send, Sync, Unpin, StdError; not Copy, Clone, UnwindSafe, RefUnwindSafe);
    assert_traits!(ErrorAction: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(InsertError<u8>: Send, Sync, Unpin, StdError; not Copy, Clone, UnwindSafe, RefUnwindSafe);
    assert_traits!(InsertError<*mut ()>: Unpin, StdError; not Send, Sync);
    assert_traits!(InsertOnceError<u8, u8>: Send, Sync, Unpin, StdError; not Copy, Clone, UnwindSafe, RefUnwindSafe);

    assert_traits!(Priority: Copy, Ord, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(SourceOptions: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Scope: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Clone, Copy);
    assert_traits!(Registrar<'static>: Send, Sync, Unpin, RefUnwindSafe; not Copy, Clone, UnwindSafe);
    assert_traits!(EventIterator<'static>: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);

    assert_traits!(SourceGuard: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(RawNotifier: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug; not Copy);
    assert_traits!(Notifier: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug; not Copy);
    assert_traits!(LoopSignal: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug; not Copy);
    assert_traits!(Remote<*mut ()>: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug; not Copy);
    assert_traits!(LocalRemote<*mut ()>: Clone, Unpin, UnwindSafe, RefUnwindSafe, Debug; not Copy);
    assert_traits!(LocalRemote<u8>: Clone; not Send, Sync);

    assert_traits!(Event<u8>: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(Sender<Receiver<u8>>: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Sender<*mut ()>: Clone; not Send, Sync);
    assert_traits!(SyncSender<Receiver<u8>>: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(SyncSender<*mut ()>: Clone; not Send, Sync);
    assert_traits!(Channel<Receiver<u8>>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(Channel<*mut ()>: Unpin; not Send, Sync);
    assert_traits!(Ping: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(PingSource: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);

    assert_traits!(TimeoutAction: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(Timer: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(TimeoutFuture: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(Interval: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(Tick: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);

    assert_traits!(Ready<'static, u8>: Send, Sync, Unpin, RefUnwindSafe; not Copy, Clone, UnwindSafe);
    assert_traits!(MioSource<u8>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(MioSource<*mut ()>: Unpin; not Send, Sync);
    assert_traits!(TransientSource<Timer>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(TransientSource<*mut ()>: Unpin; not Send, Sync);

    assert_traits!(Stats: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(SourceStats: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(SourceTable: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(SourceRow: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(CallbackKind: Copy, Ord, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(CallbackStart<'static>: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(CallbackReport<'static>: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(WaitReport: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(RoundReport: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(ChromeTrace<Vec<u8>>: Send, Sync, Unpin; not Copy, UnwindSafe, RefUnwindSafe);
    assert_traits!(Histogram: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Histograms: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(SlowestCallbacks: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(SlowestCallback: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
}

#[cfg(unix)]
#[rustfmt::skip]
mod on_unix {
    use std::fmt::Debug;
    use std::net::TcpStream;
    use std::os::fd::OwnedFd;
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use soloop::io::{Readable, Writable};
    use soloop::*;

    assert_traits!(Generic<OwnedFd>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(Generic<*mut ()>: Unpin; not Send, Sync);
    assert_traits!(FdGuard: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(Async<TcpStream>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug; not Copy, Clone);
    assert_traits!(Readable<'static, TcpStream>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(Writable<'static, TcpStream>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
}

#[cfg(any(target_os = "linux", all(unix, feature = "signals")))]
mod child {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use soloop::Child;

    assert_traits!(Child: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
}

#[cfg(target_os = "linux")]
mod wall_timer {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use soloop::*;

    assert_traits!(WallTimer: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(WallEvent: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(WallAction: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
}

#[cfg(all(unix, feature = "signals"))]
mod signals {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use soloop::*;

    assert_traits!(Signals: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(Signal: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_traits!(SignalSender: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
}

#[cfg(feature = "executor")]
#[rustfmt::skip]
mod executor {
    use std::error::Error as StdError;
    use std::fmt::Debug;
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use soloop::*;

    assert_traits!(Executor<u8>: Unpin; not Copy, Clone, Send, Sync, UnwindSafe, RefUnwindSafe);
    assert_traits!(Scheduler<u8>: Clone, Unpin, UnwindSafe, RefUnwindSafe, Debug; not Copy, Send, Sync);
    assert_traits!(ExecutorDestroyed: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, StdError);
    assert_traits!(Task: Unpin; not Send, Sync, Copy, UnwindSafe, RefUnwindSafe);
    assert_traits!(TaskContext<*mut ()>: Clone, Unpin, UnwindSafe, RefUnwindSafe, Debug; not Copy);
    assert_traits!(TaskContext<u8>: Clone; not Send, Sync);
    assert_traits!(Elapsed: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, StdError);
    assert_traits!(JoinHandle<u8>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug; not Copy, Clone);
    assert_traits!(JoinHandle<*mut ()>: Unpin; not Send, Sync);
    assert_traits!(Cancelled: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, StdError);
    assert_traits!(TaskWaits: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
}

#[cfg(feature = "futures-core")]
#[rustfmt::skip]
mod stream {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use futures_util::Stream;
    use soloop::StreamSource;

    assert_traits!(StreamSource<Box<dyn Stream<Item = u8> + Send>>: Send, Unpin; not Copy, Clone);
    assert_traits!(StreamSource<Box<dyn Stream<Item = u8>>>: Unpin; not Send, Sync, UnwindSafe, RefUnwindSafe);
}

#[cfg(feature = "tracing")]
mod tracing {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use soloop::TracingSpans;

    assert_traits!(TracingSpans: Sync, Unpin; not Send, Copy, UnwindSafe, RefUnwindSafe);
}

#[cfg(all(unix, feature = "wayland-client"))]
mod wayland {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use soloop::wayland::{Queue, WaylandSource};

    // The backend decides whether they are `Send`: libwayland's guard (feature `client_system` of `wayland-backend`, which
    // any crate of a program may turn on) was not before 0.3.17.
    assert_traits!(WaylandSource<u8>: Send, Sync, Unpin; not Copy, Clone, UnwindSafe, RefUnwindSafe);
    assert_traits!(Queue<u8>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
}

#[cfg(all(unix, feature = "calloop"))]
#[rustfmt::skip]
mod calloop {
    use std::fmt::Debug;
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use ::calloop::timer::Timer;
    use soloop::{CalloopLoop, CalloopSource, CalloopTurn};

    assert_traits!(CalloopSource<Timer>: Unpin, Debug; not Send, Sync, Copy, Clone, UnwindSafe, RefUnwindSafe);
    assert_traits!(CalloopLoop<u8>: Unpin, Debug; not Send, Sync, Copy, Clone, UnwindSafe, RefUnwindSafe);
    assert_traits!(CalloopTurn<'static, u8>: Unpin, Debug; not Send, Sync, Copy, Clone, UnwindSafe, RefUnwindSafe);
}

#[cfg(all(unix, feature = "inspector"))]
mod inspector {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use soloop::inspector::*;

    assert_traits!(Inspector: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(Connection: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);
    assert_traits!(Request: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Message: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Hello: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Snapshot: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Totals: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Gone: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Counts: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Source: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(SlowCallback: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
    assert_traits!(Trace: Clone, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy);
}

const TRAITS: [&str; 6] = ["Send", "Sync", "Copy", "Unpin", "UnwindSafe", "RefUnwindSafe"];

/// `pub` is what users reach, because the lint `unreachable_pub` refuses any other.
#[test]
fn every_public_type_says_what_it_is() {
    let assertions = assertions(include_str!("assertions.rs"));
    let (mut types, mut undecided) = (0, Vec::new());
    for file in files(Path::new("src")) {
        for name in public_types(&fs::read_to_string(&file).unwrap()) {
            types += 1;
            let traits = || assertions.iter().filter(|it| it.0 == name).flat_map(|it| &it.1);
            let missing = TRAITS.iter().filter(|wanted| !traits().any(|named| named == *wanted));
            undecided.extend(missing.map(|it| format!("{}: is `{name}` {it}?", file.display())));
        }
    }
    assert!(types > 50, "{types} public types");
    assert!(undecided.is_empty(), "no `assert_traits!` above says:\n{undecided:#?}");
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let inside = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(inside).collect()
}

fn public_types(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let line = line.trim_start();
        let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))?;
        Some(identifier(rest))
    })
}

/// The types that something is asserted of, and the traits that are named for them.
fn assertions(source: &str) -> Vec<(&str, Vec<&str>)> {
    let lines = source.lines().map(str::trim_start);
    let bodies = lines.filter_map(|it| it.strip_prefix("assert_traits!(")?.strip_suffix(");"));
    bodies
        .map(|body| {
            let (name, traits) = body.split_once(": ").unwrap();
            let words = traits.split(|c: char| !c.is_alphanumeric()).filter(|it| !it.is_empty());
            (identifier(name), words.collect())
        })
        .collect()
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}
