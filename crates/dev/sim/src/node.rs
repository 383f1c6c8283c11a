//! A node's process: the product's replica and ledger, carried by a host that can die before any action.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ledger_format::block::Block;
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::Entry;
use ledger_replica::{Event, Replica, Timer};

use ed25519_dalek::SigningKey;

use crate::disk::Disk;
use crate::liars::{Liar, LiarKind};

/// What calls a process back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Gathered,
    Timer(Timer),
}

impl Call {
    pub(crate) fn event(self) -> Event {
        match self {
            Self::Gathered => Event::Gathered,
            Self::Timer(timer) => Event::TimerFired(timer),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) replica: Replica,
    /// How many of its node's keys it was started with.
    pub(crate) keys: usize,
    /// Calls that are awaited, each under its number.
    pub(crate) calls: Vec<(u64, Call)>,
    /// Entries that clients handed to this process, and that have no verdict yet.
    pub(crate) owed: Vec<Entry>,
    /// Entries that came into the pool, but those that were refused: they are not taken from others again.
    pub(crate) recent: HashSet<EntryId>,
    /// Entries that a remote node took in: those of its clients, and what a validator had when it connected.
    pub(crate) held: BTreeMap<EntryId, Entry>,
    /// What it has logged since the last block, and how often.
    pub(crate) logged: BTreeMap<Vec<u8>, u32>,
    /// Signatures of what it has said since the last block.
    pub(crate) shown: BTreeSet<[u8; 64]>,
}

/// A machine: its disk and clock go on when the process dies.
#[derive(Debug)]
pub(crate) struct Node {
    /// Who others know it as: its key in the set, or its first one.
    pub(crate) id: KeyId,
    /// Its vote keys; a follower's is no validator's.
    pub(crate) keys: Vec<SigningKey>,
    /// The name of the last of them.
    pub(crate) name: String,
    /// Whose it is.
    pub(crate) party: &'static str,
    /// What its vote counts, where it has one.
    pub(crate) power: u32,
    /// It has vote keys, whether they are in the set or not.
    pub(crate) is_validator: bool,
    pub(crate) disk: Disk,
    pub(crate) process: Option<Process>,
    /// How far the clock is from the truth, in milliseconds.
    pub(crate) skew_ms: i64,
    pub(crate) liar: Option<Box<dyn Liar>>,
    /// What kind of liar it is.
    pub(crate) lies: Option<LiarKind>,
    /// The validator has lost its memory, and has not found it again.
    pub(crate) forgot: bool,
    /// Up to this height its operator has vouched for what it has forgotten.
    pub(crate) vouched: u64,
    /// Actions until the process dies, when it is about to.
    pub(crate) left: Option<usize>,
    /// Whether the process dies when it has answered for the next block.
    pub(crate) dies_answered: bool,
}

impl Process {
    pub(crate) fn settled(&mut self, id: &EntryId) {
        self.owed.retain(|entry| entry.id() != *id);
    }
}

impl Node {
    /// Whether its disk has the body of a block that it decides, and its own vote for it, as far as that is in the certificate.
    pub(crate) fn keeps(&self, block: &Block) -> bool {
        let own = self.ids();
        let votes = block.certificate.signatures.iter().filter(|(by, _)| own.contains(by));
        let has_votes = votes.map(|(_, vote)| vote).all(|vote| self.disk.has_logged(vote));
        has_votes && self.disk.has_logged(&block.body.header.encode())
    }

    /// Whether the others cannot go on without it, nor tell it what it has forgotten: its operator has to vouch for it.
    pub(crate) fn is_alone(&self) -> bool {
        !Replica::can_recover(&self.disk.ledger, &self.ids())
    }

    /// Its keys by their names.
    pub(crate) fn ids(&self) -> Vec<KeyId> {
        self.keys.iter().map(id_of).collect()
    }

    /// The keys that its process has; all of them, while none runs.
    fn known(&self) -> &[SigningKey] {
        &self.keys[..self.process.as_ref().map_or(self.keys.len(), |process| process.keys)]
    }

    /// Who it speaks as.
    pub(crate) fn identity(&self) -> KeyId {
        let ledger = &self.disk.ledger;
        let sets = [ledger.validators(), ledger.next_validators()];
        let has_place = |id: &KeyId| sets.iter().any(|set| set.get(id).is_some());
        let mut ids = self.known().iter().map(id_of);
        let first = id_of(&self.keys[0]);
        if self.is_validator { ids.find(has_place).unwrap_or(first) } else { first }
    }

    /// The key that it speaks with.
    pub(crate) fn key(&self) -> &SigningKey {
        self.keys.iter().find(|key| id_of(key) == self.id).unwrap_or(&self.keys[0])
    }

    /// Whether it has keys that its process does not know of.
    pub(crate) fn is_outdated(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.keys < self.keys.len())
    }

    /// Puts the first key away once only the other one has a place.
    pub(crate) fn promote(&mut self) {
        let set = self.disk.ledger.validators();
        if let [.., last] = self.keys.as_slice()
            && set.get(&id_of(last)).is_some()
        {
            self.keys.drain(..self.keys.len() - 1);
        }
    }

    /// Whether a client of its process waits for what becomes of an entry.
    pub(crate) fn is_owing(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.owed.is_empty())
    }

    /// Where it stands, for a finding: its height, waiting entries, whether it is at rest.
    pub(crate) fn standing(&self) -> (u64, usize, bool) {
        self.process.as_ref().map_or((0, 0, false), |process| {
            let pool = process.replica.pool_size().0;
            (self.disk.ledger.height(), pool, process.replica.is_at_rest())
        })
    }
}

pub(crate) fn id_of(key: &SigningKey) -> KeyId {
    KeyId::of(key.verifying_key().as_bytes())
}
