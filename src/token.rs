//! What callers hold instead of references: generational keys of sources, interests and idles.
//!
//! Invariant: a key that was handed out never names anything but the thing it was made for.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use slotmap::{Key, KeyData, new_key_type};
use static_assertions::assert_eq_size;

new_key_type! {
    /// Names a source in the tables of a loop.
    pub(crate) struct SourceKey;
    /// Names one interest (an fd, a deadline or a notifier) of a source.
    pub(crate) struct InterestKey;
}

// A kernel event carries the whole key, generation included, so that an event of an interest that is
// gone is told from one of the interest that took its place. That needs 64 bits of user data.
const _: () = assert!(
    usize::BITS >= 64,
    "soloop puts a 64-bit key into `mio::Token`; targets with narrower pointers are not supported"
);

impl InterestKey {
    pub(crate) fn into_mio(self) -> mio::Token {
        mio::Token(self.data().as_ffi() as usize)
    }

    pub(crate) fn from_mio(token: mio::Token) -> Self {
        KeyData::from_ffi(token.0 as u64).into()
    }
}

/// Names a source of type `S` in the loop it was inserted into.
///
/// A token is a plain value: 8 bytes, `Copy`, comparable, hashable, and sendable to other threads
/// whatever `S` is. It is *generational*: once its source is removed it names nothing, even after its
/// place in the loop's tables went to another source, and every operation with it answers `false` or
/// `None`. The type parameter gives the source back: [`EventLoop::get`](crate::EventLoop::get),
/// [`get_mut`](crate::EventLoop::get_mut), [`LoopHandle::visit`](crate::LoopHandle::visit),
/// [`take`](crate::LoopHandle::take).
///
/// # Limits
///
/// A token has no room for the identity of its loop: used with another loop it may name a source
/// there (of the same type, or the operation does nothing). The generation of one place in the tables
/// wraps after 2³¹ reuses of that place.
///
/// # Examples
///
/// ```
/// use soloop::{Timer, Token};
///
/// assert_eq!(size_of::<Token<Timer>>(), 8);
/// assert_eq!(size_of::<Option<Token<Timer>>>(), 8);
/// ```
pub struct Token<S> {
    key: SourceKey,
    source: PhantomData<fn() -> S>,
}

impl<S> Token<S> {
    pub(crate) fn new(key: SourceKey) -> Self {
        Self { key, source: PhantomData }
    }

    pub(crate) fn key(self) -> SourceKey {
        self.key
    }
}

impl<S> Clone for Token<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Token<S> {}

impl<S> PartialEq for Token<S> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<S> Eq for Token<S> {}

impl<S> Hash for Token<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<S> fmt::Debug for Token<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?})", self.key.data())
    }
}

/// A [`Token`] without the type of its source.
///
/// # Examples
///
/// ```
/// use soloop::{AnyToken, Timer, Token};
///
/// fn erase(token: Token<Timer>) -> AnyToken {
///     token.into()
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnyToken {
    key: SourceKey,
}

impl AnyToken {
    pub(crate) fn new(key: SourceKey) -> Self {
        Self { key }
    }

    pub(crate) fn key(self) -> SourceKey {
        self.key
    }
}

impl fmt::Debug for AnyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyToken({:?})", self.key.data())
    }
}

impl<S> From<Token<S>> for AnyToken {
    fn from(token: Token<S>) -> Self {
        Self::new(token.key)
    }
}

impl<S> From<&Token<S>> for AnyToken {
    fn from(token: &Token<S>) -> Self {
        Self::new(token.key)
    }
}

impl From<&AnyToken> for AnyToken {
    fn from(token: &AnyToken) -> Self {
        *token
    }
}

impl<S> PartialEq<Token<S>> for AnyToken {
    fn eq(&self, other: &Token<S>) -> bool {
        self.key == other.key
    }
}

impl<S> PartialEq<AnyToken> for Token<S> {
    fn eq(&self, other: &AnyToken) -> bool {
        self.key == other.key
    }
}

/// Names one interest of a source: one registered fd, one deadline, one notifier.
///
/// [`Registrar`](crate::Registrar) hands it out and
/// [`process_events`](crate::EventSource::process_events) receives it, so that a source made of
/// several parts can tell which of them is ready.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterestToken {
    key: InterestKey,
}

impl InterestToken {
    pub(crate) fn new(key: InterestKey) -> Self {
        Self { key }
    }

    pub(crate) fn key(self) -> InterestKey {
        self.key
    }
}

impl fmt::Debug for InterestToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InterestToken({:?})", self.key.data())
    }
}

/// Names an idle callback until it runs; see [`LoopHandle::insert_idle`](crate::LoopHandle::insert_idle) and
/// [`cancel_idle`](crate::LoopHandle::cancel_idle).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IdleToken(pub(crate) u64);

// `Box<str>` stands for any source, `*mut ()` for one that is neither `Send` nor `Sync`.
assert_eq_size!(Token<Box<str>>, Option<Token<Box<str>>>, AnyToken, Option<AnyToken>, u64);
assert_eq_size!(InterestToken, Option<InterestToken>, u64);
assert_traits!(Token<*mut ()>: Copy, Eq, Hash, fmt::Debug, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_traits!(AnyToken: Copy, Eq, Hash, fmt::Debug, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_traits!(InterestToken: Copy, Eq, Hash, fmt::Debug, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_traits!(IdleToken: Copy, Eq, Hash, fmt::Debug, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
