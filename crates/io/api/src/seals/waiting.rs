//! Which seals are here, who waits for others, and whose turn it is to be asked for them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ledger_format::digest::KeyId;
use ledger_format::validators::{Member, Validators};
use tokio::sync::Notify;

use super::{AskValidators, Refusals, RefusedPeer, Seal};

/// Seals that a node remembers, its own and others'.
const REMEMBERED: usize = 4_096;
/// Nodes that are asked one after another.
const ATTEMPTS: u32 = 4;
/// How long each of them may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long somebody else is not asked again for another node: less than that one waits before it comes back.
const PAUSE: Duration = Duration::from_millis(500);
/// For how long another node may wait for what is asked for it.
const FOR_OTHERS: Duration = PATIENCE.saturating_mul(ATTEMPTS);
/// Other nodes that are told of one height.
const ASKERS: usize = 8;
/// Heights that one other node has asked for and that have not come.
const HEIGHTS_OF_ONE: usize = 32;

/// Seals of this node and of validators, and who waits for one.
#[derive(Debug, Default)]
pub struct Seals {
    known: Mutex<Known>,
    arrived: Notify,
    /// Taken out when the node stops: it holds the network, which holds what all services share.
    asks: Mutex<Option<Arc<dyn AskValidators>>>,
}

#[derive(Debug, Default)]
struct Known {
    seals: BTreeMap<u64, (Member, Seal)>,
    order: VecDeque<u64>,
    /// Who waits for a height: what nobody waits for is not taken.
    waiting: BTreeMap<u64, Calls>,
}

/// The calls that wait for one height. They ask as one: who has many clients must not ask validators as often as all of them do.
#[derive(Debug, Default)]
struct Calls {
    /// Of this node's clients.
    count: usize,
    /// Other nodes, which are told.
    askers: BTreeSet<KeyId>,
    /// How often somebody was asked, and when for the last time.
    attempts: u32,
    asked_at: Option<Instant>,
}

/// An attempt to get a seal: its number, and who must not be asked, having asked.
type Attempt = (u32, BTreeSet<KeyId>);

impl Calls {
    /// Whether anybody still waits.
    fn wait(&self) -> bool {
        self.count > 0 || self.asked_within(FOR_OTHERS)
    }

    fn asked_within(&self, time: Duration) -> bool {
        self.asked_at.is_some_and(|at| at.elapsed() < time)
    }

    /// The attempt that is to be made now; none while the one before may still be answered.
    fn turn(&mut self, pause: Duration) -> Option<Attempt> {
        if self.asked_within(pause) {
            return None;
        }
        let attempt = self.attempts;
        self.attempts = attempt.wrapping_add(1);
        self.asked_at = Some(Instant::now());
        Some((attempt, self.askers.clone()))
    }
}

impl Known {
    /// Another node asks for a height: the attempt that is to be made for it, if it is one of not too many.
    fn turn_for(&mut self, asker: KeyId, height: u64) -> Option<Attempt> {
        self.waiting.retain(|_, calls| calls.wait());
        let of_asker = self.waiting.values().filter(|calls| calls.askers.contains(&asker));
        let has_place = of_asker.count() < HEIGHTS_OF_ONE;
        if !has_place && !self.waiting.get(&height)?.askers.contains(&asker) {
            return None;
        }
        let calls = self.waiting.entry(height).or_default();
        if calls.askers.len() < ASKERS {
            calls.askers.insert(asker);
        }
        calls.turn(PAUSE)
    }
}

/// One call that waits for a height.
struct Waiting<'a>(&'a Seals, u64);

impl<'a> Waiting<'a> {
    fn begin(seals: &'a Seals, height: u64) -> Self {
        let mut known = seals.lock();
        let calls = known.waiting.entry(height).or_default();
        if !calls.wait() {
            *calls = Calls::default();
        }
        calls.count += 1;
        drop(known);
        Self(seals, height)
    }

    /// The attempt that this call is to make. Whichever call comes first when one has failed makes the next: the one that asked before
    /// may be gone.
    fn turn(&self) -> Option<Attempt> {
        self.0.lock().waiting.get_mut(&self.1)?.turn(PATIENCE)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut known = self.0.lock();
        if let Some(calls) = known.waiting.get_mut(&self.1) {
            calls.count -= 1;
            if calls.count == 0 && calls.askers.is_empty() {
                known.waiting.remove(&self.1);
            }
        }
    }
}

impl Seals {
    /// Tells how validators are asked.
    pub fn ask_with(&self, asks: impl AskValidators + 'static) {
        *self.asks.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(asks));
    }

    /// Asks nobody any more.
    pub fn ask_nobody(&self) {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The nodes that are connected.
    pub(crate) fn connected(&self) -> Vec<KeyId> {
        self.asks().map(|asks| asks.connected()).unwrap_or_default()
    }

    /// The nodes that are not, since one of the two refuses the other.
    pub(crate) fn refused(&self) -> Vec<RefusedPeer> {
        self.asks().map(|asks| asks.refused()).unwrap_or_default()
    }

    /// How often nodes were refused, or refused this one, by code.
    pub(crate) fn refusals(&self) -> Vec<Refusals> {
        self.asks().map(|asks| asks.refusals()).unwrap_or_default()
    }

    fn asks(&self) -> Option<Arc<dyn AskValidators>> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn find(&self, height: u64) -> Option<(Member, Seal)> {
        self.lock().seals.get(&height).cloned()
    }

    pub(super) fn is_wanted(&self, height: u64) -> bool {
        self.lock().waiting.get(&height).is_some_and(Calls::wait)
    }

    /// Asks somebody else for what another node asks for. Never waits.
    pub(super) fn ask_for(&self, asker: KeyId, height: u64, validators: &Validators) {
        let Some(asks) = self.asks() else { return };
        let turn = self.lock().turn_for(asker, height);
        if let Some((attempt, askers)) = turn {
            asks.ask_for_seal(height, validators, attempt, &askers);
        }
    }

    /// The other nodes that asked for what is here now. Tells them once.
    pub fn take_askers(&self, height: u64) -> BTreeSet<KeyId> {
        let mut known = self.lock();
        if !known.seals.contains_key(&height) {
            return BTreeSet::new();
        }
        let Some(calls) = known.waiting.get_mut(&height) else { return BTreeSet::new() };
        let askers = std::mem::take(&mut calls.askers);
        if calls.count == 0 {
            known.waiting.remove(&height);
        }
        askers
    }

    pub(super) fn remember(&self, height: u64, member: Member, seal: Seal) {
        let mut known = self.lock();
        if known.seals.insert(height, (member, seal)).is_none() {
            known.order.push_back(height);
        }
        if known.order.len() > REMEMBERED
            && let Some(oldest) = known.order.pop_front()
        {
            known.seals.remove(&oldest);
        }
        drop(known);
        self.arrived.notify_waiters();
    }

    /// Asks a height's validators, or others, in turn until one has answered.
    pub(super) async fn obtain(
        &self,
        height: u64,
        validators: &Validators,
    ) -> Option<(Member, Seal)> {
        let asks = self.asks()?;
        let waiting = Waiting::begin(self, height);
        for _ in 0..ATTEMPTS {
            if let Some((attempt, askers)) = waiting.turn() {
                asks.ask_for_seal(height, validators, attempt, &askers);
            }
            let answered = async {
                loop {
                    let arrived = self.arrived.notified();
                    if let Some(found) = self.find(height) {
                        return found;
                    }
                    arrived.await;
                }
            };
            if let Ok(found) = tokio::time::timeout(PATIENCE, answered).await {
                return Some(found);
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ledger_event::Clock;

    use super::*;

    /// A height, the attempt, and who is not to be asked.
    type Asked = (u64, u32, BTreeSet<KeyId>);

    /// Nodes that never answer: for which height they were asked, at which attempt, and who was not to be asked.
    #[derive(Clone, Debug, Default)]
    struct Silent(Arc<Mutex<Vec<Asked>>>);

    impl AskValidators for Silent {
        fn ask_for_seal(&self, height: u64, _: &Validators, attempt: u32, but: &BTreeSet<KeyId>) {
            self.0.lock().unwrap().push((height, attempt, but.clone()));
        }

        fn connected(&self) -> Vec<KeyId> {
            Vec::new()
        }

        fn refused(&self) -> Vec<RefusedPeer> {
            Vec::new()
        }

        fn refusals(&self) -> Vec<Refusals> {
            Vec::new()
        }
    }

    impl Silent {
        fn asked(&self) -> Vec<Asked> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    fn begun() -> (Seals, Silent, Validators) {
        let (seals, silent) = (Seals::default(), Silent::default());
        seals.ask_with(silent.clone());
        let genesis = ledger_story::genesis(Clock::Wall, 1, ledger_story::LIMITS);
        (seals, silent, genesis.validators().clone())
    }

    /// Time goes by for those who wait for a height.
    fn later(seals: &Seals, height: u64, time: Duration) {
        let mut known = seals.lock();
        let calls = known.waiting.get_mut(&height).unwrap();
        calls.asked_at = calls.asked_at.and_then(|at| at.checked_sub(time));
    }

    const ONE: KeyId = KeyId([1; 32]);
    const OTHER: KeyId = KeyId([2; 32]);
    const SEAL: Seal = Seal { log: [1; 64], cosignature: [2; 64], receipt: [3; 64] };

    #[tokio::test]
    async fn calls_that_wait_for_one_height_ask_as_one_and_go_on_when_the_first_gives_up() {
        let (seals, silent, validators) = begun();
        let call = |millis| {
            let obtained = seals.obtain(1, &validators);
            tokio::time::timeout(Duration::from_millis(millis), obtained)
        };
        let _unanswered = tokio::join!(call(500), call(2_500), call(2_500));
        let asked: Vec<u32> = silent.asked().into_iter().map(|(_, attempt, _)| attempt).collect();
        // One a second, however many calls wait.
        assert!((2..=3).contains(&asked.len()), "{asked:?}");
        assert!(asked.iter().copied().eq((0..).take(asked.len())), "{asked:?}");
        assert!(seals.lock().waiting.is_empty());
    }

    #[test]
    fn what_another_node_asks_for_is_asked_of_somebody_else_once_in_a_while_and_told_once() {
        let (seals, silent, validators) = begun();
        let ask = |asker| seals.ask_for(asker, 1, &validators);
        assert!(!seals.is_wanted(1));
        [ONE, ONE, OTHER].into_iter().for_each(ask);
        assert_eq!(silent.asked(), [(1, 0, BTreeSet::from([ONE]))]);
        later(&seals, 1, PAUSE);
        [ONE, OTHER].into_iter().for_each(ask);
        assert_eq!(silent.asked(), [(1, 1, BTreeSet::from([ONE, OTHER]))]);
        assert!(seals.is_wanted(1) && !seals.is_wanted(2));
        assert!(seals.take_askers(1).is_empty(), "nothing has come");
        seals.remember(1, validators.members()[0].clone(), SEAL);
        assert_eq!(seals.take_askers(1), BTreeSet::from([ONE, OTHER]));
        assert!(seals.take_askers(1).is_empty());
        assert!(!seals.is_wanted(1) && seals.lock().waiting.is_empty());
    }

    #[test]
    fn what_another_node_asks_for_has_a_bound_and_is_forgotten() {
        let (seals, silent, validators) = begun();
        for height in 1..1_000 {
            seals.ask_for(ONE, height, &validators);
        }
        assert_eq!(silent.asked().len(), HEIGHTS_OF_ONE);
        seals.ask_for(OTHER, 1_000, &validators);
        assert_eq!(silent.asked().len(), 1, "others have their own");
        for asker in 0..100 {
            seals.ask_for(KeyId([asker; 32]), 1_000, &validators);
        }
        assert_eq!(seals.lock().waiting[&1_000].askers.len(), ASKERS);
        for height in 1..=32 {
            later(&seals, height, FOR_OTHERS);
            assert!(!seals.is_wanted(height));
        }
        seals.ask_for(ONE, 2_000, &validators);
        assert_eq!(seals.lock().waiting.len(), 2);
    }

    #[tokio::test]
    async fn who_asked_once_may_be_asked_later() {
        let (seals, silent, validators) = begun();
        seals.ask_for(ONE, 1, &validators);
        later(&seals, 1, FOR_OTHERS);
        let obtained = seals.obtain(1, &validators);
        let _unanswered = tokio::time::timeout(Duration::from_millis(1), obtained).await;
        let but: Vec<_> = silent.asked().into_iter().map(|(_, _, but)| but).collect();
        assert_eq!(but, [BTreeSet::from([ONE]), BTreeSet::new()]);
        assert!(seals.lock().waiting.is_empty());
    }
}
