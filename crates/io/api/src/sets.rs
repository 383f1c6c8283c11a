//! Which validators signed which height, and what this node is among them. The log itself says it: the changes are the timeline of
//! one record.

use std::ops::Range;

use bytes::Bytes;
use ledger_event::event::Act;
use ledger_event::{SetChange, Timeline, ValidatorSet};
use ledger_format::block::Block;
use ledger_format::digest::{KeyId, hex};
use ledger_format::entry::Entry;
use ledger_format::evidence::{Evidence, EvidenceFile};
use ledger_format::message;
use ledger_format::validators::{Member, Validators};
use ledger_proto::v1::Leaf;
use ledger_rules::genesis::VALIDATORS;
use ledger_rules::view::read;
use ledger_verify::block::check_certificate;
use ledger_verify::finding::{Code, Place, Refuted};

use crate::history::Walk;
use crate::problem::Problem;
use crate::shared::{NodeKeys, Shared};

/// From the block of a change to the first that the new set signs.
const DELAY: u64 = 2;

/// What a node is on its ledger at the next height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It has a say.
    Validator,
    /// It would have one if one of its keys were in the set.
    Standby,
    /// It follows.
    Follower,
}

impl NodeRole {
    /// The role in a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Standby => "standby",
            Self::Follower => "follower",
        }
    }
}

/// A set of validators and the heights that it signs.
#[derive(Clone, Debug)]
pub struct Term {
    set: Validators,
    heights: Range<u64>,
}

impl Shared {
    /// What this node is at the next height.
    pub fn role(&self) -> NodeRole {
        if self.signers.is_empty() {
            return NodeRole::Follower;
        }
        if self.signer_of(self.ledger().validators()).is_some() {
            return NodeRole::Validator;
        }
        NodeRole::Standby
    }

    /// What this node signs with as a member of a set.
    pub(crate) fn signer_of(&self, set: &Validators) -> Option<(Member, &NodeKeys)> {
        let mut keys = self.vote_keys.iter().zip(&self.signers);
        keys.find_map(|(id, keys)| Some((set.get(id)?.clone(), keys)))
    }

    /// What this node signs with about the tree of a height, if it is one of the validators that signed the height.
    pub(crate) fn signer_at(&self, height: u64) -> Result<Option<(Member, &NodeKeys)>, Problem> {
        Ok(self.signer_of(&self.validators_at(height)?))
    }

    /// The validators that signed a height.
    pub(crate) fn validators_at(&self, height: u64) -> Result<Validators, Problem> {
        Ok(self.term_at(height)?.set)
    }

    /// The validators of a height, and for which heights around it they are known to be those.
    fn term_at(&self, height: u64) -> Result<Term, Problem> {
        let (last, changes) = self.changes_back();
        // What the next block changes, the heights up to here do not show.
        let mut end = last.saturating_add(1).saturating_add(DELAY);
        for change in changes {
            let (changed, set) = change?;
            let begin = changed.saturating_add(DELAY);
            if begin <= height {
                return Ok(Term { set: Validators::new(set)?, heights: begin..end });
            }
            end = begin;
        }
        Ok(Term { set: self.genesis.validators().clone(), heights: 0..end })
    }

    /// Checks the certificate of a stored block by the validators of its height. `known` keeps these for the next block.
    ///
    /// # Errors
    /// What speaks against the certificate or the validators that the header names, or what keeps the history of the validators from
    /// being read.
    pub fn check_certified(&self, block: &Block, known: &mut Option<Term>) -> Result<(), Problem> {
        let Block { body, certificate } = block;
        let header = &body.header;
        let term = match known.take().filter(|term| term.heights.contains(&header.height)) {
            Some(term) => term,
            None => self.term_at(header.height)?,
        };
        let Term { set, .. } = known.insert(term);
        if set.hash() != header.validators {
            let (expected, found) = (hex(&set.hash()), hex(&header.validators));
            let place = Place::block(header.height);
            return Err(Refuted::differs(Code::Validators, place, expected, found).into());
        }
        check_certificate(set, header, certificate)?;
        Ok(())
    }

    /// How the validators of a height follow from those of genesis.
    pub(crate) fn set_changes(&self, height: u64) -> Result<Vec<SetChange>, Problem> {
        let in_force = |(changed, _): &(u64, ValidatorSet)| changed.saturating_add(DELAY) <= height;
        let shown = |(changed, set): (u64, ValidatorSet)| {
            let (_, header, certificate) = self.header(changed.saturating_add(1))?;
            Ok(SetChange { header, certificate, validators: message::encode(&set).into() })
        };
        self.changes()?.into_iter().filter(in_force).map(shown).collect()
    }

    /// Evidence as a file that says whose keys these are, whoever has come in since genesis.
    ///
    /// # Errors
    /// What keeps the history of the validators from being read.
    pub fn evidence_file(&self, evidence: &Evidence) -> Result<Vec<u8>, Problem> {
        // Up to the set of the open height: the header before it is there.
        let changes = self.set_changes(self.head().height.saturating_add(1))?;
        Ok(EvidenceFile::encode(Some(&self.genesis), &changes, evidence))
    }

    /// All sets that entries brought, oldest first, each with the height of its block.
    fn changes(&self) -> Result<Vec<(u64, ValidatorSet)>, Problem> {
        let (_, changes) = self.changes_back();
        let mut changes = changes.collect::<Result<Vec<_>, _>>()?;
        changes.reverse();
        Ok(changes)
    }

    /// The height of the last block, and all sets that entries brought up to it, newest first.
    fn changes_back(
        &self,
    ) -> (u64, impl Iterator<Item = Result<(u64, ValidatorSet), Problem>> + '_) {
        let (height, record) = {
            let ledger = self.ledger();
            (ledger.height(), read(&ledger.state(), VALIDATORS))
        };
        let timeline: Timeline = record.and_then(|record| record.timeline).unwrap_or_default();
        let mut walk = Walk::of(VALIDATORS, &timeline);
        let leaves = std::iter::from_fn(move || walk.step(self, true).transpose());
        let change = |leaf: Result<Leaf, Problem>| {
            let leaf = leaf?;
            let entry = Entry::decode(Bytes::clone(&leaf.entry))?;
            Ok(match &entry.event().act {
                Some(Act::ValidatorsChanged(event)) => {
                    Some((leaf.height, event.validators.clone().unwrap_or_default()))
                }
                _ => None,
            })
        };
        (height, leaves.map(change).filter_map(Result::transpose))
    }

    /// What an operator should know about the validators and the protocol.
    pub(crate) fn membership_notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if self.role() == NodeRole::Standby {
            let ids: Vec<String> = self.vote_keys.iter().map(KeyId::to_string).collect();
            notices.push(format!(
                "standby: this node verifies and does not vote, since no key of it is in the validator set ({})",
                ids.join(", ")
            ));
        }
        let ledger = self.ledger();
        let (now, next) = (ledger.validators(), ledger.next_validators());
        if now != next {
            notices.push(format!(
                "the validators change: {} sign height {}, {} sign height {}",
                now.members().len(),
                ledger.height().saturating_add(1),
                next.members().len(),
                ledger.height().saturating_add(DELAY),
            ));
        }
        if let Some((version, height)) = ledger.protocol().planned {
            let known = ledger_format::genesis::PROTOCOL_VERSIONS;
            let ready = if known.contains(&version) {
                "this program knows it"
            } else {
                "this program does not know it and stops before: install one that does"
            };
            notices.push(format!("protocol version {version} from height {height}: {ready}"));
        }
        notices
    }
}
