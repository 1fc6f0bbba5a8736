//! Sources that host a loop of another kind, one whose callbacks run with this loop's state.
//!
//! A hosted loop has its turn like any source, when its fd is ready. But callbacks may give it something to do
//! that its fd does not tell of, and before a wait it has to set an alarm of its own, which may run callbacks
//! too. So there are two more occasions:
//!
//! * a round ends with a step of each hosted loop, after the idles: what callbacks asked of it is done before
//!   whoever dispatches looks at the state;
//! * before a wait that may block, each takes a step and sets its alarm. If one of their fds is ready by then,
//!   nothing of that happens: its events are delivered in their turn, by priority.
//!
//! Invariant: the loop does not block after a step that delivered events, since they may have changed what there
//! is to do, nor does its fd stay silent.

use std::time::Duration;

use crate::error::Outcome;
use crate::{EventLoop, LoopData};

#[cfg(all(unix, feature = "calloop"))]
use crate::{
    LoopHandle,
    insight::{Subject, watched},
};

/// What a hosted loop is to do.
#[cfg(all(unix, feature = "calloop"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Tell whether the fd is ready.
    Look,
    /// Deliver what there is, and tell whether there was anything.
    Run,
    /// The same, and have the fd become ready at the nearest deadline.
    Arm,
}

#[cfg(all(unix, feature = "calloop"))]
impl<Data: LoopData> EventLoop<Data> {
    /// Readies the hosted loops for a wait.
    #[inline(always)]
    pub(crate) fn prepare_hosted(&mut self, timeout: Option<Duration>, data: &mut Data) -> Outcome {
        if data.loop_handle().hosting.is_empty() { Ok(()) } else { self.prepare(timeout, data) }
    }

    /// Has the hosted loops do what the callbacks of a round asked of them.
    #[inline(always)]
    pub(crate) fn finish_hosted(&mut self, data: &mut Data) -> Outcome {
        if data.loop_handle().hosting.is_empty() { Ok(()) } else { self.finish(data) }
    }

    #[cold]
    fn prepare(&mut self, timeout: Option<Duration>, data: &mut Data) -> Outcome {
        let LoopHandle { hosting, registrations, .. } = data.loop_handle();
        hosting.retain(|key| registrations.is_live(*key));
        self.hosts = !hosting.is_empty();
        // All of them run before any arms: what one's callbacks ask of another is done by then.
        for step in [Step::Look, Step::Run, Step::Arm] {
            let blocks = !self.stirred
                && timeout != Some(Duration::ZERO)
                && !self.has_backlog()
                && !data.loop_handle().has_work()
                && !self.shared.is_stopping();
            if !blocks {
                break;
            }
            if self.step(step, data)? {
                // What the kernel knows of is found by the wait.
                self.stirred |= step != Step::Look;
                break;
            }
        }
        Ok(())
    }

    #[cold]
    fn finish(&mut self, data: &mut Data) -> Outcome {
        self.hosts = true;
        // Whoever waits for the loop's fd from here on waits for the hosted loops' deadlines too.
        self.unfinished = self.shared.is_exported();
        self.step(Step::Run, data)?;
        if self.unfinished {
            self.unfinished = self.step(Step::Arm, data)?;
        }
        Ok(())
    }

    /// Has each hosted loop take a step; whether any of them had something to deliver.
    fn step(&mut self, step: Step, data: &mut Data) -> Outcome<bool> {
        let mut any = false;
        for index in 0..data.loop_handle().hosting.len() {
            let LoopHandle { hosting, registrations, .. } = data.loop_handle();
            let Some(&key) = hosting.get(index) else { break };
            if !registrations.is_enabled(key) {
                continue;
            }
            let Some(slot) = self.slots.get_mut(key) else { continue };
            if step == Step::Look {
                any |= slot.host(step, data).unwrap_or(false);
                continue;
            }
            let subject = Subject::op(key, slot.source().type_name());
            let delivered = watched(&mut self.insight, subject, data, |data| slot.host(step, data));
            let delivered = match delivered {
                Ok(delivered) => delivered,
                Err(error) => {
                    let error = self.failure(key, error, data);
                    self.report(key, error, data)?;
                    true
                }
            };
            any |= delivered || data.loop_handle().has_ops();
            self.settle(data)?;
        }
        Ok(any)
    }
}

#[cfg(not(all(unix, feature = "calloop")))]
impl<Data: LoopData> EventLoop<Data> {
    #[inline(always)]
    pub(crate) fn prepare_hosted(&mut self, _: Option<Duration>, _: &mut Data) -> Outcome {
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn finish_hosted(&mut self, _: &mut Data) -> Outcome {
        Ok(())
    }
}
