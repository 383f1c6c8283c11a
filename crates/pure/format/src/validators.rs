//! Validator sets: who may sign blocks, with which keys and power (docs/spec/genesis.md).

use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::{Validator, ValidatorSet};

use crate::digest::{Hash, KeyId, hash_from_slice, sha256};
use crate::id::check_party;
use crate::limits::{MAX_NAME_BYTES, MAX_POWER, MAX_VALIDATORS};
use crate::malformed::{Kind, Malformed};
use crate::message;
use crate::planted::{self, Bug};

const MARK: &[u8] = b"ledger/validators/v1\0";

/// A checked validator set.
#[derive(Clone, Debug, PartialEq)]
pub struct Validators {
    set: ValidatorSet,
    members: Vec<Member>,
    hash: Hash,
}

/// One validator, with its keys as arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Key id of the vote key: the validator's name in headers and certificates.
    pub id: KeyId,
    /// The party that runs it.
    pub party: String,
    /// Name of its log and cosigner keys in notes.
    pub name: String,
    /// Voting power.
    pub power: u32,
    /// Signs votes and proposals.
    pub vote_key: [u8; 32],
    /// Signs checkpoints as the log.
    pub log_key: [u8; 32],
    /// Cosigns checkpoints as a witness.
    pub cosign_key: [u8; 32],
    /// Signs receipts.
    pub receipt_key: [u8; 32],
}

use alloc::string::String;

impl Validators {
    /// Checks a set: 1 to 256 members ascending by id, power 1 to 1,000,000, names fit for notes, no key used twice.
    ///
    /// # Errors
    /// A [`Malformed`] that names the member.
    pub fn new(set: ValidatorSet) -> Result<Self, Malformed> {
        let wrong = |detail: String| Err(Malformed::new(Kind::Value, "validators", detail));
        if set.validators.is_empty() || set.validators.len() > MAX_VALIDATORS {
            return wrong(format!(
                "expected 1 to {MAX_VALIDATORS}, found {}",
                set.validators.len()
            ));
        }
        let members = set.validators.iter().map(member).collect::<Result<Vec<_>, _>>()?;
        if !members.iter().zip(members.iter().skip(1)).all(|(a, b)| a.id < b.id) {
            return wrong("not strictly ascending by SHA-256 of the vote key".into());
        }
        let mut keys: Vec<&[u8; 32]> = members.iter().flat_map(Member::keys).collect();
        keys.sort_unstable();
        if keys.iter().zip(keys.iter().skip(1)).any(|(a, b)| a == b) {
            return wrong("a key serves two purposes".into());
        }
        let hash = sha256(&[MARK, &message::encode(&set)]);
        Ok(Self { set, members, hash })
    }

    /// Reads the canonical bytes of a set.
    ///
    /// # Errors
    /// As [`Validators::new`], and for bytes that are not canonical.
    pub fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        Self::new(message::decode("validators", bytes)?)
    }

    /// The message.
    pub const fn message(&self) -> &ValidatorSet {
        &self.set
    }

    /// SHA-256 of a domain tag and the canonical bytes: what headers name.
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// The members, ascending by id.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member of that id.
    pub fn get(&self, id: &KeyId) -> Option<&Member> {
        let index = self.members.binary_search_by(|member| member.id.cmp(id)).ok()?;
        self.members.get(index)
    }

    /// Sum of all power.
    pub fn total_power(&self) -> u64 {
        self.members.iter().map(|member| u64::from(member.power)).sum()
    }

    /// Power of those of these ids that are members.
    pub fn power_of<'a>(&self, ids: impl IntoIterator<Item = &'a KeyId>) -> u64 {
        let members = ids.into_iter().filter_map(|id| self.get(id));
        members.map(|member| u64::from(member.power)).sum()
    }

    /// Whether `power` is more than two thirds of the total.
    pub fn is_quorum(&self, power: u64) -> bool {
        if planted::is(Bug::QuorumOfHalf) {
            return power.saturating_mul(2) > self.total_power();
        }
        power.saturating_mul(3) > self.total_power().saturating_mul(2)
    }

    /// How many validators may fail without stopping or forking the ledger, whichever they are: as many of the most powerful as
    /// have less than a third of the power together. Of n with equal power, (n - 1) / 3.
    pub fn tolerated_faults(&self) -> usize {
        let mut powers: Vec<u64> = self.members.iter().map(|member| member.power.into()).collect();
        powers.sort_unstable_by(|a, b| b.cmp(a));
        let total = self.total_power();
        let mut failed: u64 = 0;
        let tolerated = powers.iter().take_while(|power| {
            failed = failed.saturating_add(**power);
            failed.saturating_mul(3) < total
        });
        tolerated.count()
    }

    /// The party that runs validators with more than two thirds of the power, if one does: it needs nobody's agreement.
    pub fn sole_operator(&self) -> Option<&str> {
        let power = |party: &str| {
            let own = self.members.iter().filter(|member| member.party == party);
            own.map(|member| u64::from(member.power)).sum()
        };
        let mut parties = self.members.iter().map(|member| member.party.as_str());
        parties.find(|party| self.is_quorum(power(party)))
    }
}

impl Member {
    /// All its keys: vote, log, cosign, receipt.
    pub fn keys(&self) -> [&[u8; 32]; 4] {
        [&self.vote_key, &self.log_key, &self.cosign_key, &self.receipt_key]
    }
}

fn member(validator: &Validator) -> Result<Member, Malformed> {
    check_party("validator", &validator.party)?;
    check_note_name("validator name", &validator.name)?;
    if validator.power == 0 || validator.power > MAX_POWER {
        let detail = format!("power {} is not within 1 to {MAX_POWER}", validator.power);
        return Err(Malformed::new(Kind::Value, "validator", detail));
    }
    let vote_key = hash_from_slice("vote key", &validator.vote_key)?;
    Ok(Member {
        id: KeyId::of(&vote_key),
        party: validator.party.clone(),
        name: validator.name.clone(),
        power: validator.power,
        vote_key,
        log_key: hash_from_slice("log key", &validator.log_key)?,
        cosign_key: hash_from_slice("cosign key", &validator.cosign_key)?,
        receipt_key: hash_from_slice("receipt key", &validator.receipt_key)?,
    })
}

/// Checks a key name or origin of a C2SP note: printable ASCII without spaces and plus signs, 1 to 255 bytes.
///
/// # Errors
/// [`Kind::Identifier`] with what was found.
pub fn check_note_name(at: &'static str, name: &str) -> Result<(), Malformed> {
    let allowed = |b: u8| b.is_ascii_graphic() && b != b'+';
    if !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Malformed::new(Kind::Identifier, at, format!("{name:?} cannot name a key in a note")))
}
