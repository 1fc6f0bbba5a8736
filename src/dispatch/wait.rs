//! The wait: for the kernel, for other threads and for the nearest deadline. What it finds is collected in the round.

use std::io;
use std::time::{Duration, Instant};

use crate::error::{Error, Outcome};
use crate::handle::{LoopData, own_handle};
use crate::interest::ReadinessBits;
use crate::poller::{ALARM, Alarm, WAKER};
use crate::ready::Woken;
use crate::shrink::shrink;
use crate::slot::What;
use crate::token::{InterestKey, SourceKey};
use crate::{EventLoop, LoopHandle};

impl<Data> EventLoop<Data> {
    /// The part of [`has_work`](Self::has_work) that needs no handle.
    #[inline]
    pub(crate) fn has_own_work(&self) -> bool {
        !self.posts.is_empty()
            || !self.mailbox.is_empty()
            || !self.shared.dropped_guards.is_empty()
            || !self.round.is_empty()
            || self.shared.ready.is_notified()
    }
}

impl<Data: LoopData> EventLoop<Data> {
    /// Whether there is something to do: to apply, to run, to deliver, or to look at.
    #[inline]
    pub(crate) fn has_work(&self, handle: &LoopHandle<Data>) -> bool {
        handle.has_work()
            || self.has_own_work()
            || handle.registrations.is_any_due()
            || self.shared.is_due()
    }

    /// Waits for `timeout` at most, but not at all if there is something to do, and collects what is ready. Under `run`,
    /// a stop that was asked for is something to do, too.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        in_run: bool,
        data: &mut Data,
    ) -> Outcome {
        let handle = data.loop_handle();
        handle.registrations.renew_nearest();
        let ran_user_code = std::mem::take(&mut self.round.ran_user_code);
        // What callbacks asked of a hosted loop may be something that it does not wait for.
        let called = std::mem::take(&mut self.round.called);
        let stays_awake = timeout == Some(Duration::ZERO)
            || ran_user_code
            || called && handle.registrations.host().is_some();
        let waited = if stays_awake {
            self.poll(Some(Duration::ZERO), in_run, data).map(drop)
        } else if handle.registrations.clock.is_manual() {
            self.pass_time(timeout, in_run, data)
        } else {
            self.poll(timeout, in_run, data).map(drop)
        };
        let registrations = &mut own_handle(&self.shared, data)?.registrations;
        self.round.take_up_deferred(registrations);
        let now = registrations.expire();
        let urgent = registrations.has_urgent();
        self.round.budget.restart(now, urgent);
        if !self.round.stale.is_empty() {
            self.report_orphans(data);
        }
        waited.map_err(|error| Box::new(Error::Io(error)))?;
        self.round.failure()
    }

    /// On a manual clock time passes only when nothing else can happen: by the timeout, or to the nearest deadline.
    #[cold]
    fn pass_time(
        &mut self,
        timeout: Option<Duration>,
        in_run: bool,
        data: &mut Data,
    ) -> io::Result<()> {
        if self.has_work(data.loop_handle()) || in_run && self.shared.is_stopping() {
            return self.poll(Some(Duration::ZERO), in_run, data).map(drop);
        }
        let notified = self.poll(Some(Duration::ZERO), in_run, data)?;
        let Ok(handle) = own_handle(&self.shared, data) else { return Ok(()) };
        // A wake-up may be all that came.
        if notified || self.has_work(handle) {
            return Ok(());
        }
        let clock = &handle.registrations.clock;
        let until = self.shared.nearest_deadline().map(|at| {
            Duration::from_nanos(at.saturating_sub(clock.now_stamp()).try_into().unwrap_or(0))
        });
        match (timeout, until) {
            (None, None) => return self.poll(None, in_run, data).map(drop),
            (Some(step), None) | (None, Some(step)) => clock.advance(step),
            (Some(timeout), Some(until)) => clock.advance(timeout.min(until)),
        }
        self.counters.wakeups += 1;
        Ok(())
    }

    /// Asks the kernel, for `timeout` at most, and collects what it and other threads say; whether one of them did.
    fn poll(
        &mut self,
        timeout: Option<Duration>,
        in_run: bool,
        data: &mut Data,
    ) -> io::Result<bool> {
        let handle = data.loop_handle();
        #[cfg(all(unix, feature = "calloop"))]
        if handle.registrations.host().is_some() && self.shared.is_exported() {
            return Err(crate::hosting::watched_from_outside());
        }
        let stops = self.shared.is_stopping();
        let timeout = match self.fall_asleep(timeout, in_run, handle) {
            Ok(timeout) => timeout,
            Err(error) => {
                self.shared.ready.end_rest();
                return Err(error);
            }
        };
        let waited = match handle.registrations.host() {
            None => self.ask_kernel(timeout),
            Some(host) => self.wait_in_host(host, timeout, data),
        };
        // Also if it failed: no notification is lost.
        let notified = self.shared.ready.mark_awake();
        if notified || timeout != Some(Duration::ZERO) {
            self.counters.wakeups += 1;
        }
        // A hosted callback may have put another loop's handle into the state.
        let Ok(handle) = own_handle(&self.shared, data) else {
            if notified {
                // The queue is looked at when the handle is back.
                self.shared.ready.wake();
            }
            return Ok(notified);
        };
        if waited.is_ok() {
            self.collect_found(handle);
        }
        if notified {
            self.collect_woken(handle);
            if !in_run && !stops && timeout != Some(Duration::ZERO) {
                // Outside of `run`, a stop ends the wait during which it is asked for, and no more.
                self.shared.take_stop();
            }
        }
        waited.map(|()| notified)
    }

    /// Waits in a source that hosts another loop, which watches the kernel for this one.
    #[cold]
    fn wait_in_host(
        &mut self,
        host: SourceKey,
        timeout: Option<Duration>,
        data: &mut Data,
    ) -> io::Result<()> {
        let answer = self.slots.get_mut(host).map(|slot| slot.call(What::Wait(timeout), data));
        if own_handle(&self.shared, data).is_err() {
            // What the kernel has waits in it until the handle is back.
            return Ok(());
        }
        if let Some(Err(failure)) = answer {
            let failure = self.source_failure(host, failure.error, data);
            self.report(failure, data);
        }
        self.ask_kernel(Some(Duration::ZERO))
    }

    /// Falls asleep, unless there is something to do; the timeout for the kernel then.
    #[inline]
    fn fall_asleep(
        &self,
        timeout: Option<Duration>,
        in_run: bool,
        handle: &LoopHandle<Data>,
    ) -> io::Result<Option<Duration>> {
        // Looked at while it sleeps already: what comes later wakes it.
        let has_work = || in_run && self.shared.is_stopping() || self.has_work(handle);
        if timeout == Some(Duration::ZERO) || !self.shared.ready.fall_asleep(has_work) {
            return Ok(Some(Duration::ZERO));
        }
        self.until_deadline(timeout, handle)
    }

    /// Has the wait end at the nearest deadline: by the alarm, or by the timeout that it answers.
    fn until_deadline(
        &self,
        timeout: Option<Duration>,
        handle: &LoopHandle<Data>,
    ) -> io::Result<Option<Duration>> {
        let registrations = &handle.registrations;
        let Some(nearest) = self.shared.nearest_deadline() else { return Ok(timeout) };
        if registrations.clock.is_manual() || self.shared.is_alarm_set_to(nearest) {
            return Ok(timeout);
        }
        let now = registrations.clock.now_stamp();
        let needed = self.shared.is_exported() || registrations.host().is_some();
        if Alarm::PRECISE && (needed || !Alarm::OPTIONAL) {
            self.shared.set_alarm(nearest, now)?;
            return Ok(timeout);
        }
        let until = Duration::from_nanos(nearest.saturating_sub(now).try_into().unwrap_or(0));
        Ok(Some(timeout.map_or(until, |timeout| timeout.min(until))))
    }

    /// Asks the kernel, as often as a signal handler interrupts the wait, for what is left of the timeout.
    #[inline]
    fn ask_kernel(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        #[cfg(all(loom, test))]
        let timeout = self.shared.ready.wait_in_model(timeout);
        let started = timeout.filter(|timeout| !timeout.is_zero()).map(|_| Instant::now());
        let mut left = timeout;
        loop {
            match self.poller.wait(left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                waited => return waited,
            }
            if let (Some(timeout), Some(started)) = (timeout, started) {
                left = Some(timeout.saturating_sub(started.elapsed()));
            }
        }
    }

    #[inline]
    fn collect_found(&mut self, handle: &mut LoopHandle<Data>) {
        let Self { poller, round, shared, counters, orphans, .. } = self;
        let registrations = &mut handle.registrations;
        poller.each(|token, readiness| match token {
            WAKER => {}
            ALARM => shared.alarm_fired(),
            _ => {
                let interest = InterestKey::from_mio(token);
                if registrations.admits(interest)
                    && !round.found(interest, readiness, registrations)
                {
                    counters.stale += 1;
                    if !orphans.is_empty() {
                        round.stale.push(interest);
                    }
                }
            }
        });
    }

    /// Empties the ready queue into the round.
    fn collect_woken(&mut self, handle: &mut LoopHandle<Data>) {
        self.shared.ready.take(&mut self.woken);
        for woken in self.woken.drain(..) {
            let interest = match woken {
                Woken::Interest(interest) => interest,
                Woken::Notifier(notifier) => notifier.dequeued(),
            };
            self.round.found(interest, ReadinessBits::NOTIFIED, &mut handle.registrations);
        }
        shrink(&mut self.woken);
    }
}
