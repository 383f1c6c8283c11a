//! The engine's view of our types: heights, validators, votes and proposals. The bytes that are signed are those of
//! `ledger_format::vote`; the value that is agreed on is a block hash, whose body travels apart.

use std::fmt;

use consensus_types::{
    Address, Context, Height, LinearTimeouts, NilOrVal, Proposal, ProposalPart, Round,
    SignedExtension, SigningScheme, Validator, ValidatorSet, Value, Vote, VoteType,
};
use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::validators::{Member, Validators};
use ledger_format::vote::{VoteStep, proposal_bytes, vote_bytes};
use ledger_verify::block::proposer;

use crate::planted::{self, Bug};

/// The engine's type parameter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ledger;

/// A height, as the engine counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockHeight(pub(crate) u64);

/// The id of a validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ValidatorId(pub(crate) KeyId);

/// A block by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockValue(pub(crate) BlockHash);

/// A validator with its vote key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EngineValidator {
    id: ValidatorId,
    key: [u8; 32],
    power: u64,
}

/// The validators of a height, with the set that they were made of.
#[derive(Clone, Debug)]
pub(crate) struct EngineValidators {
    members: Vec<EngineValidator>,
    set: Validators,
}

/// A vote without its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EngineVote {
    pub(crate) step: VoteType,
    pub(crate) height: BlockHeight,
    pub(crate) round: Round,
    pub(crate) value: NilOrVal<BlockHashId>,
    pub(crate) validator: ValidatorId,
}

/// A proposal without its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EngineProposal {
    pub(crate) height: BlockHeight,
    pub(crate) round: Round,
    pub(crate) value: BlockValue,
    pub(crate) valid_round: Round,
    pub(crate) proposer: ValidatorId,
}

/// The id of a value, which is the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockHashId(pub(crate) BlockHash);

/// Bodies are not cut into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoParts;

/// Ed25519 by the rule of `ledger_verify::signature`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ed25519;

/// A signature, ordered as the engine needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EngineSignature(pub(crate) [u8; 64]);

impl fmt::Debug for EngineSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ledger_format::digest::hex(&self.0))
    }
}

impl fmt::Display for BlockHeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ValidatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BlockHashId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Height for BlockHeight {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl Address for ValidatorId {}

impl Value for BlockValue {
    type Id = BlockHashId;

    fn id(&self) -> BlockHashId {
        BlockHashId(self.0)
    }
}

impl ProposalPart<Ledger> for NoParts {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

impl Validator<Ledger> for EngineValidator {
    fn address(&self) -> &ValidatorId {
        &self.id
    }

    fn public_key(&self) -> &[u8; 32] {
        &self.key
    }

    fn voting_power(&self) -> u64 {
        self.power
    }
}

impl EngineValidators {
    pub(crate) fn new(set: &Validators) -> Self {
        let member = |member: &Member| EngineValidator {
            id: ValidatorId(member.id),
            key: member.vote_key,
            power: if planted::is(Bug::HeadsCounted) { 1 } else { u64::from(member.power) },
        };
        Self { members: set.members().iter().map(member).collect(), set: set.clone() }
    }

    pub(crate) const fn set(&self) -> &Validators {
        &self.set
    }
}

impl PartialEq for EngineValidators {
    fn eq(&self, other: &Self) -> bool {
        self.members == other.members
    }
}

impl Eq for EngineValidators {}

impl ValidatorSet<Ledger> for EngineValidators {
    fn count(&self) -> usize {
        self.members.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.members.iter().map(|member| member.power).sum()
    }

    fn get_by_address(&self, address: &ValidatorId) -> Option<&EngineValidator> {
        self.members.iter().find(|member| member.id == *address)
    }

    fn get_by_index(&self, index: usize) -> Option<&EngineValidator> {
        self.members.get(index)
    }
}

impl Vote<Ledger> for EngineVote {
    fn height(&self) -> BlockHeight {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockHashId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockHashId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.step
    }

    fn validator_address(&self) -> &ValidatorId {
        &self.validator
    }

    fn extension(&self) -> Option<&SignedExtension<Ledger>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Ledger>> {
        None
    }

    fn extend(self, _extension: SignedExtension<Ledger>) -> Self {
        self
    }
}

impl EngineVote {
    /// The bytes that the validator signs.
    pub(crate) fn signed_bytes(&self, ledger: &LedgerId) -> [u8; 96] {
        let step = match self.step {
            VoteType::Prevote => VoteStep::Prevote,
            VoteType::Precommit => VoteStep::Precommit,
        };
        let block = match &self.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(BlockHashId(block)) => Some(block),
        };
        vote_bytes(ledger, step, self.height.0, number(self.round), block)
    }
}

impl Proposal<Ledger> for EngineProposal {
    fn height(&self) -> BlockHeight {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &BlockValue {
        &self.value
    }

    fn take_value(self) -> BlockValue {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.valid_round
    }

    fn validator_address(&self) -> &ValidatorId {
        &self.proposer
    }
}

impl EngineProposal {
    /// The bytes that the proposer signs.
    pub(crate) fn signed_bytes(&self, ledger: &LedgerId) -> [u8; 96] {
        let valid = self.valid_round.as_u32();
        proposal_bytes(ledger, self.height.0, number(self.round), valid, &self.value.0)
    }
}

/// A round as it is signed. The engine never signs for the nil round.
pub(crate) fn number(round: Round) -> u32 {
    round.as_u32().unwrap_or(u32::MAX)
}

impl SigningScheme for Ed25519 {
    type DecodingError = String;
    type Signature = EngineSignature;
    type PublicKey = [u8; 32];
    /// The engine never sees a private key: it asks for signatures.
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<EngineSignature, String> {
        bytes
            .try_into()
            .map(EngineSignature)
            .map_err(|_other_length| "expected 64 bytes".to_owned())
    }

    fn encode_signature(signature: &EngineSignature) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<[u8; 32], String> {
        bytes.try_into().map_err(|_other_length| "expected 32 bytes".to_owned())
    }

    fn encode_public_key(key: &[u8; 32]) -> Vec<u8> {
        key.to_vec()
    }
}

impl Context for Ledger {
    type Address = ValidatorId;
    type Height = BlockHeight;
    type ProposalPart = NoParts;
    type Proposal = EngineProposal;
    type Validator = EngineValidator;
    type ValidatorSet = EngineValidators;
    type Timeouts = LinearTimeouts;
    type Value = BlockValue;
    type Vote = EngineVote;
    type Extension = ();
    type SigningScheme = Ed25519;

    #[expect(
        clippy::expect_used,
        reason = "`proposer` picks from the same set, which is never empty"
    )]
    fn select_proposer<'a>(
        &self,
        validators: &'a EngineValidators,
        height: BlockHeight,
        round: Round,
    ) -> &'a EngineValidator {
        let id = ValidatorId(proposer(validators.set(), height.0, number(round)));
        validators.get_by_address(&id).expect("the proposer is a validator")
    }

    fn new_proposal(
        &self,
        height: BlockHeight,
        round: Round,
        value: BlockValue,
        valid_round: Round,
        proposer: ValidatorId,
    ) -> EngineProposal {
        EngineProposal { height, round, value, valid_round, proposer }
    }

    fn new_prevote(
        &self,
        height: BlockHeight,
        round: Round,
        value: NilOrVal<BlockHashId>,
        validator: ValidatorId,
    ) -> EngineVote {
        EngineVote { step: VoteType::Prevote, height, round, value, validator }
    }

    fn new_precommit(
        &self,
        height: BlockHeight,
        round: Round,
        value: NilOrVal<BlockHashId>,
        validator: ValidatorId,
    ) -> EngineVote {
        EngineVote { step: VoteType::Precommit, height, round, value, validator }
    }
}
