//! No answer is lost: a node is killed at random moments under load, again and again, and every answer that it gave must hold.
//!
//! SIGKILL leaves what the operating system has cached, so this shows that nothing is acknowledged before it was written, and that
//! every state in which a process can die is one that the next start recovers from. Lost caches (a power cut) are another fault:
//! `power.rs` cuts it, and `directories.rs` tears and truncates the files themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger_fixtures::Rng;
use ledger_tests::{
    Places, Running, SharedBook, Signal, Supplier, connect, copy_node, new_ledger, places_in,
};
use tokio::runtime::Runtime;

const START_LIMIT: Duration = Duration::from_secs(3);
/// Longest load before a kill.
const LOAD_MS: usize = 160;
/// Latest kill of a node that is starting.
const START_MS: usize = 60;

/// Answers that a chain does not bear out.
fn broken_answers(acknowledged: &Places, chain: &Places) -> Vec<String> {
    let broken = acknowledged.iter().filter(|(id, place)| chain.get(id) != Some(place));
    broken.map(|(id, place)| format!("{id}: answered {place:?}, is {:?}", chain.get(id))).collect()
}

fn number_from(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

struct Campaign {
    directory: tempfile::TempDir,
    runtime: Runtime,
    dice: Rng,
    supplier: Supplier,
    all: Places,
    starts: Vec<Duration>,
    killed_busy: u64,
}

impl Campaign {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let _genesis = new_ledger(directory.path());
        let runtime = Runtime::new().unwrap();
        let node = Running::start(directory.path()).unwrap();
        let supplier = runtime.block_on(async {
            let mut client = connect(&node).await;
            Supplier::admit(&mut client, directory.path(), "supplier").await.unwrap()
        });
        assert_eq!(node.end(Signal::Terminate), 0);
        let (all, starts) = (Places::new(), Vec::new());
        Self { directory, runtime, dice: Rng(seed), supplier, all, starts, killed_busy: 0 }
    }

    fn pause(&mut self, longest_ms: usize) -> Duration {
        Duration::from_millis(u64::try_from(self.dice.below(longest_ms)).unwrap())
    }

    fn start(&mut self) -> Running {
        let node = Running::start(self.directory.path());
        let node = node.unwrap_or_else(|ended| panic!("the node does not start: {ended:?}"));
        self.starts.push(node.start);
        if node.start < START_LIMIT {
            return node;
        }
        let (took, said) = (node.start, node.stop(Signal::Kill).err);
        panic!("start {} took {took:?}: {said}", self.starts.len());
    }

    /// Load, a kill in the middle of it, and what the next start must show.
    fn round(&mut self, round: u64) {
        let (book, node, pause) = (SharedBook::default(), self.start(), self.pause(LOAD_MS));
        self.runtime.block_on(async {
            book.load(&node, &self.supplier, &round.to_string()).await;
            tokio::time::sleep(pause).await;
        });
        node.end(Signal::Kill);
        let mut book = book.take();
        assert_eq!(book.otherwise, [], "every entry is good");
        self.killed_busy += u64::from(!book.is_answered());
        if self.dice.once_in(4) {
            let pause = self.pause(START_MS);
            Running::start_and_kill(self.directory.path(), pause);
        }
        let node = self.start();
        self.runtime.block_on(async {
            book.check(&mut connect(&node).await).await.unwrap();
        });
        node.end(Signal::Kill);
        self.all.append(&mut book.acknowledged);
    }
}

/// Campaigns at one time, each with a node of its own.
const SIDE_BY_SIDE: u64 = 2;

#[test]
fn every_answer_outlives_every_kill() {
    let rounds = number_from("LEDGER_CRASH_ROUNDS", 200);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number_from("LEDGER_CRASH_SEED", now.as_secs());
    println!("LEDGER_CRASH_SEED={seed} LEDGER_CRASH_ROUNDS={rounds}");
    std::thread::scope(|scope| {
        for number in 0..SIDE_BY_SIDE {
            scope.spawn(move || campaign(seed + number, rounds.div_ceil(SIDE_BY_SIDE)));
        }
    });
}

fn campaign(seed: u64, rounds: u64) {
    let mut campaign = Campaign::new(seed);
    let older = tempfile::tempdir().unwrap();
    for round in 0..rounds {
        if round == rounds / 2 {
            // Between rounds nothing runs: a copy is what a backup of this moment holds.
            copy_node(campaign.directory.path(), older.path());
        }
        campaign.round(round);
    }
    let file = older.path().join("chain.ledger");
    let chain = places_in(campaign.directory.path(), &file);
    assert_eq!(broken_answers(&campaign.all, &chain), Vec::<String>::new());
    // Genesis, its rule sets and calendars, and the supplier's admission are nobody's load.
    assert!(chain.len() > campaign.all.len());

    // The check can fail: a ledger that lost its second half is caught.
    let shorter = places_in(older.path(), &file);
    let broken = broken_answers(&campaign.all, &shorter);
    assert!(broken.len() > campaign.all.len() / 4, "{} of {}", broken.len(), campaign.all.len());

    campaign.starts.sort_unstable();
    let (median, longest) = (campaign.starts[campaign.starts.len() / 2], campaign.starts.last());
    println!(
        "{rounds} kills, {} of them with answers outstanding; {} answers held; starts: median {median:?}, longest {longest:?}",
        campaign.killed_busy,
        campaign.all.len()
    );
    assert!(campaign.killed_busy * 10 >= rounds * 8, "too few kills hit a busy node");
}
