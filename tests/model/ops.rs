//! The language of the model: what a program may do to a loop, from outside and from within its callbacks.

/// What a program is made of. An op is executed at most once, so that every program ends.
#[derive(Clone, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub enum Op {
    Insert(Kind, Options, Vec<Step>),
    Remove(Pick),
    /// Its closure drops the source, then does the ops.
    Take(Pick, Body),
    Visit(Pick, Body),
    /// Moves a timer to so many milliseconds from now, gives an interval that period, an fd another mode.
    Update(Pick, u8),
    Enable(Pick),
    Disable(Pick),
    Idle(Body),
    CancelIdle(Pick),
    /// Writes to an fd, pings, sends, schedules, notifies.
    Poke(Pick),
    /// Closes the other end of an fd, drops the sender.
    HangUp(Pick),
    Post(Body),
    RemoteRemove(Pick),
    Wakeup,
    Policy(Policy),
    /// Moves the clock by so many milliseconds.
    Advance(u8),
    /// With a timeout of so many milliseconds. Nothing inside a callback, which can't reach the loop.
    Dispatch(u8),
}

/// One of the sources (or idles) inserted so far, counted from the last one; it may be gone.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub struct Pick(pub u8);

impl Pick {
    pub fn of(self, count: usize) -> Option<usize> {
        (count > 0).then(|| count - 1 - usize::from(self.0) % count.min(8))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub enum Kind {
    /// Due after so many milliseconds.
    Timer(u8),
    /// A timer in a `TransientSource`, which stays when the timer goes.
    Part(u8),
    /// With a period of so many milliseconds.
    Interval(u8),
    Ping,
    Channel,
    /// With a bound of `BOUND`.
    SyncChannel,
    Level,
    Edge,
    OneShot,
    /// The same as a `MioSource`, where the loop emulates the mode.
    MioLevel,
    MioEdge,
    MioOneShot,
    /// Of futures that are ready at once.
    Executor,
    /// A source of the tests' own, on a notifier.
    Bell,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub struct Options {
    /// Low, normal, high.
    pub priority: u8,
    /// 0: the default.
    pub budget: u8,
    /// `insert_once` (and no other option).
    pub once: bool,
}

/// What a callback does when it is called for the first, the second… time. After the last one it drains
/// its fd and goes on, but for a hang-up, at which it removes itself.
#[derive(Clone, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub struct Step {
    /// Whether to read what its fd has.
    pub read: bool,
    pub ops: Vec<Op>,
    pub end: End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub enum End {
    /// A timer drops. To an interval this and the two that follow are one.
    Continue,
    /// A timer goes on 3 ms from now.
    Again,
    /// A timer goes on at once.
    Reregister,
    /// A timer goes on 5 ms after its deadline.
    Disable,
    Remove,
    /// For those that can answer with one.
    Error,
    Panic,
}

#[derive(Clone, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub struct Body {
    pub ops: Vec<Op>,
    pub panics: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub enum Policy {
    Report,
    Ignore,
    Disable,
    Remove,
}

/// Of bounded channels.
pub const BOUND: usize = 2;

/// How deep ops nest: those deeper inside are not executed.
pub const DEPTH: usize = 4;

/// What is observed. The loop and the model have to write the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// An op answered; the time in milliseconds.
    Did(&'static str, bool),
    Called(usize, Data),
    Ran(&'static str),
    Visited(usize),
    Taken(usize),
    Dispatched(Outcome),
    Now(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Data {
    /// How many bytes were read, and whether the other end is closed.
    Fd(usize, bool),
    /// The deadline in milliseconds.
    Timer(i64),
    /// The same, and how many were missed.
    Tick(i64, u64),
    Ping,
    Msg(u32),
    Closed,
    Bell,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Fine,
    /// The error of this source.
    Failed(usize),
    Panicked,
}

/// How many ops a program has at all depths.
pub fn count(ops: &[Op]) -> u64 {
    ops.iter()
        .map(|op| {
            1 + match op {
                Op::Insert(_, _, steps) => steps.iter().map(|step| count(&step.ops)).sum(),
                Op::Take(_, body) | Op::Visit(_, body) | Op::Idle(body) | Op::Post(body) => {
                    count(&body.ops)
                }
                _ => 0,
            }
        })
        .sum()
}
