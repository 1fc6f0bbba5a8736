//! The socket that viewers connect to: open to its owner only, and removed when dropped.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen};

#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    pub(super) path: PathBuf,
    /// The file that `bind` made. Another file at this path is not removed.
    file: (u64, u64),
}

impl Socket {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        Self::bind_at(path).map_err(|error| {
            io::Error::new(error.kind(), format!("no socket at {}: {error}", path.display()))
        })
    }

    fn bind_at(path: &Path) -> io::Result<Self> {
        let address = SocketAddrUnix::new(path).map_err(|_| {
            let bytes = path.as_os_str().len();
            let text =
                format!("a path of {bytes} bytes is too long for a socket, or has a zero in it");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        let listener = match listen_at(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                listen_at(&address)?
            }
            listener => listener?,
        };
        // For systems where `bind` does not give the file the mode of the socket.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned(), file: file_of(path)? })
    }

    /// The next viewer; `None` if there is none, for example because it has disconnected.
    pub(super) fn accept(&self) -> io::Result<Option<UnixStream>> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                Ok(Some(stream))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted => Ok(None),
                _ => Err(error),
            },
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if file_of(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn listen_at(address: &SocketAddrUnix) -> io::Result<UnixListener> {
    let fd = new_socket()?;
    // On Linux the file gets the mode of the socket, so that others can connect at no time.
    let _ = fchmod(&fd, Mode::RUSR | Mode::WUSR);
    bind(&fd, address)?;
    listen(&fd, 16)?;
    let listener = UnixListener::from(fd);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A socket that no child inherits, not even one that another thread starts meanwhile.
#[cfg(not(target_vendor = "apple"))]
fn new_socket() -> rustix::io::Result<OwnedFd> {
    let flags = rustix::net::SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// A socket that children do not inherit. A child that another thread starts meanwhile does: these systems have no flag
/// for it.
#[cfg(target_vendor = "apple")]
fn new_socket() -> rustix::io::Result<OwnedFd> {
    let fd = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Removes a socket that no process listens on.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if !found.file_type().is_socket() {
        let text = "a file that is no socket is in the way";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        let text = format!("the socket there belongs to user {}", found.uid());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there")),
    }
}

fn file_of(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
