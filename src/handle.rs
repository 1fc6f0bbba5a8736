//! What a callback may change: a plain field of the state.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use slotmap::Key;

use crate::abandoned::Abandoned;
use crate::clock::stamp;
use crate::error::InsertError;
use crate::idle::Idles;
use crate::options::SourceOptions;
use crate::pending::{Call, Op, Pending, Queued};
use crate::registrations::Registrations;
use crate::remote::{Mailbox, Remote};
use crate::shared::LoopSignal;
use crate::slot::{Once, Repeated, TypedSlot, downcast_mut};
use crate::source::AnySource;
use crate::token::SourceKey;
use crate::{AnyToken, EventLoop, EventSource, IdleToken, Registrar, Timer, Token};

/// Implemented by the state of a loop, so that the loop finds its handle again.
///
/// # Examples
///
/// ```
/// use soloop::{LoopData, LoopHandle};
///
/// struct State {
///     handle: LoopHandle<State>,
///     frames: u64,
/// }
///
/// impl LoopData for State {
///     fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
///         &mut self.handle
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say where its `LoopHandle` is",
    label = "implement `soloop::LoopData` for this state",
    note = "keep the handle that `EventLoop::new` returned in a field of the state, and lend it out:\nimpl LoopData for State {{ fn loop_handle(&mut self) -> &mut LoopHandle<Self> {{ &mut self.handle }} }}"
)]
pub trait LoopData: Sized {
    /// The handle that [`EventLoop::new`](crate::EventLoop::new) made together with the loop.
    fn loop_handle(&mut self) -> &mut LoopHandle<Self>;
}

/// Inserts and changes sources, from anywhere the state is at hand: a field of it.
///
/// There is exactly one handle to a loop, made with it by [`EventLoop::new`](crate::EventLoop::new), and
/// it can't be cloned: whoever has `&mut` of the state has the handle. What has to touch a stored source
/// is queued, and applied in order as soon as the current callback returns, before any other runs;
/// between dispatches, at the start of the next one or by
/// [`EventLoop::apply_pending`](crate::EventLoop::apply_pending). Tokens are valid at once for every
/// later operation. Like the loop it belongs to its thread: to another one, send a [`Remote`].
pub struct LoopHandle<Data> {
    pub(crate) registrations: Registrations,
    pub(crate) pending: Pending<Data>,
    pub(crate) idles: Idles<Data>,
    pub(crate) mailbox: Arc<Mailbox<Data>>,
    pub(crate) abandoned: Arc<Abandoned>,
    /// The sources that host a loop, and some that are gone.
    #[cfg(all(unix, feature = "calloop"))]
    pub(crate) hosting: Vec<SourceKey>,
    /// The handles of hosted loops, some of which are gone.
    #[cfg(all(unix, feature = "calloop"))]
    pub(crate) calloops: Vec<crate::hosting::Handle<Data>>,
}

impl<Data> LoopHandle<Data> {
    pub(crate) fn new(registrations: Registrations, mailbox: Arc<Mailbox<Data>>) -> Self {
        let abandoned = Abandoned::new(Arc::clone(&registrations.shared));
        Self {
            registrations,
            pending: Pending::new(),
            idles: Idles::new(),
            mailbox,
            abandoned,
            #[cfg(all(unix, feature = "calloop"))]
            hosting: Vec::new(),
            #[cfg(all(unix, feature = "calloop"))]
            calloops: Vec::new(),
        }
    }

    /// Inserts a source. It is registered with the kernel at once and `callback` is called for each of
    /// its events, from the next wait on.
    ///
    /// # Errors
    ///
    /// What the source's `register` answers, together with the source; nothing of the attempt stays
    /// behind.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = soloop::EventLoop::new()?;
    /// let mut state = State { handle };
    /// let token = state.handle.insert_source(Timer::immediate(), |_deadline, state: &mut State| {
    ///     state.handle.stop();
    ///     TimeoutAction::Drop
    /// })?;
    /// event_loop.run(None, &mut state, |_| ())?;
    /// assert!(!state.handle.contains(token));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    // Each callback has an instance of this of its own, which is called from where the callback is written. There it is
    // inlined: a return after the system call that watches an fd takes long, as it does in `EventLoop::dispatch`.
    #[inline(always)]
    pub fn insert_source<S, F>(
        &mut self,
        source: S,
        callback: F,
    ) -> Result<Token<S>, InsertError<S>>
    where
        S: EventSource,
        F: FnMut(S::Event<'_>, &mut Data) -> S::Ret + 'static,
    {
        self.insert_slot(None, Repeated { source, callback })
    }

    /// Inserts a source that has a name, a priority, a budget, an error policy or a scope of its own.
    ///
    /// # Errors
    ///
    /// As [`insert_source`](Self::insert_source).
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, Priority, SourceOptions, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// let options = SourceOptions::new().name("frame").priority(Priority::High);
    /// state.handle.insert_source_with(options, Timer::immediate(), |_, _| TimeoutAction::Drop)?;
    /// event_loop.dispatch(None, &mut state)?;
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn insert_source_with<S, F>(
        &mut self,
        options: SourceOptions,
        source: S,
        callback: F,
    ) -> Result<Token<S>, InsertError<S>>
    where
        S: EventSource,
        F: FnMut(S::Event<'_>, &mut Data) -> S::Ret + 'static,
    {
        self.insert_slot(Some(options), Repeated { source, callback })
    }

    /// Inserts a source for one event: `callback` may consume what it captured, and the source is
    /// removed after it, whatever it answers and whatever the callback asks of the loop for it. (If it
    /// panics, the source is removed at its next event.)
    ///
    /// # Errors
    ///
    /// As [`insert_source`](Self::insert_source).
    ///
    /// # Panics
    ///
    /// A dispatch panics if the source breaks its contract and emits two events in one call.
    pub fn insert_once<S, F>(&mut self, source: S, callback: F) -> Result<Token<S>, InsertError<S>>
    where
        S: EventSource,
        F: FnOnce(S::Event<'_>, &mut Data) -> S::Ret + 'static,
    {
        self.insert_once_slot(None, source, callback)
    }

    /// Inserts a source for one event, as [`insert_once`](Self::insert_once), that has a name, a priority, a
    /// scope or an error policy of its own.
    ///
    /// # Errors
    ///
    /// As [`insert_source`](Self::insert_source).
    ///
    /// # Panics
    ///
    /// As [`insert_once`](Self::insert_once).
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, title: String }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, SourceOptions, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, title: String::new() };
    /// let title = String::from("consumed, not cloned");
    /// let options = SourceOptions::new().name("new title");
    /// state.handle.insert_once_with(options, Timer::immediate(), |_, state: &mut State| {
    ///     state.title = title;
    ///     TimeoutAction::Drop
    /// })?;
    /// event_loop.dispatch(None, &mut state)?;
    /// assert_eq!(state.title, "consumed, not cloned");
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn insert_once_with<S, F>(
        &mut self,
        options: SourceOptions,
        source: S,
        callback: F,
    ) -> Result<Token<S>, InsertError<S>>
    where
        S: EventSource,
        F: FnOnce(S::Event<'_>, &mut Data) -> S::Ret + 'static,
    {
        self.insert_once_slot(Some(options), source, callback)
    }

    fn insert_once_slot<S, F>(
        &mut self,
        options: Option<SourceOptions>,
        source: S,
        callback: F,
    ) -> Result<Token<S>, InsertError<S>>
    where
        S: EventSource,
        F: FnOnce(S::Event<'_>, &mut Data) -> S::Ret + 'static,
    {
        let token = self.insert_slot(options, Once { source, callback: Some(callback) })?;
        self.registrations.set_once(token.key());
        Ok(token)
    }

    #[inline(always)]
    pub(crate) fn insert_slot<S: EventSource>(
        &mut self,
        options: Option<SourceOptions>,
        slot: impl TypedSlot<Data, Source = S> + 'static,
    ) -> Result<Token<S>, InsertError<S>> {
        // First of all: what is registered is not moved any more, for which the processor would have to wait.
        let mut slot = Box::new(slot);
        let scoped = options.as_ref().is_some_and(|options| options.scope.is_some());
        let attempt = Attempt::new::<S>(&mut self.registrations, options);
        match attempt.register(slot.source_mut()) {
            Ok(key) => {
                self.note_work();
                self.pending.push_insert(key, slot);
                if S::NEEDS_EXTRA_LIFECYCLE_EVENTS {
                    self.pending.push(key, Op::Hook);
                }
                let token = Token::new(key);
                if scoped {
                    self.enter_scope(token);
                }
                Ok(token)
            }
            Err(error) => Err(InsertError { error, source: slot.into_source() }),
        }
    }

    #[cold]
    fn enter_scope<S: EventSource>(&mut self, token: Token<S>) {
        let guard = self.guard(token);
        let options = self.registrations.options_mut(token.key());
        if let Some(scope) = options.and_then(|options| options.scope.as_mut()) {
            scope.enter(guard);
        }
    }

    /// Has `callback` run once, after the events of the current round (or of the next one, if none is
    /// under way) are processed. As long as one is queued, the loop does not block.
    pub fn insert_idle(&mut self, callback: impl FnOnce(&mut Data) + 'static) -> IdleToken {
        self.note_work();
        self.idles.push(Box::new(callback))
    }

    /// Drops an idle callback before it runs. `false` if it has run, is running or was cancelled.
    pub fn cancel_idle(&mut self, token: IdleToken) -> bool {
        self.idles.cancel(token).is_some()
    }

    /// Removes and drops a source. It gets no further event, not even of the current round. `false` if
    /// it was gone already.
    pub fn remove(&mut self, token: impl Into<AnyToken>) -> bool {
        let key = token.into().key();
        let live = self.registrations.mark_removed(key);
        if live {
            self.cancel_retry(key);
            self.push(key, Op::Remove);
        }
        live
    }

    /// Removes a source and hands it to `then`, unregistered. `false` if it was gone already.
    pub fn take<S: EventSource>(
        &mut self,
        token: Token<S>,
        then: impl FnOnce(S, &mut Data) + 'static,
    ) -> bool {
        let key = token.key();
        let live = self.registrations.mark_removed(key);
        if live {
            self.cancel_retry(key);
            let then = Box::new(move |source: Box<dyn AnySource>, data: &mut Data| {
                let source: Box<dyn std::any::Any> = source;
                if let Ok(source) = source.downcast::<S>() {
                    then(*source, data);
                }
            });
            self.push_call(key, Call::Take(then));
        }
        live
    }

    /// Has `visitor` run with the source and the state, as soon as the current callback returns.
    /// `false` if the source is gone.
    pub fn visit<S: EventSource>(
        &mut self,
        token: Token<S>,
        visitor: impl FnOnce(&mut S, &mut Data) + 'static,
    ) -> bool {
        let key = token.key();
        let live = self.registrations.is_live(key);
        if live {
            let visitor = Box::new(move |source: &mut dyn AnySource, data: &mut Data| {
                if let Some(source) = downcast_mut::<S>(source) {
                    visitor(source, data);
                }
            });
            self.push_call(key, Call::Visit(visitor));
        }
        live
    }

    /// Has `look` run with the loop, to read but not to run it, and the state, as soon as the current callback
    /// returns. So a callback gets at what stays in `main`: the [table](EventLoop::sources) of sources, the
    /// [statistics](EventLoop::stats), the [observer](EventLoop::observer), and [any source](EventLoop::get).
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, answer: String }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, SourceOptions, make_ping};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, answer: String::new() };
    /// let (question, source) = make_ping();
    /// let options = SourceOptions::new().name("control");
    /// state.handle.insert_source_with(options, source, |(), state: &mut State| {
    ///     state.handle.inspect(|event_loop, state| {
    ///         state.answer = event_loop.sources(&state.handle).to_string();
    ///     });
    /// })?;
    /// question.ping();
    /// event_loop.dispatch(None, &mut state)?;
    /// assert!(state.answer.contains("\ncontrol  PingSource  enabled"));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn inspect(&mut self, look: impl FnOnce(&EventLoop<Data>, &mut Data) + 'static) {
        self.push_call(SourceKey::null(), Call::Inspect(Box::new(look)));
    }

    /// Changes a source as soon as the current callback returns, and re-registers it. A failure to do
    /// so comes out of the dispatch. `false` if the source is gone.
    pub fn update<S: EventSource>(
        &mut self,
        token: Token<S>,
        change: impl FnOnce(&mut S) + 'static,
    ) -> bool {
        let key = token.key();
        let live = self.registrations.touch(key);
        if live {
            let change = Box::new(move |source: &mut dyn AnySource| {
                if let Some(source) = downcast_mut::<S>(source) {
                    change(source);
                }
            });
            self.push_call(key, Call::Update(change));
        }
        live
    }

    /// Moves the deadline of a timer, as [`update`](Self::update) with [`Timer::set_deadline`] does, but without a
    /// closure and its allocation: for one that is moved by every event, such as the one that finds a user idle.
    /// `false` if the timer is gone.
    ///
    /// A timer that waits is moved at once, and fires after those that are armed for the same deadline by then. The
    /// [`Timer`] itself has the new deadline as soon as the current callback returns. One that is disabled waits for it
    /// when it is enabled again.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, fired: Vec<std::time::Instant> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{Clock, EventLoop, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    /// let mut state = State { handle, fired: Vec::new() };
    /// let minute = Duration::from_secs(60);
    /// let idle = Timer::from_duration(minute);
    /// let idle = state.handle.insert_source(idle, |deadline, state: &mut State| {
    ///     state.fired.push(deadline);
    ///     TimeoutAction::Drop
    /// })?;
    /// // The user is there, and not idle for another minute.
    /// let later = state.handle.now() + 2 * minute;
    /// state.handle.set_deadline(idle, later);
    /// event_loop.dispatch(None, &mut state)?;
    /// assert_eq!(state.fired, [later]);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[inline]
    pub fn set_deadline(&mut self, token: Token<Timer>, deadline: Instant) -> bool {
        let key = token.key();
        let at = stamp(deadline);
        let live = self.registrations.move_deadline(key, at);
        if live {
            self.note_work();
            self.pending.push_deadline(key, at);
        }
        live
    }

    /// Registers a disabled source again; does nothing to one that is enabled. A failure comes out of
    /// the dispatch. `false` if the source is gone.
    pub fn enable(&mut self, token: impl Into<AnyToken>) -> bool {
        self.push_if_live(token.into().key(), Op::Enable)
    }

    /// Unregisters a source but keeps it: its messages, signals and due timers wait until it is enabled
    /// again. It gets no further event, not even of the current round. `false` if the source is gone.
    pub fn disable(&mut self, token: impl Into<AnyToken>) -> bool {
        self.push_if_live(token.into().key(), Op::Disable)
    }

    /// Whether the source is there: neither removed nor about to be.
    pub fn contains(&self, token: impl Into<AnyToken>) -> bool {
        self.registrations.is_live(token.into().key())
    }

    /// Makes [`EventLoop::run`](crate::EventLoop::run) return after the current dispatch, or at once if
    /// it is not running yet. Keeps the next wait from blocking.
    pub fn stop(&mut self) {
        self.registrations.shared.stop();
    }

    /// Stops or wakes the loop, from any thread.
    pub fn signal(&self) -> LoopSignal {
        LoopSignal::new(Arc::clone(&self.registrations.shared))
    }

    /// Reaches the state from any thread, and from places such as a `Drop`.
    pub fn remote(&self) -> Remote<Data> {
        Remote::new(Arc::clone(&self.mailbox), Arc::clone(&self.registrations.shared))
    }

    /// The time on the loop's clock.
    pub fn now(&self) -> Instant {
        self.registrations.clock.now()
    }

    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        !self.pending.is_empty() || !self.idles.is_empty()
    }

    /// Whether there is an op to apply.
    #[inline]
    pub(crate) fn has_ops(&self) -> bool {
        !self.pending.is_empty() || !self.abandoned.is_empty()
    }

    /// The next op to apply. What was abandoned by now is among them.
    #[inline]
    pub(crate) fn next_op(&mut self) -> Option<Queued> {
        if !self.abandoned.is_empty() {
            self.remove_abandoned();
        }
        self.pending.pop()
    }

    fn push_if_live(&mut self, key: SourceKey, op: Op) -> bool {
        let live = self.registrations.touch(key);
        if live {
            self.cancel_retry(key);
            self.push(key, op);
        }
        live
    }

    /// What is asked for explicitly is not undone by a retry that was to come later.
    fn cancel_retry(&mut self, key: SourceKey) {
        if !self.registrations.retries.is_empty()
            && let Some(timer) = self.registrations.retries.remove(key)
        {
            self.remove(timer);
        }
    }

    #[inline]
    fn push(&mut self, key: SourceKey, op: Op) {
        self.note_work();
        self.pending.push(key, op);
    }

    fn push_call(&mut self, key: SourceKey, call: Call<Data>) {
        self.note_work();
        self.pending.push_call(key, call);
    }

    /// Tells the loop when there is something to do for the first time since it last looked.
    #[inline]
    fn note_work(&mut self) {
        if !self.has_work() {
            self.registrations.shared.set_work(true);
        }
    }
}

impl<Data> fmt::Debug for LoopHandle<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle")
            .field("pending", &self.pending)
            .field("idles", &self.idles)
            .finish_non_exhaustive()
    }
}

/// An insertion that leaves nothing behind unless it succeeds, not even if `register` panics.
struct Attempt<'a> {
    registrations: &'a mut Registrations,
    key: SourceKey,
    done: bool,
}

impl<'a> Attempt<'a> {
    #[inline]
    fn new<S: EventSource>(
        registrations: &'a mut Registrations,
        options: Option<SourceOptions>,
    ) -> Self {
        let key = registrations.add_source::<S>(options);
        Self { registrations, key, done: false }
    }

    #[inline(always)]
    fn register<S: EventSource>(mut self, source: &mut S) -> std::io::Result<SourceKey> {
        let mut registrar = Registrar::new(self.registrations, self.key);
        if let Err(error) = source.register(&mut registrar) {
            // It had half a registration at most; what it leaves is swept up.
            let _ = source.unregister(&mut registrar);
            return Err(error);
        }
        self.done = true;
        Ok(self.key)
    }

    #[cold]
    fn undo(&mut self) {
        self.registrations.sweep(self.key);
        self.registrations.forget_source(self.key);
        self.registrations.renew_nearest();
    }
}

impl Drop for Attempt<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.done {
            self.undo();
        }
    }
}

assert_traits!(LoopHandle<()>: Unpin; not Send, Sync, Copy, Clone, UnwindSafe, RefUnwindSafe);
