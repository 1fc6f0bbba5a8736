//! The file of each public type pins what the type is and is not: `Send`, `Sync`, `Copy`, `Unpin`, `UnwindSafe` and
//! `RefUnwindSafe`, each decided for each type (`tests/assertions.rs` finds the missing ones).
//!
//! Deliberately `UnwindSafe`: plain data, tokens, and everything that another thread or a destructor may use (`Remote`,
//! `LoopSignal`, senders, pings, clocks), because no user code runs while these are half-changed. Deliberately not:
//! whatever holds the user's callbacks, futures and sources, above all the loop and its handle. These go on after a
//! panic, but what a callback was changing may be half-done. With `AssertUnwindSafe` the user says that this is known.

/// `assert_traits!(Type: Send, Sync; not Copy)`.
macro_rules! assert_traits {
    ($type:ty: $($is:path),+ $(; not $($is_not:path),+)?) => {
        const _: () = {
            #[allow(unused_imports, reason = "for those that are named here")]
            use std::panic::{RefUnwindSafe, UnwindSafe};
            static_assertions::assert_impl_all!($type: $($is),+);
            // In tests only: a trait that the standard library or a dependency adds must not break a user's build.
            $(#[cfg(test)]
            static_assertions::assert_not_impl_any!($type: $($is_not),+);)?
        };
    };
}
