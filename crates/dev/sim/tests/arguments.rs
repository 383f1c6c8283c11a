//! What the program refuses.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;

#[test]
fn a_campaign_of_nothing_is_refused() {
    let sim = Command::new(env!("CARGO_BIN_EXE_ledger-sim")).args(["--seeds", "0"]).output();
    let sim = sim.unwrap();
    assert_eq!(sim.status.code(), Some(2));
    let said = String::from_utf8(sim.stderr).unwrap();
    assert!(said.contains("--seeds 0 would run nothing"), "{said}");
}
