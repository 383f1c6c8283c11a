//! Small campaigns over networks of every size that matters.

use ledger_sim::campaign::Campaign;

fn holds(validators: usize, seeds: u64, heights: u64) {
    let campaign = Campaign { first: 1_000, seeds, validators: vec![validators], heights };
    let findings = campaign.go(|_| ());
    assert!(findings.failures.is_empty(), "{:#?}", findings.failures);
    assert_eq!(findings.seeds, seeds);
    assert!(findings.fewest_heights >= heights);
    assert!(!findings.faults.is_empty());
}

#[test]
fn a_validator_alone_is_safe_and_live() {
    holds(1, 10, 25);
}

#[test]
fn two_validators_are_safe_and_live() {
    holds(2, 6, 15);
}

#[test]
fn three_validators_are_safe_and_live() {
    holds(3, 6, 15);
}

#[test]
fn four_validators_are_safe_and_live_with_a_liar_among_them() {
    holds(4, 12, 20);
}

#[test]
fn seven_validators_are_safe_and_live_with_a_liar_among_them() {
    holds(7, 6, 15);
}
