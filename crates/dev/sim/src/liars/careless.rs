//! Checks no signatures of entries: what clients hand to it goes into its blocks, forged or not.

use ledger_fixtures::Rng;
use ledger_replica::Message;

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct Careless;

impl Liar for Careless {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, _: &mut Rng) -> Vec<Saying> {
        vec![Saying::Message(message.clone())]
    }

    fn verifies(&self) -> bool {
        false
    }
}
