//! The host of a node: starts its replica, tells it what happens, carries out what it wants.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use ledger_format::digest::{EntryId, KeyId};
use ledger_format::evidence::Evidence;
use ledger_replica::{
    Action, Answer, Decided, Event, Message, Replica, Settings, Statement, StatementKind, Timer,
};
use ledger_rules::Code;
use ledger_verify::block::check_certificate;
use ledger_verify::evidence::Culprit;
use sha2::Digest as _;

use super::{Happening, OVER_FOLLOWER, REFUSED, World};
use crate::checks::{SAME_RECORDS, Violation};
use crate::clients::Clients;
use crate::liars::LiarKind;
use crate::node::{Call, Node, Process};
use crate::plan::{Trouble, quorum_of_heads};

/// Blocks that one answer holds at most.
const ANSWER_BLOCKS: usize = 16;
/// How far honest clocks are from the truth at most, with some room: skew and jumps of the plan.
const OFF_MS: u64 = 4_000;
/// Heights from the next one on at which a validator may have signed what it has forgotten, when it has all blocks of the others
/// (docs/adr/0025).
const VOUCHED: u64 = 2;

impl World {
    /// Starts a node: its process, unless its disk cannot be read, or says what was never written.
    pub(super) fn start(&mut self, number: usize) {
        let Some(log) = self.open(number) else { return };
        if self.nodes[number].keys.len() > 1 && self.dice.once_in(2) {
            self.nodes[number].promote();
        }
        self.run(number, &log);
    }

    fn run(&mut self, number: usize, log: &[Vec<u8>]) {
        let node = &self.nodes[number];
        let ledger = &node.disk.ledger;
        let answer = Answer { blocks: ANSWER_BLOCKS, ..Answer::default() };
        let (keys, settings) = (node.keys.clone(), Settings { answer, ..Settings::default() });
        let count = keys.len();
        let started = if node.forgot {
            Ok((Replica::recover(ledger, keys, settings, node.is_alone()), Vec::new()))
        } else if node.is_validator {
            Replica::start(ledger, keys, settings, log).map_err(|error| error.to_string())
        } else {
            Ok((Replica::follow(node.id, settings), Vec::new()))
        };
        let (mut replica, actions) = match started {
            Ok(started) => started,
            Err(why) => return self.stopped(number, why),
        };
        replica.recall(ledger, &node.disk.evidence);
        let first = ledger.height() == 0;
        self.checks.started(number);
        let process = Process {
            replica,
            keys: count,
            calls: Vec::new(),
            owed: Vec::new(),
            recent: HashSet::new(),
            held: BTreeMap::new(),
            logged: BTreeMap::new(),
            shown: BTreeSet::new(),
        };
        self.nodes[number].process = Some(process);
        self.carry_out(number, actions);
        self.introduce(number, 3);
        if first {
            // As every founder has the genesis file.
            for entry in Clients::first(&self.genesis) {
                self.take_in(number, None, entry);
            }
        }
    }

    /// The time that a node's clock shows.
    pub(super) fn clock_ms(&self, node: usize) -> u64 {
        self.now_ms.saturating_add_signed(self.nodes[node].skew_ms)
    }

    pub(super) fn tell(&mut self, node: usize, event: Event) {
        let now_ms = self.clock_ms(node);
        let Node { process, disk, .. } = &mut self.nodes[node];
        let Some(process) = process else { return };
        match process.replica.step(&disk.ledger, now_ms, event) {
            Ok(actions) => self.carry_out(node, actions),
            Err(stopped) => self.stopped(node, stopped.to_string()),
        }
    }

    /// A process has stopped by itself. That only one may whose twin voted with its key, and one that logged what it did not check.
    fn stopped(&mut self, node: usize, why: String) {
        if matches!(self.nodes[node].lies, Some(LiarKind::Twin | LiarKind::Careless)) {
            self.crash(node, "liar_stopped");
        } else {
            self.checks.violations.push(Violation::Stopped { node, why });
        }
    }

    fn pass_on(&mut self, node: usize, entry: &[u8]) {
        let Some(process) = &self.nodes[node].process else { return };
        let message = process.replica.relay(vec![entry.to_vec()]);
        self.broadcast(node, &message);
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
                Action::Log(record) => self.log(node, record),
                Action::FlushLog => {
                    if std::mem::take(&mut self.nodes[node].disk.flush_fails) {
                        // A flush that failed has promised nothing; the process must not go on.
                        return self.crash(node, Trouble::FlushError.name());
                    }
                    self.nodes[node].disk.flush();
                }
                Action::Gather(after) => self.call(node, Call::Gathered, after),
                Action::SetTimer(timer, after) => self.set_timer(node, timer, after),
                Action::CancelTimer(timer) => {
                    self.keep_calls(node, |call| call != Call::Timer(timer));
                }
                Action::CancelTimers => self.keep_calls(node, |call| match call {
                    Call::Timer(timer) => !timer.is_of_a_round(),
                    Call::Gathered => true,
                }),
                Action::Commit(decided) => actions.extend(self.commit(node, *decided)),
                Action::Refused(id, refusal) => self.refused(node, &id, refusal.code),
                Action::Turned(id, _) => {
                    if let Some(process) = &mut self.nodes[node].process {
                        process.settled(&id);
                    }
                }
                Action::PassOn(entry) => self.pass_on(node, &entry),
                Action::Broadcast(message) => self.broadcast(node, &message),
                Action::Send(to, message) => {
                    for to in self.numbers(&to) {
                        self.send(node, to, &message);
                    }
                }
                Action::SendBlocks { to, from } => {
                    let from_node = &self.nodes[node];
                    let Ok(blocks) = from_node.disk.blocks(from, ANSWER_BLOCKS) else {
                        return self.block_refused(node);
                    };
                    let signs = from_node.is_validator.then(|| from_node.key());
                    let message = Message::blocks(&blocks, signs);
                    for to in self.numbers(&to) {
                        self.send(node, to, &message);
                    }
                }
                Action::Accuse { evidence, culprits } => self.accused(node, *evidence, &culprits),
                Action::Recovered => self.recovered(node),
                // Whoever runs two processes with one key on purpose has a program that does not stop.
                Action::Twin { .. } if self.nodes[node].lies.is_some() => self.fault("twin_seen"),
                Action::Twin { height, .. } => {
                    return self.stopped(node, format!("its key signed elsewhere at {height}"));
                }
                Action::Apart { .. } => self.fault("clocks_apart"),
                Action::Suspect { peer, height, .. } => {
                    self.fault("suspected");
                    if !self.accuses(&peer) && self.has_better(node, height) {
                        self.checks.suspected(node, peer, height);
                    }
                }
            }
        }
    }

    /// A validator votes again that had lost its memory: others know where it was, or its operator vouches for it.
    fn recovered(&mut self, node: usize) {
        let of = &mut self.nodes[node];
        of.forgot = false;
        let (keys, next) = (of.ids(), of.disk.ledger.height() + 1);
        if of.is_alone() {
            of.vouched = next + VOUCHED - 1;
            self.checks.vouched(node, &keys, &(next..next + VOUCHED));
            self.fault("recovered_alone");
        } else {
            self.checks.remembers(node, &keys, next);
        }
        self.fault("recovered");
    }

    /// A process logs something. The same again and again says nothing, and would fill the disk while a height is open.
    fn log(&mut self, node: usize, record: Vec<u8>) {
        let of = &mut self.nodes[node];
        of.disk.append(&record);
        let Some(process) = &mut of.process else { return };
        let times = process.logged.entry(record).or_default();
        *times += 1;
        if *times == SAME_RECORDS {
            self.checks.violations.push(Violation::Overlogged { node });
        }
    }

    /// A node has found a validator guilty.
    fn accused(&mut self, node: usize, evidence: Evidence, culprits: &[Culprit]) {
        self.fault("accused");
        for culprit in culprits {
            self.checks.accused(node, culprit.key, evidence.height);
            let named = self.nodes.iter().find(|node| node.id == culprit.key);
            // Who is named by a key that it had before is the first liar: where keys change there is one.
            let lies = named.and_then(|node| node.lies).or(self.plan.liar);
            if let Some(guilt) = lies.and_then(LiarKind::guilt)
                && self.nodes[node].lies.is_none()
            {
                self.fault(guilt);
            }
        }
        self.nodes[node].disk.evidence.push(evidence);
    }

    fn refused(&mut self, node: usize, id: &EntryId, code: Code) {
        if code == Code::ProtocolNotActive && self.plan.activates {
            self.fault(REFUSED);
        }
        // Of the budgets of a run one alone is small.
        if code == Code::BudgetSpent
            && let Some(flood) = self.plan.floods
        {
            self.fault(flood.name());
        }
        self.fairness.refused(node, id);
        let Node { process, disk, lies, .. } = &mut self.nodes[node];
        if let Some(process) = process {
            process.settled(id);
            process.recent.remove(id);
        }
        if lies.is_none() && disk.ids.contains(id) {
            self.checks.violations.push(Violation::RefusedAcknowledged { node, entry: *id });
        }
    }

    /// Makes a block durable, and goes on with it. Whoever waits for one that a quorum has is answered before.
    fn commit(&mut self, node: usize, decided: Decided) -> Vec<Action> {
        self.check_decided(node, &decided);
        let Decided { block, executed, is_with_quorum } = decided;
        if is_with_quorum && self.nodes[node].dies_answered {
            self.crash(node, Trouble::CrashAnswered.name());
            if self.dice.once_in(4) {
                // With a power that all have in common.
                self.blackout();
            }
            return Vec::new();
        }
        let is_log_emptied = self.dice.once_in(4);
        let Node { process, disk, .. } = &mut self.nodes[node];
        let Some(process) = process else { return Vec::new() };
        let height = block.body.header.height;
        let marks = is_log_emptied.then(|| process.replica.marks(height));
        disk.commit(&block, &executed.ids, marks);
        process.logged.clear();
        process.shown.clear();
        let owed = process.owed.len();
        for id in &executed.ids {
            process.settled(id);
        }
        let is_answered = process.owed.len() < owed;
        if let Err(error) = disk.ledger.commit(executed) {
            self.stopped(node, error.to_string());
            return Vec::new();
        }
        if is_answered && self.plan.is_remote(node) {
            self.fault(OVER_FOLLOWER);
        }
        self.set_in_force(node);
        let now_ms = self.clock_ms(node);
        let Node { process, disk, .. } = &mut self.nodes[node];
        let Some(process) = process else { return Vec::new() };
        let was_voting = process.replica.is_voting();
        let stepped = process.replica.step(&disk.ledger, now_ms, Event::Committed);
        if was_voting && !process.replica.is_voting() {
            self.fairness.lost(node);
        }
        stepped.unwrap_or_else(|stopped| {
            self.stopped(node, stopped.to_string());
            Vec::new()
        })
    }

    /// What must hold of every block that a node commits.
    fn check_decided(&mut self, node: usize, decided: &Decided) {
        let Decided { block, executed, .. } = decided;
        let (header, certificate) = (&block.body.header, &block.certificate);
        let signatures = certificate.signatures.clone();
        let key = (certificate.block, certificate.round, signatures);
        if !self.certified.contains(&key) {
            let validators = self.nodes[node].disk.ledger.validators();
            if let Err(refuted) = check_certificate(validators, header, certificate) {
                self.checks.violations.push(Violation::Refuted(refuted.to_string()));
            }
            // Whoever signed the block has precommitted it, whether or not it was heard to.
            for (validator, signature) in &certificate.signatures {
                self.checks.shows(&Statement {
                    height: certificate.height,
                    round: certificate.round,
                    kind: StatementKind::Precommit,
                    block: Some(certificate.block),
                    validator: *validator,
                    signature: *signature,
                });
            }
            if certificate.signatures.len() < quorum_of_heads(validators.members().len()) {
                self.fault("decided_by_few");
            }
            self.certified.insert(key);
        }
        let height = header.height;
        for evidence in &executed.evidence {
            self.fault("evidence_recorded");
            self.recorded.insert(evidence.id());
            if self.false_evidence.contains(&evidence.id()) {
                self.checks.violations.push(Violation::FalselyRecorded { node, height });
            }
        }
        let of = &self.nodes[node];
        if decided.is_with_quorum && of.lies.is_none() && !of.keeps(block) {
            self.checks.violations.push(Violation::NotKept { node, height });
        }
        if height > self.checks.height() {
            let skew = u64::from(self.genesis.limits().skew_ms);
            let ahead_ms = header.time_ms.saturating_sub(self.now_ms);
            if ahead_ms > skew + OFF_MS {
                self.checks.violations.push(Violation::FalseTime { height, ahead_ms });
            }
            let behind_ms = self.decided_ms.saturating_sub(header.time_ms);
            if behind_ms > skew + OFF_MS {
                self.checks.violations.push(Violation::LateTime { height, behind_ms });
            }
            self.decided_ms = self.now_ms;
            for entry in &executed.ids {
                let waited = self.fairness.entered(entry, height);
                if waited > self.plan.patience() {
                    let entry = *entry;
                    self.checks.violations.push(Violation::Censored { entry, waited });
                }
            }
            for (entry, waited) in self.fairness.overdue(height, self.plan.patience()) {
                self.checks.violations.push(Violation::Censored { entry, waited });
            }
        }
        self.trace.update([3, u8::try_from(node).unwrap()]);
        self.trace.update(header.hash().0);
        self.checks.committed(node, block, &executed.ids);
    }

    /// Whether a node lies in what nobody asked it for: that it is named again and again does not show that it is asked.
    fn accuses(&self, id: &KeyId) -> bool {
        self.nodes.iter().any(|node| node.id == *id && node.lies == Some(LiarKind::Framer))
    }

    /// Whether an honest node within reach has the block that a liar was asked for: then there is no need to ask a liar again.
    fn has_better(&self, node: usize, height: u64) -> bool {
        (0..self.nodes.len()).any(|number| {
            let Node { disk, lies, .. } = &self.nodes[number];
            let has = lies.is_none() && disk.ledger.height() >= height;
            has && self.is_reached(node, number)
        })
    }

    fn numbers(&self, id: &KeyId) -> Vec<usize> {
        (0..self.nodes.len()).filter(|number| self.nodes[*number].id == *id).collect()
    }

    fn call(&mut self, node: usize, call: Call, after: Duration) {
        self.number += 1;
        let number = self.number;
        if let Some(process) = &mut self.nodes[node].process {
            process.calls.push((number, call));
        }
        let after = u64::try_from(after.as_millis()).unwrap();
        self.after(after, Happening::Called { node, number });
    }

    /// A timer that runs is set anew, as the product's host does it.
    fn set_timer(&mut self, node: usize, timer: Timer, after: Duration) {
        self.keep_calls(node, |call| call != Call::Timer(timer));
        self.call(node, Call::Timer(timer), after);
    }

    fn keep_calls(&mut self, node: usize, keep: impl Fn(Call) -> bool) {
        if let Some(process) = &mut self.nodes[node].process {
            process.calls.retain(|(_, call)| keep(*call));
        }
    }

    pub(super) fn called(&mut self, node: usize, number: u64) {
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some(at) = process.calls.iter().position(|(known, _)| *known == number) else { return };
        let (_, call) = process.calls.swap_remove(at);
        self.trace.update([2, u8::try_from(node).unwrap()]);
        self.tell(node, call.event());
    }
}
