//! Evidence names the guilty, and nobody honest: every way to frame somebody with what honest validators sign is tried.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use ledger_event::{Clock, SetChange};
use ledger_fixtures::{Chain, Key, Rng, World};
use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::evidence::{
    Evidence, EvidenceFile, Offence, SignedProposal, SignedVote, presentation_bytes,
};
use ledger_format::header::Header;
use ledger_format::message;
use ledger_format::vote::{Certificate, VoteStep, proposal_bytes, vote_bytes};
use ledger_verify::evidence::{judge, verify_evidence_file};
use ledger_verify::verdict::{Aspect, Line, Report, Verdict};

mod later;

const A: Option<BlockHash> = Some(BlockHash([0xaa; 32]));
const B: Option<BlockHash> = Some(BlockHash([0xbb; 32]));
const HEIGHT: u64 = 9;
const ROUND: u32 = 2;

fn world() -> World {
    World::new("evidence", &[1, 1, 1, 1], Clock::Wall)
}

fn key(world: &World, number: usize) -> &Key {
    &world.validators[number].vote
}

/// Where a vote is cast.
#[derive(Clone, Copy)]
struct At {
    ledger: LedgerId,
    height: u64,
    round: u32,
    step: VoteStep,
}

fn at(world: &World) -> At {
    At { ledger: world.genesis.id(), height: HEIGHT, round: ROUND, step: VoteStep::Precommit }
}

fn vote(key: &Key, at: At, block: Option<BlockHash>) -> SignedVote {
    let bytes = vote_bytes(&at.ledger, at.step, at.height, at.round, block.as_ref());
    SignedVote { block, signature: key.sign(&bytes) }
}

fn proposal(key: &Key, at: At, block: BlockHash, valid_round: Option<u32>) -> SignedProposal {
    let bytes = proposal_bytes(&at.ledger, at.height, at.round, valid_round, &block);
    SignedProposal { block, valid_round, signature: key.sign(&bytes) }
}

fn double_vote(at: At, by: KeyId, votes: [SignedVote; 2]) -> Evidence {
    Evidence::double_vote(at.ledger, at.height, (at.round, at.step, by), votes)
}

fn double_proposal(at: At, by: KeyId, proposals: [SignedProposal; 2]) -> Evidence {
    Evidence::double_proposal(at.ledger, at.height, (at.round, by), proposals)
}

fn certificate(world: &World, at: At, block: Option<BlockHash>, by: &[usize]) -> Certificate {
    let signature = |n: &usize| (key(world, *n).id(), vote(key(world, *n), at, block).signature);
    let signatures = by.iter().map(signature).collect();
    Certificate { height: at.height, round: at.round, block: block.unwrap(), signatures }
}

fn header(world: &World) -> Header {
    Header {
        protocol_version: 1,
        ledger: world.genesis.id(),
        height: HEIGHT,
        previous: [1; 32],
        time_ms: 2,
        proposer: key(world, 0).id(),
        tree_size: 3,
        tree_root: [4; 32],
        state_root: [5; 32],
        validators: world.set().hash(),
        next_validators: world.set().hash(),
    }
}

/// A block that somebody gave away as decided.
fn presented(by: &Key, header: Header, certificate: Certificate) -> Evidence {
    let bytes = presentation_bytes(&header.ledger, &header.hash(), &certificate);
    Evidence::forged_certificate(by.id(), header, certificate, by.sign(&bytes))
}

fn named(world: &World, evidence: &Evidence) -> Result<Vec<KeyId>, Verdict> {
    let culprits = judge(&world.genesis.id(), world.set(), evidence)?;
    Ok(culprits.into_iter().map(|culprit| culprit.key).collect())
}

#[track_caller]
fn names(world: &World, evidence: &Evidence, numbers: &[usize]) {
    let keys: Vec<KeyId> = numbers.iter().map(|number| key(world, *number).id()).collect();
    assert_eq!(named(world, evidence), Ok(keys));
}

#[track_caller]
fn refuted(world: &World, evidence: &Evidence, code: &str) {
    let verdict = named(world, evidence).unwrap_err();
    assert_eq!(verdict.code(), Some(code), "{verdict:?}");
}

mod proven {
    use super::*;

    #[test]
    fn two_votes_of_one_step_and_round_name_who_signed_them() {
        let world = world();
        for step in [VoteStep::Prevote, VoteStep::Precommit] {
            for (first, second) in [(A, B), (A, None), (None, B)] {
                let at = At { step, ..at(&world) };
                let votes = [vote(key(&world, 1), at, first), vote(key(&world, 1), at, second)];
                names(&world, &double_vote(at, key(&world, 1).id(), votes), &[1]);
            }
        }
    }

    #[test]
    fn two_proposals_of_one_round_name_who_signed_them_whatever_round_they_refer_to() {
        let (world, at) = (world(), at(&world()));
        for (first, second) in [(None, None), (Some(0), None), (Some(0), Some(1))] {
            let key = key(&world, 2);
            let first = proposal(key, at, A.unwrap(), first);
            let second = proposal(key, at, B.unwrap(), second);
            names(&world, &double_proposal(at, key.id(), [first, second]), &[2]);
        }
    }

    #[test]
    fn two_certificates_of_one_round_name_whoever_signed_both() {
        let (world, at) = (world(), at(&world()));
        let certificates =
            [certificate(&world, at, A, &[0, 1, 2]), certificate(&world, at, B, &[1, 2, 3])];
        let evidence = Evidence::conflicting_certificates(at.ledger, certificates);
        names(&world, &evidence, &[1, 2]);
    }

    /// A vote of its own tells nothing of what its set is worth; a certificate is the word of the set.
    #[test]
    fn a_fork_by_a_sole_validator_says_that_it_could_have_written_all() {
        let world = World::new("alone", &[1], Clock::Wall);
        let (at, key) = (at(&world), key(&world, 0));
        let certificates = [certificate(&world, at, A, &[0]), certificate(&world, at, B, &[0])];
        let fork = Evidence::conflicting_certificates(at.ledger, certificates);
        let votes = double_vote(at, key.id(), [vote(key, at, A), vote(key, at, B)]);
        for (evidence, expected) in [(&fork, 1), (&votes, 0)] {
            let bytes = EvidenceFile::encode(Some(&world.genesis), &[], evidence);
            let file = EvidenceFile::decode(bytes.into()).unwrap();
            let (report, _) = verify_evidence_file(&file, None, &at.ledger);
            assert_eq!(report.verdict, Verdict::Proven);
            let caveat = |line: &&Line| !line.checked && line.aspect == Aspect::Quorum;
            assert_eq!(report.lines.iter().filter(caveat).count(), expected, "{report:?}");
        }
    }

    #[test]
    fn whoever_gives_a_block_away_with_a_certificate_that_is_none_is_named() {
        let (world, at) = (world(), at(&world()));
        let header = header(&world);
        let of = |by: &[usize]| certificate(&world, at, Some(header.hash()), by);
        let mut forged = of(&[0, 1, 2]);
        forged.signatures[1].1[3] ^= 1;
        let mut stranger = of(&[0, 1, 2]);
        stranger.signatures.push((KeyId([255; 32]), [0; 64]));
        let other = certificate(&world, at, A, &[0, 1, 2]);
        for certificate in [of(&[]), of(&[0, 1]), forged, stranger, other] {
            names(&world, &presented(key(&world, 3), header.clone(), certificate), &[3]);
        }
    }

    #[test]
    fn a_file_needs_a_trusted_hash_and_nothing_else_and_names_the_organisation() {
        let (world, at) = (world(), at(&world()));
        let key = key(&world, 0);
        let evidence = double_vote(at, key.id(), [vote(key, at, A), vote(key, at, B)]);
        let bytes = EvidenceFile::encode(Some(&world.genesis), &[], &evidence);
        let file = EvidenceFile::decode(bytes.into()).unwrap();
        let (report, culprits) = verify_evidence_file(&file, None, &at.ledger);
        assert_eq!(report.verdict, Verdict::Proven);
        assert_eq!(culprits[0].party, world.member(0).party);
        assert_eq!(culprits[0].name, world.member(0).name);
        let (report, culprits) = verify_evidence_file(&file, None, &LedgerId([9; 32]));
        assert_eq!((report.verdict.exit_code(), culprits.len()), (13, 0));
    }

    #[test]
    fn a_genesis_with_a_weak_key_proves_nobody_guilty() {
        let world = World::with("evidence", &[1; 4], |genesis| {
            genesis.founders[0].keys[0].public_key = Bytes::from_static(&[0; 32]);
        });
        let (key, at) = (key(&world, 0), at(&world));
        let evidence = double_vote(at, key.id(), [vote(key, at, A), vote(key, at, B)]);
        let bytes = EvidenceFile::encode(Some(&world.genesis), &[], &evidence);
        let file = EvidenceFile::decode(bytes.into()).unwrap();
        let (report, culprits) = verify_evidence_file(&file, None, &at.ledger);
        assert_eq!((report.verdict.code(), culprits.len()), (Some("V_WEAK_KEY"), 0));
    }

    #[test]
    fn without_a_genesis_document_nobody_is_named() {
        let (world, at) = (world(), at(&world()));
        let key = key(&world, 0);
        let evidence = double_vote(at, key.id(), [vote(key, at, A), vote(key, at, B)]);
        let file = EvidenceFile::decode(EvidenceFile::encode(None, &[], &evidence).into()).unwrap();
        let (report, culprits) = verify_evidence_file(&file, None, &at.ledger);
        assert_eq!((report.verdict.exit_code(), culprits.len()), (12, 0));
        let (report, culprits) = verify_evidence_file(&file, Some(&world.genesis), &at.ledger);
        assert_eq!((report.verdict, culprits.len()), (Verdict::Proven, 1));
    }
}

mod framed {
    use super::*;

    #[test]
    fn one_vote_told_twice_is_no_offence() {
        let (world, at) = (world(), at(&world()));
        for block in [A, None] {
            let key = key(&world, 1);
            let votes = [vote(key, at, block), vote(key, at, block)];
            refuted(&world, &double_vote(at, key.id(), votes), "V_NO_CONFLICT");
        }
    }

    #[test]
    fn a_proposal_that_names_another_valid_round_is_no_other_block() {
        let (world, at) = (world(), at(&world()));
        let key = key(&world, 1);
        let block = A.unwrap();
        let proposals = [proposal(key, at, block, None), proposal(key, at, block, Some(1))];
        refuted(&world, &double_proposal(at, key.id(), proposals), "V_NO_CONFLICT");
    }

    #[test]
    fn statements_of_another_place_do_not_count() {
        let world = world();
        let here = at(&world);
        let elsewhere = [
            At { ledger: LedgerId([7; 32]), ..here },
            At { height: HEIGHT + 1, ..here },
            At { round: ROUND + 1, ..here },
            At { step: VoteStep::Prevote, ..here },
        ];
        let key = key(&world, 1);
        for there in elsewhere {
            for blocks in [(A, B), (A, None), (None, A)] {
                let votes = [vote(key, here, blocks.0), vote(key, there, blocks.1)];
                refuted(&world, &double_vote(here, key.id(), votes), "V_SIGNATURE");
                let evidence = double_vote(there, key.id(), votes);
                assert!(named(&world, &evidence).is_err());
            }
            if there.step == here.step {
                let proposals =
                    [proposal(key, here, A.unwrap(), None), proposal(key, there, B.unwrap(), None)];
                refuted(&world, &double_proposal(here, key.id(), proposals), "V_SIGNATURE");
            }
        }
    }

    /// Whoever votes on two ledgers with one key answers on each for what it signed there.
    #[test]
    fn statements_of_another_ledger_name_nobody_of_this_one() {
        let world = world();
        let there = At { ledger: LedgerId([7; 32]), ..at(&world) };
        let key = key(&world, 1);
        let evidence = double_vote(there, key.id(), [vote(key, there, A), vote(key, there, B)]);
        assert!(judge(&there.ledger, world.set(), &evidence).is_ok());
        assert_eq!(named(&world, &evidence).unwrap_err().exit_code(), 13);
    }

    #[test]
    fn a_block_proposed_again_in_a_later_round_is_no_offence() {
        let (world, at) = (world(), at(&world()));
        let key = key(&world, 1);
        let later = At { round: ROUND + 4, ..at };
        let again = proposal(key, later, A.unwrap(), Some(ROUND));
        let fresh = proposal(key, at, B.unwrap(), None);
        for at in [at, later] {
            refuted(&world, &double_proposal(at, key.id(), [again, fresh]), "V_SIGNATURE");
        }
    }

    #[test]
    fn a_vote_is_no_proposal_nor_the_other_way() {
        let (world, at) = (world(), at(&world()));
        let key = key(&world, 1);
        let (yes, other) = (vote(key, at, A), proposal(key, at, B.unwrap(), None));
        let as_vote = SignedVote { block: B, signature: other.signature };
        refuted(&world, &double_vote(at, key.id(), [yes, as_vote]), "V_SIGNATURE");
        let (block, signature) = (A.unwrap(), yes.signature);
        let as_proposal = SignedProposal { block, valid_round: None, signature };
        refuted(&world, &double_proposal(at, key.id(), [other, as_proposal]), "V_SIGNATURE");
    }

    #[test]
    fn votes_of_two_keys_are_nobodys_double_vote() {
        let (world, at) = (world(), at(&world()));
        let votes = [vote(key(&world, 1), at, A), vote(key(&world, 2), at, B)];
        for by in [1, 2, 3] {
            refuted(&world, &double_vote(at, key(&world, by).id(), votes), "V_SIGNATURE");
        }
        let both = [vote(key(&world, 1), at, A), vote(key(&world, 1), at, B)];
        refuted(&world, &double_vote(at, key(&world, 2).id(), both), "V_SIGNATURE");
    }

    #[test]
    fn signatures_that_are_exchanged_do_not_count() {
        let (world, at) = (world(), at(&world()));
        let key = key(&world, 1);
        let (one, two) = (vote(key, at, A), vote(key, at, B));
        let exchanged = [
            SignedVote { signature: two.signature, ..one },
            SignedVote { signature: one.signature, ..two },
        ];
        refuted(&world, &double_vote(at, key.id(), exchanged), "V_SIGNATURE");
    }

    #[test]
    fn whose_a_key_is_that_the_set_does_not_know_stays_open() {
        let (world, at) = (world(), at(&world()));
        let stranger = Key::named("a stranger");
        let votes = [vote(&stranger, at, A), vote(&stranger, at, B)];
        let verdict = named(&world, &double_vote(at, stranger.id(), votes)).unwrap_err();
        assert_eq!(verdict.exit_code(), 12);
        // The keys of a validator for other purposes vote for nobody.
        let log = &world.validators[0].log;
        let votes = [vote(log, at, A), vote(log, at, B)];
        assert!(named(&world, &double_vote(at, log.id(), votes)).is_err());
    }

    /// Whoever precommitted A may precommit B in a later round once a quorum prevoted for B; the prevotes that were forged for it
    /// are not in the certificates.
    #[test]
    fn certificates_of_two_rounds_show_a_fork_and_name_nobody() {
        let (world, at) = (world(), at(&world()));
        let later = At { round: ROUND + 1, ..at };
        let certificates =
            [certificate(&world, at, A, &[0, 1, 2]), certificate(&world, later, B, &[1, 2, 3])];
        let evidence = Evidence::conflicting_certificates(at.ledger, certificates);
        assert_eq!(named(&world, &evidence).unwrap_err().exit_code(), 12);
    }

    #[test]
    fn whoever_gives_a_decided_block_away_is_honest() {
        let (world, at) = (world(), at(&world()));
        let header = header(&world);
        let good = certificate(&world, at, Some(header.hash()), &[0, 1, 2]);
        refuted(&world, &presented(key(&world, 3), header, good), "V_NO_CONFLICT");
    }

    #[test]
    fn a_certificate_is_forged_by_nobody_who_did_not_sign_for_it() {
        let (world, at) = (world(), at(&world()));
        let header = header(&world);
        let good = certificate(&world, at, Some(header.hash()), &[0, 1, 2]);
        let Offence::ForgedCertificate { signature, .. } =
            presented(key(&world, 3), header.clone(), good.clone()).offence
        else {
            panic!("another kind");
        };
        // Changed after it was signed for, in the certificate and in the header.
        let mut bad = good.clone();
        bad.signatures[0].1[3] ^= 1;
        let by = key(&world, 3).id();
        let changed = Evidence::forged_certificate(by, header.clone(), bad.clone(), signature);
        refuted(&world, &changed, "V_SIGNATURE");
        let later = Header { time_ms: 9, ..header.clone() };
        let changed = Evidence::forged_certificate(by, later, good, signature);
        refuted(&world, &changed, "V_SIGNATURE");
        // Signed for by another one.
        let mut other = presented(key(&world, 2), header.clone(), bad.clone());
        if let Offence::ForgedCertificate { validator, .. } = &mut other.offence {
            *validator = by;
        }
        refuted(&world, &other, "V_SIGNATURE");
        // A set that is not at hand may have certified it; and a vote is no presentation.
        let set = Header { validators: [9; 32], ..header.clone() };
        let unknown = presented(key(&world, 3), set, bad.clone());
        assert_eq!(named(&world, &unknown).unwrap_err().exit_code(), 12);
        let voted = vote(key(&world, 3), at, Some(header.hash())).signature;
        refuted(&world, &Evidence::forged_certificate(by, header, bad, voted), "V_SIGNATURE");
    }

    #[test]
    fn a_certificate_that_is_none_accuses_nobody() {
        let (world, at) = (world(), at(&world()));
        let good = certificate(&world, at, A, &[0, 1, 2]);
        let pair = |other: Certificate| {
            Evidence::conflicting_certificates(at.ledger, [good.clone(), other])
        };
        let few = certificate(&world, at, B, &[1, 2]);
        refuted(&world, &pair(few), "V_QUORUM");
        let mut forged = certificate(&world, at, B, &[1, 2, 3]);
        forged.signatures[1].1 = good.signatures[2].1;
        refuted(&world, &pair(forged), "V_CERTIFICATE_SIGNATURE");
        refuted(&world, &pair(certificate(&world, at, A, &[1, 2, 3])), "V_NO_CONFLICT");
        let next = At { height: HEIGHT + 1, ..at };
        refuted(&world, &pair(certificate(&world, next, B, &[1, 2, 3])), "V_NO_CONFLICT");
        let prevotes = At { step: VoteStep::Prevote, ..at };
        refuted(
            &world,
            &pair(certificate(&world, prevotes, B, &[1, 2, 3])),
            "V_CERTIFICATE_SIGNATURE",
        );
    }

    #[test]
    fn whose_a_certificates_signer_is_comes_before_quorums_in_either_order() {
        let (world, at) = (world(), at(&world()));
        let stranger = Key::named("evidence stranger");
        for (few, strange) in [(A, B), (B, A)] {
            let few = certificate(&world, at, few, &[1, 2]);
            let mut strange = certificate(&world, at, strange, &[0, 1, 2]);
            let signature = vote(&stranger, at, Some(strange.block)).signature;
            strange.signatures.push((stranger.id(), signature));
            strange.signatures.sort_by_key(|(id, _)| *id);
            let evidence = Evidence::conflicting_certificates(at.ledger, [few, strange]);
            assert_eq!(named(&world, &evidence).unwrap_err().exit_code(), 12);
        }
    }
}

mod generated {
    use super::*;

    const ROUNDS: usize = 20_000;

    /// What an honest validator signs: of each ledger, height, round and kind one statement.
    fn honest(dice: &mut Rng, world: &World) -> Vec<(At, SignedVote, SignedProposal)> {
        let mut signed = Vec::new();
        let blocks = [A, B, None];
        for ledger in [world.genesis.id(), LedgerId([1; 32])] {
            for (height, round) in [(HEIGHT, 0), (HEIGHT, 1), (HEIGHT + 1, 0), (HEIGHT + 1, 1)] {
                for step in [VoteStep::Prevote, VoteStep::Precommit] {
                    let at = At { ledger, height, round, step };
                    let valid_round = dice.once_in(2).then_some(0);
                    let block = if height == HEIGHT { A } else { B };
                    let proposed = proposal(key(world, 1), at, block.unwrap(), valid_round);
                    signed.push((at, vote(key(world, 1), at, *dice.pick(&blocks)), proposed));
                }
            }
        }
        signed
    }

    #[test]
    fn no_two_statements_of_an_honest_validator_are_evidence() {
        let (world, mut dice) = (world(), Rng(26));
        let by = key(&world, 1).id();
        let signed = honest(&mut dice, &world);
        for (here, vote, proposal) in &signed {
            for (_, other_vote, other_proposal) in &signed {
                // Said to be of one place, and of any other.
                for (there, _, _) in &signed {
                    let evidence = double_vote(*there, by, [*vote, *other_vote]);
                    assert!(named(&world, &evidence).is_err(), "{evidence:?}");
                    let block = dice.once_in(2).then(|| BlockHash(dice.bytes()));
                    let changed = SignedVote { block, ..*other_vote };
                    let evidence = double_vote(*there, by, [*vote, changed]);
                    assert!(named(&world, &evidence).is_err(), "{evidence:?}");
                }
                let evidence = double_proposal(*here, by, [*proposal, *other_proposal]);
                assert!(named(&world, &evidence).is_err(), "{evidence:?}");
            }
        }
    }

    #[test]
    fn evidence_that_was_changed_proves_nothing_and_is_read_without_panic() {
        let (world, at) = (world(), at(&world()));
        let mut dice = Rng(27);
        let key = key(&world, 1);
        let proposals = [proposal(key, at, A.unwrap(), None), proposal(key, at, B.unwrap(), None)];
        let certificates =
            [certificate(&world, at, A, &[0, 1, 2]), certificate(&world, at, B, &[1, 2, 3])];
        let samples = [
            double_vote(at, key.id(), [vote(key, at, A), vote(key, at, None)]),
            double_proposal(at, key.id(), proposals),
            Evidence::conflicting_certificates(at.ledger, certificates),
            presented(key, header(&world), certificate(&world, at, A, &[0, 1])),
        ];
        for sample in &samples {
            assert!(named(&world, sample).is_ok());
            let bytes = EvidenceFile::encode(Some(&world.genesis), &[], sample);
            for _ in 0..ROUNDS {
                let mut changed = bytes.clone();
                dice.mutate(&mut changed, 4);
                if changed == bytes {
                    continue;
                }
                let Ok(file) = EvidenceFile::decode(Bytes::from(changed)) else { continue };
                let (report, culprits) = verify_evidence_file(&file, None, &at.ledger);
                assert_ne!(report.verdict, Verdict::Proven, "{file:?}");
                assert!(culprits.is_empty());
            }
        }
    }

    #[test]
    fn every_byte_of_evidence_counts() {
        let (world, at) = (world(), at(&world()));
        let key = key(&world, 1);
        let evidence = double_vote(at, key.id(), [vote(key, at, None), vote(key, at, B)]);
        let bytes = evidence.encode();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = Evidence::decode(Bytes::from(changed)) {
                assert!(named(&world, &read).is_err(), "bit {bit}");
                assert!(matches!(read.offence, Offence::DoubleVote { .. }));
            }
        }
    }
}
