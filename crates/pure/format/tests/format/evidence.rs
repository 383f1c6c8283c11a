//! Evidence and its files: the offsets of docs/spec/evidence.md, and one encoding of each content.

use bytes::Bytes;
use ledger_event::{Clock, SetChange};
use ledger_fixtures::World;
use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::evidence::{
    CHANGED_FILE_MARK, EVIDENCE_FILE_MARK, Evidence, EvidenceFile, Offence, SignedProposal,
    SignedVote, presentation_bytes,
};
use ledger_format::header::Header;
use ledger_format::limits::{
    MAX_CHANGES, MAX_CHANGES_BYTES, MAX_EVIDENCE_BYTES, MAX_GENESIS_BYTES,
};
use ledger_format::malformed::Kind;
use ledger_format::vote::{Certificate, VoteStep};

use crate::samples::kind;

const LEDGER: LedgerId = LedgerId([0x11; 32]);
const HEIGHT: u64 = 0x0102_0304_0506_0708;
const BY: KeyId = KeyId([0x33; 32]);

fn double_vote() -> Evidence {
    let votes = [
        SignedVote { block: Some(BlockHash([0x44; 32])), signature: [0x55; 64] },
        SignedVote { block: None, signature: [0x66; 64] },
    ];
    Evidence::double_vote(LEDGER, HEIGHT, (0x1112_1314, VoteStep::Precommit, BY), votes)
}

fn double_proposal() -> Evidence {
    let proposal = |byte, valid_round| SignedProposal {
        block: BlockHash([byte; 32]),
        valid_round,
        signature: [byte + 1; 64],
    };
    let proposals = [proposal(0x46, Some(0x2122_2324)), proposal(0x44, None)];
    Evidence::double_proposal(LEDGER, HEIGHT, (0x1112_1314, BY), proposals)
}

fn certificate(count: u8) -> Certificate {
    let signatures = (0..count).map(|n| (KeyId([n; 32]), [n; 64])).collect();
    Certificate { height: HEIGHT, round: 3, block: BlockHash([count; 32]), signatures }
}

fn fork() -> Evidence {
    Evidence::conflicting_certificates(LEDGER, [certificate(4), certificate(3)])
}

fn parts_are(bytes: &[u8], parts: &[(usize, &[u8])]) {
    for (offset, part) in parts {
        assert_eq!(&bytes[*offset..offset + part.len()], *part, "offset {offset}");
    }
}

#[test]
fn every_field_is_at_its_offset() {
    let round = [0x11, 0x12, 0x13, 0x14];
    let head: [(usize, &[u8]); 4] = [
        (0, b"ledger/evid/v1\0"),
        (16, &[0x11; 32]),
        (48, &[1, 2, 3, 4, 5, 6, 7, 8]),
        (56, &round),
    ];
    let bytes = double_vote().encode();
    assert_eq!((bytes.len(), bytes[15], bytes[60]), (287, 1, 2));
    parts_are(&bytes, &head);
    // The vote for nil comes first.
    let votes: [(usize, &[u8]); 7] = [
        (61, &[0x33; 32]),
        (93, &[0]),
        (94, &[0; 32]),
        (126, &[0x66; 64]),
        (190, &[1]),
        (191, &[0x44; 32]),
        (223, &[0x55; 64]),
    ];
    parts_are(&bytes, &votes);
    let bytes = double_proposal().encode();
    assert_eq!((bytes.len(), bytes[15]), (294, 2));
    parts_are(&bytes, &head);
    let proposals: [(usize, &[u8]); 9] = [
        (60, &[0x33; 32]),
        (92, &[0x44; 32]),
        (124, &[0]),
        (125, &[0; 4]),
        (129, &[0x45; 64]),
        (193, &[0x46; 32]),
        (225, &[1]),
        (226, &[0x21, 0x22, 0x23, 0x24]),
        (230, &[0x47; 64]),
    ];
    parts_are(&bytes, &proposals);
    let bytes = fork().encode();
    let (first, second) = (certificate(3).encode(), certificate(4).encode());
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let expected = [&length(&first)[..], &first, &length(&second), &second].concat();
    assert_eq!(bytes[56..], expected);
    assert_eq!(bytes[15], 3);
}

#[test]
fn a_presentation_names_ledger_block_and_certificate() {
    let bytes = presentation_bytes(&LEDGER, &BlockHash([0x44; 32]), &certificate(3));
    let hash = ledger_format::digest::sha256(&[&certificate(3).encode()]);
    let parts: [(usize, &[u8]); 5] =
        [(0, b"ledger/pres/v1\0"), (15, &[0]), (16, &[0x11; 32]), (48, &[0x44; 32]), (80, &hash)];
    parts_are(&bytes, &parts);
}

#[test]
fn what_is_written_is_read_and_the_order_of_what_was_given_does_not_matter() {
    for evidence in [double_vote(), double_proposal(), fork()] {
        let read = Evidence::decode(evidence.encode().into()).unwrap();
        assert_eq!(read, evidence);
        assert_eq!(read.id(), evidence.id());
    }
    let Offence::DoubleVote { votes: [one, two], .. } = double_vote().offence else { panic!() };
    let about = (0x1112_1314, VoteStep::Precommit, BY);
    let again = Evidence::double_vote(LEDGER, HEIGHT, about, [two, one]);
    assert_eq!(again.id(), double_vote().id());
}

#[test]
fn other_encodings_are_refused() {
    let read = |bytes: Vec<u8>| kind(Evidence::decode(Bytes::from(bytes)));
    let bytes = double_vote().encode();
    let with = |place: usize, byte: u8| {
        let mut changed = bytes.clone();
        changed[place] = byte;
        read(changed)
    };
    assert_eq!(with(0, b'L'), Kind::Magic);
    assert_eq!(with(15, 9), Kind::Value);
    assert_eq!(with(60, 3), Kind::Value);
    assert_eq!(with(93, 2), Kind::NotCanonical);
    assert_eq!(with(94, 1), Kind::NotCanonical);
    let turned = [&bytes[..93], &bytes[190..], &bytes[93..190]].concat();
    assert_eq!(read(turned), Kind::NotCanonical);
    for length in 0..bytes.len() {
        let kind = read(bytes[..length].to_vec());
        assert!(matches!(kind, Kind::Magic | Kind::Truncated), "{length}: {kind:?}");
    }
    assert_eq!(read([&bytes[..], &[0]].concat()), Kind::Trailing);
    assert_eq!(read(vec![0; MAX_EVIDENCE_BYTES + 1]), Kind::TooLarge);
}

/// What two statements prove is one evidence with one id, so that it is told and recorded once.
#[test]
fn statements_of_every_kind_have_one_order() {
    let second = 56 + 4 + certificate(3).encode().len();
    for (evidence, first, second) in
        [(double_vote(), 93, 190), (double_proposal(), 92, 193), (fork(), 56, second)]
    {
        let bytes = evidence.encode();
        let turned = [&bytes[..first], &bytes[second..], &bytes[first..second]].concat();
        assert_eq!(kind(Evidence::decode(turned.into())), Kind::NotCanonical, "{evidence:?}");
    }
}

#[test]
fn two_certificates_accuse_whoever_signed_both_and_nobody_else() {
    let by = |block: u8, signers: [u8; 3]| {
        let signatures = signers.map(|n| (KeyId([n; 32]), [n; 64])).into();
        Certificate { height: HEIGHT, round: 3, block: BlockHash([block; 32]), signatures }
    };
    let fork = Evidence::conflicting_certificates(LEDGER, [by(1, [1, 2, 3]), by(2, [2, 3, 4])]);
    assert_eq!(fork.accused(), [KeyId([2; 32]), KeyId([3; 32])]);
}

/// Else a block of another ledger or height could be told as one of this.
#[test]
fn a_block_that_was_given_away_is_of_the_place_that_the_evidence_names() {
    let header = Header {
        protocol_version: 1,
        ledger: LEDGER,
        height: HEIGHT,
        previous: [1; 32],
        time_ms: 2,
        proposer: BY,
        tree_size: 3,
        tree_root: [4; 32],
        state_root: [5; 32],
        validators: [6; 32],
        next_validators: [7; 32],
    };
    let forged = Evidence::forged_certificate(BY, header, certificate(2), [8; 64]);
    let bytes = forged.encode();
    assert_eq!(Evidence::decode(bytes.clone().into()), Ok(forged));
    for place in [16, 47, 48, 55] {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert_eq!(kind(Evidence::decode(changed.into())), Kind::Value, "byte {place}");
    }
}

#[test]
fn the_largest_evidence_fits() {
    let many = |block: u8| {
        let signature = |n: u16| {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&n.to_be_bytes());
            (KeyId(id), [1; 64])
        };
        let signatures = (0..256).map(signature).collect();
        Certificate { height: 1, round: 0, block: BlockHash([block; 32]), signatures }
    };
    let evidence = Evidence::conflicting_certificates(LEDGER, [many(1), many(2)]);
    assert_eq!(Evidence::decode(evidence.encode().into()), Ok(evidence));
}

#[test]
fn a_file_holds_a_genesis_document_or_none() {
    let genesis = World::new("evidence", &[1], Clock::Wall).genesis;
    for genesis in [Some(&genesis), None] {
        let bytes = EvidenceFile::encode(genesis, &[], &double_vote());
        let file = EvidenceFile::decode(bytes.into()).unwrap();
        assert_eq!((file.genesis.as_ref(), file.evidence), (genesis, double_vote()));
    }
    let mut long = EVIDENCE_FILE_MARK.to_vec();
    let length = u32::try_from(MAX_GENESIS_BYTES + 1).unwrap();
    long.extend_from_slice(&length.to_be_bytes());
    assert_eq!(kind(EvidenceFile::decode(long.into())), Kind::TooLarge);
    let other = b"ledger/evidence/3\0".to_vec();
    assert_eq!(kind(EvidenceFile::decode(other.into())), Kind::Magic);
}

#[test]
fn a_file_shows_changes_of_the_validators_under_a_mark_of_its_own() {
    let change = |n: u8| SetChange { header: vec![n; 3].into(), ..SetChange::default() };
    let changes = [change(1), change(2)];
    let bytes = EvidenceFile::encode(None, &changes, &double_vote());
    assert!(bytes.starts_with(CHANGED_FILE_MARK));
    let file = EvidenceFile::decode(bytes.clone().into()).unwrap();
    assert_eq!((file.changes.as_slice(), file.evidence), (&changes[..], double_vote()));
    // There is one way to show none.
    let none = [CHANGED_FILE_MARK.as_slice(), &[0; 8], &double_vote().encode()].concat();
    assert_eq!(kind(EvidenceFile::decode(none.into())), Kind::NotCanonical);
    let mut long = [CHANGED_FILE_MARK.as_slice(), &[0; 4]].concat();
    long.extend_from_slice(&u32::try_from(MAX_CHANGES_BYTES + 1).unwrap().to_be_bytes());
    assert_eq!(kind(EvidenceFile::decode(long.into())), Kind::TooLarge);
    for cut in 18..bytes.len() {
        assert!(EvidenceFile::decode(Bytes::copy_from_slice(&bytes[..cut])).is_err(), "{cut}");
    }
}

/// A change of validators as large as they come with so many members, or nearly so.
fn change_of(number: u16, members: usize) -> SetChange {
    let [high, low] = number.to_be_bytes();
    SetChange {
        header: vec![high; 269].into(),
        certificate: vec![low; 61 + 96 * members].into(),
        validators: vec![low; 190 * members].into(),
    }
}

#[test]
fn a_file_shows_thousands_of_changes_and_the_oldest_of_more_than_it_holds() {
    for (members, most) in [(4, 10_000), (16, 3_000), (256, 200)] {
        let changes: Vec<_> = (0..most).map(|number| change_of(number, members)).collect();
        let file = EvidenceFile::encode(None, &changes, &double_vote());
        let read = EvidenceFile::decode(file.into()).unwrap();
        assert!(read.changes == changes, "{most} changes of {members} are shown");
    }
    let changes: Vec<_> = (0..400).map(|number| change_of(number, 256)).collect();
    let file = EvidenceFile::encode(None, &changes, &double_vote());
    let read = EvidenceFile::decode(file.into()).unwrap();
    let shown = read.changes.len();
    assert!((200..400).contains(&shown) && read.changes == changes[..shown], "{shown}");
    assert_eq!(read.evidence, double_vote());
    // To the byte: framed in 5 bytes and 4 more for the longest field.
    let of = |bytes: usize| SetChange { header: vec![1; bytes].into(), ..SetChange::default() };
    let largest = of(MAX_CHANGES_BYTES - 10);
    let with = |changes: &[SetChange]| {
        let file = EvidenceFile::encode(None, changes, &double_vote());
        EvidenceFile::decode(file.into()).unwrap().changes.len()
    };
    assert_eq!(with(std::slice::from_ref(&largest)), 1);
    assert_eq!(with(&[largest, of(1)]), 1);
    assert_eq!(with(&[of(MAX_CHANGES_BYTES - 9)]), 0);
}

#[test]
fn more_changes_than_there_can_be_are_refused_before_they_are_read() {
    let with = |changes: &[u8]| {
        let length = u32::try_from(changes.len()).unwrap().to_be_bytes();
        let file = [CHANGED_FILE_MARK.as_slice(), &[0; 4], &length, changes].concat();
        let file = EvidenceFile::decode([file, double_vote().encode()].concat().into());
        file.map(|file| file.changes.len())
    };
    let empty = [0x0a, 0].repeat(MAX_CHANGES);
    assert_eq!(with(&empty), Ok(MAX_CHANGES));
    let too_many = [&empty[..], &[0x0a, 0]].concat();
    assert_eq!(kind(with(&too_many)), Kind::TooLarge);
    // Whatever stands before them: fields that nobody knows, a group, a key in more bytes than it needs.
    for before in [&[0x10, 1][..], &[0x13, 0x14], &[0x8a, 0x00, 0x00], &[0x1d, 0, 0, 0, 0]] {
        assert_eq!(kind(with(&[before, &too_many].concat())), Kind::TooLarge, "{before:?}");
        assert_ne!(kind(with(&[before, &[0x0a, 0]].concat())), Kind::TooLarge, "{before:?}");
    }
}
