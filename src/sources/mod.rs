//! The built-in sources, one a file.

pub mod channel;
#[cfg(unix)]
pub mod generic;
pub mod mio_source;
pub mod ping;
#[cfg(all(unix, feature = "signals"))]
pub mod signals;
pub mod timer;

pub use channel::{Channel, Sender, SyncSender, channel, sync_channel};
#[cfg(unix)]
pub use generic::{Generic, Ready};
pub use mio_source::MioSource;
#[cfg(not(unix))]
pub use mio_source::Ready;
pub use ping::{Ping, PingSource, make_ping};
#[cfg(all(unix, feature = "signals"))]
pub use signals::{Sender as SignalSender, Signal, Signals};
pub use timer::{TimeoutAction, Timer};
