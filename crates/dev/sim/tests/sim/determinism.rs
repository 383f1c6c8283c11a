//! A seed decides everything: otherwise a run that failed could not be repeated.

use ledger_sim::plan::{Plan, Trouble};
use ledger_sim::run;

/// A plan with trouble and a liar, from a seed on.
fn plan(from: u64) -> Plan {
    let plans = (from..from + 100).map(|seed| Plan::of(seed, 4, 15));
    plans.into_iter().find(|plan| plan.liar.is_some() && plan.troubles.len() >= 4).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let (first, other) = (plan(1), plan(200));
    assert_ne!(first.seed, other.seed);
    let once = run(first.clone()).unwrap();
    let again = run(first).unwrap();
    let other = run(other).unwrap();
    assert_eq!(once.trace, again.trace);
    assert_eq!(
        (once.heights, once.simulated_ms, once.messages, once.acknowledged, &once.faults),
        (again.heights, again.simulated_ms, again.messages, again.acknowledged, &again.faults)
    );
    assert_ne!(once.trace, other.trace);
}

#[test]
fn so_it_does_where_disks_are_damaged_and_the_set_changes() {
    let is_meant = |plan: &Plan| plan.changes && plan.troubles.contains(&Trouble::BitFlipLog);
    let plans = (1..1_000).map(|seed| Plan::of(seed, 4, 30)).filter(is_meant);
    let mut runs = plans.map(|plan| (plan.clone(), run(plan).unwrap()));
    let (plan, once) = runs.find(|(_, once)| once.faults.contains_key("validator_added")).unwrap();
    let again = run(plan).unwrap();
    assert_eq!((once.trace, once.faults), (again.trace, again.faults));
}
