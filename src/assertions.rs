//! How a public type's file pins what the type is and what it is not: `Send`, `Sync`, `Copy`, `Unpin`,
//! `UnwindSafe` and `RefUnwindSafe`, each decided for each type (`tests/assertions.rs` finds the missing ones).
//!
//! On purpose `UnwindSafe` are plain data, tokens, and everything that another thread or a destructor may
//! use (`Remote`, `LoopSignal`, senders, pings, clocks): no user code runs while they are half-changed. Not so what
//! holds callbacks, futures and sources of the user's, first of all the loop and its handle: they go on after a
//! panic, but what a callback was about to change may be half-done, and `AssertUnwindSafe` is how one says
//! that this is known.

/// `assert_traits!(Type: Send, Sync; not Copy)`.
macro_rules! assert_traits {
    ($type:ty: $($is:path),+ $(; not $($is_not:path),+)?) => {
        const _: () = {
            #[allow(unused_imports, reason = "for those that are named here")]
            use std::panic::{RefUnwindSafe, UnwindSafe};
            static_assertions::assert_impl_all!($type: $($is),+);
            // In tests alone: what the standard library or a dependency adds must not break a user's build.
            $(#[cfg(test)]
            static_assertions::assert_not_impl_any!($type: $($is_not),+);)?
        };
    };
}
