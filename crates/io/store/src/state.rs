//! The state on disk: what each block changed, and now and then a snapshot of all of it.
//!
//! A node keeps the state in memory. To start again it reads the last snapshot and the changes since; a snapshot is due when the
//! changes since outgrow it, so that start-up reads at most about three times the state, however long the ledger.

use ledger_format::digest::Hash;

use crate::blocks::{DerivedRow, WindowRow, decode, encode, put_pages, read_window, window_pages};
use crate::error::StoreError;
use crate::{Store, keys, pages};

/// Below this many bytes of changes no snapshot is worth its writing.
const SNAPSHOT_MIN_BYTES: u64 = 32 * 1024 * 1024;
/// What reading one block's changes costs beyond their bytes, so that many small blocks make a snapshot due as well.
pub(crate) const BLOCK_COST_BYTES: u64 = 4 * 1024;
/// Records written in one batch of a snapshot.
const SNAPSHOT_CHUNK: usize = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode)]
struct SnapshotRow {
    height: u64,
    generation: u64,
    record_pages: u32,
    window_pages: u32,
    bytes: u64,
}

/// The state as of a height, as it was stored.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StoredState {
    /// Records, ascending by key.
    pub records: Vec<(Hash, Box<[u8]>)>,
    /// Entries that may still be repeated, oldest first; some may have expired since.
    pub window: Vec<WindowRow>,
}

impl Store {
    fn snapshot_row(&self) -> Result<Option<SnapshotRow>, StoreError> {
        let Some(row) = self.tree.get(keys::meta("snapshot"))? else { return Ok(None) };
        let row: SnapshotRow = decode(&row)?;
        if self.height().is_none_or(|durable| row.height > durable) || row.generation == u64::MAX {
            return Err(StoreError::damaged("the snapshot is of no height that there is"));
        }
        Ok(Some(row))
    }

    /// The state after the last block.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when pages are missing; `reindex` then rebuilds them.
    pub fn load_state(&self) -> Result<StoredState, StoreError> {
        let Some(tip) = self.height() else { return Ok(StoredState::default()) };
        let snapshot = self.snapshot_row()?;
        let mut records: Vec<(Hash, u64, Box<[u8]>)> = Vec::new();
        let mut window = Vec::new();
        if let Some(row) = snapshot {
            self.read_records(b'S', row.generation, row.record_pages, 0, &mut records)?;
            self.read_window_pages(b'V', row.generation, row.window_pages, &mut window)?;
        }
        for height in snapshot.map_or(0, |row| row.height) + 1..=tip {
            let missing = || StoreError::damaged(format!("what block {height} changed is missing"));
            let row = self.derived_row(height)?.ok_or_else(missing)?;
            self.read_records(b'R', height, row.record_pages, height, &mut records)?;
            self.read_window_pages(b'W', height, row.window_pages, &mut window)?;
        }
        // The latest of each key.
        records.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        records.dedup_by(|later, first| later.0 == first.0);
        let records = records.into_iter().map(|(key, _, record)| (key, record)).collect();
        Ok(StoredState { records, window })
    }

    fn read_records(
        &self,
        letter: u8,
        number: u64,
        count: u32,
        height: u64,
        records: &mut Vec<(Hash, u64, Box<[u8]>)>,
    ) -> Result<(), StoreError> {
        let raw = (0..count).map(|page| self.page(letter, number, page));
        pages::each_item(raw, |item| {
            let cut = || StoreError::damaged("a record without a key");
            let (key, record) = item.split_first_chunk::<32>().ok_or_else(cut)?;
            records.push((*key, height, record.into()));
            Ok(())
        })
    }

    fn read_window_pages(
        &self,
        letter: u8,
        number: u64,
        count: u32,
        window: &mut Vec<WindowRow>,
    ) -> Result<(), StoreError> {
        for page in 0..count {
            let raw = self.page(letter, number, page)?;
            for item in pages::items(&raw)? {
                window.push(read_window(item)?);
            }
        }
        Ok(())
    }

    /// Whether enough has changed since the last snapshot to write one.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn snapshot_is_due(&self) -> Result<bool, StoreError> {
        let bytes = self.snapshot_row()?.map_or(0, |row| row.bytes);
        let changed = self.changed_bytes.load(std::sync::atomic::Ordering::Relaxed);
        Ok(changed > SNAPSHOT_MIN_BYTES.max(bytes.saturating_mul(2)))
    }

    /// Writes a snapshot of the state after `height`, then removes what it makes superfluous. For a thread of its own.
    ///
    /// `next` gives the records after a key, ascending, at most so many; an empty answer ends. `None` says that it no longer has them: the
    /// old snapshot stays in force then, and the answer is whether there is a new one.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written.
    pub fn write_snapshot(
        &self,
        height: u64,
        window: &[WindowRow],
        mut next: impl FnMut(Option<&Hash>, usize) -> Option<Vec<(Hash, Vec<u8>)>>,
    ) -> Result<bool, StoreError> {
        let old = self.snapshot_row()?;
        let generation = old.map_or(0, |row| row.generation) + 1;
        self.remove_pages(b'S', generation)?;
        self.remove_pages(b'V', generation)?;
        let mut row =
            SnapshotRow { height, generation, record_pages: 0, window_pages: 0, bytes: 0 };
        let mut after: Option<Hash> = None;
        loop {
            // Pages that were written so far are the next attempt's to remove, as after a crash.
            let Some(records) = next(after.as_ref(), SNAPSHOT_CHUNK) else { return Ok(false) };
            let Some((last, _)) = records.last() else { break };
            after = Some(*last);
            let items: Vec<Vec<u8>> =
                records.iter().map(|(key, record)| [key.as_slice(), record].concat()).collect();
            let packed = pages::pack(items.iter().map(Vec::as_slice))?;
            let mut batch = sled::Batch::default();
            for page in packed.pages {
                row.bytes += u64::try_from(page.len()).unwrap_or_default();
                batch.insert(&keys::two(b'S', generation, row.record_pages), page);
                row.record_pages += 1;
            }
            self.tree.apply_batch(batch)?;
        }
        let window = window_pages(window)?;
        row.window_pages = u32::try_from(window.pages.len()).unwrap_or(u32::MAX);
        let mut batch = sled::Batch::default();
        put_pages(&mut batch, b'V', generation, window.pages);
        self.tree.apply_batch(batch)?;
        self.tree.flush()?;
        // From here on the new snapshot counts: until this row, a crash leaves the old one in force.
        self.tree.insert(keys::meta("snapshot"), encode(&row)?)?;
        self.tree.flush()?;
        self.changed_bytes
            .store(self.bytes_changed_after(height)?, std::sync::atomic::Ordering::Relaxed);
        self.remove_superseded(old, height)?;
        Ok(true)
    }

    fn remove_superseded(&self, old: Option<SnapshotRow>, height: u64) -> Result<(), StoreError> {
        if let Some(old) = old {
            self.remove_pages(b'S', old.generation)?;
            self.remove_pages(b'V', old.generation)?;
        }
        for letter in [b'R', b'W'] {
            let upto = keys::one(letter, height + 1);
            self.remove_range([letter].as_slice()..upto.as_slice())?;
        }
        Ok(())
    }

    /// Bytes of record pages after a height.
    pub(crate) fn bytes_changed_after(&self, height: u64) -> Result<u64, StoreError> {
        let from = keys::one(b'D', height + 1);
        let mut bytes: u64 = 0;
        for row in self.tree.range(from.as_slice()..b"E".as_slice()).values() {
            let block = decode::<DerivedRow>(&row?)?.record_bytes.saturating_add(BLOCK_COST_BYTES);
            bytes = block.saturating_add(bytes);
        }
        Ok(bytes)
    }

    /// Bytes of record pages since the snapshot.
    pub(crate) fn bytes_changed_since_snapshot(&self) -> Result<u64, StoreError> {
        let height = self.snapshot_row()?.map_or(0, |row| row.height);
        self.bytes_changed_after(height)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ledger_format::digest::LedgerId;

    use super::*;
    use crate::{DataDirectory, NewBlock, tiles};

    fn open(path: &std::path::Path) -> Store {
        let directory = DataDirectory::open_or_create(path, &LedgerId::default()).unwrap();
        Store::open(directory).unwrap()
    }

    fn commit(store: &Store, height: u64, records: &[(Hash, Vec<u8>)]) {
        let entries = [Bytes::from(height.to_be_bytes().to_vec())];
        let records: Vec<(&Hash, &[u8])> = records.iter().map(|(k, r)| (k, r.as_slice())).collect();
        let block = NewBlock {
            height,
            header: b"header",
            certificate: b"certificate",
            first_leaf: (height - 1) * 2 - u64::from(height > 1),
            header_leaf: (height > 1).then(|| tiles::id_of(&Bytes::from_static(b"header"))),
            entries: &entries,
            ids: &entries.each_ref().map(tiles::id_of),
            links: &[vec![]],
            records: &records,
            window: &[],
        };
        store.commit(&block).unwrap();
    }

    fn records(store: &Store) -> Records {
        let state = store.load_state().unwrap();
        state.records.into_iter().map(|(key, record)| (key, record.into_vec())).collect()
    }

    type Records = Vec<(Hash, Vec<u8>)>;

    /// Records for a snapshot, one chunk after the other.
    fn all(records: &[(Hash, Vec<u8>)]) -> impl FnMut(Option<&Hash>, usize) -> Option<Records> {
        let mut rest = records.iter().cloned();
        move |_, count| Some(rest.by_ref().take(count).collect())
    }

    /// The record of a party with 30,000 keys is so long.
    fn long(seed: u32, length: usize) -> Vec<u8> {
        let numbers = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 32) ^ seed);
        numbers.map(|n| n.to_be_bytes()[1]).take(length).collect()
    }

    #[test]
    fn a_record_longer_than_any_page_survives_blocks_snapshots_and_starts() {
        let directory = tempfile::tempdir().unwrap();
        let written = [
            ([1; 32], vec![7; 100]),
            ([2; 32], long(1, 1024 * 1024)),
            ([3; 32], vec![8; 100]),
            // What compresses well is read as well.
            ([4; 32], vec![9; 3 * 1024 * 1024]),
        ];
        let store = open(directory.path());
        commit(&store, 1, &written);
        drop(store);
        let store = open(directory.path());
        assert_eq!(records(&store), written);
        assert!(store.write_snapshot(1, &[], all(&written)).unwrap());
        // From here on the snapshot alone has them: what the block changed is gone.
        drop(store);
        let store = open(directory.path());
        assert_eq!(records(&store), written);
        let mut grown = written;
        grown[1].1 = long(2, 1_100_000);
        commit(&store, 2, &grown[1..2]);
        drop(store);
        assert_eq!(records(&open(directory.path())), grown);
    }

    #[test]
    fn a_snapshot_whose_height_is_lost_half_way_leaves_the_state_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let written = [([1; 32], vec![7; 100]), ([2; 32], vec![8; 100])];
        let store = open(directory.path());
        commit(&store, 1, &written);
        assert!(store.write_snapshot(1, &[], all(&written)).unwrap());
        let now = [written[0].clone(), ([2; 32], vec![9; 100])];
        commit(&store, 2, &now[1..]);
        let mut first = Some(now[..1].to_vec());
        assert!(!store.write_snapshot(2, &[], |_, _| first.take()).unwrap());
        drop(store);
        let store = open(directory.path());
        assert_eq!(records(&store), now);
        assert!(store.write_snapshot(2, &[], all(&now)).unwrap());
        drop(store);
        assert_eq!(records(&open(directory.path())), now);
    }
}
