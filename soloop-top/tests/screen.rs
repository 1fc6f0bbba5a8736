//! soloop-top in a terminal, on a program of its own: what is on the screen.

use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZero;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use soloop::{
    EventLoop, Inspector, Interval, LoopData, LoopHandle, PostAction, Priority, SourceOptions,
};

/// Long enough for a loaded machine.
const LONG: Duration = Duration::from_secs(60);
const SIZE: PtySize = PtySize { rows: 40, cols: 160, pixel_width: 0, pixel_height: 0 };
const MS: Duration = Duration::from_millis(1);

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// No test: the program that is looked into, where a test asks for it.
#[test]
fn the_program() {
    let Some(path) = std::env::var_os("SOLOOP_TOP_PROGRAM") else { return };
    let (mut event_loop, handle) = EventLoop::new().unwrap();
    let mut state = State { handle };
    let mut insert = |name: &'static str, priority: Priority, every: Duration, work: fn()| {
        let options = SourceOptions::new().name(name).priority(priority);
        let callback = move |_, _: &mut State| {
            work();
            PostAction::Continue
        };
        state.handle.insert_source_with(options, Interval::new(every), callback).unwrap();
    };
    insert("frame", Priority::High, 16 * MS, || {
        let start = Instant::now();
        while start.elapsed() < 2 * MS {}
    });
    insert("stalls", Priority::Normal, 500 * MS, || std::thread::sleep(30 * MS));
    insert("abacus", Priority::Low, 3_600_000 * MS, || ());
    state.handle.insert_inspector(Inspector::bind(path).unwrap()).unwrap();
    println!("\nready");
    event_loop.run(None, &mut state, |_| ()).unwrap();
}

/// The program, in a process of its own.
struct Program {
    child: Child,
    path: PathBuf,
    /// It writes now and then.
    _output: BufReader<ChildStdout>,
    _dir: tempfile::TempDir,
}

impl Program {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_program", "--nocapture"])
            .env("SOLOOP_TOP_PROGRAM", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        assert!(output.by_ref().lines().map_while(Result::ok).any(|line| line == "ready"));
        Self { child, path, _output: output, _dir: dir }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

/// soloop-top in a terminal.
struct Top {
    screen: vt100::Parser,
    bytes: Receiver<Vec<u8>>,
    /// What was read of an update that is not complete.
    begun: Vec<u8>,
    keyboard: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
}

impl Top {
    fn start(path: &Path) -> Self {
        let pty = native_pty_system().openpty(SIZE).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_soloop-top"));
        command.arg(path);
        command.env("TERM", "xterm-256color");
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut output = pty.master.try_clone_reader().unwrap();
        let (sender, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(cells(SIZE.rows), cells(SIZE.cols), 0);
        let keyboard = pty.master.take_writer().unwrap();
        Self { screen, bytes, begun: Vec::new(), keyboard, child, master: pty.master }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// What is on the screen as soon as it is as wanted, after an update that is complete.
    fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let shown = self.screen.screen().contents();
            if wanted(&shown) {
                return shown;
            }
            while !self.take_update() {
                match self.bytes.recv_timeout(LONG.saturating_sub(start.elapsed())) {
                    Ok(bytes) => self.begun.extend(bytes),
                    Err(error) => panic!("{error}: {shown}"),
                }
            }
        }
    }

    /// Shows the next update if all of it was read.
    fn take_update(&mut self) -> bool {
        const END: &[u8] = b"\x1b[?2026l";
        let end = self.begun.windows(END.len()).position(|bytes| bytes == END);
        let update = end.map(|at| self.begun.drain(..at + END.len()).collect::<Vec<_>>());
        update.inspect(|update| self.screen.process(update)).is_some()
    }

    /// What is left on the screen when it has ended, and how it ended.
    fn end(&mut self) -> (String, u32) {
        self.screen.process(&std::mem::take(&mut self.begun));
        loop {
            match self.bytes.recv_timeout(LONG) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("{error}: {}", self.screen.screen().contents()),
            }
        }
        let code = self.child.wait().unwrap().exit_code();
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "the terminal is as it was");
        (screen.contents(), code)
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The line of the table that begins with this name.
fn row<'a>(shown: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let line = shown.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    Some(line.split_whitespace().collect())
}

/// The names of the table, from the top.
fn names(shown: &str) -> Vec<&str> {
    let table = shown.lines().skip(3).take_while(|line| !line.contains("callbacks of more than"));
    table.filter_map(|line| line.split_whitespace().next()).collect()
}

/// Whether the table is there with rates. A screen may be drawn by half.
fn is_live(shown: &str) -> bool {
    let calls = row(shown, "frame").and_then(|row| row.get(6)?.parse().ok());
    calls.is_some_and(|calls: f64| calls > 5.0)
}

#[test]
fn the_table_is_live_and_q_ends_it() {
    let program = Program::start();
    let mut top = Top::start(&program.path);
    // What is slow is drawn after the table, the latest first: frames are, too, on a machine that is busy.
    let shown = top.until(|shown| is_live(shown) && shown.contains("s ago  stalls  took "));
    let first = shown.lines().next().unwrap();
    assert!(
        first.starts_with("screen-") && first.contains(&format!("({})", program.child.id())),
        "{shown}"
    );
    assert!(first.contains("5 sources"), "{shown}");
    let frame = row(&shown, "frame").unwrap();
    assert_eq!(frame[1..4], ["Interval", "enabled", "high"]);
    assert!(frame[7].ends_with('%') && frame[8].ends_with("ms"), "{frame:?}");
    assert!(frame.last().unwrap().contains(['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']), "{frame:?}");
    // Who wakes it, in the order of how often.
    let wakers = shown.lines().nth(1).unwrap();
    assert!(wakers.contains(" wake-ups/s: frame "), "{wakers}");
    let abacus = row(&shown, "abacus").unwrap();
    assert_eq!(abacus[6..9], ["-", "-", "-"], "it never ran: {abacus:?}");
    let slow = shown.lines().find(|line| line.contains("stalls  took")).unwrap();
    let waited = slow.split("waited for ").nth(1).and_then(|it| it.split("ms").next());
    let waited: f64 = waited.and_then(|it| it.parse().ok()).unwrap_or_default();
    assert!(waited >= 30.0, "it sleeps: {slow}");
    top.press("q");
    assert_eq!(top.end().1, 0);
}

#[test]
fn keys_sort_filter_pause_and_scroll() {
    let program = Program::start();
    let mut top = Top::start(&program.path);
    top.until(|shown| is_live(shown) && names(shown).first() == Some(&"frame"));
    // By name, which is before time.
    top.press("\x1b[D");
    top.until(|shown| names(shown).starts_with(&["(inspect)", "(op)", "abacus"]));
    top.press("/st\x7ftal");
    top.until(|shown| names(shown) == ["stalls"] && shown.contains("filter: stal_"));
    top.press("\r");
    top.until(|shown| shown.contains("/ filter: stal (esc"));
    top.press("\x1b");
    top.until(|shown| names(shown).contains(&"frame") && !shown.contains("/ filter:"));
    top.press("/nothing like that\r");
    top.until(|shown| names(shown).is_empty());
    top.press("\x1b");
    top.until(|shown| names(shown).len() > 4);
    top.press("p");
    top.until(|shown| shown.contains("  paused"));
    top.press(" ");
    top.until(|shown| !shown.contains("  paused"));
    // Another size.
    top.master.resize(PtySize { rows: 12, cols: 100, ..SIZE }).unwrap();
    top.screen.screen_mut().set_size(cells(12), cells(100));
    top.until(|shown| shown.lines().nth(11).is_some_and(|line| line.starts_with("q quit")));
    // Four lines of the table at a time.
    top.press("\x1b[5~\x1b[B");
    top.until(|shown| names(shown).first() == Some(&"(op)"));
    top.press("\x03");
    assert_eq!(top.end().1, 0);
}

#[test]
fn a_program_that_is_stopped_is_said_to_be() {
    let program = Program::start();
    let mut top = Top::start(&program.path);
    top.until(is_live);
    program.signal(Signal::STOP);
    top.until(|shown| shown.contains(" s: it is stopped by a signal"));
    // Whoever comes now is told at once, or nearly.
    let output = run(&["--once".as_ref(), program.path.as_os_str()]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.ends_with("does not answer: it is stopped by a signal\n"), "{error}");
    program.signal(Signal::CONT);
    top.until(|shown| is_live(shown) && !shown.contains("silent for"));
    top.press("q");
    assert_eq!(top.end().1, 0);
}

#[test]
fn a_program_that_ends_ends_it_with_a_word() {
    let mut program = Program::start();
    let mut top = Top::start(&program.path);
    top.until(is_live);
    program.child.kill().unwrap();
    let (shown, code) = top.end();
    assert!(shown.contains("has ended the connection"), "{shown}");
    assert_eq!(code, 1);
}

#[test]
fn sigterm_ends_it_cleanly() {
    let program = Program::start();
    let mut top = Top::start(&program.path);
    top.until(is_live);
    let pid = top.child.process_id().unwrap();
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::TERM).unwrap();
    assert_eq!(top.end().1, 0);
}

fn run(arguments: &[&std::ffi::OsStr]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_soloop-top")).args(arguments).output().unwrap()
}

#[test]
fn scripts_get_a_table_and_json() {
    let program = Program::start();
    let path = program.path.as_os_str();
    let output = run(&["--once".as_ref(), path]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.lines().nth(1).unwrap().contains(" wake-ups/s: frame "), "{text}");
    assert!(row(&text, "frame").unwrap()[6].parse::<f64>().unwrap() > 5.0, "{text}");

    let output = run(&["--once".as_ref(), "--json".as_ref(), path]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let sources = json["sources"].as_array().unwrap();
    let frame = sources.iter().find(|source| source["name"] == "frame").unwrap();
    assert!(frame["events"].as_u64().unwrap() > 5 && frame["wakeups"].as_u64().unwrap() > 5);

    // Whoever reads may stop at any time.
    let mut json = Command::new(env!("CARGO_BIN_EXE_soloop-top"))
        .args(["--json".as_ref(), "--every".as_ref(), "10".as_ref(), path])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(json.stdout.take().unwrap()).lines();
    let is_slow = |line: std::io::Result<String>| line.unwrap().starts_with("{\"slow\":{");
    assert!(lines.any(is_slow), "the stalls are told");
    drop(lines);
    assert!(json.wait().unwrap().success());

    let output = run(&["--trace".as_ref(), "0.3".as_ref(), path]);
    let trace: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(trace.iter().any(|event| event["name"] == "frame"));
}

#[test]
fn what_is_wrong_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let says = |arguments: &[&std::ffi::OsStr], code: i32| {
        let output = run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{error}");
        assert!(error.starts_with("soloop-top: ") && error.lines().count() == 1, "{error}");
        error
    };
    let path = dir.path().join("nothing");
    assert!(says(&[path.as_os_str()], 1).contains("no program has a socket at"));
    std::fs::write(&path, "").unwrap();
    assert!(says(&[path.as_os_str()], 1).contains("or it is no socket"));
    assert!(says(&[], 2).contains("the path of the program's socket is missing"));
    assert!(says(&["--dance".as_ref()], 2).contains("--dance"));
    let both: [&std::ffi::OsStr; 4] =
        ["--once".as_ref(), "--trace".as_ref(), "1".as_ref(), "x".as_ref()];
    assert!(says(&both, 2).contains("--trace goes with neither"));
    assert!(says(&["--every".as_ref(), "-1".as_ref(), "x".as_ref()], 2).contains("soloop-top: "));

    // What listens may be something else, or of another time.
    let path = dir.path().join("other");
    let listener = UnixListener::bind(&path).unwrap();
    let answers = |answer: &'static str| {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(answer.as_bytes()).unwrap();
            // It may go before it has read all that is said.
            let _ = peer.read_to_end(&mut Vec::new());
        });
        says(&[path.as_os_str()], 1)
    };
    assert!(answers("SSH-2.0-OpenSSH_9.2\r\n").contains("is no inspector"));
    let newer = answers("{\"hello\":{\"version\":9,\"pid\":1,\"program\":\"sway\"}}\n");
    assert!(
        newer.contains(
            "sway speaks version 9 of the inspector's protocol, and soloop-top version 1"
        )
    );
    assert!(
        answers("{\"error\":\"16 viewers are there already\"}\n")
            .contains(": 16 viewers are there already")
    );
    let program = Program::start();
    assert!(
        says(&[program.path.as_os_str()], 1)
            .contains("this is no terminal; --once and --json need none")
    );
}
