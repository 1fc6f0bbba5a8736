//! One loop has one handle, in one thread: the compiler's messages for whoever clones the handle or moves it to another
//! thread.

use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::LoopHandle;

/// No type implements this.
#[diagnostic::on_unimplemented(
    message = "a `LoopHandle` can't be cloned: a loop has one, in its state",
    label = "lend it as `&mut`, or make a remote of it",
    note = "`handle.remote()` reaches the state from any thread and from a `Drop`, `handle.local_remote()` with what is not `Send`; a task has its `TaskContext`"
)]
pub trait CloneHandle {
    /// Never called: no type implements the trait.
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

/// The name that the compiler shows first when a state, its handle or its loop is moved to another thread.
///
/// Each part that is not `Send` causes an error of its own, and no attribute of this crate can change the wording. So
/// the names below say what to do, and so does the comment: the compiler shows the line on which a type begins.
trait StaysInTheThreadOfItsLoop: Unpin + UnwindSafe + RefUnwindSafe {}

#[rustfmt::skip]
pub(crate) struct SendARemote(PhantomData<dyn StaysInTheThreadOfItsLoop>); // of `handle.remote()`; or make the loop in that thread

impl SendARemote {
    pub(crate) const INSTEAD: Self = Self(PhantomData);
}
