//! The end of a run: whether it came to rest, and what the chains hold.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ledger_event::SetChange;
use ledger_format::block::{Block, Body};
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::{Entry, leaf_hash};
use ledger_format::evidence::{Evidence, EvidenceFile};
use ledger_format::vote::Certificate;
use ledger_replay::{Replay, SetHistory};
use ledger_verify::evidence::verify_evidence_file;
use ledger_verify::verdict::Verdict;

use super::{Failure, Report, World};
use crate::checks::Violation;
use crate::index::Index;
use crate::node::Node;
use crate::spending::Spending;
use crate::versions::Versions;
use sha2::Digest as _;

/// Honest nodes where no entry waited at some moment since the last block.
#[derive(Debug, Default)]
pub(super) struct Emptied {
    height: u64,
    nodes: BTreeSet<usize>,
}

impl World {
    /// All honest nodes have the same height, no height open, no entry waiting, and no client without an answer.
    pub(super) fn is_settled(&self) -> bool {
        self.agree_except(&BTreeSet::new())
    }

    /// The same, but that entries may wait again where none did since the last block, if no quorum has them: a liar that never stops brings
    /// what all have refused to one after the other.
    pub(super) fn has_settled(&self, emptied: &mut Emptied) -> bool {
        let height = self.checks.height();
        if emptied.height != height {
            *emptied = Emptied { height, nodes: BTreeSet::new() };
        }
        let is_empty = |(number, node): (usize, &Node)| {
            let (reached, waiting, _) = node.standing();
            (node.liar.is_none() && reached == height && waiting == 0).then_some(number)
        };
        emptied.nodes.extend(self.nodes.iter().enumerate().filter_map(is_empty));
        self.fairness.waiting().is_empty() && self.agree_except(&emptied.nodes)
    }

    fn agree_except(&self, may_hold: &BTreeSet<usize>) -> bool {
        let height = self.checks.height();
        let mut honest = self.nodes.iter().enumerate().filter(|(_, node)| node.liar.is_none());
        honest.all(|(number, node)| {
            let (reached, waiting, is_at_rest) = node.standing();
            let is_empty = waiting == 0 || may_hold.contains(&number);
            let owes_nothing = || is_empty && !node.is_owing() || self.is_untold(number);
            reached == height && is_at_rest && owes_nothing()
        })
    }

    /// Whether a node holds entries that the rules refuse, and nothing else, and reaches nobody whose word it would take for
    /// that: they stay until they expire.
    fn is_untold(&self, number: usize) -> bool {
        let Node { process, disk, .. } = &self.nodes[number];
        let Some(process) = process.as_ref().filter(|_| self.plan.is_remote(number)) else {
            return false;
        };
        let is_waiting = |entry: &&Entry| process.replica.is_waiting(&entry.id());
        let waiting: Vec<&Entry> = process.held.values().filter(is_waiting).collect();
        let ledger = &disk.ledger;
        let by = ledger.validators().members().first().map(|member| member.id);
        let refused =
            by.map(|by| ledger.propose(by, self.clock_ms(number), &waiting).refused.len());
        let are_refused = refused == Some(waiting.len());
        let is_all = process.replica.pool_size().0 == waiting.len();
        are_refused && is_all && process.owed.iter().all(|owed| is_waiting(&owed))
    }

    pub(super) fn finish(mut self) -> Result<Report, Box<Failure>> {
        if self.checks.violations.is_empty() {
            self.check_chains();
            self.check_evidence();
            self.check_places();
            let missed = self.missed().into_iter().map(Violation::Missed);
            self.checks.violations.extend(missed);
        }
        let report = Report {
            seed: self.plan.seed,
            heights: self.checks.height(),
            simulated_ms: self.now_ms - self.begun_ms(),
            planned: self.plan.kinds(),
            waited: self.fairness.longest,
            faults: self.faults,
            acknowledged: self.checks.acknowledged(),
            messages: self.messages,
            trace: self.trace.finalize().into(),
        };
        if self.checks.violations.is_empty() {
            return Ok(report);
        }
        Err(Box::new(Failure { report, violations: self.checks.violations }))
    }

    /// What honest nodes hold against liars stands before the offline verifier, and whoever can judge it knows it: before version 4
    /// the state has the last two sets, and a block that was given away with a certificate of an older one is beyond judgement.
    fn check_evidence(&mut self) {
        let trust = self.genesis.id();
        let changes = self.set_changes();
        let mut named: BTreeMap<usize, BTreeSet<KeyId>> = BTreeMap::new();
        let mut all: Vec<(KeyId, Evidence)> = Vec::new();
        for (number, node) in self.nodes.iter().enumerate().filter(|(_, n)| n.liar.is_none()) {
            let known = named.entry(number).or_default();
            for evidence in &node.disk.evidence {
                let bytes = EvidenceFile::encode(Some(&self.genesis), &changes, evidence);
                let file = EvidenceFile::decode(bytes.into()).unwrap();
                let (report, proven) = verify_evidence_file(&file, None, &trust);
                if report.verdict != Verdict::Proven {
                    let unproven = Violation::Framed { node: number, validator: None };
                    self.checks.violations.push(unproven);
                }
                for culprit in proven {
                    self.checks.accused(number, culprit.key, evidence.height);
                    known.insert(culprit.key);
                    all.push((culprit.key, evidence.clone()));
                }
            }
        }
        for (node, known) in &named {
            let ledger = &self.nodes[*node].disk.ledger;
            let can_judge = |evidence: &Evidence| ledger.judge(evidence).is_ok();
            let untold =
                all.iter().filter(|(key, evidence)| !known.contains(key) && can_judge(evidence));
            let untold: BTreeSet<KeyId> = untold.map(|(key, _)| *key).collect();
            let untold =
                untold.into_iter().map(|validator| Violation::Untold { node: *node, validator });
            self.checks.violations.extend(untold);
        }
    }

    /// How the validators since genesis follow from each other, as an honest node's chain shows it.
    fn set_changes(&self) -> Vec<SetChange> {
        let honest = self.nodes.iter().filter(|node| node.lies.is_none());
        let longest = honest.max_by_key(|node| node.disk.ledger.height()).unwrap();
        let mut history = SetHistory::default();
        for block in longest.disk.blocks(1, usize::MAX).unwrap() {
            history.push(&block);
        }
        history.up_to(u64::MAX)
    }

    /// Those honest nodes vote that have a place in the set and their memory, and no others.
    fn check_places(&mut self) {
        for (number, node) in self.nodes.iter().enumerate().filter(|(_, n)| n.lies.is_none()) {
            let has_place = node.disk.ledger.validators().get(&node.id).is_some();
            let votes = node.process.as_ref().is_some_and(|process| process.replica.is_voting());
            if votes != (has_place && !node.forgot) {
                self.checks.violations.push(Violation::Misplaced { node: number });
            }
        }
    }

    /// Every honest node stores the same chain, which holds what was acknowledged and stands before the auditor's verifier.
    pub(super) fn check_chains(&mut self) {
        let all = 0..self.nodes.len();
        let honest: Vec<usize> = all.filter(|node| self.nodes[*node].liar.is_none()).collect();
        let mut bodies: Vec<Body> = Vec::new();
        for (first, node) in honest.into_iter().enumerate() {
            let blocks = self.nodes[node].disk.blocks(1, usize::MAX).unwrap();
            if first == 0 {
                bodies = blocks.iter().map(|block| block.body.clone()).collect();
            }
            self.check_stored(node, &blocks, &bodies);
            let entry = |height: u64, bytes: &Bytes| (EntryId(leaf_hash(bytes)), height);
            let chain: BTreeMap<EntryId, u64> = blocks
                .iter()
                .flat_map(|block| {
                    let height = block.body.header.height;
                    block.body.entries.iter().map(move |bytes| entry(height, bytes))
                })
                .collect();
            self.checks.finished(&chain);
            if first == 0 {
                self.audit(&blocks);
            }
        }
    }

    /// A node has the bodies that all have, each with a certificate that was found good when somebody committed the block with it.
    fn check_stored(&mut self, node: usize, blocks: &[Block], bodies: &[Body]) {
        let is_good = |(block, body): (&Block, &Body)| {
            let Certificate { block: hash, round, signatures, .. } = &block.certificate;
            let certified = (*hash, *round, signatures.clone());
            block.body == *body
                && *hash == body.header.hash()
                && self.certified.contains(&certified)
        };
        if blocks.len() != bodies.len() || !blocks.iter().zip(bodies).all(is_good) {
            let other = format!("node {node} has stored what it has not committed");
            self.checks.violations.push(Violation::Refuted(other));
        }
    }

    /// As an auditor does, and every history that the index leads through is the state's.
    fn audit(&mut self, blocks: &[Block]) {
        let mut replay = Replay::new(self.genesis.clone()).unwrap();
        let (mut index, mut spending) = (Index::default(), Spending::new(&self.genesis));
        let mut versions = Versions::new(&self.genesis);
        for block in blocks {
            let entries: Vec<Entry> = block
                .body
                .entries
                .iter()
                .map(|bytes| Entry::decode(bytes.clone()).unwrap())
                .collect();
            let mut indexed = Ok(());
            let pushed = replay.push(block, |executed| indexed = index.push(executed, &entries));
            self.checks.violations.extend(indexed.err().map(Violation::Index));
            let header = &block.body.header;
            let followed = versions.push(header.height, header.protocol_version, &entries);
            self.checks.violations.extend(followed.err().map(Violation::OutOfVersion));
            let spent = spending.push(header, &entries);
            self.checks.violations.extend(spent.err().map(Violation::Overspent));
            if let Err(refuted) = pushed {
                self.checks.violations.push(Violation::Refuted(refuted.to_string()));
                return;
            }
        }
        if let Err(refuted) = replay.finish() {
            self.checks.violations.push(Violation::Refuted(refuted.to_string()));
        }
        let compared = index.compare(replay.ledger());
        self.checks.violations.extend(compared.err().map(Violation::Index));
    }
}
