//! Whoever has a validator's key and signs twice with it is named, on all nodes and offline, and nobody else is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ledger_format::digest::BlockHash;
use ledger_replica::StatementKind;
use ledger_tests::{CLI, Exchanges, Impostor, Signal, connect, run};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
/// The validator whose key is in other hands.
const LIAR: usize = 3;

/// How much evidence a node has.
fn evidence(network: &Exchanges, node: usize) -> u32 {
    let node = network.node(node);
    network.runtime.block_on(async { connect(node).await.status().await }).unwrap().evidence
}

/// Waits until all running nodes have as much evidence.
fn told(network: &Exchanges, count: u32) {
    let begun = Instant::now();
    loop {
        let running = (0..network.nodes.len()).filter(|node| network.nodes[*node].is_some());
        let counts: Vec<u32> = running.map(|node| evidence(network, node)).collect();
        if counts.iter().all(|known| *known == count) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{counts:?}, not {count}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What `verify evidence` says of a file.
fn verified(file: &Path, trust: &str, code: i32) -> Value {
    let file = file.to_str().unwrap();
    let ended = run(CLI, ["verify", "evidence", file, "--trust", trust, "-o", "json"]);
    ended.expect(code).json()
}

#[test]
fn whoever_votes_twice_is_named_everywhere_and_offline() {
    let mut network = Exchanges::start(4, 1);
    let height = network.agree(1) + 1;
    let trust = network.node(0).genesis.clone();
    network.end(LIAR, Signal::Kill);
    told(&network, 0);

    let impostor = Impostor::of(&network, LIAR);
    let (one, other) = (Some(BlockHash([1; 32])), Some(BlockHash([2; 32])));
    // What an honest validator may sign: one of each kind and round, and the same again.
    for kind in [StatementKind::Prevote, StatementKind::Precommit] {
        for (round, block) in [(0, one), (0, one), (1, other), (2, None)] {
            impostor.say(&impostor.state(height, round, kind, block));
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    told(&network, 0);
    // And what none does.
    impostor.say(&impostor.state(height, 0, StatementKind::Prevote, other));
    told(&network, 1);
    // More of the same is no more evidence, however much comes.
    for number in 3..100 {
        let block = Some(BlockHash([number; 32]));
        impostor.say(&impostor.state(height, 1, StatementKind::Precommit, block));
    }
    std::thread::sleep(Duration::from_secs(1));
    told(&network, 1);

    let listed = network.node(4).cli(&["evidence", "list", "-o", "json"]).expect(0).json();
    let found = &listed["evidence"][0];
    assert_eq!(found["offence"], "double prevote");
    assert_eq!(found["height"], height);
    assert_eq!(found["accused"][0]["party"], "exchange-4");
    let directory = TempDir::new().unwrap();
    let file: PathBuf = directory.path().join("lie.evidence");
    let id = found["id"].as_str().unwrap();
    let _written =
        network.node(4).cli(&["evidence", "get", id, "-o", file.to_str().unwrap()]).expect(0);

    // From here on without any node.
    let said = verified(&file, &trust, 0);
    assert_eq!(said["verdict"], "proven");
    assert_eq!(said["accused"][0]["key"], impostor.id().to_string());
    assert_eq!(said["accused"][0]["party"], "exchange-4");
    assert_eq!((&said["height"], &said["round"]), (&height.into(), &0.into()));
    assert_eq!(said["accused"].as_array().unwrap().len(), 1);
    let nobody = verified(&file, &"0".repeat(64), 13);
    assert_eq!(nobody["accused"].as_array().unwrap().len(), 0);
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert_eq!(verified(&file, &trust, 10)["code"], "V_SIGNATURE");
    bytes.pop();
    fs::write(&file, &bytes).unwrap();
    assert_eq!(verified(&file, &trust, 11)["code"], "FMT_TRUNCATED");

    // What is known survives a restart, and whoever was away is told; also the organisation that is named.
    impostor.leave(&network);
    network.end(0, Signal::Kill);
    network.start_nodes(&[0, LIAR]);
    told(&network, 1);
    let kept: Vec<_> = fs::read_dir(network.path(0).join("evidence")).unwrap().collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(verified(&kept[0].as_ref().unwrap().path(), &trust, 0)["verdict"], "proven");
}
