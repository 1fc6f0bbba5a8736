//! What Smithay asks of the state, a group of protocols a file.

pub mod compositor;
pub mod layer;
mod outputs;
pub mod popups;
mod seat;
mod selections;
pub mod shell;
mod subsurfaces;
