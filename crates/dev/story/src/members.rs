//! A ledger whose validators are several parties', and how they change the set and the protocol.

use ed25519_dalek::Signer as _;
use ledger_event::event::Act;
use ledger_event::{
    Budgets, BudgetsSet, Clock, Limits, MisconductRecorded, ProtocolActivated, Purpose, Role,
    Validator, ValidatorSet, ValidatorsChanged,
};
use ledger_format::digest::{BlockHash, KeyId, LedgerId, sha256};
use ledger_format::evidence::{Evidence, SignedVote};
use ledger_format::genesis::GenesisDocument;
use ledger_format::vote::{VoteStep, vote_bytes};

use crate::acts::{self, founders};
use crate::cast::{AUTHORITY, EXCHANGE, Label, REGISTRY, roles};
use crate::deed::{Deed, alone, sign};
use crate::{a_validator, genesis_with, validator_key_of};

/// Names of the first validators, and whose they are: two of the three parties have a quorum if the exchange is one of them.
pub const MEMBERS: [(&str, &str); 4] =
    [("a-", EXCHANGE), ("b-", REGISTRY), ("c-", AUTHORITY), ("d-", EXCHANGE)];

/// A validator of a party.
pub fn member(name: &str, party: &str) -> Validator {
    Validator { party: party.into(), ..a_validator(name) }
}

/// A set of validators of one vote each.
pub fn set(members: &[(&str, &str)]) -> ValidatorSet {
    let members: Vec<(&str, &str, u32)> =
        members.iter().map(|(name, party)| (*name, *party, 1)).collect();
    weighted(&members)
}

/// A set of validators whose votes count as much as is said here.
pub fn weighted(members: &[(&str, &str, u32)]) -> ValidatorSet {
    let weighted = |(name, party, power): &(&str, &str, u32)| Validator {
        power: *power,
        ..member(name, party)
    };
    let mut validators: Vec<Validator> = members.iter().map(weighted).collect();
    validators.sort_by_key(|validator| sha256(&[&validator.vote_key]));
    ValidatorSet { validators }
}

/// A genesis document with the first validators.
pub fn genesis(clock: Clock, start_ms: u64, limits: Limits) -> GenesisDocument {
    genesis_with(set(&MEMBERS), 1, clock, start_ms, limits)
}

/// A new set of validators, signed by these parties.
pub fn validators_changed(set: ValidatorSet, parties: &[&'static str]) -> Deed {
    let event = ValidatorsChanged { validators: Some(set) };
    Deed::new("validators:current", Act::ValidatorsChanged(event), founders(parties)).binding()
}

/// A version of the protocol from a height on, signed by these parties.
pub fn protocol_activated(version: u32, height: u64, parties: &[&'static str]) -> Deed {
    let event = ProtocolActivated { version, height };
    Deed::new("ledger:genesis", Act::ProtocolActivated(event), founders(parties)).binding()
}

/// Budgets, or none any more, signed by these parties.
pub fn budgets_set(budgets: Option<Budgets>, parties: &[&'static str]) -> Deed {
    let event = BudgetsSet { budgets };
    Deed::new("ledger:genesis", Act::BudgetsSet(event), founders(parties)).binding()
}

/// A key of a party revoked by these parties.
pub fn key_revoked_by(parties: &[&'static str], party: &'static str, label: Label) -> Deed {
    acts::key_revoked(party, label).signed_by(founders(parties))
}

/// A first key again of a party that has none any more, by these parties.
pub fn key_enrolled_by(parties: &[&'static str], party: &'static str) -> Deed {
    let deed = acts::key_enrolled(party, Label::Fresh).signed_by(founders(parties));
    deed.and(sign(party, Label::Fresh, roles(party)[0], Purpose::Possession))
}

/// Two precommits of one round by a validator, for these blocks.
pub fn voted(ledger: LedgerId, name: &str, height: u64, blocks: [u8; 2]) -> Evidence {
    let key = validator_key_of(name, "vote");
    let step = VoteStep::Precommit;
    let votes = blocks.map(|block| {
        let block = Some(BlockHash([block; 32]));
        let bytes = vote_bytes(&ledger, step, height, 0, block.as_ref());
        SignedVote { block, signature: key.sign(&bytes).to_bytes() }
    });
    let id = KeyId::of(key.verifying_key().as_bytes());
    Evidence::double_vote(ledger, height, (0, step, id), votes)
}

/// Evidence, recorded by a party.
pub fn misconduct_recorded(evidence: &Evidence, party: &'static str, role: Role) -> Deed {
    let event = MisconductRecorded { evidence: evidence.encode().into() };
    let subject = format!("misconduct:{}", evidence.id());
    Deed::new(&subject, Act::MisconductRecorded(event), alone(party, role))
}
