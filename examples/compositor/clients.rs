//! The child processes: clients that the compositor starts, and that it ends with.

use std::io;
use std::process::{Child, Command, ExitStatus};

use rustix::process::Signal;
use soloop::{LoopData, LoopHandle, Signals, SourceOptions};

/// What the children need of the state.
pub trait ClientsHost: LoopData + AsMut<Clients> {
    /// There were children, and there are none any more.
    fn last_child_gone(&mut self);
}

/// The children; those that still run are killed with it.
#[derive(Default)]
pub struct Clients {
    running: Vec<(String, Child)>,
    started: u64,
    failed: u64,
}

impl Clients {
    /// Watches out for the ends of children; only then are there any, so that none is missed.
    pub fn insert<D: ClientsHost>(handle: &mut LoopHandle<D>) -> io::Result<Self> {
        let source = Signals::new([Signal::CHILD.as_raw()])?;
        let options = SourceOptions::new().name("children");
        handle.insert_source_with(options, source, |_, data: &mut D| {
            // One signal may stand for several children.
            if data.as_mut().reap() && data.as_mut().running.is_empty() {
                data.last_child_gone();
            }
        })?;
        Ok(Self::default())
    }

    /// Starts a child.
    pub fn start(&mut self, name: String, command: &mut Command) -> io::Result<()> {
        let child = command.spawn()?;
        self.started += 1;
        self.running.push((name, child));
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

    pub fn stats(&self) -> String {
        let Self { running, started, failed } = self;
        format!(
            "clients: {started} children started, {} still there, {failed} failed",
            running.len()
        )
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
