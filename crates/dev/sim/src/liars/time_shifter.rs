//! Its clock is an hour ahead. What it says is as its clock has it.

use ledger_fixtures::Rng;
use ledger_replica::Message;

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct TimeShifter;

impl Liar for TimeShifter {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, _: &mut Rng) -> Vec<Saying> {
        vec![Saying::Message(message.clone())]
    }

    fn is_at_it(&self, _: &Voice<'_>, message: &Message) -> bool {
        message.as_body().is_some()
    }
}
