//! Insertions by a remote, and how a source that is refused fails where nobody waits for an answer.

use std::io;

use crate::error::type_name::without_paths;
use crate::threads::remote::Remote;
use crate::{
    EventSource, InterestToken, LoopData, PostAction, Readiness, Registrar, SourceOptions,
};

impl<Data: LoopData> Remote<Data> {
    /// Inserts a source, as [`LoopHandle::insert_source`](crate::LoopHandle::insert_source), but from anywhere: when what
    /// was posted runs. `false` if the loop is gone; both are dropped then.
    ///
    /// There is nobody to answer to with an error or a token. What the source's registration fails with comes out of that
    /// dispatch, or of the next, as [`Error::Source`](crate::Error::Source), and the loop's
    /// [policy](crate::EventLoop::on_error) is asked about it; the source is gone. Its callback finds its token by
    /// [`current`](crate::LoopHandle::current), and [`insert_with`](Self::insert_with) puts the source into a
    /// [`Scope`](crate::Scope) that ends it.
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

    /// Inserts a source, as [`insert`](Self::insert), that has a name, a priority, a budget, an error policy or a scope of
    /// its own. If the scope is gone by then, so is the source.
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
                let source = Refused { error: Some(refused.into()), token: None };
                // It is refused only by a loop that is gone, which reports nothing.
                let _ = handle.insert_once_with(for_refused, source, |(), _| ());
            }
        })
    }
}

/// Takes the place of a source that was refused, and fails with what it was refused for.
struct Refused {
    error: Option<io::Error>,
    token: Option<InterestToken>,
}

impl EventSource for Refused {
    type Event<'a> = ();
    type Ret = ();
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let (token, notifier) = registrar.notifier();
        notifier.notify();
        self.token = Some(token);
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if let Some(token) = self.token.take() {
            registrar.release(token);
        }
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
        // A source that is inserted for one event goes with it, and with what it then fails with.
        callback(());
        self.error.take().map_or(Ok(PostAction::Remove), Err)
    }
}
