//! Proof files that are put together of parts that do not belong together, or are changed in one of them.

use bytes::Bytes;
use ledger_event::proof_file::Statement;
use ledger_event::{Anchor, EntryProof, ProofFile, RecordProof, StateProof};
use ledger_fixtures::{Chain, World};
use ledger_format::digest::{EntryId, LedgerId, hex};
use ledger_format::header::Header;
use ledger_format::message;
use ledger_format::proof_file::{PROOF_FORMAT, decode, encode};
use serde_json::{Value, json};

use super::{ABSENT, SUBJECT, chain, longer, malformed, refuted, small_chain, turned};
use crate::Vector;

/// The y coordinate of a point of order eight (SSR 2020, "Taming the many EdDSAs").
const ORDER_EIGHT: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
    0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];

/// All of them.
pub(super) fn wrong() -> Vec<Vector> {
    let (four, one) = (Made::of(chain()), Made::of(small_chain()));
    let mut vectors = four.certified();
    vectors.extend(one.anchored());
    vectors.push(weak());
    vectors.extend(one.of_entry());
    vectors.extend(one.of_record());
    vectors.extend(one.forms());
    vectors
}

/// A chain and the entry of height 2 that its proofs are about.
struct Made {
    chain: Chain,
    entry: EntryId,
}

fn input(file: &[u8], trust: &LedgerId) -> Value {
    json!({ "bytes": hex(file), "entry": Value::Null, "trust": trust.to_string() })
}

impl Made {
    fn of(chain: Chain) -> Self {
        let entry = EntryId(ledger_format::entry::leaf_hash(&chain.blocks[1].body.entries[0]));
        Self { chain, entry }
    }

    fn vector(
        &self,
        name: &str,
        comment: &str,
        file: &[u8],
        expected: (&'static str, &'static str),
    ) -> Vector {
        Vector::new(name, comment, input(file, &self.chain.world.genesis.id()), expected)
    }

    fn entry_proof(&self) -> EntryProof {
        self.chain.entry_proof(2, &self.entry, &[0])
    }

    /// The proof of the entry with a change to the anchor.
    fn with_anchor(&self, change: impl FnOnce(&mut Anchor)) -> Vec<u8> {
        let mut anchor = self.chain.anchor(2);
        change(&mut anchor);
        encode(anchor, Statement::Entry(self.entry_proof()))
    }

    fn with_entry(&self, change: impl FnOnce(&mut EntryProof)) -> Vec<u8> {
        let mut proof = self.entry_proof();
        change(&mut proof);
        encode(self.chain.anchor(2), Statement::Entry(proof))
    }

    fn with_record(&self, id: &str, change: impl FnOnce(&mut RecordProof)) -> Vec<u8> {
        let mut proof = self.chain.record_proof(2, id);
        change(&mut proof);
        encode(self.chain.anchor(2), Statement::Record(proof))
    }

    /// The proof of the entry under another header, certified by some of the validators.
    fn under(&self, header: &Header, by: &[usize]) -> Vec<u8> {
        self.with_anchor(|anchor| {
            anchor.header = header.encode().into();
            anchor.certificate = self.chain.world.certificate(header, 0, by).encode().into();
        })
    }

    /// What only a ledger of several validators can show.
    fn certified(&self) -> Vec<Vector> {
        let header = self.chain.header_at(2);
        let two = self.under(header, &[0, 1]);
        let three = self.under(header, &[0, 1, 3]);
        let last = self.with_entry(|proof| {
            *proof = self.chain.entry_proof(2, &self.entry, &[0, 1]);
            let place = proof.receipts[1].len() * 8 - 40;
            proof.receipts[1] = turned(&proof.receipts[1], place).into();
        });
        vec![
            self.vector("certified by three of four", "", &three, super::GOOD),
            self.vector("certified by two of four", "", &two, refuted("V_QUORUM")),
            self.vector(
                "one receipt of two forged",
                "every receipt that is there must be valid",
                &last,
                refuted("V_RECEIPT_SIGNATURE"),
            ),
        ]
    }

    fn anchored(&self) -> Vec<Vector> {
        let header = self.chain.header_at(2);
        let other_ledger = Header { ledger: LedgerId([0xab; 32]), ..header.clone() };
        let other_set = Header { validators: [0x33; 32], ..header.clone() };
        let later = Header { protocol_version: u32::MAX, ..header.clone() };
        let vote = self.with_anchor(|anchor| {
            anchor.certificate = turned(&anchor.certificate, 8 * 100).into();
        });
        let cut = self.with_anchor(|anchor| anchor.header.truncate(268));
        let mark = self.with_anchor(|anchor| {
            anchor.certificate = turned(&anchor.certificate, 0).into();
        });
        vec![
            self.vector(
                "header of another ledger",
                "certified by the validators of this one",
                &self.under(&other_ledger, &[0]),
                refuted("V_HEADER_LEDGER"),
            ),
            self.vector(
                "header with other validators",
                "certified by those of genesis: the proof does not show the change",
                &self.under(&other_set, &[0]),
                ("not determined", ""),
            ),
            self.vector(
                "header of an unknown version",
                "certified; the highest number of one: who knows it may know what it says",
                &self.under(&later, &[0]),
                ("not determined", ""),
            ),
            self.vector(
                "another vote",
                "one bit of its signature",
                &vote,
                refuted("V_CERTIFICATE_SIGNATURE"),
            ),
            self.vector("nobody's certificate", "", &self.under(header, &[]), refuted("V_QUORUM")),
            self.vector("header cut", "its last byte is missing", &cut, malformed("FMT_TRUNCATED")),
            self.vector("certificate with another mark", "", &mark, malformed("FMT_MAGIC")),
        ]
    }

    fn of_entry(&self) -> Vec<Vector> {
        let other = EntryId(ledger_format::entry::leaf_hash(&self.chain.blocks[1].body.entries[1]));
        let entry =
            |name: &str, comment: &str, expected, change: &dyn Fn(&mut EntryProof)| -> Vector {
                self.vector(name, comment, &self.with_entry(change), expected)
            };
        let changed = |change: &dyn Fn(&mut ledger_format::receipt::Receipt)| -> Vec<Bytes> {
            let mut receipt = self.chain.receipt(2, &self.entry, 0);
            change(&mut receipt);
            vec![receipt.encode().into()]
        };
        let inclusion = refuted("V_INCLUSION");
        vec![
            entry("id of another entry", "the receipt is of this one", inclusion, &|proof| {
                proof.entry_id = Bytes::copy_from_slice(other.as_bytes());
            }),
            entry("receipt with another path", "", inclusion, &|proof| {
                proof.receipts = changed(&|receipt| receipt.path[0][0] ^= 1);
            }),
            entry("receipt with another index", "", inclusion, &|proof| {
                proof.receipts = changed(&|receipt| receipt.leaf_index ^= 1);
            }),
            entry("receipt by a stranger", "", refuted("V_RECEIPT_KEY"), &|proof| {
                proof.receipts = changed(&|receipt| receipt.kid.0[0] ^= 1);
            }),
            entry("entry id of 31 bytes", "", malformed("FMT_VALUE"), &|proof| {
                proof.entry_id.truncate(31);
            }),
            entry("a byte after a receipt", "", malformed("FMT_TRAILING"), &|proof| {
                proof.receipts[0] = longer(&proof.receipts[0]).into();
            }),
        ]
    }

    fn of_record(&self) -> Vec<Vector> {
        let there = |name: &str, comment: &str, expected, change: &dyn Fn(&mut RecordProof)| {
            self.vector(name, comment, &self.with_record(SUBJECT, change), expected)
        };
        let path = |proof: &mut RecordProof, change: &dyn Fn(&mut StateProof)| {
            change(proof.proof.as_mut().unwrap());
        };
        let record = self.chain.record_proof(2, SUBJECT).record;
        let invented = self.with_record(ABSENT, |proof| proof.record = record.clone());
        let (code, open) = (refuted("V_RECORD"), refuted("V_STATE_PROOF"));
        vec![
            there("another record", "one bit of it", code, &|proof| {
                proof.record = turned(&proof.record, 8 * 4).into();
            }),
            there("record left out", "the state has one", code, &|proof| proof.record.clear()),
            self.vector("record made up", "the state has none of that id", &invented, code),
            there("another sibling", "one bit of it", open, &|proof| {
                path(proof, &|path| path.siblings = turned(&path.siblings, 0).into());
            }),
            there("another record hash", "one bit of it", open, &|proof| {
                path(proof, &|path| path.leaf_record = turned(&path.leaf_record, 0).into());
            }),
            there("no path", "as if the state were empty", open, &|proof| proof.proof = None),
            there("bits without siblings", "", malformed("FMT_VALUE"), &|proof| {
                path(proof, &|path| path.siblings.clear());
            }),
            there("record id of no kind", "", malformed("FMT_IDENTIFIER"), &|proof| {
                proof.id = "weather".into();
            }),
        ]
    }

    fn forms(&self) -> Vec<Vector> {
        let good = self.with_entry(|_| {});
        let (anchor, statement) = decode(&good.clone().into()).unwrap();
        let parts = |anchor, statement| {
            message::encode(&ProofFile { format: PROOF_FORMAT.into(), anchor, statement })
        };
        // Field 18 as a varint: no field of that number exists.
        let unknown = [&good[..], &[0x90, 0x01, 0x01]].concat();
        vec![
            self.vector("empty", "no bytes at all", &[], malformed("FMT_MAGIC")),
            self.vector("unknown field", "", &unknown, malformed("FMT_NOT_CANONICAL")),
            self.vector("no anchor", "", &parts(None, Some(statement)), malformed("FMT_VALUE")),
            self.vector("no statement", "", &parts(Some(anchor), None), malformed("FMT_VALUE")),
        ]
    }
}

/// A founder's key that is no key, in a genesis that is trusted and whose validators certify the header.
fn weak() -> Vector {
    let chain = small_chain();
    let world = World::with("small", &[1], |genesis| {
        genesis.founders[0].keys[0].public_key = Bytes::copy_from_slice(&ORDER_EIGHT);
    });
    let trust = world.genesis.id();
    let header = Header { ledger: trust, ..chain.header_at(2).clone() };
    let anchor = Anchor {
        genesis: world.genesis.bytes().clone(),
        header: header.encode().into(),
        certificate: world.certificate(&header, 0, &[0]).encode().into(),
        ..Anchor::default()
    };
    let file = encode(anchor, Statement::Record(chain.record_proof(2, SUBJECT)));
    Vector::new(
        "genesis with an unsound key",
        "a point of small order (signature.md, enrolment)",
        input(&file, &trust),
        refuted("V_WEAK_KEY"),
    )
}
