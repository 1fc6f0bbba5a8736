//! Keeps programs running: ends what takes too long, restarts what failed, with a pause that doubles each time.
//!
//! ```text
//! cargo run --example supervisor                     three services that succeed, fail and hang, for a moment
//! cargo run --example supervisor -- server --flag    that one, until it succeeds or SIGTERM comes
//! ```
//!
//! Each service is a task, so its story is told from top to bottom: start, wait for the end or the time limit, kill, wait
//! for the end again (so that no zombie is left), pause, start anew. The tasks live in a scope, and SIGTERM drops it: but a
//! task that is dropped kills nobody, so each process is killed before.

use std::collections::BTreeMap;
use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use soloop::signals::consts::{SIGINT, SIGTERM};
use soloop::{Child, EventLoop, LoopData, LoopHandle, Scope, Signals, SourceOptions, TaskContext};

#[derive(Clone)]
struct Service {
    name: &'static str,
    command: Vec<String>,
    /// How long one run may take.
    limit: Duration,
    /// The pause after the first failure.
    pause: Duration,
    /// How often it is started at most.
    starts: u32,
}

struct State {
    handle: LoopHandle<Self>,
    services: Scope,
    /// The processes that run.
    running: BTreeMap<&'static str, Pid>,
    log: Vec<String>,
    left: usize,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn say(&mut self, line: String) {
        println!("{line}");
        self.log.push(line);
    }

    fn supervise(&mut self, service: Service) {
        self.left += 1;
        let options = SourceOptions::new().name(service.name).scope(&self.services);
        // What it comes to is in the log.
        drop(self.handle.spawn_with(options, |cx| keep_running(cx, service)));
    }

    fn shut_down(&mut self) {
        for pid in std::mem::take(&mut self.running).into_values() {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::KILL);
        }
        self.services.clear();
        self.handle.stop();
    }
}

/// One run, ended if it takes too long. The process is gone afterwards, and reaped.
async fn run(cx: &TaskContext<State>, service: &Service) -> io::Result<ExitStatus> {
    let child = Command::new(&service.command[0]).args(&service.command[1..]).spawn()?;
    let pid = Pid::from_child(&child);
    let name = service.name;
    cx.with(move |state| state.running.insert(name, pid)).await;
    let mut ended = Box::pin(cx.once(Child::new(child)?));
    // The child is in the future, which is not given to `timeout`: it is waited for once more.
    let status = match cx.timeout(service.limit, ended.as_mut()).await {
        Ok(status) => status,
        Err(_too_long) => {
            cx.with(move |state| state.say(format!("{name}: takes too long"))).await;
            // No race: the pid is this child's until the future has reaped it.
            let _ = kill_process(pid, Signal::KILL);
            ended.await
        }
    };
    cx.with(move |state| state.running.remove(name)).await;
    status
}

async fn keep_running(cx: TaskContext<State>, service: Service) {
    let name = service.name;
    let mut pause = service.pause;
    for start in 1..=service.starts {
        let outcome = match run(&cx, &service).await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let is_done = outcome.is_ok();
        cx.with(move |state| match outcome {
            Ok(()) => state.say(format!("{name}: done at start {start}")),
            Err(why) => state.say(format!("{name}: failed at start {start}: {why}")),
        })
        .await;
        if is_done || start == service.starts {
            break;
        }
        cx.sleep(pause).await;
        pause *= 2;
    }
    cx.with(|state| {
        state.left -= 1;
        if state.left == 0 {
            state.handle.stop();
        }
    })
    .await;
}

fn sh(name: &'static str, script: &str) -> Service {
    Service {
        name,
        command: vec!["sh".into(), "-c".into(), script.into()],
        limit: Duration::from_secs(20),
        pause: Duration::from_millis(1),
        starts: 3,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let command: Vec<_> = std::env::args().skip(1).collect();
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State {
        handle,
        services: Scope::new(),
        running: BTreeMap::new(),
        log: Vec::new(),
        left: 0,
    };
    let ends = Signals::new([SIGINT, SIGTERM])?;
    state.handle.insert_source(ends, |signal, state| {
        state.say(format!("{}: the end", signal.name().unwrap_or("signal")));
        state.shut_down();
    })?;
    if !command.is_empty() {
        let (limit, pause) = (Duration::MAX, Duration::from_secs(1));
        state.supervise(Service { name: "service", command, limit, pause, starts: u32::MAX });
        event_loop.run(None, &mut state, |_| ())?;
        return Ok(());
    }

    let directory = tempfile::tempdir()?;
    let flag = directory.path().join("flag");
    let flag = flag.display();
    state.supervise(sh("steady", "exit 0"));
    // It succeeds when it is started again.
    state.supervise(sh("moody", &format!("[ -e {flag} ] || {{ touch {flag}; exit 3; }}")));
    let stuck = Service { limit: Duration::from_millis(20), ..sh("stuck", "exec sleep 1000") };
    state.supervise(stuck);
    event_loop.run(None, &mut state, |_| ())?;
    let said = |what: &str| state.log.iter().filter(|line| line.contains(what)).count();
    assert_eq!(said("steady: done at start 1"), 1);
    assert_eq!(
        (said("moody: failed at start 1: exit status: 3"), said("moody: done at start 2")),
        (1, 1)
    );
    assert_eq!((said("stuck: takes too long"), said("stuck: failed")), (3, 3));
    assert_eq!((state.running.len(), zombies()?), (0, 0));

    // And all of it ends on SIGTERM, whatever hangs.
    state.left = 0;
    state.supervise(sh("hanging", "exec sleep 1000"));
    while state.running.is_empty() {
        event_loop.dispatch(None, &mut state)?;
    }
    let hanging: Vec<_> = state.running.values().copied().collect();
    kill_process(rustix::process::getpid(), Signal::TERM)?;
    event_loop.run(None, &mut state, |_| ())?;
    assert!(state.services.is_empty() && state.running.is_empty());
    for pid in hanging {
        // Nobody waits for it in the loop any more: it was killed, and is reaped here.
        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())?;
    }
    Ok(())
}

/// How many children of this process have ended and are not reaped.
fn zombies() -> io::Result<usize> {
    let me = format!(" Z {} ", std::process::id());
    let stats = std::fs::read_dir("/proc")?.filter_map(|entry| {
        let stat = entry.ok()?.path().join("stat");
        std::fs::read_to_string(stat).ok()
    });
    Ok(stats.filter(|stat| stat.contains(&me)).count())
}
