//! A network of validators on this machine, each a process, over TLS: clients that wait for each answer before they go on, or that
//! stream.

use std::time::{Duration, Instant};

use ledger_client::Node;
use ledger_format::entry::Entry;
use ledger_tests::{Exchanges, Running, Supplier, connect};
use serde_json::{Value, json};

use crate::ingest::{messages, send};
use crate::processor::Spent;
use crate::waits::Waits;

/// Characters of the summary with which an entry's payload is 500 bytes.
const SUMMARY: usize = 405;

/// How clients write.
#[derive(Clone, Copy, Debug)]
pub enum Clients {
    /// So many; each has one entry under way, for so long.
    Waiting(usize, Duration),
    /// So many streams of messages, with so many entries in all, signed beforehand.
    Streaming(usize, usize),
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
    let spent = || {
        let validators = network.nodes.iter().flatten().map(Running::pid);
        [Spent::by(validators), Spent::by([std::process::id()])]
    };
    let earlier = spent();
    let (waits, entries) = network.runtime.block_on(async {
        match clients {
            Clients::Waiting(clients, time) => {
                let waits = all_wait(&network, &supplier, clients, time).await;
                let entries = waits.count();
                (waits, entries)
            }
            Clients::Streaming(streams, entries) => {
                let each = entries / streams;
                (all_stream(&network, &supplier, streams, each).await, each * streams)
            }
        }
    });
    let blocks = network.agree(before) - before;
    let [validators, clients] = spent();
    let spent = [validators.since(&earlier[0]), clients.since(&earlier[1])];
    let bytes = [example.payload().len(), example.bytes().len()];
    NetworkMeasured { waits, entries, blocks, bytes, spent }
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
    clients: usize,
    time: Duration,
) -> Waits {
    let mut nodes = Vec::new();
    for number in 0..clients {
        nodes.push(node(network, number).await);
    }
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (number, node) in nodes.into_iter().enumerate() {
        tasks.spawn(wait(node, supplier.clone(), number, begun + time));
    }
    let waits = tasks.join_all().await.into_iter().flatten().collect();
    Waits::new(waits, begun.elapsed())
}

/// One client: it writes until the time is over, and gives how long it waited for each answer.
async fn wait(mut node: Node, supplier: Supplier, client: usize, until: Instant) -> Vec<Duration> {
    let mut waits = Vec::new();
    while Instant::now() < until {
        let entry = entry(&supplier, client, waits.len());
        let begun = Instant::now();
        node.submit(&entry).await.unwrap();
        waits.push(begun.elapsed());
    }
    waits
}

async fn all_stream(
    network: &Exchanges,
    supplier: &Supplier,
    streams: usize,
    each: usize,
) -> Waits {
    let mut loads = Vec::new();
    for number in 0..streams {
        let entries: Vec<Entry> = (0..each).map(|n| entry(supplier, number, n)).collect();
        loads.push((node(network, number).await, messages(&entries)));
    }
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (node, messages) in loads {
        tasks.spawn(send(node, messages));
    }
    let waits = tasks.join_all().await.into_iter().flatten().collect();
    Waits::new(waits, begun.elapsed())
}
