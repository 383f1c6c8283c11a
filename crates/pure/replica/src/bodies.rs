//! Bodies of the height that is being decided: proposed here or by others, and those that nobody proposed yet.
//!
//! A block's hash is its header's, and nobody signs a body. So a body that does not fit its header says nothing about the block, only
//! about who sent it: another one may fit. Only what the proposer itself sent refutes its proposal.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ledger_format::block::Body;
use ledger_format::digest::{BlockHash, KeyId};
use ledger_replay::Executed;

use crate::said::SaidProposal;

/// Most bodies of one sender that no proposal names yet; the oldest give way. An honest proposer has one a round, and
/// another one after a start.
const STRAYS: usize = 2;

/// A block of this height, executed and not committed.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) hash: BlockHash,
    pub(crate) body: Body,
    pub(crate) executed: Executed,
}

/// Most proposals that are kept of one round: two are enough to show that a proposer lied. Rounds are bounded by how many the height has
/// gone through, and those within the engine's reach.
const PROPOSALS_OF_ROUND: usize = 2;

/// What is known of the blocks of one height.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    candidates: BTreeMap<BlockHash, Candidate>,
    /// Blocks of which the proposer itself sent a body that may not follow.
    refuted: BTreeSet<BlockHash>,
    /// Who sent a body that may not follow: nobody honest does, and no other one of theirs is executed.
    spoilers: BTreeSet<KeyId>,
    /// Proposals whose signatures were checked, by round. Of a proposer that makes two, the engine keeps both as evidence.
    proposals: Vec<SaidProposal>,
    strays: BTreeMap<KeyId, Vec<(BlockHash, Bytes)>>,
    /// Verdicts that the engine has.
    told: BTreeMap<BlockHash, bool>,
}

impl Bodies {
    pub(crate) fn add(&mut self, candidate: Candidate) {
        self.candidates.insert(candidate.hash, candidate);
    }

    /// Notes a body that may not follow. It refutes the block if who sent it proposed it.
    pub(crate) fn spoil(&mut self, from: KeyId, block: BlockHash) {
        self.spoilers.insert(from);
        if self.proposals_of(&block).iter().any(|proposal| proposal.proposer == from.0) {
            self.refuted.insert(block);
        }
    }

    /// Whether somebody has sent a body that may not follow.
    pub(crate) fn is_spoiler(&self, from: &KeyId) -> bool {
        self.spoilers.contains(from)
    }

    /// The blocks of this height that are known.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &BlockHash> {
        self.candidates.keys()
    }

    pub(crate) fn get(&self, block: &BlockHash) -> Option<&Candidate> {
        self.candidates.get(block)
    }

    pub(crate) fn take(&mut self, block: &BlockHash) -> Option<Candidate> {
        self.candidates.remove(block)
    }

    /// Takes out a block of this validator that no proposal names yet.
    pub(crate) fn take_unproposed(&mut self, own: &KeyId) -> Option<Candidate> {
        let unproposed = |candidate: &&Candidate| {
            candidate.body.header.proposer == *own
                && !self.proposals.iter().any(|proposal| proposal.value == candidate.hash.0)
        };
        let hash = self.candidates.values().find(unproposed)?.hash;
        self.take(&hash)
    }

    /// Whether the engine can be told a verdict: a body was executed, or its proposer sent none that may follow.
    pub(crate) fn is_judged(&self, block: &BlockHash) -> bool {
        self.candidates.contains_key(block) || self.refuted.contains(block)
    }

    /// Keeps a proposal of a round that is not far ahead; whether it is new, and not one too many.
    pub(crate) fn propose(&mut self, proposal: &SaidProposal) -> bool {
        let of_round = self.proposals.iter().filter(|known| known.round == proposal.round).count();
        let new = !self.proposals.contains(proposal) && of_round < PROPOSALS_OF_ROUND;
        if new {
            self.proposals.push(proposal.clone());
        }
        new
    }

    /// Proposals of a block.
    pub(crate) fn proposals_of(&self, block: &BlockHash) -> Vec<SaidProposal> {
        self.proposals.iter().filter(|proposal| proposal.value == block.0).cloned().collect()
    }

    /// Blocks without a good verdict of which a proposer claims that a quorum has prevoted for them.
    pub(crate) fn claimed(&self) -> Vec<BlockHash> {
        let claims = self.proposals.iter().filter(|proposal| proposal.valid_round.is_some());
        let blocks: BTreeSet<BlockHash> =
            claims.map(|proposal| BlockHash(proposal.value)).collect();
        let open = |block: &BlockHash| {
            self.candidates.contains_key(block) && self.told.get(block) != Some(&true)
        };
        blocks.into_iter().filter(open).collect()
    }

    /// Keeps a body that no proposal names yet.
    pub(crate) fn stray(&mut self, from: KeyId, block: BlockHash, body: Bytes) {
        let strays = self.strays.entry(from).or_default();
        if strays.iter().any(|(known, _)| *known == block) {
            return;
        }
        if strays.len() >= STRAYS {
            strays.remove(0);
        }
        strays.push((block, body));
    }

    /// Takes out bodies that came before their proposal, with who sent them.
    pub(crate) fn take_strays(&mut self, block: &BlockHash) -> Vec<(KeyId, Bytes)> {
        let strays = self.strays.iter_mut();
        let found = strays.filter_map(|(from, strays)| {
            let at = strays.iter().position(|(known, _)| known == block)?;
            Some((*from, strays.remove(at).1))
        });
        found.collect()
    }

    /// Whether the engine has not got a verdict, or a better one, already.
    pub(crate) fn is_news(&self, block: &BlockHash, valid: bool) -> bool {
        self.told.get(block).is_none_or(|before| !before && valid)
    }

    /// Whether the engine has the verdict that a block is not to be voted for.
    pub(crate) fn is_told_bad(&self, block: &BlockHash) -> bool {
        self.told.get(block) == Some(&false)
    }

    /// Notes a verdict that the engine has.
    pub(crate) fn told(&mut self, block: BlockHash, valid: bool) {
        self.told.insert(block, valid);
    }
}
