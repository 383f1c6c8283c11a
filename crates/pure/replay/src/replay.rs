//! Reading a chain from its genesis, block by block, and believing none of it: the auditor's way, and a follower's.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::event::Act;
use ledger_event::{Clock, Record};
use ledger_format::block::Block;
use ledger_format::digest::{EntryId, Hash, KeyId};
use ledger_format::entry::{Entry, leaf_hash};
use ledger_format::genesis::GenesisDocument;
use ledger_format::id::state_key;
use ledger_format::message;
use ledger_format::validators::Validators;
use ledger_rules::View;
use ledger_verify::block::check_certificate;
use ledger_verify::entry::{EntryBatch, check_signatures};
use ledger_verify::finding::{Code, Place, Refuted};
use ledger_verify::verdict::{Aspect, Report, Verdict, caveats};

use crate::execution::Executed;
use crate::ledger::Ledger;

/// Signatures that are collected before they are checked together. Larger batches gain little (docs/adr/0003).
const BATCH_SIGNATURES: usize = 1024;

/// What has been checked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks, and so certificates, headers and state roots.
    pub blocks: u64,
    /// Entries.
    pub entries: u64,
    /// Signatures of entries, co-signatures included.
    pub signatures: u64,
    /// Signatures of certificates.
    pub votes: u64,
    /// Records compared with the state at the end.
    pub records: u64,
}

/// A chain in verification.
#[derive(Debug)]
pub struct Replay {
    ledger: Ledger,
    batch: EntryBatch,
    places: Vec<Place>,
    counts: Counts,
    /// The sets that have signed, without repetition.
    sets: Vec<Validators>,
    last_record: Option<Hash>,
}

impl Replay {
    /// Begins with a genesis document. Whether it is the one that is trusted, the caller has checked.
    ///
    /// # Errors
    /// [`Code::WeakKey`].
    pub fn new(genesis: GenesisDocument) -> Result<Self, Refuted> {
        Ok(Self::resume(Ledger::new(genesis)?))
    }

    /// Goes on from a ledger that is trusted already: a follower, or a node that rebuilds its indexes.
    pub fn resume(ledger: Ledger) -> Self {
        let (batch, places) = (EntryBatch::new(), Vec::new());
        let sets = Vec::new();
        Self { ledger, batch, places, counts: Counts::default(), sets, last_record: None }
    }

    /// The ledger so far. Signatures of the last entries may still be unchecked until [`Replay::settle`].
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The ledger, for whoever goes on with it. After [`Replay::settle`] only.
    pub fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// What has been checked so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Verifies the next block and takes it. `keep` sees it before it is taken.
    ///
    /// # Errors
    /// The first contradiction. Signatures are checked in batches: one that fails may be reported some blocks later, with its own
    /// place.
    pub fn push(&mut self, block: &Block, keep: impl FnOnce(&Executed)) -> Result<(), Refuted> {
        let header = &block.body.header;
        let height = self.ledger.height().saturating_add(1);
        if header.height != height {
            // Before all else: every other finding is named by its height.
            let place = Place::block(height);
            return Err(Refuted::differs(Code::Height, place, height, header.height));
        }
        // The certificate next: what validators did not sign is nobody's block.
        let support = check_certificate(self.ledger.validators(), header, &block.certificate)?;
        let first = self.ledger.tree_size().saturating_add(u64::from(self.ledger.height() > 0));
        let entries = decode_entries(header.height, first, &block.body.entries)?;
        let executed = self.ledger.check(&block.body, &entries);
        let executed = executed.map_err(|found| self.blame(height, first, &entries, found))?;
        self.collect(header.height, first, &entries);
        if self.batch.len() >= BATCH_SIGNATURES {
            self.settle()?;
        }
        if self.sets.last().is_none_or(|set| set.hash() != header.validators) {
            self.sets.push(self.ledger.validators().clone());
        }
        keep(&executed);
        self.ledger.commit(executed).map_err(|error| {
            Refuted::new(Code::StateRoot, Place::block(header.height), format!("{error}"))
        })?;
        self.counts.blocks = self.counts.blocks.saturating_add(1);
        self.counts.entries = self.counts.entries.saturating_add(count(entries.len()));
        self.counts.votes = self.counts.votes.saturating_add(count(support.signers));
        Ok(())
    }

    /// The finding about a block that does not hold: an entry whose signatures fail is its cause, wherever it showed first.
    fn blame(&self, height: u64, first: u64, entries: &[Entry], found: Refuted) -> Refuted {
        let changed = (first..).zip(entries).find_map(|(leaf, entry)| {
            let signed = check_signatures(entry, |kid| self.ledger.public_key(kid));
            signed.err().map(|refuted| refuted.at(Place::entry(height, leaf, entry.id())))
        });
        changed.unwrap_or(found)
    }

    /// Keys are looked up in the state before the block, which is the one that judges it.
    fn collect(&mut self, height: u64, first: u64, entries: &[Entry]) {
        let mut keys: BTreeMap<KeyId, Option<[u8; 32]>> = BTreeMap::new();
        for (leaf, entry) in (first..).zip(entries) {
            for kid in entry.kids() {
                keys.entry(kid).or_insert_with(|| self.ledger.public_key(&kid));
            }
            let number = self.places.len();
            self.batch.push(number, entry, |kid| keys.get(kid).copied().flatten());
            self.places.push(Place::entry(height, leaf, entry.id()));
        }
    }

    /// Checks the signatures collected so far.
    ///
    /// # Errors
    /// The first that fails.
    pub fn settle(&mut self) -> Result<(), Refuted> {
        let batch = core::mem::take(&mut self.batch);
        let places = core::mem::take(&mut self.places);
        self.counts.signatures = self.counts.signatures.saturating_add(count(batch.len()));
        match batch.verify().into_iter().next() {
            None => Ok(()),
            Some((number, refuted)) => {
                let place = places.get(number).cloned().unwrap_or_default();
                Err(refuted.at(place))
            }
        }
    }

    /// Compares a record that came with the chain with the state after the last block. Records come ascending by key.
    ///
    /// # Errors
    /// [`Code::Record`], naming the record.
    pub fn check_record(&mut self, bytes: &Bytes) -> Result<(), Refuted> {
        let height = self.ledger.height();
        let record: Record = message::decode("record", bytes).map_err(|malformed| {
            Refuted::new(Code::Record, Place::block(height), format!("{malformed}"))
        })?;
        let place = Place::record(height, &record.id);
        let key = state_key(&record.id);
        if self.last_record.is_some_and(|last| last >= key) {
            return Err(Refuted::new(Code::Record, place, "repeated or out of order"));
        }
        if self.ledger.state().record(&key) != Some(bytes.as_ref()) {
            return Err(Refuted::new(Code::Record, place, "the state has another record, or none"));
        }
        self.last_record = Some(key);
        self.counts.records = self.counts.records.saturating_add(1);
        Ok(())
    }

    /// Checks what is left and says what was verified.
    ///
    /// # Errors
    /// A signature that fails, records that are missing, or genesis without its founders.
    pub fn finish(&mut self) -> Result<Report, Refuted> {
        self.settle()?;
        let height = self.ledger.height();
        if height == 0 {
            let place = Place::default();
            return Err(Refuted::new(
                Code::Genesis,
                place,
                "no block: nobody has signed this genesis",
            ));
        }
        let (found, expected) = (self.counts.records, self.ledger.record_count());
        if found != 0 && found != expected {
            let detail = format!("expected {expected} records, found {found}");
            return Err(Refuted::new(Code::Record, Place::block(height), detail));
        }
        Ok(self.report())
    }

    fn report(&self) -> Report {
        let Counts { blocks, entries, signatures, votes, records } = self.counts;
        let genesis = self.ledger.genesis();
        let mut report = Report::bare(Verdict::Proven);
        report
            .checked(Aspect::Integrity, format!("{blocks} blocks follow each other from genesis"));
        report.checked(
            Aspect::Integrity,
            format!("{entries} entries give the tree root of every header"),
        );
        report.checked(
            Aspect::Integrity,
            format!("{blocks} state roots, by executing every entry again"),
        );
        if records > 0 {
            report.checked(Aspect::Integrity, format!("{records} records are the whole state"));
        }
        report.checked(Aspect::Identity, format!("{signatures} signatures of entries"));
        report.checked(
            Aspect::Identity,
            "every entry was allowed: its signers, roles and rules in force",
        );
        report.checked(Aspect::Quorum, format!("{blocks} certificates, {votes} votes"));
        if let changes @ 1.. = self.sets.len().saturating_sub(1) {
            report.checked(
                Aspect::Quorum,
                format!("{changes} change(s) of the validators, each certified by the set before"),
            );
        }
        let now = self.ledger.validators();
        let (members, power) = (now.members().len(), now.total_power());
        report.checked(
            Aspect::Quorum,
            format!("the next block is for {members} validator(s) of power {power} to sign"),
        );
        match genesis.clock() {
            Clock::Declared => {
                report.checked(Aspect::Time, "header times are the latest that entries claim");
            }
            Clock::Wall | Clock::Unspecified => {
                report.checked(
                    Aspect::Time,
                    "header times ascend, and no entry was taken outside its window",
                );
                report.unchecked(
                    Aspect::Time,
                    "that header times were true: each is its proposer's clock",
                );
            }
        }
        let text = "that no later block exists: compare with a newer checkpoint";
        report.unchecked(Aspect::Scope, text);
        let text = "what digests and commitments stand for: that is off the ledger";
        report.unchecked(Aspect::Scope, text);
        caveats(genesis, &self.sets, &mut report);
        report
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Decodes the entries of a block, and names the one that is no entry.
///
/// # Errors
/// [`Code::EntryForm`].
pub fn decode_entries(height: u64, first: u64, entries: &[Bytes]) -> Result<Vec<Entry>, Refuted> {
    (first..).zip(entries).map(|(leaf, bytes)| decode_entry(height, leaf, bytes)).collect()
}

/// Decodes one entry of a block.
///
/// # Errors
/// [`Code::EntryForm`].
pub fn decode_entry(height: u64, leaf: u64, bytes: &Bytes) -> Result<Entry, Refuted> {
    Entry::decode(bytes.clone()).map_err(|malformed| {
        let id = EntryId(leaf_hash(bytes));
        Refuted::new(Code::EntryForm, Place::entry(height, leaf, id), format!("{malformed}"))
    })
}

/// Whether an entry is the one that brings genesis.
pub fn is_genesis(entry: &Entry) -> bool {
    matches!(entry.event().act, Some(Act::GenesisPublished(_)))
}
