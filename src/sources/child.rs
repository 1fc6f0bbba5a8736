//! Child processes: the source [`Child`], which delivers an exit status.
//!
//! It waits for its child by the pid, through `std`, so that it never reaps another child. On Linux a pidfd becomes
//! readable when the child ends; elsewhere each `Child` checks its own child after a `SIGCHLD`.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::process::{self, ExitStatus};

#[cfg(target_os = "linux")]
use rustix::process::{Pid, PidfdFlags, pidfd_open};

#[cfg(target_os = "linux")]
use super::generic::Generic;
#[cfg(feature = "signals")]
use crate::Signals;
use crate::{EventSource, InsertError, InterestToken, PostAction, Readiness, Registrar};
#[cfg(target_os = "linux")]
use crate::{Interest, Mode};

/// Waits for a child process, and delivers its [`ExitStatus`].
///
/// The callback is called once. Then the source is removed, and with it the [`std::process::Child`], whose process
/// has been reaped. A child that is stopped or continued is no event. If the child ended before the source was
/// inserted, or while it was disabled, the event comes once the source is enabled. Other children of the process are
/// not touched: nobody else's `wait` fails because of this source, and the disposition of `SIGCHLD` stays as it is.
///
/// The pipes to the child belong to the [`std::process::Child`]. Take them out first (`child.stdout.take()`) to watch
/// them as sources of their own, or reach them with [`get_mut`](Self::get_mut). A child may end before all its output
/// is read: the pipes keep the rest.
///
/// # Limits
///
/// Dropping or removing a `Child` before its event does not kill the process, as in `std`: it runs on, and when it
/// ends it stays a zombie until this process ends or reaps it by other means. To end it, call `kill` on
/// [`get_mut`](Self::get_mut) (with [`LoopHandle::visit`](crate::LoopHandle::visit)) and wait for the event. To wait
/// for it without the loop, [`take`](crate::LoopHandle::take) the source and call [`into_inner`](Self::into_inner).
///
/// So a [`Scope`](crate::Scope) alone ends no child. For time limits and restarts use a task: [the
/// guide](crate::guide::processes) shows one, and `examples/supervisor.rs` more.
///
/// On Linux each child takes an fd, from `pidfd_open(2)` (Linux 5.3). On other Unix systems this source requires
/// feature `signals`.
///
/// If the process ignores `SIGCHLD` (which `execve(2)` passes on), the kernel reaps children by itself: their status
/// is lost, and [`new`](Self::new) or the dispatch fails with `ECHILD` or `ESRCH`.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, code: Option<i32> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::process::Command;
/// use soloop::{Child, EventLoop};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, code: None };
/// let child = Command::new("sh").args(["-c", "exit 3"]).spawn()?;
/// state.handle.insert_source(Child::new(child)?, |status, state| {
///     state.code = status.code();
///     state.handle.stop();
/// })?;
/// event_loop.run(None, &mut state, |_| ())?;
/// assert_eq!(state.code, Some(3));
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
#[doc(alias("kill", "waitpid"))]
pub struct Child {
    child: process::Child,
    watch: ChildWatch,
    /// The exit status was delivered.
    told: bool,
}

/// What signals that the child may have ended.
#[derive(Debug)]
enum ChildWatch {
    /// The child ended before anything was watched.
    Ended(Option<InterestToken>),
    /// Readable once the process has ended.
    #[cfg(target_os = "linux")]
    Pidfd(Generic<OwnedFd>),
    /// The signal comes for any child of the process.
    #[cfg(feature = "signals")]
    Sigchld(Signals),
}

impl Child {
    /// Makes a source that waits for `child`.
    ///
    /// # Errors
    ///
    /// On Linux those of `pidfd_open(2)`: `EMFILE`, or `ENOSYS` before Linux 5.3; elsewhere those of `Signals::new`.
    /// `ECHILD` or `ESRCH` if the process was reaped, but not through `child`. The error contains the child,
    /// which can still be waited for or killed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::process::Command;
    /// use soloop::Child;
    ///
    /// let child = Command::new("true").spawn()?;
    /// match Child::new(child) {
    ///     Ok(source) => drop(source.into_inner().wait()?),
    ///     Err(mut refused) => {
    ///         eprintln!("cannot watch the child: {}", refused.error);
    ///         refused.source.wait()?;
    ///     }
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(child: process::Child) -> Result<Self, InsertError<process::Child>> {
        #[cfg(target_os = "linux")]
        return Self::watched_by(child, ChildWatch::pidfd);
        #[cfg(not(target_os = "linux"))]
        return Self::watched_by(child, ChildWatch::sigchld);
    }

    fn watched_by(
        mut child: process::Child,
        watch: impl FnOnce(&process::Child) -> io::Result<ChildWatch>,
    ) -> Result<Self, InsertError<process::Child>> {
        // The watch begins before the check: it may stay silent about a child that has ended. One that was reaped
        // before may have left its pid to another process, whose watch is dropped here.
        let watch = watch(&child);
        let watch = match child.try_wait() {
            Ok(None) => watch,
            Ok(Some(_)) => Ok(ChildWatch::Ended(None)),
            Err(error) => Err(error),
        };
        match watch {
            Ok(watch) => Ok(Self { child, watch, told: false }),
            Err(error) => Err(InsertError::new(error, child)),
        }
    }

    /// Borrows the child.
    pub fn get_ref(&self) -> &process::Child {
        &self.child
    }

    /// Borrows the child mutably, with its pipes; to kill it, for example. If you wait for it here, the event still
    /// comes.
    pub fn get_mut(&mut self) -> &mut process::Child {
        &mut self.child
    }

    /// Returns the child, with its pipes. It is not killed.
    pub fn into_inner(self) -> process::Child {
        self.child
    }
}

impl ChildWatch {
    #[cfg(target_os = "linux")]
    fn pidfd(child: &process::Child) -> io::Result<Self> {
        let fd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
        // One-shot: a wait that fails then fails once, not in every round.
        Ok(Self::Pidfd(Generic::new(fd, Interest::READ, Mode::OneShot)))
    }

    #[cfg(feature = "signals")]
    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "only a test uses it there"))]
    fn sigchld(_: &process::Child) -> io::Result<Self> {
        Signals::new([signal_hook::consts::SIGCHLD]).map(Self::Sigchld)
    }

    /// Whether the child may have ended, given that `token` is ready.
    fn is_ready(&mut self, token: InterestToken) -> bool {
        match self {
            Self::Ended(ours) => *ours == Some(token),
            #[cfg(target_os = "linux")]
            Self::Pidfd(fd) => fd.watch.is(token),
            #[cfg(feature = "signals")]
            Self::Sigchld(signals) => {
                let mut arrived = false;
                let empty = Readiness::EMPTY;
                let mut take = || signals.process_events(empty, token, |_| arrived = true);
                while matches!(take(), Ok(PostAction::Again)) {}
                arrived
            }
        }
    }
}

impl EventSource for Child {
    type Event<'a> = ExitStatus;
    type Ret = ();
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        match &mut self.watch {
            ChildWatch::Ended(token) => {
                let (ours, notifier) = registrar.notifier();
                *token = Some(ours);
                notifier.notify();
                Ok(())
            }
            #[cfg(target_os = "linux")]
            ChildWatch::Pidfd(fd) => fd.register(registrar),
            #[cfg(feature = "signals")]
            ChildWatch::Sigchld(signals) => signals.register(registrar),
        }
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        match &mut self.watch {
            #[cfg(target_os = "linux")]
            ChildWatch::Pidfd(fd) => fd.reregister(registrar),
            #[cfg(feature = "signals")]
            ChildWatch::Sigchld(signals) => signals.reregister(registrar),
            _ => Ok(()),
        }
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        match &mut self.watch {
            ChildWatch::Ended(token) => {
                if let Some(token) = token.take() {
                    registrar.release(token);
                }
                Ok(())
            }
            #[cfg(target_os = "linux")]
            ChildWatch::Pidfd(fd) => fd.unregister(registrar),
            #[cfg(feature = "signals")]
            ChildWatch::Sigchld(signals) => signals.unregister(registrar),
        }
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(ExitStatus),
    {
        if !self.watch.is_ready(token) {
            return Ok(PostAction::Continue);
        }
        if self.told {
            // The callback panicked, or asked for something other than the removal.
            return Ok(PostAction::Remove);
        }
        match self.child.try_wait()? {
            Some(status) => {
                self.told = true;
                callback(status);
                Ok(PostAction::Remove)
            }
            // The signal was for another child, or a debugger has to see this one's end first.
            None => Ok(PostAction::Reregister),
        }
    }
}

#[cfg(all(test, feature = "signals"))]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::{EventLoop, LoopData, LoopHandle};

    struct State {
        handle: LoopHandle<Self>,
        ended: Vec<Option<i32>>,
    }

    impl LoopData for State {
        fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
            &mut self.handle
        }
    }

    /// As on systems without pidfds.
    #[test]
    fn children_are_told_apart_by_a_signal_as_well() {
        let (mut event_loop, handle) = EventLoop::new().unwrap();
        let mut state = State { handle, ended: Vec::new() };
        // Each child ends when its input does.
        let mut inputs = Vec::new();
        for code in [3, 4, 5] {
            let mut child = Command::new("sh")
                .args(["-c", &format!("read line; exit {code}")])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            inputs.push(child.stdin.take());
            let source = Child::watched_by(child, ChildWatch::sigchld).unwrap();
            assert!(matches!(source.watch, ChildWatch::Sigchld(_)));
            let callback = |status: ExitStatus, state: &mut State| state.ended.push(status.code());
            state.handle.insert_source(source, callback).unwrap();
        }
        let mut stranger = Command::new("true").spawn().unwrap();
        assert!(stranger.wait().unwrap().success(), "it was not reaped by anyone else");
        event_loop.dispatch(Duration::ZERO, &mut state).unwrap();
        assert_eq!(state.ended, []);
        for index in [1, 0, 2] {
            inputs[index] = None;
            let before = state.ended.len();
            while state.ended.len() == before {
                event_loop.dispatch(Duration::from_secs(30), &mut state).unwrap();
            }
        }
        assert_eq!(state.ended, [Some(4), Some(3), Some(5)]);
    }
}
