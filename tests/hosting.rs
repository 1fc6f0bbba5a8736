//! The same calloop sources, once in calloop alone and once hosted by each of the three ways: what runs, in what
//! order and within what time.
//!
//! `rig.rs` has the ways; a test is a program for a [`Rig`](rig::Rig), which is run by each. What a way does not
//! promise is an expectation of its own, with a name.
#![cfg(all(target_os = "linux", feature = "calloop", not(mio_unsupported_force_poll_poll)))]
#![allow(unreachable_pub, reason = "modules of one test program")]

mod common;

#[path = "hosting/rig.rs"]
mod rig;

#[path = "hosting/callbacks.rs"]
mod callbacks;
#[path = "hosting/composites.rs"]
mod composites;
#[path = "hosting/failures.rs"]
mod failures;
#[path = "hosting/kinds.rs"]
mod kinds;
#[path = "hosting/on_demand.rs"]
mod on_demand;
#[path = "hosting/random.rs"]
mod random;
#[path = "hosting/source.rs"]
mod source;
#[path = "hosting/threads.rs"]
mod threads;
