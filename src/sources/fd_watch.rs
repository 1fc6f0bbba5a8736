//! The watch of an fd that a source has for good: what those sources share that own one.

use std::io;
use std::os::fd::BorrowedFd;

use crate::{Interest, InterestToken, Mode, Registrar};

#[derive(Debug, Default)]
pub(crate) struct FdWatch {
    token: Option<InterestToken>,
}

impl FdWatch {
    /// Registers `fd`, or brings its registration up to date.
    pub(crate) fn register(
        &mut self,
        registrar: &mut Registrar<'_>,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        match self.token {
            Some(token) => registrar.reregister_fd(token, fd, interest, mode),
            None => {
                self.token = Some(registrar.register_fd(fd, interest, mode)?);
                Ok(())
            }
        }
    }

    /// Ends the registration, if there is one.
    pub(crate) fn unregister(
        &mut self,
        registrar: &mut Registrar<'_>,
        fd: BorrowedFd<'_>,
    ) -> io::Result<()> {
        match self.token.take() {
            Some(token) => registrar.unregister_fd(token, fd),
            None => Ok(()),
        }
    }

    /// The token of the fd, while it is registered.
    #[cfg(feature = "wayland-client")]
    pub(crate) fn token(&self) -> Option<InterestToken> {
        self.token
    }

    /// Whether `token` is that of the fd.
    pub(crate) fn is(&self, token: InterestToken) -> bool {
        self.token == Some(token)
    }
}
