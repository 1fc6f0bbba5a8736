//! Unix signals: the source [`Signals`], and its event.
//!
//! `signal-hook` owns the process's handlers. Each listener adds an action that does only what a signal handler may: it
//! records the signal, then writes a byte to a socket that the loop watches. No signal is blocked, so child processes
//! inherit a clean mask. A signal that the program itself has blocked never runs a handler; unblocking it takes unsafe
//! code, so such a signal is refused.
//!
//! A handler stays installed, so the default disposition is emulated: the first listener of a signal adds an action
//! that runs the default whenever no source in the process listens.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use signal_hook::consts::FORBIDDEN;
use signal_hook::low_level::signal_name;

/// The numbers of signals, `SIGTERM` among them: those of `signal-hook`.
pub use signal_hook::consts;

use super::generic::Generic;
use crate::{EventSource, Interest, InterestToken, Mode, PostAction, Readiness, Registrar};

/// The event of [`Signals`]: a signal that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Signal {
    /// Its number, such as `SIGTERM`, 15.
    pub number: i32,
    /// Who sent it. `Some` only with feature `signal-origin`, and if the system knows a sender: signals of the kernel
    /// have none.
    pub sender: Option<SignalSender>,
}

impl Signal {
    /// Its name, such as `"SIGTERM"`; `None` for real-time signals.
    pub fn name(&self) -> Option<&'static str> {
        signal_name(self.number)
    }
}

/// The process that sent a signal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct SignalSender {
    /// Its process id.
    pub pid: u32,
    /// Its real user id.
    pub uid: u32,
}

/// Delivers Unix signals.
///
/// Sources are independent: several, in one loop or many, may listen to the same signal, and each of them receives
/// it. A source listens from its creation until it is dropped, whether it is inserted and enabled or not; signals of
/// the time between are delivered once it is. As with every signal handler, several signals of one number that come
/// before the callback runs may be one event; none is lost altogether.
///
/// Add and remove signals with [`LoopHandle::visit`](crate::LoopHandle::visit); that needs no re-registration.
///
/// # Limits
///
/// Each source takes two fds, from `socketpair(2)`, and at least one more for each of its signals.
///
/// `SIGKILL` and `SIGSTOP` can't be caught, and `SIGSEGV`, `SIGILL`, `SIGFPE` must not be: listening to them is an
/// error. When the last `Signals` of the process for a signal is gone, the signal's default disposition applies
/// again, even if another user of `signal-hook` in the process listens to it. (Real-time signals are ignored then.)
/// As after `sigaction(2)`, this also concerns a signal that was sent before and that another thread has only begun
/// to handle.
///
/// A blocked signal does not arrive. calloop's `Signals` blocks the signals it listens to, and programs on calloop
/// block them early for all their threads; here neither is needed. On Linux, a signal that every thread of the
/// process blocks is refused, with [`io::ErrorKind::InvalidInput`], when the source is inserted or enabled and when
/// the signal is added to an inserted source. A signal that is blocked later, or where `/proc` is not mounted, is not
/// noticed.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use soloop::signals::consts::SIGUSR1;
/// use soloop::{EventLoop, Signals};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle };
/// state.handle.insert_source(Signals::new([SIGUSR1])?, |signal, state| {
///     assert_eq!(signal.name(), Some("SIGUSR1"));
///     state.handle.stop();
/// })?;
/// let me = std::process::id().to_string();
/// std::process::Command::new("kill").args(["-USR1", &me]).status()?;
/// event_loop.run(None, &mut state, |_| ())?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
pub struct Signals {
    listeners: BTreeMap<i32, SignalListener>,
    /// Readable when a signal may have come.
    wake: Generic<UnixStream>,
    /// The handlers write here; each listener has a duplicate.
    waker: UnixStream,
}

impl Signals {
    /// Makes a source that listens to `signals`, given as numbers; [`consts`] names them.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a number that names no signal, or a signal that can't be caught; otherwise
    /// the error of `socketpair(2)` or `sigaction(2)`.
    pub fn new<I>(signals: I) -> io::Result<Self>
    where
        I: IntoIterator<Item: Borrow<i32>>,
    {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let wake = Generic::new(wake, Interest::READ, Mode::Level);
        let mut source = Self { listeners: BTreeMap::new(), wake, waker };
        source.add_signals(signals)?;
        Ok(source)
    }

    /// Listens to `signals` as well.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`io::ErrorKind::InvalidInput`] for a blocked signal if the source is inserted and
    /// enabled. On an error the set is unchanged.
    pub fn add_signals<I>(&mut self, signals: I) -> io::Result<()>
    where
        I: IntoIterator<Item: Borrow<i32>>,
    {
        let mut added = BTreeMap::new();
        for number in signals {
            let number = *number.borrow();
            if !self.listeners.contains_key(&number) && !added.contains_key(&number) {
                added.insert(number, SignalListener::new(number, &self.waker)?);
            }
        }
        if self.wake.watch.token().is_some() {
            blocked::refuse(added.keys())?;
        }
        self.listeners.extend(added);
        Ok(())
    }

    /// Stops listening to `signals`, and forgets those that were not delivered yet.
    ///
    /// # Errors
    ///
    /// None at present. (As in calloop, it returns a `Result`.)
    pub fn remove_signals<I>(&mut self, signals: I) -> io::Result<()>
    where
        I: IntoIterator<Item: Borrow<i32>>,
    {
        for number in signals {
            self.listeners.remove(number.borrow());
        }
        Ok(())
    }

    /// Listens to `signals` and no others. A signal that is in the old and the new set is not lost.
    ///
    /// # Errors
    ///
    /// As [`add_signals`](Self::add_signals). On an error the set is unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use soloop::Signals;
    /// use soloop::signals::consts::{SIGHUP, SIGTERM, SIGUSR1};
    ///
    /// let mut signals = Signals::new([SIGTERM])?;
    /// signals.add_signals([SIGHUP])?;
    /// signals.set_signals([SIGHUP, SIGUSR1])?; // no longer SIGTERM
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_signals<I>(&mut self, signals: I) -> io::Result<()>
    where
        I: IntoIterator<Item: Borrow<i32>>,
    {
        let signals: Vec<i32> = signals.into_iter().map(|number| *number.borrow()).collect();
        self.add_signals(&signals)?;
        self.listeners.retain(|number, _| signals.contains(number));
        Ok(())
    }
}

impl EventSource for Signals {
    type Event<'a> = Signal;
    type Ret = ();
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        blocked::refuse(self.listeners.keys())?;
        self.wake.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.wake.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.wake.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(Signal),
    {
        if !self.wake.watch.is(token) {
            return Ok(PostAction::Continue);
        }
        // Read the socket first: a signal that comes after this makes it readable again.
        let mut bytes = [0; 64];
        while matches!(self.wake.get_mut().read(&mut bytes), Ok(1..)) {}
        match self.listeners.values_mut().find_map(SignalListener::take) {
            Some(signal) => {
                // There may be other signals. Write before the callback, which may panic or disable the source. A full
                // socket is readable already.
                let _ = (&self.waker).write(&[0]);
                callback(signal);
                Ok(PostAction::Again)
            }
            None => Ok(PostAction::Continue),
        }
    }
}

/// One source's subscription to one signal.
#[derive(Debug)]
struct SignalListener {
    /// Dropped first: no handler acts for this source when the default disposition is back.
    arrivals: arrivals::Arrivals,
    number: Listened,
}

impl SignalListener {
    fn new(number: i32, waker: &UnixStream) -> io::Result<Self> {
        if FORBIDDEN.contains(&number) {
            return Err(refused(format!("{} can't be listened to", described(number))));
        }
        // Realtime signals end at 64 on Linux, and no system has more than 128 signals.
        if !(1..=128).contains(&number) {
            return Err(refused(format!("{number} is not the number of a signal")));
        }
        let number = Listened::to(number)?;
        Ok(Self { arrivals: arrivals::Arrivals::new(number.0, waker)?, number })
    }

    fn take(&mut self) -> Option<Signal> {
        self.arrivals.take(self.number.0)
    }
}

/// Without the origin: one flag per signal.
#[cfg(not(feature = "signal-origin"))]
mod arrivals {
    use super::*;
    use signal_hook::SigId;

    #[derive(Debug)]
    pub(super) struct Arrivals {
        arrived: Arc<AtomicBool>,
        actions: Vec<SigId>,
    }

    impl Arrivals {
        pub(super) fn new(number: i32, waker: &UnixStream) -> io::Result<Self> {
            let mut arrivals = Self { arrived: Arc::default(), actions: Vec::new() };
            let waker = waker.try_clone()?;
            // In this order, so that the flag is set when the socket becomes readable.
            let flag = Arc::clone(&arrivals.arrived);
            arrivals.actions.push(signal_hook::flag::register(number, flag)?);
            arrivals.actions.push(signal_hook::low_level::pipe::register(number, waker)?);
            Ok(arrivals)
        }

        pub(super) fn take(&mut self, number: i32) -> Option<Signal> {
            let arrived = self.arrived.swap(false, Ordering::SeqCst);
            arrived.then_some(Signal { number, sender: None })
        }
    }

    impl Drop for Arrivals {
        fn drop(&mut self) {
            for action in self.actions.drain(..) {
                signal_hook::low_level::unregister(action);
            }
        }
    }
}

/// With the origin: a queue of `signal-hook` holds what the handler received.
#[cfg(feature = "signal-origin")]
mod arrivals {
    use super::*;
    use signal_hook::iterator::backend::SignalDelivery;
    use signal_hook::iterator::exfiltrator::WithOrigin;
    use std::collections::VecDeque;

    #[derive(Debug)]
    pub(super) struct Arrivals {
        delivery: SignalDelivery<UnixStream, WithOrigin>,
        arrived: VecDeque<Option<SignalSender>>,
    }

    impl Arrivals {
        pub(super) fn new(number: i32, waker: &UnixStream) -> io::Result<Self> {
            // `signal-hook` drains the end that it reads from on every call. The source's own end also announces other
            // signals, which may come between two calls: `signal-hook` gets an end without any data.
            let (empty, waker) = (waker.try_clone()?, waker.try_clone()?);
            let origin = WithOrigin::default();
            let delivery = SignalDelivery::with_pipe(empty, waker, origin, [number])?;
            Ok(Self { delivery, arrived: VecDeque::new() })
        }

        pub(super) fn take(&mut self, number: i32) -> Option<Signal> {
            if self.arrived.is_empty() {
                self.arrived.extend(self.delivery.pending().map(|origin| {
                    origin.process.map(|process| SignalSender {
                        pid: process.pid.unsigned_abs(),
                        uid: process.uid,
                    })
                }));
            }
            self.arrived.pop_front().map(|sender| Signal { number, sender })
        }
    }

    impl Drop for Arrivals {
        fn drop(&mut self) {
            self.delivery.handle().close();
        }
    }
}

/// Detects signals that every thread blocks, so that no handler can run.
mod blocked {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// How often the other threads are checked: libc blocks all signals of a thread for a moment while it starts
    /// another.
    const LOOKS: u32 = 3;

    /// Returns an error that names those of `signals` that every thread of the process blocks, if any. Without Linux's
    /// `/proc`, no signal counts as blocked.
    pub(super) fn refuse<'a>(signals: impl Iterator<Item = &'a i32>) -> io::Result<()> {
        let mask = signals.fold(0, |mask, &number| mask | bit(number));
        // In a program that blocks nothing, checking the current thread is enough.
        let here = mask & of_thread(Path::new("/proc/thread-self")).unwrap_or(0);
        let blocked = (0..LOOKS).fold(here, |blocked, _| of_process(blocked));
        if blocked == 0 { Ok(()) } else { Err(error(blocked)) }
    }

    /// `number` is at least 1.
    fn bit(number: i32) -> u64 {
        1_u64.checked_shl(number as u32 - 1).unwrap_or(0)
    }

    /// The signals in `mask` that all threads block.
    fn of_process(mask: u64) -> u64 {
        if mask == 0 {
            return 0;
        }
        let Ok(threads) = fs::read_dir("/proc/self/task") else { return 0 };
        let masks = threads.flatten().map(|thread| of_thread(&thread.path()));
        // A thread that has ended meanwhile does not count.
        masks.flatten().fold(mask, |mask, of_thread| mask & of_thread)
    }

    fn of_thread(thread: &Path) -> Option<u64> {
        let status = fs::read_to_string(thread.join("status")).ok()?;
        // `SigBlk` of `proc_pid_status(5)`: a mask in hexadecimal digits.
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    }

    fn error(mask: u64) -> io::Error {
        let names: Vec<_> =
            (1..=64).filter(|&number| mask & bit(number) != 0).map(described).collect();
        let (names, are) = (names.join(", "), if names.len() > 1 { "are" } else { "is" });
        refused(format!(
            "{names} {are} blocked in every thread of this process and would never arrive: unblock with \
             pthread_sigmask(3) first, or do not block at all, since `Signals` needs no blocked signals"
        ))
    }
}

fn refused(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// The name and the number of a signal.
fn described(number: i32) -> String {
    format!("{} ({number})", signal_name(number).unwrap_or("signal"))
}

/// All signals that any source in this process ever listened to.
static LISTENED: Mutex<BTreeMap<i32, Disposition>> = Mutex::new(BTreeMap::new());

struct Disposition {
    listeners: usize,
    /// Read by the handler. Nobody listens: run the default.
    default: Arc<AtomicBool>,
}

fn listened() -> MutexGuard<'static, BTreeMap<i32, Disposition>> {
    LISTENED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of a signal that counts as listened to.
#[derive(Debug)]
struct Listened(i32);

impl Listened {
    fn to(number: i32) -> io::Result<Self> {
        use std::collections::btree_map::Entry;

        let mut listened = listened();
        let disposition = match listened.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let default = Arc::new(AtomicBool::new(false));
                // A signal without a name has no known default.
                if signal_name(number).is_some() {
                    signal_hook::flag::register_conditional_default(number, Arc::clone(&default))?;
                }
                entry.insert(Disposition { listeners: 0, default })
            }
        };
        disposition.listeners += 1;
        disposition.default.store(false, Ordering::SeqCst);
        Ok(Self(number))
    }
}

impl Drop for Listened {
    fn drop(&mut self) {
        if let Some(disposition) = listened().get_mut(&self.0) {
            disposition.listeners -= 1;
            disposition.default.store(disposition.listeners == 0, Ordering::SeqCst);
        }
    }
}

// With the origin, `Signals` holds trait objects of `signal-hook` that declare nothing about panics. They run no user
// code, and a feature must not remove an impl.
impl std::panic::UnwindSafe for Signals {}
impl std::panic::RefUnwindSafe for Signals {}

pub use SignalSender as Sender;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_at_one_signal_does_not_hush_the_others() {
        // Its default action is to be ignored.
        let urgent = signal_hook::consts::SIGURG;
        let mut signals = Signals::new([urgent, signal_hook::consts::SIGWINCH]).unwrap();
        signal_hook::low_level::raise(urgent).unwrap();
        // As if the signal had come after the check of its own listener: the listener has none.
        let other = signals.listeners.get_mut(&signal_hook::consts::SIGWINCH).unwrap();
        assert_eq!(other.take(), None);
        assert!(signals.wake.get_mut().read(&mut [0]).is_ok(), "the loop is told");
    }
}
