//! What the program refuses, and what it shows.

use std::process::{Command, Output};

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ledger-sim")).args(arguments).output().unwrap()
}

#[test]
fn a_campaign_of_nothing_is_refused() {
    let sim = sim(&["--seeds", "0"]);
    assert_eq!(sim.status.code(), Some(2));
    let said = String::from_utf8(sim.stderr).unwrap();
    assert!(said.contains("--seeds 0 would run nothing"), "{said}");
}

#[test]
fn a_network_of_none_or_of_too_many_is_refused() {
    for nodes in ["0", "129", "300"] {
        let sim = sim(&["--nodes", nodes]);
        assert_eq!(sim.status.code(), Some(2), "{sim:?}");
        let said = String::from_utf8(sim.stderr).unwrap();
        assert!(said.contains("1..=128"), "{said}");
    }
}

#[test]
fn the_same_seed_twice_shows_the_same_trace() {
    let one = |seed: &str, output: &str| {
        let run = ["--first", seed, "--seeds", "1", "--nodes", "4", "--heights", "3"];
        let sim = sim(&[&run[..], &["--planted", "none", "-o", output]].concat());
        assert!(sim.status.success(), "{sim:?}");
        String::from_utf8(sim.stdout).unwrap()
    };
    let trace = |seed: &str| {
        let json: serde_json::Value = serde_json::from_str(&one(seed, "json")).unwrap();
        json["trace"].as_str().unwrap().to_owned()
    };
    let first = trace("17");
    assert_eq!((first.len(), &trace("17")), (64, &first));
    assert_ne!(trace("18"), first);
    assert!(one("17", "text").contains(&format!("trace {first}\n")));
}
