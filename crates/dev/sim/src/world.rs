//! The run: a queue of what is going to happen, in virtual time, and what each of it does to nodes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ledger_event::Clock;
use ledger_fixtures::Rng;
use ledger_format::block::Block;
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::{Entry, leaf_hash};
use ledger_format::genesis::GenesisDocument;
use ledger_replay::{Ledger, Replay};
use ledger_replica::{Action, Event, Message, Replica, Settings};
use ledger_story::{LIMITS, china, genesis_of, validator_key_of};
use ledger_verify::entry::EntryBatch;
use sha2::{Digest as _, Sha256};

use crate::checks::{Checks, Violation};
use crate::clients::Clients;
use crate::disk::Disk;
use crate::liars::{Saying, Voice};
use crate::network::Network;
use crate::node::{Call, Node, Process};
use crate::plan::{Plan, Trouble};

/// Blocks that one answer holds at most.
const ANSWER_BLOCKS: usize = 16;
/// Faults go on for no longer than this, whatever height was reached.
const STORM_MS: u64 = 20 * 60 * 1000;
/// How long a healed network may take to come to rest.
const REST_MS: u64 = 120_000;
/// Between two rounds of clients, at most.
const CLIENTS_MS: usize = 500;

/// What happens at some time.
#[derive(Debug)]
enum Happening {
    Arrives { from: usize, to: usize, bytes: Bytes },
    Called { node: usize, number: u64 },
    Connected { node: usize, peer: usize },
    Starts { node: usize },
    Trouble,
    Mends { from: usize, to: usize },
    Clients,
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
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Entries that were acknowledged.
    pub acknowledged: usize,
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
    verified: BTreeSet<EntryId>,
    /// Faults happen, and clients write.
    stormy: bool,
    /// The supplier may write.
    admitted: Option<Entry>,
}

/// Goes through a run.
///
/// # Errors
/// [`Failure`].
pub fn run(plan: Plan) -> Result<Report, Box<Failure>> {
    let mut world = World::new(plan);
    world.storm();
    world.heal();
    world.rest();
    world.finish()
}

impl World {
    fn new(plan: Plan) -> Self {
        let names: Vec<String> = (0..plan.validators).map(|n| format!("{n}-")).collect();
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let start_ms = china("2026-08-03");
        let genesis = genesis_of(&texts, Clock::Wall, start_ms, LIMITS);
        let liar =
            plan.liar.map(|kind| (usize::try_from(plan.seed).unwrap() % plan.validators, kind));
        let mut checks = Checks::default();
        let node = |number: usize| {
            let is_validator = number < plan.validators;
            let name = format!("{number}-");
            let key = validator_key_of(&name, if is_validator { "vote" } else { "follower" });
            let id = KeyId::of(key.verifying_key().as_bytes());
            let lies = liar.filter(|(who, _)| *who == number);
            if lies.is_some() {
                checks.lies(id);
            }
            Node {
                id,
                key,
                is_validator,
                disk: Disk::new(Ledger::new(genesis.clone()).unwrap()),
                process: None,
                skew_ms: plan.skew_ms[number] + lies.map_or(0, |(_, kind)| kind.clock_ms()),
                liar: lies.map(|(_, kind)| kind.liar()),
                left: None,
                flush_fails: false,
            }
        };
        let count = plan.validators + plan.followers;
        let nodes: Vec<Node> = (0..count).map(node).collect();
        let ledger = genesis.id();
        let mut world = Self {
            dice: Rng(plan.seed),
            network: Network::new(count, plan.weather),
            plan,
            genesis,
            now_ms: start_ms + 1_000,
            queue: BTreeMap::new(),
            number: 0,
            nodes,
            clients: Clients::new(ledger),
            checks,
            faults: BTreeMap::new(),
            trace: Sha256::new(),
            messages: 0,
            verified: BTreeSet::new(),
            stormy: true,
            admitted: None,
        };
        for node in 0..count {
            let after = u64::try_from(world.dice.below(200)).unwrap();
            world.after(after, Happening::Starts { node });
        }
        world.after(250, Happening::Clients);
        world.after(400, Happening::Trouble);
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
        *self.faults.entry(kind).or_default() += 1;
    }

    /// The first part: until the height is reached, or it takes too long.
    fn storm(&mut self) {
        let until = self.now_ms + STORM_MS;
        while self.checks.height() < self.plan.heights
            && self.now_ms < until
            && self.checks.violations.is_empty()
        {
            self.next();
        }
    }

    /// The second: everything works again, and who was down is started.
    fn heal(&mut self) {
        self.stormy = false;
        self.network.heal();
        for number in 0..self.nodes.len() {
            self.nodes[number].left = None;
            self.nodes[number].flush_fails = false;
            self.nodes[number].skew_ms = self.plan.skew_ms[number];
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
        while self.now_ms < until && self.checks.violations.is_empty() {
            if self.queue.is_empty() || (self.plan.liar.is_some() && self.is_settled()) {
                break;
            }
            self.next();
        }
        if self.checks.violations.is_empty() && !self.is_settled() {
            let state: Vec<_> = self.nodes.iter().map(standing).collect();
            self.checks.violations.push(Violation::Unrest(format!(
                "{} happenings to come; {state:?}; {:?}",
                self.queue.len(),
                self.plan.liar
            )));
        }
    }

    /// All honest nodes have the same height, no height open, and no entry waiting.
    fn is_settled(&self) -> bool {
        let height = self.checks.height();
        self.nodes.iter().filter(|node| node.liar.is_none()).all(|node| {
            node.process.as_ref().is_some_and(|process| {
                node.disk.ledger.height() == height
                    && process.replica.pool_size().0 == 0
                    && process.replica.is_at_rest()
            })
        })
    }

    fn finish(mut self) -> Result<Report, Box<Failure>> {
        if self.checks.violations.is_empty() {
            self.check_chains();
        }
        let report = Report {
            seed: self.plan.seed,
            heights: self.checks.height(),
            simulated_ms: self.now_ms - self.begun_ms(),
            faults: self.faults,
            acknowledged: self.checks.acknowledged(),
            messages: self.messages,
            trace: self.trace.finalize().into(),
        };
        if self.checks.violations.is_empty() {
            return Ok(report);
        }
        Err(Box::new(Failure { report, violations: self.checks.violations }))
    }

    /// Every honest node's chain holds what was acknowledged, and one of them stands before the auditor's verifier.
    fn check_chains(&mut self) {
        let honest = (0..self.nodes.len()).filter(|node| self.nodes[*node].liar.is_none());
        for (first, node) in honest.enumerate() {
            let blocks = &self.nodes[node].disk.blocks;
            let blocks: Vec<Block> =
                blocks.iter().map(|bytes| Block::decode(bytes.clone()).unwrap()).collect();
            let entry = |height: u64, bytes: &Bytes| (EntryId(leaf_hash(bytes)), height);
            let chain: BTreeMap<EntryId, u64> = blocks
                .iter()
                .flat_map(|block| {
                    let height = block.body.header.height;
                    block.body.entries.iter().map(move |bytes| entry(height, bytes))
                })
                .collect();
            self.checks.finished(&chain);
            if first == 0 {
                let mut replay = Replay::new(self.genesis.clone()).unwrap();
                let pushed = blocks.iter().try_for_each(|block| replay.push(block, |_| ()));
                if let Err(refuted) = pushed.and_then(|()| replay.finish().map(drop)) {
                    self.checks.violations.push(Violation::Refuted(refuted.to_string()));
                }
            }
        }
    }

    // --- what happens ----------------------------------------------------------------------------------------------------

    fn next(&mut self) {
        let Some(((at, _), happening)) = self.queue.pop_first() else { return };
        self.now_ms = at;
        self.trace.update(at.to_be_bytes());
        match happening {
            Happening::Arrives { from, to, bytes } => self.arrives(from, to, &bytes),
            Happening::Called { node, number } => self.called(node, number),
            Happening::Connected { node, peer } => self.connected(node, peer),
            Happening::Starts { node } => {
                if self.nodes[node].process.is_none() {
                    self.start(node);
                }
            }
            Happening::Trouble => self.trouble(),
            Happening::Mends { from, to } => self.mend(from, to),
            Happening::Clients => self.clients(),
        }
    }

    fn arrives(&mut self, from: usize, to: usize, bytes: &Bytes) {
        self.trace.update([1, u8::try_from(from).unwrap(), u8::try_from(to).unwrap()]);
        self.trace.update(bytes);
        if self.nodes[to].process.is_none() {
            return;
        }
        self.messages += 1;
        // Bytes that are no message end the connection: what is lost with it is said again.
        let Ok(message) = Message::decode(bytes) else {
            self.fault("malformed");
            self.after(20, Happening::Connected { node: from, peer: to });
            self.after(20, Happening::Connected { node: to, peer: from });
            return;
        };
        match message.into_entries() {
            Ok(entries) => {
                for bytes in entries {
                    self.submit_bytes(to, Bytes::from(bytes));
                }
            }
            Err(message) => {
                let from = self.nodes[from].id;
                self.tell(to, Event::Received { from, message: *message });
            }
        }
    }

    /// What a node's intake does with bytes that another node calls an entry.
    fn submit_bytes(&mut self, node: usize, bytes: Bytes) {
        let Some(process) = &self.nodes[node].process else { return };
        // Most of what others pass on is here already.
        if process.replica.is_waiting(&EntryId(leaf_hash(&bytes))) {
            return;
        }
        let Ok(entry) = Entry::decode(bytes) else { return };
        // A verdict on the same bytes under the same keys is the same everywhere.
        if !self.verified.contains(&entry.id()) {
            let mut batch = EntryBatch::new();
            batch.push(0, &entry, |kid| self.nodes[node].disk.ledger.public_key(kid));
            if entry.claims().ledger != self.genesis.id() || !batch.verify().is_empty() {
                return;
            }
            self.verified.insert(entry.id());
        }
        self.tell(node, Event::Submitted(Box::new(entry)));
    }

    fn called(&mut self, node: usize, number: u64) {
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some(at) = process.calls.iter().position(|(known, _)| *known == number) else { return };
        let (_, call) = process.calls.swap_remove(at);
        self.trace.update([2, u8::try_from(node).unwrap()]);
        self.tell(node, call.event());
    }

    fn connected(&mut self, node: usize, peer: usize) {
        let is_up = self.nodes[peer].process.is_some();
        if is_up && !self.network.is_cut(node, peer) {
            let peer = self.nodes[peer].id;
            self.tell(node, Event::Connected(peer));
        }
    }

    fn mend(&mut self, from: usize, to: usize) {
        self.network.set_cut(from, to, false);
        self.after(5, Happening::Connected { node: from, peer: to });
        self.after(5, Happening::Connected { node: to, peer: from });
    }

    /// Clients write to nodes that run: usually to one, sometimes to several.
    fn clients(&mut self) {
        if !self.stormy {
            return;
        }
        let after = 20 + u64::try_from(self.dice.below(CLIENTS_MS)).unwrap();
        self.after(after, Happening::Clients);
        let now = self.now_ms;
        let entries = if self.checks.height() == 0 {
            return;
        } else if let Some(admitted) = self.admitted.clone() {
            if self.checks.is_acknowledged(&admitted.id()) {
                (0..=self.dice.below(3)).map(|_| self.clients.asset(now)).collect()
            } else {
                // Nothing can be written before, so it is sent again and again.
                vec![admitted]
            }
        } else {
            let entry = self.clients.admission(now);
            self.admitted = Some(entry.clone());
            vec![entry]
        };
        for entry in entries {
            for _ in 0..=usize::from(self.dice.once_in(5)) {
                let node = self.dice.below(self.nodes.len());
                self.submit(node, &entry);
            }
        }
    }

    /// A client hands an entry to a node, which passes it on.
    fn submit(&mut self, node: usize, entry: &Entry) {
        if self.nodes[node].process.is_none() {
            return;
        }
        if let Some(process) = &mut self.nodes[node].process {
            process.owed.push(entry.clone());
        }
        self.tell(node, Event::Submitted(Box::new(entry.clone())));
        self.broadcast(node, &Message::entries(vec![entry.bytes().to_vec()]));
    }

    // --- trouble ---------------------------------------------------------------------------------------------------------

    fn trouble(&mut self) {
        if !self.stormy {
            return;
        }
        let after = 1 + u64::try_from(self.dice.below(2 * self.plan.trouble_ms)).unwrap();
        self.after(after, Happening::Trouble);
        if self.plan.troubles.is_empty() {
            return;
        }
        let trouble = *self.dice.pick(&self.plan.troubles);
        let node = self.dice.below(self.nodes.len());
        match trouble {
            Trouble::Crash => self.crash(node, trouble.name()),
            Trouble::FlushError => self.nodes[node].flush_fails = true,
            Trouble::CrashAtAction => {
                let left = self.dice.below(40);
                self.nodes[node].left = Some(left);
            }
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
                self.mend(node, peer);
                self.fault(trouble.name());
            }
            Trouble::ClockJump => {
                let by = i64::try_from(self.dice.below(4_000)).unwrap() - 2_000;
                self.nodes[node].skew_ms = self.plan.skew_ms[node] + by;
                self.fault(trouble.name());
            }
        }
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.network.set_cut(from, to, true);
        let after = 200 + u64::try_from(self.dice.below(6_000)).unwrap();
        self.after(after, Happening::Mends { from, to });
    }

    fn partition(&mut self) {
        let side: Vec<bool> = self.nodes.iter().map(|_| self.dice.once_in(3)).collect();
        for from in 0..side.len() {
            for to in (0..side.len()).filter(|to| side[*to] != side[from]) {
                self.cut(from, to);
            }
        }
        self.fault(Trouble::Partition.name());
    }

    fn crash(&mut self, node: usize, kind: &'static str) {
        if self.nodes[node].process.take().is_none() {
            return;
        }
        self.fault(kind);
        if self.nodes[node].disk.crash(&mut self.dice) > 0 {
            self.fault("lost_writes");
        }
        self.nodes[node].left = None;
        let after = 50 + u64::try_from(self.dice.below(4_000)).unwrap();
        self.after(after, Happening::Starts { node });
    }

    fn start(&mut self, number: usize) {
        let node = &self.nodes[number];
        let ledger = &node.disk.ledger;
        let settings = Settings::default();
        let started = if node.is_validator {
            Replica::start(ledger, node.key.clone(), settings, &node.disk.log)
                .map_err(|error| error.to_string())
        } else {
            Ok((Replica::follow(node.id, settings), Vec::new()))
        };
        let (replica, actions) = match started {
            Ok(started) => started,
            Err(why) => {
                self.checks.violations.push(Violation::Stopped { node: number, why });
                return;
            }
        };
        let first = ledger.height() == 0;
        let process = Process { replica, calls: Vec::new(), owed: Vec::new() };
        self.nodes[number].process = Some(process);
        self.carry_out(number, actions);
        for peer in (0..self.nodes.len()).filter(|peer| *peer != number) {
            self.after(3, Happening::Connected { node: number, peer });
            self.after(3, Happening::Connected { node: peer, peer: number });
        }
        if first {
            // As every founder has the genesis file.
            for entry in Clients::new(self.genesis.id()).first(&self.genesis) {
                self.tell(number, Event::Submitted(Box::new(entry)));
            }
        }
    }

    // --- what nodes do ---------------------------------------------------------------------------------------------------

    /// The time that a node's clock shows.
    fn clock_ms(&self, node: usize) -> u64 {
        self.now_ms.saturating_add_signed(self.nodes[node].skew_ms)
    }

    fn tell(&mut self, node: usize, event: Event) {
        let now_ms = self.clock_ms(node);
        let Node { process, disk, .. } = &mut self.nodes[node];
        let Some(process) = process else { return };
        match process.replica.step(&disk.ledger, now_ms, event) {
            Ok(actions) => self.carry_out(node, actions),
            Err(stopped) => {
                let why = stopped.to_string();
                self.checks.violations.push(Violation::Stopped { node, why });
            }
        }
    }

    fn carry_out(&mut self, node: usize, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            if let Some(left) = self.nodes[node].left {
                if left == 0 {
                    return self.crash(node, Trouble::CrashAtAction.name());
                }
                self.nodes[node].left = Some(left - 1);
            }
            if self.nodes[node].process.is_none() {
                return;
            }
            match action {
                Action::Log(record) => self.nodes[node].disk.append(record),
                Action::FlushLog => {
                    if std::mem::take(&mut self.nodes[node].flush_fails) {
                        // A flush that failed has promised nothing; the process must not go on.
                        return self.crash(node, Trouble::FlushError.name());
                    }
                    self.nodes[node].disk.flush();
                }
                Action::Gather(after) => self.call(node, Call::Gathered, after),
                Action::SetTimer(timer, after) => self.call(node, Call::Timer(timer), after),
                Action::CancelTimer(timer) => {
                    self.keep_calls(node, |call| call != Call::Timer(timer));
                }
                Action::CancelTimers => self.keep_calls(node, |call| match call {
                    Call::Timer(timer) => !timer.is_of_a_round(),
                    Call::Gathered => true,
                }),
                Action::Commit(decided) => {
                    let empty_log = self.dice.once_in(4);
                    self.nodes[node].disk.commit(&decided.block, empty_log);
                    self.checks.committed(node, &decided.block, &decided.executed.ids);
                    let now_ms = self.clock_ms(node);
                    let Node { process, disk, .. } = &mut self.nodes[node];
                    let Some(process) = process else { return };
                    for id in &decided.executed.ids {
                        process.settled(id);
                    }
                    disk.ledger.commit(decided.executed).unwrap();
                    match process.replica.step(&disk.ledger, now_ms, Event::Committed) {
                        Ok(more) => actions.extend(more),
                        Err(stopped) => {
                            let why = stopped.to_string();
                            self.checks.violations.push(Violation::Stopped { node, why });
                        }
                    }
                }
                Action::Refused(id, _) | Action::Turned(id, _) => {
                    if let Some(process) = &mut self.nodes[node].process {
                        process.settled(&id);
                    }
                }
                Action::Broadcast(message) => self.broadcast(node, &message),
                Action::Send(to, message) => {
                    for to in self.numbers(&to) {
                        self.send(node, to, &message);
                    }
                }
                Action::SendBlocks { to, from } => {
                    let first = usize::try_from(from - 1).unwrap();
                    let blocks = self.nodes[node].disk.blocks.iter().skip(first);
                    let blocks = blocks.take(ANSWER_BLOCKS).map(|block| block.to_vec()).collect();
                    let message = Message::blocks(blocks);
                    for to in self.numbers(&to) {
                        self.send(node, to, &message);
                    }
                }
                Action::Suspect { .. } => self.fault("suspected"),
            }
        }
    }

    fn numbers(&self, id: &KeyId) -> Vec<usize> {
        (0..self.nodes.len()).filter(|number| self.nodes[*number].id == *id).collect()
    }

    fn call(&mut self, node: usize, call: Call, after: std::time::Duration) {
        self.number += 1;
        let number = self.number;
        if let Some(process) = &mut self.nodes[node].process {
            process.calls.push((number, call));
        }
        let after = u64::try_from(after.as_millis()).unwrap();
        self.after(after, Happening::Called { node, number });
    }

    fn keep_calls(&mut self, node: usize, keep: impl Fn(Call) -> bool) {
        if let Some(process) = &mut self.nodes[node].process {
            process.calls.retain(|(_, call)| keep(*call));
        }
    }

    fn broadcast(&mut self, node: usize, message: &Message) {
        for to in (0..self.nodes.len()).filter(|to| *to != node) {
            self.send(node, to, message);
        }
    }

    fn send(&mut self, from: usize, to: usize, message: &Message) {
        if let Some(statement) = message.statement() {
            self.checks.says(&statement);
        }
        let Some(mut liar) = self.nodes[from].liar.take() else {
            return self.transmit(from, to, Bytes::from(message.encode()));
        };
        let voice = Voice {
            ledger: self.genesis.id(),
            id: self.nodes[from].id,
            key: &self.nodes[from].key,
        };
        let said = liar.says(&voice, to, message, &mut self.dice);
        self.nodes[from].liar = Some(liar);
        if said != [Saying::Message(message.clone())] {
            self.fault("lie");
        }
        for saying in said {
            self.transmit(from, to, saying.bytes());
        }
    }

    fn transmit(&mut self, from: usize, to: usize, bytes: Bytes) {
        let fate = self.network.send(from, to, &mut self.dice);
        for kind in fate.faults {
            self.fault(kind);
        }
        let mut bytes = bytes;
        if fate.damaged {
            let mut damaged = bytes.to_vec();
            let at = self.dice.below(damaged.len());
            damaged[at] ^= 1 << self.dice.below(8);
            bytes = damaged.into();
        }
        for delay in fate.arrivals {
            self.after(delay, Happening::Arrives { from, to, bytes: bytes.clone() });
        }
    }
}

/// Where a node stands, for a finding.
fn standing(node: &Node) -> (u64, usize, bool) {
    node.process.as_ref().map_or((0, 0, false), |process| {
        let pool = process.replica.pool_size().0;
        (node.disk.ledger.height(), pool, process.replica.is_at_rest())
    })
}
