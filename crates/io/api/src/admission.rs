//! Admission: signatures are checked in batches before an entry may wait for a block.
//!
//! All calls, unary and streams, feed one queue; a few threads take what is there, check it together and hand it to the replica.
//! Under load batches grow by themselves.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use ledger_format::digest::KeyId;
use ledger_format::entry::Entry;
use ledger_rules::{Code, Refusal};
use ledger_verify::entry::EntryBatch;

use crate::outcomes::Outcome;
use crate::problem::Problem;
use crate::shared::{Shared, Submission, bytes_of};

/// Entries of one batch at most: larger ones gain little.
const BATCH_ENTRIES: usize = 1_024;
/// How often a waiting thread looks whether the node is stopping.
const POLL: Duration = Duration::from_millis(200);

/// What waits to be checked, and whose turn it is to hand on what was: threads check side by side, and entries reach the pool in the
/// order in which they came, so that a stream may build on what it sent before.
#[derive(Debug)]
pub struct Intake {
    queue: Mutex<Queue>,
    turn: Mutex<u64>,
    turned: Condvar,
}

#[derive(Debug)]
struct Queue {
    submissions: Receiver<Vec<Submission>>,
    /// Batches taken so far: the ticket of the next.
    taken: u64,
}

impl Intake {
    /// An intake fed by a queue.
    pub fn new(submissions: Receiver<Vec<Submission>>) -> Self {
        let queue = Mutex::new(Queue { submissions, taken: 0 });
        Self { queue, turn: Mutex::new(0), turned: Condvar::new() }
    }

    /// The next batch, with the ticket for its turn.
    fn take(&self) -> Result<(u64, Vec<Submission>), RecvTimeoutError> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = gather(&queue.submissions)?;
        let ticket = queue.taken;
        queue.taken += 1;
        Ok((ticket, batch))
    }

    /// Does something when all batches before have had their turn.
    fn in_turn<T>(&self, ticket: u64, act: impl FnOnce() -> T) -> T {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.turned.wait_while(turn, |turn| *turn != ticket);
        let mut turn = waiting.unwrap_or_else(PoisonError::into_inner);
        let done = act();
        *turn += 1;
        self.turned.notify_all();
        done
    }
}

/// Checks submissions until their queue closes. Several threads may run this on one intake.
///
/// `forward` takes checked entries to the replica; when it is closed the thread ends.
pub fn run(
    shared: &Arc<Shared>,
    intake: &Intake,
    forward: &SyncSender<Checked>,
    stopping: &dyn Fn() -> bool,
) {
    loop {
        let (ticket, batch) = match intake.take() {
            Ok(taken) => taken,
            Err(RecvTimeoutError::Timeout) if stopping() => return,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let bytes = bytes_of(&batch);
        let checked = check(shared, batch);
        shared.taken_from_intake(bytes);
        let forwarded =
            intake.in_turn(ticket, || checked.is_empty() || forward.send(checked).is_ok());
        if !forwarded {
            return;
        }
    }
}

fn gather(queue: &Receiver<Vec<Submission>>) -> Result<Vec<Submission>, RecvTimeoutError> {
    let mut batch = queue.recv_timeout(POLL)?;
    while batch.len() < BATCH_ENTRIES {
        match queue.try_recv() {
            Ok(more) => batch.extend(more),
            Err(_) => break,
        }
    }
    Ok(batch)
}

/// Entries that may enter the pool. Boxed: they are moved several times, and are large.
pub type Checked = Vec<Box<Entry>>;

/// Checks the signatures of a batch; whoever waits for a bad one is told.
fn check(shared: &Shared, batch: Vec<Submission>) -> Checked {
    let keys = public_keys(shared, &batch);
    let mut signatures = EntryBatch::new();
    let mut refused: BTreeMap<usize, Problem> = BTreeMap::new();
    for (number, submission) in batch.iter().enumerate() {
        signatures.push(number, &submission.entry, |kid| keys.get(kid).copied().flatten());
    }
    for (number, refuted) in signatures.verify() {
        let unknown = batch.get(number).and_then(|submission| unknown_key(submission, &keys));
        refused.insert(number, unknown.unwrap_or_else(|| refuted.into()));
    }
    let mut good = Vec::with_capacity(batch.len());
    let mut bad = Vec::new();
    for (number, submission) in batch.into_iter().enumerate() {
        match refused.remove(&number) {
            None => good.push(submission.entry),
            Some(problem) => {
                bad.push((submission.entry.id(), Outcome::refused(problem)));
            }
        }
    }
    shared.outcomes.announce(bad);
    good
}

fn public_keys(shared: &Shared, batch: &[Submission]) -> BTreeMap<KeyId, Option<[u8; 32]>> {
    let ledger = shared.ledger();
    let mut keys = BTreeMap::new();
    for kid in batch.iter().flat_map(|submission| submission.entry.kids()) {
        keys.entry(kid).or_insert_with(|| ledger.public_key(&kid));
    }
    keys
}

/// A key that nobody has enrolled is another cause than a bad signature, with another remedy.
fn unknown_key(
    submission: &Submission,
    keys: &BTreeMap<KeyId, Option<[u8; 32]>>,
) -> Option<Problem> {
    let enrolled = ledger_verify::entry::enrolled_keys(&submission.entry);
    let new = |kid: &KeyId| {
        enrolled
            .iter()
            .filter_map(|key| key.public_key.as_ref().try_into().ok())
            .any(|key| KeyId::of(&key) == *kid)
    };
    let unknown = submission
        .entry
        .kids()
        .find(|kid| keys.get(kid).is_none_or(Option::is_none) && !new(kid))?;
    Some(Refusal::new(Code::KeyUnknown, format!("key {unknown}")).into())
}
