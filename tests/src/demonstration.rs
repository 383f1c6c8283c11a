//! The demonstration ledger, made once for all tests of a program.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{CLI, NODE, run};
use crate::running::Running;

/// A ledger that `ledger-node dev --once` made, and its chain as `ledger-cli export chain` wrote it.
#[derive(Debug)]
pub struct Demonstration {
    directory: TempDir,
    /// What the node said of it.
    pub told: Value,
    /// Ledger id, in hex.
    pub genesis: String,
}

impl Demonstration {
    fn make() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        let data = data.to_str().expect("a path in UTF-8");
        let arguments =
            ["dev", "--once", "--data-dir", data, "--listen", "127.0.0.1:0", "-o", "json"];
        let told = run(NODE, arguments).expect(0).json();
        let genesis = told["genesis"].as_str().expect("a genesis hash").to_owned();
        let made = Self { directory, told, genesis };
        let chain = made.chain();
        let chain = chain.to_str().expect("a path in UTF-8");
        let node = made.start();
        let exported = run(CLI, ["--node", &node.url, "export", "chain", "-o", chain]);
        let _exported = exported.expect(0);
        made
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The exported chain.
    pub fn chain(&self) -> PathBuf {
        self.directory.path().join("chain.ledger")
    }

    /// A file of the shipped data, by its path below `tests/data`.
    pub fn shipped(&self, path: &str) -> PathBuf {
        self.data().join("dev/data").join(path)
    }

    /// Starts a node on a copy of its data.
    pub fn start(&self) -> Running {
        let copy = tempfile::tempdir().expect("a directory");
        copy_node(&self.data(), copy.path());
        let running = Running::start(copy.path()).expect("a node on the demonstration's data");
        running.keeping(copy)
    }
}

/// The demonstration, made when it is first asked for.
pub fn demonstration() -> &'static Demonstration {
    static MADE: OnceLock<Demonstration> = OnceLock::new();
    MADE.get_or_init(Demonstration::make)
}

/// Copies the data directory of a sole validator that does not run, and vouches for the copy: nobody goes on with the original.
pub fn copy_node(from: &Path, to: &Path) {
    copy_directory(from, to);
    recover_alone(to);
}

/// Says that a sole validator's directory is the only one that goes on, wherever it came from.
pub fn recover_alone(directory: &Path) {
    let directory = directory.to_str().expect("a path in UTF-8");
    let _done = run(NODE, ["recover", "--alone", "--data-dir", directory]).expect(0);
}

/// Copies a directory with all below it into one that exists.
pub fn copy_directory(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            fs::create_dir_all(&target).expect("a directory");
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
