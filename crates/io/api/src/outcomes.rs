//! Who waits for what became of an entry.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger_format::digest::EntryId;
use tokio::sync::Notify;

use crate::problem::Problem;

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
    /// It is in a durable, certified block.
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

/// Entries that somebody waits for together: one call, one notification.
#[derive(Debug)]
pub struct Group {
    outcomes: Mutex<Vec<Option<Outcome>>>,
    open: AtomicUsize,
    done: Notify,
    /// Whether [`Outcome::Waiting`] is all that is asked for.
    until_accepted: bool,
}

impl Group {
    /// A group of so many entries, all of them open.
    pub fn new(size: usize, until_accepted: bool) -> Arc<Self> {
        let outcomes = Mutex::new(vec![None; size]);
        let (open, done) = (AtomicUsize::new(size), Notify::new());
        Arc::new(Self { outcomes, open, done, until_accepted })
    }

    /// Settles one of them. The first outcome stands.
    pub fn settle(&self, index: usize, outcome: Outcome) {
        if let Some(slot) = lock(&self.outcomes).get_mut(index) {
            if slot.is_some() {
                return;
            }
            *slot = Some(outcome);
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

    /// The outcomes so far.
    pub fn outcomes(&self) -> Vec<Option<Outcome>> {
        lock(&self.outcomes).clone()
    }
}

#[derive(Debug, Default)]
struct Board {
    waiting: HashMap<EntryId, Vec<(Arc<Group>, usize)>>,
    refused: HashMap<EntryId, RefusedAt>,
    order: VecDeque<EntryId>,
}

/// The board on which outcomes are announced.
#[derive(Debug, Default)]
pub struct Outcomes(Mutex<Board>);

impl Outcomes {
    /// Registers an interest in entries, before they are handed on. Gives those that nobody waits for yet: the others are under way,
    /// and one outcome will settle all who wait.
    pub fn expect(
        &self,
        entries: impl IntoIterator<Item = (EntryId, usize)>,
        group: &Arc<Group>,
    ) -> BTreeSet<EntryId> {
        let mut board = lock(&self.0);
        let mut new = BTreeSet::new();
        for (id, index) in entries {
            let waiting = board.waiting.entry(id).or_insert_with(|| {
                new.insert(id);
                Vec::new()
            });
            waiting.push((Arc::clone(group), index));
        }
        new
    }

    /// Joins those who wait for an entry. `false` when nobody does: the entry is not under way.
    pub fn join(&self, id: EntryId, group: &Arc<Group>, index: usize) -> bool {
        let mut board = lock(&self.0);
        board.waiting.get_mut(&id).is_some_and(|waiting| {
            waiting.push((Arc::clone(group), index));
            true
        })
    }

    /// Announces that entries are in the pool, to those who asked for no more.
    pub fn accepted(&self, ids: impl IntoIterator<Item = EntryId>) {
        let mut board = lock(&self.0);
        for id in ids {
            let Some(waiting) = board.waiting.get_mut(&id) else { continue };
            for (group, index) in waiting.extract_if(.., |(group, _)| group.until_accepted) {
                group.settle(index, Outcome::Waiting);
            }
        }
    }

    /// Announces outcomes that are final.
    pub fn announce(&self, outcomes: impl IntoIterator<Item = (EntryId, Outcome)>) {
        let mut board = lock(&self.0);
        for (id, outcome) in outcomes {
            if let Outcome::Refused(refused) = &outcome {
                board.remember(id, refused.clone());
            }
            for (group, index) in board.waiting.remove(&id).into_iter().flatten() {
                group.settle(index, outcome.clone());
            }
        }
    }

    /// A refusal of the recent past.
    pub fn refusal(&self, id: &EntryId) -> Option<RefusedAt> {
        lock(&self.0).refused.get(id).cloned()
    }

    /// Entries that somebody waits for.
    pub fn waiting(&self) -> usize {
        lock(&self.0).waiting.len()
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
