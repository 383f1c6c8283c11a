//! A ledger whose validators are several parties', and how they change the set and the protocol.

use ledger_event::event::Act;
use ledger_event::{Clock, Limits, ProtocolActivated, Validator, ValidatorSet, ValidatorsChanged};
use ledger_format::digest::sha256;
use ledger_format::genesis::GenesisDocument;

use crate::acts::founders;
use crate::cast::{AUTHORITY, EXCHANGE, REGISTRY};
use crate::deed::Deed;
use crate::{a_validator, genesis_with};

/// Names of the first validators, and whose they are: two of the three parties have a quorum if the exchange is one of them.
pub const MEMBERS: [(&str, &str); 4] =
    [("a-", EXCHANGE), ("b-", REGISTRY), ("c-", AUTHORITY), ("d-", EXCHANGE)];

/// A validator of a party.
pub fn member(name: &str, party: &str) -> Validator {
    Validator { party: party.into(), ..a_validator(name) }
}

/// A set of validators of one vote each.
pub fn set(members: &[(&str, &str)]) -> ValidatorSet {
    let mut validators: Vec<Validator> =
        members.iter().map(|(name, party)| member(name, party)).collect();
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
