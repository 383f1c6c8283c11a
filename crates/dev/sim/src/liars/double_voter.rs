//! Votes for one thing before some, and for another before others; sometimes for both before one, and for the other many times.
//! The other is the block of another round where there is one, or none, or one that does not exist.

use std::collections::{BTreeMap, BTreeSet};

use ledger_fixtures::Rng;
use ledger_format::digest::{BlockHash, KeyId};
use ledger_replica::{Message, StatementKind};

use super::{Liar, Saying, Voice};

/// Heights of which it remembers blocks.
const HEIGHTS: usize = 4;
/// How often it says the other half of a double vote.
const AGAIN: usize = 24;

#[derive(Debug, Default)]
pub(super) struct DoubleVoter {
    /// Blocks that somebody proposed.
    blocks: BTreeMap<u64, BTreeSet<BlockHash>>,
}

impl Liar for DoubleVoter {
    fn says(
        &mut self,
        voice: &Voice<'_>,
        to: usize,
        message: &Message,
        dice: &mut Rng,
    ) -> Vec<Saying> {
        self.hears(voice.id, message);
        let truth = Saying::Message(message.clone());
        let vote = voice.own(message).filter(|statement| {
            matches!(statement.kind, StatementKind::Prevote | StatementKind::Precommit)
        });
        let Some(vote) = vote else { return vec![truth] };
        let proposed = self.blocks.get(&vote.height).into_iter().flatten();
        let real = proposed.copied().find(|block| Some(*block) != vote.block);
        let unreal = if vote.block.is_some() { None } else { Some(BlockHash(dice.bytes())) };
        let Some(lie) = voice.state(&vote, real.or(unreal)).map(Saying::Message) else {
            return vec![truth];
        };
        match (to.is_multiple_of(2), dice.once_in(3)) {
            (true, _) => vec![truth],
            (false, true) => [vec![truth], vec![lie; AGAIN]].concat(),
            (false, false) => vec![lie],
        }
    }

    fn hears(&mut self, _: KeyId, message: &Message) {
        let proposal = message
            .statement()
            .filter(|statement| matches!(statement.kind, StatementKind::Proposal { .. }));
        let Some((height, block)) = proposal.and_then(|said| Some((said.height, said.block?)))
        else {
            return;
        };
        self.blocks.entry(height).or_default().insert(block);
        if self.blocks.len() > HEIGHTS {
            self.blocks.pop_first();
        }
    }
}
