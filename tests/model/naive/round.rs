//! The round: what is called back, in which order, and what becomes of the answers.

use super::source::Armed;
use super::{Flow, Interest, Model, Pending, Stop};
use crate::model::log::Entry;
use crate::model::ops::{End, Policy};

impl Model {
    pub(super) fn deliver(&mut self) -> Flow {
        self.settle()?;
        for rank in 0..3 {
            while let Some(interest) = self.next_ready(rank) {
                self.call(interest)?;
            }
            while let Some(interest) = self.next_due(rank) {
                self.call(interest)?;
            }
        }
        Ok(())
    }

    /// The next fd or wake-up of `rank`: where the order is free, as the loop did it.
    fn next_ready(&mut self, rank: usize) -> Option<Interest> {
        let callable = |model: &Self, interest: Interest| {
            model.is_registered(interest) && model.sources[interest.0].live
        };
        let ready = std::mem::take(&mut self.ready);
        self.ready = ready.into_iter().filter(|&interest| callable(self, interest)).collect();
        let places: Vec<_> = (0..self.ready.len())
            .filter(|&place| self.sources[self.ready[place].0].rank == rank)
            .collect();
        // Fds that the same wait found lie side by side.
        let source = |place: usize| &self.sources[self.ready[place].0];
        let fds = || places.iter().copied().take_while(|&place| source(place).is_fd());
        let next = self.expected.get(self.log.len());
        let seen = |place: usize| matches!(next, Some(Entry::Called(id, _) | Entry::Asked(id)) if *id == self.ready[place].0);
        let spent = fds().find(|&place| source(place).spent);
        let place = spent.or_else(|| fds().find(|&place| seen(place)));
        self.ready.remove(place.or(places.first().copied())?)
    }

    fn next_due(&mut self, rank: usize) -> Option<Interest> {
        let sources = &self.sources;
        let place = self.due.iter().position(|&(index, _)| {
            sources[index].rank == rank && matches!(sources[index].armed, Armed::Due(_))
        });
        let Some(place) = place else {
            self.due.retain(|&(index, _)| sources[index].rank != rank);
            return None;
        };
        let (index, _) = self.due.remove(place);
        self.sources[index].armed = Armed::No;
        Some((index, self.sources[index].generation))
    }

    pub(super) fn is_registered(&self, (index, generation): Interest) -> bool {
        let source = &self.sources[index];
        source.enabled && source.generation == generation
    }

    /// Whether an event of `interest` may be delivered.
    fn begin(&mut self, interest: Interest) -> bool {
        let begins = self.is_registered(interest) && self.sources[interest.0].live;
        if begins {
            self.sources[interest.0].touched = false;
        }
        begins
    }

    fn call(&mut self, interest: Interest) -> Flow {
        if !self.begin(interest) {
            return Ok(());
        }
        self.current = Some(interest);
        let id = interest.0;
        for _ in 0..self.sources[id].budget {
            let again = match self.process(id)? {
                None => {
                    self.current = None;
                    if self.sources[id].is_notifier() {
                        self.carried.push(interest);
                    }
                    if self.sources[id].once {
                        self.finish(id);
                    }
                    self.rearm(id);
                    match self.policy {
                        Policy::Report => return Err(Stop::Failed(id)),
                        Policy::Ignore => {}
                        Policy::Disable => self.request(id, Pending::Disable(id)),
                        Policy::Remove => self.request_removal(id),
                    }
                    false
                }
                Some(End::Disable | End::Remove)
                    if self.sources[id].touched && !self.sources[id].spent =>
                {
                    self.rearm(id);
                    false
                }
                Some(action) => {
                    match action {
                        End::Reregister => self.reregister(id),
                        End::Disable => self.unregister(id),
                        End::Remove => self.finish(id),
                        End::Again => {}
                        _ => self.rearm(id),
                    }
                    action == End::Again
                }
            };
            if !again {
                self.current = None;
                return self.settle().map(drop);
            }
            self.settle()?;
            if !self.begin(interest) {
                self.current = None;
                return Ok(());
            }
        }
        self.carried.extend(self.current.take());
        Ok(())
    }
}
