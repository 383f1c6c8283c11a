//! Entries that wait for their signatures to be checked, by the connection over which they came.
//!
//! Connections are served in turn, some entries each; one that has sent bad signatures comes after all others, in small portions.
//! Who floods the node waits behind its own flood, and what has bad signatures takes a part of the room at most.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::{Entry, leaf_hash};

use crate::problem::Problem;

/// Entries of one batch at most: larger ones gain little.
const BATCH_ENTRIES: usize = 1_024;
/// Entries of one connection in a batch, while others wait.
const SHARE_ENTRIES: usize = 256;
/// Entries of a batch from a connection that has sent bad signatures: what others wait for at most.
const DOUBTFUL_ENTRIES: usize = 64;
/// Most bytes of entries that wait, and of those that are being checked.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Most bytes of them that one connection may have waiting.
const MAX_BYTES_OF_ONE: usize = MAX_BYTES / 4;
/// Most bytes that all connections together may have waiting that have sent bad signatures: the rest is for others.
const MAX_BYTES_OF_DOUBTFUL: usize = MAX_BYTES / 4;
/// Connections whose bad signatures are remembered.
const REMEMBERED: usize = 4_096;
/// How long after a batch the next one is left to fill. What comes after a quiet time does not wait.
const PAUSE: Duration = Duration::from_millis(1);
/// No entry is shorter: the ledger's id, a key's and a signature alone are as long.
const SHORTEST: usize = 128;
/// How often a waiting thread looks whether the node is stopping.
const POLL: Duration = Duration::from_millis(200);
/// How long a client is asked to wait when the intake is full.
const RETRY: Duration = Duration::from_millis(100);

/// Who sent an entry: each waits behind its own flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A client, by its connection; without an address all share one queue.
    Client(Option<SocketAddr>),
    /// Another node of the ledger, which passes on what its clients sent.
    Peer(KeyId),
}

/// An entry on its way into the pool.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) sent: Sent,
    /// Whether a node passed it on that judges nothing itself, and wants to hear if it is refused.
    pub(crate) asked: bool,
}

/// What a client sent is answered at once if it is no entry; what a node passed on is looked at when its turn comes.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    Decoded(Box<Entry>),
    Undecoded(Bytes),
}

/// Submissions that are checked together.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Its turn to be handed on.
    ticket: u64,
    /// What was sent, with who sent it.
    pub(crate) submissions: Vec<(Source, Submission)>,
}

/// What waits to be checked, and whose turn it is to hand on what was: threads check side by side, and entries reach the pool in the
/// order in which they were taken, so that a connection may build on what it sent before.
#[derive(Debug, Default)]
pub struct Intake {
    queues: Mutex<Queues>,
    arrived: Condvar,
    turn: Mutex<u64>,
    turned: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    waiting: BTreeMap<Source, Waiting>,
    /// Connections with something waiting, in the order of their turns.
    turns: VecDeque<Source>,
    /// The same, of those that have sent bad signatures.
    last: VecDeque<Source>,
    doubtful: BTreeSet<Source>,
    order: VecDeque<Source>,
    bytes: usize,
    /// Batches taken so far: the ticket of the next.
    taken: u64,
    /// When the last one was taken.
    taken_at: Option<Instant>,
    /// A thread lets the next batch fill, and will take it: no other need be woken for what comes.
    filling: bool,
    closed: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    submissions: VecDeque<Submission>,
    bytes: usize,
}

impl Submission {
    pub(crate) const fn of_client(entry: Box<Entry>) -> Self {
        Self { sent: Sent::Decoded(entry), asked: false }
    }

    /// `None` for what is too short to be an entry: what waits is bounded by its bytes.
    pub(crate) fn passed_on(bytes: Vec<u8>, asked: bool) -> Option<Self> {
        let sent = Sent::Undecoded(Bytes::from(bytes));
        Some(Self { sent, asked }).filter(|submission| submission.bytes().len() >= SHORTEST)
    }

    fn bytes(&self) -> &Bytes {
        match &self.sent {
            Sent::Decoded(entry) => entry.bytes(),
            Sent::Undecoded(bytes) => bytes,
        }
    }

    pub(crate) fn id(&self) -> EntryId {
        match &self.sent {
            Sent::Decoded(entry) => entry.id(),
            Sent::Undecoded(bytes) => EntryId(leaf_hash(bytes)),
        }
    }
}

impl Intake {
    /// Puts the submissions of one call behind those of its connection. Never waits: beyond the bounds they are turned away.
    ///
    /// # Errors
    /// `API_POOL_FULL`, or `API_STOPPING`.
    pub(crate) fn put(&self, source: Source, submissions: Vec<Submission>) -> Result<(), Problem> {
        if submissions.is_empty() {
            return Ok(());
        }
        let bytes = bytes_of(submissions.iter());
        let mut queues = lock(&self.queues);
        queues.room(source, bytes)?;
        queues.bytes += bytes;
        queues.add(source, submissions, bytes);
        if !queues.filling {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Why entries of connections that have sent bad signatures wait no more.
    pub(crate) fn dropped() -> Problem {
        Problem::pool_full("connections that sent bad signatures have enough to be checked")
            .retry(RETRY)
    }

    /// The next batch; `None` when nothing has come for a while.
    pub(crate) fn take(&self) -> Option<Batch> {
        let queues = lock(&self.queues);
        let idle = |queues: &mut Queues| queues.waiting.is_empty() || queues.filling;
        let waiting = self.arrived.wait_timeout_while(queues, POLL, idle);
        let (mut queues, waited) = waiting.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        let since = queues.taken_at.map_or(Duration::MAX, |at| at.elapsed());
        if let Some(left) = PAUSE.checked_sub(since) {
            queues = self.fill(queues, left);
        }
        queues.taken_at = Some(Instant::now());
        let batch = queues.batch()?;
        if !queues.waiting.is_empty() {
            self.arrived.notify_one();
        }
        Some(batch)
    }

    /// Leaves the next batch to fill: one of many costs less than many of one, here and at all whom its entries are passed on to.
    fn fill<'a>(
        &'a self,
        mut queues: MutexGuard<'a, Queues>,
        left: Duration,
    ) -> MutexGuard<'a, Queues> {
        queues.filling = true;
        drop(queues);
        std::thread::sleep(left);
        let mut queues = lock(&self.queues);
        queues.filling = false;
        queues
    }

    /// Does something when all batches before have had their turn.
    pub(crate) fn in_turn<T>(&self, batch: &Turn, act: impl FnOnce() -> T) -> T {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.turned.wait_while(turn, |turn| *turn != batch.ticket);
        let mut turn = waiting.unwrap_or_else(PoisonError::into_inner);
        let done = act();
        *turn += 1;
        self.turned.notify_all();
        done
    }

    /// A batch has been checked; these connections sent what has bad signatures. Gives what waits of them no more, since others need the
    /// room.
    pub(crate) fn checked(
        &self,
        batch: &Turn,
        bad: impl IntoIterator<Item = Source>,
    ) -> Vec<Submission> {
        let mut queues = lock(&self.queues);
        queues.bytes = queues.bytes.saturating_sub(batch.bytes);
        bad.into_iter().flat_map(|source| queues.doubt(source)).collect()
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        lock(&self.queues).closed = true;
    }
}

/// The turn of a batch, and what it holds of the bounds until it has been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    ticket: u64,
    bytes: usize,
}

impl Batch {
    pub(crate) fn turn(&self) -> Turn {
        Turn {
            ticket: self.ticket,
            bytes: bytes_of(self.submissions.iter().map(|(_, submission)| submission)),
        }
    }
}

impl Queues {
    fn room(&self, source: Source, bytes: usize) -> Result<(), Problem> {
        if self.closed {
            return Err(Problem::stopping("no intake"));
        }
        let own = self.waiting.get(&source).map_or(0, |waiting| waiting.bytes);
        let full = |what: &str| Err(Problem::pool_full(what).retry(RETRY));
        if own.saturating_add(bytes) > MAX_BYTES_OF_ONE {
            return full("what this connection has sent is still to be checked");
        }
        if self.bytes.saturating_add(bytes) > MAX_BYTES {
            return full("the intake is full");
        }
        let of_doubtful = self.bytes_of_doubtful().saturating_add(bytes);
        if self.doubtful.contains(&source) && of_doubtful > MAX_BYTES_OF_DOUBTFUL {
            return Err(Intake::dropped());
        }
        Ok(())
    }

    fn add(&mut self, source: Source, submissions: Vec<Submission>, bytes: usize) {
        if !self.waiting.contains_key(&source) {
            let doubtful = self.doubtful.contains(&source);
            if doubtful { &mut self.last } else { &mut self.turns }.push_back(source);
        }
        let waiting = self.waiting.entry(source).or_default();
        waiting.submissions.extend(submissions);
        waiting.bytes += bytes;
    }

    /// Some submissions of each connection in turn; those of doubtful ones alone, when no other waits.
    fn batch(&mut self) -> Option<Batch> {
        let doubtful = self.turns.is_empty();
        let (turns, most) = if doubtful {
            (&mut self.last, DOUBTFUL_ENTRIES)
        } else {
            (&mut self.turns, BATCH_ENTRIES)
        };
        let mut submissions = Vec::new();
        while submissions.len() < most {
            let Some(source) = turns.pop_front() else { break };
            let Some(waiting) = self.waiting.get_mut(&source) else { continue };
            let share = SHARE_ENTRIES.min(most - submissions.len());
            let share = share.min(waiting.submissions.len());
            for submission in waiting.submissions.drain(..share) {
                waiting.bytes = waiting.bytes.saturating_sub(submission.bytes().len());
                submissions.push((source, submission));
            }
            if waiting.submissions.is_empty() {
                self.waiting.remove(&source);
            } else {
                turns.push_back(source);
            }
        }
        if submissions.is_empty() {
            return None;
        }
        let ticket = self.taken;
        self.taken += 1;
        Some(Batch { ticket, submissions })
    }

    /// From now on a connection comes last. Gives what it sent beyond what such connections may have waiting, its latest.
    fn doubt(&mut self, source: Source) -> Vec<Submission> {
        if !self.doubtful.insert(source) {
            return Vec::new();
        }
        self.order.push_back(source);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.doubtful.remove(&oldest);
        }
        if let Some(place) = self.turns.iter().position(|waiting| *waiting == source) {
            self.turns.remove(place);
            self.last.push_back(source);
        }
        self.drop_surplus(source)
    }

    fn drop_surplus(&mut self, source: Source) -> Vec<Submission> {
        let mut dropped = Vec::new();
        let mut surplus = self.bytes_of_doubtful().saturating_sub(MAX_BYTES_OF_DOUBTFUL);
        let Some(waiting) = self.waiting.get_mut(&source) else { return dropped };
        while surplus > 0
            && let Some(last) = waiting.submissions.pop_back()
        {
            let bytes = last.bytes().len();
            waiting.bytes = waiting.bytes.saturating_sub(bytes);
            self.bytes = self.bytes.saturating_sub(bytes);
            surplus = surplus.saturating_sub(bytes);
            dropped.push(last);
        }
        if waiting.submissions.is_empty() {
            self.waiting.remove(&source);
            self.last.retain(|waiting| *waiting != source);
        }
        dropped
    }

    fn bytes_of_doubtful(&self) -> usize {
        let waiting = self.last.iter().filter_map(|source| self.waiting.get(source));
        waiting.map(|waiting| waiting.bytes).sum()
    }
}

fn bytes_of<'a>(submissions: impl Iterator<Item = &'a Submission>) -> usize {
    submissions.map(|submission| submission.bytes().len()).sum()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use ledger_event::AssetDescribed;
    use ledger_story::{Story, acts};

    use super::*;

    #[test]
    fn a_batch_is_left_to_fill_for_a_moment_after_the_one_before() {
        let (story, intake) = (Story::opened(), Intake::default());
        let take = |name: &str| {
            let entry = Box::new(story.seal(&acts::asset_described(name)));
            intake.put(Source::Client(None), vec![Submission::of_client(entry)]).unwrap();
            assert_eq!(intake.take().unwrap().submissions.len(), 1);
            lock(&intake.queues).taken_at.unwrap()
        };
        let (first, second) = (take("rain"), take("sun"));
        assert!(second.duration_since(first) >= PAUSE);
        assert!(!lock(&intake.queues).filling);
    }

    #[test]
    fn connections_that_sent_bad_signatures_leave_most_of_the_room_to_others() {
        let (story, intake) = (Story::opened(), Intake::default());
        let long = acts::asset_described("rain").with(|event: &mut AssetDescribed| {
            event.description.as_mut().unwrap().summary = "x".repeat(7_000);
        });
        let entry = Box::new(story.seal(&long));
        let count = MAX_BYTES_OF_ONE / entry.bytes().len();
        let submission = |_| Submission::of_client(entry.clone());
        let entries = || (0..count).map(submission).collect::<Vec<_>>();
        let source = |number: u16| Source::Client(Some(SocketAddr::from(([10, 0, 0, 1], number))));
        let bad: Vec<Source> = (0..4).map(source).collect();
        for source in &bad {
            intake.put(*source, entries()).unwrap();
        }
        let full = |source| intake.put(source, entries()).unwrap_err().code;
        assert_eq!(full(source(4)), "API_POOL_FULL");
        let batch = intake.take().unwrap();
        let dropped = intake.checked(&batch.turn(), bad.clone());
        // A quarter of all that may wait is theirs, and nothing is lost of which nobody is told.
        assert_eq!(dropped.len() + batch.submissions.len(), 3 * count);
        for source in &bad {
            assert_eq!(full(*source), "API_POOL_FULL");
        }
        (4..7).for_each(|number| intake.put(source(number), entries()).unwrap());
        assert_eq!(full(source(7)), "API_POOL_FULL");
        // They come last, and all of it comes.
        let mut order = Vec::new();
        while let Some(batch) = intake.take() {
            order.extend(batch.submissions.into_iter().map(|(source, _)| source));
        }
        let (others, last) = order.split_at(3 * count);
        assert!(!others.iter().any(|source| bad.contains(source)));
        assert_eq!(last.len(), count);
        assert!(last.iter().all(|source| bad.contains(source)));
    }
}
