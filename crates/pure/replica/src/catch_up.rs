//! Which blocks others have that are missing here, whom to ask for them, and those that came. One request at a time, of one peer:
//! memory is bounded by one message.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ledger_format::digest::KeyId;

use crate::message::PresentedBlock;
use crate::planted::{self, Bug};

/// How often a peer that is behind is told of it, in milliseconds.
const REMIND_MS: u64 = 500;

/// A block that somebody gave away as decided.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) from: KeyId,
    pub(crate) block: Bytes,
    pub(crate) signature: Option<[u8; 64]>,
}

/// Tips of others, the open request, and blocks that wait to be executed.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    tips: BTreeMap<KeyId, u64>,
    /// The open request: its number and whom it was made of.
    asked: Option<(u64, KeyId)>,
    requests: u64,
    /// How often a peer did not answer, or answered with what may not follow. Who failed least is asked first, whatever others claim
    /// to have: several that lie must not keep those who do not from being asked.
    failures: BTreeMap<KeyId, u32>,
    blocks: VecDeque<Given>,
    /// When somebody who is behind was told last.
    reminded: BTreeMap<KeyId, u64>,
}

impl CatchUp {
    /// Notes that a peer has all blocks up to a height.
    pub(crate) fn note(&mut self, peer: KeyId, height: u64) {
        let tip = self.tips.entry(peer).or_default();
        *tip = (*tip).max(height);
    }

    /// Forgets what a peer claimed to have: it gave something that is no block of this ledger.
    pub(crate) fn distrust(&mut self, peer: KeyId) {
        if planted::is(Bug::NeverDistrusts) {
            return;
        }
        self.tips.remove(&peer);
        self.blocks.retain(|given| given.from != peer);
        self.fail(peer);
    }

    fn fail(&mut self, peer: KeyId) {
        let failures = self.failures.entry(peer).or_default();
        *failures = failures.saturating_add(1);
    }

    /// Forgets a peer that is gone: it has to tell again what it has, and nothing is kept of strangers.
    pub(crate) fn forget(&mut self, peer: &KeyId, is_validator: bool) {
        self.tips.remove(peer);
        self.reminded.remove(peer);
        if !is_validator {
            self.failures.remove(peer);
        }
        if self.asked.is_some_and(|(_, asked)| asked == *peer) {
            self.asked = None;
        }
    }

    /// The highest tip that a peer claims.
    pub(crate) fn highest(&self) -> u64 {
        self.tips.values().copied().max().unwrap_or_default()
    }

    /// Whom to ask for `next` now, if anybody, and the number of the request: nobody while an answer may still come, or blocks wait.
    pub(crate) fn ask(&mut self, next: u64) -> Option<(u64, KeyId)> {
        if self.asked.is_some() || !self.blocks.is_empty() {
            return None;
        }
        let having = self.tips.iter().filter(|(_, tip)| **tip >= next);
        let failures = |peer: &KeyId| self.failures.get(peer).copied().unwrap_or_default();
        let preferred = having.max_by_key(|(peer, tip)| (Reverse(failures(peer)), **tip));
        let peer = preferred.map(|(peer, _)| *peer)?;
        self.requests += 1;
        self.asked = Some((self.requests, peer));
        self.asked
    }

    /// A request was not answered in time: another peer is asked if there is one.
    pub(crate) fn give_up(&mut self, request: u64) {
        let asked = self.asked.filter(|_| !planted::is(Bug::NeverGivesUp));
        if let Some((_, peer)) = asked.filter(|(number, _)| *number == request) {
            self.fail(peer);
            self.asked = None;
        }
    }

    /// A peer's answer brought nothing new.
    pub(crate) fn disappoint(&mut self, peer: KeyId) {
        self.fail(peer);
    }

    /// Takes blocks that were asked for, and says so. Others are dropped.
    pub(crate) fn take(&mut self, from: KeyId, blocks: Vec<PresentedBlock>) -> bool {
        if self.asked.is_none_or(|(_, peer)| peer != from) {
            return false;
        }
        self.asked = None;
        self.blocks.extend(blocks.into_iter().map(|PresentedBlock { block, signature }| Given {
            from,
            block: block.into(),
            signature,
        }));
        true
    }

    /// The next block to execute.
    pub(crate) fn next(&mut self) -> Option<Given> {
        self.blocks.pop_front()
    }

    /// Whether a peer that is behind may be told of it again.
    pub(crate) fn may_remind(&mut self, peer: KeyId, now_ms: u64) -> bool {
        let due = self.reminded.get(&peer).is_none_or(|last| now_ms.abs_diff(*last) >= REMIND_MS);
        if due {
            self.reminded.insert(peer, now_ms);
        }
        due
    }
}
