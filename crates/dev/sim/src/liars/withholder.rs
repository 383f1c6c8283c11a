//! Keeps the bodies of its proposals to itself, or gives them to few.

use ledger_fixtures::Rng;
use ledger_replica::Message;

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct Withholder;

impl Liar for Withholder {
    fn says(&mut self, _: &Voice<'_>, to: usize, message: &Message, _: &mut Rng) -> Vec<Saying> {
        if message.as_body().is_some() && to != 0 {
            return Vec::new();
        }
        vec![Saying::Message(message.clone())]
    }
}
