//! The errors of the loop, with the name of the source that failed.

use std::any::type_name;
use std::error::Error as StdError;
use std::time::Duration;
use std::{fmt, io};

use crate::AnyToken;
pub(crate) mod type_name;

use type_name::without_paths;

/// The result of an operation of the loop; the error is [`Error`] unless another type is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A [`Result`] inside the loop. The error is large, so it is boxed into one word.
pub(crate) type Outcome<T = ()> = std::result::Result<T, Box<Error>>;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// The errors of a [dispatch](crate::EventLoop::dispatch).
///
/// An error loses nothing: the next dispatch delivers the rest of the round. If several sources fail in one round, or
/// one fails twice, each dispatch returns one of the errors.
///
/// [`EventLoop::on_error`](crate::EventLoop::on_error) has an example of a policy, and [`of_source`](Self::of_source) of its
/// test.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The wait failed, or another system call of the loop itself. (An [`InsertError`] becomes this, too, by `?`.)
    Io(io::Error),
    /// A source, or its callback, failed. The source is still inserted, unless it was inserted for one event and has
    /// emitted it, or a [`Remote`](crate::Remote) inserted it and its registration failed.
    #[non_exhaustive]
    Source {
        /// The source.
        token: AnyToken,
        /// Its name: the one in its [`SourceOptions`](crate::SourceOptions), or else its type without paths.
        name: String,
        /// The error it returned.
        error: BoxError,
    },
    /// The [`LoopHandle`](crate::LoopHandle) in the state belongs to another loop.
    ForeignHandle,
    /// The kernel wakes the loop for an fd that no source watches any more: the fd was closed before its source was
    /// removed or changed to another fd, and a duplicate of it keeps the file open. Reported once for each fd. To
    /// avoid it, remove the source before its fd is closed.
    #[non_exhaustive]
    Orphan {
        /// The source; the token names nothing if the source is gone.
        token: AnyToken,
        /// The source's name, as in [`Source`](Self::Source).
        name: String,
    },
}

impl Error {
    /// Makes an [`Error::Source`], for tests of code that handles one.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{Error, ErrorAction, EventLoop, TimeoutAction, Timer};
    ///
    /// /// The policy under test.
    /// fn decide(error: &Error) -> ErrorAction {
    ///     match error {
    ///         Error::Source { name, .. } if name == "log" => ErrorAction::Disable,
    ///         _ => ErrorAction::Report,
    ///     }
    /// }
    ///
    /// let (_event_loop, mut handle) = EventLoop::<State>::new()?;
    /// let token = handle.insert_timer(Timer::never(), |_, _| TimeoutAction::Drop);
    /// let error = Error::of_source(token, "log", "the disk is full");
    /// assert_eq!(error.to_string(), "source `log` failed: the disk is full");
    /// assert_eq!(decide(&error), ErrorAction::Disable);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn of_source(
        token: impl Into<AnyToken>,
        name: impl Into<String>,
        error: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Source { token: token.into(), name: name.into(), error: error.into() }
    }

    /// Whether the wait failed, or another system call of the loop itself.
    pub fn is_io(&self) -> bool {
        matches!(self, Self::Io(_))
    }

    /// Whether a source failed.
    pub fn is_source(&self) -> bool {
        matches!(self, Self::Source { .. })
    }

    /// Whether the handle in the state belongs to another loop.
    pub fn is_foreign_handle(&self) -> bool {
        matches!(self, Self::ForeignHandle)
    }

    /// The source that the error is about: `Some` for [`Error::Source`] and [`Error::Orphan`].
    pub fn token(&self) -> Option<AnyToken> {
        match self {
            Self::Source { token, .. } | Self::Orphan { token, .. } => Some(*token),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the event loop failed: {error}"),
            Self::Source { name, error, .. } => write!(f, "source `{name}` failed: {error}"),
            Self::Orphan { name, .. } => write!(
                f,
                "source `{name}` closed an fd before it was unregistered, and a duplicate keeps the file open: \
                 the kernel goes on to wake the loop for it"
            ),
            Self::ForeignHandle => {
                f.write_str("the loop handle in the state belongs to another event loop")
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Source { error, .. } => Some(&**error),
            Self::ForeignHandle | Self::Orphan { .. } => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for io::Error {
    /// Unwraps an [`Error::Io`]. Any other error becomes the inner error, with the kind of the `io::Error` that a
    /// source failed with, if it was one.
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Io(error) => return error,
            Error::Source { ref error, .. } => error.downcast_ref().map(Self::kind),
            _ => None,
        };
        Self::new(kind.unwrap_or(io::ErrorKind::Other), error)
    }
}

/// What the loop does about an [`Error::Source`] or an [`Error::Orphan`];
/// [`EventLoop::on_error`](crate::EventLoop::on_error) has an example, and
/// [`SourceOptions::on_error`](crate::SourceOptions::on_error) sets it for one source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum ErrorAction {
    /// The dispatch returns the error; the next one delivers the rest of the round.
    #[default]
    Report,
    /// Go on as if the source had succeeded.
    Ignore,
    /// Disable the source, and go on.
    Disable,
    /// Remove the source, and go on.
    Remove,
    /// Disable the source, go on, and enable it after this time on the loop's clock. If enabling fails, that is
    /// another error. An [`enable`](crate::LoopHandle::enable) or [`disable`](crate::LoopHandle::disable) of the
    /// source before then cancels the retry.
    Retry(Duration),
}

/// A source that could not be inserted, with the reason. It converts into [`io::Error`] and [`Error`], so that `?`
/// works.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use soloop::{EventLoop, make_ping};
///
/// let (event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle };
/// drop(event_loop);
/// let (ping, source) = make_ping();
/// let refused = state.handle.insert_source(source, |(), _| ()).unwrap_err();
/// assert_eq!(refused.error.kind(), std::io::ErrorKind::NotConnected);
/// let source = refused.source; // for another loop
/// # drop((ping, source));
/// # Ok::<(), soloop::Error>(())
/// ```
#[non_exhaustive]
pub struct InsertError<S> {
    /// Why it was refused.
    pub error: io::Error,
    /// The source, as it was.
    pub source: S,
}

impl<S> InsertError<S> {
    /// Makes an error for an insertion function of your own.
    pub fn new(error: io::Error, source: S) -> Self {
        Self { error, source }
    }
}

/// Says why a source of type `S` was refused.
fn write_refusal<S>(error: &io::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let source = without_paths(type_name::<S>());
    write!(f, "cannot insert a source `{source}`: {error}")?;
    #[cfg(target_os = "linux")]
    if error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) {
        f.write_str(
            ": regular files and directories are always ready, and epoll does not watch them",
        )?;
    }
    Ok(())
}

impl<S> fmt::Debug for InsertError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsertError")
            .field("error", &self.error)
            .field("source", &without_paths(type_name::<S>()))
            .finish()
    }
}

impl<S> fmt::Display for InsertError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_refusal::<S>(&self.error, f)
    }
}

impl<S> StdError for InsertError<S> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

impl<S> From<InsertError<S>> for io::Error {
    /// Keeps the kind, and names the type of the source; the source is dropped.
    fn from(error: InsertError<S>) -> Self {
        Self::new(error.error.kind(), error.to_string())
    }
}

impl<S> From<InsertError<S>> for Error {
    fn from(error: InsertError<S>) -> Self {
        Self::Io(error.into())
    }
}

/// A source that could not be inserted for one event, with the reason and the callback, so that nothing the callback
/// owns is lost.
///
/// It converts into an [`InsertError`] (which drops the callback), [`io::Error`] and [`Error`], so that `?` works.
#[non_exhaustive]
pub struct InsertOnceError<S, F> {
    /// Why it was refused.
    pub error: io::Error,
    /// The source, as it was.
    pub source: S,
    /// The callback, which was not called.
    pub callback: F,
}

impl<S, F> fmt::Debug for InsertOnceError<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsertOnceError")
            .field("error", &self.error)
            .field("source", &without_paths(type_name::<S>()))
            .finish_non_exhaustive()
    }
}

impl<S, F> fmt::Display for InsertOnceError<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_refusal::<S>(&self.error, f)
    }
}

impl<S, F> StdError for InsertOnceError<S, F> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

impl<S, F> From<InsertOnceError<S, F>> for InsertError<S> {
    fn from(error: InsertOnceError<S, F>) -> Self {
        Self { error: error.error, source: error.source }
    }
}

impl<S, F> From<InsertOnceError<S, F>> for io::Error {
    /// Keeps the kind, and names the type of the source; the source and the callback are dropped.
    fn from(error: InsertOnceError<S, F>) -> Self {
        InsertError::from(error).into()
    }
}

impl<S, F> From<InsertOnceError<S, F>> for Error {
    fn from(error: InsertOnceError<S, F>) -> Self {
        InsertError::from(error).into()
    }
}
