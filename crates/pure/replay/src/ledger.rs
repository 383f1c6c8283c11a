//! A ledger in memory: its state, the edge of its log, its head; and the one way in which it grows.
//!
//! Blocks are executed without changing anything (`execution.rs`), several may be open at a height, and [`Ledger::commit`] takes
//! the one that was decided.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::vec::Vec;

use ledger_event::KeyRecord;
use ledger_format::digest::{Hash, KeyId};
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::id::state_key;
use ledger_format::validators::Validators;
use ledger_merkle::log::Frontier;
use ledger_merkle::trie::{Proof, Retired, Trie, TrieError, Version};
use ledger_rules::View;
use ledger_rules::genesis::{VALIDATORS, VALIDATORS_BEFORE, genesis_records};
use ledger_rules::protocol::Protocol;
use ledger_rules::view::read_as;
use ledger_verify::entry::check_genesis_keys;
use ledger_verify::finding::Refuted;

use crate::execution::Executed;
use crate::window::{Known, Window};

/// How many recent heights keep their state, so that a reader who saw one can still ask for proofs of it.
pub const KEPT_HEIGHTS: usize = 64;

/// The state at one version, as the rules read it.
#[derive(Clone, Copy, Debug)]
pub struct StateView<'a> {
    trie: &'a Trie,
    version: Version,
}

impl View for StateView<'_> {
    fn record(&self, key: &Hash) -> Option<&[u8]> {
        // A view is only made of versions that are kept.
        self.trie.get(self.version, key).ok().flatten()
    }
}

/// A height whose state is kept.
#[derive(Debug)]
struct Kept {
    height: u64,
    version: Version,
    /// What the next version no longer needs, and so what can be freed once this one is given up.
    retired: Option<Retired>,
}

/// A ledger up to some height.
#[derive(Debug)]
pub struct Ledger {
    genesis: GenesisDocument,
    pub(crate) trie: Trie,
    kept: VecDeque<Kept>,
    pub(crate) frontier: Frontier,
    header: Option<Header>,
    /// They sign the next block, and the one after it.
    validators: Validators,
    next_validators: Validators,
    window: Window,
    pinned: BTreeMap<u64, u32>,
}

/// Why a ledger cannot be made of stored parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The records do not have the state root of the header.
    #[error("the stored state does not have the state root of height {height}")]
    StateRoot {
        /// The height.
        height: u64,
    },
    /// The edge of the log does not have the tree root of the header.
    #[error("the stored log does not have the tree root of height {height}")]
    TreeRoot {
        /// The height.
        height: u64,
    },
    /// The records are not sorted, or are listed twice.
    #[error("the stored state is out of order: {0}")]
    Order(TrieError),
    /// The state does not have the validators that the header names.
    #[error("the stored state does not have the validators that height {height} names as the next")]
    Validators {
        /// The height.
        height: u64,
    },
}

impl Ledger {
    /// The ledger of a genesis document, before its first block.
    ///
    /// # Errors
    /// [`ledger_verify::finding::Code::WeakKey`] when a founder's or validator's key is unsound.
    pub fn new(genesis: GenesisDocument) -> Result<Self, Refuted> {
        check_genesis_keys(&genesis)?;
        let records = genesis_records(&genesis).into_iter();
        let sorted = records.map(|(key, record)| (key, record.into_boxed_slice()));
        let trie = Trie::from_sorted(sorted).unwrap_or_default();
        let kept = Kept { height: 0, version: trie.tip(), retired: None };
        let validators = genesis.validators().clone();
        Ok(Self {
            next_validators: validators.clone(),
            validators,
            genesis,
            trie,
            kept: VecDeque::from([kept]),
            frontier: Frontier::new(),
            header: None,
            window: Window::default(),
            pinned: BTreeMap::new(),
        })
    }

    /// A ledger at the height of `header`, from stored parts that must have its roots.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(
        genesis: GenesisDocument,
        header: Header,
        frontier: Frontier,
        records: Vec<(Hash, Box<[u8]>)>,
        window: impl IntoIterator<Item = Known>,
    ) -> Result<Self, RestoreError> {
        let height = header.height;
        if frontier.root() != header.tree_root || frontier.size() != header.tree_size {
            return Err(RestoreError::TreeRoot { height });
        }
        let trie =
            Trie::from_sorted(with_genesis(&genesis, records)).map_err(RestoreError::Order)?;
        if trie.tip().root() != header.state_root {
            return Err(RestoreError::StateRoot { height });
        }
        let version = trie.tip();
        let state = StateView { trie: &trie, version };
        let sets = [VALIDATORS, VALIDATORS_BEFORE].map(|id| recorded_set(&state, id));
        let signs_next = |set: &&Validators| set.hash() == header.next_validators;
        let validators = sets.iter().flatten().find(signs_next).cloned();
        let [next_validators, _] = sets;
        let (Some(validators), Some(next_validators)) = (validators, next_validators) else {
            return Err(RestoreError::Validators { height });
        };
        let kept = Kept { height, version, retired: None };
        let mut known = Window::default();
        known.extend(window);
        known.expire(header.time_ms);
        Ok(Self {
            genesis,
            trie,
            kept: VecDeque::from([kept]),
            frontier,
            header: Some(header),
            validators,
            next_validators,
            window: known,
            pinned: BTreeMap::new(),
        })
    }

    /// The genesis document.
    pub const fn genesis(&self) -> &GenesisDocument {
        &self.genesis
    }

    /// The last header; `None` before the first block.
    pub const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Height of the last block, 0 before the first.
    pub fn height(&self) -> u64 {
        self.header.as_ref().map_or(0, |header| header.height)
    }

    /// Time of the last header; genesis' own before the first block.
    pub fn time_ms(&self) -> u64 {
        self.header.as_ref().map_or(self.genesis.message().start_ms, |header| header.time_ms)
    }

    /// Leaves of the log.
    pub fn tree_size(&self) -> u64 {
        self.frontier.size()
    }

    /// The validators that sign the next block.
    pub const fn validators(&self) -> &Validators {
        &self.validators
    }

    /// The validators that sign the block after the next one: those of the state.
    pub const fn next_validators(&self) -> &Validators {
        &self.next_validators
    }

    /// The version of the protocol that the next block follows.
    pub fn protocol(&self) -> Protocol {
        let first = Protocol { version: self.genesis.message().protocol_version, planned: None };
        Protocol::at(&self.state(), self.height().saturating_add(1)).unwrap_or(first)
    }

    /// Entries that may still be repeated.
    pub const fn window(&self) -> &Window {
        &self.window
    }

    /// The state after the last block.
    pub fn state(&self) -> StateView<'_> {
        StateView { trie: &self.trie, version: self.trie.tip() }
    }

    /// The state after a height, while it is kept.
    pub fn state_at(&self, height: u64) -> Option<StateView<'_>> {
        let kept = self.kept.iter().rev().find(|kept| kept.height == height)?;
        Some(StateView { trie: &self.trie, version: kept.version })
    }

    /// Records of the state.
    pub fn record_count(&self) -> u64 {
        self.trie.tip().len()
    }

    /// A proof of what a kept height says of a key.
    pub fn prove(&self, height: u64, key: &Hash) -> Option<Proof> {
        let state = self.state_at(height)?;
        self.trie.prove(state.version, key).ok()
    }

    /// Up to `limit` records of a kept height after a key, ascending.
    pub fn records_after(
        &self,
        height: u64,
        after: Option<&Hash>,
        limit: usize,
    ) -> Option<Vec<(Hash, Vec<u8>)>> {
        let state = self.state_at(height)?;
        let piece = |records: &mut dyn Iterator<Item = (&Hash, &[u8])>| {
            records.take(limit).map(|(key, record)| (*key, record.to_vec())).collect()
        };
        match after {
            None => self.trie.records(state.version).map(|mut records| piece(&mut records)).ok(),
            Some(after) => self
                .trie
                .records_after(state.version, after)
                .map(|mut records| piece(&mut records))
                .ok(),
        }
    }

    /// Keeps the state of a height until [`Ledger::unpin`], however many blocks follow; whether it is still kept. A pin holds
    /// memory: whoever pins must unpin soon.
    pub fn pin(&mut self, height: u64) -> bool {
        if self.state_at(height).is_none() {
            return false;
        }
        let pins = self.pinned.entry(height).or_default();
        *pins = pins.saturating_add(1);
        true
    }

    /// Takes one pin of a height back.
    pub fn unpin(&mut self, height: u64) {
        if let Some(pins) = self.pinned.get_mut(&height) {
            *pins = pins.saturating_sub(1);
            if *pins == 0 {
                self.pinned.remove(&height);
            }
        }
        self.give_up_old();
    }

    /// The public key of an id, enrolled in the state, active or not.
    pub fn public_key(&self, kid: &KeyId) -> Option<[u8; 32]> {
        let key: KeyRecord = read_as(&self.state(), &format!("key:{kid}"))?;
        key.public_key.as_ref().try_into().ok()
    }

    /// The public keys that entries name, each looked up once; `None` for one that nobody enrolled.
    pub fn public_keys<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> BTreeMap<KeyId, Option<[u8; 32]>> {
        let mut keys = BTreeMap::new();
        for kid in entries.into_iter().flat_map(Entry::kids) {
            keys.entry(kid).or_insert_with(|| self.public_key(&kid));
        }
        keys
    }

    /// Takes an executed block as the next one. Blocks executed on another head are refused.
    ///
    /// # Errors
    /// [`TrieError`] when the block was executed on another state; nothing has changed then.
    pub fn commit(&mut self, executed: Executed) -> Result<(), TrieError> {
        let Executed { header, window, delta, frontier, .. } = executed;
        let validators_key = state_key(VALIDATORS);
        let set_changes = delta.changes().any(|(key, _)| *key == validators_key);
        let (version, retired) = self.trie.commit(delta)?;
        if self.validators.hash() != self.next_validators.hash() {
            self.validators = self.next_validators.clone();
        }
        if set_changes
            && let Some(set) = recorded_set(&StateView { trie: &self.trie, version }, VALIDATORS)
        {
            self.next_validators = set;
        }
        if let Some(last) = self.kept.back_mut() {
            last.retired = Some(retired);
        }
        self.kept.push_back(Kept { height: header.height, version, retired: None });
        self.window.extend(window);
        self.window.expire(header.time_ms);
        self.frontier = frontier;
        self.header = Some(header);
        self.give_up_old();
        Ok(())
    }

    fn give_up_old(&mut self) {
        while self.kept.len() > KEPT_HEIGHTS {
            let oldest = self.kept.front().map_or(0, |kept| kept.height);
            if self.pinned.keys().next().is_some_and(|pinned| oldest >= *pinned) {
                return;
            }
            let retired = self.kept.pop_front().and_then(|kept| kept.retired);
            if let Some(retired) = retired
                && self.trie.free(retired).is_err()
            {
                return;
            }
        }
    }
}

/// A validator set of the state. The rules record none that is not valid.
pub(crate) fn recorded_set(state: &StateView<'_>, id: &str) -> Option<Validators> {
    Validators::new(read_as(state, id)?).ok()
}

/// The stored records, with those of genesis that no block has changed.
fn with_genesis(
    genesis: &GenesisDocument,
    records: Vec<(Hash, Box<[u8]>)>,
) -> impl Iterator<Item = (Hash, Box<[u8]>)> {
    let first = genesis_records(genesis).into_iter();
    let unchanged: Vec<_> = first
        .filter(|(key, _)| records.binary_search_by(|(stored, _)| stored.cmp(key)).is_err())
        .map(|(key, record)| (key, record.into_boxed_slice()))
        .collect();
    let mut all = records;
    all.extend(unchanged);
    all.sort_unstable_by_key(|(key, _)| *key);
    all.into_iter()
}
