//! Which entries came into the pool lately: nodes pass entries on to each other more than once, and checking a signature is the most
//! expensive thing that a node does.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use ledger_format::digest::EntryId;

/// How many ids are remembered.
const REMEMBERED: usize = 131_072;

/// The last ids, in a set of bounded size.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Ids>);

#[derive(Debug, Default)]
struct Ids {
    known: HashSet<EntryId>,
    order: VecDeque<EntryId>,
}

impl Recent {
    /// Remembers an entry that came into the pool.
    pub fn remember(&self, id: EntryId) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.known.insert(id) {
            recent.order.push_back(id);
        }
        while recent.order.len() > REMEMBERED {
            if let Some(oldest) = recent.order.pop_front() {
                recent.known.remove(&oldest);
            }
        }
    }

    /// Forgets an entry that left the pool for no block: its bytes may come again, and are judged anew.
    pub fn forget(&self, id: &EntryId) {
        // Its place in the order stays, and costs it time when it comes again: it is forgotten as if it had come then.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known.remove(id);
    }

    /// Whether an entry is remembered.
    pub fn contains(&self, id: &EntryId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first() {
        let id = |number: usize| EntryId(ledger_format::digest::sha256(&[&number.to_be_bytes()]));
        let recent = Recent::default();
        (0..=REMEMBERED).map(id).for_each(|id| recent.remember(id));
        recent.remember(id(1));
        assert!(!recent.contains(&id(0)));
        assert!(recent.contains(&id(1)) && recent.contains(&id(REMEMBERED)));
        recent.forget(&id(REMEMBERED));
        assert!(!recent.contains(&id(REMEMBERED)));
    }
}
