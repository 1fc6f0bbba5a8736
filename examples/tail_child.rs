//! Runs a command, and tells each line it prints and how it ended.
//!
//! ```text
//! cargo run --example tail_child                    a command that counts to three, then fails
//! cargo run --example tail_child -- make -j4 all    that command, and its exit code
//! ```
//!
//! The output and the end are two sources, and come in either order: a pipe keeps what is in it when its
//! writer ends, and a grandchild may keep it open.

use std::fmt::Display;
use std::io::{ErrorKind, Read};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Instant;

use soloop::{Child, EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction};

struct State {
    handle: LoopHandle<Self>,
    started: Instant,
    /// The line that is not complete yet.
    line: Vec<u8>,
    output_ended: bool,
    status: Option<ExitStatus>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn say(&self, what: impl Display) {
        println!("{:6} ms  {what}", self.started.elapsed().as_millis());
    }

    fn printed(&mut self, bytes: &[u8]) {
        self.line.extend_from_slice(bytes);
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let rest = self.line.split_off(end + 1);
            let line = std::mem::replace(&mut self.line, rest);
            self.say(String::from_utf8_lossy(&line).trim_end());
        }
    }

    fn stop_if_over(&mut self) {
        if self.output_ended && self.status.is_some() {
            self.handle.stop();
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next();
    let mut command = match &program {
        Some(program) => Command::new(program),
        None => Command::new("sh"),
    };
    match &program {
        Some(_) => command.args(arguments),
        None => command.args(["-c", "for n in 1 2 3; do echo line $n; done; exit 3"]),
    };
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or("the output is a pipe")?;

    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State {
        handle,
        started: Instant::now(),
        line: Vec::new(),
        output_ended: false,
        status: None,
    };
    let output = Generic::new(stdout, Interest::READ, Mode::Level);
    state.handle.insert_source(output, |ready, state| {
        let mut buffer = [0; 4096];
        match ready.io.read(&mut buffer) {
            Ok(0) => {
                let rest = if state.line.is_empty() { &b""[..] } else { &b"\n"[..] };
                state.printed(rest);
                state.output_ended = true;
                state.stop_if_over();
                Ok(PostAction::Remove)
            }
            Ok(n) => {
                state.printed(&buffer[..n]);
                Ok(PostAction::Continue)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(PostAction::Continue),
            Err(error) => Err(error),
        }
    })?;
    state.handle.insert_source(Child::new(child)?, |status, state| {
        state.say(status);
        state.status = Some(status);
        state.stop_if_over();
    })?;
    event_loop.run(None, &mut state, |_| ())?;

    let code = state.status.and_then(|status| status.code());
    if program.is_none() {
        assert_eq!(code, Some(3), "as it was told");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(code.map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8)))
}
