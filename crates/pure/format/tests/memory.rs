//! A length that the bytes only claim is never believed: decoders allocate about as much as they were given.
//!
//! Alone in its program, since the allocator counts for all threads.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use ledger_fixtures::messages::MESSAGES;
use ledger_format::block::{Block, Body};
use ledger_format::chain_file::FrameHead;
use ledger_format::entry::{Draft, Entry};
use ledger_format::evidence::{CHANGED_FILE_MARK, EvidenceFile};
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::{HEADER_BYTES, HEADER_MARK};
use ledger_format::limits::{
    MAX_BLOCK_BYTES, MAX_CHANGES, MAX_CHANGES_BYTES, MAX_ENTRY_BYTES, MAX_GENESIS_BYTES,
    MAX_PROOF_BYTES,
};
use ledger_format::note::{Checkpoint, Note};
use ledger_format::proof_file;
use ledger_format::receipt::Receipt;
use ledger_format::validators::Validators;
use ledger_format::vote::Certificate;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes allocated at once, above those before, while `work` ran.
fn peak(work: impl FnOnce()) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    work();
    ALLOCATOR.peak_usage() - before
}

/// Room for messages of errors and other small things.
const SMALL: usize = 16 * 1024;

#[track_caller]
fn assert_within(most: usize, name: &str, work: impl FnOnce()) {
    let found = peak(work);
    assert!(found <= most, "{name}: {found} bytes, at most {most} expected");
}

/// Every decoder, on the same bytes.
fn decode_all(bytes: &Bytes) {
    let most = SMALL + 4 * bytes.len();
    assert_within(most, "entry", || drop(Entry::decode(bytes.clone())));
    assert_within(most, "draft", || drop(Draft::from_parts(bytes, Vec::new())));
    assert_within(most, "certificate", || drop(Certificate::decode(bytes.clone())));
    assert_within(most, "body", || drop(Body::decode(bytes.clone())));
    assert_within(most, "block", || drop(Block::decode(bytes.clone())));
    assert_within(most, "genesis", || drop(GenesisDocument::decode(bytes.clone())));
    assert_within(most, "validators", || drop(Validators::decode(bytes)));
    assert_within(most, "receipt", || drop(Receipt::decode(bytes)));
    assert_within(most, "proof file", || drop(proof_file::decode(bytes)));
    for (name, decode) in MESSAGES {
        assert_within(most, name, || drop(decode(bytes)));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_within(most, "note", || drop(Note::decode(text)));
        assert_within(most, "checkpoint", || drop(Checkpoint::decode(text)));
    }
}

/// Heads of every major type of CBOR that claim up to 2^64 - 1 of something, at the start and where entries have them.
fn cbor() {
    let huge: [&[u8]; 4] = [
        &[26, 0x7f, 0xff, 0xff, 0xff],
        &[26, 0xff, 0xff, 0xff, 0xff],
        &[27, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[27, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    let before: [&[u8]; 6] = [
        &[],
        &[0xd2],
        &[0xd2, 0x84],
        &[0xd2, 0x84, 0x40],
        &[0xd2, 0x84, 0x40, 0xa0],
        &[0xd2, 0x84, 0x43, 0xa4, 0x01, 0x27],
    ];
    for start in before {
        for major in 2..7 {
            for claim in huge {
                let mut bytes = start.to_vec();
                bytes.push(major << 5 | claim[0]);
                bytes.extend(&claim[1..]);
                decode_all(&bytes.into());
            }
        }
    }
}

/// Lengths of protobuf fields and counts of fixed layouts.
fn lengths() {
    for field in 1..=32_u8 {
        for claim in
            [&[0xff, 0xff, 0xff, 0xff, 0x07][..], &[0xff; 10], &[0x80, 0x80, 0x80, 0x80, 0x10]]
        {
            let mut bytes = vec![field << 3 | 2];
            bytes.extend(claim);
            decode_all(&bytes.into());
        }
    }
    let mut body = vec![0; HEADER_BYTES];
    body[..HEADER_MARK.len()].copy_from_slice(HEADER_MARK);
    let many_entries = [body, u32::to_be_bytes(65_536).to_vec(), vec![0xff, 0xff]].concat();
    decode_all(&many_entries.into());
    let many_signatures = [b"ledger/cert/v1\0", &[0; 44][..], &[1, 0]].concat();
    assert_within(64 * 1024, "certificate", || {
        drop(Certificate::decode(many_signatures.clone().into()));
    });
    let head = FrameHead::decode([2, 0, 0xff, 0xff, 0xff]);
    assert_within(SMALL, "frame", || drop(head));
}

/// The most expensive bytes within the limits: many empty elements. A message in memory is larger than its encoding, by a factor
/// that the vocabulary sets; this pins it.
fn amplification() {
    let empty_elements = |tag: u8, bytes: usize| -> Bytes { [tag, 0].repeat(bytes / 2).into() };
    // founders
    let genesis = empty_elements(6 << 3 | 2, MAX_GENESIS_BYTES);
    assert_within(16 << 20, "genesis", || drop(GenesisDocument::decode(genesis)));
    // Receipts in an entry proof, each of no bytes. The name comes first, or nobody looks.
    let statement = empty_elements(2 << 3 | 2, 1 << 16);
    let mut file = b"\x0a\x0fledger-proof-v1\x12\x00\x82\x01\x80\x80\x04".to_vec();
    file.extend(&statement);
    assert!(file.len() < MAX_PROOF_BYTES);
    assert_within(4 << 20, "proof file", || drop(proof_file::decode(&file.clone().into())));
    // Changes of no bytes in an evidence file: they are counted before they are read.
    for (length, most) in [(2 * MAX_CHANGES, 16 << 20), (MAX_CHANGES_BYTES, SMALL)] {
        let changes = empty_elements(1 << 3 | 2, length);
        let length = u32::try_from(length).unwrap().to_be_bytes();
        let file = [CHANGED_FILE_MARK.as_slice(), &[0; 4], &length, &changes].concat();
        let file = Bytes::from(file);
        assert_within(most, "evidence file", || drop(EvidenceFile::decode(file)));
    }
    // Entries of no bytes: 32 bytes each in memory, and a count that is bounded.
    let mut body = vec![0; HEADER_BYTES];
    body[..HEADER_MARK.len()].copy_from_slice(HEADER_MARK);
    let body = [body, u32::to_be_bytes(65_536).to_vec(), vec![0; 131_072]].concat();
    assert!(body.len() < MAX_BLOCK_BYTES);
    assert_within(3 << 20, "body", || drop(Body::decode(body.clone().into())));
    // Keys of a party, in an entry of the largest size.
    let keys = empty_elements(3 << 3 | 2, MAX_ENTRY_BYTES);
    let (_, decode) = MESSAGES.iter().find(|(name, _)| name.ends_with(".PartyAdmitted")).unwrap();
    assert_within(8 << 20, "event", || drop(decode(&keys)));
}

#[test]
fn claimed_lengths_are_not_believed() {
    cbor();
    lengths();
    amplification();
}
