//! A store of complete subtrees, as plain as can be.

use ledger_merkle::Hash;
use ledger_merkle::log::{Subtree, node_hash};

/// Complete subtrees computed from leaf hashes, level by level.
pub(crate) struct Subtrees(Vec<Vec<Hash>>);

impl Subtrees {
    pub(crate) fn new(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while levels[levels.len() - 1].len() > 1 {
            let below = &levels[levels.len() - 1];
            levels.push(below.chunks_exact(2).map(|two| node_hash(&two[0], &two[1])).collect());
        }
        Self(levels)
    }

    /// The hash, or the subtree back if it is not there.
    pub(crate) fn get(&self, subtree: Subtree) -> Result<Hash, Subtree> {
        self.0
            .get(usize::from(subtree.level))
            .and_then(|level| level.get(usize::try_from(subtree.index).ok()?))
            .copied()
            .ok_or(subtree)
    }
}
