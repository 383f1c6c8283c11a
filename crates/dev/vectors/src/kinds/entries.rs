//! Entries: one signer and several, and every way in which an entry can be encoded wrongly.

use bytes::Bytes;
use ledger_event::event::Act;
use ledger_event::{Event, ImportedHistory, KeyRevoked, Purpose, Role};
use ledger_fixtures::{Key, Signing, claims, event, joint_claims, sign, summary};
use ledger_format::digest::{LedgerId, hex};
use ledger_format::entry::{Claims, Entry};
use ledger_format::message;
use minicbor::{Decoder, Encoder};
use serde_json::{Value, json};

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

/// The four parts of a COSE_Sign1, to be put together again in other ways.
#[derive(Clone)]
struct Parts {
    protected: Vec<u8>,
    unprotected: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Parts {
    fn of(entry: &Entry) -> Self {
        let bytes = entry.bytes().clone();
        let mut decoder = Decoder::new(&bytes);
        decoder.tag().unwrap();
        decoder.array().unwrap();
        let protected = decoder.bytes().unwrap().to_vec();
        decoder.map().unwrap();
        let payload = decoder.bytes().unwrap().to_vec();
        let signature = decoder.bytes().unwrap().to_vec();
        Self { protected, unprotected: vec![0xa0], payload, signature }
    }

    fn bytes(&self) -> Vec<u8> {
        let string = |bytes: &[u8]| {
            let mut encoder = Encoder::new(Vec::new());
            encoder.bytes(bytes).unwrap();
            encoder.into_writer()
        };
        let Self { protected, unprotected, payload, signature } = self;
        let head = vec![0xd2, 0x84];
        [head, string(protected), unprotected.clone(), string(payload), string(signature)].concat()
    }

    fn with_payload(&self, payload: Vec<u8>) -> Vec<u8> {
        Self { payload, ..self.clone() }.bytes()
    }

    /// The protected header after a change of its items.
    fn with_header(&self, change: impl FnOnce(&mut Items)) -> Vec<u8> {
        let mut items = items(&self.protected);
        change(&mut items);
        Self { protected: map(&items), ..self.clone() }.bytes()
    }

    /// The claims after a change of their items.
    fn with_claims(&self, change: impl FnOnce(&mut Items)) -> Vec<u8> {
        self.with_header(|header| {
            let claims = header.iter_mut().find(|(key, _)| *key == [0x0f]).unwrap();
            let mut inner = items(&claims.1);
            change(&mut inner);
            claims.1 = map(&inner);
        })
    }
}

/// Keys and values of a CBOR map, as they are encoded.
type Items = Vec<(Vec<u8>, Vec<u8>)>;

fn items(bytes: &[u8]) -> Items {
    let mut decoder = Decoder::new(bytes);
    let count = decoder.map().unwrap().unwrap();
    let mut item = || {
        let from = decoder.position();
        decoder.skip().unwrap();
        bytes[from..decoder.position()].to_vec()
    };
    (0..count).map(|_| (item(), item())).collect()
}

fn map(items: &Items) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(u64::try_from(items.len()).unwrap()).unwrap();
    let parts = items.iter().flat_map(|(key, value)| [key.clone(), value.clone()]);
    [encoder.into_writer(), parts.flatten().collect()].concat()
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
    vectors.extend(headers());
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
    let (one, three) = (Parts::of(&single()), Parts::of(&joint()));
    let key = |text: &str| base16ct::lower::decode_vec(text).unwrap();
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
        bad("signers out of order", "sorted by kid", &three.with_claims(swap_signers), "FMT_VALUE"),
        bad(
            "co-signature dropped",
            "one for each signer but the issuer",
            &three.with_header(drop_cosignature),
            "FMT_VALUE",
        ),
        bad(
            "co-signatures of nobody",
            "without a signer list there are none",
            &one.with_header(|h| {
                h.insert(0, (key("3a00010000"), [&[0x81, 0x58, 0x40][..], &[0; 64]].concat()));
            }),
            "FMT_CBOR",
        ),
    ]
}

fn text(text: &str) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.str(text).unwrap();
    encoder.into_writer()
}

fn claim(claims: &mut Items, label: u8, value: Vec<u8>) {
    claims.iter_mut().find(|(key, _)| *key == [label]).unwrap().1 = value;
}

/// The value of the private label, in header and claims alike.
fn private(items: &mut Items) -> &mut Vec<u8> {
    &mut items.iter_mut().find(|(key, _)| key.len() == 5).unwrap().1
}

/// Swaps the first two elements of an array.
fn swapped(array: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(array);
    decoder.array().unwrap();
    let start = decoder.position();
    decoder.skip().unwrap();
    let middle = decoder.position();
    decoder.skip().unwrap();
    let end = decoder.position();
    [&array[..start], &array[middle..end], &array[start..middle], &array[end..]].concat()
}

fn swap_signers(claims: &mut Items) {
    let signers = private(claims);
    *signers = swapped(signers);
}

fn drop_cosignature(header: &mut Items) {
    let signatures = private(header);
    // An array of two byte strings of 64.
    let one = [&[0x81][..], &signatures[1..67]].concat();
    *signatures = one;
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
    let inner = three.with_header(|header| {
        let signatures = private(header);
        *signatures = turned(signatures, 8 * 20);
    });
    let swapped = three.with_header(|header| {
        let signatures = private(header);
        *signatures = swapped(signatures);
    });
    let stranger = sign(&Key::named("vectors stranger"), &[], own_claims(), &summary());
    vec![
        refuted("bit of the signature", "one bit turned", &last.bytes()),
        refuted("other payload", "the signature is over another", &other.bytes()),
        refuted("bit of a co-signature", "the outer signature seals them", &inner),
        refuted("co-signatures exchanged", "each belongs to its signer", &swapped),
        refuted("unknown key", "nobody knows the key of the kid", stranger.bytes()),
    ]
}
