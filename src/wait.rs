//! The wait: for the kernel, the ready queue and the nearest deadline.
//!
//! What it finds goes to the backlog; delivering it is the business of the round, in `event_loop.rs`.

use std::io;
use std::time::{Duration, Instant};

use crate::backlog::ReadyEvent;
use crate::error::{Error, Outcome};
use crate::interest::ReadySet;
use crate::poller::{ALARM, Alarm, Poller, WAKER};
use crate::ready::Woken;
use crate::token::InterestKey;
use crate::{EventLoop, LoopData, LoopHandle};

impl<Data: LoopData> EventLoop<Data> {
    /// Waits for the kernel, the ready queue or the nearest deadline, and queues what is ready.
    #[inline]
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, data: &mut Data) -> Outcome {
        match self.insight {
            None => self.find(timeout, data),
            Some(_) => self.wait_watched(timeout, data),
        }
    }

    /// [`wait`](Self::wait), under nobody's eyes.
    #[inline(always)]
    pub(crate) fn find(&mut self, timeout: Option<Duration>, data: &mut Data) -> Outcome {
        let handle = data.loop_handle();
        let mut timeout = timeout;
        if std::mem::take(&mut self.stirred)
            || timeout == Some(Duration::ZERO)
            || self.has_backlog()
            || handle.has_work()
            || self.shared.is_stopping()
        {
            timeout = Some(Duration::ZERO);
        } else if handle.registrations.clock.is_manual() {
            return self.pass_time(timeout, handle);
        } else if let Some(nearest) = handle.registrations.nearest_deadline() {
            timeout = self.set_alarm(nearest, timeout, handle)?;
        }
        self.poll(timeout, handle)?;
        if !self.carried.is_empty() {
            self.take_up_carried(handle);
        }
        handle.registrations.expire();
        Ok(())
    }

    /// Queues what had no budget left in the round before, behind what the wait found.
    fn take_up_carried(&mut self, handle: &LoopHandle<Data>) {
        for event in self.carried.drain(..) {
            // The kernel tells of an fd again by itself.
            let found = self.backlog.as_slice();
            let known = handle.registrations.is_io(event.interest)
                && found.iter().any(|found| found.interest == event.interest);
            if !known {
                self.backlog.push(event);
            }
        }
    }

    /// Has the wait end at the nearest deadline: by the alarm, or by the timeout that it answers.
    fn set_alarm(
        &self,
        nearest: i64,
        timeout: Option<Duration>,
        handle: &LoopHandle<Data>,
    ) -> Outcome<Option<Duration>> {
        // An alarm that is set tells in time by itself; setting it takes a system call, which a deadline that is
        // due already does not need.
        if self.shared.alarm.is_set_to(nearest) {
            return Ok(timeout);
        }
        if handle.registrations.is_reached(nearest) {
            return Ok(Some(Duration::ZERO));
        }
        let now = handle.registrations.clock.now_stamp();
        if nearest <= now {
            return Ok(Some(Duration::ZERO));
        }
        if Alarm::PRECISE {
            self.shared.alarm.set(Some(nearest), || now).map_err(Error::from)?;
            return Ok(timeout);
        }
        let until = Duration::from_nanos(nearest.abs_diff(now));
        Ok(Some(timeout.map_or(until, |timeout| timeout.min(until))))
    }

    /// On a manual clock time passes only when nothing else can happen: by the timeout, or to the nearest
    /// deadline.
    #[cold]
    fn pass_time(&mut self, timeout: Option<Duration>, handle: &mut LoopHandle<Data>) -> Outcome {
        self.poll(Some(Duration::ZERO), handle)?;
        self.backlog.retain(|found| handle.registrations.source_of(found.interest).is_some());
        if self.backlog.is_empty() && self.mail.is_empty() {
            let nearest = handle.registrations.nearest_deadline();
            let clock = &handle.registrations.clock;
            let until = nearest.map(|at| {
                Duration::from_nanos(at.saturating_sub(clock.now_stamp()).try_into().unwrap_or(0))
            });
            match (timeout, until) {
                (None, None) => self.poll(None, handle)?,
                (Some(step), None) | (None, Some(step)) => clock.advance(step),
                (Some(timeout), Some(until)) => clock.advance(timeout.min(until)),
            }
            self.counters.wakeups += 1;
        }
        handle.registrations.expire();
        Ok(())
    }

    /// Asks the kernel and the ready queue, and queues what they say.
    #[inline(always)]
    fn poll(&mut self, mut timeout: Option<Duration>, handle: &mut LoopHandle<Data>) -> Outcome {
        let ready = &self.shared.ready;
        let mut started = None;
        if timeout != Some(Duration::ZERO) {
            if ready.try_sleep() {
                started = timeout.map(|_| Instant::now());
            } else {
                timeout = Some(Duration::ZERO);
            }
        }
        let mut found = |token, readiness| match token {
            WAKER => {}
            ALARM => self.shared.alarm.fired(),
            _ => {
                let event = ReadyEvent { interest: InterestKey::from_mio(token), readiness };
                if handle.registrations.admits(event) {
                    self.backlog.push(event);
                }
            }
        };
        let mut polled = self.poller.wait(timeout, &mut found);
        if matches!(&polled, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
            polled = poll_again(&mut self.poller, timeout, started, &mut found);
        }
        let notified = !ready.is_awake() && ready.rouse();
        if notified || timeout != Some(Duration::ZERO) {
            self.counters.wakeups += 1;
        }
        polled.map_err(Error::from)?;
        if notified {
            self.collect_woken();
        }
        Ok(())
    }

    /// Empties the ready queue into the backlog.
    pub(crate) fn collect_woken(&mut self) {
        self.shared.ready.take(&mut self.woken);
        for woken in self.woken.drain(..) {
            match woken {
                Woken::Interest(interest) => self.backlog.push(ReadyEvent::plain(interest)),
                Woken::Notifier(notifier) => {
                    self.backlog.push(ReadyEvent::plain(notifier.dequeued()));
                }
                Woken::Mail => self.mail.append(&mut self.mailbox.take()),
            }
        }
    }
}

/// Waits anew, as often as a signal handler interrupts it, for what is left of the timeout.
#[cold]
fn poll_again(
    poller: &mut Poller,
    timeout: Option<Duration>,
    started: Option<Instant>,
    found: &mut dyn FnMut(mio::Token, ReadySet),
) -> io::Result<()> {
    loop {
        let left = match (timeout, started) {
            (Some(timeout), Some(started)) => Some(timeout.saturating_sub(started.elapsed())),
            _ => timeout,
        };
        match poller.wait(left, &mut *found) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
