//! What is going to happen in a run: drawn from the seed before it begins, so that it can be checked afterwards that it did.

use std::collections::BTreeSet;

use ledger_fixtures::Rng;
use ledger_format::genesis::PROTOCOL_VERSIONS;

use crate::liars::LiarKind;
use crate::versions::BUDGETS;
use crate::world::{OVER_FOLLOWER, REFUSED, TAKEN};

mod powers;

pub(crate) use powers::quorum_of_heads;

/// How the network treats messages. Chances are in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// A message is lost.
    pub loss: usize,
    /// It arrives twice.
    pub doubled: usize,
    /// It takes twenty times as long.
    pub slow: usize,
    /// A bit of it is flipped.
    pub damage: usize,
    /// Shortest delay and how much longer it may be, in milliseconds. Messages overtake each other when the second is large.
    pub delay_ms: (usize, usize),
}

impl Weather {
    /// Nothing is lost, and everything arrives in order.
    pub const fn calm() -> Self {
        Self { loss: 0, doubled: 0, slow: 0, damage: 0, delay_ms: (2, 1) }
    }

    fn drawn(dice: &mut Rng) -> Self {
        Self {
            loss: *dice.pick(&[0, 10, 30, 100]),
            doubled: *dice.pick(&[0, 20, 100]),
            slow: *dice.pick(&[0, 5, 30]),
            damage: *dice.pick(&[0, 0, 2, 10]),
            delay_ms: *dice.pick(&[(1, 3), (1, 30), (5, 150)]),
        }
    }
}

/// Faults that come now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// A process dies, and is started again.
    Crash,
    /// A process dies the next time it flushes: the flush fails.
    FlushError,
    /// A process dies after a few actions more, wherever that is.
    CrashAtAction,
    /// A process dies when it has answered for a block, before its store has it.
    CrashAnswered,
    /// All processes die at once: what no disk holds is gone.
    Blackout,
    /// Some nodes cannot reach the others, nor be reached.
    Partition,
    /// Nothing gets from one node to another, and everything the other way.
    OneWay,
    /// A connection breaks, with what is on its way, and is made anew.
    Reconnect,
    /// A clock jumps.
    ClockJump,
    /// A bit flips in what was flushed of the consensus log, and the process dies.
    BitFlipLog,
    /// A bit flips in a stored block.
    BitFlipBlock,
    /// The next start of a process cannot read its disk.
    ReadError,
}

/// All kinds of trouble but those of disks that say something else than what was written.
pub const TROUBLES: [Trouble; 9] = [
    Trouble::Crash,
    Trouble::FlushError,
    Trouble::CrashAtAction,
    Trouble::CrashAnswered,
    Trouble::Blackout,
    Trouble::Partition,
    Trouble::OneWay,
    Trouble::Reconnect,
    Trouble::ClockJump,
];

impl Trouble {
    /// Whether it happens between nodes.
    pub const fn is_of_links(self) -> bool {
        matches!(self, Self::Partition | Self::OneWay | Self::Reconnect)
    }

    /// Whether it may happen while any node's disk or memory is not whole; else it has to wait, perhaps for ever.
    pub const fn is_sure(self) -> bool {
        !matches!(self, Self::BitFlipLog | Self::BitFlipBlock)
    }

    /// Its name in counts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::FlushError => "flush_error",
            Self::CrashAtAction => "crash_at_action",
            Self::CrashAnswered => "crash_answered",
            Self::Blackout => "blackout",
            Self::Partition => "partition",
            Self::OneWay => "one_way",
            Self::Reconnect => "reconnect",
            Self::ClockJump => "clock_jump",
            Self::BitFlipLog => "bit_flip_log",
            Self::BitFlipBlock => "bit_flip_block",
            Self::ReadError => "read_error",
        }
    }
}

/// What a party that writes too much runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Its own budget of entries.
    PartyEntries,
    /// Its own budget of bytes.
    PartyBytes,
    /// The budget of entries of the exchange that admitted it, and others.
    ExchangeEntries,
    /// That exchange's budget of bytes.
    ExchangeBytes,
}

impl Flood {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::PartyEntries, Self::PartyBytes, Self::ExchangeEntries, Self::ExchangeBytes];

    /// The name in counts of an entry that is refused for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PartyEntries => "over_party_entries",
            Self::PartyBytes => "over_party_bytes",
            Self::ExchangeEntries => "over_exchange_entries",
            Self::ExchangeBytes => "over_exchange_bytes",
        }
    }
}

/// The shortest mean time between troubles.
const SHORTEST_TROUBLE_MS: usize = 700;
/// Faults go on for no longer than this: where a process is killed every few seconds, heights are slow.
const STORM_MS: u64 = 60 * 60 * 1000;

/// Runs of fewer heights may end before all that is planned has happened.
const ALL_HAPPENS: u64 = 50;

/// A run.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what happens in a run and what does not")]
pub struct Plan {
    /// What decides everything.
    pub seed: u64,
    /// Validators.
    pub validators: usize,
    /// Followers.
    pub followers: usize,
    /// Whether the second of two followers is connected with the first alone.
    pub has_remote: bool,
    /// Heights that must be reached while faults happen.
    pub heights: u64,
    /// For how long faults go on at most, whatever height was reached.
    pub storm_ms: u64,
    /// How the network is until it heals.
    pub weather: Weather,
    /// Mean time between troubles in milliseconds, and their kinds.
    pub trouble_ms: usize,
    /// Kinds that happen in this run.
    pub troubles: Vec<Trouble>,
    /// Whether validators lose their memory, one at a time, in a network that tolerates that beside its liar, or stands still until they
    /// are back.
    pub forgets: bool,
    /// Whether validators come, go and get other keys: the first follower is a standby then.
    pub changes: bool,
    /// Whether the votes of some count more than those of others.
    pub is_weighted: bool,
    /// Whether members activate one version of the protocol after the other, up to the newest.
    pub activates: bool,
    /// Which of the budgets that the validators have agreed on a party writes more than.
    pub floods: Option<Flood>,
    /// How far clocks are from the truth, in milliseconds.
    pub skew_ms: Vec<i64>,
    /// What one validator does wrong.
    pub liar: Option<LiarKind>,
    /// What another does wrong beside it, where the network tolerates two.
    pub second_liar: Option<LiarKind>,
}

impl Plan {
    /// The plan of a seed. Half of all runs have a liar, as far as the network tolerates one; of those with seven validators, up to a half
    /// have two.
    pub fn of(seed: u64, validators: usize, heights: u64) -> Self {
        let mut dice = Rng(seed ^ (u64::try_from(validators).unwrap() << 32) ^ 0x706c_616e);
        let has_liar = validators >= 4 && dice.once_in(2);
        let liar = has_liar.then(|| *dice.pick(&LiarKind::ALL));
        let followers = dice.below(2);
        let changes = validators >= 4 && Rng(seed ^ 0x7365_7473).once_in(4);
        let floods = Self::flood(&mut Rng(seed ^ 0x666c_6f6f));
        // Nobody tells a remote node what is refused: of a flood it would hold all that is over the budget, and bring it again and again.
        let has_remote = floods.is_none() && Rng(seed ^ 0x7265_6d6f).once_in(4);
        let followers = followers.max(usize::from(changes)).max(2 * usize::from(has_remote));
        let is_alone = validators + followers == 1;
        let mut troubles = Vec::new();
        if !dice.once_in(8) {
            let drawn = TROUBLES.into_iter().filter(|_| !dice.once_in(3));
            let drawn = drawn.filter(|trouble| !is_alone || !trouble.is_of_links());
            // Whoever validates alone has the block in its store before it answers.
            let is_sole = validators == 1;
            troubles.extend(drawn.filter(|trouble| !is_sole || *trouble != Trouble::CrashAnswered));
        }
        let skew = |dice: &mut Rng| i64::try_from(dice.below(1_800)).unwrap() - 900;
        let mut plan = Self {
            seed,
            validators,
            followers,
            has_remote,
            heights,
            storm_ms: STORM_MS,
            weather: Weather::drawn(&mut dice),
            trouble_ms: *dice.pick(&[SHORTEST_TROUBLE_MS, 2_000, 6_000]),
            troubles,
            forgets: false,
            changes,
            is_weighted: validators >= 4 && Rng(seed ^ 0x7765_6967).once_in(3),
            activates: Rng(seed ^ 0x6163_7469).once_in(4),
            floods,
            skew_ms: Vec::new(),
            liar,
            second_liar: None,
        };
        // Whoever recovers is one that fails: where all others are needed, and one of them dies all the time, heights take minutes.
        let crashes = plan.troubles.contains(&Trouble::Crash);
        let is_mild = plan.trouble_ms > SHORTEST_TROUBLE_MS;
        // With two all others are needed: none of them may leave, or die all the time.
        if has_liar && (validators - 1) / 3 > 1 && !changes && (is_mild || !crashes) {
            plan.second_liar = Self::second_liar(&mut Rng(seed ^ 0x7365_636f));
        }
        let liars = usize::from(has_liar) + usize::from(plan.second_liar.is_some());
        let can_recover = (validators - 1) / 3 > liars || plan.needs_word();
        let may_forget = crashes && is_mild && can_recover;
        plan.forgets = may_forget && Rng(seed ^ 0x616d_6e65).once_in(2);
        if may_forget && Rng(seed ^ 0x666c_6970).once_in(2) {
            plan.troubles.extend([Trouble::BitFlipLog, Trouble::BitFlipBlock]);
        }
        if crashes && is_mild && Rng(seed ^ 0x7265_6164).once_in(2) {
            plan.troubles.push(Trouble::ReadError);
        }
        // One more than most plans need: a twin has a clock of its own.
        plan.skew_ms = (0..=validators + followers).map(|_| skew(&mut dice)).collect();
        plan
    }

    /// A twin would be another process, so there is one at most.
    fn second_liar(dice: &mut Rng) -> Option<LiarKind> {
        let kind = *dice.pick(&LiarKind::ALL);
        (kind != LiarKind::Twin && dice.once_in(2)).then_some(kind)
    }

    fn flood(dice: &mut Rng) -> Option<Flood> {
        dice.once_in(4).then(|| *dice.pick(&Flood::ALL))
    }

    /// The version of the protocol that it begins with. A third begin with the newest, as a network of today does, but where versions
    /// are activated. Budgets came with version 3; since version 4 the state has all sets, and not the last two alone.
    pub fn version(&self) -> u32 {
        let newest = *PROTOCOL_VERSIONS.end();
        match (self.changes, self.floods.is_some()) {
            _ if self.activates => *Rng(self.seed ^ 0x7665_7273).pick(self.first_versions()),
            _ if self.seed.is_multiple_of(3) => newest,
            (true, _) if self.seed % 4 < 3 => 4,
            (_, true) => BUDGETS,
            _ => 1,
        }
    }

    /// The versions that one may begin with that activates others. Exchanges are charged only for whom they admitted since budgets came.
    fn first_versions(&self) -> &'static [u32] {
        match self.floods {
            Some(Flood::ExchangeEntries | Flood::ExchangeBytes) => &[BUDGETS, 4],
            _ => &[1, 2, BUDGETS, 4],
        }
    }

    /// Whether something that members write is refused until a version is in force that brings it.
    pub(crate) fn has_new_act(&self) -> bool {
        self.activates && self.version() < BUDGETS
    }

    /// Whether the others are no quorum without a validator that has lost its memory, and its operator has to vouch for it. Where it is
    /// the only one, nobody asks.
    fn needs_word(&self) -> bool {
        (2..=3).contains(&self.validators)
    }

    /// Nodes that run: the followers and a twin after the validators.
    pub fn nodes(&self) -> usize {
        self.validators + self.followers + usize::from(self.liar == Some(LiarKind::Twin))
    }

    /// The node that is connected with another follower alone, and that one.
    pub fn remote(&self) -> Option<(usize, usize)> {
        self.has_remote.then_some((self.validators + 1, self.validators))
    }

    /// Whether a node is the one that is connected with another follower alone.
    pub fn is_remote(&self, node: usize) -> bool {
        self.remote().is_some_and(|(remote, _)| remote == node)
    }

    /// Whether two nodes ever connect.
    pub fn are_linked(&self, one: usize, other: usize) -> bool {
        self.remote().is_none_or(|(remote, near)| match (one == remote, other == remote) {
            (true, false) => other == near,
            (false, true) => one == near,
            _ => true,
        })
    }

    /// Nodes that have vote keys of their own.
    pub fn keepers(&self) -> usize {
        self.validators + usize::from(self.changes)
    }

    /// How many heights may pass before an entry that a quorum has in its pools is in a block. Whose turn it is goes round by height
    /// and round, and all of a quorum propose it; messages that are lost change whose proposal is decided.
    pub fn patience(&self) -> u64 {
        u64::try_from(3 * self.keepers()).unwrap()
    }

    /// How far a node's clock is from the truth when nothing has made it jump. A liar whose lie is its clock keeps it through jumps and
    /// when all else is healed; in half of the runs it is behind.
    pub fn clock_off_ms(&self, node: usize, lies: Option<LiarKind>) -> i64 {
        let lie = lies.map_or(0, LiarKind::clock_ms);
        let is_behind = Rng(self.seed ^ 0x6265_6869).once_in(2);
        self.skew_ms[node] + if is_behind { -lie } else { lie }
    }

    /// The number of the validator that lies.
    pub fn who_lies(&self) -> usize {
        usize::try_from(self.seed).unwrap() % self.validators
    }

    /// What a validator does wrong. The second that lies is far from the first in the order of turns.
    pub fn lies(&self, validator: usize) -> Option<LiarKind> {
        let (first, second) = (self.who_lies(), (self.who_lies() + 3) % self.validators);
        let first = self.liar.filter(|_| validator == first);
        first.or(self.second_liar.filter(|_| validator == second))
    }

    /// What validators do wrong.
    fn liars(&self) -> impl Iterator<Item = LiarKind> {
        self.liar.into_iter().chain(self.second_liar)
    }

    /// Whether the run goes on until all that is sure to happen has.
    pub const fn is_long(&self) -> bool {
        self.heights >= ALL_HAPPENS
    }

    /// The kinds of fault that this run is meant to have, by their names in counts: those that are sure, and those that chance adds.
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        let dies = self.troubles.contains(&Trouble::Crash) && self.nodes() > 1;
        let loses = self.troubles.contains(&Trouble::CrashAtAction);
        let flips = self.troubles.contains(&Trouble::BitFlipLog);
        let chosen = [
            ("lost_with_connection", self.troubles.contains(&Trouble::Reconnect)),
            ("hung_up", dies),
            ("vanished", dies),
            ("lost_writes", loses),
            ("torn_write", loses),
            ("evidence_recorded", self.liar.and_then(LiarKind::guilt).is_some()),
            ("false_evidence", self.liar.and_then(LiarKind::guilt).is_some()),
            ("turned_away", self.floods.is_some()),
            ("lost_memory", self.forgets),
            ("recovered", self.forgets || flips),
            ("recovered_alone", self.needs_word() && (self.forgets || flips)),
            ("validator_added", self.changes),
            ("validator_removed", self.changes),
            ("validator_renewed", self.changes),
            ("decided_by_few", self.is_decided_by_few()),
            ("bit_flip_log", flips),
            ("bit_flip_block", flips),
            ("log_refused", flips),
            ("block_refused", flips),
        ];
        let chosen = chosen.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind);
        let (liars, flood) = (self.liars().map(LiarKind::name), self.floods.map(Flood::name));
        self.sure().into_iter().chain(chosen).chain(liars).chain(flood).collect()
    }

    /// Whether somebody is there at any time to write too much to: a sole validator may be down for most of each window.
    const fn is_flooded_for_sure(&self) -> bool {
        self.floods.is_some() && self.validators > 1
    }

    /// The kinds that this run has if it is long.
    pub fn sure(&self) -> BTreeSet<&'static str> {
        let Weather { loss, doubled, slow, damage, delay_ms } = self.weather;
        let links = self.nodes() > 1;
        let chosen = [
            ("loss", links && loss > 0),
            ("duplication", links && doubled > 0),
            ("delay", links && slow > 0),
            ("damage", links && damage > 0),
            ("overtaking", links && delay_ms.1 >= 30),
            ("turned_away", self.is_flooded_for_sure()),
            ("unequal_powers", self.is_weighted),
            (OVER_FOLLOWER, self.has_remote),
            ("protocol_activated", self.activates),
            (REFUSED, self.has_new_act()),
            (TAKEN, self.has_new_act()),
            ("clock_skew", self.skew_ms.iter().any(|skew| *skew != 0)),
        ];
        let chosen = chosen.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind);
        let troubles = self.troubles.iter().filter(|trouble| trouble.is_sure());
        let troubles = troubles.map(|trouble| trouble.name());
        let floods = self.floods.filter(|_| self.is_flooded_for_sure()).map(Flood::name);
        let liars = self.liars().filter(|liar| liar.is_sure()).map(LiarKind::name);
        let guilt = self.liars().filter_map(LiarKind::guilt);
        chosen.chain(troubles).chain(floods).chain(liars).chain(guilt).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where two of seven lie, the five others are a quorum only together.
    #[test]
    fn two_lie_where_all_others_stay_and_keep_their_memory() {
        let seeds = 1..=300;
        assert!(seeds.clone().all(|seed| Plan::of(seed, 4, 50).second_liar.is_none()));
        let plans: Vec<Plan> = seeds.map(|seed| Plan::of(seed, 7, 50)).collect();
        let two: Vec<&Plan> = plans.iter().filter(|plan| plan.second_liar.is_some()).collect();
        assert!((20..100).contains(&two.len()), "{}", two.len());
        for plan in two {
            let lie = |validator: &usize| plan.lies(*validator).is_some();
            assert_eq!((0..plan.nodes()).filter(lie).count(), 2);
            assert!(!plan.changes && !plan.forgets);
            assert!(plan.troubles.iter().all(|trouble| *trouble != Trouble::BitFlipLog));
        }
    }
}
