//! The rows of the tables: one per source, and one per interest that has no place in its source's row.
//!
//! Nearly every source holds one interest at a time, which lies in the source's row: both are looked up together, and
//! one row takes less room than two. The interest's key also holds the number of its registration, so that it differs
//! from earlier interests in the same row. There are [`InterestToken::REGISTRATIONS`] such numbers. Interests after that,
//! and the further interests of a source, have rows of their own, in a list that starts in the source's row.

use slotmap::SlotMap;

use crate::interest::ReadinessBits;
use crate::kernel::Rearm;
use crate::registry::deadlines::{Position, Positions};
use crate::registry::options::Priority;
use crate::token::{InterestRow, InterestToken, OtherKey, SourceKey};

/// What an interest waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watch {
    /// Readiness of an fd, or of a mio source.
    Io(IoWatch),
    /// A notification from any thread.
    Notifier,
    /// A deadline, and its last known position in the deadline queue.
    Deadline(Position),
}

impl Watch {
    /// Whether the interest's mode asks for a re-registration after each event.
    pub(crate) fn needs_rearm(self) -> bool {
        matches!(self, Self::Io(IoWatch { rearm: Rearm::Level, .. }))
    }
}

/// How an fd is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoWatch {
    /// −1 for a mio source, whose fd is not known.
    pub(crate) fd: i32,
    pub(crate) wants: ReadinessBits,
    pub(crate) rearm: Rearm,
}

/// What an interest waits for, and which readiness of it is not delivered yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) watch: Watch,
    pub(crate) ready: ReadinessBits,
}

/// What the loop knows about a source besides the source itself.
#[derive(Debug)]
pub(super) struct Row {
    /// The interest that lies in this row.
    held: Option<Held>,
    /// The first of the source's other interests.
    others: Option<OtherKey>,
    /// A mark of the source's type.
    pub(super) kind: u32,
    /// How many interests have lain in this row so far, this one included.
    registration: u8,
    pub(super) priority: Priority,
    pub(super) flags: u8,
    /// How many queued ops move the source's deadline. It does not fire while there are any.
    pub(super) moves: u8,
}

/// The source of an interest.
#[derive(Clone, Copy)]
pub(super) struct Holder {
    pub(super) source: SourceKey,
    pub(super) priority: Priority,
    pub(super) flags: u8,
    pub(super) moves: u8,
}

#[derive(Debug)]
struct OtherRow {
    source: SourceKey,
    held: Held,
    /// The next interest of the same source.
    next: Option<OtherKey>,
}

/// The tables; see the module's head.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) sources: SlotMap<SourceKey, Row>,
    others: SlotMap<OtherKey, OtherRow>,
}

impl Rows {
    // Sources.

    #[inline]
    pub(super) fn add_source(&mut self, kind: u32, priority: Priority, flags: u8) -> SourceKey {
        let (held, others) = (None, None);
        let row = Row { held, others, kind, registration: 0, priority, flags, moves: 0 };
        self.sources.insert(row)
    }

    // Interests.

    /// Adds an interest. `watch` makes what it waits for from its key.
    #[inline]
    pub(super) fn add(
        &mut self,
        source: SourceKey,
        watch: impl FnOnce(InterestToken) -> Watch,
    ) -> InterestToken {
        let ready = ReadinessBits::NONE;
        let mut row = self.sources.get_mut(source);
        if let Some(row) = &mut row
            && row.held.is_none()
            && let Some(key) = InterestToken::in_row(source, row.registration + 1)
        {
            row.registration += 1;
            row.held = Some(Held { watch: watch(key), ready });
            return key;
        }
        let next = row.as_ref().and_then(|row| row.others);
        let other = self.others.insert_with_key(|key| {
            let watch = watch(InterestToken::other(key));
            OtherRow { source, held: Held { watch, ready }, next }
        });
        if let Some(row) = row {
            row.others = Some(other);
        }
        InterestToken::other(other)
    }

    /// The interest `key`, and its source.
    #[inline]
    pub(super) fn get(&mut self, key: InterestToken) -> Option<(Holder, &mut Held)> {
        match key.row() {
            InterestRow::Source(source, registration) => {
                let row = self.sources.get_mut(source)?;
                let holder = row.holder(source);
                let held = row.held.as_mut().filter(|_| row.registration == registration)?;
                Some((holder, held))
            }
            InterestRow::Other(key) => {
                let OtherRow { source, held, .. } = self.others.get_mut(key)?;
                Some((self.sources.get(*source)?.holder(*source), held))
            }
        }
    }

    /// Removes the interest `key`. Returns its source and what it waited for.
    #[inline]
    pub(super) fn remove(&mut self, key: InterestToken) -> Option<(SourceKey, Watch)> {
        match key.row() {
            InterestRow::Source(source, registration) => {
                let row = self.sources.get_mut(source)?;
                let held = row.held.take_if(|_| row.registration == registration)?;
                Some((source, held.watch))
            }
            InterestRow::Other(key) => self.remove_other(key),
        }
    }

    fn remove_other(&mut self, key: OtherKey) -> Option<(SourceKey, Watch)> {
        let OtherRow { source, held, next } = self.others.remove(key)?;
        let mut link = &mut self.sources.get_mut(source)?.others;
        while *link != Some(key) {
            let before = (*link)?;
            link = &mut self.others.get_mut(before)?.next;
        }
        *link = next;
        Some((source, held.watch))
    }

    /// All interests of `source`. The cost is proportional to their number.
    pub(super) fn interests_of(&self, source: SourceKey) -> Interests<'_> {
        let row = self.sources.get(source);
        let in_row = row.and_then(|row| {
            Some((InterestToken::in_row(source, row.registration)?, row.held.as_ref()?))
        });
        Interests { others: &self.others, in_row, next: row.and_then(|row| row.others) }
    }
}

impl Positions for Rows {
    #[inline]
    fn set_position(&mut self, key: InterestToken, to: Position) {
        if let Some((_, Held { watch: Watch::Deadline(position), .. })) = self.get(key) {
            *position = to;
        }
    }
}

impl Row {
    #[inline]
    fn holder(&self, source: SourceKey) -> Holder {
        let &Self { priority, flags, moves, .. } = self;
        Holder { source, priority, flags, moves }
    }
}

/// The interests of one source.
#[derive(Clone, Debug)]
pub(crate) struct Interests<'a> {
    others: &'a SlotMap<OtherKey, OtherRow>,
    in_row: Option<(InterestToken, &'a Held)>,
    next: Option<OtherKey>,
}

impl<'a> Iterator for Interests<'a> {
    type Item = (InterestToken, &'a Held);

    fn next(&mut self) -> Option<Self::Item> {
        self.in_row.take().or_else(|| {
            let key = self.next?;
            let row = self.others.get(key)?;
            self.next = row.next;
            Some((InterestToken::other(key), &row.held))
        })
    }
}

// The cost of a source, and of each interest beyond its first.
static_assertions::const_assert!(size_of::<Row>() <= 28);
static_assertions::const_assert!(size_of::<OtherRow>() <= 28);
