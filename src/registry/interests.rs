//! What each interest waits for, and how the kernel knows it.

use std::io;

use super::rows::Held;
use super::{IoWatch, Registrations, Watch};
use crate::kernel::{self, Rearm};
use crate::token::SourceKey;
use crate::{Interest, InterestToken};

impl Registrations {
    /// Adds an interest in an fd, which `register` registers with the kernel. If that fails, nothing is added.
    #[inline]
    pub(crate) fn add_io(
        &mut self,
        source: SourceKey,
        fd: i32,
        interest: Interest,
        register: impl FnOnce(&mio::Registry, InterestToken) -> io::Result<Rearm>,
    ) -> io::Result<InterestToken> {
        let io = IoWatch { fd, wants: interest.into(), rearm: Rearm::Native };
        let key = self.rows.add(source, |_| Watch::Io(io));
        let registered = register(&self.registry, key);
        let rearm = registered.inspect_err(|_| self.remove_interest(key))?;
        self.set_io(key, fd, interest, rearm);
        Ok(key)
    }

    /// Notes how an interest in an fd is registered with the kernel. `fd`: −1 for a mio source.
    #[inline]
    pub(crate) fn set_io(&mut self, key: InterestToken, fd: i32, interest: Interest, rearm: Rearm) {
        self.emulates_oneshot |= rearm == Rearm::OneShot;
        self.emulates_level |= rearm == Rearm::Level;
        self.has_mio |= fd.is_negative();
        if rearm != Rearm::Absent
            && let Ok(place) = usize::try_from(fd)
        {
            if place >= self.fds.len() {
                self.fds.resize(place + 1, None);
            }
            self.fds[place] = Some(key);
        }
        if let Some((_, held)) = self.rows.get(key) {
            let io = IoWatch { fd, wants: interest.into(), rearm };
            let before = std::mem::replace(&mut held.watch, Watch::Io(io));
            self.quiet_level |= matches!(before, Watch::Io(IoWatch { rearm: Rearm::Repeated, .. }));
        }
    }

    /// Whether a level-triggered fd may be ready for which the kernel makes no new edge; resets the note.
    pub(crate) fn take_quiet_level(&mut self) -> bool {
        std::mem::take(&mut self.quiet_level)
    }

    /// Makes the kernel forget the fd with the number in `io`, unless the number belongs to another interest by now.
    /// `has_it`: the source has an fd with this number.
    ///
    /// # Errors
    ///
    /// Those of `epoll_ctl(2)`; no error if the kernel knows no file under the number.
    #[inline]
    pub(crate) fn forget_fd(
        &mut self,
        source: SourceKey,
        io: IoWatch,
        key: InterestToken,
        has_it: bool,
    ) -> io::Result<()> {
        if io.rearm == Rearm::Absent {
            return Ok(());
        }
        // No place has the number −1.
        let holder = self.fds.get_mut(io.fd as usize);
        let held = holder.and_then(|holder| holder.take_if(|holder| *holder == key)).is_some();
        // A mio source hides its number, which may be that of a file that was closed.
        let is_own = || !self.has_mio || !kernel::is_of_another(&self.registry, io.fd, key);
        let deleted = if held && (has_it || is_own()) {
            kernel::delete_raw(&self.registry, io.fd)
        } else {
            Err(io::ErrorKind::NotFound.into())
        };
        deleted.or_else(|error| {
            self.lost.push((source, key));
            if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
        })
    }

    /// Takes one of the interests that the kernel could not be told to forget. The kernel has forgotten it by itself,
    /// unless a duplicate keeps the file open.
    #[inline]
    pub(crate) fn next_lost(&mut self) -> Option<(SourceKey, InterestToken)> {
        self.lost.pop()
    }

    /// Drops such interests of a source that has no name.
    pub(crate) fn forget_lost(&mut self, source: SourceKey) {
        self.lost.retain(|(of, _)| *of != source);
    }

    /// Removes an interest. The kernel is told by the caller.
    #[inline]
    pub(crate) fn remove_interest(&mut self, key: InterestToken) {
        if let Some((source, Watch::Deadline(position))) = self.rows.remove(key) {
            self.change_deadlines(source, |queue, rows| {
                queue.remove(key, position, rows);
            });
        }
    }

    /// What the interest `key` waits for, if `source` holds it.
    #[inline]
    pub(crate) fn watch(&mut self, source: SourceKey, key: InterestToken) -> Option<Watch> {
        let (holder, held) = self.rows.get(key)?;
        (holder.source == source).then_some(held.watch)
    }

    /// Whether there may be an interest whose mode asks for a re-registration after each event.
    #[inline]
    pub(crate) fn emulates_level(&self) -> bool {
        self.emulates_level
    }

    /// Whether to deliver what the kernel reported. `false` after the first event of a one-shot interest that the
    /// kernel does not know to be one-shot.
    #[inline]
    pub(crate) fn admits(&mut self, interest: InterestToken) -> bool {
        !self.emulates_oneshot || self.spend_oneshot(interest)
    }

    #[cold]
    fn spend_oneshot(&mut self, interest: InterestToken) -> bool {
        let Some((_, Held { watch: Watch::Io(io), .. })) = self.rows.get(interest) else {
            return true;
        };
        if io.rearm == Rearm::OneShot {
            io.rearm = Rearm::Spent;
            return true;
        }
        io.rearm != Rearm::Spent
    }
}
