//! How the validators since genesis follow from each other, as blocks show it.

use alloc::vec::Vec;

use ledger_event::event::Act;
use ledger_event::{SetChange, ValidatorSet};
use ledger_format::block::Block;
use ledger_format::entry::Entry;
use ledger_format::message;

/// The changes of the validators in blocks from height 1 on. The blocks must have been verified.
#[derive(Clone, Debug, Default)]
pub struct SetHistory {
    /// Each with the height whose header names the set after.
    changes: Vec<(u64, SetChange)>,
    /// The set of the last change that no header has named yet.
    agreed: Option<ValidatorSet>,
}

impl SetHistory {
    /// Takes the next block. A change takes effect two heights later: the header in between names the set after.
    pub fn push(&mut self, block: &Block) {
        let Block { body, certificate } = block;
        let header = &body.header;
        if header.validators != header.next_validators
            && let Some(set) = self.agreed.take()
        {
            let change = SetChange {
                header: header.encode().into(),
                certificate: certificate.encode().into(),
                validators: message::encode(&set).into(),
            };
            self.changes.push((header.height, change));
        }
        let entries = body.entries.iter().filter_map(|bytes| Entry::decode(bytes.clone()).ok());
        for entry in entries {
            if let Some(Act::ValidatorsChanged(event)) = &entry.event().act {
                self.agreed.clone_from(&event.validators);
            }
        }
    }

    /// The changes up to the set that signs a height, oldest first.
    pub fn up_to(&self, height: u64) -> Vec<SetChange> {
        let signs = self.changes.iter().filter(|(named, _)| *named < height);
        signs.map(|(_, change)| change.clone()).collect()
    }
}
