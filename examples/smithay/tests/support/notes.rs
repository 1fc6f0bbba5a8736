//! Events that a client writes down, word for word.

use std::sync::{Arc, Mutex};

use super::client::Client;

/// What a client has heard of an object, an event each.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn push(&self, event: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }

    /// The last event with these words.
    pub fn find(&self, words: &str) -> Option<String> {
        self.0.lock().unwrap().iter().rev().find(|event| event.contains(words)).cloned()
    }

    /// Waits for an event with these words, and forgets it and what came before.
    pub fn until(&self, client: &mut Client, words: &str) -> String {
        let seen = || {
            let notes = self.0.lock().unwrap();
            format!("{words:?}, only {notes:?}")
        };
        let found = |_: &super::client::Heard| self.find(words).is_some();
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.until(words, found)))
            .is_err()
        {
            panic!("never: {}", seen());
        }
        let mut notes = self.0.lock().unwrap();
        let at = notes.iter().position(|event| event.contains(words)).unwrap();
        notes.drain(..=at).next_back().unwrap()
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

/// A field of an event that is a number.
pub fn number(event: &str, field: &str) -> u32 {
    let start =
        event.find(&format!("{field}: ")).unwrap_or_else(|| panic!("no {field} in {event}"));
    let digits = &event[start + field.len() + 2..];
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Has the events of objects written down.
#[macro_export]
macro_rules! note {
    ($($proxy:ty),* $(,)?) => {$(
        impl wayland_client::Dispatch<$proxy, $crate::support::notes::Notes>
            for $crate::support::client::Heard
        {
            fn event(
                _: &mut Self,
                _: &$proxy,
                event: <$proxy as wayland_client::Proxy>::Event,
                notes: &$crate::support::notes::Notes,
                _: &wayland_client::Connection,
                _: &wayland_client::QueueHandle<Self>,
            ) {
                notes.push(&event);
            }
        }
    )*};
}
