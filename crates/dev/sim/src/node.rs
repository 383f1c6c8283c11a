//! A node's process: the product's replica and ledger, carried by a host that can die before any action.

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
    /// Calls that are awaited, each under its number.
    pub(crate) calls: Vec<(u64, Call)>,
    /// Entries that clients handed to this process, and that have no verdict yet.
    pub(crate) owed: Vec<Entry>,
}

/// A machine: its disk and clock go on when the process dies.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: KeyId,
    /// Its vote key; a follower's is no validator's.
    pub(crate) key: SigningKey,
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
    /// A bit of its disk has flipped, and its operator does not know yet.
    pub(crate) damaged: bool,
    /// The next start cannot read the disk.
    pub(crate) read_fails: bool,
    /// Actions until the process dies, when it is about to.
    pub(crate) left: Option<usize>,
    /// The next flush fails.
    pub(crate) flush_fails: bool,
}

impl Process {
    pub(crate) fn settled(&mut self, id: &EntryId) {
        self.owed.retain(|entry| entry.id() != *id);
    }
}

impl Node {
    /// Where it stands, for a finding: its height, waiting entries, whether it is at rest.
    pub(crate) fn standing(&self) -> (u64, usize, bool) {
        self.process.as_ref().map_or((0, 0, false), |process| {
            let pool = process.replica.pool_size().0;
            (self.disk.ledger.height(), pool, process.replica.is_at_rest())
        })
    }
}
