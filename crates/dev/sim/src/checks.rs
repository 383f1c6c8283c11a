//! What must hold whatever happens.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ledger_format::block::Block;
use ledger_format::digest::{BlockHash, EntryId, KeyId};
use ledger_format::validators::Validators;
use ledger_replica::{Statement, StatementKind};

use crate::locks::{Lack, Locks};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Two blocks of one height were committed.
    Fork {
        /// The height.
        height: u64,
        /// The node that committed the second.
        node: usize,
    },
    /// An honest validator signed two different things of one kind in one round.
    DoubleVote {
        /// Who.
        validator: KeyId,
        /// The height.
        height: u64,
        /// The round.
        round: u32,
        /// What was signed.
        kind: &'static str,
    },
    /// An honest validator prevoted against what it had precommitted, and no quorum had prevoted for that since.
    LockBroken {
        /// Who.
        validator: KeyId,
        /// The height.
        height: u64,
        /// The round of the prevote.
        round: u32,
    },
    /// An honest validator precommitted a block that no quorum had prevoted for.
    NoPolka {
        /// Who.
        validator: KeyId,
        /// The height.
        height: u64,
        /// The round.
        round: u32,
    },
    /// An honest validator signed for a height whose set it is not in.
    Outsider {
        /// Who.
        validator: KeyId,
        /// The height.
        height: u64,
    },
    /// A node votes without a place in the set, or has one and does not vote.
    Misplaced {
        /// Which.
        node: usize,
    },
    /// A node said that an entry is in the ledger, and it is not, or elsewhere.
    LostAcknowledgement {
        /// The entry.
        entry: EntryId,
        /// The height that was told.
        height: u64,
    },
    /// A node stopped by itself.
    Stopped {
        /// Which.
        node: usize,
        /// What it said.
        why: String,
    },
    /// A process panicked.
    Panicked(String),
    /// The network did not come to rest after everything was healed.
    Unrest(String),
    /// Nothing was decided for too long while faults lasted, or too little.
    Standstill {
        /// The height that was reached.
        height: u64,
    },
    /// A header's time is further ahead than a quorum of honest clocks can have allowed.
    FalseTime {
        /// The height.
        height: u64,
        /// How far it is ahead of the true time.
        ahead_ms: u64,
    },
    /// A header's time is further behind the moment at which the block before was first decided than a quorum of honest clocks can have
    /// allowed: they look at a block once they have the one before.
    LateTime {
        /// The height.
        height: u64,
        /// How far it is behind that moment.
        behind_ms: u64,
    },
    /// A node refused an entry that is in its own chain.
    RefusedAcknowledged {
        /// Which.
        node: usize,
        /// The entry.
        entry: EntryId,
    },
    /// A process logged the same again and again while a height was open: whoever makes it do so can fill its disk.
    Overlogged {
        /// Which.
        node: usize,
    },
    /// An entry that a quorum had in its pools was in no block for too long.
    Censored {
        /// The entry.
        entry: EntryId,
        /// For how many heights.
        waited: u64,
    },
    /// A node holds evidence against a validator that is honest, or none at all.
    Framed {
        /// Who holds it.
        node: usize,
        /// Against whom; `None`: the evidence does not stand before the offline verifier.
        validator: Option<KeyId>,
    },
    /// Entries of a decided block record what proves nothing.
    FalselyRecorded {
        /// Who decided it.
        node: usize,
        /// The height.
        height: u64,
    },
    /// A node decided a block for which others are answered at once, and its disk lacks the body, or its own vote in the certificate.
    NotKept {
        /// Which.
        node: usize,
        /// The height.
        height: u64,
    },
    /// A node said something of the open height that its disk does not have.
    NotDurable {
        /// Which.
        node: usize,
        /// The height.
        height: u64,
    },
    /// A node that had lost its memory votes again from a height on for which it has signed something before.
    VotesTooSoon {
        /// Which.
        node: usize,
        /// The height.
        height: u64,
    },
    /// A process goes on from a log in which a bit has flipped.
    DamageBelieved {
        /// Which.
        node: usize,
    },
    /// Evidence that one honest node has is missing at another.
    Untold {
        /// Who lacks it.
        node: usize,
        /// Whom it names.
        validator: KeyId,
    },
    /// A node asked somebody who had lied to it about a height again and again, instead of others.
    Gullible {
        /// Which.
        node: usize,
        /// Whom.
        peer: KeyId,
        /// The height.
        height: u64,
    },
    /// The chain does not stand before the auditor's verifier.
    Refuted(String),
    /// A history is not complete.
    Index(String),
    /// More is in the blocks than a budget allows.
    Overspent(String),
    /// A block is not of the version of the protocol that the blocks before it put in force, or has what comes with a later one.
    OutOfVersion(String),
    /// Two nodes do not agree on the version that a height follows.
    VersionsDiffer {
        /// The height.
        height: u64,
        /// The second.
        node: usize,
    },
    /// A fault that the run was meant to have did not happen.
    Missed(&'static str),
}

/// How often a process may name another node for the same height, while somebody honest could be asked for it. Two was the most in a
/// hundred runs with a liar about heights.
const SUSPICIONS: u32 = 8;

/// How often a process may log the same at one height. The engine forgets what was said of rounds long over, so what comes again of
/// them counts and is logged again, at most once for each round that begins. In two hundred runs no record came eight times.
pub const SAME_RECORDS: u32 = 16;

/// Of each kind of statement a validator makes one in a round of a height.
type Slot = (KeyId, u64, u32, &'static str);
/// Which block it is for, and the valid round of a proposal.
type Said = (Option<BlockHash>, Option<u32>);

fn slot(statement: &Statement) -> (Slot, Said) {
    let Statement { validator, height, round, block, .. } = *statement;
    let (kind, valid_round) = match statement.kind {
        StatementKind::Proposal { valid_round } => ("proposal", valid_round),
        StatementKind::Prevote => ("prevote", None),
        StatementKind::Precommit => ("precommit", None),
    };
    ((validator, height, round, kind), (block, valid_round))
}

/// What has been seen so far.
#[derive(Debug, Default)]
pub struct Checks {
    blocks: BTreeMap<u64, BlockHash>,
    said: BTreeMap<Slot, Said>,
    /// What was said by those who have forgotten it since, on their operators' word.
    forgotten: BTreeSet<(Slot, Said)>,
    locks: Locks,
    acknowledged: BTreeMap<EntryId, u64>,
    /// The validators of each height.
    sets: BTreeMap<u64, Validators>,
    /// The version of the protocol that each height follows.
    versions: BTreeMap<u64, u32>,
    /// How often a node named another for a height.
    suspicions: BTreeMap<(usize, KeyId, u64), u32>,
    /// Validators that lie: what they sign is their own affair.
    liars: BTreeSet<KeyId>,
    /// What must not be.
    pub violations: Vec<Violation>,
}

impl Checks {
    /// Leaves a validator out of the checks of honest ones.
    pub fn lies(&mut self, validator: KeyId) {
        self.liars.insert(validator);
    }

    /// A node has a new process, which has no memory of liars.
    pub fn started(&mut self, node: usize) {
        self.suspicions.retain(|(of, ..), _| *of != node);
    }

    /// A node was sent what may not follow, and could have asked somebody honest.
    pub fn suspected(&mut self, node: usize, peer: KeyId, height: u64) {
        let count = self.suspicions.entry((node, peer, height)).or_default();
        *count += 1;
        if *count == SUSPICIONS {
            self.violations.push(Violation::Gullible { node, peer, height });
        }
    }

    /// A node accuses a validator of what it did at a height. What is forgotten on an operator's word may be contradicted.
    pub fn accused(&mut self, node: usize, validator: KeyId, height: u64) {
        let of_height = |((by, at, ..), _): &(Slot, Said)| (*by, *at) == (validator, height);
        if !self.liars.contains(&validator) && !self.forgotten.iter().any(of_height) {
            self.violations.push(Violation::Framed { node, validator: Some(validator) });
        }
    }

    /// A node has committed a block: from here on its entries are acknowledged.
    pub fn committed(&mut self, node: usize, block: &Block, ids: &[EntryId]) {
        let (height, hash) = (block.body.header.height, block.body.header.hash());
        if *self.blocks.entry(height).or_insert(hash) != hash {
            self.violations.push(Violation::Fork { height, node });
        }
        for id in ids {
            self.acknowledged.entry(*id).or_insert(height);
        }
    }

    /// Who signs at a height.
    pub fn in_force(&mut self, height: u64, validators: &Validators) {
        self.sets.entry(height).or_insert_with(|| validators.clone());
    }

    /// Who signs at a height, as far as it is known.
    pub fn set_of(&self, height: u64) -> Option<&Validators> {
        self.sets.get(&height)
    }

    /// A node knows which version of the protocol a height follows. Whether that is a new one, which nobody knew of.
    pub fn follows(&mut self, node: usize, height: u64, version: u32) -> bool {
        let before = self.versions.get(&(height - 1)).copied();
        match self.versions.insert(height, version) {
            None => before.is_some_and(|before| before != version),
            Some(known) => {
                if known != version {
                    self.violations.push(Violation::VersionsDiffer { height, node });
                }
                false
            }
        }
    }

    /// Somebody has signed something with its own key, a liar perhaps: others may conclude from it.
    pub fn hears(&mut self, statement: &Statement) {
        if !self.is_forgotten(statement) {
            self.locks.hear(statement);
        }
    }

    /// Somebody shows what a validator has said, which is as if it had said it now, unless it has forgotten that.
    pub fn shows(&mut self, statement: &Statement) -> bool {
        !self.is_forgotten(statement) && self.says(statement)
    }

    fn is_forgotten(&self, statement: &Statement) -> bool {
        !self.forgotten.is_empty() && self.forgotten.contains(&slot(statement))
    }

    /// A validator has said something. Whether it contradicts what it said before; of an honest one that is a violation.
    pub fn says(&mut self, statement: &Statement) -> bool {
        let (slot, said) = slot(statement);
        // It has said something else there since, and passes on what others showed it: that is no new signature.
        if self.is_forgotten(statement) && self.said.contains_key(&slot) {
            return false;
        }
        self.locks.hear(statement);
        let (height, validator) = (statement.height, statement.validator);
        let lies = self.liars.contains(&validator);
        if !lies && self.set_of(height).is_some_and(|set| set.get(&validator).is_none()) {
            self.violations.push(Violation::Outsider { validator, height });
        }
        match self.said.entry(slot) {
            Entry::Vacant(vacant) => {
                vacant.insert(said);
                if !lies {
                    self.check_lock(statement);
                }
                false
            }
            Entry::Occupied(before) if *before.get() != said => {
                let (validator, height, round, kind) = slot;
                if !lies {
                    self.violations.push(Violation::DoubleVote { validator, height, round, kind });
                }
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// A node that had lost its memory votes again from a height on: whatever its keys signed before is below that.
    pub fn remembers(&mut self, node: usize, keys: &[KeyId], from: u64) {
        let last = |key: &KeyId| self.said.range(..=(*key, u64::MAX, u32::MAX, "")).next_back();
        let said = keys.iter().filter_map(|key| last(key).filter(|(slot, _)| slot.0 == *key));
        let too_late = said.map(|((_, height, ..), _)| *height).find(|height| *height >= from);
        let too_soon = too_late.map(|height| Violation::VotesTooSoon { node, height });
        self.violations.extend(too_soon);
    }

    /// A node that had lost its memory votes again on its operator's word that nobody else has its keys. What they signed at these heights
    /// it does not know, and may contradict; not what it says from now on. Above them they have signed nothing.
    pub fn vouched(&mut self, node: usize, keys: &[KeyId], heights: &Range<u64>) {
        self.remembers(node, keys, heights.end);
        for key in keys {
            let slots = (*key, heights.start, 0, "")..(*key, heights.end, 0, "");
            self.forgotten.extend(self.said.extract_if(slots, |_, _| true));
            self.locks.forget(key, heights);
        }
    }

    /// A vote of an honest validator is founded on those of others.
    fn check_lock(&mut self, vote: &Statement) {
        let Statement { validator, height, round, .. } = *vote;
        let lack = self.set_of(height).and_then(|set| self.locks.lack(set, vote));
        self.violations.extend(lack.map(|lack| match lack {
            Lack::Polka => Violation::NoPolka { validator, height, round },
            Lack::Release => Violation::LockBroken { validator, height, round },
        }));
    }

    /// At the end: the heights of all entries in a node's chain.
    pub fn finished(&mut self, chain: &BTreeMap<EntryId, u64>) {
        let lost = self.acknowledged.iter().filter(|(id, height)| chain.get(id) != Some(*height));
        let lost = lost.map(|(entry, height)| Violation::LostAcknowledgement {
            entry: *entry,
            height: *height,
        });
        self.violations.extend(lost);
    }

    /// The highest block that anybody committed.
    pub fn height(&self) -> u64 {
        self.blocks.keys().next_back().copied().unwrap_or_default()
    }

    /// Entries that were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Whether an entry was acknowledged.
    pub fn is_acknowledged(&self, id: &EntryId) -> bool {
        self.acknowledged.contains_key(id)
    }
}
