//! The log's hashes: complete tiles on disk, the right edge in memory, so that proofs of any size cost a few reads.

use bytes::Bytes;
use ledger_format::digest::{EntryId, Hash};
use ledger_format::entry::leaf_hash;
use ledger_merkle::log::{self, Subtree};
use ledger_merkle::tile::{TILE_WIDTH, TileBuilder, TileId};

use crate::error::StoreError;
use crate::{Store, keys};

/// Appends leaves, and puts the tiles that they complete into the batch.
pub(crate) fn push(builder: &mut TileBuilder, leaves: &[EntryId], batch: &mut sled::Batch) {
    for leaf in leaves {
        builder.push(leaf.0, &mut |tile, hashes: &[Hash]| {
            batch.insert(&keys::tile(tile.level, tile.index), hashes.concat());
        });
    }
}

/// Why a proof cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The index or size is not within the log.
    #[error("{0}")]
    Arguments(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    fn tile(&self, id: TileId) -> Result<Vec<Hash>, StoreError> {
        let value = self.tree.get(keys::tile(id.level, id.index))?;
        let value = value.ok_or_else(|| StoreError::damaged(format!("tile {id:?} is missing")))?;
        Ok(value.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect())
    }

    /// The right edge of a log of `size` leaves, from complete tiles and the last leaves.
    pub(crate) fn load_tiles(&self, size: u64) -> Result<TileBuilder, StoreError> {
        let built = TileBuilder::from_tiles(size, |id, width| {
            let first = id.index * u64::try_from(TILE_WIDTH).unwrap_or_default();
            let count = u64::try_from(width).unwrap_or_default();
            (first..first + count)
                .map(|index| self.tile_hash(id.level, index))
                .collect::<Result<Vec<Hash>, _>>()
        });
        built.map_err(|error| StoreError::damaged(format!("the log's tiles: {error}")))
    }

    /// One hash of a tile level: a leaf's, or the root of the complete tile below.
    fn tile_hash(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        let Some(below) = level.checked_sub(1) else {
            let leaf = self.leaf(index)?;
            let leaf =
                leaf.ok_or_else(|| StoreError::damaged(format!("leaf {index} is missing")))?;
            return Ok(leaf_hash(&leaf.bytes));
        };
        let mut hashes = self.tile(TileId { level: below, index })?;
        while hashes.len() > 1 {
            let pairs = hashes.chunks_exact(2);
            hashes = pairs
                .filter_map(|pair| Some(log::node_hash(pair.first()?, pair.last()?)))
                .collect();
        }
        hashes.first().copied().ok_or_else(|| StoreError::damaged("an empty tile"))
    }

    /// The inclusion path of a leaf in the tree of `size` leaves.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn inclusion_path(&self, leaf: u64, size: u64) -> Result<Vec<Hash>, ProofError> {
        self.with_subtrees(|subtree| {
            log::inclusion_path(leaf, size, subtree).map_err(|e| e.to_string())
        })
    }

    /// The consistency path between two sizes.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn consistency_path(&self, from: u64, to: u64) -> Result<Vec<Hash>, ProofError> {
        self.with_subtrees(|subtree| {
            log::consistency_path(from, to, subtree).map_err(|e| e.to_string())
        })
    }

    /// Runs a proof with a way to look up subtrees. Errors of the store win over the proof's own.
    fn with_subtrees(
        &self,
        prove: impl FnOnce(&mut dyn FnMut(Subtree) -> Result<Hash, String>) -> Result<Vec<Hash>, String>,
    ) -> Result<Vec<Hash>, ProofError> {
        // A copy of at most a few kilobytes a level: a proof never waits for a commit.
        let builder = self.tiles.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let mut failure = None;
        let mut last: Option<(TileId, Vec<Hash>)> = None;
        let path = prove(&mut |subtree| {
            let hash = builder.subtree_hash(subtree, &mut |id| match &last {
                Some((known, hashes)) if *known == id => Ok(hashes.clone()),
                Some(_) | None => {
                    let hashes = self.tile(id)?;
                    last = Some((id, hashes.clone()));
                    Ok::<_, StoreError>(hashes)
                }
            });
            hash.map_err(|error| {
                let text = error.to_string();
                if let ledger_merkle::tile::TileError::Fetch(store) = error {
                    failure = Some(store);
                }
                text
            })
        });
        match failure {
            Some(store) => Err(ProofError::Store(store)),
            None => path.map_err(ProofError::Arguments),
        }
    }
}

/// Ids of all leaves of a block: the header before, then its entries.
pub(crate) fn leaves_of(header_leaf: Option<EntryId>, ids: &[EntryId]) -> Vec<EntryId> {
    header_leaf.into_iter().chain(ids.iter().copied()).collect()
}

/// Id of an entry's bytes.
pub(crate) fn id_of(entry: &Bytes) -> EntryId {
    EntryId(leaf_hash(entry))
}
