//! The log: the append-only Merkle tree of RFC 6962 section 2.1 and RFC 9162 section 2.1.
//!
//! Leaves are numbered from 0 in the order in which they were appended. The hash of a tree with one
//! leaf is the leaf's; a larger tree is split after the largest power of two that is smaller than
//! its size, so that every left part is complete and never changes again.
//!
//! **Invariant:** nothing here keeps leaves or interior nodes, except the right edge in
//! [`Frontier`]. Who wants a proof says where the hash of a complete [`Subtree`] comes from.

mod climb;
mod frontier;
mod prove;
mod verify;

pub use frontier::{Frontier, FrontierError};
pub use prove::{PathError, consistency_path, inclusion_path, root_at};
pub use verify::{
    ProofError, root_from_consistency, root_from_inclusion, verify_consistency, verify_inclusion,
};

use crate::hash::{Hash, sha256_pair, sha256_prefixed};

/// The root of a tree without leaves: SHA-256 of no bytes (RFC 9162 section 2.1.1).
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The largest tree, in leaves, that proofs are made for and accepted for: 2^63 - 1.
///
/// Tools of the C2SP family keep sizes in signed 64-bit integers, so a larger log could not be
/// checked by them. It also bounds every path: at most 63 hashes for inclusion, 64 for consistency.
pub const MAX_SIZE: u64 = u64::MAX >> 1;

const LEAF_PREFIX: u8 = 0x00;
const NODE_PREFIX: u8 = 0x01;

/// The hash of a leaf, SHA-256(0x00 || data) (RFC 9162 section 2.1.1).
pub fn leaf_hash(data: &[u8]) -> Hash {
    sha256_prefixed(LEAF_PREFIX, data)
}

/// The hash of an interior node, SHA-256(0x01 || left || right) (RFC 9162 section 2.1.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256_pair(NODE_PREFIX, left, right)
}

/// A complete subtree: the one over leaves `index << level` up to, without, `(index + 1) << level`.
///
/// Level 0 is a single leaf. The hash of a complete subtree is the same in every larger tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subtree {
    /// Height above the leaves: the subtree has 2^level leaves.
    pub level: u8,
    /// Position among the subtrees of this level, from the left, from 0.
    pub index: u64,
}

impl Subtree {
    /// The number of leaves that a tree must have to hold this subtree whole, `(index + 1) <<
    /// level`; `None` if that is more than [`MAX_SIZE`].
    pub fn end(&self) -> Option<u64> {
        let width = 1_u64.checked_shl(u32::from(self.level))?;
        let end = self.index.checked_add(1)?.checked_mul(width)?;
        (end <= MAX_SIZE).then_some(end)
    }
}

/// Arguments for which there is no proof, whoever makes or checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// The leaf is not in the tree. Every index is out of range in the empty tree.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    IndexOutOfRange {
        /// The leaf's number, from 0.
        index: u64,
        /// The size of the tree in leaves.
        size: u64,
    },
    /// The tree is larger than [`MAX_SIZE`].
    #[error("a tree of {size} leaves is larger than 2^63 - 1")]
    SizeTooLarge {
        /// The size of the tree in leaves.
        size: u64,
    },
    /// Consistency with the empty tree was asked for. Every log extends it, so that a proof would
    /// say nothing; RFC 9162 section 2.1.4.1 defines none.
    #[error("every log extends the empty tree, there is nothing to prove")]
    FirstSizeZero,
    /// The first tree is larger than the second, which cannot be a prefix of it.
    #[error("the first tree ({size1} leaves) is larger than the second ({size2} leaves)")]
    SizesReversed {
        /// The size of the first, older tree in leaves.
        size1: u64,
        /// The size of the second, newer tree in leaves.
        size2: u64,
    },
}

/// That `size` is one that proofs exist for.
fn check_size(size: u64) -> Result<(), ArgumentError> {
    if size > MAX_SIZE { Err(ArgumentError::SizeTooLarge { size }) } else { Ok(()) }
}

/// The arguments of an inclusion proof.
fn check_inclusion(index: u64, size: u64) -> Result<(), ArgumentError> {
    check_size(size)?;
    if index >= size { Err(ArgumentError::IndexOutOfRange { index, size }) } else { Ok(()) }
}

/// The arguments of a consistency proof.
fn check_consistency(size1: u64, size2: u64) -> Result<(), ArgumentError> {
    check_size(size2)?;
    if size1 == 0 {
        Err(ArgumentError::FirstSizeZero)
    } else if size1 > size2 {
        Err(ArgumentError::SizesReversed { size1, size2 })
    } else {
        Ok(())
    }
}
