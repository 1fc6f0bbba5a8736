//! The wait: for the kernel, the ready queue and the nearest deadline.
//!
//! What it finds goes to the backlog; delivering it is the business of the round, in `event_loop.rs`.

use std::io;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::poller::{ALARM, Alarm, WAKER};
use crate::ready::Woken;
use crate::{EventLoop, LoopData, LoopHandle};

impl<Data: LoopData> EventLoop<Data> {
    /// Waits for the kernel, the ready queue or the nearest deadline, and queues what is ready.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, data: &mut Data) -> Result<()> {
        match self.insight {
            None => self.find(timeout, data),
            Some(_) => self.wait_watched(timeout, data),
        }
    }

    /// [`wait`](Self::wait), under nobody's eyes.
    pub(crate) fn find(&mut self, timeout: Option<Duration>, data: &mut Data) -> Result<()> {
        let handle = data.loop_handle();
        let blocks = !std::mem::take(&mut self.stirred)
            && timeout != Some(Duration::ZERO)
            && !self.has_backlog()
            && !handle.has_work()
            && !self.shared.is_stopping();
        if blocks {
            self.block(timeout, handle)?;
        } else {
            self.poll(Some(Duration::ZERO), handle)?;
        }
        let registrations = &mut handle.registrations;
        for event in self.carried.drain(..) {
            // The kernel tells of an fd again by itself.
            let known = registrations.is_io(event.interest)
                && self.backlog.iter().any(|found| found.interest == event.interest);
            if !known {
                self.backlog.push_back(event);
            }
        }
        if registrations.nearest_deadline().is_some() {
            registrations.expire(registrations.clock.now_stamp());
        }
        Ok(())
    }

    /// Waits until something is ready, as far as `timeout` and the nearest deadline allow.
    fn block(
        &mut self,
        timeout: Option<Duration>,
        handle: &mut LoopHandle<Data>,
    ) -> io::Result<()> {
        let clock = &handle.registrations.clock;
        let nearest = handle.registrations.nearest_deadline();
        if clock.is_manual() {
            return self.block_manually(timeout, nearest, handle);
        }
        let timeout = match nearest {
            None => timeout,
            // An alarm that is set tells in time by itself; setting it takes a system call, which a
            // deadline that is due already does not need.
            Some(at) if !self.shared.alarm.is_set_to(at) => {
                let now = clock.now_stamp();
                if at <= now {
                    Some(Duration::ZERO)
                } else if Alarm::PRECISE {
                    self.shared.alarm.set(Some(at), || now)?;
                    timeout
                } else {
                    let until = Duration::from_nanos(at.abs_diff(now));
                    Some(timeout.map_or(until, |timeout| timeout.min(until)))
                }
            }
            Some(_) => timeout,
        };
        self.poll(timeout, handle)
    }

    /// On a manual clock time passes only when nothing else can happen: by the timeout, or to the
    /// nearest deadline.
    fn block_manually(
        &mut self,
        timeout: Option<Duration>,
        nearest: Option<i64>,
        handle: &mut LoopHandle<Data>,
    ) -> io::Result<()> {
        self.poll(Some(Duration::ZERO), handle)?;
        if !self.backlog.is_empty() || !self.mail.is_empty() {
            return Ok(());
        }
        let clock = &handle.registrations.clock;
        let until = nearest.map(|at| {
            Duration::from_nanos(at.saturating_sub(clock.now_stamp()).try_into().unwrap_or(0))
        });
        match (timeout, until) {
            (None, None) => return self.poll(None, handle),
            (Some(step), None) | (None, Some(step)) => clock.advance(step),
            (Some(timeout), Some(until)) => clock.advance(timeout.min(until)),
        }
        self.counters.wakeups += 1;
        Ok(())
    }

    /// Asks the kernel and the ready queue, and queues what they say.
    fn poll(
        &mut self,
        mut timeout: Option<Duration>,
        handle: &mut LoopHandle<Data>,
    ) -> io::Result<()> {
        let ready = &self.shared.ready;
        if timeout != Some(Duration::ZERO) && !ready.try_sleep() {
            timeout = Some(Duration::ZERO);
        }
        let result = poll_uninterrupted(&mut self.poll, &mut self.events, timeout);
        let notified = !ready.is_awake() && ready.rouse();
        self.counters.wakeups += u64::from(notified || timeout != Some(Duration::ZERO));
        result?;
        for event in &self.events {
            match event.token() {
                WAKER => {}
                ALARM => self.shared.alarm.fired(),
                _ => {
                    if let Some(event) = handle.registrations.kernel_event(event) {
                        self.backlog.push_back(event);
                    }
                }
            }
        }
        if notified {
            self.collect_woken(handle);
        }
        Ok(())
    }

    /// Empties the ready queue into the backlog.
    pub(crate) fn collect_woken(&mut self, handle: &LoopHandle<Data>) {
        self.shared.ready.take(&mut self.woken);
        for woken in self.woken.drain(..) {
            match woken {
                Woken::Notifier(notifier) => {
                    self.backlog.extend(handle.registrations.event(notifier.dequeued()));
                }
                Woken::Mail => self.mail.append(&mut self.mailbox.take()),
            }
        }
    }
}

/// Waits anew when a signal handler interrupts the wait, for what is left of the timeout.
fn poll_uninterrupted(
    poll: &mut mio::Poll,
    events: &mut mio::Events,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let started = timeout.filter(|timeout| !timeout.is_zero()).map(|_| Instant::now());
    let mut left = timeout;
    loop {
        match poll.poll(events, left) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                if let (Some(timeout), Some(started)) = (timeout, started) {
                    left = Some(timeout.saturating_sub(started.elapsed()));
                }
            }
            result => return result,
        }
    }
}
