//! What sources make of their events, and what they answer.

use super::source::{Source, When};
use super::{Flow, Model, Stop};
use crate::model::log::{Data, Entry};
use crate::model::ops::{End, Kind};

impl Model {
    /// What the source does with an event, and answers; `None`: an error.
    pub(super) fn process(&mut self, id: usize) -> Flow<Option<End>> {
        if self.sources[id].spent {
            return Ok(Some(End::Remove));
        }
        if self.sources[id].is_task() {
            return self.go_on(id).map(Some);
        }
        if self.sources[id].awaited {
            self.log.push(Entry::Asked(id));
        }
        let data = match self.next_event(id) {
            Ok(data) => data,
            Err(answer) => return Ok(Some(answer)),
        };
        if self.sources[id].awaited {
            self.hear(id);
            return Ok(Some(End::Remove));
        }
        let end = self.call_back(id, data)?;
        Ok(match self.answer(id, data, end) {
            Some(_) if self.sources[id].once => Some(End::Remove),
            answer => answer,
        })
    }

    /// What the source has for its callback; or what it answers without it.
    fn next_event(&mut self, id: usize) -> Result<Data, End> {
        let source = &mut self.sources[id];
        match source.kind {
            Kind::Timer(_) | Kind::Part(_) => match source.when {
                When::At(at) => Ok(Data::Timer(at)),
                When::After(_) | When::Kept | When::Never => Err(End::Continue),
            },
            Kind::Interval(period) => {
                let period = i64::from(period);
                let When::At(due) = source.when else { return Err(End::Continue) };
                if self.now < due {
                    // The callback panicked at the tick before.
                    return Err(End::Reregister);
                }
                let missed = (self.now - due).max(0).checked_div(period);
                let at = missed.map_or(due.max(self.now), |missed| due + missed * period);
                source.when = When::At(at + period);
                Ok(Data::Tick(at, missed.unwrap_or(0) as u64))
            }
            Kind::Signals(_) | Kind::Child | Kind::EndedChild | Kind::Wall(_) => {
                self.log.push(Entry::Asked(id));
                source.next_of_system()
            }
            Kind::Stream => source.next_item(),
            _ if !source.has_event() => {
                source.told = false;
                Err(End::Continue)
            }
            Kind::Ping => {
                source.pinged = false;
                Ok(Data::Ping)
            }
            Kind::Bell => {
                source.pulls -= 1;
                Ok(Data::Bell)
            }
            Kind::Channel | Kind::SyncChannel | Kind::Executor => {
                Ok(source.messages.pop_front().map_or(Data::Closed, Data::Msg))
            }
            _ => {
                let read = source.steps.front().is_none_or(|step| step.read);
                let bytes = if read { std::mem::take(&mut source.bytes) } else { 0 };
                Ok(Data::Fd(bytes, read && source.hung_up))
            }
        }
    }

    /// Does the next step of the callback.
    fn call_back(&mut self, id: usize, data: Data) -> Flow<Option<End>> {
        let source = &mut self.sources[id];
        source.spent = source.once;
        let depth = source.depth;
        let step = source.steps.pop_front();
        self.log.push(Entry::Called(id, data));
        let end = step.as_ref().map(|step| step.end);
        if let Some(step) = step {
            self.execute_all(&step.ops, depth + 1);
        }
        if self.sources[id].once {
            self.forget(id);
        }
        if end == Some(End::Panic) { Err(Stop::Panicked) } else { Ok(end) }
    }

    /// What the source answers after its callback.
    fn answer(&mut self, id: usize, data: Data, end: Option<End>) -> Option<End> {
        let source = &mut self.sources[id];
        Some(match (source.kind, end) {
            (Kind::Timer(_) | Kind::Part(_), Some(End::Again | End::Reregister | End::Disable)) => {
                source.when = match (end, source.when) {
                    (Some(End::Disable), When::At(at)) => When::At(at + 5),
                    (Some(End::Again), _) => When::After(3),
                    _ => When::After(0),
                };
                End::Reregister
            }
            (Kind::Timer(_) | Kind::Part(_), Some(End::Error)) => {
                source.when = When::Kept;
                End::Reregister
            }
            (Kind::Timer(_), _) => {
                source.when = When::Never;
                End::Remove
            }
            (Kind::Part(_), _) => {
                source.when = When::Never;
                End::Reregister
            }
            (Kind::Interval(_), Some(end @ (End::Disable | End::Remove))) => end,
            (Kind::Interval(_), _) => End::Reregister,
            (Kind::Ping, _) => End::Continue,
            (Kind::Channel | Kind::SyncChannel, _) if data == Data::Closed => End::Remove,
            (Kind::Channel | Kind::SyncChannel | Kind::Executor, _) => {
                source.told_of_more(source.has_event())
            }
            (Kind::Stream, _) if data == Data::Closed => End::Remove,
            (Kind::Stream, _) => source.told_of_more(source.rung),
            // There may be more of them.
            (Kind::Signals(_), _) => End::Again,
            (Kind::Child | Kind::EndedChild, _) => End::Remove,
            (Kind::Wall(_), None | Some(End::Remove)) => {
                source.expired = false;
                End::Remove
            }
            (Kind::Wall(_), Some(end)) => {
                source.expired = matches!(end, End::Again | End::Reregister);
                End::Continue
            }
            (Kind::Bell, None | Some(End::Continue)) if source.pulls > 0 => End::Again,
            (_, None) => match data {
                Data::Fd(_, true) => End::Remove,
                _ => End::Continue,
            },
            (_, Some(End::Error)) => return None,
            (_, Some(end)) => end,
        })
    }
}

impl Source {
    /// What has come of signals, a child or the time of day.
    fn next_of_system(&mut self) -> Result<Data, End> {
        match self.kind {
            Kind::Signals(_) => {
                let signal = self.next_signal();
                // Said once more: there may be others.
                self.bytes = usize::from(signal.is_some());
                signal.map(Data::Signal).ok_or(End::Continue)
            }
            Kind::Wall(_) if self.expired => Ok(Data::Fired),
            Kind::Wall(_) => Err(End::Continue),
            _ if std::mem::replace(&mut self.over, true) => Err(End::Remove),
            _ => self.exit.map(Data::Ended).ok_or(End::Continue),
        }
    }

    fn next_item(&mut self) -> Result<Data, End> {
        if self.over {
            return Err(End::Remove);
        }
        if std::mem::take(&mut self.rung) {
            if let Some(item) = self.messages.pop_front() {
                self.rung = true;
                return Ok(Data::Msg(item));
            }
            if self.hung_up {
                self.over = true;
                return Ok(Data::Closed);
            }
            self.parked = true;
        }
        Err(self.told_of_more(self.rung))
    }

    /// What one that tells once answers when it goes on.
    pub(super) fn told_of_more(&mut self, more: bool) -> End {
        self.told = more;
        if more { End::Again } else { End::Continue }
    }
}
