//! The law of the loop's fd, checked around every step of a program:
//!
//! * while it is silent, a dispatch that does not wait delivers nothing;
//! * while it is readable, at most one dispatch in a row delivers nothing, and none waits;
//! * whenever a dispatch would deliver something, an outer loop that is told of edges alone was told since the last one.
//!
//! The time jumps of a manual clock are no matter of the fd.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use soloop::EventLoop;

use super::World;
use crate::model::log::{Entry, Outcome};
use crate::model::ops::{Kind, Op};

/// The loop does not tell of these: what the kernel says after the event of an emulated one-shot mode is nobody's.
const EXEMPT: Kind = Kind::MioOneShot;

const PANICKED: Entry = Entry::Dispatched(Outcome::Panicked);

const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// A loop in a loop, and what is known of its fd.
struct Nested {
    event_loop: EventLoop<World>,
    world: World,
    level: OwnedFd,
    edges: OwnedFd,
    /// An edge was told of since the last dispatch began.
    told: bool,
    /// There may be ops to apply, after which the fd may be silent.
    asked: bool,
    /// How many dispatches in a row delivered nothing though the fd was readable.
    idle: u32,
    /// The step of the program.
    place: usize,
}

/// Runs `program` on a loop whose fd is watched from outside, from the step `from` on.
pub fn check(program: &[Op], from: usize) {
    let (mut event_loop, mut world) = World::new();
    let (before, after) = program.split_at(from.min(program.len()));
    before.iter().for_each(|op| world.step(&mut event_loop, op));
    world.log.take();
    let mut nested = Nested::new(event_loop, world, from);
    for (step, op) in after.iter().enumerate() {
        nested.place = before.len() + step;
        nested.look(step & 1 == 0);
        nested.step(op, step & 1 == 0);
        nested.look(step & 1 == 1);
    }
    nested.world.end(nested.event_loop);
}

impl Nested {
    fn new(event_loop: EventLoop<World>, world: World, from: usize) -> Self {
        let outer = |flags| {
            let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
            epoll::add(&epoll, event_loop.as_fd(), EventData::new_u64(0), flags).unwrap();
            epoll
        };
        let (level, edges) = (outer(EventFlags::IN), outer(EventFlags::IN | EventFlags::ET));
        Self { event_loop, world, level, edges, told: false, asked: true, idle: 0, place: from }
    }

    /// Whether the fd is readable, asked in all the ways.
    fn is_readable(&mut self) -> bool {
        self.world.wait_for_expiry();
        let mut fds = [PollFd::new(&self.event_loop, PollFlags::IN)];
        let readable = poll(&mut fds, Some(&NO_TIME)).unwrap() > 0;
        assert_eq!(is_told(&self.level), readable, "op {}: level-triggered", self.place);
        self.told |= is_told(&self.edges);
        readable
    }

    /// Between two steps. `closely`: with a dispatch that has nothing to do. It may make up for what is wrong later: not
    /// each time.
    fn look(&mut self, closely: bool) {
        let readable = self.is_readable();
        if !readable && closely {
            self.dispatch_once(0);
        } else if readable && !self.told {
            let delivered = self.dispatch_once(0);
            assert!(delivered.is_empty(), "op {}: no edge told of {delivered:?}", self.place);
        }
    }

    fn step(&mut self, op: &Op, goes_on: bool) {
        if let Op::Dispatch(timeout) = op {
            self.dispatch_once(*timeout);
            for _ in 0..3 {
                if goes_on && self.is_readable() {
                    self.dispatch_once(0);
                }
            }
            return;
        }
        let rounds = self.event_loop.stats().rounds;
        self.world.step(&mut self.event_loop, op);
        self.world.log.take();
        self.told &= self.event_loop.stats().rounds == rounds;
        self.asked |= !is_event(op);
        self.idle = 0;
    }

    /// What it delivered.
    fn dispatch_once(&mut self, timeout: u8) -> Vec<Entry> {
        let readable = self.is_readable();
        self.told = false;
        self.world.log.take_polls();
        let before = self.world.clock.now();
        self.world.advanced = Duration::ZERO;
        self.world.dispatch(&mut self.event_loop, timeout);
        let passed = self.world.clock.now() - before - self.world.advanced;
        let mut delivered = self.world.log.take();
        delivered.retain(is_delivery);
        let polled = self.world.log.take_polls() > 0;
        let place = self.place;
        if !readable && timeout == 0 {
            let nothing = delivered.is_empty() && !polled;
            assert!(nothing, "op {place}: the fd was silent, but for {delivered:?}");
        }
        let asked = std::mem::replace(&mut self.asked, delivered.contains(&PANICKED));
        if readable && !asked && !self.world.has_had(EXEMPT) {
            assert!(passed.is_zero(), "op {place}: the fd was readable, and the dispatch waited");
        }
        let idle = readable && delivered.is_empty() && !polled;
        self.idle = if idle { self.idle + 1 } else { 0 };
        assert!(self.idle < 2, "op {place}: the fd is readable, and nothing comes of it");
        delivered
    }
}

/// Whether an op is no more than an event from outside, or an idle.
fn is_event(op: &Op) -> bool {
    matches!(op, Op::Poke(_) | Op::HangUp(_) | Op::Post(_) | Op::PostLocal(_) | Op::Wakeup)
        || matches!(op, Op::Idle(..) | Op::Stop | Op::Advance(_) | Op::Policy(_))
}

fn is_told(epoll: &OwnedFd) -> bool {
    let mut events = Vec::with_capacity(1);
    let room = rustix::buffer::spare_capacity(&mut events);
    epoll::wait(epoll, room, Some(&NO_TIME)).unwrap() > 0
}

fn is_delivery(entry: &Entry) -> bool {
    match entry {
        Entry::Called(..) | Entry::Ran(_) | Entry::Visited(_) => true,
        Entry::Inspected(_) | Entry::Taken(_) | Entry::Dropped(_) => true,
        Entry::Dispatched(outcome) => *outcome != Outcome::Fine,
        Entry::Did(..) | Entry::Asked(_) | Entry::Members(_) | Entry::Now(_) => false,
    }
}
