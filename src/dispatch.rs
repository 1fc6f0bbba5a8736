//! What one dispatch works on: what it found and has not delivered, and how much of it it may run. Its steps are in
//! `event_loop/`.

mod budget;
mod round;

pub(crate) use budget::{Budget, Lane};
pub(crate) use round::Round;
