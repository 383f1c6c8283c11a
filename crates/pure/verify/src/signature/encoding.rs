//! What the 32 bytes of a point say before it is decompressed: the y coordinate, little-endian, and
//! in the top bit the sign of x.
//!
//! Decompression takes y modulo p and ignores the sign of x = 0, so a few points have more than one
//! encoding. These checks leave one to each. All of them compare bytes; none touches the field.

/// p = 2^255 - 19.
const P: [u8; 32] = y_coordinate(0xed, 0xff, 0x7f);
const ZERO: [u8; 32] = y_coordinate(0, 0, 0);
const ONE: [u8; 32] = y_coordinate(1, 0, 0);
const MINUS_ONE: [u8; 32] = y_coordinate(0xec, 0xff, 0x7f);

/// The y coordinates of the eight points of small order. The points of order 4 have y = 0, those of
/// order 8 the last two.
const SMALL_ORDER: [[u8; 32]; 5] = [
    ONE,
    MINUS_ONE,
    ZERO,
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Whether no other 32 bytes could stand for the same point: y < p, and no sign on x = 0.
///
/// x = 0 only where y = 1 or y = -1.
pub(super) fn is_canonical(encoding: &[u8; 32]) -> bool {
    let (y, signed) = split(encoding);
    let below_p = y.iter().rev().lt(P.iter().rev());
    let minus_zero = signed && (y == ONE || y == MINUS_ONE);
    below_p && !minus_zero
}

/// Whether a canonical encoding is that of a point of order 1, 2, 4 or 8.
pub(super) fn is_small_order(canonical: &[u8; 32]) -> bool {
    let (y, _) = split(canonical);
    SMALL_ORDER.contains(&y)
}

fn split(encoding: &[u8; 32]) -> ([u8; 32], bool) {
    let mut y = *encoding;
    let [.., last] = &mut y;
    let signed = *last >= 0x80;
    *last &= 0x7f;
    (y, signed)
}

const fn y_coordinate(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut y = [middle; 32];
    y[0] = first;
    y[31] = last;
    y
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use curve25519_dalek::edwards::CompressedEdwardsY;

    use super::*;

    #[test]
    fn the_small_order_table_is_the_torsion_subgroup() {
        for point in EIGHT_TORSION {
            let encoding = point.compress().to_bytes();
            assert!(is_canonical(&encoding) && is_small_order(&encoding));
        }
        let mut distinct: alloc::vec::Vec<_> =
            EIGHT_TORSION.iter().map(|point| split(&point.compress().to_bytes()).0).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut table = SMALL_ORDER;
        table.sort_unstable();
        assert_eq!(distinct, table, "no entry more than the subgroup has");
    }

    /// Every encoding within 64 of a boundary of y, either sign: canonical is what compresses back
    /// to itself.
    #[test]
    fn canonical_is_what_survives_recompression() {
        let mut decompressed = 0;
        for edge in [ZERO, MINUS_ONE, P] {
            for offset in 0..128u8 {
                for sign in [0, 0x80] {
                    let mut encoding = edge;
                    encoding[0] = encoding[0].wrapping_add(offset);
                    encoding[31] |= sign;
                    let Some(point) = CompressedEdwardsY(encoding).decompress() else { continue };
                    decompressed += 1;
                    assert_eq!(is_canonical(&encoding), point.compress().to_bytes() == encoding);
                    if is_canonical(&encoding) {
                        assert_eq!(is_small_order(&encoding), point.is_small_order());
                    }
                }
            }
        }
        assert!(decompressed > 300, "about half of all y are on the curve");
    }

    /// No encoding with y >= p passes, whether or not it is on the curve.
    #[test]
    fn the_nineteen_unreduced_y_are_not_canonical() {
        for first in 0xed..=0xff {
            for sign in [0, 0x80] {
                let mut encoding = P;
                encoding[0] = first;
                encoding[31] |= sign;
                assert!(!is_canonical(&encoding), "{encoding:02x?}");
            }
        }
    }
}
