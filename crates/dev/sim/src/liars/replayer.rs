//! Says again what it said long ago, beside what it has to say.

use ledger_fixtures::Rng;
use ledger_replica::Message;

use super::{Liar, Saying, Voice};

/// What it remembers.
const REMEMBERED: usize = 400;

#[derive(Debug, Default)]
pub(super) struct Replayer {
    said: Vec<Message>,
}

impl Liar for Replayer {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, dice: &mut Rng) -> Vec<Saying> {
        let mut sayings = vec![Saying::Message(message.clone())];
        if !self.said.is_empty() && dice.once_in(2) {
            sayings.push(Saying::Message(dice.pick(&self.said).clone()));
        }
        if self.said.len() < REMEMBERED {
            self.said.push(message.clone());
        } else {
            let at = dice.below(REMEMBERED);
            self.said[at] = message.clone();
        }
        sayings
    }
}
