//! Receipts that are encoded wrongly.

use ledger_fixtures::Chain;
use ledger_format::digest::{EntryId, hex};
use ledger_format::entry::leaf_hash;
use ledger_format::receipt::Receipt;
use minicbor::{Decoder, Encoder};
use serde_json::json;

use super::cose::{Items, chunked, endless, items, map, string, text, with_elements};
use super::{longer, malformed, small_chain};
use crate::Vector;

/// Label 396, inclusion proofs (-1), and the head of an array of one.
const ONE_PROOF: [u8; 7] = [0xa1, 0x19, 0x01, 0x8c, 0xa1, 0x20, 0x81];

/// The parts of a receipt, to be put together again in other ways.
#[derive(Clone)]
struct Parts {
    protected: Vec<u8>,
    /// What stands before the inclusion proof.
    unprotected: Vec<u8>,
    /// The inclusion proof, without the head of its byte string.
    proof: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Parts {
    fn of(receipt: &Receipt) -> Self {
        let bytes = receipt.encode();
        let mut decoder = Decoder::new(&bytes);
        decoder.tag().unwrap();
        decoder.array().unwrap();
        let protected = decoder.bytes().unwrap().to_vec();
        let rest = &bytes[decoder.position() + ONE_PROOF.len()..];
        let proof = Decoder::new(rest).bytes().unwrap().to_vec();
        let (unprotected, payload) = (ONE_PROOF.to_vec(), vec![0xf6]);
        Self { protected, unprotected, proof, payload, signature: receipt.signature.to_vec() }
    }

    fn bytes(&self) -> Vec<u8> {
        self.with_items(&string(&self.protected), &string(&self.proof))
    }

    /// With other items in place of the byte strings of protected header and inclusion proof.
    fn with_items(&self, protected: &[u8], proof: &[u8]) -> Vec<u8> {
        let signature = string(&self.signature);
        let head = [0xd2, 0x84];
        [&head, protected, &self.unprotected, proof, &self.payload, &signature].concat()
    }

    fn changed(&self, change: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut parts = self.clone();
        change(&mut parts);
        parts.bytes()
    }

    /// The protected header after a change of its items.
    fn with_header(&self, change: impl FnOnce(&mut Items)) -> Vec<u8> {
        let mut items = items(&self.protected);
        change(&mut items);
        self.changed(|parts| parts.protected = map(&items))
    }

    /// The inclusion proof after a change of its size, index and path.
    fn with_proof(&self, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
        self.changed(|parts| parts.proof = with_elements(&parts.proof, change))
    }
}

fn receipt_of(chain: &Chain) -> (EntryId, Receipt) {
    let entry = EntryId(leaf_hash(&chain.blocks[1].body.entries[0]));
    (entry, chain.receipt(2, &entry, 0))
}

/// An array of hashes of some length.
fn path(hashes: u64, length: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.array(hashes).unwrap();
    for _ in 0..hashes {
        encoder.bytes(&vec![7; length]).unwrap();
    }
    encoder.into_writer()
}

/// Receipts that are encoded wrongly. Of a ledger with one validator, whose genesis is short.
pub(super) fn wrong() -> Vec<Vector> {
    let chain = small_chain();
    let (entry, receipt) = receipt_of(&chain);
    let root = chain.header_at(2).tree_root;
    let bad = |name: &str, comment: &str, bytes: &[u8], code| {
        let genesis = hex(chain.world.genesis.bytes());
        let (leaf, tree_root, bytes) = (hex(&entry.0), hex(&root), hex(bytes));
        let input =
            json!({ "genesis": genesis, "leaf": leaf, "tree_root": tree_root, "bytes": bytes });
        Vector::new(name, comment, input, malformed(code))
    };
    let parts = Parts::of(&receipt);
    let good = receipt.encode();
    assert_eq!(good, parts.bytes());
    let mut vectors = envelopes(&bad, &parts, &root);
    vectors.extend(headers(&bad, &parts, &receipt));
    vectors.extend(proofs(&bad, &parts));
    vectors
}

type Bad<'a> = &'a dyn Fn(&str, &str, &[u8], &'static str) -> Vector;

fn envelopes(bad: Bad<'_>, parts: &Parts, root: &[u8; 32]) -> Vec<Vector> {
    let good = parts.bytes();
    let mut large = good.clone();
    large.resize(4_097, 0);
    let attached = parts.changed(|parts| parts.payload = string(root));
    let short = parts.changed(|parts| parts.signature.truncate(63));
    let none = [&ONE_PROOF[..6], &[0x80]].concat();
    let none =
        Parts { unprotected: none, ..parts.clone() }.with_items(&string(&parts.protected), &[]);
    let two = parts.changed(|parts| {
        parts.unprotected[6] = 0x82;
        parts.unprotected.extend(string(&parts.proof));
    });
    let other_label = parts.changed(|parts| parts.unprotected[3] = 0x8b);
    let endless = [&[0xd2, 0x9f][..], &good[2..], &[0xff]].concat();
    let long_tag = [&[0xd8, 0x12][..], &good[1..]].concat();
    vec![
        bad("empty", "no bytes at all", &[], "FMT_TRUNCATED"),
        bad("too large", "above 4,096 bytes", &large, "FMT_TOO_LARGE"),
        bad("without tag 18", "COSE allows it, this format does not", &good[1..], "FMT_CBOR"),
        bad("tag in two bytes", "RFC 8949 section 4.2.1", &long_tag, "FMT_NOT_CANONICAL"),
        bad("array of indefinite length", "RFC 8949 section 4.2.1", &endless, "FMT_NOT_CANONICAL"),
        bad("root attached", "the payload is null: a verifier computes it", &attached, "FMT_CBOR"),
        bad("signature of 63 bytes", "Ed25519 signatures have 64", &short, "FMT_VALUE"),
        bad("no inclusion proof", "exactly one", &none, "FMT_CBOR"),
        bad("two inclusion proofs", "exactly one", &two, "FMT_CBOR"),
        bad("proofs under label 395", "RFC 9942: 396", &other_label, "FMT_CBOR"),
    ]
}

fn headers(bad: Bad<'_>, parts: &Parts, receipt: &Receipt) -> Vec<Vector> {
    let proof = string(&parts.proof);
    let upper = text(&receipt.ledger.to_string().to_uppercase());
    let ledger = map(&vec![(vec![0x01], upper)]);
    let one_more = |header: &mut Items| header.push((vec![0x19, 0x01, 0x8d], vec![0x01]));
    vec![
        bad("alg ES256", "only EdDSA", &parts.with_header(|h| h[0].1 = vec![0x26]), "FMT_CBOR"),
        bad(
            "kid of 31 bytes",
            "a key id has 32",
            &parts.with_header(|h| h[1].1 = string(&[7; 31])),
            "FMT_VALUE",
        ),
        bad(
            "ledger in upper case",
            "lower-case hex",
            &parts.with_header(|h| h[2].1 = ledger),
            "FMT_VALUE",
        ),
        bad(
            "another data structure",
            "1, RFC9162_SHA256",
            &parts.with_header(|h| h[3].1 = vec![0x02]),
            "FMT_CBOR",
        ),
        bad("a fifth label", "four, and no others", &parts.with_header(one_more), "FMT_TRAILING"),
        bad(
            "header of indefinite length",
            "RFC 8949 section 4.2.1",
            &parts.changed(|parts| parts.protected = endless(&parts.protected)),
            "FMT_NOT_CANONICAL",
        ),
        bad(
            "header in chunks",
            "RFC 8949 section 4.2.1",
            &parts.with_items(&chunked(&string(&parts.protected)), &proof),
            "FMT_NOT_CANONICAL",
        ),
    ]
}

fn proofs(bad: Bad<'_>, parts: &Parts) -> Vec<Vector> {
    let header = string(&parts.protected);
    vec![
        bad(
            "proof in chunks",
            "RFC 8949 section 4.2.1",
            &parts.with_items(&header, &chunked(&string(&parts.proof))),
            "FMT_NOT_CANONICAL",
        ),
        bad(
            "size in two bytes",
            "shortest heads",
            &parts.with_proof(|p| p[0].insert(0, 0x18)),
            "FMT_NOT_CANONICAL",
        ),
        bad(
            "index below zero",
            "counted from 0",
            &parts.with_proof(|p| p[1] = vec![0x20]),
            "FMT_CBOR",
        ),
        bad(
            "path of 64",
            "at most 63",
            &parts.with_proof(|p| p[2] = path(64, 32)),
            "FMT_TOO_LARGE",
        ),
        bad(
            "hash of 31 bytes",
            "a hash has 32",
            &parts.with_proof(|p| p[2] = path(1, 31)),
            "FMT_VALUE",
        ),
        bad(
            "a byte after the path",
            "within the byte string of the proof",
            &parts.changed(|parts| parts.proof = longer(&parts.proof)),
            "FMT_NOT_CANONICAL",
        ),
    ]
}
