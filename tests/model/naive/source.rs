//! What the model knows of a source.

use std::collections::VecDeque;

use super::task::Task;
use crate::model::ops::{BEREFT, Kind, Options, Step, signals};

#[derive(Clone, Copy)]
pub enum When {
    At(i64),
    After(i64),
    /// It was kept without a deadline.
    Kept,
    /// It is over; the part is gone.
    Never,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Armed {
    No,
    /// With the number of the arming.
    At(i64, u64),
    /// It expired, and waits in the list.
    Due(i64, u64),
}

pub struct Source {
    /// As it is now.
    pub kind: Kind,
    pub inserted_as: Kind,
    /// An fd whose mode the loop emulates.
    pub emulated: bool,
    /// 0 is the first to run.
    pub rank: usize,
    pub budget: u32,
    pub scope: Option<usize>,
    pub once: bool,
    /// Was called, and is `once`.
    pub spent: bool,
    pub steps: VecDeque<Step>,
    /// Its callback was dropped, or its future.
    pub forgotten: bool,
    pub depth: usize,
    /// Not removed, nor about to be.
    pub live: bool,
    /// Nobody has its token.
    pub unnamed: bool,
    /// A task waits for its one event, which came; and is to be woken by it.
    pub awaited: bool,
    pub heard: bool,
    pub waiter: Option<usize>,
    /// Its removal was asked for while ops were applied: they do nothing to it any more.
    pub going: bool,
    /// Its slot is there.
    pub stored: bool,
    pub dropped: bool,
    /// Registered.
    pub enabled: bool,
    /// It was asked to be disabled.
    pub disabled: bool,
    pub touched: bool,
    pub generation: u32,
    /// It has an event to be delivered; and said itself that it has more.
    pub ready: bool,
    pub more: bool,
    /// It has none, and keeps the place in the queue of one that it had.
    pub forgotten_event: bool,
    // Timers.
    pub when: When,
    pub armed: Armed,
    // Fds.
    pub bytes: usize,
    pub hung_up: bool,
    /// The kernel has it on its list of what to look at.
    pub listed: bool,
    // Notifiers: in the ready queue; and what there is to tell.
    pub queued: bool,
    pub pinged: bool,
    pub pulls: u32,
    pub messages: VecDeque<u32>,
    /// The loop knows of the messages.
    pub told: bool,
    // Streams and tasks: to be polled; waiting to be woken, and how many pokes nobody waited for.
    pub rung: bool,
    pub parked: bool,
    pub pokes: u32,
    /// Told of its end, which it does once: a stream, a child.
    pub over: bool,
    pub task: Option<Task>,
    pub signals: [Listener; 2],
    /// What a child came to.
    pub exit: Option<i32>,
    /// A timer on the wall's clock has expired.
    pub expired: bool,
}

/// The listening to one signal.
#[derive(Clone, Copy, Default)]
pub struct Listener {
    pub listens: bool,
    /// A poke raises it.
    pub raised: bool,
    /// How often it came.
    pub arrived: usize,
    /// How often it came before that, and was looked at.
    pub seen: usize,
}

/// Whether a timer on the wall's clock is that is set so.
pub fn is_due(to: u8) -> bool {
    to & 1 == 0
}

impl Source {
    pub fn new(kind: Kind, options: Options, steps: &[Step], depth: usize) -> Self {
        let after = match kind {
            Kind::Timer(after) | Kind::Part(after) | Kind::Interval(after) => after.into(),
            _ => 0,
        };
        let inserted_as = kind;
        let plain = Options { priority: 0, budget: 0, scope: 0, once: false, part: false };
        let options = if kind.is_task() && options.once { plain } else { options };
        let (kind, emulated) = match kind {
            Kind::MioLevel => (Kind::Level, true),
            Kind::MioEdge => (Kind::Edge, true),
            Kind::MioOneShot => (Kind::OneShot, true),
            kind => (kind, false),
        };
        let mut source = Self {
            kind,
            inserted_as,
            emulated,
            rank: [1, 0, 2][usize::from(options.priority) % 3],
            budget: match options.budget % 4 {
                0 => 1024,
                budget => budget.into(),
            },
            scope: None,
            once: options.once,
            spent: false,
            steps: steps.to_vec().into(),
            forgotten: false,
            depth,
            live: true,
            unnamed: false,
            awaited: false,
            heard: false,
            waiter: None,
            going: false,
            stored: false,
            dropped: false,
            enabled: false,
            disabled: false,
            touched: false,
            generation: 0,
            ready: false,
            more: false,
            forgotten_event: false,
            when: When::After(after),
            armed: Armed::No,
            bytes: 0,
            hung_up: false,
            listed: false,
            queued: false,
            pinged: false,
            pulls: 0,
            messages: VecDeque::new(),
            told: false,
            rung: kind == Kind::Stream || kind.is_task(),
            parked: false,
            pokes: 0,
            over: false,
            task: None,
            signals: Default::default(),
            exit: (kind == Kind::EndedChild).then_some(BEREFT),
            expired: matches!(kind, Kind::Wall(n) if is_due(n)),
        };
        if let Kind::Signals(which) = kind {
            let raised = |raised| Listener { raised, ..Listener::default() };
            source.signals = signals(which).map(raised);
            source.listen(signals(which));
        }
        source
    }

    /// Changes the signals that it listens to.
    pub fn listen(&mut self, which: [bool; 2]) {
        for (signal, listens) in self.signals.iter_mut().zip(which) {
            if signal.listens && !listens {
                (signal.arrived, signal.seen) = (0, 0);
                // `signal-hook` wakes whoever reads what it no longer writes.
                self.bytes += usize::from(cfg!(feature = "signal-origin"));
            }
            signal.listens = listens;
        }
    }

    /// Takes a signal that came, of one number all that came until now before any that came later.
    pub fn next_signal(&mut self) -> Option<usize> {
        self.signals.iter_mut().position(|signal| {
            if signal.seen == 0 {
                signal.seen = std::mem::take(&mut signal.arrived);
            }
            let any = signal.seen > 0;
            signal.seen -= usize::from(any);
            any
        })
    }

    /// It has an event; whether it needs a place in the queue.
    pub fn mark_ready(&mut self, more: bool) -> bool {
        self.more |= more;
        !std::mem::replace(&mut self.ready, true) && !std::mem::take(&mut self.forgotten_event)
    }

    /// What the kernel says again if it still holds is forgotten.
    pub fn forget_level(&mut self) {
        if self.is_level() && self.ready && !self.more {
            self.ready = false;
            self.forgotten_event = true;
        }
    }

    /// It has none; whether it said that it has more.
    pub fn take_ready(&mut self) -> bool {
        (self.ready, self.forgotten_event) = (false, false);
        std::mem::take(&mut self.more)
    }

    /// What an fd has is read.
    pub fn drain(&mut self) {
        if matches!(self.kind, Kind::Level | Kind::Edge | Kind::OneShot) {
            self.bytes = 0;
        }
    }

    /// Whether it is registered, and nobody asked for its end.
    pub fn gets_events(&self) -> bool {
        self.enabled && self.live && !self.disabled
    }

    pub fn is_fd(&self) -> bool {
        matches!(self.kind, Kind::Level | Kind::Edge | Kind::OneShot)
            || matches!(self.kind, Kind::Signals(_) | Kind::Child | Kind::Wall(_))
    }

    pub fn is_notifier(&self) -> bool {
        matches!(self.kind, Kind::Ping | Kind::Bell | Kind::EndedChild) || self.has_messages()
    }

    /// Whether it is one of those that tell the loop once of what they have.
    pub fn has_messages(&self) -> bool {
        matches!(self.kind, Kind::Channel | Kind::SyncChannel | Kind::Executor) || self.is_polled()
    }

    pub fn is_polled(&self) -> bool {
        matches!(self.kind, Kind::Stream) || self.is_task()
    }

    pub fn is_task(&self) -> bool {
        self.kind.is_task()
    }

    /// Whether the kernel tells again only of what is new, or after a re-registration.
    pub fn is_edge(&self) -> bool {
        self.kind == Kind::Edge || self.kind == Kind::Level && self.emulated
    }

    /// Whether the kernel tells again and again.
    pub fn is_level(&self) -> bool {
        self.kind == Kind::Level && !self.emulated
            || matches!(self.kind, Kind::Signals(_) | Kind::Wall(_))
    }

    pub fn readable(&self) -> bool {
        match self.kind {
            Kind::Signals(_) => self.bytes > 0,
            Kind::Child => self.exit.is_some(),
            Kind::Wall(_) => self.expired,
            _ => self.bytes > 0 || self.hung_up,
        }
    }

    /// Whether there is something for a callback, if its notifier says so.
    pub fn has_event(&self) -> bool {
        match self.kind {
            Kind::Ping => self.pinged,
            Kind::Channel | Kind::SyncChannel => !self.messages.is_empty() || self.hung_up,
            Kind::Executor => !self.messages.is_empty(),
            Kind::Bell => self.pulls > 0,
            kind if kind == Kind::Stream || kind.is_task() => self.rung,
            _ => true,
        }
    }
}
