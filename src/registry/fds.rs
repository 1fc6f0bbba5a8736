//! Which interest holds an fd number. The kernel forgets a registration by number, and the number may belong to another
//! source by then.

use crate::token::InterestKey;

/// The interest that was registered last under each number. Numbers are small: a process always gets the lowest free
/// one.
#[derive(Debug, Default)]
pub(super) struct Fds {
    holders: Vec<Option<InterestKey>>,
}

impl Fds {
    /// Notes that `key` is registered under the number `fd`. Does nothing if the number is unknown (negative).
    #[inline]
    pub(super) fn set(&mut self, fd: i32, key: InterestKey) {
        let Ok(fd) = usize::try_from(fd) else { return };
        if fd >= self.holders.len() {
            self.holders.resize(fd + 1, None);
        }
        self.holders[fd] = Some(key);
    }

    /// Whether `key` holds the number `fd`.
    #[inline]
    pub(super) fn is_held_by(&self, fd: i32, key: InterestKey) -> bool {
        usize::try_from(fd).is_ok_and(|fd| self.holders.get(fd) == Some(&Some(key)))
    }

    /// Takes the number from `key`. Returns whether `key` held it.
    #[inline]
    pub(super) fn release(&mut self, fd: i32, key: InterestKey) -> bool {
        let holder = usize::try_from(fd).ok().and_then(|fd| self.holders.get_mut(fd));
        holder.is_some_and(|holder| holder.take_if(|holder| *holder == key).is_some())
    }
}
