//! Where a node keeps blocks, and everything that it derives from them (docs/ARCHITECTURE.md, store).
//!
//! **Invariants.** The only crate that names sled. One atomic batch and one flush a block, which the next one waits for. Only blocks are the ledger: all else
//! can be rebuilt from them. An error while writing is final: the caller must stop the process and recover from what is on disk.

mod blobs;
mod blocks;
mod error;
pub mod frames;
#[cfg(test)]
mod hostile;
mod ids;
mod keys;
mod noted;
mod open;
mod pages;
mod state;
mod tiles;
mod vote_lock;
mod wal;
mod writes;

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ledger_format::digest::EntryId;
use ledger_merkle::log::Frontier;
use ledger_merkle::tile::TileBuilder;

pub use blocks::{LinkRow, NewBlock, StoredBlock, StoredLeaf, WindowRow};
pub use error::{CODES, StoreError};
pub use noted::Noted;
pub use open::{DATA_FORMAT, DataDirectory, Held, is_on_trial, write_durably};
pub use state::StoredState;
pub use tiles::ProofError;
pub use vote_lock::{StaleLock, VoteLock, VoteMode};
pub use wal::Wal;

use crate::blobs::Blobs;
use crate::ids::Ids;
use crate::wal::sync_directory;
use crate::writes::Writes;

/// An open store. Writes come from one thread; reads from any.
#[derive(Debug)]
pub struct Store {
    tree: sled::Tree,
    database: sled::Db,
    /// The file that sled appends to, for [`Store::flush`]: on Linux sled 0.34.7 hands what it has written to the disk with
    /// `sync_file_range`, which neither covers the file's length and place nor makes the disk empty its cache.
    log: File,
    blobs: Blobs,
    /// Held for a look-up or an insertion, never while disk is read.
    ids: Mutex<Ids>,
    /// Held to append a block's leaves or to copy the edge.
    tiles: Mutex<TileBuilder>,
    changed_bytes: AtomicU64,
    /// Writes of blocks that are under way.
    writes: Writes,
    /// Height up to which blocks are flushed, or kept by the consensus log. Readers see none above it: what could still be lost is never
    /// shown.
    kept: AtomicU64,
    // Last, so that the directory is unlocked after sled has closed.
    directory: DataDirectory,
}

impl Store {
    /// Opens the store of a data directory, and reads what it needs in memory: the edge of the log and recent ids.
    ///
    /// # Errors
    /// [`StoreError`]. [`StoreError::Damaged`] may be mended by [`Store::clear_derived`] and rebuilding from blocks, unless it
    /// is blocks that are damaged.
    pub fn open(directory: DataDirectory) -> Result<Self, StoreError> {
        open::trial(|| {
            let store = Self::open_tree(directory)?;
            store.load_indexes()?;
            Ok(store)
        })
    }

    /// As [`Store::open`], but throws away everything derived first, damaged or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_blocks_only(directory: DataDirectory) -> Result<Self, StoreError> {
        open::trial(|| {
            let store = Self::open_tree(directory)?;
            store.clear_derived()?;
            Ok(store)
        })
    }

    fn open_tree(directory: DataDirectory) -> Result<Self, StoreError> {
        let database = directory.open_sled()?;
        let tree = database.open_tree("ledger")?;
        let path = directory.path().join("store");
        let file = path.join("db");
        let log = File::open(&file).map_err(StoreError::io(file.display().to_string()))?;
        sync_directory(&path)?;
        let store = Self {
            tree,
            database,
            log,
            blobs: Blobs::new(&path),
            ids: Mutex::default(),
            tiles: Mutex::default(),
            changed_bytes: AtomicU64::new(0),
            writes: Writes::default(),
            kept: AtomicU64::new(0),
            directory,
        };
        // The highest block may never have been acknowledged. It is whole, so it counts: make sure that it stays.
        store.flush()?;
        store.kept.store(store.last_height()?.unwrap_or(0), Ordering::Release);
        Ok(store)
    }

    /// Height of the last block that readers see; `None` before the first.
    pub fn height(&self) -> Option<u64> {
        Some(self.kept.load(Ordering::Acquire)).filter(|height| *height > 0)
    }

    /// The right edge of the log.
    pub fn frontier(&self) -> Frontier {
        lock(&self.tiles).frontier()
    }

    fn load_indexes(&self) -> Result<(), StoreError> {
        let Some(height) = self.height() else { return Ok(()) };
        let size = self.leaf_count(height)?;
        *lock(&self.tiles) = self.load_tiles(size)?;
        let mut ids = Ids::load(&self.tree)?;
        // Newest block first, until the runs cover the rest.
        for height in (1..=height).rev() {
            let missing = || StoreError::damaged(format!("block {height} is missing"));
            let block = self.block(height)?.ok_or_else(missing)?;
            let first = block.first_leaf + u64::from(height > 1);
            let covered = ids.covered();
            let mut all_covered = !block.entries.is_empty();
            for (leaf, entry) in (first..).zip(&block.entries) {
                if covered.is_none_or(|covered| leaf > covered) {
                    ids.insert(&tiles::id_of(entry), leaf);
                    all_covered = false;
                }
            }
            if all_covered {
                break;
            }
        }
        *lock(&self.ids) = ids;
        self.changed_bytes.store(self.bytes_changed_since_snapshot()?, Ordering::Relaxed);
        Ok(())
    }

    /// Leaves of the log after a height.
    fn leaf_count(&self, height: u64) -> Result<u64, StoreError> {
        let row = self.block_row(height)?;
        let row = row.ok_or_else(|| StoreError::damaged(format!("block {height} is missing")))?;
        Ok(row.first_leaf + u64::from(height > 1) + u64::from(row.entries))
    }

    /// Makes a block and everything derived from it durable, in one atomic batch. When this returns, the block is on disk.
    ///
    /// # Errors
    /// [`StoreError`]: the process must stop, since what the disk holds is unknown until it is read again.
    pub fn commit(&self, block: &NewBlock<'_>) -> Result<(), StoreError> {
        let _under_way = self.writes.begin();
        let grown = self.write(block)?;
        self.flush()?;
        self.show(block.height, grown);
        Ok(())
    }

    /// As [`Store::commit`], for a block that the consensus log keeps: readers see it before the store has it on disk. That is for
    /// [`Store::flush`] to bring about, before anything of the next height is logged.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_logged(&self, block: &NewBlock<'_>) -> Result<(), StoreError> {
        let _under_way = self.writes.begin();
        let grown = self.write(block)?;
        self.show(block.height, grown);
        Ok(())
    }

    fn write(&self, block: &NewBlock<'_>) -> Result<TileBuilder, StoreError> {
        let mut batch = sled::Batch::default();
        blocks::put_block(&mut batch, block)?;
        self.commit_derived(batch, block)
    }

    /// Lets readers see a block that will not be lost.
    fn show(&self, height: u64, grown: TileBuilder) {
        *lock(&self.tiles) = grown;
        self.kept.store(height, Ordering::Release);
    }

    /// Derives everything anew for a block that is there already; durable after [`Store::flush`].
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn rederive(&self, block: &NewBlock<'_>) -> Result<(), StoreError> {
        *lock(&self.tiles) = self.commit_derived(sled::Batch::default(), block)?;
        Ok(())
    }

    /// Writes what is derived from a block, and gives the tree's tail for whoever proves something: not before its tiles are there, and
    /// of a block that is committed not before it is kept.
    fn commit_derived(
        &self,
        mut batch: sled::Batch,
        block: &NewBlock<'_>,
    ) -> Result<TileBuilder, StoreError> {
        let bytes = blocks::put_derived(&mut batch, block)?;
        let leaves = tiles::leaves_of(block.header_leaf, block.ids);
        let mut grown = lock(&self.tiles).clone();
        tiles::push(&mut grown, &leaves, &mut batch);
        let mut ids = lock(&self.ids);
        for (leaf, id) in (block.first_entry()..).zip(block.ids) {
            ids.insert(id, leaf);
        }
        // Whoever looks for an id meanwhile must not find a run whose pages are not there yet.
        let held = ids.spill(&mut batch)?.then_some(ids);
        self.changed_bytes.fetch_add(bytes + state::BLOCK_COST_BYTES, Ordering::Relaxed);
        self.tree.apply_batch(batch)?;
        drop(held);
        Ok(grown)
    }

    /// Removes everything that is not a block. If the process dies on the way, the next start finds that something is missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn clear_derived(&self) -> Result<(), StoreError> {
        for key in self.derived_keys() {
            self.tree.remove(key?)?;
        }
        *lock(&self.tiles) = TileBuilder::new();
        *lock(&self.ids) = Ids::default();
        self.changed_bytes.store(0, Ordering::Relaxed);
        self.flush()
    }

    /// The keys of everything derived. First the facts that stand for older rows: without a snapshot a start needs the rows of
    /// every block, and so sees the first gap.
    fn derived_keys(&self) -> impl Iterator<Item = Result<sled::IVec, StoreError>> + '_ {
        let facts = ["snapshot", "runs"].map(|name| Ok(keys::meta(name).into()));
        let range = |letter: u8| [letter]..[letter + 1];
        let rows = keys::DERIVED.into_iter().flat_map(move |l| self.tree.range(range(l)).keys());
        facts.into_iter().chain(rows.map(|key| Ok(key?)))
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn flush(&self) -> Result<(), StoreError> {
        let _under_way = self.writes.begin();
        self.database.flush()?;
        // First what the log points to.
        self.blobs.sync()?;
        let path = || self.directory.path().join("store/db").display().to_string();
        self.log.sync_data().map_err(|error| StoreError::io(path())(error))
    }

    /// Whether a block's write has not ended for so long: sled 0.34.7 waits without end for what it could not write, if that failed
    /// beside the flush.
    pub fn is_stuck(&self, after: Duration) -> Option<StoreError> {
        let longest = self.writes.longest().filter(|longest| *longest >= after)?;
        let what = format!("store: a write has not ended for {} s", longest.as_secs());
        Some(StoreError::Io { what, source: std::io::ErrorKind::TimedOut.into() })
    }

    /// Leaf index of an entry.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn find(&self, id: &EntryId) -> Result<Option<u64>, StoreError> {
        for leaf in self.id_candidates(id)? {
            let found = self.leaf(leaf)?;
            if found.is_some_and(|found| found.is_entry && tiles::id_of(&found.bytes) == *id) {
                return Ok(Some(leaf));
            }
        }
        Ok(None)
    }

    /// The data directory.
    pub fn directory(&self) -> &DataDirectory {
        &self.directory
    }

    fn remove_pages(&self, letter: u8, number: u64) -> Result<(), StoreError> {
        let (from, to) = (keys::one(letter, number), keys::one(letter, number.saturating_add(1)));
        self.remove_range(from.as_slice()..to.as_slice())
    }

    fn remove_range(&self, range: std::ops::Range<&[u8]>) -> Result<(), StoreError> {
        for key in self.tree.range(range).keys() {
            self.tree.remove(key?)?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ledger_format::digest::LedgerId;

    use super::*;

    const BLOCKS: u64 = 3;

    fn open(path: &std::path::Path) -> Result<Store, StoreError> {
        Store::open(DataDirectory::open_or_create(path, &LedgerId::default())?)
    }

    /// Blocks of one entry each, and a snapshot after the last but one.
    fn written(path: &std::path::Path) -> Store {
        let store = open(path).unwrap();
        for height in 1..=BLOCKS {
            let entries = [Bytes::from(height.to_be_bytes().to_vec())];
            let ids = [tiles::id_of(&entries[0])];
            let key = height.to_be_bytes().repeat(4).try_into().unwrap();
            let block = NewBlock {
                height,
                header: b"header",
                certificate: b"certificate",
                first_leaf: (height - 1) * 2 - u64::from(height > 1),
                header_leaf: (height > 1).then(|| tiles::id_of(&Bytes::from_static(b"header"))),
                entries: &entries,
                ids: &ids,
                links: &[vec![LinkRow { key: [1; 8], previous: None }]],
                records: &[(&key, &[7; 100])],
                window: &[],
            };
            store.commit(&block).unwrap();
            if height == BLOCKS - 1 {
                let mut state = store.load_state().unwrap().records.into_iter();
                let next = |_: Option<&_>, count| {
                    let records = state.by_ref().take(count);
                    Some(records.map(|(key, record)| (key, record.into())).collect())
                };
                assert!(store.write_snapshot(height, &[], next).unwrap());
            }
        }
        store
    }

    #[test]
    fn a_clearing_that_was_broken_off_anywhere_is_noticed() {
        let whole = tempfile::tempdir().unwrap();
        let store = written(whole.path());
        assert_eq!(store.load_state().unwrap().records.len(), 3);
        let derived = store.derived_keys().count();
        drop(store);
        assert_eq!(open(whole.path()).unwrap().load_state().unwrap().records.len(), 3);
        for removed in 1..=derived {
            let directory = tempfile::tempdir().unwrap();
            let store = written(directory.path());
            let first: Vec<_> = store.derived_keys().take(removed).collect();
            for key in first {
                store.tree.remove(key.unwrap()).unwrap();
            }
            drop(store);
            let state = open(directory.path()).and_then(|store| store.load_state());
            let found = state.map(|state| state.records.len());
            assert!(
                matches!(found, Err(StoreError::Damaged { .. })),
                "{removed} of {derived} removed, and found {found:?}"
            );
        }
    }

    /// Each block has so many entries that its ids become a run of pages at once.
    /// Writes full blocks after the first ones, each after `committed` was told the leaves before it, while others read.
    fn grow(store: &Store, committed: impl Fn(u64), read: impl Fn() + Sync) {
        const IDS: u64 = 20_000;
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        read();
                    }
                });
            }
            for height in BLOCKS + 1..BLOCKS + 17 {
                let number =
                    |entry: u64| Bytes::from((height << 32 | entry).to_be_bytes().to_vec());
                let entries: Vec<Bytes> = (0..IDS).map(number).collect();
                let ids: Vec<_> = entries.iter().map(tiles::id_of).collect();
                let first_leaf = (BLOCKS - 1) * 2 + 1 + (height - BLOCKS - 1) * (IDS + 1);
                let block = NewBlock {
                    height,
                    header: b"header",
                    certificate: b"certificate",
                    first_leaf,
                    header_leaf: Some(tiles::id_of(&Bytes::from_static(b"header"))),
                    entries: &entries,
                    ids: &ids,
                    links: &vec![vec![]; entries.len()],
                    records: &[],
                    window: &[],
                };
                committed(first_leaf);
                store.commit(&block).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn an_id_is_found_while_ids_become_runs() {
        let directory = tempfile::tempdir().unwrap();
        let store = written(directory.path());
        let known = tiles::id_of(&Bytes::from(1_u64.to_be_bytes().to_vec()));
        grow(&store, |_| (), || assert_eq!(store.find(&known).unwrap(), Some(0)));
    }

    /// The last leaf's tile is complete in the block that comes.
    #[test]
    fn a_leaf_is_proven_while_its_tile_is_completed() {
        let directory = tempfile::tempdir().unwrap();
        let store = written(directory.path());
        let size = AtomicU64::new(5);
        let prove = || {
            let size = size.load(Ordering::Acquire);
            store.inclusion_path(size - 1, size).unwrap();
        };
        grow(&store, |leaves| size.store(leaves, Ordering::Release), prove);
    }

    #[test]
    fn nothing_is_shown_of_a_block_that_is_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = written(directory.path());
        let block = NewBlock {
            height: BLOCKS + 1,
            header: b"header",
            certificate: b"certificate",
            first_leaf: 5,
            header_leaf: Some(tiles::id_of(&Bytes::from_static(b"header"))),
            entries: &[],
            ids: &[],
            links: &[],
            records: &[],
            window: &[],
        };
        let _grown = store.write(&block).unwrap();
        assert!(store.consistency_path(5, 6).is_err());
        assert_eq!(store.height(), Some(BLOCKS));
        assert!(store.header(BLOCKS + 1).unwrap().is_none());
        store.commit_logged(&block).unwrap();
        assert!(store.consistency_path(5, 6).is_ok());
        assert!(store.header(BLOCKS + 1).unwrap().is_some());
    }
}
