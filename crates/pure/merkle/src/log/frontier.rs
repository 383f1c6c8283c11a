//! The right edge of the log, all that appending needs.

use alloc::vec::Vec;

use super::{ArgumentError, EMPTY_ROOT, check_size, node_hash};
use crate::hash::Hash;

/// A log that remembers only its size and the roots of the complete subtrees which cover it, one
/// for each bit that is set in the size, largest (leftmost) first: at most 64 hashes.
///
/// It can append and give the root, not prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

/// A size and hashes that are not the frontier of any log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// The size is refused.
    #[error(transparent)]
    Size(#[from] ArgumentError),
    /// There must be one hash for each bit that is set in the size.
    #[error("{size} leaves are covered by {expected} complete subtrees, not {found}")]
    WrongCount {
        /// The size in leaves.
        size: u64,
        /// How many hashes that size needs.
        expected: u32,
        /// How many hashes were given.
        found: usize,
    },
}

impl Frontier {
    /// The frontier of the empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// A frontier that was taken apart by [`size`](Self::size) and [`nodes`](Self::nodes).
    ///
    /// That the hashes belong to the log cannot be seen here: compare [`root`](Self::root) with a
    /// root that is trusted.
    pub fn from_nodes(size: u64, nodes: Vec<Hash>) -> Result<Self, FrontierError> {
        check_size(size)?;
        let expected = size.count_ones();
        if u32::try_from(nodes.len()) != Ok(expected) {
            return Err(FrontierError::WrongCount { size, expected, found: nodes.len() });
        }
        Ok(Self { size, nodes })
    }

    /// A frontier whose hashes were counted by who made it.
    pub(crate) fn from_counted(size: u64, nodes: Vec<Hash>) -> Self {
        Self { size, nodes }
    }

    /// Appends a leaf, given its [`leaf_hash`](super::leaf_hash).
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each trailing one bit of the size is a complete subtree that the new leaf completes a
        // pair with, as in adding one to a binary number.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.nodes.push(node);
        // Sizes start at most at 2^63 - 1 and grow by one a call: they do not reach the end.
        self.size = self.size.wrapping_add(1);
    }

    /// The size of the log in leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the log (RFC 9162 section 2.1.1).
    pub fn root(&self) -> Hash {
        let mut subtrees = self.nodes.iter().rev();
        let Some(&smallest) = subtrees.next() else { return EMPTY_ROOT };
        subtrees.fold(smallest, |right, left| node_hash(left, &right))
    }

    /// The roots of the complete subtrees that cover the log, largest first.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }
}
