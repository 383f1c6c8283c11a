//! Seals: what a validator signs of one block, from which every checkpoint and receipt of that block follows.
//!
//! A validator signs when it is asked. A follower has no key that counts: it asks a validator, checks the signatures against the keys
//! that the ledger names, and remembers them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ed25519_dalek::Signer as _;
use ledger_format::digest::KeyId;
use ledger_format::header::Header;
use ledger_format::note::{Checkpoint, cosignature_message};
use ledger_format::receipt::Receipt;
use ledger_format::validators::Member;
use ledger_verify::signature::verify;
use tokio::sync::Notify;

use crate::problem::Problem;
use crate::shared::Shared;

/// Seals that a follower remembers.
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

/// How a follower asks validators.
pub trait AskValidators: Debug + Send + Sync {
    /// Asks one of the connected validators for its seal of a height; another one at each attempt. Never waits.
    fn ask_for_seal(&self, height: u64, attempt: u32);
}

/// Seals that came from validators, and calls that wait for one.
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
    /// How many calls wait for a height: what nobody waits for is not taken.
    waiting: BTreeMap<u64, usize>,
}

/// One call that waits for a height.
struct Waiting<'a>(&'a Seals, u64);

impl<'a> Waiting<'a> {
    /// Begins to wait; whether nobody did before.
    fn begin(seals: &'a Seals, height: u64) -> (Self, bool) {
        let mut known = seals.lock();
        let calls = known.waiting.entry(height).or_default();
        *calls += 1;
        (Self(seals, height), *calls == 1)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut known = self.0.lock();
        if let Some(calls) = known.waiting.get_mut(&self.1) {
            *calls -= 1;
            if *calls == 0 {
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

    /// Asks validators in turn until one has answered.
    async fn obtain(&self, height: u64) -> Option<(Member, Seal)> {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let (_waiting, first) = Waiting::begin(self, height);
        for attempt in 0..ATTEMPTS {
            if first || attempt > 0 {
                asks.ask_for_seal(height, attempt);
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

    /// This validator's seal of a block; none of a follower.
    pub(crate) fn own_seal(&self, header: &Header) -> Option<(Member, Seal)> {
        let (member, keys) = self.signer.as_ref()?;
        let text = self.checkpoint_text(header);
        let cosigned = cosignature_message(header.time_ms / 1000, &text);
        let kid = KeyId::of(&member.receipt_key);
        let root = Receipt::signed_message(&self.genesis.id(), &kid, &header.tree_root);
        let seal = Seal {
            log: keys.log.sign(text.as_bytes()).to_bytes(),
            cosignature: keys.cosign.sign(&cosigned).to_bytes(),
            receipt: keys.receipt.sign(&root).to_bytes(),
        };
        Some((member.clone(), seal))
    }

    /// A validator's seal of a block, by height, for another node; none of a follower, or of a height that is not there.
    pub fn seal_for_others(&self, height: u64) -> Option<Seal> {
        let (header, _, _) = self.header(height).ok()?;
        self.own_seal(&header).map(|(_, seal)| seal)
    }

    /// The seal of a block, this node's own or a validator's, and whose it is.
    pub(crate) async fn seal(&self, header: &Header) -> Result<(Member, Seal), Problem> {
        let height = header.height;
        if let Some(known) = self.own_seal(header).or_else(|| self.seals.find(height)) {
            return Ok(known);
        }
        let found = self.seals.obtain(height).await;
        found.ok_or_else(|| Problem::unsigned(format!("block {height}")).retry(RETRY))
    }

    /// Takes a seal that was asked for from another node; whether its signatures are a validator's, for a block that this node has.
    pub fn take_seal(&self, from: KeyId, height: u64, seal: Seal) -> bool {
        if !self.seals.is_wanted(height) {
            return true;
        }
        let Some(member) = self.ledger().validators().get(&from).cloned() else { return false };
        let Ok((header, _, _)) = self.header(height) else { return false };
        let text = self.checkpoint_text(&header);
        let cosigned = cosignature_message(header.time_ms / 1000, &text);
        let kid = KeyId::of(&member.receipt_key);
        let root = Receipt::signed_message(&self.genesis.id(), &kid, &header.tree_root);
        let good = verify(&member.log_key, text.as_bytes(), &seal.log).is_ok()
            && verify(&member.cosign_key, &cosigned, &seal.cosignature).is_ok()
            && verify(&member.receipt_key, &root, &seal.receipt).is_ok();
        if good {
            self.seals.remember(height, member, seal);
        }
        good
    }
}
