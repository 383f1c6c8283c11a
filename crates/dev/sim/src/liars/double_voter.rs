//! Votes for one thing before some, and for another before others; sometimes for both before one.

use ledger_fixtures::Rng;
use ledger_format::digest::BlockHash;
use ledger_replica::{Message, StatementKind};

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct DoubleVoter;

impl Liar for DoubleVoter {
    fn says(
        &mut self,
        voice: &Voice<'_>,
        to: usize,
        message: &Message,
        dice: &mut Rng,
    ) -> Vec<Saying> {
        let truth = Saying::Message(message.clone());
        let vote = voice.own(message).filter(|statement| {
            matches!(statement.kind, StatementKind::Prevote | StatementKind::Precommit)
        });
        let Some(vote) = vote else { return vec![truth] };
        let other = if vote.block.is_some() { None } else { Some(BlockHash(dice.bytes())) };
        let Some(lie) = voice.state(&vote, other).map(Saying::Message) else { return vec![truth] };
        match (to.is_multiple_of(2), dice.once_in(3)) {
            (true, _) => vec![truth],
            (false, true) => vec![truth, lie],
            (false, false) => vec![lie],
        }
    }
}
