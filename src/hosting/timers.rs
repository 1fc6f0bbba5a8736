//! Finds out what calloop does not say about its timers.
//!
//! A calloop loop keeps its timers in a wheel of its own. When it begins a wait that may block, it sets its alarm, a
//! timerfd in its epoll instance, to the nearest of them; in any other wait it turns the alarm off. So that the loop's
//! fd becomes readable in time, it is asked to wait while a wake-up is pending: it sets the alarm, and the wait
//! returns. That takes two facts, and calloop's API gives neither:
//!
//! * whether a source has timers at all: [`any_beside`];
//! * whether the nearest deadline is the one that the alarm was set to: [`Nearest`].
//!
//! Both come from the text that a registered [`Timer`] prints with `Debug`, which shows the wheel (as of calloop 0.14):
//! each entry is a `TimeoutData`, the nearest one first. If another version of calloop prints no `TimeoutData`, every
//! source counts as one with timers, and each alarm is set twice: more system calls, the same timers. The tests of this
//! file detect that.

use std::fmt::{self, Write};
use std::time::Duration;

use calloop::timer::Timer;
use calloop::{EventSource, Poll, TokenFactory};

/// The start of an entry of the wheel, which is written as a piece by itself.
const ENTRY: &str = "TimeoutData";

/// A timer that is not meant to fire: it is due in ten years.
pub(super) fn far() -> Timer {
    Timer::from_duration(Duration::from_secs(10 * 365 * 24 * 3600))
}

/// Whether `poll` holds timers.
pub(super) fn any(poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<bool> {
    let mut probe = far();
    probe.register(poll, tokens)?;
    let any = any_beside(&probe);
    probe.unregister(poll)?;
    Ok(any)
}

/// Whether the wheel holds timers other than `probe`, which is registered; `true` if that can't be known.
fn any_beside(probe: &Timer) -> bool {
    format!("{probe:?}").matches(ENTRY).count() != 1
}

/// The nearest deadline of a wheel, as text; none if it is not known.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Nearest(String);

impl Nearest {
    /// Reads the nearest deadline of the wheel in which `probe` is registered.
    pub(super) fn read(&mut self, probe: &Timer) {
        self.0.clear();
        // The writer fails the formatting once it has the deadline.
        let _ = write!(self, "{probe:?}");
    }

    pub(super) fn is_known(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Keeps the text from the first entry on, up to the field after the deadline.
impl Write for Nearest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !self.is_known() && text != ENTRY {
            return Ok(());
        }
        if text == "token" {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use calloop::EventLoop;
    use calloop::timer::TimeoutAction;

    use super::*;

    fn nearest(probe: &Timer) -> Nearest {
        let mut nearest = Nearest::default();
        nearest.read(probe);
        nearest
    }

    /// Runs `f` with a registered timer, seen from outside.
    fn with_probe(
        then: impl FnOnce(&calloop::LoopHandle<'static, ()>, &dyn Fn() -> (bool, Nearest)),
    ) {
        let event_loop = EventLoop::<()>::try_new().unwrap();
        let handle = event_loop.handle();
        let probe =
            calloop::Dispatcher::new(far(), |_, _: &mut (), _: &mut ()| TimeoutAction::Drop);
        handle.register_dispatcher(probe.clone()).unwrap();
        then(&handle, &|| (any_beside(&probe.as_source_ref()), nearest(&probe.as_source_ref())));
    }

    /// If this fails, calloop prints its timers in another way: hosting is slower, and nothing is lost.
    #[test]
    fn calloop_shows_its_timers() {
        with_probe(|handle, look| {
            let (any, alone) = look();
            assert!(!any && alone.is_known());
            assert!(look().1 == alone);

            let after = |seconds| Timer::from_duration(Duration::from_secs(seconds));
            let near = handle.insert_source(after(9), |_, _, _| TimeoutAction::Drop).unwrap();
            let (any, nine) = look();
            assert!(any && nine.is_known() && nine != alone);
            // A timer that is not nearer changes nothing.
            handle.insert_source(after(90), |_, _, _| TimeoutAction::Drop).unwrap();
            assert!(look().1 == nine);
            let nearer = handle.insert_source(after(1), |_, _, _| TimeoutAction::Drop).unwrap();
            assert!(look().1 != nine);
            handle.remove(nearer);
            assert!(look().1 == nine);
            // The same deadline, another entry.
            handle.update(&near).unwrap();
            assert!(look().1 == nine);
            handle.remove(near);
            assert!(look().1 != nine);
        });
    }

    #[test]
    fn of_what_prints_no_entries_all_is_taken_to_have_timers() {
        // An unregistered timer shows no wheel.
        assert!(any_beside(&far()));
        assert!(!nearest(&far()).is_known());
    }
}
