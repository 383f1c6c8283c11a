//! Entries: one signer and several, and every way in which an entry can be encoded wrongly.

use bytes::Bytes;
use ledger_event::event::Act;
use ledger_event::{Event, ImportedHistory, KeyRevoked, Purpose, Role};
use ledger_fixtures::{Key, Signing, claims, event, joint_claims, sign, summary};
use ledger_format::digest::{LedgerId, hex};
use ledger_format::entry::{Claims, Entry};
use ledger_format::message;
use serde_json::{Value, json};

use super::cose::{
    Items, PRIVATE, Parts, chunked, claim, endless, private, string, text, with_elements,
};
use super::{GOOD, SUBJECT, cut, issuer, longer, malformed, refuted, turned};
use crate::{Kind, Vector};

const LEDGER: LedgerId = LedgerId([0xab; 32]);

fn own_claims() -> Claims {
    claims(LEDGER, "exchange-00", SUBJECT, "one")
}

fn single() -> Entry {
    sign(&issuer(), &[], own_claims(), &summary())
}

fn joint() -> Entry {
    let (officer, buyer) = (Key::named("vectors officer"), Key::named("vectors buyer"));
    let signing = |party, key, role, purpose| Signing { party, key, role, purpose };
    let others = [
        signing("exchange-00", &officer, Role::Supplier, Purpose::SecondFactor),
        signing("buyer-one", &buyer, Role::Buyer, Purpose::Counterparty),
    ];
    let claims = joint_claims(own_claims(), (&issuer(), Role::Supplier), &others);
    sign(&issuer(), &[&officer, &buyer], claims, &summary())
}

fn keys() -> Vec<String> {
    let names = ["vectors issuer", "vectors officer", "vectors buyer"];
    names.map(|name| hex(&Key::named(name).public())).into()
}

fn input(bytes: &[u8]) -> Value {
    json!({ "bytes": hex(bytes), "keys": keys() })
}

fn bad(name: &str, comment: &str, bytes: &[u8], code: &'static str) -> Vector {
    Vector::new(name, comment, input(bytes), malformed(code))
}

/// Entries.
pub(super) fn entries() -> Kind {
    let mut vectors = vec![
        Vector::new("one signer", "the shortest entry there is", input(single().bytes()), GOOD),
        Vector::new(
            "three signers",
            "co-signatures under the private label",
            input(joint().bytes()),
            GOOD,
        ),
        Vector::new(
            "with prior",
            "a binding act states the head of the history that it saw",
            input(with_prior().bytes()),
            GOOD,
        ),
    ];
    vectors.extend(envelopes());
    vectors.extend(encodings());
    vectors.extend(headers());
    vectors.extend(signers());
    vectors.extend(payloads());
    vectors.extend(forged());
    Kind {
        name: "entry",
        description: "COSE_Sign1 entries (entry.md). `keys` are the public keys that a verifier has at hand, found by their SHA-256.",
        vectors,
    }
}

fn with_prior() -> Entry {
    let event = Event { prior: Bytes::from_static(&[7; 32]), ..summary() };
    sign(&issuer(), &[], own_claims(), &event)
}

fn envelopes() -> Vec<Vector> {
    let (entry, parts) = (single(), Parts::of(&single()));
    let bytes = entry.bytes();
    let untagged = &bytes[1..];
    let indefinite = [&[0xd2, 0x9f][..], &bytes[2..], &[0xff]].concat();
    let long_head = [&[0xd8, 0x12][..], &bytes[1..]].concat();
    let unprotected = Parts { unprotected: vec![0xa1, 0x04, 0x41, 0x00], ..parts.clone() };
    let short = Parts { signature: parts.signature[..63].to_vec(), ..parts.clone() };
    let long = Event {
        act: Some(Act::ImportedHistory(ImportedHistory {
            what: "x".repeat(66_000),
            ..ImportedHistory::default()
        })),
        ..Event::default()
    };
    vec![
        bad("cut", "the last byte is missing", cut(bytes), "FMT_TRUNCATED"),
        bad("longer", "a byte follows", &longer(bytes), "FMT_TRAILING"),
        bad("empty", "no bytes at all", &[], "FMT_TRUNCATED"),
        bad("without tag 18", "COSE allows it, this format does not", untagged, "FMT_CBOR"),
        bad(
            "tag in two bytes",
            "RFC 8949 section 4.2.1: shortest heads",
            &long_head,
            "FMT_NOT_CANONICAL",
        ),
        bad(
            "array of indefinite length",
            "RFC 8949 section 4.2.1: definite lengths",
            &indefinite,
            "FMT_NOT_CANONICAL",
        ),
        bad("unprotected header", "it must be empty", &unprotected.bytes(), "FMT_NOT_CANONICAL"),
        bad("signature of 63 bytes", "Ed25519 signatures have 64", &short.bytes(), "FMT_VALUE"),
        bad(
            "too large",
            "above 65,535 bytes",
            &parts.with_payload(message::encode(&long)),
            "FMT_TOO_LARGE",
        ),
    ]
}

fn headers() -> Vec<Vector> {
    let one = Parts::of(&single());
    vec![
        bad("alg ES256", "only EdDSA (-8)", &one.with_header(|h| h[0].1 = vec![0x26]), "FMT_VALUE"),
        bad(
            "alg missing",
            "every label is mandatory",
            &one.with_header(|h| drop(h.remove(0))),
            "FMT_CBOR",
        ),
        bad(
            "labels out of order",
            "sorted by their encoded bytes",
            &one.with_header(|h| h.swap(0, 1)),
            "FMT_CBOR",
        ),
        bad(
            "label twice",
            "a map has each key once",
            &one.with_header(|h| h.insert(0, h[0].clone())),
            "FMT_CBOR",
        ),
        bad(
            "unknown label",
            "labels beyond those listed",
            &one.with_header(|h| h.push((vec![0x18, 0x63], vec![0x00]))),
            "FMT_CBOR",
        ),
        bad(
            "other content type",
            "the vocabulary's version is part of it",
            &one.with_header(|h| h[1].1 = vec![0x61, b'x']),
            "FMT_UNKNOWN_VALUE",
        ),
        bad(
            "exp missing",
            "an entry without end could come back at any time",
            &one.with_claims(|c| c.retain(|(k, _)| *k != [0x04])),
            "FMT_CBOR",
        ),
        bad(
            "iat as float",
            "integer seconds",
            &one.with_claims(|c| claim(c, 6, vec![0xf9, 0x3c, 0x00])),
            "FMT_CBOR",
        ),
        bad(
            "iat not shortest",
            "60 in three bytes",
            &one.with_claims(|c| claim(c, 6, vec![0x19, 0x00, 0x3c])),
            "FMT_NOT_CANONICAL",
        ),
        bad(
            "iat negative",
            "seconds since 1970",
            &one.with_claims(|c| claim(c, 6, vec![0x20])),
            "FMT_CBOR",
        ),
        bad(
            "cti of 15 bytes",
            "16 bytes",
            &one.with_claims(|c| claim(c, 7, [&[0x4f][..], &[1; 15]].concat())),
            "FMT_VALUE",
        ),
        bad(
            "aud in upper case",
            "lower-case hex",
            &one.with_claims(|c| claim(c, 3, text(&"AB".repeat(32)))),
            "FMT_VALUE",
        ),
        bad(
            "iss is no party id",
            "lower-case letters, digits, dots, hyphens",
            &one.with_claims(|c| claim(c, 1, text("Exchange"))),
            "FMT_IDENTIFIER",
        ),
        bad(
            "sub is no subject",
            "kind and name",
            &one.with_claims(|c| claim(c, 2, text("weather"))),
            "FMT_IDENTIFIER",
        ),
    ]
}

/// Every way in which RFC 8949 would allow a length or a number to be written, and section 4.2.1 does not.
fn encodings() -> Vec<Vector> {
    let one = Parts::of(&single());
    let (header, payload) = (string(&one.protected), string(&one.payload));
    let unprotected = Parts { unprotected: vec![0xbf, 0xff], ..one.clone() };
    let two_bytes = [&[0xb8, 0x04], &one.protected[1..]].concat();
    let bad =
        |name: &str, comment: &str, bytes: &[u8]| bad(name, comment, bytes, "FMT_NOT_CANONICAL");
    vec![
        bad("protected header in chunks", "", &one.with_items(&chunked(&header), &payload)),
        bad("payload in chunks", "", &one.with_items(&header, &chunked(&payload))),
        bad("unprotected header of indefinite length", "", &unprotected.bytes()),
        bad("header of indefinite length", "", &one.with_protected(endless(&one.protected))),
        bad("claims of indefinite length", "", &one.with_header(|h| h[3].1 = endless(&h[3].1))),
        bad("iss in chunks", "", &one.with_claims(|c| claim(c, 1, chunked(&text("exchange-00"))))),
        bad("header length in two bytes", "", &one.with_protected(two_bytes)),
        bad("label in two bytes", "", &one.with_header(|h| h[0].0 = vec![0x18, 0x01])),
        bad(
            "kid length in three bytes",
            "",
            &one.with_header(|h| h[2].1 = [&[0x59, 0x00], &h[2].1[1..]].concat()),
        ),
        bad(
            "no signers, in a list",
            "left out when empty",
            &one.with_claims(|c| c.push((PRIVATE.into(), vec![0x80]))),
        ),
        bad(
            "no co-signatures, in a list",
            "left out when empty",
            &one.with_header(|h| h.push((PRIVATE.into(), vec![0x80]))),
        ),
    ]
}

/// Who signs, and for whom.
fn signers() -> Vec<Vector> {
    let (one, three) = (Parts::of(&single()), Parts::of(&joint()));
    let signers = |name: &str, comment: &str, code, change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let bytes = three.with_claims(|claims| {
            let list = private(claims);
            *list = with_elements(list, change);
        });
        bad(name, comment, &bytes, code)
    };
    let cosignatures = |name: &str, comment: &str, change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        bad(name, comment, &with_cosignatures(&three, change), "FMT_VALUE")
    };
    let nobodys = [&[0x81][..], &string(&[0; 64])].concat();
    let issuing = |signers: &[Vec<u8>]| signers.iter().position(|s| s.ends_with(&[ISSUE])).unwrap();
    vec![
        signers("signers out of order", "sorted by kid", "FMT_VALUE", &|s| s.swap(0, 1)),
        signers("signer twice", "strictly ascending", "FMT_VALUE", &|s| s[1] = s[0].clone()),
        signers("one signer in a list", "left out for one", "FMT_VALUE", &|s| {
            *s = vec![s[issuing(s)].clone()];
        }),
        signers("17 signers", "at most 16", "FMT_TOO_LARGE", &|s| s.resize(17, s[0].clone())),
        signers("nobody issues", "exactly one does", "FMT_VALUE", &|s| {
            let issuer = issuing(s);
            set(&mut s[issuer], 1, APPROVE);
        }),
        signers("two issue", "exactly one does", "FMT_VALUE", &|s| {
            for signer in s.iter_mut() {
                set(signer, 1, ISSUE);
            }
        }),
        signers("role 0", "no role is not one", "FMT_UNKNOWN_VALUE", &|s| set(&mut s[0], 2, 0)),
        signers("purpose 0", "no purpose is not one", "FMT_UNKNOWN_VALUE", &|s| {
            set(&mut s[0], 1, 0);
        }),
        cosignatures("co-signature dropped", "one for each signer but the issuer", &|list| {
            list.truncate(1);
        }),
        cosignatures("co-signature too many", "one for each signer but the issuer", &|list| {
            list.push(list[0].clone());
        }),
        bad(
            "co-signatures of nobody",
            "without a signer list there are none",
            &one.with_header(|h| h.push((PRIVATE.into(), nobodys))),
            "FMT_VALUE",
        ),
    ]
}

/// Purposes of terms.proto, as they are encoded: the last byte of a signer.
const ISSUE: u8 = 1;
const APPROVE: u8 = 4;

/// Sets the byte at a place from the end.
fn set(bytes: &mut [u8], from_end: usize, value: u8) {
    let at = bytes.len() - from_end;
    bytes[at] = value;
}

fn with_cosignatures(parts: &Parts, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    parts.with_header(|header: &mut Items| {
        let signatures = private(header);
        *signatures = with_elements(signatures, change);
    })
}

fn payloads() -> Vec<Vector> {
    let parts = Parts::of(&single());
    let good = parts.payload.clone();
    let (tag, rest) = good.split_at(good.len() - 1);
    assert_eq!(rest, [0], "an act without fields has length 0");
    let not_minimal = [tag, &[0x80, 0x00]].concat();
    let with_default = [&[0x0a, 0x00], good.as_slice()].concat();
    let unknown = [good.as_slice(), &[0xf8, 0x7f, 0x01]].concat();
    let prior = message::encode(&Event { prior: Bytes::from_static(&[7; 32]), act: None });
    let out_of_order = [good.as_slice(), &prior].concat();
    let revoked = KeyRevoked { kid: Bytes::from_static(&[1; 32]), reason: 99 };
    let unknown_enum = message::encode(&event(Act::KeyRevoked(revoked)));
    let short_prior = message::encode(&Event { prior: Bytes::from_static(&[7; 31]), ..summary() });
    let two_acts = [good.as_slice(), &good].concat();
    vec![
        bad("payload empty", "no act", &parts.with_payload(Vec::new()), "FMT_VALUE"),
        bad(
            "varint not minimal",
            "event.md, canonical form",
            &parts.with_payload(not_minimal),
            "FMT_NOT_CANONICAL",
        ),
        bad(
            "default written out",
            "event.md, canonical form",
            &parts.with_payload(with_default),
            "FMT_NOT_CANONICAL",
        ),
        bad("unknown field", "field 2047", &parts.with_payload(unknown), "FMT_NOT_CANONICAL"),
        bad(
            "fields out of order",
            "prior behind the act",
            &parts.with_payload(out_of_order),
            "FMT_NOT_CANONICAL",
        ),
        bad(
            "field twice",
            "protobuf would take the last",
            &parts.with_payload(two_acts),
            "FMT_NOT_CANONICAL",
        ),
        bad(
            "unknown enum value",
            "a reason that is not in the vocabulary",
            &parts.with_payload(unknown_enum),
            "FMT_UNKNOWN_VALUE",
        ),
        bad("prior of 31 bytes", "none or 32", &parts.with_payload(short_prior), "FMT_VALUE"),
        bad(
            "no protobuf",
            "a field of wire type 7",
            &parts.with_payload(vec![0x0f]),
            "FMT_PROTOBUF",
        ),
    ]
}

fn forged() -> Vec<Vector> {
    let refuted = |name: &str, comment: &str, bytes: &[u8]| {
        Vector::new(name, comment, input(bytes), refuted("V_SIGNATURE"))
    };
    let (one, three) = (Parts::of(&single()), Parts::of(&joint()));
    let last = Parts { signature: turned(&one.signature, 300), ..one.clone() };
    let other = Parts { payload: Parts::of(&with_prior()).payload, ..one.clone() };
    let inner = with_cosignatures(&three, |list| list[0] = turned(&list[0], 8 * 20));
    let swapped = with_cosignatures(&three, |list| list.swap(0, 1));
    let stranger = sign(&Key::named("vectors stranger"), &[], own_claims(), &summary());
    vec![
        refuted("bit of the signature", "one bit turned", &last.bytes()),
        refuted("other payload", "the signature is over another", &other.bytes()),
        refuted("bit of a co-signature", "the outer signature seals them", &inner),
        refuted("co-signatures exchanged", "each belongs to its signer", &swapped),
        refuted("unknown key", "nobody knows the key of the kid", stranger.bytes()),
    ]
}
