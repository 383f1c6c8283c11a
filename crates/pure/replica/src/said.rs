//! What validators say to each other about a height, in a form that can be logged and sent: votes, proposals, and the certificates
//! that show why a round was left or a value may be proposed again.
//!
//! Nothing here is checked: the engine checks every signature before it believes anything.

use bincode::{Decode, Encode};
use consensus::{Input, LivenessMsg, SignedConsensusMsg};
use consensus_types::{
    NilOrVal, PolkaCertificate, PolkaSignature, Round, RoundCertificate, RoundCertificateType,
    RoundSignature, SignedProposal, SignedVote, VoteType,
};
use ledger_format::digest::{BlockHash, KeyId};

use crate::context::{
    BlockHashId, BlockHeight, BlockValue, EngineProposal, EngineSignature, EngineVote, Ledger,
    ValidatorId,
};
use crate::message::{Statement, StatementKind};

/// A signed vote without its height.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SaidVote {
    pub(crate) precommit: bool,
    pub(crate) round: Option<u32>,
    pub(crate) value: Option<[u8; 32]>,
    pub(crate) validator: [u8; 32],
    pub(crate) signature: [u8; 64],
}

/// A signed proposal without its height.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SaidProposal {
    pub(crate) round: Option<u32>,
    pub(crate) value: [u8; 32],
    pub(crate) valid_round: Option<u32>,
    pub(crate) proposer: [u8; 32],
    pub(crate) signature: [u8; 64],
}

/// Prevotes of a quorum for one value.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SaidPolka {
    pub(crate) round: Option<u32>,
    pub(crate) value: [u8; 32],
    pub(crate) signatures: Vec<([u8; 32], [u8; 64])>,
}

/// Votes that allow a round to be left or skipped.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SaidRound {
    pub(crate) round: Option<u32>,
    /// Precommits of a quorum; otherwise votes of more than a third for a round ahead.
    pub(crate) precommits: bool,
    pub(crate) votes: Vec<SaidVote>,
}

/// One thing that is said.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Said {
    Vote(SaidVote),
    Proposal(SaidProposal),
    Polka(SaidPolka),
    Round(SaidRound),
}

impl Said {
    /// What the engine wants all validators to know at once.
    pub(crate) fn of(message: &SignedConsensusMsg<Ledger>) -> Self {
        match message {
            SignedConsensusMsg::Vote(vote) => Self::Vote(SaidVote::of(vote)),
            SignedConsensusMsg::Proposal(proposal) => Self::Proposal(SaidProposal::of(proposal)),
        }
    }

    /// What it wants them to know so that none is left behind in a round.
    pub(crate) fn of_liveness(message: &LivenessMsg<Ledger>) -> Self {
        match message {
            LivenessMsg::Vote(vote) => Self::Vote(SaidVote::of(vote)),
            LivenessMsg::PolkaCertificate(polka) => Self::Polka(SaidPolka::of(polka)),
            LivenessMsg::SkipRoundCertificate(certificate) => {
                Self::Round(SaidRound::of(certificate))
            }
        }
    }

    /// How many signatures it brings.
    pub(crate) fn signatures(&self) -> usize {
        match self {
            Self::Vote(_) | Self::Proposal(_) => 1,
            Self::Polka(polka) => polka.signatures.len(),
            Self::Round(round) => round.votes.len(),
        }
    }

    /// The votes and proposals that it shows, at most so many.
    pub(crate) fn statements(&self, height: u64, most: usize) -> Vec<Statement> {
        match self {
            Self::Vote(vote) => vote.statement(height).into_iter().collect(),
            Self::Proposal(proposal) => proposal.statement(height).into_iter().collect(),
            Self::Polka(SaidPolka { round, value, signatures }) => {
                let vote = |(validator, signature): &([u8; 32], [u8; 64])| SaidVote {
                    precommit: false,
                    round: *round,
                    value: Some(*value),
                    validator: *validator,
                    signature: *signature,
                };
                let votes = signatures.iter().take(most).map(vote);
                votes.filter_map(|vote| vote.statement(height)).collect()
            }
            Self::Round(SaidRound { round, votes, .. }) => {
                let votes = votes.iter().filter(|vote| vote.round == *round).take(most);
                votes.filter_map(|vote| vote.statement(height)).collect()
            }
        }
    }

    /// The engine's input, at a height.
    pub(crate) fn at(self, height: u64) -> Input<Ledger> {
        match self {
            Self::Vote(vote) => Input::Vote(vote.at(height)),
            Self::Proposal(proposal) => Input::Proposal(proposal.at(height)),
            Self::Polka(polka) => Input::PolkaCertificate(polka.at(height)),
            Self::Round(certificate) => Input::RoundCertificate(certificate.at(height)),
        }
    }
}

fn named(value: &NilOrVal<BlockHashId>) -> Option<[u8; 32]> {
    match value {
        NilOrVal::Nil => None,
        NilOrVal::Val(id) => Some(id.0.0),
    }
}

fn value_id(value: Option<[u8; 32]>) -> NilOrVal<BlockHashId> {
    value.map_or(NilOrVal::Nil, |block| NilOrVal::Val(BlockHashId(BlockHash(block))))
}

const fn step(precommit: bool) -> VoteType {
    if precommit { VoteType::Precommit } else { VoteType::Prevote }
}

impl SaidVote {
    pub(crate) fn of(vote: &SignedVote<Ledger>) -> Self {
        Self {
            precommit: vote.message.step == VoteType::Precommit,
            round: vote.message.round.as_u32(),
            value: named(&vote.message.value),
            validator: vote.message.validator.0.0,
            signature: vote.signature.0,
        }
    }

    pub(crate) fn at(self, height: u64) -> SignedVote<Ledger> {
        let vote = EngineVote {
            step: step(self.precommit),
            height: BlockHeight(height),
            round: Round::from(self.round),
            value: value_id(self.value),
            validator: ValidatorId(KeyId(self.validator)),
        };
        SignedVote::new(vote, EngineSignature(self.signature))
    }
}

impl SaidVote {
    /// What it states; nothing without a round.
    pub(crate) fn statement(&self, height: u64) -> Option<Statement> {
        let kind = if self.precommit { StatementKind::Precommit } else { StatementKind::Prevote };
        Some(Statement {
            height,
            round: self.round?,
            kind,
            block: self.value.map(BlockHash),
            validator: KeyId(self.validator),
            signature: self.signature,
        })
    }
}

impl SaidProposal {
    /// What it states; nothing without a round.
    pub(crate) fn statement(&self, height: u64) -> Option<Statement> {
        Some(Statement {
            height,
            round: self.round?,
            kind: StatementKind::Proposal { valid_round: self.valid_round },
            block: Some(BlockHash(self.value)),
            validator: KeyId(self.proposer),
            signature: self.signature,
        })
    }

    pub(crate) fn of(proposal: &SignedProposal<Ledger>) -> Self {
        Self {
            round: proposal.message.round.as_u32(),
            value: proposal.message.value.0.0,
            valid_round: proposal.message.valid_round.as_u32(),
            proposer: proposal.message.proposer.0.0,
            signature: proposal.signature.0,
        }
    }

    pub(crate) fn at(self, height: u64) -> SignedProposal<Ledger> {
        let proposal = EngineProposal {
            height: BlockHeight(height),
            round: self.round.into(),
            value: BlockValue(BlockHash(self.value)),
            valid_round: self.valid_round.into(),
            proposer: ValidatorId(KeyId(self.proposer)),
        };
        SignedProposal::new(proposal, EngineSignature(self.signature))
    }
}

impl SaidPolka {
    pub(crate) fn of(polka: &PolkaCertificate<Ledger>) -> Self {
        let signature = |s: &PolkaSignature<Ledger>| (s.address.0.0, s.signature.0);
        Self {
            round: polka.round.as_u32(),
            value: polka.value_id.0.0,
            signatures: polka.polka_signatures.iter().map(signature).collect(),
        }
    }

    pub(crate) fn at(self, height: u64) -> PolkaCertificate<Ledger> {
        let signature = |(validator, signature)| {
            PolkaSignature::new(ValidatorId(KeyId(validator)), EngineSignature(signature))
        };
        PolkaCertificate {
            height: BlockHeight(height),
            round: self.round.into(),
            value_id: BlockHashId(BlockHash(self.value)),
            polka_signatures: self.signatures.into_iter().map(signature).collect(),
        }
    }
}

impl SaidRound {
    pub(crate) fn of(certificate: &RoundCertificate<Ledger>) -> Self {
        let round = certificate.round.as_u32();
        let vote = |s: &RoundSignature<Ledger>| SaidVote {
            precommit: s.vote_type == VoteType::Precommit,
            round,
            value: named(&s.value_id),
            validator: s.address.0.0,
            signature: s.signature.0,
        };
        Self {
            round,
            precommits: certificate.cert_type == RoundCertificateType::Precommit,
            votes: certificate.round_signatures.iter().map(vote).collect(),
        }
    }

    pub(crate) fn at(self, height: u64) -> RoundCertificate<Ledger> {
        let signature = |vote: SaidVote| {
            let (validator, signature) =
                (ValidatorId(KeyId(vote.validator)), EngineSignature(vote.signature));
            RoundSignature::new(step(vote.precommit), value_id(vote.value), validator, signature)
        };
        RoundCertificate {
            height: BlockHeight(height),
            round: self.round.into(),
            cert_type: if self.precommits {
                RoundCertificateType::Precommit
            } else {
                RoundCertificateType::Skip
            },
            round_signatures: self.votes.into_iter().map(signature).collect(),
        }
    }
}
