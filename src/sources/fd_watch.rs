//! The watch of one fd: shared by the sources that own an fd.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use crate::{Interest, InterestToken, Mode, Registrar};

#[derive(Debug, Default)]
pub(crate) struct FdWatch {
    /// The registration, and the number of the fd that was registered.
    registered: Option<(InterestToken, RawFd)>,
}

impl FdWatch {
    /// Registers `fd`, or updates its registration. It replaces another file.
    #[inline]
    pub(crate) fn register(
        &mut self,
        registrar: &mut Registrar<'_>,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        if let Some(token) = self.token()
            && registrar.modify_fd(token, fd, interest, mode)?
        {
            return Ok(());
        }
        // A new token makes later events of the old file recognisable as stale.
        let token = registrar.register_fd(fd, interest, mode)?;
        let old = self.registered.replace((token, fd.as_raw_fd()));
        old.map_or(Ok(()), |(token, _)| registrar.unregister_fd(token, fd))
    }

    /// Ends the registration, if it exists.
    pub(crate) fn unregister(
        &mut self,
        registrar: &mut Registrar<'_>,
        fd: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let old = self.registered.take();
        old.map_or(Ok(()), |(token, _)| registrar.unregister_fd(token, fd))
    }

    /// The token of the fd, while it is registered.
    pub(crate) fn token(&self) -> Option<InterestToken> {
        self.registered.map(|(token, _)| token)
    }

    /// Whether `token` is the fd's.
    pub(crate) fn is(&self, token: InterestToken) -> bool {
        self.token() == Some(token)
    }

    /// Whether an fd with the number of `fd` is registered.
    pub(crate) fn has(&self, fd: BorrowedFd<'_>) -> bool {
        self.registered.is_some_and(|(_, number)| number == fd.as_raw_fd())
    }
}
