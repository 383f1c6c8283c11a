//! What a restart finds in the consensus log.

use bytes::Bytes;
use ledger_format::digest::KeyId;
use ledger_format::entry::Entry;
use ledger_replay::Ledger;

use crate::bodies::Candidate;
use crate::engine::EngineStopped;
use crate::examine::examine;
use crate::log_record::{LogInput, LogRecord};
use crate::planted::{self, Bug};

/// Why a replica cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
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

/// An interrupted height: nothing when the log has no record of it that matters.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Bodies, each with its entries.
    pub(crate) candidates: Vec<(Candidate, Vec<Entry>)>,
    pub(crate) inputs: Vec<LogInput>,
    /// Up to which height an operator has vouched, whatever height is interrupted.
    pub(crate) vouched: u64,
}

/// Reads the records of the next height; those of other heights are left-overs. Everything that the engine was told counts, signed or
/// not: what follows in the log was concluded from it, and every later start must conclude the same.
pub(crate) fn recover(
    ledger: &Ledger,
    own: &KeyId,
    log: &[Vec<u8>],
) -> Result<Recovered, StartError> {
    let unreadable = || EngineStopped("the consensus log holds an unreadable record".into());
    let records: Vec<LogRecord<'_>> = log
        .iter()
        .map(|bytes| LogRecord::decode(bytes).ok_or_else(unreadable))
        .collect::<Result<_, _>>()?;
    let (stored, logged) = (ledger.height(), records.iter().map(LogRecord::durable).max());
    if let Some(logged) = logged.filter(|logged| *logged > stored) {
        return Err(StartError::BlocksLost { stored, logged });
    }
    let vouches = records.iter().filter_map(|record| match record {
        LogRecord::Vouched { height } => Some(*height),
        _ => None,
    });
    let vouched = vouches.max().unwrap_or_default();
    let next = ledger.height().saturating_add(1);
    let (mut bodies, mut inputs) = (Vec::new(), Vec::new());
    for record in records.into_iter().filter(|record| record.height() == next) {
        match record {
            LogRecord::Body { body, .. } => bodies.push(body.into_owned()),
            LogRecord::Input { input, .. } if is_forgotten(&input, own) => {}
            LogRecord::Input { input, .. } => inputs.push(input),
            LogRecord::Done { .. } | LogRecord::Vouched { .. } => {}
        }
    }
    if inputs.is_empty() || planted::is(Bug::VotesForgotten) {
        // A body that was never told of.
        return Ok(Recovered { vouched, ..Recovered::default() });
    }
    let candidates = bodies.into_iter().map(|body| candidate(ledger, body));
    let candidates: Vec<(Candidate, Vec<Entry>)> = candidates.collect::<Result<_, _>>()?;
    let named = |input: &LogInput| match input {
        LogInput::Value { value, valid: true, .. } => Some(*value),
        _ => None,
    };
    for value in inputs.iter().filter_map(named) {
        if !candidates.iter().any(|(candidate, _)| candidate.hash.0 == value) {
            return Err(StartError::Body("its body is missing".into()));
        }
    }
    Ok(Recovered { candidates, inputs, vouched })
}

/// Whether a bug keeps what others prevoted from being read.
fn is_forgotten(input: &LogInput, own: &KeyId) -> bool {
    let is_others = match input {
        LogInput::Polka(_) => true,
        LogInput::Vote(vote) => !vote.precommit && vote.validator != own.0,
        _ => false,
    };
    is_others && planted::is(Bug::LockForgotten)
}

/// A body from the log was executed before it was logged, and is verified like anybody else's all the same.
fn candidate(ledger: &Ledger, bytes: Vec<u8>) -> Result<(Candidate, Vec<Entry>), StartError> {
    let (body, executed, entries) = examine(ledger, Bytes::from(bytes), |_| None)
        .map_err(|refuted| StartError::Body(refuted.to_string()))?;
    Ok((Candidate { hash: body.header.hash(), body, executed }, entries))
}
