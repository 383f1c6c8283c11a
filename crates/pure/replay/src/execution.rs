//! Executing a block without changing the ledger: as its proposer, or to check what somebody else proposed.

use alloc::format;
use alloc::vec::Vec;
use core::borrow::Borrow;

use ledger_event::Clock;
use ledger_event::event::Act;
use ledger_format::block::Body;
use ledger_format::digest::{EntryId, Hash, KeyId};
use ledger_format::entry::Entry;
use ledger_format::evidence::Evidence;
use ledger_format::genesis::PROTOCOL_VERSIONS;
use ledger_format::header::{HEADER_BYTES, Header};
use ledger_merkle::log::Frontier;
use ledger_merkle::trie::{Delta, TrieError};
use ledger_rules::{BlockRules, Code, Link, Refusal};
use ledger_verify::block::{check_fixed_time, check_header, check_root, declared_time};
use ledger_verify::finding::{Code as Finding, Place, Refuted};

use crate::ledger::{Ledger, StateView};
use crate::misconduct;
use crate::window::{BlockWindow, Known};

/// Bytes of a body before its entries: header and count (docs/spec/block.md).
const BODY_HEAD_BYTES: usize = HEADER_BYTES + 4;

/// A block that was executed and not committed.
#[derive(Debug)]
pub struct Executed {
    /// The header, with all roots.
    pub header: Header,
    /// Ids of the entries.
    pub ids: Vec<EntryId>,
    /// Leaf index of the first entry.
    pub first_entry: u64,
    /// Id of the leaf that is the header before; `None` at height 1.
    pub header_leaf: Option<EntryId>,
    /// The timelines that each entry is on.
    pub links: Vec<Vec<Link>>,
    /// What the block adds to the window.
    pub window: Vec<Known>,
    /// Evidence that its entries record.
    pub evidence: Vec<Evidence>,
    pub(crate) delta: Delta,
    pub(crate) frontier: Frontier,
}

impl Executed {
    /// New record bytes by state key, ascending.
    pub fn records(&self) -> Vec<(&Hash, &[u8])> {
        self.delta.changes().collect()
    }
}

/// What a proposer made of its candidates.
#[derive(Debug, Default)]
pub struct Proposal {
    /// The block; `None` when no candidate could enter one.
    pub block: Option<Executed>,
    /// Numbers of the candidates that are in the block, ascending.
    pub included: Vec<usize>,
    /// Numbers of the candidates that are refused, and why. The others may try again.
    pub refused: Vec<(usize, Refusal)>,
}

impl Ledger {
    /// Builds the next block from candidates in order of arrival, whose signatures were checked. `now_ms` is the proposer's
    /// clock; a declared clock ignores it.
    pub fn propose(&self, proposer: KeyId, now_ms: u64, candidates: &[&Entry]) -> Proposal {
        let after = self.time_ms().saturating_add(1);
        match (self.height(), self.genesis().clock()) {
            (0, _) => self.propose_at(proposer, after, candidates, false),
            (_, Clock::Declared) => self.propose_declared(proposer, candidates),
            (_, Clock::Wall | Clock::Unspecified) => {
                self.propose_at(proposer, now_ms.max(after), candidates, false)
            }
        }
    }

    /// On a declared clock the header's time is the latest that an included entry claims. It is taken from the first candidate;
    /// later claims wait for the next block, so that order is kept and nothing jumps ahead. A first candidate that is refused
    /// sets no time: it is put aside and the others are judged by a time of their own.
    fn propose_declared(&self, proposer: KeyId, candidates: &[&Entry]) -> Proposal {
        let before = self.time_ms();
        let step = u64::from(self.genesis().limits().declared_step_s).saturating_mul(1000);
        let mut refused: Vec<(usize, Refusal)> = Vec::new();
        for (first, entry) in (0_usize..).zip(candidates) {
            let time_ms = declared_time(before, entry.claims().issued_s);
            if time_ms > before.saturating_add(step) {
                let detail = format!("the clock may move {step} ms in one block");
                refused.push((first, Refusal::new(Code::Ahead, detail)));
                continue;
            }
            // Where its time moves the clock, the first must be in the block.
            let moves = time_ms > before.saturating_add(1);
            let rest = candidates.get(first..).unwrap_or_default();
            let mut proposal = self.propose_at(proposer, time_ms, rest, moves);
            let put_aside = moves && proposal.included.is_empty() && !proposal.refused.is_empty();
            proposal.shift(first);
            refused.append(&mut proposal.refused);
            if !put_aside {
                return Proposal { refused, ..proposal };
            }
        }
        Proposal { refused, ..Proposal::default() }
    }

    /// The log's edge with the last header, which is a leaf of the next block.
    fn frontier_with_header(&self) -> Frontier {
        let mut frontier = self.frontier.clone();
        if let Some(header) = self.header() {
            frontier.push(header.leaf().0);
        }
        frontier
    }

    /// With `first_must` the attempt ends when the first candidate is refused, before work is spent on the others.
    fn propose_at(
        &self,
        proposer: KeyId,
        time_ms: u64,
        candidates: &[&Entry],
        first_must: bool,
    ) -> Proposal {
        // The entries of a genesis file are all of block 1, whatever they claim within its time.
        let declared = self.genesis().clock() == Clock::Declared && self.height() > 0;
        let mut proposal = Proposal::default();
        if !PROTOCOL_VERSIONS.contains(&self.protocol().version) {
            return proposal;
        }
        let state = self.state();
        let Some(mut execution) = Execution::begin(self, &state, time_ms) else { return proposal };
        for (number, entry) in (0_usize..).zip(candidates) {
            let later = declared && entry.claims().issued_s.saturating_mul(1000) > time_ms;
            if later || !execution.has_room(entry) {
                break;
            }
            match execution.apply(entry) {
                Ok(()) => proposal.included.push(number),
                Err(refusal) => {
                    proposal.refused.push((number, refusal));
                    if first_must && number == 0 {
                        return proposal;
                    }
                }
            }
        }
        if !proposal.included.is_empty() {
            proposal.block = execution.finish(proposer).ok();
        }
        proposal
    }

    /// Which of these entries the budgets would refuse in a block of now, by number, and why: whoever sent them can be told before
    /// signatures are checked. On a declared clock nobody knows the time of the next block, and none is named.
    pub fn beyond_budget(&self, now_ms: u64, entries: &[&Entry]) -> Vec<(usize, Refusal)> {
        let (state, time_ms) = (self.state(), now_ms.max(self.time_ms()));
        let height = self.height().saturating_add(1);
        let rules = BlockRules::begin(&state, height, time_ms);
        let Some(rules) = rules.filter(|_| self.genesis().clock() != Clock::Declared) else {
            return Vec::new();
        };
        let afforded = entries.iter().map(|entry| rules.afford(entry));
        (0_usize..).zip(afforded).filter_map(|(number, it)| Some((number, it.err()?))).collect()
    }

    /// Checks what costs least of a block that somebody else made, before its entries are read: its header, its size, and that its
    /// entries are those of the header's tree. What is wrong with them then is of whoever made the header.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check_outline(&self, body: &Body, ids: &[EntryId]) -> Result<(), Refuted> {
        let (header, genesis) = (&body.header, self.genesis());
        let version = self.protocol().version;
        check_header(genesis, self.header(), version, self.validators(), header)?;
        let within = |value: usize, cap: u32| usize::try_from(cap).is_ok_and(|cap| value <= cap);
        let bytes: usize = body.entries.iter().map(|entry| entry.len().saturating_add(2)).sum();
        let limits = genesis.limits();
        let place = || Place::block(header.height);
        if !within(bytes.saturating_add(BODY_HEAD_BYTES), limits.block_bytes)
            || !within(ids.len(), limits.block_entries)
        {
            let detail = "above the caps of genesis";
            return Err(Refuted::new(Finding::BlockLimits, place(), detail));
        }
        let mut frontier = self.frontier_with_header();
        for id in ids {
            frontier.push(id.0);
        }
        check_tree(place(), (frontier.size(), &frontier.root()), header)
    }

    /// Executes a block that somebody else made, and compares everything that its header says. Signatures of entries and the
    /// certificate are checked apart.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self, body: &Body, entries: &[impl Borrow<Entry>]) -> Result<Executed, Refuted> {
        let header = &body.header;
        check_header(
            self.genesis(),
            self.header(),
            self.protocol().version,
            self.validators(),
            header,
        )?;
        let latest =
            entries.iter().map(|entry| entry.borrow().claims().issued_s).max().unwrap_or_default();
        check_fixed_time(self.genesis(), self.time_ms(), header, latest)?;
        let place = || Place::block(header.height);
        let state = self.state();
        let mut execution = Execution::begin(self, &state, header.time_ms)
            .ok_or_else(|| Refuted::new(Finding::Genesis, place(), "the state is no ledger's"))?;
        for entry in entries.iter().map(Borrow::borrow) {
            if !execution.has_room(entry) {
                return Err(Refuted::new(
                    Finding::BlockLimits,
                    place(),
                    "above the caps of genesis",
                ));
            }
            let leaf = execution.frontier.size();
            execution
                .apply(entry)
                .map_err(|refusal| refuted(header.height, leaf, entry, &refusal))?;
        }
        if entries.is_empty() {
            return Err(Refuted::new(Finding::BlockLimits, place(), "no entries"));
        }
        let executed = execution.finish(header.proposer);
        let executed = executed
            .map_err(|error| Refuted::new(Finding::StateRoot, place(), format!("{error}")))?;
        compare(&executed.header, header)?;
        Ok(executed)
    }
}

fn refuted(height: u64, leaf: u64, entry: &Entry, refusal: &Refusal) -> Refuted {
    let code = match refusal.code {
        Code::Duplicate | Code::Conflict => Finding::Duplicate,
        Code::GenesisPlace => Finding::Genesis,
        _ => Finding::Refused,
    };
    Refuted::new(code, Place::entry(height, leaf, entry.id()), format!("{refusal}"))
}

/// Compares the roots that execution gave with those that a header claims.
fn compare(expected: &Header, found: &Header) -> Result<(), Refuted> {
    let place = || Place::block(found.height);
    check_tree(place(), (expected.tree_size, &expected.tree_root), found)?;
    check_root(Finding::StateRoot, place(), &expected.state_root, &found.state_root)?;
    check_root(Finding::Validators, place(), &expected.next_validators, &found.next_validators)
}

fn check_tree(place: Place, (size, root): (u64, &Hash), found: &Header) -> Result<(), Refuted> {
    if size != found.tree_size {
        return Err(Refuted::differs(Finding::TreeSize, place, size, found.tree_size));
    }
    check_root(Finding::TreeRoot, place, root, &found.tree_root)
}

impl Proposal {
    /// Renumbers candidates that were counted from `first`.
    fn shift(&mut self, first: usize) {
        let refused = self.refused.iter_mut().map(|(number, _)| number);
        for number in self.included.iter_mut().chain(refused) {
            *number = number.saturating_add(first);
        }
    }
}

/// A block in the making.
struct Execution<'a> {
    ledger: &'a Ledger,
    rules: BlockRules<'a>,
    window: BlockWindow<'a>,
    frontier: Frontier,
    header_leaf: Option<EntryId>,
    first_entry: u64,
    ids: Vec<EntryId>,
    evidence: Vec<Evidence>,
    bytes: usize,
    time_ms: u64,
}

impl<'a> Execution<'a> {
    fn begin(ledger: &'a Ledger, state: &'a StateView<'a>, time_ms: u64) -> Option<Self> {
        let height = ledger.height().saturating_add(1);
        let rules = BlockRules::begin(state, height, time_ms)?;
        let frontier = ledger.frontier_with_header();
        Some(Self {
            ledger,
            rules,
            window: BlockWindow::new(ledger.window()),
            first_entry: frontier.size(),
            frontier,
            header_leaf: ledger.header().map(Header::leaf),
            ids: Vec::new(),
            evidence: Vec::new(),
            bytes: BODY_HEAD_BYTES,
            time_ms,
        })
    }

    /// Whether the block stays within the caps of genesis with one more entry.
    fn has_room(&self, entry: &Entry) -> bool {
        let limits = self.ledger.genesis().limits();
        let within = |value: usize, cap: u32| usize::try_from(cap).is_ok_and(|cap| value <= cap);
        within(self.bytes_with(entry), limits.block_bytes)
            && within(self.ids.len().saturating_add(1), limits.block_entries)
    }

    fn bytes_with(&self, entry: &Entry) -> usize {
        self.bytes.saturating_add(entry.bytes().len()).saturating_add(2)
    }

    /// Judges and adds one entry. On a refusal nothing has changed.
    fn apply(&mut self, entry: &Entry) -> Result<(), Refusal> {
        if self.ledger.height() == 0 && self.ids.is_empty() {
            let genesis = matches!(entry.event().act, Some(Act::GenesisPublished(_)));
            if !genesis {
                return Err(Refusal::new(Code::GenesisPlace, "the first leaf must be genesis"));
            }
        }
        let known = self.window.check(entry)?;
        let evidence = misconduct::check(self.ledger, entry)?;
        self.rules.apply(entry, self.frontier.size())?;
        self.evidence.extend(evidence);
        self.window.add(known);
        self.bytes = self.bytes_with(entry);
        self.frontier.push(entry.id().0);
        self.ids.push(entry.id());
        Ok(())
    }

    fn finish(self, proposer: KeyId) -> Result<Executed, TrieError> {
        let ledger = self.ledger;
        let changes = self.rules.finish();
        let records = changes.records.into_iter();
        let boxed = records.map(|(key, record)| (key, record.into_boxed_slice()));
        let delta = ledger.trie.propose(ledger.trie.tip(), boxed.collect())?;
        let header = Header {
            protocol_version: ledger.protocol().version,
            ledger: ledger.genesis().id(),
            height: ledger.height().saturating_add(1),
            previous: ledger.header().map_or(ledger.genesis().id().0, |header| header.hash().0),
            time_ms: self.time_ms,
            proposer,
            tree_size: self.frontier.size(),
            tree_root: self.frontier.root(),
            state_root: delta.root(),
            validators: ledger.validators().hash(),
            next_validators: ledger.next_validators().hash(),
        };
        Ok(Executed {
            header,
            ids: self.ids,
            first_entry: self.first_entry,
            header_leaf: self.header_leaf,
            links: changes.links,
            window: self.window.into_rows(),
            evidence: self.evidence,
            delta,
            frontier: self.frontier,
        })
    }
}
