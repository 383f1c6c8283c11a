//! SHA-256 in the two shapes that trees need: any bytes, and a prefix with two hashes.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// A SHA-256 digest, 32 bytes.
pub type Hash = [u8; 32];

/// The initial state of SHA-256 (FIPS 180-4 section 5.3.3).
const INITIAL_STATE: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// SHA-256 of any bytes.
pub(crate) fn sha256(data: &[u8]) -> Hash {
    Sha256::digest(data).into()
}

/// SHA-256(prefix || data).
pub(crate) fn sha256_prefixed(prefix: u8, data: &[u8]) -> Hash {
    Sha256::new().chain_update([prefix]).chain_update(data).finalize().into()
}

/// SHA-256(prefix || left || right), 65 bytes.
///
/// Interior nodes are nearly all that a tree hashes, so this pads by hand: the streaming interface
/// costs a quarter more for a message of this size.
pub(crate) fn sha256_pair(prefix: u8, left: &Hash, right: &Hash) -> Hash {
    let mut message = [0_u8; 128];
    message[0] = prefix;
    message[1..33].copy_from_slice(left);
    message[33..65].copy_from_slice(right);
    // FIPS 180-4 section 5.1.1: a one bit, zeros, and the length in bits.
    message[65] = 0x80;
    message[126..].copy_from_slice(&(65_u16 << 3).to_be_bytes());
    finish(&message)
}

/// SHA-256(prefix || label || left || right), 66 bytes.
pub(crate) fn sha256_labelled_pair(prefix: u8, label: u8, left: &Hash, right: &Hash) -> Hash {
    let mut message = [0_u8; 128];
    message[0] = prefix;
    message[1] = label;
    message[2..34].copy_from_slice(left);
    message[34..66].copy_from_slice(right);
    message[66] = 0x80;
    message[126..].copy_from_slice(&(66_u16 << 3).to_be_bytes());
    finish(&message)
}

/// The digest of a message that is already padded to two blocks.
fn finish(padded: &[u8; 128]) -> Hash {
    let mut state = INITIAL_STATE;
    let (blocks, _none_left_over) = padded.as_chunks::<64>();
    compress256(&mut state, blocks);
    let mut digest = Hash::default();
    let (words, _none_left_over) = digest.as_chunks_mut::<4>();
    for (bytes, word) in words.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hand-padded forms equal the plain hash of the concatenated bytes.
    #[test]
    fn padding_by_hand_is_sha256() {
        let mut left = sha256(b"left");
        let mut right = sha256(b"right");
        for round in 0..=255_u8 {
            let pair = [&[round][..], &left, &right].concat();
            assert_eq!(sha256_pair(round, &left, &right), sha256(&pair));
            let labelled = [&[0x11, round][..], &left, &right].concat();
            assert_eq!(sha256_labelled_pair(0x11, round, &left, &right), sha256(&labelled));
            assert_eq!(
                sha256_prefixed(round, &labelled),
                sha256(&[&[round][..], &labelled].concat())
            );
            (left, right) = (right, sha256(&labelled));
        }
    }
}
