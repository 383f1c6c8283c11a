//! Everything that a validator has signed, found by the signatures themselves: whatever form the log has, a signature in it is
//! 64 bytes, and Ed25519 gives the same for the same message.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ed25519_dalek::Signer as _;
use ledger_format::block::Block;
use ledger_format::digest::{BlockHash, LedgerId};
use ledger_format::header::{HEADER_BYTES, HEADER_MARK, Header};
use ledger_format::vote::{VoteStep, proposal_bytes, vote_bytes};
use ledger_story::validator_key;

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Proposal,
    Prevote,
    Precommit,
}

/// Height, round and kind: for each of these a validator signs once.
pub(crate) type Slot = (u64, u32, Kind);

/// Rounds in which signatures are looked for.
const ROUNDS: u32 = 3;

/// What is known to have been signed.
#[derive(Clone, Debug)]
pub(crate) struct Notary {
    ledger: LedgerId,
    /// Signatures over everything that a validator could say of the blocks seen so far.
    candidates: BTreeMap<BlockHash, Vec<([u8; 64], Slot)>>,
    signed: BTreeMap<Slot, BTreeSet<BlockHash>>,
}

impl Notary {
    pub(crate) fn new(ledger: LedgerId) -> Self {
        Self { ledger, candidates: BTreeMap::new(), signed: BTreeMap::new() }
    }

    /// Remembers a block that may be signed.
    fn see(&mut self, height: u64, block: BlockHash) {
        if self.candidates.contains_key(&block) {
            return;
        }
        let key = validator_key("vote");
        let mut all = Vec::new();
        for round in 0..ROUNDS {
            for valid in (0..round).map(Some).chain([None]) {
                let message = proposal_bytes(&self.ledger, height, round, valid, &block);
                all.push((key.sign(&message).to_bytes(), (height, round, Kind::Proposal)));
            }
            for (step, kind) in
                [(VoteStep::Prevote, Kind::Prevote), (VoteStep::Precommit, Kind::Precommit)]
            {
                let message = vote_bytes(&self.ledger, step, height, round, Some(&block));
                all.push((key.sign(&message).to_bytes(), (height, round, kind)));
            }
        }
        self.candidates.insert(block, all);
    }

    /// Notes everything that is signed in some records of a log.
    pub(crate) fn read_log(&mut self, records: &[Vec<u8>]) {
        for record in records {
            // Bodies are recognised by the header that they begin with.
            let mark = |window: &[u8]| window == HEADER_MARK;
            if let Some(at) = record.windows(HEADER_MARK.len()).position(mark) {
                let bytes = Bytes::copy_from_slice(&record[at..at + HEADER_BYTES]);
                let header = Header::decode(bytes).unwrap();
                self.see(header.height, header.hash());
            }
        }
        for record in records.iter().filter(|record| record.len() >= 64) {
            let inside: BTreeSet<&[u8]> = record.windows(64).collect();
            for (block, all) in &self.candidates {
                for (signature, slot) in all {
                    if inside.contains(signature.as_slice()) {
                        self.signed.entry(*slot).or_default().insert(*block);
                    }
                }
            }
        }
    }

    /// Notes the certificates of some blocks.
    pub(crate) fn read_blocks(&mut self, blocks: &[Block]) {
        for Block { body, certificate } in blocks {
            let slot = (body.header.height, certificate.round, Kind::Precommit);
            self.signed.entry(slot).or_default().insert(certificate.block);
        }
    }

    /// Slots for which there are two different signatures.
    pub(crate) fn doubles(&self) -> Vec<Slot> {
        let double =
            |(slot, blocks): (&Slot, &BTreeSet<BlockHash>)| (blocks.len() > 1).then_some(*slot);
        self.signed.iter().filter_map(double).collect()
    }

    /// The block that was signed for at a height, if any.
    pub(crate) fn block(&self, height: u64) -> Option<BlockHash> {
        let own = |((signed, ..), _): &(&Slot, &BTreeSet<BlockHash>)| *signed == height;
        let mut blocks = self.signed.iter().filter(own).flat_map(|(_, blocks)| blocks);
        blocks.next().copied()
    }

    /// What was signed at a height.
    pub(crate) fn slots(&self, height: u64) -> Vec<Slot> {
        self.signed.keys().filter(|(signed, ..)| *signed == height).copied().collect()
    }
}
