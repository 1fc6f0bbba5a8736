//! Catches the signals that a child process sends.
//!
//! ```text
//! cargo run --example signals
//! cargo run --example signals --features signal-origin    also says who sent them
//! ```
//!
//! The child sends SIGUSR1 three times and waits for a line after each, since signals of one number that come
//! before the callback runs may be one. SIGINT and SIGTERM end the program in order.

use std::process::{Command, Stdio};

use soloop::signals::consts::{SIGINT, SIGTERM, SIGUSR1};
use soloop::{Child, EventLoop, LoopData, LoopHandle, Signal, Signals};

struct State {
    handle: LoopHandle<Self>,
    caught: u32,
    /// Each line that it gets lets the child send another one.
    permit: std::process::ChildStdin,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn arrived(&mut self, signal: Signal) {
        let name = signal.name().unwrap_or("a signal");
        match signal.sender {
            Some(sender) => println!("{name} from process {}, user {}", sender.pid, sender.uid),
            None => println!("{name}"),
        }
        match signal.number {
            SIGUSR1 => {
                self.caught += 1;
                self.go_on();
            }
            _ => self.handle.stop(),
        }
    }

    fn go_on(&mut self) {
        use std::io::Write;
        let _ = writeln!(self.permit, "go on"); // a child that has ended reads no more
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Before the child is there: from here on the signal does not kill this process.
    let signals = Signals::new([SIGUSR1, SIGINT, SIGTERM])?;
    let script = "for n in 1 2 3; do kill -USR1 $PPID; read line; done";
    let mut child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn()?;
    let permit = child.stdin.take().ok_or("its input is a pipe")?;

    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, caught: 0, permit };
    state.handle.insert_source(signals, |signal, state| state.arrived(signal))?;
    state.handle.insert_source(Child::new(child)?, |status, state| {
        println!("the child is done: {status}");
        state.handle.stop();
    })?;
    event_loop.run(None, &mut state, |_| ())?;
    println!("{} signals caught", state.caught);
    Ok(())
}
