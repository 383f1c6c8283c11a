//! Signatures: the published twelve, and what points of small order, mixed order and unreduced coordinates do to the rule.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ledger_fixtures::{Key, SPECCHECK};
use ledger_format::digest::{hex, sha256};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::{GOOD, refuted, turned};
use crate::{Kind, Vector};

const MESSAGE: &[u8] = b"what was signed";

fn input(key: &[u8], message: &[u8], signature: &[u8]) -> Value {
    json!({ "key": hex(key), "message": hex(message), "signature": hex(signature) })
}

/// A scalar of a name.
fn scalar(name: &str) -> Scalar {
    Scalar::from_bytes_mod_order(sha256(&[b"ledger test scalar ", name.as_bytes()]))
}

/// A multiple of the base point, plus a point of small order.
fn point(logarithm: Scalar, torsion: usize) -> [u8; 32] {
    (EdwardsPoint::mul_base(&logarithm) + EIGHT_TORSION[torsion]).compress().to_bytes()
}

/// The signature that satisfies the equation with the cofactor, for any A and R: S = r + ka.
fn solved(a: ([u8; 32], Scalar), r: ([u8; 32], Scalar)) -> Vec<u8> {
    let hash = Sha512::new().chain_update(r.0).chain_update(a.0).chain_update(MESSAGE);
    let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    [r.0, (r.1 + k * a.1).to_bytes()].concat()
}

/// Whether the rule takes the published vectors, in their order.
const TAKEN: [bool; 12] =
    [false, false, true, true, true, true, false, false, false, false, false, false];

/// Signatures.
pub(super) fn signatures() -> Kind {
    let unhex = |text: &str| base16ct::lower::decode_vec(text).unwrap();
    let published = SPECCHECK.iter().zip(TAKEN).enumerate();
    let mut vectors: Vec<Vector> = published
        .map(|(number, ([message, key, r, s], taken))| {
            let input = input(&unhex(key), &unhex(message), &unhex(&format!("{r}{s}")));
            let comment = "Chalkias, Garillot, Nikolaenko, Taming the many EdDSAs, 2020";
            let expected = if taken { GOOD } else { refuted("") };
            Vector::new(format!("published {number}"), comment, input, expected)
        })
        .collect();
    vectors.extend(plain());
    vectors.extend(torsion());
    Kind {
        name: "signature",
        description: "Ed25519 signatures under the one rule of signature.md: cofactored, canonical S, A and R, no key of small order.",
        vectors,
    }
}

fn plain() -> Vec<Vector> {
    let key = Key::named("vectors signature");
    let (public, signature) = (key.public(), key.sign(MESSAGE));
    let other = Key::named("vectors other").public();
    vec![
        Vector::new("honest", "as RFC 8032 signs", input(&public, MESSAGE, &signature), GOOD),
        Vector::new("empty message", "", input(&public, b"", &key.sign(b"")), GOOD),
        Vector::new(
            "another message",
            "",
            input(&public, b"what was not", &signature),
            refuted(""),
        ),
        Vector::new("another key", "", input(&other, MESSAGE, &signature), refuted("")),
        Vector::new("bit of R", "", input(&public, MESSAGE, &turned(&signature, 3)), refuted("")),
        Vector::new("bit of S", "", input(&public, MESSAGE, &turned(&signature, 260)), refuted("")),
        Vector::new(
            "S above L",
            "S + L",
            input(&public, MESSAGE, &with_order_added(&signature)),
            refuted(""),
        ),
    ]
}

/// L, the order of the group, little-endian (RFC 8032 section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn with_order_added(signature: &[u8; 64]) -> Vec<u8> {
    let mut carry = 0_u16;
    let mut added = signature.to_vec();
    for (byte, order) in added[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    added
}

fn torsion() -> Vec<Vector> {
    let (a, r) = (scalar("a"), scalar("r"));
    let mut vectors = Vec::new();
    for torsion in 1..8 {
        let mixed_key = (point(a, torsion), a);
        let honest_r = (point(r, 0), r);
        vectors.push(Vector::new(
            format!("key of mixed order {torsion}"),
            "the equation holds with the cofactor; such a key cannot be enrolled",
            input(&mixed_key.0, MESSAGE, &solved(mixed_key, honest_r)),
            GOOD,
        ));
        let (honest_key, mixed_r) = ((point(a, 0), a), (point(r, torsion), r));
        vectors.push(Vector::new(
            format!("R of mixed order {torsion}"),
            "a strict verifier without the cofactor refuses it",
            input(&honest_key.0, MESSAGE, &solved(honest_key, mixed_r)),
            GOOD,
        ));
        let small_r = (point(Scalar::ZERO, torsion), Scalar::ZERO);
        vectors.push(Vector::new(
            format!("R of small order {torsion}"),
            "R may be of small order",
            input(&honest_key.0, MESSAGE, &solved(honest_key, small_r)),
            GOOD,
        ));
        let small_key = (point(Scalar::ZERO, torsion), Scalar::ZERO);
        vectors.push(Vector::new(
            format!("key of small order {torsion}"),
            "refused, although the equation holds",
            input(&small_key.0, MESSAGE, &solved(small_key, honest_r)),
            refuted(""),
        ));
    }
    vectors
}

/// Keys as they are enrolled.
pub(super) fn enrolment() -> Kind {
    let vector = |name: String, key: [u8; 32], expected| {
        Vector::new(name, "", json!({ "key": hex(&key) }), expected)
    };
    let mut vectors = vec![vector("honest".into(), Key::named("vectors signature").public(), GOOD)];
    for torsion in 0..8 {
        let small = point(Scalar::ZERO, torsion);
        vectors.push(vector(format!("small order {torsion}"), small, refuted("")));
    }
    for torsion in 1..8 {
        let mixed = point(scalar("a"), torsion);
        vectors.push(vector(format!("mixed order {torsion}"), mixed, refuted("")));
    }
    // y = p + 1, an unreduced encoding of the neutral element (RFC 8032 section 5.1.3).
    let mut unreduced = [0xff; 32];
    unreduced[0] = 0xee;
    unreduced[31] = 0x7f;
    vectors.push(vector("coordinate not reduced".into(), unreduced, refuted("")));
    let mut off = [0; 32];
    off[0] = 2;
    vectors.push(vector("no point of the curve".into(), off, refuted("")));
    Kind {
        name: "enrolment",
        description: "Whether a public key may be enrolled (signature.md, enrolment): canonical, on the curve, of prime order.",
        vectors,
    }
}
