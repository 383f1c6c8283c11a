//! Two processes with one key: somebody copied a data directory, and runs both. Neither knows of the other, and each says what is
//! true as far as it knows; together they vote twice. Only where they do that is it a lie.

use ledger_fixtures::Rng;
use ledger_replica::Message;

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct Twin;

impl Liar for Twin {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, _: &mut Rng) -> Vec<Saying> {
        vec![Saying::Message(message.clone())]
    }
}
