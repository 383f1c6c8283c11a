//! The README's story: one command makes a ledger, a second person verifies it with a file and a hash.

use ledger_tests::{CLI, demonstration, run};

#[test]
fn the_demonstration_imports_everything_it_ships() {
    let told = &demonstration().told;
    assert_eq!(told["imported"], 6_691, "16 vega resources and 6,675 of Statistics Denmark");
    assert_eq!(told["claims"], 4_572);
    assert_eq!(told["skipped"], 0);
    assert_eq!(told["deliveries"].as_array().unwrap().len(), 3);
    assert!(told["height"].as_u64().unwrap() > 100);
}

#[test]
fn an_exported_chain_is_proven_offline_under_the_right_trust_only() {
    let made = demonstration();
    let chain = made.chain();
    let chain = chain.to_str().unwrap();
    let proven = run(CLI, ["verify", "chain", chain, "--trust", &made.genesis, "-o", "json"]);
    let proven = proven.expect(0).json();
    assert_eq!(proven["verdict"], "proven");
    assert_eq!(proven["checked"]["entries"], made.told["entries"]);
    assert_eq!(proven["checked"]["blocks"], made.told["height"]);
    let lines = proven["lines"].to_string();
    assert!(lines.contains("proves no time"), "{lines}");
    assert!(lines.contains("its operator alone could have written all of it"), "{lines}");

    let nobody = run(CLI, ["verify", "chain", chain, "-o", "json"]).expect(12).json();
    assert_eq!(nobody["verdict"], "not determined");
    let other = "0".repeat(64);
    let other = run(CLI, ["verify", "chain", chain, "--trust", &other, "-o", "json"]);
    assert_eq!(other.expect(13).json()["verdict"], "trust not met");
}
