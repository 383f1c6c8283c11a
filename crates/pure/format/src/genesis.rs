//! The genesis document, from whose hash all trust in a ledger follows (docs/spec/genesis.md).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::{Clock, Factor, Founder, Genesis, Limits, Role};

use crate::digest::{KeyId, LedgerId, hash_from_slice, sha256};
use crate::id::check_party;
use crate::limits::{MAX_BLOCK_BYTES, MAX_BLOCK_ENTRIES, MAX_FOUNDERS, MAX_GENESIS_BYTES};
use crate::malformed::{Kind, Malformed};
use crate::message;
use crate::validators::{Validators, check_note_name};

/// The protocol versions that this code knows. Which one a height follows, the ledger says.
pub const PROTOCOL_VERSIONS: core::ops::RangeInclusive<u32> = 1..=5;

const MARK: &[u8] = b"ledger/genesis/v1\0";

/// A checked genesis document.
#[derive(Clone, Debug, PartialEq)]
pub struct GenesisDocument {
    bytes: Bytes,
    id: LedgerId,
    genesis: Genesis,
    limits: Limits,
    validators: Validators,
}

impl GenesisDocument {
    /// Reads the canonical bytes of a genesis document and checks every rule of docs/spec/genesis.md that needs no
    /// cryptography.
    ///
    /// # Errors
    /// A [`Malformed`] that names the part.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        if bytes.len() > MAX_GENESIS_BYTES {
            let detail = format!("{} bytes, at most {MAX_GENESIS_BYTES} allowed", bytes.len());
            return Err(Malformed::new(Kind::TooLarge, "genesis", detail));
        }
        let genesis: Genesis = message::decode("genesis", &bytes)?;
        let wrong = |detail: String| Malformed::new(Kind::Value, "genesis", detail);
        if !PROTOCOL_VERSIONS.contains(&genesis.protocol_version) {
            let (found, last) = (genesis.protocol_version, PROTOCOL_VERSIONS.end());
            return Err(wrong(format!("protocol version {found}, this code knows 1 to {last}")));
        }
        if genesis.name.is_empty() || genesis.start_ms == 0 || genesis.clock == 0 {
            return Err(wrong("name, start_ms and clock must be stated".into()));
        }
        check_note_name("origin", &genesis.origin)?;
        check_founders(&genesis)?;
        let set = genesis.validators.clone().ok_or_else(|| wrong("no validators".into()))?;
        let validators = Validators::new(set)?;
        let founded = |party: &str| genesis.founders.iter().any(|founder| founder.party == party);
        if !validators.members().iter().all(|member| founded(&member.party)) {
            return Err(wrong("a validator's party is not a founder".into()));
        }
        check_documents(&genesis.documents)?;
        let limits = genesis.limits.ok_or_else(|| wrong("no limits".into()))?;
        check_limits(&limits)?;
        let id = LedgerId(sha256(&[MARK, &bytes]));
        Ok(Self { bytes, id, genesis, limits, validators })
    }

    /// The exact bytes.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The ledger id: SHA-256 of a domain tag and the bytes.
    pub const fn id(&self) -> LedgerId {
        self.id
    }

    /// The document.
    pub const fn message(&self) -> &Genesis {
        &self.genesis
    }

    /// Windows and caps.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The first validators.
    pub const fn validators(&self) -> &Validators {
        &self.validators
    }

    /// What header times mean.
    pub fn clock(&self) -> Clock {
        self.genesis.clock()
    }
}

fn check_founders(genesis: &Genesis) -> Result<(), Malformed> {
    let founders = &genesis.founders;
    let wrong = |detail: String| Malformed::new(Kind::Value, "founders", detail);
    if founders.is_empty() || founders.len() > MAX_FOUNDERS {
        return Err(wrong(format!("expected 1 to {MAX_FOUNDERS}, found {}", founders.len())));
    }
    if !founders.iter().zip(founders.iter().skip(1)).all(|(a, b)| a.party < b.party) {
        return Err(wrong("not strictly ascending by party".into()));
    }
    let threshold = usize::try_from(genesis.governance_threshold).unwrap_or(usize::MAX);
    if threshold == 0 || threshold > founders.len() {
        return Err(wrong(format!("a governance threshold of {threshold}")));
    }
    let mut kids = Vec::new();
    for founder in founders {
        check_party("founder", &founder.party)?;
        check_founder(founder)?;
        for key in &founder.keys {
            kids.push(KeyId::of(&hash_from_slice("founder key", &key.public_key)?));
        }
    }
    kids.sort_unstable();
    if kids.iter().zip(kids.iter().skip(1)).any(|(a, b)| a == b) {
        return Err(wrong("a key is listed twice".into()));
    }
    Ok(())
}

fn check_founder(founder: &Founder) -> Result<(), Malformed> {
    let wrong = |why: &str| {
        Err(Malformed::new(Kind::Value, "founder", format!("{}: {why}", founder.party)))
    };
    if founder.profile.is_none() || founder.roles.is_empty() || founder.keys.is_empty() {
        return wrong("profile, roles and keys must be stated");
    }
    if founder.roles().any(|role| role == Role::Unspecified) {
        return wrong("an unspecified role");
    }
    if founder.keys.iter().any(|key| key.factor() == Factor::Unspecified) {
        return wrong("a key without a factor");
    }
    if founder.keys.iter().any(|key| !matches!(key.officer.len(), 0 | 32)) {
        return wrong("an officer commitment is not 32 bytes");
    }
    Ok(())
}

fn check_documents(documents: &[Bytes]) -> Result<(), Malformed> {
    for document in documents {
        hash_from_slice("document digest", document)?;
    }
    if documents.iter().zip(documents.iter().skip(1)).all(|(a, b)| a < b) {
        return Ok(());
    }
    Err(Malformed::new(Kind::Value, "genesis", "document digests are not strictly ascending"))
}

fn check_limits(limits: &Limits) -> Result<(), Malformed> {
    let within = |value: u32, most: usize| {
        usize::try_from(value).is_ok_and(|value| (1..=most).contains(&value))
    };
    let ok = within(limits.entry_window_s, 86_400 * 31)
        && within(limits.joint_entry_window_s, 86_400 * 366)
        && limits.entry_window_s <= limits.joint_entry_window_s
        && within(limits.declared_step_s, 86_400 * 366)
        && within(limits.skew_ms, 3_600_000)
        && within(limits.block_bytes, MAX_BLOCK_BYTES)
        && limits.block_bytes >= 128 * 1024
        && within(limits.block_entries, MAX_BLOCK_ENTRIES);
    if ok {
        return Ok(());
    }
    Err(Malformed::new(Kind::Value, "genesis limits", format!("out of range: {limits:?}")))
}
