//! Tasks: what their futures do from one await to the next, and what becomes of their results.

use super::{Flow, Model, Stop};
use crate::model::log::{Data, Entry};
use crate::model::ops::{End, Kind, Options, Step};

use super::source::Source;

pub struct Task {
    /// Where its future is; `None` when that is gone.
    stage: Option<Stage>,
    outcome: Outcome,
    /// Somebody waits for it, or nobody can.
    spoken_for: bool,
}

enum Stage {
    /// For the result of another.
    Joining(usize),
    /// To insert a source, for the closure that does it to be run, and for its event.
    Bringing(usize),
    Brings(usize),
    Hearing(usize),
    /// About to take the next step.
    Next(Data),
    /// For a poke.
    Gated(Data, Step),
    /// For its closure to be run.
    Sent(Data, Option<Step>),
    Ran(Option<End>),
}

#[derive(Clone, Copy)]
enum Outcome {
    /// Who is woken at its end.
    Running(Option<usize>),
    Done(u32),
    Gone,
}

impl Model {
    /// What a task is at first; `None` for other kinds.
    pub(super) fn new_task(&mut self, kind: Kind, options: Options) -> Option<Task> {
        let stage = match kind {
            Kind::Task => Stage::Next(Data::Task),
            // The source that comes after it.
            Kind::Once(_) | Kind::Parent => Stage::Bringing(self.sources.len() + 1),
            Kind::Waiter(pick) => {
                let other = pick.of(self.sources.len()).filter(|&id| {
                    let task = self.sources[id].task.as_mut();
                    task.is_some_and(|task| !std::mem::replace(&mut task.spoken_for, true))
                });
                other.map_or(Stage::Next(Data::Task), Stage::Joining)
            }
            _ => return None,
        };
        let outcome = Outcome::Running(None);
        Some(Task { stage: Some(stage), outcome, spoken_for: options.once })
    }

    /// What a task inserts later: a source for it to wait for, or another task.
    pub(super) fn brought(&mut self, kind: Kind, steps: &[Step], depth: usize) -> Source {
        let is_task = kind.is_task();
        let options = Options { priority: 0, budget: 0, scope: 0, once: !is_task, part: false };
        let spawned = Options { once: true, ..options };
        let mut source = Source::new(kind, options, steps, depth);
        source.task = self.new_task(kind, spawned);
        source.awaited = !is_task;
        source.unnamed = true;
        // Its future is made when it is first polled.
        source.forgotten = true;
        source
    }

    /// The event that a task waits for came.
    pub(super) fn hear(&mut self, id: usize) {
        let source = &mut self.sources[id];
        (source.spent, source.heard) = (true, true);
        if let Some(task) = source.waiter.take() {
            self.wake(task);
        }
    }

    fn task(&mut self, id: usize) -> &mut Task {
        self.sources[id].task.as_mut().expect("it is one")
    }

    /// A task runs the closure that it sent, or goes on if there is none; what it answers.
    pub(super) fn go_on(&mut self, id: usize) -> Flow<End> {
        match self.task(id).stage.take() {
            None => return Ok(End::Remove),
            Some(Stage::Sent(data, step)) => {
                let end = self.run_closure(id, data, step)?;
                self.task(id).stage = Some(Stage::Ran(end));
                self.wake(id);
            }
            Some(Stage::Brings(other)) => {
                self.begin(other);
                self.task(id).stage = Some(Stage::Hearing(other));
                self.wake(id);
            }
            stage => {
                self.task(id).stage = stage;
                if std::mem::take(&mut self.sources[id].rung) && self.poll(id)? {
                    return Ok(End::Remove);
                }
            }
        }
        let source = &mut self.sources[id];
        Ok(source.told_of_more(source.rung))
    }

    fn run_closure(&mut self, id: usize, data: Data, step: Option<Step>) -> Flow<Option<End>> {
        self.log.push(Entry::Called(id, data));
        let Some(step) = step else { return Ok(None) };
        self.execute_all(&step.ops, self.sources[id].depth + 1);
        if step.end == End::Panic {
            self.forget(id);
            return Err(Stop::Panicked);
        }
        Ok(Some(step.end))
    }

    /// Goes on to the next await that has to wait; whether the task is done.
    fn poll(&mut self, id: usize) -> Flow<bool> {
        self.sources[id].forgotten = false;
        while let Some(stage) = self.task(id).stage.take() {
            let (next, waits) = match stage {
                Stage::Joining(other) => self.join(id, other),
                Stage::Next(data) => match self.sources[id].steps.pop_front() {
                    Some(step) if step.read => (Stage::Gated(data, step), false),
                    step => self.send(id, data, step),
                },
                Stage::Gated(data, step) if self.sources[id].pokes > 0 => {
                    self.sources[id].pokes -= 1;
                    self.send(id, data, Some(step))
                }
                Stage::Gated(..) => {
                    self.sources[id].parked = true;
                    (stage, true)
                }
                Stage::Bringing(other) => {
                    self.wake(id);
                    (Stage::Brings(other), true)
                }
                Stage::Hearing(other) if self.sources[other].is_task() => {
                    (Stage::Next(Data::Task), false)
                }
                Stage::Hearing(other) if self.sources[other].heard => {
                    (Stage::Next(Data::Heard(true)), false)
                }
                Stage::Hearing(other) => {
                    self.sources[other].waiter = Some(id);
                    (stage, true)
                }
                Stage::Sent(..) | Stage::Brings(_) => (stage, true),
                Stage::Ran(None | Some(End::Remove)) => {
                    self.end(id, Outcome::Done(id as u32));
                    return Ok(true);
                }
                Stage::Ran(Some(End::Error)) => {
                    self.forget(id);
                    return Err(Stop::Panicked);
                }
                Stage::Ran(Some(End::Again)) => {
                    self.wake(id);
                    (Stage::Next(Data::Task), true)
                }
                Stage::Ran(Some(_)) => (Stage::Next(Data::Task), false),
            };
            self.task(id).stage = Some(next);
            if waits {
                break;
            }
        }
        Ok(false)
    }

    fn send(&mut self, id: usize, data: Data, step: Option<Step>) -> (Stage, bool) {
        self.wake(id);
        (Stage::Sent(data, step), true)
    }

    /// Takes the result of another task, or is to be woken when there is one.
    fn join(&mut self, id: usize, other: usize) -> (Stage, bool) {
        let outcome = &mut self.task(other).outcome;
        let result = match *outcome {
            Outcome::Running(_) => {
                *outcome = Outcome::Running(Some(id));
                return (Stage::Joining(other), true);
            }
            Outcome::Done(result) => Some(result),
            Outcome::Gone => None,
        };
        (Stage::Next(Data::Joined(result)), false)
    }

    /// The future of a task ends, and whoever waits for it is woken.
    fn end(&mut self, id: usize, outcome: Outcome) {
        if let Some(Stage::Hearing(other)) = self.task(id).stage.take()
            && self.sources[other].awaited
        {
            self.abandoned.push(vec![other]);
        }
        if let Outcome::Running(waiter) = self.task(id).outcome {
            self.task(id).outcome = outcome;
            if !std::mem::replace(&mut self.sources[id].forgotten, true) {
                self.log.push(Entry::Dropped(id));
            }
            if let Some(waiter) = waiter {
                self.wake(waiter);
            }
        }
    }

    /// Drops the future of a task, and does nothing to what is none.
    pub(super) fn cancel(&mut self, id: usize) {
        if self.sources[id].is_task() {
            self.end(id, Outcome::Gone);
        }
    }

    /// Has a future polled.
    fn wake(&mut self, id: usize) {
        self.sources[id].rung = true;
        self.tell(id);
    }

    /// Has it polled if it waits for just that.
    pub(super) fn unpark(&mut self, id: usize) {
        if std::mem::take(&mut self.sources[id].parked) {
            self.wake(id);
        }
    }
}
