//! Reading any version that is kept.

use alloc::vec::Vec;
use core::iter::FusedIterator;

use super::arena::{Arena, Leaf, Node, Ref, Target};
use super::proof::{Proof, ProofLeaf, ProofStep};
use super::{EMPTY_ROOT, record_hash};
use super::{Trie, TrieError, Version, first_difference, goes_right, leaf_hash, node_hash};
use crate::hash::Hash;

impl Trie {
    /// The record under a key in one version, `None` if the key is absent.
    ///
    /// Errors: [`TrieError::Gone`].
    pub fn get(&self, version: Version, key: &Hash) -> Result<Option<&[u8]>, TrieError> {
        let Some(root) = self.kept(version)?.root else { return Ok(None) };
        let leaf = self.arena.search(root, key, |_| {});
        Ok((leaf.key == *key).then_some(&*leaf.record))
    }

    /// All keys and records of one version, in key order.
    ///
    /// Errors: [`TrieError::Gone`].
    pub fn records(&self, version: Version) -> Result<Records<'_>, TrieError> {
        let kept = self.kept(version)?;
        let left = usize::try_from(version.len).unwrap_or(usize::MAX);
        Ok(Records { arena: &self.arena, stack: kept.root.into_iter().collect(), left })
    }

    /// As [`Trie::records`], from the first key above `after` on: for reading a large version piece by
    /// piece.
    ///
    /// Errors: [`TrieError::Gone`].
    pub fn records_after(
        &self,
        version: Version,
        after: &Hash,
    ) -> Result<impl Iterator<Item = (&Hash, &[u8])>, TrieError> {
        let kept = self.kept(version)?;
        let stack = kept.root.map_or_else(Vec::new, |root| self.arena.above(root, after));
        // How many there are is not known: only the items of `Records` are passed on, not its size.
        let mut records = Records { arena: &self.arena, stack, left: 0 };
        Ok(core::iter::from_fn(move || records.next()))
    }

    /// The proof that one version has a record under a key, or that it has none.
    ///
    /// Errors: [`TrieError::Gone`].
    pub fn prove(&self, version: Version, key: &Hash) -> Result<Proof, TrieError> {
        let Some(root) = self.kept(version)?.root else { return Ok(Proof::default()) };
        let mut path = Vec::new();
        let leaf = self.arena.search(root, key, |node| {
            let (_, sibling) = node.child(!goes_right(key, node.bit));
            path.push(ProofStep { bit: node.bit, sibling: *sibling });
        });
        let record_hash = record_hash(&leaf.record);
        Ok(Proof { leaf: Some(ProofLeaf { key: leaf.key, record_hash }), path })
    }

    /// Computes the root of one version anew from its keys and records, and checks the order of
    /// everything on the way. Reads the whole version, about a microsecond a key: for tests, and for
    /// who doubts the memory.
    ///
    /// Errors: [`TrieError::Gone`], [`TrieError::Damaged`].
    pub fn audit(&self, version: Version) -> Result<(), TrieError> {
        let kept = self.kept(version)?;
        let (hash, len) = match kept.root {
            None => (EMPTY_ROOT, 0),
            Some(root) => {
                let found = self.arena.audit(root, 0).ok_or(TrieError::Damaged)?;
                (found.hash, found.len)
            }
        };
        if hash == version.hash && len == version.len { Ok(()) } else { Err(TrieError::Damaged) }
    }
}

/// What an audit found below one place.
struct Found<'a> {
    first: &'a Hash,
    last: &'a Hash,
    hash: Hash,
    len: u64,
}

impl Arena {
    /// The leaf that the search for a key ends at. `pass` is shown each node on the way.
    fn search(&self, root: Ref, key: &Hash, mut pass: impl FnMut(&Node)) -> &Leaf {
        let mut at = root;
        loop {
            match at.target() {
                Target::Leaf(index) => return self.leaf(index),
                Target::Node(index) => {
                    let node = self.node(index);
                    pass(node);
                    (at, _) = node.child(goes_right(key, node.bit));
                }
            }
        }
    }

    /// The subtrees that hold the keys above `key`, the lowest on top.
    fn above(&self, root: Ref, key: &Hash) -> Vec<Ref> {
        // All keys below a node agree in the bits before its own. Where they first differ from `key`
        // says whether all of them are above it, or none.
        let nearest = self.search(root, key, |_| {});
        let difference = first_difference(&nearest.key, key);
        let mut stack = Vec::new();
        let mut at = root;
        while let Target::Node(index) = at.target() {
            let node = self.node(index);
            if difference.is_some_and(|difference| difference < node.bit) {
                break;
            }
            let right = goes_right(key, node.bit);
            if !right {
                stack.push(node.child(true).0);
            }
            (at, _) = node.child(right);
        }
        if difference.is_some_and(|difference| !goes_right(key, difference)) {
            stack.push(at);
        }
        stack
    }

    /// The subtree below `at`, all of whose bits must be at least `depth`; `None` if anything there
    /// is wrong.
    fn audit(&self, at: Ref, depth: u16) -> Option<Found<'_>> {
        let node = match at.target() {
            Target::Leaf(index) => {
                let Leaf { key, record } = self.leaf(index);
                let hash = leaf_hash(key, &record_hash(record));
                return Some(Found { first: key, last: key, hash, len: 1 });
            }
            Target::Node(index) => self.node(index),
        };
        let Node { children, hashes, bit } = node;
        if u16::from(*bit) < depth {
            return None;
        }
        let below = u16::from(*bit).saturating_add(1);
        let [left, right] = children.map(|child| self.audit(child, below));
        let (left, right) = (left?, right?);
        // Keys rise, so that what the outermost agree in, all agree in.
        let placed = left.last < right.first
            && first_difference(left.first, right.last) == Some(*bit)
            && first_difference(left.last, right.first) == Some(*bit);
        let hash = node_hash(*bit, &left.hash, &right.hash);
        let len = left.len.checked_add(right.len)?;
        (placed && *hashes == [left.hash, right.hash]).then_some(Found {
            first: left.first,
            last: right.last,
            hash,
            len,
        })
    }
}

/// The keys and records of one version in key order, see [`Trie::records`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    arena: &'a Arena,
    /// What is still to come, the next on top.
    stack: Vec<Ref>,
    left: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = (&'a Hash, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.stack.pop()?.target() {
                Target::Node(index) => {
                    let [left, right] = self.arena.node(index).children;
                    self.stack.extend([right, left]);
                }
                Target::Leaf(index) => {
                    let leaf = self.arena.leaf(index);
                    self.left = self.left.saturating_sub(1);
                    return Some((&leaf.key, &leaf.record));
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Records<'_> {}
impl FusedIterator for Records<'_> {}
