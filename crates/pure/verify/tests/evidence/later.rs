//! A ledger whose validators were put into the place of others, who signed height 1 alone.

use super::*;

fn chain() -> Chain {
    let mut chain = Chain::new(world());
    chain.change("newcomers", &[1, 1, 1, 1]);
    for _ in 0..HEIGHT {
        chain.push(&[], &[]);
    }
    chain
}

/// Two votes at a height, in a file that shows the changes of an anchor.
fn file(chain: &Chain, by: &Key, height: u64, changes: &[SetChange]) -> EvidenceFile {
    let at = At { height, ..at(&chain.world) };
    let evidence = double_vote(at, by.id(), [vote(by, at, A), vote(by, at, B)]);
    let genesis = Some(&chain.world.genesis);
    EvidenceFile::decode(EvidenceFile::encode(genesis, changes, &evidence).into()).unwrap()
}

fn changes(chain: &Chain) -> Vec<SetChange> {
    chain.anchor(usize::try_from(HEIGHT).unwrap()).changes
}

fn judged(chain: &Chain, file: &EvidenceFile) -> (Report, Vec<KeyId>) {
    let (report, culprits) = verify_evidence_file(file, None, &chain.world.genesis.id());
    (report, culprits.iter().map(|culprit| culprit.key).collect())
}

#[test]
fn who_came_in_later_is_named_by_a_file_that_shows_how() {
    let chain = chain();
    let newcomer = &chain.validators_at(9).1[1].vote;
    let (report, named) = judged(&chain, &file(&chain, newcomer, 9, &changes(&chain)));
    assert_eq!((report.verdict, named), (Verdict::Proven, vec![newcomer.id()]));
    let shown = report.lines.iter().any(|line| line.text.starts_with("1 change(s)"));
    assert!(shown, "{:?}", report.lines);
    let (report, named) = judged(&chain, &file(&chain, newcomer, 9, &[]));
    assert!(matches!(report.verdict, Verdict::NotDetermined(_)), "{report:?}");
    assert_eq!(named, []);
}

/// Whoever could have written the changes alone could have put anybody's name to a key.
#[test]
fn a_report_says_what_the_sets_and_the_clock_cannot_show() {
    for (first, has_clock, expected) in [
        (&[1, 1, 1, 1][..], true, &[][..]),
        (&[1], true, &["this ledger has one validator"][..]),
        (&[1, 1, 1, 1], false, &["this ledger's clock is declared"]),
    ] {
        let clock = if has_clock { Clock::Wall } else { Clock::Declared };
        let mut chain = Chain::new(World::new("doubtful", first, clock));
        chain.change("newcomers", &[1; 4]);
        for _ in 0..HEIGHT {
            chain.push(&[], &[]);
        }
        let newcomer = &chain.validators_at(9).1[1].vote;
        let (report, _) = judged(&chain, &file(&chain, newcomer, 9, &changes(&chain)));
        assert_eq!(report.verdict, Verdict::Proven);
        let is_caveat = |line: &&Line| !line.checked && line.aspect != Aspect::Scope;
        let said: Vec<&str> = report.lines.iter().filter(is_caveat).map(|l| &*l.text).collect();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        assert!(said.iter().zip(expected).all(|(said, text)| said.starts_with(text)), "{said:?}");
    }
}

#[test]
fn who_has_left_is_named_whenever_it_signed() {
    let chain = chain();
    let former = key(&chain.world, 2);
    for height in [1, 2, 9] {
        let (report, named) = judged(&chain, &file(&chain, former, height, &changes(&chain)));
        assert_eq!((report.verdict, named), (Verdict::Proven, vec![former.id()]));
    }
}

/// The key of a forged vote is known to the set of its height alone, so the verdict tells which set that was taken to be.
#[test]
fn of_what_proves_nothing_the_set_that_signs_the_height_decides_the_verdict() {
    let mut chain = Chain::new(world());
    for height in 1..=HEIGHT {
        match height {
            1 => chain.change("newcomers", &[1; 4]),
            5 => chain.change("latest", &[1; 4]),
            _ => {}
        }
        chain.push(&[], &[]);
    }
    let of = |height: usize| &chain.validators_at(height).1[1].vote;
    for (height, set) in [(1, 1), (2, 2), (5, 2), (6, 6), (9, 6)] {
        for by in [1, 2, 6] {
            let mut forged = file(&chain, of(by), height, &changes(&chain));
            if let Offence::DoubleVote { votes, .. } = &mut forged.evidence.offence {
                votes[1].signature[0] ^= 1;
            }
            let code = judged(&chain, &forged).0.verdict.code();
            let expected = (by == set).then_some("V_SIGNATURE");
            assert_eq!(code, expected, "height {height}, signed by one of {by}");
        }
    }
}

/// docs/spec/evidence.md says in which order: of another ledger's evidence the changes do not matter.
#[test]
fn whose_evidence_it_is_comes_before_what_the_changes_say() {
    let chain = chain();
    let newcomer = &chain.validators_at(9).1[1].vote;
    let few = SetChange {
        certificate: chain.certificate(1, &[0, 1]).encode().into(),
        ..changes(&chain)[0].clone()
    };
    let mut of_other = file(&chain, newcomer, 9, &[few]);
    of_other.evidence.ledger = LedgerId([9; 32]);
    let (report, named) = judged(&chain, &of_other);
    assert!(matches!(report.verdict, Verdict::TrustNotMet(_)), "{report:?}");
    assert_eq!(named, []);
}

#[test]
fn a_change_that_the_set_before_did_not_certify_names_nobody() {
    let chain = chain();
    let newcomer = &chain.validators_at(9).1[1].vote;
    let refused = |change: &dyn Fn(&mut SetChange), code: &str| {
        let mut changes = changes(&chain);
        change(&mut changes[0]);
        let (report, named) = judged(&chain, &file(&chain, newcomer, 9, &changes));
        assert_eq!((report.verdict.code(), named), (Some(code), vec![]));
    };
    let by = |by: &[usize]| Bytes::from(chain.certificate(1, by).encode());
    refused(&|change| change.certificate = by(&[0, 1]), "V_QUORUM");
    let others = Chain::new(World::new("others", &[1, 1, 1, 1], Clock::Wall));
    let set = message::encode(others.world.set().message());
    refused(&|change| change.validators = set.clone().into(), "V_VALIDATORS");
    refused(&|change| change.certificate = by(&[]), "V_QUORUM");
}
