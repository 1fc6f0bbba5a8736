//! Shows the loop to others: reports to observers, statistics, and the table of sources.

use std::sync::Arc;

use crate::clock::instant;
use crate::insight::instrumentation::{Instrumentation, Subject, instrument};
use crate::insight::observe::{CallbackReport, Observer};
use crate::insight::stats::{SourceRow, SourceStats, SourceTable, Stats};
use crate::{AnyToken, EventLoop, LoopData, LoopHandle};

impl<Data> EventLoop<Data> {
    /// Adds a closure that is called after each callback (of sources, idles, ops and posts) with its
    /// [`CallbackReport`].
    ///
    /// Closures and the observers of [`set_observer`](Self::set_observer) form one list: each of them sees
    /// everything, in the order in which they were added.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, SourceOptions, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// event_loop.observe(|report| println!("{} `{}`: {:?}", report.kind, report.name, report.duration));
    /// let options = SourceOptions::new().name("frame");
    /// state.handle.insert_source_with(options, Timer::immediate(), |_, _| TimeoutAction::Drop)?;
    /// event_loop.dispatch(None, &mut state)?; // source `frame`: 84ns
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn observe(&mut self, observer: impl FnMut(&CallbackReport<'_>) + 'static) {
        self.insight.get_or_insert_default().add_closure(observer);
    }

    /// Adds an observer that sees rounds, waits and callbacks, and replaces one of the same type.
    /// [`observer`](Self::observer) borrows it and [`take_observer`](Self::take_observer) returns it, both by its
    /// type.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{EventLoop, SlowestCallbacks};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// event_loop.set_observer(SlowestCallbacks::new(5));
    /// state.handle.insert_idle(|_| std::thread::sleep(Duration::from_millis(1)));
    /// event_loop.dispatch(None, &mut state)?;
    /// let slowest = event_loop.observer::<SlowestCallbacks>().and_then(|slowest| slowest.iter().next());
    /// assert!(slowest.is_some_and(|callback| callback.duration >= Duration::from_millis(1)));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn set_observer(&mut self, observer: impl Observer + 'static) {
        self.insight.get_or_insert_default().set_observer(observer);
    }

    /// Borrows the observer of type `O`, if there is one; [`set_observer`](Self::set_observer) has an example.
    pub fn observer<O: Observer + 'static>(&self) -> Option<&O> {
        self.insight.as_ref()?.observer()
    }

    /// Borrows the observer of type `O` mutably, if there is one.
    pub fn observer_mut<O: Observer + 'static>(&mut self) -> Option<&mut O> {
        self.insight.as_mut()?.observer_mut()
    }

    /// Removes the observer of type `O` and returns it, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{ChromeTrace, EventLoop};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// event_loop.set_observer(ChromeTrace::new(Vec::new()));
    /// event_loop.dispatch(Duration::ZERO, &mut state)?; // the frame that was too late
    /// let trace = event_loop.take_observer::<ChromeTrace<Vec<u8>>>();
    /// assert!(trace.is_some() && event_loop.observer::<ChromeTrace<Vec<u8>>>().is_none());
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn take_observer<O: Observer + 'static>(&mut self) -> Option<O> {
        let observer = self.insight.as_mut()?.take_observer();
        self.drop_idle_insight();
        observer
    }

    /// Drops every observer and every closure of [`observe`](Self::observe).
    pub fn clear_observers(&mut self) {
        if let Some(insight) = &mut self.insight {
            insight.clear_observers();
        }
        self.drop_idle_insight();
    }

    pub(super) fn drop_idle_insight(&mut self) {
        self.insight.take_if(|insight| !Instrumentation::is_wanted(insight));
    }

    /// Turns the times, and the counts of single sources, on or off. They cost two clock readings per callback.
    /// Turning them off forgets their values. [`Stats::rounds`], [`Stats::events`], [`Stats::wakeups`] and
    /// [`Stats::stale`] are always counted.
    ///
    /// [`stats`](Self::stats) has an example.
    pub fn enable_stats(&mut self, on: bool) {
        self.insight.get_or_insert_default().count(on);
        self.drop_idle_insight();
    }

    /// The counts of the loop so far.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, SourceOptions, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// event_loop.enable_stats(true);
    /// let options = SourceOptions::new().name("frame");
    /// state.handle.insert_source_with(options, Timer::immediate(), |_, _| TimeoutAction::Drop)?;
    /// event_loop.dispatch(None, &mut state)?;
    ///
    /// let stats = event_loop.stats();
    /// assert_eq!((stats.rounds, stats.events), (1, 1));
    /// assert_eq!(stats.sources[0].name, "frame");
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let Stats { rounds, events, wakeups, stale, .. } = self.counters;
        let counted = self.insight.as_ref().and_then(|insight| insight.stats());
        Stats { rounds, events, wakeups, stale, ..counted.unwrap_or_default() }
    }

    /// A table of the stored sources, with the counts of [`enable_stats`](Self::enable_stats). A source that was
    /// inserted since ops were last applied is not in it. Empty if `handle` belongs to another loop.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{EventLoop, Priority, SourceOptions, make_ping};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle };
    /// let (_ping, source) = make_ping();
    /// let options = SourceOptions::new().name("render").priority(Priority::High);
    /// state.handle.insert_source_with(options, source, |(), _state| ())?;
    /// event_loop.apply_pending(&mut state)?;
    ///
    /// let table = event_loop.sources(&state.handle).to_string();
    /// assert!(table.starts_with("name    type        state    priority  events  time  last error\n"));
    /// assert!(table.contains("\nrender  PingSource  enabled  high      0       0ns"));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn sources(&self, handle: &LoopHandle<Data>) -> SourceTable {
        let rows = self.tokens().filter_map(|token| self.source_row(token, handle));
        SourceTable { rows: rows.collect() }
    }

    /// The tokens of the stored sources, in the order of [`sources`](Self::sources).
    pub fn tokens(&self) -> impl Iterator<Item = AnyToken> {
        self.slots.keys().map(AnyToken::new)
    }

    /// The row of one source in the table of [`sources`](Self::sources), for a program with thousands of sources that
    /// reads a few at a time. `None` if the table does not contain it.
    pub fn source_row(
        &self,
        token: impl Into<AnyToken>,
        handle: &LoopHandle<Data>,
    ) -> Option<SourceRow> {
        let registrations = &handle.registrations;
        if !Arc::ptr_eq(registrations.shared(), &self.shared) {
            return None;
        }
        let token = token.into();
        let key = token.key();
        let slot = self.slots.get(key)?;
        let options = registrations.options(key);
        let record = self.insight.as_ref().and_then(|insight| insight.record(key));
        let none = SourceStats::new(token, String::new());
        let record = record.unwrap_or(&none);
        Some(SourceRow {
            token,
            name: options.and_then(|options| options.name.as_deref()).map(str::to_owned),
            type_name: slot.source.type_name(),
            enabled: registrations.is_enabled(key),
            priority: registrations.priority(key),
            scoped: options.is_some_and(|options| options.scope.is_some()),
            deadline: registrations.nearest_deadline_of(key).map(instant),
            backlog: registrations.backlog_of(key),
            events: record.events,
            busy: record.busy,
            slowest: record.slowest,
            wakeups: record.wakeups,
            last_error: record.last_error.clone(),
        })
    }
}

impl<Data: LoopData> EventLoop<Data> {
    /// Runs user code that may run before a wait. That wait then does not block.
    #[inline]
    pub(super) fn run_user_code(
        &mut self,
        subject: Subject<'_>,
        data: &mut Data,
        run: impl FnOnce(&mut Data),
    ) {
        self.round.runs_user_code();
        instrument(&mut self.insight, subject, data, run);
    }
}
