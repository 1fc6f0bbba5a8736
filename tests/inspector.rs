//! Viewers of a running loop: real sockets, and what may be wrong with them.
#![cfg(all(target_os = "linux", feature = "inspector", not(loom)))]

mod common;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{LONG, State, ZERO, in_child, manual_loop, new_loop, spin};
use soloop::inspector::{Message, Request, SlowCallback, Snapshot, Source, VERSION};
use soloop::{
    EventLoop, Generic, Inspector, Interest, Interval, Mode, PostAction, Priority, Scope,
    SourceOptions, Tick, TimeoutAction, Timer, Token, make_ping,
};

const MS: Duration = Duration::from_millis(1);

/// A loop with an inspector.
struct Program {
    event_loop: EventLoop<State>,
    state: State,
    inspector: Token<Inspector>,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Program {
    fn new() -> Self {
        let (event_loop, state) = new_loop();
        Self::with_loop(event_loop, state)
    }

    fn with_loop(event_loop: EventLoop<State>, mut state: State) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let inspector = Inspector::bind(&path).unwrap();
        assert_eq!(inspector.path(), path);
        let inspector = state.handle.insert_inspector(inspector).unwrap();
        Self { event_loop, state, inspector, path, _dir: dir }
    }

    fn dispatch(&mut self) {
        self.event_loop.dispatch(ZERO, &mut self.state).unwrap();
    }

    fn sources(&self) -> Vec<String> {
        let rows = self.event_loop.sources(&self.state.handle).rows;
        rows.into_iter().map(|row| row.name.unwrap_or(row.type_name.to_owned())).collect()
    }

    fn count(&self, name: &str) -> usize {
        self.sources().iter().filter(|source| *source == name).count()
    }

    fn dispatch_until(&mut self, mut until: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !until(self) {
            assert!(start.elapsed() < LONG, "it never came");
            self.dispatch();
        }
    }

    /// A viewer that has said hello.
    fn viewer(&mut self) -> Viewer {
        let mut viewer = Viewer::connect(self);
        viewer.ask(&Request::Hello { version: VERSION });
        let Message::Hello(hello) = viewer.next(self) else { panic!("no hello") };
        assert_eq!((hello.version, hello.pid), (VERSION, std::process::id()));
        assert!(hello.program.starts_with("inspector"), "{hello:?}");
        viewer
    }

    fn named(&mut self, name: &'static str, timer: Timer, every: Option<Duration>) {
        let options = SourceOptions::new().name(name);
        let callback =
            move |_, _: &mut State| every.map_or(TimeoutAction::Drop, TimeoutAction::ToDuration);
        self.state.handle.insert_source_with(options, timer, callback).unwrap();
    }
}

struct Viewer {
    stream: UnixStream,
    input: Vec<u8>,
}

impl Viewer {
    fn connect(program: &Program) -> Self {
        let stream = UnixStream::connect(&program.path).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, input: Vec::new() }
    }

    fn ask(&mut self, request: &Request) {
        self.write(&(serde_json::to_string(request).unwrap() + "\n"));
    }

    fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The next line, while the program runs; `None` if the connection has ended.
    fn line(&mut self, program: &mut Program) -> Option<String> {
        let mut ended = false;
        program.dispatch_until(|_| {
            let mut buffer = [0; 65536];
            match self.stream.read(&mut buffer) {
                Ok(0) => ended = true,
                Ok(read) => self.input.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => ended = true,
            }
            ended || self.input.contains(&b'\n')
        });
        let end = self.input.iter().position(|byte| *byte == b'\n')?;
        let line = self.input.drain(..=end).collect();
        Some(String::from_utf8(line).unwrap())
    }

    fn next(&mut self, program: &mut Program) -> Message {
        let line = self.line(program).expect("the program ended the connection");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn snapshot(&mut self, program: &mut Program) -> Snapshot {
        loop {
            match self.next(program) {
                Message::Snapshot(snapshot) => return snapshot,
                Message::Slow(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// What the program says before it ends the connection.
    fn refusal(&mut self, program: &mut Program) -> String {
        loop {
            if let Message::Error(text) = self.next(program) {
                assert_eq!(self.line(program), None, "that was the last it said");
                return text;
            }
        }
    }
}

fn find<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Source {
    let found = snapshot.sources.iter().find(|source| source.name.as_deref() == Some(name));
    found.unwrap_or_else(|| panic!("no {name:?} in {snapshot:#?}"))
}

#[test]
fn a_viewer_gets_the_table_with_counts_deadlines_priorities_and_scopes() {
    let (event_loop, mut state, clock) = manual_loop();
    let scope = Scope::new();
    let options = SourceOptions::new().name("tick").priority(Priority::High).scope(&scope);
    let tick = |_: Tick, _: &mut State| {
        spin(MS / 10);
        PostAction::Continue
    };
    state.handle.insert_source_with(options, Interval::new(20 * MS), tick).unwrap();
    let (ping, source) = make_ping();
    let options = SourceOptions::new().name("pinged").priority(Priority::Low);
    let pinged = state.handle.insert_source_with(options, source, |(), _| ()).unwrap();
    let mut program = Program::with_loop(event_loop, state);
    let mut viewer = program.viewer();
    viewer.ask(&Request::Snapshot);
    let before = viewer.snapshot(&mut program);
    let row = find(&before, "tick");
    assert_eq!((row.counts.events, row.due_in_ns, row.scoped), (0, Some(20_000_000), true));
    assert_eq!((&*row.priority, &*row.type_name, row.enabled), ("high", "Interval", true));
    assert_eq!(find(&before, "inspector").type_name, "Inspector");

    for _ in 0..3 {
        clock.advance(20 * MS);
        program.dispatch();
    }
    ping.ping();
    program.dispatch();
    program.state.handle.disable(pinged);
    program.dispatch();
    ping.ping();
    viewer.ask(&Request::Snapshot);
    let after = viewer.snapshot(&mut program);
    let row = find(&after, "tick");
    assert_eq!(row.counts.events, 3);
    assert!(row.counts.busy_ns >= 300_000 && row.counts.worst_ns >= 100_000, "{row:?}");
    assert!(row.counts.last_ns >= 100_000 && row.counts.worst_ns >= row.counts.last_ns, "{row:?}");
    let row = find(&after, "pinged");
    assert_eq!((row.counts.events, row.enabled, &*row.priority), (1, false, "low"));
    assert_eq!((row.due_in_ns, row.scoped), (None, false));
    assert!(after.totals.rounds > before.totals.rounds && after.totals.busy_ns > 300_000);
    assert_ne!(find(&after, "tick").id, row.id);
}

#[test]
fn what_failed_says_what_it_failed_with_and_what_is_gone_is_counted_by_its_name() {
    let mut program = Program::new();
    let mut viewer = program.viewer();
    viewer.ask(&Request::Snapshot);
    viewer.snapshot(&mut program);
    program.event_loop.on_error(|_, _| soloop::ErrorAction::Disable);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let options = SourceOptions::new().name("peer");
    let source = Generic::new(ours, Interest::READ, Mode::Level);
    let failing =
        |_: soloop::Ready<'_, UnixStream>, _: &mut State| Err(std::io::Error::other("no luck"));
    program.state.handle.insert_source_with(options, source, failing).unwrap();
    theirs.write_all(b"x").unwrap();
    (0..3).for_each(|_| program.named("wl::once", Timer::immediate(), None));
    program.dispatch();
    program.state.handle.insert_idle(|_| ());
    program.dispatch();
    viewer.ask(&Request::Snapshot);
    let snapshot = viewer.snapshot(&mut program);
    let peer = find(&snapshot, "peer");
    assert_eq!((peer.counts.errors, peer.last_error.as_deref()), (1, Some("no luck")));
    let idles = snapshot.others.iter().find(|other| other.name == "idle").unwrap();
    assert_eq!(idles.counts.events, 1);
    // Those that are gone are in the first snapshot that does not meet them.
    let gone = snapshot.gone;
    let once =
        gone.iter().find(|gone| gone.name == "wl::once").unwrap_or_else(|| panic!("{gone:?}"));
    assert_eq!(once.counts.events, 3);
}

#[test]
fn a_backlog_is_shown() {
    let mut program = Program::new();
    let mut viewer = program.viewer();
    // Of the viewer's rank, and found after it: fds come before notifications.
    let (ping, source) = make_ping();
    let options = SourceOptions::new().name("late").priority(Priority::Low);
    program.state.handle.insert_source_with(options, source, |(), _| ()).unwrap();
    // Now and then the snapshot takes two rounds.
    let seen = (0..200).any(|_| {
        program.dispatch();
        viewer.ask(&Request::Snapshot);
        ping.ping();
        find(&viewer.snapshot(&mut program), "late").backlog > 0
    });
    assert!(seen, "the ping was never waiting");
}

#[test]
fn while_nobody_is_connected_nothing_is_counted_and_nothing_wakes_the_loop() {
    let mut program = Program::new();
    program.dispatch();
    let before = program.event_loop.stats();
    program.dispatch();
    program.dispatch();
    let after = program.event_loop.stats();
    assert_eq!((after.wakeups, after.events), (before.wakeups, before.events));
    assert_eq!(program.sources(), ["inspector"]);

    let mut viewer = program.viewer();
    viewer.ask(&Request::Watch { every_ms: 10, slow_us: None });
    viewer.snapshot(&mut program);
    assert_eq!(program.count("inspector viewer"), 1);
    drop(viewer);
    program.dispatch_until(|program| program.count("inspector viewer") == 0);
    // What its end posted.
    program.dispatch();
    program.dispatch();
    let before = program.event_loop.stats();
    std::thread::scope(|scope| {
        // Its timer would have come by now.
        let wake = program.state.handle.signal();
        scope.spawn(move || {
            std::thread::park_timeout(50 * MS);
            wake.wakeup();
        });
        program.event_loop.dispatch(None, &mut program.state).unwrap();
    });
    let after = program.event_loop.stats();
    assert_eq!((after.wakeups, after.events), (before.wakeups + 1, before.events));
    // Nothing of the callbacks is counted any more, so that the next one begins at zero.
    program.named("later", Timer::immediate(), None);
    let mut viewer = program.viewer();
    viewer.ask(&Request::Snapshot);
    let snapshot = viewer.snapshot(&mut program);
    assert!(snapshot.totals.rounds < 20, "{:?}", snapshot.totals);
}

#[test]
fn the_statistics_of_the_program_are_its_own() {
    let mut program = Program::new();
    program.event_loop.enable_stats(true);
    program.named("timer", Timer::immediate(), None);
    program.dispatch();
    let mut viewer = program.viewer();
    viewer.ask(&Request::Snapshot);
    viewer.snapshot(&mut program);
    drop(viewer);
    program.dispatch_until(|program| program.count("inspector viewer") == 0);
    program.dispatch();
    let stats = program.event_loop.stats();
    assert!(stats.sources.iter().any(|source| source.name == "timer" && source.events == 1));
}

#[test]
fn slow_callbacks_are_told_as_they_happen_with_how_long_they_waited() {
    let mut program = Program::new();
    let mut viewer = program.viewer();
    viewer.ask(&Request::Watch { every_ms: 60_000, slow_us: Some(10_000) });
    viewer.snapshot(&mut program);
    let insert = |program: &mut Program, name: &'static str, work: fn()| {
        let options = SourceOptions::new().name(name);
        let callback = move |_, _: &mut State| {
            work();
            TimeoutAction::Drop
        };
        program.state.handle.insert_source_with(options, Timer::immediate(), callback).unwrap();
    };
    insert(&mut program, "quick", || ());
    insert(&mut program, "blocked", || std::thread::sleep(40 * MS));
    insert(&mut program, "busy", || {
        // Until it has had the processor for as long, however many others want it.
        let time = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let since = |start: rustix::time::Timespec| Duration::try_from(time() - start).unwrap();
        let start = time();
        while since(start) < 40 * MS {}
    });
    let slow: Vec<SlowCallback> = (0..2)
        .map(|_| match viewer.next(&mut program) {
            Message::Slow(slow) => slow,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!([&*slow[0].name, &*slow[1].name], ["blocked", "busy"]);
    let [blocked, busy] = &slow[..] else { panic!() };
    assert!(blocked.took_ns >= 40_000_000 && blocked.on_cpu_ns < 10_000_000, "{blocked:?}");
    assert!(busy.took_ns >= 40_000_000 && busy.on_cpu_ns >= 39_000_000, "{busy:?}");
    assert_eq!(busy.kind, "source");
    assert!(busy.late_ns.unwrap() >= 40_000_000, "it waited for the other one: {busy:?}");
}

#[test]
fn watching_every_callback_is_no_feedback() {
    let mut program = Program::new();
    let mut viewer = program.viewer();
    viewer.ask(&Request::Watch { every_ms: 60_000, slow_us: Some(0) });
    viewer.snapshot(&mut program);
    let before = program.event_loop.stats().events;
    (0..50).for_each(|_| program.dispatch());
    assert_eq!(program.event_loop.stats().events, before);
}

#[test]
fn a_trace_of_the_next_while_is_chromes() {
    let (event_loop, state, _) = manual_loop();
    let mut program = Program::with_loop(event_loop, state);
    let mut viewer = program.viewer();
    program.named("frame \"a\"", Timer::from_duration(20 * MS), Some(20 * MS));
    viewer.ask(&Request::Trace { ms: 1000 });
    let trace = loop {
        // The clock moves by itself where the loop would sleep.
        program.event_loop.dispatch(MS, &mut program.state).unwrap();
        let mut buffer = [0; 65536];
        if let Ok(read) = viewer.stream.read(&mut buffer) {
            viewer.input.extend(&buffer[..read]);
        }
        if viewer.input.contains(&b'\n') {
            match viewer.next(&mut program) {
                Message::Trace(trace) => break trace,
                other => panic!("{other:?}"),
            }
        }
    };
    assert!(!trace.truncated);
    let frames = trace.events.iter().filter(|event| event["name"] == "frame \"a\"").count();
    assert!((48..=51).contains(&frames), "{frames}");
    assert!(trace.events.iter().all(|event| event["ph"] == "X"));
    assert!(trace.events.iter().any(|event| event["name"] == "wait"));
}

/// Makes the table longer than what fits into the buffer of a socket.
fn fill_table(state: &mut State) {
    for n in 0..400 {
        let options = SourceOptions::new().name(format!("{} {n}", "long".repeat(200)));
        state
            .handle
            .insert_source_with(options, Timer::never(), |_, _| TimeoutAction::Drop)
            .unwrap();
    }
}

#[test]
fn a_viewer_that_does_not_read_is_dropped_and_delays_nothing() {
    let (event_loop, mut state, clock) = manual_loop();
    fill_table(&mut state);
    let options = SourceOptions::new().name("frame");
    state
        .handle
        .insert_source_with(options, Interval::new(20 * MS), |tick: Tick, state: &mut State| {
            let late = state.handle.now() - tick.deadline;
            state.note(format!("{late:?} {}", tick.missed));
            PostAction::Continue
        })
        .unwrap();
    let mut program = Program::with_loop(event_loop, state);
    let mut viewer = program.viewer();
    viewer.ask(&Request::Watch { every_ms: 10, slow_us: None });
    program.dispatch();
    let start = clock.now();
    while program.count("inspector viewer") > 0 {
        program.event_loop.dispatch(MS, &mut program.state).unwrap();
        assert!(clock.now() - start < Duration::from_secs(7), "it is still there");
    }
    assert!(clock.now() - start >= Duration::from_secs(5));
    assert!(program.state.log.len() > 200, "{}", program.state.log.len());
    let late = program.state.take_log().into_iter().find(|tick| tick != "0ns 0");
    assert_eq!(late, None);
    // What it had not taken is cut off.
    while viewer.line(&mut program).is_some() {}
}

#[test]
fn one_that_reads_slowly_gets_fewer_snapshots_and_stays() {
    let (event_loop, mut state, clock) = manual_loop();
    fill_table(&mut state);
    let mut program = Program::with_loop(event_loop, state);
    let mut viewer = program.viewer();
    viewer.ask(&Request::Watch { every_ms: 10, slow_us: None });
    let start = clock.now();
    let mut snapshots = 0;
    while clock.now() - start < Duration::from_secs(60) {
        program.event_loop.dispatch(100 * MS, &mut program.state).unwrap();
        let mut buffer = [0; 10_000];
        if let Ok(read) = viewer.stream.read(&mut buffer) {
            snapshots += buffer[..read].iter().filter(|byte| **byte == b'\n').count();
        }
    }
    assert!((5..600).contains(&snapshots), "{snapshots}");
    assert_eq!(program.count("inspector viewer"), 1);
}

#[test]
fn garbage_and_other_versions_get_a_word_and_the_loop_goes_on() {
    let mut program = Program::new();
    let mut refused = |text: &str| {
        let mut viewer = Viewer::connect(&program);
        viewer.write(text);
        let refusal = viewer.refusal(&mut program);
        program.dispatch_until(|program| program.count("inspector viewer") == 0);
        refusal
    };
    let other = refused("{\"hello\":{\"version\":7}}\n");
    assert_eq!(
        other,
        "this program speaks version 1 of the inspector's protocol, and the viewer version 7"
    );
    assert!(refused("GET / HTTP/1.1\r\n\r\n").starts_with("not a request: "));
    assert!(refused("\0\u{1}\u{2}\n").starts_with("not a request: "));
    assert!(refused("{\"dance\":{}}\n").contains("unknown variant `dance`"));
    assert_eq!(refused("\"snapshot\"\n"), "the first request is {\"hello\":{\"version\":1}}");
    assert_eq!(refused(&"x".repeat(10_000)), "a request of more than 4096 bytes");
    assert!(
        refused("{\"hello\":{\"version\":1}}\n{\"watch\":{\"every_ms\":-1}}\n")
            .starts_with("not a request")
    );
    // One that says nothing is no burden, and one that is gone at once none either.
    let _silent = Viewer::connect(&program);
    drop(Viewer::connect(&program));
    let mut half = Viewer::connect(&program);
    half.write("{\"hel");
    drop(half);
    program.dispatch_until(|program| program.count("inspector viewer") == 1);
    let mut viewer = program.viewer();
    viewer.ask(&Request::Watch { every_ms: u64::MAX, slow_us: Some(u64::MAX) });
    viewer.ask(&Request::Trace { ms: u64::MAX });
    viewer.snapshot(&mut program);
}

#[test]
fn a_hundred_viewers_at_once_are_served_or_told_why_not() {
    let mut program = Program::new();
    let mut viewers: Vec<Viewer> = Vec::new();
    for n in 0..100 {
        viewers.push(Viewer::connect(&program));
        // The kernel keeps some for the program to accept.
        program.dispatch_until(|program| program.count("inspector viewer") == (n + 1).min(16));
        program.dispatch();
    }
    let (served, refused) = viewers.split_at_mut(16);
    for viewer in refused {
        assert_eq!(viewer.refusal(&mut program), "16 viewers are there already");
    }
    for viewer in served {
        viewer.ask(&Request::Hello { version: VERSION });
        viewer.ask(&Request::Watch { every_ms: 10, slow_us: Some(100) });
        assert!(matches!(viewer.next(&mut program), Message::Hello(_)));
        assert_eq!(viewer.snapshot(&mut program).sources.len(), 17);
    }
    drop(viewers);
    program.dispatch_until(|program| program.count("inspector viewer") == 0);
    program.viewer();
}

#[test]
fn viewers_go_with_the_inspector_and_the_socket_with_it() {
    let mut program = Program::new();
    let mut viewer = program.viewer();
    viewer.ask(&Request::Snapshot);
    viewer.snapshot(&mut program);
    assert!(program.state.handle.remove(program.inspector));
    program.dispatch();
    program.dispatch();
    assert_eq!(program.sources(), [""; 0]);
    assert_eq!(viewer.line(&mut program), None);
    assert!(!program.path.exists());
}

#[test]
fn the_socket_is_its_owners_alone_and_goes_with_it() {
    let mut program = Program::new();
    program.dispatch();
    let found = fs::symlink_metadata(&program.path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let path = program.path.clone();
    drop(program.event_loop);
    assert!(!path.exists());
}

#[test]
fn a_socket_that_is_another_ones_by_now_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let first = Inspector::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = Inspector::bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
}

#[test]
fn paths_that_do_not_do() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |path: PathBuf| {
        let error = Inspector::bind(&path).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&*path.to_string_lossy()), "{text}");
        (error.kind(), text)
    };
    let (kind, text) = refused(dir.path().join("x".repeat(200)));
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(text.ends_with("is too long for a socket, or has a zero in it"), "{text}");

    let file = dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    let (kind, text) = refused(file.clone());
    assert_eq!(kind, ErrorKind::AlreadyExists);
    assert!(text.ends_with("a file that is no socket is in the way"), "{text}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

    let live = dir.path().join("live");
    let listener = UnixListener::bind(&live).unwrap();
    let (kind, text) = refused(live.clone());
    assert_eq!(
        (kind, text.ends_with("another program listens there")),
        (ErrorKind::AddrInUse, true)
    );
    // A stale one is replaced, once no program that is being started has a copy of the listener.
    let client = UnixStream::connect(&live).unwrap();
    drop(listener);
    common::wait_for_hang_up(&client);
    let taken = Inspector::bind(&live).unwrap();
    UnixStream::connect(taken.path()).unwrap();

    let (kind, _) = refused(dir.path().join("no/such/directory"));
    assert_eq!(kind, ErrorKind::NotFound);
}

#[test]
fn a_socket_of_somebody_elses_is_left_alone() {
    if !rustix::process::geteuid().is_root() {
        return; // nobody else can give one away
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
    let error = Inspector::bind(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().ends_with("the socket there belongs to user 4711"), "{error}");
    assert!(path.exists());
}

#[test]
fn a_loop_without_fds_for_a_viewer_goes_on_and_has_it_wait() {
    in_child("without_fds_for_a_viewer", || {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let mut program = Program::new();
        let mut viewer = Viewer::connect(&program);
        viewer.ask(&Request::Hello { version: VERSION });
        let limit = getrlimit(Resource::Nofile);
        let none = Rlimit { current: Some(common::open_fds() as u64 - 1), ..limit };
        setrlimit(Resource::Nofile, none).unwrap();
        (0..10).for_each(|_| program.dispatch());
        assert!(program.event_loop.stats().events < 5, "it spins");
        setrlimit(Resource::Nofile, limit).unwrap();
        assert!(matches!(viewer.next(&mut program), Message::Hello(_)));
    });
}

#[cfg(feature = "executor")]
#[test]
fn tasks_say_what_they_wait_for() {
    let mut program = Program::new();
    let handle = &mut program.state.handle;
    let named = |name: &'static str| SourceOptions::new().name(name);
    let hour = Duration::from_secs(3600);
    let sleeping = async move |cx: soloop::TaskContext<State>| cx.sleep(hour).await;
    drop(handle.spawn_with(named("sleeping"), sleeping));
    let for_ever = async |cx: soloop::TaskContext<State>| cx.sleep(Duration::MAX).await;
    drop(handle.spawn_with(named("for ever"), for_ever));
    let waiting = async |cx: soloop::TaskContext<State>| {
        let _ = cx.once(Timer::never()).await;
    };
    drop(handle.spawn_with(named("waiting"), waiting));
    let limited = async move |cx: soloop::TaskContext<State>| {
        let _ = cx.timeout(hour, cx.once(Timer::never())).await;
    };
    drop(handle.spawn_with(named("limited"), limited));
    let pending = async |_: soloop::TaskContext<State>| std::future::pending::<()>().await;
    drop(handle.spawn_with(named("pending"), pending));
    // It asks for the state and goes on only when it is polled again.
    let stating = async |cx: soloop::TaskContext<State>| loop {
        cx.with(|_| ()).await;
    };
    let options = named("stating").budget(1).priority(Priority::Low);
    drop(handle.spawn_with(options, stating));
    (0..5).for_each(|_| program.dispatch());
    let mut viewer = program.viewer();
    let mut waits_for = |name: &str| {
        viewer.ask(&Request::Snapshot);
        find(&viewer.snapshot(&mut program), name).waits_for.clone().unwrap()
    };
    assert_eq!(waits_for("sleeping"), "sleep");
    assert_eq!(waits_for("for ever"), "sleep");
    assert_eq!(waits_for("waiting"), "source");
    assert_eq!(waits_for("limited"), "sleep+source");
    assert_eq!(waits_for("pending"), "other");
    assert_eq!(waits_for("stating"), "state");
}
