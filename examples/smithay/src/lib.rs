//! A Smithay compositor whose only loop is soloop: a small window manager, headless or in a window.
//!
//! | module | what it does |
//! |---|---|
//! | `loop_soloop` (or `loop_calloop`, with feature `on-calloop`) | everything that knows which loop it runs on |
//! | `session` | a session from its beginning to its end |
//! | `state` | the one state, and the globals |
//! | `handlers` | what Smithay asks of the state, a protocol a file |
//! | `element`, `windows`, `placing`, `grabs` | which windows there are, where they go, and how people move them |
//! | `input`, `gestures`, `stylus`, `focus` | keys, buttons, fingers, pens, and who gets them |
//! | `render`, `frames`, `backend` | drawing, when, and on what |
//! | `fence` | commits that wait for a fence |
//! | `tty` (feature `tty`) | a seat of its own: session, graphics card, screens, input devices |
//! | `connection`, `clients`, `control` | Wayland clients, child processes, the control socket |
//!
//! It is a library so that the conformance suite can run it in a thread (`wlcs/`).

pub mod backend;
mod clients;
pub mod connection;
mod control;
mod element;
#[cfg_attr(feature = "on-calloop", path = "loop_calloop.rs")]
#[cfg_attr(not(feature = "on-calloop"), path = "loop_soloop.rs")]
pub mod event_loop;
pub mod fence;
mod focus;
pub mod frames;
mod gestures;
mod grabs;
mod handlers;
pub mod input;
pub mod options;
mod placing;
pub mod render;
pub mod session;
#[path = "../../compositor/sockets.rs"]
mod sockets;
pub mod state;
mod stylus;
#[cfg(feature = "tty")]
pub mod tty;
pub mod windows;
#[cfg(feature = "xwayland")]
mod xwayland;

pub type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
