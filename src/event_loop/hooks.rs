//! Calls the hooks around the wait, for sources that have hooks: each once in a dispatch.

use crate::EventLoop;
use crate::error::Outcome;
use crate::handle::LoopData;
use crate::interest::ReadinessBits;
use crate::registry::source::EventIterator;

impl<Data: LoopData> EventLoop<Data> {
    /// Calls `before_sleep`, and queues the events that it returns.
    #[inline]
    pub(super) fn before_sleep(&mut self, data: &mut Data) -> Outcome {
        if self.hooks.is_empty() {
            return Ok(());
        }
        self.hooks.retain(|key| self.slots.contains_key(*key));
        for index in 0..self.hooks.len() {
            let key = self.hooks[index];
            let registrations = &mut self.own_handle(data)?.registrations;
            let Some(slot) = self.slots.get_mut(key).filter(|_| registrations.is_registered(key))
            else {
                continue;
            };
            match slot.source.before_sleep() {
                Ok(Some((readiness, token))) if registrations.watch(key, token).is_some() => {
                    // The kernel does not know about this event.
                    let readiness = ReadinessBits::from(readiness).with_more();
                    self.round.found(token, readiness, registrations);
                }
                // A token of another source names nothing here.
                Ok(_) => {}
                Err(error) => self.settle(Err(error), key, data),
            }
        }
        self.own_handle(data)?;
        self.round.failure()
    }

    /// Calls `before_handle_events` with the events that this round has for the source.
    #[inline]
    pub(super) fn before_handle_events(&mut self, data: &mut Data) -> Outcome {
        if self.hooks.is_empty() {
            return Ok(());
        }
        let registrations = &self.own_handle(data)?.registrations;
        for &key in &self.hooks {
            if let Some(slot) = self.slots.get_mut(key)
                && registrations.is_registered(key)
            {
                slot.source.before_handle_events(EventIterator::new(registrations, key));
            }
        }
        self.own_handle(data).map(drop)
    }
}
