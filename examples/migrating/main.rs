//! The patterns of MIGRATING.md, each on calloop and on soloop: `cargo run --example migrating` runs both and shows
//! that they do the same. The program of some size that the guide ports is in `compositor/`.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

mod after;
mod before;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
type Run = fn() -> Result<Vec<String>>;

/// Each pattern: its name, on calloop, on soloop.
macro_rules! patterns {
    ($($name:ident)*) => {
        const PATTERNS: &[(&str, Run, Run)] =
            &[$((stringify!($name), before::$name::run, after::$name::run)),*];
    };
}

patterns! {
    state_after_sources token_in_state self_removal sibling fd_taken_back error_gates idle_later from_a_drop
    async_tasks lending one_shot reading_back part_with_handle insertion_by_shared_self thread_answers removal_by_ping
    menu
}

fn main() -> Result<()> {
    for (name, before, after) in PATTERNS {
        let (before, after) = (before()?, after()?);
        println!("{name}\n  calloop: {before:?}\n  soloop: {after:?}");
    }
    Ok(())
}
