//! The tables of a loop: which sources live, and which interests they hold.
//!
//! This is the half of the loop that a callback may change at once, through its
//! [`LoopHandle`](crate::LoopHandle); the sources themselves are out of reach in the
//! [`EventLoop`](crate::EventLoop). Invariant: an interest belongs to a live source, and is known to
//! the kernel, the deadline queue or the ready queue only while it is in the table; what those report
//! later under its key is recognised by the key's generation and dropped.

use std::any::TypeId;
use std::sync::Arc;

use slotmap::{Key, SparseSecondaryMap};

use crate::backlog::ReadyEvent;
use crate::clock::{Clock, nanos};
use crate::deadlines::Deadlines;
use crate::interest::Wants;
use crate::options::{Priority, SourceOptions};
use crate::shared::Shared;
use crate::token::{InterestKey, SourceKey};
use crate::{AnyToken, EventSource, Readiness, Timer};

mod due;
mod rows;
mod watch;

use rows::{Rows, SourceRow};
pub(crate) use watch::{IoWatch, Rearm, Watch};

/// Registered: receives events.
const ENABLED: u8 = 1;
/// An op that removes it is queued: gone for its owner.
const REMOVED: u8 = 1 << 1;
/// It has options of its own.
const OPTIONS: u8 = 1 << 2;
/// It goes after its first event.
const ONCE: u8 = 1 << 3;
/// It is a `Timer`, whose deadline its token moves.
const TIMER: u8 = 1 << 4;

/// The tables; see the module's head.
#[derive(Debug)]
pub(crate) struct Registrations {
    /// Counted, so that what outlives the loop can tell that it is gone.
    pub(crate) registry: Arc<mio::Registry>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    rows: Rows,
    options: SparseSecondaryMap<SourceKey, SourceOptions>,
    /// One queue a priority.
    deadlines: [Deadlines; Priority::COUNT],
    /// Whether the nearest deadline of any of them may be later than its bound.
    nearest_is_old: bool,
    /// The time that was last read for what expired.
    reached: i64,
    /// The deadline that was delivered last.
    delivered: Option<(InterestKey, i64)>,
    /// The timers that enable sources again which failed.
    pub(crate) retries: SparseSecondaryMap<SourceKey, AnyToken>,
    /// Whether any source ever had a priority other than the default.
    prioritized: bool,
    /// Whether there ever was a one-shot interest of which the kernel does not know that it is one.
    emulates_oneshot: bool,
    /// Whether any source ever had a budget other than the default.
    budgeted: bool,
    /// The source whose turn it is, or was last.
    running: SourceKey,
    /// Whether an op that names `running` was queued since its callback was called.
    touched: bool,
}

/// The turn of a source: what is delivered to it.
pub(crate) struct Turn {
    pub(crate) source: SourceKey,
    pub(crate) event: ReadyEvent,
    /// Whether the mode asks for a re-registration after each event.
    pub(crate) rearms: bool,
}

/// What a source may use up in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) callbacks: u32,
    /// When its time is over, on the clock's scale.
    ends: i64,
}

/// How many callbacks a source may run in one round if its options don't say.
const DEFAULT_BUDGET: u32 = 1024;

impl Registrations {
    pub(crate) fn new(registry: mio::Registry, shared: Arc<Shared>, clock: Clock) -> Self {
        Self {
            registry: Arc::new(registry),
            shared,
            clock,
            rows: Rows::default(),
            options: SparseSecondaryMap::new(),
            deadlines: Default::default(),
            nearest_is_old: false,
            reached: i64::MIN,
            delivered: None,
            retries: SparseSecondaryMap::new(),
            prioritized: false,
            emulates_oneshot: false,
            budgeted: false,
            running: SourceKey::null(),
            touched: false,
        }
    }

    // Sources.

    #[inline]
    pub(crate) fn add_source<S: EventSource>(
        &mut self,
        options: Option<SourceOptions>,
    ) -> SourceKey {
        let is_timer = TypeId::of::<S>() == TypeId::of::<Timer>();
        let flags = if is_timer { ENABLED | TIMER } else { ENABLED };
        match options.filter(|options| !options.is_default()) {
            None => self.rows.add_source(Priority::Normal, flags),
            Some(options) => self.add_source_with(options, flags),
        }
    }

    #[inline(never)]
    fn add_source_with(&mut self, options: SourceOptions, flags: u8) -> SourceKey {
        let key = self.rows.add_source(options.priority, flags | OPTIONS);
        self.prioritized |= options.priority != Priority::Normal;
        self.budgeted |= options.budget.is_some() || options.time_budget.is_some();
        self.options.insert(key, options);
        key
    }

    /// How many sources there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Forgets a source, which holds no interest.
    #[inline]
    pub(crate) fn forget_source(&mut self, key: SourceKey) {
        if self.rows.remove_source(key).is_some_and(|row| row.flags & OPTIONS != 0) {
            self.options.remove(key);
        }
        if !self.retries.is_empty() {
            self.retries.remove(key);
        }
    }

    /// Removes every interest that `source` still holds: a source that is unregistered holds none.
    #[inline]
    pub(crate) fn sweep(&mut self, source: SourceKey) {
        if self.rows.source(source).is_some_and(SourceRow::holds_any) {
            self.remove_interests_of(source);
        }
    }

    #[cold]
    fn remove_interests_of(&mut self, source: SourceKey) {
        for key in self.rows.interests_of(source) {
            if let Some((_, &Watch::Io(IoWatch { fd, .. }))) = self.rows.get(key)
                && fd >= 0
            {
                // The kernel may have forgotten it already: there is nothing to do about a failure.
                let _ = crate::poller::delete_raw(&self.registry, fd);
            }
            self.remove_interest(key);
        }
        self.rows.note_none(source);
    }

    /// Whether the source is there and no op that removes it is queued.
    #[inline]
    pub(crate) fn is_live(&self, key: SourceKey) -> bool {
        self.rows.source(key).is_some_and(|row| row.flags & REMOVED == 0)
    }

    #[inline]
    pub(crate) fn is_enabled(&self, key: SourceKey) -> bool {
        self.rows.source(key).is_some_and(|row| row.flags & ENABLED != 0)
    }

    /// Sets whether the source is registered; whether that is a change.
    #[inline]
    pub(crate) fn set_enabled(&mut self, key: SourceKey, enabled: bool) -> bool {
        let Some(row) = self.rows.source_mut(key) else {
            return false;
        };
        let flags = if enabled { row.flags | ENABLED } else { row.flags & !ENABLED };
        std::mem::replace(&mut row.flags, flags) != flags
    }

    /// Notes that the source goes, and is not registered from now on; whether it was.
    #[inline]
    pub(crate) fn retire(&mut self, key: SourceKey) -> bool {
        let Some(row) = self.rows.source_mut(key) else {
            return false;
        };
        let was_enabled = row.flags & ENABLED != 0;
        row.flags = row.flags & !ENABLED | REMOVED;
        was_enabled
    }

    /// Notes that an op naming the source is queued; `false` if the source is not live.
    #[inline]
    pub(crate) fn touch(&mut self, key: SourceKey) -> bool {
        self.touched |= key == self.running;
        self.is_live(key)
    }

    /// Notes that an op removing the source is queued; `false` if the source was not live.
    #[inline]
    pub(crate) fn mark_removed(&mut self, key: SourceKey) -> bool {
        self.touched |= key == self.running;
        self.set_if_live(key, REMOVED)
    }

    #[inline]
    fn set_if_live(&mut self, key: SourceKey, flags: u8) -> bool {
        match self.rows.source_mut(key) {
            Some(row) if row.flags & REMOVED == 0 => {
                row.flags |= flags;
                true
            }
            _ => false,
        }
    }

    /// Notes that the source goes after its first event.
    pub(crate) fn set_once(&mut self, key: SourceKey) {
        self.set_if_live(key, ONCE);
    }

    pub(crate) fn is_once(&self, key: SourceKey) -> bool {
        self.rows.source(key).is_some_and(|row| row.flags & ONCE != 0)
    }

    /// Whether an op named the source whose turn it is since [`begin_turn`](Self::begin_turn).
    #[inline]
    pub(crate) fn was_touched(&self) -> bool {
        self.touched
    }

    /// Whether any source may have a priority other than the default.
    #[inline]
    pub(crate) fn is_prioritized(&self) -> bool {
        self.prioritized
    }

    pub(crate) fn options(&self, key: SourceKey) -> Option<&SourceOptions> {
        self.options.get(key)
    }

    pub(crate) fn options_mut(&mut self, key: SourceKey) -> Option<&mut SourceOptions> {
        self.options.get_mut(key)
    }

    /// Starts the turn of the source that an event was found for. `None` if the interest is gone: a source that is
    /// disabled or removed holds none.
    #[inline]
    pub(crate) fn begin_turn(&mut self, mut event: ReadyEvent) -> Option<Turn> {
        let (source, watch) = self.rows.get(event.interest)?;
        let mut rearms = false;
        if let Watch::Io(io) = watch {
            event.readiness = event.readiness.wanted(io.wants);
            rearms = io.rearm == Rearm::Level;
        }
        Some(self.turn_of(source, event, rearms))
    }

    #[inline]
    fn turn_of(&mut self, source: SourceKey, event: ReadyEvent, rearms: bool) -> Turn {
        self.running = source;
        self.touched = false;
        Turn { source, event, rearms }
    }

    /// Goes on with the turn of the source that holds `interest` after ops were applied; whether it still does.
    pub(crate) fn resume_turn(&mut self, interest: InterestKey) -> bool {
        self.touched = false;
        self.rows.get(interest).is_some()
    }

    /// What the source may use up in a turn that begins now.
    #[inline]
    pub(crate) fn budget(&self, source: SourceKey) -> Budget {
        if self.budgeted {
            self.budget_of(source)
        } else {
            Budget { callbacks: DEFAULT_BUDGET, ends: i64::MAX }
        }
    }

    #[cold]
    fn budget_of(&self, source: SourceKey) -> Budget {
        let options = self.options.get(source);
        let time = options.and_then(|options| options.time_budget);
        Budget {
            callbacks: options.and_then(|options| options.budget).unwrap_or(DEFAULT_BUDGET),
            ends: time.map_or(i64::MAX, |time| self.clock.now_stamp().saturating_add(nanos(time))),
        }
    }

    /// Whether a budget is used up; reads no clock if the time has no limit.
    #[inline]
    pub(crate) fn is_over(&self, budget: Budget) -> bool {
        budget.callbacks == 0 || budget.ends < i64::MAX && self.clock.now_stamp() >= budget.ends
    }

    // Interests.

    #[inline]
    pub(crate) fn add_io(&mut self, source: SourceKey, fd: i32, wants: Wants) -> InterestKey {
        self.rows.add(source, |_| Watch::Io(IoWatch { fd, wants, rearm: Rearm::Native }))
    }

    #[inline]
    pub(crate) fn add_notifier(&mut self, source: SourceKey) -> InterestKey {
        self.rows.add(source, |_| Watch::Notifier)
    }

    pub(crate) fn remove_interest(&mut self, key: InterestKey) {
        let removed = self.rows.remove_if(key, |_, _| true);
        self.cancel_removed(key, removed);
    }

    /// Removes the interest `key` if `source` holds it and waits for something such as `of_kind`; what that was.
    #[inline]
    pub(crate) fn remove_interest_of(
        &mut self,
        source: SourceKey,
        key: InterestKey,
        of_kind: impl FnOnce(&Watch) -> bool,
    ) -> Option<Watch> {
        let removed = self.rows.remove_if(key, |holder, watch| holder == source && of_kind(watch));
        self.cancel_removed(key, removed);
        removed.map(|(_, watch)| watch)
    }

    /// The interest `key`, if `source` holds it.
    #[inline]
    pub(crate) fn watch(&mut self, source: SourceKey, key: InterestKey) -> Option<&mut Watch> {
        self.rows.get_mut(key).filter(|(holder, _)| *holder == source).map(|(_, watch)| watch)
    }

    #[inline]
    pub(crate) fn source_of(&self, interest: InterestKey) -> Option<SourceKey> {
        self.rows.get(interest).map(|(source, _)| source)
    }

    #[inline]
    pub(crate) fn is_notifier(&self, interest: InterestKey) -> bool {
        matches!(self.rows.get(interest), Some((_, Watch::Notifier)))
    }

    #[inline]
    pub(crate) fn is_io(&self, interest: InterestKey) -> bool {
        matches!(self.rows.get(interest), Some((_, Watch::Io(_))))
    }

    /// Whether the mode of `interest` asks for a re-registration after each event.
    #[inline]
    pub(crate) fn needs_rearm(&self, interest: InterestKey) -> bool {
        let watch = self.rows.get(interest);
        matches!(watch, Some((_, Watch::Io(IoWatch { rearm: Rearm::Level, .. }))))
    }

    /// Whether another interest watches the fd with this number.
    pub(crate) fn watches_fd(&self, fd: i32, except: InterestKey) -> bool {
        self.rows.watches_fd(fd, except)
    }

    /// What `event` says to `source`; `None` if it is another's.
    pub(crate) fn readiness_for(&self, source: SourceKey, event: &ReadyEvent) -> Option<Readiness> {
        let (holder, watch) = self.rows.get(event.interest)?;
        if holder != source {
            return None;
        }
        Some(match watch {
            Watch::Io(io) => event.readiness.wanted(io.wants).into(),
            _ => event.readiness.into(),
        })
    }

    /// Notes how an fd is watched from now on.
    pub(crate) fn note_rearm(&mut self, rearm: Rearm) {
        self.emulates_oneshot |= rearm == Rearm::OneShot;
    }

    /// Whether to deliver what the kernel told: not what comes after the event of a one-shot interest of which the
    /// kernel does not know that it is one.
    #[inline]
    pub(crate) fn admits(&mut self, event: ReadyEvent) -> bool {
        !self.emulates_oneshot || self.spend_oneshot(event.interest)
    }

    #[cold]
    fn spend_oneshot(&mut self, interest: InterestKey) -> bool {
        let Some((_, Watch::Io(io))) = self.rows.get_mut(interest) else {
            return false;
        };
        if io.rearm == Rearm::OneShot {
            io.rearm = Rearm::Spent;
            return true;
        }
        io.rearm != Rearm::Spent
    }

    /// The priority of an event; one that is nobody's any more goes first, and out of the way.
    pub(crate) fn priority_of(&self, event: &ReadyEvent) -> Priority {
        self.source_of(event.interest).map_or(Priority::High, |source| self.priority(source))
    }

    #[inline]
    pub(crate) fn priority(&self, source: SourceKey) -> Priority {
        if self.prioritized {
            self.rows.source(source).map_or(Priority::Normal, |row| row.priority)
        } else {
            Priority::Normal
        }
    }
}
