//! Where the sockets are, and how they are bound. `examples/smithay` has them from here.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use wayland_server::{BindError, ListeningSocket};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// `XDG_RUNTIME_DIR`, or a directory of our own.
pub enum RuntimeDir {
    Given(PathBuf),
    /// Mode 0700, and removed with this.
    Private(tempfile::TempDir),
}

impl RuntimeDir {
    pub fn find() -> io::Result<Self> {
        match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
            Some(path) if path.is_absolute() => Ok(Self::Given(path)),
            _ => {
                let mut builder = tempfile::Builder::new();
                let private = Permissions::from_mode(0o700);
                builder.prefix("compositor-").permissions(private).tempdir().map(Self::Private)
            }
        }
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Private(directory) => directory.path(),
        }
    }
}

/// Listens under the name that is asked for, or the first that is free. A socket and a lock file that a
/// compositor left behind are taken over: the lock is a lock of the kernel's, which dies with its process.
pub fn bind(runtime: &Path, name: Option<&OsStr>) -> Result<(ListeningSocket, OsString)> {
    let candidates: Vec<OsString> = match name {
        Some(name) => vec![name.to_owned()],
        None => (1..33).map(|number| format!("wayland-{number}").into()).collect(),
    };
    for candidate in candidates {
        match ListeningSocket::bind_absolute(runtime.join(&candidate)) {
            Ok(socket) => return Ok((socket, candidate)),
            Err(BindError::AlreadyInUse) if name.is_none() => {}
            Err(BindError::AlreadyInUse) => {
                let path = runtime.join(candidate);
                return Err(format!("another compositor listens at {}", path.display()).into());
            }
            Err(error) => return Err(format!("no socket in {}: {error}", runtime.display()).into()),
        }
    }
    Err(format!("no name for a socket is free in {}", runtime.display()).into())
}

/// The control socket, removed with this.
pub struct ControlSocket(PathBuf);

impl ControlSocket {
    /// Takes the place of one that nobody listens on any more.
    pub fn bind(path: PathBuf) -> Result<(Self, UnixListener)> {
        let bound = UnixListener::bind(&path).or_else(|error| {
            if error.kind() != io::ErrorKind::AddrInUse || UnixStream::connect(&path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(&path)?;
            UnixListener::bind(&path)
        });
        match bound {
            Ok(socket) => Ok((Self(path), socket)),
            Err(error) => Err(format!("no control socket {}: {error}", path.display()).into()),
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // It may be gone with its directory.
        let _ = std::fs::remove_file(&self.0);
    }
}
