//! The command line of the compositor.
//!
//! ```text
//! cargo run                                    a demonstration, leaves smithay.png
//! cargo run -- --winit -- foot                 in a window
//! cargo run --features tty -- --tty --serve     on a terminal of its own
//! cargo run -- --help
//! ```

use std::process::ExitCode;

use soloop_smithay::options::{self, Request};
use soloop_smithay::session;

fn main() -> ExitCode {
    let request = match options::parse(std::env::args_os().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("compositor: {error}\n\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    match request {
        Request::Help => {
            print!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Request::Run(options) => match session::run(options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("compositor: {error}");
                ExitCode::FAILURE
            }
        },
    }
}
