//! Votes in the names of others, for what it votes for itself and for other things.

use ledger_fixtures::Rng;
use ledger_format::digest::BlockHash;
use ledger_replica::{Message, Statement, StatementKind};

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct Impersonator;

impl Liar for Impersonator {
    fn says(
        &mut self,
        voice: &Voice<'_>,
        _: usize,
        message: &Message,
        dice: &mut Rng,
    ) -> Vec<Saying> {
        let mut sayings = vec![Saying::Message(message.clone())];
        let vote = voice.own(message).filter(|statement| {
            matches!(statement.kind, StatementKind::Prevote | StatementKind::Precommit)
        });
        let Some(vote) = vote else { return sayings };
        for validator in voice.others {
            let block = if dice.once_in(2) { vote.block } else { Some(BlockHash(dice.bytes())) };
            let forged = Statement { validator: *validator, block, ..vote };
            sayings.extend(Message::stating(&forged).map(Saying::Message));
        }
        sayings
    }
}
