//! The checks would notice: every planted bug is caught, and its seed shows nothing without it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use ledger_sim::planted::{Bug, hunt_all};

/// Seeds that are tried for each.
const BUDGET: u64 = 60;

#[test]
fn every_planted_bug_is_caught() {
    let hunts = hunt_all(BUDGET, |_| ());
    assert_eq!(hunts.len(), Bug::ALL.len());
    let missed: Vec<_> = hunts.iter().filter(|hunt| !hunt.is_caught()).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
