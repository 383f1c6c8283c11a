//! The set changes: validators come in, leave, and get other keys, by entries that the parties of both sets sign.

use std::collections::BTreeSet;

use ledger_format::entry::Entry;
use ledger_story::cast::{EXCHANGE, OMNI};
use ledger_story::members::{validators_changed, weighted};
use ledger_story::validator_key_of;

use super::sending::RECONNECT_MS;
use super::{Happening, World};
use crate::fairness::Weights;
use crate::node::Node;
use crate::plan::Trouble;

/// Between two looks at what becomes of a change, at most.
const MEMBERS_MS: usize = 4_000;
/// How long an operator takes at most to start a node again that has got another key.
const RENEWED_MS: usize = 8_000;

/// A change of the set on its way.
#[derive(Debug)]
pub(super) struct Change {
    /// Its name in counts.
    kind: &'static str,
    /// What makes it.
    entry: Entry,
    /// The members after it.
    after: BTreeSet<usize>,
}

impl World {
    /// Members agree on something now and then: on the next version of the protocol, and on who they are.
    pub(super) fn members(&mut self) {
        if !self.busy {
            return;
        }
        let after = 200 + u64::try_from(self.dice.below(MEMBERS_MS)).unwrap();
        self.after(after, Happening::Members);
        if self.plan.activates {
            self.activate();
        }
        if self.plan.changes {
            self.change_set();
        }
    }

    /// Members send a change to nodes until it is in a block; then they think of another.
    fn change_set(&mut self) {
        let is_done = |change: &mut Change| self.checks.is_acknowledged(&change.entry.id());
        if let Some(Change { kind, after, .. }) = self.change.take_if(is_done) {
            self.fault(kind);
            self.members = after;
        }
        if self.change.is_none() {
            self.change = self.think_of_change();
        }
        if let Some(change) = &self.change {
            let entry = change.entry.clone();
            let node = self.dice.below(self.nodes.len());
            self.submit(node, &entry);
        }
    }

    /// There is one validator more than at the beginning, or there is not.
    fn think_of_change(&mut self) -> Option<Change> {
        let height = self.checks.height();
        let knows = |node: &&Node| node.lies.is_none() && node.disk.ledger.height() == height;
        let ledger = &self.nodes.iter().find(knows)?.disk.ledger;
        if !self.is_begun() || ledger.validators() != ledger.next_validators() {
            return None;
        }
        let is_full = self.members.len() > self.plan.validators;
        let kind = match (self.dice.once_in(2), is_full) {
            (true, false) => "validator_added",
            (true, true) => "validator_removed",
            (false, _) => "validator_renewed",
        };
        let is_fit = |number: &usize| {
            let Node { party, lies, forgot, disk, is_validator, .. } = &self.nodes[*number];
            let is_in = self.members.contains(number) == (kind != "validator_added");
            let may = [EXCHANGE, OMNI].contains(party) && *is_validator;
            is_in && may && lies.is_none() && !forgot && disk.damaged.is_none()
        };
        let fit: Vec<usize> = (0..self.plan.keepers()).filter(is_fit).collect();
        if fit.is_empty() {
            return None;
        }
        let node = *self.dice.pick(&fit);
        let mut parties = self.parties(&self.members);
        let mut after = self.members.clone();
        match kind {
            "validator_added" => _ = after.insert(node),
            "validator_removed" => _ = after.remove(&node),
            _ => self.renew(node),
        }
        parties.extend(self.parties(&after));
        let member = |number: &usize| {
            let Node { name, party, power, .. } = &self.nodes[*number];
            (name.as_str(), *party, *power)
        };
        let members: Vec<(&str, &str, u32)> = after.iter().map(member).collect();
        let parties: Vec<&'static str> = parties.into_iter().collect();
        let deed = validators_changed(weighted(&members), &parties);
        let ledger = &self.nodes.iter().find(knows)?.disk.ledger;
        let entry = self.clients.agreed(&deed, ledger, self.now_ms);
        Some(Change { kind, entry, after })
    }

    pub(super) fn parties(&self, members: &BTreeSet<usize>) -> BTreeSet<&'static str> {
        members.iter().map(|number| self.nodes[*number].party).collect()
    }

    /// A node gets another key, and is started again with it: before it has a place, or some time after.
    fn renew(&mut self, node: usize) {
        self.number += 1;
        let name = format!("{node}-{}-", self.number);
        self.nodes[node].keys.push(validator_key_of(&name, "vote"));
        self.nodes[node].name = name;
        let after = u64::try_from(self.dice.below(RENEWED_MS)).unwrap();
        self.after(after, Happening::Renewed { node });
    }

    /// An operator starts a node again that does not know all its keys.
    pub(super) fn renewed(&mut self, node: usize) {
        if self.nodes[node].is_outdated() {
            self.crash(node, Trouble::Crash.name());
        }
    }

    /// A node has a new block: who signs the next ones, and who the node is among them.
    pub(super) fn set_in_force(&mut self, node: usize) {
        let ledger = &self.nodes[node].disk.ledger;
        let height = ledger.height();
        self.checks.in_force(height + 1, ledger.validators());
        self.checks.in_force(height + 2, ledger.next_validators());
        let is_new = self.checks.follows(node, height + 1, ledger.protocol().version);
        if height == self.checks.height() {
            self.fairness.members(Weights::of(&self.nodes, ledger.validators()));
        }
        if is_new {
            self.fault("protocol_activated");
        }
        if self.nodes[node].identity() != self.nodes[node].id {
            self.introduce(node, RECONNECT_MS);
        }
    }
}
