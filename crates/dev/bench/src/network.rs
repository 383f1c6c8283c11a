//! A network of validators on this machine, each a process, over TLS: clients that wait for each answer before they go on, or that
//! stream.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use ledger_client::Node;
use ledger_format::entry::Entry;
use ledger_proto::v1;
use ledger_tests::{Exchanges, Running, Supplier, connect};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::ingest::{message, messages, placed, send};
use crate::processor::Spent;
use crate::waits::Waits;

/// Characters of the summary with which an entry's payload is 500 bytes.
const SUMMARY: usize = 405;

/// Entries that a client has signed beforehand, for each second: what it does there is no part of the network's rate. One that is faster
/// signs on the way.
const SIGNED_A_SECOND: usize = 200;

/// Entries that are signed beforehand at most, by all clients.
const SIGNED: usize = 100_000;

/// How clients write.
#[derive(Clone, Copy, Debug)]
pub enum Clients {
    /// So many; each has one entry under way, for so long, and sends it so.
    Waiting(usize, Duration, Calls),
    /// So many streams of messages, with so many entries in all, signed beforehand.
    Streaming(usize, usize),
}

/// How a client that waits for each answer sends an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Calls {
    /// A call for each.
    #[default]
    Unary,
    /// A message for each, on a stream that stays open.
    Stream,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct NetworkMeasured {
    /// Waits for each answer; of those who stream, for each message's.
    pub waits: Waits,
    /// Entries that were acknowledged as durable at a quorum.
    pub entries: usize,
    /// Blocks that were made of them.
    pub blocks: u64,
    /// Bytes of an entry's payload, and of the whole entry.
    pub bytes: [usize; 2],
    /// Processor time that the validators took meanwhile, by thread, and that of the clients.
    pub spent: [Spent; 2],
}

impl NetworkMeasured {
    /// Entries a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn rate(&self) -> f64 {
        self.entries as f64 / self.waits.took.as_secs_f64()
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let [payload_bytes, entry_bytes] = self.bytes;
        json!({
            "entries": self.entries,
            "blocks": self.blocks,
            "seconds": self.waits.took.as_secs_f64(),
            "entries_per_second": self.rate(),
            "p50_ms": self.waits.percentile(50).as_secs_f64() * 1e3,
            "p99_ms": self.waits.percentile(99).as_secs_f64() * 1e3,
            "validators_us_an_entry": self.spent[0].json(self.entries),
            "clients_us_an_entry": self.spent[1].json(self.entries),
            "payload_bytes": payload_bytes,
            "entry_bytes": entry_bytes,
        })
    }
}

/// Runs a network of so many validators and the load.
pub fn run_network(validators: u16, clients: Clients) -> NetworkMeasured {
    let network = Exchanges::start(validators, 0);
    let supplier = network.supplier(0);
    let before = network.agree(2);
    let example = entry(&supplier, 0, 0);
    let ((waits, spent), entries) = network.runtime.block_on(async {
        match clients {
            Clients::Waiting(clients, time, calls) => {
                let load = all_wait(&network, &supplier, (clients, calls), time).await;
                let entries = load.0.count();
                (load, entries)
            }
            Clients::Streaming(streams, entries) => {
                let each = entries / streams;
                (all_stream(&network, &supplier, streams, each).await, each * streams)
            }
        }
    });
    let blocks = network.agree(before) - before;
    let bytes = [example.payload().len(), example.bytes().len()];
    NetworkMeasured { waits, entries, blocks, bytes, spent }
}

/// The moment at which a load begins, after everything that is no part of it.
struct Begun<'a> {
    network: &'a Exchanges,
    at: Instant,
    spent: [Spent; 2],
}

impl<'a> Begun<'a> {
    fn now(network: &'a Exchanges) -> Self {
        Self { network, at: Instant::now(), spent: spent(network) }
    }

    /// The waits of a load that is over, and the processor time of validators and clients.
    fn over(self, waits: Vec<Duration>) -> (Waits, [Spent; 2]) {
        let [validators, clients] = spent(self.network);
        let spent = [validators.since(&self.spent[0]), clients.since(&self.spent[1])];
        (Waits::new(waits, self.at.elapsed()), spent)
    }
}

fn spent(network: &Exchanges) -> [Spent; 2] {
    let validators = network.nodes.iter().flatten().map(Running::pid);
    [Spent::by(validators), Spent::by([std::process::id()])]
}

fn entry(supplier: &Supplier, client: usize, number: usize) -> Entry {
    supplier.describe_at_length(&format!("bench-{client}-{number}"), SUMMARY).unwrap()
}

async fn node(network: &Exchanges, client: usize) -> Node {
    connect(network.node(client % network.nodes.len())).await
}

async fn all_wait(
    network: &Exchanges,
    supplier: &Supplier,
    (clients, calls): (usize, Calls),
    time: Duration,
) -> (Waits, [Spent; 2]) {
    let mut lines = Vec::new();
    for number in 0..clients {
        lines.push(Line::open(node(network, number).await, calls).await);
    }
    let seconds = usize::try_from(time.as_secs()).unwrap_or(usize::MAX);
    let each = SIGNED_A_SECOND.saturating_mul(seconds).min(SIGNED / clients.max(1));
    let signed = |client| (0..each).map(|n| entry(supplier, client, n)).collect();
    let signed: Vec<Vec<Entry>> = (0..clients).map(signed).collect();
    let begun = Begun::now(network);
    let mut tasks = tokio::task::JoinSet::new();
    for (number, (line, signed)) in lines.into_iter().zip(signed).enumerate() {
        tasks.spawn(wait(line, supplier.clone(), number, signed, begun.at + time));
    }
    begun.over(tasks.join_all().await.into_iter().flatten().collect())
}

/// A client's connection.
enum Line {
    Unary(Box<Node>),
    Stream(mpsc::Sender<v1::SubmitStreamRequest>, Box<Streaming<v1::SubmitStreamResponse>>),
}

impl Line {
    async fn open(mut node: Node, calls: Calls) -> Self {
        if calls == Calls::Unary {
            return Self::Unary(Box::new(node));
        }
        let (requests, receiver) = mpsc::channel(1);
        let answers = node.submit_stream(ReceiverStream::new(receiver)).await.unwrap();
        Self::Stream(requests, Box::new(answers))
    }

    /// Sends an entry, and waits until it is placed.
    async fn submit(&mut self, entry: &Entry) {
        match self {
            Self::Unary(node) => {
                node.submit(entry).await.unwrap();
            }
            Self::Stream(requests, answers) => {
                requests.send(message(0, std::slice::from_ref(entry))).await.unwrap();
                placed(&answers.message().await.unwrap().unwrap());
            }
        }
    }
}

/// One client: it writes until the time is over, and gives how long it waited for each answer.
async fn wait(
    mut line: Line,
    supplier: Supplier,
    client: usize,
    signed: Vec<Entry>,
    until: Instant,
) -> Vec<Duration> {
    let (mut waits, mut signed) = (Vec::new(), signed.into_iter());
    while Instant::now() < until {
        let entry = signed.next().unwrap_or_else(|| entry(&supplier, client, waits.len()));
        let begun = Instant::now();
        line.submit(&entry).await;
        waits.push(begun.elapsed());
    }
    waits
}

async fn all_stream(
    network: &Exchanges,
    supplier: &Supplier,
    streams: usize,
    each: usize,
) -> (Waits, [Spent; 2]) {
    let mut loads = Vec::new();
    for number in 0..streams {
        let entries: Vec<Entry> = (0..each).map(|n| entry(supplier, number, n)).collect();
        loads.push((node(network, number).await, messages(&entries)));
    }
    let begun = Begun::now(network);
    let mut tasks = tokio::task::JoinSet::new();
    for (node, messages) in loads {
        tasks.spawn(send(node, messages));
    }
    begun.over(tasks.join_all().await.into_iter().flatten().collect())
}
