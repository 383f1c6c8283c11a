//! The protocol moves on: members agree on the next version, one after the other, and try what comes with it before it is in force, and
//! after that.

use ledger_format::genesis::PROTOCOL_VERSIONS;
use ledger_story::members::protocol_activated;

use super::World;
use super::writing::UNLIMITED;
use crate::node::Node;
use crate::versions::{BUDGETS, NOTICE};

/// How many heights later than it could be a version is in force, at most.
const LATER: usize = 6;

/// What a run counts when an act that a version brings is in a block.
pub(crate) const TAKEN: &str = "new_act_taken";
/// What it counts when one is refused, since its version is not in force: that one is not activated before.
pub(crate) const REFUSED: &str = "new_act_refused";

impl World {
    /// Members send an activation to nodes until one is in a block, and the next when that is in force.
    pub(super) fn activate(&mut self) {
        if !self.is_begun() {
            return;
        }
        self.try_budgets();
        let height = self.checks.height();
        let knows = |node: &&Node| node.lies.is_none() && node.disk.ledger.height() == height;
        let Some(node) = self.nodes.iter().find(knows) else { return };
        let ledger = &node.disk.ledger;
        let protocol = ledger.protocol();
        if protocol.version == *PROTOCOL_VERSIONS.end() || protocol.planned.is_some() {
            return;
        }
        if protocol.version + 1 == BUDGETS && !self.faults.contains_key(REFUSED) {
            return;
        }
        // Its own block is the next one at the earliest. One that comes too late for its height is refused, and another is agreed on.
        let from = height + 1 + NOTICE + u64::try_from(self.dice.below(LATER)).unwrap();
        let parties: Vec<&'static str> = self.parties(&self.members).into_iter().collect();
        let deed = protocol_activated(protocol.version + 1, from, &parties);
        let entry = self.clients.agreed(&deed, ledger, self.now_ms);
        let node = self.dice.below(self.nodes.len());
        self.submit(node, &entry);
    }

    /// Budgets that bind nobody, until they are in a block. Where one is meant to bind, it is tried all the time.
    fn try_budgets(&mut self) {
        if !self.plan.has_new_act() || self.faults.contains_key(TAKEN) {
            return;
        }
        if self.budgets.iter().any(|id| self.checks.is_acknowledged(id)) {
            return self.fault(TAKEN);
        }
        if self.plan.floods.is_some() {
            return;
        }
        self.set_budgets(UNLIMITED);
    }
}
