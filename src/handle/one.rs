//! One loop has one handle, in one thread: what the compiler says to whoever clones it, or moves it to another.

use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

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

/// What the compiler names first when a state, its handle or its loop is moved to another thread.
///
/// Each part that is not `Send` is an error of its own, and no attribute of this crate has a say in their words. So the
/// names here say what to do, and the comment, as the compiler shows the line that a type begins on.
trait StaysInTheThreadOfItsLoop: Unpin + UnwindSafe + RefUnwindSafe {}

#[rustfmt::skip]
pub(crate) struct SendARemote(PhantomData<dyn StaysInTheThreadOfItsLoop>); // of `handle.remote()`; or make the loop in that thread

impl SendARemote {
    pub(crate) const INSTEAD: Self = Self(PhantomData);
}
