//! What outlives a process: blocks, which are durable once a commit is carried out, and the consensus log, which is durable as far as
//! it was flushed.

use std::collections::BTreeSet;

use bytes::Bytes;
use ledger_fixtures::Rng;
use ledger_format::block::Block;
use ledger_format::digest::EntryId;
use ledger_format::evidence::Evidence;
use ledger_replay::Ledger;

#[derive(Debug)]
pub(crate) struct Disk {
    /// What the blocks come to. The product's store rebuilds it from blocks; that is tested there, and would take most of a run here.
    pub(crate) ledger: Ledger,
    /// Encoded blocks, from height 1 on.
    pub(crate) blocks: Vec<Bytes>,
    /// Entries of those blocks, as the product's index of ids knows them.
    pub(crate) ids: BTreeSet<EntryId>,
    /// Records of the consensus log.
    pub(crate) log: Vec<Vec<u8>>,
    /// How many of them are durable.
    pub(crate) flushed: usize,
    /// What proves that validators lied.
    pub(crate) evidence: Vec<Evidence>,
}

/// What a crash did to the consensus log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Records that never reached the disk, or not whole.
    pub(crate) lost: usize,
    /// The last of those that did reach it is torn.
    pub(crate) torn: bool,
}

impl Disk {
    pub(crate) const fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            blocks: Vec::new(),
            ids: BTreeSet::new(),
            log: Vec::new(),
            flushed: 0,
            evidence: Vec::new(),
        }
    }

    pub(crate) fn append(&mut self, record: Vec<u8>) {
        self.log.push(record);
    }

    pub(crate) fn flush(&mut self) {
        self.flushed = self.log.len();
    }

    /// Makes a block durable. The log's records of its height have done their work; like the real one, it is emptied now and then.
    pub(crate) fn commit(&mut self, block: &Block, ids: &[EntryId], empty_log: bool) {
        self.blocks.push(Bytes::from(block.encode()));
        self.ids.extend(ids);
        if empty_log {
            let height = block.body.header.height;
            self.log = vec![ledger_replica::done(height)];
            self.flushed = 1;
        }
    }

    /// The process has died: of what was not flushed, any beginning may have reached the disk, and the last record of it in part. The
    /// product's log cuts a torn last frame off when it is opened (`store/src/wal.rs`), so a torn record is as good as lost.
    pub(crate) fn crash(&mut self, dice: &mut Rng) -> Damage {
        let unflushed = self.log.len() - self.flushed;
        let mut kept = self.flushed + dice.below(unflushed + 1);
        let torn = kept > self.flushed && dice.once_in(2);
        kept -= usize::from(torn);
        let lost = self.log.len() - kept;
        self.log.truncate(kept);
        self.flushed = self.log.len();
        Damage { lost, torn }
    }
}
