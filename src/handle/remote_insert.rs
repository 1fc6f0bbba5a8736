//! Insertions by a remote, where nobody waits for an answer: a refused source reports its error as a source that fails.

use std::io;

use crate::error::type_name::without_paths;
use crate::threads::remote::Remote;
use crate::{
    EventSource, InterestToken, LoopData, PostAction, Readiness, Registrar, SourceOptions,
};

impl<Data: LoopData> Remote<Data> {
    /// Inserts a source like [`LoopHandle::insert_source`](crate::LoopHandle::insert_source), but from anywhere.
    /// `false` if the loop is gone; `source` and `callback` are dropped then.
    ///
    /// The insertion runs as a post. It returns neither a token nor an error, since its caller does not wait for it.
    /// If the registration fails, the source is dropped, and a dispatch returns the error as
    /// [`Error::Source`](crate::Error::Source), unless a [policy](crate::EventLoop::on_error) decides otherwise. The
    /// callback learns its token from [`current`](crate::LoopHandle::current); to remove the source from outside,
    /// insert it into a [`Scope`](crate::Scope) by [`insert_with`](Self::insert_with).
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, lines: Vec<String> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::channel::Event;
    /// use soloop::{EventLoop, Remote, channel};
    ///
    /// // Deep below what the state owns, where the state is borrowed.
    /// fn start_screencast(remote: &Remote<State>) {
    ///     let (sender, lines) = channel();
    ///     std::thread::spawn(move || sender.send(String::from("a frame")));
    ///     remote.insert(lines, |line, state| match line {
    ///         Event::Msg(line) => state.lines.push(line),
    ///         Event::Closed => state.handle.stop(),
    ///     });
    /// }
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let remote = handle.remote();
    /// let mut state = State { handle, lines: Vec::new() };
    /// start_screencast(&remote);
    /// event_loop.run(None, &mut state, |_| ())?;
    /// assert_eq!(state.lines, ["a frame"]);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn insert<S, F>(&self, source: S, callback: F) -> bool
    where
        S: EventSource + Send,
        F: FnMut(S::Event<'_>, &mut Data) -> S::Ret + Send + 'static,
    {
        self.insert_with(SourceOptions::new(), source, callback)
    }

    /// Inserts a source like [`insert`](Self::insert), with [`SourceOptions`]: a name, a priority, budgets, an error
    /// policy or a scope. If the scope is gone by the time of the insertion, the source is removed at once.
    pub fn insert_with<S, F>(&self, options: SourceOptions, source: S, callback: F) -> bool
    where
        S: EventSource + Send,
        F: FnMut(S::Event<'_>, &mut Data) -> S::Ret + Send + 'static,
    {
        self.post(move |data| {
            let handle = data.loop_handle();
            let mut for_refused = options.clone();
            if let Err(refused) = handle.insert_source_with(options, source, callback) {
                let name = || without_paths(std::any::type_name::<S>()).into();
                for_refused.name.get_or_insert_with(name);
                let source = Refused { error: Some(refused.into()) };
                // Only a loop that is gone refuses this source, and that loop reports nothing.
                let _ = handle.insert_once_with(for_refused, source, |(), _| ());
            }
        })
    }
}

/// Takes the place of a refused source, and fails with the reason.
struct Refused {
    error: Option<io::Error>,
}

impl EventSource for Refused {
    type Event<'a> = ();
    type Ret = ();
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        registrar.notifier().1.notify();
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    /// The loop sweeps up what a source holds on to.
    fn unregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        _: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(()),
    {
        // Calls back even though it fails: a source that is inserted for one event then goes together with its error.
        callback(());
        self.error.take().map_or(Ok(PostAction::Remove), Err)
    }
}
