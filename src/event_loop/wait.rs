//! The wait: for the kernel, for other threads and for the nearest deadline. The round collects what the wait finds.

use std::io;
use std::time::{Duration, Instant};

use crate::clock::duration;
use crate::error::{Error, Outcome};
use crate::handle::LoopData;
use crate::interest::ReadinessBits;
use crate::kernel::{Alarm, Timeout};
use crate::registry::slot::What;
use crate::shrink::shrink;
use crate::threads::ready::Woken;
use crate::token::{ALARM, InterestToken, SourceKey, WAKER};
use crate::{EventLoop, LoopHandle};

impl<Data> EventLoop<Data> {
    /// The part of [`has_work`](Self::has_work) that needs no handle.
    #[inline]
    pub(super) fn has_own_work(&self) -> bool {
        !self.posts.is_empty()
            || !self.mailbox.is_empty()
            || !self.shared.dropped_guards().is_empty()
            || !self.round.is_empty()
            || self.shared.ready().is_notified()
    }
}

impl<Data: LoopData> EventLoop<Data> {
    /// Whether there is something to do: to apply, to run, to deliver, or to check.
    #[inline]
    pub(super) fn has_work(&self, handle: &LoopHandle<Data>) -> bool {
        handle.has_work()
            || self.has_own_work()
            || handle.registrations.is_any_due()
            || self.shared.is_due()
    }

    /// Waits for `timeout` at most, and not at all if there is something to do; then collects what is ready. In `run`,
    /// a requested stop counts as something to do.
    #[inline]
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        in_run: bool,
        data: &mut Data,
    ) -> Outcome {
        if let Some(insight) = &mut self.insight {
            insight.begin_wait(timeout, self.round.len(), self.counters.wakeups);
            self.own_handle(data)?;
        }
        let waited = self.wait_and_collect(timeout, in_run, data);
        if let Some(insight) = &mut self.insight {
            insight.end_wait(self.round.len(), self.counters.wakeups);
        }
        let registrations = &mut self.own_handle(data)?.registrations;
        self.round.take_up_deferred(registrations);
        let now = registrations.expire();
        self.budget.restart(now, registrations.is_prioritized());
        if !self.orphans.is_empty() {
            self.report_orphans(data);
            self.own_handle(data)?;
        }
        waited.map_err(|error| Box::new(Error::Io(error)))?;
        self.round.failure()
    }

    #[inline]
    fn wait_and_collect(
        &mut self,
        timeout: Option<Duration>,
        in_run: bool,
        data: &mut Data,
    ) -> io::Result<()> {
        let handle = data.loop_handle();
        handle.registrations.renew_nearest();
        // Callbacks may have asked a hosted loop for something that it does not wait for.
        let stays_awake = self.round.take_calls(handle.registrations.host().is_some());
        let timeout = if stays_awake { Timeout::Zero } else { timeout.into() };
        let mut passes_time = timeout != Timeout::Zero && self.shared.clock().is_manual();
        let mut asked = if passes_time { Timeout::Zero } else { timeout };
        loop {
            let notified = self.poll(asked, in_run, data)?;
            if !passes_time || notified || !self.pass_time(timeout, in_run, data) {
                return Ok(());
            }
            (passes_time, asked) = (false, Timeout::Never);
        }
    }

    /// On a manual clock, time passes only when nothing else can happen: by the timeout, or to the nearest deadline,
    /// whichever comes first. `true` if there is neither, so that the loop must wait for the kernel.
    #[cold]
    fn pass_time(&mut self, timeout: Timeout, in_run: bool, data: &mut Data) -> bool {
        let Ok(handle) = self.own_handle(data) else { return false };
        if self.has_work(handle) || in_run && self.shared.is_stopping() {
            return false;
        }
        let clock = self.shared.clock();
        let now = clock.now_stamp();
        let until = self.shared.nearest_deadline().map(|at| duration(at.saturating_sub(now)));
        let step = until.map_or(timeout, |until| timeout.at_most(until));
        let Some(step) = step.into() else { return true };
        clock.advance(step);
        self.counters.wakeups += 1;
        false
    }

    /// Asks the kernel, for `timeout` at most, and collects what the kernel and other threads report. Returns whether
    /// another thread notified the loop.
    #[inline]
    fn poll(&mut self, timeout: Timeout, in_run: bool, data: &mut Data) -> io::Result<bool> {
        let handle = data.loop_handle();
        #[cfg(all(unix, feature = "calloop"))]
        if handle.registrations.host().is_some() && self.shared.is_exported() {
            return Err(crate::registry::registrar::watched_from_outside());
        }
        // A stop from before ends the wait only in `run`.
        let stops = in_run || !self.shared.is_stopping();
        let timeout = self
            .fall_asleep(timeout, stops, handle)
            .inspect_err(|_| self.shared.ready().end_rest())?;
        let host = handle.registrations.host();
        let left = host.map_or(Some(timeout), |host| self.wait_in_host(host, timeout, data));
        let waited = left.map_or(Ok(()), |timeout| self.ask_kernel(timeout));
        // Also after a failed wait: no notification is lost.
        let notified = self.shared.ready().mark_awake();
        if notified || timeout != Timeout::Zero {
            self.counters.wakeups += 1;
        }
        // A hosted callback may have put another loop's handle into the state.
        if host.is_some() && self.own_handle(data).is_err() {
            if notified {
                // The loop reads the queue when the handle is back.
                self.shared.ready().wake();
            }
            return Ok(notified);
        }
        let handle = data.loop_handle();
        if waited.is_ok() {
            self.collect_found(handle);
        }
        if notified {
            self.collect_woken(handle);
            if !in_run && stops && timeout != Timeout::Zero {
                // It has ended this wait, and ends nothing else.
                self.shared.take_stop();
            }
        }
        waited.map(|()| notified)
    }

    /// Waits in a source that hosts another loop, which watches the kernel for this one. Returns the timeout for asking
    /// the kernel afterwards. `None` if the source put another loop's handle into the state: events then stay in the
    /// kernel until the handle is back.
    #[cold]
    fn wait_in_host(
        &mut self,
        host: SourceKey,
        timeout: Timeout,
        data: &mut Data,
    ) -> Option<Timeout> {
        let what = What::Wait(&timeout.into());
        let answer = self.slots.get_mut(host).map(|slot| slot.call(what, data));
        self.own_handle(data).ok()?;
        if let Some(Err(failure)) = answer {
            let failure = self.source_failure(host, failure.error, data);
            self.report(failure, data);
            self.own_handle(data).ok()?;
        }
        Some(Timeout::Zero)
    }

    /// Falls asleep, unless there is something to do. `stops`: a stop is something to do. Makes the wait end at the
    /// nearest deadline: sets the alarm, or shortens the timeout for the kernel, which it returns.
    #[inline]
    fn fall_asleep(
        &self,
        timeout: Timeout,
        stops: bool,
        handle: &LoopHandle<Data>,
    ) -> io::Result<Timeout> {
        // Checked while the loop already counts as asleep: work that arrives later wakes it.
        let has_work = || stops && self.shared.is_stopping() || self.has_work(handle);
        if timeout == Timeout::Zero || !self.shared.ready().fall_asleep(has_work) {
            return Ok(Timeout::Zero);
        }
        let Some(nearest) = self.shared.nearest_deadline() else { return Ok(timeout) };
        if self.shared.clock().is_manual() || self.shared.alarm().is_set_to(nearest) {
            return Ok(timeout);
        }
        // The clock was just read, to see that nothing is due.
        let now = self.shared.latest();
        let needed = self.shared.is_exported() || handle.registrations.host().is_some();
        if Alarm::PRECISE && (needed || !Alarm::OPTIONAL) {
            self.shared.alarm().set(Some(nearest), || now)?;
            return Ok(timeout);
        }
        Ok(timeout.at_most(duration(nearest.saturating_sub(now))))
    }

    /// Asks the kernel; after each interruption by a signal handler, asks again for the rest of the timeout.
    #[inline]
    fn ask_kernel(&mut self, timeout: Timeout) -> io::Result<()> {
        #[cfg(all(loom, test))]
        let timeout = self.shared.ready().wait_in_model(timeout.into()).into();
        if let Timeout::After(timeout) = timeout {
            return self.ask_kernel_for(timeout);
        }
        while is_interrupted(self.poller.wait(timeout))? {}
        Ok(())
    }

    #[inline(never)]
    fn ask_kernel_for(&mut self, timeout: Duration) -> io::Result<()> {
        let started = Instant::now();
        let mut left = timeout;
        while is_interrupted(self.poller.wait(Some(left).into()))? {
            left = timeout.saturating_sub(started.elapsed());
        }
        Ok(())
    }

    #[inline]
    fn collect_found(&mut self, handle: &mut LoopHandle<Data>) {
        let Self { poller, round, shared, counters, orphans, .. } = self;
        let registrations = &mut handle.registrations;
        poller.each(|data, readiness| match data {
            WAKER => {}
            ALARM => shared.alarm().fired(),
            _ => {
                let interest = InterestToken::from_bits(data);
                if registrations.admits(interest)
                    && !round.found(interest, readiness, registrations)
                {
                    counters.stale += 1;
                    if let Some(orphan) = orphans.iter_mut().find(|it| it.interest == interest) {
                        orphan.is_found = true;
                    }
                }
            }
        });
    }

    /// Empties the ready queue into the round.
    fn collect_woken(&mut self, handle: &mut LoopHandle<Data>) {
        self.shared.ready().take(&mut self.woken);
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

/// Whether a signal handler interrupted a wait.
#[inline]
fn is_interrupted(waited: io::Result<()>) -> io::Result<bool> {
    match waited {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
        waited => waited.map(|()| false),
    }
}
