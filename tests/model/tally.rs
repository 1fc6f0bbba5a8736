//! What programs did: so that a kind of source that is never called does not go unnoticed.

use std::collections::BTreeMap;

use super::log::{Data, Entry};
use super::ops::Kind;

#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// By the name of the kind: how often it was inserted, and how often it called back.
    kinds: BTreeMap<String, (u64, u64)>,
    /// What callbacks were told, without the numbers in it.
    told: BTreeMap<String, u64>,
    /// By the name of the op: how often it was executed, and how often it said that it did something.
    ops: BTreeMap<&'static str, (u64, u64)>,
}

impl Tally {
    pub fn count(&mut self, seen: &[Entry], kind: impl Fn(usize) -> Kind) {
        for entry in seen {
            match entry {
                Entry::Called(source, data) => {
                    self.kind(kind(*source)).1 += 1;
                    *self.told.entry(without_numbers(*data)).or_default() += 1;
                }
                Entry::Did(op, done) => {
                    let op = self.ops.entry(op).or_default();
                    op.0 += 1;
                    op.1 += u64::from(*done);
                }
                _ => {}
            }
        }
    }

    pub fn count_inserted(&mut self, kinds: impl Iterator<Item = Kind>) {
        kinds.for_each(|kind| self.kind(kind).0 += 1);
    }

    pub fn add(&mut self, other: Self) {
        for (name, (inserted, called)) in other.kinds {
            let kind = self.kinds.entry(name).or_default();
            *kind = (kind.0 + inserted, kind.1 + called);
        }
        for (told, count) in other.told {
            *self.told.entry(told).or_default() += count;
        }
        for (name, (executed, done)) in other.ops {
            let op = self.ops.entry(name).or_default();
            *op = (op.0 + executed, op.1 + done);
        }
    }

    /// How often sources of this kind were inserted, and called back.
    pub fn of(&self, kind: Kind) -> (u64, u64) {
        self.kinds.get(&name(kind)).copied().unwrap_or_default()
    }

    /// How often callbacks were told such as this, whatever the numbers in it.
    pub fn told(&self, data: Data) -> u64 {
        self.told.get(&without_numbers(data)).copied().unwrap_or_default()
    }

    /// The ops that never did anything.
    pub fn idle_ops(&self) -> impl Iterator<Item = &str> {
        self.ops.iter().filter(|(_, (_, done))| *done == 0).map(|(name, _)| *name)
    }

    /// How many ops were executed, inside of callbacks or not.
    pub fn executed(&self) -> u64 {
        self.ops.values().map(|op| op.0).sum()
    }

    fn kind(&mut self, kind: Kind) -> &mut (u64, u64) {
        self.kinds.entry(name(kind)).or_default()
    }
}

/// Without what it is given.
fn name(kind: Kind) -> String {
    let mut name = format!("{kind:?}");
    name.truncate(name.find('(').unwrap_or(name.len()));
    name
}

fn without_numbers(data: Data) -> String {
    format!("{data:?}").replace(|c: char| c.is_ascii_digit() || c == '-', "")
}
