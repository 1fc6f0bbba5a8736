//! The wait: for the kernel, the ready queue and the nearest deadline.
//!
//! What it finds goes to the backlog; delivering it is the business of the round, in `event_loop.rs`.

use std::io;
use std::time::{Duration, Instant};

use crate::backlog::ReadyEvent;
use crate::error::{Error, Outcome};
use crate::poller::{ALARM, Alarm, Found, Poller, WAKER};
use crate::ready::Woken;
use crate::token::InterestKey;
use crate::{EventLoop, LoopData, LoopHandle};

/// A wait for the kernel.
#[derive(Clone, Copy)]
pub(crate) struct Sleep {
    /// Zero if it does not block.
    pub(crate) timeout: Option<Duration>,
    /// When it began, if it ends by itself.
    started: Option<Instant>,
}

impl Sleep {
    const NONE: Self = Self { timeout: Some(Duration::ZERO), started: None };

    /// What is left of the timeout.
    fn left(self) -> Option<Duration> {
        match (self.timeout, self.started) {
            (Some(timeout), Some(started)) => Some(timeout.saturating_sub(started.elapsed())),
            (timeout, _) => timeout,
        }
    }
}

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
    pub(crate) fn find(&mut self, timeout: Option<Duration>, data: &mut Data) -> Outcome {
        let handle = data.loop_handle();
        if handle.registrations.clock.is_manual() && self.may_block(timeout, handle) {
            return self.pass_time(timeout, handle);
        }
        let sleep = self.fall_asleep(timeout, handle)?;
        let mut room = Poller::room();
        let waited = self.poller.wait(sleep.timeout, &mut room);
        self.wake(sleep, waited, handle)
    }

    /// Whether there is nothing to do yet.
    #[inline]
    fn may_block(&self, timeout: Option<Duration>, handle: &LoopHandle<Data>) -> bool {
        !(self.stirred
            || timeout == Some(Duration::ZERO)
            || self.has_backlog()
            || handle.has_work()
            || self.shared.is_stopping())
    }

    /// Begins a wait, which ends at the nearest deadline at the latest.
    #[inline(always)]
    pub(crate) fn fall_asleep(
        &mut self,
        mut timeout: Option<Duration>,
        handle: &mut LoopHandle<Data>,
    ) -> Outcome<Sleep> {
        if !self.may_block(timeout, handle) {
            self.stirred = false;
            return Ok(Sleep::NONE);
        }
        if let Some(nearest) = handle.registrations.nearest_deadline() {
            timeout = self.set_alarm(nearest, timeout, handle)?;
        }
        Ok(self.sleep(timeout))
    }

    /// Begins a wait, which does not block if there was a notification.
    #[inline]
    fn sleep(&self, timeout: Option<Duration>) -> Sleep {
        if timeout == Some(Duration::ZERO) || !self.shared.ready.try_sleep() {
            return Sleep::NONE;
        }
        Sleep { timeout, started: timeout.map(|_| Instant::now()) }
    }

    /// Ends a wait, and queues what the kernel, the ready queue and the deadlines say.
    #[inline(always)]
    pub(crate) fn wake(
        &mut self,
        sleep: Sleep,
        waited: io::Result<Found<'_>>,
        handle: &mut LoopHandle<Data>,
    ) -> Outcome {
        self.take_found(sleep, waited, handle)?;
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
    fn poll(&mut self, timeout: Option<Duration>, handle: &mut LoopHandle<Data>) -> Outcome {
        let sleep = self.sleep(timeout);
        let mut room = Poller::room();
        let waited = self.poller.wait(sleep.timeout, &mut room);
        self.take_found(sleep, waited, handle)
    }

    #[inline(always)]
    fn take_found(
        &mut self,
        sleep: Sleep,
        waited: io::Result<Found<'_>>,
        handle: &mut LoopHandle<Data>,
    ) -> Outcome {
        let waited = match waited {
            Ok(found) => {
                self.queue_found(found, handle);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.wait_again(sleep, handle)
            }
            Err(error) => Err(error),
        };
        let ready = &self.shared.ready;
        let notified = !ready.is_awake() && ready.rouse();
        if notified || sleep.timeout != Some(Duration::ZERO) {
            self.counters.wakeups += 1;
        }
        waited.map_err(Error::from)?;
        if notified {
            self.collect_woken();
        }
        Ok(())
    }

    /// Waits anew, as often as a signal handler interrupts it, for what is left of the timeout.
    #[cold]
    fn wait_again(&mut self, sleep: Sleep, handle: &mut LoopHandle<Data>) -> io::Result<()> {
        let mut room = Poller::room();
        loop {
            match self.poller.wait(sleep.left(), &mut room) {
                Ok(found) => {
                    self.queue_found(found, handle);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    #[inline(always)]
    fn queue_found(&mut self, found: Found<'_>, handle: &mut LoopHandle<Data>) {
        self.poller.each(found, |token, readiness| match token {
            WAKER => {}
            ALARM => self.shared.alarm.fired(),
            _ => {
                let event = ReadyEvent { interest: InterestKey::from_mio(token), readiness };
                if handle.registrations.admits(event) {
                    self.backlog.push(event);
                }
            }
        });
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
