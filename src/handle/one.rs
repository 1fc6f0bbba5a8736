//! One loop has one handle: what the compiler says to whoever clones it.

use super::LoopHandle;

/// Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "a `LoopHandle` can't be cloned: a loop has one, in its state",
    label = "lend it as `&mut`, or make a remote of it",
    note = "`handle.remote()` reaches the state from any thread and from a `Drop`, `handle.local_remote()` with what is not `Send`; a task has its `TaskContext`"
)]
pub trait CloneHandle {
    /// There is none.
    fn clone_handle(&self) -> Self;
}

#[doc(hidden)]
impl<Data> Clone for LoopHandle<Data>
where
    Self: CloneHandle,
{
    fn clone(&self) -> Self {
        self.clone_handle()
    }
}
