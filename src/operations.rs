//! The operations of a handle that name built-in sources: timers, fds for futures, tasks.

#[cfg(feature = "executor")]
use std::future::Future;
#[cfg(unix)]
use std::os::fd::AsFd;
use std::time::Instant;

#[cfg(unix)]
use crate::{Async, InsertError};
#[cfg(feature = "executor")]
use crate::{JoinHandle, SourceOptions, Task, TaskContext, tasks::spawn};
use crate::{LoopHandle, TimeoutAction, Timer, Token};

impl<Data> LoopHandle<Data> {
    /// Inserts a timer, whose callback receives the deadline. A timer cannot be refused, so there is no result to
    /// check.
    ///
    /// If the loop is gone, `callback` is dropped, and the token names nothing;
    /// [`insert_source`](Self::insert_source) returns an error in this case.
    /// [`insert_source_with`](Self::insert_source_with) gives a timer a name, a priority or a scope.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, title: String }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{Clock, EventLoop, TimeoutAction, Timer, Token};
    ///
    /// impl State {
    ///     // A method without a result of its own.
    ///     fn show_for_a_second(&mut self, title: &str) -> Token<Timer> {
    ///         self.title = title.to_owned();
    ///         self.handle.insert_timer(Timer::from_duration(Duration::from_secs(1)), |_, state| {
    ///             state.title.clear();
    ///             TimeoutAction::Drop
    ///         })
    ///     }
    /// }
    ///
    /// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    /// let mut state = State { handle, title: String::new() };
    /// state.show_for_a_second("saved");
    /// event_loop.dispatch(None, &mut state)?;
    /// assert_eq!(state.title, "");
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias = "set_timeout")]
    pub fn insert_timer(
        &mut self,
        timer: Timer,
        callback: impl FnMut(Instant, &mut Data) -> TimeoutAction + 'static,
    ) -> Token<Timer> {
        self.insert_source(timer, callback).unwrap_or_else(|_| Token::null())
    }

    /// Moves the deadline of a timer. `false` if the timer is gone.
    ///
    /// The effect is that of [`update`](Self::update) with [`Timer::set_deadline`], but without a closure and its
    /// allocation. Use it for a timer that every event moves, such as one that detects an idle user.
    ///
    /// The timer fires after those that already have the same deadline. It has the new deadline as soon as the
    /// current callback returns, and does not fire before. A disabled timer takes the deadline over, and waits for it
    /// once it is enabled.
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
    /// let idle = state.handle.insert_source(idle, |deadline, state| {
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
    pub fn set_deadline(&mut self, token: Token<Timer>, deadline: Instant) -> bool {
        self.move_deadline(token, deadline, move |timer| timer.set_deadline(deadline))
    }
}

#[cfg(unix)]
impl<Data> LoopHandle<Data> {
    /// Wraps an fd for futures, which can then wait until it is readable or writable. It is set to non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of `epoll_ctl(2)` on Linux: `EPERM` for a regular file or a directory, `EEXIST` for an fd that is
    /// registered with this loop already, `ENOSPC` beyond the user's limit;
    /// [`NotConnected`](std::io::ErrorKind::NotConnected) if the loop is gone. `fd` comes back with the error, in the
    /// mode in which it was.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (mut event_loop, handle) = soloop::EventLoop::new()?;
    /// let mut state = State { handle };
    /// let (mut theirs, ours) = UnixStream::pair()?;
    /// let mut ours = state.handle.adapt_io(ours)?;
    /// theirs.write_all(b"hello")?;
    /// let read = event_loop.block_on(
    ///     async move {
    ///         let mut heard = [0; 16];
    ///         ours.readable().await;
    ///         ours.get_mut().read(&mut heard)
    ///     },
    ///     &mut state,
    /// )?;
    /// assert_eq!(read.transpose()?, Some(5));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn adapt_io<F: AsFd>(&mut self, fd: F) -> Result<Async<F>, InsertError<F>> {
        Async::new(self, fd)
    }
}

#[cfg(feature = "executor")]
impl<Data: 'static> LoopHandle<Data> {
    /// Runs a task on the loop's thread: a future that reaches the state through its [`TaskContext`].
    ///
    /// The task is first polled in the next round. Its token is that of a source: [`remove`](Self::remove) cancels
    /// the task, [`disable`](Self::disable) pauses it, and the token names nothing once the future is done. Its
    /// [budget](crate::SourceOptions::budget) counts polls and closures, so that no task keeps a dispatch from
    /// returning. It takes no fd, and is dropped with the loop. If it panics, the panic comes out of the dispatch,
    /// and the task is over. If the loop is gone already, the task is dropped and the token names nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use soloop::{Clock, EventLoop, LoopData, LoopHandle, TaskContext};
    ///
    /// struct State {
    ///     handle: LoopHandle<State>,
    ///     log: Vec<String>,
    /// }
    ///
    /// impl LoopData for State {
    ///     fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
    ///         &mut self.handle
    ///     }
    /// }
    ///
    /// async fn count_down(cx: TaskContext<State>) {
    ///     for n in (1..=3).rev() {
    ///         cx.with(move |state| state.log.push(format!("{n}…"))).await;
    ///         cx.sleep(Duration::from_secs(1)).await;
    ///     }
    ///     cx.with(|state| {
    ///         state.log.push("go".into());
    ///         state.handle.stop();
    ///     })
    ///     .await;
    /// }
    ///
    /// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    /// let mut state = State { handle, log: Vec::new() };
    /// state.handle.spawn(count_down);
    /// event_loop.run(None, &mut state, |_| ())?;
    /// assert_eq!(state.log, ["3…", "2…", "1…", "go"]);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias = "spawn_local")]
    pub fn spawn<F, Fut>(&mut self, task: F) -> Token<Task>
    where
        F: FnOnce(TaskContext<Data>) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        spawn::spawn(self, SourceOptions::new(), task)
    }

    /// Runs a task like [`spawn`](Self::spawn), with [`SourceOptions`] (a name, a priority, a budget, a scope), and
    /// returns a [`JoinHandle`] for its result.
    ///
    /// To end a task together with another task, or with a part of the state, give it the [`Scope`](crate::Scope)
    /// that the other one owns.
    ///
    /// # Examples
    ///
    /// A task that runs two others, waits for the first to finish, and takes the second one with it:
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, found: Option<u32> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{Clock, EventLoop, Scope, SourceOptions, TaskContext};
    ///
    /// async fn search(cx: TaskContext<State>, answer: u32, takes: Duration) -> u32 {
    ///     cx.sleep(takes).await;
    ///     answer
    /// }
    ///
    /// async fn race(cx: TaskContext<State>) {
    ///     let scope = Scope::new();
    ///     let options = SourceOptions::new().name("search").scope(&scope);
    ///     let (fast, _slow) = cx.with(move |state| {
    ///         let mut start = |answer, takes| {
    ///             state.handle.spawn_with(options.clone(), move |cx| search(cx, answer, takes))
    ///         };
    ///         (start(42, Duration::from_secs(1)), start(7, Duration::from_secs(3600)))
    ///     })
    ///     .await;
    ///     let found = fast.await.ok();
    ///     cx.with(move |state| state.found = found).await;
    /// } // the scope ends here, and the slow one with it
    ///
    /// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    /// let mut state = State { handle, found: None };
    /// let race = state.handle.spawn_with(SourceOptions::new().name("race"), race);
    /// assert_eq!(event_loop.block_on(race, &mut state)?, Some(Ok(())));
    /// assert_eq!(state.found, Some(42));
    /// event_loop.apply_pending(&mut state)?;
    /// assert!(event_loop.sources(&state.handle).rows.is_empty());
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn spawn_with<F, Fut>(&mut self, options: SourceOptions, task: F) -> JoinHandle<Fut::Output>
    where
        F: FnOnce(TaskContext<Data>) -> Fut + 'static,
        Fut: Future + 'static,
        Fut::Output: 'static,
    {
        spawn::spawn_with(self, options, task)
    }
}
