//! Generated: every mix of honest, small-order, mixed-order and non-canonical A and R.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signature, VerifyingKey};
use ledger_verify::signature::{SignatureError, StrictReason, strict_objections};

use crate::cases::{
    Case, FIELD_ORDER, GROUP_ORDER, SplitMix, add, assert_agreement, assert_any_composition, batch,
    challenge, small_order_encodings,
};

/// A point that may stand for A or R, and the logarithm of its component of prime order.
struct Part {
    name: String,
    encoding: [u8; 32],
    logarithm: Scalar,
}

const CANONICAL_SMALL: std::ops::Range<usize> = 0..8;
const NON_CANONICAL: std::ops::Range<usize> = 8..14;
const MIXED: std::ops::Range<usize> = 14..22;

/// 8 points of small order, 6 further encodings of some of them, and a multiple of B plus each
/// point of small order.
fn parts(rng: &mut SplitMix) -> Vec<Part> {
    let mut parts: Vec<_> = small_order_encodings()
        .into_iter()
        .enumerate()
        .map(|(number, encoding)| {
            let kind = if number < 8 { "small" } else { "non-canonical small" };
            Part { name: format!("{kind} {number}"), encoding, logarithm: Scalar::ZERO }
        })
        .collect();
    for (number, torsion) in EIGHT_TORSION.iter().enumerate() {
        let logarithm = rng.scalar();
        let point = EdwardsPoint::mul_base(&logarithm) + torsion;
        let encoding = point.compress().to_bytes();
        parts.push(Part { name: format!("mixed {number}"), encoding, logarithm });
    }
    parts
}

/// What satisfies the equation with the cofactor, by any A and R: S = r + ka.
fn solved(a: &Part, r: &Part, message: &[u8]) -> Case {
    let s = r.logarithm + challenge(&r.encoding, &a.encoding, message) * a.logarithm;
    let name = format!("A {}, R {}", a.name, r.name);
    Case::new(name, a.encoding, message, r.encoding, s.to_bytes())
}

/// The same with another S.
fn with_s(case: &Case, name: &str, s: [u8; 32]) -> Case {
    let name = format!("{}, {name}", case.name);
    Case::new(name, case.key, &case.message, case.r(), s)
}

#[test]
fn every_mix_of_points_and_scalars() {
    let mut rng = SplitMix(8);
    let (keys, commitments) = (parts(&mut rng), parts(&mut rng));
    let mut cases = Vec::new();
    let mut accepted = 0;
    for (a_number, a) in keys.iter().enumerate() {
        for (r_number, r) in commitments.iter().enumerate() {
            for message in [&b"first"[..], b"second"] {
                let valid = solved(a, r, message);
                let expected = if NON_CANONICAL.contains(&a_number) {
                    Err(SignatureError::NonCanonicalKey)
                } else if CANONICAL_SMALL.contains(&a_number) {
                    Err(SignatureError::SmallOrderKey)
                } else if NON_CANONICAL.contains(&r_number) {
                    Err(SignatureError::NonCanonicalR)
                } else {
                    accepted += 1;
                    Ok(())
                };
                assert_eq!(valid.single(), expected, "{valid:?}");

                let eight_orders = (0..8).fold(valid.s(), |s, _| add(s, GROUP_ORDER));
                for s in [add(valid.s(), GROUP_ORDER), eight_orders] {
                    let overflown = with_s(&valid, "S not reduced", s);
                    assert_eq!(overflown.single(), Err(SignatureError::NonCanonicalS));
                    cases.push(overflown);
                }

                let off_by_one =
                    (Scalar::from_canonical_bytes(valid.s()).unwrap() + Scalar::ONE).to_bytes();
                let wrong = with_s(&valid, "S + 1", off_by_one);
                let expected = expected.and(Err(SignatureError::Equation));
                assert_eq!(wrong.single(), expected, "{wrong:?}");
                cases.extend([valid, wrong]);
            }
        }
    }
    assert_eq!(accepted, MIXED.len() * (MIXED.len() + CANONICAL_SMALL.len()) * 2);
    cases.extend((0..500).map(|_| Case::honest(&mut rng)));
    assert_any_composition(&cases, 24, &mut rng);
}

/// Batches of any size, up to where the sum is computed in another way, of nothing but signatures
/// with torsion. What they leave in the sum is another point of small order in each batch, and it
/// must not matter, nor hide a fault.
#[test]
fn torsion_never_shows_in_a_batch() {
    let mut rng = SplitMix(88);
    let (keys, commitments) = (parts(&mut rng), parts(&mut rng));
    let mut members = Vec::new();
    for a in &keys[MIXED] {
        for r in commitments[CANONICAL_SMALL].iter().chain(&commitments[MIXED]) {
            members.extend((0..8).map(|_| solved(a, r, &rng.bytes::<32>())));
        }
    }
    for round in 0..100 {
        rng.shuffle(&mut members);
        let size = 1 + rng.below(members.len());
        let mut batched: Vec<_> = members[..size].iter().collect();
        let mut expected = vec![Ok(()); size];
        let mut faulty = members[rng.below(size)].clone();
        faulty.message.push(0);
        if round % 4 == 0 {
            let at = rng.below(size);
            batched[at] = &faulty;
            expected[at] = Err(SignatureError::Equation);
        }
        assert_eq!(batch(&batched), expected);
    }
}

/// Bytes from anywhere: some verdict, and the same on every path.
#[test]
fn any_bytes_have_one_verdict() {
    let mut rng = SplitMix(64);
    let small = small_order_encodings();
    let mut cases = Vec::new();
    for number in 0..1500 {
        let mut draw = || match rng.below(4) {
            0 => rng.bytes(),
            1 => small[rng.below(small.len())],
            2 => EdwardsPoint::mul_base(&rng.scalar()).compress().to_bytes(),
            _ => rng.scalar().to_bytes(),
        };
        let (key, r, s) = (draw(), draw(), draw());
        cases.push(Case::new(format!("any {number}"), key, &rng.bytes::<16>(), r, s));
    }
    assert_any_composition(&cases, 10, &mut rng);
}

/// All 38 encodings with y >= p, on the curve or not, small order or not, in place of an honest A
/// or R.
#[test]
fn unreduced_coordinates() {
    let mut rng = SplitMix(19);
    let honest = Case::honest(&mut rng);
    let mut cases = vec![honest.clone()];
    for excess in 0..19 {
        for sign in [0, 0x80] {
            let mut encoding = [0; 32];
            encoding[0] = excess;
            encoding = add(encoding, FIELD_ORDER);
            encoding[31] |= sign;

            let mut case = Case { key: encoding, name: "A not reduced".into(), ..honest.clone() };
            assert_eq!(assert_agreement(&case), Err(SignatureError::NonCanonicalKey));
            cases.push(case);

            case = Case::new("R not reduced".into(), honest.key, b"", encoding, honest.s());
            assert_eq!(assert_agreement(&case), Err(SignatureError::NonCanonicalR));
            cases.push(case);
        }
    }
    assert_any_composition(&cases, 20, &mut rng);
}

/// Half of all y belong to no point.
#[test]
fn off_the_curve() {
    let mut rng = SplitMix(2);
    let honest = Case::honest(&mut rng);
    let mut cases = vec![honest.clone()];
    while cases.len() < 60 {
        let mut encoding = rng.bytes();
        encoding[31] &= 0xbf; // well below p
        if CompressedEdwardsY(encoding).decompress().is_some() {
            continue;
        }
        let key = Case { key: encoding, name: "A off the curve".into(), ..honest.clone() };
        assert_eq!(assert_agreement(&key), Err(SignatureError::KeyNotOnCurve));
        let r = Case::new("R off the curve".into(), honest.key, b"", encoding, honest.s());
        assert_eq!(assert_agreement(&r), Err(SignatureError::RNotOnCurve));
        let both = Case::new("both off the curve".into(), encoding, b"", encoding, honest.s());
        assert_eq!(assert_agreement(&both), Err(SignatureError::KeyNotOnCurve));
        cases.extend([key, r, both]);
    }
    assert_any_composition(&cases, 20, &mut rng);
}

/// The bounds of S: only what is below L may pass the first check.
#[test]
fn the_bounds_of_s() {
    let mut rng = SplitMix(252);
    let honest = Case::honest(&mut rng);
    let mut minus_one = GROUP_ORDER;
    minus_one[0] -= 1;
    let mut plus_one = GROUP_ORDER;
    plus_one[0] += 1;
    for (s, expected) in [
        ([0; 32], SignatureError::Equation),
        (minus_one, SignatureError::Equation),
        (GROUP_ORDER, SignatureError::NonCanonicalS),
        (plus_one, SignatureError::NonCanonicalS),
        ([0xff; 32], SignatureError::NonCanonicalS),
    ] {
        assert_eq!(assert_agreement(&with_s(&honest, "bound", s)), Err(expected));
    }
    for top_bit in [0x20, 0x40, 0x80] {
        let mut s = honest.s();
        s[31] |= top_bit;
        let case = with_s(&honest, "top bit", s);
        assert_eq!(assert_agreement(&case), Err(SignatureError::NonCanonicalS));
    }
}

/// `strict_objections` foretells `verify_strict` of ed25519-dalek on every signature that the rule
/// accepts.
#[test]
fn strict_objections_foretell_a_strict_verifier() {
    let mut rng = SplitMix(32);
    let (keys, commitments) = (parts(&mut rng), parts(&mut rng));
    let mut seen = std::collections::BTreeMap::new();
    for (a_number, a) in keys.iter().enumerate() {
        for (r_number, r) in commitments.iter().enumerate() {
            for _ in 0..8 {
                let case = solved(a, r, &rng.bytes::<8>());
                let Case { key, message, signature, .. } = &case;
                let objections = strict_objections(key, message, signature);
                assert_eq!(objections.clone().map(drop), case.single());
                let Ok(objections) = objections else { continue };

                let has = |reason| objections.contains(&reason);
                assert!(objections.is_sorted());
                assert_eq!(has(StrictReason::SmallOrderR), CANONICAL_SMALL.contains(&r_number));
                assert_eq!(has(StrictReason::MixedOrderR), r.has_torsion());
                assert_eq!(has(StrictReason::MixedOrderKey), a_number != MIXED.start);
                let strict = VerifyingKey::from_bytes(key)
                    .unwrap()
                    .verify_strict(message, &Signature::from_bytes(signature));
                let foretold = has(StrictReason::SmallOrderR) || has(StrictReason::CofactorOnly);
                assert_eq!(strict.is_err(), foretold, "{case:?}: {objections:?}");
                *seen.entry(objections).or_insert(0) += 1;
            }
        }
    }
    // Torsion of A or R comes with and without the equation that holds only with the cofactor.
    assert_eq!(seen.len(), 12, "{seen:?}");
}

/// What the rule refuses has no objections but the refusal.
#[test]
fn strict_objections_refuse_what_the_rule_refuses() {
    let mut rng = SplitMix(4);
    for _ in 0..50 {
        let mut case = Case::honest(&mut rng);
        let objections = |case: &Case| strict_objections(&case.key, &case.message, &case.signature);
        assert_eq!(objections(&case), Ok(Vec::new()));
        case.signature[rng.below(64)] ^= 1;
        assert_eq!(objections(&case), Err(case.single().unwrap_err()));
    }
}

impl Part {
    fn has_torsion(&self) -> bool {
        !CompressedEdwardsY(self.encoding).decompress().unwrap().is_torsion_free()
    }
}
