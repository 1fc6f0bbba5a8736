//! What calloop does not say of its timers.
//!
//! A calloop loop keeps its timers in a wheel of its own. It sets its alarm, a timerfd in its epoll instance, to the
//! nearest of them when it begins a wait that may block, and turns it off in any other wait. So that the loop's fd
//! becomes readable in time, it is told to wait while a wake-up is pending: the alarm is set, and the wait returns.
//! Two things have to be known for that, and calloop's API answers neither:
//!
//! * whether a source has timers at all: [`any_beside`];
//! * whether the nearest deadline is the one that the alarm was set to: [`Nearest`].
//!
//! Both are read off the text that a registered [`Timer`] is printed as, which shows the wheel (as of calloop 0.14):
//! an entry is a `TimeoutData`, the first of them the nearest. A version of calloop that prints something else has no
//! `TimeoutData` in that text. Then every source is taken for one with timers, and an alarm is set twice: more
//! system calls, and the same timers. The tests of this file tell.

use std::fmt::{self, Write};
use std::time::{Duration, Instant};

use calloop::timer::Timer;
use calloop::{EventSource, Poll, TokenFactory};

/// What an entry of the wheel begins with, in a piece by itself.
const ENTRY: &str = "TimeoutData";

/// A timer that is not meant to fire.
pub(super) fn far() -> Timer {
    Timer::from_deadline(Instant::now() + FAR)
}

/// Ten years.
pub(super) const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Whether `poll` holds timers.
pub(super) fn any(poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<bool> {
    let mut probe = far();
    probe.register(poll, tokens)?;
    let any = any_beside(&probe);
    probe.unregister(poll)?;
    Ok(any)
}

/// Whether there are timers beside `probe`, which is registered; `true` if it can't be known.
fn any_beside(probe: &Timer) -> bool {
    struct Count(u32);

    impl Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += u32::from(text == ENTRY);
            if self.0 > 1 { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut entries = Count(0);
    // It fails when it has seen enough.
    let _ = write!(entries, "{probe:?}");
    entries.0 != 1
}

/// The nearest deadline of a wheel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Nearest {
    text: [u8; Self::ROOM],
    length: usize,
}

impl Nearest {
    /// An [`Instant`] and its name take 70 bytes.
    const ROOM: usize = 128;
    pub(super) const UNKNOWN: Self = Self { text: [0; Self::ROOM], length: 0 };

    /// That of the wheel in which `probe` is registered.
    pub(super) fn of(probe: &Timer) -> Self {
        let mut nearest = Self::UNKNOWN;
        // It fails when it has seen the deadline.
        let _ = write!(nearest, "{probe:?}");
        nearest
    }

    pub(super) fn is_known(&self) -> bool {
        self.length > 0
    }
}

/// It takes the text from the first entry on as far as the field behind the deadline.
impl Write for Nearest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !self.is_known() && text != ENTRY {
            return Ok(());
        }
        let room = &mut self.text[self.length..];
        if text == "token" || text.len() > room.len() {
            return Err(fmt::Error);
        }
        room[..text.len()].copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use calloop::EventLoop;
    use calloop::timer::TimeoutAction;

    use super::*;

    /// A registered timer, seen from outside.
    fn with_probe(
        then: impl FnOnce(&calloop::LoopHandle<'static, ()>, &dyn Fn() -> (bool, Nearest)),
    ) {
        let event_loop = EventLoop::<()>::try_new().unwrap();
        let handle = event_loop.handle();
        let probe =
            calloop::Dispatcher::new(far(), |_, _: &mut (), _: &mut ()| TimeoutAction::Drop);
        handle.register_dispatcher(probe.clone()).unwrap();
        then(&handle, &|| {
            (any_beside(&probe.as_source_ref()), Nearest::of(&probe.as_source_ref()))
        });
    }

    /// If this fails, calloop prints its timers in another way: nothing is lost but time.
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
            // What is not nearer changes nothing.
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
        // It is not registered, and so shows no wheel.
        assert!(any_beside(&far()));
        assert!(!Nearest::of(&far()).is_known());
    }
}
