//! A validator that has lost its memory comes back among the others, and never says a second thing where it may have said a first.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ledger_format::entry::Entry;
use ledger_tests::{
    Exchanges, Finished, NODE, Running, Signal, Supplier, connect, copy_directory, node_on, run,
    vouch,
};
use serde_json::Value;
use tempfile::TempDir;

/// How long a network that lacks a vote is watched doing nothing.
const WATCHED: Duration = Duration::from_secs(4);
/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes entries one after the other, each a block.
fn write(network: &Exchanges, supplier: &Supplier, names: &[&str]) {
    for name in names {
        let entry = supplier.describe(name).unwrap();
        let node = network.node(1);
        network.runtime.block_on(async { connect(node).await.submit(&entry).await }).unwrap();
    }
}

/// Whether an entry finds no block within a time in which a whole network makes many. It is in one later.
fn is_stuck(network: &Exchanges, entry: &Entry) -> bool {
    let node = network.node(1);
    network.runtime.block_on(async {
        let submitted = async { connect(node).await.submit(entry).await };
        tokio::time::timeout(WATCHED, submitted).await.is_err()
    })
}

fn recover(directory: &Path, options: &[&str]) -> Finished {
    let all = ["recover", "-o", "json", "--data-dir", directory.to_str().unwrap()];
    run(NODE, all.iter().chain(options))
}

/// Whether a node says that it recovers, and as what.
fn recovering(network: &Exchanges, node: usize) -> (bool, String) {
    let node = network.node(node);
    let status = network.runtime.block_on(async { connect(node).await.status().await }).unwrap();
    let noticed = status.notices.iter().any(|notice| notice.starts_with("recovering"));
    assert_eq!(noticed, status.recovering);
    (status.recovering, status.role)
}

/// Writes entries, each a block, until a node says that it recovers no more. It began to when the others had this height.
fn write_until_recovered(network: &Exchanges, supplier: &Supplier, node: usize, from: u64) {
    let begun = Instant::now();
    let mut written = 0;
    while recovering(network, node).0 {
        assert!(begun.elapsed() < PATIENCE, "{written} blocks were not enough");
        write(network, supplier, &[&format!("written-{written}")]);
        written += 1;
    }
    assert!(network.height(node) >= from + 2, "it may have voted at two heights");
}

#[track_caller]
fn assert_refused(started: Result<Running, Finished>, code: &str) {
    match started {
        Err(ended) => assert_eq!(ended.expect(34).error_code(), code),
        Ok(node) => panic!("a node starts at height {}", node.ready["height"]),
    }
}

/// Takes everything that a lost disk takes: keys and genesis are put back from where they are kept.
fn lose_disk(network: &Exchanges, node: usize) {
    network.wipe(node);
    fs::remove_file(network.path(node).join("vote.lock")).unwrap();
}

#[test]
fn a_validator_that_lost_its_disk_votes_again_only_above_everything_that_it_may_have_said() {
    let mut network = Exchanges::start(4, 0);
    let supplier = network.supplier(1);
    write(&network, &supplier, &["a", "b"]);
    let _killed = network.end(0, Signal::Kill);
    lose_disk(&network, 0);
    assert_refused(Running::start(&network.path(0)), "NODE_VOTE_LOCK");
    assert_eq!(recover(&network.path(0), &[]).expect(0).json()["votes"], Value::Bool(false));
    network.start_nodes(&[0]);
    let height = network.agree(4);
    assert_eq!(recovering(&network, 0), (true, "validator".to_owned()));
    // With one other down, its vote would be needed, and it does not give it. Neither does it after a restart.
    let _ended = network.end(3, Signal::Terminate);
    let waiting = supplier.describe("waits").unwrap();
    assert!(is_stuck(&network, &waiting), "it voted while it recovered");
    let _ended = network.end(0, Signal::Terminate);
    network.start_nodes(&[0]);
    assert!(is_stuck(&network, &waiting), "it voted after a restart");
    // Heights that it may have voted at are decided by the others, who have all reported then.
    network.start_nodes(&[3]);
    network.agree(5);
    write_until_recovered(&network, &supplier, 0, height);
    let _ended = network.end(3, Signal::Terminate);
    write(&network, &supplier, &["with-its-vote"]);
    // And it is a validator like any other at its next start.
    let _ended = network.end(0, Signal::Kill);
    network.start_nodes(&[0]);
    write(&network, &supplier, &["with-its-vote-again"]);
    network.agree(8);
}

#[test]
fn it_comes_back_while_the_others_write() {
    let mut network = Exchanges::start(4, 0);
    let supplier = network.supplier(1);
    let _killed = network.end(2, Signal::Kill);
    lose_disk(&network, 2);
    let _done = recover(&network.path(2), &[]).expect(0);
    let height = network.height(1);
    network.start_nodes(&[2]);
    write_until_recovered(&network, &supplier, 2, height);
    let _ended = network.end(3, Signal::Terminate);
    write(&network, &supplier, &["with-its-vote"]);
    network.agree(3);
}

/// A copy of a directory, under other addresses.
fn beside(copy: &Path) -> std::process::Command {
    let mut command = node_on(copy);
    command.args(["--peer-listen", "127.0.0.1:0"]);
    command
}

/// A copy of a directory that passes for the original, as a snapshot of its machine does that is started elsewhere.
fn snapshot(directory: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    copy_directory(directory, copy.path());
    vouch(copy.path());
    copy
}

fn ended(started: Result<Running, Finished>) -> Finished {
    match started {
        Err(ended) => ended,
        Ok(node) => node.wait(),
    }
}

#[test]
fn a_copy_is_refused_and_what_passes_for_the_original_is_found_out_by_what_others_have_heard() {
    let mut network = Exchanges::start(4, 0);
    let supplier = network.supplier(1);
    let _ended = network.end(0, Signal::Terminate);
    let backup = TempDir::new().unwrap();
    copy_directory(&network.path(0), backup.path());
    network.start_nodes(&[0]);
    write(&network, &supplier, &["a", "b"]);
    network.agree(4);
    assert_refused(Running::spawn(beside(backup.path())), "NODE_VOTE_LOCK");
    // An entry that cannot be decided keeps a height open, at which the original votes.
    let _ended = network.end(2, Signal::Terminate);
    let _ended = network.end(3, Signal::Terminate);
    assert!(is_stuck(&network, &supplier.describe("open").unwrap()));
    let status = async { connect(network.node(1)).await.status().await.unwrap() };
    let notices = network.runtime.block_on(status).notices;
    let names = |notice: &str| notice.contains("exchange-3") && notice.contains("exchange-4");
    let told =
        |notice: &String| notice.starts_with("validators with power 2 of 4") && names(notice);
    assert!(notices.iter().any(told), "{notices:?}");
    let _killed = network.end(0, Signal::Kill);
    // As if its machine had been put back to a snapshot: the lock cannot tell, and the others can.
    vouch(backup.path());
    let twin = ended(Running::spawn(node_on(backup.path())));
    assert_eq!(twin.expect(34).error_code(), "NODE_TWIN");
    assert_refused(Running::spawn(node_on(backup.path())), "NODE_VOTE_LOCK");
    // The original was killed, no more than that, and goes on.
    network.start_nodes(&[0, 2, 3]);
    network.agree(5);
}

#[test]
fn of_two_that_run_with_one_key_one_is_stopped_or_the_key_is_proven_guilty() {
    let mut network = Exchanges::start(4, 0);
    let supplier = network.supplier(1);
    let _ended = network.end(0, Signal::Terminate);
    let copy = snapshot(&network.path(0));
    network.start_nodes(&[0]);
    let other = match Running::spawn(beside(copy.path())) {
        Ok(other) => other,
        Err(ended) => return assert_eq!(ended.expect(34).error_code(), "NODE_TWIN"),
    };
    let mut twins = [network.nodes[0].take().unwrap(), other];
    let is_guilty = |network: &Exchanges| {
        let status = async { connect(network.node(1)).await.status().await };
        network.runtime.block_on(status).unwrap().evidence > 0
    };
    let begun = Instant::now();
    let mut number = 0;
    // Until both have tried to reach everybody.
    while !is_guilty(&network) && !twins.iter_mut().any(Running::has_ended) {
        assert!(begun.elapsed() < PATIENCE, "nobody noticed in {number} blocks");
        write(&network, &supplier, &[&format!("asset-{number}")]);
        number += 1;
    }
    for mut twin in twins {
        if twin.has_ended() {
            assert_eq!(twin.wait().expect(34).error_code(), "NODE_TWIN");
        }
    }
}

#[test]
fn a_process_in_whose_place_another_one_has_come_ends_though_nothing_is_written() {
    let mut network = Exchanges::start(4, 0);
    let _height = network.agree(1);
    let _ended = network.end(0, Signal::Terminate);
    let copy = snapshot(&network.path(0));
    network.start_nodes(&[0]);
    let mut first = network.nodes[0].take().unwrap();
    let other = Running::spawn(beside(copy.path())).unwrap();
    let begun = Instant::now();
    while !first.has_ended() {
        assert!(begun.elapsed() < PATIENCE, "both run on");
        std::thread::sleep(Duration::from_millis(100));
    }
    let first = first.wait().expect(34);
    assert_eq!(first.error_code(), "NODE_TWIN");
    let told = first.error()["error"]["message"].to_string();
    assert!(told.contains("refuse this process"), "{told}");
    assert_refused(Running::spawn(node_on(&network.path(0))), "NODE_VOTE_LOCK");
    assert_eq!(other.end(Signal::Terminate), 0);
}

#[test]
fn a_node_whose_key_changes_while_its_lock_is_stale_is_silent_with_both_keys() {
    let mut network = Exchanges::start(4, 0);
    let supplier = network.supplier(1);
    let directory = network.path(0);
    let path = directory.to_str().unwrap();
    let _ended = network.end(0, Signal::Terminate);
    // Keys that come later are under the lock that is there: in a directory that is a copy, they do not vote either.
    let copy = TempDir::new().unwrap();
    copy_directory(&directory, copy.path());
    fs::remove_dir_all(&directory).unwrap();
    fs::create_dir(&directory).unwrap();
    copy_directory(copy.path(), &directory);
    let _made = run(NODE, ["keys", "next", "--data-dir", path]).expect(0);
    assert_refused(Running::start(&directory), "NODE_VOTE_LOCK");
    let _promoted = run(NODE, ["keys", "promote", "--data-dir", path]).expect(0);
    assert_refused(Running::start(&directory), "NODE_VOTE_LOCK");
    // Nor does a second change throw away keys that the set may still list.
    let _made = run(NODE, ["keys", "next", "--data-dir", path]).expect(0);
    let refused = run(NODE, ["keys", "promote", "--data-dir", path]).expect(22);
    assert!(refused.err.contains("keys/former has the keys before"), "{}", refused.err);
    fs::remove_dir_all(directory.join("keys/next")).unwrap();
    // With a key that has no place yet it follows, and says that it would not vote.
    fs::remove_dir_all(directory.join("keys/former")).unwrap();
    network.start_nodes(&[0]);
    assert_eq!(recovering(&network, 0), (true, "standby".to_owned()));
    write(&network, &supplier, &["a"]);
    network.reach(0, 3);
    let _ended = network.end(0, Signal::Terminate);
    // It recovers before it is called.
    let _done = recover(&directory, &[]).expect(0);
    let height = network.height(1);
    network.start_nodes(&[0]);
    write_until_recovered(&network, &supplier, 0, height);
    assert_eq!(recovering(&network, 0), (false, "standby".to_owned()));
}

/// As an operator does whose validator has died and whose follower is at hand: what the keys have signed is in the other directory.
#[test]
fn keys_that_are_brought_to_a_directory_with_another_memory_do_not_vote() {
    let mut network = Exchanges::start(4, 1);
    let supplier = network.supplier(1);
    write(&network, &supplier, &["a", "b"]);
    network.agree(4);
    let _killed = network.end(0, Signal::Kill);
    let _ended = network.end(4, Signal::Terminate);
    let (from, to) = (network.path(0).join("keys"), network.path(4));
    assert!(to.join("vote.lock").exists(), "the follower's own keys have a lock");
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join("keys").join(file.file_name())).unwrap();
    }
    let config = to.join("config.toml");
    let settings = fs::read_to_string(&config).unwrap();
    assert!(settings.contains("role = \"follower\""), "{settings}");
    fs::write(&config, settings.replace("role = \"follower\"", "role = \"validator\"")).unwrap();
    match Running::start(&to) {
        Err(ended) => {
            assert_eq!(ended.error_code(), "NODE_VOTE_LOCK");
            assert!(ended.err.contains("does not name the vote key"), "{}", ended.err);
        }
        Ok(node) => panic!("a node starts at height {}", node.ready["height"]),
    }
    assert_eq!(recover(&to, &[]).expect(0).json()["votes"], Value::Bool(false));
    network.start_nodes(&[4]);
    assert_eq!(recovering(&network, 4), (true, "validator".to_owned()));
}

#[test]
fn where_the_others_cannot_go_on_alone_the_founders_decide() {
    let mut network = Exchanges::start(2, 0);
    let supplier = network.supplier(1);
    let _ended = network.end(0, Signal::Kill);
    let path = network.path(0);
    let log = path.join("wal/consensus.wal");
    fs::rename(&log, log.with_extension("lost")).unwrap();
    assert_refused(Running::start(&path), "NODE_VOTE_LOCK");
    assert_eq!(recover(&path, &[]).expect(34).error_code(), "NODE_RECOVER_ALONE");
    let _done = recover(&path, &["--alone"]).expect(0);
    network.start_nodes(&[0]);
    write(&network, &supplier, &["a"]);
    network.agree(3);
    // In the middle of a height, and without anything left.
    let _ended = network.end(0, Signal::Kill);
    assert!(is_stuck(&network, &supplier.describe("b").unwrap()));
    lose_disk(&network, 0);
    let _done = recover(&path, &["--alone"]).expect(0);
    network.start_nodes(&[0]);
    write(&network, &supplier, &["c"]);
    network.agree(4);
    assert!(!recovering(&network, 0).0);
}
