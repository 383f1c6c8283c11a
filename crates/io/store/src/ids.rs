//! From entry id to leaf index: recent ids in memory, older ones in sorted runs on pages, merged as they grow.
//!
//! A log-structured merge index in miniature. An id is kept as its first 8 bytes; the caller checks the entry that it finds, so a
//! collision costs one look. Runs of one level are merged when there are [`FAN_IN`] of them, so a look-up reads at most one page
//! of each of a few runs, however long the ledger.

use std::collections::BTreeSet;

use bincode::{Decode, Encode};
use ledger_format::digest::EntryId;

use crate::blocks::{decode, encode};
use crate::error::StoreError;
use crate::{Store, keys};

/// Ids kept in memory before they become a run. At start they are read again from their blocks, which may be as many.
const RECENT_MAX: usize = 16_384;
/// Runs of one level that are merged into one of the next.
const FAN_IN: usize = 8;
/// Bytes of one id on a page: prefix 8, leaf index 8.
const ROW_BYTES: usize = 16;
/// Ids of one page: 64 KiB.
const PAGE_ROWS: usize = 4_096;
/// First ids of one fence page.
const FENCE_ROWS: usize = 8_000;

type Row = (u64, u64);

/// A sorted run of ids on pages.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Run {
    id: u64,
    level: u8,
    pages: u32,
    /// Greatest leaf index in it: leaves after those of all runs are rebuilt from blocks at start.
    last_leaf: u64,
}

/// The index of ids.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    recent: BTreeSet<Row>,
    runs: Vec<(Run, Vec<u64>)>,
    next_run: u64,
}

fn prefix(id: &EntryId) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl Ids {
    /// Reads the runs, and drops pages that a crash left without a run.
    pub(crate) fn load(tree: &sled::Tree) -> Result<Self, StoreError> {
        let rows: Vec<Run> = tree
            .get(keys::meta("runs"))?
            .map(|rows| decode(&rows))
            .transpose()?
            .unwrap_or_default();
        let mut ids = Self::default();
        for run in rows {
            let fences = read_fences(tree, &run)?;
            let next = run.id.checked_add(1);
            let next = next.ok_or_else(|| StoreError::damaged("a run of the id index"))?;
            ids.next_run = ids.next_run.max(next);
            ids.runs.push((run, fences));
        }
        ids.remove_orphans(tree)?;
        Ok(ids)
    }

    fn remove_orphans(&mut self, tree: &sled::Tree) -> Result<(), StoreError> {
        for letter in [b'I', b'J'] {
            for key in tree.scan_prefix([letter]).keys() {
                let key = key?;
                let run = keys::number(&key).unwrap_or(u64::MAX);
                if !self.runs.iter().any(|(known, _)| known.id == run) {
                    tree.remove(key)?;
                }
            }
        }
        Ok(())
    }

    /// Leaf index up to which runs hold every entry; `None` without runs.
    pub(crate) fn covered(&self) -> Option<u64> {
        self.runs.iter().map(|(run, _)| run.last_leaf).max()
    }

    pub(crate) fn insert(&mut self, id: &EntryId, leaf: u64) {
        self.recent.insert((prefix(id), leaf));
    }

    /// Turns the recent ids into a run when there are enough of them; whether there were. Nobody may look before the batch is applied.
    pub(crate) fn spill(&mut self, batch: &mut sled::Batch) -> Result<bool, StoreError> {
        if self.recent.len() < RECENT_MAX {
            return Ok(false);
        }
        let recent = std::mem::take(&mut self.recent);
        let last_leaf = recent.iter().map(|(_, leaf)| *leaf).max().unwrap_or_default();
        let mut writer = RunWriter::new(self.next_run, 0);
        self.next_run += 1;
        for row in recent {
            writer.push(row, batch);
        }
        self.runs.push(writer.finish(last_leaf, batch));
        self.save(batch)?;
        Ok(true)
    }

    fn save(&self, batch: &mut sled::Batch) -> Result<(), StoreError> {
        let rows: Vec<Run> = self.runs.iter().map(|(run, _)| run.clone()).collect();
        batch.insert(keys::meta("runs"), encode(&rows)?);
        Ok(())
    }

    /// The level with enough runs to merge.
    fn crowded_level(&self) -> Option<u8> {
        let count = |level: u8| self.runs.iter().filter(|(run, _)| run.level == level).count();
        let top = self.runs.iter().map(|(run, _)| run.level).max()?;
        (0..=top).find(|level| count(*level) >= FAN_IN)
    }
}

impl Store {
    /// Leaf indices of entries whose id may be this one; the caller compares.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub(crate) fn id_candidates(&self, id: &EntryId) -> Result<Vec<u64>, StoreError> {
        let wanted = prefix(id);
        let ids = self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut found: Vec<u64> =
            ids.recent.range((wanted, 0)..=(wanted, u64::MAX)).map(|(_, leaf)| *leaf).collect();
        let runs: Vec<(u64, Vec<u32>)> =
            ids.runs.iter().map(|(run, fences)| (run.id, pages_for(fences, wanted))).collect();
        // The lock is not held while pages are read; a merge may remove a run in between, and then the look is repeated.
        drop(ids);
        for (run, pages) in runs {
            for page in pages {
                let Some(value) = self.tree.get(keys::two(b'I', run, page))? else {
                    if self.has_run(run) {
                        return Err(StoreError::damaged("a page of the id index is missing"));
                    }
                    return self.id_candidates(id);
                };
                found.extend(rows(&value).filter(|(p, _)| *p == wanted).map(|(_, leaf)| leaf));
            }
        }
        Ok(found)
    }

    fn has_run(&self, id: u64) -> bool {
        let ids = self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        ids.runs.iter().any(|(run, _)| run.id == id)
    }

    /// Merges one crowded level of the id index, if there is one. For a thread of its own: it takes as long as it takes, and
    /// commits and look-ups go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written.
    pub fn merge_ids(&self) -> Result<bool, StoreError> {
        let lock = || self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (merged, id, level) = {
            let mut ids = lock();
            let Some(level) = ids.crowded_level() else { return Ok(false) };
            let of_level = |(run, _): &&(Run, Vec<u64>)| run.level == level;
            let merged: Vec<Run> =
                ids.runs.iter().filter(of_level).take(FAN_IN).map(|(run, _)| run.clone()).collect();
            let id = ids.next_run;
            ids.next_run += 1;
            (merged, id, level.saturating_add(1))
        };
        let run = self.write_merged(&merged, id, level)?;
        {
            let mut ids = lock();
            ids.runs.retain(|(run, _)| !merged.iter().any(|old| old.id == run.id));
            ids.runs.push(run);
            let mut batch = sled::Batch::default();
            ids.save(&mut batch)?;
            self.tree.apply_batch(batch)?;
        }
        for run in merged {
            self.remove_pages(b'I', run.id)?;
            self.remove_pages(b'J', run.id)?;
        }
        Ok(true)
    }

    fn write_merged(
        &self,
        runs: &[Run],
        id: u64,
        level: u8,
    ) -> Result<(Run, Vec<u64>), StoreError> {
        let mut cursors =
            runs.iter().map(|run| Cursor::open(&self.tree, run)).collect::<Result<Vec<_>, _>>()?;
        let mut writer = RunWriter::new(id, level);
        let mut batch = sled::Batch::default();
        while let Some(cursor) =
            cursors.iter_mut().filter(|c| c.head().is_some()).min_by_key(|c| c.head())
        {
            let Some(row) = cursor.next(&self.tree)? else { break };
            if writer.push(row, &mut batch) {
                self.tree.apply_batch(std::mem::take(&mut batch))?;
            }
        }
        let last_leaf = runs.iter().map(|run| run.last_leaf).max().unwrap_or_default();
        let run = writer.finish(last_leaf, &mut batch);
        self.tree.apply_batch(batch)?;
        Ok(run)
    }
}

/// Pages of a run that may hold a prefix: from the last whose first id is below it to the last whose first id is not above it.
fn pages_for(fences: &[u64], wanted: u64) -> Vec<u32> {
    let from = fences.partition_point(|first| *first < wanted).saturating_sub(1);
    let to = fences.partition_point(|first| *first <= wanted);
    (from..to).filter_map(|page| u32::try_from(page).ok()).collect()
}

fn rows(page: &[u8]) -> impl Iterator<Item = Row> + '_ {
    page.chunks_exact(ROW_BYTES).filter_map(|row| {
        let (prefix, leaf) = row.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*prefix), u64::from_be_bytes(leaf.try_into().ok()?)))
    })
}

/// Writes sorted rows onto pages.
struct RunWriter {
    run: Run,
    fences: Vec<u64>,
    page: Vec<u8>,
}

impl RunWriter {
    fn new(id: u64, level: u8) -> Self {
        let run = Run { id, level, pages: 0, last_leaf: 0 };
        Self { run, fences: Vec::new(), page: Vec::new() }
    }

    /// Whether the row completed a page.
    fn push(&mut self, (prefix, leaf): Row, batch: &mut sled::Batch) -> bool {
        if self.page.is_empty() {
            self.fences.push(prefix);
        }
        self.page.extend_from_slice(&prefix.to_be_bytes());
        self.page.extend_from_slice(&leaf.to_be_bytes());
        if self.page.len() < PAGE_ROWS * ROW_BYTES {
            return false;
        }
        self.close(batch);
        true
    }

    fn close(&mut self, batch: &mut sled::Batch) {
        let page = std::mem::take(&mut self.page);
        batch.insert(&keys::two(b'I', self.run.id, self.run.pages), page);
        self.run.pages += 1;
    }

    fn finish(mut self, last_leaf: u64, batch: &mut sled::Batch) -> (Run, Vec<u64>) {
        if !self.page.is_empty() {
            self.close(batch);
        }
        for (page, fences) in (0_u32..).zip(self.fences.chunks(FENCE_ROWS)) {
            let bytes: Vec<u8> = fences.iter().flat_map(|fence| fence.to_be_bytes()).collect();
            batch.insert(&keys::two(b'J', self.run.id, page), bytes);
        }
        self.run.last_leaf = last_leaf;
        (self.run, self.fences)
    }
}

fn read_fences(tree: &sled::Tree, run: &Run) -> Result<Vec<u64>, StoreError> {
    let mut fences = Vec::new();
    for page in tree.scan_prefix(keys::one(b'J', run.id)).values() {
        let page = page?;
        let numbers =
            page.chunks_exact(8).filter_map(|n| n.try_into().ok().map(u64::from_be_bytes));
        fences.extend(numbers);
    }
    if u32::try_from(fences.len()) == Ok(run.pages) {
        return Ok(fences);
    }
    Err(StoreError::damaged(format!("run {} of the id index lacks pages", run.id)))
}

/// Reads a run from its first row to its last.
struct Cursor {
    run: Run,
    page: u32,
    rows: std::vec::IntoIter<Row>,
    head: Option<Row>,
}

impl Cursor {
    fn open(tree: &sled::Tree, run: &Run) -> Result<Self, StoreError> {
        let mut cursor =
            Self { run: run.clone(), page: 0, rows: Vec::new().into_iter(), head: None };
        cursor.advance(tree)?;
        Ok(cursor)
    }

    fn head(&self) -> Option<Row> {
        self.head
    }

    fn next(&mut self, tree: &sled::Tree) -> Result<Option<Row>, StoreError> {
        let row = self.head;
        self.advance(tree)?;
        Ok(row)
    }

    fn advance(&mut self, tree: &sled::Tree) -> Result<(), StoreError> {
        self.head = self.rows.next();
        if self.head.is_none() && self.page < self.run.pages {
            let value = tree.get(keys::two(b'I', self.run.id, self.page))?;
            let value = value.ok_or_else(|| StoreError::damaged("a page of the id index"))?;
            self.rows = rows(&value).collect::<Vec<_>>().into_iter();
            self.page += 1;
            self.head = self.rows.next();
        }
        Ok(())
    }
}
