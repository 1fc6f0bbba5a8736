//! The loops that are written in C, through the tables of `shim.c`.
//!
//! They have no channels: a vector behind a lock with the loop's own wake-up. Bytes for each timer are
//! those of glibc's allocator, its overhead included, since it is not ours.

use std::ffi::c_void;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;

use super::{Bulk, Fds, Mailbox, Measured, Meter, Peer};

type Callback = extern "C" fn(*mut c_void);

#[repr(C)]
struct Ops {
    open: extern "C" fn() -> *mut c_void,
    close: extern "C" fn(*mut c_void),
    turn: extern "C" fn(*mut c_void, i32),
    watch: extern "C" fn(*mut c_void, i32, i32, Callback, *mut c_void) -> *mut c_void,
    unwatch: extern "C" fn(*mut c_void),
    timer: extern "C" fn(*mut c_void, u64, Callback, *mut c_void) -> *mut c_void,
    rearm: extern "C" fn(*mut c_void, u64),
    cancel: extern "C" fn(*mut c_void),
    waker: extern "C" fn(*mut c_void, Callback, *mut c_void) -> *mut c_void,
    wake: extern "C" fn(*mut c_void),
    unwaker: extern "C" fn(*mut c_void),
    idle: extern "C" fn(*mut c_void, Callback, *mut c_void),
}

unsafe extern "C" {
    static ops_libuv: Ops;
    static ops_libevent: Ops;
    static ops_glib: Ops;
    static ops_sd_event: Ops;
    static ops_wl: Ops;
}

struct C {
    name: &'static str,
    ops: &'static Ops,
    /// Whether it has edge-triggered fds.
    edge: bool,
    /// Whether a timer that is re-armed for now fires once in the next dispatch: libuv would fire it for ever
    /// in the same one, and wl_event_loop knows no time less than a millisecond from now.
    now: bool,
    /// How many fds it can watch in good time: GLib hands all of them to poll(2) each time.
    fds: usize,
    /// How many can be ready at once in good time: a turn of sd-event calls back once, after it has asked the
    /// kernel for all that is ready.
    ready: usize,
}

pub fn all() -> Vec<Box<dyn Peer>> {
    let many = usize::MAX;
    let peer = |name, ops, edge, now, fds, ready| -> Box<dyn Peer> {
        Box::new(C { name, ops, edge, now, fds, ready })
    };
    // SAFETY: the tables are constant.
    unsafe {
        vec![
            peer("libuv", &ops_libuv, false, false, many, many),
            peer("libevent", &ops_libevent, true, true, many, many),
            peer("glib", &ops_glib, false, true, 1000, many),
            peer("sd-event", &ops_sd_event, true, true, many, 1000),
            peer("wl", &ops_wl, false, false, many, many),
        ]
    }
}

/// A loop; closed when dropped.
struct Loop {
    at: *mut c_void,
    ops: &'static Ops,
}

impl Loop {
    fn turn(&self, block: bool) {
        (self.ops.turn)(self.at, i32::from(block));
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        (self.ops.close)(self.at);
    }
}

/// Moved to another thread: a waker, which is made for that, or a loop that nobody else uses.
#[derive(Clone, Copy)]
struct Anywhere(*mut c_void);
// SAFETY: see above.
unsafe impl Send for Anywhere {}
// SAFETY: see above.
unsafe impl Sync for Anywhere {}

/// What callbacks work on. Behind a raw pointer: they come back out of a call that does not lend it.
#[derive(Default)]
struct State {
    sum: u64,
    count: u64,
}

/// The argument of a callback.
struct Argument {
    state: *mut State,
    n: u64,
    fd: Option<Arc<OwnedFd>>,
}

impl Argument {
    fn pointer(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}

/// Whom an argument of a callback belongs to.
///
/// # Safety
///
/// `at` is a valid `T` that nobody uses meanwhile, or uses only by such pointers.
unsafe fn lend<'a, T>(at: *mut c_void) -> &'a mut T {
    unsafe { &mut *at.cast::<T>() }
}

extern "C" fn on_read(at: *mut c_void) {
    // SAFETY: it is an `Argument` whose state outlives the loop.
    unsafe {
        let argument = lend::<Argument>(at);
        if let Some(fd) = &argument.fd {
            (*argument.state).sum += super::read(&**fd);
            (*argument.state).count += 1;
        }
    }
}

extern "C" fn on_number(at: *mut c_void) {
    // SAFETY: it is an `Argument` whose state outlives the loop.
    unsafe {
        let argument = lend::<Argument>(at);
        (*argument.state).sum += argument.n;
        (*argument.state).count += 1;
    }
}

extern "C" fn on_ping(at: *mut c_void) {
    // SAFETY: it is a `State`.
    unsafe { lend::<State>(at).sum += 1 };
}

fn new_state() -> *mut State {
    Box::into_raw(Box::default())
}

/// # Safety
///
/// It comes from `new_state`, and no callback will use it any more.
unsafe fn free_state(state: *mut State) {
    drop(unsafe { Box::from_raw(state) });
}

fn count(state: *mut State) -> u64 {
    // SAFETY: callers pass states that are alive, between dispatches.
    unsafe { (*state).count }
}

fn sum(state: *mut State) -> u64 {
    // SAFETY: as above.
    unsafe { (*state).sum }
}

/// Converts deadlines to nanoseconds of CLOCK_MONOTONIC.
fn converter() -> impl Fn(Instant) -> u64 {
    let base = Instant::now();
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it is written to, and lives as long as the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let at = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
    move |deadline| match deadline.checked_duration_since(base) {
        Some(after) => at + after.as_nanos() as u64,
        None => at - (base - deadline).as_nanos() as u64,
    }
}

/// Bytes in use, by the allocator's own account.
fn in_use() -> u64 {
    // SAFETY: has no preconditions.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

impl C {
    fn open(&self) -> Loop {
        Loop { at: (self.ops.open)(), ops: self.ops }
    }

    fn watch_all(
        &self,
        event_loop: &Loop,
        fds: &[Arc<OwnedFd>],
        edge: bool,
        callback: Callback,
        state: *mut State,
    ) -> (Vec<Argument>, Vec<*mut c_void>) {
        let arguments: Vec<_> =
            fds.iter().map(|fd| Argument { state, n: 1, fd: Some(Arc::clone(fd)) }).collect();
        let sources = fds
            .iter()
            .zip(&arguments)
            .map(|(fd, argument)| {
                let (fd, edge) = (fd.as_raw_fd(), i32::from(edge));
                (self.ops.watch)(event_loop.at, fd, edge, callback, argument.pointer())
            })
            .collect();
        (arguments, sources)
    }

    fn unwatch_all(&self, sources: Vec<*mut c_void>) {
        for source in sources {
            (self.ops.unwatch)(source);
        }
    }

    fn arguments(&self, state: *mut State, n: usize) -> Vec<Argument> {
        (0..n as u64).map(|n| Argument { state, n, fd: None }).collect()
    }
}

impl Peer for C {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_counted(&self) -> bool {
        false
    }

    fn level(&self, spec: Fds) -> Option<Measured> {
        if spec.watched > self.fds || spec.ready > self.ready {
            return None;
        }
        let event_loop = self.open();
        let state = new_state();
        let fds = spec.open();
        let (_arguments, sources) = self.watch_all(&event_loop, &fds, false, on_read, state);
        let written = spec.written(&fds);
        let turn = || {
            let until = count(state) + spec.ready as u64;
            for &(fd, value) in &written {
                super::write(fd, value);
            }
            while count(state) < until {
                event_loop.turn(true);
            }
        };
        turn();
        let meter = Meter::start();
        (0..spec.turns).for_each(|_| turn());
        let measured = meter.stop(sum(state) - spec.sum_per_turn());
        self.unwatch_all(sources);
        drop(event_loop);
        // SAFETY: the loop is gone.
        unsafe { free_state(state) };
        Some(measured)
    }

    fn edge(&self, spec: Fds) -> Option<Measured> {
        if !self.edge {
            return None;
        }
        let event_loop = self.open();
        let state = new_state();
        let fds = spec.open();
        let (_arguments, sources) = self.watch_all(&event_loop, &fds, true, on_number, state);
        let written = spec.written(&fds);
        let mut elapsed = Duration::ZERO;
        for _ in 0..spec.turns {
            let until = count(state) + spec.ready as u64;
            for &(fd, value) in &written {
                super::write(fd, value);
            }
            let meter = Meter::start();
            while count(state) < until {
                event_loop.turn(true);
            }
            elapsed += meter.stop(0).elapsed;
        }
        let measured = Measured { elapsed, allocations: 0, sum: sum(state) };
        self.unwatch_all(sources);
        drop(event_loop);
        // SAFETY: the loop is gone.
        unsafe { free_state(state) };
        Some(measured)
    }

    fn empty(&self, sources: usize, turns: usize) -> Option<Measured> {
        let event_loop = self.open();
        let state = new_state();
        let spec = Fds { watched: sources, ready: 1, turns };
        let fds = spec.open();
        let turns = if sources > 100 && self.fds < usize::MAX { turns / 20 } else { turns };
        let (_arguments, sources) = self.watch_all(&event_loop, &fds, false, on_read, state);
        let meter = Meter::start();
        for _ in 0..turns {
            event_loop.turn(false);
        }
        let mut measured = meter.stop(sum(state));
        measured.elapsed *= (spec.turns / turns) as u32;
        self.unwatch_all(sources);
        drop(event_loop);
        // SAFETY: the loop is gone.
        unsafe { free_state(state) };
        Some(measured)
    }

    fn channel(&self, messages: u64) -> Option<Measured> {
        struct Inbox {
            mailbox: Arc<Mailbox<u64>>,
            batch: Vec<u64>,
            state: State,
        }
        extern "C" fn on_wake(at: *mut c_void) {
            // SAFETY: it is the `Inbox` below.
            let inbox = unsafe { lend::<Inbox>(at) };
            inbox.mailbox.take(&mut inbox.batch);
            for message in inbox.batch.drain(..) {
                inbox.state.sum += message;
                inbox.state.count += 1;
            }
        }
        let event_loop = self.open();
        let mailbox = Mailbox::new();
        let inbox = Box::into_raw(Box::new(Inbox {
            mailbox: Arc::clone(&mailbox),
            batch: Vec::new(),
            state: State::default(),
        }));
        let waker = (self.ops.waker)(event_loop.at, on_wake, inbox.cast());
        let wake = self.ops.wake;
        let send = move |(mailbox, waker): &(Arc<Mailbox<u64>>, Anywhere), n| {
            if mailbox.push(n) {
                wake(waker.0);
            }
        };
        let measured = super::with_sender(messages, (mailbox, Anywhere(waker)), send, || {
            // SAFETY: it is alive.
            let state = unsafe { &raw mut (*inbox).state };
            while count(state) < messages {
                event_loop.turn(true);
            }
            sum(state)
        });
        (self.ops.unwaker)(waker);
        drop(event_loop);
        // SAFETY: the loop is gone.
        drop(unsafe { Box::from_raw(inbox) });
        Some(measured)
    }

    fn ping_pong(&self, trips: u64) -> Option<Measured> {
        struct Side {
            answer: *mut c_void,
            wake: extern "C" fn(*mut c_void),
            answers: u64,
            count: u64,
        }
        extern "C" fn on_wake(at: *mut c_void) {
            // SAFETY: it is one of the sides below.
            let side = unsafe { lend::<Side>(at) };
            side.count += 1;
            if side.count <= side.answers {
                (side.wake)(side.answer);
            }
        }
        let side = |answers| {
            Box::into_raw(Box::new(Side {
                answer: std::ptr::null_mut(),
                wake: self.ops.wake,
                answers,
                count: 0,
            }))
        };
        let (first, second) = (self.open(), self.open());
        let sides = [side(trips - 1), side(trips)];
        let wakers = [
            (self.ops.waker)(first.at, on_wake, sides[0].cast()),
            (self.ops.waker)(second.at, on_wake, sides[1].cast()),
        ];
        // SAFETY: no loop runs yet.
        unsafe {
            (*sides[0]).answer = wakers[1];
            (*sides[1]).answer = wakers[0];
        }
        let run =
            |event_loop: Anywhere, side: Anywhere, start: Option<Anywhere>, ready: &dyn Fn()| {
                ready();
                if let Some(waker) = start {
                    (self.ops.wake)(waker.0);
                }
                // SAFETY: between dispatches nobody else uses it.
                unsafe {
                    while lend::<Side>(side.0).count < trips {
                        (self.ops.turn)(event_loop.0, 1);
                    }
                    lend::<Side>(side.0).count
                }
            };
        let run = &run;
        let loops = [Anywhere(first.at), Anywhere(second.at)];
        let at = [Anywhere(sides[0].cast()), Anywhere(sides[1].cast())];
        let start = Anywhere(wakers[1]);
        let measured = super::on_one_cpu(
            move |ready| run(loops[0], at[0], Some(start), ready),
            move |ready| {
                run(loops[1], at[1], None, ready);
            },
        );
        for waker in wakers {
            (self.ops.unwaker)(waker);
        }
        drop((first, second));
        for side in sides {
            // SAFETY: the loops are gone.
            drop(unsafe { Box::from_raw(side) });
        }
        Some(measured)
    }

    fn ping_burst(&self, pings: usize, turns: usize) -> Option<Measured> {
        let event_loop = self.open();
        let state = new_state();
        let waker = (self.ops.waker)(event_loop.at, on_ping, state.cast());
        let meter = Meter::start();
        for turn in 1..=turns as u64 {
            for _ in 0..pings {
                (self.ops.wake)(waker);
            }
            while sum(state) < turn {
                event_loop.turn(true);
            }
        }
        let measured = meter.stop(sum(state));
        (self.ops.unwaker)(waker);
        drop(event_loop);
        // SAFETY: the loop is gone.
        unsafe { free_state(state) };
        Some(measured)
    }

    fn ping_self(&self, turns: usize) -> Option<Measured> {
        self.ping_burst(1, turns)
    }

    fn timers(&self, deadlines: &[Instant]) -> Option<Bulk> {
        let event_loop = self.open();
        let state = new_state();
        let arguments = self.arguments(state, deadlines.len());
        let at = converter();
        let mut timers = Vec::with_capacity(deadlines.len());
        let before = in_use();
        let meter = Meter::start();
        for (&deadline, argument) in deadlines.iter().zip(&arguments) {
            let argument = argument.pointer();
            timers.push((self.ops.timer)(event_loop.at, at(deadline), on_number, argument));
        }
        let insert = meter.stop(0).elapsed;
        let bytes = in_use().saturating_sub(before);
        let meter = Meter::start();
        let mut cancelled = 0;
        for timer in timers {
            (self.ops.cancel)(timer);
            cancelled += 1;
        }
        // libuv frees what was closed in its next turn.
        event_loop.turn(false);
        let remove = meter.stop(0).elapsed;
        assert_eq!(count(state), 0);
        drop(event_loop);
        // SAFETY: the loop is gone.
        unsafe { free_state(state) };
        Some(Bulk { insert, remove, bytes, sum: cancelled })
    }

    fn fire(&self, batches: &[Vec<Instant>]) -> Option<Measured> {
        let event_loop = self.open();
        let state = new_state();
        let mut last = None;
        for deadlines in batches {
            let arguments = self.arguments(state, deadlines.len());
            let at = converter();
            let timers: Vec<_> = deadlines
                .iter()
                .zip(&arguments)
                .map(|(&deadline, argument)| {
                    (self.ops.timer)(event_loop.at, at(deadline), on_number, argument.pointer())
                })
                .collect();
            super::sleep_past(deadlines);
            let until = count(state) + deadlines.len() as u64;
            let before = sum(state);
            let meter = Meter::start();
            while count(state) < until {
                event_loop.turn(true);
            }
            last = Some(meter.stop(sum(state) - before));
            timers.into_iter().for_each(|timer| (self.ops.cancel)(timer));
        }
        drop(event_loop);
        // SAFETY: the loop is gone.
        unsafe { free_state(state) };
        last
    }

    fn rearm(&self, others: usize, times: usize) -> Option<Measured> {
        let event_loop = self.open();
        let state = new_state();
        let arguments = self.arguments(state, others + 1);
        let at = converter();
        let far: Vec<_> = super::far_deadlines().into_iter().map(at).collect();
        let timers: Vec<_> = far
            .iter()
            .cycle()
            .zip(&arguments)
            .map(|(&at, argument)| {
                (self.ops.timer)(event_loop.at, at, on_number, argument.pointer())
            })
            .collect();
        let timer = timers[others];
        let meter = Meter::start();
        let mut sum = 0;
        for &at in far.iter().cycle().take(times) {
            (self.ops.rearm)(timer, at);
            sum += 1;
        }
        let measured = meter.stop(sum);
        timers.into_iter().for_each(|timer| (self.ops.cancel)(timer));
        drop(event_loop);
        // SAFETY: the loop is gone.
        unsafe { free_state(state) };
        Some(measured)
    }

    fn lateness(&self, period: Duration, ticks: usize) -> Option<Vec<i64>> {
        struct Ticks {
            timer: *mut c_void,
            rearm: extern "C" fn(*mut c_void, u64),
            deadline: Instant,
            at: u64,
            period: Duration,
            late: Vec<i64>,
        }
        extern "C" fn on_tick(at: *mut c_void) {
            // SAFETY: it is the one below.
            let ticks = unsafe { lend::<Ticks>(at) };
            ticks.late.push(super::lateness(ticks.deadline));
            ticks.deadline += ticks.period;
            ticks.at += ticks.period.as_nanos() as u64;
            (ticks.rearm)(ticks.timer, ticks.at);
        }
        if period < Duration::from_millis(1) && !self.now {
            return None; // Whole milliseconds only.
        }
        let event_loop = self.open();
        let deadline = Instant::now() + period;
        let at = converter()(deadline);
        let state = Box::into_raw(Box::new(Ticks {
            timer: std::ptr::null_mut(),
            rearm: self.ops.rearm,
            deadline,
            at,
            period,
            late: Vec::with_capacity(ticks + 1),
        }));
        let timer = (self.ops.timer)(event_loop.at, at, on_tick, state.cast());
        // SAFETY: between dispatches nobody else uses it; afterwards the loop is gone.
        unsafe {
            (*state).timer = timer;
            while lend::<Ticks>(state.cast()).late.len() < ticks {
                event_loop.turn(true);
            }
            (self.ops.cancel)(timer);
            drop(event_loop);
            Some(Box::from_raw(state).late)
        }
    }

    fn self_rearm(&self, times: usize) -> Option<Measured> {
        struct Again {
            timer: *mut c_void,
            rearm: extern "C" fn(*mut c_void, u64),
            count: u64,
        }
        extern "C" fn on_time(at: *mut c_void) {
            // SAFETY: it is the one below.
            let again = unsafe { lend::<Again>(at) };
            again.count += 1;
            (again.rearm)(again.timer, 0);
        }
        if !self.now {
            return None;
        }
        let event_loop = self.open();
        let state = Box::into_raw(Box::new(Again {
            timer: std::ptr::null_mut(),
            rearm: self.ops.rearm,
            count: 0,
        }));
        // SAFETY: between dispatches nobody else uses it; afterwards the loop is gone.
        unsafe {
            let timer = (self.ops.timer)(event_loop.at, 0, on_time, state.cast());
            (*state).timer = timer;
            while lend::<Again>(state.cast()).count == 0 {
                event_loop.turn(true);
            }
            let before = (*state).count;
            let meter = Meter::start();
            for _ in 0..times {
                event_loop.turn(true);
            }
            let measured = meter.stop((*state).count - before);
            (self.ops.cancel)(timer);
            drop(event_loop);
            drop(Box::from_raw(state));
            Some(measured)
        }
    }

    fn idle_chain(&self, length: usize) -> Option<Measured> {
        struct Chain {
            at: *mut c_void,
            idle: extern "C" fn(*mut c_void, Callback, *mut c_void),
            count: u64,
            length: u64,
        }
        extern "C" fn next(at: *mut c_void) {
            // SAFETY: it is the one below.
            let chain = unsafe { lend::<Chain>(at) };
            chain.count += 1;
            if chain.count < chain.length {
                (chain.idle)(chain.at, next, at);
            }
        }
        let event_loop = self.open();
        let state = Box::into_raw(Box::new(Chain {
            at: event_loop.at,
            idle: self.ops.idle,
            count: 0,
            length: length as u64,
        }));
        let meter = Meter::start();
        (self.ops.idle)(event_loop.at, next, state.cast());
        // SAFETY: between dispatches nobody else uses it; afterwards the loop is gone.
        unsafe {
            while lend::<Chain>(state.cast()).count < length as u64 {
                event_loop.turn(false);
            }
            let measured = meter.stop((*state).count);
            drop(event_loop);
            drop(Box::from_raw(state));
            Some(measured)
        }
    }

    fn idle_batch(&self, idles: usize, turns: usize) -> Option<Measured> {
        let event_loop = self.open();
        let state = new_state();
        let arguments = self.arguments(state, idles);
        let meter = Meter::start();
        for _ in 0..turns {
            let until = count(state) + idles as u64;
            for argument in &arguments {
                (self.ops.idle)(event_loop.at, on_number, argument.pointer());
            }
            while count(state) < until {
                event_loop.turn(false);
            }
        }
        let measured = meter.stop(sum(state));
        drop(event_loop);
        // SAFETY: the loop is gone.
        unsafe { free_state(state) };
        Some(measured)
    }

    fn fd_churn(&self, others: usize, times: usize) -> Option<Measured> {
        if others > self.fds {
            return None;
        }
        let event_loop = self.open();
        let state = new_state();
        let spec = Fds { watched: others + 1, ready: 1, turns: 0 };
        let fds = spec.open();
        let (fd, others) = fds.split_last()?;
        let (_arguments, sources) = self.watch_all(&event_loop, others, false, on_read, state);
        let argument = Argument { state, n: 0, fd: Some(Arc::clone(fd)) };
        let meter = Meter::start();
        for n in 1..=times {
            let raw = fd.as_raw_fd();
            let source = (self.ops.watch)(event_loop.at, raw, 0, on_read, argument.pointer());
            (self.ops.unwatch)(source);
            // libuv frees what was closed in its next turn, and wl_event_loop what was removed.
            if n % 64 == 0 {
                event_loop.turn(false);
            }
        }
        let measured = meter.stop(times as u64);
        self.unwatch_all(sources);
        drop(event_loop);
        // SAFETY: the loop is gone.
        unsafe { free_state(state) };
        Some(measured)
    }

    fn channel_churn(&self, times: usize) -> Option<Measured> {
        let event_loop = self.open();
        let state = new_state();
        let meter = Meter::start();
        for n in 1..=times {
            let mailbox: Arc<Mailbox<u64>> = Mailbox::new();
            let waker = (self.ops.waker)(event_loop.at, on_ping, state.cast());
            (self.ops.unwaker)(waker);
            drop(mailbox);
            if n % 64 == 0 {
                event_loop.turn(false);
            }
        }
        let measured = meter.stop(times as u64);
        drop(event_loop);
        // SAFETY: the loop is gone.
        unsafe { free_state(state) };
        Some(measured)
    }
}
