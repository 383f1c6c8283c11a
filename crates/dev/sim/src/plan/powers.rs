//! What the votes of validators count: in some networks not all the same, so that no count of heads stands for one of power.

use std::iter::repeat_with;

use ledger_fixtures::Rng;

use super::{Plan, Trouble};

/// The most that one vote counts.
const MOST: usize = 4;

impl Plan {
    /// The power of each node that has vote keys. Unequal ones are drawn until those that the plan lets fail together have less than
    /// a third.
    pub fn powers(&self) -> Vec<u32> {
        if !self.is_weighted {
            return vec![1; self.keepers()];
        }
        let mut dice = Rng(self.seed ^ 0x706f_7765);
        let mut power = || u32::try_from(1 + dice.below(MOST)).unwrap();
        let mut drawn = repeat_with(|| (0..self.keepers()).map(|_| power()).collect());
        let is_fit = |powers: &Vec<u32>| {
            let is_unequal = powers[..self.validators].iter().any(|power| *power != powers[0]);
            is_unequal && self.is_borne_by(powers)
        };
        drawn.find(is_fit).unwrap()
    }

    /// Whether those that fail together by this plan have less than a third of every set that there may be: all that lie, and one more
    /// where memories are lost. And whoever comes in leaves enough to the parties that agreed on everything before.
    fn is_borne_by(&self, powers: &[u32]) -> bool {
        let (all, most) = (powers.iter().sum::<u32>(), powers.iter().max().unwrap());
        // One of those with keys is no member where members change.
        let least = if self.changes { all - most } else { all };
        let (mut lying, mut lost) = (0, 0);
        for (validator, power) in powers.iter().enumerate() {
            if self.lies(validator).is_some() {
                lying += power;
            } else if self.loses_memory() {
                lost = lost.max(*power);
            }
        }
        let comes_in = powers[self.validators..].iter().sum();
        3 * (lying + lost).max(comes_in) < least
    }

    /// Whether a validator may be without its memory for a while.
    fn loses_memory(&self) -> bool {
        self.forgets || self.troubles.contains(&Trouble::BitFlipLog)
    }

    /// Whether fewer validators than would be a quorum of equal ones may have the power of one.
    pub(super) fn is_decided_by_few(&self) -> bool {
        let mut powers = self.powers()[..self.validators].to_vec();
        powers.sort_unstable_by(|a, b| b.cmp(a));
        let few: u32 = powers[..quorum_of_heads(self.validators) - 1].iter().sum();
        3 * few > 2 * powers.iter().sum::<u32>()
    }
}

/// How many validators are a quorum where all votes count the same.
pub(crate) const fn quorum_of_heads(validators: usize) -> usize {
    validators - validators.saturating_sub(1) / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_fail_together_have_less_than_a_third() {
        for validators in [4, 5, 7] {
            let plans: Vec<Plan> = (1..=300).map(|seed| Plan::of(seed, validators, 50)).collect();
            let weighted: Vec<&Plan> = plans.iter().filter(|plan| plan.is_weighted).collect();
            assert!((70..130).contains(&weighted.len()), "{}", weighted.len());
            assert!(weighted.iter().any(|plan| plan.is_decided_by_few()));
            for plan in weighted {
                let powers = plan.powers();
                let (founders, all) = (&powers[..validators], powers.iter().sum::<u32>());
                assert!(founders.iter().any(|power| *power != founders[0]));
                let lie = |number: &usize| plan.lies(*number).is_some();
                let lying: u32 = (0..validators).filter(lie).map(|number| powers[number]).sum();
                assert!(3 * lying < founders.iter().sum() && 3 * lying < all, "{}", plan.seed);
            }
        }
    }

    #[test]
    fn votes_count_the_same_in_small_networks_and_where_nothing_else_is_planned() {
        for validators in [1, 2, 3] {
            let mut plans = (1..=100).map(|seed| Plan::of(seed, validators, 50));
            assert!(plans.all(|plan| plan.powers() == vec![1; validators]));
        }
        let mut plan = Plan::of(1, 7, 50);
        plan.is_weighted = false;
        assert!(!plan.is_decided_by_few());
    }
}
