//! Ingest: signed entries over the gRPC stream into a real node, until each is acknowledged as durable.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger_client::Node;
use ledger_format::entry::Entry;
use ledger_proto::v1;
use ledger_tests::{Running, Signal, Supplier, new_ledger};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::limit;
use crate::waits::Waits;

/// How long the machine's limit is measured, before and after.
const LIMIT_TIME: Duration = Duration::from_secs(1);
/// Entries of one message.
const MESSAGE_ENTRIES: usize = 256;
/// Messages of one client that may be unanswered.
const MESSAGES_OPEN: usize = 8;
const CALL_TIMEOUT: Duration = Duration::from_mins(2);
/// Entries about one asset: its description, then claims and a revision.
const ENTRIES_PER_ASSET: u64 = 5;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Entries in all.
    pub entries: u64,
    /// Suppliers that sign them, each with its own key.
    pub signers: u64,
    /// Streams that send them.
    pub clients: usize,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The load.
    pub load: Load,
    /// The machine's limit, before and after the load, in signatures a second.
    pub limits: [f64; 2],
    /// From sending each message until all its entries were acknowledged.
    pub waits: Waits,
    /// Blocks that the load made.
    pub blocks: u64,
    /// Bytes that the node's store and log took on disk afterwards, beyond what they took before.
    pub disk_bytes: u64,
    /// From starting the node again afterwards until it answered.
    pub start: Duration,
    /// The most memory that the node had held by then.
    pub start_bytes: u64,
}

impl Measured {
    /// Entries a second. Each has one signature.
    pub fn rate(&self) -> f64 {
        let entries = u32::try_from(self.load.entries).expect("fewer than four billion entries");
        f64::from(entries) / self.waits.took.as_secs_f64()
    }

    /// The rate as a part of the machine's limit, the larger of the two measurements.
    pub fn ratio(&self) -> f64 {
        self.rate() / self.limits[0].max(self.limits[1])
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "entries": self.load.entries, "signers": self.load.signers, "clients": self.load.clients,
            "message_entries": MESSAGE_ENTRIES, "seconds": self.waits.took.as_secs_f64(),
            "entries_per_second": self.rate(), "limit_before": self.limits[0],
            "limit_after": self.limits[1], "ratio": self.ratio(), "blocks": self.blocks,
            "latency_ms": {
                "p50": millis(self.waits.percentile(50)), "p99": millis(self.waits.percentile(99)),
                "max": millis(self.waits.percentile(100)),
            },
            "disk_bytes": self.disk_bytes, "start_seconds": self.start.as_secs_f64(),
            "start_peak_bytes": self.start_bytes,
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let Load { entries, signers, clients } = self.load;
        format!(
            "limit      {:.0} and {:.0} signatures/s (ed25519-zebra, batches of {} by {} signers, all cores, before and after)\n\
             ingest     {:.0} entries/s: {entries} entries of {signers} signers over {clients} streams in {:.2} s, durable, rules and state\n\
             ratio      {:.1} % of the limit\n\
             latency    p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms a message of {MESSAGE_ENTRIES} entries\n\
             blocks     {}, {} entries each\n\
             disk       {} bytes an entry\n\
             start      {:.2} s until the node answers again, {:.1} % of the time that it took to write; {} MiB held",
            self.limits[0],
            self.limits[1],
            limit::BATCH,
            limit::SIGNERS,
            self.rate(),
            self.waits.took.as_secs_f64(),
            self.ratio() * 100.0,
            millis(self.waits.percentile(50)),
            millis(self.waits.percentile(99)),
            millis(self.waits.percentile(100)),
            self.blocks,
            entries / self.blocks.max(1),
            self.disk_bytes / entries.max(1),
            self.start.as_secs_f64(),
            self.start.as_secs_f64() / self.waits.took.as_secs_f64() * 100.0,
            self.start_bytes / (1024 * 1024),
        )
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Runs a node in a directory of its own below `base`, loads it, measures the machine's limit before and after, and starts the node again.
pub fn run(base: &Path, load: Load) -> Measured {
    let directory = tempfile::tempdir_in(base).expect("a directory");
    let _genesis = new_ledger(directory.path());
    let node = Running::start(directory.path()).expect("a new ledger's node");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let entries = runtime.block_on(signed(&node, directory.path(), load));
    let before = limit::batch_verify(LIMIT_TIME);
    let (disk, height) = (bytes_below(directory.path()), runtime.block_on(height(&node)));
    let waits = runtime.block_on(send_all(&node, entries));
    let blocks = runtime.block_on(self::height(&node)) - height;
    let after = limit::batch_verify(LIMIT_TIME);
    assert_eq!(node.end(Signal::Terminate), 0);
    let disk_bytes = bytes_below(directory.path()).saturating_sub(disk);
    let begun = Instant::now();
    let again = Running::start(directory.path()).expect("the same ledger's node");
    assert_eq!(runtime.block_on(self::height(&again)), height + blocks);
    let (start, start_bytes) = (begun.elapsed(), again.peak_memory());
    assert_eq!(again.end(Signal::Terminate), 0);
    Measured { load, limits: [before, after], waits, blocks, disk_bytes, start, start_bytes }
}

async fn connect(node: &Running) -> Node {
    Node::connect(&node.url, CALL_TIMEOUT).await.expect("the node answers")
}

async fn height(node: &Running) -> u64 {
    connect(node).await.status().await.expect("the node answers").height
}

/// The load, signed beforehand: for each client its messages, in each of which suppliers take turns.
async fn signed(node: &Running, directory: &Path, load: Load) -> Vec<Vec<v1::SubmitStreamRequest>> {
    let mut client = connect(node).await;
    let mut suppliers = Vec::new();
    for number in 0..load.signers {
        let party = format!("supplier-{number}");
        let admitted = Supplier::admit(&mut client, directory, &party).await;
        suppliers.push(admitted.expect("a party that may be admitted"));
    }
    let mut entries: Vec<Vec<Entry>> = vec![Vec::new(); load.clients];
    let clients = u64::try_from(load.clients).expect("few clients");
    for number in 0..load.entries {
        // A supplier stays with one client, so that its acts arrive in their order.
        let supplier = number % load.signers;
        let turn = number / load.signers;
        let signed = entry(&suppliers[usize::try_from(supplier).expect("few signers")], turn);
        entries[usize::try_from(supplier % clients).expect("few clients")].push(signed);
    }
    entries.iter().map(|entries| messages(entries)).collect()
}

fn entry(supplier: &Supplier, turn: u64) -> Entry {
    let name = format!("asset-{}", turn / ENTRIES_PER_ASSET);
    let entry = match turn % ENTRIES_PER_ASSET {
        0 => supplier.describe(&name),
        last if last == ENTRIES_PER_ASSET - 1 => supplier.revise(&name, turn),
        claim => supplier.claim(&name, claim),
    };
    entry.expect("an entry within the limits")
}

pub(crate) fn messages(entries: &[Entry]) -> Vec<v1::SubmitStreamRequest> {
    entries.chunks(MESSAGE_ENTRIES).zip(0..).map(|(entries, n)| message(n, entries)).collect()
}

pub(crate) fn message(sequence: u64, entries: &[Entry]) -> v1::SubmitStreamRequest {
    let entries = entries.iter().map(|entry| entry.bytes().clone()).collect();
    v1::SubmitStreamRequest { sequence, entries, wait_for: 0, replicas: 0 }
}

/// Checks that every entry of a message was placed.
pub(crate) fn placed(answer: &v1::SubmitStreamResponse) {
    for outcome in &answer.outcomes {
        let placed = matches!(outcome.result, Some(v1::outcome::Result::Position(_)));
        assert!(placed, "{outcome:?}");
    }
}

async fn send_all(node: &Running, clients: Vec<Vec<v1::SubmitStreamRequest>>) -> Waits {
    let mut nodes = Vec::new();
    for _ in &clients {
        nodes.push(connect(node).await);
    }
    let begun = Instant::now();
    let tasks: Vec<_> = nodes
        .into_iter()
        .zip(clients)
        .map(|(node, messages)| tokio::spawn(send(node, messages)))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("a client that was answered"));
    }
    Waits::new(latencies, begun.elapsed())
}

/// Sends messages, so many at a time, and checks that every entry was placed.
pub(crate) async fn send(mut node: Node, messages: Vec<v1::SubmitStreamRequest>) -> Vec<Duration> {
    let open = Arc::new(Semaphore::new(MESSAGES_OPEN));
    let (requests, receiver) = tokio::sync::mpsc::channel(MESSAGES_OPEN);
    let (sent, mut times) = tokio::sync::mpsc::unbounded_channel();
    let permits = Arc::clone(&open);
    tokio::spawn(async move {
        for message in messages {
            permits.acquire().await.expect("never closed").forget();
            sent.send(Instant::now()).expect("the reader waits for every answer");
            requests.send(message).await.expect("an open stream");
        }
    });
    let mut answers = node.submit_stream(ReceiverStream::new(receiver)).await.expect("a stream");
    let mut latencies = Vec::new();
    while let Some(answer) = answers.next().await {
        let answer = answer.expect("an open stream");
        let at = times.recv().await.expect("an answer follows a message");
        latencies.push(at.elapsed());
        open.add_permits(1);
        placed(&answer);
    }
    latencies
}

/// Bytes of all files below a directory.
fn bytes_below(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).expect("a directory").flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            // sled removes files of its own as it goes.
            Err(_) => 0,
        })
        .sum()
}
