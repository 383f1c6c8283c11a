//! Several exchanges on this machine, each node a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ledger_client::genesis::NEWEST;
use ledger_format::digest::LedgerId;
use ledger_proto::v1::GetStatusResponse;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::book::connect;
use crate::hosts::Hosts;
use crate::load::Supplier;
use crate::places::{Places, verified_places};
use crate::program::{CLI, Finished, NODE, run};
use crate::running::{Running, Signal, node_at, node_on};

/// One network at a time: how long nodes wait for each other is judged, and several networks would wait for a processor.
static ALONE: Mutex<()> = Mutex::new(());
/// Ports below those that the system gives to outgoing connections.
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);
/// Where nodes with hosts of their own serve clients.
const GRPC_PORT: u16 = 7_440;
/// How long a network may take to agree.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a validator may take that has lost its memory.
const RECOVERS: Duration = Duration::from_secs(30);

/// A network whose nodes run or do not.
#[derive(Debug)]
pub struct Exchanges {
    directory: TempDir,
    /// Processes, validators first; `None` for a node that is down.
    pub nodes: Vec<Option<Running>>,
    validators: u16,
    first_port: u16,
    /// Where nodes run, if not all on the loopback.
    hosts: Option<Hosts>,
    followers: u16,
    /// For calls.
    pub runtime: Runtime,
    _alone: MutexGuard<'static, ()>,
}

/// The first of the ports for a network, two for each node.
pub fn ports(nodes: u16) -> u16 {
    let process = u16::try_from(std::process::id() % 900).expect("below 900");
    let begun = 10_000 + process * 20;
    begun + NEXT_PORT.fetch_add(nodes * 2, Ordering::Relaxed)
}

impl Exchanges {
    /// Makes a network on the loopback and starts all nodes.
    pub fn start(validators: u16, followers: u16) -> Self {
        Self::start_with(validators, followers, NEWEST)
    }

    /// The same, of a ledger that begins with a version of the protocol.
    pub fn start_with(validators: u16, followers: u16, version: u32) -> Self {
        let mut network = Self::make(validators, followers, version);
        network.start_all();
        network
    }

    /// The same, with followers in a line: the first one knows the validators, and every other one the one before it alone.
    pub fn start_in_line(validators: u16, followers: u16) -> Self {
        let mut network = Self::make(validators, followers, NEWEST);
        let first = usize::from(validators);
        for node in first + 1..network.nodes.len() {
            let config = network.config(node);
            let known = config.lines().find(|line| line.starts_with("known")).expect("peers");
            let config = config.replace(known, "known = []");
            fs::write(network.path(node).join("config.toml"), config).expect("a file");
            network.introduce(node, node - 1, &network.identity(node - 1));
        }
        network.start_all();
        network
    }

    /// Makes a network whose nodes have hosts of their own. `prepare` is told of each data directory before a node has used it.
    ///
    /// # Errors
    /// Why this machine has no network namespaces.
    pub fn start_apart(
        validators: u16,
        followers: u16,
        prepare: impl Fn(usize, &Path),
    ) -> Result<Self, String> {
        let mut network = Self::make(validators, followers, NEWEST);
        let hosts = Hosts::new(network.nodes.len())?;
        for node in 0..network.nodes.len() {
            network.move_to(&hosts, node);
            prepare(node, &network.path(node));
        }
        network.hosts = Some(hosts);
        network.start_all();
        Ok(network)
    }

    /// Gives a node's configuration the addresses of hosts.
    fn move_to(&self, hosts: &Hosts, node: usize) {
        let file = self.path(node).join("config.toml");
        let mut text = fs::read_to_string(&file).expect("a configuration");
        for other in 0..self.nodes.len() {
            let port = self.first_port + 2 * u16::try_from(other).expect("few") + 1;
            let (old, new) =
                (format!("127.0.0.1:{port}"), format!("{}:{port}", hosts.address(other)));
            text = text.replace(&old, &new);
        }
        fs::write(&file, text).expect("a configuration");
    }

    fn make(validators: u16, followers: u16, version: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let first_port = ports(validators + followers);
        let port = first_port.to_string();
        let (v, f, version) = (validators.to_string(), followers.to_string(), version.to_string());
        let path = directory.path().join("net");
        let path = path.to_str().expect("UTF-8");
        let size = ["--validators", &v, "--followers", &f];
        let options = ["--protocol-version", &version, "--base-port", &port, "--data-dir", path];
        let made = run(NODE, ["testnet", "--init-only"].iter().chain(&size).chain(&options));
        let _made = made.expect(0);
        Self::of(directory, validators, followers, first_port)
    }

    /// Starts all nodes of a network that was made otherwise: their data directories are in `net`, as [`Exchanges::path`] names them.
    pub fn begin(directory: TempDir, validators: u16, followers: u16, first_port: u16) -> Self {
        let mut network = Self::of(directory, validators, followers, first_port);
        network.start_all();
        network
    }

    fn of(directory: TempDir, validators: u16, followers: u16, first_port: u16) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = (0..validators + followers).map(|_| None).collect();
        let runtime = Runtime::new().expect("a runtime");
        let hosts = None;
        Self { directory, nodes, validators, followers, first_port, hosts, runtime, _alone: alone }
    }

    fn start_all(&mut self) {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.start_nodes(&all);
    }

    /// The wires between the hosts.
    pub fn hosts(&self) -> &Hosts {
        self.hosts.as_ref().expect("nodes with hosts of their own")
    }

    /// Starts a node.
    ///
    /// # Errors
    /// How it ended instead of becoming ready.
    pub fn start_node(&mut self, node: usize) -> Result<(), Finished> {
        self.nodes[node] = Some(Running::spawn(self.command(node))?);
        Ok(())
    }

    /// The command that runs a node, where it runs.
    fn command(&self, node: usize) -> Command {
        let path = self.path(node);
        match &self.hosts {
            None => node_on(&path),
            Some(hosts) => hosts.command(node, &node_at(&path, &hosts.address(node), GRPC_PORT)),
        }
    }

    /// The data directory of a node.
    pub fn path(&self, node: usize) -> PathBuf {
        let validators = usize::from(self.validators);
        let followers = usize::from(self.followers);
        let name = match node.checked_sub(validators) {
            None => format!("validator-{}", node + 1),
            Some(follower) if follower < followers => format!("follower-{}", follower + 1),
            Some(joined) => format!("joined-{}", joined - followers + 1),
        };
        self.directory.path().join("net").join(name)
    }

    /// Makes the directory of a node that joins later, with keys of its own, the genesis file, and the addresses of the first node's
    /// configuration; its number.
    pub fn join(&mut self) -> usize {
        let node = self.nodes.len();
        self.nodes.push(None);
        let (path, first) = (self.path(node), self.path(0));
        let _made =
            run(NODE, ["keys", "new", "--data-dir", path.to_str().expect("UTF-8")]).expect(0);
        fs::copy(first.join("genesis"), path.join("genesis")).expect("a copy");
        let config = fs::read_to_string(first.join("config.toml")).expect("a file");
        let known = config.lines().find(|line| line.starts_with("known")).expect("peers");
        let port = ports(1);
        let config = format!(
            "listen = \"127.0.0.1:{port}\"\nrole = \"validator\"\n\n[peer]\nlisten = \"127.0.0.1:{}\"\n{known}\n",
            port + 1
        );
        fs::write(path.join("config.toml"), config).expect("a file");
        node
    }

    /// Lets a node know another one from its next start on, by the identity that it has.
    pub fn introduce(&self, node: usize, other: usize, identity: &str) {
        let listens = self.config(other);
        let port = listens.lines().rfind(|line| line.starts_with("listen")).expect("an address");
        let address = port.split('"').nth(1).expect("a string");
        let config =
            self.config(node).replace("known = [", &format!("known = [\"{identity}@{address}\", "));
        fs::write(self.path(node).join("config.toml"), config).expect("a file");
    }

    fn config(&self, node: usize) -> String {
        fs::read_to_string(self.path(node).join("config.toml")).expect("a file")
    }

    /// The identity that a node's keys give it.
    pub fn identity(&self, node: usize) -> String {
        let path = self.path(node);
        let keys = ["-o", "json", "keys", "show", "--data-dir", path.to_str().expect("UTF-8")];
        let shown = run(NODE, keys).expect(0).json();
        shown["keys"]["identity"].as_str().expect("an identity").to_owned()
    }

    /// Starts nodes at the same time: on a new ledger none is ready before a quorum is.
    pub fn start_nodes(&mut self, nodes: &[usize]) {
        let started: Vec<(usize, Result<Running, Finished>)> = std::thread::scope(|scope| {
            let starting: Vec<_> = nodes
                .iter()
                .map(|node| (*node, self.command(*node)))
                .map(|(node, command)| (node, scope.spawn(move || Running::spawn(command))))
                .collect();
            starting.into_iter().map(|(n, thread)| (n, thread.join().expect("no panic"))).collect()
        });
        for (node, running) in started {
            let running = running.unwrap_or_else(|ended| panic!("node {node}: {ended:?}"));
            self.nodes[node] = Some(running);
        }
    }

    /// A running node.
    pub fn node(&self, node: usize) -> &Running {
        self.nodes[node].as_ref().expect("it runs")
    }

    /// Ends a node.
    pub fn end(&mut self, node: usize, signal: Signal) -> Finished {
        self.nodes[node].take().expect("it runs").stop(signal)
    }

    /// Takes everything but keys, configuration and genesis from a node that is down.
    pub fn wipe(&self, node: usize) {
        for part in ["store", "wal"] {
            fs::remove_dir_all(self.path(node).join(part)).expect("a part of a data directory");
        }
        fs::remove_file(self.path(node).join("FORMAT")).expect("a part of a data directory");
    }

    /// What a node says of itself.
    pub fn status(&self, node: usize) -> GetStatusResponse {
        let node = self.node(node);
        self.runtime.block_on(async { connect(node).await.status().await }).expect("a status")
    }

    /// The height of a node.
    pub fn height(&self, node: usize) -> u64 {
        self.status(node).height
    }

    /// Writes entries at another node, each a block, until a node says that it recovers no more.
    pub fn write_until_recovered(&self, supplier: &Supplier, node: usize, other: usize) {
        let (begun, mut written) = (Instant::now(), 0);
        while self.status(node).recovering {
            assert!(begun.elapsed() < RECOVERS, "{written} blocks were not enough");
            let entry = supplier.describe(&format!("written-{written}")).expect("an entry");
            let other = self.node(other);
            let placed = self.runtime.block_on(async { connect(other).await.submit(&entry).await });
            placed.expect("a place");
            written += 1;
        }
    }

    /// The proven places of a node's chain.
    pub fn proven(&self, node: usize) -> Places {
        let file = self.directory.path().join(format!("chain-{node}.ledger"));
        let node = self.node(node);
        node.export(&file);
        verified_places(&file, &LedgerId::from_hex(&node.genesis).expect("a ledger id"))
    }

    /// Waits until a node has a height.
    pub fn reach(&self, node: usize, least: u64) {
        let begun = Instant::now();
        while self.height(node) < least {
            assert!(begun.elapsed() < PATIENCE, "node {node} does not reach height {least}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until all running nodes have the same height, at least this one, and gives it.
    pub fn agree(&self, least: u64) -> u64 {
        let begun = Instant::now();
        loop {
            let running = (0..self.nodes.len()).filter(|node| self.nodes[*node].is_some());
            let heights: Vec<u64> = running.map(|node| self.height(node)).collect();
            let highest = heights.iter().copied().max().expect("a running node");
            if highest >= least && heights.iter().all(|height| *height == highest) {
                return highest;
            }
            assert!(begun.elapsed() < PATIENCE, "no agreement on {least} or more: {heights:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A command of `ledger-cli` at a node, which ends with this code; its answer.
    pub fn cli(&self, node: usize, line: &str, code: i32) -> Value {
        let keys = self.path(0).join("founder");
        let (url, keys) = (&self.node(node).url, keys.to_str().expect("UTF-8"));
        let common = ["--node", url, "--keys", keys, "--output", "json"];
        let finished = run(CLI, common.into_iter().chain(line.split_whitespace())).expect(code);
        if code == 0 { finished.json() } else { finished.error() }
    }

    /// The organisation keys of some exchanges, as options of a command.
    pub fn signed_by(&self, exchanges: &[usize]) -> String {
        let key = |node: &usize| {
            let path = self.path(*node).join("founder/organisation.pem");
            format!(" --key {}", path.display())
        };
        exchanges.iter().map(key).collect()
    }

    /// A supplier that one of the exchanges admits on a new network; all nodes know it.
    pub fn supplier(&self, exchange: usize) -> Supplier {
        let party = format!("exchange-{}", exchange + 1);
        let admitted = self.runtime.block_on(async {
            let mut client = connect(self.node(exchange)).await;
            Supplier::admit_by(&mut client, &self.path(exchange), &party, "supplier").await
        });
        self.agree(2);
        admitted.expect("an exchange admits suppliers")
    }
}
