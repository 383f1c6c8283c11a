//! How long entries wait: an entry that a quorum of honest validators has in its pools must be in a block soon, whoever leaves it out.

use std::collections::{BTreeMap, BTreeSet};

use ledger_format::digest::EntryId;

/// What waits, and where.
#[derive(Debug)]
pub(crate) struct Fairness {
    /// How many honest validators are a quorum.
    quorum: usize,
    /// Honest validators that have an entry in their pools.
    seen: BTreeMap<EntryId, BTreeSet<usize>>,
    /// The height at which they became a quorum.
    since: BTreeMap<EntryId, u64>,
    /// The most heights that an entry waited from there on.
    pub(crate) longest: u64,
}

impl Fairness {
    pub(crate) const fn new(validators: usize) -> Self {
        Self {
            quorum: quorum(validators),
            seen: BTreeMap::new(),
            since: BTreeMap::new(),
            longest: 0,
        }
    }

    /// The set has so many members from now on.
    pub(crate) fn members(&mut self, validators: usize) {
        self.quorum = quorum(validators);
        let Self { quorum, seen, since, .. } = self;
        since.retain(|entry, _| seen.get(entry).is_some_and(|seen| seen.len() >= *quorum));
    }

    /// An honest validator has an entry in its pool.
    pub(crate) fn saw(&mut self, node: usize, entry: EntryId, height: u64) {
        let seen = self.seen.entry(entry).or_default();
        seen.insert(node);
        if seen.len() >= self.quorum {
            self.since.entry(entry).or_insert(height);
        }
    }

    /// A validator has lost its pool, or its place: what is no longer with a quorum may have to be submitted again.
    pub(crate) fn lost(&mut self, node: usize) {
        for (entry, seen) in &mut self.seen {
            if seen.remove(&node) && seen.len() < self.quorum {
                self.since.remove(entry);
            }
        }
    }

    /// An entry was refused at one validator.
    pub(crate) fn refused(&mut self, node: usize, entry: &EntryId) {
        let Some(seen) = self.seen.get_mut(entry) else { return };
        if seen.remove(&node) && seen.len() < self.quorum {
            self.since.remove(entry);
        }
    }

    /// Entries that a quorum has waited for longer than so many heights. Each is told once.
    pub(crate) fn overdue(&mut self, height: u64, most: u64) -> Vec<(EntryId, u64)> {
        let waited = |since: &u64| height.saturating_sub(*since);
        let overdue = self.since.extract_if(.., |_, since| waited(since) > most);
        overdue.map(|(entry, since)| (entry, waited(&since))).collect()
    }

    /// Entries that a quorum waits for.
    pub(crate) fn waiting(&self) -> Vec<(EntryId, u64)> {
        self.since.iter().map(|(entry, since)| (*entry, *since)).collect()
    }

    /// An entry is in a block: how many heights a quorum waited for it.
    pub(crate) fn entered(&mut self, entry: &EntryId, height: u64) -> u64 {
        self.seen.remove(entry);
        let waited = self.since.remove(entry).map_or(0, |since| height.saturating_sub(since));
        self.longest = self.longest.max(waited);
        waited
    }
}

const fn quorum(validators: usize) -> usize {
    validators - validators.saturating_sub(1) / 3
}
