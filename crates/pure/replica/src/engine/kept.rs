//! What this validator's log is known to have on disk at the open height.

use ledger_format::digest::BlockHash;
use ledger_format::vote::Certificate;

use crate::planted::{self, Bug};
use crate::said::{Said, SaidVote};

/// The precommit that this validator said last: its round and block. It says so only once its log is durable, with the vote, the block's
/// body and all that led to it; so of a certificate of that round nothing need be waited for again. One of another round may have a vote of
/// its own that it has signed and not said yet, and which must not be shown before it is durable.
#[derive(Debug, Default)]
pub(crate) struct Kept(Option<(u32, BlockHash)>);

impl Kept {
    /// Something is about to be said, and the log is durable.
    pub(crate) fn says(&mut self, said: &Said) {
        if let Said::Vote(SaidVote {
            precommit: true,
            round: Some(round),
            value: Some(block),
            ..
        }) = said
        {
            self.0 = Some((*round, BlockHash(*block)));
        }
    }

    /// Whether the log has the block that a certificate is for, and this validator's own vote in it.
    pub(crate) fn has(&self, certificate: &Certificate) -> bool {
        self.0.is_some_and(|(round, block)| {
            let is_of_round = round == certificate.round || planted::is(Bug::VoteOfAnyRound);
            is_of_round && block == certificate.block
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(precommit: bool, round: u32, value: Option<[u8; 32]>) -> Said {
        let (validator, signature) = ([0; 32], [0; 64]);
        Said::Vote(SaidVote { precommit, round: Some(round), value, validator, signature })
    }

    fn decided(round: u32, block: [u8; 32]) -> Certificate {
        Certificate { height: 7, round, block: BlockHash(block), signatures: Vec::new() }
    }

    #[test]
    fn the_precommit_that_was_said_last_is_kept_and_no_other() {
        let [one, other] = [[1; 32], [2; 32]];
        let mut kept = Kept::default();
        kept.says(&vote(false, 0, Some(one)));
        kept.says(&vote(true, 0, None));
        assert!(!kept.has(&decided(0, one)));
        kept.says(&vote(true, 0, Some(one)));
        assert!(kept.has(&decided(0, one)) && !kept.has(&decided(0, other)));
        // Its own vote of the next round may be signed already, and not be durable.
        assert!(!kept.has(&decided(1, one)));
        kept.says(&vote(true, 1, None));
        assert!(kept.has(&decided(0, one)) && !kept.has(&decided(1, one)));
        kept.says(&vote(true, 2, Some(other)));
        assert!(kept.has(&decided(2, other)) && !kept.has(&decided(0, one)));
    }
}
