//! The run: a queue of what is going to happen, in virtual time, and what each of it does to nodes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use ledger_fixtures::Rng;
use ledger_format::digest::{BlockHash, EntryId, KeyId};
use ledger_format::entry::Entry;
use ledger_format::evidence::EvidenceId;
use ledger_format::genesis::GenesisDocument;
use sha2::{Digest as _, Sha256};

use crate::checks::{Checks, Violation};
use crate::clients::Clients;
use crate::fairness::{Fairness, Weights};
use crate::network::Network;
use crate::node::Node;
use crate::plan::{Plan, Trouble};

mod activation;
mod damage;
mod ending;
mod founding;
mod hosting;
mod membership;
mod sending;
mod trouble;
mod writing;

pub(crate) use activation::{REFUSED, TAKEN};
use ending::Emptied;
use membership::Change;
pub(crate) use sending::OVER_FOLLOWER;

/// For how long faults go on at most after clients have stopped.
const DUSK_MS: usize = 15_000;
/// How long a network may decide nothing while faults happen.
const STILL_MS: u64 = 10 * 60 * 1000;
/// How long a run goes on after its last height at most, for what is planned and has not happened.
const OVERTIME_MS: u64 = 5 * 60 * 1000;
/// How long a healed network may take to come to rest.
const REST_MS: u64 = 120_000;

/// What happens at some time.
#[derive(Debug)]
enum Happening {
    Arrives(Arrival),
    Called { node: usize, number: u64 },
    Connected { node: usize, peer: usize },
    HungUp { node: usize, peer: usize },
    Starts { node: usize },
    Trouble,
    Members,
    Renewed { node: usize },
    Mends { from: usize, to: usize },
    Clients,
}

/// A message at the end of its way.
#[derive(Debug)]
struct Arrival {
    from: usize,
    to: usize,
    bytes: Bytes,
    /// The number under which it was sent.
    sent: u64,
    /// It is the second copy.
    again: bool,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Committed heights.
    pub heights: u64,
    /// Virtual time.
    pub simulated_ms: u64,
    /// Kinds of fault that were meant to happen.
    pub planned: BTreeSet<&'static str>,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Entries that were acknowledged.
    pub acknowledged: usize,
    /// The most heights that an entry waited for which a quorum had in its pools.
    pub waited: u64,
    /// Messages that were delivered.
    pub messages: u64,
    /// SHA-256 over everything that happened, in order.
    pub trace: [u8; 32],
}

/// A run that showed something that must not be.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was seen until then.
    pub report: Report,
    /// What must not be.
    pub violations: Vec<Violation>,
}

/// A block, a round, and who signed.
type Certified = (BlockHash, u32, Vec<(KeyId, [u8; 64])>);

struct World {
    plan: Plan,
    genesis: GenesisDocument,
    dice: Rng,
    now_ms: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    number: u64,
    nodes: Vec<Node>,
    network: Network,
    clients: Clients,
    checks: Checks,
    faults: BTreeMap<&'static str, u64>,
    trace: Sha256,
    messages: u64,
    /// Entries whose signatures were found good.
    verified: HashSet<EntryId>,
    /// Faults happen.
    stormy: bool,
    /// Clients write.
    busy: bool,
    /// What lets the suppliers write.
    admissions: Vec<Entry>,
    /// Entries that set budgets, one of which will be taken.
    budgets: Vec<EntryId>,
    /// Evidence that an entry in a block records.
    recorded: BTreeSet<EvidenceId>,
    /// What looks like evidence, and proves nothing.
    false_evidence: BTreeSet<EvidenceId>,
    /// Nodes whose last key is in the set, after the last change.
    members: BTreeSet<usize>,
    /// A change of the set that is not in a block yet.
    change: Option<Change>,
    fairness: Fairness,
    /// When the highest block was decided first; zero before there is one.
    decided_ms: u64,
    /// Certificates that were found good.
    certified: BTreeSet<Certified>,
    /// The last message that arrived on each link, by the number under which it was sent.
    arrived: BTreeMap<(usize, usize), u64>,
    /// Links whose connection has ended, until it is made anew.
    broken: BTreeSet<(usize, usize)>,
    /// When the connection of a link broke last: what was sent under a number before that is lost with it.
    broke: BTreeMap<(usize, usize), u64>,
}

/// Goes through a run.
///
/// # Errors
/// [`Failure`].
pub fn run(plan: Plan) -> Result<Report, Box<Failure>> {
    let mut world = World::new(plan);
    let gone = catch_unwind(AssertUnwindSafe(|| {
        world.storm();
        world.heal();
        world.rest();
    }));
    if let Err(panic) = gone {
        let text = panic.downcast::<String>().map_or_else(
            |panic| panic.downcast::<&str>().map_or_else(|_| String::new(), |text| (*text).into()),
            |text| *text,
        );
        world.checks.violations.push(Violation::Panicked(text));
    }
    world.finish()
}

impl World {
    fn new(plan: Plan) -> Self {
        let genesis = founding::genesis(&plan);
        let nodes = founding::nodes(&plan, &genesis);
        let count = nodes.len();
        let mut checks = Checks::default();
        for liar in nodes.iter().filter(|node| node.lies.is_some()) {
            checks.lies(liar.id);
        }
        for height in [1, 2] {
            checks.in_force(height, genesis.validators());
        }
        checks.follows(0, 1, plan.version());
        let (ledger, validators) = (genesis.id(), plan.validators);
        let mut world = Self {
            dice: Rng(plan.seed),
            network: Network::new(count, plan.weather),
            fairness: Fairness::new(Weights::of(&nodes, genesis.validators())),
            plan,
            now_ms: genesis.message().start_ms + 1_000,
            genesis,
            queue: BTreeMap::new(),
            number: 0,
            nodes,
            clients: Clients::new(ledger),
            checks,
            faults: BTreeMap::new(),
            trace: Sha256::new(),
            messages: 0,
            verified: HashSet::new(),
            stormy: true,
            busy: true,
            admissions: Vec::new(),
            budgets: Vec::new(),
            recorded: BTreeSet::new(),
            false_evidence: BTreeSet::new(),
            members: (0..validators).collect(),
            change: None,
            decided_ms: 0,
            certified: BTreeSet::new(),
            arrived: BTreeMap::new(),
            broken: BTreeSet::new(),
            broke: BTreeMap::new(),
        };
        if world.plan.is_weighted {
            world.fault("unequal_powers");
        }
        for node in 0..count {
            if world.plan.skew_ms[node] != 0 {
                world.fault("clock_skew");
            }
            let after = u64::try_from(world.dice.below(200)).unwrap();
            world.after(after, Happening::Starts { node });
        }
        world.after(250, Happening::Clients);
        world.after(400, Happening::Trouble);
        if world.plan.changes || world.plan.activates {
            world.after(400, Happening::Members);
        }
        world
    }

    fn after(&mut self, delay_ms: u64, happening: Happening) {
        self.number += 1;
        self.queue.insert((self.now_ms + delay_ms, self.number), happening);
    }

    fn begun_ms(&self) -> u64 {
        self.genesis.message().start_ms + 1_000
    }

    fn fault(&mut self, kind: &'static str) {
        self.trace.update(kind.as_bytes());
        *self.faults.entry(kind).or_default() += 1;
    }

    /// The first part: until the height is reached and all that is planned has happened, or nothing is decided for too long.
    fn storm(&mut self) {
        let until = self.now_ms + self.plan.storm_ms;
        let (mut height, mut since) = (self.checks.height(), self.now_ms);
        let mut overtime = u64::MAX;
        while self.checks.violations.is_empty() {
            if height >= self.plan.heights {
                overtime = overtime.min(self.now_ms + OVERTIME_MS);
                if self.now_ms >= overtime || self.missed().is_empty() {
                    break;
                }
            }
            if self.now_ms >= until.min(since + STILL_MS) {
                self.checks.violations.push(Violation::Standstill { height });
                break;
            }
            self.next();
            if self.checks.height() > height {
                (height, since) = (self.checks.height(), self.now_ms);
            }
        }
        // At dusk nobody writes any more, so no entry comes to the help of whoever is behind or has opened a height for nothing.
        self.busy = false;
        let until = self.now_ms + u64::try_from(self.dice.below(DUSK_MS)).unwrap();
        while self.now_ms < until && self.checks.violations.is_empty() && !self.queue.is_empty() {
            self.next();
        }
    }

    /// The second: everything works again, and who was down is started.
    fn heal(&mut self) {
        if self.plan.troubles.contains(&Trouble::Blackout) && self.dice.once_in(2) {
            // Whoever is behind or has a height open has nothing but its disk to go on from.
            self.blackout();
        }
        self.stormy = false;
        self.network.heal();
        for number in 0..self.nodes.len() {
            (self.nodes[number].left, self.nodes[number].dies_answered) = (None, false);
            self.nodes[number].disk.heal();
            self.nodes[number].skew_ms = self.plan.clock_off_ms(number, self.nodes[number].lies);
            self.look_through(number);
            self.renewed(number);
            if self.nodes[number].process.is_none() {
                self.start(number);
            }
        }
        for node in 0..self.nodes.len() {
            for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
                self.after(1, Happening::Connected { node, peer });
            }
        }
    }

    /// The third: nothing is said any more, or, with a liar that never stops, honest nodes agree and owe nothing.
    fn rest(&mut self) {
        let until = self.now_ms + REST_MS;
        let mut emptied = Emptied::default();
        let mut agree = false;
        while self.now_ms < until && self.checks.violations.is_empty() {
            agree = self.never_stops() && self.has_settled(&mut emptied);
            if agree || self.queue.is_empty() {
                break;
            }
            self.next();
        }
        // A run that another finding has ended did not get as far as that entries are missed.
        let is_sound = self.checks.violations.is_empty();
        let is_settled = agree || (self.queue.is_empty() && self.is_settled());
        if is_sound && !is_settled {
            let state: Vec<_> = self.nodes.iter().map(Node::standing).collect();
            let owing: Vec<_> = self.nodes.iter().map(Node::is_owing).collect();
            self.checks.violations.push(Violation::Unrest(format!(
                "{} happenings to come; {state:?}; answers owed: {owing:?}; {:?}",
                self.queue.len(),
                (self.plan.liar, self.plan.second_liar)
            )));
        }
        // Nobody has it in its pool any more.
        for (entry, since) in self.fairness.waiting().into_iter().filter(|_| is_sound) {
            let waited = self.checks.height().saturating_sub(since);
            self.checks.violations.push(Violation::Censored { entry, waited });
        }
    }

    /// Whether somebody goes on for ever: a liar, or a node that brings what is refused, since nobody tells it.
    fn never_stops(&self) -> bool {
        let has_some = |(remote, _): (usize, usize)| self.nodes[remote].standing().1 > 0;
        self.plan.liar.is_some() || self.plan.remote().is_some_and(has_some)
    }

    fn next(&mut self) {
        let Some(((at, _), happening)) = self.queue.pop_first() else { return };
        self.now_ms = at;
        self.trace.update(at.to_be_bytes());
        match happening {
            Happening::Arrives(arrival) => self.arrives(&arrival),
            Happening::Called { node, number } => self.called(node, number),
            Happening::Connected { node, peer } => self.connected(node, peer),
            Happening::HungUp { node, peer } => self.hung_up(node, peer),
            Happening::Starts { node } => {
                if self.nodes[node].process.is_none() {
                    self.start(node);
                }
            }
            Happening::Trouble => self.trouble(),
            Happening::Members => self.members(),
            Happening::Renewed { node } => self.renewed(node),
            Happening::Mends { from, to } => self.mend(from, to),
            Happening::Clients => self.clients(),
        }
    }
}
