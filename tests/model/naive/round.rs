//! The round: what is called back, in which order, and what becomes of the answers.

use super::source::Armed;
use super::{Flow, Interest, Model, Pending};
use crate::model::log::Entry;
use crate::model::ops::{End, Policy};

impl Model {
    pub(super) fn deliver(&mut self) -> Flow {
        self.settle()?;
        self.run_posts()?;
        for rank in 0..3 {
            while let Some((interest, more)) = self.next_ready(rank) {
                self.call(interest, more)?;
            }
            while let Some(interest) = self.next_due(rank) {
                self.call(interest, false)?;
            }
        }
        Ok(())
    }

    /// The next fd or wake-up of `rank`: where the order is free, as the loop did it. Whether it said that it has more.
    fn next_ready(&mut self, rank: usize) -> Option<(Interest, bool)> {
        loop {
            let first = *self.ready[rank].front()?;
            let calls =
                |interest: Interest| self.is_callable(interest) && self.sources[interest.0].ready;
            let next = self.expected.get(self.log.len());
            let queue = &self.ready[rank];
            // Fds that the same wait found lie side by side.
            let side_by_side = if first.wait.is_none() {
                1
            } else {
                queue.iter().take_while(|place| place.wait == first.wait).count()
            };
            let places = || (0..side_by_side).filter(|&place| calls(queue[place].interest));
            let seen =
                |id| matches!(next, Some(Entry::Called(it, _) | Entry::Asked(it)) if *it == id);
            let place = places()
                .find(|&place| self.sources[queue[place].interest.0].spent)
                .or_else(|| places().find(|&place| seen(queue[place].interest.0)))
                .or_else(|| places().next());
            let called = place.is_some();
            let interest = self.ready[rank].remove(place.unwrap_or(0))?.interest;
            if called {
                return Some((interest, self.sources[interest.0].take_ready()));
            }
            if self.is_registered(interest) {
                self.sources[interest.0].take_ready();
            }
        }
    }

    fn next_due(&mut self, rank: usize) -> Option<Interest> {
        loop {
            let (index, number) = self.due[rank].pop_front()?;
            let source = &mut self.sources[index];
            if matches!(source.armed, Armed::Due(_, due) if due == number) {
                source.armed = Armed::No;
                let interest = (index, source.generation);
                if self.is_callable(interest) {
                    return Some(interest);
                }
            }
        }
    }

    pub(super) fn is_registered(&self, (index, generation): Interest) -> bool {
        let source = &self.sources[index];
        source.enabled && source.generation == generation
    }

    /// Whether an event of `interest` may be delivered.
    fn is_callable(&self, interest: Interest) -> bool {
        self.is_registered(interest) && self.sources[interest.0].gets_events()
    }

    /// Has it go on in the next round.
    fn defer(&mut self, interest: Interest) {
        if self.is_registered(interest) && self.sources[interest.0].mark_ready(true) {
            self.deferred.push(interest);
        }
    }

    fn call(&mut self, interest: Interest, mut more: bool) -> Flow {
        let id = interest.0;
        let level = self.sources[id].is_level();
        for _ in 0..self.sources[id].budget {
            self.sources[id].touched = false;
            // The kernel tells again of what is ready still. What goes after it goes whatever the kernel says.
            let again = more || self.sources[id].once;
            self.running = (!level || again).then_some((interest, again));
            let answer = self.process(id)?;
            if answer != Some(End::Again) {
                self.answered(answer, interest);
                self.running = None;
                return self.settle();
            }
            // There is more, whatever becomes of the ops.
            more = true;
            self.running = Some((interest, more));
            self.settle()?;
            self.running = None;
            if !self.is_callable(interest) {
                return Ok(());
            }
        }
        self.defer(interest);
        Ok(())
    }

    fn answered(&mut self, answer: Option<End>, interest: Interest) {
        let id = interest.0;
        let source = &self.sources[id];
        match answer {
            None => self.failed(interest),
            // An op does that.
            Some(End::Disable | End::Remove) if !source.live => {}
            Some(End::Disable | End::Remove) if source.touched && !source.once => {
                self.reregister(id);
            }
            Some(End::Reregister) => self.reregister(id),
            Some(End::Disable) => self.unregister(id),
            Some(End::Remove) => self.finish(id),
            Some(_) => self.rearm(id),
        }
    }

    fn failed(&mut self, interest: Interest) {
        let id = interest.0;
        if self.sources[id].is_notifier() {
            self.defer(interest);
        }
        if self.sources[id].once {
            self.finish(id);
        } else {
            self.rearm(id);
        }
        match self.policy {
            Policy::Report => self.failures.push_back(id),
            Policy::Ignore => {}
            Policy::Disable => self.request(id, Pending::Disable(id)),
            Policy::Remove => self.request_removal(id),
        }
    }
}
