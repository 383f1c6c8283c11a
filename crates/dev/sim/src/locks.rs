//! The rule that keeps two blocks of one height apart: who has precommitted a block prevotes for another one only where a quorum
//! prevoted for that one since (docs/adr/0004). What a validator has heard is not known here; it has heard nothing that nobody said, so
//! all that anybody said counts, liars too, and its own vote. That accuses nobody honest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ledger_format::digest::{BlockHash, KeyId};
use ledger_format::validators::Validators;
use ledger_replica::{Statement, StatementKind};

/// What was said for blocks.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    /// Who prevoted for a block of a height in a round.
    prevotes: BTreeMap<(u64, u32, BlockHash), BTreeSet<KeyId>>,
    /// What each validator precommitted at a height, by round.
    precommits: BTreeMap<(u64, KeyId), BTreeMap<u32, BlockHash>>,
}

/// What a vote lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// It is a precommit, and no quorum prevoted for the block in its round.
    Polka,
    /// It is a prevote against what its validator had precommitted, and no quorum prevoted for the block since.
    Release,
}

impl Locks {
    /// Somebody has said something.
    pub(crate) fn hear(&mut self, said: &Statement) {
        let Statement { height, round, kind, validator, .. } = *said;
        let Some(block) = said.block else { return };
        match kind {
            StatementKind::Prevote => {
                self.prevotes.entry((height, round, block)).or_default().insert(validator);
            }
            StatementKind::Precommit => {
                self.precommits.entry((height, validator)).or_default().insert(round, block);
            }
            StatementKind::Proposal { .. } => {}
        }
    }

    /// A validator has lost its memory of what it precommitted at these heights.
    pub(crate) fn forget(&mut self, validator: &KeyId, heights: &Range<u64>) {
        self.precommits.retain(|(height, by), _| by != validator || !heights.contains(height));
    }

    /// What a vote of an honest validator lacks, if it should not have been made.
    pub(crate) fn lack(&self, set: &Validators, vote: &Statement) -> Option<Lack> {
        let Statement { height, round, kind, validator, .. } = *vote;
        let block = vote.block?;
        let has_polka = |round: u32| {
            let own = BTreeSet::from([validator]);
            let others = self.prevotes.get(&(height, round, block)).unwrap_or(&own);
            set.is_quorum(set.power_of(others.union(&own)))
        };
        match kind {
            StatementKind::Precommit => (!has_polka(round)).then_some(Lack::Polka),
            StatementKind::Prevote => {
                let precommits = self.precommits.get(&(height, validator))?;
                let (since, locked) = precommits.range(..round).next_back()?;
                let is_free = *locked == block || (*since..round).any(has_polka);
                (!is_free).then_some(Lack::Release)
            }
            StatementKind::Proposal { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger_event::Clock;
    use ledger_story::members::{MEMBERS, set};
    use ledger_story::{LIMITS, china, genesis_with};

    use super::*;

    fn vote(kind: StatementKind, by: KeyId, round: u32, block: u8) -> Statement {
        let block = (block > 0).then_some(BlockHash([block; 32]));
        Statement { height: 1, round, kind, block, validator: by, signature: [0; 64] }
    }

    #[test]
    fn only_a_quorum_releases() {
        let genesis = genesis_with(set(&MEMBERS), 1, Clock::Wall, china("2026-08-03"), LIMITS);
        let set = genesis.validators();
        let ids: Vec<KeyId> = set.members().iter().map(|member| member.id).collect();
        assert!(ids.len() >= 4);
        let (prevote, precommit) = (StatementKind::Prevote, StatementKind::Precommit);
        let mut locks = Locks::default();
        let others = &ids[1..];
        for id in others {
            locks.hear(&vote(prevote, *id, 0, 1));
        }
        let first = vote(precommit, ids[0], 0, 1);
        assert_eq!(locks.lack(set, &first), None);
        assert_eq!(locks.lack(set, &vote(precommit, ids[0], 0, 2)), Some(Lack::Polka));
        assert_eq!(locks.lack(set, &vote(precommit, ids[0], 0, 0)), None);
        locks.hear(&first);
        // Again, for none, or for another that nobody else prevoted for.
        assert_eq!(locks.lack(set, &vote(prevote, ids[0], 3, 1)), None);
        assert_eq!(locks.lack(set, &vote(prevote, ids[0], 3, 0)), None);
        assert_eq!(locks.lack(set, &vote(prevote, ids[0], 3, 2)), Some(Lack::Release));
        // A quorum of a later round counts, before the one of the vote alone.
        for id in others {
            locks.hear(&vote(prevote, *id, 2, 2));
        }
        assert_eq!(locks.lack(set, &vote(prevote, ids[0], 2, 2)), Some(Lack::Release));
        assert_eq!(locks.lack(set, &vote(prevote, ids[0], 3, 2)), None);
        // Who has precommitted nothing may prevote for anything.
        assert_eq!(locks.lack(set, &vote(prevote, ids[1], 1, 2)), None);
    }
}
