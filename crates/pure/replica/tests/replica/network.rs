//! Several nodes in one process, with nothing lost between them: what is said arrives in order, timers fire when nothing else is left
//! to do. Nodes can be down, and come back from what is durable.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use ledger_format::block::Block;
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_replay::{Ledger, Replay};
use ledger_replica::{Action, Addressed, Event, Message, Replica, Settings, Statement, Timer};

/// Nothing in these tests takes more steps.
const STEPS: usize = 200_000;

/// One node: what it runs, and what outlives it.
pub(crate) struct Node {
    pub(crate) keys: Vec<SigningKey>,
    log: Vec<Vec<u8>>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) ledger: Ledger,
    pub(crate) replica: Replica,
    timers: Vec<(Duration, Timer)>,
    /// Entries of which its callers were told that they are refused.
    pub(crate) refused: Vec<EntryId>,
}

/// Nodes, and what is on its way to them.
pub(crate) struct Network {
    pub(crate) nodes: Vec<Node>,
    down: BTreeSet<usize>,
    events: VecDeque<(usize, Event)>,
    now: Duration,
    begin_ms: u64,
    /// What nodes have stated to all, in order; nothing when their memory became whole again.
    pub(crate) said: Vec<(usize, Option<Statement>)>,
    /// Nodes that stopped since somebody else has signed with their key.
    pub(crate) twins: Vec<usize>,
    /// Who lies; nobody else may be accused.
    pub(crate) liars: BTreeSet<KeyId>,
    /// Whom nodes have accused.
    pub(crate) accused: Vec<(usize, KeyId)>,
}

impl Node {
    /// How much was logged.
    pub(crate) fn log_records(&self) -> usize {
        self.log.len()
    }
}

fn id(key: &SigningKey) -> KeyId {
    KeyId::of(key.verifying_key().as_bytes())
}

impl Network {
    /// Nodes with these keys, connected with each other.
    pub(crate) fn start(genesis: &GenesisDocument, keys: &[Vec<SigningKey>]) -> Self {
        let begin_ms = genesis.message().start_ms;
        let events = VecDeque::new();
        let mut network = Self {
            nodes: Vec::new(),
            down: BTreeSet::new(),
            events,
            now: Duration::ZERO,
            begin_ms,
            said: Vec::new(),
            twins: Vec::new(),
            liars: BTreeSet::new(),
            accused: Vec::new(),
        };
        for keys in keys {
            let ledger = Ledger::new(genesis.clone()).unwrap();
            let (replica, first) =
                Replica::start(&ledger, keys.clone(), Settings::default(), &[]).unwrap();
            assert!(first.is_empty());
            let (log, blocks, timers, refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let keys = keys.clone();
            network.nodes.push(Node { keys, log, blocks, ledger, replica, timers, refused });
        }
        network
    }

    /// The identity that a node speaks with: its key in the set, or its first one.
    pub(crate) fn identity(&self, number: usize) -> KeyId {
        let node = &self.nodes[number];
        let sets = [node.ledger.validators(), node.ledger.next_validators()];
        let is_member = |key: &&SigningKey| sets.iter().any(|set| set.get(&id(key)).is_some());
        id(node.keys.iter().find(is_member).unwrap_or(&node.keys[0]))
    }

    /// The node goes down; what was on its way is lost.
    pub(crate) fn stop(&mut self, number: usize) {
        self.down.insert(number);
        self.events.retain(|(to, _)| *to != number);
        self.nodes[number].timers.clear();
    }

    /// The node comes back from its blocks and its log.
    pub(crate) fn start_again(&mut self, number: usize) {
        self.open(number);
        let node = &mut self.nodes[number];
        let (replica, first) =
            Replica::start(&node.ledger, node.keys.clone(), Settings::default(), &node.log)
                .unwrap();
        node.replica = replica;
        self.carry_out(number, first);
        for other in self.others(number) {
            self.meet(number, other);
        }
    }

    /// The node comes back with so many of its blocks and without its log. It meets nobody yet.
    pub(crate) fn start_without_memory(&mut self, number: usize, blocks: usize, alone: bool) {
        self.stop(number);
        let node = &mut self.nodes[number];
        node.blocks.truncate(blocks);
        node.log.clear();
        self.open(number);
        let node = &mut self.nodes[number];
        let (keys, settings) = (node.keys.clone(), Settings::default());
        node.replica = Replica::recover(&node.ledger, keys, settings, alone);
    }

    /// What the host does with a log that has become long.
    pub(crate) fn empty_log(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        node.log = node.replica.marks(node.ledger.height());
    }

    fn open(&mut self, number: usize) {
        self.down.remove(&number);
        let node = &mut self.nodes[number];
        let mut replay = Replay::new(node.ledger.genesis().clone()).unwrap();
        for block in &node.blocks {
            replay.push(block, |_| ()).unwrap();
        }
        node.ledger = replay.into_ledger();
    }

    pub(crate) fn others(&self, number: usize) -> Vec<usize> {
        (0..self.nodes.len()).filter(|other| *other != number).collect()
    }

    /// A connection between two nodes begins.
    pub(crate) fn meet(&mut self, one: usize, other: usize) {
        let (own, their) = (self.identity(one), self.identity(other));
        self.post(other, Event::Connected(own));
        self.post(one, Event::Connected(their));
    }

    pub(crate) fn post(&mut self, to: usize, event: Event) {
        if !self.down.contains(&to) {
            self.events.push_back((to, event));
        }
    }

    /// A message that somebody sends, whoever that is. Entries are taken in as the host does it.
    pub(crate) fn hear(&mut self, to: usize, from: KeyId, message: &Message) {
        let Addressed::Intake { entries, asked } = message.clone().addressed() else {
            return self.post(to, Event::Received { from, message: message.clone() });
        };
        for bytes in entries {
            let entry = Box::new(Entry::decode(bytes.into()).unwrap());
            let passed_on = Event::PassedOn { from, entry: entry.clone() };
            self.post(to, if asked { passed_on } else { Event::Submitted(entry) });
        }
    }

    /// An entry that a client gives to one node.
    pub(crate) fn submit_to(&mut self, number: usize, entry: &Entry) {
        self.post(number, Event::Submitted(Box::new(entry.clone())));
    }

    /// An entry that a client gives to all nodes.
    pub(crate) fn submit(&mut self, entry: &Entry) {
        for number in 0..self.nodes.len() {
            self.post(number, Event::Submitted(Box::new(entry.clone())));
        }
    }

    /// Lets things happen until all nodes that run have a height.
    pub(crate) fn reach(&mut self, height: u64) {
        for _ in 0..STEPS {
            let behind = |number: &usize| self.nodes[*number].ledger.height() < height;
            let running = (0..self.nodes.len()).filter(|number| !self.down.contains(number));
            if !running.clone().any(|number| behind(&number)) {
                return;
            }
            if !self.step() {
                break;
            }
        }
        let heights: Vec<u64> = self.nodes.iter().map(|node| node.ledger.height()).collect();
        panic!("height {height} is not reached: {heights:?}");
    }

    /// Lets things happen for a while: true when they end by themselves.
    pub(crate) fn settle(&mut self, steps: usize) -> bool {
        (0..steps).any(|_| !self.step())
    }

    fn step(&mut self) -> bool {
        if let Some((number, event)) = self.events.pop_front() {
            self.tell(number, event);
            return true;
        }
        let timers = self.nodes.iter().enumerate().flat_map(|(number, node)| {
            node.timers.iter().enumerate().map(move |(at, (due, _))| (*due, number, at))
        });
        let Some((due, number, at)) = timers.min() else { return false };
        self.now = self.now.max(due);
        let (_, timer) = self.nodes[number].timers.remove(at);
        self.tell(number, Event::TimerFired(timer));
        true
    }

    fn tell(&mut self, number: usize, event: Event) {
        let now_ms = self.begin_ms + 1 + u64::try_from(self.now.as_millis()).unwrap();
        let node = &mut self.nodes[number];
        let actions = node.replica.step(&node.ledger, now_ms, event).unwrap();
        self.carry_out(number, actions);
    }

    fn carry_out(&mut self, number: usize, actions: Vec<Action>) {
        for action in actions {
            let from = self.identity(number);
            let node = &mut self.nodes[number];
            match action {
                Action::Log(record) => node.log.push(record),
                Action::FlushLog | Action::Turned(..) => {}
                Action::Refused(id, _) => node.refused.push(id),
                Action::Gather(_) => self.post(number, Event::Gathered),
                Action::SetTimer(timer, after) => node.timers.push((self.now + after, timer)),
                Action::CancelTimer(timer) => node.timers.retain(|(_, set)| *set != timer),
                Action::CancelTimers => node.timers.retain(|(_, set)| !set.is_of_a_round()),
                Action::Commit(decided) => {
                    node.blocks.push(decided.block);
                    node.ledger.commit(decided.executed).unwrap();
                    self.tell(number, Event::Committed);
                }
                Action::PassOn(entry) => {
                    let message = node.replica.relay(vec![entry.to_vec()]);
                    for to in (0..self.nodes.len()).filter(|to| *to != number) {
                        self.hear(to, from, &message);
                    }
                }
                Action::Broadcast(message) => {
                    let stated = message.statement();
                    self.said.extend(stated.map(|stated| (number, Some(stated))));
                    for to in (0..self.nodes.len()).filter(|to| *to != number) {
                        self.hear(to, from, &message);
                    }
                }
                Action::Send(to, message) => {
                    if let Some(to) = self.number_of(&to) {
                        self.hear(to, from, &message);
                    }
                }
                Action::SendBlocks { to, from: first } => {
                    let skipped = usize::try_from(first - 1).unwrap();
                    let key = node.keys.iter().find(|key| id(key) == from);
                    let blocks = Message::blocks(node.blocks.iter().skip(skipped), key);
                    if let Some(to) = self.number_of(&to) {
                        self.hear(to, from, &blocks);
                    }
                }
                Action::Recovered => self.said.push((number, None)),
                Action::Twin { .. } => {
                    self.twins.push(number);
                    return self.stop(number);
                }
                Action::Suspect { why, .. } => panic!("nobody lies: {why}"),
                Action::Apart { .. } => panic!("all have one clock"),
                Action::Accuse { evidence, culprits } => {
                    let lied = culprits.iter().all(|culprit| self.liars.contains(&culprit.key));
                    assert!(lied, "none of these lies: {evidence:?}");
                    self.accused.extend(culprits.iter().map(|culprit| (number, culprit.key)));
                }
            }
        }
    }

    pub(crate) fn number_of(&self, identity: &KeyId) -> Option<usize> {
        (0..self.nodes.len())
            .find(|number| self.nodes[*number].keys.iter().any(|key| id(key) == *identity))
    }
}
