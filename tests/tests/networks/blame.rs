//! Whoever has a validator's key and signs twice with it is named, on all nodes and offline, and nobody else is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ed25519_dalek::Signer as _;
use ledger_client::{ClientError, keys};
use ledger_format::block::{Block, Body};
use ledger_format::chain_file::{CHAIN_MARK, End, FrameKind, frame};
use ledger_format::digest::BlockHash;
use ledger_format::entry::Entry;
use ledger_format::genesis_file::GenesisFile;
use ledger_format::vote::{Certificate, VoteStep, vote_bytes};
use ledger_replay::Ledger;
use ledger_replica::StatementKind;
use ledger_tests::{CLI, Exchanges, Finished, Impostor, NODE, Signal, run};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
/// The validator whose key is in other hands.
const LIAR: usize = 3;

/// How much evidence a node has.
fn evidence(network: &Exchanges, node: usize) -> u32 {
    network.status(node).evidence
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

/// How a node ends that is started.
fn ended(network: &mut Exchanges, node: usize) -> Finished {
    match network.start_node(node) {
        Err(ended) => ended,
        Ok(()) => network.nodes[node].take().unwrap().wait(),
    }
}

/// What `verify evidence` says of a file.
fn verified(file: &Path, trust: &str, code: i32) -> Value {
    let file = file.to_str().unwrap();
    let ended = run(CLI, ["verify", "evidence", file, "--trust", trust, "-o", "json"]);
    ended.expect(code).json()
}

/// A chain of one block, proposed by one validator and certified by some in a round.
fn chain(network: &Exchanges, proposer: usize, by: &[usize], round: u32) -> Vec<u8> {
    let bytes = fs::read(network.path(0).join("genesis")).unwrap();
    let GenesisFile { document, entries } = GenesisFile::decode(bytes.into()).unwrap();
    let key = |node: usize| {
        let refuse = || Err(ClientError::key("not encrypted"));
        keys::read(&network.path(node).join("keys/vote.pem"), refuse).unwrap()
    };
    let ledger = Ledger::new(document.clone()).unwrap();
    let all: Vec<&Entry> = entries.iter().collect();
    let proposal = ledger.propose(keys::kid(&key(proposer)), 0, &all);
    let header = proposal.block.unwrap().header;
    let block = header.hash();
    let vote = vote_bytes(&document.id(), VoteStep::Precommit, 1, round, Some(&block));
    let sign = |node: &usize| (keys::kid(&key(*node)), key(*node).sign(&vote).to_bytes());
    let mut signatures: Vec<_> = by.iter().map(sign).collect();
    signatures.sort_unstable();
    let entries = entries.iter().map(|entry| entry.bytes().clone()).collect();
    let certificate = Certificate { height: 1, round, block, signatures };
    let block = Block { body: Body { header, entries }, certificate };
    let frames = [
        frame(FrameKind::Genesis, document.bytes()),
        frame(FrameKind::Block, &block.encode()),
        frame(FrameKind::End, &End { blocks: 1, records: 0 }.encode()),
    ];
    [CHAIN_MARK.to_vec(), frames.concat()].concat()
}

#[test]
fn whoever_certified_two_histories_is_found_by_comparing_them() {
    let network = Exchanges::start(4, 0);
    let trust = network.node(0).genesis.clone();
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let chains = [
        ("one", chain(&network, 0, &[0, 1, 2], 0)),
        ("same", chain(&network, 0, &[1, 2, 3], 0)),
        ("other", chain(&network, 1, &[1, 2, 3], 0)),
        ("later", chain(&network, 1, &[1, 2, 3], 1)),
    ];
    for (name, bytes) in &chains {
        fs::write(path(name), bytes).unwrap();
    }
    let compare = |other: &str, out: &str, exit: i32| {
        let (one, other, out) = (path("one"), path(other), path(out));
        let arguments = ["evidence", "compare", &one, &other, "-o", &out, "--trust", &trust];
        run(CLI, arguments.iter().chain(&["--output", "json"])).expect(exit).json()
    };
    assert_eq!(compare("same", "none", 0)["fork"], Value::Null);
    assert_eq!(compare("other", "fork", 10)["fork"], 1);
    let said = verified(Path::new(&path("fork")), &trust, 0);
    assert_eq!(said["offence"], "conflicting certificates");
    let parties: BTreeSet<&str> = said["accused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|accused| accused["party"].as_str().unwrap())
        .collect();
    assert_eq!(parties, BTreeSet::from(["exchange-2", "exchange-3"]));
    // In two rounds it is a fork as well, and nobody is named for it.
    assert_eq!(compare("later", "rounds", 10)["fork"], 1);
    let said = verified(Path::new(&path("rounds")), &trust, 12);
    assert_eq!(said["accused"].as_array().unwrap().len(), 0);
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

    // The validator itself is shown what its key has signed elsewhere, and does not vote beside that, not even if it is started again.
    impostor.leave(&network);
    assert_eq!(ended(&mut network, LIAR).expect(34).error_code(), "NODE_TWIN");
    assert_eq!(ended(&mut network, LIAR).expect(34).error_code(), "NODE_VOTE_LOCK");
    let path = network.path(LIAR);
    let _done = run(NODE, ["recover", "--data-dir", path.to_str().unwrap()]).expect(0);
    // What is known survives a restart, and whoever was away is told; also the organisation that is named.
    network.end(0, Signal::Kill);
    network.start_nodes(&[0, LIAR]);
    told(&network, 1);
    let kept: Vec<_> = fs::read_dir(network.path(0).join("evidence")).unwrap().collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(verified(&kept[0].as_ref().unwrap().path(), &trust, 0)["verdict"], "proven");
}
