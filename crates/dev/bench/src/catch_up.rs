//! A validator that was away comes back: how fast it gets what the others wrote meanwhile, beside how fast they wrote it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ledger_client::Node;
use ledger_tests::{Exchanges, Signal, Supplier, connect};
use serde_json::{Value, json};

/// Between two looks at the height of the node that comes back.
const POLL: Duration = Duration::from_millis(20);

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    /// Validators; the last one is away.
    pub validators: u16,
    /// Entries that are written meanwhile.
    pub entries: u64,
    /// Clients that write them, each with one entry under way.
    pub clients: usize,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct CaughtUp {
    /// Entries.
    pub entries: u64,
    /// Blocks that were made of them.
    pub blocks: u64,
    /// How long it took to write them.
    pub written: Duration,
    /// How long it took to get them, from the moment when the node was ready.
    pub caught_up: Duration,
    /// Most memory that the node held, in bytes, from its start until it had everything.
    pub peak_bytes: u64,
}

impl CaughtUp {
    /// How much faster they were got than written.
    pub fn ratio(&self) -> f64 {
        self.written.as_secs_f64() / self.caught_up.as_secs_f64()
    }

    /// As JSON.
    #[expect(clippy::cast_precision_loss, reason = "rates")]
    pub fn json(&self) -> Value {
        let rate = |took: Duration| self.entries as f64 / took.as_secs_f64();
        json!({
            "entries": self.entries,
            "blocks": self.blocks,
            "written_seconds": self.written.as_secs_f64(),
            "written_per_second": rate(self.written),
            "caught_up_seconds": self.caught_up.as_secs_f64(),
            "caught_up_per_second": rate(self.caught_up),
            "ratio": self.ratio(),
            "peak_bytes": self.peak_bytes,
        })
    }
}

/// Writes while one validator is away, and lets it come back.
pub fn run_catch_up(absence: Absence) -> CaughtUp {
    let Absence { validators, entries, clients } = absence;
    let mut network = Exchanges::start(validators, 0);
    let supplier = network.supplier(0);
    let before = network.agree(2);
    let away = usize::from(validators) - 1;
    network.end(away, Signal::Kill);
    let begun = Instant::now();
    let left = Arc::new(AtomicU64::new(entries));
    network.runtime.block_on(async {
        let mut writing = tokio::task::JoinSet::new();
        for client in 0..clients {
            let node = connect(network.node(client % away)).await;
            writing.spawn(write(node, supplier.clone(), client, Arc::clone(&left)));
        }
        writing.join_all().await
    });
    let written = begun.elapsed();
    let top = network.agree(before);
    network.start_nodes(&[away]);
    let begun = Instant::now();
    let mut client = network.runtime.block_on(connect(network.node(away)));
    while network.runtime.block_on(client.status()).unwrap().height < top {
        std::thread::sleep(POLL);
    }
    let caught_up = begun.elapsed();
    let peak_bytes = network.node(away).peak_memory();
    CaughtUp { entries, blocks: top - before, written, caught_up, peak_bytes }
}

/// One client: it writes until enough was written.
async fn write(mut node: Node, supplier: Supplier, client: usize, left: Arc<AtomicU64>) {
    let take = |left: u64| left.checked_sub(1);
    let mut number = 0_u64;
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        let entry = supplier.describe(&format!("away-{client}-{number}")).unwrap();
        node.submit(&entry).await.unwrap();
        number += 1;
    }
}
