//! Disks that lose what they held, say something else, or cannot be read, and how operators bring their nodes back.

use ledger_replay::Ledger;

use super::{Happening, World};
use crate::checks::Violation;
use crate::disk::Disk;
use crate::node::Node;
use crate::plan::Trouble;

/// How long an operator takes at most to bring a node back.
const OPERATOR_MS: usize = 4_000;

impl World {
    /// A bit of a disk flips. In the log it is found when the process starts; in a block then, or when somebody asks for it.
    pub(super) fn flip(&mut self, node: usize, trouble: Trouble) {
        if !self.may_lose(node) {
            return;
        }
        let disk = &mut self.nodes[node].disk;
        let is_of_log = trouble == Trouble::BitFlipLog;
        let flipped =
            if is_of_log { disk.flip_log(&mut self.dice) } else { disk.flip_block(&mut self.dice) };
        if !flipped {
            return;
        }
        self.fault(trouble.name());
        self.nodes[node].disk.damaged = Some(trouble);
        if is_of_log || self.dice.once_in(2) {
            self.crash(node, Trouble::Crash.name());
        }
    }

    /// Whether a node's disk may fail now: one at a time, and none of a liar, which would be one that fails too many. Two that have forgotten
    /// what they signed at one height, on their operators' word, may decide another block there.
    fn may_lose(&self, node: usize) -> bool {
        let is_over = |node: &Node| node.disk.ledger.height() >= node.vouched;
        let is_whole = |node: &Node| !node.forgot && node.disk.damaged.is_none() && is_over(node);
        self.stormy && self.nodes[node].lies.is_none() && self.nodes.iter().all(is_whole)
    }

    /// Reads a node's disk for a start: the records of its log, if its process can run.
    pub(super) fn open(&mut self, number: usize) -> Option<Vec<Vec<u8>>> {
        if std::mem::take(&mut self.nodes[number].disk.read_fails) {
            self.fault(Trouble::ReadError.name());
            self.start_later(number);
            return None;
        }
        let disk = &mut self.nodes[number].disk;
        if disk.open_blocks().is_err() {
            self.block_refused(number);
            return None;
        }
        let log = disk.open_log();
        let is_damaged = disk.damaged == Some(Trouble::BitFlipLog);
        if log.is_err() {
            self.log_refused(number);
        } else if is_damaged {
            self.checks.violations.push(Violation::DamageBelieved { node: number });
        }
        log.ok()
    }

    fn start_later(&mut self, node: usize) {
        let after = 50 + u64::try_from(self.dice.below(OPERATOR_MS)).unwrap();
        self.after(after, Happening::Starts { node });
    }

    /// A node refuses its consensus log. Its operator has it put aside (`recover`).
    fn log_refused(&mut self, number: usize) {
        self.fault("log_refused");
        let Node { disk, forgot, is_validator, .. } = &mut self.nodes[number];
        disk.empty_log();
        disk.damaged = None;
        *forgot = *is_validator;
        self.start_later(number);
    }

    /// A node refuses a block of its own store. Its operator gives it another disk, on which it has no memory.
    pub(super) fn block_refused(&mut self, number: usize) {
        self.fault("block_refused");
        self.crash(number, Trouble::Crash.name());
        let ledger = Ledger::new(self.genesis.clone()).unwrap();
        let Node { disk, forgot, is_validator, .. } = &mut self.nodes[number];
        *disk = Disk::new(ledger);
        *forgot = *is_validator;
        self.start_later(number);
    }

    /// An operator has all blocks of a node read (`reindex`).
    pub(super) fn look_through(&mut self, number: usize) {
        if self.nodes[number].disk.blocks(1, usize::MAX).is_err() {
            self.block_refused(number);
        }
    }

    /// A validator's disk is lost, or the consensus log alone: it comes back as its operator lets it.
    pub(super) fn perhaps_forget(&mut self, node: usize) {
        let may = self.plan.forgets && self.nodes[node].is_validator && self.may_lose(node);
        if !may || !self.dice.once_in(4) {
            return;
        }
        self.fault("lost_memory");
        let ledger = Ledger::new(self.genesis.clone()).unwrap();
        let Node { disk, forgot, .. } = &mut self.nodes[node];
        *forgot = true;
        if self.dice.once_in(2) {
            *disk = Disk::new(ledger);
        } else {
            disk.empty_log();
        }
    }
}
