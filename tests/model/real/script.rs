//! What callbacks do.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::panic::resume_unwind;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use soloop::channel::Event;
use soloop::{PostAction, Signal, Tick, TimeoutAction, WallAction, WallEvent};

use super::{World, ms, system};
use crate::model::log::{Data, Entry, Log};
use crate::model::ops::{End, Step};

/// What a callback owns, or the future of a task.
pub struct Script {
    pub caller: Caller,
    pub steps: VecDeque<Step>,
    pub log: Log,
    pub _held: Arc<()>,
}

/// Who is called, and how deep inside of other callbacks it was inserted.
#[derive(Clone, Copy)]
pub struct Caller {
    pub id: usize,
    pub depth: usize,
}

impl Caller {
    /// Does `step`; `None` after the last one.
    pub fn run(self, data: Data, step: Option<Step>, world: &mut World) -> Option<End> {
        world.log.push(Entry::Called(self.id, data));
        let step = step?;
        world.execute_all(step.ops, self.depth + 1);
        if step.end == End::Panic {
            planned_panic();
        }
        Some(step.end)
    }
}

impl Script {
    /// What to do at this call.
    pub fn step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    fn run(&mut self, data: Data, world: &mut World) -> Option<End> {
        let step = self.step();
        self.caller.run(data, step, world)
    }

    pub fn timer(&mut self, deadline: Instant, world: &mut World) -> TimeoutAction {
        let at = deadline.duration_since(world.epoch).as_millis() as i64;
        match self.run(Data::Timer(at), world) {
            Some(End::Again) => TimeoutAction::ToDuration(ms(3)),
            Some(End::Reregister) => TimeoutAction::ToDuration(Duration::ZERO),
            Some(End::Disable) => TimeoutAction::ToInstant(deadline + ms(5)),
            Some(End::Error) => TimeoutAction::Keep,
            _ => TimeoutAction::Drop,
        }
    }

    pub fn interval(&mut self, tick: Tick, world: &mut World) -> PostAction {
        let at = tick.deadline.duration_since(world.epoch).as_millis() as i64;
        match self.run(Data::Tick(at, tick.missed), world) {
            Some(End::Error) => PostAction::Continue,
            end => answer(end).unwrap(),
        }
    }

    pub fn message(&mut self, event: Event<u32>, world: &mut World) {
        let data = match event {
            Event::Msg(n) => Data::Msg(n),
            Event::Closed => Data::Closed,
        };
        self.run(data, world);
    }

    pub fn ping(&mut self, world: &mut World) {
        self.run(Data::Ping, world);
    }

    pub fn bell(&mut self, world: &mut World) -> io::Result<PostAction> {
        answer(self.run(Data::Bell, world))
    }

    pub fn fd(&mut self, io: &mut impl Read, world: &mut World) -> io::Result<PostAction> {
        let step = self.step();
        let (read, closed) = match &step {
            Some(Step { read: false, .. }) => (0, false),
            _ => drain(io),
        };
        match self.caller.run(Data::Fd(read, closed), step, world) {
            None if closed => Ok(PostAction::Remove),
            end => answer(end),
        }
    }

    pub fn signal(&mut self, signal: Signal, world: &mut World) {
        let which = system::SIGNALS.iter().position(|number| *number == signal.number);
        self.run(Data::Signal(which.unwrap()), world);
    }

    pub fn child(&mut self, status: ExitStatus, world: &mut World) {
        self.run(Data::Ended(status.code().unwrap()), world);
    }

    pub fn wall(&mut self, event: WallEvent, world: &mut World) -> WallAction {
        assert_eq!(event, WallEvent::Fired, "nobody sets the clock");
        match self.run(Data::Fired, world) {
            Some(End::Again) => {
                world.wall_due = true;
                WallAction::ToTime(SystemTime::UNIX_EPOCH)
            }
            Some(End::Reregister) => {
                world.wall_due = true;
                WallAction::ToDuration(Duration::ZERO)
            }
            Some(End::Disable) => WallAction::ToDuration(system::YEAR),
            Some(End::Continue | End::Error) => WallAction::Keep,
            _ => WallAction::Drop,
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.log.push(Entry::Dropped(self.caller.id));
    }
}

pub fn drain(io: &mut impl Read) -> (usize, bool) {
    let mut read = 0;
    loop {
        match io.read(&mut [0; 64]) {
            Ok(0) => return (read, true),
            Ok(n) => read += n,
            Err(_) => return (read, false),
        }
    }
}

fn answer(end: Option<End>) -> io::Result<PostAction> {
    Ok(match end {
        None | Some(End::Continue | End::Panic) => PostAction::Continue,
        Some(End::Again) => PostAction::Again,
        Some(End::Reregister) => PostAction::Reregister,
        Some(End::Disable) => PostAction::Disable,
        Some(End::Remove) => PostAction::Remove,
        Some(End::Error) => return Err(io::Error::other("as told")),
    })
}

pub struct Planned;

/// A panic that prints nothing.
pub fn planned_panic() -> ! {
    resume_unwind(Box::new(Planned))
}
