//! What a run begins with: the genesis document, and machines with empty disks.

use ledger_event::Clock;
use ledger_format::genesis::GenesisDocument;
use ledger_replay::Ledger;
use ledger_story::cast::{AUTHORITY, EXCHANGE, OMNI, REGISTRY};
use ledger_story::members::weighted;
use ledger_story::{LIMITS, china, genesis_with, validator_key_of};

use crate::disk::Disk;
use crate::liars::LiarKind;
use crate::node::{Node, id_of};
use crate::plan::Plan;

/// Whose the first validators are, in turn.
pub(super) const PARTIES: [&str; 3] = [EXCHANGE, REGISTRY, AUTHORITY];

fn name_of(number: usize) -> String {
    format!("{number}-")
}

pub(super) fn genesis(plan: &Plan) -> GenesisDocument {
    let names: Vec<String> = (0..plan.validators).map(name_of).collect();
    let parties = PARTIES.into_iter().cycle();
    let members = names.iter().zip(parties).zip(plan.powers());
    let members: Vec<(&str, &str, u32)> =
        members.map(|((name, party), power)| (name.as_str(), party, power)).collect();
    genesis_with(weighted(&members), plan.version(), Clock::Wall, china("2026-08-03"), LIMITS)
}

pub(super) fn nodes(plan: &Plan, genesis: &GenesisDocument) -> Vec<Node> {
    let powers = plan.powers();
    (0..plan.nodes()).map(|number| node(plan, genesis, &powers, number)).collect()
}

fn node(plan: &Plan, genesis: &GenesisDocument, powers: &[u32], number: usize) -> Node {
    // A twin is the last node, with the key of the validator that lies.
    let is_twin = number + 1 == plan.nodes() && plan.liar == Some(LiarKind::Twin);
    let identity = if is_twin { plan.who_lies() } else { number };
    let is_validator = identity < plan.keepers();
    let name = name_of(identity);
    let key = validator_key_of(&name, if is_validator { "vote" } else { "follower" });
    let lies = plan.lies(identity);
    Node {
        id: id_of(&key),
        keys: vec![key],
        name,
        party: if identity < plan.validators { PARTIES[identity % 3] } else { OMNI },
        power: powers.get(identity).copied().unwrap_or_default(),
        is_validator,
        disk: Disk::new(Ledger::new(genesis.clone()).unwrap()),
        process: None,
        skew_ms: plan.clock_off_ms(number, lies),
        liar: lies.map(LiarKind::liar),
        lies,
        forgot: false,
        vouched: 0,
        left: None,
        dies_answered: false,
    }
}
