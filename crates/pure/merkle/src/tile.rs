//! The log cut into tiles: files of 256 hashes that never change once they are complete
//! (C2SP tlog-tiles, <https://c2sp.org/tlog-tiles>).
//!
//! Tile `index` of tile level `level` holds the hashes of the 256 complete subtrees of height
//! `8 * level` from number `256 * index` on. Level 0 holds leaf hashes; each hash of a higher level
//! is the root of one complete tile of the level below. At the right edge each level has at most
//! one incomplete tile, of `(size >> (8 * level)) % 256` hashes.
//!
//! **Invariant:** complete tiles are handed out and not kept. [`TileBuilder`] holds the incomplete
//! ones, at most 8 times 255 hashes.

use alloc::vec::Vec;

use crate::hash::Hash;
use crate::log::{EMPTY_ROOT, Frontier, MAX_SIZE, Subtree, node_hash};

/// The number of hashes of a complete tile.
pub const TILE_WIDTH: usize = 256;

/// The height of a tile: 2^8 hashes.
const TILE_HEIGHT: u8 = 8;
/// Tile levels that a log of at most [`MAX_SIZE`] leaves can have hashes on: 63 bits by 8.
const LEVELS: u8 = 8;

/// The place of a tile, as in the path `/tile/<level>/<index>` of C2SP tlog-tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TileId {
    /// Tile level, 0 for leaf hashes.
    pub level: u8,
    /// Position within the level, from 0.
    pub index: u64,
}

/// Why there is no hash, or no builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError<E> {
    /// The subtree is not wholly within the log.
    #[error("subtree {index} of level {level} is not complete in a log of {size} leaves")]
    Incomplete {
        /// Level of the subtree, 0 for a leaf.
        level: u8,
        /// Position of the subtree within its level.
        index: u64,
        /// The size of the log in leaves.
        size: u64,
    },
    /// A log of that many leaves is larger than [`MAX_SIZE`].
    #[error("a log of {size} leaves is larger than 2^63 - 1")]
    SizeTooLarge {
        /// The size of the log in leaves.
        size: u64,
    },
    /// The caller gave a tile of another width than it must have.
    #[error("tile {index} of tile level {level} must have {expected} hashes, not {found}")]
    WrongWidth {
        /// Level of the tile.
        level: u8,
        /// Position of the tile within its level.
        index: u64,
        /// How many hashes it must have.
        expected: usize,
        /// How many hashes were given.
        found: usize,
    },
    /// The caller's own function failed.
    #[error("a tile could not be fetched")]
    Fetch(#[source] E),
}

/// The incomplete tiles at the right edge of a log.
///
/// Together with the complete tiles, which the caller keeps, it gives the hash of every complete
/// subtree, and so every proof for every size up to its own:
///
/// ```
/// use ledger_merkle::{log, tile::TileBuilder};
/// use std::{collections::BTreeMap, convert::Infallible};
///
/// let (mut builder, mut store) = (TileBuilder::new(), BTreeMap::new());
/// for number in 0..1000_u32 {
///     let leaf = log::leaf_hash(&number.to_be_bytes());
///     builder.push(leaf, &mut |tile, hashes| drop(store.insert(tile, hashes.to_vec())));
/// }
/// let mut fetch_tile = |tile| Ok::<_, Infallible>(&store[&tile]);
/// let path = log::inclusion_path(41, 900, |subtree| builder.subtree_hash(subtree, &mut fetch_tile))?;
/// let root = log::root_at(900, |subtree| builder.subtree_hash(subtree, &mut fetch_tile))?;
/// log::verify_inclusion(&log::leaf_hash(&41_u32.to_be_bytes()), 41, 900, &path, &root)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TileBuilder {
    size: u64,
    /// The incomplete tile of each level, lowest first; levels above the highest hash are missing.
    partial: Vec<Vec<Hash>>,
}

impl TileBuilder {
    /// The builder of the empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The builder of a log of `size` leaves, from its incomplete tiles.
    ///
    /// `supply` is asked once for each tile that is incomplete at that size, lowest level first,
    /// and told how many hashes it has. It may give more, as when the tile has been completed
    /// since: the rest is ignored.
    ///
    /// That the hashes belong to the log cannot be seen here: compare the root of
    /// [`frontier`](Self::frontier) with a root that is trusted.
    pub fn from_tiles<T: AsRef<[Hash]>, E>(
        size: u64,
        mut supply: impl FnMut(TileId, usize) -> Result<T, E>,
    ) -> Result<Self, TileError<E>> {
        if size > MAX_SIZE {
            return Err(TileError::SizeTooLarge { size });
        }
        let mut partial = Vec::new();
        for level in 0..LEVELS {
            let hashes = hashes_at(size, level);
            if hashes == 0 {
                break;
            }
            let id = TileId { level, index: hashes >> TILE_HEIGHT };
            let [.., expected] = hashes.to_be_bytes();
            let width = usize::from(expected);
            let tile = if width == 0 {
                Vec::new()
            } else {
                let tile = supply(id, width).map_err(TileError::Fetch)?;
                tile.as_ref().get(..width).ok_or_else(|| wrong_width(id, width, &tile))?.to_vec()
            };
            partial.push(tile);
        }
        Ok(Self { size, partial })
    }

    /// Appends a leaf, given its hash, and hands every tile that it completes to `emit`: none for
    /// 255 leaves of 256, else one for each level, lowest first, each with 256 hashes.
    pub fn push(&mut self, leaf_hash: Hash, emit: &mut impl FnMut(TileId, &[Hash])) {
        // Sizes start at most at 2^63 - 1 and grow by one a call: they do not reach the end.
        self.size = self.size.wrapping_add(1);
        let mut hash = leaf_hash;
        for level in 0..LEVELS {
            if self.partial.len() <= usize::from(level) {
                self.partial.push(Vec::with_capacity(TILE_WIDTH));
            }
            let Some(tile) = self.partial.get_mut(usize::from(level)) else { return };
            tile.push(hash);
            if tile.len() < TILE_WIDTH {
                return;
            }
            // The number of complete tiles of this level, of which this is the last.
            let complete = hashes_at(self.size, level) >> TILE_HEIGHT;
            emit(TileId { level, index: complete.saturating_sub(1) }, tile);
            hash = complete_root(tile);
            tile.clear();
        }
    }

    /// The size of the log in leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The incomplete tiles, lowest level first, without empty ones.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        (0..).zip(&self.partial).filter(|(_, tile)| !tile.is_empty()).map(|(level, tile)| {
            let index = hashes_at(self.size, level) >> TILE_HEIGHT;
            (TileId { level, index }, tile.as_slice())
        })
    }

    /// The right edge of the log, and by it the root. Everything it takes is in the incomplete
    /// tiles.
    pub fn frontier(&self) -> Frontier {
        let mut nodes = Vec::new();
        for tile in self.partial.iter().rev() {
            let mut rest = tile.as_slice();
            // One complete subtree for each bit set in the width, largest first.
            for height in (0..TILE_HEIGHT).rev() {
                if tile.len() >> height & 1 == 1
                    && let Some((subtree, after)) = rest.split_at_checked(1 << height)
                {
                    nodes.push(complete_root(subtree));
                    rest = after;
                }
            }
        }
        Frontier::from_counted(self.size, nodes)
    }

    /// The hash of a complete subtree of the log.
    ///
    /// `fetch_tile` gives complete tiles, of [`TILE_WIDTH`] hashes. It is asked at most once, and
    /// not at all when the subtree is in an incomplete tile. One proof asks for the same tile up to
    /// 8 times, so that a `fetch_tile` which reads files should remember the last tile.
    pub fn subtree_hash<T: AsRef<[Hash]>, E>(
        &self,
        subtree: Subtree,
        fetch_tile: &mut impl FnMut(TileId) -> Result<T, E>,
    ) -> Result<Hash, TileError<E>> {
        let Subtree { level, index } = subtree;
        if subtree.end().is_none_or(|end| end > self.size) {
            return Err(TileError::Incomplete { level, index, size: self.size });
        }
        let place = Place::of(subtree);
        let id = place.tile;
        if id.index < hashes_at(self.size, id.level) >> TILE_HEIGHT {
            let tile = fetch_tile(id).map_err(TileError::Fetch)?;
            let hashes = tile.as_ref();
            if hashes.len() != TILE_WIDTH {
                return Err(wrong_width(id, TILE_WIDTH, &tile));
            }
            place.root_in(hashes)
        } else {
            let hashes = self.partial.get(usize::from(id.level)).map_or(&[][..], Vec::as_slice);
            place.root_in(hashes)
        }
        .ok_or(TileError::Incomplete { level, index, size: self.size })
    }
}

/// Where the hashes under a subtree stand.
struct Place {
    tile: TileId,
    /// The first of them within the tile.
    start: usize,
    /// How many there are: a power of two, at most 128.
    width: usize,
}

impl Place {
    /// The tile with the hashes nearest below `subtree`, which must be within [`MAX_SIZE`].
    fn of(subtree: Subtree) -> Self {
        let height = subtree.level & (TILE_HEIGHT - 1);
        // Cannot overflow: the subtree ends at or below 2^63.
        let first = subtree.index << height;
        let [.., start] = first.to_be_bytes();
        Self {
            tile: TileId { level: subtree.level >> 3, index: first >> TILE_HEIGHT },
            start: usize::from(start),
            width: 1 << height,
        }
    }

    /// The hash of the subtree, `None` if the tile does not reach that far.
    fn root_in(&self, tile: &[Hash]) -> Option<Hash> {
        let (_, from_start) = tile.split_at_checked(self.start)?;
        from_start.get(..self.width).map(complete_root)
    }
}

/// How many hashes a log of `size` leaves has on a tile level.
fn hashes_at(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level) << 3).unwrap_or(0)
}

/// The root over a power of two of hashes.
fn complete_root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => EMPTY_ROOT,
        [hash] => *hash,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() >> 1);
            node_hash(&complete_root(left), &complete_root(right))
        }
    }
}

fn wrong_width<E>(tile: TileId, expected: usize, found: &impl AsRef<[Hash]>) -> TileError<E> {
    let TileId { level, index } = tile;
    TileError::WrongWidth { level, index, expected, found: found.as_ref().len() }
}
