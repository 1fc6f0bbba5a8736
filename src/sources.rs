//! The built-in sources, one per file.

pub mod channel;
#[cfg(any(target_os = "linux", all(unix, feature = "signals")))]
pub mod child;
#[cfg(unix)]
pub(crate) mod fd_watch;
#[cfg(unix)]
pub mod generic;
pub mod interval;
pub mod mio_source;
pub mod ping;
pub(crate) mod promise;
#[cfg(all(unix, feature = "signals"))]
pub mod signals;
mod timeout;
pub mod timer;
pub mod transient;
#[cfg(any(feature = "executor", feature = "futures-core", feature = "wayland-client"))]
pub(crate) mod wake;
#[cfg(target_os = "linux")]
pub mod wall_timer;
#[cfg(all(unix, feature = "wayland-client"))]
pub mod wayland;

pub use channel::{Channel, Sender, SyncSender, channel, sync_channel};
#[cfg(any(target_os = "linux", all(unix, feature = "signals")))]
pub use child::Child;
#[cfg(unix)]
pub use generic::Generic;
pub use interval::{Interval, Tick};
pub use mio_source::{MioSource, Ready};
pub use ping::{Ping, PingSource, make_ping};
#[cfg(all(unix, feature = "signals"))]
pub use signals::{Signal, SignalSender, Signals};
pub use timer::{TimeoutAction, TimeoutFuture, Timer};
pub use transient::TransientSource;
#[cfg(target_os = "linux")]
pub use wall_timer::{WallAction, WallEvent, WallTimer};
#[cfg(all(unix, feature = "wayland-client"))]
pub use wayland::WaylandSource;
