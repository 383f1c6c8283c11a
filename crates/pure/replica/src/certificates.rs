//! Certificates that validators send each other, judged by the auditor's signature rule. A certificate counts only if every vote in
//! it is one validator's, signed, and for what the certificate says.

use std::collections::BTreeSet;

use consensus_types::{
    CertificateError, CommitCertificate, CommitSignature, PolkaCertificate, Round,
    RoundCertificate, RoundCertificateType, ValidatorSet as _, VoteType,
};
use ledger_format::digest::LedgerId;
use ledger_format::vote::Certificate;
use ledger_verify::signature;

use crate::context::{EngineSignature, EngineValidators, EngineVote, Ledger, ValidatorId, number};
use crate::verified::Verified;

type Verdict = Result<(), CertificateError<Ledger>>;

/// Adds up the power of distinct validators.
struct Count<'a> {
    set: &'a EngineValidators,
    seen: BTreeSet<ValidatorId>,
    power: u64,
}

impl<'a> Count<'a> {
    const fn new(set: &'a EngineValidators) -> Self {
        Self { set, seen: BTreeSet::new(), power: 0 }
    }

    /// Takes one validator into account, and gives its vote key.
    #[expect(clippy::result_large_err, reason = "the engine's own error type")]
    fn add(&mut self, id: ValidatorId) -> Result<[u8; 32], CertificateError<Ledger>> {
        let member = self.set.set().get(&id.0).ok_or(CertificateError::UnknownValidator(id))?;
        if !self.seen.insert(id) {
            return Err(CertificateError::DuplicateVote(id));
        }
        self.power = self.power.saturating_add(u64::from(member.power));
        Ok(member.vote_key)
    }

    #[expect(clippy::result_large_err, reason = "the engine's own error type")]
    fn enough(&self, enough: bool) -> Verdict {
        let total = self.set.total_voting_power();
        if enough {
            return Ok(());
        }
        Err(CertificateError::NotEnoughVotingPower { signed: self.power, total, expected: total })
    }

    fn is_quorum(&self) -> bool {
        self.set.set().is_quorum(self.power)
    }

    /// Whether at least one honest validator is among them: more than a third of the power.
    fn has_honest(&self) -> bool {
        self.power.saturating_mul(3) > self.set.total_voting_power()
    }
}

fn is_signed(ledger: &LedgerId, key: &[u8; 32], vote: &EngineVote, by: &EngineSignature) -> bool {
    signature::verify(key, &vote.signed_bytes(ledger), &by.0).is_ok()
}

/// Precommits of a quorum for one block: the engine checks what it has just made itself.
#[expect(clippy::result_large_err, reason = "the engine's own error type")]
pub(crate) fn check_commit(
    ledger: &LedgerId,
    certificate: &CommitCertificate<Ledger>,
    set: &EngineValidators,
    verified: &mut Verified,
) -> Verdict {
    let message = decided(certificate).signed_bytes(ledger);
    let mut count = Count::new(set);
    for commit in &certificate.commit_signatures {
        let key = count.add(commit.address)?;
        if !verified.check(&key, &message, &commit.signature.0) {
            return Err(CertificateError::InvalidCommitSignature(commit.clone()));
        }
    }
    count.enough(count.is_quorum())
}

/// Prevotes of a quorum for one block.
#[expect(clippy::result_large_err, reason = "the engine's own error type")]
pub(crate) fn check_polka(
    ledger: &LedgerId,
    certificate: &PolkaCertificate<Ledger>,
    set: &EngineValidators,
) -> Verdict {
    let mut count = Count::new(set);
    for polka in &certificate.polka_signatures {
        let key = count.add(polka.address)?;
        let vote = EngineVote {
            step: VoteType::Prevote,
            height: certificate.height,
            round: certificate.round,
            value: consensus_types::NilOrVal::Val(certificate.value_id),
            validator: polka.address,
        };
        if certificate.round == Round::Nil || !is_signed(ledger, &key, &vote, &polka.signature) {
            return Err(CertificateError::InvalidPolkaSignature(polka.clone()));
        }
    }
    count.enough(count.is_quorum())
}

/// Precommits of a quorum for anything, which end a round; or votes of any kind by more than a third, which show that somebody
/// honest is in a later round.
#[expect(clippy::result_large_err, reason = "the engine's own error type")]
pub(crate) fn check_round(
    ledger: &LedgerId,
    certificate: &RoundCertificate<Ledger>,
    set: &EngineValidators,
) -> Verdict {
    let ends = certificate.cert_type == RoundCertificateType::Precommit;
    let mut count = Count::new(set);
    for signed in &certificate.round_signatures {
        let key = count.add(signed.address)?;
        let vote = EngineVote {
            step: signed.vote_type,
            height: certificate.height,
            round: certificate.round,
            value: signed.value_id,
            validator: signed.address,
        };
        if certificate.round == Round::Nil
            || (ends && signed.vote_type != VoteType::Precommit)
            || !is_signed(ledger, &key, &vote, &signed.signature)
        {
            return Err(CertificateError::InvalidRoundSignature(signed.clone()));
        }
    }
    count.enough(if ends { count.is_quorum() } else { count.has_honest() })
}

/// The engine's certificate in our form, ascending by validator.
pub(crate) fn decided(certificate: &CommitCertificate<Ledger>) -> Certificate {
    let signature = |commit: &CommitSignature<Ledger>| (commit.address.0, commit.signature.0);
    let mut signatures: Vec<_> = certificate.commit_signatures.iter().map(signature).collect();
    signatures.sort_unstable_by_key(|(validator, _)| *validator);
    Certificate {
        height: certificate.height.0,
        round: number(certificate.round),
        block: certificate.value_id.0,
        signatures,
    }
}
