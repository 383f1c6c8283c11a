//! The next version, worked out beside the map without touching it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;

use super::arena::{Arena, Leaf, MAX_SLOTS, Node, Ref, Target};
use super::{
    EMPTY_ROOT, Kept, Trie, TrieError, Version, first_difference, goes_right, leaf_hash, node_hash,
    record_hash,
};
use crate::hash::Hash;

/// A next version that was worked out and is not committed: what is new in it, and what of its base
/// it leaves behind. To drop it is to forget it.
#[derive(Debug)]
#[must_use = "a delta changes nothing until it is committed"]
pub struct Delta {
    pub(super) base: Kept,
    pub(super) version: Version,
    pub(super) root: Option<Ref>,
    /// The changed keys with their records, in order.
    pub(super) leaves: Vec<Leaf>,
    /// The new nodes, children before parents.
    pub(super) nodes: Vec<Node>,
    /// What the base has and this version has not.
    pub(super) retired: Vec<Ref>,
}

impl Delta {
    /// The root hash that the map will have.
    pub fn root(&self) -> Hash {
        self.version.hash
    }

    /// The number of keys that the map will have.
    pub fn len(&self) -> u64 {
        self.version.len
    }

    /// Whether the map will have no keys.
    pub fn is_empty(&self) -> bool {
        self.version.len == 0
    }

    /// The version that this one follows.
    pub fn base(&self) -> Version {
        self.base.version
    }

    /// The changed keys with their new records, in key order.
    pub fn changes(&self) -> impl ExactSizeIterator<Item = (&Hash, &[u8])> {
        self.leaves.iter().map(|leaf| (&leaf.key, &*leaf.record))
    }
}

impl Trie {
    /// Works out the version that follows `base` when these records are put under these keys: keys
    /// that the map does not have are added, the records of the others are replaced. Without
    /// changes the new version has the content of its base.
    ///
    /// Nothing is changed, and `base` may be any version that is kept; but only a delta on the
    /// newest can be committed.
    ///
    /// Errors: [`TrieError::Gone`], [`TrieError::Unsorted`], [`TrieError::Full`].
    pub fn propose(
        &self,
        base: Version,
        changes: Vec<(Hash, Box<[u8]>)>,
    ) -> Result<Delta, TrieError> {
        let base = self.kept(base)?;
        if let Some(at) = changes.windows(2).position(|pair| !pair.is_sorted_by(|a, b| a.0 < b.0)) {
            return Err(TrieError::Unsorted { position: at.saturating_add(1) });
        }
        // The new version has at most so many leaves, and fewer nodes: local references suffice.
        let old_len = usize::try_from(base.version.len).unwrap_or(usize::MAX);
        if old_len.saturating_add(changes.len()) > MAX_SLOTS {
            return Err(TrieError::Full);
        }
        let leaves: Vec<Leaf> =
            changes.into_iter().map(|(key, record)| Leaf { key, record }).collect();
        let all = Run { first: 0, leaves: &leaves };
        let mut update = Update::new(&self.arena);
        let top = match base.root {
            Some(root) => Some(update.descend(Top { root, hash: base.version.hash }, 0, all)),
            None => update.build(all),
        };
        let Update { nodes, retired, replaced, .. } = update;
        let added = u64::try_from(leaves.len().saturating_sub(replaced)).unwrap_or(u64::MAX);
        let version = Version {
            // Serial numbers rise by one a commit: they do not reach the end.
            serial: base.version.serial.wrapping_add(1),
            hash: top.map_or(EMPTY_ROOT, |top| top.hash),
            len: base.version.len.saturating_add(added),
        };
        Ok(Delta { base, version, root: top.map(|top| top.root), leaves, nodes, retired })
    }
}

/// A subtree: where it is, and its hash.
#[derive(Clone, Copy)]
struct Top {
    root: Ref,
    hash: Hash,
}

/// Changed leaves, next to each other, that belong below one place.
#[derive(Clone, Copy)]
struct Run<'a> {
    /// Number of the first among all changed leaves.
    first: usize,
    leaves: &'a [Leaf],
}

impl Run<'_> {
    /// The leaves that go left at a bit, and those that go right. Their keys must agree before it.
    fn part(self, bit: u8) -> (Self, Self) {
        let middle = self.leaves.partition_point(|leaf| !goes_right(&leaf.key, bit));
        let (left, right) = self.leaves.split_at(middle);
        let first_right = self.first.saturating_add(middle);
        (Self { first: self.first, leaves: left }, Self { first: first_right, leaves: right })
    }
}

/// Where a key leaves an old subtree: the first bit at which it differs from all keys there, or
/// [`SAME`] if it is one of them.
type Exit = u16;

/// One more than the largest bit.
const SAME: Exit = 256;

/// How many searches go down together. They and the nodes they pass stay in a core's own cache
/// until the nodes are hashed; 16 to 128 measured alike.
const GROUP: usize = 32;

/// The work on one delta. No recursion goes deeper than the 256 bits of a key.
struct Update<'a> {
    arena: &'a Arena,
    nodes: Vec<Node>,
    retired: Vec<Ref>,
    /// How many of the changed keys the base has.
    replaced: usize,
}

impl<'a> Update<'a> {
    fn new(arena: &'a Arena) -> Self {
        Self { arena, nodes: Vec::new(), retired: Vec::new(), replaced: 0 }
    }

    /// The subtree `old` of the base with the leaves of `run` put into it. `depth` bits of the keys
    /// are known to agree with those of the subtree.
    ///
    /// Goes down to where few leaves are left. A node that skips no bit cannot be left above it, so
    /// that up here, where a large map has no gaps, no search is needed.
    fn descend(&mut self, old: Top, depth: u16, run: Run<'_>) -> Top {
        if run.leaves.is_empty() {
            return old;
        }
        if let Target::Node(index) = old.root.target()
            && run.leaves.len() > GROUP
            && let node = self.arena.node(index)
            && u16::from(node.bit) == depth
        {
            self.retired.push(old.root);
            let (left, right) = run.part(node.bit);
            let below = depth.saturating_add(1);
            let left = self.descend(child(node, false), below, left);
            let right = self.descend(child(node, true), below, right);
            return self.join(node.bit, left, right);
        }
        let exits = exits(self.arena, old.root, run.leaves);
        let same = exits.iter().filter(|exit| **exit == SAME).count();
        self.replaced = self.replaced.saturating_add(same);
        self.merge(old, run, &exits)
    }

    /// The same, with the exit of each leaf known.
    fn merge(&mut self, old: Top, run: Run<'_>, exits: &[Exit]) -> Top {
        let highest = exits.iter().zip(run.leaves).min_by_key(|(exit, _)| **exit);
        let Some((&exit, newcomer)) = highest else { return old };
        let node = match old.root.target() {
            Target::Node(index) => Some(self.arena.node(index)),
            Target::Leaf(_) => None,
        };
        if exit < node.map_or(SAME, |node| u16::from(node.bit))
            && let Ok(bit) = u8::try_from(exit)
        {
            // Some keys leave above the old subtree. They stand together on one side of a new node,
            // and what is old, with the changes that belong to it, on the other.
            let (left, right) = run.part(bit);
            let (left_exits, right_exits) = exits.split_at(left.leaves.len());
            return if goes_right(&newcomer.key, bit) {
                let old = self.merge(old, left, left_exits);
                self.build(right).map_or(old, |new| self.join(bit, old, new))
            } else {
                let old = self.merge(old, right, right_exits);
                self.build(left).map_or(old, |new| self.join(bit, new, old))
            };
        }
        self.retired.push(old.root);
        let Some(node) = node else { return leaf(run.first, newcomer) };
        let (left, right) = run.part(node.bit);
        let (left_exits, right_exits) = exits.split_at(left.leaves.len());
        let left = self.merge(child(node, false), left, left_exits);
        let right = self.merge(child(node, true), right, right_exits);
        self.join(node.bit, left, right)
    }

    /// A subtree of nothing but the leaves of `run`; `None` without leaves.
    fn build(&mut self, run: Run<'_>) -> Option<Top> {
        let (first, last) = (run.leaves.first()?, run.leaves.last()?);
        let Some(bit) = first_difference(&first.key, &last.key) else {
            return Some(leaf(run.first, first));
        };
        let (left, right) = run.part(bit);
        let left = self.build(left)?;
        let right = self.build(right)?;
        Some(self.join(bit, left, right))
    }

    /// A new node.
    fn join(&mut self, bit: u8, left: Top, right: Top) -> Top {
        let root = Ref::local(Target::Node(self.nodes.len()));
        let hashes = [left.hash, right.hash];
        self.nodes.push(Node { children: [left.root, right.root], hashes, bit });
        Top { root, hash: node_hash(bit, &left.hash, &right.hash) }
    }
}

fn child(node: &Node, right: bool) -> Top {
    let (root, hash) = node.child(right);
    Top { root, hash: *hash }
}

/// A changed leaf, given its number among them.
fn leaf(number: usize, leaf: &Leaf) -> Top {
    let hash = leaf_hash(&leaf.key, &record_hash(&leaf.record));
    Top { root: Ref::local(Target::Leaf(number)), hash }
}

/// Where each leaf leaves the subtree below `root`.
///
/// The leaf that the search for a key ends at agrees with it longer than all others, or as long, so
/// that one comparison is enough. The searches take turns, a step each, and so do not wait for one
/// another's cache misses. They read a byte of the hashes too, which are needed soon.
fn exits(arena: &Arena, root: Ref, leaves: &[Leaf]) -> Vec<Exit> {
    let mut cursors: Vec<Ref> = leaves.iter().map(|_| root).collect();
    let mut touched = 0;
    let mut moved = true;
    while moved {
        moved = false;
        for (cursor, leaf) in cursors.iter_mut().zip(leaves) {
            if let Target::Node(index) = cursor.target() {
                let node = arena.node(index);
                let (below, hash) = node.child(goes_right(&leaf.key, node.bit));
                *cursor = below;
                touched ^= hash[0];
                moved = true;
            }
        }
    }
    black_box(touched);
    let exit = |(cursor, leaf): (&Ref, &Leaf)| match cursor.target() {
        Target::Leaf(index) => {
            first_difference(&arena.leaf(index).key, &leaf.key).map_or(SAME, Exit::from)
        }
        Target::Node(_) => SAME,
    };
    cursors.iter().zip(leaves).map(exit).collect()
}
