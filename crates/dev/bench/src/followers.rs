//! What followers cost a validator: its processor time under the same offered load, without followers and with some.

use std::time::{Duration, Instant};

use ledger_client::Node;
use ledger_tests::{Exchanges, Supplier, connect};
use serde_json::{Value, json};

/// Clients that offer the load together.
const CLIENTS: u32 = 16;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Following {
    /// Validators.
    pub validators: u16,
    /// Followers, in the second run.
    pub followers: u16,
    /// Entries a second that clients offer.
    pub rate: u32,
    /// How long they do.
    pub time: Duration,
}

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Entries that were acknowledged.
    pub entries: u64,
    /// Processor time of the first validator, user and system.
    pub processor: Duration,
    /// Most memory that it held, in bytes.
    pub peak_bytes: u64,
}

impl Cost {
    /// Processor time for each entry, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    pub fn micros(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.entries as f64
    }

    fn json(&self) -> Value {
        json!({
            "entries": self.entries,
            "processor_seconds": self.processor.as_secs_f64(),
            "processor_us_per_entry": self.micros(),
            "peak_bytes": self.peak_bytes,
        })
    }
}

/// Both runs, as JSON.
pub fn json(alone: &Cost, followed: &Cost) -> Value {
    json!({
        "alone": alone.json(),
        "followed": followed.json(),
        "ratio": ratio(alone, followed),
    })
}

/// How many times as much an entry costs a validator with followers.
pub fn ratio(alone: &Cost, followed: &Cost) -> f64 {
    followed.micros() / alone.micros()
}

/// The same load without followers and with them.
pub fn run_followers(following: Following) -> (Cost, Cost) {
    (run(following, 0), run(following, following.followers))
}

fn run(following: Following, followers: u16) -> Cost {
    let network = Exchanges::start(following.validators, followers);
    let supplier = network.supplier(0);
    let before = network.node(0).processor_time();
    let until = Instant::now() + following.time;
    let pause = Duration::from_secs(1) * CLIENTS / following.rate.max(1);
    let entries = network.runtime.block_on(async {
        let mut offering = tokio::task::JoinSet::new();
        for client in 0..CLIENTS {
            let node = usize::try_from(client).unwrap() % usize::from(following.validators);
            let node = connect(network.node(node)).await;
            offering.spawn(offer(node, supplier.clone(), client, pause, until));
        }
        offering.join_all().await.into_iter().sum()
    });
    // What followers still fetch is part of their cost.
    network.agree(2);
    let processor = network.node(0).processor_time().saturating_sub(before);
    Cost { entries, processor, peak_bytes: network.node(0).peak_memory() }
}

/// One client: an entry at each tick, at another moment than the other clients.
async fn offer(
    mut node: Node,
    supplier: Supplier,
    client: u32,
    pause: Duration,
    until: Instant,
) -> u64 {
    tokio::time::sleep(pause * client / CLIENTS).await;
    let mut ticks = tokio::time::interval(pause);
    let mut entries = 0;
    while Instant::now() < until {
        ticks.tick().await;
        let entry = supplier.describe(&format!("offered-{client}-{entries}")).unwrap();
        node.submit(&entry).await.unwrap();
        entries += 1;
    }
    entries
}
