//! Nodes on hosts of their own, under load, while wires are cut, hosts are slow, disks are full, and nodes end: what clients recorded
//! is compared with every node's chain, and every chain is proven.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ledger_client::{Failure, Node};
use ledger_format::entry::Entry;
use ledger_proto::v1;
use ledger_tests::{
    Answer, Exchanges, NODE, Operation, Places, SharedRecord, Sight, Signal, Supplier, place, run,
    vouch,
};

const VALIDATORS: u16 = 4;
const FOLLOWER: usize = 4;
const NODES: usize = 5;
/// The validator whose disk is small.
const SMALL: usize = 3;
/// One that streams, one that does not.
const CLIENTS_PER_NODE: usize = 2;
/// How long a client waits for one call, and for an answer in all.
const CALL: Duration = Duration::from_secs(10);
const GIVES_UP: Duration = Duration::from_mins(1);
/// How long the network may take to go on after a fault, or after its end.
const GOES_ON: Duration = Duration::from_secs(20);

/// How long halves of the network are apart: longer than a connection lasts on which nothing is heard.
const APART: Duration = Duration::from_secs(12);

/// A file system in memory, for a directory whose disk is to be full.
struct SmallDisk(PathBuf);

impl SmallDisk {
    const MEBIBYTES: u64 = 96;

    /// Puts what is in the directory on a small disk.
    fn under(directory: &Path) -> Self {
        let aside = directory.with_extension("aside");
        fs::rename(directory, &aside).unwrap();
        fs::create_dir(directory).unwrap();
        let size = format!("size={}m", Self::MEBIBYTES);
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(directory);
        assert!(
            mount.status().unwrap().success(),
            "a file system in memory takes the rights of root"
        );
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(aside.join(".")).arg(directory);
        assert!(copy.status().unwrap().success());
        fs::remove_dir_all(&aside).unwrap();
        // The node has never run, so nothing is forgotten in the move.
        vouch(directory);
        Self(directory.to_owned())
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        let block = [0xa5; 4_096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Clients that write one entry after another until they are told to stop.
struct Load {
    record: SharedRecord,
    stopping: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

/// How a client sends entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One a call.
    Single,
    /// Some in a message of a stream.
    Streamed,
}

impl Way {
    const fn entries(self) -> u64 {
        match self {
            Self::Single => 1,
            Self::Streamed => 8,
        }
    }
}

/// One client, which prefers one node and goes to the next when that does not answer.
struct Client {
    way: Way,
    urls: Vec<String>,
    prefers: usize,
    connected: Option<(u64, Node)>,
    record: SharedRecord,
}

/// Numbers of connections.
static CONNECTION: AtomicU64 = AtomicU64::new(0);

impl Client {
    async fn node(&mut self) -> Option<&mut (u64, Node)> {
        if self.connected.is_none() {
            let url = self.urls.get(self.prefers % self.urls.len())?;
            let node = Node::connect(url, CALL).await.ok()?;
            self.connected = Some((CONNECTION.fetch_add(1, Ordering::Relaxed), node));
        }
        self.connected.as_mut()
    }

    /// Sends entries until they are answered for good, or for as long as a client has patience.
    async fn write(&mut self, entries: &[Entry]) {
        let begun = Instant::now();
        let mut answers = vec![Answer::Unknown; entries.len()];
        while answers.contains(&Answer::Unknown) && begun.elapsed() < GIVES_UP {
            let said = self.try_once(entries).await;
            // What was answered once stays so: sent again, it has the same answer.
            for (known, said) in answers.iter_mut().zip(said) {
                *known = if *known == Answer::Unknown { said } else { *known };
            }
            if answers.contains(&Answer::Unknown) {
                self.connected = None;
                self.prefers += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        let ended = Instant::now();
        let operation = |(entry, answer): (&Entry, Answer)| {
            let entry = entry.id();
            Operation { entry, begun, ended, answer }
        };
        let operations: Vec<Operation> = entries.iter().zip(answers).map(operation).collect();
        self.record.with(|record| record.operations.extend(operations));
    }

    /// The answers as far as they came.
    async fn try_once(&mut self, entries: &[Entry]) -> Vec<Answer> {
        let way = self.way;
        let Some((connection, node)) = self.node().await else { return Vec::new() };
        let sent = async {
            match way {
                Way::Single => vec![single(node, &entries[0]).await],
                Way::Streamed => streamed(node, entries).await,
            }
        };
        let answers = tokio::time::timeout(CALL, sent).await.unwrap_or_default();
        let (connection, seen) = (*connection, node.status().await);
        // Who was told of a place sees its block at that node, and nothing older afterwards.
        let placed = answers.iter().filter_map(|answer| match answer {
            Answer::Placed((height, _)) => Some(*height),
            Answer::Refused | Answer::Unknown => None,
        });
        let heights = placed.max().into_iter().chain(seen.ok().map(|status| status.height));
        let sights: Vec<Sight> = heights.map(|height| Sight { connection, height }).collect();
        self.record.with(|record| record.sights.extend(sights));
        answers
    }
}

async fn single(node: &mut Node, entry: &Entry) -> Answer {
    match node.submit(entry).await {
        Ok(position) => Answer::Placed(place(position)),
        Err(error) if error.failure == Failure::Refused => Answer::Refused,
        Err(_) => Answer::Unknown,
    }
}

async fn streamed(node: &mut Node, entries: &[Entry]) -> Vec<Answer> {
    let entries = entries.iter().map(|entry| entry.bytes().clone()).collect();
    let request = v1::SubmitStreamRequest { entries, ..Default::default() };
    let Ok(mut answers) = node.submit_stream(tokio_stream::once(request)).await else {
        return Vec::new();
    };
    let Ok(Some(response)) = answers.message().await else { return Vec::new() };
    let answer = |outcome: v1::Outcome| match outcome.result {
        Some(v1::outcome::Result::Position(position)) => Answer::Placed(place(position)),
        // What the node says of itself, and not of the entry, is no answer.
        Some(v1::outcome::Result::Refused(refused)) if !refused.code.starts_with("API_") => {
            Answer::Refused
        }
        _ => Answer::Unknown,
    };
    response.outcomes.into_iter().map(answer).collect()
}

impl Load {
    fn begin(network: &Exchanges, supplier: &Supplier) -> Self {
        let (record, stopping) = (SharedRecord::default(), Arc::new(AtomicBool::new(false)));
        let urls: Vec<String> = (0..NODES).map(|node| network.node(node).url.clone()).collect();
        let one = |number: usize| {
            let (supplier, stopping) = (supplier.clone(), Arc::clone(&stopping));
            let (urls, record) = (urls.clone(), record.clone());
            let way = if number < NODES { Way::Streamed } else { Way::Single };
            let prefers = number % NODES;
            let mut client = Client { way, urls, prefers, connected: None, record };
            network.runtime.spawn(async move {
                for asset in 0_u64.. {
                    if stopping.load(Ordering::Relaxed) {
                        return;
                    }
                    let names = (0..way.entries()).map(|n| format!("asset-{number}-{asset}-{n}"));
                    let entries: Vec<Entry> =
                        names.map(|name| supplier.describe(&name).unwrap()).collect();
                    client.write(&entries).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
        };
        let clients = (0..NODES * CLIENTS_PER_NODE).map(one).collect();
        Self { record, stopping, clients }
    }

    /// Waits until further entries have places.
    fn goes_on(&self, after: &str) {
        let (begun, placed) = (Instant::now(), self.record.placed());
        while self.record.placed() < placed + 10 * NODES {
            assert!(begun.elapsed() < GOES_ON, "{after}: no entry has a place after {GOES_ON:?}");
            sleep(Duration::from_millis(10));
        }
        let took = begun.elapsed();
        println!("{after}: goes on within {took:?}; {} entries have places", self.record.placed());
    }

    /// How many entries get a place in this time.
    fn placed_within(&self, time: Duration) -> usize {
        let placed = self.record.placed();
        sleep(time);
        self.record.placed() - placed
    }

    fn stop(self, network: &Exchanges) -> SharedRecord {
        self.stopping.store(true, Ordering::Relaxed);
        for client in self.clients {
            network.runtime.block_on(client).unwrap();
        }
        self.record
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The highest height that a running node has.
fn highest(network: &Exchanges) -> u64 {
    let running = (0..NODES).filter(|node| network.nodes[*node].is_some());
    running.map(|node| network.height(node)).max().unwrap()
}

/// Starts a node again, and waits until it has what the others had then.
fn comes_back(network: &mut Exchanges, node: usize) {
    let height = highest(network);
    network.start_node(node).unwrap();
    network.reach(node, height);
}

/// Ends a node, and gives the height that it was seen at last.
fn ends(network: &mut Exchanges, node: usize, signal: Signal) -> u64 {
    let height = network.height(node);
    let code = network.end(node, signal).code;
    assert!(signal != Signal::Terminate || code == 0, "node {node} ended with {code}");
    height
}

/// The same node comes back with all that it has shown.
fn comes_back_with(network: &mut Exchanges, node: usize, height: u64) {
    comes_back(network, node);
    let begins = network.node(node).ready["height"].as_u64().unwrap();
    assert!(begins >= height, "node {node} showed height {height}, and began with {begins}");
}

fn one_after_another_restarts(network: &mut Exchanges, load: &Load) {
    for node in 0..NODES {
        let height = ends(network, node, Signal::Terminate);
        load.goes_on(&format!("node {node} stopped"));
        comes_back_with(network, node, height);
    }
}

fn halves_are_apart(network: &Exchanges, load: &Load) {
    network.hosts().part(&[0, 1, FOLLOWER], &[2, 3]);
    // What is on its way arrives.
    sleep(seconds(1));
    assert_eq!(load.placed_within(APART), 0, "half of the power decided");
    network.hosts().heal();
    load.goes_on("halves that were apart");
}

fn one_is_apart(network: &Exchanges, load: &Load) {
    network.hosts().part(&[2], &[0, 1, 3, FOLLOWER]);
    sleep(seconds(1));
    assert_ne!(load.placed_within(seconds(4)), 0, "three of four do not go on");
    network.hosts().heal();
    let height = highest(network);
    network.reach(2, height);
    load.goes_on("one that was apart");
}

fn a_wire_is_cut_in_one_direction(network: &Exchanges, load: &Load) {
    network.hosts().cut(0, 1);
    load.goes_on("a wire cut in one direction");
    sleep(seconds(2));
    network.hosts().heal();
    load.goes_on("a wire mended");
}

fn one_is_killed(network: &mut Exchanges, load: &Load) {
    let height = ends(network, 1, Signal::Kill);
    load.goes_on("node 1 killed");
    comes_back_with(network, 1, height);
}

fn one_is_slow(network: &Exchanges, load: &Load) {
    let placed = load.record.placed();
    for _ in 0..8 {
        network.node(0).send(Signal::Pause);
        sleep(Duration::from_millis(400));
        network.node(0).send(Signal::Resume);
        sleep(Duration::from_millis(100));
    }
    let meanwhile = load.record.placed() - placed;
    println!("beside a slow node: {meanwhile} entries have places after 4 s");
    assert!(meanwhile > 0, "three others wait for a slow node");
    load.goes_on("a slow node");
}

fn a_follower_loses_everything(network: &mut Exchanges, load: &Load) {
    let _killed = network.end(FOLLOWER, Signal::Kill);
    network.wipe(FOLLOWER);
    comes_back(network, FOLLOWER);
    load.goes_on("a follower that lost everything");
}

/// Whether a node says that it does not vote, since it has forgotten what it said.
fn recovers(network: &Exchanges, node: usize) -> bool {
    network.status(node).recovering
}

/// Its keys, genesis and configuration were kept elsewhere.
fn a_validator_loses_its_disk(network: &mut Exchanges, load: &Load) {
    let _killed = network.end(2, Signal::Kill);
    network.wipe(2);
    let directory = network.path(2);
    let refused = network.start_node(2).unwrap_err();
    assert_eq!(refused.error_code(), "NODE_VOTE_LOCK");
    let _marked = run(NODE, ["recover", "--data-dir", directory.to_str().unwrap()]).expect(0);
    comes_back(network, 2);
    let begun = Instant::now();
    while recovers(network, 2) {
        assert!(begun.elapsed() < GOES_ON, "it does not vote again");
        sleep(Duration::from_millis(50));
    }
    println!("a validator that lost its disk votes again after {:?}", begun.elapsed());
    // With another one down its vote is needed.
    let height = ends(network, 0, Signal::Kill);
    load.goes_on("a validator that lost its disk, and another one killed");
    comes_back_with(network, 0, height);
}

fn a_disk_is_full(network: &mut Exchanges, load: &Load, disk: &SmallDisk) {
    disk.fill();
    let ended = network.nodes[SMALL].take().unwrap().wait();
    assert_eq!(ended.expect(32).error_code(), "STORE_IO");
    load.goes_on("a full disk");
    fs::remove_file(disk.filler()).unwrap();
    comes_back(network, SMALL);
    load.goes_on("room on the disk again");
}

#[test]
fn one_history_whatever_happens_to_hosts_and_wires() {
    let disk = std::cell::OnceCell::new();
    let on_small_disk = |node: usize, directory: &Path| {
        if node == SMALL {
            assert!(disk.set(SmallDisk::under(directory)).is_ok(), "one small disk");
        }
    };
    let mut network = match Exchanges::start_apart(VALIDATORS, 1, on_small_disk) {
        Ok(network) => network,
        Err(why) => {
            assert!(std::env::var_os("NETWORK_NAMESPACES").is_none(), "{why}");
            eprintln!("left out, for it takes hosts of their own for nodes: {why}");
            return;
        }
    };
    let disk = disk.into_inner().unwrap();
    let supplier = network.supplier(0);
    let before = network.proven(0);

    let load = Load::begin(&network, &supplier);
    load.goes_on("the beginning");
    one_after_another_restarts(&mut network, &load);
    one_is_apart(&network, &load);
    halves_are_apart(&network, &load);
    a_wire_is_cut_in_one_direction(&network, &load);
    one_is_killed(&mut network, &load);
    one_is_slow(&network, &load);
    a_follower_loses_everything(&mut network, &load);
    a_validator_loses_its_disk(&mut network, &load);
    a_disk_is_full(&mut network, &load, &disk);
    let record = load.stop(&network);

    network.agree(2);
    let chains: Vec<Places> = (0..NODES).map(|node| network.proven(node)).collect();
    let summary = record.with(|record| record.check(&before, &chains)).unwrap();
    println!("{summary:?}");
    assert!(summary.placed > 500, "{summary:?}");
    // All that was sent may be in the log, and every client has more patience than any fault lasts.
    assert_eq!((summary.refused, summary.unknown), (0, 0), "{summary:?}");
    assert!(summary.standstill < APART + GOES_ON, "{summary:?}");
    // Before the small disk is gone.
    drop(network);
}
