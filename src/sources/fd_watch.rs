//! The watch of one fd: shared by the sources that own an fd for good.

use std::io;
use std::os::fd::BorrowedFd;

use crate::{Interest, InterestToken, Mode, Registrar};

#[derive(Debug, Default)]
pub(crate) struct FdWatch {
    token: Option<InterestToken>,
}

impl FdWatch {
    /// Registers `fd`, or updates its registration.
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

    /// Ends the registration, if it exists.
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
    pub(crate) fn token(&self) -> Option<InterestToken> {
        self.token
    }

    /// Whether `token` is the fd's.
    pub(crate) fn is(&self, token: InterestToken) -> bool {
        self.token() == Some(token)
    }
}
