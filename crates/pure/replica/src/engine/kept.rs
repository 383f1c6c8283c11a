//! What this validator's log is known to have on disk at the open height.

use ledger_format::digest::BlockHash;

use crate::said::{Said, SaidVote};

/// The block that this validator said last that it precommits. It says so only once its log is durable, with the block's body and all
/// that led to the vote; so whatever quorum decides that block later, in whichever round, nothing of it need be waited for again.
#[derive(Debug, Default)]
pub(crate) struct Kept(Option<BlockHash>);

impl Kept {
    /// Something is about to be said, and the log is durable.
    pub(crate) fn says(&mut self, said: &Said) {
        if let Said::Vote(SaidVote { precommit: true, value: Some(block), .. }) = said {
            self.0 = Some(BlockHash(*block));
        }
    }

    /// Whether the log has a block.
    pub(crate) fn has(&self, block: BlockHash) -> bool {
        self.0 == Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(precommit: bool, value: Option<[u8; 32]>) -> Said {
        let (validator, signature) = ([0; 32], [0; 64]);
        Said::Vote(SaidVote { precommit, round: Some(0), value, validator, signature })
    }

    #[test]
    fn the_block_that_was_precommitted_and_no_other_is_kept() {
        let [one, other] = [[1; 32], [2; 32]];
        let mut kept = Kept::default();
        kept.says(&vote(false, Some(one)));
        kept.says(&vote(true, None));
        assert!(!kept.has(BlockHash(one)));
        kept.says(&vote(true, Some(one)));
        assert!(kept.has(BlockHash(one)) && !kept.has(BlockHash(other)));
        // Its log has the body still.
        kept.says(&vote(true, None));
        assert!(kept.has(BlockHash(one)));
        kept.says(&vote(true, Some(other)));
        assert!(kept.has(BlockHash(other)));
    }
}
