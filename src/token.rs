//! What callers hold instead of references: generational keys of sources, interests and idles.
//!
//! Invariant: a key never names anything but the thing it was made for.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroU64;

use slotmap::{Key, KeyData, SparseSecondaryMap, new_key_type};
use static_assertions::assert_eq_size;

new_key_type! {
    /// Names a source in the tables of a loop.
    pub(crate) struct SourceKey;
    /// Names an interest that has a row of its own.
    pub(crate) struct OtherKey;
}

/// Hashes keys, which nobody chooses so that they collide, and what is a hash already.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

/// Hashes with a [`KeyHasher`].
pub(crate) type HashKeys = BuildHasherDefault<KeyHasher>;

/// What is known of some of the sources.
pub(crate) type SourceMap<V> = SparseSecondaryMap<SourceKey, V, HashKeys>;

impl Hasher for KeyHasher {
    #[inline]
    fn finish(&self) -> u64 {
        // By the golden ratio. A table takes the lowest bits and the highest ones, and each has to depend on all.
        let product = u128::from(self.0) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = self.0.rotate_left(32) ^ number;
    }
}

/// Names one interest of a source: one registered fd, one deadline, one notifier.
///
/// The [`Registrar`](crate::Registrar) returns it, and [`process_events`](crate::EventSource::process_events)
/// receives it, so that a source with several parts can tell which of them is ready.
// One word, so that it goes through registers. A kernel event carries the whole token, which distinguishes an interest
// that is gone from the one that took its place.
//
// The upper half is a generation. If it is odd, the token is an `OtherKey`. If it is even, the interest lies in the row
// of its source. The source's key is then this number with the lowest bit of the generation set and the upper five bits
// of the lower half cleared. Those five bits are the number of the source's registration, from 1 on; the rest of the
// lower half is the place of the row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "TokenFactory")]
pub struct InterestToken(NonZeroU64);

/// What an [`InterestToken`] names.
pub(crate) enum InterestRow {
    /// The row of a source, in this registration.
    Source(SourceKey, u8),
    Other(OtherKey),
}

impl InterestToken {
    /// How many registrations of a source get a key of this kind.
    pub(crate) const REGISTRATIONS: u8 = 31;
    const PLACES: u32 = 27;
    const OTHER: u64 = 1 << 32;

    /// The interest in the row of `source` in one of its registrations, from 1 on. `None` if no such key exists: for
    /// later registrations, and beyond a hundred million sources.
    #[inline]
    pub(crate) fn in_row(source: SourceKey, registration: u8) -> Option<Self> {
        let bits = source.data().as_ffi() & !Self::OTHER;
        let is_free = bits as u32 >> Self::PLACES == 0 && registration <= Self::REGISTRATIONS;
        is_free.then(|| Self::from_bits(bits | u64::from(registration) << Self::PLACES))
    }

    pub(crate) fn other(key: OtherKey) -> Self {
        Self::from_bits(key.data().as_ffi())
    }

    #[inline]
    pub(crate) fn row(self) -> InterestRow {
        let bits = self.0.get();
        if bits & Self::OTHER != 0 {
            return InterestRow::Other(KeyData::from_ffi(bits).into());
        }
        let registration = bits as u32 >> Self::PLACES;
        let source = bits ^ u64::from(registration) << Self::PLACES | Self::OTHER;
        InterestRow::Source(KeyData::from_ffi(source).into(), registration as u8)
    }

    /// What a kernel event carries.
    pub(crate) fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// An error where mio's tokens have 32 bits.
    #[inline]
    pub(crate) fn to_mio(self) -> io::Result<mio::Token> {
        if usize::BITS < u64::BITS {
            // Some keys would fit, but not for long: that of a place that is reused does not.
            let refused = "mio's token has no room for a key of 64 bits on this target";
            return Err(io::Error::new(io::ErrorKind::Unsupported, refused));
        }
        Ok(mio::Token(self.to_bits() as usize))
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        // No key is 0, because no place in a slotmap is 0.
        Self(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MAX))
    }
}

impl fmt::Debug for InterestToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            InterestRow::Source(source, registration) => {
                write!(f, "InterestToken({:?}#{registration})", source.data())
            }
            InterestRow::Other(key) => write!(f, "InterestToken(other {:?})", key.data()),
        }
    }
}

/// Names a source of type `S` in the loop it was inserted into.
///
/// A token is a plain value: 8 bytes, `Copy`, comparable, hashable, ordered (in no particular order, for a
/// `BTreeMap`), and sendable to other threads whatever `S` is. It is *generational*: once its source is removed it
/// names nothing, even if another source reuses its place in the loop's tables, and every operation with it returns
/// `false` or `None`. The type parameter gives access to the typed source by
/// [`EventLoop::get`](crate::EventLoop::get), [`get_mut`](crate::EventLoop::get_mut),
/// [`LoopHandle::visit`](crate::LoopHandle::visit) and [`take`](crate::LoopHandle::take).
///
/// # Limits
///
/// A token does not store the identity of its loop. Used with another loop it may name a source there, if that has
/// the type `S`; otherwise the operation does nothing. The generation of one place in the tables wraps after 2³¹
/// reuses of that place.
///
/// # Examples
///
/// ```
/// use soloop::{Timer, Token};
///
/// assert_eq!(size_of::<Token<Timer>>(), 8);
/// assert_eq!(size_of::<Option<Token<Timer>>>(), 8);
/// ```
#[doc(alias = "RegistrationToken")]
pub struct Token<S> {
    key: SourceKey,
    source: PhantomData<fn() -> S>,
}

impl<S> Token<S> {
    /// Makes a token that names nothing, in any loop, for a function that returns a token and has no source to name.
    ///
    /// # Examples
    ///
    /// ```
    /// use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer, Token};
    ///
    /// fn remind<Data: LoopData>(handle: &mut LoopHandle<Data>, timer: Timer) -> Token<Timer> {
    ///     let inserted = handle.insert_source(timer, |_, _| TimeoutAction::Drop);
    ///     inserted.unwrap_or_else(|_the_loop_is_gone| Token::null())
    /// }
    /// ```
    pub fn null() -> Self {
        Self::new(SourceKey::null())
    }

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

impl<S> PartialOrd for Token<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<S> Ord for Token<S> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

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

/// Names a source without its type; any [`Token`] converts into it.
/// [`LoopHandle::downcast`](crate::LoopHandle::downcast) restores the type.
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "RegistrationToken")]
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

    /// A number that identifies the source, for logs and for other processes.
    pub fn to_bits(self) -> u64 {
        self.key.data().as_ffi()
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

/// Names an idle callback until it runs, for [`cancel_idle`](crate::LoopHandle::cancel_idle).
/// [`LoopHandle::insert_idle`](crate::LoopHandle::insert_idle) returns it. Tokens are ordered as the idles were
/// queued.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[doc(alias = "Idle")]
pub struct IdleToken(pub(crate) u64);

// `Box<str>` stands for any source, `*mut ()` for one that is neither `Send` nor `Sync`.
assert_eq_size!(Token<Box<str>>, Option<Token<Box<str>>>, AnyToken, Option<AnyToken>, u64);
assert_eq_size!(InterestToken, Option<InterestToken>, u64);

/// What a kernel event of the waker carries. It is no interest token.
pub(crate) const WAKER: u64 = 0;
/// What a kernel event of the alarm carries.
pub(crate) const ALARM: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn source(place: u32, generation: u32) -> SourceKey {
        KeyData::from_ffi(u64::from(generation) << 32 | u64::from(place)).into()
    }

    #[test]
    fn an_interest_key_names_its_row() {
        let most = (1 << InterestToken::PLACES) - 1;
        for place in [1, 2, most] {
            for generation in [1, 3, u32::MAX] {
                for registration in [1, 2, InterestToken::REGISTRATIONS] {
                    let source = source(place, generation);
                    let key = InterestToken::in_row(source, registration).unwrap();
                    let key = InterestToken::from_bits(key.to_bits());
                    assert!(matches!(
                        key.row(),
                        InterestRow::Source(named, of) if named == source && of == registration
                    ));
                }
                let other = source(place, generation).data().into();
                let key = InterestToken::from_bits(InterestToken::other(other).to_bits());
                assert!(matches!(key.row(), InterestRow::Other(named) if named == other));
            }
        }
        assert!(InterestToken::in_row(source(1, 1), InterestToken::REGISTRATIONS + 1).is_none());
        assert!(InterestToken::in_row(source(most + 1, 1), 1).is_none());
    }

    /// A table of 1,000 keys takes the lowest ten bits or so, and compares the highest seven.
    #[test]
    fn the_hashes_of_keys_differ_at_both_ends() {
        use std::collections::HashSet;
        use std::hash::BuildHasher;

        for generation in [1, 3, 0x1001] {
            let hashes = (1..1000).map(|place| {
                HashKeys::default().hash_one(AnyToken::new(source(place, generation)))
            });
            let hashes: Vec<u64> = hashes.collect();
            let low: HashSet<u64> = hashes.iter().map(|hash| hash & 1023).collect();
            let high: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
            assert!(low.len() > 500 && high.len() > 100, "{} {}", low.len(), high.len());
        }
    }

    #[test]
    fn no_interest_key_is_a_token_of_the_loops_own() {
        let least = InterestToken::in_row(source(1, 1), 1).unwrap().to_bits();
        assert!([WAKER, ALARM].iter().all(|own| least > *own));
    }
}
