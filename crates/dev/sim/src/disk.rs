//! What outlives a process: blocks, which are durable once a commit is carried out, and the consensus log, which is durable as far as
//! it was flushed.

use bytes::Bytes;
use ledger_fixtures::Rng;
use ledger_format::block::Block;
use ledger_replay::Ledger;

#[derive(Debug)]
pub(crate) struct Disk {
    /// What the blocks come to. The product's store rebuilds it from blocks; that is tested there, and would take most of a run here.
    pub(crate) ledger: Ledger,
    /// Encoded blocks, from height 1 on.
    pub(crate) blocks: Vec<Bytes>,
    /// Records of the consensus log.
    pub(crate) log: Vec<Vec<u8>>,
    /// How many of them are durable.
    pub(crate) flushed: usize,
}

impl Disk {
    pub(crate) const fn new(ledger: Ledger) -> Self {
        Self { ledger, blocks: Vec::new(), log: Vec::new(), flushed: 0 }
    }

    pub(crate) fn append(&mut self, record: Vec<u8>) {
        self.log.push(record);
    }

    pub(crate) fn flush(&mut self) {
        self.flushed = self.log.len();
    }

    /// Makes a block durable. The log's records of its height have done their work; like the real one, it is emptied now and then.
    pub(crate) fn commit(&mut self, block: &Block, empty_log: bool) {
        self.blocks.push(Bytes::from(block.encode()));
        if empty_log {
            let height = block.body.header.height;
            self.log = vec![ledger_replica::done(height)];
            self.flushed = 1;
        }
    }

    /// The process has died: of what was not flushed, any beginning may have reached the disk. How many records were lost.
    pub(crate) fn crash(&mut self, dice: &mut Rng) -> usize {
        let unflushed = self.log.len() - self.flushed;
        let kept = self.flushed + dice.below(unflushed + 1);
        let lost = self.log.len() - kept;
        self.log.truncate(kept);
        self.flushed = self.log.len();
        lost
    }
}
