//! One vote a height: what keeps a validator from signing a second block where it has signed one.
//!
//! Two things remember what was signed: the store, which holds every block that was ever shown to anybody, and the consensus log,
//! which holds what was signed since. (Of several validators, the last block that a process has shown before it died may be in the logs
//! of a quorum alone.) The vote lock vouches for the log: a copy of it, or an older one, is not gone on from without the operator's word.
//! As long as store or log is as it was, no second block of a height is signed even then. When an operator puts back *both* as they
//! were before and vouches for them, only those who hold receipts or checkpoints can tell.

use std::fs;
use std::path::Path;

use ledger_store::Wal;
use ledger_tests::{
    Finished, NODE, Place, Running, Signal, Supplier, connect, copy_directory, new_ledger, place,
    places_in, recover_alone, run,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A ledger with a supplier, that nobody runs.
struct Shelved {
    directory: TempDir,
    runtime: Runtime,
    supplier: Supplier,
}

impl Shelved {
    fn new() -> Self {
        let (directory, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
        let _genesis = new_ledger(directory.path());
        let node = Running::start(directory.path()).unwrap();
        let supplier = runtime.block_on(async {
            let mut client = connect(&node).await;
            Supplier::admit(&mut client, directory.path(), "supplier").await.unwrap()
        });
        assert_eq!(node.end(Signal::Terminate), 0);
        Self { directory, runtime, supplier }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a node for as long as it takes to write one entry, which is one block.
    fn writes(&self, name: &str) -> Place {
        let node = Running::start(self.path()).unwrap();
        let entry = self.supplier.describe(name).unwrap();
        let placed = self.runtime.block_on(async {
            let mut client = connect(&node).await;
            client.submit(&entry).await.unwrap()
        });
        assert_eq!(node.end(Signal::Kill), -1);
        place(placed)
    }

    /// Puts a part of the directory back as it was in a copy.
    fn puts_back(&self, part: &str, copy: &TempDir) {
        let there = self.path().join(part);
        fs::remove_dir_all(&there).unwrap();
        fs::create_dir(&there).unwrap();
        copy_directory(&copy.path().join(part), &there);
    }

    fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_directory(self.path(), copy.path());
        copy
    }

    /// The chain, after it is proven.
    fn chain(&self) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let _places = places_in(self.path(), file.path());
        fs::read(file.path()).unwrap()
    }

    fn refused(&self, exit: i32) -> Finished {
        match Running::start(self.path()) {
            Err(ended) => ended.expect(exit),
            Ok(node) => panic!("a node starts at height {}", node.ready["height"]),
        }
    }
}

#[test]
fn an_older_store_beside_the_log_is_refused() {
    let ledger = Shelved::new();
    let older = ledger.copy();
    for name in ["a", "b", "c"] {
        ledger.writes(name);
    }
    let current = ledger.copy();
    ledger.puts_back("store", &older);
    let ended = ledger.refused(31);
    assert_eq!(ended.error_code(), "NODE_BLOCKS_LOST");
    let message = ended.error()["error"]["message"].to_string();
    assert!(message.contains("ends at height 2") && message.contains("block 4"), "{message}");
    ledger.puts_back("store", &current);
    assert_eq!(ledger.writes("d").0, 6);
}

#[test]
fn the_last_block_alone_is_decided_again_from_the_log_and_is_the_same() {
    let ledger = Shelved::new();
    ledger.writes("a");
    let older = ledger.copy();
    let signed = ledger.writes("b");
    let chain = ledger.chain();
    ledger.puts_back("store", &older);
    assert!(ledger.chain() == chain, "another block was signed at height {}", signed.0);
    assert_eq!(ledger.writes("c").0, signed.0 + 1);
}

#[test]
fn without_the_log_every_block_that_was_shown_stands() {
    let ledger = Shelved::new();
    ledger.writes("a");
    let older = ledger.copy();
    let last = ledger.writes("b");
    let chain = ledger.chain();
    ledger.puts_back("wal", &older);
    assert_eq!(ledger.refused(34).error_code(), "NODE_VOTE_LOCK", "an older log");
    recover_alone(ledger.path());
    assert!(ledger.chain() == chain, "an older log");
    fs::remove_file(ledger.path().join("wal/consensus.wal")).unwrap();
    assert_eq!(ledger.refused(34).error_code(), "NODE_VOTE_LOCK", "no log");
    recover_alone(ledger.path());
    assert!(ledger.chain() == chain, "no log");
    assert_eq!(ledger.writes("c").0, last.0 + 1);
}

#[test]
fn an_emptied_log_still_shows_which_blocks_there_were() {
    let ledger = Shelved::new();
    let height = ledger.writes("a").0;
    let path = ledger.path().join("wal");
    let emptied = |height| {
        fs::remove_file(path.join("consensus.wal")).unwrap();
        let (mut log, _) = Wal::open(&path).unwrap();
        log.append(&ledger_replica::done(height));
        log.sync().unwrap();
        assert_eq!(ledger.refused(34).error_code(), "NODE_VOTE_LOCK");
    };
    emptied(height + 1);
    let directory = ledger.path().to_str().unwrap();
    // Nobody's word brings a block back.
    let recover = ["recover", "--alone", "--data-dir", directory, "--output", "json"];
    assert_eq!(run(NODE, recover).expect(31).error_code(), "NODE_BLOCKS_LOST");
    assert_eq!(ledger.refused(34).error_code(), "NODE_VOTE_LOCK");
    emptied(height);
    recover_alone(ledger.path());
    assert_eq!(ledger.writes("b").0, height + 1);
}

#[test]
fn an_older_store_and_log_copied_over_the_files_that_are_there_do_not_vote() {
    let ledger = Shelved::new();
    ledger.writes("a");
    let copy = ledger.copy();
    ledger.writes("b");
    // One that ends as it is told says where its log ends.
    assert_eq!(Running::start(ledger.path()).unwrap().end(Signal::Terminate), 0);
    let log = ledger.path().join("wal/consensus.wal");
    let now = fs::read(&log).unwrap();
    let forged = [fs::read(copy.path().join("wal/consensus.wal")).unwrap(), Vec::new()];
    let cut = now[..now.len() - 1].to_vec();
    for other in forged.iter().chain([&cut]) {
        fs::write(&log, other).unwrap();
        assert_eq!(ledger.refused(34).error_code(), "NODE_VOTE_LOCK", "{} bytes", other.len());
    }
    fs::write(&log, &forged[0]).unwrap();
    ledger.puts_back("store", &copy);
    assert_eq!(ledger.refused(34).error_code(), "NODE_VOTE_LOCK");
}

#[test]
fn a_copy_of_the_directory_does_not_vote_and_neither_does_one_that_is_put_back() {
    let ledger = Shelved::new();
    ledger.writes("a");
    let copy = ledger.copy();
    let started = Running::start(copy.path()).unwrap_err().expect(34);
    assert_eq!(started.error_code(), "NODE_VOTE_LOCK");
    assert!(started.error()["error"]["help"].to_string().contains("ledger-node recover"));
    ledger.writes("b");
    for entry in fs::read_dir(ledger.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    copy_directory(copy.path(), ledger.path());
    assert_eq!(ledger.refused(34).error_code(), "NODE_VOTE_LOCK");
    // Nobody else can be asked on a ledger of one: only its operator's word brings it back.
    let path = ledger.path().to_str().unwrap();
    let asked = run(NODE, ["recover", "-o", "json", "--data-dir", path]).expect(34);
    assert_eq!(asked.error_code(), "NODE_RECOVER_ALONE");
    assert_eq!(ledger.refused(34).error_code(), "NODE_VOTE_LOCK");
    recover_alone(ledger.path());
    ledger.writes("c");
}
