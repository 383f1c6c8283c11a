//! Seals: what a validator signs of one block, from which every checkpoint and receipt of that block follows.
//!
//! A validator signs when it is asked, about heights whose set it was in. Any other node asks one of that set, checks the signatures
//! against the keys that the ledger names for the height, and remembers them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ed25519_dalek::Signer as _;
use ledger_format::digest::KeyId;
use ledger_format::header::Header;
use ledger_format::malformed::Explanation;
use ledger_format::note::{Checkpoint, cosignature_message};
use ledger_format::receipt::Receipt;
use ledger_format::validators::{Member, Validators};
use ledger_verify::signature::verify;
use tokio::sync::Notify;

use crate::problem::Problem;
use crate::shared::Shared;

/// Seals that a node remembers, its own and others'.
const REMEMBERED: usize = 4_096;
/// Validators that are asked one after another.
const ATTEMPTS: u32 = 4;
/// How long each of them may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a client is asked to wait when none of them answered.
const RETRY: Duration = Duration::from_secs(1);

/// What one validator signs of a block, 64 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// By the log key, over the checkpoint.
    pub log: [u8; 64],
    /// By the cosigner key, over the checkpoint and the header's time in seconds.
    pub cosignature: [u8; 64],
    /// By the receipt key, over the tree root.
    pub receipt: [u8; 64],
}

/// What a node has of a seal.
#[derive(Debug)]
pub(crate) enum Sealing {
    /// All of it.
    Known(Box<Member>, Seal),
    /// The height, and those who can be asked.
    Of(u64, Validators),
}

/// How validators are asked.
pub trait AskValidators: Debug + Send + Sync {
    /// Asks one of a height's validators that is connected for its seal of the height; another one at each attempt. Never waits.
    fn ask_for_seal(&self, height: u64, validators: &Validators, attempt: u32);

    /// The nodes that are connected, validators or not.
    fn connected(&self) -> Vec<KeyId>;

    /// The nodes that are not, since one of the two refuses the other.
    fn refused(&self) -> Vec<RefusedPeer>;

    /// How often nodes were refused, or refused this one, by code.
    fn refusals(&self) -> Vec<Refusals>;
}

/// How often something was refused for a reason, since the node started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// The stable code.
    pub code: &'static str,
    /// How often.
    pub count: u64,
    /// Whether it was this node that was refused.
    pub by_others: bool,
}

/// A node that this one is set to connect with, and why they are not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedPeer {
    /// Who.
    pub peer: KeyId,
    /// Whether this node refuses it, or it this node.
    pub by_us: bool,
    /// The code, what it says and the next step.
    pub why: &'static Explanation,
}

/// Seals of this node and of validators that it asked, and calls that wait for one.
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
    count: usize,
    /// How often validators were asked, and when for the last time.
    attempts: u32,
    asked_at: Option<Instant>,
}

/// One call that waits for a height.
struct Waiting<'a>(&'a Seals, u64);

impl<'a> Waiting<'a> {
    fn begin(seals: &'a Seals, height: u64) -> Self {
        seals.lock().waiting.entry(height).or_default().count += 1;
        Self(seals, height)
    }

    /// The attempt that this call is to make; none while another call's may still be answered. Whichever call comes first when one has
    /// failed makes the next: the one that asked before may be gone.
    fn turn(&self) -> Option<u32> {
        let mut known = self.0.lock();
        let calls = known.waiting.get_mut(&self.1)?;
        if calls.asked_at.is_some_and(|at| at.elapsed() < PATIENCE) {
            return None;
        }
        let attempt = calls.attempts;
        calls.attempts = attempt.wrapping_add(1);
        calls.asked_at = Some(Instant::now());
        Some(attempt)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut known = self.0.lock();
        if let Some(calls) = known.waiting.get_mut(&self.1) {
            calls.count -= 1;
            if calls.count == 0 {
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

    fn find(&self, height: u64) -> Option<(Member, Seal)> {
        self.lock().seals.get(&height).cloned()
    }

    fn is_wanted(&self, height: u64) -> bool {
        self.lock().waiting.contains_key(&height)
    }

    fn remember(&self, height: u64, member: Member, seal: Seal) {
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

    /// Asks a height's validators in turn until one has answered.
    async fn obtain(&self, height: u64, validators: &Validators) -> Option<(Member, Seal)> {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let waiting = Waiting::begin(self, height);
        for _ in 0..ATTEMPTS {
            if let Some(attempt) = waiting.turn() {
                asks.ask_for_seal(height, validators, attempt);
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

impl Shared {
    /// The text of the checkpoint after a block.
    pub(crate) fn checkpoint_text(&self, header: &Header) -> String {
        let origin = self.genesis.message().origin.clone();
        Checkpoint { origin, size: header.tree_size, root: header.tree_root }.text()
    }

    /// What a validator signs of a block: by its log key, its cosigner key and its receipt key.
    fn sealed(&self, header: &Header, member: &Member) -> [Vec<u8>; 3] {
        let text = self.checkpoint_text(header);
        let cosigned = cosignature_message(header.time_ms / 1000, &text);
        let kid = KeyId::of(&member.receipt_key);
        let root = Receipt::signed_message(&self.genesis.id(), &kid, &header.tree_root);
        [text.into_bytes(), cosigned, root]
    }

    /// This node's seal of a block; none if it was no validator of that height.
    fn own_seal(&self, header: &Header) -> Result<Option<(Member, Seal)>, Problem> {
        let Some((member, keys)) = self.signer_at(header.height)? else { return Ok(None) };
        // One for all receipts of a block: it holds nothing of a single entry.
        if let Some((by, seal)) = self.seals.find(header.height)
            && by.id == member.id
        {
            return Ok(Some((member, seal)));
        }
        let [log, cosigned, root] = self.sealed(header, &member);
        let seal = Seal {
            log: keys.log.sign(&log).to_bytes(),
            cosignature: keys.cosign.sign(&cosigned).to_bytes(),
            receipt: keys.receipt.sign(&root).to_bytes(),
        };
        self.seals.remember(header.height, member.clone(), seal);
        Ok(Some((member, seal)))
    }

    /// This node's seal of a block, by height, for another node, and the vote key's id of the validator that it was; none if it was no
    /// validator of that height.
    ///
    /// # Errors
    /// `API_NOT_FOUND` for a height that is not there, or what cannot be read.
    pub fn seal_for_others(&self, height: u64) -> Result<Option<(KeyId, Seal)>, Problem> {
        let (header, _, _) = self.header(height)?;
        Ok(self.own_seal(&header)?.map(|(member, seal)| (member.id, seal)))
    }

    /// What this node has of the seal of a block.
    pub(crate) fn sealing(&self, header: &Header) -> Result<Sealing, Problem> {
        let height = header.height;
        if let Some((member, seal)) = self.own_seal(header)?.or_else(|| self.seals.find(height)) {
            return Ok(Sealing::Known(Box::new(member), seal));
        }
        Ok(Sealing::Of(height, self.validators_at(height)?))
    }

    /// The seal of a block, this node's own or another validator's, and whose it is.
    pub(crate) async fn seal(&self, sealing: Sealing) -> Result<(Member, Seal), Problem> {
        match sealing {
            Sealing::Known(member, seal) => Ok((*member, seal)),
            Sealing::Of(height, validators) => {
                let found = self.seals.obtain(height, &validators).await;
                found.ok_or_else(|| Problem::unsigned(format!("block {height}")).retry(RETRY))
            }
        }
    }

    /// The height at whose end an entry of a block is proven: the block's own while somebody can be asked who signed it, and otherwise
    /// the last one.
    pub(crate) fn sealed_height(&self, own: u64) -> Result<u64, Problem> {
        let last = self.head().height;
        let set = self.validators_at(own)?;
        if self.signer_of(&set).is_some() {
            return Ok(own);
        }
        if self.signer_at(last)?.is_some() {
            return Ok(last);
        }
        let connected = self.seals.connected();
        let left = set.members().iter().any(|member| connected.contains(&member.id));
        Ok(if left { own } else { last })
    }

    /// Takes a seal that was asked for; whether its signatures are the validator's whose they are said to be, one of the set of that
    /// height, for the block that this node has.
    ///
    /// # Errors
    /// What this node cannot read of its own: it says nothing of who sent the seal.
    pub fn take_seal(&self, height: u64, validator: KeyId, seal: &Seal) -> Result<bool, Problem> {
        if !self.seals.is_wanted(height) {
            return Ok(true);
        }
        let (header, _, _) = self.header(height)?;
        let set = self.validators_at(height)?;
        let Some(member) = set.get(&validator) else { return Ok(false) };
        let [log, cosigned, root] = self.sealed(&header, member);
        let good = verify(&member.log_key, &log, &seal.log).is_ok()
            && verify(&member.cosign_key, &cosigned, &seal.cosignature).is_ok()
            && verify(&member.receipt_key, &root, &seal.receipt).is_ok();
        if good {
            self.seals.remember(height, member.clone(), *seal);
        }
        Ok(good)
    }
}

#[cfg(test)]
mod tests {
    use ledger_event::Clock;

    use super::*;

    /// Validators that never answer, and the attempts with which they were asked.
    #[derive(Clone, Debug, Default)]
    struct Silent(Arc<Mutex<Vec<u32>>>);

    impl AskValidators for Silent {
        fn ask_for_seal(&self, _: u64, _: &Validators, attempt: u32) {
            self.0.lock().unwrap().push(attempt);
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

    #[tokio::test]
    async fn calls_that_wait_for_one_height_ask_as_one_and_go_on_when_the_first_gives_up() {
        let (seals, silent) = (Seals::default(), Silent::default());
        seals.ask_with(silent.clone());
        let genesis = ledger_story::genesis(Clock::Wall, 1, ledger_story::LIMITS);
        let call = |millis| {
            let obtained = seals.obtain(1, genesis.validators());
            tokio::time::timeout(Duration::from_millis(millis), obtained)
        };
        let _unanswered = tokio::join!(call(500), call(2_500), call(2_500));
        let asked = silent.0.lock().unwrap().clone();
        // One a second, however many calls wait.
        assert!((2..=3).contains(&asked.len()), "{asked:?}");
        assert!(asked.iter().copied().eq((0..).take(asked.len())), "{asked:?}");
        assert!(seals.lock().waiting.is_empty());
    }
}
