//! Entries: whose signatures they carry. Keys are given by whoever calls; what the signers may do is the rules' question.

use alloc::format;
use alloc::vec::Vec;

use ledger_event::event::Act;
use ledger_event::{Genesis, KeyGrant, Purpose};
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::{Entry, Signed};
use ledger_format::genesis::GenesisDocument;
use ledger_format::validators::Validators;

use crate::finding::{Code, Place, Refuted};
use crate::signature::{self, Batch, PublicKey, SignatureError};

/// The keys that an entry itself brings, which sign it to show that their holders have them.
pub fn enrolled_keys(entry: &Entry) -> &[KeyGrant] {
    match &entry.event().act {
        Some(Act::PartyAdmitted(event)) => &event.keys,
        Some(Act::KeyEnrolled(event)) => event.key.as_slice(),
        _ => &[],
    }
}

/// Checks that every key that an entry enrols is sound (docs/spec/signature.md, enrolment).
///
/// # Errors
/// [`Code::WeakKey`].
pub fn check_enrolled_keys(entry: &Entry) -> Result<(), Refuted> {
    let place = Place { entry: Some(entry.id()), ..Place::default() };
    if let Some(Act::ValidatorsChanged(event)) = &entry.event().act {
        let members = event.validators.iter().flat_map(|set| &set.validators);
        let keys = members.flat_map(|member| {
            [&member.vote_key, &member.log_key, &member.cosign_key, &member.receipt_key]
        });
        return keys.into_iter().try_for_each(|key| check_key(key, &place));
    }
    check_grants(enrolled_keys(entry), &place)
}

fn check_grants(keys: &[KeyGrant], place: &Place) -> Result<(), Refuted> {
    keys.iter().try_for_each(|key| check_key(&key.public_key, place))
}

fn check_key(key: &[u8], place: &Place) -> Result<(), Refuted> {
    let sound = key.try_into().map(|bytes: [u8; 32]| PublicKey::enrol(&bytes));
    let detail = match sound {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => format!("{error}"),
        Err(_) => format!("expected 32 bytes, found {}", key.len()),
    };
    Err(Refuted::new(Code::WeakKey, place.clone(), detail))
}

/// Checks that every key of a validator set is sound. `height` is where the set was named.
///
/// # Errors
/// [`Code::WeakKey`].
pub fn check_validator_keys(validators: &Validators, height: u64) -> Result<(), Refuted> {
    validators.members().iter().try_for_each(|member| {
        let place = Place::record(height, &format!("validator {}", member.name));
        member.keys().into_iter().try_for_each(|key| check_key(key, &place))
    })
}

/// Checks that every key of a genesis document is sound.
///
/// # Errors
/// [`Code::WeakKey`].
pub fn check_genesis_keys(genesis: &GenesisDocument) -> Result<(), Refuted> {
    let message: &Genesis = genesis.message();
    for founder in &message.founders {
        check_grants(&founder.keys, &Place::record(0, &format!("party:{}", founder.party)))?;
    }
    check_validator_keys(genesis.validators(), 0)
}

/// The public key for each signature of an entry: a new key's from the entry itself, all others from `lookup`.
///
/// A kid is the hash of its key, so a wrong key cannot be found under it; `None` when no such key is known.
fn public_key(
    entry: &Entry,
    kid: &KeyId,
    lookup: &impl Fn(&KeyId) -> Option<[u8; 32]>,
) -> Option<[u8; 32]> {
    let new = entry
        .claims()
        .signers
        .iter()
        .any(|signer| signer.kid == *kid && signer.purpose == Purpose::Possession);
    if !new {
        return lookup(kid);
    }
    let keys =
        enrolled_keys(entry).iter().filter_map(|key| key.public_key.as_ref().try_into().ok());
    keys.into_iter().find(|key| KeyId::of(key) == *kid)
}

/// A signature that cannot be checked, since nobody knows the key.
fn unknown_key(entry: &Entry, kid: &KeyId) -> Refuted {
    let place = Place { entry: Some(entry.id()), ..Place::default() };
    Refuted::new(Code::Signature, place, format!("no key {kid} is known"))
}

/// Checks all signatures of one entry.
///
/// # Errors
/// [`Code::Signature`] or [`Code::WeakKey`], naming the key.
pub fn check_signatures(
    entry: &Entry,
    lookup: impl Fn(&KeyId) -> Option<[u8; 32]>,
) -> Result<(), Refuted> {
    check_enrolled_keys(entry)?;
    for signed in entry.signatures() {
        let key = public_key(entry, &signed.kid, &lookup);
        let key = key.ok_or_else(|| unknown_key(entry, &signed.kid))?;
        signature::verify(&key, &signed.message, &signed.signature)
            .map_err(|error| invalid(entry.id(), &signed.kid, error))?;
    }
    Ok(())
}

fn invalid(entry: EntryId, kid: &KeyId, error: SignatureError) -> Refuted {
    let place = Place { entry: Some(entry), ..Place::default() };
    Refuted::new(Code::Signature, place, format!("key {kid}: {error}"))
}

/// Signatures of many entries, checked together with the same verdicts as [`check_signatures`].
#[derive(Debug, Default)]
pub struct EntryBatch {
    batch: Batch,
    owners: Vec<(usize, EntryId, KeyId)>,
    failures: Vec<(usize, Refuted)>,
}

impl EntryBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry under a number of the caller's choice.
    pub fn push(
        &mut self,
        number: usize,
        entry: &Entry,
        lookup: impl Fn(&KeyId) -> Option<[u8; 32]>,
    ) {
        if let Err(refuted) = check_enrolled_keys(entry) {
            self.failures.push((number, refuted));
            return;
        }
        for Signed { kid, message, signature } in entry.signatures() {
            match public_key(entry, &kid, &lookup) {
                Some(key) => {
                    self.batch.push(&key, &message, &signature);
                    self.owners.push((number, entry.id(), kid));
                }
                None => self.failures.push((number, unknown_key(entry, &kid))),
            }
        }
    }

    /// Signatures added so far.
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether no signature was added.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// The entries that fail, each once with its first failure, ascending by number; empty when all are good.
    pub fn verify(self) -> Vec<(usize, Refuted)> {
        let mut failures = self.failures;
        if let Err(found) = self.batch.verify() {
            for (index, error) in found.as_slice() {
                if let Some((number, entry, kid)) = self.owners.get(*index) {
                    failures.push((*number, invalid(*entry, kid, *error)));
                }
            }
        }
        failures.sort_by_key(|(number, _)| *number);
        failures.dedup_by_key(|(number, _)| *number);
        failures
    }
}
