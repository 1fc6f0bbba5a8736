//! Futures on the loop: tasks that reach the state, the executor, and what they wait for: fds, streams and timeouts.

#[cfg(feature = "executor")]
pub mod futures;
#[cfg(unix)]
pub mod io;
#[cfg(feature = "executor")]
pub mod spawn;
#[cfg(feature = "futures-core")]
pub mod stream;

#[cfg(feature = "executor")]
pub use futures::{Executor, ExecutorDestroyed, Scheduler, executor};
#[cfg(unix)]
pub use io::Async;
#[cfg(feature = "executor")]
pub use spawn::{Cancelled, Elapsed, JoinHandle, Task, TaskContext, TaskWaits};
#[cfg(feature = "futures-core")]
pub use stream::StreamSource;
