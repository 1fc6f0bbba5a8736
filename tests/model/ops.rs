//! The language of the model: what a program may do to a loop, from outside and from within its callbacks.
//!
//! Two sources have tests of their own alone. `WaylandSource` reads from a Wayland display, whose protocol would have to
//! be spoken; `CalloopLoop` waits for the timers of another loop, which follow the system's clock.

/// What a program is made of. An op is executed at most once, so that every program ends.
#[derive(Clone, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub enum Op {
    Insert(Kind, Options, Vec<Step>),
    Remove(Pick),
    /// Its closure drops the source, then does the ops.
    Take(Pick, Body),
    /// Its closure reads what an fd has, then does the ops.
    Visit(Pick, Body),
    /// Shows the loop to a closure, which looks up the source and does the ops.
    Inspect(Pick, Body),
    /// Moves a timer to so many milliseconds from now, gives an interval that period, an fd another mode; has signals
    /// listened to, and a timer on the wall's clock due, as their kinds say.
    Update(Pick, u8),
    /// Moves a timer to so many milliseconds from now by its token alone; nothing else.
    Move(Pick, u8),
    Enable(Pick),
    Disable(Pick),
    /// In none of the scopes, the first, the second, or one that is gone.
    Idle(Body, u8),
    CancelIdle(Pick),
    /// Writes to an fd, pings, sends, schedules, notifies, raises signals, has a child end, lets a task go on.
    Poke(Pick),
    /// Closes the other end of an fd, drops the sender, ends a stream or the input of a child.
    HangUp(Pick),
    ClearScope(u8),
    /// Another one takes its place.
    DropScope(u8),
    Post(Body),
    /// By the remote of the loop's own thread.
    PostLocal(Body),
    RemoteRemove(Pick),
    /// A timer, due so many milliseconds after it is inserted, into one of the scopes. No op reaches it: nobody has its token.
    RemoteInsert(u8, u8, Vec<Step>),
    Wakeup,
    /// Concerns the current or the next `Run`, and no dispatch.
    Stop,
    Policy(Policy),
    /// Moves the clock by so many milliseconds.
    Advance(u8),
    /// With a timeout of so many milliseconds. Nothing inside a callback, which can't reach the loop.
    Dispatch(u8),
    /// `run`, likewise, with that timeout, stopped after `RUN` dispatches, if nothing stops it before.
    Run(u8),
    /// `run_until` so many milliseconds from now, likewise. Nothing after an interval or a timer on the wall's clock was
    /// inserted, and one that is inserted meanwhile stops it: an interval without a period keeps the time from passing, and
    /// a timer on the wall's clock is due at a time of its own.
    RunUntil(u8),
    /// `apply_pending`, likewise.
    Settle,
}

/// One of the sources (or idles) inserted so far, counted from the last one; it may be gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// Of one or both of two signals: those that a poke of it raises.
    Signals(u8),
    /// A child process, which waits for its input.
    Child,
    /// One that has ended when it is inserted.
    EndedChild,
    /// On the wall's clock: due at once or in a year, the time of day or since the boot.
    Wall(u8),
    /// Of what it is poked with.
    Stream,
    /// Its steps are closures that it sends to the state, and it waits for a poke before those that read.
    Task,
    /// A task that first waits for the result of another one, once for each.
    Waiter(Pick),
    /// A task that first waits, by its context, for the one event of a source that it inserts: a timer due after so many
    /// milliseconds, or a ping if that is odd. The source is the next one after it, and no op reaches it but a poke.
    Once(u8),
    /// A task that first spawns another one by its context, which takes all of its steps but the first. That is the next
    /// one after it, and no op reaches it but a poke.
    Parent,
}

impl Kind {
    /// One of each, for those who count them.
    pub const ALL: [Self; 23] = [
        Self::Timer(0),
        Self::Part(0),
        Self::Interval(0),
        Self::Ping,
        Self::Channel,
        Self::SyncChannel,
        Self::Level,
        Self::Edge,
        Self::OneShot,
        Self::MioLevel,
        Self::MioEdge,
        Self::MioOneShot,
        Self::Executor,
        Self::Bell,
        Self::Signals(0),
        Self::Child,
        Self::EndedChild,
        Self::Wall(0),
        Self::Stream,
        Self::Task,
        Self::Waiter(Pick(0)),
        Self::Once(0),
        Self::Parent,
    ];

    /// Whether this build of the loop has it.
    pub fn is_there(self) -> bool {
        self.or_similar() == self
    }

    /// In place of what this build of the loop does not have, what is most like it.
    pub fn or_similar(self) -> Self {
        let no_mio = cfg!(not(target_pointer_width = "64"));
        match self {
            Self::Stream if cfg!(not(feature = "futures-core")) => Self::Task,
            Self::MioLevel if no_mio => Self::Level,
            Self::MioEdge if no_mio => Self::Edge,
            Self::MioOneShot if no_mio => Self::OneShot,
            there => there,
        }
    }

    pub fn is_task(self) -> bool {
        matches!(self, Self::Task | Self::Waiter(_) | Self::Once(_) | Self::Parent)
    }

    /// What a task of this kind has inserted, as the source after it.
    pub fn brings(self) -> Option<Self> {
        match self {
            Self::Once(after) if after % 2 == 0 => Some(Self::Timer(after)),
            Self::Once(_) => Some(Self::Ping),
            Self::Parent => Some(Self::Task),
            _ => None,
        }
    }

    /// Whether there may be a `RunUntil` beside it.
    pub fn lets_time_pass(self) -> bool {
        !matches!(self, Self::Interval(_) | Self::Wall(_))
    }

    pub fn is_child(self) -> bool {
        matches!(self, Self::Child | Self::EndedChild)
    }
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub struct Options {
    /// Low, normal, high.
    pub priority: u8,
    /// 0: the default.
    pub budget: u8,
    /// In none, the first, the second, or one that is gone.
    pub scope: u8,
    /// `insert_once`, and a timer without any option `insert_timer` if not; a task is plainly spawned, without any option and without a handle to its result.
    pub once: bool,
    /// `insert_part`, with the whole as the part.
    pub part: bool,
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
    /// A timer drops, but one on the wall's clock keeps. To an interval this and the two that follow are one.
    Continue,
    /// A timer goes on 3 ms from now, one on the wall's clock at once; a task yields.
    Again,
    /// A timer goes on at once.
    Reregister,
    /// A timer goes on 5 ms after its deadline, one on the wall's clock in a year.
    Disable,
    /// A task returns.
    Remove,
    /// For those that can answer with one. A timer is kept without a deadline. A task panics where no closure of it runs.
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

/// How many dispatches a run takes at most.
pub const RUN: u32 = 2;

/// Of bounded channels.
pub const BOUND: usize = 2;

/// How many scopes there are.
pub const SCOPES: usize = 2;

/// How many child processes a program may have: they take a millisecond each.
pub const CHILDREN: usize = 2;

/// What children end with: when poked, and when their input ends.
pub const POKED: i32 = 3;
pub const BEREFT: i32 = 1;

/// How many signals of one number are told apart before they are delivered: with their origin, so many as the
/// queue of `signal-hook` holds.
pub const SIGNALS: usize = if cfg!(feature = "signal-origin") { 5 } else { 1 };

/// Which of the two signals a number stands for.
pub fn signals(which: u8) -> [bool; 2] {
    match which % 3 {
        0 => [true, false],
        1 => [false, true],
        _ => [true, true],
    }
}

/// How deep ops nest: those deeper inside are not executed.
pub const DEPTH: usize = 4;

/// How many ops a program has at all depths.
pub fn count(ops: &[Op]) -> u64 {
    ops.iter()
        .map(|op| {
            1 + match op {
                Op::Insert(_, _, steps) | Op::RemoteInsert(_, _, steps) => {
                    steps.iter().map(|step| count(&step.ops)).sum()
                }
                Op::Take(_, body) | Op::Visit(_, body) | Op::Inspect(_, body) => count(&body.ops),
                Op::Idle(body, _) | Op::Post(body) | Op::PostLocal(body) => count(&body.ops),
                _ => 0,
            }
        })
        .sum()
}
