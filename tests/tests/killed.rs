//! No answer is lost: a node is killed at random moments under load, again and again, and every answer that it gave must hold.
//!
//! SIGKILL leaves what the operating system has cached, so this shows that nothing is acknowledged before it was written, and that
//! every state in which a process can die is one that the next start recovers from. Lost caches (a power cut) are another fault:
//! `directories.rs` tears and truncates the files themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger_client::{ClientError, Node, chain};
use ledger_fixtures::Rng;
use ledger_format::digest::{EntryId, LedgerId};
use ledger_format::entry::{Entry, leaf_hash};
use ledger_proto::v1;
use ledger_tests::{Running, Signal, Supplier, copy_directory, new_ledger};
use ledger_verify::verdict::Verdict;
use tokio::runtime::Runtime;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

const START_LIMIT: Duration = Duration::from_secs(3);
/// Longest load before a kill.
const LOAD_MS: usize = 160;
/// Latest kill of a node that is starting.
const START_MS: usize = 60;
/// Clients that send one entry at a time, and entries of each message of the one that streams.
const UNARY_CLIENTS: u64 = 4;
const MESSAGE_ENTRIES: u64 = 8;
/// Between messages of the stream, so that 200 rounds make a ledger of tens of thousands of entries and not of millions.
const MESSAGE_PAUSE: Duration = Duration::from_millis(2);
/// Answers of a round that are looked up one by one; all are checked by sending everything again, in messages of so many.
const SAMPLE: usize = 40;
const AGAIN_ENTRIES: usize = 512;

/// Height and leaf.
type Place = (u64, u64);
type Places = BTreeMap<EntryId, Place>;

/// What was sent, and what was answered.
#[derive(Debug, Default)]
struct Book {
    sent: Vec<Entry>,
    acknowledged: Places,
}

impl Book {
    fn is_answered(&self) -> bool {
        self.sent.iter().all(|entry| self.acknowledged.contains_key(&entry.id()))
    }
}

fn place(position: v1::Position) -> Place {
    (position.height, position.leaf_index)
}

/// Answers that a chain does not bear out.
fn broken_answers(acknowledged: &Places, chain: &Places) -> Vec<String> {
    let broken = acknowledged.iter().filter(|(id, place)| chain.get(id) != Some(place));
    broken.map(|(id, place)| format!("{id}: answered {place:?}, is {:?}", chain.get(id))).collect()
}

fn number_from(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

async fn connect(node: &Running) -> Node {
    Node::connect(&node.url, Duration::from_secs(20)).await.unwrap()
}

/// One client that waits for each answer before it goes on: an asset, then claims about it.
async fn write_one_by_one(mut node: Node, who: Supplier, name: String, book: Arc<Mutex<Book>>) {
    for number in 0_u64.. {
        let entry = if number == 0 { who.describe(&name) } else { who.claim(&name, number) };
        let entry = entry.unwrap();
        book.lock().unwrap().sent.push(entry.clone());
        let Ok(position) = node.submit(&entry).await else { return };
        book.lock().unwrap().acknowledged.insert(entry.id(), place(position));
    }
}

/// One client that sends messages of many entries without waiting.
async fn stream(mut node: Node, who: Supplier, name: String, book: Arc<Mutex<Book>>) {
    let (requests, receiver) = tokio::sync::mpsc::channel(4);
    let sent = Arc::clone(&book);
    tokio::spawn(async move {
        for message in 0_u64.. {
            let entry = |n| who.describe(&format!("{name}-{message}-{n}")).unwrap();
            let entries: Vec<Entry> = (0..MESSAGE_ENTRIES).map(entry).collect();
            sent.lock().unwrap().sent.extend(entries.iter().cloned());
            let entries = entries.iter().map(|entry| entry.bytes().clone()).collect();
            let request = v1::SubmitStreamRequest { sequence: message, entries, wait_for: 0 };
            if requests.send(request).await.is_err() {
                return;
            }
            tokio::time::sleep(MESSAGE_PAUSE).await;
        }
    });
    let Ok(mut answers) = node.submit_stream(ReceiverStream::new(receiver)).await else { return };
    while let Some(Ok(answer)) = answers.next().await {
        book.lock().unwrap().acknowledged.extend(answer.outcomes.iter().map(placed));
    }
}

/// Everything that was answered is where the answer said; everything sent again gets one place, the same if it had one.
async fn check_answers(node: &mut Node, book: &mut Book) -> Result<(), ClientError> {
    let step = book.acknowledged.len().div_ceil(SAMPLE).max(1);
    for (id, place) in book.acknowledged.iter().step_by(step) {
        let leaf = node.entry(id).await?;
        assert_eq!((leaf.height, leaf.leaf_index), *place, "entry {id}");
    }
    let messages = book.sent.chunks(AGAIN_ENTRIES).zip(0_u64..).map(|(entries, sequence)| {
        let entries = entries.iter().map(|entry| entry.bytes().clone()).collect();
        v1::SubmitStreamRequest { sequence, entries, wait_for: 0 }
    });
    let messages: Vec<_> = messages.collect();
    let mut answers = node.submit_stream(tokio_stream::iter(messages)).await?;
    let mut again = Places::new();
    while let Some(answer) = answers.next().await.transpose()? {
        again.extend(answer.outcomes.iter().map(placed));
    }
    for (id, place) in &book.acknowledged {
        assert_eq!(again.get(id), Some(place), "entry {id} sent again");
    }
    book.acknowledged = again;
    Ok(())
}

/// The place that an outcome tells. On an open stream nothing else may come.
fn placed(outcome: &v1::Outcome) -> (EntryId, Place) {
    let id = EntryId::from_slice(&outcome.entry_id).unwrap();
    match outcome.result {
        Some(v1::outcome::Result::Position(position)) => (id, place(position)),
        _ => panic!("{id}: {outcome:?}"),
    }
}

/// The places of all entries of a chain, which must be proven.
fn verified_places(chain_file: &Path, ledger: &LedgerId) -> Places {
    let mut places = Places::new();
    let mut size = 0;
    let mut file = BufReader::new(File::open(chain_file).unwrap());
    let keep = |block: &ledger_format::block::Block| {
        let header = &block.body.header;
        size += u64::from(header.height > 1);
        for entry in &block.body.entries {
            let double = places.insert(EntryId(leaf_hash(entry)), (header.height, size));
            assert_eq!(double, None, "an entry is twice in the chain");
            size += 1;
        }
    };
    let verified = chain::verify(&mut file, Some(ledger), keep, |_| {}).unwrap();
    assert_eq!(verified.report.verdict, Verdict::Proven);
    places
}

fn export(node: &Running, file: &Path) {
    let exported = node.cli(&["export", "chain", "-o", file.to_str().unwrap()]);
    let _exported = exported.expect(0);
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
        assert!(node.start < START_LIMIT, "the node took {:?} to start", node.start);
        self.starts.push(node.start);
        node
    }

    /// Load, a kill in the middle of it, and what the next start must show.
    fn round(&mut self, round: u64) {
        let book = Arc::new(Mutex::new(Book::default()));
        let node = self.start();
        let supplier = self.supplier.clone();
        let pause = self.pause(LOAD_MS);
        self.runtime.block_on(async {
            for client in 0..UNARY_CLIENTS {
                let (who, name) = (supplier.clone(), format!("unary-{round}-{client}"));
                tokio::spawn(write_one_by_one(connect(&node).await, who, name, Arc::clone(&book)));
            }
            let name = format!("stream-{round}");
            tokio::spawn(stream(connect(&node).await, supplier, name, Arc::clone(&book)));
            tokio::time::sleep(pause).await;
        });
        node.end(Signal::Kill);
        let mut book = std::mem::take(&mut *book.lock().unwrap());
        self.killed_busy += u64::from(!book.is_answered());
        if self.dice.once_in(4) {
            let pause = self.pause(START_MS);
            Running::start_and_kill(self.directory.path(), pause);
        }
        let node = self.start();
        self.runtime.block_on(async {
            let mut client = connect(&node).await;
            check_answers(&mut client, &mut book).await.unwrap();
        });
        node.end(Signal::Kill);
        self.all.append(&mut book.acknowledged);
    }
}

/// The places of all entries of a ledger that nobody runs, after its chain is proven.
fn places_in(directory: &Path, file: &Path) -> Places {
    let node = Running::start(directory).unwrap();
    export(&node, file);
    let ledger = LedgerId::from_hex(&node.genesis).unwrap();
    assert_eq!(node.end(Signal::Terminate), 0);
    verified_places(file, &ledger)
}

#[test]
fn every_answer_outlives_every_kill() {
    let rounds = number_from("LEDGER_CRASH_ROUNDS", 200);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number_from("LEDGER_CRASH_SEED", now.as_secs());
    println!("LEDGER_CRASH_SEED={seed} LEDGER_CRASH_ROUNDS={rounds}");
    let mut campaign = Campaign::new(seed);
    let older = tempfile::tempdir().unwrap();
    for round in 0..rounds {
        if round == rounds / 2 {
            // Between rounds nothing runs: a copy is what a backup of this moment holds.
            copy_directory(campaign.directory.path(), older.path());
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
