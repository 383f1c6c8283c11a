//! How long entries wait: an entry that a quorum of honest validators has in its pools must be in a block soon, whoever leaves it out.

use std::collections::{BTreeMap, BTreeSet};

use ledger_format::digest::EntryId;
use ledger_format::validators::Validators;

use crate::node::Node;

/// What the votes of nodes count.
#[derive(Debug)]
pub(crate) struct Weights {
    /// By the number of the node, of those that are in the set.
    nodes: BTreeMap<usize, u64>,
    /// All votes of the set.
    total: u64,
}

impl Weights {
    pub(crate) fn of(nodes: &[Node], set: &Validators) -> Self {
        let weight = |(number, node): (usize, &Node)| (number, set.power_of(&node.ids()));
        Self { nodes: nodes.iter().enumerate().map(weight).collect(), total: set.total_power() }
    }

    /// Whether these nodes are a quorum.
    fn suffice(&self, nodes: &BTreeSet<usize>) -> bool {
        let weights = nodes.iter().filter_map(|node| self.nodes.get(node));
        3 * weights.sum::<u64>() > 2 * self.total
    }
}

/// What waits, and where.
#[derive(Debug)]
pub(crate) struct Fairness {
    weights: Weights,
    /// Honest validators that have an entry in their pools.
    seen: BTreeMap<EntryId, BTreeSet<usize>>,
    /// The height at which they became a quorum.
    since: BTreeMap<EntryId, u64>,
    /// The most heights that an entry waited from there on.
    pub(crate) longest: u64,
}

impl Fairness {
    pub(crate) const fn new(weights: Weights) -> Self {
        Self { weights, seen: BTreeMap::new(), since: BTreeMap::new(), longest: 0 }
    }

    /// Votes count so much from now on.
    pub(crate) fn members(&mut self, weights: Weights) {
        self.weights = weights;
        let Self { weights, seen, since, .. } = self;
        since.retain(|entry, _| seen.get(entry).is_some_and(|seen| weights.suffice(seen)));
    }

    /// An honest validator has an entry in its pool.
    pub(crate) fn saw(&mut self, node: usize, entry: EntryId, height: u64) {
        let seen = self.seen.entry(entry).or_default();
        seen.insert(node);
        if self.weights.suffice(seen) {
            self.since.entry(entry).or_insert(height);
        }
    }

    /// A validator has lost its pool, or its place: what is no longer with a quorum may have to be submitted again.
    pub(crate) fn lost(&mut self, node: usize) {
        for (entry, seen) in &mut self.seen {
            if seen.remove(&node) && !self.weights.suffice(seen) {
                self.since.remove(entry);
            }
        }
    }

    /// An entry was refused at one validator.
    pub(crate) fn refused(&mut self, node: usize, entry: &EntryId) {
        let Some(seen) = self.seen.get_mut(entry) else { return };
        if seen.remove(&node) && !self.weights.suffice(seen) {
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
