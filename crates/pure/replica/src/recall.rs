//! What this node's vote keys have said as far as others know: what a directory that was lost, or put back from an older copy, has
//! forgotten (docs/adr/0025).

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::validators::Validators;
use ledger_replay::Ledger;
use ledger_verify::signature;

use crate::message::{Statement, StatementKind};
use crate::planted::{self, Bug};
use crate::said::Said;
use crate::witness::{Slot, signed_bytes, slot};

/// Heights that a validator may have voted at above what the least informed of a quorum had: a vote at a height needs the block
/// below it, and whoever precommitted that block had the one below that.
const AHEAD: u64 = 2;

/// The latest that each validator has said itself. The sender is known by its connection; signatures are for the one who is told.
#[derive(Debug, Default)]
pub(crate) struct Overheard {
    last: BTreeMap<KeyId, (u64, Slot, Said)>,
}

impl Overheard {
    pub(crate) fn note(&mut self, from: KeyId, height: u64, said: &Said) {
        if !matches!(said, Said::Vote(_) | Said::Proposal(_)) {
            return;
        }
        let Some(new) = said.statements(height, 1).pop().filter(|new| new.validator == from) else {
            return;
        };
        let at = (height, slot(&new));
        if self.last.get(&from).is_none_or(|(height, slot, _)| (*height, *slot) < at) {
            self.last.insert(from, (at.0, at.1, said.clone()));
        }
    }

    pub(crate) fn last(&self, validator: &KeyId) -> Option<(u64, Said)> {
        self.last.get(validator).map(|(height, _, said)| (*height, said.clone()))
    }

    /// Forgets those who have no say any more.
    pub(crate) fn keep_only(&mut self, has_say: impl Fn(&KeyId) -> bool) {
        self.last.retain(|validator, _| has_say(validator));
    }
}

/// What this node has signed at the open height, in this process or before a crash.
#[derive(Debug, Default)]
pub(crate) struct Signed {
    slots: BTreeMap<Slot, (KeyId, StatementKind, Option<BlockHash>)>,
}

impl Signed {
    pub(crate) fn add(&mut self, statement: &Statement) {
        let Statement { validator, kind, block, .. } = *statement;
        self.slots.insert(slot(statement), (validator, kind, block));
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
    }

    /// Whether this is something that was signed here.
    pub(crate) fn knows(&self, statement: &Statement) -> bool {
        let Statement { validator, kind, block, .. } = *statement;
        self.slots.get(&slot(statement)) == Some(&(validator, kind, block))
    }
}

/// A node that has lost its memory: its keys, put aside, and what others have reported since.
pub(crate) struct Recovering {
    keys: Vec<SigningKey>,
    own: BTreeSet<KeyId>,
    /// Its operator vouches that nobody else has its keys, since the others cannot go on without it.
    alone: bool,
    /// The set that certified the ledger's last block, once this node has seen it in force.
    certified: Option<Validators>,
    /// The set of the next height.
    next: Validators,
    /// Of each node the first report: its height, and the height of the latest statement of this node's that it has heard.
    reports: BTreeMap<KeyId, (u64, u64)>,
}

impl std::fmt::Debug for Recovering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovering").field("reports", &self.reports).finish_non_exhaustive()
    }
}

impl Recovering {
    pub(crate) fn new(ledger: &Ledger, keys: Vec<SigningKey>, alone: bool) -> Self {
        let own = keys.iter().map(|key| KeyId::of(key.verifying_key().as_bytes())).collect();
        let next = ledger.validators().clone();
        Self { keys, own, alone, certified: None, next, reports: BTreeMap::new() }
    }

    pub(crate) const fn is_alone(&self) -> bool {
        self.alone
    }

    pub(crate) fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    pub(crate) fn into_keys(self) -> Vec<SigningKey> {
        self.keys
    }

    /// The ledger has one more block.
    pub(crate) fn advance(&mut self, ledger: &Ledger) {
        let before = std::mem::replace(&mut self.next, ledger.validators().clone());
        self.certified = Some(before);
    }

    /// Takes what a node reports: its height, of which the first counts, and at which height it has heard this node last. Who counts
    /// is decided when the set is known: a report may come before the blocks that made its sender a validator.
    pub(crate) fn report(&mut self, from: KeyId, tip: u64, heard: u64) {
        let report = self.reports.entry(from).or_insert((tip, heard));
        report.1 = report.1.max(heard);
    }

    /// Whether a node has not reported yet.
    pub(crate) fn lacks(&self, from: &KeyId) -> bool {
        !self.reports.contains_key(from)
    }

    /// A connection has ended: strangers are forgotten, so that no number of them fills the memory.
    pub(crate) fn forget(&mut self, ledger: &Ledger, peer: &KeyId) {
        let sets = [&self.next, ledger.next_validators()].into_iter().chain(&self.certified);
        if !sets.into_iter().any(|set| set.get(peer).is_some()) {
            self.reports.remove(peer);
        }
    }

    /// Whether no statement at the ledger's next height or above can have been made that is forgotten.
    ///
    /// Had this node signed at a height above the ledger's, then the ledger's last block had been decided before it lost its memory: a
    /// quorum of the set of that height had precommitted it. Somebody honest of that quorum is among those who count here, if they
    /// are a quorum of the same set; it had the block before the last one when it precommitted, so it would have reported at least
    /// that. All who count have reported less.
    pub(crate) fn is_over(&self, ledger: &Ledger) -> bool {
        if self.alone {
            return self.has_what_others_have(ledger);
        }
        let height = ledger.height();
        let counts = |(tip, _): &(u64, u64)| tip.saturating_add(AHEAD) <= height;
        let is_quorum = |set: &Validators| {
            let counted = self.reports.iter().filter(|(_, report)| counts(report));
            let others = counted.map(|(from, _)| from).filter(|from| !self.own.contains(*from));
            let power = set.power_of(others);
            set.is_quorum(power) || planted::is(Bug::OneReportEnough) && power > 0
        };
        // The set of the next height as well: those with whom this node is going to vote.
        let is_early = planted::is(Bug::OneReportEnough);
        self.certified.as_ref().map_or(is_early, is_quorum)
            && is_quorum(ledger.validators())
            && self.reports.values().all(|(_, heard)| *heard <= height)
    }

    /// Whether this node has all blocks of others that are a quorum with it.
    fn has_what_others_have(&self, ledger: &Ledger) -> bool {
        let validators = ledger.validators();
        let has = |from: &KeyId| self.reports.get(from).is_some_and(|(t, _)| *t <= ledger.height());
        let members = validators.members().iter().map(|member| &member.id);
        let counted = members.filter(|id| self.own.contains(*id) || has(id));
        validators.is_quorum(validators.power_of(counted)) || planted::is(Bug::AloneAtOnce)
    }

    /// The heights at which, after an operator's word, statements of this node's may turn up that it has forgotten.
    pub(crate) fn vouched(&self, ledger: &Ledger) -> u64 {
        if self.alone { ledger.height().saturating_add(AHEAD) } else { 0 }
    }
}

/// Whether one of these keys signed a statement.
pub(crate) fn is_signed_by(keys: &[SigningKey], ledger: &LedgerId, statement: &Statement) -> bool {
    let mut publics = keys.iter().map(|key| key.verifying_key().to_bytes());
    let Some(key) = publics.find(|key| KeyId::of(key) == statement.validator) else { return false };
    let bytes = signed_bytes(ledger, statement);
    signature::verify(&key, &bytes, &statement.signature).is_ok()
}
