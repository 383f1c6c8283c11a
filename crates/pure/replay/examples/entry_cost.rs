//! What an entry costs the processor of a validator, without disk and network: decoding, its signature in a batch, and execution.
//!
//! ```text
//! cargo run --release -p ledger-replay --example entry_cost
//! ```
//!
//! Assets are described, 782 bytes an entry, 64 entries a block, on a ledger that grows to 16,384 of them. Each way is timed block by
//! block, so that the fastest tenth tells what it costs when no other program runs. A validator decodes and checks each entry
//! once; it either proposes a block or checks it, and commits it. Compare two builds by runs in turn.
#![expect(clippy::disallowed_types, reason = "a measurement needs a clock")]
#![expect(clippy::print_stdout, reason = "a measurement is printed")]
#![expect(clippy::unwrap_used, reason = "every input is made here")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger_event::AssetDescribed;
use ledger_event::event::Act;
use ledger_format::block::Body;
use ledger_format::entry::Entry;
use ledger_replay::Ledger;
use ledger_story::{Story, acts, validator};
use ledger_verify::entry::EntryBatch;

const BLOCKS: usize = 256;
const ENTRIES: usize = 64;
const ENTRY_BYTES: usize = 782;

/// The time of each block, by way.
#[derive(Default)]
struct Times {
    decode: Vec<Duration>,
    verify: Vec<Duration>,
    propose: Vec<Duration>,
    check: Vec<Duration>,
    commit: Vec<Duration>,
}

fn main() {
    let story = Story::opened().in_earnest();
    let mut ledger = told(&story);
    let blocks: Vec<Vec<Vec<u8>>> = (0..BLOCKS).map(|block| signed(&story, block)).collect();
    let mut times = Times::default();
    for block in blocks {
        let entries = timed(&mut times.decode, || decoded(block));
        timed(&mut times.verify, || verify(&ledger, &entries));
        let borrowed: Vec<&Entry> = entries.iter().collect();
        let now_ms = ledger.time_ms() + 1;
        let proposed =
            timed(&mut times.propose, || ledger.propose(validator(), now_ms, &borrowed).block);
        let header = proposed.unwrap().header;
        let body = Body { header, entries: entries.iter().map(|e| e.bytes().clone()).collect() };
        let executed = timed(&mut times.check, || ledger.check(&body, &entries).unwrap());
        timed(&mut times.commit, || ledger.commit(executed).unwrap());
    }
    println!("us an entry, fastest tenth and median of {BLOCKS} blocks of {ENTRIES}:");
    let Times { decode, verify, propose, check, commit } = times;
    let ways = [
        ("decode", decode),
        ("verify", verify),
        ("propose", propose),
        ("check", check),
        ("commit", commit),
    ];
    for (way, times) in ways {
        println!("{way:8} {:6.2} {:6.2}", part(&times, 10), part(&times, 2));
    }
}

/// The ledger of a story.
fn told(story: &Story) -> Ledger {
    let mut ledger = Ledger::new(story.genesis.clone()).unwrap();
    for block in story.log.chunk_by(|a, b| a.height == b.height) {
        let entries: Vec<&Entry> = block.iter().map(|logged| &logged.entry).collect();
        let now_ms = block.first().unwrap().time_ms;
        let proposal = ledger.propose(validator(), now_ms, &entries);
        ledger.commit(proposal.block.unwrap()).unwrap();
    }
    ledger
}

/// The entries of a block.
fn signed(story: &Story, block: usize) -> Vec<Vec<u8>> {
    let mut story = story.clone();
    let one = |number: usize| {
        story.serial = u64::try_from(block * ENTRIES + number).unwrap() + 1_000_000;
        let mut deed = acts::asset_described(&format!("rain-{block:03}-{number:02}"));
        // The first length is a guess, the second fits.
        for _ in 0..2 {
            let missing = ENTRY_BYTES.saturating_sub(story.seal(&deed).bytes().len());
            let Act::AssetDescribed(AssetDescribed { description: Some(described) }) =
                &mut deed.act
            else {
                continue;
            };
            described.summary.push_str(&"x".repeat(missing));
        }
        story.seal(&deed).bytes().to_vec()
    };
    (0..ENTRIES).map(one).collect()
}

fn decoded(block: Vec<Vec<u8>>) -> Vec<Entry> {
    block.into_iter().map(|bytes| Entry::decode(Bytes::from(bytes)).unwrap()).collect()
}

fn verify(ledger: &Ledger, entries: &[Entry]) {
    let keys = ledger.public_keys(entries);
    let mut batch = EntryBatch::new();
    for (number, entry) in entries.iter().enumerate() {
        batch.push(number, entry, |kid| keys.get(kid).copied().flatten());
    }
    assert!(batch.verify().is_empty(), "every entry was signed here");
}

fn timed<T>(times: &mut Vec<Duration>, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    times.push(start.elapsed());
    result
}

/// Microseconds an entry, of the block that one of `part` was not slower than.
#[expect(clippy::cast_precision_loss, clippy::float_arithmetic, reason = "a measurement")]
fn part(times: &[Duration], part: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let time = sorted.get(sorted.len() / part).copied().unwrap_or_default();
    time.as_secs_f64() * 1e6 / ENTRIES as f64
}
