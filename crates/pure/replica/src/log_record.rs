//! Records of the consensus log, in bincode: the node's own file, read by nobody else.
//!
//! What the engine must see again after a crash: votes, proposals, elapsed timeouts, proposed values, polka certificates; and the
//! bodies of the blocks that they are about, which the engine does not know.

use std::borrow::Cow;

use bincode::{Decode, Encode};
use consensus::{Input, ProposedValue};
use consensus_types::{Timeout, TimeoutKind, Validity, ValueOrigin};
use ledger_format::digest::{BlockHash, KeyId};

use crate::context::{BlockHeight, BlockValue, Ledger, ValidatorId};
use crate::said::{SaidPolka, SaidProposal, SaidVote};

/// Longest record that is read: a block body and its wrapping.
const LIMIT: usize = 20 * 1024 * 1024;

/// One record. Every record names its height: those of other heights are of no use and are skipped.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum LogRecord<'a> {
    /// Body bytes of a block that is about to be proposed or voted on.
    Body { height: u64, body: Cow<'a, [u8]> },
    /// Something that the engine was told or did.
    Input { height: u64, input: LogInput },
    /// All that is left of an emptied log: the block of this height is durable elsewhere.
    Done { height: u64 },
    /// Up to this height an operator has vouched for what this node's keys have signed elsewhere or before.
    Vouched { height: u64 },
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum LogInput {
    Vote(SaidVote),
    Proposal(SaidProposal),
    Timeout {
        kind: u8,
        round: Option<u32>,
    },
    Value {
        round: Option<u32>,
        valid_round: Option<u32>,
        proposer: [u8; 32],
        value: [u8; 32],
        valid: bool,
        synced: bool,
    },
    Polka(SaidPolka),
}

/// The timeouts that change what is voted on, as they are numbered here. The engine logs no others, and is not told of others: it
/// does not expect them while it replays.
const KINDS: [TimeoutKind; 3] =
    [TimeoutKind::Propose, TimeoutKind::Prevote, TimeoutKind::Precommit];

fn number(kind: TimeoutKind) -> Option<u8> {
    KINDS.iter().position(|known| *known == kind).and_then(|number| u8::try_from(number).ok())
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_big_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

impl LogRecord<'_> {
    pub(crate) const fn height(&self) -> u64 {
        match self {
            Self::Body { height, .. }
            | Self::Input { height, .. }
            | Self::Done { height }
            | Self::Vouched { height } => *height,
        }
    }

    /// The height whose block must be durable elsewhere: no height is opened before the one below is.
    pub(crate) const fn durable(&self) -> u64 {
        match self {
            Self::Body { height, .. } | Self::Input { height, .. } => height.saturating_sub(1),
            Self::Done { height } => *height,
            Self::Vouched { .. } => 0,
        }
    }

    /// The bytes; empty in the impossible case that a record in memory does not encode.
    pub(crate) fn encode(&self) -> Vec<u8> {
        bincode::encode_to_vec(self, configuration()).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (record, read) = bincode::decode_from_slice(bytes, configuration()).ok()?;
        (read == bytes.len()).then_some(record)
    }
}

impl LogInput {
    /// What the engine asks to keep; `None` for what it never asks to keep.
    pub(crate) fn of(input: &Input<Ledger>) -> Option<Self> {
        Some(match input {
            Input::Vote(vote) => Self::Vote(SaidVote::of(vote)),
            Input::Proposal(proposal) => Self::Proposal(SaidProposal::of(proposal)),
            Input::TimeoutElapsed(timeout) => {
                Self::Timeout { kind: number(timeout.kind)?, round: timeout.round.as_u32() }
            }
            Input::ProposedValue(value, origin) => Self::Value {
                round: value.round.as_u32(),
                valid_round: value.valid_round.as_u32(),
                proposer: value.proposer.0.0,
                value: value.value.0.0,
                valid: value.validity.is_valid(),
                synced: origin.is_sync(),
            },
            Input::PolkaCertificate(polka) => Self::Polka(SaidPolka::of(polka)),
            Input::StartHeight(..)
            | Input::RoundCertificate(_)
            | Input::Propose(_)
            | Input::SyncValueResponse(_) => return None,
        })
    }

    /// The engine's input again. `None` for a kind of timeout that does not exist.
    pub(crate) fn into_input(self, height: u64) -> Option<Input<Ledger>> {
        Some(match self {
            Self::Vote(vote) => Input::Vote(vote.at(height)),
            Self::Proposal(proposal) => Input::Proposal(proposal.at(height)),
            Self::Timeout { kind, round } => {
                let kind = KINDS.get(usize::from(kind)).copied()?;
                Input::TimeoutElapsed(Timeout::new(round.into(), kind))
            }
            Self::Value { round, valid_round, proposer, value, valid, synced } => {
                let value = ProposedValue {
                    height: BlockHeight(height),
                    round: round.into(),
                    valid_round: valid_round.into(),
                    proposer: ValidatorId(KeyId(proposer)),
                    value: BlockValue(BlockHash(value)),
                    validity: Validity::from_bool(valid),
                };
                let origin = if synced { ValueOrigin::Sync } else { ValueOrigin::Consensus };
                Input::ProposedValue(value, origin)
            }
            Self::Polka(polka) => Input::PolkaCertificate(polka.at(height)),
        })
    }
}
