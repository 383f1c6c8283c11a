//! What the services of a node share with the loop that runs its replica.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_format::digest::{EntryId, Hash, KeyId};
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::note::{Note, NoteSignature};
use ledger_format::receipt::Receipt;
use ledger_format::validators::Member;
use ledger_replay::Ledger;
use ledger_rules::Code;
use ledger_store::{Store, StoreError};
use tokio::sync::watch;

use crate::clocks::Clocks;
use crate::evidence::EvidenceList;
use crate::intake::{Intake, Source, Submission};
use crate::outcomes::{Outcomes, Position};
use crate::problem::Problem;
use crate::recent::Recent;
use crate::seals::{Seal, Sealing, Seals};
use crate::suspects::Suspects;

/// The keys with which a node answers. Its vote key is the replica's alone.
#[derive(Debug)]
pub struct NodeKeys {
    /// Signs checkpoints as the log.
    pub log: SigningKey,
    /// Cosigns checkpoints.
    pub cosign: SigningKey,
    /// Signs receipts.
    pub receipt: SigningKey,
}

/// The last block that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Height, 0 before the first block.
    pub height: u64,
    /// Leaves of the log.
    pub tree_size: u64,
    /// Header time.
    pub time_ms: u64,
}

/// Entries that wait for a block, and their bytes.
type PoolSize = (usize, usize);

/// State that all services read. One a node.
#[derive(Debug)]
pub struct Shared {
    /// The genesis document.
    pub genesis: GenesisDocument,
    /// Blocks and indexes.
    pub store: Store,
    /// Who waits for which entry.
    pub outcomes: Outcomes,
    /// What waits for its signatures to be checked.
    pub intake: Intake,
    /// Entries that came into the pool lately.
    pub recent: Recent,
    /// Entries that were passed on lately for other nodes' clients, and are not kept here.
    pub handed_on: Recent,
    /// What proves that validators lied.
    pub evidence: EvidenceList,
    /// Signatures of validators that a follower answers with.
    pub seals: Seals,
    /// Nodes that sent what may not follow.
    pub suspects: Suspects,
    /// Validators whose clocks are too far ahead of this node's.
    pub clocks: Clocks,
    ledger: RwLock<Ledger>,
    /// What the node signs with, at heights that a key of it is in the set of. A follower signs nothing.
    pub(crate) signers: Vec<NodeKeys>,
    /// Ids of the vote keys beside them.
    pub(crate) vote_keys: Vec<KeyId>,
    /// Whether no vote key votes, since the node may have forgotten what they signed.
    recovering: AtomicBool,
    /// Of each validator that has told a recovering node what it knows, the height that it had then.
    reports: Mutex<BTreeMap<KeyId, u64>>,
    head: watch::Sender<Head>,
    pool: Mutex<PoolSize>,
    started: Instant,
}

impl Shared {
    /// Brings the parts of a node together.
    pub fn new(ledger: Ledger, store: Store, keys: Vec<(KeyId, NodeKeys)>) -> Arc<Self> {
        let (vote_keys, signers) = keys.into_iter().unzip();
        let head = Head {
            height: ledger.height(),
            tree_size: ledger.tree_size(),
            time_ms: ledger.time_ms(),
        };
        let shared = Self {
            genesis: ledger.genesis().clone(),
            store,
            outcomes: Outcomes::default(),
            intake: Intake::default(),
            recent: Recent::default(),
            handed_on: Recent::default(),
            evidence: EvidenceList::default(),
            seals: Seals::default(),
            suspects: Suspects::default(),
            clocks: Clocks::default(),
            ledger: RwLock::new(ledger),
            signers,
            vote_keys,
            recovering: AtomicBool::new(false),
            reports: Mutex::default(),
            head: watch::Sender::new(head),
            pool: Mutex::default(),
            started: Instant::now(),
        };
        shared.set_head(head);
        Arc::new(shared)
    }

    /// The ledger in memory, for reading.
    pub fn ledger(&self) -> RwLockReadGuard<'_, Ledger> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger in memory, to take a block that will not be lost. Held briefly, by the replica's loop and by pins.
    pub fn ledger_mut(&self) -> RwLockWriteGuard<'_, Ledger> {
        self.ledger.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether no vote key of this node votes, whatever places they have.
    pub fn set_recovering(&self, is_recovering: bool) {
        self.recovering.store(is_recovering, Ordering::Release);
    }

    /// Whether no vote key of this node votes, since it may have forgotten what they signed.
    pub fn is_recovering(&self) -> bool {
        self.recovering.load(Ordering::Acquire)
    }

    /// The last block that is shown.
    pub fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// Announces a new head: what it names is in this node's store or log, on disk.
    pub fn set_head(&self, head: Head) {
        {
            let ledger = self.ledger();
            self.outcomes.replication.count(ledger.validators(), ledger.next_validators());
        }
        for key in &self.vote_keys {
            self.outcomes.replication.report(*key, head.height);
        }
        self.head.send_replace(head);
    }

    /// Says how much waits for a block.
    pub fn set_pool(&self, size: PoolSize) {
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = size;
    }

    /// How much waits for a block.
    pub(crate) fn pool(&self) -> PoolSize {
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another node has said up to which height blocks are durable with it.
    pub fn is_durable_at(&self, peer: KeyId, height: u64) {
        self.outcomes.replication.report(peer, height);
    }

    /// A validator has told this node, which recovers, what it knows of its votes. The first time counts, with the height that it has
    /// said last.
    pub fn has_reported(&self, peer: KeyId) {
        if let Some(height) = self.outcomes.replication.reported().get(&peer) {
            let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            reports.entry(peer).or_insert(*height);
        }
    }

    /// What validators have told this node while it recovers.
    pub(crate) fn reports(&self) -> BTreeMap<KeyId, u64> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a node is one of those that sign the next block.
    pub fn is_validator(&self, id: &KeyId) -> bool {
        self.ledger().validators().get(id).is_some()
    }

    /// Wakes up at each new head.
    pub fn watch_head(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// Seconds since the node started.
    pub fn uptime_s(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Where an entry is, if it is in the log.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read, or has a header that is none.
    pub fn position(&self, id: &EntryId) -> Result<Option<Position>, StoreError> {
        let Some(leaf_index) = self.store.find(id)? else { return Ok(None) };
        let Some(leaf) = self.store.leaf(leaf_index)? else { return Ok(None) };
        let header = Header::decode(leaf.header).map_err(|malformed| StoreError::Damaged {
            what: format!("the header of block {}: {malformed}", leaf.height),
        })?;
        Ok(Some(Position { height: leaf.height, leaf_index, time_ms: header.time_ms }))
    }

    /// What is said of a height that is not there.
    pub(crate) fn no_block(&self, height: u64) -> Problem {
        let last = self.head().height;
        Problem::not_found(format!("block {height}: the last one here is {last}"))
    }

    /// The header and certificate bytes of a height.
    pub(crate) fn header(&self, height: u64) -> Result<(Header, Bytes, Bytes), Problem> {
        let stored = self.store.header(height)?;
        let (header, certificate) = stored.ok_or_else(|| self.no_block(height))?;
        Ok((Header::decode(header.clone())?, header, certificate))
    }

    /// Takes entries in that another node passes on. They are decoded where signatures are checked: the thread that reads what peers
    /// say has votes to read as well. Who `asked` wants to hear of refusals.
    ///
    /// # Errors
    /// `API_POOL_FULL` when the node has as many entries of this peer to check as it takes.
    pub fn take_from_peer(
        &self,
        peer: KeyId,
        entries: Vec<Vec<u8>>,
        asked: bool,
    ) -> Result<(), Problem> {
        let submissions =
            entries.into_iter().filter_map(|bytes| Submission::passed_on(bytes, asked));
        self.intake.put(Source::Peer(peer), submissions.collect())
    }

    /// Whether an entry that another node passed on is to be checked. What is of another ledger is left out, and what came
    /// into the pool already, unless the node asked to hear of refusals: it may have missed one, and its clients may submit again. What
    /// is in the log, or has expired, is left out whoever sends it: anybody has the log's entries, and their signatures are good.
    pub(crate) fn is_news(&self, ledger: &Ledger, entry: &Entry, asked: bool) -> bool {
        let known = !asked && self.recent.contains(&entry.id());
        let is_over = entry.claims().expires_s.saturating_mul(1000) <= ledger.time_ms();
        entry.claims().ledger == self.genesis.id()
            && !known
            && !is_over
            && ledger.window().knows(entry) != Some(Code::Duplicate)
    }

    /// The checkpoint of a header, signed as the log and cosigned as a witness of the header's time.
    pub(crate) fn checkpoint(&self, header: &Header, (member, seal): &(Member, Seal)) -> String {
        let origin = &self.genesis.message().origin;
        let cosigner = format!("{}/cosigner", member.name);
        let time_s = header.time_ms / 1000;
        let signatures = vec![
            NoteSignature::log(origin, &member.log_key, &seal.log),
            NoteSignature::cosigner(&cosigner, &member.cosign_key, time_s, &seal.cosignature),
        ];
        Note { text: self.checkpoint_text(header), signatures }.encode()
    }

    /// What the receipt of an entry takes, at the end of the entry's own block, or of the last one where nobody can be asked who signed
    /// that.
    pub(crate) fn receiving(&self, position: Position) -> Result<Receiving, Problem> {
        let height = self.sealed_height(position.height)?;
        let (header, _, _) = self.header(height)?;
        let path = self.store.inclusion_path(position.leaf_index, header.tree_size)?;
        let sealing = self.sealing(&header)?;
        Ok(Receiving { height, leaf_index: position.leaf_index, header, path, sealing })
    }

    /// The receipt of an entry.
    pub(crate) async fn receipt(&self, receiving: Receiving) -> Result<Receipt, Problem> {
        let Receiving { leaf_index, header, path, sealing, .. } = receiving;
        let (member, seal) = self.seal(sealing).await?;
        Ok(Receipt {
            ledger: self.genesis.id(),
            kid: KeyId::of(&member.receipt_key),
            tree_size: header.tree_size,
            leaf_index,
            path,
            signature: seal.receipt,
        })
    }
}

/// A receipt without its signature.
#[derive(Debug)]
pub(crate) struct Receiving {
    /// Height of the block at whose end it is.
    pub(crate) height: u64,
    /// Where the entry is.
    pub(crate) leaf_index: u64,
    header: Header,
    path: Vec<Hash>,
    sealing: Sealing,
}
