//! Which keys may be enrolled.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use ed25519_dalek::SigningKey;
use ledger_verify::signature::{KeyError, PublicKey};

use crate::cases::{FIELD_ORDER, SplitMix, add, small_order_encodings};

#[test]
fn honest_keys_are_enrolled_as_they_are() {
    let mut rng = SplitMix(1);
    for _ in 0..200 {
        let bytes = SigningKey::from_bytes(&rng.bytes()).verifying_key().to_bytes();
        assert_eq!(PublicKey::enrol(&bytes).unwrap().as_bytes(), &bytes);
    }
}

#[test]
fn points_of_small_order_are_refused() {
    let encodings = small_order_encodings();
    for (number, encoding) in encodings.iter().enumerate() {
        let expected = if number < 8 { KeyError::SmallOrder } else { KeyError::NonCanonical };
        assert_eq!(PublicKey::enrol(encoding), Err(expected), "{number}");
    }
}

/// Added torsion is refused, and taken away again the key is fine.
#[test]
fn points_of_mixed_order_are_refused() {
    let mut rng = SplitMix(7);
    for _ in 0..20 {
        let point = EdwardsPoint::mul_base(&rng.scalar());
        for (number, torsion) in EIGHT_TORSION.iter().enumerate() {
            let key = (point + torsion).compress().to_bytes();
            let expected = if number == 0 { Ok(()) } else { Err(KeyError::MixedOrder) };
            assert_eq!(PublicKey::enrol(&key).map(drop), expected, "{number}");
        }
    }
}

#[test]
fn unreduced_coordinates_are_refused() {
    for excess in 0..19 {
        let mut small = [0; 32];
        small[0] = excess;
        let mut encoding = add(small, FIELD_ORDER);
        assert_eq!(PublicKey::enrol(&encoding), Err(KeyError::NonCanonical));
        encoding[31] |= 0x80;
        assert_eq!(PublicKey::enrol(&encoding), Err(KeyError::NonCanonical));
    }
}

#[test]
fn what_is_no_point_is_refused() {
    let mut rng = SplitMix(6);
    let mut refused = 0;
    while refused < 50 {
        let mut bytes = rng.bytes();
        bytes[31] &= 0xbf; // well below p
        if CompressedEdwardsY(bytes).decompress().is_none() {
            assert_eq!(PublicKey::enrol(&bytes), Err(KeyError::NotOnCurve));
            refused += 1;
        }
    }
}

#[test]
fn a_key_prints_as_hexadecimal() {
    let bytes = SigningKey::from_bytes(&[0; 32]).verifying_key().to_bytes();
    let text = format!("{:?}", PublicKey::enrol(&bytes).unwrap());
    let expected = "PublicKey(3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29)";
    assert_eq!(text, expected);
}
