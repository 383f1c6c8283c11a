//! Takes no entries of one party, so it proposes none of them.

use ledger_fixtures::Rng;
use ledger_format::entry::Entry;
use ledger_replica::Message;
use ledger_story::cast::SUPPLIER;

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct Censor;

impl Liar for Censor {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, _: &mut Rng) -> Vec<Saying> {
        vec![Saying::Message(message.clone())]
    }

    fn takes(&mut self, entry: Entry) -> Vec<Entry> {
        if entry.claims().issuer == SUPPLIER { Vec::new() } else { vec![entry] }
    }
}
