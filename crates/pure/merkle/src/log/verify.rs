//! Checking proofs. Every input may come from a liar: nothing here panics, and no loop is longer
//! than 64 steps.

use super::climb::Climb;
use super::{ArgumentError, check_consistency, check_inclusion, node_hash};
use crate::hash::Hash;

/// Why a proof is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No proof exists for these arguments.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// The path has fewer hashes than the sizes ask for.
    #[error("the path is too short")]
    PathTooShort,
    /// The path has more hashes than the sizes ask for.
    #[error("the path is too long")]
    PathTooLong,
    /// The leaf and the path give another root: the leaf is not there, or the path is not its own.
    #[error("the leaf and the path do not give the root")]
    RootMismatch,
    /// The path does not give the root of the first, older tree.
    #[error("the path does not give the first root")]
    FirstRootMismatch,
    /// The path gives the first root and not the second. For equal sizes, which have no path: the
    /// two roots differ.
    #[error("the path does not give the second root")]
    SecondRootMismatch,
}

/// The root of the tree of `size` leaves in which the leaf with hash `leaf_hash` is number `index`
/// (RFC 9162 section 2.1.3.2, steps 1 to 4).
///
/// The result means nothing until it is compared with a root that is trusted, or a signature over
/// it is verified (receipts of RFC 9942).
///
/// Errors: [`ProofError::Arguments`], [`ProofError::PathTooShort`], [`ProofError::PathTooLong`].
pub fn root_from_inclusion(
    leaf_hash: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
) -> Result<Hash, ProofError> {
    check_inclusion(index, size)?;
    let mut hashes = path.iter();
    let mut root = *leaf_hash;
    for sibling in Climb::from_leaf(index, size) {
        let hash = hashes.next().ok_or(ProofError::PathTooShort)?;
        root = if sibling.is_left { node_hash(hash, &root) } else { node_hash(&root, hash) };
    }
    end_of_path(hashes)?;
    Ok(root)
}

/// That the leaf with hash `leaf_hash` is number `index` in the tree of `size` leaves with the root
/// `root` (RFC 9162 section 2.1.3.2).
///
/// Errors: those of [`root_from_inclusion`] and [`ProofError::RootMismatch`].
pub fn verify_inclusion(
    leaf_hash: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if root_from_inclusion(leaf_hash, index, size, path)? == *root {
        Ok(())
    } else {
        Err(ProofError::RootMismatch)
    }
}

/// The root of the tree of `size2` leaves that extends the tree of `size1` leaves with the root
/// `root1` (RFC 9162 section 2.1.4.2). For equal sizes the path is empty and the root the same.
///
/// The result means nothing until it is compared with a root that is trusted, or a signature over
/// it is verified (consistency receipts of RFC 9942).
///
/// Errors: [`ProofError::Arguments`], [`ProofError::PathTooShort`], [`ProofError::PathTooLong`],
/// [`ProofError::FirstRootMismatch`].
pub fn root_from_consistency(
    size1: u64,
    root1: &Hash,
    size2: u64,
    path: &[Hash],
) -> Result<Hash, ProofError> {
    check_consistency(size1, size2)?;
    let mut hashes = path.iter();
    if size1 == size2 {
        end_of_path(hashes)?;
        return Ok(*root1);
    }
    let climb = Climb::from_edge(size1, size2);
    let (_, index) = climb.position();
    // At index 0 the subtree to start from is the whole first tree (step 1 of the RFC).
    let start = if index == 0 { root1 } else { hashes.next().ok_or(ProofError::PathTooShort)? };
    let (mut first, mut second) = (*start, *start);
    for sibling in climb {
        let hash = hashes.next().ok_or(ProofError::PathTooShort)?;
        if sibling.is_left {
            first = node_hash(hash, &first);
            second = node_hash(hash, &second);
        } else {
            // What stands right of the first tree's edge is in the second tree only.
            second = node_hash(&second, hash);
        }
    }
    end_of_path(hashes)?;
    if first == *root1 { Ok(second) } else { Err(ProofError::FirstRootMismatch) }
}

/// That the tree of `size1` leaves with the root `root1` is a prefix of the tree of `size2` leaves
/// with the root `root2` (RFC 9162 section 2.1.4.2).
///
/// Errors: those of [`root_from_consistency`] and [`ProofError::SecondRootMismatch`].
pub fn verify_consistency(
    size1: u64,
    root1: &Hash,
    size2: u64,
    root2: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    if root_from_consistency(size1, root1, size2, path)? == *root2 {
        Ok(())
    } else {
        Err(ProofError::SecondRootMismatch)
    }
}

/// That a path has no hash left.
fn end_of_path<'a>(mut rest: impl Iterator<Item = &'a Hash>) -> Result<(), ProofError> {
    if rest.next().is_some() { Err(ProofError::PathTooLong) } else { Ok(()) }
}
