//! Proofs that a key has a record, or none, and their verification, which needs no trie.

use alloc::vec::Vec;

use super::{EMPTY_ROOT, goes_right, leaf_hash, node_hash};
use crate::hash::Hash;

/// What the search for a key meets: one format for presence and absence.
///
/// The leaf that the search ends at answers for the key. If it is the key's own the key is present;
/// if it is another's, the key is absent, since a present key would stand in its place. About 33
/// bytes for each of the `log2(n)` steps and 64 for the leaf, before encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The leaf at which the search ends; `None` in a map without keys.
    pub leaf: Option<ProofLeaf>,
    /// The nodes on the way, the root first: at most 256.
    pub path: Vec<ProofStep>,
}

/// The leaf that a search ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofLeaf {
    /// Its key, the searched one or another.
    pub key: Hash,
    /// SHA-256 of its record.
    pub record_hash: Hash,
}

/// A node that a search passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofStep {
    /// The bit of the key that says left (0) or right (1), counted from the most significant bit of
    /// the first byte.
    pub bit: u8,
    /// The hash of the child that the search does not go to.
    pub sibling: Hash,
}

/// What an accepted proof says of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The map has a record under the key.
    Present {
        /// SHA-256 of that record, see [`record_hash`](super::record_hash).
        record_hash: Hash,
    },
    /// The map has no record under the key.
    Absent,
}

/// Why a proof says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There are steps and no leaf that they lead to.
    #[error("a proof without a leaf has steps")]
    StepsWithoutLeaf,
    /// Some step's bit is not larger than that of the step above: no map has such nodes.
    #[error("the bits of the path do not rise strictly")]
    BitsNotRising,
    /// Searched key and shown leaf turn different ways at some step: the search does not end there.
    #[error("the shown leaf does not stand on the way to the key")]
    LeafOffPath,
    /// The proof gives another root: it is of another version, or was changed.
    #[error("the proof does not give the root")]
    RootMismatch,
}

impl Proof {
    /// What the map with this root holds under a key.
    ///
    /// The root must come from somewhere trusted; the caller compares the record hash with its
    /// record. Any proof may be given, of any length: at most 256 steps are looked at.
    pub fn verify(&self, root: &Hash, key: &Hash) -> Result<Outcome, ProofError> {
        let Some(leaf) = self.leaf else { return self.verify_without_leaf(root) };
        if !self.path.is_sorted_by(|upper, lower| upper.bit < lower.bit) {
            return Err(ProofError::BitsNotRising);
        }
        let mut hash = leaf_hash(&leaf.key, &leaf.record_hash);
        for ProofStep { bit, sibling } in self.path.iter().rev() {
            let right = goes_right(key, *bit);
            if goes_right(&leaf.key, *bit) != right {
                return Err(ProofError::LeafOffPath);
            }
            let (left, right) = if right { (sibling, &hash) } else { (&hash, sibling) };
            hash = node_hash(*bit, left, right);
        }
        if hash != *root {
            Err(ProofError::RootMismatch)
        } else if leaf.key == *key {
            Ok(Outcome::Present { record_hash: leaf.record_hash })
        } else {
            Ok(Outcome::Absent)
        }
    }

    /// Only the map without keys has a search that meets nothing.
    fn verify_without_leaf(&self, root: &Hash) -> Result<Outcome, ProofError> {
        if !self.path.is_empty() {
            Err(ProofError::StepsWithoutLeaf)
        } else if *root == EMPTY_ROOT {
            Ok(Outcome::Absent)
        } else {
            Err(ProofError::RootMismatch)
        }
    }
}
