//! Settling, and what it does to sources: registrations, changes, removals.

use super::source::{Armed, When, is_due};
use super::{Flow, Model, Pending, Post, Stop};
use crate::model::log::Entry;
use crate::model::ops::{Body, Kind, signals};

impl Model {
    /// Runs a closure.
    pub(super) fn body(&mut self, entry: Entry, body: Body, depth: usize) -> Flow {
        self.log.push(entry);
        self.execute_all(&body.ops, depth + 1);
        if body.panics { Err(Stop::Panicked) } else { Ok(()) }
    }

    /// Runs what was posted by now.
    pub(super) fn run_posts(&mut self) -> Flow {
        if self.posts.is_empty() {
            self.posts.append(&mut self.mailbox);
        }
        while let Some(post) = self.posts.pop_front() {
            self.ran_user_code = true;
            match post {
                Post::Body(kind, body, depth) => self.body(Entry::Ran(kind), body, depth)?,
                Post::Insert(id, scope, dropped) => self.insert_posted(id, scope, dropped),
            }
            self.settle()?;
        }
        Ok(())
    }

    pub(super) fn settle(&mut self) -> Flow {
        while let Some(op) = self.next_op() {
            let applied = self.apply_op(op);
            self.applying &= applied.is_ok();
            applied?;
        }
        self.failure()
    }

    pub(super) fn failure(&mut self) -> Flow {
        if self.holds_failures {
            return Ok(());
        }
        self.failures.pop_front().map_or(Ok(()), |source| Err(Stop::Failed(source)))
    }

    fn apply_op(&mut self, op: Pending) -> Flow {
        match op {
            Pending::Stored(id) => self.sources[id].stored = true,
            Pending::Enable(id) if self.sources[id].going => {}
            Pending::Enable(id) => self.register(id),
            Pending::Disable(id) => self.unregister(id),
            Pending::Update(id, to) => {
                // Its closure has something to drop.
                self.ran_user_code = true;
                if !self.sources[id].going {
                    self.update(id, to);
                    self.reregister(id);
                }
            }
            Pending::Move(id, at) => {
                if !self.sources[id].going {
                    self.sources[id].when = When::At(at);
                    self.reregister(id);
                }
            }
            Pending::Remove(id) => self.remove(id),
            Pending::Take(id, body, depth) => {
                self.ran_user_code = true;
                if !self.sources[id].dropped {
                    self.remove(id);
                    self.body(Entry::Taken(id), body, depth)?;
                }
            }
            Pending::Visit(id, body, depth) => {
                self.ran_user_code = true;
                if !self.sources[id].going {
                    self.sources[id].drain();
                    self.body(Entry::Visited(id), body, depth)?;
                }
            }
            Pending::Inspect(id, body, depth) => {
                self.ran_user_code = true;
                self.body(Entry::Inspected(self.view(id)), body, depth)?;
            }
            Pending::RemoveAll(ids) => self.remove_all(ids),
        }
        Ok(())
    }

    /// What was let go by now is removed after what was asked for before, which does nothing to it any more.
    fn next_op(&mut self) -> Option<Pending> {
        for idle in std::mem::take(&mut self.abandoned_idles) {
            self.cancel_idle(idle);
        }
        for mut ids in std::mem::take(&mut self.abandoned) {
            ids.retain(|&id| std::mem::take(&mut self.sources[id].live));
            ids.iter().for_each(|&id| self.sources[id].going = true);
            self.pending.push_back(Pending::RemoveAll(ids));
        }
        let next = self.pending.pop_front();
        self.applying = next.is_some();
        next
    }

    fn remove_all(&mut self, mut ids: Vec<usize>) {
        while !ids.is_empty() {
            let next = self.expected.get(self.log.len());
            let seen = ids.iter().position(|&id| next == Some(&Entry::Dropped(id)));
            self.remove(ids.remove(seen.unwrap_or(0)));
        }
    }

    fn update(&mut self, id: usize, to: u8) {
        let source = &mut self.sources[id];
        match source.kind {
            Kind::Part(_) if matches!(source.when, When::Never) => {}
            Kind::Timer(_) | Kind::Part(_) => source.when = When::After(to.into()),
            Kind::Interval(period) if period == to => {}
            Kind::Interval(_) => {
                source.kind = Kind::Interval(to);
                source.when = When::After(to.into());
            }
            Kind::Level | Kind::Edge | Kind::OneShot => {
                source.kind = [Kind::Level, Kind::Edge, Kind::OneShot][usize::from(to) % 3];
            }
            Kind::Signals(_) => source.listen(signals(to)),
            Kind::Wall(_) => source.expired = is_due(to),
            _ => {}
        }
    }

    pub(super) fn register(&mut self, id: usize) {
        let source = &mut self.sources[id];
        if source.enabled || source.dropped {
            return;
        }
        source.enabled = true;
        source.generation += 1;
        source.listed = true;
        source.take_ready();
        source.queued = false;
        source.told = source.has_event();
        if source.is_notifier() && source.has_event() {
            self.notify(id);
        }
        self.arm(id);
    }

    pub(super) fn reregister(&mut self, id: usize) {
        // The last of its moves does that, too: until then it has its turn where it was moved to.
        let is_moving = |op: &Pending| matches!(op, Pending::Move(other, _) if *other == id);
        if self.sources[id].enabled && !self.pending.iter().any(is_moving) {
            let source = &mut self.sources[id];
            source.listed = true;
            self.arm(id);
        }
    }

    /// What the loop does after each event of an fd whose mode it emulates.
    pub(super) fn rearm(&mut self, id: usize) {
        if self.sources[id].emulated && self.sources[id].kind == Kind::Level {
            self.reregister(id);
        }
    }

    pub(super) fn unregister(&mut self, id: usize) {
        let source = &mut self.sources[id];
        source.enabled = false;
        source.take_ready();
        source.armed = Armed::No;
    }

    /// The removal that a source asked for by its answer.
    pub(super) fn finish(&mut self, id: usize) {
        self.sources[id].live = false;
        self.remove(id);
    }

    pub(super) fn remove(&mut self, id: usize) {
        if self.sources[id].dropped {
            return;
        }
        // Its destructor runs.
        self.ran_user_code = true;
        self.unregister(id);
        self.sources[id].going = true;
        self.sources[id].dropped = true;
        if let Some(scope) = self.sources[id].scope.take() {
            self.scopes[scope].retain(|member| *member != id);
        }
        self.forget(id);
    }

    /// Its callback is dropped; a task with its future.
    pub(super) fn forget(&mut self, id: usize) {
        if !std::mem::replace(&mut self.sources[id].forgotten, true) {
            self.log.push(Entry::Dropped(id));
        }
        self.cancel(id);
    }

    pub(super) fn arm(&mut self, id: usize) {
        let source = &mut self.sources[id];
        if let Kind::Timer(_) | Kind::Part(_) | Kind::Interval(_) = source.kind {
            if matches!(source.when, When::Never | When::Kept) {
                source.take_ready();
                source.armed = Armed::No;
            }
            if let When::After(after) = source.when {
                source.when = When::At(self.now + after);
            }
            if let When::At(at) = source.when {
                self.arm_at(id, at);
            }
        }
    }

    /// Armed for the same, it keeps its turn. An event that was to come once more was one of the deadline before.
    pub(super) fn arm_at(&mut self, id: usize, at: i64) {
        let source = &mut self.sources[id];
        source.take_ready();
        if !matches!(source.armed, Armed::At(to, _) | Armed::Due(to, _) if to == at) {
            source.armed = Armed::At(at, self.armings);
            self.armings += 1;
        }
    }

    pub(super) fn notify(&mut self, id: usize) {
        let source = &mut self.sources[id];
        if !source.queued {
            source.queued = true;
            let interest = (id, source.generation);
            self.woken.push(interest);
            self.notified = true;
        }
    }

    pub(super) fn request(&mut self, id: usize, op: Pending) {
        if self.sources[id].live {
            self.sources[id].touched |= !matches!(op, Pending::Visit(..));
            match op {
                Pending::Enable(_) => self.sources[id].disabled = false,
                Pending::Disable(_) => self.sources[id].disabled = true,
                _ => {}
            }
            self.pending.push_back(op);
        }
    }

    pub(super) fn request_removal(&mut self, id: usize) {
        self.request(id, Pending::Remove(id));
        self.sources[id].live = false;
        self.sources[id].going |= self.applying;
    }
}
