//! Work for the loop from its own thread, where neither the state nor its handle is at hand.
//!
//! A post made here need not be `Send`, so it can't go into the mailbox of the remotes. It goes into a queue of its
//! own, and a post in that mailbox runs the next one from the queue. So both kinds of posts keep their common order,
//! and the loop handles only one kind.

use std::fmt;
use std::sync::Arc;

use crate::handle::SendARemote;
use crate::threads::remote::Mailbox;
use crate::{LoopData, LoopHandle, Remote};

/// A post made through a [`LocalRemote`].
pub(crate) type LocalPost<Data> = Box<dyn FnOnce(&mut Data)>;

/// Reaches the state of a loop from the loop's own thread: from a `Drop`, from a callback that another library calls
/// without the state, or from a thread-local.
///
/// [`LoopHandle::local_remote`] makes it. It differs from a [`Remote`] in that its closures need not be `Send`, and
/// so it is not `Send` either. Posts run when those of a `Remote` do, and in one order with them.
///
/// # Limits
///
/// Those of a [`Remote`]: the number of posts is unbounded, and a loop that is dropped drops its remaining posts
/// without running them.
///
/// # Examples
///
/// A menu of another library, which calls its entries without arguments:
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, windows: u32 }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::sync::mpsc;
/// use soloop::EventLoop;
///
/// struct Menu {
///     entries: Vec<Box<dyn Fn()>>,
/// }
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, windows: 0 };
/// let remote = state.handle.local_remote();
/// let (names, _opened) = mpsc::channel::<String>(); // not to be shared with a thread
/// let new_window = Box::new(move || {
///     let names = names.clone();
///     remote.post(move |state: &mut State| {
///         state.windows += 1;
///         let _ = names.send(format!("window {}", state.windows));
///     });
/// });
/// let menu = Menu { entries: vec![new_window] };
/// (menu.entries[0])();
/// event_loop.dispatch(None, &mut state)?;
/// assert_eq!(state.windows, 1);
/// # Ok::<(), soloop::Error>(())
/// ```
pub struct LocalRemote<Data> {
    _thread: SendARemote,
    posts: Arc<Mailbox<LocalPost<Data>>>,
    remote: Remote<Data>,
}

impl<Data> LoopHandle<Data> {
    /// Makes a [`LocalRemote`], which reaches the state from elsewhere on this thread with closures that are not
    /// `Send`. For other threads there is [`remote`](Self::remote).
    pub fn local_remote(&self) -> LocalRemote<Data> {
        let posts = Arc::clone(&self.local_posts);
        LocalRemote { _thread: SendARemote::INSTEAD, posts, remote: self.remote() }
    }
}

impl<Data: LoopData> LocalRemote<Data> {
    /// Queues `f` to run with the state, as [`Remote::post`] does. `false` if the loop is gone; `f` is dropped then.
    pub fn post(&self, f: impl FnOnce(&mut Data) + 'static) -> bool {
        self.posts.add(Box::new(f)).is_ok()
            && self.remote.post(|data| {
                // The oldest local post.
                if let Some(post) = data.loop_handle().local_posts.take_next() {
                    post(data);
                }
            })
    }
}

impl<Data> Clone for LocalRemote<Data> {
    fn clone(&self) -> Self {
        let posts = Arc::clone(&self.posts);
        Self { _thread: SendARemote::INSTEAD, posts, remote: self.remote.clone() }
    }
}

impl<Data> fmt::Debug for LocalRemote<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRemote").finish_non_exhaustive()
    }
}
