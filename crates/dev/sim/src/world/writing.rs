//! Clients, and what they write to whom.

use ledger_format::entry::Entry;
use ledger_replica::Message;

use super::{Happening, World};

/// Between two rounds of clients, at most.
const CLIENTS_MS: usize = 500;

impl World {
    /// Clients write to nodes that run: usually to one, sometimes to several.
    pub(super) fn clients(&mut self) {
        if !self.busy {
            return;
        }
        let after = 20 + u64::try_from(self.dice.below(CLIENTS_MS)).unwrap();
        self.after(after, Happening::Clients);
        let now = self.now_ms;
        if self.checks.height() == 0 {
            return;
        }
        if self.admissions.is_empty() {
            self.admissions = self.clients.admissions(now);
        }
        // Nothing can be written before they are in the ledger, so they are sent again and again.
        let admissions = self.admissions.iter();
        let mut entries: Vec<Entry> =
            admissions.filter(|entry| !self.checks.is_acknowledged(&entry.id())).cloned().collect();
        if entries.is_empty() {
            entries = (0..=self.dice.below(3)).map(|_| self.clients.asset(now)).collect();
        }
        for entry in entries {
            for _ in 0..=usize::from(self.dice.once_in(5)) {
                let node = self.dice.below(self.nodes.len());
                self.submit(node, &entry);
            }
        }
        if self.dice.once_in(16) {
            self.submit_forged();
        }
    }

    /// Somebody hands an entry to all nodes that its issuer did not sign.
    fn submit_forged(&mut self) {
        self.fault("forged_entry");
        let bytes = self.clients.forged(self.now_ms);
        for node in 0..self.nodes.len() {
            self.submit_bytes(node, None, bytes.clone());
        }
    }

    /// A client hands an entry to a node, which passes it on.
    pub(super) fn submit(&mut self, node: usize, entry: &Entry) {
        if self.nodes[node].process.is_none() {
            return;
        }
        if let Some(process) = &mut self.nodes[node].process {
            process.owed.push(entry.clone());
        }
        self.take_in(node, None, entry.clone());
        self.broadcast(node, &Message::entries(vec![entry.bytes().to_vec()]));
    }
}
