//! What a loop and its sources take beside time: bytes, fds, and wake-ups without a cause.
//!
//! Bytes are those asked of the allocator for one more source with a callback that captures nothing, once it is
//! registered, and for what its other end points to (a sender, a handle of a ping). It is the mean of the
//! second half of many, so that what a loop allocates once is in none, and the growth of its tables in all.
//! Fds are counted the same way, in `/proc/self/fd`, and include the one that the source is for.
//!
//! With `--features sources` there are Wayland queues and hosted loops too. Their connections and inner loops are made
//! before: what those hold is in no figure, but the inner loop's own structure, which moves into the source, is.

use std::future::pending;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::alloc;
use crate::peers::eventfd;
use crate::report::Row;
use crate::workloads::Unit;

/// How many sources of a kind there are: just below a power of two, when tables that double are full.
const MANY: usize = 8000;
/// The same for loops, and what registers with the process.
const SOME: usize = 120;
const HOUR: Duration = Duration::from_secs(3600);

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    soloop(&mut rows);
    calloop(&mut rows);
    // A kind's rows side by side.
    let kinds: Vec<String> = rows.iter().map(|row| row.title.clone()).collect();
    rows.sort_by_key(|row| kinds.iter().position(|kind| *kind == row.title));
    rows
}

fn row(peer: &'static str, kind: &str, unit: Unit, value: f64) -> Row {
    Row {
        workload: format!("{kind}-{}", unit.name().replace(' ', "-")),
        title: kind.to_owned(),
        unit,
        peer,
        median: value,
        iqr_pct: 0.0,
        vs_raw: None,
        vs_calloop: None,
    }
}

/// What one more of `many` takes: the rows of its bytes and its fds.
fn one_more<T>(
    peer: &'static str,
    kind: &str,
    many: usize,
    mut make: impl FnMut() -> T,
) -> [Row; 2] {
    let mut kept = Vec::with_capacity(many);
    let mut up_to = |n| {
        kept.resize_with(n, &mut make);
        (alloc::live(), open_fds())
    };
    alloc::count(true);
    let half = up_to(many / 2);
    let all = up_to(many);
    alloc::count(false);
    let each = |total: u64| total as f64 / (many - many / 2) as f64;
    [
        row(peer, kind, Unit::Bytes, each(all.0.wrapping_sub(half.0))),
        row(peer, kind, Unit::Fds, each(all.1 - half.1)),
    ]
}

fn open_fds() -> u64 {
    std::fs::read_dir("/proc/self/fd").expect("procfs").count() as u64
}

/// A stream that never has anything.
struct Silent;

impl futures_core::Stream for Silent {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<()>> {
        Poll::Pending
    }
}

/// A connection and its queue for each source, and the other ends of the sockets, which say nothing.
#[cfg(feature = "sources")]
type Displays<Data> = (
    Vec<(wayland_client::Connection, wayland_client::EventQueue<Data>)>,
    Vec<std::os::unix::net::UnixStream>,
);

#[cfg(feature = "sources")]
fn displays<Data: 'static>() -> Displays<Data> {
    let display = || {
        let (client, compositor) = std::os::unix::net::UnixStream::pair().expect("sockets");
        let connection = wayland_client::Connection::from_socket(client).expect("a connection");
        let queue = connection.new_event_queue();
        ((connection, queue), compositor)
    };
    (0..SOME).map(|_| display()).unzip()
}

/// How often this thread went to sleep while it waited for a second; once is the wait itself.
fn sleeps(peer: &'static str, wait: impl FnOnce(Duration)) -> Row {
    let before = voluntary_switches();
    wait(Duration::from_secs(1));
    let switches = voluntary_switches() - before;
    row(peer, "waiting 1 s without a source", Unit::Sleeps, switches as f64)
}

fn voluntary_switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).expect("a count")
}

fn soloop(rows: &mut Vec<Row>) {
    use soloop::{
        Child, EventLoop, Generic, Interest, Interval, LoopData, LoopHandle, MioSource, Mode,
        PostAction, Signals, StreamSource, TimeoutAction, Timer, TransientSource, WallAction,
        WallTimer,
    };

    const PEER: &str = "soloop";

    struct State {
        handle: LoopHandle<State>,
    }

    impl LoopData for State {
        fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
            &mut self.handle
        }
    }

    fn new() -> (EventLoop<State>, State) {
        let (event_loop, handle) = EventLoop::new().expect("a loop");
        (event_loop, State { handle })
    }

    /// One source after another into one loop; `insert` answers what its other end is.
    fn source<T>(
        rows: &mut Vec<Row>,
        kind: &str,
        many: usize,
        mut insert: impl FnMut(&mut LoopHandle<State>) -> T,
    ) {
        let (mut event_loop, mut state) = new();
        rows.extend(one_more(PEER, kind, many, || {
            let other_end = insert(&mut state.handle);
            event_loop.apply_pending(&mut state).expect("insertion");
            other_end
        }));
    }

    fn timer(handle: &mut LoopHandle<State>) {
        let token = handle.insert_source(Timer::from_duration(HOUR), |_, _| TimeoutAction::Drop);
        token.expect("a timer");
    }

    rows.extend(one_more(PEER, "loop", SOME, new));
    rows.extend(one_more(PEER, "loop with a timer, dispatched", SOME, || {
        let (mut event_loop, mut state) = new();
        timer(&mut state.handle);
        event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
        (event_loop, state)
    }));
    source(rows, "timer", MANY, timer);
    source(rows, "interval", MANY, |handle| {
        handle.insert_source(Interval::new(HOUR), |_, _| PostAction::Continue).expect("an interval")
    });
    source(rows, "wall timer", MANY, |handle| {
        let timer = WallTimer::after(HOUR).expect("a timerfd");
        handle.insert_source(timer, |_, _| WallAction::Keep).expect("a wall timer")
    });
    source(rows, "ping", MANY, |handle| {
        let (ping, source) = soloop::make_ping();
        handle.insert_source(source, |(), _| {}).expect("a ping");
        ping
    });
    source(rows, "channel", MANY, |handle| {
        let (sender, channel) = soloop::channel::<u64>();
        handle.insert_source(channel, |_, _| {}).expect("a channel");
        sender
    });
    source(rows, "sync channel of 1", MANY, |handle| {
        let (sender, channel) = soloop::sync_channel::<u64>(1);
        handle.insert_source(channel, |_, _| {}).expect("a channel");
        sender
    });
    source(rows, "Generic fd", MANY, |handle| {
        let source = Generic::new(eventfd(), Interest::READ, Mode::Level);
        handle.insert_source(source, |_, _| Ok(PostAction::Continue)).expect("an fd")
    });
    source(rows, "MioSource", MANY, |handle| {
        let (_, receiver) = mio::unix::pipe::new().expect("a pipe");
        let source = MioSource::new(receiver, Interest::READ, Mode::Level);
        handle.insert_source(source, |_, _| Ok(PostAction::Continue)).expect("a pipe")
    });
    source(rows, "adapted fd", MANY, |handle| handle.adapt_io(eventfd()).expect("an fd"));
    source(rows, "signals", SOME, |handle| {
        let signals = Signals::new([libc::SIGUSR1]).expect("a signal");
        handle.insert_source(signals, |_, _| {}).expect("a signal")
    });
    source(rows, "child", SOME, |handle| {
        // It ends when this end of its standard input does.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("a child");
        let stdin = child.stdin.take();
        let child = Child::new(child).expect("a pidfd");
        handle.insert_source(child, |_, _| {}).expect("a child");
        stdin
    });
    source(rows, "stream", MANY, |handle| {
        handle.insert_source(StreamSource::new(Silent), |_, _| {}).expect("a stream");
    });
    source(rows, "timer in a TransientSource", MANY, |handle| {
        let timer = TransientSource::from(Timer::from_duration(HOUR));
        handle.insert_source(timer, |_, _| TimeoutAction::Drop).expect("a timer")
    });
    source(rows, "executor", MANY, |handle| {
        let (executor, scheduler) = soloop::executor::<()>();
        handle.insert_source(executor, |(), _| {}).expect("an executor");
        scheduler
    });
    source(rows, "idle", MANY, |handle| handle.insert_idle(|_| {}));
    #[cfg(feature = "sources")]
    {
        let (mut displays, _compositors) = displays::<State>();
        source(rows, "Wayland queue", SOME, |handle| {
            let (connection, queue) = displays.pop().expect("a display");
            let source = soloop::WaylandSource::new(connection, queue);
            let token = handle.insert_source(source, |queue, state| queue.dispatch_pending(state));
            token.expect("a socket")
        });
        let mut hosted: Vec<_> =
            (0..SOME).map(|_| calloop::EventLoop::<State>::try_new().expect("a loop")).collect();
        source(rows, "hosted calloop loop", SOME, |handle| {
            handle.insert_calloop_on_demand(hosted.pop().expect("a loop")).expect("a loop's fd")
        });
    }

    let (mut event_loop, mut state) = new();
    let (executor, scheduler) = soloop::executor::<()>();
    state.handle.insert_source(executor, |(), _| {}).expect("an executor");
    rows.extend(one_more(PEER, "future in an executor", MANY, || {
        scheduler.schedule(pending()).expect("an executor");
        event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
    }));
    let (mut event_loop, mut state) = new();
    rows.extend(one_more(PEER, "task (spawn)", MANY, || {
        state.handle.spawn(|_| pending());
        event_loop.dispatch(Duration::ZERO, &mut state).expect("dispatch");
    }));

    let (mut event_loop, mut state) = new();
    rows.push(sleeps(PEER, |time| event_loop.dispatch(time, &mut state).expect("dispatch")));
}

fn calloop(rows: &mut Vec<Row>) {
    use calloop::generic::Generic;
    use calloop::signals::{Signal, Signals};
    use calloop::timer::{TimeoutAction, Timer};
    use calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction};

    const PEER: &str = "calloop";

    type Handle = LoopHandle<'static, ()>;

    fn new() -> EventLoop<'static, ()> {
        EventLoop::try_new().expect("a loop")
    }

    fn source<T>(
        rows: &mut Vec<Row>,
        kind: &str,
        many: usize,
        mut insert: impl FnMut(&Handle) -> T,
    ) {
        let event_loop = new();
        let handle = event_loop.handle();
        rows.extend(one_more(PEER, kind, many, || insert(&handle)));
    }

    fn timer(handle: &Handle) {
        let timer = Timer::from_duration(HOUR);
        handle.insert_source(timer, |_, _, _| TimeoutAction::Drop).expect("a timer");
    }

    rows.extend(one_more(PEER, "loop", SOME, new));
    rows.extend(one_more(PEER, "loop with a timer, dispatched", SOME, || {
        let mut event_loop = new();
        timer(&event_loop.handle());
        event_loop.dispatch(Duration::ZERO, &mut ()).expect("dispatch");
        event_loop
    }));
    source(rows, "timer", MANY, timer);
    source(rows, "ping", MANY, |handle| {
        let (ping, source) = calloop::ping::make_ping().expect("a ping");
        handle.insert_source(source, |(), _, _| {}).expect("a ping");
        ping
    });
    source(rows, "channel", MANY, |handle| {
        let (sender, channel) = calloop::channel::channel::<u64>();
        handle.insert_source(channel, |_, _, _| {}).expect("a channel");
        sender
    });
    source(rows, "sync channel of 1", MANY, |handle| {
        let (sender, channel) = calloop::channel::sync_channel::<u64>(1);
        handle.insert_source(channel, |_, _, _| {}).expect("a channel");
        sender
    });
    source(rows, "Generic fd", MANY, |handle| {
        let source = Generic::new(eventfd(), Interest::READ, Mode::Level);
        handle.insert_source(source, |_, _, _| Ok(PostAction::Continue)).expect("an fd")
    });
    source(rows, "adapted fd", MANY, |handle| handle.adapt_io(eventfd()).expect("an fd"));
    source(rows, "signals", SOME, |handle| {
        let signals = Signals::new(&[Signal::SIGUSR1]).expect("a signal");
        handle.insert_source(signals, |_, _, _| {}).expect("a signal")
    });
    source(rows, "executor", MANY, |handle| {
        let (executor, scheduler) = calloop::futures::executor::<()>().expect("an executor");
        handle.insert_source(executor, |(), _, _| {}).expect("an executor");
        scheduler
    });
    source(rows, "idle", MANY, |handle| drop(handle.insert_idle(|_| {})));
    #[cfg(feature = "sources")]
    {
        let (mut displays, _compositors) = displays::<()>();
        source(rows, "Wayland queue", SOME, |handle| {
            let (connection, queue) = displays.pop().expect("a display");
            let source = calloop_wayland_source::WaylandSource::new(connection, queue);
            source.insert(handle.clone()).expect("a socket")
        });
    }

    let mut event_loop = new();
    let (executor, scheduler) = calloop::futures::executor::<()>().expect("an executor");
    event_loop.handle().insert_source(executor, |(), _, _| {}).expect("an executor");
    rows.extend(one_more(PEER, "future in an executor", MANY, || {
        scheduler.schedule(pending()).expect("an executor");
        event_loop.dispatch(Duration::ZERO, &mut ()).expect("dispatch");
    }));

    let mut event_loop = new();
    rows.push(sleeps(PEER, |time| event_loop.dispatch(time, &mut ()).expect("dispatch")));
}
