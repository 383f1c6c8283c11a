//! What validators sign: votes and proposals, at fixed offsets, and the certificate that votes make (docs/spec/block.md).

use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::digest::{BlockHash, KeyId, LedgerId};
use crate::fixed::FixedReader;
use crate::limits::MAX_VALIDATORS;
use crate::malformed::{Kind, Malformed};

/// Length of a vote's bytes.
pub const VOTE_BYTES: usize = 96;
/// Length of a proposal's bytes.
pub const PROPOSAL_BYTES: usize = 96;

const VOTE_MARK: &[u8; 15] = b"ledger/vote/v1\0";
const PROPOSAL_MARK: &[u8; 15] = b"ledger/prop/v1\0";
const CERTIFICATE_MARK: &[u8; 15] = b"ledger/cert/v1\0";

/// The two votes of a Tendermint round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VoteStep {
    /// First: the proposal looks right.
    Prevote,
    /// Second: more than two thirds said so.
    Precommit,
}

impl VoteStep {
    /// Its byte: 1 prevote, 2 precommit.
    pub const fn number(self) -> u8 {
        match self {
            Self::Prevote => 1,
            Self::Precommit => 2,
        }
    }

    /// The step of a byte.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Prevote),
            2 => Some(Self::Precommit),
            _ => None,
        }
    }
}

/// The bytes that a validator signs to vote: mark 15, step 1 (1 prevote, 2 precommit), ledger 32, height 8, round 4,
/// 1 when a block is named, 3 zero bytes, block hash 32 (zero for nil).
pub fn vote_bytes(
    ledger: &LedgerId,
    step: VoteStep,
    height: u64,
    round: u32,
    block: Option<&BlockHash>,
) -> [u8; VOTE_BYTES] {
    let named = u8::from(block.is_some());
    let block = block.copied().unwrap_or_default();
    layout(VOTE_MARK, step.number(), ledger, height, round, [named, 0, 0, 0], &block)
}

/// The bytes that a proposer signs: mark 15, 1 when a valid round is named, ledger 32, height 8, round 4, valid round 4 (zero
/// without one), block hash 32.
pub fn proposal_bytes(
    ledger: &LedgerId,
    height: u64,
    round: u32,
    valid_round: Option<u32>,
    block: &BlockHash,
) -> [u8; PROPOSAL_BYTES] {
    let named = u8::from(valid_round.is_some());
    let valid = valid_round.unwrap_or_default().to_be_bytes();
    layout(PROPOSAL_MARK, named, ledger, height, round, valid, block)
}

fn layout(
    mark: &[u8; 15],
    first: u8,
    ledger: &LedgerId,
    height: u64,
    round: u32,
    fourth: [u8; 4],
    block: &BlockHash,
) -> [u8; 96] {
    let mut bytes = [0; 96];
    let parts: [&[u8]; 7] = [
        mark,
        &[first],
        ledger.as_bytes(),
        &height.to_be_bytes(),
        &round.to_be_bytes(),
        &fourth,
        block.as_bytes(),
    ];
    for (place, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
        *place = *byte;
    }
    bytes
}

/// Precommits for one block by validators with more than two thirds of the power, as [`crate::header`] names it.
///
/// Honest nodes may hold different subsets of the same signers, so a certificate is never hashed into anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Height of the block.
    pub height: u64,
    /// Round in which it was decided.
    pub round: u32,
    /// The block.
    pub block: BlockHash,
    /// Who signed, strictly ascending by validator.
    pub signatures: Vec<(KeyId, [u8; 64])>,
}

impl Certificate {
    /// What each signature of the certificate is over.
    pub fn signed_bytes(&self, ledger: &LedgerId) -> [u8; VOTE_BYTES] {
        vote_bytes(ledger, VoteStep::Precommit, self.height, self.round, Some(&self.block))
    }

    /// Mark 15, height 8, round 4, block 32, count 2, then validator 32 and signature 64 each.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = CERTIFICATE_MARK.to_vec();
        bytes.extend_from_slice(&self.height.to_be_bytes());
        bytes.extend_from_slice(&self.round.to_be_bytes());
        bytes.extend_from_slice(self.block.as_bytes());
        let count = u16::try_from(self.signatures.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&count.to_be_bytes());
        for (validator, signature) in &self.signatures {
            bytes.extend_from_slice(validator.as_bytes());
            bytes.extend_from_slice(signature);
        }
        bytes
    }

    /// Reads exactly one certificate.
    ///
    /// # Errors
    /// `FMT_MAGIC`, `FMT_TRUNCATED`, `FMT_TRAILING`, `FMT_TOO_LARGE`, or `FMT_NOT_CANONICAL` when validators are out of order.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = FixedReader::new("certificate", bytes);
        reader.mark(CERTIFICATE_MARK)?;
        let height = reader.u64()?;
        let round = reader.u32()?;
        let block = BlockHash(reader.array()?);
        let count = u32::from(reader.u16()?);
        let count = reader.length(count, MAX_VALIDATORS)?;
        let mut signatures: Vec<(KeyId, [u8; 64])> = Vec::with_capacity(count);
        for index in 0..count {
            let validator = KeyId(reader.array()?);
            if signatures.last().is_some_and(|(last, _)| *last >= validator) {
                let detail = format!("validator {index} is not above the one before");
                return Err(Malformed::new(Kind::NotCanonical, "certificate", detail));
            }
            signatures.push((validator, reader.array()?));
        }
        reader.finish()?;
        Ok(Self { height, round, block, signatures })
    }
}
