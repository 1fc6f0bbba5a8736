//! A source that a task waits for.

use std::any::type_name;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;

use super::TaskContext;
use super::join::Report;
use super::waits::Waiting;
use crate::error::type_name::without_paths;
use crate::sources::promise::Promise;
use crate::{
    EventIterator, EventSource, InterestToken, LoopData, PostAction, Readiness, Registrar,
    SourceOptions,
};

impl<Data: 'static> TaskContext<Data> {
    /// Waits for the first event of `source`, which is then removed: for a child process to end, a signal, a ping, or
    /// a message. If the future is dropped before, by a [timeout](Self::timeout) for example, the source is removed,
    /// too.
    ///
    /// It is for sources whose event borrows nothing from them. A [`Generic`](crate::Generic) lends its fd: use
    /// [`adapt_io`](crate::LoopHandle::adapt_io) to read and write in a task.
    ///
    /// The source is inserted when the future is first polled, under the name of its type. The source's callback
    /// answers with the default of its answer, which has no effect, since the source is removed in any case.
    ///
    /// # Errors
    ///
    /// The error of the source, of its registration or instead of the event; no error policy is asked about it.
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the source is removed before an event.
    ///
    /// # Examples
    ///
    #[cfg_attr(not(any(target_os = "linux", all(unix, feature = "signals"))), doc = "```ignore")]
    #[cfg_attr(any(target_os = "linux", all(unix, feature = "signals")), doc = "```")]
    /// # struct State { handle: soloop::LoopHandle<Self>, ended: Option<bool> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::io;
    /// use std::process::Command;
    /// use std::time::Duration;
    /// use soloop::{Child, EventLoop, TaskContext};
    ///
    /// /// Whether the program succeeded; an error if it did not end in time.
    /// async fn run(cx: &TaskContext<State>, program: &str) -> io::Result<bool> {
    ///     let child = Child::new(Command::new(program).spawn()?)?;
    ///     let status = cx.timeout(Duration::from_secs(20), cx.once(child)).await;
    ///     Ok(status.map_err(|_| io::ErrorKind::TimedOut)??.success())
    /// }
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, ended: None };
    /// state.handle.spawn(|cx: TaskContext<State>| async move {
    ///     let ended = run(&cx, "true").await.ok();
    ///     cx.with(move |state| {
    ///         state.ended = ended;
    ///         state.handle.stop();
    ///     })
    ///     .await;
    /// });
    /// event_loop.run(None, &mut state, |_| ())?;
    /// assert_eq!(state.ended, Some(true));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[doc(alias = "oneshot")]
    pub fn once<S, E>(&self, source: S) -> impl Future<Output = io::Result<E>> + use<Data, S, E>
    where
        Data: LoopData,
        S: for<'a> EventSource<Event<'a> = E>,
        S::Ret: Default,
        E: 'static,
    {
        let cx = self.clone();
        async move {
            let event = Arc::new(Promise::new());
            let report = Report(Arc::clone(&event));
            let insert = move |data: &mut Data| {
                let options = SourceOptions::new().name(without_paths(type_name::<S>()));
                let callback = move |event, _: &mut Data| report.finish(event);
                let handle = data.loop_handle();
                let inserted = handle.insert_once_with(options, Once(source), callback);
                // The guard removes the source when it is dropped.
                inserted.map(|token| handle.guard(token)).map_err(|refused| refused.error)
            };
            let guard = cx.with(insert).await?;
            let waiting = Waiting::new(&cx.waits, |waits| &mut waits.sources);
            let event = poll_fn(|cx| event.poll(cx)).await;
            drop(waiting);
            // The source has removed itself.
            guard.disarm();
            event.unwrap_or_else(|| {
                let text = "the source that a task waited for was removed";
                Err(io::Error::new(io::ErrorKind::NotConnected, text))
            })
        }
    }
}

/// A source that delivers its errors as events.
struct Once<S>(S);

impl<S, E> EventSource for Once<S>
where
    S: for<'a> EventSource<Event<'a> = E>,
    S::Ret: Default,
    E: 'static,
{
    type Event<'a> = io::Result<E>;
    type Ret = ();
    type Error = S::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.0.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.0.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.0.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, S::Error>
    where
        F: FnMut(io::Result<E>),
    {
        let mut called = false;
        let answer = self.0.process_events(readiness, token, |event| {
            called = true;
            callback(Ok(event));
            S::Ret::default()
        });
        match answer {
            Err(error) if !called => {
                callback(Err(io::Error::other(error)));
                Ok(PostAction::Remove)
            }
            answer => answer,
        }
    }

    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = S::NEEDS_EXTRA_LIFECYCLE_EVENTS;
    const DROP_RUNS_CODE: bool = S::DROP_RUNS_CODE;

    fn before_sleep(&mut self) -> io::Result<Option<(Readiness, InterestToken)>> {
        self.0.before_sleep()
    }

    fn before_handle_events(&mut self, events: EventIterator<'_>) {
        self.0.before_handle_events(events);
    }
}
