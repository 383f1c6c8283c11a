//! Entries that a node passed on that does not vote: at a validator, who wants to hear of a refusal; at that node, which validators
//! have refused; at another one that does not vote either, which have gone on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
    /// Of the entries that were last passed on again, those whose fate is not known yet. None: there were none, or others follow.
    again: Option<BTreeSet<EntryId>>,
    /// Whether a timer runs, at whose end what still waits is passed on again.
    pub(crate) is_timed: bool,
    /// The ticket with which the part begins that is passed on again next.
    pub(crate) next_part: u64,
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

    /// An entry waits no more: it is in a block, or refused here too.
    pub(crate) fn settle(&mut self, entry: &EntryId) {
        self.forget(entry);
        if let Some(again) = &mut self.again {
            again.remove(entry);
        }
    }

    /// Forgets what was said about all of them.
    pub(crate) fn forget_all(&mut self) {
        *self = Self { is_timed: self.is_timed, ..Self::default() };
    }

    /// These entries are passed on again.
    pub(crate) fn passed_again(&mut self, entries: impl Iterator<Item = EntryId>) {
        self.again = Some(entries.collect());
    }

    /// Whether the fate of all that was passed on again has become known, so that others can follow. Tells it once.
    pub(crate) fn take_settled(&mut self) -> bool {
        self.again.take_if(|again| again.is_empty()).is_some()
    }

    /// The entries that somebody refuses.
    pub(crate) fn entries(&self) -> Vec<EntryId> {
        self.refused.keys().copied().collect()
    }

    /// Who refuses an entry at heights up to `next`, which can be judged here too: if that is more than a third of the power, so
    /// that somebody honest does.
    pub(crate) fn due(
        &self,
        entry: &EntryId,
        validators: &Validators,
        next: u64,
    ) -> Option<Vec<KeyId>> {
        let said = self.refused.get(entry)?.iter();
        let by: Vec<KeyId> =
            said.filter(|(_, height)| **height <= next).map(|(id, _)| *id).collect();
        (validators.power_of(&by).saturating_mul(3) > validators.total_power()).then_some(by)
    }
}

/// How long an entry that went on is not passed on once more, whoever brings it: not as long as it takes its own node to do so again.
const ONCE_IN_MS: u64 = 4_000;
/// Entries that go on in that time: what is beyond comes again.
const HANDED_ON: usize = 65_536;

/// At a node that does not vote: what it passed on for others lately.
#[derive(Debug, Default)]
pub(crate) struct HandedOn {
    known: BTreeSet<EntryId>,
    order: VecDeque<(u64, EntryId)>,
}

impl HandedOn {
    /// Whether an entry is to go on now, which is noted.
    pub(crate) fn is_new(&mut self, entry: EntryId, now_ms: u64) -> bool {
        // A clock that was put back ends it too.
        let is_over = |(at, _): &mut (u64, EntryId)| now_ms.abs_diff(*at) >= ONCE_IN_MS;
        while let Some((_, former)) = self.order.pop_front_if(is_over) {
            self.known.remove(&former);
        }
        let is_new = self.order.len() < HANDED_ON && self.known.insert(entry);
        if is_new {
            self.order.push_back((now_ms, entry));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: usize) -> EntryId {
        EntryId(ledger_format::digest::sha256(&[&number.to_be_bytes()]))
    }

    #[test]
    fn an_entry_goes_on_once_in_a_while_also_when_the_clock_is_put_back() {
        let mut handed_on = HandedOn::default();
        let mut goes_on = |now_ms| handed_on.is_new(entry(1), now_ms);
        assert!(goes_on(10_000));
        assert!(!goes_on(10_000 + ONCE_IN_MS - 1));
        assert!(goes_on(10_000 + ONCE_IN_MS));
        assert!(goes_on(1));
        assert!(!goes_on(2));
    }

    #[test]
    fn what_goes_on_in_a_while_has_a_bound() {
        let mut handed_on = HandedOn::default();
        let count = (0..=HANDED_ON).filter(|number| handed_on.is_new(entry(*number), 1)).count();
        assert_eq!(count, HANDED_ON);
        assert!(handed_on.is_new(entry(HANDED_ON), 1 + ONCE_IN_MS));
        assert_eq!((handed_on.known.len(), handed_on.order.len()), (1, 1));
    }
}
