//! Entries that a node passed on that does not vote: at a validator, who wants to hear of a refusal; at that node, which validators
//! have refused.

use std::collections::{BTreeMap, BTreeSet};

use ledger_format::digest::{EntryId, KeyId};
use ledger_format::validators::Validators;

/// Nodes that are told of one entry's refusal.
const ASKERS: usize = 8;

/// At a validator: nodes that passed on what waits here. No more entries than the pool has.
#[derive(Debug, Default)]
pub(crate) struct Askers(BTreeMap<EntryId, BTreeSet<KeyId>>);

impl Askers {
    /// Notes that a node wants to hear of an entry that waits.
    pub(crate) fn note(&mut self, entry: EntryId, node: KeyId) {
        let nodes = self.0.entry(entry).or_default();
        if nodes.len() < ASKERS {
            nodes.insert(node);
        }
    }

    /// Those who want to hear of an entry that does not wait any more.
    pub(crate) fn take(&mut self, entry: &EntryId) -> BTreeSet<KeyId> {
        self.0.remove(entry).unwrap_or_default()
    }
}

/// At a node that does not vote: which validators refuse what waits here, and for which height. No more entries than the pool has.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    refused: BTreeMap<EntryId, BTreeMap<KeyId, u64>>,
    /// Whether a timer runs, at whose end what still waits is passed on again.
    pub(crate) is_timed: bool,
}

impl Verdicts {
    /// A validator refuses an entry that waits here.
    pub(crate) fn hear(&mut self, entry: EntryId, validator: KeyId, height: u64) {
        self.refused.entry(entry).or_default().insert(validator, height);
    }

    /// Forgets what was said about an entry.
    pub(crate) fn forget(&mut self, entry: &EntryId) {
        self.refused.remove(entry);
    }

    /// Forgets what was said about all of them.
    pub(crate) fn forget_all(&mut self) {
        self.refused.clear();
    }

    /// Entries that more than a third of the power refuses, so somebody honest does, at heights up to `next`, which can be judged
    /// here too; with those who refuse.
    pub(crate) fn due(&self, validators: &Validators, next: u64) -> Vec<(EntryId, Vec<KeyId>)> {
        let by = |said: &BTreeMap<KeyId, u64>| -> Vec<KeyId> {
            said.iter().filter(|(_, height)| **height <= next).map(|(id, _)| *id).collect()
        };
        let weighty =
            |by: &[KeyId]| validators.power_of(by).saturating_mul(3) > validators.total_power();
        let all = self.refused.iter().map(|(entry, said)| (*entry, by(said)));
        all.filter(|(_, by)| weighty(by)).collect()
    }
}
