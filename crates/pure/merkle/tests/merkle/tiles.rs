//! Proofs built from tiles equal those of `ct-merkle`, which knows no tiles.

use std::collections::BTreeMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ledger_merkle::Hash;
use ledger_merkle::log::{self, Frontier, MAX_SIZE, PathError, Subtree, leaf_hash};
use ledger_merkle::tile::{TILE_WIDTH, TileBuilder, TileError, TileId};
use sha2::Sha256;

type Judge = MemoryBackedTree<Sha256, [u8; 8]>;
type Failure = TileError<TileId>;

/// A log kept as tiles: what a node does, with a map in place of files.
#[derive(Default)]
struct Tiled {
    builder: TileBuilder,
    complete: BTreeMap<TileId, Vec<Hash>>,
}

impl Tiled {
    fn push(&mut self, leaf: [u8; 8]) {
        self.builder.push(leaf_hash(&leaf), &mut |tile, hashes| {
            assert_eq!(hashes.len(), TILE_WIDTH);
            assert_eq!(self.complete.insert(tile, hashes.to_vec()), None, "emitted twice");
        });
    }

    fn subtree(&self, subtree: Subtree) -> Result<Hash, Failure> {
        self.builder.subtree_hash(subtree, &mut |tile| self.complete.get(&tile).ok_or(tile))
    }

    fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, PathError<Failure>> {
        log::inclusion_path(index, size, |subtree| self.subtree(subtree))
    }

    fn consistency(&self, size1: u64, size2: u64) -> Result<Vec<Hash>, PathError<Failure>> {
        log::consistency_path(size1, size2, |subtree| self.subtree(subtree))
    }

    fn root(&self, size: u64) -> Result<Hash, PathError<Failure>> {
        log::root_at(size, |subtree| self.subtree(subtree))
    }
}

/// What the judge says of one size.
struct Verdict {
    size: u64,
    root: Vec<u8>,
    /// (leaf index, path).
    inclusion: Vec<(u64, Vec<u8>)>,
    /// (first size, path).
    consistency: Vec<(u64, Vec<u8>)>,
}

impl Verdict {
    fn of(judge: &Judge, indices: impl Iterator<Item = u64> + Clone) -> Self {
        let size = judge.len();
        let older = indices.clone().filter(|index| *index > 0);
        Self {
            size,
            root: judge.root().as_bytes().to_vec(),
            inclusion: indices
                .map(|index| (index, judge.prove_inclusion(index.try_into().unwrap())))
                .map(|(index, proof)| (index, proof.as_bytes().to_vec()))
                .collect(),
            consistency: older
                .map(|old| (old, judge.prove_consistency((size - old).try_into().unwrap())))
                .map(|(old, proof)| (old, proof.as_bytes().to_vec()))
                .collect(),
        }
    }

    fn agrees_with(&self, log: &Tiled) {
        assert_eq!(log.root(self.size).unwrap()[..], self.root);
        for (index, path) in &self.inclusion {
            let ours = log.inclusion(*index, self.size).unwrap().concat();
            assert_eq!(ours, *path, "leaf {index} of {}", self.size);
        }
        for (old, path) in &self.consistency {
            let ours = log.consistency(*old, self.size).unwrap().concat();
            assert_eq!(ours, *path, "{old} in {}", self.size);
        }
    }
}

/// Every size up to 530, so across the first two complete tiles. Each is asked of the log at that
/// size and again of the log at its last size.
#[test]
fn every_small_size() {
    let (mut log, mut judge, mut frontier) = (Tiled::default(), Judge::new(), Frontier::new());
    let mut verdicts = Vec::new();
    for size in 1..=530_u64 {
        let leaf = (size - 1).to_be_bytes();
        log.push(leaf);
        judge.push(leaf);
        frontier.push(leaf_hash(&leaf));
        assert_eq!(log.builder.frontier(), frontier);
        // All leaves around the tile's edge, every thirteenth elsewhere.
        let close = size.abs_diff(256) < 4 || size.abs_diff(512) < 4;
        let step = if close { 1 } else { 13 };
        let offset = usize::try_from(size % step).unwrap();
        let verdict = Verdict::of(&judge, (0..size).skip(offset).step_by(step.try_into().unwrap()));
        verdict.agrees_with(&log);
        verdicts.push(verdict);
    }
    for verdict in verdicts.iter().step_by(5) {
        verdict.agrees_with(&log);
    }
}

/// Sizes around the powers of 256 up to 70,000, and the numbers of tiles that C2SP tlog-tiles gives
/// as its example for that size.
#[test]
fn sampled_large_sizes() {
    const SAMPLES: [u64; 13] =
        [255, 256, 257, 4095, 4096, 40_000, 65_279, 65_280, 65_535, 65_536, 65_537, 65_793, 70_000];
    let (mut log, mut judge) = (Tiled::default(), Judge::new());
    let mut verdicts = Vec::new();
    for size in 1..=70_000_u64 {
        let leaf = (size - 1).to_be_bytes();
        log.push(leaf);
        judge.push(leaf);
        if SAMPLES.contains(&size) {
            let edges = [0, 1, 254, 255, 256, 257, 65_279, 65_280, 65_535, 65_536, size - 1];
            let spread = (0..size).step_by(usize::try_from(size / 10 + 1).unwrap());
            let indices = edges.into_iter().filter(|index| *index < size).chain(spread);
            let verdict = Verdict::of(&judge, indices);
            verdict.agrees_with(&log);
            verdicts.push(verdict);
        }
    }
    for verdict in &verdicts {
        verdict.agrees_with(&log);
    }
    let complete = |level| log.complete.keys().filter(|tile| tile.level == level).count();
    assert_eq!([complete(0), complete(1), complete(2)], [273, 1, 0]);
    let partial: Vec<_> =
        log.builder.partial_tiles().map(|(tile, hashes)| (tile, hashes.len())).collect();
    let id = |level, index| TileId { level, index };
    assert_eq!(partial, [(id(0, 273), 112), (id(1, 1), 17), (id(2, 0), 1)]);
}

/// The log is opened again at each size from what a tile store would hold, and goes on as before.
#[test]
fn rebuilt_at_start() {
    let mut log = Tiled::default();
    for size in 1..=66_000_u64 {
        log.push(size.to_be_bytes());
        if size % 4093 != 0 && size.abs_diff(256) > 1 && size.abs_diff(65_536) > 1 {
            continue;
        }
        let stored: BTreeMap<TileId, Vec<Hash>> =
            log.builder.partial_tiles().map(|(tile, hashes)| (tile, hashes.to_vec())).collect();
        let rebuilt = TileBuilder::from_tiles(size, |tile, width| {
            let hashes = stored.get(&tile).ok_or(tile)?;
            assert_eq!(hashes.len(), width);
            Ok::<_, TileId>(hashes)
        });
        assert_eq!(rebuilt.as_ref(), Ok(&log.builder));
        assert_eq!(rebuilt.unwrap().frontier().root(), log.root(size).unwrap());
    }
    // An older size: its incomplete tiles are the beginnings of tiles that are complete by now.
    let older = TileBuilder::from_tiles(300, |tile, _| {
        log.complete.get(&tile).ok_or(tile).map(Vec::as_slice)
    });
    assert_eq!(older.unwrap().frontier().root(), log.root(300).unwrap());
}

#[test]
fn refusals() {
    let mut log = Tiled::default();
    for number in 0..600_u64 {
        log.push(number.to_be_bytes());
    }
    let incomplete = |level, index| TileError::Incomplete { level, index, size: 600 };
    let beyond = [(0, 600), (3, 75), (9, 1), (10, 0), (63, 0), (255, 0)];
    // Positions whose first leaf does not fit into 64 bits.
    let far_beyond = [(0, u64::MAX), (1, 1 << 63), (7, 1 << 57), (8, 1 << 56)];
    for (level, index) in beyond.into_iter().chain(far_beyond) {
        assert_eq!(log.subtree(Subtree { level, index }), Err(incomplete(level, index)));
    }
    assert!(log.subtree(Subtree { level: 3, index: 74 }).is_ok());
    assert_eq!(log.root(601), Err(PathError::Fetch(incomplete(0, 600))));

    // The store lost a tile, or gives one that is cut off.
    let lost = TileId { level: 0, index: 1 };
    let tile = log.complete.remove(&lost).unwrap();
    let wanted = Subtree { level: 4, index: 17 };
    assert_eq!(log.subtree(wanted), Err(TileError::Fetch(lost)));
    log.complete.insert(lost, tile[..255].to_vec());
    let width = |expected, found| TileError::WrongWidth { level: 0, index: 1, expected, found };
    assert_eq!(log.subtree(wanted), Err(width(256, 255)));

    let builder = TileBuilder::from_tiles(300, |_, _| Ok::<_, TileId>([[0; 32]; 20]));
    assert_eq!(builder, Err(width(44, 20)));
    let builder = TileBuilder::from_tiles(300, |tile, _| Err::<[Hash; 0], _>(tile));
    assert_eq!(builder, Err(TileError::Fetch(lost)));
    let size = MAX_SIZE + 1;
    let builder = TileBuilder::from_tiles(size, |tile, _| Err::<[Hash; 0], _>(tile));
    assert_eq!(builder, Err(TileError::SizeTooLarge { size }));
}
