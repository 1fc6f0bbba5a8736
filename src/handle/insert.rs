//! Insertions: the handle registers a source with the kernel at once, and an op stores it.

use std::io;
use std::mem::needs_drop;

use super::{LoopHandle, Op};
use crate::error::{InsertError, InsertOnceError};
use crate::registry::Registrations;
use crate::registry::options::SourceOptions;
use crate::registry::slot::{Callback, Slot, once, repeated};
use crate::token::SourceKey;
use crate::{EventSource, Registrar, Token};

impl<Data> LoopHandle<Data> {
    /// Inserts a source and its callback. The source is registered with the kernel at once; `callback` is called with
    /// each of its events, from the next wait on.
    ///
    /// What the event and the answer of a callback are depends on the source: the guide has [a
    /// table](crate::guide::sources).
    ///
    /// # Errors
    ///
    /// The error of the source's `register`, together with the source; nothing of the attempt stays behind.
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the loop is gone.
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
    /// let token = state.handle.insert_source(Timer::immediate(), |_deadline, state| {
    ///     state.handle.stop();
    ///     TimeoutAction::Drop
    /// })?;
    /// event_loop.run(None, &mut state, |_| ())?;
    /// assert!(!state.handle.contains(token));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias = "register_dispatcher")]
    pub fn insert_source<S, F>(
        &mut self,
        source: S,
        callback: F,
    ) -> Result<Token<S>, InsertError<S>>
    where
        S: EventSource,
        F: FnMut(S::Event<'_>, &mut Data) -> S::Ret + 'static,
    {
        self.insert_source_with(SourceOptions::new(), source, callback)
    }

    /// Inserts a source like [`insert_source`](Self::insert_source), with [`SourceOptions`]: a name, a priority,
    /// budgets, an error policy or a scope.
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
        self.insert_slot(options, source, callback, false, repeated::<S, F, Data>)
            .map_err(Into::into)
    }

    /// Inserts a source for one event: `callback` may consume what it captured. The source is removed after that
    /// event, whatever the callback answers and whatever ops it queues for the source. (If it panics, the next
    /// dispatch removes the source.) A source that fails before its first event stays.
    ///
    /// # Errors
    ///
    /// As [`insert_source`](Self::insert_source); the callback comes back as well.
    ///
    /// # Panics
    ///
    /// A dispatch panics if the source breaks its contract and emits two events in one call.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, title: String }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, title: String::new() };
    /// let title = String::from("consumed, not cloned");
    /// state.handle.insert_once(Timer::immediate(), |_, state| {
    ///     state.title = title;
    ///     TimeoutAction::Drop
    /// })?;
    /// event_loop.dispatch(None, &mut state)?;
    /// assert_eq!(state.title, "consumed, not cloned");
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias = "oneshot")]
    pub fn insert_once<S, F>(
        &mut self,
        source: S,
        callback: F,
    ) -> Result<Token<S>, InsertOnceError<S, F>>
    where
        S: EventSource,
        F: FnOnce(S::Event<'_>, &mut Data) -> S::Ret + 'static,
    {
        self.insert_once_with(SourceOptions::new(), source, callback)
    }

    /// Inserts a source for one event like [`insert_once`](Self::insert_once), with [`SourceOptions`]: a name, a
    /// priority, a scope or an error policy.
    ///
    /// # Errors
    ///
    /// As [`insert_once`](Self::insert_once).
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
    /// state.handle.insert_once_with(options, Timer::immediate(), |_, state| {
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
    ) -> Result<Token<S>, InsertOnceError<S, F>>
    where
        S: EventSource,
        F: FnOnce(S::Event<'_>, &mut Data) -> S::Ret + 'static,
    {
        self.insert_slot(options, source, callback, true, once::<S, F, Data>)
    }

    /// Registers a source and queues an op that stores it, with the callback that `make` makes. `once`: the source goes
    /// after its first event.
    #[inline]
    pub(crate) fn insert_slot<S: EventSource, C>(
        &mut self,
        options: SourceOptions,
        source: S,
        callback: C,
        once: bool,
        make: impl FnOnce(C) -> Callback<Data>,
    ) -> Result<Token<S>, InsertOnceError<S, C>> {
        if self.registrations.shared().ready().is_closed() {
            let error = "the event loop of this handle is gone";
            let error = io::Error::new(io::ErrorKind::NotConnected, error);
            return Err(InsertOnceError { error, source, callback });
        }
        let drops = S::DROP_RUNS_CODE || needs_drop::<C>();
        // Box first: moving the source after registering stalls on its recent stores.
        let mut source = Box::new(source);
        let key = self.registrations.add_source::<S>(options, once, drops);
        let attempt = Attempt { registrations: &mut self.registrations, key };
        let mut registrar = Registrar::new(attempt.registrations, key);
        if let Err(error) = source.register(&mut registrar) {
            // The source has part of a registration at most; the end of `attempt` removes what this leaves.
            let _ = source.unregister(&mut registrar);
            drop(attempt);
            return Err(InsertOnceError { error, source: *source, callback });
        }
        std::mem::forget(attempt);
        self.push(Op::Insert(key, Slot { source, callback: make(callback) }));
        Ok(Token::new(key))
    }
}

/// An insertion that leaves nothing behind if it fails, even if `register` panics.
struct Attempt<'a> {
    registrations: &'a mut Registrations,
    key: SourceKey,
}

impl Drop for Attempt<'_> {
    #[cold]
    fn drop(&mut self) {
        self.registrations.sweep(self.key);
        // No orphan report: the failed source has no name to report.
        self.registrations.forget_lost(self.key);
        self.registrations.delete_row(self.key);
        self.registrations.renew_nearest();
    }
}
