//! Messages between nodes, in bincode. A message is opaque to the transport, which knows who sent it; what it says is believed only
//! after its signatures, or the block that it brings, were checked.

use bincode::{Decode, Encode};
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_format::block::{Block, Body};
use ledger_format::digest::{BlockHash, KeyId};
use ledger_format::evidence::presentation_bytes;
use ledger_format::limits::{MAX_BLOCK_BYTES, MAX_VALIDATORS};

use crate::said::{Said, SaidProposal, SaidVote};

/// Longest message that is read: some blocks and their wrapping.
const LIMIT: usize = 24 * 1024 * 1024;
/// Most blocks in one message.
const MAX_BLOCKS: usize = 16_384;
/// Most entries in one message: what nodes that keep to the rules pass on at a time. The thread that reads them reads votes too.
const MAX_ENTRIES: usize = 1_024;
/// Most evidence in one message: some against each of as many validators as there can be.
const MAX_EVIDENCE: usize = 4_096;
/// Most signatures in one certificate: a prevote and a precommit of each validator that there can be.
const MAX_SIGNATURES: usize = 2 * MAX_VALIDATORS;
/// Longest code of a refusal.
const MAX_CODE_BYTES: usize = 64;

/// Which queue of the transport a message travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Small, and others wait for it.
    Consensus,
    /// Bodies, the proposals that follow them, and blocks.
    Blocks,
    /// Entries that wait.
    Entries,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(pub(crate) Content);

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Content {
    /// Votes, proposals and certificates of a height.
    Said { height: u64, said: Said },
    /// The body of a block that somebody proposes.
    Body { height: u64, body: Vec<u8> },
    /// Please send a body of a height that is being decided.
    WantBody { height: u64, block: [u8; 32] },
    /// The sender has all blocks up to here.
    Tip { height: u64 },
    /// Please send blocks from here on.
    WantBlocks { from: u64 },
    /// Entries that wait for a block at the sender.
    Entries { entries: Vec<Vec<u8>> },
    /// Decided blocks with their certificates, ascending without gap.
    Blocks { blocks: Vec<PresentedBlock> },
    /// What proves that validators lied (docs/spec/evidence.md).
    Evidence { evidence: Vec<Vec<u8>> },
    /// To a node whose connection begins, or from a validator that begins to vote: its height, and the latest that it has heard the
    /// node's key say.
    Report { height: u64, heard: Option<(u64, Said)> },
    /// Please report: the sender has lost its memory, and what it was told when the connection began.
    WantReport,
    /// An entry that the receiver passed on, and that the sender refuses to put into the block of a height.
    Refused { height: u64, entry: [u8; 32], code: String },
    /// Please sign the block of a height for those who ask a follower.
    WantSeal { height: u64 },
    /// What a validator of a height, known by its vote key, signs of the block: by its log key, its cosigner key and its receipt key.
    Seal { height: u64, validator: [u8; 32], signatures: Box<[[u8; 64]; 3]> },
    /// Entries that wait at a sender that judges none: a follower, or a validator without its memory. It wants to hear of a refusal.
    PassedOn { entries: Vec<Vec<u8>> },
}

/// An encoded block, with the signature of the validator that gives it away as decided; none from followers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct PresentedBlock {
    pub(crate) block: Vec<u8>,
    pub(crate) signature: Option<[u8; 64]>,
}

/// A message, by who in a node takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressed {
    /// The replica.
    Replica(Box<Message>),
    /// Whoever checks entries before the replica gets them.
    Intake {
        /// Unchecked bytes.
        entries: Vec<Vec<u8>>,
        /// Whether the sender judges none of them itself, and wants to hear of a refusal.
        asked: bool,
    },
    /// Whoever signs for the node: a block of this height is to be signed.
    WantSeal(u64),
    /// Whoever answers clients: a validator's unchecked signatures of a block.
    Seal {
        /// Height of the block.
        height: u64,
        /// Whose they are said to be: the id of a vote key of the height's set.
        validator: KeyId,
        /// By the log key, the cosigner key and the receipt key.
        signatures: Box<[[u8; 64]; 3]>,
    },
}

/// What one validator signed: a vote or a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// Its height.
    pub height: u64,
    /// Its round.
    pub round: u32,
    /// What it is.
    pub kind: StatementKind,
    /// The block; `None` is a vote for none.
    pub block: Option<BlockHash>,
    /// Who signed.
    pub validator: KeyId,
    /// The signature over the bytes of `ledger_format::vote`.
    pub signature: [u8; 64],
}

/// The kinds of statement. Of each kind a validator signs one a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatementKind {
    /// A proposal, with the round in which a quorum prevoted for the same block before.
    Proposal {
        /// That round.
        valid_round: Option<u32>,
    },
    /// A first vote.
    Prevote,
    /// A second vote.
    Precommit,
}

impl Content {
    /// Whether it is of use to those alone who decide a height, and comes from them alone.
    pub(crate) const fn is_for_deciding(&self) -> bool {
        matches!(self, Self::Said { .. } | Self::Body { .. } | Self::WantBody { .. })
    }

    /// Votes and proposals that it shows, at most so many. No signature is checked.
    pub(crate) fn statements(&self, most: usize) -> Vec<Statement> {
        match self {
            Self::Said { height, said } | Self::Report { heard: Some((height, said)), .. } => {
                said.statements(*height, most)
            }
            _ => Vec::new(),
        }
    }
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no message of this protocol version")]
pub struct NoMessage;

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_big_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

impl Message {
    /// Blocks that were asked for. A validator signs that it gives them away as decided, so it must have checked them: for a
    /// certificate that is none it is guilty (docs/spec/evidence.md).
    pub fn blocks<'a>(
        blocks: impl IntoIterator<Item = &'a Block>,
        validator: Option<&SigningKey>,
    ) -> Self {
        let present = |block: &Block| {
            let Block { body: Body { header, .. }, certificate } = block;
            let signature = validator.map(|key| {
                let bytes = presentation_bytes(&header.ledger, &header.hash(), certificate);
                key.sign(&bytes).to_bytes()
            });
            PresentedBlock { block: block.encode(), signature }
        };
        Self(Content::Blocks { blocks: blocks.into_iter().map(present).collect() })
    }

    /// Entries that clients submitted, for validators that may be next to propose.
    pub const fn entries(entries: Vec<Vec<u8>>) -> Self {
        Self(Content::Entries { entries })
    }

    /// Entries that clients submitted to a node that judges none: who refuses one tells it.
    pub const fn passed_on(entries: Vec<Vec<u8>>) -> Self {
        Self(Content::PassedOn { entries })
    }

    /// Asks a validator to sign the block of a height.
    pub const fn want_seal(height: u64) -> Self {
        Self(Content::WantSeal { height })
    }

    /// What a validator of a height signs of its block: by its log key, its cosigner key and its receipt key.
    pub fn seal(height: u64, validator: &KeyId, signatures: [[u8; 64]; 3]) -> Self {
        Self(Content::Seal { height, validator: validator.0, signatures: Box::new(signatures) })
    }

    /// Whom it is for.
    pub fn addressed(self) -> Addressed {
        match self.0 {
            Content::Entries { entries } => Addressed::Intake { entries, asked: false },
            Content::PassedOn { entries } => Addressed::Intake { entries, asked: true },
            Content::WantSeal { height } => Addressed::WantSeal(height),
            Content::Seal { height, validator, signatures } => {
                Addressed::Seal { height, validator: KeyId(validator), signatures }
            }
            other => Addressed::Replica(Box::new(Self(other))),
        }
    }

    /// What is said when two nodes meet, and after each block: all blocks up to here are durable at the sender.
    pub const fn tip(height: u64) -> Self {
        Self(Content::Tip { height })
    }

    /// What a node that comes is told: the sender's height, and the latest that it has heard the node's key state.
    pub fn report(height: u64, heard: Option<&Statement>) -> Self {
        let said = |statement: &Statement| match Self::stating(statement)?.0 {
            Content::Said { height, said } => Some((height, said)),
            _ => None,
        };
        Self(Content::Report { height, heard: heard.and_then(said) })
    }

    /// The height up to which blocks are durable at the sender, if it says that.
    pub const fn as_tip(&self) -> Option<u64> {
        match self.0 {
            Content::Tip { height } => Some(height),
            _ => None,
        }
    }

    /// Whether it tells somebody who has lost its memory what the sender knows of its votes.
    pub const fn is_report(&self) -> bool {
        matches!(self.0, Content::Report { .. })
    }

    /// The height from which blocks are asked for, if it asks for blocks.
    pub const fn wanted_blocks(&self) -> Option<u64> {
        match self.0 {
            Content::WantBlocks { from } => Some(from),
            _ => None,
        }
    }

    /// The vote or proposal that it is, if it is one. The signature is not checked.
    pub fn statement(&self) -> Option<Statement> {
        match &self.0 {
            Content::Said { height, said: Said::Vote(vote) } => vote.statement(*height),
            Content::Said { height, said: Said::Proposal(made) } => made.statement(*height),
            _ => None,
        }
    }

    /// The votes of a certificate, or the one statement that it is. No signature is checked.
    pub fn statements(&self) -> Vec<Statement> {
        match &self.0 {
            Content::Said { .. } => self.0.statements(MAX_SIGNATURES),
            _ => Vec::new(),
        }
    }

    /// Evidence against validators.
    pub const fn evidence(evidence: Vec<Vec<u8>>) -> Self {
        Self(Content::Evidence { evidence })
    }

    /// The message that makes a statement; `None` for a proposal of no block.
    pub fn stating(statement: &Statement) -> Option<Self> {
        let Statement { height, round, kind, block, validator, signature } = *statement;
        let value = block.map(|block| block.0);
        let said = match kind {
            StatementKind::Proposal { valid_round } => Said::Proposal(SaidProposal {
                round: Some(round),
                value: value?,
                valid_round,
                proposer: validator.0,
                signature,
            }),
            StatementKind::Prevote | StatementKind::Precommit => Said::Vote(SaidVote {
                precommit: kind == StatementKind::Precommit,
                round: Some(round),
                value,
                validator: validator.0,
                signature,
            }),
        };
        Some(Self(Content::Said { height, said }))
    }

    /// A body that is proposed at a height.
    pub const fn body(height: u64, body: Vec<u8>) -> Self {
        Self(Content::Body { height, body })
    }

    /// The body that it brings, and its height.
    pub fn as_body(&self) -> Option<(u64, &[u8])> {
        match &self.0 {
            Content::Body { height, body } => Some((*height, body)),
            _ => None,
        }
    }

    /// The decided blocks that it brings.
    pub fn as_blocks(&self) -> Option<impl Iterator<Item = &[u8]>> {
        match &self.0 {
            Content::Blocks { blocks } => Some(blocks.iter().map(|given| given.block.as_slice())),
            _ => None,
        }
    }

    /// The decided blocks that it brings, with the signature of the validator that gives them away.
    pub fn as_presented(&self) -> Option<impl Iterator<Item = (&[u8], Option<&[u8; 64]>)>> {
        match &self.0 {
            Content::Blocks { blocks } => {
                Some(blocks.iter().map(|given| (given.block.as_slice(), given.signature.as_ref())))
            }
            _ => None,
        }
    }

    /// The bytes; empty in the impossible case that a message in memory does not encode.
    pub fn encode(&self) -> Vec<u8> {
        bincode::encode_to_vec(&self.0, configuration()).unwrap_or_default()
    }

    /// Reads exactly one message.
    ///
    /// # Errors
    /// [`NoMessage`].
    pub fn decode(bytes: &[u8]) -> Result<Self, NoMessage> {
        let decoded = bincode::decode_from_slice(bytes, configuration());
        let (content, read): (Content, usize) = decoded.map_err(|_malformed| NoMessage)?;
        let bounded = match &content {
            Content::Blocks { blocks } => blocks.len() <= MAX_BLOCKS,
            Content::Entries { entries } | Content::PassedOn { entries } => {
                entries.len() <= MAX_ENTRIES
            }
            Content::Body { body, .. } => body.len() <= MAX_BLOCK_BYTES,
            Content::Evidence { evidence } => evidence.len() <= MAX_EVIDENCE,
            Content::Refused { code, .. } => code.len() <= MAX_CODE_BYTES,
            Content::Said { said, .. } | Content::Report { heard: Some((_, said)), .. } => {
                said.signatures() <= MAX_SIGNATURES
            }
            _ => true,
        };
        if read != bytes.len() || !bounded {
            return Err(NoMessage);
        }
        Ok(Self(content))
    }

    /// Whether those who only follow have a use for it: what blocks there are, and who lied.
    pub const fn is_for_followers(&self) -> bool {
        matches!(self.0, Content::Tip { .. } | Content::Blocks { .. } | Content::Evidence { .. })
    }

    /// Whether it brings what its sender's clients, or another node's, submitted: those who do not vote pass it on in their turn.
    pub const fn is_passed_on(&self) -> bool {
        matches!(self.0, Content::PassedOn { .. })
    }

    /// The queue that it travels in.
    pub const fn lane(&self) -> Lane {
        match self.0 {
            // A new proposal follows its body: overtaking it, it would only have its receiver ask for what is on the way.
            Content::Said {
                said: Said::Proposal(SaidProposal { valid_round: None, .. }), ..
            }
            | Content::Body { .. }
            | Content::Blocks { .. } => Lane::Blocks,
            // What is dropped there is told again when a connection begins, or asked for again.
            Content::Entries { .. }
            | Content::PassedOn { .. }
            | Content::Evidence { .. }
            | Content::Refused { .. }
            | Content::WantSeal { .. }
            | Content::Seal { .. } => Lane::Entries,
            _ => Lane::Consensus,
        }
    }

    /// What kind of message it is, for logs and counters.
    pub const fn kind(&self) -> &'static str {
        match &self.0 {
            Content::Said { said: Said::Vote(_), .. } => "vote",
            Content::Said { said: Said::Proposal(_), .. } => "proposal",
            Content::Said { said: Said::Polka(_), .. } => "polka",
            Content::Said { said: Said::Round(_), .. } => "round",
            Content::Body { .. } => "body",
            Content::WantBody { .. } => "want_body",
            Content::Tip { .. } => "tip",
            Content::WantBlocks { .. } => "want_blocks",
            Content::Blocks { .. } => "blocks",
            Content::Evidence { .. } => "evidence",
            Content::Report { .. } => "report",
            Content::WantReport => "want_report",
            Content::Entries { .. } | Content::PassedOn { .. } => "entries",
            Content::Refused { .. } => "refused",
            Content::WantSeal { .. } => "want_seal",
            Content::Seal { .. } => "seal",
        }
    }

    pub(crate) const fn want_body(height: u64, block: &BlockHash) -> Self {
        Self(Content::WantBody { height, block: block.0 })
    }
}
