//! Changes the order of entries for gain: holds what comes until there is some of it, and puts the entries of one party first and
//! the others in reverse.

use ledger_fixtures::Rng;
use ledger_format::entry::Entry;
use ledger_replica::Message;
use ledger_story::cast::SUPPLIER;

use super::{Liar, Saying, Voice};

/// What it holds before it lets go.
const HELD: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Reorderer {
    held: Vec<Entry>,
}

impl Liar for Reorderer {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, _: &mut Rng) -> Vec<Saying> {
        vec![Saying::Message(message.clone())]
    }

    fn takes(&mut self, entry: Entry) -> Vec<Entry> {
        // The first block's entries depend on each other.
        if entry.claims().issuer != SUPPLIER
            && !entry.claims().subject.to_string().starts_with("asset:")
        {
            return vec![entry];
        }
        if self.held.iter().all(|held| held.id() != entry.id()) {
            self.held.push(entry);
        }
        if self.held.len() < HELD {
            return Vec::new();
        }
        let mut released = std::mem::take(&mut self.held);
        released.reverse();
        released.sort_by_key(|entry| entry.claims().issuer != SUPPLIER);
        released
    }
}
