//! Where nodes and leaves live: two arrays with slots that are used again.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;

use super::Usage;
use crate::hash::Hash;

/// The most nodes, and the most leaves, that references can tell apart: 2^30.
pub(super) const MAX_SLOTS: usize = 1 << 30;

/// A reference to a node or a leaf.
///
/// Bit 31 says leaf, bit 30 says that it is in a delta and not in the arena, the rest is the index.
/// Half of a pointer's size, and it stays valid when the arrays move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ref(u32);

/// What a reference refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The node with this index.
    Node(usize),
    /// The leaf with this index.
    Leaf(usize),
}

impl Ref {
    const LEAF: u32 = 1 << 31;
    const LOCAL: u32 = 1 << 30;
    const INDEX: u32 = Self::LOCAL - 1;

    /// A reference into the arena. The index must be below [`MAX_SLOTS`].
    fn new(target: Target) -> Self {
        let bits = |index| u32::try_from(index).unwrap_or(u32::MAX) & Self::INDEX;
        match target {
            Target::Node(index) => Self(bits(index)),
            Target::Leaf(index) => Self(bits(index) | Self::LEAF),
        }
    }

    /// A reference into a delta. The index must be below [`MAX_SLOTS`].
    pub(super) fn local(target: Target) -> Self {
        Self(Self::new(target).0 | Self::LOCAL)
    }

    /// Whether it refers into a delta.
    pub(super) fn is_local(self) -> bool {
        self.0 & Self::LOCAL != 0
    }

    pub(super) fn target(self) -> Target {
        // `usize` has at least 32 bits wherever this much memory can be had.
        let index = usize::try_from(self.0 & Self::INDEX).unwrap_or(usize::MAX);
        if self.0 & Self::LEAF == 0 { Target::Node(index) } else { Target::Leaf(index) }
    }
}

/// A node, 76 bytes. The hashes of the children stand here and not in the children, so that a
/// sibling's hash is there without a look at the sibling.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Left for keys with a zero at `bit`, right for those with a one.
    pub(super) children: [Ref; 2],
    /// The hashes of the children.
    pub(super) hashes: [Hash; 2],
    /// The bit at which the keys below part.
    pub(super) bit: u8,
}

impl Node {
    /// The child on one side, with its hash.
    pub(super) fn child(&self, right: bool) -> (Ref, &Hash) {
        let [left_child, right_child] = self.children;
        let [left_hash, right_hash] = &self.hashes;
        if right { (right_child, right_hash) } else { (left_child, left_hash) }
    }
}

/// A key and its record.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) key: Hash,
    pub(super) record: Box<[u8]>,
}

/// The nodes and leaves of all versions that are kept.
///
/// Slots are used again and never taken away: an index that was valid once always is.
#[derive(Debug)]
pub(super) struct Arena {
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
    free_nodes: Vec<Ref>,
    free_leaves: Vec<Ref>,
    /// The most nodes and the most leaves, at most [`MAX_SLOTS`].
    limit: usize,
}

#[expect(
    clippy::indexing_slicing,
    reason = "only the arena makes references into it, and it never gets shorter"
)]
impl Arena {
    pub(super) fn new() -> Self {
        Self::with_limit(MAX_SLOTS)
    }

    /// An arena for at most `limit` nodes and as many leaves.
    pub(super) fn with_limit(limit: usize) -> Self {
        let limit = limit.min(MAX_SLOTS);
        Self {
            nodes: Vec::new(),
            leaves: Vec::new(),
            free_nodes: Vec::new(),
            free_leaves: Vec::new(),
            limit,
        }
    }

    /// Whether so many more nodes and leaves fit.
    pub(super) fn has_room(&self, nodes: usize, leaves: usize) -> bool {
        let fits = |slots: usize, free: usize, wanted: usize| {
            wanted <= self.limit.saturating_sub(slots).saturating_add(free)
        };
        fits(self.nodes.len(), self.free_nodes.len(), nodes)
            && fits(self.leaves.len(), self.free_leaves.len(), leaves)
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            nodes: self.nodes.len(),
            free_nodes: self.free_nodes.len(),
            leaves: self.leaves.len(),
            free_leaves: self.free_leaves.len(),
        }
    }

    pub(super) fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub(super) fn leaf(&self, index: usize) -> &Leaf {
        &self.leaves[index]
    }

    /// Stores a node in a free slot, else in a new one. There must be room.
    pub(super) fn insert_node(&mut self, node: Node) -> Ref {
        if let Some(slot) = self.free_nodes.pop()
            && let Target::Node(index) = slot.target()
        {
            self.nodes[index] = node;
            return slot;
        }
        let slot = Ref::new(Target::Node(self.nodes.len()));
        self.nodes.push(node);
        slot
    }

    /// Stores a leaf in a free slot, else in a new one. There must be room.
    pub(super) fn insert_leaf(&mut self, leaf: Leaf) -> Ref {
        if let Some(slot) = self.free_leaves.pop()
            && let Target::Leaf(index) = slot.target()
        {
            self.leaves[index] = leaf;
            return slot;
        }
        let slot = Ref::new(Target::Leaf(self.leaves.len()));
        self.leaves.push(leaf);
        slot
    }

    /// Reads a byte of each of the node slots that are filled next, so that they are on their way
    /// from memory together and not one after the other.
    pub(super) fn warm_free_nodes(&self, count: usize) {
        let next = self.free_nodes.iter().rev().take(count);
        black_box(next.fold(0, |mix, slot| match slot.target() {
            Target::Node(index) => mix ^ self.nodes[index].bit,
            Target::Leaf(_) => mix,
        }));
    }

    /// Gives a slot free. The record of a leaf is dropped at once.
    pub(super) fn release(&mut self, slot: Ref) {
        match slot.target() {
            Target::Node(index) => {
                if cfg!(debug_assertions) {
                    // Whoever still uses it gets hashes that are nobody's.
                    self.nodes[index].hashes = [[0xdd; 32]; 2];
                }
                self.free_nodes.push(slot);
            }
            Target::Leaf(index) => {
                self.leaves[index].record = Box::default();
                self.free_leaves.push(slot);
            }
        }
    }
}
