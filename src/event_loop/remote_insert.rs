//! Insertions by a remote, where nobody waits for an answer: the error of a refused source is reported like that of a
//! source that fails.

use std::any::type_name;
use std::io;

use crate::error::type_name::without_paths;
use crate::event_loop::failure::SourceFailure;
use crate::threads::remote::Remote;
use crate::{Error, EventSource, LoopData, SourceOptions, Token};

impl<Data: LoopData> Remote<Data> {
    /// Inserts a source like [`LoopHandle::insert_source`](crate::LoopHandle::insert_source), but from anywhere.
    /// `false` if the loop is gone; `source` and `callback` are dropped then.
    ///
    /// The insertion runs as a post. It returns neither a token nor an error, since its caller does not wait for it.
    /// If the registration fails, the source is dropped, and a dispatch returns the error as [`Error::Source`] with a
    /// null token, unless a [policy](crate::EventLoop::on_error) decides otherwise. The callback learns its token from
    /// [`current`](crate::LoopHandle::current); to remove the source from outside, insert it into a
    /// [`Scope`](crate::Scope) by [`insert_with`](Self::insert_with).
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
            let (name, policy) = (options.name.clone(), options.on_error);
            if let Err(refused) = handle.insert_source_with(options, source, callback) {
                let name = name.map_or_else(|| without_paths(type_name::<S>()), Into::into);
                // Nobody has a token of it.
                let error = Error::of_source(Token::<S>::null(), name, io::Error::from(refused));
                let failure = SourceFailure { error, policy };
                handle.inspect_mut(|event_loop, data| event_loop.report(failure, data));
            }
        })
    }
}
