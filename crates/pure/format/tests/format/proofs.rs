//! Proof files as a format (docs/spec/proof.md); what they prove is tested in `ledger-verify`.

use bytes::Bytes;
use ledger_event::proof_file::Statement;
use ledger_event::{Anchor, EntryProof, ProofFile, RecordProof};
use ledger_format::limits::MAX_PROOF_BYTES;
use ledger_format::malformed::Kind;
use ledger_format::{message, proof_file};

use crate::samples::{kind, proof_files};

fn file(format: &str) -> ProofFile {
    let statement = Statement::Entry(EntryProof::default());
    ProofFile {
        format: format.to_owned(),
        anchor: Some(Anchor::default()),
        statement: Some(statement),
    }
}

fn decode(file: &ProofFile) -> Result<(Anchor, Statement), ledger_format::malformed::Malformed> {
    proof_file::decode(&Bytes::from(message::encode(file)))
}

#[test]
fn what_is_written_is_read() {
    for bytes in proof_files() {
        assert!(proof_file::is_proof_file(&bytes));
        assert_eq!(&bytes[..17], b"\x0a\x0fledger-proof-v1");
        let (anchor, statement) = proof_file::decode(&bytes).unwrap();
        assert_eq!(proof_file::encode(anchor, statement), bytes);
    }
    let absent = Statement::Record(RecordProof::default());
    let bytes = Bytes::from(proof_file::encode(Anchor::default(), absent.clone()));
    assert_eq!(proof_file::decode(&bytes), Ok((Anchor::default(), absent)));
}

/// Also names that begin as the right one does, which the canonical form alone would let pass.
#[test]
fn the_format_is_named_exactly() {
    assert!(decode(&file("ledger-proof-v1")).is_ok());
    for name in
        ["", "ledger-proof-v", "ledger-proof-v2", "ledger-proof-v1 ", "ledger-proof-v11", "l"]
    {
        assert_eq!(kind(decode(&file(name))), Kind::Magic, "{name:?}");
    }
}

#[test]
fn anchor_and_statement_are_there() {
    let without_anchor = ProofFile { anchor: None, ..file("ledger-proof-v1") };
    assert_eq!(kind(decode(&without_anchor)), Kind::Value);
    let without_statement = ProofFile { statement: None, ..file("ledger-proof-v1") };
    assert_eq!(kind(decode(&without_statement)), Kind::Value);
}

/// Cut between two fields, a proof file is a shorter message, in which the statement is missing; cut within one, it is none.
#[test]
fn a_proof_file_is_cut_short_at_every_length() {
    for bytes in proof_files() {
        for length in 0..bytes.len() {
            let found = kind(proof_file::decode(&bytes.slice(..length)));
            let expected = if length < 17 { Kind::Magic } else { Kind::Protobuf };
            assert!(found == expected || found == Kind::Value, "{length} bytes: {found}");
        }
    }
}

#[test]
fn nothing_follows() {
    for bytes in proof_files() {
        for (extra, expected) in [
            (&[0][..], Kind::Protobuf),
            (&[0x20, 1], Kind::NotCanonical),
            (&bytes[..17], Kind::NotCanonical),
            (&bytes, Kind::NotCanonical),
        ] {
            let longer = Bytes::from([&bytes, extra].concat());
            assert_eq!(kind(proof_file::decode(&longer)), expected);
        }
    }
}

#[test]
fn a_proof_file_has_at_most_1_mib() {
    let of = |length: usize| {
        let mut long = file("ledger-proof-v1");
        long.anchor = Some(Anchor { genesis: vec![0; length].into(), ..Anchor::default() });
        Bytes::from(message::encode(&long))
    };
    let overhead = of(1_000_000).len() - 1_000_000;
    let largest = of(MAX_PROOF_BYTES - overhead);
    assert_eq!(largest.len(), 1_048_576);
    assert!(proof_file::decode(&largest).is_ok());
    assert_eq!(kind(proof_file::decode(&of(MAX_PROOF_BYTES - overhead + 1))), Kind::TooLarge);
}

/// Other formats of the ledger are told apart by how they begin.
#[test]
fn other_files_are_not_proof_files() {
    for other in
        [&b""[..], b"{", b"ledger/chain/v1\0", b"\xd2\x84", b"\x0a\x0e", b"\x12\x0fledger-proof-v1"]
    {
        assert!(!proof_file::is_proof_file(other));
        assert_eq!(kind(proof_file::decode(&Bytes::from_static(other))), Kind::Magic);
    }
}
