//! A headless Wayland compositor: one event loop, one state, and modules that do not know each other.
//!
//! ```text
//! cargo run --example compositor                                    a demonstration, leaves compositor.png
//! cargo run --example compositor -- --help
//! cargo run --example compositor -- -- weston-flower -- weston-simple-shm
//! ```
//!
//! Everything happens in callbacks of one loop: the listening sockets, the Wayland clients, the clients of
//! the control socket (inserted from inside the listener's callback), the frame timer (there only while
//! something changes), the answers of the PNG worker's thread, signals and children. What they share is one
//! `State`, which each of them gets as `&mut`, with the handle of the loop as a plain field in it. What takes
//! its time is a task (`input/typing.rs`), and ends with whoever asked for it.
//!
//! | module | what it does |
//! |---|---|
//! | `protocol` | the Wayland protocol: surfaces, windows, popups, buffers, seats |
//! | `input` | keys, buttons, the pointer, and who gets them |
//! | `rendering` | the frame timer, drawing, screenshots |
//! | `control` | the control socket |
//! | `clients` | child processes |
//! | `fds` | how many of them there are |
//! | `insight` | what can be seen of the loop: the table of its sources, the slowest callbacks, a trace |
//!
//! No module knows another, nor the state: each says in a trait what it needs of the state it is in. They
//! meet in `state.rs` and `painting.rs`.

#![expect(unreachable_pub, reason = "in a program, `pub` tells what a module offers to the others")]

mod clients;
mod control;
mod delegates;
mod demo;
mod fds;
mod geometry;
mod input;
mod insight;
mod options;
mod painting;
mod protocol;
mod rendering;
mod session;
mod sockets;
mod state;

use std::error::Error;
use std::process::ExitCode;

use options::Request;

fn main() -> ExitCode {
    let request = match options::parse(std::env::args_os().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("compositor: {error}\n\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    let result: Result<(), Box<dyn Error>> = match request {
        Request::Help => {
            print!("{}", options::HELP);
            Ok(())
        }
        Request::DemoClient(name) => demo::run(&name),
        Request::Run(options) => session::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compositor: {error}");
            ExitCode::FAILURE
        }
    }
}
