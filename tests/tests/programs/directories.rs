//! Data directories that are not as a node left them: another's, newer, locked, without keys, damaged, full, copied while in use.
//!
//! What must hold: a node never loses blocks in silence. It has all of them, to the byte, or it refuses to start, with a code and
//! the next step; and whatever lies in the directory, it ends in no panic.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ledger_fixtures::Rng;
use ledger_format::digest::LedgerId;
use ledger_store::Wal;
use ledger_tests::{
    CLI, Finished, NODE, Running, Signal, assert_refused, command, copy_directory, copy_node,
    demonstration, new_ledger, node_on, ports, run, verified_places, write_until_it_ends,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What a start may be refused with when files below `store` are damaged.
const DAMAGE: [&str; 3] = ["STORE_DAMAGED", "NODE_BLOCK", "NODE_BLOCKS_LOST"];

/// A copy of the demonstration's data.
fn copy() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy_node(&demonstration().data(), directory.path());
    fs::remove_dir_all(directory.path().join("dev")).unwrap();
    directory
}

/// All files of a directory.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut files(&path));
        } else {
            all.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    all
}

fn refused(directory: &Path) -> Finished {
    match Running::start(directory) {
        Err(ended) => ended,
        Ok(node) => panic!("a node starts at height {}", node.ready["height"]),
    }
}

/// The chain that a node on a directory exports, once it was told to end.
fn exported(node: Running) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chain.ledger");
    node.export(&file);
    let ended = node.stop(Signal::Terminate).expect(0);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    fs::read(file).unwrap()
}

/// Starts a node on a damaged directory: it has the whole chain, or tells that something is wrong. Gives the refusal's code.
fn whole_or_refused(directory: &Path, what: &str) -> Option<String> {
    match Running::start(directory) {
        Ok(node) => {
            let chain = fs::read(demonstration().chain()).unwrap();
            assert!(exported(node) == chain, "{what}: the node has another chain");
            None
        }
        Err(ended) => {
            assert!(!ended.err.contains("panicked"), "{what}: {}", ended.err);
            assert_eq!(ended.code, 31, "{what}: {}", ended.err);
            let code = ended.error_code();
            assert!(DAMAGE.contains(&code.as_str()), "{what}: {code}");
            Some(code)
        }
    }
}

#[test]
fn no_ledger_is_no_node() {
    let nowhere = Path::new("/nowhere/at/all");
    assert_refused(&refused(nowhere), "STORE_MISSING", 23, "ledger-node init");
    let empty = tempfile::tempdir().unwrap();
    assert_refused(&refused(empty.path()), "STORE_MISSING", 23, "ledger-node init");
    for command in ["reindex", "status"] {
        let data = empty.path().to_str().unwrap();
        let ended = run(NODE, [command, "--data-dir", data, "-o", "json"]);
        assert_refused(&ended, "STORE_MISSING", 23, "ledger-node init");
    }
    assert!(files(empty.path()).is_empty(), "nothing was made");
}

/// Before block 1 nothing can be read: an export of no blocks would be refuted.
#[test]
fn nothing_is_read_from_a_node_without_a_block() {
    let directory = tempfile::tempdir().unwrap();
    let (path, port) = (directory.path().to_str().unwrap(), ports(4).to_string());
    let made = ["testnet", "--init-only", "--validators", "2", "--base-port", &port];
    let _made = run(NODE, made.iter().chain(&["--data-dir", path])).expect(0);
    let data = directory.path().join("validator-1");
    let mut node = command(NODE);
    let node = node.arg("run").arg("--data-dir").arg(data).stdout(Stdio::null());
    let mut node = node.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(node.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("waiting for block 1")));
    let (url, file) = (format!("http://127.0.0.1:{port}"), directory.path().join("chain.ledger"));
    let export = ["export", "chain", "-o", file.to_str().unwrap()];
    let (show, history) = (["show", "party:exchange-1"], ["history", "party:exchange-1"]);
    for asked in [&export[..], &show, &history] {
        let common = ["--node", &url, "--output", "json"];
        let ended = run(CLI, common.iter().chain(asked));
        assert_eq!(ended.expect(23).error()["code"], "CLIENT_NO_BLOCK", "{asked:?}");
    }
    assert!(!file.exists());
    node.kill().unwrap();
    node.wait().unwrap();
}

/// A validator that waits for the others' votes on block 1 ends as it is told.
#[test]
fn a_node_that_is_not_ready_yet_can_be_told_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let port = ports(4).to_string();
    let made = ["testnet", "--init-only", "--validators", "2", "--base-port", &port];
    let _made = run(NODE, made.iter().chain(&["--data-dir", path])).expect(0);
    for signal in ["-TERM", "-INT"] {
        let mut node = node_on(&directory.path().join("validator-1"));
        let mut node = node.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(node.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("peer unreachable")));
        // Nobody else says so, where nobody is named that could be unreachable.
        let waits = lines.find(|line| line.contains("waiting for block 1")).unwrap();
        assert!(waits.contains("within reach"), "{waits}");
        let told = Command::new("kill").args([signal, &node.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(lines.any(|line| line.contains("stopped before it was ready")), "{signal}");
        assert_eq!(node.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn another_ledgers_directory_is_left_as_it_is() {
    let (directory, other) = (copy(), tempfile::tempdir().unwrap());
    let _other = new_ledger(other.path());
    fs::copy(other.path().join("genesis"), directory.path().join("genesis")).unwrap();
    copy_directory(&other.path().join("keys"), &directory.path().join("keys"));
    let before = files(directory.path());
    assert_refused(&refused(directory.path()), "STORE_OTHER_LEDGER", 13, "--data-dir");
    assert!(files(directory.path()) == before, "something was changed");
}

#[test]
fn a_newer_or_unreadable_format_is_refused() {
    let directory = copy();
    let format = directory.path().join("FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replace("ledger-data 1", "ledger-data 2")).unwrap();
    let before = files(directory.path());
    assert_refused(&refused(directory.path()), "STORE_NEWER", 33, "newer version");
    assert!(files(directory.path()) == before, "something was changed");
    for unreadable in ["", "ledger-data\n", "ledger-data 1\n", "\u{0}\u{0}\u{0}\u{0}"] {
        fs::write(&format, unreadable).unwrap();
        let ended = refused(directory.path());
        assert_refused(&ended, "STORE_DAMAGED", 31, "Keep a copy");
        assert!(ended.err.contains("move it away"), "{}", ended.err);
    }
    fs::remove_file(&format).unwrap();
    assert_eq!(whole_or_refused(directory.path(), "FORMAT is made again"), None);
    assert_eq!(fs::read_to_string(&format).unwrap(), text);
}

#[test]
fn one_process_has_a_directory() {
    let directory = copy();
    let node = Running::start(directory.path()).unwrap();
    assert_refused(&refused(directory.path()), "STORE_LOCKED", 30, "Stop the other process");
    // The first one has the address as well.
    let data = directory.path().to_str().unwrap();
    let address = node.url.trim_start_matches("http://");
    let again = run(NODE, ["run", "--listen", address, "--data-dir", data, "-o", "json"]);
    assert_refused(&again, "STORE_LOCKED", 30, "Stop the other process");
    let reindex = run(NODE, ["reindex", "--data-dir", data, "-o", "json"]);
    assert_refused(&reindex, "STORE_LOCKED", 30, "Stop the other process");
    let nobody = ["--node", "http://127.0.0.1:1"];
    let status = ["status", "--data-dir", data, "-o", "json"];
    let status = run(NODE, status.iter().chain(&nobody));
    // Whoever asks how a node is may be told that it does not answer yet, and is not told to end it.
    assert_refused(&status, "NODE_SILENT", 20, "It may be starting");
    assert_eq!(node.end(Signal::Kill), -1);
    assert_eq!(whole_or_refused(directory.path(), "the lock of a killed process"), None);
}

#[test]
fn keys_are_there_secret_and_a_validators() {
    let directory = copy();
    let key = directory.path().join("keys/vote.pem");
    let (kept, mode) = (fs::read(&key).unwrap(), |mode| fs::Permissions::from_mode(mode));
    fs::set_permissions(&key, mode(0o644)).unwrap();
    assert_refused(&refused(directory.path()), "CLIENT_KEY_READABLE", 22, "chmod 600");
    fs::set_permissions(&key, mode(0o600)).unwrap();
    fs::write(&key, &kept[..kept.len() / 2]).unwrap();
    assert_refused(&refused(directory.path()), "CLIENT_KEY", 22, "");
    fs::copy(directory.path().join("keys/log.pem"), &key).unwrap();
    // A key that is in no set may come in later: the node stands by and signs nothing.
    let another = Running::start(directory.path()).unwrap();
    assert_eq!(another.cli(&["status", "-o", "json"]).expect(0).json()["role"], "standby");
    assert_eq!(another.end(Signal::Terminate), 0);
    fs::write(&key, kept).unwrap();
    // With another one of the four it would sign what everybody refutes.
    let receipt = directory.path().join("keys/receipt.pem");
    let own = fs::read(&receipt).unwrap();
    fs::copy(directory.path().join("keys/log.pem"), &receipt).unwrap();
    assert_refused(&refused(directory.path()), "NODE_KEYS", 22, "belong together");
    fs::write(&receipt, own).unwrap();
    for name in ["vote", "log", "cosign", "receipt"] {
        let (there, away) =
            (directory.path().join(format!("keys/{name}.pem")), key.with_extension("away"));
        fs::rename(&there, &away).unwrap();
        let ended = refused(directory.path());
        assert_refused(&ended, "NODE_KEYS", 22, "belong together");
        assert!(ended.err.contains(&format!("{name}.pem")), "{}", ended.err);
        fs::rename(&away, &there).unwrap();
    }
    assert_eq!(whole_or_refused(directory.path(), "the keys are back"), None);
}

#[test]
fn a_damaged_genesis_file_changes_nothing() {
    let directory = copy();
    let path = directory.path().join("genesis");
    let genesis = fs::read(&path).unwrap();
    let mut codes = BTreeSet::new();
    for at in (0..genesis.len()).step_by(genesis.len() / 24) {
        let mut damaged = genesis.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        match Running::start(directory.path()) {
            // Block 1 is made of the file's entries once; of a ledger that has it only the genesis document is read.
            Ok(node) => assert_eq!(node.genesis, demonstration().genesis, "byte {at}"),
            Err(ended) => drop(codes.insert(ended.error_code())),
        }
    }
    assert!(codes.contains("NODE_GENESIS"), "{codes:?}");
    fs::write(&path, &genesis[..genesis.len() / 2]).unwrap();
    assert_refused(&refused(directory.path()), "NODE_GENESIS", 11, "founders");
    fs::write(&path, genesis).unwrap();
    assert_eq!(whole_or_refused(directory.path(), "the genesis file is back"), None);
}

/// One kind of damage to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip,
    Zero,
    Cut,
    Remove,
}

impl Harm {
    /// Does it at a random place.
    fn to(self, path: &Path, dice: &mut Rng) -> String {
        let mut bytes = fs::read(path).unwrap();
        let at = dice.below(bytes.len());
        match self {
            Self::Flip => bytes[at] ^= 1 << dice.below(8),
            Self::Zero => bytes.iter_mut().skip(at).take(4_096).for_each(|byte| *byte = 0),
            Self::Cut => bytes.truncate(at),
            Self::Remove => bytes.clear(),
        }
        match self {
            Self::Remove => fs::remove_file(path).unwrap(),
            _ => fs::write(path, bytes).unwrap(),
        }
        format!("{self:?} at {at} of {}", path.display())
    }
}

#[test]
fn a_damaged_store_is_whole_or_refused() {
    let seed = std::env::var("LEDGER_DAMAGE_SEED").map_or(11, |text| text.parse().unwrap());
    let mut dice = Rng(seed);
    let campaign = [
        ("db", Harm::Flip, 16),
        ("db", Harm::Zero, 6),
        ("db", Harm::Cut, 12),
        ("db", Harm::Remove, 1),
        ("conf", Harm::Flip, 3),
        ("conf", Harm::Cut, 2),
        ("blobs", Harm::Flip, 4),
        ("blobs", Harm::Zero, 2),
        ("blobs", Harm::Cut, 2),
        ("blobs", Harm::Remove, 1),
    ];
    let mut outcomes: BTreeMap<Option<String>, u32> = BTreeMap::new();
    for (name, harm, times) in campaign {
        for _ in 0..times {
            let directory = copy();
            let mut path = directory.path().join("store").join(name);
            if path.is_dir() {
                let blobs: Vec<PathBuf> = files(&path).into_keys().collect();
                path = dice.pick(&blobs).clone();
            }
            let what = harm.to(&path, &mut dice);
            let what = format!("LEDGER_DAMAGE_SEED={seed}: {what}");
            *outcomes.entry(whole_or_refused(directory.path(), &what)).or_default() += 1;
        }
    }
    // Where damage falls is chance; without any store the log tells that there were blocks.
    let directory = copy();
    fs::remove_dir_all(directory.path().join("store")).unwrap();
    let lost = whole_or_refused(directory.path(), "no store");
    assert_eq!(lost.as_deref(), Some("NODE_BLOCKS_LOST"));
    *outcomes.entry(lost).or_default() += 1;
    println!("seed {seed}: {outcomes:?} (None: whole)");
    for needed in [None, Some("STORE_DAMAGED"), Some("NODE_BLOCKS_LOST")] {
        let needed = needed.map(str::to_owned);
        assert!(outcomes.contains_key(&needed), "no damage led to {needed:?}: {outcomes:?}");
    }
}

#[test]
fn sleds_own_snapshots_are_never_trusted_blindly() {
    for name in ["snap.0000000000000001", "snap.00000000000F0000.generating"] {
        let directory = copy();
        fs::write(directory.path().join("store").join(name), b"no snapshot at all").unwrap();
        assert_eq!(whole_or_refused(directory.path(), name), None);
    }
}

/// A directory, its log and what is in that: a process has added something after its start, which was flushed before its lock named it.
fn with_log() -> (TempDir, PathBuf, Vec<u8>) {
    let directory = copy();
    let path = directory.path().join("wal/consensus.wal");
    let (mut log, _) = Wal::open(path.parent().unwrap()).unwrap();
    (0..50).for_each(|_| log.append(&ledger_replica::done(1)));
    log.sync().unwrap();
    let log = fs::read(&path).unwrap();
    (directory, path, log)
}

#[test]
fn a_damaged_consensus_log_stops_the_node_and_a_torn_one_does_not() {
    let (directory, path, log) = with_log();
    // The last byte was synced as well, and may be of a vote that was sent.
    for at in [log.len() / 2, log.len() - 1] {
        let mut damaged = log.clone();
        damaged[at] ^= 4;
        fs::write(&path, damaged).unwrap();
        assert_refused(&refused(directory.path()), "STORE_WAL_DAMAGED", 31, "Do not delete it");
    }
    let torn = [1, 2, 13, 200].map(|short| log.len() - short);
    for length in torn {
        let (directory, path, log) = with_log();
        fs::write(&path, &log[..length]).unwrap();
        assert_eq!(whole_or_refused(directory.path(), "a torn log"), None, "{length} bytes");
    }
    let unfinished = [log.as_slice(), b"LWAL\0\0\x10\0", &[7; 100]].concat();
    fs::write(&path, unfinished).unwrap();
    assert_eq!(whole_or_refused(directory.path(), "an unfinished frame"), None);
}

/// Nobody else can tell a validator that is alone what it has voted: its operator lets it go on without the log.
#[test]
fn a_validator_alone_comes_back_from_a_damaged_log() {
    let directory = copy();
    let path = directory.path().join("wal/consensus.wal");
    let mut log = fs::read(&path).unwrap();
    let middle = log.len() / 2;
    log[middle] ^= 4;
    fs::write(&path, &log).unwrap();
    assert_refused(&refused(directory.path()), "STORE_WAL_DAMAGED", 31, "ledger-node recover");
    let data = directory.path().to_str().unwrap();
    let recover = ["-o", "json", "recover", "--data-dir", data];
    assert_eq!(run(NODE, recover).error_code(), "NODE_RECOVER_ALONE");
    let recovered = run(NODE, recover.iter().chain(&["--alone"])).expect(0).json();
    assert_eq!(recovered["log_put_aside"], true, "{recovered}");
    assert_eq!(fs::read(path.with_extension("wal.1")).unwrap(), log);
    assert_eq!(whole_or_refused(directory.path(), "after recover"), None);
    // A log that can be read stays.
    let again = run(NODE, recover.iter().chain(&["--alone"])).expect(0).json();
    assert_eq!(again["log_put_aside"], false, "{again}");
}

#[test]
fn a_store_without_its_genesis_file_is_told_from_no_ledger() {
    let directory = copy();
    fs::remove_file(directory.path().join("genesis")).unwrap();
    assert_refused(&refused(directory.path()), "NODE_GENESIS", 11, "the founders signed");
    let empty = tempfile::tempdir().unwrap();
    assert_refused(&refused(empty.path()), "STORE_MISSING", 23, "ledger-node init");
}

/// Everything that a ledger tells of some subjects.
fn told(node: &Running) -> Vec<String> {
    let told = |words: &[&str]| node.cli(&[words, &["-o", "json"]].concat()).expect(0).out;
    let product = demonstration().told["deliveries"][0].as_str().unwrap();
    let asset = product.replace("delivery:", "asset:");
    let mut answers: Vec<String> = [product, &asset, "party:demo-bank"]
        .iter()
        .flat_map(|id| [told(&["show", id]), told(&["history", id])])
        .collect();
    answers.push(told(&["trace", &asset]));
    answers
}

#[test]
fn a_reindex_derives_the_same_again() {
    let directory = copy();
    let node = Running::start(directory.path()).unwrap();
    let before = told(&node);
    assert_eq!(node.end(Signal::Terminate), 0);
    let data = directory.path().to_str().unwrap();
    let rebuilt = run(NODE, ["reindex", "--data-dir", data, "-o", "json"]).expect(0).json();
    assert_eq!(rebuilt["height"], demonstration().told["height"]);
    let node = Running::start(directory.path()).unwrap();
    assert_eq!(told(&node), before);
    // Blocks, records and state root: an export has them all.
    assert!(exported(node) == fs::read(demonstration().chain()).unwrap());
}

/// What a start refuses to go on from was not rebuilt with success.
#[test]
fn a_reindex_tells_that_blocks_are_lost() {
    let directory = copy();
    let store = directory.path().join("store");
    fs::remove_dir_all(&store).unwrap();
    fs::create_dir(&store).unwrap();
    let data = directory.path().to_str().unwrap();
    let ended = run(NODE, ["reindex", "--data-dir", data, "-o", "json"]);
    assert_refused(&ended, "NODE_BLOCKS_LOST", 31, "ledger-node recover");
    let follower = "role = \"follower\"\n";
    let config = directory.path().join("settings.toml");
    fs::write(&config, follower).unwrap();
    let outside = ["reindex", "--data-dir", data, "--config", config.to_str().unwrap()];
    let _rebuilt = run(NODE, outside).expect(0);
    fs::rename(config, directory.path().join("config.toml")).unwrap();
    let _rebuilt = run(NODE, ["reindex", "--data-dir", data]).expect(0);
}

#[test]
fn a_reindex_that_was_killed_is_gone_through_again() {
    let mut broken_off = 0;
    for after in (0..24).map(|step| Duration::from_millis(20 + step * 15)) {
        let directory = copy();
        let mut reindex = command(NODE);
        reindex.args(["reindex", "--data-dir"]).arg(directory.path());
        let mut reindex = reindex.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        broken_off += u32::from(reindex.try_wait().unwrap().is_none());
        reindex.kill().unwrap();
        reindex.wait().unwrap();
        assert_eq!(whole_or_refused(directory.path(), "a reindex was killed"), None, "{after:?}");
    }
    assert!(broken_off >= 6, "{broken_off} of 24 kills hit a reindex");
}

/// A node to be started without the right to read and write everywhere, which the superuser has.
fn unprivileged(directory: &Path, is_superuser: bool) -> Command {
    let node = node_on(directory);
    if !is_superuser {
        return node;
    }
    let without = "-dac_override,-dac_read_search";
    let mut fewer = Command::new("setpriv");
    fewer.arg(format!("--bounding-set={without}")).arg(format!("--inh-caps={without}"));
    fewer.arg(node.get_program()).args(node.get_args());
    fewer
}

/// As another user starts it on the directory of the ledger's own, which is closed to all others.
#[test]
fn a_directory_that_cannot_be_seen_into_is_not_called_empty() {
    let directory = copy();
    for closed in ["", "genesis"] {
        let path = directory.path().join(closed);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        let sees_all = fs::read_dir(&path).is_ok() || fs::read(&path).is_ok();
        let Err(ended) = Running::spawn(unprivileged(directory.path(), sees_all)) else {
            panic!("a node starts on a directory that it cannot read");
        };
        assert_refused(&ended, "NODE_RUNTIME", 1, "belongs to the node's user");
        assert!(ended.err.contains("Permission denied"), "{}", ended.err);
        fs::set_permissions(&path, before).unwrap();
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let directory = copy();
    let chmod = Command::new("chmod").args(["-R", "a-w"]).arg(directory.path()).status();
    assert!(chmod.unwrap().success());
    let writes_all = fs::write(directory.path().join("probe"), b"").is_ok();
    let Err(ended) = Running::spawn(unprivileged(directory.path(), writes_all)) else {
        panic!("a node starts on a directory that it cannot write");
    };
    assert_refused(&ended, "STORE_IO", 1, "permissions");
    let chmod = Command::new("chmod").args(["-R", "u+w"]).arg(directory.path()).status();
    assert!(chmod.unwrap().success());
    assert_eq!(whole_or_refused(directory.path(), "it can be written again"), None);
}

#[test]
fn a_copy_of_a_running_nodes_directory_is_a_ledger_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _genesis = new_ledger(directory.path());
    let runtime = Runtime::new().unwrap();
    let node = Running::start(directory.path()).unwrap();
    let genesis = LedgerId::from_hex(&node.genesis).unwrap();
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            runtime.block_on(write_until_it_ends(&node, directory.path(), "supplier", || ()))
        });
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(50));
            let torn = tempfile::tempdir().unwrap();
            copy_node(directory.path(), torn.path());
            let outcome = match Running::start(torn.path()) {
                Ok(copied) => {
                    let file = torn.path().join("chain.ledger");
                    copied.export(&file);
                    assert!(!verified_places(&file, &genesis).is_empty());
                    "whole".to_owned()
                }
                Err(ended) => {
                    assert!(!ended.err.contains("panicked"), "{}", ended.err);
                    assert_eq!(ended.code, 31, "{}", ended.err);
                    ended.error_code()
                }
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        assert!(!writer.is_finished(), "the writer wrote all the while");
        let killed = Command::new("kill").args(["-KILL", &node.pid().to_string()]).status();
        assert!(killed.unwrap().success());
        assert!(writer.join().unwrap().len() > 20);
    });
    println!("copies of a directory in use: {outcomes:?}");
}
