//! The steps of a dispatch, which `event_loop.rs` has in their order: `apply`, `hooks`, `wait`, `deliver`, and what they
//! hand to each other, the [`Round`].

mod apply;
mod budget;
mod deliver;
mod failure;
mod hooks;
mod round;
mod wait;

pub(crate) use budget::{Budget, Lane};
pub(crate) use failure::Orphan;
pub(crate) use round::Round;
