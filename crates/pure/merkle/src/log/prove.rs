//! Making proofs out of the hashes of complete subtrees.

use alloc::vec::Vec;

use super::climb::Climb;
use super::{
    ArgumentError, EMPTY_ROOT, Subtree, check_consistency, check_inclusion, check_size, node_hash,
};
use crate::hash::Hash;

/// Why there is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError<E> {
    /// There is no such proof; nothing was fetched.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// The caller's own function failed.
    #[error("the hash of a subtree could not be fetched")]
    Fetch(#[source] E),
}

/// The inclusion path of leaf `index` in the tree of the first `size` leaves, lowest sibling first:
/// PATH(index, D_size) of RFC 9162 section 2.1.3.1.
///
/// `fetch` gives the hash of a complete subtree of that tree. It is asked at most once for each, in
/// no order to rely on, and at most 126 times.
pub fn inclusion_path<E>(
    index: u64,
    size: u64,
    fetch: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Vec<Hash>, PathError<E>> {
    check_inclusion(index, size)?;
    let mut path = Vec::new();
    push_siblings(Climb::from_leaf(index, size), size, fetch, &mut path)
        .map_err(PathError::Fetch)?;
    Ok(path)
}

/// The consistency path between the trees of the first `size1` and the first `size2` leaves:
/// PROOF(size1, D_size2) of RFC 9162 section 2.1.4.1. It is empty if the sizes are equal.
///
/// `fetch` as for [`inclusion_path`], for subtrees of the tree of `size2` leaves.
pub fn consistency_path<E>(
    size1: u64,
    size2: u64,
    mut fetch: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Vec<Hash>, PathError<E>> {
    check_consistency(size1, size2)?;
    let mut path = Vec::new();
    if size1 == size2 {
        return Ok(path);
    }
    let climb = Climb::from_edge(size1, size2);
    let (level, index) = climb.position();
    // At index 0 that subtree is the whole old tree, whose root the verifier has.
    if index > 0 {
        path.push(fetch(Subtree { level, index }).map_err(PathError::Fetch)?);
    }
    push_siblings(climb, size2, fetch, &mut path).map_err(PathError::Fetch)?;
    Ok(path)
}

/// The root of the tree of the first `size` leaves (RFC 9162 section 2.1.1), also of a size that
/// the log has outgrown.
///
/// `fetch` gives the hash of a complete subtree; it is asked once for each bit set in `size`.
pub fn root_at<E>(
    size: u64,
    fetch: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Hash, PathError<E>> {
    check_size(size)?;
    right_edge(size, 63, fetch).map(|root| root.unwrap_or(EMPTY_ROOT)).map_err(PathError::Fetch)
}

/// Appends the siblings on the way up, in a tree of `size` leaves.
fn push_siblings<E>(
    climb: Climb,
    size: u64,
    mut fetch: impl FnMut(Subtree) -> Result<Hash, E>,
    path: &mut Vec<Hash>,
) -> Result<(), E> {
    for sibling in climb {
        let edge =
            if sibling.is_last { right_edge(size, sibling.level, &mut fetch)? } else { None };
        let hash = match edge {
            Some(hash) => hash,
            None => fetch(Subtree { level: sibling.level, index: sibling.index })?,
        };
        path.push(hash);
    }
    Ok(())
}

/// The root of the leaves that remain, in a tree of `size` leaves, right of the last subtree of
/// `level` that is complete; `None` if there are none.
fn right_edge<E>(
    size: u64,
    level: u8,
    mut fetch: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Option<Hash>, E> {
    let mut root: Option<Hash> = None;
    // One complete subtree for each bit of the size below `level`, smallest and rightmost first.
    for level in 0..level {
        let end = size >> level;
        if end & 1 == 1 {
            let left = fetch(Subtree { level, index: end ^ 1 })?;
            root = Some(root.map_or(left, |right| node_hash(&left, &right)));
        }
    }
    Ok(root)
}
