//! The state that a genesis document defines before any entry: its founders, their keys, its validators.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::{KeyRecord, LedgerRecord, PartyRecord, Record, Timeline};
use ledger_format::digest::{Hash, KeyId};
use ledger_format::genesis::GenesisDocument;
use ledger_format::id::state_key;
use ledger_format::message;

use crate::protocol::recorded;
use crate::view::Typed;

/// Id of the ledger's own record.
pub const LEDGER: &str = "ledger:genesis";
/// Id of the record of the validators: those that sign the second height after the state's.
pub const VALIDATORS: &str = "validators:current";
/// Id of the record of the validators before the last change, which sign one height more.
pub const VALIDATORS_BEFORE: &str = "validators:before";
/// Id of the record that names the sets of validators out of force.
pub const PAST_SETS: &str = "validators:past";

/// The records of the state that block 1 is judged by, ascending by state key.
pub fn genesis_records(genesis: &GenesisDocument) -> Vec<(Hash, Vec<u8>)> {
    let message = genesis.message();
    let mut records = Records::default();
    records.add(
        LEDGER,
        LedgerRecord {
            genesis: Bytes::copy_from_slice(genesis.id().as_bytes()),
            founders: message.founders.iter().map(|founder| founder.party.clone()).collect(),
            governance_threshold: message.governance_threshold,
            limits: Some(*genesis.limits()),
            clock: message.clock,
            awaited_documents: message.documents.clone(),
            protocol_version: recorded(message.protocol_version),
            ..LedgerRecord::default()
        },
    );
    records.add(VALIDATORS, genesis.validators().message().clone());
    for founder in &message.founders {
        let kids = founder.keys.iter().map(|key| kid(&key.public_key));
        records.add(
            &format!("party:{}", founder.party),
            PartyRecord {
                profile: founder.profile.clone(),
                roles: founder.roles.clone(),
                keys: kids.map(|kid| Bytes::copy_from_slice(kid.as_bytes())).collect(),
                admitted_by: String::new(),
            },
        );
        for key in &founder.keys {
            records.add(&format!("key:{}", kid(&key.public_key)), key_record(&founder.party, key));
        }
    }
    records.0.into_iter().collect()
}

/// The record of a newly enrolled key.
pub(crate) fn key_record(party: &str, key: &ledger_event::KeyGrant) -> KeyRecord {
    KeyRecord {
        party: party.to_string(),
        public_key: key.public_key.clone(),
        factor: key.factor,
        officer: key.officer.clone(),
        revoked_ms: 0,
    }
}

/// The id of a key whose length has been checked; of other lengths, the id of no key.
pub(crate) fn kid(public_key: &[u8]) -> KeyId {
    public_key.try_into().map(|key| KeyId::of(&key)).unwrap_or_default()
}

#[derive(Default)]
struct Records(BTreeMap<Hash, Vec<u8>>);

impl Records {
    fn add(&mut self, id: &str, body: impl Typed) {
        let record = Record {
            id: String::from(id),
            timeline: Some(Timeline::default()),
            body: Some(body.into_body()),
        };
        self.0.insert(state_key(id), message::encode(&record));
    }
}
