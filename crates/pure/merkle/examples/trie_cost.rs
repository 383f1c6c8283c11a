//! What the state map costs: CPU time of an update, memory, size of a proof.
//!
//! `cargo run --release -p ledger-merkle --example trie_cost` prints the table below; with two
//! arguments, keys and changes a block, one row of it. Linux only: it reads `/proc`.
//!
//! ```text
//!      keys  changes   us CPU    bytes  without    proof    us to
//!  at start  a block a change    a key   record    bytes    prove
//!     10000      100      2.8      413      138      658      2.6
//!     10000     1000      2.3      413      138      658      3.1
//!     10000     5000      2.2      413      138      658      3.9
//!    100000      100      3.2      412      137      658      2.7
//!    100000     1000      2.6      412      137      658      3.2
//!    100000     5000      3.0      412      137      658      3.6
//!   1000000      100      4.1      412      137      724      4.4
//!   1000000     1000      3.7      412      137      724      5.0
//!   1000000     5000      3.1      412      137      724      4.3
//! ```
//!
//! A change is an insert or an update, half each, and its cost is that of sorting, hashing the
//! record, working out, committing and giving up the version that leaves the window. Proving
//! includes hashing the record. Memory is that of the map before the blocks; each version in the
//! window keeps some 750 bytes for each of its changes, and the records that were replaced. Maps
//! grow by 200,000 keys while they are measured, so the small ones do not stay small.
//!
//! These figures are the second of three runs on two virtual cores of an AMD EPYC with SHA
//! instructions, 1 MiB of second-level cache each, Rust 1.95, the release profile, while other work
//! took part of both cores; the same row moved by up to a half between the runs (1000000 keys in
//! blocks of 1000: 4.1, 3.7, 4.4). A profile has a third of the time in SHA-256, which is near what
//! the hardware can do, and most of the rest in waiting for memory.
#![expect(clippy::disallowed_types, reason = "measuring needs a clock")]

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use ledger_merkle::Hash;
use ledger_merkle::trie::{Outcome, Trie};

/// Bytes of a record, a third of them random.
const RECORD: usize = 275;
/// Versions that stay provable while blocks come.
const WINDOW: usize = 8;
/// Changes before the measured ones, so that slots are used again, and measured ones.
const WARM_UP: usize = 100_000;
const MEASURED: usize = 300_000;
/// Proofs made to find the median.
const PROOFS: usize = 10_000;

type Change = (Hash, Box<[u8]>);

/// Numbers that look random (splitmix64), the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 16).map_or(0, |number| number % limit.max(1))
    }

    fn key(&mut self) -> Hash {
        let mut key = Hash::default();
        key.as_chunks_mut::<8>().0.fill_with(|| self.next().to_be_bytes());
        key
    }

    fn record(&mut self) -> Box<[u8]> {
        let mut record = vec![b'x'; RECORD];
        record.as_chunks_mut::<8>().0.iter_mut().step_by(3).for_each(|word| {
            *word = self.next().to_be_bytes();
        });
        record.into()
    }

    /// A block: half of it new keys, the other half keys that are there, rather recent than old
    /// (the newest hundredth gets a fifth of them).
    fn block(&mut self, keys: &mut Vec<Hash>, changes: usize) -> Vec<Change> {
        let mut block = Vec::with_capacity(changes);
        for number in 0..changes {
            let key = if number % 2 == 0 {
                let key = self.key();
                keys.push(key);
                key
            } else {
                // The cube of a number between 0 and 1 with 20 bits.
                let cube = u128::from(self.next() >> 44).pow(3);
                let age = u128::try_from(keys.len()).map_or(0, |len| (len * cube) >> 60);
                let age = usize::try_from(age).unwrap_or(0);
                keys.iter().rev().nth(age).copied().unwrap_or_default()
            };
            block.push((key, self.record()));
        }
        block
    }
}

/// CPU time of this thread so far, which neighbours on the machine disturb less than wall time.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// Bytes of memory that this process has.
fn resident() -> Result<u64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Puts blocks into the map, keeping a window of versions.
fn update(
    trie: &mut Trie,
    window: &mut VecDeque<ledger_merkle::trie::Retired>,
    blocks: Vec<Vec<Change>>,
) -> Result<u32, Box<dyn Error>> {
    let mut changed = 0;
    for mut block in blocks {
        block.sort_unstable_by_key(|(key, _)| *key);
        block.dedup_by_key(|(key, _)| *key);
        changed += u32::try_from(block.len())?;
        let delta = trie.propose(trie.tip(), block)?;
        let (_, retired) = trie.commit(delta)?;
        window.push_back(retired);
        if window.len() >= WINDOW
            && let Some(retired) = window.pop_front()
        {
            trie.free(retired)?;
        }
    }
    Ok(changed)
}

/// One row of the table.
fn measure(count: usize, changes: usize) -> Result<String, Box<dyn Error>> {
    let mut numbers = Numbers(1);
    let mut keys: Vec<Hash> = (0..count).map(|_| numbers.key()).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    let before = resident()?;
    let records = sorted.iter().map(|key| (*key, numbers.record()));
    let mut trie = Trie::from_sorted(records)?;
    let memory = (resident()?.saturating_sub(before)) / u64::try_from(count)?;

    let mut window = VecDeque::new();
    let mut cost = Duration::ZERO;
    for total in [WARM_UP, MEASURED] {
        let blocks =
            (0..total / changes).map(|_| numbers.block(&mut keys, changes)).collect::<Vec<_>>();
        let start = cpu_time()?;
        let changed = update(&mut trie, &mut window, blocks)?;
        cost = (cpu_time()?.saturating_sub(start)) / changed;
    }

    let root = trie.tip().root();
    let (mut sizes, mut times) = (Vec::new(), Vec::new());
    for _ in 0..PROOFS {
        let key = keys.get(numbers.below(keys.len())).copied().unwrap_or_default();
        let start = Instant::now();
        let proof = trie.prove(trie.tip(), &key)?;
        times.push(start.elapsed());
        if !matches!(proof.verify(&root, &key)?, Outcome::Present { .. }) {
            return Err("a key that was put in is absent".into());
        }
        sizes.push(64 + 33 * proof.path.len());
    }
    let (size, time) = (median(sizes), median(times));
    Ok(format!(
        "{count:>9} {changes:>8} {:>8} {memory:>8} {:>8} {size:>8} {:>8}",
        microseconds(cost),
        memory.saturating_sub(u64::try_from(RECORD)?),
        microseconds(time),
    ))
}

fn median<T: Ord + Copy + Default>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn microseconds(time: Duration) -> String {
    let tenths = (time.as_nanos() + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [count, changes] = arguments.as_slice() {
        writeln!(out, "{}", measure(count.parse()?, changes.parse()?)?)?;
        return Ok(());
    }
    writeln!(
        out,
        "{:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "keys", "changes", "us CPU", "bytes", "without", "proof", "us to"
    )?;
    writeln!(
        out,
        "{:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "at start", "a block", "a change", "a key", "record", "bytes", "prove"
    )?;
    for count in ["10000", "100000", "1000000"] {
        for changes in ["100", "1000", "5000"] {
            // Each row in a process of its own, so that none finds memory that another left.
            let row = Command::new(std::env::current_exe()?).args([count, changes]).output()?;
            out.write_all(if row.status.success() { &row.stdout } else { &row.stderr })?;
        }
    }
    Ok(())
}
