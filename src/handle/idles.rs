//! The idle queue: callbacks that run once, after all pending events are processed.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::LoopHandle;
use crate::shrink::pop_front;
use crate::threads::dropped_guards::DroppedGuard;
use crate::{IdleToken, SourceOptions};

type Idle<Data> = Box<dyn FnOnce(&mut Data)>;

/// First in, first out. A token is the idle's serial number, so subtracting `first` gives its place in the queue. A
/// cancelled idle leaves its place empty until its turn.
pub(crate) struct Idles<Data> {
    queue: VecDeque<Option<Idle<Data>>>,
    /// The serial number of the first idle in the queue.
    first: u64,
    /// The names of the idles that have one, in the order of the queue.
    names: VecDeque<(IdleToken, Cow<'static, str>)>,
}

impl<Data> Idles<Data> {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::new(), first: 0, names: VecDeque::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The token of the next idle to be pushed.
    fn next_token(&self) -> IdleToken {
        IdleToken(self.first + self.queue.len() as u64)
    }

    /// Takes out the idle that `token` names, if it has neither run nor been cancelled.
    pub(crate) fn cancel(&mut self, token: IdleToken) -> Option<Idle<Data>> {
        let place = usize::try_from(token.0.checked_sub(self.first)?).ok()?;
        self.queue.get_mut(place)?.take()
    }

    /// Takes out the next idle, and its name if it has one. `None` in the place of a cancelled one, too.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(Option<Cow<'static, str>>, Idle<Data>)> {
        let is_named = self.names.front().is_some_and(|(token, _)| token.0 == self.first);
        let name = if is_named { pop_front(&mut self.names).map(|(_, name)| name) } else { None };
        let idle = pop_front(&mut self.queue)?;
        self.first += 1;
        Some((name, idle?))
    }
}

impl<Data> LoopHandle<Data> {
    /// Queues `callback` to run once, after the events of the current round (in an idle, or outside of a dispatch:
    /// of the next round). The loop does not block while an idle is queued.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, log: Vec<&'static str> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    ///
    /// let (mut event_loop, handle) = soloop::EventLoop::new()?;
    /// let mut state = State { handle, log: Vec::new() };
    /// let (ping, source) = soloop::make_ping();
    /// state.handle.insert_source(source, |(), state| state.log.push("event"))?;
    /// state.handle.insert_idle(|state| state.log.push("idle"));
    /// ping.ping();
    /// event_loop.dispatch(Duration::ZERO, &mut state)?;
    /// assert_eq!(state.log, ["event", "idle"]);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias = "defer")]
    pub fn insert_idle(&mut self, callback: impl FnOnce(&mut Data) + 'static) -> IdleToken {
        self.note_work();
        let token = self.idles.next_token();
        self.idles.queue.push_back(Some(Box::new(callback)));
        token
    }

    /// Queues `callback` like [`insert_idle`](Self::insert_idle), with a name or a [`Scope`](crate::Scope). When the
    /// scope is dropped before the callback ran, the callback is dropped unrun.
    ///
    /// An idle has no priority, no budget and no error policy: those options have no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, drawn: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{EventLoop, Scope, SourceOptions};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, drawn: 0 };
    /// let (window, closed) = (Scope::new(), Scope::new());
    /// for scope in [&window, &closed] {
    ///     let redraw = SourceOptions::new().name("redraw").scope(scope);
    ///     state.handle.insert_idle_with(redraw, |state| state.drawn += 1);
    /// }
    /// drop(closed);
    /// event_loop.dispatch(Duration::ZERO, &mut state)?;
    /// assert_eq!(state.drawn, 1);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn insert_idle_with(
        &mut self,
        options: SourceOptions,
        callback: impl FnOnce(&mut Data) + 'static,
    ) -> IdleToken {
        let SourceOptions { name, scope, .. } = options;
        let token = self.idles.next_token();
        let member = scope.map(|mut scope| {
            scope.enter(self.guard_of(DroppedGuard::Idle(token)));
            scope
        });
        self.idles.names.extend(name.map(|name| (token, name)));
        self.insert_idle(move |data| {
            // The idle leaves its scope first, because the callback may drop the scope.
            drop(member);
            callback(data);
        })
    }

    /// Drops an idle callback before it runs. `false` if it has run, is running or was cancelled already.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    ///
    /// let (mut event_loop, handle) = soloop::EventLoop::new()?;
    /// let mut state = State { handle };
    /// let idle = state.handle.insert_idle(|_| unreachable!("it is cancelled"));
    /// assert!(state.handle.cancel_idle(idle));
    /// event_loop.dispatch(Duration::ZERO, &mut state)?;
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias = "cancel")]
    pub fn cancel_idle(&mut self, token: IdleToken) -> bool {
        self.idles.cancel(token).is_some()
    }
}
