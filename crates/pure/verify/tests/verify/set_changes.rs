//! Proofs of a ledger whose validators have changed: what leads from genesis to the set that certified a header, and what does not.

use bytes::Bytes;
use ledger_event::proof_file::Statement;
use ledger_event::{Anchor, Clock, SetChange};
use ledger_fixtures::{Chain, World, record};
use ledger_format::genesis::PROTOCOL_VERSIONS;
use ledger_format::header::Header;
use ledger_format::validators::Validators;
use ledger_format::{message, proof_file};
use ledger_verify::finding::Code;
use ledger_verify::proof::{check_anchor, verify_proof_file};
use ledger_verify::verdict::Verdict;

const SUBJECT: &str = "asset:exchange-00/rain";

/// Seven blocks: four validators, five from height 3, and one of them with other keys from height 5.
fn chain() -> Chain {
    let mut chain = Chain::new(World::new("sets", &[1; 4], Clock::Wall));
    for height in 1..=7_usize {
        match height {
            2 => chain.change("five", &[1; 5]),
            4 => chain.change("other", &[1; 5]),
            _ => {}
        }
        chain.push(&[], &[record(SUBJECT, &[])]);
    }
    chain
}

fn verdict(chain: &Chain, anchor: Anchor, height: usize) -> Verdict {
    let statement = Statement::Record(chain.record_proof(height, SUBJECT));
    let file = Bytes::from(proof_file::encode(anchor, statement));
    verify_proof_file(&file, None, &chain.world.genesis.id()).verdict
}

fn code(chain: &Chain, anchor: Anchor, height: usize) -> Code {
    match verdict(chain, anchor, height) {
        Verdict::Refuted(refuted) => refuted.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_proof_leads_through_every_change_to_the_set_of_its_height() {
    let chain = chain();
    for height in 1..=7 {
        let anchor = chain.anchor(height);
        let anchored = check_anchor(&anchor, &chain.world.genesis.id()).unwrap();
        assert_eq!(anchored.validators(), chain.validators_at(height).0);
        assert_eq!(anchored.sets.len(), anchor.changes.len() + 1);
        assert_eq!(verdict(&chain, anchor, height), Verdict::Proven, "height {height}");
    }
    let counts: Vec<usize> = (1..=7).map(|height| chain.anchor(height).changes.len()).collect();
    assert_eq!(counts, [0, 0, 1, 1, 2, 2, 2]);
}

#[test]
fn a_report_names_the_changes() {
    let chain = chain();
    let file = chain.record_file(7, SUBJECT);
    let report = verify_proof_file(&file, None, &chain.world.genesis.id());
    let lines: Vec<&str> = report.lines.iter().map(|line| line.text.as_str()).collect();
    assert!(
        lines.iter().any(|line| line.starts_with("2 change(s) of the validators")),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("5 of 5 validators")), "{lines:?}");
}

#[test]
fn without_a_change_nothing_is_determined() {
    let chain = chain();
    let without = |number: usize| {
        let mut anchor = chain.anchor(7);
        anchor.changes.remove(number);
        verdict(&chain, anchor, 7)
    };
    for number in [0, 1] {
        assert!(matches!(without(number), Verdict::NotDetermined(_)), "change {number}");
    }
    let mut none = chain.anchor(7);
    none.changes.clear();
    assert!(matches!(verdict(&chain, none, 7), Verdict::NotDetermined(_)));
    let mut swapped = chain.anchor(7);
    swapped.changes.swap(0, 1);
    assert!(matches!(verdict(&chain, swapped, 7), Verdict::NotDetermined(_)));
    let mut twice = chain.anchor(7);
    twice.changes.insert(0, twice.changes[0].clone());
    assert!(matches!(verdict(&chain, twice, 7), Verdict::NotDetermined(_)));
}

/// What a header of a version says that this program does not know, nobody can tell here; of what no quorum signed it is no excuse.
#[test]
fn a_header_of_an_unknown_version_determines_nothing() {
    let chain = chain();
    for version in [0, PROTOCOL_VERSIONS.end() + 1] {
        let later = |header: &Bytes| {
            let mut header = Header::decode(header.clone()).unwrap();
            header.protocol_version = version;
            header
        };
        let signed = |header: &Header, height: usize| {
            let (_, keys) = chain.validators_at(height);
            let by = keys.iter().map(|keys| &keys.vote);
            Bytes::from(ledger_fixtures::certificate(header, 0, by).encode())
        };
        let mut last = chain.anchor(7);
        let header = later(&last.header);
        last.header = header.encode().into();
        assert_eq!(code(&chain, last.clone(), 7), Code::CertificateBlock);
        last.certificate = signed(&header, 7);
        let within = altered(&chain, 1, |change| {
            let header = later(&change.header);
            change.header = header.encode().into();
            change.certificate = signed(&header, 4);
        });
        for anchor in [last, within] {
            let found = verdict(&chain, anchor, 7);
            let Verdict::NotDetermined(why) = found else { panic!("{found:?}") };
            assert!(why.contains(&format!("protocol version {version}")), "{why}");
        }
    }
}

/// The anchor of the last height with one change altered.
fn altered(chain: &Chain, number: usize, change: impl FnOnce(&mut SetChange)) -> Anchor {
    let mut anchor = chain.anchor(7);
    change(&mut anchor.changes[number]);
    anchor
}

#[test]
fn every_part_of_a_change_is_checked() {
    let chain = chain();
    let genesis = &chain.world;
    for (number, height) in [(0, 2), (1, 4)] {
        // Not enough of the set before, and members of the set after.
        let few = altered(&chain, number, |change| {
            change.certificate = chain.certificate(height, &[0, 1]).encode().into();
        });
        assert_eq!(code(&chain, few, 7), Code::Quorum);
        let (_, after) = chain.validators_at(height + 1);
        let by = ledger_fixtures::certificate(
            chain.header_at(height),
            0,
            after.iter().map(|keys| &keys.vote),
        );
        let own = altered(&chain, number, |change| change.certificate = by.encode().into());
        assert_eq!(code(&chain, own, 7), Code::CertificateSigner);
        // A set that the header does not name.
        let other = altered(&chain, number, |change| {
            change.validators = message::encode(genesis.set().message()).into();
        });
        assert_eq!(code(&chain, other, 7), Code::Validators);
        // A header that was changed, or that the certificate is not of.
        let changed = altered(&chain, number, |change| {
            let mut header = Header::decode(change.header.clone()).unwrap();
            header.next_validators = genesis.set().hash();
            change.header = header.encode().into();
        });
        assert_eq!(code(&chain, changed, 7), Code::CertificateBlock);
    }
    let ledger = altered(&chain, 0, |change| {
        let mut header = Header::decode(change.header.clone()).unwrap();
        header.ledger.0[0] ^= 1;
        change.header = header.encode().into();
    });
    assert_eq!(code(&chain, ledger, 7), Code::HeaderLedger);
    // Nor is one that names another set as its own a sign that a change is missing: nobody certified it.
    let replaced = |header: &Bytes| {
        let mut header = Header::decode(header.clone()).unwrap();
        header.validators[0] ^= 1;
        Bytes::from(header.encode())
    };
    let within = altered(&chain, 0, |change| change.header = replaced(&change.header));
    assert_eq!(code(&chain, within, 7), Code::CertificateBlock);
    let mut last = chain.anchor(7);
    last.header = replaced(&last.header);
    assert_eq!(code(&chain, last, 7), Code::CertificateBlock);
    let malformed = altered(&chain, 0, |change| change.validators = Bytes::from_static(b"no set"));
    assert!(matches!(verdict(&chain, malformed, 7), Verdict::Malformed(_)));
}

#[test]
fn changes_come_before_what_they_lead_to() {
    // Certified by those who sign it, and above the header that the proof is about.
    let chain = chain();
    let (_, keys) = chain.validators_at(4);
    let mut header = chain.header_at(4).clone();
    header.height = 7;
    let certificate = ledger_fixtures::certificate(&header, 0, keys.iter().map(|keys| &keys.vote));
    let mut anchor = chain.anchor(6);
    anchor.changes[1].header = header.encode().into();
    anchor.changes[1].certificate = certificate.encode().into();
    assert_eq!(code(&chain, anchor, 6), Code::Height);
    // And below the change before.
    let mut header = chain.header_at(4).clone();
    header.height = 2;
    let certificate = ledger_fixtures::certificate(&header, 0, keys.iter().map(|keys| &keys.vote));
    let mut anchor = chain.anchor(6);
    anchor.changes[1].header = header.encode().into();
    anchor.changes[1].certificate = certificate.encode().into();
    assert_eq!(code(&chain, anchor, 6), Code::Height);
}

#[test]
fn a_set_with_a_weak_key_is_refused() {
    let mut chain = Chain::new(World::new("weak", &[1; 4], Clock::Wall));
    chain.push(&[], &[]);
    chain.push(&[], &[record(SUBJECT, &[])]);
    let mut set = chain.world.set().message().clone();
    set.validators[0].log_key = Bytes::from_static(&[0; 32]);
    let set = Validators::new(set).unwrap();
    let (_, keys) = chain.validators_at(1);
    let mut header = chain.header_at(1).clone();
    header.next_validators = set.hash();
    let certificate = ledger_fixtures::certificate(&header, 0, keys.iter().map(|keys| &keys.vote));
    let mut anchor = chain.anchor(2);
    anchor.changes.push(SetChange {
        header: header.encode().into(),
        certificate: certificate.encode().into(),
        validators: message::encode(set.message()).into(),
    });
    assert_eq!(code(&chain, anchor, 2), Code::WeakKey);
}
