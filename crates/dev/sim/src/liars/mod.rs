//! Validators that do wrong, each in its own way. A liar runs the product's replica like everybody else; what it says on the way out
//! is changed here.

use std::fmt;

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_fixtures::Rng;
use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::entry::Entry;
use ledger_format::vote::{VoteStep, proposal_bytes, vote_bytes};
use ledger_replica::{Message, Statement, StatementKind};

mod babbler;
mod careless;
mod censor;
mod double_voter;
mod equivocator;
mod forger;
mod framer;
mod height_liar;
mod impersonator;
mod reorderer;
mod replayer;
mod time_shifter;
mod twin;
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
    /// The other validators.
    pub others: &'a [KeyId],
}

/// What goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// What others say to it.
    fn hears(&mut self, _: KeyId, _: &Message) {}

    /// Whether it does wrong with a message that it sends as it is.
    fn is_at_it(&self, _: &Voice<'_>, _: &Message) -> bool {
        false
    }

    /// What it puts into its pool when an entry comes.
    fn takes(&mut self, entry: Entry) -> Vec<Entry> {
        vec![entry]
    }

    /// Whether it checks the signatures of entries.
    fn verifies(&self) -> bool {
        true
    }
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
    /// Sends bytes that are no messages, and one message that is longer than any may be.
    Babbler,
    /// Claims blocks that it has not, sends others when asked, and reports what is not so to who has lost its memory.
    HeightLiar,
    /// Says again what it said long ago.
    Replayer,
    /// Its clock is half an hour ahead, and it claims that others have agreed.
    TimeShifter,
    /// A second process has its key.
    Twin,
    /// Leaves out the entries of a party.
    Censor,
    /// Changes the order of entries.
    Reorderer,
    /// Checks no entries.
    Careless,
    /// Votes in the names of others.
    Impersonator,
    /// Sends blocks without a quorum's signatures.
    Forger,
    /// Accuses those who did nothing.
    Framer,
}

impl LiarKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Equivocator,
        Self::DoubleVoter,
        Self::Withholder,
        Self::Babbler,
        Self::HeightLiar,
        Self::Replayer,
        Self::TimeShifter,
        Self::Twin,
        Self::Censor,
        Self::Reorderer,
        Self::Careless,
        Self::Impersonator,
        Self::Forger,
        Self::Framer,
    ];

    /// Whether it lies in every run that is long enough. Who forges blocks has to be asked for some, by somebody who is behind; and of two
    /// processes with one key one may stand still while the other goes on.
    pub const fn is_sure(self) -> bool {
        !matches!(self, Self::Forger | Self::Twin)
    }

    /// The name in counts of a proof of its guilt, if what it does proves it guilty in every run that is long enough: honest validators
    /// are shown both halves of it again and again.
    pub const fn guilt(self) -> Option<&'static str> {
        match self {
            Self::Equivocator => Some("guilty_equivocator"),
            Self::DoubleVoter => Some("guilty_double_voter"),
            _ => None,
        }
    }

    /// Its name in counts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equivocator => "liar_equivocator",
            Self::DoubleVoter => "liar_double_voter",
            Self::Withholder => "liar_withholder",
            Self::Babbler => "liar_babbler",
            Self::HeightLiar => "liar_height_liar",
            Self::Replayer => "liar_replayer",
            Self::TimeShifter => "liar_time_shifter",
            Self::Twin => "liar_twin",
            Self::Censor => "liar_censor",
            Self::Reorderer => "liar_reorderer",
            Self::Careless => "liar_careless",
            Self::Impersonator => "liar_impersonator",
            Self::Forger => "liar_forger",
            Self::Framer => "liar_framer",
        }
    }

    pub(crate) fn liar(self) -> Box<dyn Liar> {
        match self {
            Self::Equivocator => Box::new(equivocator::Equivocator::default()),
            Self::DoubleVoter => Box::new(double_voter::DoubleVoter::default()),
            Self::Withholder => Box::new(withholder::Withholder),
            Self::Babbler => Box::new(babbler::Babbler::default()),
            Self::HeightLiar => Box::new(height_liar::HeightLiar::default()),
            Self::Replayer => Box::new(replayer::Replayer::default()),
            Self::TimeShifter => Box::new(time_shifter::TimeShifter),
            Self::Twin => Box::new(twin::Twin),
            Self::Censor => Box::new(censor::Censor),
            Self::Reorderer => Box::new(reorderer::Reorderer::default()),
            Self::Careless => Box::new(careless::Careless),
            Self::Impersonator => Box::new(impersonator::Impersonator),
            Self::Forger => Box::new(forger::Forger),
            Self::Framer => Box::new(framer::Framer::default()),
        }
    }

    /// How far its clock is from the truth beyond the usual.
    pub(crate) const fn clock_ms(self) -> i64 {
        match self {
            // Half of the time that an entry has: of entries that have expired by its clock it could propose none.
            Self::TimeShifter => 1_800_000,
            _ => 0,
        }
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
