//! What outlives a process: blocks, which are durable once a commit is carried out, and the consensus log, which is durable as far as
//! it was flushed. Both are bytes in frames that the product writes and reads; bits of them may flip.

use std::collections::HashSet;

use ledger_fixtures::Rng;
use ledger_format::block::Block;
use ledger_format::digest::EntryId;
use ledger_format::evidence::Evidence;
use ledger_replay::Ledger;
use ledger_replica::planted::{self, Bug};
use ledger_store::{StoreError, frames};

use crate::plan::Trouble;

/// Blocks that a start reads, from the newest on; a store reads as many as no index covers yet.
const READ_AT_START: usize = 8;

#[derive(Debug)]
pub(crate) struct Disk {
    /// What the blocks come to. The product's store rebuilds it from blocks; that is tested there, and would take most of a run here.
    pub(crate) ledger: Ledger,
    /// Encoded blocks, from height 1 on, each in a frame: what is stored of them has checksums in the product, which are sled's.
    blocks: Vec<Vec<u8>>,
    /// Entries of those blocks, as the product's index of ids knows them.
    pub(crate) ids: HashSet<EntryId>,
    /// The consensus log, as far as it is durable.
    log: Vec<u8>,
    /// Where in it the last flush began.
    last: usize,
    /// Where in it the open height begins.
    height: usize,
    /// Frames that were not flushed.
    pending: Vec<u8>,
    /// What proves that validators lied.
    pub(crate) evidence: Vec<Evidence>,
    /// Where a bit has flipped, while the operator does not know.
    pub(crate) damaged: Option<Trouble>,
    /// The next start cannot read.
    pub(crate) read_fails: bool,
    /// The next flush fails.
    pub(crate) flush_fails: bool,
}

/// What a crash did to the consensus log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Bytes that never reached the disk.
    pub(crate) lost: usize,
    /// The last frame of those that did reach it is torn.
    pub(crate) torn: bool,
}

impl Disk {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            blocks: Vec::new(),
            ids: HashSet::new(),
            log: Vec::new(),
            last: 0,
            height: 0,
            pending: Vec::new(),
            evidence: Vec::new(),
            damaged: None,
            read_fails: false,
            flush_fails: false,
        }
    }

    pub(crate) fn append(&mut self, record: &[u8]) {
        frames::append(&mut self.pending, None, record);
    }

    pub(crate) fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.last = self.log.len();
            self.log.append(&mut self.pending);
        }
    }

    /// Makes a block durable. The log's records of its height have done their work; like the real one, it is emptied now and then, but
    /// for what the replica has left in it.
    pub(crate) fn commit(&mut self, block: &Block, ids: &[EntryId], marks: Option<Vec<Vec<u8>>>) {
        let mut stored = Vec::new();
        frames::append(&mut stored, None, &block.encode());
        self.blocks.push(stored);
        self.ids.extend(ids);
        self.height = self.log.len();
        if let Some(marks) = marks {
            self.empty_log();
            for mark in marks {
                self.append(&mark);
            }
            self.flush();
        }
    }

    /// Whether some bytes are in what was flushed of the open height.
    pub(crate) fn has_logged(&self, bytes: &[u8]) -> bool {
        let flushed = self.log.get(self.height..).unwrap_or_default();
        flushed.windows(bytes.len()).any(|window| window == bytes)
    }

    /// From now on it can be read and written.
    pub(crate) const fn heal(&mut self) {
        (self.read_fails, self.flush_fails) = (false, false);
    }

    /// Takes the log away.
    pub(crate) fn empty_log(&mut self) {
        self.log.clear();
        self.height = 0;
        self.pending.clear();
    }

    /// Opens the log, as the product does: a write that was cut off is taken off, and damage is refused.
    ///
    /// # Errors
    /// [`StoreError::WalDamaged`].
    pub(crate) fn open_log(&mut self) -> Result<Vec<Vec<u8>>, StoreError> {
        let (records, end) = match frames::read(&self.log) {
            Err(StoreError::WalDamaged { offset }) if planted::is(Bug::DamageCutOff) => {
                frames::read(&self.log[..usize::try_from(offset).unwrap()])?
            }
            read => read?,
        };
        self.log.truncate(end);
        self.last = self.last.min(end);
        Ok(records)
    }

    /// Blocks from a height on.
    ///
    /// # Errors
    /// What the store says of a damaged one.
    pub(crate) fn blocks(&self, from: u64, most: usize) -> Result<Vec<Block>, StoreError> {
        let first = usize::try_from(from - 1).unwrap();
        self.blocks.iter().skip(first).take(most).map(|stored| read(stored)).collect()
    }

    /// Whether a start finds the blocks that it reads as they were written.
    ///
    /// # Errors
    /// As [`Disk::blocks`].
    pub(crate) fn open_blocks(&self) -> Result<(), StoreError> {
        let newest = self.blocks.iter().rev().take(READ_AT_START);
        newest.map(|stored| frames::read(stored)).try_for_each(|read| read.map(|_| ()))
    }

    /// The process has died: of what was not flushed, any beginning may have reached the disk, and the last frame of it in part.
    pub(crate) fn crash(&mut self, dice: &mut Rng) -> Damage {
        let pending = std::mem::take(&mut self.pending);
        let (records, _) = frames::read(&pending).unwrap();
        let lengths: Vec<usize> = records.iter().map(|r| frames::HEAD_BYTES + r.len()).collect();
        let (whole, cut) = lengths.split_at(dice.below(lengths.len() + 1));
        let mut kept = whole.iter().sum();
        let torn = cut.first().filter(|_| dice.once_in(2));
        kept += torn.map_or(0, |length| 1 + dice.below(length - 1));
        let torn = torn.is_some();
        self.log.extend_from_slice(&pending[..kept]);
        Damage { lost: pending.len() - kept, torn }
    }

    /// Flips a bit of the log, of what was flushed last as often as of all. `false` if nothing is in it. Of a write that a crash has cut
    /// off nothing counts, flipped or not.
    pub(crate) fn flip_log(&mut self, dice: &mut Rng) -> bool {
        let end = frames::read(&self.log).map_or(self.log.len(), |(_, end)| end);
        let from = if dice.once_in(2) { self.last.min(end) } else { 0 };
        flip(self.log.get_mut(from..end).unwrap_or_default(), dice)
    }

    /// Flips a bit of a stored block. `false` if there is none.
    pub(crate) fn flip_block(&mut self, dice: &mut Rng) -> bool {
        let count = self.blocks.len();
        count > 0 && flip(&mut self.blocks[dice.below(count)], dice)
    }
}

fn read(stored: &[u8]) -> Result<Block, StoreError> {
    let (mut payloads, _) = frames::read(stored)?;
    Ok(Block::decode(payloads.remove(0).into()).unwrap())
}

fn flip(bytes: &mut [u8], dice: &mut Rng) -> bool {
    if bytes.is_empty() {
        return false;
    }
    bytes[dice.below(bytes.len())] ^= 1 << dice.below(8);
    true
}
