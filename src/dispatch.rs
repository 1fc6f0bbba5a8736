//! The working data of one dispatch: the events that were found and not delivered, and how many of them may run. The
//! steps of a dispatch are in `event_loop/`.

mod budget;
mod round;

pub(crate) use budget::{Budget, Lane};
pub(crate) use round::Round;
