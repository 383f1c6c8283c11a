//! The seal of a ceremony, rehearsed: with stand-ins for those who are not there and keys of its own for those who have not signed,
//! so that what a node could not begin with is refused when it is given.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use ledger_event::{Factor, Founder, KeyGrant, PartyProfile, Role, Validator};
use ledger_format::digest::sha256;
use ledger_verify::entry::check_genesis_keys;

use super::{Ceremony, signs};
use crate::draft::DraftFile;
use crate::error::ClientError;
use crate::genesis::GenesisPlan;

impl Ceremony {
    /// Judges all that is there as [`Ceremony::seal`] will, in the same way. What only the whole can break is left to it: no
    /// validator, and a threshold above the number of founders.
    pub(super) fn rehearse(&self) -> Result<(), ClientError> {
        let mut plan = self.plan.clone();
        plan.governance_threshold = 1;
        complete(&mut plan);
        check_genesis_keys(&plan.document()?)?;
        // From here on each founder signs with a key that the rehearsal has: their own keys were judged.
        let keys: Vec<SigningKey> = (1..).take(plan.founders.len()).map(stand_in).collect();
        for (founder, key) in plan.founders.iter_mut().zip(&keys) {
            if let Some(grant) = founder.keys.iter_mut().find(|grant| signs(grant)) {
                grant.public_key = public(key);
            }
        }
        let ceremony = Self { plan, signatures: BTreeMap::new() };
        let mut draft = DraftFile::new(ceremony.draft(&ceremony.document()?)?);
        let (first, others) =
            keys.split_first().ok_or_else(|| ClientError::signers("no founder"))?;
        for key in others {
            draft.cosign(key)?;
        }
        ceremony.sealed(&draft, first).map(|_sealed| ())
    }
}

/// Puts a founder where nobody has come, and a validator where none has.
fn complete(plan: &mut GenesisPlan) {
    if plan.founders.is_empty() {
        plan.founders.push(Founder {
            party: "founder".into(),
            profile: Some(PartyProfile { jurisdiction: "CN".into(), ..PartyProfile::default() }),
            roles: vec![Role::Exchange.into()],
            keys: vec![KeyGrant {
                public_key: public(&stand_in(0)),
                factor: Factor::OrgHsm.into(),
                ..KeyGrant::default()
            }],
        });
    }
    let validators = &mut plan.validators.validators;
    if let (Some(founder), true) = (plan.founders.first(), validators.is_empty()) {
        // Numbers above those of the founders.
        let [vote_key, log_key, cosign_key, receipt_key] =
            [0, 1, 2, 3].map(|number| public(&stand_in(u32::MAX - number)));
        validators.push(Validator {
            party: founder.party.clone(),
            name: plan.origin.clone(),
            power: 1,
            vote_key,
            log_key,
            cosign_key,
            receipt_key,
        });
    }
}

/// A key that everybody can have, and that no genesis is ever written with.
fn stand_in(number: u32) -> SigningKey {
    SigningKey::from_bytes(&sha256(&[b"ledger/ceremony/rehearsal\0", &number.to_be_bytes()]))
}

fn public(key: &SigningKey) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(key.verifying_key().as_bytes())
}
