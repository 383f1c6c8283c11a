//! The replica: what a validator does with what happens, as a function from events to actions.
//!
//! # If the process dies
//!
//! | step | durable before the next step | if we die here, a restart finds |
//! | --- | --- | --- |
//! | 1 entry in the pool | nothing | nothing: the client was told no more than ACCEPTED, and submits again |
//! | 2 block built | nothing | nothing: it was not signed, so any other block may be proposed |
//! | 3 body, proposal and votes logged | body, proposal, votes | the same body and votes: the log is replayed, the height decides as before |
//! | 4 height decided | as 3 | as 3 |
//! | 5 block, certificate and everything derived, in one batch, flushed | the block | the block; the log's records of its height are skipped |
//! | 6 state in memory moved on | as 5 | the state, read from the store or rebuilt from blocks |
//! | 7 client answered | as 5 | the client asks again and gets the same receipt |

use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_format::block::{Block, Body};
use ledger_format::digest::{BlockHash, EntryId, KeyId};
use ledger_format::entry::Entry;
use ledger_replay::replay::decode_entries;
use ledger_replay::{Executed, Ledger};
use ledger_rules::Refusal;
use ledger_verify::entry::EntryBatch;

use crate::engine::{Engine, EngineStopped, Output, Timer};
use crate::log_record::{LogInput, LogRecord};
use crate::pool::{Pool, PoolLimits, Turned};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// An entry came whose form and signatures were checked.
    Submitted(Box<Entry>),
    /// The time to gather entries is over.
    Gathered,
    /// A timer of the engine has fired.
    TimerFired(Timer),
    /// The block of the last [`Action::Commit`] is durable, and the ledger has taken it.
    Committed,
}

/// Something to do, in order. An error while doing it must stop the process.
#[derive(Debug)]
pub enum Action {
    /// Append to the consensus log.
    Log(Vec<u8>),
    /// Make the consensus log durable.
    FlushLog,
    /// Call back with [`Event::Gathered`] after a while.
    Gather(Duration),
    /// Call back with [`Event::TimerFired`] after a while.
    SetTimer(Timer, Duration),
    /// Forget one timer.
    CancelTimer(Timer),
    /// Forget all timers of the engine.
    CancelTimers,
    /// Make a block durable, let the ledger take it, then come back with [`Event::Committed`].
    Commit(Box<Decided>),
    /// Tell whoever waits that an entry was refused.
    Refused(EntryId, Refusal),
    /// Tell the submitter that the entry was not taken into the pool.
    Turned(EntryId, Turned),
}

/// A decided block, executed.
#[derive(Debug)]
pub struct Decided {
    /// The block with its certificate.
    pub block: Block,
    /// What executing it gave.
    pub executed: Executed,
}

/// How the replica behaves; none of it is agreed on with others.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long to gather entries before the first block after a quiet time. Under load blocks fill while the one before is
    /// written.
    pub gather: Duration,
    /// Bounds of the pool.
    pub pool: PoolLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self { gather: Duration::from_millis(2), pool: PoolLimits::default() }
    }
}

/// Why a replica cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key is not a validator's of this ledger.
    #[error("the vote key {0} is not a validator's of this ledger")]
    NotAValidator(KeyId),
    /// More validators than this version can run.
    #[error("this ledger has {0} validators; this version runs ledgers of one")]
    Validators(usize),
    /// The log and the ledger disagree.
    #[error(transparent)]
    Engine(#[from] EngineStopped),
    /// The log was kept and blocks were not. Whoever went on would sign others of the same heights.
    #[error(
        "the store ends at height {stored}, and the consensus log shows that block {logged} was durable"
    )]
    BlocksLost {
        /// Height of the store.
        stored: u64,
        /// Height that the log knows to have been stored.
        logged: u64,
    },
    /// A logged body is not what it was.
    #[error("the consensus log holds a block that does not verify: {0}")]
    Body(String),
}

/// A block of the height that is being decided.
#[derive(Debug)]
struct Candidate {
    hash: BlockHash,
    body: Body,
    executed: Executed,
    tickets: Vec<u64>,
}

/// What the replica is doing.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing: no entry waits, no timer runs, nothing is sent.
    Silent,
    /// Entries wait for company.
    Gathering,
    /// A height is open.
    Deciding,
}

/// One validator.
#[derive(Debug)]
pub struct Replica {
    id: KeyId,
    engine: Engine,
    pool: Pool,
    settings: Settings,
    phase: Phase,
    candidate: Option<Candidate>,
}

impl Replica {
    /// A replica at the ledger's height, and what to do first: a height that a crash interrupted is gone through again from the
    /// log's records.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(
        ledger: &Ledger,
        key: SigningKey,
        settings: Settings,
        log: &[Vec<u8>],
    ) -> Result<(Self, Vec<Action>), StartError> {
        let id = KeyId::of(key.verifying_key().as_bytes());
        let validators = ledger.validators();
        if validators.get(&id).is_none() {
            return Err(StartError::NotAValidator(id));
        }
        if validators.members().len() > 1 {
            return Err(StartError::Validators(validators.members().len()));
        }
        let engine = Engine::new(ledger.genesis().id(), validators, key);
        let pool = Pool::new(settings.pool);
        let mut replica =
            Self { id, engine, pool, settings, phase: Phase::Silent, candidate: None };
        let actions = replica.recover(ledger, log)?;
        Ok((replica, actions))
    }

    /// Waiting entries and their bytes.
    pub fn pool_size(&self) -> (usize, usize) {
        (self.pool.len(), self.pool.bytes())
    }

    /// What to do about an event. `now_ms` is this validator's clock.
    ///
    /// # Errors
    /// [`EngineStopped`]: the process must stop.
    pub fn step(
        &mut self,
        ledger: &Ledger,
        now_ms: u64,
        event: Event,
    ) -> Result<Vec<Action>, EngineStopped> {
        match event {
            Event::Submitted(entry) => Ok(self.submitted(entry)),
            Event::Gathered => self.open_height(ledger, now_ms),
            Event::TimerFired(timer) => {
                let outputs = self.engine.elapsed(timer)?;
                self.carry_out(ledger, outputs)
            }
            Event::Committed => {
                self.phase = Phase::Silent;
                self.open_height(ledger, now_ms)
            }
        }
    }

    fn submitted(&mut self, entry: Box<Entry>) -> Vec<Action> {
        let id = entry.id();
        if let Err(turned) = self.pool.add(entry) {
            return vec![Action::Turned(id, turned)];
        }
        if self.phase != Phase::Silent {
            return Vec::new();
        }
        self.phase = Phase::Gathering;
        vec![Action::Gather(self.settings.gather)]
    }

    /// Opens the next height if the pool has anything for it. A height is never opened without a block to propose, so a ledger
    /// that nobody writes to is silent.
    fn open_height(&mut self, ledger: &Ledger, now_ms: u64) -> Result<Vec<Action>, EngineStopped> {
        if self.phase == Phase::Deciding {
            return Ok(Vec::new());
        }
        self.phase = Phase::Silent;
        let mut actions = Vec::new();
        while !self.pool.is_empty() {
            let refused = self.build(ledger, now_ms);
            let none_refused = refused.is_empty();
            actions.extend(refused);
            if self.candidate.is_some() {
                self.phase = Phase::Deciding;
                let height = ledger.height().saturating_add(1);
                let outputs = self.engine.start(height, ledger.validators())?;
                actions.extend(self.carry_out(ledger, outputs)?);
                break;
            }
            if none_refused {
                // Genesis cannot ask for blocks that the longest entry does not fit.
                let why = "no block can be made of the waiting entries, and none is refused";
                return Err(EngineStopped(why.into()));
            }
        }
        Ok(actions)
    }

    /// Builds a block from the first waiting entries, and drops those that are refused.
    fn build(&mut self, ledger: &Ledger, now_ms: u64) -> Vec<Action> {
        let limits = ledger.genesis().limits();
        let size = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        let (tickets, entries) =
            self.pool.first(size(limits.block_entries), size(limits.block_bytes));
        let proposal = ledger.propose(self.id, now_ms, &entries);
        let ticket = |number: &usize| tickets.get(*number).copied();
        if let Some(executed) = proposal.block {
            let bytes = |number: &usize| entries.get(*number).map(|entry| entry.bytes().clone());
            let body = Body {
                header: executed.header.clone(),
                entries: proposal.included.iter().filter_map(bytes).collect(),
            };
            let tickets = proposal.included.iter().filter_map(ticket).collect();
            let hash = executed.header.hash();
            self.candidate = Some(Candidate { hash, body, executed, tickets });
        }
        let refused: Vec<(u64, Refusal)> = proposal
            .refused
            .into_iter()
            .filter_map(|(number, refusal)| Some((ticket(&number)?, refusal)))
            .collect();
        let drop = |(ticket, refusal)| {
            let entry = self.pool.remove(ticket)?;
            Some(Action::Refused(entry.id(), refusal))
        };
        refused.into_iter().filter_map(drop).collect()
    }

    /// Turns what the engine wants into actions, and answers what only the replica can.
    fn carry_out(
        &mut self,
        ledger: &Ledger,
        outputs: Vec<Output>,
    ) -> Result<Vec<Action>, EngineStopped> {
        let height = ledger.height().saturating_add(1);
        let mut actions = Vec::new();
        for output in outputs {
            match output {
                Output::Log(input) => actions.push(log(&LogRecord::Input { height, input })),
                Output::Flush => actions.push(Action::FlushLog),
                Output::SetTimer(timer, after) => actions.push(Action::SetTimer(timer, after)),
                Output::CancelTimer(timer) => actions.push(Action::CancelTimer(timer)),
                Output::CancelTimers => actions.push(Action::CancelTimers),
                Output::GetValue { height, round } => {
                    let Some(candidate) = &self.candidate else { continue };
                    let hash = candidate.hash;
                    // The body first: the engine's records hold only its hash.
                    let body = candidate.body.encode();
                    actions.push(log(&LogRecord::Body { height, body }));
                    let outputs = self.engine.propose(height, round, hash)?;
                    actions.extend(self.carry_out(ledger, outputs)?);
                }
                Output::Decided(certificate) => {
                    let candidate = self.candidate.take().filter(|c| c.hash == certificate.block);
                    let missing =
                        || EngineStopped(format!("no body for block {}", certificate.block));
                    let Candidate { body, executed, tickets, .. } =
                        candidate.ok_or_else(missing)?;
                    for ticket in tickets {
                        self.pool.remove(ticket);
                    }
                    let block = Block { body, certificate };
                    actions.push(Action::CancelTimers);
                    actions.push(Action::Commit(Box::new(Decided { block, executed })));
                }
            }
        }
        Ok(actions)
    }

    /// Goes through an interrupted height again. Records of other heights are left-overs. Without a message that this validator
    /// signed nothing has left it, and the records are left-overs too.
    fn recover(&mut self, ledger: &Ledger, log: &[Vec<u8>]) -> Result<Vec<Action>, StartError> {
        let height = ledger.height().saturating_add(1);
        let unreadable = || EngineStopped("the consensus log holds an unreadable record".into());
        let own =
            |input: &LogInput| matches!(input, LogInput::Vote { .. } | LogInput::Proposal { .. });
        let records: Vec<LogRecord> = log
            .iter()
            .map(|bytes| LogRecord::decode(bytes).ok_or_else(unreadable))
            .collect::<Result<_, _>>()?;
        let (stored, logged) = (ledger.height(), records.iter().map(LogRecord::durable).max());
        if let Some(logged) = logged.filter(|logged| *logged > stored) {
            return Err(StartError::BlocksLost { stored, logged });
        }
        let mut last_body = None;
        let mut inputs: Vec<LogInput> = Vec::new();
        for record in records {
            match record {
                record if record.height() != height => {}
                LogRecord::Body { body, .. } => {
                    // An earlier body that was never signed for is a left-over as well.
                    if !inputs.iter().any(own) {
                        inputs.clear();
                    }
                    last_body = Some(body);
                }
                LogRecord::Input { input, .. } => inputs.push(input),
                LogRecord::Done { .. } => {}
            }
        }
        if !inputs.iter().any(own) {
            return Ok(Vec::new());
        }
        let body = last_body.ok_or_else(|| StartError::Body("its body is missing".into()))?;
        self.candidate = Some(read_body(ledger, body)?);
        self.phase = Phase::Deciding;
        let outputs = self.engine.resume(height, ledger.validators(), inputs)?;
        // The engine asks for a value before it is told again which one it had; it needs no second one.
        let again = |output: &Output| !matches!(output, Output::GetValue { .. });
        Ok(self.carry_out(ledger, outputs.into_iter().filter(again).collect())?)
    }
}

/// The record that stands for a log emptied after a height was made durable: a store that has lost blocks is noticed by it.
pub fn done(height: u64) -> Vec<u8> {
    LogRecord::Done { height }.encode()
}

fn log(record: &LogRecord) -> Action {
    Action::Log(record.encode())
}

/// A body from the log: it was this validator's own and checksummed, and is verified like anybody else's.
fn read_body(ledger: &Ledger, bytes: Vec<u8>) -> Result<Candidate, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Body(error.to_string());
    let body = Body::decode(Bytes::from(bytes)).map_err(|error| failed(&error))?;
    let first = ledger.tree_size().saturating_add(u64::from(ledger.height() > 0));
    let entries =
        decode_entries(body.header.height, first, &body.entries).map_err(|e| failed(&e))?;
    let mut batch = EntryBatch::new();
    for (number, entry) in entries.iter().enumerate() {
        batch.push(number, entry, |kid| ledger.public_key(kid));
    }
    if let Some((_, refuted)) = batch.verify().into_iter().next() {
        return Err(failed(&refuted));
    }
    let executed = ledger.check(&body, &entries).map_err(|error| failed(&error))?;
    let hash = body.header.hash();
    Ok(Candidate { hash, body, executed, tickets: Vec::new() })
}
