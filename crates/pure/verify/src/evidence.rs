//! Whom evidence proves guilty (docs/spec/evidence.md): validators that signed what no honest one signs together.
//!
//! **Invariant:** nobody honest is named. A validator logs a vote or a proposal durably before anybody sees it and signs one a
//! round, whatever it hears and however often it restarts; so two different ones of a round are its own fault. Where statements
//! leave a doubt whose fault they are, nobody is named.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ledger_format::digest::{KeyId, LedgerId};
use ledger_format::evidence::{Evidence, EvidenceFile, Offence, presentation_bytes};
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::validators::{Member, Validators};
use ledger_format::vote::Certificate;

use crate::block::check_certificate;
use crate::entry::check_genesis_keys;
use crate::finding::{Code, Place, Refuted};
use crate::proof::{changes_shown, check_changes};
use crate::signature::{self, Batch};
use crate::verdict::{Aspect, Report, Verdict, caveats};

/// A validator that evidence proves guilty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// Key id of its vote key.
    pub key: KeyId,
    /// Name of the validator.
    pub name: String,
    /// The organisation that answers for the key.
    pub party: String,
}

impl Culprit {
    fn of(member: &Member) -> Self {
        Self { key: member.id, name: member.name.clone(), party: member.party.clone() }
    }
}

/// The culprits of evidence, by the validators of its height. Never none.
///
/// # Errors
/// [`Verdict::TrustNotMet`] for another ledger, [`Verdict::NotDetermined`] for a key that is none of the set, or when the
/// statements show an offence and not whose; [`Verdict::Refuted`] with `V_SIGNATURE`, `V_NO_CONFLICT`, or what speaks against a
/// certificate.
pub fn judge(
    ledger: &LedgerId,
    validators: &Validators,
    evidence: &Evidence,
) -> Result<Vec<Culprit>, Verdict> {
    check_ledger(ledger, evidence)?;
    match &evidence.offence {
        Offence::DoubleVote { round, step, validator, votes } => {
            let [first, second] = votes;
            let member = known(validators, validator)?;
            differ(evidence, first.block == second.block)?;
            let signed = evidence.vote_bytes(*round, *step, votes);
            check_signed(evidence, member, &signed, [&first.signature, &second.signature])?;
            Ok([Culprit::of(member)].into())
        }
        Offence::DoubleProposal { round, validator, proposals } => {
            let [first, second] = proposals;
            let member = known(validators, validator)?;
            differ(evidence, first.block == second.block)?;
            let signed = evidence.proposal_bytes(*round, proposals);
            check_signed(evidence, member, &signed, [&first.signature, &second.signature])?;
            Ok([Culprit::of(member)].into())
        }
        Offence::ConflictingCertificates(certificates) => {
            let [first, second] = certificates;
            differ(evidence, first.block == second.block)?;
            let [by_first, by_second] = signers(evidence, validators, certificates)?;
            if first.round != second.round {
                // Who precommitted in one round may rightly precommit something else in a later one, if a quorum's prevotes
                // released it: these may be forged by the guilty, and are not in the certificates.
                let reason = "the ledger was forked, but not in one round: certificates of two rounds do not tell who lied from who was lied to";
                return Err(Verdict::NotDetermined(reason.into()));
            }
            let both = by_first.into_iter().filter(|member| by_second.contains(member));
            Ok(both.map(Culprit::of).collect())
        }
        Offence::ForgedCertificate { validator, header, certificate, signature } => {
            let member = known(validators, validator)?;
            if header.validators != validators.hash() {
                let reason = "the header's validators are not those at hand: whether they certified it, these do not tell";
                return Err(Verdict::NotDetermined(reason.into()));
            }
            check_presented(member, header, certificate, signature)?;
            if check_certificate(validators, header, certificate).is_ok() {
                let detail = "the certificate is good";
                return Err(Refuted::new(Code::NoConflict, place(evidence), detail).into());
            }
            Ok([Culprit::of(member)].into())
        }
    }
}

/// Whether a validator has given a block away as decided with this certificate. An honest one checks it before it signs that.
///
/// # Errors
/// `V_SIGNATURE`.
pub fn check_presented(
    member: &Member,
    header: &Header,
    certificate: &Certificate,
    signature: &[u8; 64],
) -> Result<(), Refuted> {
    let bytes = presentation_bytes(&header.ledger, &header.hash(), certificate);
    signature::verify(&member.vote_key, &bytes, signature).map_err(|error| {
        let detail = format!("presentation by {}: {error}", member.id);
        Refuted::new(Code::Signature, Place::block(header.height), detail)
    })
}

fn check_ledger(ledger: &LedgerId, evidence: &Evidence) -> Result<(), Verdict> {
    if evidence.ledger == *ledger {
        return Ok(());
    }
    let reason = format!("it is of ledger {}, trust was stated in {ledger}", evidence.ledger);
    Err(Verdict::TrustNotMet(reason))
}

fn place(evidence: &Evidence) -> Place {
    Place::block(evidence.height)
}

fn known<'a>(validators: &'a Validators, key: &KeyId) -> Result<&'a Member, Verdict> {
    validators.get(key).ok_or_else(|| {
        let reason = format!(
            "key {key} is of none of the validators at hand; whose it was at that height, they do not tell"
        );
        Verdict::NotDetermined(reason)
    })
}

/// What makes an offence of two statements: they are for different things.
fn differ(evidence: &Evidence, same: bool) -> Result<(), Refuted> {
    if !same {
        return Ok(());
    }
    let name = evidence.offence.name();
    let detail = format!("both statements of a {name} are for the same block");
    Err(Refuted::new(Code::NoConflict, place(evidence), detail))
}

/// Both statements bear the member's signature.
fn check_signed(
    evidence: &Evidence,
    member: &Member,
    signed: &[[u8; 96]; 2],
    signatures: [&[u8; 64]; 2],
) -> Result<(), Refuted> {
    for (number, (bytes, signature)) in (1..).zip(signed.iter().zip(signatures)) {
        signature::verify(&member.vote_key, bytes, signature).map_err(|error| {
            let detail = format!("statement {number} by {}: {error}", member.id);
            Refuted::new(Code::Signature, place(evidence), detail)
        })?;
    }
    Ok(())
}

/// Who signed certificates, which must be such: of the evidence's height, with the good signatures of a quorum. Each is asked of both
/// before the next: with a signer that the set does not know, it is open which set signed, and so what a quorum of it is.
fn signers<'a>(
    evidence: &Evidence,
    validators: &'a Validators,
    certificates: &[Certificate; 2],
) -> Result<[Vec<&'a Member>; 2], Verdict> {
    for certificate in certificates {
        if certificate.height != evidence.height {
            let (expected, found) = (evidence.height, certificate.height);
            return Err(Refuted::differs(Code::NoConflict, place(evidence), expected, found).into());
        }
    }
    let [first, second] = certificates;
    let members = [members_of(validators, first)?, members_of(validators, second)?];
    for (certificate, members) in certificates.iter().zip(&members) {
        check_signatures(evidence, certificate, members)?;
    }
    for members in &members {
        let power = members.iter().map(|member| u64::from(member.power)).sum();
        if !validators.is_quorum(power) {
            let detail = format!("power {power} of {}", validators.total_power());
            return Err(Refuted::new(Code::Quorum, place(evidence), detail).into());
        }
    }
    Ok(members)
}

/// The members whose signatures a certificate has, in its order.
fn members_of<'a>(
    validators: &'a Validators,
    certificate: &Certificate,
) -> Result<Vec<&'a Member>, Verdict> {
    certificate.signatures.iter().map(|(validator, _)| known(validators, validator)).collect()
}

fn check_signatures(
    evidence: &Evidence,
    certificate: &Certificate,
    members: &[&Member],
) -> Result<(), Refuted> {
    let message = certificate.signed_bytes(&evidence.ledger);
    let mut batch = Batch::with_capacity(members.len());
    for (member, (_, signature)) in members.iter().zip(&certificate.signatures) {
        batch.push(&member.vote_key, &message, signature);
    }
    batch.verify().map_err(|failures| {
        let detail = format!("certificate of block {}: {failures}", certificate.block);
        Refuted::new(Code::CertificateSignature, place(evidence), detail)
    })
}

/// Verifies an evidence file for whoever trusts a ledger id, and names the culprits if it proves any. `genesis` is used when the
/// file has no genesis document of its own.
///
/// The validators are those of genesis, and those that the file's changes lead to.
pub fn verify_evidence_file(
    file: &EvidenceFile,
    genesis: Option<&GenesisDocument>,
    trust: &LedgerId,
) -> (Report, Vec<Culprit>) {
    let Some(genesis) = file.genesis.as_ref().or(genesis) else {
        let reason = "the file has no genesis document, which says whose keys these are: --genesis";
        return (Report::bare(Verdict::NotDetermined(reason.into())), Vec::new());
    };
    match judge_file(file, genesis, trust) {
        Ok((culprits, signed)) => {
            let mut report = report(file, &culprits);
            caveats(genesis, &signed, &mut report);
            (report, culprits)
        }
        Err(verdict) => (Report::bare(verdict), Vec::new()),
    }
}

/// By the set that signs the evidence's height; and by every other one that the file shows, the newest first, since a key that signs two
/// statements of one round outside its heights is no more honest. The verdict of the height's own set stands if none names anybody.
/// Gives the sets as well whose quorum has signed: each change, or certificates that contradict each other.
fn judge_file(
    file: &EvidenceFile,
    genesis: &GenesisDocument,
    trust: &LedgerId,
) -> Result<(Vec<Culprit>, Vec<Validators>), Verdict> {
    check_genesis(genesis, trust)?;
    check_ledger(trust, &file.evidence)?;
    let changed = check_changes(genesis, &file.changes)?;
    let signs = |(above, _): &&(u64, Validators)| *above < file.evidence.height;
    let own = changed.iter().rfind(signs).map_or_else(|| genesis.validators(), |(_, set)| set);
    let sets = changed.iter().rev().map(|(_, set)| set);
    let mut others = sets.chain(core::iter::once(genesis.validators())).filter(|set| *set != own);
    let by = |set| judge(trust, set, &file.evidence).map(|culprits| (culprits, set));
    let (culprits, judged_by) =
        by(own).or_else(|verdict| others.find_map(|set| by(set).ok()).ok_or(verdict))?;
    // The last set has certified no change: of it nothing is asked but whose keys are in it.
    let sets = core::iter::once(genesis.validators()).chain(changed.iter().map(|(_, set)| set));
    let mut signed: Vec<Validators> = sets.take(changed.len()).cloned().collect();
    if matches!(file.evidence.offence, Offence::ConflictingCertificates(_)) {
        signed.push(judged_by.clone());
    }
    Ok((culprits, signed))
}

fn check_genesis(genesis: &GenesisDocument, trust: &LedgerId) -> Result<(), Verdict> {
    if genesis.id() != *trust {
        let reason =
            format!("the genesis is of ledger {}, trust was stated in {trust}", genesis.id());
        return Err(Verdict::TrustNotMet(reason));
    }
    Ok(check_genesis_keys(genesis)?)
}

fn report(file: &EvidenceFile, culprits: &[Culprit]) -> Report {
    let mut report = Report::bare(Verdict::Proven);
    let Evidence { height, offence, .. } = &file.evidence;
    let what = format!(
        "{} at height {height}, round {}: signed statements that no honest validator signs together",
        offence.name(),
        offence.round()
    );
    report.checked(Aspect::Integrity, what);
    changes_shown(&mut report, file.changes.len());
    for Culprit { key, name, party } in culprits {
        report.checked(Aspect::Identity, format!("{party} answers for {name}, vote key {key}"));
    }
    let doubt = "who held the key is not shown: whoever copied or stole it could sign as well, and its organisation answers for that";
    report.unchecked(Aspect::Scope, doubt.to_owned());
    report
}
