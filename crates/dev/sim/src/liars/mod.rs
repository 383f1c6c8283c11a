//! Validators that do wrong, each in its own way. A liar runs the product's replica like everybody else; what it says on the way out
//! is changed here.

use std::fmt;

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_fixtures::Rng;
use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::vote::{VoteStep, proposal_bytes, vote_bytes};
use ledger_replica::{Message, Statement, StatementKind};

mod babbler;
mod double_voter;
mod equivocator;
mod height_liar;
mod replayer;
mod withholder;

/// With what a liar signs.
#[derive(Debug)]
pub struct Voice<'a> {
    /// The ledger.
    pub ledger: LedgerId,
    /// Its id.
    pub id: KeyId,
    /// Its vote key.
    pub key: &'a SigningKey,
}

/// What goes out.
#[derive(Debug, PartialEq, Eq)]
pub enum Saying {
    /// A message.
    Message(Message),
    /// Bytes that may be none.
    Bytes(Vec<u8>),
}

/// A validator that does wrong.
pub trait Liar: fmt::Debug {
    /// What is sent to one node instead of a message.
    fn says(
        &mut self,
        voice: &Voice<'_>,
        to: usize,
        message: &Message,
        dice: &mut Rng,
    ) -> Vec<Saying>;
}

/// The kinds of liar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LiarKind {
    /// Proposes different blocks to different nodes.
    Equivocator,
    /// Votes for one thing before some, and for another before others.
    DoubleVoter,
    /// Keeps the bodies of its proposals to itself.
    Withholder,
    /// Sends bytes that are no messages, and messages that are far too long.
    Babbler,
    /// Claims blocks that it has not, and sends others when asked.
    HeightLiar,
    /// Says again what it said long ago.
    Replayer,
    /// Its clock is an hour ahead.
    TimeShifter,
}

impl LiarKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Equivocator,
        Self::DoubleVoter,
        Self::Withholder,
        Self::Babbler,
        Self::HeightLiar,
        Self::Replayer,
        Self::TimeShifter,
    ];

    pub(crate) fn liar(self) -> Box<dyn Liar> {
        match self {
            Self::Equivocator => Box::new(equivocator::Equivocator::default()),
            Self::DoubleVoter => Box::new(double_voter::DoubleVoter),
            Self::Withholder => Box::new(withholder::Withholder),
            Self::Babbler => Box::new(babbler::Babbler),
            Self::HeightLiar => Box::new(height_liar::HeightLiar),
            Self::Replayer => Box::new(replayer::Replayer::default()),
            Self::TimeShifter => Box::new(TimeShifter),
        }
    }

    /// How far its clock is from the truth beyond the usual.
    pub(crate) const fn clock_ms(self) -> i64 {
        match self {
            Self::TimeShifter => 3_600_000,
            _ => 0,
        }
    }
}

/// What it says is as its clock has it; the clock lies.
#[derive(Debug)]
struct TimeShifter;

impl Liar for TimeShifter {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, _: &mut Rng) -> Vec<Saying> {
        vec![Saying::Message(message.clone())]
    }
}

impl Saying {
    pub(crate) fn bytes(self) -> Bytes {
        match self {
            Self::Message(message) => Bytes::from(message.encode()),
            Self::Bytes(bytes) => Bytes::from(bytes),
        }
    }
}

impl Voice<'_> {
    /// Signs a statement about another block.
    fn state(&self, like: &Statement, block: Option<BlockHash>) -> Option<Message> {
        let bytes = match like.kind {
            StatementKind::Proposal { valid_round } => {
                proposal_bytes(&self.ledger, like.height, like.round, valid_round, &block?)
            }
            StatementKind::Prevote => self.vote(like, VoteStep::Prevote, block),
            StatementKind::Precommit => self.vote(like, VoteStep::Precommit, block),
        };
        let signature = self.key.sign(&bytes).to_bytes();
        Message::stating(&Statement { block, signature, ..*like })
    }

    fn vote(&self, like: &Statement, step: VoteStep, block: Option<BlockHash>) -> [u8; 96] {
        vote_bytes(&self.ledger, step, like.height, like.round, block.as_ref())
    }

    /// The statement that a message makes, if it is this validator's.
    fn own(&self, message: &Message) -> Option<Statement> {
        message.statement().filter(|statement| statement.validator == self.id)
    }
}
