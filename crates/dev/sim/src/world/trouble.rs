//! Trouble: what breaks, and for how long.

use super::{Happening, World};
use crate::plan::Trouble;

/// Mean time between troubles when some are outstanding, in milliseconds.
const HURRY_MS: usize = 500;

impl World {
    pub(super) fn trouble(&mut self) {
        if !self.stormy {
            return;
        }
        let outstanding = self.outstanding();
        let mean_ms = if outstanding.is_empty() { self.plan.trouble_ms } else { HURRY_MS };
        let after = 1 + u64::try_from(self.dice.below(2 * mean_ms)).unwrap();
        self.after(after, Happening::Trouble);
        let is_first = !outstanding.is_empty();
        let troubles = if is_first { &outstanding } else { &self.plan.troubles };
        if troubles.is_empty() {
            return;
        }
        let trouble = *self.dice.pick(troubles);
        let node = self.dice.below(self.nodes.len());
        match trouble {
            Trouble::Crash => self.crash(node, trouble.name()),
            Trouble::FlushError => self.nodes[node].disk.flush_fails = true,
            Trouble::CrashAtAction => {
                let left = self.dice.below(40);
                self.nodes[node].left = Some(left);
            }
            Trouble::CrashAnswered => self.nodes[node].dies_answered = true,
            // Rare: a network that dies again and again before it has met decides nothing.
            Trouble::Blackout if is_first || self.dice.once_in(8) => self.blackout(),
            Trouble::Blackout => {}
            Trouble::Partition => self.partition(),
            Trouble::OneWay => {
                let to =
                    (node + 1 + self.dice.below((self.nodes.len() - 1).max(1))) % self.nodes.len();
                self.cut(node, to);
                self.fault(trouble.name());
            }
            Trouble::Reconnect => {
                let peer =
                    (node + 1 + self.dice.below((self.nodes.len() - 1).max(1))) % self.nodes.len();
                self.broke.extend([((node, peer), self.number), ((peer, node), self.number)]);
                self.mend(node, peer);
                self.fault(trouble.name());
            }
            Trouble::ClockJump => {
                let by = i64::try_from(self.dice.below(4_000)).unwrap() - 2_000;
                let is_off = self.plan.clock_off_ms(node, self.nodes[node].lies);
                self.nodes[node].skew_ms = is_off + by;
                self.fault(trouble.name());
            }
            Trouble::BitFlipLog | Trouble::BitFlipBlock => self.flip(node, trouble),
            Trouble::ReadError => {
                self.nodes[node].disk.read_fails = true;
                if is_first {
                    self.crash(node, Trouble::Crash.name());
                }
            }
        }
    }

    /// In the second half of a long run: what is planned and has not happened yet.
    fn outstanding(&self) -> Vec<Trouble> {
        if !self.plan.is_long() || 2 * self.checks.height() < self.plan.heights {
            return Vec::new();
        }
        let is_new =
            |trouble: &Trouble| trouble.is_sure() && !self.faults.contains_key(trouble.name());
        self.plan.troubles.iter().copied().filter(is_new).collect()
    }

    /// Kinds of fault that this run has to have, and has not had.
    pub(super) fn missed(&self) -> Vec<&'static str> {
        if !self.plan.is_long() {
            return Vec::new();
        }
        self.plan.sure().into_iter().filter(|kind| !self.faults.contains_key(kind)).collect()
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.network.set_cut(from, to, true);
        let after = 200 + u64::try_from(self.dice.below(6_000)).unwrap();
        self.after(after, Happening::Mends { from, to });
    }

    pub(super) fn partition(&mut self) {
        let mut side: Vec<bool> = self.nodes.iter().map(|_| self.dice.once_in(3)).collect();
        // All on one side would be no partition.
        if side.iter().all(|is_apart| *is_apart == side[0]) {
            let alone = self.dice.below(side.len());
            side[alone] = !side[alone];
        }
        for from in 0..side.len() {
            for to in (0..side.len()).filter(|to| side[*to] != side[from]) {
                self.cut(from, to);
            }
        }
        self.fault(Trouble::Partition.name());
    }

    /// The power fails: all processes die, at a plan's end too.
    pub(super) fn blackout(&mut self) {
        self.fault(Trouble::Blackout.name());
        for node in 0..self.nodes.len() {
            self.crash(node, Trouble::Crash.name());
        }
    }

    pub(super) fn crash(&mut self, node: usize, kind: &'static str) {
        if self.nodes[node].process.take().is_none() {
            return;
        }
        self.fault(kind);
        self.fairness.lost(node);
        let damage = self.nodes[node].disk.crash(&mut self.dice);
        if damage.lost > 0 {
            self.fault("lost_writes");
        }
        if damage.torn {
            self.fault("torn_write");
        }
        (self.nodes[node].left, self.nodes[node].dies_answered) = (None, false);
        self.hang_up(node);
        self.perhaps_forget(node);
        let after = 50 + u64::try_from(self.dice.below(4_000)).unwrap();
        self.after(after, Happening::Starts { node });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::liars::LiarKind;
    use crate::plan::Plan;

    #[test]
    fn every_partition_parts() {
        let mut world = World::new(Plan::of(1, 4, 1));
        for _ in 0..100 {
            world.partition();
            let count = world.nodes.len();
            let links = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
            assert!(links.into_iter().any(|(from, to)| world.network.is_cut(from, to)));
            world.network.heal();
        }
    }

    #[test]
    fn a_clock_that_lies_does_so_after_a_jump_and_at_the_end() {
        let mut plan = Plan::of(1, 4, 1);
        (plan.liar, plan.troubles) = (Some(LiarKind::TimeShifter), vec![Trouble::ClockJump]);
        let liar = plan.who_lies();
        let mut world = World::new(plan);
        let is_off = |world: &World| world.clock_ms(liar).abs_diff(world.now_ms) > 1_700_000;
        for _ in 0..100 {
            world.trouble();
            assert!(is_off(&world));
        }
        world.heal();
        assert!(is_off(&world));
    }
}
