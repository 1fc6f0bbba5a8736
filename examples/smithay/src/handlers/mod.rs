//! What Smithay asks of the state, a group of protocols a file.

pub mod compositor;
pub mod constraints;
mod drawing;
pub mod layer;
pub mod lock;
mod outputs;
pub mod popups;
mod seat;
mod selections;
pub mod shell;
mod subsurfaces;
pub mod toplevels;
pub mod typing;
