//! A guide: what the words mean, and how common tasks are done. The modules contain text and examples, and no items.
//!
//! * [`glossary`]: the ten words that the documentation uses;
//! * [`pictures`]: the loop, and one dispatch of it, drawn;
//! * [`sharing`]: modules that share a loop, and what each of them keeps instead of a handle;
//! * [`timers`], [`processes`], [`tasks`]: what a program waits for;
//! * [`sources`]: what each built-in source delivers, how to write one, and how to write to a client other than the
//!   one calling back;
//! * [`testing`]: tests on the manual clock: an hour of timers in milliseconds;
//! * [`compositors`], [`clients`]: both ends of Wayland;
//! * [`nesting`]: this loop in another one, another one in this loop;
//! * [`looking`]: watching a running program, to find a spin, a stall or a storm of wake-ups;
//! * [`trouble`]: what to do when the loop spins or stalls.

#[doc = include_str!("guide/glossary.md")]
pub mod glossary {}

#[doc = include_str!("guide/pictures.md")]
pub mod pictures {}

#[doc = include_str!("guide/sharing.md")]
pub mod sharing {}

#[doc = include_str!("guide/timers.md")]
pub mod timers {}

#[cfg(all(target_os = "linux", feature = "signals", feature = "executor"))]
#[doc = include_str!("guide/processes.md")]
pub mod processes {}

#[cfg(feature = "executor")]
#[doc = include_str!("guide/tasks.md")]
pub mod tasks {}

#[cfg(unix)]
#[doc = include_str!("guide/sources.md")]
pub mod sources {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/compositors.md")]
pub mod compositors {}

#[doc = include_str!("guide/clients.md")]
pub mod clients {}

#[cfg(unix)]
#[doc = include_str!("guide/nesting.md")]
pub mod nesting {}

#[doc = include_str!("guide/looking.md")]
pub mod looking {}

#[doc = include_str!("guide/trouble.md")]
pub mod trouble {}
