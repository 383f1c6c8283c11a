//! Structures of fixed layout: headers, votes, certificates, bodies, blocks, frames of chain files.

use bytes::Bytes;
use ledger_fixtures::Key;
use ledger_format::block::{Block, Body};
use ledger_format::chain_file::{
    CHAIN_MARK, CHECKSUM_BYTES, End, FRAME_HEAD_BYTES, FrameHead, FrameKind, frame,
};
use ledger_format::digest::{BlockHash, EntryId, KeyId, LedgerId, sha256};
use ledger_format::header::{HEADER_BYTES, HEADER_MARK, Header};
use ledger_format::limits::{MAX_BLOCK_BYTES, MAX_BLOCK_ENTRIES, MAX_VALIDATORS};
use ledger_format::malformed::Kind;
use ledger_format::vote::{Certificate, VoteStep, proposal_bytes, vote_bytes};

use crate::samples::{chain, kind, single};

fn header() -> Header {
    Header {
        protocol_version: 0x0102_0304,
        ledger: LedgerId([0x11; 32]),
        height: 0x0102_0304_0506_0708,
        previous: [0x22; 32],
        time_ms: 0x1112_1314_1516_1718,
        proposer: KeyId([0x33; 32]),
        tree_size: 0x2122_2324_2526_2728,
        tree_root: [0x44; 32],
        state_root: [0x55; 32],
        validators: [0x66; 32],
        next_validators: [0x77; 32],
    }
}

fn certificate(signatures: u8) -> Certificate {
    Certificate {
        height: 0x0102_0304_0506_0708,
        round: 0x1112_1314,
        block: BlockHash([0x88; 32]),
        signatures: (0..signatures).map(|n| (KeyId([n; 32]), [n; 64])).collect(),
    }
}

mod headers {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::decode(bytes.clone().into()), Ok(header()));
        assert_eq!(header().hash(), BlockHash(sha256(&[&bytes])));
        assert_eq!(header().leaf(), EntryId(sha256(&[&[0], &bytes])));
    }

    /// The table of docs/spec/block.md, written out.
    #[test]
    fn every_field_is_at_its_offset() {
        let bytes = header().encode();
        let parts: [(usize, &[u8]); 12] = [
            (0, b"ledger/header/v1\0"),
            (17, &[1, 2, 3, 4]),
            (21, &[0x11; 32]),
            (53, &[1, 2, 3, 4, 5, 6, 7, 8]),
            (61, &[0x22; 32]),
            (93, &[0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]),
            (101, &[0x33; 32]),
            (133, &[0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28]),
            (141, &[0x44; 32]),
            (173, &[0x55; 32]),
            (205, &[0x66; 32]),
            (237, &[0x77; 32]),
        ];
        let mut end = 0;
        for (offset, part) in parts {
            assert_eq!(offset, end);
            end = offset + part.len();
            assert_eq!(&bytes[offset..end], part, "offset {offset}");
        }
        assert_eq!(end, 269);
    }

    #[test]
    fn any_other_length_is_refused() {
        let bytes = header().encode();
        for length in 0..bytes.len() {
            let expected = if length < HEADER_MARK.len() { Kind::Magic } else { Kind::Truncated };
            let cut = Bytes::copy_from_slice(&bytes[..length]);
            assert_eq!(kind(Header::decode(cut)), expected, "{length} bytes");
        }
        let longer = [bytes, vec![0]].concat();
        assert_eq!(kind(Header::decode(longer.into())), Kind::Trailing);
    }

    #[test]
    fn every_bit_of_the_mark_counts() {
        for bit in 0..HEADER_MARK.len() * 8 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(kind(Header::decode(bytes.into())), Kind::Magic, "bit {bit}");
        }
    }

    /// The two kinds of leaf differ in their first byte.
    #[test]
    fn no_entry_begins_like_a_header() {
        assert_eq!(header().encode()[0], b'l');
        assert_eq!(single().bytes()[0], 0xd2);
    }
}

mod votes {
    use super::*;

    const LEDGER: LedgerId = LedgerId([0x11; 32]);
    const BLOCK: BlockHash = BlockHash([0x88; 32]);

    #[test]
    fn a_vote_is_96_bytes_at_fixed_offsets() {
        let vote = vote_bytes(&LEDGER, VoteStep::Precommit, 0x0102_0304_0506_0708, 9, Some(&BLOCK));
        let parts: [&[u8]; 7] = [
            b"ledger/vote/v1\0",
            &[2],
            &[0x11; 32],
            &[1, 2, 3, 4, 5, 6, 7, 8],
            &[0, 0, 0, 9],
            &[1, 0, 0, 0],
            &[0x88; 32],
        ];
        assert_eq!(vote.as_slice(), parts.concat());
        let nil = vote_bytes(&LEDGER, VoteStep::Prevote, 1, u32::MAX, None);
        assert_eq!(nil[15], 1);
        assert_eq!(&nil[56..], [&[0xff; 4][..], &[0; 36]].concat());
    }

    #[test]
    fn a_proposal_is_96_bytes_at_fixed_offsets() {
        let proposal = proposal_bytes(&LEDGER, 0x0102_0304_0506_0708, 9, Some(5), &BLOCK);
        let parts: [&[u8]; 7] = [
            b"ledger/prop/v1\0",
            &[1],
            &[0x11; 32],
            &[1, 2, 3, 4, 5, 6, 7, 8],
            &[0, 0, 0, 9],
            &[0, 0, 0, 5],
            &[0x88; 32],
        ];
        assert_eq!(proposal.as_slice(), parts.concat());
        let fresh = proposal_bytes(&LEDGER, 1, 0, None, &BLOCK);
        assert_eq!((fresh[15], &fresh[60..64]), (0, &[0; 4][..]));
    }

    /// No two statements have the same bytes, or a signature on one would be a signature on the other.
    #[test]
    fn every_part_of_a_statement_is_in_its_bytes() {
        let other = LedgerId([0x12; 32]);
        let zero = BlockHash([0; 32]);
        let mut all = vec![
            vote_bytes(&LEDGER, VoteStep::Prevote, 1, 0, Some(&BLOCK)),
            vote_bytes(&LEDGER, VoteStep::Precommit, 1, 0, Some(&BLOCK)),
            vote_bytes(&other, VoteStep::Precommit, 1, 0, Some(&BLOCK)),
            vote_bytes(&LEDGER, VoteStep::Precommit, 2, 0, Some(&BLOCK)),
            vote_bytes(&LEDGER, VoteStep::Precommit, 1, 1, Some(&BLOCK)),
            vote_bytes(&LEDGER, VoteStep::Precommit, 1, 0, None),
            vote_bytes(&LEDGER, VoteStep::Precommit, 1, 0, Some(&zero)),
            proposal_bytes(&LEDGER, 1, 0, None, &BLOCK),
            proposal_bytes(&LEDGER, 1, 0, Some(0), &BLOCK),
            proposal_bytes(&LEDGER, 1, 0, Some(1), &BLOCK),
            proposal_bytes(&LEDGER, 1, 1, None, &BLOCK),
            proposal_bytes(&LEDGER, 2, 0, None, &BLOCK),
            proposal_bytes(&other, 1, 0, None, &BLOCK),
            proposal_bytes(&LEDGER, 1, 0, None, &zero),
        ];
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}

mod certificates {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for signatures in [0, 1, 2, 255] {
            let certificate = certificate(signatures);
            let bytes = certificate.encode();
            assert_eq!(bytes.len(), 61 + 96 * usize::from(signatures));
            assert_eq!(Certificate::decode(bytes.into()), Ok(certificate));
        }
    }

    #[test]
    fn every_field_is_at_its_offset() {
        let bytes = certificate(2).encode();
        let parts: [&[u8]; 9] = [
            b"ledger/cert/v1\0",
            &[1, 2, 3, 4, 5, 6, 7, 8],
            &[0x11, 0x12, 0x13, 0x14],
            &[0x88; 32],
            &[0, 2],
            &[0; 32],
            &[0; 64],
            &[1; 32],
            &[1; 64],
        ];
        assert_eq!(bytes, parts.concat());
    }

    #[test]
    fn any_other_length_is_refused() {
        let bytes = certificate(3).encode();
        for length in 0..bytes.len() {
            let expected = if length < 15 { Kind::Magic } else { Kind::Truncated };
            let cut = Bytes::copy_from_slice(&bytes[..length]);
            assert_eq!(kind(Certificate::decode(cut)), expected, "{length} bytes");
        }
        let longer = [bytes, vec![0]].concat();
        assert_eq!(kind(Certificate::decode(longer.into())), Kind::Trailing);
    }

    #[test]
    fn validators_rise_strictly() {
        let mut swapped = certificate(3);
        swapped.signatures.swap(1, 2);
        assert_eq!(kind(Certificate::decode(swapped.encode().into())), Kind::NotCanonical);
        let mut twice = certificate(3);
        twice.signatures[2].0 = twice.signatures[1].0;
        assert_eq!(kind(Certificate::decode(twice.encode().into())), Kind::NotCanonical);
        twice.signatures[2] = twice.signatures[1];
        assert_eq!(kind(Certificate::decode(twice.encode().into())), Kind::NotCanonical);
    }

    #[test]
    fn at_most_256_sign() {
        let mut most = certificate(255);
        most.signatures.push((KeyId([0xff; 32]), [0; 64]));
        assert_eq!(most.signatures.len(), MAX_VALIDATORS);
        assert_eq!(Certificate::decode(most.encode().into()), Ok(most.clone()));
        most.signatures[255].0.0[31] = 0xfe;
        most.signatures.push((KeyId([0xff; 32]), [0; 64]));
        assert_eq!(kind(Certificate::decode(most.encode().into())), Kind::TooLarge);
    }

    /// What a certificate's signatures are over is the precommit for its block.
    #[test]
    fn the_signed_bytes_are_a_precommit() {
        let ledger = LedgerId([5; 32]);
        let c = certificate(1);
        let vote = vote_bytes(&ledger, VoteStep::Precommit, c.height, c.round, Some(&c.block));
        assert_eq!(c.signed_bytes(&ledger), vote);
    }
}

mod blocks {
    use super::*;

    fn body(entries: &[usize]) -> Body {
        let entries = entries.iter().map(|length| vec![7; *length].into()).collect();
        Body { header: header(), entries }
    }

    #[test]
    fn what_is_written_is_read() {
        for body in [body(&[]), body(&[0]), body(&[1, 65_535, 0, 300])] {
            assert_eq!(Body::decode(body.encode().into()), Ok(body.clone()));
            let block = Block { body, certificate: certificate(3) };
            assert_eq!(Block::decode(block.encode().into()), Ok(block));
        }
        for block in chain().blocks {
            assert_eq!(Block::decode(block.encode().into()), Ok(block));
        }
    }

    #[test]
    fn the_layout_of_a_block() {
        let block = Block { body: body(&[1, 2]), certificate: certificate(1) };
        let parts: [&[u8]; 8] = [
            &[0, 0, 0, 157],
            &certificate(1).encode(),
            &header().encode(),
            &[0, 0, 0, 2],
            &[0, 1],
            &[7],
            &[0, 2],
            &[7, 7],
        ];
        assert_eq!(block.encode(), parts.concat());
    }

    #[test]
    fn any_other_length_is_refused() {
        let bytes = body(&[3, 0, 5]).encode();
        for length in 0..bytes.len() {
            let cut = Bytes::copy_from_slice(&bytes[..length]);
            assert_eq!(kind(Body::decode(cut)), Kind::Truncated, "{length} bytes");
        }
        let longer = [bytes, vec![0]].concat();
        assert_eq!(kind(Body::decode(longer.into())), Kind::Trailing);

        let bytes = chain().blocks[1].encode();
        for length in 0..bytes.len() {
            let cut = Bytes::copy_from_slice(&bytes[..length]);
            assert_eq!(kind(Block::decode(cut)), Kind::Truncated, "{length} bytes");
        }
        let longer = [bytes, vec![0]].concat();
        assert_eq!(kind(Block::decode(longer.into())), Kind::Trailing);
    }

    #[test]
    fn the_certificate_fills_its_length() {
        let block = chain().blocks[0].encode();
        let with_length = |length: u32| {
            let mut bytes = block.clone();
            bytes[..4].copy_from_slice(&length.to_be_bytes());
            kind(Block::decode(bytes.into()))
        };
        let length = u32::from_be_bytes(*block.first_chunk().unwrap());
        assert_eq!(with_length(length - 1), Kind::Truncated);
        assert_eq!(with_length(length + 1), Kind::Trailing);
        assert_eq!(with_length(0), Kind::Magic);
        assert_eq!(with_length(u32::MAX), Kind::TooLarge);
        assert_eq!(with_length(16 * 1024 * 1024), Kind::Truncated);
    }

    #[test]
    fn counts_and_lengths_are_bounded() {
        let with_count = |count: u32| {
            let mut bytes = body(&[1, 2]).encode();
            bytes[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&count.to_be_bytes());
            kind(Body::decode(bytes.into()))
        };
        assert_eq!(with_count(0), Kind::Trailing);
        assert_eq!(with_count(1), Kind::Trailing);
        assert_eq!(with_count(3), Kind::Truncated);
        assert_eq!(with_count(65_536), Kind::Truncated);
        assert_eq!(with_count(65_537), Kind::TooLarge);
        assert_eq!(with_count(u32::MAX), Kind::TooLarge);
        let most = body(&vec![0; MAX_BLOCK_ENTRIES]);
        assert_eq!(Body::decode(most.encode().into()), Ok(most));

        let full = vec![65_535; 255];
        let rest = MAX_BLOCK_BYTES - HEADER_BYTES - 4 - 255 * 65_537 - 2;
        let largest = body(&[full.clone(), vec![rest]].concat()).encode();
        assert_eq!(largest.len(), MAX_BLOCK_BYTES);
        assert!(Body::decode(largest.into()).is_ok());
        let above = body(&[full, vec![rest + 1]].concat()).encode();
        assert_eq!(kind(Body::decode(above.into())), Kind::TooLarge);
    }
}

mod chain_files {
    use super::*;

    const KINDS: [FrameKind; 4] =
        [FrameKind::Genesis, FrameKind::Block, FrameKind::Record, FrameKind::End];

    fn split(bytes: &[u8]) -> ([u8; FRAME_HEAD_BYTES], &[u8], [u8; CHECKSUM_BYTES]) {
        let (head, rest) = bytes.split_first_chunk().unwrap();
        let (payload, checksum) = rest.split_last_chunk().unwrap();
        (*head, payload, *checksum)
    }

    #[test]
    fn what_is_written_is_read() {
        for (kind, number) in KINDS.into_iter().zip(1..) {
            for length in [0, 1, 300] {
                let payload = vec![9; length];
                let bytes = frame(kind, &payload);
                let (head, found, checksum) = split(&bytes);
                let decoded = FrameHead::decode(head).unwrap();
                assert_eq!((decoded, found), (FrameHead { kind, length }, payload.as_slice()));
                assert_eq!(decoded.check(found, checksum), Ok(()));
                let hash = sha256(&[&[number], &head[1..], &payload]);
                assert_eq!((head[0], checksum.as_slice()), (number, &hash[..4]));
            }
        }
        assert_eq!(CHAIN_MARK, b"ledger/chain/v1\0");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let bytes = frame(FrameKind::Block, b"payload of a block");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (head, payload, checksum) = split(&flipped);
            let Ok(head) = FrameHead::decode(head) else { continue };
            if head.length == payload.len() {
                assert_eq!(kind(head.check(payload, checksum)), Kind::Checksum, "bit {bit}");
            }
        }
    }

    #[test]
    fn kinds_and_lengths_are_known() {
        for other in [0, 5, 6, 255] {
            assert_eq!(kind(FrameHead::decode([other, 0, 0, 0, 0])), Kind::UnknownValue);
        }
        let most = MAX_BLOCK_BYTES + 64 * 1024;
        let head = |length: usize| {
            let [a, b, c, d] = u32::try_from(length).unwrap().to_be_bytes();
            FrameHead::decode([2, a, b, c, d])
        };
        assert_eq!(head(most), Ok(FrameHead { kind: FrameKind::Block, length: most }));
        assert_eq!(kind(head(most + 1)), Kind::TooLarge);
        assert_eq!(kind(FrameHead::decode([2, 0xff, 0xff, 0xff, 0xff])), Kind::TooLarge);
    }

    #[test]
    fn the_end_is_16_bytes() {
        let end = End { blocks: 0x0102_0304_0506_0708, records: 9 };
        let bytes = end.encode();
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(End::decode(bytes.clone().into()), Ok(end));
        for length in 0..16 {
            let cut = Bytes::copy_from_slice(&bytes[..length]);
            assert_eq!(kind(End::decode(cut)), Kind::Truncated);
        }
        assert_eq!(kind(End::decode([bytes, vec![0]].concat().into())), Kind::Trailing);
    }
}

/// Keys have one id, whoever computes it.
#[test]
fn a_key_is_named_by_its_hash() {
    let key = Key::named("any");
    assert_eq!(key.id(), KeyId(sha256(&[&key.public()])));
}
