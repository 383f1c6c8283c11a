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

#[cfg(test)]
#[expect(clippy::result_large_err, reason = "the engine's own error type")]
mod tests {
    use consensus_types::{NilOrVal, PolkaSignature, RoundSignature};
    use ledger_event::Clock;
    use ledger_fixtures::{Key, World};
    use ledger_format::digest::BlockHash;

    use super::*;
    use crate::context::{BlockHashId, BlockHeight};

    const HEIGHT: BlockHeight = BlockHeight(7);
    const ROUND: Round = Round::new(2);
    const BLOCK: BlockHashId = BlockHashId(BlockHash([0xaa; 32]));
    const OTHER: BlockHashId = BlockHashId(BlockHash([0xbb; 32]));

    /// Four validators: three are a quorum, and two hold somebody honest.
    fn world() -> World {
        World::new("certificates", &[1; 4], Clock::Wall)
    }

    fn set(world: &World) -> EngineValidators {
        EngineValidators::new(world.set())
    }

    fn key(world: &World, number: usize) -> &Key {
        &world.validators[number].vote
    }

    fn vote(by: &Key, step: VoteType, block: Option<BlockHashId>) -> EngineVote {
        let value = block.map_or(NilOrVal::Nil, NilOrVal::Val);
        EngineVote { step, height: HEIGHT, round: ROUND, value, validator: ValidatorId(by.id()) }
    }

    fn sign(world: &World, by: &Key, vote: &EngineVote) -> EngineSignature {
        EngineSignature(by.sign(&vote.signed_bytes(&world.genesis.id())))
    }

    /// Prevotes for the block.
    fn polka(world: &World, by: &[&Key]) -> PolkaCertificate<Ledger> {
        let signature = |by: &&Key| {
            let signature = sign(world, by, &vote(by, VoteType::Prevote, Some(BLOCK)));
            PolkaSignature::new(ValidatorId(by.id()), signature)
        };
        let polka_signatures = by.iter().map(signature).collect();
        PolkaCertificate { height: HEIGHT, round: ROUND, value_id: BLOCK, polka_signatures }
    }

    /// Votes of any kind.
    fn round(
        world: &World,
        cert_type: RoundCertificateType,
        votes: &[(&Key, VoteType, Option<BlockHashId>)],
    ) -> RoundCertificate<Ledger> {
        let signature = |(by, step, block): &(&Key, VoteType, Option<BlockHashId>)| {
            let vote = vote(by, *step, *block);
            let signature = sign(world, by, &vote);
            RoundSignature::new(*step, vote.value, vote.validator, signature)
        };
        let round_signatures = votes.iter().map(signature).collect();
        RoundCertificate { height: HEIGHT, round: ROUND, cert_type, round_signatures }
    }

    /// What releases a lock must be the prevotes of a quorum for that block in that round.
    #[test]
    fn a_polka_is_a_quorums_prevotes_for_its_block() {
        let (world, stranger) = (world(), Key::named("a stranger"));
        let [a, b, c, d] = [0, 1, 2, 3].map(|number| key(&world, number));
        let check = |polka: &PolkaCertificate<Ledger>| {
            check_polka(&world.genesis.id(), polka, &set(&world))
        };
        let good = polka(&world, &[a, b, c]);
        assert!(check(&good).is_ok() && check(&polka(&world, &[d, a, c, b])).is_ok());
        let refused = |by: &[&Key]| check(&polka(&world, by)).unwrap_err();
        let few = refused(&[a, b]);
        assert!(matches!(few, CertificateError::NotEnoughVotingPower { .. }), "{few:?}");
        let twice = refused(&[a, b, a]);
        assert!(matches!(twice, CertificateError::DuplicateVote(_)), "{twice:?}");
        let unknown = refused(&[a, b, c, &stranger]);
        assert!(matches!(unknown, CertificateError::UnknownValidator(_)), "{unknown:?}");
        let mut precommit = good.clone();
        let other = vote(a, VoteType::Precommit, Some(BLOCK));
        precommit.polka_signatures[0].signature = sign(&world, a, &other);
        let mut exchanged = good.clone();
        exchanged.polka_signatures[1].signature = good.polka_signatures[0].signature;
        // No round at all, as it would be signed.
        let mut nil = PolkaCertificate { round: Round::Nil, ..good.clone() };
        for (signed, by) in nil.polka_signatures.iter_mut().zip([a, b, c]) {
            let of_none =
                EngineVote { round: Round::Nil, ..vote(by, VoteType::Prevote, Some(BLOCK)) };
            signed.signature = sign(&world, by, &of_none);
        }
        for forged in [
            PolkaCertificate { value_id: OTHER, ..good.clone() },
            PolkaCertificate { height: BlockHeight(8), ..good.clone() },
            PolkaCertificate { round: Round::new(3), ..good.clone() },
            nil,
            precommit,
            exchanged,
        ] {
            let error = check(&forged).unwrap_err();
            assert!(matches!(error, CertificateError::InvalidPolkaSignature(_)), "{forged:?}");
        }
    }

    #[test]
    fn a_round_is_ended_by_a_quorums_precommits_and_skipped_to_with_more_than_a_third() {
        use RoundCertificateType::{Precommit as Ends, Skip};
        use VoteType::{Precommit, Prevote};
        let world = world();
        let [a, b, c] = [0, 1, 2].map(|number| key(&world, number));
        let check = |certificate: &RoundCertificate<Ledger>| {
            check_round(&world.genesis.id(), certificate, &set(&world))
        };
        let votes = [(a, Precommit, Some(BLOCK)), (b, Precommit, None), (c, Precommit, None)];
        let ends = round(&world, Ends, &votes);
        assert!(check(&ends).is_ok());
        let skips = round(&world, Skip, &[votes[0], (b, Prevote, Some(OTHER))]);
        assert!(check(&skips).is_ok());
        for few in [round(&world, Ends, &votes[..2]), round(&world, Skip, &votes[..1])] {
            let error = check(&few).unwrap_err();
            assert!(matches!(error, CertificateError::NotEnoughVotingPower { .. }), "{few:?}");
        }
        let again = round(&world, Ends, &[votes[0], votes[1], votes[0]]);
        for twice in [again, round(&world, Skip, &[votes[0], (a, Prevote, None)])] {
            let error = check(&twice).unwrap_err();
            assert!(matches!(error, CertificateError::DuplicateVote(_)), "{twice:?}");
        }
        let prevote = round(&world, Ends, &[votes[0], votes[1], (c, Prevote, None)]);
        let mut exchanged = ends.clone();
        exchanged.round_signatures[1].signature = ends.round_signatures[2].signature;
        let mut nil = RoundCertificate { round: Round::Nil, ..ends.clone() };
        for (signed, (by, step, block)) in nil.round_signatures.iter_mut().zip(&votes) {
            let of_none = EngineVote { round: Round::Nil, ..vote(by, *step, *block) };
            signed.signature = sign(&world, by, &of_none);
        }
        for forged in [
            nil,
            prevote,
            exchanged,
            RoundCertificate { round: Round::new(3), ..ends },
            RoundCertificate { height: BlockHeight(8), ..skips },
        ] {
            let error = check(&forged).unwrap_err();
            assert!(matches!(error, CertificateError::InvalidRoundSignature(_)), "{forged:?}");
        }
    }

    /// An exact third is not more than a third.
    #[test]
    fn a_third_of_the_power_may_all_be_liars() {
        let world = World::new("thirds", &[1; 3], Clock::Wall);
        let votes = [0, 1].map(|number| (key(&world, number), VoteType::Prevote, None));
        for (count, is_enough) in [(1, false), (2, true)] {
            let skips = round(&world, RoundCertificateType::Skip, &votes[..count]);
            let checked = check_round(&world.genesis.id(), &skips, &set(&world));
            assert_eq!(checked.is_ok(), is_enough, "{count} of 3");
        }
    }

    #[test]
    fn a_block_is_decided_by_a_quorums_precommits_for_it() {
        let world = world();
        let commit = |by: &[usize], step: VoteType| {
            let signature = |number: &usize| {
                let by = key(&world, *number);
                let signature = sign(&world, by, &vote(by, step, Some(BLOCK)));
                CommitSignature::new(ValidatorId(by.id()), signature)
            };
            let commit_signatures = by.iter().map(signature).collect();
            let (height, round, value_id) = (HEIGHT, ROUND, BLOCK);
            let certificate = CommitCertificate { height, round, value_id, commit_signatures };
            let mut verified = Verified::default();
            check_commit(&world.genesis.id(), &certificate, &set(&world), &mut verified)
        };
        assert!(commit(&[2, 0, 1], VoteType::Precommit).is_ok());
        let few = commit(&[0, 1], VoteType::Precommit).unwrap_err();
        assert!(matches!(few, CertificateError::NotEnoughVotingPower { .. }), "{few:?}");
        let twice = commit(&[0, 1, 1], VoteType::Precommit).unwrap_err();
        assert!(matches!(twice, CertificateError::DuplicateVote(_)), "{twice:?}");
        let prevotes = commit(&[0, 1, 2], VoteType::Prevote).unwrap_err();
        assert!(matches!(prevotes, CertificateError::InvalidCommitSignature(_)), "{prevotes:?}");
    }
}
