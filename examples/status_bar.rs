//! A status bar in a line of text: the time, a word from its configuration, and the output of a command. Linux only.
//!
//! ```text
//! cargo run --example status_bar             with a configuration of its own, which it changes; then ends
//! cargo run --example status_bar -- FILE     with that one: a first line to show, a second one with a command
//! ```
//!
//! * The clock is a `WallTimer`: it shows the minute when it begins, also after a suspend, and after the clock was set.
//! * The configuration is read anew when its directory changes, once for several changes in a row (one timer without a
//!   deadline, which each change moves), and at once on SIGHUP.
//! * The command runs in a task, which has time limits without any callback.
//! * All that changes asks for a redraw; there is one, after the events of the round.

use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, kill_process};
use soloop::signals::consts::SIGHUP;
use soloop::{
    Child, EventLoop, Generic, IdleToken, Interest, LoopData, LoopHandle, Mode, PostAction, Ready,
    Scope, Signals, SourceOptions, TaskContext, TimeoutAction, Timer, Token, WallAction, WallEvent,
    WallTimer,
};

const MINUTE: u64 = 60;
/// Changes of the configuration that are no farther apart than this are one.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// How long the command may take, and how often it runs.
const LIMIT: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(10);

struct State {
    handle: LoopHandle<Self>,
    file: PathBuf,
    time: String,
    word: String,
    output: String,
    /// Reads the configuration when the changes are over.
    changes: Option<Token<Timer>>,
    /// The task of the command that the configuration names.
    command: Scope,
    redraw: Option<IdleToken>,
    drawn: Vec<String>,
    reloads: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn redraw(&mut self) {
        if self.redraw.is_none() {
            self.redraw = Some(self.handle.insert_idle(Self::draw));
        }
    }

    fn draw(&mut self) {
        self.redraw = None;
        let line = format!("{} | {} | {}", self.time, self.word, self.output);
        if self.drawn.last() != Some(&line) {
            println!("{line}");
            self.drawn.push(line);
        }
    }

    /// The deadline of the next minute.
    fn show_time(&mut self) -> SystemTime {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.time = format!("{:02}:{:02}", now / (60 * MINUTE) % 24, now / MINUTE % 60);
        self.redraw();
        UNIX_EPOCH + Duration::from_secs((now / MINUTE + 1) * MINUTE)
    }

    /// What can't be read, while an editor replaces it for example, leaves all as it is.
    fn reload(&mut self) {
        self.reloads += 1;
        let Ok(text) = std::fs::read_to_string(&self.file) else { return };
        let mut lines = text.lines().map(str::to_owned);
        self.word = lines.next().unwrap_or_default();
        // The task of the old command goes here, with what it waits for.
        self.command = Scope::new();
        if let Some(command) = lines.next() {
            let options = SourceOptions::new().name("command").scope(&self.command);
            drop(self.handle.spawn_with(options, |cx| show_output(cx, command)));
        }
        self.redraw();
    }

    fn changed(&mut self) {
        let end = self.handle.now() + DEBOUNCE;
        if let Some(changes) = self.changes {
            self.handle.set_deadline(changes, end);
        }
    }
}

async fn show_output(cx: TaskContext<State>, command: String) {
    loop {
        let output = output_of(&cx, &command).await.unwrap_or_else(|error| error.to_string());
        cx.with(move |state| {
            state.output = output;
            state.redraw();
        })
        .await;
        cx.sleep(EVERY).await;
    }
}

/// What a command prints, if it ends in time, as far as a pipe holds it.
async fn output_of(cx: &TaskContext<State>, command: &str) -> io::Result<String> {
    let mut command = Command::new("sh").args(["-c", command]).stdout(Stdio::piped()).spawn()?;
    let (pid, stdout) = (Pid::from_child(&command), command.stdout.take());
    let mut ended = Box::pin(cx.once(Child::new(command)?));
    if cx.timeout(LIMIT, ended.as_mut()).await.is_err() {
        kill_process(pid, Signal::KILL)?;
        ended.await?;
        return Err(ErrorKind::TimedOut.into());
    }
    let mut output = vec![0; 4096];
    let read = stdout.map_or(Ok(0), |mut stdout| stdout.read(&mut output))?;
    Ok(String::from_utf8_lossy(&output[..read]).trim().to_owned())
}

/// Reads what the kernel says, none of which is of interest: the file is read anew whatever it was.
fn directory_changed(ready: Ready<'_, OwnedFd>, state: &mut State) -> io::Result<PostAction> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(ready.io, &mut buffer);
    loop {
        match reader.next() {
            Ok(_) => state.changed(),
            Err(Errno::AGAIN) => return Ok(PostAction::Continue),
            Err(error) => return Err(error.into()),
        }
    }
}

fn watch(directory: &Path) -> io::Result<Generic<OwnedFd>> {
    let watcher = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let changes = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO;
    inotify::add_watch(&watcher, directory, changes | WatchFlags::ONLYDIR)?;
    Ok(Generic::new(watcher, Interest::READ, Mode::Level))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = tempfile::tempdir()?;
    let file = argument.clone().unwrap_or_else(|| directory.path().join("bar"));
    if argument.is_none() {
        std::fs::write(&file, "hello\necho one")?;
    }

    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State {
        handle,
        file,
        time: String::new(),
        word: String::new(),
        output: String::new(),
        changes: None,
        command: Scope::new(),
        redraw: None,
        drawn: Vec::new(),
        reloads: 0,
    };
    let clock = WallTimer::new(state.show_time())?;
    state.handle.insert_source(clock, |event, state| match event {
        WallEvent::Fired | WallEvent::ClockChanged => WallAction::ToTime(state.show_time()),
        _ => WallAction::Keep,
    })?;
    let parent = state.file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory_of_file = watch(parent.unwrap_or(Path::new(".")))?;
    state.handle.insert_source(directory_of_file, directory_changed)?;
    state.changes = Some(state.handle.insert_timer(Timer::never(), |_, state| {
        state.reload();
        TimeoutAction::Keep
    }));
    state.handle.insert_source(Signals::new([SIGHUP])?, |_, state| state.reload())?;
    state.reload();
    if argument.is_some() {
        event_loop.run(None, &mut state, |_| ())?;
        return Ok(());
    }

    let mut run_until_shown = |state: &mut State, end: &str| -> soloop::Result<()> {
        while !state.drawn.last().is_some_and(|line| line.ends_with(end)) {
            event_loop.dispatch(None, state)?;
        }
        Ok(())
    };
    run_until_shown(&mut state, "| hello | one")?;
    // Three changes in a row, the last of which counts.
    for word in ["a", "b", "goodbye"] {
        std::fs::write(&state.file, format!("{word}\necho two"))?;
    }
    run_until_shown(&mut state, "| goodbye | two")?;
    assert!(state.reloads >= 2, "{} reloads", state.reloads);
    // A signal does not wait for anything, a change that nobody was told of among it.
    let reloads = state.reloads;
    kill_process(getpid(), Signal::HUP)?;
    while state.reloads == reloads {
        event_loop.dispatch(None, &mut state)?;
    }
    println!("{} reloads, {} lines drawn", state.reloads, state.drawn.len());
    let words = ["", "hello", "a", "b", "goodbye"];
    let shown = |line: &String| words.contains(&line.split(" | ").nth(1).unwrap_or_default());
    assert!(state.drawn.iter().all(shown), "{:?}", state.drawn);
    Ok(())
}
