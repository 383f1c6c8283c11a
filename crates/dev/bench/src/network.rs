//! A network of validators on this machine, each a process, over TLS: clients that wait for each answer before they go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ledger_client::Node;
use ledger_tests::{Exchanges, Supplier, connect};
use serde_json::{Value, json};

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct NetworkLoad {
    /// Validators.
    pub validators: u16,
    /// Clients, spread over all nodes; each has one entry under way.
    pub clients: usize,
    /// How long they write.
    pub time: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct NetworkMeasured {
    /// Entries that were acknowledged as durable at a quorum.
    pub entries: u64,
    /// Blocks that were made of them.
    pub blocks: u64,
    /// How long it took.
    pub took: Duration,
    /// Middle of the waits for an answer.
    pub p50: Duration,
    /// 99 of 100 waits were no longer.
    pub p99: Duration,
    /// Mean bytes of an entry.
    pub entry_bytes: u64,
}

impl NetworkMeasured {
    /// Entries a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn rate(&self) -> f64 {
        self.entries as f64 / self.took.as_secs_f64()
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "entries": self.entries,
            "blocks": self.blocks,
            "seconds": self.took.as_secs_f64(),
            "entries_per_second": self.rate(),
            "p50_ms": self.p50.as_secs_f64() * 1e3,
            "p99_ms": self.p99.as_secs_f64() * 1e3,
            "entry_bytes": self.entry_bytes,
        })
    }
}

/// Runs the network and the load.
pub fn run_network(load: NetworkLoad) -> NetworkMeasured {
    let network = Exchanges::start(load.validators, 0);
    let supplier = network.runtime.block_on(async {
        let mut client = connect(network.node(0)).await;
        let directory = network.path(0);
        Supplier::admit_by(&mut client, &directory, "exchange-1", "supplier").await.unwrap()
    });
    let before = network.agree(2);
    let bytes = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let until = begun + load.time;
    let mut waits: Vec<Duration> = network.runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..load.clients {
            let node = connect(network.node(number % usize::from(load.validators))).await;
            clients.spawn(write(node, supplier.clone(), number, until, Arc::clone(&bytes)));
        }
        clients.join_all().await.into_iter().flatten().collect()
    });
    let took = begun.elapsed();
    let blocks = network.agree(before) - before;
    waits.sort_unstable();
    let entries = u64::try_from(waits.len()).unwrap();
    let at = |part: usize| waits.get(waits.len() * part / 100).copied().unwrap_or_default();
    let entry_bytes = bytes.load(Ordering::Relaxed).checked_div(entries).unwrap_or_default();
    NetworkMeasured { entries, blocks, took, p50: at(50), p99: at(99), entry_bytes }
}

/// One client: it writes until the time is over, and gives how long it waited for each answer.
async fn write(
    mut node: Node,
    supplier: Supplier,
    client: usize,
    until: Instant,
    bytes: Arc<AtomicU64>,
) -> Vec<Duration> {
    let mut waits = Vec::new();
    while Instant::now() < until {
        let entry = supplier.describe(&format!("bench-{client}-{}", waits.len())).unwrap();
        bytes.fetch_add(u64::try_from(entry.bytes().len()).unwrap(), Ordering::Relaxed);
        let begun = Instant::now();
        node.submit(&entry).await.unwrap();
        waits.push(begun.elapsed());
    }
    waits
}
