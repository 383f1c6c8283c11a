//! A validator that has lost its memory comes back among the others, and never says a second thing where it may have said a first.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ledger_format::entry::Entry;
use ledger_store::Wal;
use ledger_tests::{
    Exchanges, Finished, NODE, Running, Signal, Supplier, command, connect, copy_directory,
    copy_node, demonstration, node_on, ports, run, vouch,
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
    let status = network.status(node);
    let noticed = status.notices.iter().any(|notice| notice.starts_with("recovering"));
    assert_eq!(noticed, status.recovering);
    (status.recovering, status.role)
}

/// Writes entries, each a block, until a node says that it recovers no more. It began to when the others had this height.
fn write_until_recovered(network: &Exchanges, supplier: &Supplier, node: usize, from: u64) {
    network.write_until_recovered(supplier, node, 1);
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

/// All nodes of a network for trying out are in one process: the end of any of them is told, and ends the others.
#[test]
fn a_network_for_trying_out_ends_with_whichever_of_its_nodes_fails() {
    let directory = TempDir::new().unwrap();
    let port = ports(8).to_string();
    let net = ["testnet", "-o", "json", "--validators", "4", "--base-port", &port, "--data-dir"];
    let net = net.iter().copied().chain([directory.path().to_str().unwrap()]);
    let start = || {
        let mut all = command(NODE);
        all.args(net.clone()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut all = all.spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(all.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("\"ready\":true"), "{ready}");
        all
    };
    // Once before: a copy without block 1 would find its own signature in it.
    let mut once = start();
    Signal::Terminate.send(once.id());
    assert_eq!(once.wait().unwrap().code(), Some(0));
    let failing = directory.path().join("validator-3");
    let copy = snapshot(&failing);
    let mut all = start();
    let other = Running::spawn(beside(copy.path())).unwrap();
    let begun = Instant::now();
    while all.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            all.kill().unwrap();
            panic!("a network without one of its nodes runs on");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let ended = all.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(34), "{told}");
    let error = told.lines().last().unwrap();
    assert!(error.contains("NODE_TWIN") && error.contains(failing.to_str().unwrap()), "{told}");
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

/// A copy of the demonstration's data: of a ledger of one validator.
fn lone() -> TempDir {
    let directory = TempDir::new().unwrap();
    copy_node(&demonstration().data(), directory.path());
    directory
}

/// Has its settings name another validator.
fn name_another(directory: &Path) -> PathBuf {
    let config = directory.join("config.toml");
    let other = format!("[peer]\nknown = [\"{}@127.0.0.1:1\"]\n", "ab".repeat(32));
    fs::write(&config, other).unwrap();
    config
}

/// By genesis it may begin the ledger; by its settings others have gone on with it.
#[test]
fn a_lone_founder_that_lost_its_blocks_does_not_begin_anew_beside_others() {
    let directory = lone();
    let path = directory.path();
    for lost in ["store", "wal"] {
        fs::remove_dir_all(path.join(lost)).unwrap();
    }
    fs::remove_file(path.join("vote.lock")).unwrap();
    let config = name_another(path);
    for options in [&["--alone"][..], &[]] {
        assert_eq!(recover(path, options).expect(0).json()["votes"], false);
    }
    // Its settings may be in another place.
    let elsewhere = TempDir::new().unwrap();
    let outside = elsewhere.path().join("settings.toml");
    fs::rename(&config, &outside).unwrap();
    let mut variables = command(NODE);
    variables.args(["recover", "--alone", "-o", "json"]);
    variables.env("LEDGER_DATA_DIR", path).env("LEDGER_CONFIG", &outside);
    let told = String::from_utf8(variables.output().unwrap().stdout).unwrap();
    assert!(told.contains("\"votes\":false"), "{told}");
    let typed = ["--alone", "--config", outside.to_str().unwrap()];
    assert_eq!(recover(path, &typed).expect(0).json()["votes"], false);
    // One that was copied before its first start has nobody beside it.
    assert_eq!(recover(path, &["--alone"]).expect(0).json()["votes"], true);
}

/// The blocks of a backup from when it was alone show nobody else, and its settings do.
#[test]
fn a_lone_founder_from_an_old_backup_does_not_go_on_alone_beside_others() {
    let directory = lone();
    let path = directory.path();
    fs::remove_file(path.join("vote.lock")).unwrap();
    let refused = recover(path, &[]).expect(34);
    assert_eq!(refused.error_code(), "NODE_RECOVER_ALONE");
    assert!(refused.err.contains("peer.known"), "{}", refused.err);
    let _config = name_another(path);
    for options in [&["--alone"][..], &[]] {
        let told = recover(path, options).expect(0).json();
        assert_eq!(told["votes"], false);
        assert!(told["height"].as_u64() > Some(0), "{told}");
    }
}

/// A log that is whole and holds what no start can go on from is the same at every start: there is a way out without others too.
#[test]
fn a_log_that_no_start_can_go_on_from_is_put_aside() {
    let directory = lone();
    let path = directory.path();
    let (mut log, _) = Wal::open(&path.join("wal")).unwrap();
    log.append(b"no record");
    log.sync().unwrap();
    drop(log);
    // As if the process that wrote it had been killed.
    vouch(path);
    for _ in 0..2 {
        match Running::start(path) {
            Err(ended) => {
                assert_eq!(ended.error_code(), "NODE_LOG");
                assert!(ended.expect(31).err.contains("`ledger-node recover`"));
            }
            Ok(node) => panic!("a node starts at height {}", node.ready["height"]),
        }
    }
    assert_eq!(recover(path, &["--alone"]).expect(0).json()["log_put_aside"], true);
    assert_eq!(Running::start(path).unwrap().end(Signal::Terminate), 0);
}
