//! Messages: from a node, over a link, into a node.

use bytes::Bytes;
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::{Entry, leaf_hash};
use ledger_replica::{Addressed, Event, Message, Statement};
use ledger_verify::entry::EntryBatch;
use sha2::Digest as _;

use super::{Arrival, Happening, World};
use crate::checks::Violation;
use crate::liars::{Saying, Voice};
use crate::node::Node;

/// Bytes at both ends of a message that the trace holds: kind, height, signature. Hashing all would take a tenth of a run.
const TRACED: usize = 128;

/// What a run counts when an entry is in a block that a client handed to a node which reaches a follower alone.
pub(crate) const OVER_FOLLOWER: &str = "over_follower";

/// How long it takes at most until others see that a connection was closed; no process is back sooner.
const HANGS_UP_MS: usize = 40;
/// How long it takes until a connection that ended is made anew.
pub(super) const RECONNECT_MS: u64 = 50;

impl World {
    pub(super) fn arrives(&mut self, arrival: &Arrival) {
        let Arrival { from, to, bytes, sent, again } = arrival;
        let (from, to) = (*from, *to);
        self.trace.update([1, u8::try_from(from).unwrap(), u8::try_from(to).unwrap()]);
        self.trace.update(bytes.len().to_be_bytes());
        self.trace.update(&bytes[..bytes.len().min(TRACED)]);
        self.trace.update(&bytes[bytes.len().saturating_sub(TRACED)..]);
        if self.broke.get(&(from, to)).is_some_and(|broke| sent < broke) {
            return self.fault("lost_with_connection");
        }
        if !again {
            let last = self.arrived.entry((from, to)).or_default();
            if *sent < *last {
                self.fault("overtaking");
            } else {
                *last = *sent;
            }
        }
        if self.nodes[to].process.is_none() || self.broken.contains(&(from, to)) {
            return;
        }
        self.messages += 1;
        // Bytes that are no message end the connection: what is lost with it is said again.
        let Ok(message) = Message::decode(bytes) else {
            self.fault("malformed");
            // One connection ends once, however much of it cannot be read.
            if self.broken.insert((from, to)) {
                self.after(RECONNECT_MS, Happening::Connected { node: from, peer: to });
                self.after(RECONNECT_MS, Happening::Connected { node: to, peer: from });
            }
            return;
        };
        let said_by = self.nodes[from].id;
        if let Some(liar) = &mut self.nodes[to].liar {
            liar.hears(said_by, &message);
        }
        match message.addressed() {
            Addressed::Intake { entries, asked } => {
                let asker = asked.then_some(self.nodes[from].id);
                for bytes in entries {
                    self.submit_bytes(to, asker, Bytes::from(bytes));
                }
            }
            Addressed::Replica(message) => {
                let from = self.nodes[from].id;
                self.tell(to, Event::Received { from, message: *message });
            }
            // No client asks for signatures here.
            Addressed::WantSeal(_) | Addressed::Seal { .. } => {}
        }
    }

    /// What a node's intake does with bytes that another node calls an entry; who judges none wants to hear what becomes of it.
    pub(super) fn submit_bytes(&mut self, node: usize, asker: Option<KeyId>, bytes: Bytes) {
        let Some(process) = &self.nodes[node].process else { return };
        // Most of what others pass on is here already.
        let id = EntryId(leaf_hash(&bytes));
        let came_before = asker.is_none() && process.recent.contains(&id);
        if came_before || self.nodes[node].disk.ids.contains(&id) {
            return;
        }
        let Ok(entry) = Entry::decode(bytes) else { return };
        if !self.is_signed(node, &entry) {
            if self.nodes[node].liar.as_ref().is_none_or(|liar| liar.verifies()) {
                return;
            }
            // Only what is forged is wrong to take unchecked.
            self.lied(node);
        }
        self.take_in(node, asker, entry);
    }

    /// Whether an entry is of this ledger and its signatures are good. A verdict on the same bytes under the same keys is the same
    /// everywhere.
    fn is_signed(&mut self, node: usize, entry: &Entry) -> bool {
        let id = entry.id();
        if self.verified.contains(&id) {
            return true;
        }
        let mut batch = EntryBatch::new();
        batch.push(0, entry, |kid| self.nodes[node].disk.ledger.public_key(kid));
        let is_good = entry.claims().ledger == self.genesis.id() && batch.verify().is_empty();
        if is_good {
            self.verified.insert(id);
        }
        is_good
    }

    /// An entry whose signatures were checked enters a node's pool, unless the ledger has it.
    pub(super) fn take_in(&mut self, node: usize, asker: Option<KeyId>, entry: Entry) {
        let id = entry.id();
        if self.nodes[node].disk.ids.contains(&id) {
            return;
        }
        let Some(liar) = &mut self.nodes[node].liar else {
            let held = self.plan.is_remote(node).then(|| (id, entry.clone()));
            self.tell(node, submission(asker, entry));
            let Some(process) = &mut self.nodes[node].process else { return };
            if process.replica.is_waiting(&id) {
                process.recent.insert(id);
                process.held.extend(held);
            }
            // What a follower has no block can be made of, and what is in a block waits only with those who have not got that yet.
            let waits = process.replica.is_voting() && process.replica.is_waiting(&id);
            if waits && !self.checks.is_acknowledged(&id) {
                self.fairness.saw(node, id, self.checks.height());
            }
            return;
        };
        let taken = liar.takes(entry);
        if taken.len() != 1 {
            self.lied(node);
        }
        for entry in taken {
            self.tell(node, submission(asker, entry));
        }
    }

    /// A liar did something wrong.
    fn lied(&mut self, node: usize) {
        if let Some(kind) = self.nodes[node].lies {
            self.fault(kind.name());
        }
    }

    pub(super) fn broadcast(&mut self, node: usize, message: &Message) {
        if self.nodes[node].liar.is_some() {
            // It says what it likes to whom it likes.
            let others = (0..self.nodes.len()).filter(|to| *to != node);
            others.for_each(|to| self.send(node, to, message));
            return;
        }
        self.says(node, message);
        let bytes = Bytes::from(message.encode());
        for to in self.audience(node, message) {
            self.transmit(node, to, bytes.clone());
        }
    }

    /// Whom a message to everybody is for, as the product's host has it: followers get what was decided, and of what is passed on only
    /// what nobody nearer to a validator takes.
    fn audience(&self, node: usize, message: &Message) -> Vec<usize> {
        let others = (0..self.nodes.len()).filter(|to| *to != node);
        let linked: Vec<usize> = others.filter(|to| self.plan.are_linked(node, *to)).collect();
        let is_validator = |to: &usize| self.nodes[*to].is_validator;
        let is_reached = |to: &usize| is_validator(to) && self.is_reached(node, *to);
        let to_all =
            message.is_for_followers() || message.is_passed_on() && !linked.iter().any(is_reached);
        linked.into_iter().filter(|to| to_all || is_validator(to)).collect()
    }

    /// Whether a node is connected with another one.
    pub(super) fn is_reached(&self, node: usize, peer: usize) -> bool {
        let is_cut = self.network.is_cut(node, peer) || self.network.is_cut(peer, node);
        self.nodes[peer].process.is_some() && !is_cut && self.plan.are_linked(node, peer)
    }

    /// What a node's own replica says. Votes may be in a certificate that it did not get to say alone before it died: its own are as
    /// binding there, and those of others it has heard. Whether it contradicts what was said with its keys before.
    fn says(&mut self, from: usize, message: &Message) -> bool {
        let own = self.nodes[from].ids();
        let is_alone = message.statement().is_some();
        let mut contradicts = false;
        for statement in message.statements() {
            if is_alone && own.contains(&statement.validator) {
                self.check_durable(from, &statement);
            }
            contradicts |= match (is_alone, own.contains(&statement.validator)) {
                (true, true) => self.checks.says(&statement),
                (false, false) => {
                    self.checks.hears(&statement);
                    false
                }
                _ => self.checks.shows(&statement),
            };
        }
        contradicts
    }

    /// What an honest node says of the open height is on its disk by then.
    fn check_durable(&mut self, node: usize, said: &Statement) {
        let Node { process, disk, lies, .. } = &mut self.nodes[node];
        let Statement { height, signature, .. } = *said;
        let is_open = height == disk.ledger.height() + 1;
        let is_new = process.as_mut().is_some_and(|process| process.shown.insert(signature));
        if lies.is_none() && is_open && is_new && !disk.has_logged(&signature) {
            self.checks.violations.push(Violation::NotDurable { node, height });
        }
    }

    pub(super) fn send(&mut self, from: usize, to: usize, message: &Message) {
        let contradicts = self.says(from, message);
        let Some(mut liar) = self.nodes[from].liar.take() else {
            return self.transmit(from, to, Bytes::from(message.encode()));
        };
        let id = self.nodes[from].id;
        let validators = self.nodes.iter().filter(|node| node.is_validator && node.id != id);
        let others: Vec<KeyId> = validators.map(|node| node.id).collect();
        let (ledger, key) = (self.genesis.id(), self.nodes[from].key());
        let voice = Voice { ledger, id, key, others: &others };
        let said = liar.says(&voice, to, message, &mut self.dice);
        // What the replica of a liar says by itself is true, but for what its twin says.
        let is_at_it = contradicts || liar.is_at_it(&voice, message);
        self.nodes[from].liar = Some(liar);
        if is_at_it || said != [Saying::Message(message.clone())] {
            self.lied(from);
        }
        for saying in said {
            if let Saying::Message(message) = &saying {
                let own = message.statement().filter(|statement| statement.validator == id);
                if let Some(own) = own {
                    self.checks.hears(&own);
                }
            }
            self.transmit(from, to, saying.bytes());
        }
    }

    fn transmit(&mut self, from: usize, to: usize, bytes: Bytes) {
        if !self.plan.are_linked(from, to) {
            return;
        }
        let fate = self.network.send(from, to, &mut self.dice);
        for kind in fate.faults {
            self.fault(kind);
        }
        let mut bytes = bytes;
        // Of no bytes none can be damaged.
        if fate.damaged && !bytes.is_empty() {
            let mut damaged = bytes.to_vec();
            let at = self.dice.below(damaged.len());
            damaged[at] ^= 1 << self.dice.below(8);
            bytes = damaged.into();
        }
        let number = self.number;
        for (copy, delay) in fate.arrivals.into_iter().enumerate() {
            let arrival = Arrival { from, to, bytes: bytes.clone(), sent: number, again: copy > 0 };
            self.after(delay, Happening::Arrives(arrival));
        }
    }

    pub(super) fn connected(&mut self, node: usize, peer: usize) {
        self.broken.remove(&(node, peer));
        let is_up = self.nodes[peer].process.is_some() && self.plan.are_linked(node, peer);
        if is_up && !self.network.is_cut(node, peer) {
            let peer = self.nodes[peer].id;
            self.tell(node, Event::Connected(peer));
        }
    }

    /// A process has died: its host closes its connections, and others see that soon; or the host is gone as well, and they do not see
    /// it until it is back.
    pub(super) fn hang_up(&mut self, node: usize) {
        if self.dice.once_in(2) {
            return self.fault("vanished");
        }
        self.fault("hung_up");
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            if !self.network.is_cut(node, peer) {
                let after = 1 + u64::try_from(self.dice.below(HANGS_UP_MS)).unwrap();
                self.after(after, Happening::HungUp { node: peer, peer: node });
            }
        }
    }

    /// Unless it is back already, which has ended the connection before.
    pub(super) fn hung_up(&mut self, node: usize, peer: usize) {
        if self.nodes[peer].process.is_none() {
            self.disconnected(node, peer);
        }
    }

    /// A connection that begins anew has ended first.
    pub(super) fn disconnected(&mut self, node: usize, peer: usize) {
        if !self.plan.are_linked(node, peer) {
            return;
        }
        let peer = self.nodes[peer].id;
        self.tell(node, Event::Disconnected(peer));
    }

    /// A node's connections begin anew, under the name that it has now.
    pub(super) fn introduce(&mut self, node: usize, after_ms: u64) {
        let id = self.nodes[node].identity();
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            self.disconnected(peer, node);
            if id != self.nodes[node].id {
                self.broken.extend([(node, peer), (peer, node)]);
            }
            self.after(after_ms, Happening::Connected { node, peer });
            self.after(after_ms, Happening::Connected { node: peer, peer: node });
        }
        self.nodes[node].id = id;
    }

    pub(super) fn mend(&mut self, from: usize, to: usize) {
        self.network.set_cut(from, to, false);
        self.disconnected(from, to);
        self.disconnected(to, from);
        self.after(5, Happening::Connected { node: from, peer: to });
        self.after(5, Happening::Connected { node: to, peer: from });
    }
}

/// Who judges nothing wants to hear of what it passes on.
fn submission(asker: Option<KeyId>, entry: Entry) -> Event {
    let entry = Box::new(entry);
    match asker {
        Some(from) => Event::PassedOn { from, entry },
        None => Event::Submitted(entry),
    }
}
