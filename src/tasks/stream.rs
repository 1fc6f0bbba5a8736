//! Streams: the source [`StreamSource`].

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use crate::sources::wake::WakeReceiver;
use crate::{EventSource, InterestToken, PostAction, Readiness, Registrar};

/// Polls a stream on the loop's thread, and delivers `Some` for each of its items and `None` for its end, after which
/// the source is removed.
///
/// A stream that is always ready does not keep a dispatch from returning: after as many items as the source's
/// [budget](crate::SourceOptions::budget) allows it waits for the next round. While the source is disabled the stream
/// is not polled. It takes no fd.
///
/// # Limits
///
/// A poll blocks the loop for as long as it takes. If the stream panics, the next dispatch removes the source, and
/// `None` is not delivered.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, words: Vec<&'static str> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use futures_util::stream;
/// use soloop::{EventLoop, StreamSource};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, words: Vec::new() };
/// let source = StreamSource::new(stream::iter(["over", "and", "out"]));
/// state.handle.insert_source(source, |item, state| match item {
///     Some(word) => state.words.push(word),
///     None => state.handle.stop(),
/// })?;
/// event_loop.run(None, &mut state, |_| ())?;
/// assert_eq!(state.words, ["over", "and", "out"]);
/// # Ok::<(), soloop::Error>(())
/// ```
pub struct StreamSource<S> {
    /// `None` once it has ended, or panicked.
    stream: Option<Pin<Box<S>>>,
    receiver: WakeReceiver<bool>,
    waker: Waker,
}

impl<S: Stream> StreamSource<S> {
    /// Makes a source that polls `stream`.
    pub fn new(stream: S) -> Self {
        let receiver = WakeReceiver::woken();
        Self { stream: Some(Box::pin(stream)), waker: receiver.waker(), receiver }
    }
}

impl<S: Stream + 'static> EventSource for StreamSource<S> {
    type Event<'a> = Option<S::Item>;
    type Ret = ();
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.receiver.register(registrar);
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.receiver.reregister(registrar);
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.receiver.unregister(registrar);
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(Option<S::Item>),
    {
        if !self.receiver.is(token) {
            return Ok(PostAction::Continue);
        }
        // Taken out while it is polled: if the poll panics, the stream is gone.
        let Some(mut stream) = self.stream.take() else {
            return Ok(PostAction::Remove);
        };
        let polled = if self.receiver.take_wake_up() {
            stream.as_mut().poll_next(&mut Context::from_waker(&self.waker))
        } else {
            Poll::Pending
        };
        match polled {
            Poll::Pending => self.stream = Some(stream),
            Poll::Ready(Some(item)) => {
                self.stream = Some(stream);
                // More may be ready. Request a poll before the callback, which may panic or disable the source.
                self.receiver.wake_state().wake_up();
                callback(Some(item));
            }
            Poll::Ready(None) => {
                drop(stream);
                callback(None);
                return Ok(PostAction::Remove);
            }
        }
        Ok(self.receiver.answer())
    }
}

impl<S> fmt::Debug for StreamSource<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSource")
            .field("ended", &self.stream.is_none())
            .finish_non_exhaustive()
    }
}
