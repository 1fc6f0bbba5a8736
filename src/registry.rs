//! The tables of a loop: which sources live, and which interests they hold.
//!
//! A callback may change this half of the loop at once, through its [`LoopHandle`](crate::LoopHandle); the sources
//! themselves are out of its reach, in the [`EventLoop`](crate::EventLoop). Invariant: an interest belongs to a live
//! source, and the kernel, the deadline queue or the ready queue knows it only while it is in the table. If one of them
//! reports it later, the generation in its key shows that it is gone, and the loop drops the report.

use std::any::TypeId;
use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::clock::{Clock, nanos};
use crate::error::type_name::without_paths;
use crate::interest::ReadinessBits;
use crate::kernel::Rearm;
use crate::registry::deadlines::Deadlines;
use crate::registry::options::{Priority, SourceOptions};
use crate::threads::dropped_guards::{DroppedGuard, Guard};
use crate::threads::shared::Shared;
use crate::token::{HashKeys, InterestToken, SourceKey, SourceMap};
use crate::{AnyToken, EventSource};

pub(crate) mod deadlines;
mod due;
mod interests;
pub(crate) mod options;
pub(crate) mod registrar;
mod rows;
pub(crate) mod scope;
pub(crate) mod slot;
pub(crate) mod source;

pub(crate) use rows::{Held, Interests, IoWatch, Watch};
use rows::{Holder, Row, Rows};

/// Registered: receives events, unless it is silent.
const ENABLED: u8 = 1;
/// An op that removes the source is queued: for its owner the source is gone.
const REMOVED: u8 = 1 << 1;
/// The last op about enabling or disabling the source, queued or applied, disables it.
const DISABLED: u8 = 1 << 2;
/// Either of both: the source gets no events.
const SILENT: u8 = REMOVED | DISABLED;
/// The source goes after its first event.
const ONCE: u8 = 1 << 3;
/// Its removal was requested while ops were applied: ops queued before do nothing to the source.
const GOING: u8 = 1 << 4;
/// Dropping the source may run user code.
const DROPS: u8 = 1 << 5;
/// Its options limit what it may use in one round.
const BUDGET: u8 = 1 << 6;

/// The tables; see the module's head.
#[derive(Debug)]
pub(crate) struct Registrations {
    /// In an `Arc`, so that whatever outlives the loop can tell that the loop is gone.
    registry: Arc<mio::Registry>,
    shared: Arc<Shared>,
    rows: Rows,
    /// The interest that was registered last under each fd number. The kernel forgets a registration by number, and the
    /// number may belong to another source by then. Numbers are small: a process always gets the lowest free one.
    fds: Vec<Option<InterestToken>>,
    /// Interests that the kernel could not be told to forget.
    lost: Vec<(SourceKey, InterestToken)>,
    options: SourceMap<SourceOptions>,
    /// One queue per priority.
    deadlines: [Deadlines; Priority::COUNT],
    /// Whether any source ever had a priority other than the default.
    prioritized: bool,
    /// The deadline that was delivered last.
    delivered: Option<(InterestToken, i64)>,
    /// The timers that will enable failed sources again.
    retries: SourceMap<AnyToken>,
    /// Whether there ever was an interest that the kernel does not know to be one-shot, or level-triggered.
    emulates_oneshot: bool,
    emulates_level: bool,
    /// Whether there ever was a mio source.
    has_mio: bool,
    /// An event of a level-triggered fd had its turn, or the registration of such an fd was changed. If the fd is still
    /// ready, the kernel makes no new edge for it: to the kernel it never ceased to be.
    quiet_level: bool,
    /// The source that hosts another loop and in which this loop waits.
    host: Option<SourceKey>,
    /// The source whose callback runs.
    running: Option<SourceKey>,
    /// Whether an op that names `running` was queued since the call of its callback began.
    touched: bool,
}

/// The turn of a source: the event that it gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) source: SourceKey,
    pub(crate) interest: InterestToken,
    pub(crate) readiness: ReadinessBits,
    /// Whether the source goes after this event.
    pub(crate) once: bool,
    has_budget: bool,
}

/// What a source may use in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceBudget {
    callbacks: u32,
    /// When its time ends, on the clock's scale.
    ends: Option<i64>,
}

impl SourceBudget {
    /// Counts one callback. Returns whether another may follow; reads no clock if the time is unlimited.
    #[inline]
    pub(crate) fn goes_on(&mut self, clock: &Clock) -> bool {
        self.callbacks -= 1;
        self.callbacks > 0 && self.ends.is_none_or(|ends| clock.now_stamp() < ends)
    }
}

/// How many callbacks a source may run in one round if its options don't say.
const DEFAULT_BUDGET: u32 = 1024;

/// A mark of a type. Two types share one with a probability of one in four billion.
#[inline]
fn mark_of<S: 'static>() -> u32 {
    HashKeys::default().hash_one(TypeId::of::<S>()) as u32
}

impl Registrations {
    pub(crate) fn new(registry: mio::Registry, shared: Arc<Shared>) -> Self {
        Self {
            registry: Arc::new(registry),
            shared,
            rows: Rows::default(),
            fds: Vec::new(),
            lost: Vec::new(),
            options: SourceMap::default(),
            deadlines: Default::default(),
            prioritized: false,
            delivered: None,
            retries: SourceMap::default(),
            emulates_oneshot: false,
            emulates_level: false,
            has_mio: false,
            quiet_level: false,
            host: None,
            running: None,
            touched: false,
        }
    }

    #[inline]
    pub(crate) fn registry(&self) -> &Arc<mio::Registry> {
        &self.registry
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    // Sources.

    /// Adds a source, also to the scope of its options. `once`: it goes after its first event. `drops`: dropping it or its
    /// callback may run user code.
    #[inline]
    pub(crate) fn add_source<S: EventSource>(
        &mut self,
        mut options: SourceOptions,
        once: bool,
        drops: bool,
    ) -> SourceKey {
        let kind = mark_of::<S>();
        self.prioritized |= options.priority != Priority::Normal;
        let is_limited = options.budget.is_some() || options.time_budget.is_some();
        let flags = ENABLED
            | if once { ONCE } else { 0 }
            | if drops { DROPS } else { 0 }
            | if is_limited { BUDGET } else { 0 };
        let key = self.rows.add_source(kind, options.priority, flags);
        if let Some(scope) = &mut options.scope {
            let source = DroppedGuard::Source(AnyToken::new(key));
            scope.enter(Guard::new(source, &self.shared));
        }
        if !options.is_default() {
            self.options.insert(key, options);
        }
        key
    }

    /// Deletes the row of a source that holds no interest. Returns whether dropping the source may run user code.
    #[inline]
    pub(crate) fn delete_row(&mut self, key: SourceKey) -> bool {
        let flags = self.rows.sources.remove(key).map_or(0, |row| row.flags);
        if !self.options.is_empty() {
            self.options.remove(key);
        }
        self.take_retry(key);
        flags & DROPS != 0
    }

    /// Removes every interest that `source` still holds. An unregistered source holds none.
    #[inline]
    pub(crate) fn sweep(&mut self, source: SourceKey) {
        while let Some((key, _)) = self.rows.interests_of(source).next() {
            self.forget_interest(key, false);
        }
    }

    /// Removes an interest that its source did not take back. `told`: the kernel has forgotten it already.
    #[cold]
    pub(crate) fn forget_interest(&mut self, key: InterestToken, told: bool) {
        if !told && let Some((holder, &mut Held { watch: Watch::Io(io), .. })) = self.rows.get(key)
        {
            // Ignore a failure: the kernel may have forgotten the fd already.
            let _ = self.forget_fd(holder.source, io, key, false);
        }
        self.remove_interest(key);
    }

    /// Notes the timer that will enable a failed source again.
    pub(crate) fn set_retry(&mut self, key: SourceKey, timer: AnyToken) {
        self.retries.insert(key, timer);
    }

    /// Takes that timer, if there is one.
    #[inline]
    pub(crate) fn take_retry(&mut self, key: SourceKey) -> Option<AnyToken> {
        if self.retries.is_empty() { None } else { self.retries.remove(key) }
    }

    /// The flags of a source; for one that does not exist, those of one that goes.
    #[inline]
    fn flags(&self, key: SourceKey) -> u8 {
        self.rows.sources.get(key).map_or(REMOVED | GOING, |row| row.flags)
    }

    /// Whether the source exists and no op that removes it is queued.
    #[inline]
    pub(crate) fn is_live(&self, key: SourceKey) -> bool {
        self.flags(key) & REMOVED == 0
    }

    /// Whether the source is live and an `S`.
    #[inline]
    pub(crate) fn is_live_of<S: EventSource>(&self, key: SourceKey) -> bool {
        let of_kind = |row: &Row| row.flags & REMOVED == 0 && row.kind == mark_of::<S>();
        self.rows.sources.get(key).is_some_and(of_kind)
    }

    /// Whether the source is registered.
    #[inline]
    pub(crate) fn is_registered(&self, key: SourceKey) -> bool {
        self.flags(key) & ENABLED != 0
    }

    /// Whether the source is live and registered, and no op that disables it is queued.
    #[inline]
    pub(crate) fn is_enabled(&self, key: SourceKey) -> bool {
        self.flags(key) & (ENABLED | SILENT) == ENABLED
    }

    /// Notes that an op which enables or disables the source is queued. `false` if the source is not live.
    #[inline]
    pub(crate) fn set_disabled(&mut self, key: SourceKey, disabled: bool) -> bool {
        self.set_flags(key, DISABLED, disabled);
        self.touch(key)
    }

    /// Sets whether the source is registered. Returns whether that is a change.
    #[inline]
    pub(crate) fn set_registered(&mut self, key: SourceKey, registered: bool) -> bool {
        self.set_flags(key, ENABLED, registered)
    }

    #[inline]
    fn set_flags(&mut self, key: SourceKey, flags: u8, set: bool) -> bool {
        let Some(row) = self.rows.sources.get_mut(key) else { return false };
        let flags = if set { row.flags | flags } else { row.flags & !flags };
        std::mem::replace(&mut row.flags, flags) != flags
    }

    /// Notes that an op naming the source is queued. `false` if the source is not live.
    #[inline]
    pub(crate) fn touch(&mut self, key: SourceKey) -> bool {
        self.touched |= self.running == Some(key);
        self.is_live(key)
    }

    /// Notes that an op removing the source is queued or about to be applied. `false` if the source was not live. While
    /// ops are applied, those about the source do nothing from here on.
    #[inline]
    pub(crate) fn begin_removal(&mut self, key: SourceKey) -> bool {
        let flags = if self.shared.is_applying() { REMOVED | GOING } else { REMOVED };
        self.touch(key) && self.set_flags(key, flags, true)
    }

    /// Whether ops about the source do nothing.
    #[inline]
    pub(crate) fn is_going(&self, key: SourceKey) -> bool {
        self.flags(key) & GOING != 0
    }

    pub(crate) fn options(&self, key: SourceKey) -> Option<&SourceOptions> {
        self.options.get(key)
    }

    /// The name of a source: that of its options, or else its type's without paths.
    pub(crate) fn name_of(&self, key: SourceKey, type_name: &str) -> String {
        let name = self.options(key).and_then(|options| options.name.clone());
        name.map_or_else(|| without_paths(type_name), Cow::into_owned)
    }

    #[inline]
    pub(crate) fn priority(&self, source: SourceKey) -> Priority {
        self.rows.sources.get(source).map_or(Priority::Normal, |row| row.priority)
    }

    /// Whether there may be something that could be late: a deadline, or a source whose priority differs from others.
    #[inline]
    pub(crate) fn has_urgent(&self) -> bool {
        self.prioritized || self.shared.nearest_deadline().is_some()
    }

    /// Whether there may be a source whose priority differs from others.
    #[inline]
    pub(crate) fn is_prioritized(&self) -> bool {
        self.prioritized
    }

    /// The priority of the source of an interest.
    #[inline]
    pub(crate) fn priority_of(&mut self, interest: InterestToken) -> Priority {
        self.rows.get(interest).map_or(Priority::Normal, |(holder, _)| holder.priority)
    }

    /// The source in which the loop waits, if it does not wait in the kernel.
    #[inline]
    pub(crate) fn host(&self) -> Option<SourceKey> {
        self.host
    }

    // The source that runs.

    /// The source whose turn it is, if any.
    #[inline]
    pub(crate) fn running(&self) -> Option<SourceKey> {
        self.running
    }

    /// Whether an op that names the running source was queued since the call of its callback began.
    #[inline]
    pub(crate) fn was_touched(&self) -> bool {
        self.touched
    }

    /// Begins a callback of `source`.
    #[inline]
    pub(crate) fn begin_callback(&mut self, source: SourceKey) {
        self.running = Some(source);
        self.touched = false;
    }

    /// Ends the turn of a source.
    #[inline]
    pub(crate) fn end_turn(&mut self) {
        self.running = None;
    }

    /// The budget of a source for a turn that begins now.
    #[inline]
    pub(crate) fn source_budget(&self, turn: Turn) -> SourceBudget {
        if !turn.has_budget {
            return SourceBudget { callbacks: DEFAULT_BUDGET, ends: None };
        }
        let options = self.options.get(turn.source);
        let ends = options
            .and_then(|options| options.time_budget)
            .map(|time| self.shared.clock().now_stamp().saturating_add(nanos(time)));
        let callbacks = options.and_then(|options| options.budget).unwrap_or(DEFAULT_BUDGET);
        SourceBudget { callbacks, ends }
    }

    // What is ready.

    /// Notes that `interest` is ready. `None` if no source holds it; otherwise its priority, if it has no place in a
    /// queue yet.
    #[inline]
    pub(crate) fn mark_ready(
        &mut self,
        interest: InterestToken,
        readiness: ReadinessBits,
    ) -> Option<Option<Priority>> {
        let (holder, held) = self.rows.get(interest)?;
        let first = held.ready.merge(readiness);
        Some(first.then_some(holder.priority))
    }

    /// Forgets what the kernel reported about `interest`, if the kernel repeats it while it holds. Keeps what the
    /// source said.
    pub(crate) fn forget_level(&mut self, interest: InterestToken) {
        if let Some((_, held)) = self.rows.get(interest)
            && let Watch::Io(IoWatch { rearm: Rearm::Repeated, .. }) = held.watch
            && held.ready.is_found()
            && !held.ready.has_more()
        {
            held.ready = ReadinessBits::FORGOTTEN;
        }
    }

    /// Starts the turn of the source that holds `interest`. `None` if it is no longer ready, or its source gets no
    /// events. An unregistered source holds no interest.
    #[inline]
    pub(crate) fn begin_turn(&mut self, interest: InterestToken) -> Option<Turn> {
        let (Holder { source, flags, moves, .. }, held) = self.rows.get(interest)?;
        let mut readiness = std::mem::replace(&mut held.ready, ReadinessBits::NONE);
        if let Watch::Io(io) = held.watch {
            let is_level = io.rearm == Rearm::Repeated;
            readiness = readiness.wanted(io.wants).with_level(is_level);
            self.quiet_level |= is_level;
        }
        let (once, has_budget) = (flags & ONCE != 0, flags & BUDGET != 0);
        let turn = Turn { source, interest, readiness, once, has_budget };
        (readiness.is_event() && flags & SILENT == 0 && moves == 0).then_some(turn)
    }

    /// Whether a source may go on with its turn: it still holds `interest`, and was not disabled or removed.
    #[inline]
    pub(crate) fn may_go_on(&mut self, interest: InterestToken) -> bool {
        let is_enabled = |(holder, _): (Holder, _)| holder.flags & SILENT == 0;
        self.rows.get(interest).is_some_and(is_enabled)
    }
}
