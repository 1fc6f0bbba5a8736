//! What a callback may change: a plain field of the state.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::clock::{Clock, stamp};
use crate::handle::local_remote::LocalPost;
use crate::registry::Registrations;
use crate::registry::slot::downcast_mut;
use crate::registry::source::AnySource;
use crate::shrink::pop_front;
use crate::threads::dropped_guards::{DroppedGuard, Guard, SourceGuard};
use crate::threads::remote::{Mailbox, Post, Remote};
use crate::threads::signal::LoopSignal;
use crate::token::SourceKey;
use crate::{AnyToken, EventLoop, EventSource, Registrar, Token};

#[cfg(all(unix, feature = "calloop"))]
pub(crate) mod hosted;
mod idles;
mod insert;
pub(crate) mod local_remote;
mod one;
mod ops;
pub(crate) mod part;

#[cfg(all(unix, feature = "calloop"))]
use hosted::HostedHandle;
use idles::Idles;
pub(crate) use one::SendARemote;
pub(crate) use ops::Op;

/// Implemented by the state of a loop, so that the loop finds its handle in it.
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
    /// Lends the handle that [`EventLoop::new`](crate::EventLoop::new) made together with the loop.
    fn loop_handle(&mut self) -> &mut LoopHandle<Self>;
}

/// Inserts and changes sources; a field of the state, and so within reach of every callback.
///
/// A loop has exactly one handle, made with it by [`EventLoop::new`](crate::EventLoop::new). It can't be cloned:
/// whoever has `&mut` of the state has the handle.
///
/// An operation on a stored source is queued. The queue is applied in order as soon as the current callback returns,
/// before any other callback runs; outside of callbacks, at the start of the next dispatch or by
/// [`EventLoop::apply_pending`](crate::EventLoop::apply_pending). A token is valid at once for every later operation.
///
/// The handle stays in the thread of its loop. Another thread gets a [`Remote`].
///
/// [`insert_source`](Self::insert_source) has an example, and most of the other methods have their own.
pub struct LoopHandle<Data> {
    /// The first field, so that compiler errors name it first.
    _thread: SendARemote,
    /// The tables.
    pub(crate) registrations: Registrations,
    /// In the order in which they were issued.
    ops: VecDeque<Op<Data>>,
    pub(crate) idles: Idles<Data>,
    pub(crate) mailbox: Arc<Mailbox<Post<Data>>>,
    pub(crate) local_posts: Arc<Mailbox<LocalPost<Data>>>,
    /// The handles of hosted loops. Some of these loops may be gone.
    #[cfg(all(unix, feature = "calloop"))]
    pub(crate) calloops: Vec<HostedHandle<Data>>,
}

impl<Data> LoopHandle<Data> {
    pub(crate) fn new(registrations: Registrations) -> Self {
        Self {
            _thread: SendARemote::INSTEAD,
            registrations,
            ops: VecDeque::new(),
            idles: Idles::new(),
            mailbox: Arc::new(Mailbox::new()),
            local_posts: Arc::new(Mailbox::new()),
            #[cfg(all(unix, feature = "calloop"))]
            calloops: Vec::new(),
        }
    }

    /// Removes and drops a source; it gets no further event, not even of the current round. `false` if it was gone
    /// already.
    ///
    /// A visitor or a destructor that calls this also cancels the visits and updates of the source that are queued.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, pinged: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    ///
    /// let (mut event_loop, handle) = soloop::EventLoop::new()?;
    /// let mut state = State { handle, pinged: 0 };
    /// let (ping, source) = soloop::make_ping();
    /// let token = state.handle.insert_source(source, |(), state| state.pinged += 1)?;
    /// ping.ping();
    /// assert!(state.handle.remove(token));
    /// assert!(!state.handle.remove(token)); // gone already
    /// event_loop.dispatch(Duration::ZERO, &mut state)?;
    /// assert_eq!(state.pinged, 0);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn remove(&mut self, token: impl Into<AnyToken>) -> bool {
        let key = token.into().key();
        let live = self.registrations.begin_removal(key);
        self.push_if(live, key, Op::Remove(key))
    }

    /// Removes a source and passes it, unregistered, to `then`. `false` if it was gone already, or is no `S`.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, back: Option<std::net::UdpSocket> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, Generic, Interest, Mode, PostAction};
    ///
    /// # #[cfg(unix)] {
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, back: None };
    /// let source = Generic::new(std::net::UdpSocket::bind("127.0.0.1:0")?, Interest::READ, Mode::Level);
    /// let token = state.handle.insert_source(source, |_, _| Ok(PostAction::Continue))?;
    /// state.handle.take(token, |source, state| state.back = Some(source.into_inner()));
    /// event_loop.apply_pending(&mut state)?;
    /// assert!(state.back.is_some());
    /// # }
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias = "into_source_inner")]
    pub fn take<S: EventSource>(
        &mut self,
        token: Token<S>,
        then: impl FnOnce(S, &mut Data) + 'static,
    ) -> bool {
        let key = token.key();
        let live = self.registrations.is_live_of::<S>(key) && self.registrations.begin_removal(key);
        let then = Box::new(move |source: Box<dyn AnySource>, data: &mut Data| {
            let source: Box<dyn std::any::Any> = source;
            if let Ok(source) = source.downcast::<S>() {
                then(*source, data);
            }
        });
        self.push_if(live, key, Op::Take(key, then))
    }

    /// Calls `visitor` with the source and the state, as soon as the current callback returns. `false` if the source
    /// is gone, or is no `S`.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, due: Option<std::time::Instant> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, due: None };
    /// let deadline = state.handle.now() + std::time::Duration::from_secs(60);
    /// let timer = state.handle.insert_timer(Timer::from_deadline(deadline), |_, _| TimeoutAction::Drop);
    /// state.handle.visit(timer, |timer, state| state.due = timer.current_deadline());
    /// event_loop.apply_pending(&mut state)?;
    /// assert_eq!(state.due, Some(deadline));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias("as_source_mut", "Dispatcher"))]
    pub fn visit<S: EventSource>(
        &mut self,
        token: Token<S>,
        visitor: impl FnOnce(&mut S, &mut Data) + 'static,
    ) -> bool {
        self.push_visit(token, visitor, false)
    }

    /// Calls `look` with the loop (shared: it can be read, not run) and the state, as soon as the current callback
    /// returns.
    ///
    /// A callback reaches with it what stays in `main`: the [table](EventLoop::sources) of sources, the
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
    /// state.handle.insert_source_with(options, source, |(), state| {
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
        self.inspect_mut(|event_loop, data| look(event_loop, data));
    }

    /// [`inspect`](Self::inspect), for code that changes the loop.
    pub(crate) fn inspect_mut(
        &mut self,
        look: impl FnOnce(&mut EventLoop<Data>, &mut Data) + 'static,
    ) {
        self.push(Op::Inspect(Box::new(look)));
    }

    /// Calls `change` with a source as soon as the current callback returns, then registers the source anew. `false`
    /// if the source is gone, or is no `S`.
    ///
    /// If registering fails, the dispatch returns the error.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, ticks: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{Clock, EventLoop, Interval, PostAction};
    ///
    /// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    /// let mut state = State { handle, ticks: 0 };
    /// let ticking = state.handle.insert_source(Interval::new(Duration::from_secs(60)), |_, state| {
    ///     state.ticks += 1;
    ///     PostAction::Continue
    /// })?;
    /// state.handle.update(ticking, |interval| interval.set_period(Duration::from_secs(1)));
    /// let end = state.handle.now() + Duration::from_secs(10);
    /// event_loop.run_until(end, &mut state)?;
    /// assert_eq!(state.ticks, 10);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn update<S: EventSource>(
        &mut self,
        token: Token<S>,
        change: impl FnOnce(&mut S) + 'static,
    ) -> bool {
        self.push_visit(token, move |source: &mut S, _| change(source), true)
    }

    /// Moves the deadline of a source that has one. If `Op::SetDeadline` cannot do that, an op calls `set` on the
    /// source. `S` is `Timer`, which this module does not name.
    #[inline]
    pub(crate) fn move_deadline<S: EventSource>(
        &mut self,
        token: Token<S>,
        deadline: Instant,
        set: impl FnOnce(&mut S) + 'static,
    ) -> bool {
        let key = token.key();
        let live = self.registrations.is_live_of::<S>(key);
        if live {
            self.registrations.touch(key);
            // Of several moves in a row only the last counts.
            let last = match self.ops.back_mut() {
                Some(Op::SetDeadline(last, deadline)) if *last == key => Some(deadline),
                _ => None,
            };
            if !self.registrations.begin_move(key, stamp(deadline), last.is_none()) {
                return self.update(token, set);
            }
            match last {
                Some(last) => *last = deadline,
                None => self.push(Op::SetDeadline(key, deadline)),
            }
        }
        live
    }

    /// Registers a disabled source again, and does nothing to an enabled one. `false` if the source is gone.
    ///
    /// If registering fails, the dispatch returns the error. [`disable`](Self::disable) has an example.
    pub fn enable(&mut self, token: impl Into<AnyToken>) -> bool {
        let key = token.into().key();
        let live = self.registrations.set_disabled(key, false);
        self.push_if(live, key, Op::Enable(key))
    }

    /// Unregisters a source but keeps it: its messages, signals and due timers wait until it is
    /// [enabled](Self::enable) again. It gets no further event, not even of the current round. `false` if the source
    /// is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, heard: Vec<u32> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::channel::Event;
    ///
    /// let (mut event_loop, handle) = soloop::EventLoop::new()?;
    /// let mut state = State { handle, heard: Vec::new() };
    /// let (sender, messages) = soloop::channel();
    /// let token = state.handle.insert_source(messages, |event, state| {
    ///     if let Event::Msg(n) = event {
    ///         state.heard.push(n);
    ///     }
    /// })?;
    /// state.handle.disable(token);
    /// sender.send(1).unwrap();
    /// event_loop.dispatch(Duration::ZERO, &mut state)?;
    /// assert!(state.heard.is_empty());
    /// state.handle.enable(token);
    /// event_loop.dispatch(Duration::ZERO, &mut state)?;
    /// assert_eq!(state.heard, [1]);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn disable(&mut self, token: impl Into<AnyToken>) -> bool {
        let key = token.into().key();
        let live = self.registrations.set_disabled(key, true);
        self.push_if(live, key, Op::Disable(key))
    }

    /// Whether the source is registered: neither disabled nor removed, and no op that disables or removes it is
    /// queued.
    ///
    /// A source that [`ErrorAction::Disable`](crate::ErrorAction::Disable) or a failed registration disabled is not
    /// enabled until a [retry](crate::ErrorAction::Retry) or an [`enable`](Self::enable) succeeds, which is when the
    /// op is applied.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, TimeoutAction, Timer};
    ///
    /// let (_event_loop, mut handle) = EventLoop::<State>::new()?;
    /// let blink = handle.insert_timer(Timer::immediate(), |_, _| TimeoutAction::Drop);
    /// handle.disable(blink);
    /// assert!(!handle.is_enabled(blink) && handle.contains(blink));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn is_enabled(&self, token: impl Into<AnyToken>) -> bool {
        self.registrations.is_enabled(token.into().key())
    }

    /// The source whose callback is running, so that a callback that is inserted many times learns which one it is.
    ///
    /// A closure given to [`TaskContext::with`](crate::TaskContext::with) runs in the callback of its task. `None` in
    /// idles, posts and visitors, and outside of a dispatch. (After a callback panicked, its source stays the current
    /// one until the next dispatch.)
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
    /// fn pinged((): (), state: &mut State) {
    ///     // Once is enough, whichever of them it is.
    ///     if let Some(source) = state.handle.current() {
    ///         state.handle.remove(source);
    ///     }
    /// }
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// let (ping, source) = make_ping();
    /// let token = state.handle.insert_source(source, pinged)?;
    /// ping.ping();
    /// event_loop.dispatch(None, &mut state)?;
    /// assert!(!state.handle.contains(token));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn current(&self) -> Option<AnyToken> {
        let running = self.registrations.running();
        running.filter(|_| !self.registrations.shared().is_applying()).map(AnyToken::new)
    }

    /// The typed token of a source, from an [`AnyToken`]. `None` if the source is gone, or is no `S`.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{AnyToken, EventLoop, PingSource, TimeoutAction, Timer};
    ///
    /// let (_event_loop, mut handle) = EventLoop::<State>::new()?;
    /// let timer = handle.insert_timer(Timer::never(), |_, _| TimeoutAction::Drop);
    /// let any = AnyToken::from(timer);
    /// assert_eq!(handle.downcast::<Timer>(any), Some(timer));
    /// assert_eq!(handle.downcast::<PingSource>(any), None);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn downcast<S: EventSource>(&self, token: impl Into<AnyToken>) -> Option<Token<S>> {
        let key = token.into().key();
        self.registrations.is_live_of::<S>(key).then(|| Token::new(key))
    }

    /// Whether the source is inserted, and no op that removes it is queued. A disabled source is contained.
    pub fn contains(&self, token: impl Into<AnyToken>) -> bool {
        self.registrations.is_live(token.into().key())
    }

    /// Makes [`EventLoop::run`](crate::EventLoop::run) (or `run_until`, or `block_on`) return after the current
    /// dispatch, or at once if it begins later. A stop ends one of them, and is then forgotten.
    ///
    /// It does not stop a program that calls [`dispatch`](crate::EventLoop::dispatch) itself: a stop during the wait
    /// of a dispatch ends that wait and is then forgotten.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// state.handle.insert_timer(Timer::immediate(), |_, state| {
    ///     state.handle.stop();
    ///     TimeoutAction::Drop
    /// });
    /// event_loop.run(None, &mut state, |_| ())?; // returns
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn stop(&mut self) {
        self.registrations.shared().stop();
    }

    /// Makes a [`LoopSignal`], which stops or wakes the loop from any thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// let (mut event_loop, handle) = soloop::EventLoop::new()?;
    /// let mut state = State { handle };
    /// let signal = state.handle.signal();
    /// let thread = std::thread::spawn(move || signal.stop());
    /// event_loop.run(None, &mut state, |_| ())?;
    /// thread.join().unwrap();
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias = "get_signal")]
    pub fn signal(&self) -> LoopSignal {
        LoopSignal::new(Arc::clone(self.registrations.shared()))
    }

    /// Makes a [`Remote`], which reaches the state from any thread and from places such as a `Drop`.
    /// [`local_remote`](Self::local_remote) is for closures that are not `Send`.
    pub fn remote(&self) -> Remote<Data> {
        Remote::new(Arc::clone(&self.mailbox), Arc::clone(self.registrations.shared()))
    }

    /// The time on the loop's clock: [`Instant::now`], or that of the [manual clock](Clock::manual).
    pub fn now(&self) -> Instant {
        self.clock().now()
    }

    /// The loop's clock. Clone it for code that has no handle.
    pub fn clock(&self) -> &Clock {
        self.registrations.shared().clock()
    }

    /// The [`Registrar`] of an inserted source, to register something that the source does not own, such as an fd in
    /// a future. The source receives its events. `None` if the source is not registered: it is gone or disabled, or
    /// an op for that is queued.
    ///
    /// What is registered this way belongs to the source, and ends with the source's next
    /// [`unregister`](EventSource::unregister) at the latest.
    ///
    /// # Examples
    ///
    /// A source that wakes whoever waits for an fd, and an owner of the fd that may go to another thread with it:
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// # struct State { handle: soloop::LoopHandle<Self>, told: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::{convert::Infallible, io, io::Write, os::fd::AsFd, os::unix::net::UnixStream};
    /// use soloop::{EventLoop, EventSource, Interest, InterestToken, PostAction, Readiness, Registrar};
    ///
    /// struct Waker;
    ///
    /// impl EventSource for Waker {
    ///     type Event<'a> = Readiness;
    ///     type Ret = ();
    ///     type Error = Infallible;
    ///
    ///     fn register(&mut self, _: &mut Registrar<'_>) -> io::Result<()> { Ok(()) }
    ///     fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> { Ok(()) }
    ///     fn unregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> { Ok(()) }
    ///
    ///     fn process_events<F>(&mut self, readiness: Readiness, _: InterestToken, mut callback: F)
    ///         -> Result<PostAction, Infallible>
    ///     where
    ///         F: FnMut(Readiness),
    ///     {
    ///         callback(readiness);
    ///         Ok(PostAction::Continue)
    ///     }
    /// }
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, told: 0 };
    /// let waker = state.handle.insert_source(Waker, |_, state| state.told += 1)?;
    /// let (fd, mut peer) = UnixStream::pair()?;
    /// let mut registrar = state.handle.registrar(waker).expect("it was just inserted");
    /// let (_token, guard) = registrar.watch_fd(fd.as_fd(), Interest::READ)?;
    ///
    /// peer.write_all(b"x")?;
    /// event_loop.dispatch(None, &mut state)?;
    /// assert_eq!(state.told, 1);
    ///
    /// std::thread::spawn(move || guard.unregister(fd.as_fd())).join().unwrap()?;
    /// # }
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn registrar(&mut self, source: impl Into<AnyToken>) -> Option<Registrar<'_>> {
        let key = source.into().key();
        if !self.registrations.is_enabled(key) {
            return None;
        }
        // The loop's fd must report what the caller registers with it.
        self.registrations.shared().note_work();
        Some(Registrar::new(&mut self.registrations, key))
    }

    /// Makes a guard that removes `source` when it is dropped; [`SourceGuard`] has an example.
    pub fn guard(&self, source: impl Into<AnyToken>) -> SourceGuard {
        SourceGuard(self.guard_of(DroppedGuard::Source(source.into())))
    }

    pub(crate) fn guard_of(&self, leaves: DroppedGuard) -> Guard {
        Guard::new(leaves, self.registrations.shared())
    }

    /// Whether there is an op to apply.
    pub(crate) fn has_ops(&self) -> bool {
        !self.ops.is_empty()
    }

    /// Whether there is an op to apply, or an idle to run.
    pub(crate) fn has_work(&self) -> bool {
        self.has_ops() || !self.idles.is_empty()
    }

    /// The next op to apply, if it runs no user code or `may_run` allows it. First queues the removals that dropped
    /// guards asked for.
    #[inline]
    pub(crate) fn next_op(&mut self, may_run: impl FnOnce() -> bool) -> Option<Op<Data>> {
        if !self.registrations.shared().dropped_guards().is_empty() {
            self.take_dropped_guards();
        }
        let next = self.ops.front()?;
        if next.runs_user_code() && !may_run() {
            return None;
        }
        pop_front(&mut self.ops)
    }

    #[cold]
    fn take_dropped_guards(&mut self) {
        // Dropped at the end: a destructor may panic, and the work of the other guards must not be lost.
        let (mut idles, mut guards) = (Vec::new(), VecDeque::new());
        self.registrations.shared().dropped_guards().take(&mut guards);
        for dropped in guards {
            match dropped {
                // Ops are being applied: those that were queued before do nothing to the source from here on.
                DroppedGuard::Source(source) => drop(self.remove(source)),
                // The idle's empty place keeps the next wait from blocking, whatever its destructor does.
                DroppedGuard::Idle(idle) => idles.extend(self.idles.cancel(idle)),
                DroppedGuard::Fd { interest, told } => {
                    self.registrations.forget_interest(interest, told);
                }
            }
        }
    }

    /// Queues an explicit request about a source, which takes precedence over a retry.
    fn push_if(&mut self, live: bool, key: SourceKey, op: Op<Data>) -> bool {
        if live {
            if let Some(timer) = self.registrations.take_retry(key) {
                self.remove(timer);
            }
            self.push(op);
        }
        live
    }

    /// Queues a call of `visitor`. `updates`: it changes only the source, which is then registered anew.
    fn push_visit<S: EventSource, V>(&mut self, token: Token<S>, visitor: V, updates: bool) -> bool
    where
        V: FnOnce(&mut S, &mut Data) + 'static,
    {
        let key = token.key();
        let live = self.registrations.is_live_of::<S>(key);
        if live {
            if updates {
                self.registrations.touch(key);
            }
            let visitor = Box::new(move |source: &mut dyn AnySource, data: &mut Data| {
                if let Some(source) = downcast_mut(source) {
                    visitor(source, data);
                }
            });
            let runs = !updates || std::mem::needs_drop::<V>();
            self.push(Op::Visit { key, visitor, updates, runs });
        }
        live
    }

    #[inline]
    fn push(&mut self, op: Op<Data>) {
        self.note_work();
        self.ops.push_back(op);
    }

    /// Tells the loop about the first piece of work since the loop last looked.
    #[inline]
    fn note_work(&mut self) {
        if !self.has_work() {
            self.registrations.shared().note_work();
        }
    }
}

impl<Data> fmt::Debug for LoopHandle<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle")
            .field("ops", &format_args!("{} pending", self.ops.len()))
            .field("idles", &format_args!("{} idle", self.idles.len()))
            .finish_non_exhaustive()
    }
}

/// The tables of the handle in `data`.
pub(crate) fn tables<Data: LoopData>(data: &mut Data) -> &mut Registrations {
    &mut data.loop_handle().registrations
}
