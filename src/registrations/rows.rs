//! The rows of the tables: one for each source, and one for each interest that has no place there.
//!
//! Nearly every source holds one interest at a time, and that lies in its row: what is looked up together lies together,
//! and takes a third less room than two rows. A key names the registration, too, as often as there are numbers for it
//! ([`InterestKey::REGISTRATIONS`]), so that the interest of an earlier one is not taken for the one that is there. Later
//! ones, and the further interests of a source, have rows of their own.

use slotmap::SlotMap;

use super::{IoWatch, Watch};
use crate::deadlines::Position;
use crate::options::Priority;
use crate::token::{InterestKey, InterestRow, OtherKey, SourceKey};

/// What the loop knows of a source besides the source itself.
#[derive(Debug)]
pub(super) struct SourceRow {
    /// The interest that lies here.
    watch: Option<Watch>,
    /// How many interests lay here so far, this one included.
    registration: u8,
    /// How many interests it holds besides; sticks at the maximum.
    others: u8,
    pub(super) priority: Priority,
    pub(super) flags: u8,
}

#[derive(Debug)]
struct OtherRow {
    source: SourceKey,
    watch: Watch,
}

/// The tables; see the module's head.
#[derive(Debug, Default)]
pub(super) struct Rows {
    sources: SlotMap<SourceKey, SourceRow>,
    others: SlotMap<OtherKey, OtherRow>,
}

impl Rows {
    // Sources.

    #[inline]
    pub(super) fn add_source(&mut self, priority: Priority, flags: u8) -> SourceKey {
        let row = SourceRow { watch: None, registration: 0, others: 0, priority, flags };
        self.sources.insert(row)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }

    #[inline]
    pub(super) fn remove_source(&mut self, key: SourceKey) -> Option<SourceRow> {
        self.sources.remove(key)
    }

    #[inline]
    pub(super) fn source(&self, key: SourceKey) -> Option<&SourceRow> {
        self.sources.get(key)
    }

    #[inline]
    pub(super) fn source_mut(&mut self, key: SourceKey) -> Option<&mut SourceRow> {
        self.sources.get_mut(key)
    }

    // Interests.

    /// Adds an interest that waits for what `watch` makes of its key.
    #[inline]
    pub(super) fn add(
        &mut self,
        source: SourceKey,
        watch: impl FnOnce(InterestKey) -> Watch,
    ) -> InterestKey {
        if let Some(row) = self.sources.get_mut(source) {
            if row.watch.is_none()
                && let Some(key) = InterestKey::in_row(source, row.registration + 1)
            {
                row.registration += 1;
                row.watch = Some(watch(key));
                return key;
            }
            row.others = row.others.saturating_add(1);
        }
        self.add_other(source, watch)
    }

    #[inline(never)]
    fn add_other(
        &mut self,
        source: SourceKey,
        watch: impl FnOnce(InterestKey) -> Watch,
    ) -> InterestKey {
        let row = |key| OtherRow { source, watch: watch(InterestKey::other(key)) };
        InterestKey::other(self.others.insert_with_key(row))
    }

    /// The interest `key`, and whose it is.
    #[inline]
    pub(super) fn get(&self, key: InterestKey) -> Option<(SourceKey, &Watch)> {
        match key.row() {
            InterestRow::Source(source, registration) => {
                let row = self.sources.get(source)?;
                let watch = row.watch.as_ref().filter(|_| row.registration == registration)?;
                Some((source, watch))
            }
            InterestRow::Other(key) => self.others.get(key).map(|row| (row.source, &row.watch)),
        }
    }

    /// [`get`](Self::get), to change it.
    #[inline]
    pub(super) fn get_mut(&mut self, key: InterestKey) -> Option<(SourceKey, &mut Watch)> {
        match key.row() {
            InterestRow::Source(source, registration) => {
                let row = self.sources.get_mut(source)?;
                let watch = row.watch.as_mut().filter(|_| row.registration == registration)?;
                Some((source, watch))
            }
            InterestRow::Other(key) => {
                self.others.get_mut(key).map(|row| (row.source, &mut row.watch))
            }
        }
    }

    /// Removes the interest `key` if `wanted` says so, given whose it is and what it waits for.
    #[inline]
    pub(super) fn remove_if(
        &mut self,
        key: InterestKey,
        wanted: impl FnOnce(SourceKey, &Watch) -> bool,
    ) -> Option<(SourceKey, Watch)> {
        let (source, &watch) = self.get(key)?;
        if !wanted(source, &watch) {
            return None;
        }
        let row = self.sources.get_mut(source);
        match key.row() {
            InterestRow::Source(..) => row?.watch = None,
            InterestRow::Other(key) => {
                self.others.remove(key);
                if let Some(row) = row
                    && row.others != u8::MAX
                {
                    row.others -= 1;
                }
            }
        }
        Some((source, watch))
    }

    /// The interest in the row of `source`.
    #[inline]
    pub(super) fn interest_in_row(&self, source: SourceKey) -> Option<(InterestKey, Watch)> {
        self.sources.get(source)?.interest(source)
    }

    /// All interests of `source`.
    pub(super) fn interests_of(&self, source: SourceKey) -> Vec<InterestKey> {
        let in_row = self.interest_in_row(source);
        let others = self.others.iter().filter(|(_, row)| row.source == source);
        let others = others.map(|(key, _)| InterestKey::other(key));
        in_row.map(|(key, _)| key).into_iter().chain(others).collect()
    }

    /// Notes that `source` holds no interest.
    pub(super) fn note_none(&mut self, source: SourceKey) {
        if let Some(row) = self.sources.get_mut(source) {
            row.others = 0;
        }
    }

    /// Whether an interest other than `except` watches the fd with this number.
    pub(super) fn watches_fd(&self, fd: i32, except: InterestKey) -> bool {
        let in_rows = self.sources.iter().filter_map(|(source, row)| row.interest(source));
        let others = self.others.iter().map(|(key, row)| (InterestKey::other(key), row.watch));
        in_rows.chain(others).any(|(key, watch)| {
            key != except
                && matches!(watch, Watch::Io(IoWatch { fd: watched, .. }) if watched == fd)
        })
    }

    /// Notes where the deadline `key` is in its queue.
    #[inline]
    pub(super) fn set_position(&mut self, key: InterestKey, to: Position) {
        if let Some((_, Watch::Deadline(position))) = self.get_mut(key) {
            *position = to;
        }
    }
}

impl SourceRow {
    /// The interest in this row, which is that of `source`.
    #[inline]
    fn interest(&self, source: SourceKey) -> Option<(InterestKey, Watch)> {
        Some((InterestKey::in_row(source, self.registration)?, self.watch?))
    }

    /// Whether the source holds any interest.
    #[inline]
    pub(super) fn holds_any(&self) -> bool {
        self.watch.is_some() || self.others > 0
    }
}

// What a source costs here, and each interest beyond its first.
static_assertions::const_assert!(size_of::<SourceRow>() <= 12);
static_assertions::const_assert!(size_of::<OtherRow>() <= 16);
