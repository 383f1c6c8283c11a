//! The replica: what a validator does with what happens, as a function from events to actions.
//!
//! What is durable at which step, and what a start finds if the process dies there: docs/ARCHITECTURE.md#if-the-process-dies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ed25519_dalek::SigningKey;
use ledger_format::block::Block;
use ledger_format::digest::{BlockHash, EntryId, KeyId};
use ledger_format::entry::Entry;
use ledger_format::evidence::Evidence;
use ledger_format::validators::{Member, Validators};
use ledger_replay::Ledger;

use crate::bodies::Bodies;
use crate::catch_up::CatchUp;
use crate::engine::{Engine, EngineStopped, Output, RoundTimer};
use crate::log_record::LogRecord;
use crate::look_ahead::LookAhead;
use crate::message::{Content, Message};
use crate::passed::{Askers, HandedOn, Verdicts};
use crate::planted::{self, Bug};
use crate::pool::Pool;
use crate::recall::{Overheard, Recovering, Signed};
use crate::recovery::{StartError, recover};
use crate::said::{Said, SaidProposal};
use crate::settings::Settings;
use crate::witness::Witness;

mod blame;
mod deciding;
mod event;
mod hearing;
mod missing;
mod passing;
mod proposing;
mod recalling;
mod resuming;

use event::Wake;
pub use event::{Action, Decided, Event, Timer};

/// What the replica is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing: no entry waits, no timer runs, nothing is sent.
    Silent,
    /// Entries wait: for company, when it is this validator's turn, and otherwise for whose turn it is.
    Waiting,
    /// A height is open.
    Deciding,
}

/// One node of a ledger: a validator, or a follower, which has no key and takes what validators decided.
#[derive(Debug)]
pub struct Replica {
    id: KeyId,
    /// Vote keys of this node. At each height the one votes that has a place in its set.
    keys: Vec<SigningKey>,
    engine: Option<Engine>,
    pool: Pool,
    settings: Settings,
    phase: Phase,
    bodies: Bodies,
    /// The round for which the engine waits for a block while no entry waits.
    owed: Option<u32>,
    /// What this validator said at the open height.
    said: Vec<Said>,
    /// All that this node signed at the open height.
    signed: Signed,
    /// What others said last.
    overheard: Overheard,
    /// The node has lost its memory: its keys are put aside, and it follows until they may vote again.
    recovering: Option<Recovering>,
    /// Up to which height an operator has vouched for what the node's keys have signed elsewhere or before.
    vouched: u64,
    /// Timers of the open height that fired while there was nothing to decide.
    dozing: Vec<RoundTimer>,
    ahead: LookAhead,
    catch_up: CatchUp,
    /// Nodes that are connected.
    present: BTreeSet<KeyId>,
    askers: Askers,
    verdicts: Verdicts,
    handed_on: HandedOn,
    witness: Witness,
    /// Evidence that could not be judged yet, by who told it.
    put_off: BTreeMap<KeyId, VecDeque<Evidence>>,
    /// Evidence that the block records which is being committed.
    recorded: Vec<Evidence>,
    /// Something was logged and is not durable yet.
    unflushed: bool,
    now_ms: u64,
    /// When the last block was committed.
    committed_ms: u64,
    /// Entries that the pool will have been given once all whom that block answered have sent another one.
    expected: u64,
}

impl Replica {
    /// A validator at the ledger's height, and what to do first: a height that a crash interrupted is gone through again from the
    /// log's records. While none of its vote keys has a place in the set, it follows.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(
        ledger: &Ledger,
        keys: Vec<SigningKey>,
        settings: Settings,
        log: &[Vec<u8>],
    ) -> Result<(Self, Vec<Action>), StartError> {
        let id = keys.first().map(id_of).unwrap_or_default();
        let mut replica = Self::new(id, keys, settings);
        replica.take_place(ledger);
        let recovered = recover(ledger, &replica.id, log)?;
        replica.vouched = recovered.vouched;
        let actions = replica.resume(ledger, recovered)?;
        Ok((replica, actions))
    }

    /// A follower at the ledger's height.
    pub fn follow(id: KeyId, settings: Settings) -> Self {
        Self::new(id, Vec::new(), settings)
    }

    fn new(id: KeyId, keys: Vec<SigningKey>, settings: Settings) -> Self {
        Self {
            id,
            keys,
            engine: None,
            pool: Pool::new(settings.pool),
            settings,
            phase: Phase::Silent,
            bodies: Bodies::default(),
            owed: None,
            said: Vec::new(),
            signed: Signed::default(),
            overheard: Overheard::default(),
            recovering: None,
            vouched: 0,
            dozing: Vec::new(),
            ahead: LookAhead::default(),
            catch_up: CatchUp::default(),
            present: BTreeSet::new(),
            askers: Askers::default(),
            verdicts: Verdicts::default(),
            handed_on: HandedOn::default(),
            witness: Witness::default(),
            put_off: BTreeMap::new(),
            recorded: Vec::new(),
            unflushed: false,
            now_ms: 0,
            committed_ms: 0,
            expected: 0,
        }
    }

    /// Takes the place that one of the node's keys has in the set of the next height; without one, the node follows.
    fn take_place(&mut self, ledger: &Ledger) {
        let validators = signing(ledger);
        let key = self.keys.iter().find(|key| validators.get(&id_of(key)).is_some());
        let Some(key) = key else {
            self.engine = None;
            return;
        };
        let id = id_of(key);
        if self.engine.is_none() || self.id != id {
            let timeouts = self.settings.timeouts.linear();
            self.id = id;
            self.engine =
                Some(Engine::new(ledger.genesis().id(), validators, key.clone(), timeouts));
        }
    }

    /// Whether this node has a say at the next height.
    pub const fn is_voting(&self) -> bool {
        self.engine.is_some()
    }

    /// Waiting entries and their bytes.
    pub fn pool_size(&self) -> (usize, usize) {
        (self.pool.len(), self.pool.bytes())
    }

    /// Whether an entry waits here already.
    pub fn is_waiting(&self, id: &EntryId) -> bool {
        self.pool.contains(id)
    }

    /// Whether no height is open, or one that nothing could fill, or whose rounds wait for something that could.
    pub fn is_at_rest(&self) -> bool {
        self.phase != Phase::Deciding || self.has_nothing() || !self.dozing.is_empty()
    }

    /// Whether the open height is not decided yet.
    fn is_open(&self) -> bool {
        self.phase == Phase::Deciding && self.engine.as_ref().is_some_and(|e| !e.is_decided())
    }

    /// What to do about an event. `now_ms` is this node's clock.
    ///
    /// # Errors
    /// [`EngineStopped`]: the process must stop.
    pub fn step(
        &mut self,
        ledger: &Ledger,
        now_ms: u64,
        event: Event,
    ) -> Result<Vec<Action>, EngineStopped> {
        self.now_ms = now_ms;
        match event {
            Event::Submitted(entry) => self.submitted(ledger, entry),
            Event::PassedOn { from, entry } => self.passed_on(ledger, from, entry),
            // The block that entries were gathered for may have come from somebody else meanwhile.
            Event::Gathered if self.phase == Phase::Waiting && self.has_turn(ledger) => {
                self.take_turn(ledger)
            }
            Event::Gathered => Ok(Vec::new()),
            Event::TimerFired(timer) => self.wake(ledger, timer),
            Event::Committed => self.committed(ledger),
            Event::Connected(peer) => Ok(self.connected(ledger, peer)),
            Event::Disconnected(peer) => Ok(self.disconnected(ledger, &peer)),
            Event::Received { from, message } => self.received(ledger, from, message.0),
        }
    }

    fn wake(&mut self, ledger: &Ledger, timer: Timer) -> Result<Vec<Action>, EngineStopped> {
        match timer.0 {
            Wake::Round(timer) => self.round_ended(ledger, timer),
            Wake::Patience { height } => self.lose_patience(ledger, height),
            Wake::AlmostThere { next: height } if height == next(ledger) => {
                self.catch_up.forget_plan();
                Ok(self.ask(ledger))
            }
            Wake::AlmostThere { .. } => Ok(Vec::new()),
            Wake::PassOn => Ok(self.pass_on_again()),
            Wake::Unanswered { request } => {
                self.catch_up.give_up(request);
                Ok(self.ask(ledger))
            }
        }
    }

    /// A round goes on, unless nothing is left that the height could be filled with.
    fn round_ended(
        &mut self,
        ledger: &Ledger,
        timer: RoundTimer,
    ) -> Result<Vec<Action>, EngineStopped> {
        let mut actions = self.drop_useless(ledger);
        if self.has_nothing() {
            self.dozing.push(timer);
        } else {
            actions.extend(self.elapsed(ledger, timer)?);
        }
        Ok(actions)
    }

    fn elapsed(
        &mut self,
        ledger: &Ledger,
        timer: RoundTimer,
    ) -> Result<Vec<Action>, EngineStopped> {
        let Some(engine) = &mut self.engine else { return Ok(Vec::new()) };
        let outputs = engine.elapsed(timer)?;
        self.carry_out(ledger, outputs)
    }

    /// Whether a height is open that nothing could fill: whoever opened it has lost what it had, or lied. Its rounds would follow
    /// each other for ever, so they wait. To wait is always safe; an entry, a body or a vote that changes that ends it
    /// ([`Replica::wake_up`]).
    fn has_nothing(&self) -> bool {
        self.phase == Phase::Deciding && self.pool.is_empty() && !self.has_block()
    }

    /// Whether a block is known that may become this height's.
    fn has_block(&self) -> bool {
        self.bodies.blocks().any(|block| self.may_be_decided(block))
    }

    /// Whether a block that is known may become this height's. One that this validator has voted against and no quorum for may only
    /// do so if somebody knows more, who then says it.
    fn may_be_decided(&self, block: &BlockHash) -> bool {
        let has_polka = |proposal: &SaidProposal| {
            let engine = self.engine.as_ref();
            engine.zip(proposal.round).is_some_and(|(engine, round)| engine.has_polka(round, block))
        };
        !self.bodies.is_told_bad(block) || self.bodies.proposals_of(block).iter().any(has_polka)
    }

    /// Lets the rounds go on that waited for something to decide, if there is something now.
    fn wake_up(&mut self, ledger: &Ledger) -> Result<Vec<Action>, EngineStopped> {
        let mut actions = Vec::new();
        if self.dozing.is_empty() || self.has_nothing() {
            return Ok(actions);
        }
        for timer in std::mem::take(&mut self.dozing) {
            actions.extend(self.elapsed(ledger, timer)?);
        }
        Ok(actions)
    }

    fn submitted(
        &mut self,
        ledger: &Ledger,
        entry: Box<Entry>,
    ) -> Result<Vec<Action>, EngineStopped> {
        if self.engine.is_none() {
            return Ok(self.keep(entry));
        }
        let id = entry.id();
        if let Err(turned) = self.pool.add(entry) {
            return Ok(vec![Action::Turned(id, turned)]);
        }
        match self.phase {
            Phase::Silent | Phase::Waiting if self.has_all(ledger) => self.take_turn(ledger),
            Phase::Silent => Ok(self.wait(ledger)),
            Phase::Deciding if self.owed.is_some() => {
                let mut actions = self.pay(ledger)?;
                actions.extend(self.wake_up(ledger)?);
                Ok(actions)
            }
            Phase::Deciding => self.consider(ledger, &id),
            Phase::Waiting => Ok(Vec::new()),
        }
    }

    /// Opens the next height, and hears what others have said about it.
    fn open(&mut self, ledger: &Ledger) -> Result<Vec<Action>, EngineStopped> {
        let Some(engine) = &mut self.engine else { return Ok(Vec::new()) };
        self.phase = Phase::Deciding;
        let height = next(ledger);
        let outputs = engine.start(height, signing(ledger))?;
        let mut actions = self.carry_out(ledger, outputs)?;
        for (from, content) in self.ahead.take(height) {
            if !self.is_open() {
                break;
            }
            if !may_speak(ledger, &from, height) {
                continue;
            }
            actions.extend(self.about_open(ledger, from, content)?);
        }
        Ok(actions)
    }

    /// Turns what the engine wants into actions, and answers what only the replica can.
    fn carry_out(
        &mut self,
        ledger: &Ledger,
        outputs: Vec<Output>,
    ) -> Result<Vec<Action>, EngineStopped> {
        let height = next(ledger);
        let round_timer = |timer| Timer(Wake::Round(timer));
        let mut actions = Vec::new();
        for output in outputs {
            match output {
                Output::Log(input) => {
                    self.unflushed = true;
                    actions.push(log(&LogRecord::Input { height, input }));
                }
                Output::Flush => {
                    if std::mem::take(&mut self.unflushed) {
                        actions.push(Action::FlushLog);
                    }
                }
                Output::SetTimer(timer, _)
                    if planted::is(Bug::SplitAwaited) && timer.is_of_prevotes() => {}
                Output::SetTimer(timer, after) => {
                    let after = self.no_longer_than_useful(ledger, timer, after);
                    actions.push(Action::SetTimer(round_timer(timer), after));
                }
                Output::CancelTimer(timer) => {
                    self.dozing.retain(|dozing| *dozing != timer);
                    actions.push(Action::CancelTimer(round_timer(timer)));
                }
                Output::CancelTimers => {
                    self.owed = None;
                    self.dozing.clear();
                    actions.push(Action::CancelTimers);
                }
                Output::GetValue { round } => actions.extend(self.asked_for(ledger, round)?),
                Output::Publish(said) => actions.extend(self.publish(ledger, said)),
                Output::Repeat(said) => actions.extend(self.repeat(height, said)),
                Output::Misbehaved(pairs) => actions.extend(self.found(ledger, &pairs)),
                Output::Decided(certificate) => {
                    let missing =
                        || EngineStopped(format!("no body for block {}", certificate.block));
                    let candidate = self.bodies.take(&certificate.block).ok_or_else(missing)?;
                    let block = Block { body: candidate.body, certificate };
                    let mut executed = candidate.executed;
                    if planted::is(Bug::WaitingAnswered) {
                        executed.ids.extend(self.pool.all().1.into_iter().map(Entry::id));
                    }
                    let is_with_quorum = !Self::is_sole(ledger, &[self.id]);
                    let decided = Decided { block, executed, is_with_quorum };
                    actions.extend(self.commit(decided));
                }
            }
        }
        Ok(actions)
    }

    /// The ledger has a new block: everything about the height below is over.
    fn committed(&mut self, ledger: &Ledger) -> Result<Vec<Action>, EngineStopped> {
        self.phase = Phase::Silent;
        if !planted::is(Bug::StaleCandidates) {
            self.bodies = Bodies::default();
        }
        self.owed = None;
        self.said.clear();
        self.signed.clear();
        self.dozing.clear();
        self.ahead.forget_below(next(ledger));
        self.sift(ledger);
        self.witness.forget_below(next(ledger));
        // Whatever the log's buffer still has is of the height that is over.
        self.unflushed = false;
        self.committed_ms = self.now_ms;
        self.forget_former(ledger);
        let mut actions = self.look_back(ledger);
        actions.push(Action::Broadcast(Message::tip(ledger.height())));
        actions.extend(self.drop_expired(ledger));
        actions.extend(self.judge_again(ledger));
        actions.extend(self.keep_recorded(ledger));
        actions.extend(self.conclude(ledger));
        actions.extend(self.go_on(ledger)?);
        Ok(actions)
    }

    /// What can be done at once at a new height: blocks that came, a proposal that came early, entries that wait.
    fn go_on(&mut self, ledger: &Ledger) -> Result<Vec<Action>, EngineStopped> {
        let mut actions = self.take_blocks(ledger);
        if actions.iter().any(|action| matches!(action, Action::Commit(_))) {
            return Ok(actions);
        }
        actions.extend(self.consider_asking(ledger));
        if self.is_called(ledger) {
            actions.extend(self.open(ledger)?);
        } else if !self.pool.is_empty() && self.engine.is_some() {
            actions.extend(if self.has_turn(ledger) && !self.expects_more(ledger) {
                self.take_turn(ledger)?
            } else {
                self.wait(ledger)
            });
        }
        Ok(actions)
    }
}

/// The record that stands for a log emptied after a height was made durable: a store that has lost blocks is noticed by it.
pub fn done(height: u64) -> Vec<u8> {
    LogRecord::Done { height }.encode()
}

fn log(record: &LogRecord<'_>) -> Action {
    Action::Log(record.encode())
}

fn next(ledger: &Ledger) -> u64 {
    ledger.height().saturating_add(1)
}

/// The set that signs the next height.
fn signing(ledger: &Ledger) -> &Validators {
    if planted::is(Bug::SetTooEarly) { ledger.next_validators() } else { ledger.validators() }
}

fn id_of(key: &SigningKey) -> KeyId {
    KeyId::of(key.verifying_key().as_bytes())
}

/// Whether a node has a say at a height: a validator of the next one, and of later ones also who is about to come in.
fn may_speak(ledger: &Ledger, from: &KeyId, height: u64) -> bool {
    let comes_in = height != next(ledger) && ledger.next_validators().get(from).is_some();
    comes_in || ledger.validators().get(from).is_some()
}

/// The place of a node in the set of the next height, or of the one after it.
fn placed<'a>(ledger: &'a Ledger, id: &KeyId) -> Option<&'a Member> {
    ledger.validators().get(id).or_else(|| ledger.next_validators().get(id))
}

fn said_at(height: u64, said: Said) -> Message {
    Message(Content::Said { height, said })
}
