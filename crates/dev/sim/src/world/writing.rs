//! Clients, and what they write to whom.

use ledger_event::{Budget, Budgets};
use ledger_format::entry::Entry;
use ledger_format::evidence::Evidence;
use ledger_story::members::budgets_set;

use super::founding::PARTIES;
use super::{Happening, World};
use crate::node::Node;
use crate::plan::Flood;

/// Between two rounds of clients, at most.
const CLIENTS_MS: usize = 500;
/// Entries of a flood in a round of clients.
const FLOOD: usize = 5;
/// Less than a flood is, and more than others write, also where a header that is ahead makes a window longer: of a party, and of the
/// exchange that admitted both suppliers.
const PARTY: u64 = 110;
const EXCHANGE: u64 = 150;
/// Bytes of an entry of theirs, about.
const ENTRY_BYTES: u64 = 500;
/// What nobody writes in a window.
const PLENTY: Budget = Budget { entries: 100_000, bytes: 100_000_000 };
/// Budgets that nobody spends.
pub(super) const UNLIMITED: Budgets =
    Budgets { window_s: 10, party: Some(PLENTY), exchange: Some(PLENTY) };

/// Budgets one of which is soon spent.
const fn budgets(flood: Flood) -> Budgets {
    let (mut party, mut exchange) = (PLENTY, PLENTY);
    match flood {
        Flood::PartyEntries => party.entries = PARTY,
        Flood::PartyBytes => party.bytes = PARTY * ENTRY_BYTES,
        Flood::ExchangeEntries => exchange.entries = EXCHANGE,
        Flood::ExchangeBytes => exchange.bytes = EXCHANGE * ENTRY_BYTES,
    }
    Budgets { party: Some(party), exchange: Some(exchange), ..UNLIMITED }
}

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
        if entries.is_empty()
            && let Some(flood) = self.plan.floods
        {
            self.flood(flood);
        }
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
        if self.dice.once_in(8) {
            self.record_evidence();
        }
    }

    /// A supplier has something recorded that a node has found, or what looks like it and proves nothing.
    fn record_evidence(&mut self) {
        let honest = self.nodes.iter().filter(|node| node.lies.is_none());
        let found = honest.flat_map(|node| &node.disk.evidence);
        let found: Vec<&Evidence> =
            found.filter(|evidence| !self.recorded.contains(&evidence.id())).collect();
        if found.is_empty() {
            return;
        }
        let evidence = (*self.dice.pick(&found)).clone();
        let is_false = self.dice.once_in(4);
        let evidence = if is_false { falsified(&evidence) } else { Some(evidence) };
        let Some(evidence) = evidence else { return };
        if is_false {
            self.fault("false_evidence");
            self.false_evidence.insert(evidence.id());
        }
        let entry = self.clients.evidence(&evidence, self.now_ms);
        let node = self.dice.below(self.nodes.len());
        self.submit(node, &entry);
    }

    /// Members agree on budgets, and one supplier writes more, through an exchange that lets it: its entries are in all pools.
    fn flood(&mut self, flood: Flood) {
        let now = self.now_ms;
        if !self.budgets.iter().any(|id| self.checks.is_acknowledged(id)) {
            return self.set_budgets(budgets(flood));
        }
        for _ in 0..FLOOD {
            let entry = self.clients.flood(now);
            for node in 0..self.nodes.len() {
                self.submit_bytes(node, None, entry.bytes().clone());
            }
        }
        let entry = self.clients.flood(now);
        let node = self.dice.below(self.nodes.len());
        self.submit(node, &entry);
    }

    /// Members agree on budgets, and hand them to a node.
    pub(super) fn set_budgets(&mut self, budgets: Budgets) {
        let parties = &PARTIES[..self.plan.validators.min(PARTIES.len())];
        let ledger = self.nodes.iter().map(|node| &node.disk.ledger).max_by_key(|l| l.height());
        let deed = budgets_set(Some(budgets), parties);
        let entry = self.clients.agreed(&deed, ledger.unwrap(), self.now_ms);
        self.budgets.push(entry.id());
        let node = self.dice.below(self.nodes.len());
        self.submit(node, &entry);
    }

    /// Whether the suppliers may write.
    pub(super) fn is_begun(&self) -> bool {
        let is_in = |entry: &Entry| self.checks.is_acknowledged(&entry.id());
        !self.admissions.is_empty() && self.admissions.iter().all(is_in)
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
        let clock_ms = self.clock_ms(node);
        if !self.nodes[node].disk.ledger.beyond_budget(clock_ms, &[entry]).is_empty() {
            return self.fault("turned_away");
        }
        // Of what is in a block already the client is told so at once.
        let Node { process, disk, .. } = &mut self.nodes[node];
        if let Some(process) = process
            && !disk.ids.contains(&entry.id())
        {
            process.owed.push(entry.clone());
        }
        self.take_in(node, None, entry.clone());
        let Some(process) = &self.nodes[node].process else { return };
        let message = process.replica.relay(vec![entry.bytes().to_vec()]);
        self.broadcast(node, &message);
    }
}

/// The same with another last signature, which nobody made; `None` if that has no form.
fn falsified(evidence: &Evidence) -> Option<Evidence> {
    let mut bytes = evidence.encode();
    *bytes.last_mut()? ^= 1;
    Evidence::decode(bytes.into()).ok()
}
