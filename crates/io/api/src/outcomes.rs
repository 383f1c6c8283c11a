//! Who waits for what became of an entry.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ledger_format::digest::EntryId;
use tokio::sync::Notify;

use crate::problem::Problem;
use crate::replication::Replication;

/// Refusals that are remembered after they were answered, for whoever asks with WaitFor.
const REMEMBERED: usize = 16_384;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Height of its block.
    pub height: u64,
    /// Its leaf index.
    pub leaf_index: u64,
    /// Header time of the block.
    pub time_ms: u64,
}

/// A refusal and the height at which it was judged; zero: before any block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAt {
    /// Why.
    pub problem: Problem,
    /// Where.
    pub height: u64,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in a certified block, which a quorum has on disk.
    Placed(Position),
    /// It waits in the pool. Settles only those who asked for no more.
    Waiting,
    /// It was refused.
    Refused(RefusedAt),
}

impl Outcome {
    /// A refusal before any block.
    pub fn refused(problem: Problem) -> Self {
        Self::Refused(RefusedAt { problem, height: 0 })
    }
}

/// How far an entry must have come before its caller is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It waits in the pool.
    Accepted,
    /// Its block is certified and its body durable on this node, and so many validators have reported it durable with them.
    Durable {
        /// Validators; zero: the certificate is enough.
        replicas: u32,
    },
}

impl Level {
    /// What a certificate and this node's disk show.
    pub const CERTIFIED: Self = Self::Durable { replicas: 0 };
}

/// What is known of one entry, and whether that is what was asked for.
#[derive(Clone, Debug, Default)]
struct Slot {
    outcome: Option<Outcome>,
    settled: bool,
}

/// Entries that somebody waits for together: one call, one notification.
#[derive(Debug)]
pub struct Group {
    slots: Mutex<Vec<Slot>>,
    open: AtomicUsize,
    done: Notify,
    pub(crate) level: Level,
}

impl Group {
    /// A group of so many entries, all of them open.
    pub fn new(size: usize, level: Level) -> Arc<Self> {
        let slots = Mutex::new(vec![Slot::default(); size]);
        let (open, done) = (AtomicUsize::new(size), Notify::new());
        Arc::new(Self { slots, open, done, level })
    }

    /// Notes what one of them has reached, while more is asked for.
    pub(crate) fn note(&self, index: usize, outcome: Outcome) {
        if let Some(slot) = lock(&self.slots).get_mut(index).filter(|slot| !slot.settled) {
            slot.outcome = Some(outcome);
        }
    }

    /// Settles one of them. The first outcome stands.
    pub fn settle(&self, index: usize, outcome: Outcome) {
        if let Some(slot) = lock(&self.slots).get_mut(index) {
            if slot.settled {
                return;
            }
            *slot = Slot { outcome: Some(outcome), settled: true };
        }
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_waiters();
        }
    }

    /// Waits until all are settled.
    pub async fn settled(&self) {
        loop {
            let notified = self.done.notified();
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    }

    /// What is known so far.
    pub fn outcomes(&self) -> Vec<Option<Outcome>> {
        lock(&self.slots).iter().map(|slot| slot.outcome.clone()).collect()
    }
}

#[derive(Debug, Default)]
struct Board {
    waiting: HashMap<EntryId, UnderWay>,
    refused: HashMap<EntryId, RefusedAt>,
    order: VecDeque<EntryId>,
}

/// An entry between its submission and its fate.
#[derive(Debug, Default)]
struct UnderWay {
    /// Whether it is in the pool.
    accepted: bool,
    /// Calls that are over are left out when the list would grow: an entry may be asked for again and again.
    groups: Vec<(Weak<Group>, usize)>,
}

impl UnderWay {
    fn add(&mut self, group: &Arc<Group>, index: usize) {
        if self.accepted && group.level == Level::Accepted {
            group.settle(index, Outcome::Waiting);
        } else {
            if self.groups.len() == self.groups.capacity() {
                self.groups.retain(|(group, _)| group.strong_count() > 0);
            }
            self.groups.push((Arc::downgrade(group), index));
        }
    }
}

/// The board on which outcomes are announced.
#[derive(Debug, Default)]
pub struct Outcomes {
    board: Mutex<Board>,
    /// How often entries were refused since the node started, by code.
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    /// How many validators have what is placed.
    pub replication: Replication,
}

impl Outcomes {
    /// Registers an interest in entries, before they are handed on. Gives those that nobody waits for yet: the others are under way,
    /// and one outcome will settle all who wait.
    pub fn expect(
        &self,
        entries: impl IntoIterator<Item = (EntryId, usize)>,
        group: &Arc<Group>,
    ) -> BTreeSet<EntryId> {
        let mut board = lock(&self.board);
        let mut new = BTreeSet::new();
        for (id, index) in entries {
            // It is judged anew: what was said of it before is not its outcome.
            board.refused.remove(&id);
            let waiting = board.waiting.entry(id).or_insert_with(|| {
                new.insert(id);
                UnderWay::default()
            });
            waiting.add(group, index);
        }
        new
    }

    /// Joins those who wait for an entry. `false` when nobody does: the entry is not under way.
    pub fn join(&self, id: EntryId, group: &Arc<Group>, index: usize) -> bool {
        let mut board = lock(&self.board);
        board.waiting.get_mut(&id).is_some_and(|waiting| {
            waiting.add(group, index);
            true
        })
    }

    /// Announces that entries are in the pool, to those who asked for no more.
    pub fn accepted(&self, ids: impl IntoIterator<Item = EntryId>) {
        let mut board = lock(&self.board);
        for id in ids {
            let Some(waiting) = board.waiting.get_mut(&id) else { continue };
            waiting.accepted = true;
            let until_then = |(group, _): &mut (Weak<Group>, usize)| {
                group.upgrade().is_none_or(|group| group.level == Level::Accepted)
            };
            for (group, index) in waiting.groups.extract_if(.., until_then) {
                if let Some(group) = group.upgrade() {
                    group.settle(index, Outcome::Waiting);
                }
            }
        }
    }

    /// Announces outcomes that are final.
    pub fn announce(&self, outcomes: impl IntoIterator<Item = (EntryId, Outcome)>) {
        let mut board = lock(&self.board);
        for (id, outcome) in outcomes {
            if let Outcome::Refused(refused) = &outcome {
                self.count(refused.problem.code);
                board.remember(id, refused.clone());
            }
            let waiting = board.waiting.remove(&id).unwrap_or_default();
            for (group, index) in waiting.groups {
                let Some(group) = group.upgrade() else { continue };
                match &outcome {
                    Outcome::Placed(position) => self.replication.place(&group, index, *position),
                    other => group.settle(index, other.clone()),
                }
            }
        }
    }

    /// Counts a refusal of an entry.
    pub(crate) fn count(&self, code: &'static str) {
        let mut refusals = lock(&self.refusals);
        let count = refusals.entry(code).or_default();
        *count = count.saturating_add(1);
    }

    /// How often entries were refused, by code.
    pub(crate) fn refusals(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.refusals).clone()
    }

    /// A refusal of the recent past.
    pub fn refusal(&self, id: &EntryId) -> Option<RefusedAt> {
        lock(&self.board).refused.get(id).cloned()
    }

    /// Whether an entry is in the pool.
    pub fn is_accepted(&self, id: &EntryId) -> bool {
        lock(&self.board).waiting.get(id).is_some_and(|waiting| waiting.accepted)
    }

    /// Entries that somebody waits for.
    pub fn waiting(&self) -> usize {
        lock(&self.board).waiting.len()
    }
}

impl Board {
    fn remember(&mut self, id: EntryId, refused: RefusedAt) {
        if self.refused.insert(id, refused).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.refused.remove(&oldest);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use ledger_format::malformed::{Kind, MAX_DETAIL_BYTES, Malformed};
    use ledger_rules::{Code, Refusal};
    use ledger_verify::finding::{Code as Found, Place, Refuted};

    use super::*;

    /// Sixteen thousand refusals are remembered: what each may take decides what all of them do.
    #[test]
    fn what_is_remembered_of_a_refusal_has_a_bound() {
        let sent = "\u{1}".repeat(60_000);
        let problems: [Problem; 3] = [
            Refusal::new(Code::SubjectUnknown, sent.as_str()).into(),
            Malformed::new(Kind::Identifier, "asset", sent.as_str()).into(),
            Refuted::new(Found::Signature, Place::default(), sent).into(),
        ];
        let outcomes = Outcomes::default();
        for (name, problem) in (0_u8..).zip(problems) {
            let id = EntryId([name; 32]);
            outcomes.announce([(id, Outcome::refused(problem))]);
            let message = outcomes.refusal(&id).unwrap().problem.message;
            assert!(message.len() < MAX_DETAIL_BYTES + 256, "{}", message.len());
            assert!(message.capacity() < 4 * MAX_DETAIL_BYTES, "{}", message.capacity());
        }
    }
}
