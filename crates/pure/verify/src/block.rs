//! Headers and certificates: that a block follows the one before, and that enough validators signed it.

use alloc::format;
use alloc::string::String;

use ledger_event::Clock;
use ledger_format::digest::{Hash, KeyId, hex};
use ledger_format::genesis::{GenesisDocument, PROTOCOL_VERSIONS};
use ledger_format::header::Header;
use ledger_format::validators::Validators;
use ledger_format::vote::Certificate;

use crate::finding::{Code, Place, Refuted};
use crate::signature::Batch;

/// Checks everything that a header must have in common with the header before it, or with genesis at height 1. `version` is the
/// protocol's at that height, `validators` the set that signs it.
///
/// # Errors
/// The first contradiction.
pub fn check_header(
    genesis: &GenesisDocument,
    previous: Option<&Header>,
    version: u32,
    validators: &Validators,
    header: &Header,
) -> Result<(), Refuted> {
    let place = || Place::block(header.height);
    if header.ledger != genesis.id() {
        return Err(Refuted::differs(Code::HeaderLedger, place(), genesis.id(), header.ledger));
    }
    let found = header.protocol_version;
    if found != version {
        return Err(Refuted::differs(Code::Version, place(), version, found));
    }
    if let Some(why) = unknown_version(header.height, found) {
        return Err(Refuted::new(Code::Version, place(), why));
    }
    let height = previous.map_or(0, |previous| previous.height).saturating_add(1);
    if header.height != height {
        let found = header.height;
        return Err(Refuted::differs(Code::Height, Place::block(height), height, found));
    }
    let hash = previous.map_or(genesis.id().0, |previous| previous.hash().0);
    if header.previous != hash {
        let found = hex(&header.previous);
        return Err(Refuted::differs(Code::Previous, place(), hex(&hash), found));
    }
    let before = previous.map_or(genesis.message().start_ms, |previous| previous.time_ms);
    if header.time_ms <= before {
        let detail = format!("{} ms is not after {before} ms", header.time_ms);
        return Err(Refuted::new(Code::Time, place(), detail));
    }
    let in_force =
        previous.map_or(genesis.validators().hash(), |previous| previous.next_validators);
    for (found, expected) in [(header.validators, in_force), (in_force, validators.hash())] {
        if found != expected {
            return Err(Refuted::differs(Code::Validators, place(), hex(&expected), hex(&found)));
        }
    }
    if validators.get(&header.proposer).is_none() {
        return Err(Refuted::new(Code::Proposer, place(), format!("{}", header.proposer)));
    }
    Ok(())
}

/// Why this program cannot tell what a block of a version of the protocol says, if it does not know the version. Who only verifies
/// accuses nobody for that.
pub fn unknown_version(height: u64, version: u32) -> Option<String> {
    let last = PROTOCOL_VERSIONS.end();
    let why = || {
        format!(
            "block {height} follows protocol version {version}, and this program knows 1 to {last}"
        )
    };
    (!PROTOCOL_VERSIONS.contains(&version)).then(why)
}

/// Checks the time rules that leave a proposer no choice. The first header's time is one millisecond after genesis, whatever the
/// clock, so that a genesis file can be signed long before it is used. On a declared clock every other header's time is the
/// latest that an entry claims, or one millisecond after the header before.
///
/// On a wall clock a header's time is its proposer's; what an auditor can check is that times ascend.
///
/// # Errors
/// [`Code::Time`].
pub fn check_fixed_time(
    genesis: &GenesisDocument,
    before_ms: u64,
    header: &Header,
    latest_issued_s: u64,
) -> Result<(), Refuted> {
    let expected = match (header.height, genesis.clock()) {
        (1, _) => before_ms.saturating_add(1),
        (_, Clock::Declared) => declared_time(before_ms, latest_issued_s),
        (_, Clock::Wall | Clock::Unspecified) => return Ok(()),
    };
    if header.time_ms != expected {
        let place = Place::block(header.height);
        return Err(Refuted::differs(Code::Time, place, expected, header.time_ms));
    }
    let step = u64::from(genesis.limits().declared_step_s).saturating_mul(1000);
    if expected > before_ms.saturating_add(step) {
        let detail = format!("the clock moved more than {step} ms");
        return Err(Refuted::new(Code::Time, Place::block(header.height), detail));
    }
    Ok(())
}

/// The header time of a declared clock.
pub fn declared_time(before_ms: u64, latest_issued_s: u64) -> u64 {
    latest_issued_s.saturating_mul(1000).max(before_ms.saturating_add(1))
}

/// Who stands behind a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Support {
    /// Validators that signed.
    pub signers: usize,
    /// Their power.
    pub power: u64,
    /// Power of the whole set.
    pub total: u64,
}

/// Checks that a certificate is for this header, whoever signed it.
///
/// # Errors
/// [`Code::CertificateBlock`].
pub fn check_certified(header: &Header, certificate: &Certificate) -> Result<(), Refuted> {
    if certificate.height == header.height && certificate.block == header.hash() {
        return Ok(());
    }
    let found = format!("height {} block {}", certificate.height, certificate.block);
    let expected = format!("height {} block {}", header.height, header.hash());
    let place = Place::block(header.height);
    Err(Refuted::differs(Code::CertificateBlock, place, expected, found))
}

/// Checks a certificate: for this header, every signature valid and by a validator of the set, more than two thirds of the power.
///
/// # Errors
/// The first contradiction.
pub fn check_certificate(
    validators: &Validators,
    header: &Header,
    certificate: &Certificate,
) -> Result<Support, Refuted> {
    let place = || Place::block(header.height);
    check_certified(header, certificate)?;
    let message = certificate.signed_bytes(&header.ledger);
    let mut batch = Batch::with_capacity(certificate.signatures.len());
    let mut power: u64 = 0;
    for (validator, signature) in &certificate.signatures {
        let member = validators.get(validator).ok_or_else(|| {
            Refuted::new(Code::CertificateSigner, place(), format!("{validator}"))
        })?;
        power = power.saturating_add(u64::from(member.power));
        batch.push(&member.vote_key, &message, signature);
    }
    if let Err(failures) = batch.verify() {
        let first = failures.as_slice().first();
        let signer = first.and_then(|(index, _)| certificate.signatures.get(*index));
        let signer = signer.map(|(validator, _)| *validator).unwrap_or_default();
        let detail = format!("validator {signer}: {failures}");
        return Err(Refuted::new(Code::CertificateSignature, place(), detail));
    }
    let total = validators.total_power();
    if !validators.is_quorum(power) {
        let detail = format!("power {power} of {total}");
        return Err(Refuted::new(Code::Quorum, place(), detail));
    }
    Ok(Support { signers: certificate.signatures.len(), power, total })
}

/// The validator that proposes at a height and round: they take turns in order of their ids.
pub fn proposer(validators: &Validators, height: u64, round: u32) -> KeyId {
    let count = u64::try_from(validators.members().len()).unwrap_or(u64::MAX);
    let turn = height.wrapping_add(u64::from(round)).checked_rem(count).unwrap_or_default();
    let index = usize::try_from(turn).unwrap_or_default();
    validators.members().get(index).map(|member| member.id).unwrap_or_default()
}

/// Compares a root with the one in a header.
///
/// # Errors
/// `code`.
pub fn check_root(code: Code, place: Place, expected: &Hash, found: &Hash) -> Result<(), Refuted> {
    if expected == found {
        return Ok(());
    }
    Err(Refuted::differs(code, place, hex(expected), hex(found)))
}
