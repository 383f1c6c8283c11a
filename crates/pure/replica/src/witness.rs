//! What a node remembers of what validators signed, to notice who signs two things that exclude each other, and the evidence that
//! came of it (docs/spec/evidence.md).
//!
//! Bounded whatever liars send: some heights around the next one, some statements of each validator and height, one evidence of
//! each key and height, some of each key.

use std::collections::BTreeMap;

use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::evidence::{Evidence, SignedProposal, SignedVote};
use ledger_format::validators::Validators;
use ledger_format::vote::{VoteStep, proposal_bytes, vote_bytes};
use ledger_verify::evidence::Culprit;
use ledger_verify::signature;

use crate::message::{Statement, StatementKind};

/// Heights of which statements are remembered, before and from the next one.
const BEFORE: u64 = 8;
const AHEAD: u64 = 8;
/// Statements that are remembered of one validator and height: three of each of the first rounds.
const STATEMENTS: usize = 48;
/// Evidence that is kept against one key: more convinces nobody who is not convinced.
const AGAINST_ONE: usize = 16;

/// Of each of these a validator signs one a height.
pub(crate) type Slot = (u32, Step);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Proposal,
    Prevote,
    Precommit,
}

/// What was signed by whom.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    heights: BTreeMap<u64, BTreeMap<KeyId, BTreeMap<Slot, Statement>>>,
    proven: BTreeMap<KeyId, BTreeMap<u64, Evidence>>,
}

impl Witness {
    /// Takes a statement in, and says what it proves together with one before. `first_hand`: its signer sent it. Signatures of
    /// such are checked only when there is a conflict, others before they are kept, so that nobody fills another's place.
    pub(crate) fn hear(
        &mut self,
        ledger: &LedgerId,
        validators: &Validators,
        next: u64,
        statement: Statement,
        first_hand: bool,
    ) -> Option<Evidence> {
        let Statement { height, validator, .. } = statement;
        if height.saturating_add(BEFORE) < next || height >= next.saturating_add(AHEAD) {
            return None;
        }
        validators.get(&validator)?;
        if self.is_enough(&validator, height) {
            return None;
        }
        let is_signed = |statement: &Statement| is_signed(ledger, validators, statement);
        let said = self.heights.entry(height).or_default().entry(validator).or_default();
        let slot = slot(&statement);
        let Some(first) = said.get(&slot) else {
            if first_hand || is_signed(&statement) {
                said.insert(slot, statement);
            }
            if said.len() > STATEMENTS {
                // Rounds far ahead are the first to be invented.
                said.pop_last();
            }
            return None;
        };
        // The same again says nothing, unless what was kept unchecked turns out to be nothing.
        if first.signature == statement.signature || !is_signed(&statement) {
            return None;
        }
        if !is_signed(first) {
            said.insert(slot, statement);
            return None;
        }
        if first.block == statement.block {
            return None;
        }
        pair(ledger, first, &statement)
    }

    /// What the proposer of a vote's round said, if it is for another block than the vote: whoever voted may have been shown that one.
    pub(crate) fn other_proposal(&self, vote: &Statement, proposer: &KeyId) -> Option<&Statement> {
        if matches!(vote.kind, StatementKind::Proposal { .. }) || vote.block.is_none() {
            return None;
        }
        let said = self.heights.get(&vote.height)?.get(proposer)?;
        let proposal = said.get(&(vote.round, Step::Proposal))?;
        (proposal.block != vote.block).then_some(proposal)
    }

    /// Whether nothing more is kept against a key for a height.
    pub(crate) fn is_enough(&self, key: &KeyId, height: u64) -> bool {
        let against = self.proven.get(key);
        against.is_some_and(|known| known.contains_key(&height) || known.len() >= AGAINST_ONE)
    }

    /// Keeps evidence that proves its culprits guilty; whether there is one against whom it is new.
    pub(crate) fn keep(&mut self, evidence: &Evidence, culprits: &[Culprit]) -> bool {
        let height = evidence.height;
        let new = culprits.iter().find(|culprit| !self.is_enough(&culprit.key, height));
        let Some(culprit) = new else { return false };
        self.proven.entry(culprit.key).or_default().insert(height, evidence.clone());
        true
    }

    /// All evidence.
    pub(crate) fn evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.proven.values().flat_map(BTreeMap::values)
    }

    /// Forgets statements of heights long past.
    pub(crate) fn forget_below(&mut self, next: u64) {
        self.heights = self.heights.split_off(&next.saturating_sub(BEFORE));
    }
}

pub(crate) const fn slot(statement: &Statement) -> Slot {
    let step = match statement.kind {
        StatementKind::Proposal { .. } => Step::Proposal,
        StatementKind::Prevote => Step::Prevote,
        StatementKind::Precommit => Step::Precommit,
    };
    (statement.round, step)
}

fn is_signed(ledger: &LedgerId, validators: &Validators, statement: &Statement) -> bool {
    let Some(member) = validators.get(&statement.validator) else { return false };
    let bytes = signed_bytes(ledger, statement);
    signature::verify(&member.vote_key, &bytes, &statement.signature).is_ok()
}

/// What a statement's signature is over.
pub(crate) fn signed_bytes(ledger: &LedgerId, statement: &Statement) -> [u8; 96] {
    let Statement { height, round, kind, block, .. } = statement;
    let vote = |step| vote_bytes(ledger, step, *height, *round, block.as_ref());
    match kind {
        StatementKind::Prevote => vote(VoteStep::Prevote),
        StatementKind::Precommit => vote(VoteStep::Precommit),
        StatementKind::Proposal { valid_round } => {
            let block = block.unwrap_or_default();
            proposal_bytes(ledger, *height, *round, *valid_round, &block)
        }
    }
}

/// The evidence that two statements of one validator, height, round and kind are.
pub(crate) fn pair(ledger: &LedgerId, first: &Statement, second: &Statement) -> Option<Evidence> {
    let Statement { height, round, validator, .. } = *first;
    let double = |step| {
        let vote = |of: &Statement| SignedVote { block: of.block, signature: of.signature };
        let votes = [vote(first), vote(second)];
        Evidence::double_vote(*ledger, height, (round, step, validator), votes)
    };
    Some(match (first.kind, second.kind) {
        (StatementKind::Prevote, StatementKind::Prevote) => double(VoteStep::Prevote),
        (StatementKind::Precommit, StatementKind::Precommit) => double(VoteStep::Precommit),
        (
            StatementKind::Proposal { valid_round: one },
            StatementKind::Proposal { valid_round: other },
        ) => {
            let proposal = |of: &Statement, valid_round, block: BlockHash| SignedProposal {
                block,
                valid_round,
                signature: of.signature,
            };
            let proposals =
                [proposal(first, one, first.block?), proposal(second, other, second.block?)];
            Evidence::double_proposal(*ledger, height, (round, validator), proposals)
        }
        _ => return None,
    })
}
