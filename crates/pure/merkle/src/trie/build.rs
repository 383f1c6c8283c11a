//! A whole map at once, from its records in key order.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::arena::{Arena, Leaf, Node, Ref};
use super::{
    EMPTY_ROOT, Kept, Trie, TrieError, Version, first_difference, leaf_hash, node_hash, record_hash,
};
use crate::hash::Hash;

impl Trie {
    /// The map of these keys and records, as its first and only version. Keys must rise strictly.
    ///
    /// It takes the records one at a time and needs no memory beside the map's own.
    ///
    /// Errors: [`TrieError::Unsorted`], [`TrieError::Full`].
    pub fn from_sorted(
        records: impl IntoIterator<Item = (Hash, Box<[u8]>)>,
    ) -> Result<Self, TrieError> {
        Self::build(Arena::new(), records)
    }

    /// The same in an arena that is empty, whatever its limit.
    pub(super) fn build(
        mut arena: Arena,
        records: impl IntoIterator<Item = (Hash, Box<[u8]>)>,
    ) -> Result<Self, TrieError> {
        let mut edge = RightEdge::default();
        let mut previous: Option<Hash> = None;
        let mut len = 0_u64;
        for (position, (key, record)) in records.into_iter().enumerate() {
            if previous.is_some_and(|previous| previous >= key) {
                return Err(TrieError::Unsorted { position });
            }
            if !arena.has_room(1, 1) {
                return Err(TrieError::Full);
            }
            if let Some(bit) = previous.and_then(|previous| first_difference(&previous, &key)) {
                edge.part(&mut arena, bit);
            }
            let hash = leaf_hash(&key, &record_hash(&record));
            edge.last = Some((arena.insert_leaf(Leaf { key, record }), hash));
            previous = Some(key);
            len = len.saturating_add(1);
        }
        edge.close_down_to(&mut arena, 0);
        let root = edge.last.map(|(root, _)| root);
        let hash = edge.last.map_or(EMPTY_ROOT, |(_, hash)| hash);
        Ok(Self::with_tip(arena, Kept { version: Version { serial: 0, hash, len }, root }))
    }
}

/// The nodes from the root to the newest leaf, of which only the left sides are there yet.
#[derive(Default)]
struct RightEdge {
    /// Bit and left side of each such node, the root first: the bits rise.
    open: Vec<(u8, Ref, Hash)>,
    /// The subtree below the lowest of them, `None` before the first leaf.
    last: Option<(Ref, Hash)>,
}

impl RightEdge {
    /// Makes room for a leaf that parts at `bit` from the one before.
    fn part(&mut self, arena: &mut Arena, bit: u8) {
        // What parts at a later bit will get no leaf any more.
        self.close_down_to(arena, bit);
        if let Some((left, hash)) = self.last.take() {
            self.open.push((bit, left, hash));
        }
    }

    /// Completes all nodes from the lowest up to the first whose bit is below `bit`.
    fn close_down_to(&mut self, arena: &mut Arena, bit: u8) {
        while let Some((open_bit, left, left_hash)) = self.open.pop_if(|(open, ..)| *open >= bit) {
            if let Some((right, right_hash)) = self.last {
                let children = [left, right];
                let hashes = [left_hash, right_hash];
                let node = arena.insert_node(Node { children, hashes, bit: open_bit });
                self.last = Some((node, node_hash(open_bit, &left_hash, &right_hash)));
            }
        }
    }
}
