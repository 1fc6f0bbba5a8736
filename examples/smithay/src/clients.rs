//! The child processes: clients that the compositor starts, and that end with it.

use std::io;
use std::process::{Child, Command, ExitStatus};

use crate::event_loop;
use crate::state::State;

/// The children; those that still run are killed with it.
#[derive(Default)]
pub struct Clients {
    running: Vec<(String, Child)>,
    started: u64,
    failed: u64,
}

impl Clients {
    pub fn start(&mut self, name: String, command: &mut Command) -> io::Result<()> {
        self.running.push((name, command.spawn()?));
        self.started += 1;
        Ok(())
    }

    /// Takes note of the children that have ended; whether there were any.
    fn reap(&mut self) -> bool {
        let running = self.running.len();
        let failed = &mut self.failed;
        self.running.retain_mut(|(name, child)| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                *failed += u64::from(!status.success());
                report(name, child.id(), status);
                false
            }
            Err(error) => {
                eprintln!("compositor: child {} ({name}) is lost: {error}", child.id());
                false
            }
        });
        self.running.len() < running
    }

    pub fn statistics(&self) -> String {
        let Self { running, started, failed } = self;
        format!("children: {started} started, {} still there, {failed} failed", running.len())
    }
}

/// Some child has ended. With the last one, the compositor does.
pub fn reap(state: &mut State) {
    if state.clients.reap() && state.clients.running.is_empty() {
        event_loop::stop(&mut state.handle);
    }
}

fn report(name: &str, pid: u32, status: ExitStatus) {
    if !status.success() {
        eprintln!("compositor: child {pid} ({name}) ended with {status}");
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        for (name, child) in &mut self.running {
            // It may have ended meanwhile; what counts is that it is no more.
            if let Err(error) = child.kill().and_then(|()| child.wait()) {
                eprintln!("compositor: child {} ({name}) is lost: {error}", child.id());
            }
        }
    }
}
